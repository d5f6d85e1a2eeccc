package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// propagate is the configuration under test. The brake, which has tests of its own, is to stay out of it.
const propagate = "{deletes: propagate, max_deletes_per_minute: 1000000}"

// TestDeletes propagates deletes between three embedded regions.
//
//nolint:tparallel // its parts share what was started, in this order
func TestDeletes(t *testing.T) {
	t.Parallel()
	d := newDeletesMesh(t, propagate)
	for _, name := range []string{"alpha", "beta", "gamma"} {
		d.addRegion(t, name)
	}
	testDeletes(t, d)
}

// TestDeletesMinIO propagates deletes between two MinIO servers, which ignore If-Match on DELETE, and an embedded region.
//
//nolint:tparallel // its parts share what was started, in this order
func TestDeletesMinIO(t *testing.T) {
	t.Parallel()
	d := newDeletesMesh(t, propagate)
	d.addMinIO(t, "minio1")
	d.addMinIO(t, "minio2")
	d.addRegion(t, "versity")
	testDeletes(t, d)
}

// testDeletes runs the parts, which share what was started, in this order.
func testDeletes(t *testing.T, d *deletesMesh) {
	t.Helper()
	d.start()
	t.Run("one delete", func(t *testing.T) { testOneDelete(t, d) })
	t.Run("undelete", func(t *testing.T) { testUndelete(t, d) })
	t.Run("batch", func(t *testing.T) { testBatchDelete(t, d) })
	t.Run("versions by ID", func(t *testing.T) { testVersionsByID(t, d) })
	t.Run("metrics", func(t *testing.T) { testDeleteMetrics(t, d) })
	t.Run("repeated events", func(t *testing.T) { testRepeatedEvents(t, d) })
	t.Run("a lost delete", func(t *testing.T) { testLostDelete(t, d) })
	t.Run("delete against put", func(t *testing.T) { testDeleteAgainstPut(t, d) })
	t.Run("killed", func(t *testing.T) { testKilledDeleting(t, d) })
	d.noLetters(t, d.conf()...)
}

// testOneDelete: a delete, at whichever site, by whomever the key was written, is everywhere, as one delete marker, and
// causes nothing more.
func testOneDelete(t *testing.T, d *deletesMesh) {
	t.Helper()
	sites := d.all()
	deleter := map[string]string{} // by key
	for i, writer := range sites {
		for j, s := range sites {
			key := fmt.Sprintf("one/%s, deleted by %s", writer.Name, s.Name)
			deleter[key] = s.Name
			for n := range 1 + (i+j)%2 { // once or twice, so that some have a history
				writer.mustPut(t, key, text(fmt.Sprint(n)))
				awaitObject(t, sites, key, text(fmt.Sprint(n)))
			}
			s.mustRemove(t, key)
			awaitGone(t, sites, key)
		}
	}
	d.quiet(t)
	for key, by := range deleter {
		d.checkGone(t, key, by, 1)
	}
	d.quiet(t)
	for key, by := range deleter {
		d.checkGone(t, key, by, 1)
	}
	// A write is later than the delete that it is put on top of, and so is the next delete.
	for key := range deleter {
		sites[1].mustPut(t, key, text("again"))
		awaitObject(t, sites, key, text("again"))
		sites[2].mustRemove(t, key)
		awaitGone(t, sites, key)
	}
}

// testUndelete: a delete is taken back by removing its marker, where it was made or where it was replicated to, and what it
// had covered is back everywhere.
func testUndelete(t *testing.T, d *deletesMesh) {
	t.Helper()
	sites := d.all()
	for i, undoer := range sites {
		key := "undelete/at " + undoer.Name
		o := object{body: "back", contentType: "image/x-toast", metadata: map[string]string{"kept": "yes"}}
		sites[(i+1)%len(sites)].mustPut(t, key, o)
		awaitObject(t, sites, key, o)
		for round := range 2 { // a delete that was taken back does not void the next one
			sites[0].mustRemove(t, key)
			awaitGone(t, sites, key)
			d.quiet(t)
			undoer.mustRemoveVersion(t, key, latestMarker)
			awaitObject(t, sites, key, o)
			d.quiet(t)
			for _, s := range sites {
				if n := s.markers(t, key); n != 0 {
					t.Errorf("round %d, %q at %s: %d delete markers left", round, key, s.Name, n)
				}
			}
			awaitObject(t, sites, key, o)
			d.checkAgree(t, key)
		}
		sites[2].mustRemove(t, key)
		awaitGone(t, sites, key)
	}
}

