package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"context"

	"github.com/s3mesh/s3mesh"
)

// Ports that a new demo uses where they are free, so that the commands in the documentation can be typed as they are.
const (
	preferredAdmin  = 9100
	preferredRegion = 9101
)

// demoCard is what a demo keeps across runs: who and where everything is.
type demoCard struct {
	ID    string     `json:"id"`
	Sites []demoSite `json:"sites"`
	Admin string     `json:"admin"` // host and port

	AccessKey        string `json:"access_key"`
	SecretKey        string `json:"secret_key"`
	ReplicatorKey    string `json:"replicator_key"`
	ReplicatorSecret string `json:"replicator_secret"`
	AdminToken       string `json:"admin_token"`
	IntakeToken      string `json:"intake_token"`
}

type demoSite struct {
	Name   string `json:"name"`
	Region string `json:"region"`
	Bucket string `json:"bucket"`
	Addr   string `json:"addr"` // host and port
}

func (c demoCard) replicaSet() s3mesh.ReplicaSet {
	sites := make([]s3mesh.Site, len(c.Sites))
	for i, site := range c.Sites {
		sites[i] = s3mesh.Site{Name: site.Name, Bucket: site.Bucket}
	}
	return s3mesh.FullMesh(c.ID, sites...)
}

// newDemoCard makes the card of a new demo. Buckets are named as in the article: <id>-toasthost-<region>.
func newDemoCard(names []string) demoCard {
	const id = "demo"
	c := demoCard{
		ID: id, Admin: fmt.Sprintf("127.0.0.1:%d", preferredAdmin),
		AccessKey: "AKIADEMO" + rand.Text()[:12], SecretKey: rand.Text() + rand.Text(),
		ReplicatorKey: "AKIAMESH" + rand.Text()[:12], ReplicatorSecret: rand.Text() + rand.Text(),
		AdminToken: rand.Text(), IntakeToken: rand.Text(),
	}
	for i, name := range names {
		c.Sites = append(c.Sites, demoSite{Name: name, Region: name, Bucket: id + "-toasthost-" + name,
			Addr: fmt.Sprintf("127.0.0.1:%d", preferredRegion+i)})
	}
	return c
}

// demoFolder is where a demo keeps its data.
type demoFolder struct {
	path      string
	temporary bool
	card      demoCard
}

// openDemoFolder opens the folder that is kept, or makes one that is removed at the end.
func openDemoFolder(path string, names []string) (*demoFolder, error) {
	if path == "" {
		dir, err := os.MkdirTemp("", "s3mesh-demo-")
		return &demoFolder{path: dir, temporary: true, card: newDemoCard(names)}, err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	f := &demoFolder{path: path}
	data, err := os.ReadFile(f.cardPath())
	if errors.Is(err, fs.ErrNotExist) {
		f.card = newDemoCard(names)
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &f.card); err != nil {
		return nil, fmt.Errorf("%s: %w: it is not a demo's folder, or was damaged", f.cardPath(), err)
	}
	if kept := siteNames(f.card.replicaSet()); !slices.Equal(kept, names) {
		return nil, usageError{fmt.Errorf("--data %s holds a demo of the regions %q: use the same --regions, or another folder",
			path, kept)}
	}
	return f, nil
}

func (f *demoFolder) cardPath() string { return filepath.Join(f.path, "demo.json") }

// save keeps the addresses that were used, with the secrets, for the next run.
func (f *demoFolder) save(admin string, c *cluster) error {
	f.card.Admin = admin
	for i := range f.card.Sites {
		f.card.Sites[i].Addr = c.addr(f.card.Sites[i].Name)
	}
	if f.temporary {
		return nil
	}
	data, err := json.MarshalIndent(f.card, "", "  ")
	if err != nil {
		return err
	}
	next := f.cardPath() + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, f.cardPath())
}

func (f *demoFolder) close() error {
	if !f.temporary {
		return nil
	}
	return os.RemoveAll(f.path)
}

// listenPreferred listens on an address, or on any port of this machine when it is taken.
func listenPreferred(ctx context.Context, what, addr string) (net.Listener, error) {
	if l, err := listen(ctx, what, addr, nil); err == nil {
		return l, nil
	}
	return listen(ctx, what, "127.0.0.1:0", nil)
}
