package reconcile

import (
	"context"
	"maps"
	"reflect"

	"golang.org/x/sync/errgroup"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// answer is what a site says of an object.
type answer struct {
	object s3mesh.Object
	read   bool // object is known
	gone   bool // there is no object any more
}

// askAll asks the sites for the objects of the batch that are in doubt, and groups their holders by what they say.
func (w *worker) askAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	answers := make([][]answer, len(w.batch))
	for n, c := range w.batch {
		if !c.doubtful {
			continue
		}
		answers[n] = make([]answer, len(w.sites))
		for site := range w.sites {
			if c.holds(site) {
				group.Go(func() (err error) {
					answers[n][site], err = w.ask(ctx, site, c.key)
					return err
				})
			}
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for n, c := range w.batch {
		if c.doubtful {
			w.local.Checked++
			c.settle(w.sites, answers[n])
		}
	}
	return nil
}

// ask asks a site for an object. One that cannot be read, for a reason that will not pass by itself, is left to the replicator,
// which reports it: a single object must not keep a run from its end.
func (w *worker) ask(ctx context.Context, site int, key string) (answer, error) {
	select {
	case w.heads[site] <- struct{}{}:
		defer func() { <-w.heads[site] }()
	case <-ctx.Done():
		return answer{}, canceled(ctx)
	}
	var object s3mesh.Object
	err := w.retry(ctx, w.sites[site], func() (err error) {
		object, err = w.readers[site].Head(ctx, key, s3mesh.ReadOptions{Checksums: true})
		return err
	})
	switch kind := s3mesh.KindOf(err); {
	case err == nil:
		w.noteOpaque(site, object)
		return answer{object: object, read: true}, nil
	case kind == s3mesh.KindNotFound:
		return answer{gone: true}, nil
	case kind.Transient() || kind == s3mesh.KindNoSuchBucket:
		return answer{}, err
	default:
		w.cfg.Log.Debug("an object cannot be asked for", "site", w.sites[site], "key", key, "error", err)
		return answer{}, nil
	}
}

// noteOpaque remembers a site whose ETags do not depend on the content alone.
func (r *run) noteOpaque(site int, object s3mesh.Object) {
	if object.OpaqueETag && r.opaque[site].CompareAndSwap(false, true) {
		r.store.flag(&r.store.state.Opaque, r.sites[site])
	}
}

// settle groups the holders by what they said.
func (c *candidate) settle(sites []string, answers []answer) {
	c.checked = true
	for i, a := range answers {
		switch {
		case a.gone:
			c.held &^= 1 << i
			c.listed[i] = s3mesh.Listed{}
		case a.read:
			o := a.object
			c.listed[i] = s3mesh.Listed{Key: c.key, Size: o.Size, ETag: o.ETag, LastModified: o.LastModified}
		}
	}
	at := func(i int) place { return place{sites[i], answers[i].object} }
	read := func(i, j int) bool { return answers[i].read && answers[j].read }
	sameVersion := func(i, j int) bool {
		same, sure := sameVersion(c.key, at(i), at(j))
		switch {
		case !same:
			return false
		case sure: // unless a client wrote over a replica and kept its stamp
			return sameAttributes(at(i).object.Attributes, at(j).object.Attributes)
		case !sameObject(at(i), at(j)):
			c.confused = true
			return false
		}
		return true
	}
	c.group(func(i, j int) bool { return read(i, j) && (sameVersion(i, j) || sameObject(at(i), at(j))) })
	if c.oneGroup() {
		return
	}
	// Of versions that look the same one may be later than a third, and the other earlier: which is which is up to the replicators.
	c.group(func(i, j int) bool { return read(i, j) && sameVersion(i, j) })
}

// place is an object at a site.
type place struct {
	site   string
	object s3mesh.Object
}

// sameVersion reports whether two sites hold the same version, as far as their stamps tell. They do not tell surely where the
// origin keeps no versions: a client may have written the same bytes there twice in a second, with other metadata.
func sameVersion(key string, a, b place) (same, sure bool) {
	v, w := resolve.Read(a.site, key, a.object).Version, resolve.Read(b.site, key, b.object).Version
	return v.Same(w), v.VersionID != "" && v.VersionID != s3mesh.NullVersionID
}

// sameObject reports whether a reader sees the same at two sites, whatever versions these are.
func sameObject(a, b place) bool {
	return sameContent(a.object, b.object) && sameAttributes(a.object.Attributes, b.object.Attributes)
}

// sameContent goes by the checksums where both stores keep one of the same algorithm and form, and else by the ETags.
func sameContent(a, b s3mesh.Object) bool {
	if a.Size != b.Size {
		return false
	}
	for _, x := range a.Checksums {
		for _, y := range b.Checksums {
			if x.Algorithm == y.Algorithm && x.Composite == y.Composite {
				return x.Value == y.Value
			}
		}
	}
	return a.ETag == b.ETag && !a.OpaqueETag && !b.OpaqueETag
}

func sameAttributes(a, b s3mesh.Attributes) bool {
	if !maps.Equal(clientMetadata(a.Metadata), clientMetadata(b.Metadata)) {
		return false
	}
	a.Metadata, b.Metadata = nil, nil
	return reflect.DeepEqual(a, b)
}

// clientMetadata is the metadata without the stamp that a client's copy of a replica may bear.
func clientMetadata(m map[string]string) map[string]string {
	if _, stamped := m[resolve.MetadataName]; !stamped {
		return m
	}
	m = maps.Clone(m)
	delete(m, resolve.MetadataName)
	return m
}
