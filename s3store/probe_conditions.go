package s3store

import (
	"context"
	"errors"
	"strings"

	"github.com/s3mesh/s3mesh"
)

const (
	noneMatch = "If-None-Match"
	ifMatch   = "If-Match"
	// wrongETag is that of no object.
	wrongETag = "00000000000000000000000000000000"
)

// condition returns one under header that does not hold for any object that is there.
func condition(header string) s3mesh.Condition {
	if header == noneMatch {
		return s3mesh.IfAbsent()
	}
	return s3mesh.IfMatch(wrongETag)
}

// Honours reports whether the store refuses a write whose condition does not hold. The operation is PutObject or
// CompleteMultipartUpload, with the header If-None-Match (which is "*") or If-Match, or DeleteObject with If-Match. A store
// that says that it does not know the condition does not honour it.
func (s *Scratch) Honours(ctx context.Context, operation, header string) (bool, error) {
	if err := s.knows(operation, header); err != nil {
		return false, err
	}
	e := &experiment{scratch: s, key: s.key("condition-" + operation + "-" + header)}
	if err := e.put(ctx, s3mesh.IfAbsent()); err != nil {
		return false, err
	}
	return e.honours(ctx, operation, header)
}

// knows refuses what is no conditional write.
func (s *Scratch) knows(operation, header string) error {
	writes := operation == opPut || operation == opComplete
	if writes && (header == noneMatch || header == ifMatch) || operation == opDelete && header == ifMatch {
		return nil
	}
	return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: operation, Site: s.bucket.client.site,
		Err: errors.New("there is no such operation with " + header)}
}

// experiment puts conditions that do not hold to writes of one key, which holds an object.
type experiment struct {
	scratch *Scratch
	key     string
	upload  s3mesh.Upload
	etag    string // of the upload's part
}

// honours reports whether operation fails under each of headers.
func (e *experiment) honours(ctx context.Context, operation string, headers ...string) (bool, error) {
	write := map[string]func(context.Context, s3mesh.Condition) error{
		opPut: e.put, opComplete: e.complete, opDelete: e.delete}[operation]
	for _, header := range headers {
		if ok, err := refused(write(ctx, condition(header))); err != nil || !ok {
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

func (e *experiment) put(ctx context.Context, cond s3mesh.Condition) error {
	_, err := e.scratch.bucket.Put(ctx, e.key, s3mesh.PutInput{Condition: cond})
	return err
}

func (e *experiment) delete(ctx context.Context, cond s3mesh.Condition) error {
	_, err := e.scratch.bucket.Delete(ctx, e.key, s3mesh.DeleteOptions{Condition: cond})
	return err
}

// complete completes an upload, which is begun once: one that is refused stays.
func (e *experiment) complete(ctx context.Context, cond s3mesh.Condition) error {
	if e.upload == nil {
		var err error
		if e.upload, e.etag, err = e.scratch.begin(ctx, e.key, "s3mesh"); err != nil {
			return err
		}
	}
	_, err := e.upload.Complete(ctx, []string{e.etag}, cond)
	return err
}

// begin begins an upload with one part, which is aborted when s is closed.
func (s *Scratch) begin(ctx context.Context, key, content string) (s3mesh.Upload, string, error) {
	upload, err := s.bucket.BeginUpload(ctx, key, s3mesh.Attributes{})
	if err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	s.uploads = append(s.uploads, upload)
	s.mu.Unlock()
	etag, err := upload.PutPart(ctx, 1, strings.NewReader(content), int64(len(content)))
	return upload, etag, err
}
