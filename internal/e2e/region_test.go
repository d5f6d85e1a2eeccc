package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// catchUp is how long all may take to become equal again. It is less than the acknowledgement time-out of 30 s: nothing that
// waits for a site may wait for that.
const catchUp = 25 * time.Second

// TestRegionStopAndStart: while a region is down the others work on, and what is written waits for it without becoming a
// dead letter; when it is back, all become equal by themselves.
func TestRegionStopAndStart(t *testing.T) {
	t.Parallel()
	d := startDemo(t, newMachine(t))
	down, up := d.sites[1], []*site{d.sites[0], d.sites[2]}
	want := bodies{}
	want.write(t, d.sites[:1], "", keyRange{0, 50})
	awaitListing(t, arrival, d.sites, "key/", want)
	// These may or may not have left the region when it goes down. They have to, when it is back.
	want.write(t, []*site{down}, "late ", keyRange{300, 320})

	d.must(t, "demo", "region", "stop", down.Name)
	d.must(t, "demo", "region", "stop", down.Name) // no error when it is down
	if err := down.put(shortly(t), "key/refused", text("")); err == nil {
		t.Error("a region that is down took a write")
	}
	want.write(t, up, "while away ", keyRange{0, 200}) // 50 of them are overwrites
	for key := range want {
		if !strings.Contains(want[key], "late") {
			awaitObject(t, up, key, text(want[key]))
		}
	}
	d.awaitAway(t, down.Name)
	checkAwayStatus(t, d, down.Name)
	if in, code := d.inspect(t, "key/007"); code != 3 || in.Agree || in.Sites[1].Error == "" {
		t.Errorf("inspect while a region is down: exit code %d, %+v", code, in)
	}
	d.noLetters(t)

	d.must(t, "demo", "region", "start", down.Name)
	d.must(t, "demo", "region", "start", down.Name) // no error when it is up
	awaitListing(t, catchUp, d.sites, "key/", want)
	d.settled(t, catchUp)
	d.noLetters(t)
	if d.status(t).away(down.Name) {
		t.Errorf("%s is still said to be away", down.Name)
	}
	if in, code := d.inspect(t, "key/007"); code != 0 {
		t.Errorf("inspect afterwards: exit code %d, %+v", code, in)
	}
	down.mustPut(t, "key/back", text("back"))
	awaitObject(t, d.sites, "key/back", text("back"))
}

// shortly is a context for what should fail soon.
func shortly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// bodies is what keys must hold.
type bodies map[string]string

// keyRange is numbered keys, from first up to and without end.
type keyRange struct{ first, end int }

// write writes keys, in turn at the sites, and notes what they hold.
func (b bodies) write(t *testing.T, sites []*site, what string, keys keyRange) {
	t.Helper()
	key := func(i int) string { return fmt.Sprintf("key/%03d", keys.first+i) }
	body := func(i int) string { return fmt.Sprintf("%s%d", what, keys.first+i) }
	n := keys.end - keys.first
	inParallel(t, n, 4, func(ctx context.Context, i int) error {
		return sites[i%len(sites)].put(ctx, key(i), text(body(i)))
	})
	for i := range n {
		b[key(i)] = body(i)
	}
}

func (d *demo) awaitAway(t *testing.T, name string) {
	t.Helper()
	eventually(t, arrival, name+" is said to be away", func() error {
		if s := d.status(t); !s.away(name) {
			return fmt.Errorf("%+v", s.Sites)
		}
		return nil
	})
}

// checkAwayStatus: the links into the region that is down have a backlog, and no link has failed.
func checkAwayStatus(t *testing.T, d *demo, down string) {
	t.Helper()
	s := d.status(t)
	for _, site := range s.Sites {
		if site.Away != (site.Name == down) {
			t.Errorf("%s: away is %v", site.Name, site.Away)
		}
	}
	for _, link := range s.Links {
		waiting := link.Pending + link.InFlight
		switch {
		case link.Target == down && (waiting < 90 || link.LagSeconds <= 0):
			t.Errorf("%v: want about 100 waiting, and a lag (%v s)", link, link.LagSeconds)
		case link.Target != down && link.Source != down && waiting > 0:
			t.Errorf("%v: nothing stops it", link)
		case link.DeadLetters > 0 || link.Failed > 0:
			t.Errorf("%v: failed", link)
		}
	}
	if text := d.must(t, "status").stdout; !strings.Contains(text, down+" does not answer") {
		t.Errorf("status does not say that %s is away:\n%s", down, text)
	}
}

// TestRegionStopUnknown: a name that is none of the demo's is answered with those that are.
func TestRegionStopUnknown(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	d := startDemo(t, m, "--regions", "alpha,beta")
	r := m.cli(t, "demo", "region", "stop", "gamma")
	if r.code == 0 || !strings.Contains(r.stderr, "alpha") || !strings.Contains(r.stderr, "beta") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	d.settled(t, arrival)
	// The whole demo down, and up again.
	for _, action := range []string{"stop", "start"} {
		for _, s := range slices.Backward(d.sites) {
			m.must(t, "demo", "region", action, s.Name)
		}
	}
	d.sites[0].mustPut(t, "after", text("x"))
	awaitObject(t, d.sites, "after", text("x"))
}
