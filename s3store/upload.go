package s3store

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/s3mesh/s3mesh"
)

// maxAnswer bounds the XML answers that are read whole.
const maxAnswer = 1 << 20

type upload struct {
	bucket *Bucket
	key    string
	id     string
}

// BeginUpload implements [s3mesh.Bucket].
func (b *Bucket) BeginUpload(ctx context.Context, key string, attr s3mesh.Attributes) (s3mesh.Upload, error) {
	r := request{op: opBegin, key: key, method: http.MethodPost, query: url.Values{"uploads": {""}}}
	header, err := attributeHeader(attr)
	if err != nil {
		return nil, b.client.refuse(r, s3mesh.KindUnstorable, err.Error())
	}
	r.header = header
	resp, err := b.client.do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer discard(resp)
	var answer struct {
		UploadID string `xml:"UploadId"`
	}
	if err := decodeXML(resp.Body, maxAnswer, &answer); err != nil {
		return nil, b.client.fail(ctx, r, brokenOff(err))
	}
	if answer.UploadID == "" {
		return nil, b.client.malformed(r, errors.New("no upload ID"))
	}
	return &upload{bucket: b, key: key, id: answer.UploadID}, nil
}

// ID implements [s3mesh.Upload].
func (u *upload) ID() string { return u.id }

// PutPart implements [s3mesh.Upload].
func (u *upload) PutPart(ctx context.Context, number int, source io.Reader, size int64) (string, error) {
	r := u.request(opPart, http.MethodPut)
	r.query.Set("partNumber", strconv.Itoa(number))
	var err error
	if r.body, err = newBody(source, size); err != nil {
		return "", &s3mesh.Error{Kind: bodyKind(err), Op: opPart, Site: u.bucket.client.site, Key: u.key, Err: err}
	}
	resp, err := u.bucket.client.do(ctx, r)
	if err != nil {
		return "", err
	}
	defer discard(resp)
	return unquote(resp.Header.Get("ETag")), nil
}

// completion is the body of CompleteMultipartUpload.
type completion struct {
	XMLName xml.Name        `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUpload"`
	Parts   []completedPart `xml:"Part"`
}

type completedPart struct {
	Number int    `xml:"PartNumber"`
	ETag   string `xml:"ETag"`
}

// Complete implements [s3mesh.Upload].
func (u *upload) Complete(ctx context.Context, etags []string, cond s3mesh.Condition) (s3mesh.Written, error) {
	r := u.request(opComplete, http.MethodPost)
	if err := u.bucket.client.checkWrite(r, cond); err != nil {
		return s3mesh.Written{}, err
	}
	parts := make([]completedPart, len(etags))
	for i, etag := range etags {
		parts[i] = completedPart{Number: i + 1, ETag: quote(etag)}
	}
	data, err := xml.Marshal(completion{Parts: parts})
	if err != nil {
		return s3mesh.Written{}, u.bucket.client.malformed(r, err)
	}
	r.header.Set("Content-Type", "application/xml")
	r.body = xmlBody(data)
	return u.bucket.write(ctx, r, cond, func(resp *http.Response) (s3mesh.Written, error) {
		return u.readCompleted(ctx, r, resp)
	})
}

// readCompleted reads the answer, which may start as a success and turn out to be an error: a store that takes long
// answers 200 before it is done.
func (u *upload) readCompleted(ctx context.Context, r request, resp *http.Response) (s3mesh.Written, error) {
	var answer struct {
		XMLName xml.Name
		ETag    string `xml:"ETag"`
		responseError
	}
	err := decodeXML(resp.Body, maxAnswer, &answer)
	switch {
	case err != nil:
		return s3mesh.Written{}, u.bucket.client.fail(ctx, r, brokenOff(err))
	case answer.XMLName.Local == "Error":
		answer.status, answer.server = resp.StatusCode, resp.Header.Get("Server")
		return s3mesh.Written{}, u.bucket.client.fail(ctx, r, &answer.responseError)
	case answer.ETag == "":
		return s3mesh.Written{}, u.bucket.client.malformed(r, errors.New("no ETag"))
	}
	return writtenFrom(resp.Header, answer.ETag), nil
}

// Abort implements [s3mesh.Upload].
func (u *upload) Abort(ctx context.Context) error {
	resp, err := u.bucket.client.do(ctx, u.request(opAbort, http.MethodDelete))
	if s3mesh.KindOf(err) == s3mesh.KindNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	discard(resp)
	return nil
}

func (u *upload) request(op, method string) request {
	return request{
		op: op, key: u.key, method: method,
		query: url.Values{"uploadId": {u.id}}, header: make(http.Header, 8),
	}
}

func brokenOff(err error) error { return fmt.Errorf("the answer broke off: %w", err) }

func decodeXML(body io.Reader, limit int64, into any) error {
	return xml.NewDecoder(io.LimitReader(body, limit)).Decode(into)
}
