package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/replicate"
	"github.com/s3mesh/s3mesh/s3store"
)

const (
	// lookTimeout bounds one attempt at finding out what a store does.
	lookTimeout = time.Minute
	// lookFirst and lookMax are the waits between attempts while a site does not answer.
	lookFirst, lookMax = 100 * time.Millisecond, 2 * time.Second
	// watchEvery is how often a bucket that deletes are propagated to is asked whether it still keeps versions.
	watchEvery = time.Minute
	// lookAttempts is how often a store may fail for a passing reason, other than not to answer, before that is its answer.
	lookAttempts = 8
)

// prober tells what a store does with a bucket.
type prober interface {
	// Versioning reports whether the bucket keeps versions.
	Versioning(ctx context.Context) (bool, error)
	// Probe finds out what the store honours, by writing to the bucket.
	Probe(ctx context.Context) (s3mesh.Capabilities, error)
}

// prover finds out what the sites' stores do, before anything is replicated from or to them. A site that does not answer is
// asked until it does. It is safe for concurrent use.
type prover struct {
	proofs    map[string]*proof
	propagate bool // deletes are propagated
	log       *slog.Logger
	// refused takes the first thing that is found which configuration has to mend.
	refused chan error
}

// proof is what is known of one site.
type proof struct {
	store  s3store.Config
	prober prober
	served bool
	away   atomic.Bool
	done   chan struct{} // closed once can is set
	can    s3mesh.Capabilities
}

func newProver(cfg meshConfig) *prover {
	p := &prover{proofs: make(map[string]*proof, len(cfg.stores)), propagate: cfg.propagates(), log: cfg.log,
		refused: make(chan error, 1)}
	for _, store := range cfg.stores {
		p.proofs[store.Site] = &proof{store: store, served: slices.Contains(cfg.served, store.Site), done: make(chan struct{})}
	}
	return p
}

// run finds out about one site.
func (p *prover) run(ctx context.Context, site string) {
	s := p.proofs[site]
	can, err := p.prove(ctx, s)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.refuse(err)
	default:
		s.can = can
		close(s.done)
	}
}

// watch refuses a bucket whose versioning is switched off after it was proven: a delete would then destroy what it is meant to
// cover. It returns when ctx ends, and at once where deletes are not propagated.
func (p *prover) watch(ctx context.Context, site string) {
	s := p.proofs[site]
	for p.propagate && pause(ctx, watchEvery) {
		on, err := s.prober.Versioning(ctx)
		if err == nil && !on {
			p.refuse(refuse(s.store, "does not keep versions any more, which deletes: propagate needs on every bucket",
				"switch versioning on, or write deletes: ignore: "+enableVersioning(s.store)))
			return
		}
	}
}

func (p *prover) refuse(err error) {
	select {
	case p.refused <- err:
	default: // another site's was first
	}
}

// await waits until a site is proven, and returns what its store honours, as far as this process writes to it.
func (p *prover) await(ctx context.Context, site string) (s3mesh.Capabilities, error) {
	s := p.proofs[site]
	select {
	case <-s.done:
		return s.can, nil
	case <-ctx.Done():
		return s3mesh.Capabilities{}, ctx.Err()
	}
}

// away reports whether a site did not answer so far.
func (p *prover) away(site string) bool {
	s, known := p.proofs[site]
	return known && s.away.Load()
}

func (p *prover) prove(ctx context.Context, s *proof) (s3mesh.Capabilities, error) {
	if p.propagate {
		if err := p.versioned(ctx, s); err != nil {
			return s3mesh.Capabilities{}, err
		}
	}
	if !s.served {
		return s3mesh.Capabilities{}, nil // it is read from, which takes no conditions
	}
	return p.probe(ctx, s)
}

// versioned refuses a bucket that does not keep versions, or of which that cannot be told.
func (p *prover) versioned(ctx context.Context, s *proof) error {
	var on bool
	err := p.insist(ctx, s, func(ctx context.Context) (err error) {
		on, err = s.prober.Versioning(ctx)
		return err
	})
	switch {
	case err != nil && s3mesh.KindOf(err) == s3mesh.KindAccessDenied:
		return refuse(s.store, "cannot be asked whether it keeps versions, which deletes: propagate needs: "+err.Error(),
			"grant s3mesh's credentials s3:GetBucketVersioning on the bucket, or correct them")
	case err != nil:
		return refuse(s.store, "does not tell whether it keeps versions, which deletes: propagate needs: "+err.Error(),
			"correct the site in the configuration, or write deletes: ignore")
	case !on:
		return refuse(s.store, "does not keep versions, which deletes: propagate needs on every bucket: "+
			"without them a delete cannot be told from a key that never was, nor taken back",
			"switch versioning on, or write deletes: ignore: "+enableVersioning(s.store))
	}
	return nil
}

