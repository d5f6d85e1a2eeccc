package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	// countedObjects is how many objects the requests are counted over.
	countedObjects = 200
	// skewPassed is how long to wait until an overwrite is later than max_clock_skew's default of 2 s, whole seconds apart.
	skewPassed = 4 * time.Second
	// echoTimeout is how long the echoes may take to be announced.
	echoTimeout = 20 * time.Second
)

// requestsResult is what replication costs at the stores, between two of them.
type requestsResult struct {
	Fresh     requestCount `json:"fresh"`
	AtOnce    requestCount `json:"overwrite_at_once"` // within max_clock_skew of the write before
	Later     requestCount `json:"overwrite_later"`
	Dedicated bool         `json:"dedicated_credentials"` // echoes are known by their principal, not by what s3mesh remembers
}

// requestCount is requests of s3mesh at both stores while some objects were replicated, their echoes included.
type requestCount struct {
	Objects int            `json:"objects"`
	Echoes  int            `json:"echoes"`   // announced to s3mesh
	ByKind  map[string]int `json:"requests"` // such as "GET source"
}

func (c requestCount) total() int {
	sum := 0
	for _, n := range c.ByKind {
		sum += n
	}
	return sum
}

// perObject is all requests per object.
func (c requestCount) perObject() float64 { return float64(c.total()) / float64(c.Objects) }

// perEcho counts what carrying objects from the source to the target cannot need: reads of the objects' content at the
// target, and looks at the source without content. That is what handling an echo as an event would take.
func (c requestCount) perEcho() float64 {
	strange := c.total() - c.ByKind["GET source"] - c.ByKind["HEAD target"] - c.ByKind["PUT target"] -
		c.ByKind["LIST source"] - c.ByKind["LIST target"]
	return float64(strange) / float64(c.Echoes)
}

// requests counts requests in proxies between s3mesh and the stores, which clients do not use.
func (b *bench) requests(ctx context.Context, kind string, r *storesReport) (err error) {
	counters := newCounters()
	defer func() { err = errors.Join(err, counters.close()) }()
	f, err := b.newFixture(ctx, kind, 2, counters.intake)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	through, err := counters.stores(ctx, f.stores)
	if err != nil {
		return err
	}
	if err := f.replicate(ctx, b.program, through); err != nil {
		return err
	}
	c := &counting{f: f, counters: counters, keys: make([]string, countedObjects), etags: make([]string, countedObjects)}
	r.Requests, err = c.measure(ctx)
	return errors.Join(err, f.halt(ctx))
}

// counting is one measurement of requests: its objects are written, overwritten at once, and overwritten later.
type counting struct {
	f        *fixture
	counters *counters
	keys     []string
	etags    []string // of the current revisions
	revision int
}

func (c *counting) measure(ctx context.Context) (*requestsResult, error) {
	result := &requestsResult{Dedicated: c.f.source().dedicated()}
	for i := range c.keys {
		c.keys[i] = keyOf("counted/", i)
	}
	if err := c.settled(ctx, warmUp); err != nil {
		return nil, err
	}
	var err error
	if result.Fresh, err = c.write(ctx); err != nil {
		return nil, fmt.Errorf("fresh objects: %w", err)
	}
	if result.AtOnce, err = c.write(ctx); err != nil {
		return nil, fmt.Errorf("overwrites at once: %w", err)
	}
	if err := pause(ctx, skewPassed); err != nil {
		return nil, err
	}
	if result.Later, err = c.write(ctx); err != nil {
		return nil, fmt.Errorf("overwrites later: %w", err)
	}
	return result, nil
}

// write writes the next revision of every key, and returns what s3mesh asked of the stores until all was at rest.
func (c *counting) write(ctx context.Context) (requestCount, error) {
	before, echoes := c.counters.requests(), c.counters.events(c.f.targets()[0].name)
	err := inParallel(ctx, len(c.keys), func(ctx context.Context, i int) error {
		cond := s3mesh.IfAbsent()
		if c.revision > 0 {
			cond = s3mesh.IfMatch(c.etags[i])
		}
		written, err := put(ctx, c.f.source(), c.keys[i], contentOf(i, c.revision), cond)
		c.etags[i] = written.ETag
		return err
	})
	if err != nil {
		return requestCount{}, err
	}
	c.revision++
	for i, key := range c.keys {
		if err := awaitKey(ctx, c.f.targets()[0], key, c.etags[i]); err != nil {
			return requestCount{}, err
		}
	}
	if err := c.settled(ctx, echoes+len(c.keys)); err != nil {
		return requestCount{}, err
	}
	count := requestCount{Objects: len(c.keys), Echoes: c.counters.events(c.f.targets()[0].name) - echoes,
		ByKind: c.counters.requestsSince(before)}
	return count, nil
}

// settled waits until as many echoes were announced in all as there are replicas, and s3mesh has dealt with them.
func (c *counting) settled(ctx context.Context, echoes int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, echoTimeout, errors.New("not every replica's own event arrived"))
	defer cancel()
	err := poll(ctx, 10*time.Millisecond, func() (bool, error) {
		return c.counters.events(c.f.targets()[0].name) >= echoes, nil
	})
	return errors.Join(err, c.f.mesh.quiet(ctx))
}
