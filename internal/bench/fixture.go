package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/s3mesh/s3mesh/internal/peer"
)

// fixture is some stores, and the mesh between them while it runs. The first store is where clients write.
type fixture struct {
	dir    string
	intake string // where s3mesh takes events
	token  string
	stores []*store
	mesh   *mesh
}

// frontFunc puts something before the intake at an address, and returns its base URL.
type frontFunc func(ctx context.Context, address string) (string, error)

// newFixture starts n stores of a kind. They send no events, and s3mesh does not run. Where front is not nil,
// stores send their events to what it returns.
func (b *bench) newFixture(ctx context.Context, kind string, n int, front frontFunc) (*fixture, error) {
	b.fixtures++
	f := &fixture{dir: filepath.Join(b.dir, fmt.Sprintf("%02d-%s", b.fixtures, kind)), token: rand.Text()}
	var err error
	if f.intake, err = peer.FreeAddress(ctx); err != nil {
		return nil, err
	}
	base := "http://" + f.intake
	if front != nil {
		if base, err = front(ctx, f.intake); err != nil {
			return nil, err
		}
	}
	for i := range n {
		name := fmt.Sprintf("site-%c", 'a'+i)
		s, err := startStore(ctx, storeConfig{kind: kind, name: name, dir: filepath.Join(f.dir, name),
			eventURL: base + "/v1/events/" + name, token: f.token})
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.stores = append(f.stores, s)
	}
	return f, nil
}

func (f *fixture) source() *store    { return f.stores[0] }
func (f *fixture) targets() []*store { return f.stores[1:] }

// replicate starts the mesh and the events, and carries a few objects over every link, so that connections are open. through
// and env are as in [meshConfig].
func (f *fixture) replicate(ctx context.Context, program string, through map[string]string, env ...string) error {
	if err := f.run(ctx, program, f.stores, through, env...); err != nil {
		return err
	}
	for _, s := range f.stores {
		if err := s.announce(ctx, true); err != nil {
			return fmt.Errorf("turn on the events of %s: %w", s.name, err)
		}
	}
	prefix := "warm-" + rand.Text() + "/"
	if err := putAll(ctx, f.source(), prefix, warmUp); err != nil {
		return err
	}
	if _, err := awaitAll(ctx, f.targets(), prefix, warmUp); err != nil {
		return err
	}
	return f.mesh.quiet(ctx)
}

// run starts the mesh between some of the stores, and leaves it to itself.
func (f *fixture) run(
	ctx context.Context, program string, stores []*store, through map[string]string, env ...string,
) (err error) {
	f.mesh, err = startMesh(ctx, meshConfig{program: program, dir: f.dir, intake: f.intake, token: f.token, stores: stores,
		through: through, env: env})
	return err
}

// end stops the mesh once it has nothing left to do.
func (f *fixture) end(ctx context.Context) error {
	err := errors.Join(f.mesh.quiet(ctx), f.mesh.stop())
	f.mesh = nil
	return err
}

// halt ends the events and then the mesh.
func (f *fixture) halt(ctx context.Context) error {
	err := f.mesh.quiet(ctx)
	for _, s := range f.stores {
		err = errors.Join(err, s.announce(ctx, false))
	}
	err = errors.Join(err, f.mesh.stop())
	f.mesh = nil
	return err
}

// close stops what runs and removes what was stored.
func (f *fixture) close() error {
	var errs []error
	for _, s := range f.stores {
		errs = append(errs, s.stop())
	}
	if f.mesh != nil {
		errs = append(errs, f.mesh.stop())
	}
	return errors.Join(append(errs, os.RemoveAll(f.dir))...)
}
