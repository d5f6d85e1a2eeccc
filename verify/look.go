package verify

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// held is what one site holds under a key.
type held struct {
	site    string
	object  *s3mesh.Object      // nil: none
	version s3mesh.Version      // of the object
	marker  s3mesh.HistoryEntry // the delete marker on top, where there is no object; zero where there is none
	tags    map[string]string
	content int   // sites with the same number hold the same bytes
	refused bool  // what it holds could not even be asked
	err     error // why it could not be read
}

func (h *held) deleted() bool { return h.marker.DeleteMarker }

// look is what the sites hold under a key at one moment, in the order of the set.
type look []held

// same reports that nothing changed at any site since before.
func (l look) same(before look) bool {
	for i := range l {
		if !reflect.DeepEqual(l[i].object, before[i].object) || l[i].refused != before[i].refused {
			return false
		}
	}
	return true
}

// present returns the sites that hold an object.
func (l look) present() []*held {
	var all []*held
	for i := range l {
		if l[i].object != nil {
			all = append(all, &l[i])
		}
	}
	return all
}

// unread reports that a site could not be read.
func (l look) unread() bool {
	for i := range l {
		if l[i].err != nil {
			return true
		}
	}
	return false
}

// newest is when something was written or deleted last.
func (l look) newest() time.Time {
	var at time.Time
	for i := range l {
		if l[i].object != nil && l[i].object.LastModified.After(at) {
			at = l[i].object.LastModified
		}
		if l[i].marker.LastModified.After(at) {
			at = l[i].marker.LastModified
		}
	}
	return at
}

// look asks all sites for what they hold under key, at once.
func (r *runner) look(ctx context.Context, key string) (look, error) {
	l := make(look, len(r.names))
	each(len(l), func(i int) { l[i] = r.head(ctx, r.names[i], key) })
	return l, l.ends()
}

// ends returns the first error that ends the run.
func (l look) ends() error {
	for i := range l {
		if l[i].err != nil && endsRun(l[i].err) {
			return l[i].err
		}
	}
	return nil
}

// each calls do for 0 to n-1, at once.
func each(n int, do func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { do(i) })
	}
	group.Wait()
}

func (r *runner) head(ctx context.Context, site, key string) held {
	h := held{site: site}
	var object s3mesh.Object
	err := retry(ctx, func() (err error) {
		object, err = r.Sites[site].Head(ctx, key, s3mesh.ReadOptions{Checksums: true})
		return err
	})
	switch {
	case s3mesh.KindOf(err) == s3mesh.KindNotFound:
	case err != nil:
		h.err, h.refused = err, true
	default:
		h.object = &object
		h.version = resolve.Read(site, key, object).Version
	}
	return h
}

// askMarkers looks for a delete marker at the sites that hold nothing, where others hold something.
func (r *runner) askMarkers(ctx context.Context, key string, l look) error {
	each(len(l), func(i int) {
		if l[i].object == nil && l[i].err == nil {
			l[i].marker, l[i].err = r.marker(ctx, l[i].site, key)
		}
	})
	return l.ends()
}

// marker returns the delete marker on top of key, or nothing where there is none, or the store keeps no versions.
func (r *runner) marker(ctx context.Context, site, key string) (s3mesh.HistoryEntry, error) {
	var top s3mesh.HistoryEntry
	err := retry(ctx, func() error {
		for entry, err := range r.Sites[site].History(ctx, key) {
			if err == nil && entry.DeleteMarker {
				top = entry
			}
			return err
		}
		return nil
	})
	if s3mesh.KindOf(err) == s3mesh.KindUnsupported {
		err = nil
	}
	return top, err
}

// askTags reads the tags of all objects, where one of them has any: not every store tells how many there are. A store without
// tags has none.
func (r *runner) askTags(ctx context.Context, key string, present []*held) error {
	tagged := false
	for _, h := range present {
		tagged = tagged || h.object.Tags > 0
	}
	if !tagged {
		return nil
	}
	each(len(present), func(i int) {
		h := present[i]
		err := retry(ctx, func() (err error) {
			h.tags, err = r.Sites[h.site].Tags(ctx, key, h.object.VersionID)
			return err
		})
		if err != nil && s3mesh.KindOf(err) != s3mesh.KindUnsupported {
			h.err = err
		}
	})
	return outcomeOf(present)
}

// outcomeOf returns the error of the first site that changed, or whose error ends the run.
func outcomeOf(present []*held) error {
	for _, h := range present {
		switch kind := s3mesh.KindOf(h.err); {
		case h.err == nil:
		case kind == s3mesh.KindNotFound, kind == s3mesh.KindPreconditionFailed, errors.Is(h.err, errChanged):
			return errChanged
		case endsRun(h.err):
			return h.err
		}
	}
	return nil
}
