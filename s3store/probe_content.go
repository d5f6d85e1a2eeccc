package s3store

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"net/url"

	"github.com/s3mesh/s3mesh"
)

const scratchContent = "s3mesh probe"

// digests are the checksums that a store is asked for, by their names in S3.
func digests() map[string]hash.Hash {
	const nvme = 0x9a6c9329ac4bc9b5 // the polynomial of CRC-64/NVME, reversed
	return map[string]hash.Hash{
		"CRC32C":    crc32.New(crc32.MakeTable(crc32.Castagnoli)),
		"CRC64NVME": crc64.New(crc64.MakeTable(nvme)),
		"SHA256":    sha256.New(),
	}
}

// digest returns the checksum of content as S3 writes it.
func digest(algorithm, content string) (string, bool) {
	sum, known := digests()[algorithm]
	if !known {
		return "", false
	}
	_, _ = io.WriteString(sum, content) // a hash never fails
	return base64.StdEncoding.EncodeToString(sum.Sum(nil)), true
}

func contentMD5(data []byte) string {
	sum := md5.Sum(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Checksum finds out whether the store keeps a checksum (CRC32C, CRC64NVME or SHA256) that it was given with an object, and
// whether it refuses one that is wrong.
func (s *Scratch) Checksum(ctx context.Context, algorithm string) (kept, checked bool, err error) {
	right, known := digest(algorithm, scratchContent)
	if !known {
		return false, false, s.bucket.client.refuse(request{op: opPut}, s3mesh.KindInvalid, "unknown checksum "+algorithm)
	}
	wrong, _ := digest(algorithm, "something else")
	name := http.CanonicalHeaderKey("X-Amz-Checksum-" + algorithm)
	// The algorithm is named too, as SDKs do: moto goes by that.
	header := func(sum string) http.Header {
		return http.Header{name: {sum}, "X-Amz-Sdk-Checksum-Algorithm": {algorithm}}
	}
	key := s.key("checksum-" + algorithm)
	if _, err := s.write(ctx, key, scratchContent, header(wrong)); err != nil {
		if !declined(err) {
			return false, false, err
		}
		checked = true
	}
	if _, err := s.write(ctx, key, scratchContent, header(right)); err != nil {
		if declined(err) {
			return false, false, nil // it refuses any
		}
		return false, false, err
	}
	r := request{op: opHead, key: key, method: http.MethodHead, header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}}
	resp, err := s.exact.client.do(ctx, r)
	if err != nil {
		return false, checked, err
	}
	defer discard(resp)
	return resp.Header.Get(name) == right, checked, nil
}

// declined reports that a store answered and did not do it, for a reason that lies in the request and not in a permission.
func declined(err error) bool {
	switch s3mesh.KindOf(err) {
	case s3mesh.KindInvalid, s3mesh.KindUnstorable, s3mesh.KindUnsupported, s3mesh.KindCorrupted, s3mesh.KindTooLarge:
		return true
	default:
		return false
	}
}

// tagging is the body of PutObjectTagging and the answer to GetObjectTagging.
type tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	Tags    []tag    `xml:"TagSet>Tag"`
}

type tag struct {
	Key   string `xml:"Key"`
	Value string `xml:"Value"`
}

const (
	opPutTagging = "PutObjectTagging"
	opGetTagging = "GetObjectTagging"
)

// Tags reports whether an object that is given a tag has it afterwards, and its content too.
func (s *Scratch) Tags(ctx context.Context) (bool, error) {
	key := s.key("tags")
	if _, err := s.write(ctx, key, scratchContent, nil); err != nil {
		return false, err
	}
	if err := s.putTags(ctx, key); err != nil {
		return false, unlessDeclined(err)
	}
	found, err := s.tags(ctx, key)
	if err != nil {
		return false, unlessDeclined(err)
	}
	content, err := s.read(ctx, key, s3mesh.ReadOptions{})
	kept := len(found) == 1 && found[0] == scratchTag()
	return kept && content == scratchContent, err
}

// unlessDeclined returns err, unless it means that the store does not do it.
func unlessDeclined(err error) error {
	if declined(err) {
		return nil
	}
	return err
}

func scratchTag() tag { return tag{"s3mesh", "probe"} }

func (s *Scratch) putTags(ctx context.Context, key string) error {
	r := request{op: opPutTagging, key: key, query: url.Values{"tagging": {""}}}
	return s.putXML(ctx, r, tagging{Tags: []tag{scratchTag()}})
}

func (s *Scratch) tags(ctx context.Context, key string) ([]tag, error) {
	r := request{op: opGetTagging, key: key, method: http.MethodGet, query: url.Values{"tagging": {""}}}
	resp, err := s.exact.client.do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer discard(resp)
	var answer tagging
	if err := decodeXML(resp.Body, maxAnswer, &answer); err != nil {
		return nil, s.exact.client.fail(ctx, r, brokenOff(err))
	}
	return answer.Tags, nil
}

// read returns the content of an object, which is short.
func (s *Scratch) read(ctx context.Context, key string, opt s3mesh.ReadOptions) (string, error) {
	_, body, err := s.exact.Get(ctx, key, opt)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }() // it was read to its end
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	return string(data), err
}

// Range reports whether the store gives a part of an object when asked for it.
func (s *Scratch) Range(ctx context.Context) (bool, error) {
	key := s.key("range")
	if _, err := s.write(ctx, key, scratchContent, nil); err != nil {
		return false, err
	}
	got, err := s.read(ctx, key, s3mesh.ReadOptions{Range: &s3mesh.ByteRange{Offset: 2, Length: 3}})
	if err != nil {
		return false, unlessDeclined(err)
	}
	return got == scratchContent[2:5], nil
}

// Parts reports whether the store tells how many parts a multipart object has.
func (s *Scratch) Parts(ctx context.Context) (bool, error) {
	key := s.key("parts")
	upload, etag, err := s.begin(ctx, key, scratchContent)
	if err != nil {
		return false, err
	}
	if _, err := upload.Complete(ctx, []string{etag}, s3mesh.IfAbsent()); err != nil {
		return false, err
	}
	object, err := s.bucket.Head(ctx, key, s3mesh.ReadOptions{Part: 1})
	if err != nil {
		return false, unlessDeclined(err)
	}
	return object.Parts == 1, nil
}
