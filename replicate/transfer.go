package replicate

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"golang.org/x/sync/errgroup"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// Limits of multipart uploads: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	maxParts       = 10_000
	defaultPart    = 16 << 20
	parallelParts  = 4
	partAttempts   = 4
	abortTimeout   = 30 * time.Second
	partRetryFirst = 100 * time.Millisecond
	partRetryMax   = 2 * time.Second
)

// write makes the source's version the target's, under the condition, stamped as a replica.
func (r *Replicator) write(ctx context.Context, j *job, source *openState, cond s3mesh.Condition) (
	s3mesh.Written, error) {
	key := j.Task.Event.Key
	attr := source.object.Attributes
	attr.Metadata = maps.Clone(attr.Metadata)
	if attr.Metadata == nil {
		attr.Metadata = make(map[string]string, 1)
	}
	stamp := resolve.Stamp{Version: *source.version, Written: r.uniqueNow()}
	attr.Metadata[resolve.MetadataName] = stamp.Encode(resolve.Place{Site: r.Target, Key: key}, source.object.Size)

	var written *s3mesh.Written
	ended := r.Echoes.Begin(r.Target, key)
	defer func() { ended(written) }()
	w, err := r.transfer(ctx, key, source, s3mesh.PutInput{Size: source.object.Size, Attributes: attr, Condition: cond})
	if err != nil {
		return w, err
	}
	written = &w
	j.Source, j.Bytes, j.Result = source.version, source.object.Size, s3mesh.ResultReplicated
	return w, nil
}

// uniqueNow is the time, a little later where it was told before.
func (r *Replicator) uniqueNow() time.Time {
	for {
		last := r.lastStamp.Load()
		now := max(r.Now().UnixNano(), last+1)
		if r.lastStamp.CompareAndSwap(last, now) {
			return time.Unix(0, now)
		}
	}
}

func (r *Replicator) transfer(ctx context.Context, key string, source *openState, in s3mesh.PutInput) (s3mesh.Written, error) {
	if in.Size >= r.LargeObject {
		source.close()
		return r.copyParts(ctx, key, source, in)
	}
	if source.body == nil {
		var err error
		if _, source.body, err = r.Readers[source.site].Get(ctx, key, pinned(source.object)); err != nil {
			return s3mesh.Written{}, err
		}
	}
	if in.Size > smallObject {
		body := &watchedBody{Reader: source.body}
		in.Body = body
		written, err := r.Bucket.Put(ctx, key, in)
		return written, body.blame(source.site, key, err)
	}
	buf := r.buffers.get()
	defer r.buffers.put(buf)
	body := (*buf)[:in.Size]
	if _, err := io.ReadFull(source.body, body); err != nil {
		return s3mesh.Written{}, readError(source.site, key, err)
	}
	if err := checkMD5(source, key, body); err != nil {
		return s3mesh.Written{}, err
	}
	source.close()
	in.Body = bytes.NewReader(body)
	return r.Bucket.Put(ctx, key, in)
}

// pinned returns options that read exactly this object, though the key may have been overwritten meanwhile.
func pinned(obj s3mesh.Object) s3mesh.ReadOptions {
	return s3mesh.ReadOptions{VersionID: obj.VersionID, IfMatch: obj.ETag}
}

// watchedBody remembers why reading a body failed, so that a write that fails for it is not held against the target.
type watchedBody struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// blame returns the error of a write: that of the source where reading it failed.
func (b *watchedBody) blame(source, key string, err error) error {
	if err != nil && b.err != nil {
		return readError(source, key, b.err)
	}
	return err
}

// readError gives a failure to read a body its kind: a body that ends early was cut off on the way.
func readError(site, key string, err error) error {
	kind := s3mesh.KindOf(err)
	if kind == s3mesh.KindOther {
		kind = s3mesh.KindCorrupted
	}
	return &s3mesh.Error{Kind: kind, Op: "read body", Site: site, Key: key, Err: err}
}

// checkMD5 compares a body with an ETag that is its MD5: so it is for what was written by one PUT and not encrypted with a
// key of its own. https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
func checkMD5(source *openState, key string, body []byte) error {
	etag := source.object.ETag
	if source.object.OpaqueETag || len(etag) != hex.EncodedLen(md5.Size) {
		return nil
	}
	if sum := md5.Sum(body); hex.EncodeToString(sum[:]) != etag {
		return &s3mesh.Error{Kind: s3mesh.KindCorrupted, Op: "read body", Site: source.site, Key: key,
			Err: fmt.Errorf("%d bytes with MD5 %x, but the ETag is %s", len(body), sum, etag)}
	}
	return nil
}

