package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestMinIO replicates between two MinIO servers and a versitygw, configured as users do it.
//
//nolint:tparallel // its parts share what was started, in this order
func TestMinIO(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.addMinIO(t, "minio1")
	m.addMinIO(t, "minio2")
	m.addRegion(t, "versity")
	m.run(t)
	sites := m.all()
	t.Run("writes and overwrites", func(t *testing.T) { testMinIOWrites(t, sites) })
	t.Run("odd keys", func(t *testing.T) { testMinIOKeys(t, sites) })
	t.Run("concurrent writes", func(t *testing.T) { testMinIOConcurrent(t, m) })
	t.Run("20 MiB", func(t *testing.T) {
		for i, s := range sites {
			o := object{body: randomBody(20*mib + i), contentType: "application/x-large"}
			key := "large/" + s.Name
			s.mustPut(t, key, o)
			awaitObject(t, sites, key, o)
		}
	})
	m.settled(t, arrival, "-c", m.file)
	m.noLetters(t, "-c", m.file)
	t.Run("a key that one cannot hold", func(t *testing.T) { testUnstorable(t, m) })
}

func testMinIOWrites(t *testing.T, sites []*site) {
	t.Helper()
	for _, s := range sites {
		o := object{body: "by " + s.Name, contentType: "image/x-toast", metadata: map[string]string{
			"plain": "value", "toast": "crème brûlée 日本 🍞"}}
		s.mustPut(t, "from/"+s.Name, o)
		awaitObject(t, sites, "from/"+s.Name, o)
	}
	for _, s := range sites {
		o := object{body: "", contentType: "text/" + s.Name}
		s.mustPut(t, "from/"+sites[0].Name, o)
		awaitObject(t, sites, "from/"+sites[0].Name, o)
	}
}

func testMinIOKeys(t *testing.T, sites []*site) {
	t.Helper()
	keys := oddKeys()
	inParallel(t, len(keys), 4, func(ctx context.Context, i int) error {
		return sites[i%len(sites)].put(ctx, keys[i], oddObject(keys[i]))
	})
	for _, key := range keys {
		awaitObject(t, sites, key, oddObject(key))
	}
}

// testMinIOConcurrent has all sites write the same keys at once, twice.
func testMinIOConcurrent(t *testing.T, m *mesh) {
	t.Helper()
	const prefix = "contested/"
	sites := m.all()
	group, ctx := errgroup.WithContext(t.Context())
	for i := range contested {
		for _, s := range sites {
			group.Go(func() error { return writeRounds(ctx, s, contestedKey(prefix, i)) })
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	eventually(t, catchUp, "all sites equal", func() error { return sameListing(t.Context(), sites, prefix) })
	m.settled(t, catchUp, "-c", m.file)
	if err := sameListing(t.Context(), sites, prefix); err != nil {
		t.Errorf("no longer equal: %v", err)
	}
	for i := range contested {
		checkContested(t, sites, contestedKey(prefix, i))
	}
}

// sameListing returns an error unless all sites list the same.
func sameListing(ctx context.Context, sites []*site, prefix string) error {
	want, err := sites[0].list(ctx, prefix)
	if err != nil {
		return err
	}
	for _, s := range sites[1:] {
		got, err := s.list(ctx, prefix)
		if err != nil {
			return err
		}
		if err := difference(got, want); err != nil {
			return fmt.Errorf("%s, against %s: %w", s.Name, sites[0].Name, err)
		}
	}
	return nil
}

// testUnstorable: an object that one store takes and another cannot becomes a dead letter at once.
func testUnstorable(t *testing.T, m *mesh) {
	t.Helper()
	minio, versity := m.sites[0].site, m.sites[2].site
	conf := []string{"-c", m.file}
	minio.mustPut(t, "both/file", text("a file"))
	awaitObject(t, m.all(), "both/file", text("a file"))
	minio.mustPut(t, "both/file/and folder", text("below it"))
	awaitObject(t, []*site{m.sites[1].site}, "both/file/and folder", text("below it"))
	m.settled(t, arrival, conf...)

	letters := m.letters(t, conf...)
	if len(letters) != 1 {
		t.Fatalf("%d dead letters, want one: %+v", len(letters), letters)
	}
	l := letters[0]
	if l.Link.Source != minio.Name || l.Link.Target != versity.Name || l.Kind != "unstorable" || l.Attempts != 1 ||
		!strings.Contains(l.Remedy, "rename") || l.Cause == "" {
		t.Errorf("dead letter %+v", l)
	}
}
