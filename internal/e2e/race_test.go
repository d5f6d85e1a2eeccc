package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/devstore"
	"github.com/s3mesh/s3mesh/internal/peer"
	"github.com/s3mesh/s3mesh/replicate"
	"github.com/s3mesh/s3mesh/s3store"
)

const (
	raceTime = 8 * time.Second
	// raceWrites is what one client writes to one key. Short histories are quickly compared, so that more replicas are written.
	raceWrites = 4
	raceOp     = "op" // the user metadata that names a write
	// raceLarge ends the keys of objects that are too large to be held in memory by the replicator.
	raceLarge = "/large"
)

// TestClientsRaceReplicator: clients write at every site, hardly pausing, the very keys that replicators write there, which do
// nothing else. No client's write is overwritten by an older one, and what has lost is still there as a noncurrent version.
func TestClientsRaceReplicator(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		raceRegions(t, &race{conditions: true})
	})
	t.Run("embedded, conditions not used", func(t *testing.T) {
		t.Parallel()
		raceRegions(t, &race{})
	})
	t.Run("MinIO", func(t *testing.T) {
		t.Parallel()
		e := peer.MinIO(t)
		r := &race{conditions: true, inversions: true}
		for _, name := range []string{"alpha", "beta", "gamma"} {
			s := &site{Name: name, Endpoint: e.URL, Bucket: e.CreateBucket(t), Region: e.Region,
				AccessKey: e.AccessKey, SecretKey: e.SecretKey}
			r.add(t, s, s.AccessKey, s.SecretKey)
		}
		r.run(t)
	})
}

func raceRegions(t *testing.T, r *race) {
	t.Helper()
	for _, name := range []string{"alpha", "beta", "gamma"} {
		cfg := devstore.Config{Site: name, Region: "us-east-1", Bucket: "photos", Dir: t.TempDir(),
			Client:     devstore.Credentials{AccessKeyID: "client", SecretAccessKey: "client-secret"},
			Replicator: devstore.Credentials{AccessKeyID: "replicator", SecretAccessKey: "replicator-secret"}}
		region, err := devstore.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(region.Kill)
		s := &site{Name: name, Endpoint: region.Endpoint(), Bucket: cfg.Bucket, Region: cfg.Region,
			AccessKey: cfg.Client.AccessKeyID, SecretKey: cfg.Client.SecretAccessKey}
		r.add(t, s, cfg.Replicator.AccessKeyID, cfg.Replicator.SecretAccessKey)
	}
	r.run(t)
}

// race is sites with a replicator each, and what clients wrote there.
type race struct {
	// conditions tells that the replicators are to trust in the stores' conditional writes. Otherwise they look before and after.
	conditions bool
	// inversions tells that the store dates a write before it commits it, so that a client's write that is in progress while a
	// replica is written under a condition may come to lie below it.
	inversions bool

	sites   []*site
	buckets map[string]*s3store.Bucket
	engines map[string]*replicate.Replicator
	writes  writeLog

	failures failureCounts
	keys     []string // raced on
	replicas int
	covered  int // replicas that lay on something later, for a moment
}

// write is a client's write that was acknowledged.
type write struct {
	op, site, key, body, versionID, etag string
	acknowledged                         time.Time
}

// writeLog is what clients wrote. It is safe for concurrent use.
type writeLog struct {
	mu   sync.Mutex
	byOp map[string]write
	last map[[2]string]write // by site and key
}

func (l *writeLog) add(w write) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byOp == nil {
		l.byOp, l.last = map[string]write{}, map[[2]string]write{}
	}
	l.byOp[w.op], l.last[[2]string{w.site, w.key}] = w, w
}

func (r *race) add(t *testing.T, s *site, key, secret string) {
	t.Helper()
	s.connect(t)
	transport := s3store.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	bucket, err := s3store.Open(t.Context(), s3store.Config{Site: s.Name, Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket,
		PathStyle: true, Transport: transport, Credentials: credentials.NewStaticCredentialsProvider(key, secret, "")})
	if err != nil {
		t.Fatal(err)
	}
	if r.buckets == nil {
		r.buckets = map[string]*s3store.Bucket{}
	}
	r.sites, r.buckets[s.Name] = append(r.sites, s), bucket
}

// run races on one key after the other, waits until the replicators have nothing left to do, and looks.
func (r *race) run(t *testing.T) {
	t.Helper()
	r.makeEngines(t)
	for end := time.Now().Add(raceTime); time.Now().Before(end); {
		n := len(r.keys)
		keys := []string{fmt.Sprintf("race/%d/a", n), fmt.Sprintf("race/%d/b", n), fmt.Sprintf("race/%d%s", n, raceLarge)}
		r.raceOn(t, keys)
		r.keys = append(r.keys, keys...)
	}
	r.settle(t)
	for _, key := range r.keys {
		r.check(t, key)
	}
	t.Logf("%d keys, %d writes, %d replicas; %d times a later one was covered, and put back",
		len(r.keys), len(r.writes.byOp), r.replicas, r.covered)
}

