package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/config"
	"github.com/s3mesh/s3mesh/s3store"
)

// fakeStore is a store that answers as the test says.
type fakeStore struct {
	versioned    bool
	versionedErr error
	can          s3mesh.Capabilities
	probeErr     error
}

func (f *fakeStore) Versioning(context.Context) (bool, error) { return f.versioned, f.versionedErr }

func (f *fakeStore) Probe(context.Context) (s3mesh.Capabilities, error) { return f.can, f.probeErr }

func failure(kind s3mesh.Kind) error {
	return &s3mesh.Error{Kind: kind, Op: "GetBucketVersioning", Site: "eu", Err: errors.New("the cause")}
}

// proving is a prover of the sites eu, which is served, and us, which is not.
func proving(deletes config.Deletes, log *slog.Logger) *prover {
	return newProver(meshConfig{served: []string{"eu"}, replication: config.Replication{Deletes: deletes}, log: log,
		stores: []s3store.Config{
			{Site: "eu", Bucket: "photos-eu", Region: "eu-1", Endpoint: "https://s3.example.com"}, {Site: "us", Bucket: "photos-us"}}})
}

const region = " --bucket photos-eu --region eu-1 --endpoint-url https://s3.example.com"

// what a prover comes to of what stores are like.
var provings = []struct {
	name    string
	site    string
	deletes config.Deletes
	store   fakeStore
	can     s3mesh.Capabilities
	refused []string // texts of the refusal and its remedy; none when the site is good
	warned  string
}{
	{name: "good", site: "eu", deletes: config.DeletesPropagate, can: s3mesh.AllCapabilities(),
		store: fakeStore{versioned: true, can: s3mesh.AllCapabilities()}},
	{name: "unversioned, deletes ignored", site: "eu", deletes: config.DeletesIgnore,
		can:   s3mesh.Capabilities{ConditionalPut: true, ConditionalComplete: true},
		store: fakeStore{can: s3mesh.Capabilities{ConditionalPut: true, ConditionalComplete: true}}},
	{name: "unversioned", site: "eu", deletes: config.DeletesPropagate, store: fakeStore{can: s3mesh.AllCapabilities()},
		refused: []string{"site eu", "photos-eu", "does not keep versions", "put-bucket-versioning", "Status=Enabled" + region}},
	{name: "unversioned and not served", site: "us", deletes: config.DeletesPropagate,
		refused: []string{"site us", "photos-us", "put-bucket-versioning"}},
	{name: "not served, deletes ignored", site: "us", deletes: config.DeletesIgnore},
	{name: "versioning denied", site: "us", deletes: config.DeletesPropagate,
		store:   fakeStore{versionedErr: failure(s3mesh.KindAccessDenied)},
		refused: []string{"photos-us", "s3:GetBucketVersioning", "the cause"}},
	{name: "no such bucket", site: "us", deletes: config.DeletesPropagate,
		store:   fakeStore{versionedErr: failure(s3mesh.KindNoSuchBucket)},
		refused: []string{"photos-us", "does not tell", "no_such_bucket"}},
	{name: "keeps failing", site: "us", deletes: config.DeletesPropagate,
		store: fakeStore{versionedErr: failure(s3mesh.KindOther)}, refused: []string{"photos-us", "does not tell"}},
	{name: "no conditions, no versions", site: "eu", deletes: config.DeletesIgnore,
		refused: []string{"photos-eu", "PutObject and CompleteMultipartUpload", "put-bucket-versioning"}},
	{name: "no conditional completion, no versions", site: "eu", deletes: config.DeletesIgnore,
		store:   fakeStore{can: s3mesh.Capabilities{ConditionalPut: true}},
		refused: []string{"photos-eu", "a condition of CompleteMultipartUpload nor"}},
	{name: "no conditional put, versions", site: "eu", deletes: config.DeletesPropagate,
		can:    s3mesh.Capabilities{Versioned: true, ConditionalComplete: true},
		store:  fakeStore{versioned: true, can: s3mesh.Capabilities{Versioned: true, ConditionalComplete: true}},
		warned: "lacking=PutObject"},
	{name: "probe denied", site: "eu", deletes: config.DeletesIgnore, warned: "s3:PutObject",
		store: fakeStore{can: s3mesh.AllCapabilities(), probeErr: failure(s3mesh.KindAccessDenied)}},
	{name: "probe denied, versions", site: "eu", deletes: config.DeletesPropagate, warned: "s3:PutObject",
		can:   s3mesh.Capabilities{Versioned: true},
		store: fakeStore{versioned: true, probeErr: failure(s3mesh.KindAccessDenied)}},
}

