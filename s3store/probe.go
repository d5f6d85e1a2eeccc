package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/s3mesh/s3mesh"
)

// racyDeletes are the Server headers of products that check the If-Match of a DELETE, but not under the lock that they
// delete under, so that one which looks exact is not.
var racyDeletes = []string{versitygw}

// Versioning reports whether the bucket keeps the versions of what is written now: whether versioning is enabled, and not
// suspended. It takes one request.
func (b *Bucket) Versioning(ctx context.Context) (bool, error) {
	r := request{op: opVersioning, onBucket: true, method: http.MethodGet, query: url.Values{"versioning": {""}}}
	resp, err := b.client.do(ctx, r)
	if err != nil {
		return false, err
	}
	defer discard(resp)
	var answer struct {
		Status string `xml:"Status"`
	}
	if err := decodeXML(resp.Body, maxAnswer, &answer); err != nil {
		return false, b.client.fail(ctx, r, brokenOff(err))
	}
	return answer.Status == "Enabled", nil
}

// Probe finds out what the store does with the bucket, by putting conditions that do not hold to writes of a scratch key
// under ".s3mesh/probe/", which it removes again, every version included, also when ctx ends. On a store that honours them
// all it takes 12 requests; versitygw, whose conditional deletes are racy and so count as missing, needs a few more.
//
// It is quick, and therefore takes a store's word: whether a condition also holds in a race is what [Scratch.Atomic] finds
// out.
//
// The credentials need to be those of a replicator that propagates deletes: to read, write and list, and to remove versions.
// Errors are *[s3mesh.Error] and name the operation that failed; then the capabilities are void.
func (b *Bucket) Probe(ctx context.Context) (s3mesh.Capabilities, error) {
	scratch := b.scratch(b.client.transport)
	seen, err := scratch.capabilities(ctx)
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeCleanup)
	defer cancel()
	if err := scratch.join(err, scratch.clean(cleanup)); err != nil {
		return s3mesh.Capabilities{}, err
	}
	return seen, nil
}

// capabilities asks for every condition with one key.
func (s *Scratch) capabilities(ctx context.Context) (seen s3mesh.Capabilities, err error) {
	if seen.Versioned, err = s.bucket.Versioning(ctx); err != nil {
		return seen, err
	}
	e := &experiment{scratch: s, key: s.key("conditions")}
	if err := e.put(ctx, s3mesh.IfAbsent()); err != nil {
		return seen, err
	}
	if seen.ConditionalPut, err = e.honours(ctx, opPut, noneMatch, ifMatch); err != nil {
		return seen, err
	}
	if seen.ConditionalComplete, err = e.honours(ctx, opComplete, noneMatch, ifMatch); err != nil {
		return seen, err
	}
	if s.bucket.deletesRace() {
		return seen, nil
	}
	seen.ConditionalDelete, err = e.honours(ctx, opDelete, ifMatch)
	return seen, err
}

// deletesRace reports whether the store is one of [racyDeletes].
func (b *Bucket) deletesRace() bool {
	product := b.client.product.Load()
	return product != nil && slices.Contains(racyDeletes, *product)
}

// join makes one error of those that are not nil, under the kind of the first. It tells of a few.
func (s *Scratch) join(errs ...error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	const told = 3
	kind := s3mesh.KindOf(errs[0])
	if n := len(errs) - told; n > 0 {
		errs = append(errs[:told], fmt.Errorf("and %d more", n))
	}
	return &s3mesh.Error{Kind: kind, Op: "Probe", Site: s.bucket.client.site, Key: s.base, Err: errors.Join(errs...)}
}