// copyParts copies a large object as ranged reads into the parts of a multipart upload, a few at a time, without holding
// any of it in memory. A failed upload is aborted.
func (r *Replicator) copyParts(ctx context.Context, key string, source *openState, in s3mesh.PutInput) (s3mesh.Written, error) {
	size, err := r.partSize(ctx, key, source)
	if err != nil {
		return s3mesh.Written{}, err
	}
	upload, err := r.Bucket.BeginUpload(ctx, key, in.Attributes)
	if err != nil {
		return s3mesh.Written{}, err
	}
	etags, err := partCopy{r.Readers[source.site], source, key, upload}.run(ctx, size)
	if err == nil {
		err = r.lookBefore(ctx, key, in.Condition)
	}
	if err == nil {
		var written s3mesh.Written
		if written, err = upload.Complete(ctx, etags, in.Condition); err == nil {
			return written, nil
		}
	}
	abortCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if abortErr := upload.Abort(abortCtx); abortErr != nil {
		r.Log.Warn("a failed upload was left behind; a lifecycle rule for incomplete uploads removes it",
			"site", r.Target, "key", key, "upload", upload.ID(), "error", abortErr)
	}
	return s3mesh.Written{}, err
}

// lookBefore checks a condition that the target's store will not check when an upload completes. What is written between this
// look and the completion is found by the look afterwards.
func (r *Replicator) lookBefore(ctx context.Context, key string, cond s3mesh.Condition) error {
	if r.Capabilities.ConditionalComplete {
		return nil
	}
	held, err := r.Bucket.Head(ctx, key, s3mesh.ReadOptions{})
	absent := s3mesh.KindOf(err) == s3mesh.KindNotFound
	switch {
	case err != nil && !absent:
		return err
	case cond.Absent() != absent, !absent && held.ETag != cond.ETag():
		return &s3mesh.Error{Kind: s3mesh.KindPreconditionFailed, Op: "look before completing", Site: r.Target, Key: key}
	}
	return nil
}

// partSize returns the source's own part size where it is a multipart object of equal parts, so that the replica gets the
// same ETag, and otherwise one that suits the object.
func (r *Replicator) partSize(ctx context.Context, key string, source *openState) (int64, error) {
	size := source.object.Size
	if resolve.Multipart(source.object.ETag) {
		opt := pinned(source.object)
		opt.Part = 1
		first, err := r.Readers[source.site].Head(ctx, key, opt)
		if err != nil {
			return 0, err
		}
		if n := int64(first.Parts); n > 0 && first.Size > 0 && (size+first.Size-1)/first.Size == n {
			return first.Size, nil
		}
	}
	const mib = 1 << 20
	smallest := (size + maxParts - 1) / maxParts
	return max(defaultPart, (smallest+mib-1)/mib*mib), nil
}

// partCopy is the copying of one object into the parts of one upload.
type partCopy struct {
	reader s3mesh.Reader
	source *openState
	key    string
	upload s3mesh.Upload
}

// run copies all parts and returns their ETags in order.
func (c partCopy) run(ctx context.Context, partSize int64) ([]string, error) {
	size := c.source.object.Size
	count := int((size + partSize - 1) / partSize)
	etags := make([]string, count)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelParts)
	for i := range count {
		offset := int64(i) * partSize
		part := s3mesh.ByteRange{Offset: offset, Length: min(partSize, size-offset)}
		group.Go(func() error {
			return retryPart(ctx, func() (err error) {
				etags[i], err = c.part(ctx, i+1, part)
				return err
			})
		})
	}
	return etags, group.Wait()
}

func (c partCopy) part(ctx context.Context, number int, part s3mesh.ByteRange) (string, error) {
	opt := pinned(c.source.object)
	opt.Range = &part
	_, body, err := c.reader.Get(ctx, c.key, opt)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }() // only read from: nothing is lost
	watched := &watchedBody{Reader: body}
	etag, err := c.upload.PutPart(ctx, number, watched, part.Length)
	return etag, watched.blame(c.source.site, c.key, err)
}

// retryPart tries a part again where that may help, so that one reset connection does not cost the parts before it.
func retryPart(ctx context.Context, part func() error) error {
	policy := retrypolicy.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool {
			return err != nil && ctx.Err() == nil && s3mesh.KindOf(err).Transient() && !changedMeanwhile(err)
		}).
		WithMaxAttempts(partAttempts).
		WithBackoff(partRetryFirst, partRetryMax).
		WithJitterFactor(0.25).
		ReturnLastFailure().
		Build()
	return failsafe.With(policy).WithContext(ctx).Run(part)
}

// bufferPool lends buffers of one size, so that bodies between GET and PUT cost no garbage.
type bufferPool struct {
	size int
	pool *sync.Pool
}

func newBufferPool(size int) bufferPool { return bufferPool{size, &sync.Pool{}} }

func (p bufferPool) get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, p.size)
	return &b
}

func (p bufferPool) put(b *[]byte) { p.pool.Put(b) }