// probe finds out what the store of a served site honours. When that cannot be found out, nothing counts as honoured: what is
// then done about every write is right in any case, and only costs requests.
func (p *prover) probe(ctx context.Context, s *proof) (can s3mesh.Capabilities, err error) {
	err = p.insist(ctx, s, func(ctx context.Context) (err error) {
		can, err = s.prober.Probe(ctx)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return can, ctx.Err()
	case err != nil:
		p.log.Warn("cannot find out which conditions a store honours: every write is preceded and followed by a look",
			"site", s.store.Site, "bucket", s.store.Bucket, "error", err, "remedy", "s3mesh's credentials need s3:PutObject, "+
				"s3:DeleteObject, s3:DeleteObjectVersion, s3:ListBucketVersions and s3:GetBucketVersioning; then restart s3mesh")
		return s3mesh.Capabilities{Versioned: p.propagate}, nil // with propagate, it is known
	default:
		return can, p.judge(s, can)
	}
}

// judge refuses a store where a client's write could be lost, and tells of one where keeping it costs requests.
func (p *prover) judge(s *proof, can s3mesh.Capabilities) error {
	lacking := unconditional(can)
	switch {
	case lacking == "":
		p.log.Info("what a store honours", "site", s.store.Site, "bucket", s.store.Bucket, "versioned", can.Versioned,
			"conditional_delete", can.ConditionalDelete)
		return nil
	case !can.Versioned:
		return refuse(s.store, "neither honours a condition of "+lacking+" nor keeps versions: a client's write that s3mesh "+
			"meets there could be overwritten for good", "switch versioning on: "+enableVersioning(s.store))
	default:
		p.log.Warn("a store does not honour all conditions: s3mesh looks before and after each write, and puts a client's write "+
			"that it covered back on top", "site", s.store.Site, "bucket", s.store.Bucket, "lacking", lacking)
		return nil
	}
}

// unconditional names the conditional writes that a store does not honour.
func unconditional(can s3mesh.Capabilities) string {
	switch {
	case can.ConditionalPut && can.ConditionalComplete:
		return ""
	case can.ConditionalPut:
		return "CompleteMultipartUpload"
	case can.ConditionalComplete:
		return "PutObject"
	default:
		return "PutObject and CompleteMultipartUpload"
	}
}

// insist asks a store until it answers: with success, or with an error that asking again will not mend.
func (p *prover) insist(ctx context.Context, s *proof, ask func(context.Context) error) error {
	wait, failed := lookFirst, 0
	for told := false; ; told = true {
		attempt, cancel := context.WithTimeout(ctx, lookTimeout)
		err := ask(attempt)
		cancel()
		kind := s3mesh.KindOf(err)
		s.away.Store(err != nil && kind == s3mesh.KindUnreachable)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if replicate.UsesAttempt(kind) {
			failed++
		}
		if replicate.Hopeless(kind, failed, lookAttempts) {
			return err
		}
		if !told {
			p.log.Warn("a site cannot be looked at yet: its links wait", "site", s.store.Site, "error", err, "remedy", kind.Remedy())
		}
		if !pause(ctx, wait) {
			return ctx.Err()
		}
		wait = min(2*wait, lookMax)
	}
}

// pause waits, and reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// refusal is what was found at a site that s3mesh does not work with, and that the operator has to mend.
type refusal struct{ site, bucket, why, step string }

func refuse(store s3store.Config, why, step string) error {
	return &refusal{store.Site, store.Bucket, why, step}
}

// Error tells the site, the bucket and what is wrong.
func (r *refusal) Error() string {
	return fmt.Sprintf("site %s: bucket %s %s", r.site, r.bucket, r.why)
}

// Unwrap gives the refusal its kind.
func (r *refusal) Unwrap() error { return &s3mesh.Error{Kind: s3mesh.KindInvalid, Site: r.site} }

// enableVersioning returns the command that switches a bucket's versioning on.
func enableVersioning(store s3store.Config) string {
	command := "aws s3api put-bucket-versioning --versioning-configuration Status=Enabled --bucket " + store.Bucket
	if store.Region != "" {
		command += " --region " + store.Region
	}
	if store.Endpoint != "" {
		command += " --endpoint-url " + store.Endpoint
	}
	return command
}
