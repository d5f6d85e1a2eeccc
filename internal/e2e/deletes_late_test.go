package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// testRepeatedEvents: events that are older than a delete, and are delivered again after it, bring nothing back, also when
// the process does not remember its own writes.
func testRepeatedEvents(t *testing.T, d *deletesMesh) {
	t.Helper()
	const writes = 2
	sites := d.all()
	key := func(s *site) string { return "repeated/by " + s.Name }
	for i, s := range sites {
		for n := range writes {
			s.mustPut(t, key(s), text(fmt.Sprint(n)))
			awaitObject(t, sites, key(s), text(fmt.Sprint(n)))
		}
		sites[(i+1)%len(sites)].mustRemove(t, key(s))
		awaitGone(t, sites, key(s))
	}
	d.quiet(t)
	for _, restart := range []bool{false, true} {
		if restart {
			d.restart(t)
		}
		for _, s := range sites {
			for _, teller := range sites { // those of the replicas as well
				d.repeat(t, teller.Name, key(s), "ObjectCreated")
			}
		}
		d.quiet(t)
		for i, s := range sites {
			d.checkGone(t, key(s), sites[(i+1)%len(sites)].Name, 1)
		}
	}
	for i, s := range sites { // the delete itself, again
		d.repeat(t, sites[(i+1)%len(sites)].Name, key(s), "ObjectRemoved")
	}
	d.quiet(t)
	for i, s := range sites {
		d.checkGone(t, key(s), sites[(i+1)%len(sites)].Name, 1)
	}
}

// testLostDelete: a site deletes a key, of which nobody is told yet. The older write's event, delivered again to a process
// that does not remember its writes, does not bring the key back there; and when the delete is told at last, it is everywhere.
func testLostDelete(t *testing.T, d *deletesMesh) {
	t.Helper()
	sites := d.all()
	var lost []lostDelete
	for i, writer := range sites {
		lost = append(lost, lostDelete{"lost/by " + writer.Name, writer, sites[(i+1)%len(sites)]})
	}
	for _, l := range lost {
		l.writer.mustPut(t, l.key, text("old"))
		awaitObject(t, sites, l.key, text("old"))
	}
	d.quiet(t)
	for _, l := range lost {
		l.lose(t, d)
	}
	d.restart(t)
	for _, l := range lost {
		l.repeatOlder(t, d)
	}
	for _, l := range lost {
		d.repeat(t, l.deleter.Name, l.key, "ObjectRemoved")
		awaitGone(t, sites, l.key)
	}
	d.quiet(t)
	for _, l := range lost {
		d.checkAgree(t, l.key)
		awaitGone(t, sites, l.key)
	}
}

// lostDelete is a key that one site wrote, and another deletes.
type lostDelete struct {
	key             string
	writer, deleter *site
}

// lose has the key deleted, and the notification of that lost.
func (l lostDelete) lose(t *testing.T, d *deletesMesh) {
	t.Helper()
	d.tap.lose(l.deleter.Name)
	defer d.tap.lose("")
	l.deleter.mustRemove(t, l.key)
	eventually(t, arrival, "the delete is told, and lost", func() error {
		if len(d.tap.of(l.deleter.Name, l.key, "ObjectRemoved")) == 0 {
			return errors.New("not told")
		}
		return nil
	})
}

// repeatOlder delivers the event of the write again. The key may not come back where it was deleted.
func (l lostDelete) repeatOlder(t *testing.T, d *deletesMesh) {
	t.Helper()
	d.repeat(t, l.writer.Name, l.key, "ObjectCreated")
	d.quiet(t)
	if err := l.deleter.gone(t.Context(), l.key); err != nil {
		t.Errorf("an older write came back: %v", err)
	}
}

// contest is a key that one site deletes and another writes, without knowledge of each other.
type contest struct {
	key             string
	deleter, writer *site
	delay           time.Duration // of the write against the delete
}

func (c contest) body() string { return "written at " + c.writer.Name }