// testBatchDelete: what one request deletes is gone everywhere, and nothing else is.
func testBatchDelete(t *testing.T, d *deletesMesh) {
	t.Helper()
	const keys = 50
	sites := d.all()
	name := func(i int) string { return fmt.Sprintf("batch/%02d + é", i) }
	want := map[string]string{"batch/kept": "kept"}
	for i := range keys {
		want[name(i)] = fmt.Sprint(i)
	}
	inParallel(t, keys, 4, func(ctx context.Context, i int) error {
		return sites[i%len(sites)].put(ctx, name(i), text(want[name(i)]))
	})
	sites[0].mustPut(t, "batch/kept", text("kept"))
	awaitListing(t, arrival, sites, "batch/", want)

	objects := make([]types.ObjectIdentifier, keys)
	for i := range objects {
		key := name(i)
		objects[i].Key = &key
	}
	s := sites[2]
	out, err := s.s3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: &s.Bucket, Delete: &types.Delete{Objects: objects}})
	if err != nil || len(out.Errors) > 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	awaitListing(t, arrival, sites, "batch/", map[string]string{"batch/kept": "kept"})
	d.quiet(t)
	awaitListing(t, arrival, sites, "batch/", map[string]string{"batch/kept": "kept"})
	for i := range keys {
		for _, s := range sites {
			if n := s.markers(t, name(i)); n != 1 {
				t.Errorf("%q at %s: %d delete markers", name(i), s.Name, n)
			}
		}
	}
	d.checkGone(t, name(7), s.Name, 1)
}

// testVersionsByID: deleting a version by its ID, noncurrent or current, changes nothing at the other sites.
func testVersionsByID(t *testing.T, d *deletesMesh) {
	t.Helper()
	sites := d.all()
	for at, s := range sites { // the first is where the versions were written
		for what, choose := range map[string]func(kept) bool{
			"noncurrent": func(v kept) bool { return !v.latest },
			"current":    func(v kept) bool { return v.latest },
		} {
			key := fmt.Sprintf("by ID/%s at %s", what, s.Name)
			// Within one second, as a rule, and the later has the lower ETag, so that a tie is won by the earlier.
			for _, body := range []string{"one", "two"} {
				sites[0].mustPut(t, key, text(body))
				awaitObject(t, sites, key, text(body))
			}
			d.quiet(t)
			before := histories(t, sites, key)
			s.mustRemoveVersion(t, key, choose)
			d.quiet(t)
			after := histories(t, sites, key)
			for i, other := range sites {
				if i != at && !slices.Equal(before[i], after[i]) {
					t.Errorf("%q: %s has changed from %+v to %+v", key, other.Name, before[i], after[i])
				}
			}
			if len(after[at]) != len(before[at])-1 {
				t.Errorf("%q: %s itself has changed from %+v to %+v", key, s.Name, before[at], after[at])
			}
		}
		awaitObject(t, sites, "by ID/noncurrent at "+s.Name, text("two"))
	}
}

func histories(t *testing.T, sites []*site, key string) [][]kept {
	t.Helper()
	all := make([][]kept, len(sites))
	for i, s := range sites {
		all[i] = s.mustVersions(t, key)
	}
	return all
}

// testDeleteMetrics: the metrics count what was done, tell no secret, and are not told to everybody.
func testDeleteMetrics(t *testing.T, d *deletesMesh) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := d.do(t, req); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
	req.Header.Set("Authorization", "Bearer "+d.secret("ADMIN_TOKEN"))
	code, answer := d.do(t, req)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, answer)
	}
	for _, series := range []struct{ name, label string }{
		{"s3mesh_history_questions_total", `reason="marker"`}, {"s3mesh_history_questions_total", `reason="covered"`},
		{"s3mesh_tasks_total", `result="deleted"`}, {"s3mesh_tasks_total", `result="undeleted"`},
		{"s3mesh_replication_lag_seconds_count", ""},
	} {
		if sum(t, answer, series.name, series.label) == 0 {
			t.Errorf("%s{%s} is 0 after deletes", series.name, series.label)
		}
	}
	for _, series := range []string{"s3mesh_queue_pending", "s3mesh_queue_held", "s3mesh_dead_letters", "s3mesh_brake_engaged"} {
		if n := sum(t, answer, series, ""); n != 0 {
			t.Errorf("%s is %v", series, n)
		}
	}
}

// sum adds up the series of a name that have the label. It fails the test when there is none.
func sum(t *testing.T, metrics, name, label string) (total float64) {
	t.Helper()
	found := false
	for line := range strings.Lines(metrics) {
		labels, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if !ok || !strings.HasPrefix(labels, name+"{") || !strings.Contains(labels, label) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		total, found = total+n, true
	}
	if !found {
		t.Errorf("no series %s{%s}", name, label)
	}
	return total
}
