package e2e

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"
)

// place is where a version is in the version order, computed here from the stores' histories alone: it shares no code with
// the program under test.
type place struct {
	second  int64
	counter int
	site    string
	etag    string
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.second, q.second), cmp.Compare(p.counter, q.counter), strings.Compare(p.site, q.site),
		strings.Compare(p.etag, q.etag))
}

// entry is one version in a site's history.
type entry struct {
	write
	native   bool // the client's own, and not a replica
	modified time.Time
	stamped  time.Time // of a replica: just before it was written
}

// check fails the test unless all sites hold the latest of all writes of the key, every history is in order, and what each
// client wrote last can be read.
func (r *race) check(t *testing.T, key string) {
	t.Helper()
	histories := map[string][]entry{}
	for _, s := range r.sites {
		histories[s.Name] = r.history(t, s, key)
	}
	places := r.places(histories)
	latest := slices.MaxFunc(r.of(key), func(a, b write) int { return places[a.op].compare(places[b.op]) })
	failed := t.Failed()
	defer func() {
		if t.Failed() && !failed {
			tell(t, key, histories, places)
		}
	}()
	for _, s := range r.sites {
		top := histories[s.Name][0]
		if top.op != latest.op || top.etag != latest.etag {
			t.Errorf("%s: %s holds %q, but the latest write is %q of %s", key, s.Name, top.op, latest.op, latest.site)
		}
		r.checkLast(t, s, key)
	}
	for name, h := range histories {
		r.checkHistory(t, name, h, places)
	}
}

func (r *race) of(key string) []write {
	var all []write
	for _, w := range r.writes.byOp {
		if w.key == key {
			all = append(all, w)
		}
	}
	return all
}

// history reads all versions of a key, the newest first.
func (r *race) history(t *testing.T, s *site, key string) []entry {
	t.Helper()
	var entries []entry
	pages := s3.NewListObjectVersionsPaginator(s.s3, &s3.ListObjectVersionsInput{Bucket: &s.Bucket, Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Versions {
			entries = append(entries, entry{modified: aws.ToTime(v.LastModified), write: write{versionID: aws.ToString(v.VersionId),
				etag: strings.Trim(aws.ToString(v.ETag), `"`)}})
		}
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for i := range entries {
		group.Go(func() error { return r.identify(ctx, s, key, &entries[i]) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return entries
}

// identify finds out of which write an entry is, by its metadata.
func (r *race) identify(ctx context.Context, s *site, key string, e *entry) error {
	out, err := s.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.Bucket, Key: &key, VersionId: &e.versionID})
	if err != nil {
		return fmt.Errorf("version %s of %s at %s: %w", e.versionID, key, s.Name, err)
	}
	w, found := r.writes.byOp[out.Metadata[raceOp]]
	if !found || w.key != key || w.etag != e.etag {
		return fmt.Errorf("version %s of %s at %s is %v, which nobody wrote so", e.versionID, key, s.Name, out.Metadata)
	}
	e.native = w.site == s.Name && w.versionID == e.versionID
	e.write = w
	if stamp := strings.Fields(out.Metadata["s3mesh-version"]); !e.native {
		const when = 5
		if len(stamp) <= when {
			return fmt.Errorf("version %s of %s at %s: no stamp: %v", e.versionID, key, s.Name, out.Metadata)
		}
		nanoseconds, err := strconv.ParseInt(stamp[when], 10, 64)
		if err != nil {
			return err
		}
		e.stamped = time.Unix(0, nanoseconds)
	}
	return nil
}

// places computes the place of each write: later than all that lay below it at its site. That is more than what lay right below
// only where a replica was put on something later, for a moment.
func (r *race) places(histories map[string][]entry) map[string]place {
	places := map[string]place{}
	for known := -1; known < len(places); { // a write may depend on one at another site, and that on one at a third
		known = len(places)
		for _, h := range histories {
			climb(h, places)
		}
	}
	return places
}

// climb computes the places of one site's writes, from the oldest up, as far as those of other sites are known.
func climb(h []entry, places map[string]place) {
	var base place
	for i, e := range slices.Backward(h) {
		p, found := places[e.op]
		switch {
		case e.native:
			p = place{second: e.modified.Unix(), site: e.site, etag: e.etag}
			if i+1 < len(h) && (place{second: p.second}).compare(place{second: base.second, counter: base.counter + 1}) < 0 {
				p.second, p.counter = base.second, base.counter+1
			}
			places[e.op] = p
		case !found:
			return
		}
		if p.compare(base) > 0 {
			base = p
		}
	}
}

// checkHistory fails the test where a replica lies on something later. That is allowed without conditions, and over a write whose
// ETag another write of the key has as well, as conditions compare ETags, or which was in progress, where the store may turn the
// two round; those are counted.
func (r *race) checkHistory(t *testing.T, site string, h []entry, places map[string]place) {
	t.Helper()
	seen := map[string]map[string]bool{}
	for _, e := range h {
		if seen[e.etag] == nil {
			seen[e.etag] = map[string]bool{}
		}
		seen[e.etag][e.op] = true
	}
	for i, e := range h[:len(h)-1] {
		below := h[i+1]
		if !e.native {
			r.replicas++
		}
		switch {
		case e.native || places[e.op].compare(places[below.op]) >= 0:
		case !r.conditions, len(seen[below.etag]) > 1, r.inversions && below.acknowledged.After(e.stamped):
			r.covered++
		default:
			t.Errorf("%s: %q %+v was written over %q %+v", site, e.op, places[e.op], below.op, places[below.op])
		}
	}
}

// checkLast fails the test unless what the client wrote last at a site can be read there, whether current or not.
func (r *race) checkLast(t *testing.T, s *site, key string) {
	t.Helper()
	w := r.writes.last[[2]string{s.Name, key}]
	out, err := s.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key, VersionId: &w.versionID})
	if err != nil {
		t.Errorf("%q is lost at %s: %v", w.op, s.Name, err)
		return
	}
	body, err := io.ReadAll(out.Body)
	if err != nil || out.Body.Close() != nil || string(body) != w.body || out.Metadata[raceOp] != w.op {
		t.Errorf("%q has changed at %s: %d bytes, %v, %v", w.op, s.Name, len(body), out.Metadata, err)
	}
}

// tell logs the histories of a key, the newest first.
func tell(t *testing.T, key string, histories map[string][]entry, places map[string]place) {
	t.Helper()
	for name, h := range histories {
		t.Logf("%s at %s:", key, name)
		for _, e := range h {
			t.Logf("  %v %q native %v, place %v %d, stamped %v, acknowledged %v", e.modified, e.op, e.native, places[e.op].second,
				places[e.op].counter, e.stamped, e.acknowledged)
		}
	}
}