// testDeleteAgainstPut: while the process is down one site deletes a key and another writes it. The later of both is
// everywhere afterwards; within one second it is the one whose site's name is the later one.
func testDeleteAgainstPut(t *testing.T, d *deletesMesh) {
	t.Helper()
	sites := d.all()
	var contests []contest
	for _, deleter := range sites {
		for _, writer := range sites {
			if writer == deleter {
				continue
			}
			for _, delay := range []time.Duration{-time.Second, 0, time.Second, 4 * time.Second} {
				contests = append(contests, contest{fmt.Sprintf("contest/%s deletes, %s writes after %v", deleter.Name, writer.Name, delay),
					deleter, writer, delay})
			}
		}
	}
	inParallel(t, len(contests), 4, func(ctx context.Context, i int) error {
		return contests[i].deleter.put(ctx, contests[i].key, text("before"))
	})
	for _, c := range contests {
		awaitObject(t, sites, c.key, text("before"))
	}
	d.quiet(t)
	d.end(t)
	finish := contend(t, contests)
	deleteWins := make([]bool, len(contests))
	for i, c := range contests {
		deleteWins[i] = c.deleteWins(t)
	}
	d.start()
	finish()
	for i, c := range contests {
		if deleteWins[i] {
			awaitGone(t, sites, c.key)
		} else {
			awaitObject(t, sites, c.key, text(c.body()))
		}
	}
	d.quiet(t)
	for i, c := range contests {
		d.checkAgree(t, c.key)
		for _, s := range sites {
			o, err := s.get(t.Context(), c.key)
			if (s.gone(t.Context(), c.key) == nil) != deleteWins[i] || !deleteWins[i] && (err != nil || o.body != c.body()) {
				t.Errorf("%q at %s: %v, %v; the delete wins: %v", c.key, s.Name, o, err, deleteWins[i])
			}
		}
	}
}

// contend has the clients of all contests delete and write, from the start of a second on, and returns once the stores have
// done it. The stores' answers may have to wait until the events are taken: finish waits for those.
func contend(t *testing.T, contests []contest) (finish func()) {
	t.Helper()
	start := time.Now().Truncate(time.Second).Add(2 * time.Second)
	group, ctx := errgroup.WithContext(t.Context())
	at := func(delay time.Duration, do func() error) {
		group.Go(func() error {
			<-time.After(time.Until(start.Add(delay)))
			return do()
		})
	}
	for _, c := range contests {
		at(max(0, -c.delay), func() error { return c.deleter.remove(ctx, c.key) })
		at(max(0, c.delay), func() error { return c.writer.put(ctx, c.key, text(c.body())) })
	}
	for _, c := range contests {
		eventually(t, arrival, c.key+" is deleted, and written", func() error {
			if err := c.deleter.gone(t.Context(), c.key); err != nil {
				return err
			}
			o, err := c.writer.get(t.Context(), c.key)
			if err == nil && o.body != c.body() {
				err = errors.New("not written yet")
			}
			return err
		})
	}
	return func() {
		t.Helper()
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// deleteWins tells by the stores' times what the version order says. Both lie on a version that is older by more than a second.
func (c contest) deleteWins(t *testing.T) bool {
	t.Helper()
	deleted, written := c.deleter.latest(t, c.key).modified.Unix(), c.writer.latest(t, c.key).modified.Unix()
	if c.delay > 0 && written <= deleted || c.delay < 0 && deleted <= written {
		t.Logf("%s: deleted at %d, written at %d, as the machine is slow: another contest than was meant", c.key, deleted, written)
	}
	return deleted > written || deleted == written && c.deleter.Name > c.writer.Name
}

// latest returns the version on top.
func (s *site) latest(t *testing.T, key string) kept {
	t.Helper()
	all := s.mustVersions(t, key)
	for _, v := range all {
		if v.latest {
			return v
		}
	}
	t.Fatalf("%q at %s: none on top of %+v", key, s.Name, all)
	return kept{}
}