func TestProve(t *testing.T) {
	for _, test := range provings {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &strings.Builder{}
				p := proving(test.deletes, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})))
				p.proofs[test.site].prober = &test.store
				p.run(t.Context(), test.site)
				select {
				case err := <-p.refused:
					checkRefusal(t, err, test.refused)
					return
				default:
				}
				can, err := p.await(t.Context(), test.site)
				if err != nil || can != test.can || len(test.refused) > 0 {
					t.Errorf("%+v, %v", can, err)
				}
				if !strings.Contains(log.String(), test.warned) || test.warned == "" && log.Len() > 0 {
					t.Errorf("log %q", log)
				}
			})
		})
	}
}

func checkRefusal(t *testing.T, err error, texts []string) {
	t.Helper()
	if len(texts) == 0 || exitCode(err) != exitUsage || s3mesh.KindOf(err) != s3mesh.KindInvalid {
		t.Errorf("refused with exit code %d: %v", exitCode(err), err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error()+" -> "+remedy(err), text) {
			t.Errorf("no %q in: %v -> %s", text, err, remedy(err))
		}
	}
}

// A bucket that stops keeping versions while deletes are propagated ends that; one that merely does not answer does not.
func TestProveWatchesVersioning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := proving(config.DeletesPropagate, slog.New(slog.DiscardHandler))
		suspended := time.Now().Add(time.Hour)
		p.proofs["eu"].prober = suspendedStore{away: suspended.Add(-30 * time.Minute), suspended: suspended}
		p.run(t.Context(), "eu")
		p.watch(t.Context(), "eu")
		checkRefusal(t, <-p.refused, []string{"site eu", "any more", "put-bucket-versioning"})
		if late := time.Since(suspended); late < 0 || late > watchEvery {
			t.Errorf("refused %v after versioning was suspended", late)
		}
	})
}

// suspendedStore is a store that does not answer for a while, and then says that versioning is off.
type suspendedStore struct{ away, suspended time.Time }

func (s suspendedStore) Versioning(context.Context) (bool, error) {
	now := time.Now()
	if now.After(s.away) && now.Before(s.suspended) {
		return false, failure(s3mesh.KindUnreachable)
	}
	return now.Before(s.suspended), nil
}

func (s suspendedStore) Probe(context.Context) (s3mesh.Capabilities, error) {
	return s3mesh.AllCapabilities(), nil
}

// A site that does not answer is waited for, however long, is away meanwhile, and is told of once.
func TestProveWaitsForASiteThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &strings.Builder{}
		p := proving(config.DeletesIgnore, slog.New(slog.NewTextHandler(log, nil)))
		store := &awayStore{until: time.Now().Add(time.Hour)}
		p.proofs["eu"].prober = store
		done := make(chan struct{})
		go func() { p.run(t.Context(), "eu"); close(done) }()
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		if !p.away("eu") || p.away("us") {
			t.Errorf("eu away: %v, us away: %v", p.away("eu"), p.away("us"))
		}
		<-done
		if can, err := p.await(t.Context(), "eu"); err != nil || can != s3mesh.AllCapabilities() || p.away("eu") {
			t.Errorf("%+v, %v, away %v", can, err, p.away("eu"))
		}
		if strings.Count(log.String(), "level=WARN") != 1 || store.probes < 100 || store.probes > 4000 {
			t.Errorf("%d probes in an hour, log %q", store.probes, log)
		}
		if late := time.Since(store.until); late > lookMax {
			t.Errorf("found %v after it was back", late)
		}
	})
}

// awayStore is a store that does not answer until a time.
type awayStore struct {
	fakeStore
	until  time.Time
	probes int
}

func (s *awayStore) Probe(context.Context) (s3mesh.Capabilities, error) {
	s.probes++
	if time.Now().Before(s.until) {
		return s3mesh.Capabilities{}, failure(s3mesh.KindUnreachable)
	}
	return s3mesh.AllCapabilities(), nil
}

// Whoever waits for a site is let go when the work ends, and so is the one who asks it, without a word.
func TestProveEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &strings.Builder{}
		p := proving(config.DeletesIgnore, slog.New(slog.NewTextHandler(log, nil)))
		p.proofs["eu"].prober = &stuckStore{}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() {
			_, err := p.await(ctx, "eu")
			ended <- err
		}()
		go func() {
			p.run(ctx, "eu")
			ended <- nil
		}()
		synctest.Wait()
		cancel()
		if err := errors.Join(<-ended, <-ended); !errors.Is(err, context.Canceled) || len(p.refused) != 0 || log.Len() > 0 {
			t.Errorf("%v, %d refused, log %q", err, len(p.refused), log)
		}
	})
}

// stuckStore is a store that never answers.
type stuckStore struct{ fakeStore }

func (stuckStore) Probe(ctx context.Context) (s3mesh.Capabilities, error) {
	<-ctx.Done()
	return s3mesh.Capabilities{}, failure(s3mesh.KindCanceled)
}
