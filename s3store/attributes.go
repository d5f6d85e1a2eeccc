package s3store

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/s3mesh/s3mesh"
)

const metaPrefix = "X-Amz-Meta-"

// contentHeaders pairs the headers of an object with the attributes they carry.
func contentHeaders(a *s3mesh.Attributes) []struct {
	name  string
	value *string
} {
	return []struct {
		name  string
		value *string
	}{
		{"Content-Type", &a.ContentType},
		{"Content-Encoding", &a.ContentEncoding},
		{"Content-Language", &a.ContentLanguage},
		{"Content-Disposition", &a.ContentDisposition},
		{"Cache-Control", &a.CacheControl},
		{"Expires", &a.Expires},
		{"X-Amz-Website-Redirect-Location", &a.WebsiteRedirect},
	}
}

// attributeHeader returns the request header for a. What HTTP cannot carry is an error.
func attributeHeader(a s3mesh.Attributes) (http.Header, error) {
	header := make(http.Header, 10+len(a.Metadata))
	for _, h := range contentHeaders(&a) {
		if *h.value == "" {
			continue
		}
		if strings.ContainsFunc(*h.value, isControl) {
			return nil, fmt.Errorf("%s holds a control character", h.name)
		}
		header[h.name] = []string{*h.value}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Metadata)) {
		if name == "" || strings.ContainsFunc(name, notToken) {
			return nil, fmt.Errorf("the metadata name %q cannot be a header", name)
		}
		header.Set(metaPrefix+name, encodeMetadata(a.Metadata[name]))
	}
	return header, nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// notToken reports that r may not be in a header name (RFC 9110, token).
func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// encodeMetadata makes value fit for a header. Amazon S3 takes raw bytes past ASCII for Latin-1, so that what is not
// printable ASCII goes as one encoded word of RFC 2047, which Amazon S3 decodes and other stores keep as it is.
func encodeMetadata(value string) string {
	if isPrintable(value) {
		return value
	}
	return "=?UTF-8?B?" + base64.StdEncoding.EncodeToString([]byte(value)) + "?="
}

// decodeMetadata undoes [encodeMetadata], whoever encoded: Amazon S3 and MinIO do so for what clients wrote raw. A value
// that did not need encoding is left as it is, because a client wrote those very characters.
func decodeMetadata(value string) string {
	if !strings.Contains(value, "=?") {
		return value
	}
	var decoder mime.WordDecoder
	decoded, err := decoder.DecodeHeader(value)
	if err != nil || isPrintable(decoded) || !utf8.ValidString(decoded) {
		return value
	}
	return decoded
}

// isPrintable reports whether HTTP carries s unchanged: printable ASCII without blanks at its ends.
func isPrintable(s string) bool {
	if s != strings.Trim(s, " ") {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// objectFrom reads the object that the headers of an answer to HEAD or GET describe. The read may have asked for a version.
func objectFrom(resp *http.Response, asked s3mesh.ReadOptions) (s3mesh.Object, error) {
	h := resp.Header
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return s3mesh.Object{}, fmt.Errorf("Last-Modified: %w", err)
	}
	o := s3mesh.Object{
		Size:       resp.ContentLength,
		ETag:       unquote(h.Get("ETag")),
		VersionID:  cmp.Or(asked.VersionID, currentID(h.Get("X-Amz-Version-Id"))),
		OpaqueETag: opaqueETag(h),
		Attributes: attributesFrom(h),
	}
	o.LastModified = writeTime(h.Get("Server"), o.VersionID, modified)
	if o.Parts, err = countFrom(h, "X-Amz-Mp-Parts-Count"); err != nil {
		return s3mesh.Object{}, err
	}
	if o.Tags, err = countFrom(h, "X-Amz-Tagging-Count"); err != nil {
		return s3mesh.Object{}, err
	}
	if o.Size < 0 {
		return s3mesh.Object{}, errors.New("the store did not tell the object's size")
	}
	return o, nil
}

// countFrom returns the number in a header, or 0 where there is none.
func countFrom(h http.Header, name string) (int, error) {
	text := h.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

// wholeSize returns the object's size from a Content-Range.
func wholeSize(contentRange string) (int64, error) {
	_, total, _ := strings.Cut(contentRange, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("Content-Range %q: %w", contentRange, err)
	}
	return size, nil
}

// opaqueETag reports that the ETag is no digest of the content: with KMS keys, and with keys of the client's own.
func opaqueETag(h http.Header) bool {
	return strings.HasPrefix(h.Get("X-Amz-Server-Side-Encryption"), "aws:kms") ||
		h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != ""
}

func attributesFrom(h http.Header) s3mesh.Attributes {
	var a s3mesh.Attributes
	for _, c := range contentHeaders(&a) {
		*c.value = h.Get(c.name)
	}
	a.ContentEncoding = withoutChunked(a.ContentEncoding)
	for name, values := range h {
		if rest, ok := strings.CutPrefix(name, metaPrefix); ok {
			if a.Metadata == nil {
				a.Metadata = make(map[string]string)
			}
			a.Metadata[strings.ToLower(rest)] = decodeMetadata(strings.Join(values, ","))
		}
	}
	return a
}

// withoutChunked drops "aws-chunked": it is how a client framed its upload, and some stores keep it.
func withoutChunked(encoding string) string {
	if !strings.Contains(encoding, "aws-chunked") {
		return encoding
	}
	var kept []string
	for coding := range strings.SplitSeq(encoding, ",") {
		if coding = strings.TrimSpace(coding); coding != "" && coding != "aws-chunked" {
			kept = append(kept, coding)
		}
	}
	return strings.Join(kept, ",")
}

func unquote(etag string) string { return strings.Trim(etag, `"`) }

func quote(etag string) string { return `"` + etag + `"` }

// wholeSeconds cuts a time to what every store gives.
func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// writtenFrom reads what an answer to a write says.
func writtenFrom(h http.Header, etag string) s3mesh.Written {
	return s3mesh.Written{ETag: unquote(cmp.Or(etag, h.Get("ETag"))), VersionID: currentID(h.Get("X-Amz-Version-Id"))}
}
