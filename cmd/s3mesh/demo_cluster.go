package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/devstore"
)

// cluster is the regions of a demo. It is safe for concurrent use.
type cluster struct {
	order   []string
	configs map[string]devstore.Config
	log     *slog.Logger

	mu      sync.Mutex
	running map[string]*devstore.Region
	addrs   map[string]string
}

// startCluster starts every region. When one fails, those that started are stopped.
func startCluster(ctx context.Context, f *demoFolder, intakeURL string, log *slog.Logger) (*cluster, error) {
	c := &cluster{log: log, configs: map[string]devstore.Config{},
		running: map[string]*devstore.Region{}, addrs: map[string]string{}}
	for _, site := range f.card.Sites {
		c.order = append(c.order, site.Name)
		c.configs[site.Name] = devstore.Config{
			Site: site.Name, Region: site.Region, Bucket: site.Bucket, Addr: site.Addr,
			Dir:        filepath.Join(f.path, "regions", site.Name),
			Client:     devstore.Credentials{AccessKeyID: f.card.AccessKey, SecretAccessKey: f.card.SecretKey},
			Replicator: devstore.Credentials{AccessKeyID: f.card.ReplicatorKey, SecretAccessKey: f.card.ReplicatorSecret},
			EventURL:   intakeURL + "/v1/events/" + site.Name, EventToken: f.card.IntakeToken, Logger: log,
		}
	}
	var group sync.WaitGroup
	errs := make([]error, len(c.order))
	for i, name := range c.order {
		group.Go(func() { errs[i] = c.launch(ctx, name) })
	}
	group.Wait()
	// Regions that fail together fail for one cause, which is told once.
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return nil, errors.Join(errs[i], c.stop(ctx))
	}
	return c, nil
}

// launch starts a region at its address, or, the first time, at any other when that is taken.
func (c *cluster) launch(ctx context.Context, name string) error {
	cfg := c.configs[name]
	c.mu.Lock()
	addr, again := c.addrs[name]
	c.mu.Unlock()
	switch {
	case again:
		cfg.Addr = addr
	case taken(ctx, cfg.Addr):
		cfg.Addr = anyPort
	}
	region, err := devstore.Start(ctx, cfg)
	// A folder in use is a conflict as well, and no other port mends that.
	if !again && err != nil && s3mesh.KindOf(err) == s3mesh.KindConflict && taken(ctx, cfg.Addr) {
		cfg.Addr = anyPort
		region, err = devstore.Start(ctx, cfg)
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[name], c.addrs[name] = region, region.Addr()
	return nil
}

// anyPort is an address of this machine with whatever port is free.
const anyPort = "127.0.0.1:0"

// taken reports that an address cannot be listened on.
func taken(ctx context.Context, addr string) bool {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	return err != nil || l.Close() != nil
}

func (c *cluster) addr(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addrs[name]
}

func (c *cluster) endpoint(name string) string { return "http://" + c.addr(name) }

func (c *cluster) region(name string) (*devstore.Region, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.order, name) {
		return nil, &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "demo region", Site: name,
			Err: fmt.Errorf("the demo has the regions %q", c.order)}
	}
	return c.running[name], nil
}

// StopRegion takes a region down. Stopping one that is down is no error, nor is having to kill one that hangs.
func (c *cluster) StopRegion(ctx context.Context, name string) error {
	region, err := c.region(name)
	if err != nil || region == nil {
		return err
	}
	err = region.Stop(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		c.log.Warn("a region did not stop in time and was killed", "site", name)
		err = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[name] == region {
		delete(c.running, name)
	}
	return err
}

// StartRegion brings a region back where it was. Starting one that runs is no error.
func (c *cluster) StartRegion(ctx context.Context, name string) error {
	region, err := c.region(name)
	if err != nil || region != nil && !ended(region) {
		return err
	}
	return c.launch(ctx, name)
}

func ended(r *devstore.Region) bool {
	select {
	case <-r.Done():
		return true
	default:
		return false
	}
}

// stop stops every region, all at once.
func (c *cluster) stop(ctx context.Context) error {
	var group sync.WaitGroup
	errs := make([]error, len(c.order))
	for i, name := range c.order {
		group.Go(func() { errs[i] = c.StopRegion(ctx, name) })
	}
	group.Wait()
	return errors.Join(errs...)
}