// raceOn has a client and a replicator at every site for each key, until the clients have written enough.
func (r *race) raceOn(t *testing.T, keys []string) {
	t.Helper()
	clients, ctx := errgroup.WithContext(t.Context())
	replicators := &sync.WaitGroup{}
	stopped, stop := context.WithCancel(t.Context())
	defer stop()
	for _, key := range keys {
		for _, s := range r.sites {
			clients.Go(func() error { return r.writeOn(ctx, s, key) })
			replicators.Go(func() { r.replicateOn(stopped, key, s.Name) })
		}
	}
	err := clients.Wait()
	stop()
	replicators.Wait()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *race) makeEngines(t *testing.T) {
	t.Helper()
	r.engines = map[string]*replicate.Replicator{}
	readers := map[string]s3mesh.Reader{}
	for name, bucket := range r.buckets {
		readers[name] = bucket
	}
	for name, bucket := range r.buckets {
		can, err := bucket.Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !r.conditions {
			can = s3mesh.Capabilities{Versioned: true}
		}
		r.engines[name] = replicate.New(replicate.Config{
			Target: name, Bucket: bucket, Readers: readers, Capabilities: can, MaxClockSkew: 2 * time.Second, LargeObject: 64 << 20,
			Echoes: &replicate.Echoes{}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
			// The replicators look at every key again and again.
			Announce: func(context.Context, s3mesh.Event) error { return nil },
		})
	}
}

// writeOn is one client. Its writes follow one another; now and then two of them, or of two clients, have the same bytes, and
// so the same ETag, and differ in their metadata.
func (r *race) writeOn(ctx context.Context, s *site, key string) error {
	for n := 0; n < raceWrites && shortPause(ctx); n++ {
		w := write{op: fmt.Sprintf("%s %s %d", s.Name, key, n), site: s.Name, key: key, body: "the same"}
		if n%3 > 0 {
			w.body = w.op
		}
		if strings.HasSuffix(key, raceLarge) {
			w.body += strings.Repeat("x", 300<<10)
		}
		out, err := s.s3.PutObject(context.WithoutCancel(ctx), &s3.PutObjectInput{Bucket: &s.Bucket, Key: &w.key,
			Body: strings.NewReader(w.body), Metadata: map[string]string{raceOp: w.op}})
		if err != nil {
			return fmt.Errorf("%s: %w", w.op, err)
		}
		w.acknowledged = time.Now()
		w.versionID, w.etag = aws.ToString(out.VersionId), strings.Trim(aws.ToString(out.ETag), `"`)
		r.writes.add(w)
	}
	return nil
}

// shortPause waits for about as long as it takes to replicate a key, so that often one comes between. It reports false when ctx
// has ended.
func shortPause(ctx context.Context) bool {
	timer := time.NewTimer(rand.N(60 * time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// replicateOn carries the key from all other sites to the target until ctx ends. What has begun is finished.
func (r *race) replicateOn(ctx context.Context, key, target string) {
	for ctx.Err() == nil {
		for _, s := range r.sites {
			if s.Name != target {
				r.replicate(context.WithoutCancel(ctx), s3mesh.Link{Source: s.Name, Target: target}, key)
			}
		}
	}
}

// replicate carries the key over a link. As in a queue, what failed comes again with the next number, and all else is new.
func (r *race) replicate(ctx context.Context, link s3mesh.Link, key string) s3mesh.Outcome {
	task := s3mesh.Task{Link: link, Lane: s3mesh.LaneLive, Attempt: r.failures.of(link, key) + 1,
		Event: s3mesh.Event{Site: link.Source, Key: key, Type: s3mesh.EventCreated}}
	out := r.engines[link.Target].Replicate(ctx, task)
	r.failures.note(link, key, out.Err)
	return out
}

// failureCounts counts the failures since the last success. It is safe for concurrent use.
type failureCounts struct {
	mu     sync.Mutex
	counts map[string]int
}

func (f *failureCounts) of(link s3mesh.Link, key string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[link.String()+key]
}

func (f *failureCounts) note(link s3mesh.Link, key string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[link.String()+key]++
	if err == nil {
		f.counts[link.String()+key] = 0
	}
}

// settle replicates until there is nothing to do.
func (r *race) settle(t *testing.T) {
	t.Helper()
	set := s3mesh.FullMesh("race", s3mesh.Site{Name: "alpha"}, s3mesh.Site{Name: "beta"}, s3mesh.Site{Name: "gamma"})
	eventually(t, arrival, "nothing to do", func() error {
		var busy []error
		for _, key := range r.keys {
			for _, link := range set.Links {
				if out := r.replicate(t.Context(), link, key); out.Err != nil || out.Result.Wrote() {
					busy = append(busy, fmt.Errorf("%s over %v: %s, %w", key, link, out.Result, out.Err))
				}
			}
		}
		return errors.Join(busy...)
	})
}
