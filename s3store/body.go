package s3store

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/s3mesh/s3mesh"
)

// bufferUpTo is the size up to which a body is read into memory before its request is sent. Memory is bounded by this
// times the writes under way.
const bufferUpTo = 128 << 10

// body is what a request sends: exactly size bytes of source. The last bytes are let out only after source said io.EOF,
// so that a source that is short, too long, or fails its checksum at the end leaves the request incomplete, and the store
// writes nothing.
type body struct {
	size   int64
	data   []byte // the whole body, where it is in memory
	hash   string // of data, where it is to be signed
	source io.Reader

	mu       sync.Mutex // the transport reads on its own goroutine, and may still do so after its answer
	left     int64
	err      error
	detached bool
}

var (
	errShortBody = &s3mesh.Error{Kind: s3mesh.KindCorrupted, Err: errors.New("the body ended before its stated size")}
	errLongBody  = &s3mesh.Error{Kind: s3mesh.KindCorrupted, Err: errors.New("the body goes on past its stated size")}
	errDetached  = errors.New("the request is over")
)

// newBody takes size bytes of source. A small one is read at once: it can be sent twice, and costs no request if it turns
// out to be damaged.
func newBody(source io.Reader, size int64) (*body, error) {
	if size < 0 {
		return nil, &s3mesh.Error{Kind: s3mesh.KindInvalid, Err: errors.New("the size is negative")}
	}
	if source == nil {
		source = http.NoBody
	}
	b := &body{size: size, source: source, left: size}
	if size > bufferUpTo {
		return b, nil
	}
	b.data = make([]byte, size)
	for filled := 0; ; {
		n, err := b.Read(b.data[filled:])
		filled += n
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// attach makes b the body of req and returns the payload hash to sign. Parts go without a checksum: Amazon S3 takes one
// only where the upload was begun with its algorithm, and a part that was cut off is never completed.
func (b *body) attach(req *http.Request, op string) string {
	req.ContentLength = b.size
	hash := cmp.Or(b.hash, unsignedPayload)
	switch {
	case b.size == 0:
		req.Body = http.NoBody
		return emptyPayload
	case b.data != nil:
		// With GetBody the transport can use another connection when a kept one turns out to be closed.
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.data)), nil }
		req.Body = io.NopCloser(bytes.NewReader(b.data))
		if op == opPut {
			sum := newChecksum()
			sum.Write(b.data)
			req.Header.Set(checksumHeader, encodeChecksum(sum.Sum32()))
		}
	case op == opPut:
		// A refusal then costs no transfer, and is not lost in a connection that the store closes under the body.
		req.Header.Set("Expect", "100-continue")
		b.frame(req)
		return framedPayload
	default:
		req.Body = b
	}
	return hash
}

// streamed reports whether the body is read while it is sent, and so can be sent only once.
func (b *body) streamed() bool { return b != nil && b.data == nil && b.size > 0 }

// detach ends the use of source, but for a Read that is under way.
func (b *body) detach() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.detached = true
}

// failure returns the error that source ended with. A nil body has none.
func (b *body) failure() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Read implements io.Reader for the transport.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	err, left := b.err, b.left
	if b.detached && err == nil {
		err = errDetached
	}
	b.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := b.readSource(p, left)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
		return 0, err
	}
	return n, err
}

// readSource reads up to left bytes, and the end of source with the last of them.
func (b *body) readSource(p []byte, left int64) (int, error) {
	var n int
	var err error
	if left > 0 {
		n, err = b.source.Read(p[:min(int64(len(p)), left)])
	}
	switch {
	case err != nil && err != io.EOF:
		return 0, err
	case int64(n) == left && err == nil:
		return n, b.expectEnd()
	case int64(n) < left && err == io.EOF:
		return 0, errShortBody
	default:
		return n, err
	}
}

// expectEnd returns io.EOF when source ends here.
func (b *body) expectEnd() error {
	var one [1]byte
	for {
		n, err := b.source.Read(one[:])
		if n > 0 {
			return errLongBody
		}
		if err != nil {
			return err
		}
	}
}

// Close implements io.Closer for the transport. The source belongs to the caller.
func (b *body) Close() error { return nil }
