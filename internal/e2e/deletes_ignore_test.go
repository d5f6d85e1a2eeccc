package e2e

import (
	"testing"
)

// TestDeletesIgnored: by default a delete stays at its site, and what is deleted there stays elsewhere.
func TestDeletesIgnored(t *testing.T) {
	t.Parallel()
	d := newDeletesMesh(t, "")
	for _, name := range []string{"alpha", "beta", "gamma"} {
		d.addRegion(t, name)
	}
	testDeletesIgnored(t, d)
}

// TestDeletesIgnoredMinIO is the same over two MinIO servers and an embedded region.
func TestDeletesIgnoredMinIO(t *testing.T) {
	t.Parallel()
	d := newDeletesMesh(t, "{deletes: ignore}")
	d.addMinIO(t, "minio1")
	d.addMinIO(t, "minio2")
	d.addRegion(t, "versity")
	testDeletesIgnored(t, d)
}

func testDeletesIgnored(t *testing.T, d *deletesMesh) {
	t.Helper()
	d.start()
	sites := d.all()
	writer := sites[0]
	for _, deleter := range sites {
		key := "ignored/at " + deleter.Name
		o := object{body: "stays", contentType: "image/x-toast", metadata: map[string]string{"kept": "yes"}}
		writer.mustPut(t, key, o)
		awaitObject(t, sites, key, o)
		d.quiet(t)
		deleter.mustRemove(t, key)
		d.quiet(t)
		checkIgnored(t, sites, deleter, key, o)
	}
	d.restart(t)
	for _, deleter := range sites {
		d.repeat(t, deleter.Name, "ignored/at "+deleter.Name, "ObjectRemoved")
	}
	d.quiet(t)
	for _, deleter := range sites {
		checkIgnored(t, sites, deleter, "ignored/at "+deleter.Name,
			object{body: "stays", contentType: "image/x-toast", metadata: map[string]string{"kept": "yes"}})
	}
	for _, s := range sites { // a later write brings the key back
		key := "ignored/at " + s.Name
		sites[1].mustPut(t, key, text("new"))
		awaitObject(t, sites, key, text("new"))
	}
	d.quiet(t)
}

// checkIgnored fails the test unless key is gone at the site that deleted it, and whole and alone at the others.
func checkIgnored(t *testing.T, sites []*site, deleter *site, key string, want object) {
	t.Helper()
	for _, s := range sites {
		if s == deleter {
			if err := s.gone(t.Context(), key); err != nil {
				t.Errorf("deleted here: %v", err)
			}
			continue
		}
		if got, err := s.get(t.Context(), key); err != nil || !got.equal(want) {
			t.Errorf("%q at %s: %v, %v", key, s.Name, got, err)
		}
		if all := s.mustVersions(t, key); len(all) != 1 {
			t.Errorf("%q at %s: %+v", key, s.Name, all)
		}
	}
}
