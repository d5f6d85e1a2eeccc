package s3store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	// probePrefix is where Probe writes: under what s3mesh reserves in every bucket.
	probePrefix = ".s3mesh/probe/"
	// cleanupTimeout bounds the removal of what Probe made, which happens also when its caller gave up.
	cleanupTimeout = 5 * time.Second
	// wrongETag is that of no object.
	wrongETag = "00000000000000000000000000000000"
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
// The credentials need to be those of a replicator that propagates deletes: to read, write and list, and to remove versions.
// Errors are *[s3mesh.Error] and name the operation that failed; then the capabilities are void.
func (b *Bucket) Probe(ctx context.Context) (s3mesh.Capabilities, error) {
	p := &probe{bucket: b, key: probePrefix + strings.ToLower(rand.Text())}
	seen, err := p.run(ctx)
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if err := p.join(err, p.cleanup(cleanup)); err != nil {
		return s3mesh.Capabilities{}, err
	}
	return seen, nil
}

// probe is one run of [Bucket.Probe].
type probe struct {
	bucket *Bucket
	key    string
	wrote  bool // something may have been written
	upload s3mesh.Upload
}

func (p *probe) run(ctx context.Context) (seen s3mesh.Capabilities, err error) {
	if seen.Versioned, err = p.bucket.Versioning(ctx); err != nil {
		return seen, err
	}
	if err := p.put(ctx, s3mesh.IfAbsent()); err != nil {
		return seen, err
	}
	if seen.ConditionalPut, err = p.refuses(ctx, p.put); err != nil {
		return seen, err
	}
	if seen.ConditionalComplete, err = p.refusesComplete(ctx); err != nil {
		return seen, err
	}
	if product := p.bucket.client.product.Load(); product != nil && slices.Contains(racyDeletes, *product) {
		return seen, nil
	}
	seen.ConditionalDelete, err = refused(p.delete(ctx))
	return seen, err
}

// refuses reports whether write fails under each of two conditions that do not hold.
func (p *probe) refuses(ctx context.Context, write func(context.Context, s3mesh.Condition) error) (bool, error) {
	for _, cond := range []s3mesh.Condition{s3mesh.IfAbsent(), s3mesh.IfMatch(wrongETag)} {
		if ok, err := refused(write(ctx, cond)); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// refused reports whether err is the failure of a condition. A store that wrote, or said that it knows no such condition,
// does not honour it; any other error tells nothing.
func refused(err error) (bool, error) {
	switch {
	case err == nil:
		return false, nil
	case s3mesh.KindOf(err) == s3mesh.KindPreconditionFailed:
		return true, nil
	case s3mesh.KindOf(err) == s3mesh.KindUnsupported:
		return false, nil
	}
	return false, err
}

func (p *probe) put(ctx context.Context, cond s3mesh.Condition) error {
	p.wrote = true
	_, err := p.bucket.Put(ctx, p.key, s3mesh.PutInput{Condition: cond})
	return err
}

func (p *probe) delete(ctx context.Context) error {
	_, err := p.bucket.Delete(ctx, p.key, s3mesh.DeleteOptions{Condition: s3mesh.IfMatch(wrongETag)})
	return err
}

func (p *probe) refusesComplete(ctx context.Context) (bool, error) {
	upload, err := p.bucket.BeginUpload(ctx, p.key, s3mesh.Attributes{})
	if err != nil {
		return false, err
	}
	p.upload = upload
	etag, err := upload.PutPart(ctx, 1, strings.NewReader("s3mesh"), int64(len("s3mesh")))
	if err != nil {
		return false, err
	}
	return p.refuses(ctx, func(ctx context.Context, cond s3mesh.Condition) error {
		_, err := upload.Complete(ctx, []string{etag}, cond)
		return err
	})
}

// cleanup removes what the probe made: the upload, and every version of the key.
func (p *probe) cleanup(ctx context.Context) error {
	if !p.wrote {
		return nil
	}
	var errs []error
	if p.upload != nil {
		errs = append(errs, p.upload.Abort(ctx))
	}
	var ids []string
	for entry, err := range p.bucket.History(ctx, p.key) {
		switch {
		case err == nil:
			ids = append(ids, cmp.Or(entry.VersionID, nullVersion))
		case s3mesh.KindOf(err) == s3mesh.KindUnsupported:
			ids = append(ids, "") // a store without versions
		default:
			errs = append(errs, err)
		}
	}
	for _, id := range ids {
		errs = append(errs, p.remove(ctx, id))
	}
	return p.join(errs...)
}

// remove removes one version of the scratch key, or what is there where id is empty.
func (p *probe) remove(ctx context.Context, id string) error {
	return p.bucket.removeVersion(ctx, deletion(p.key), id)
}

// join makes one error of those that are not nil, under the kind of the first.
func (p *probe) join(errs ...error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return &s3mesh.Error{
		Kind: s3mesh.KindOf(errs[0]), Op: "Probe", Site: p.bucket.client.site, Key: p.key, Err: errors.Join(errs...),
	}
}
