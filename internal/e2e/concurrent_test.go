package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"
)

const (
	contested = 30 // keys that several regions write at the same moment
	rounds    = 2  // writes of each region to each key, within a second
)

// testConcurrent has two, and then three, regions write the same keys at the same moment, twice. All regions must end
// equal, at a write that nobody had overwritten, with no more replicas than there were writes.
func testConcurrent(t *testing.T, d *demo) {
	t.Helper()
	for _, writers := range [][]*site{d.sites[:2], d.sites} {
		prefix := fmt.Sprintf("contested/%d regions/", len(writers))
		before := d.settled(t, arrival)
		writeContested(t, writers, prefix)
		after := d.settled(t, arrival)
		checkWrites(t, before, after, writers)
		for i := range contested {
			checkContested(t, d.sites, contestedKey(prefix, i))
		}
		if in, code := d.inspect(t, contestedKey(prefix, 0)); code != 0 {
			t.Errorf("exit code %d, %+v", code, in)
		}
		checkQuiet(t, d, prefix)
	}
}

func contestedKey(prefix string, i int) string { return fmt.Sprintf("%s%02d", prefix, i) }

// writeContested starts at the beginning of a second, so that the stores' times do not tell the writes apart.
func writeContested(t *testing.T, writers []*site, prefix string) {
	t.Helper()
	<-time.After(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	group, ctx := errgroup.WithContext(t.Context())
	for i := range contested {
		for _, s := range writers {
			group.Go(func() error { return writeRounds(ctx, s, contestedKey(prefix, i)) })
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func writeRounds(ctx context.Context, s *site, key string) error {
	for round := range rounds {
		if err := s.put(ctx, key, text(fmt.Sprintf("round %d by %s", round+1, s.Name))); err != nil {
			return err
		}
	}
	return nil
}

// checkWrites fails when a link wrote more replicas than its source took writes, or one from a site that took none.
func checkWrites(t *testing.T, before, after status, writers []*site) {
	t.Helper()
	wrote := map[string]int64{}
	for _, s := range writers {
		wrote[s.Name] = contested * rounds
	}
	for i, link := range after.Links {
		if n := link.writes() - before.Links[i].writes(); n > wrote[link.Source] {
			t.Errorf("%s->%s wrote %d replicas of %d writes", link.Source, link.Target, n, wrote[link.Source])
		}
	}
}

// checkContested fails unless all regions hold the same, and that is the last write of one of them.
func checkContested(t *testing.T, sites []*site, key string) {
	t.Helper()
	first, err := sites[0].get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sites[1:] {
		if got, err := s.get(t.Context(), key); err != nil || !got.equal(first) {
			t.Errorf("%q: %s holds %v (%v), but %s holds %v", key, s.Name, got, err, sites[0].Name, first)
		}
	}
	if want := fmt.Sprintf("round %d by ", rounds); !strings.HasPrefix(first.body, want) {
		t.Errorf("%q: an overwritten version won: %v", key, first)
	}
}

// checkQuiet fails when there is still work on the contested keys: a write that follows them is everywhere, and nothing else
// was done.
func checkQuiet(t *testing.T, d *demo, prefix string) {
	t.Helper()
	versions := countVersions(t, d, prefix)
	before := d.status(t)
	for _, s := range d.sites {
		s.mustPut(t, "quiet/"+prefix+s.Name, text("quiet"))
		awaitObject(t, d.sites, "quiet/"+prefix+s.Name, text("quiet"))
	}
	after := d.settled(t, arrival)
	for i, link := range after.Links {
		if n := link.Done - before.Links[i].Done; n != 1 {
			t.Errorf("%s->%s: %d tasks, though there was one write", link.Source, link.Target, n)
		}
	}
	if now := countVersions(t, d, prefix); now != versions {
		t.Errorf("%d versions of the contested keys, and then %d", versions, now)
	}
}

func countVersions(t *testing.T, d *demo, prefix string) (n int) {
	t.Helper()
	for _, s := range d.sites {
		pages := s3.NewListObjectVersionsPaginator(s.s3, &s3.ListObjectVersionsInput{Bucket: &s.Bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n += len(page.Versions)
		}
	}
	return n
}
