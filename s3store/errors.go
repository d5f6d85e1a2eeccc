package s3store

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// The operations, named as S3 names them.
const (
	opHead       = "HeadObject"
	opGet        = "GetObject"
	opPut        = "PutObject"
	opHistory    = "ListObjectVersions"
	opBegin      = "CreateMultipartUpload"
	opPart       = "UploadPart"
	opComplete   = "CompleteMultipartUpload"
	opAbort      = "AbortMultipartUpload"
	opDelete     = "DeleteObject"
	opList       = "ListObjectsV2"
	opVersioning = "GetBucketVersioning"
	opHeadBucket = "HeadBucket"
)

// metadataTooLarge is the code for more metadata than the store takes.
const metadataTooLarge = "MetadataTooLarge"

// kindByCode is what the error codes of S3 and of the products that speak it come to. A code that is not here is
// classified by its HTTP status, in kindByStatus.
var kindByCode = map[string]s3mesh.Kind{
	"NoSuchKey":     s3mesh.KindNotFound,
	"NoSuchVersion": s3mesh.KindNotFound,
	"NoSuchUpload":  s3mesh.KindNotFound,

	"NoSuchBucket": s3mesh.KindNoSuchBucket,

	"PreconditionFailed": s3mesh.KindPreconditionFailed,

	"ConditionalRequestConflict": s3mesh.KindConflict,
	"OperationAborted":           s3mesh.KindConflict,

	"SlowDown":                  s3mesh.KindThrottled,
	"SlowDownRead":              s3mesh.KindThrottled, // MinIO
	"SlowDownWrite":             s3mesh.KindThrottled, // MinIO
	"ServerBusy":                s3mesh.KindThrottled, // MinIO
	"TooManyRequests":           s3mesh.KindThrottled,
	"RequestLimitExceeded":      s3mesh.KindThrottled,
	"BandwidthLimitExceeded":    s3mesh.KindThrottled,
	"Throttling":                s3mesh.KindThrottled,
	"ThrottlingException":       s3mesh.KindThrottled,
	"RequestThrottled":          s3mesh.KindThrottled,
	"RequestThrottledException": s3mesh.KindThrottled,

	"InternalError":              s3mesh.KindUnreachable,
	"ServiceUnavailable":         s3mesh.KindUnreachable,
	"RequestTimeout":             s3mesh.KindUnreachable, // a 400: the body stalled on its way
	"TemporaryRedirect":          s3mesh.KindUnreachable, // a new bucket whose name is not known everywhere yet
	"XMinioServerNotInitialized": s3mesh.KindUnreachable,
	"XMinioBackendDown":          s3mesh.KindUnreachable,
	"XMinioIAMNotInitialized":    s3mesh.KindUnreachable,

	"AccessDenied":          s3mesh.KindAccessDenied,
	"AccountProblem":        s3mesh.KindAccessDenied,
	"AllAccessDisabled":     s3mesh.KindAccessDenied,
	"ExpiredToken":          s3mesh.KindAccessDenied,
	"InvalidAccessKeyId":    s3mesh.KindAccessDenied,
	"InvalidSecurity":       s3mesh.KindAccessDenied,
	"InvalidToken":          s3mesh.KindAccessDenied,
	"InvalidTokenId":        s3mesh.KindAccessDenied,
	"NotSignedUp":           s3mesh.KindAccessDenied,
	"RequestTimeTooSkewed":  s3mesh.KindAccessDenied,
	"SignatureDoesNotMatch": s3mesh.KindAccessDenied,
	"TokenRefreshRequired":  s3mesh.KindAccessDenied,

	"InvalidObjectState": s3mesh.KindInvalid, // a 403: archived, and to be restored before it can be read

	"DirectoryObjectContainsData":   s3mesh.KindUnstorable, // versitygw
	"ExistingObjectIsDirectory":     s3mesh.KindUnstorable, // versitygw
	"InvalidURI":                    s3mesh.KindUnstorable,
	"KeyTooLongError":               s3mesh.KindUnstorable,
	metadataTooLarge:                s3mesh.KindUnstorable,
	"ObjectParentIsFile":            s3mesh.KindUnstorable, // versitygw
	"RequestHeaderSectionTooLarge":  s3mesh.KindUnstorable,
	"UnsupportedMetadata":           s3mesh.KindUnstorable, // MinIO
	"XMinioInvalidObjectName":       s3mesh.KindUnstorable,
	"XMinioInvalidResourceName":     s3mesh.KindUnstorable,
	"XMinioObjectExistsAsDirectory": s3mesh.KindUnstorable,
	"XMinioParentIsObject":          s3mesh.KindUnstorable,
	"XMinioInvalidUTF":              s3mesh.KindUnstorable,

	"EntityTooLarge": s3mesh.KindTooLarge,

	"NotImplemented": s3mesh.KindUnsupported,

	"BadDigest":                   s3mesh.KindCorrupted,
	"IncompleteBody":              s3mesh.KindCorrupted,
	"InvalidDigest":               s3mesh.KindCorrupted,
	"XAmzContentChecksumMismatch": s3mesh.KindCorrupted,
	"XAmzContentSHA256Mismatch":   s3mesh.KindCorrupted,

	// Full stores answer 403 or 507. That may pass, and is neither a matter of permission nor of the endpoint.
	"InsufficientStorage":            s3mesh.KindOther,
	"QuotaExceeded":                  s3mesh.KindOther,
	"XMinioAdminBucketQuotaExceeded": s3mesh.KindOther,
	"XMinioStorageFull":              s3mesh.KindOther,
}

// kindByStatus classifies answers without a known code: those to HEAD, which have no body, and those of proxies.
func kindByStatus(status int) s3mesh.Kind {
	switch status {
	case http.StatusNotFound:
		return s3mesh.KindNotFound
	case http.StatusPreconditionFailed:
		return s3mesh.KindPreconditionFailed
	case http.StatusConflict:
		return s3mesh.KindConflict
	case http.StatusTooManyRequests:
		return s3mesh.KindThrottled
	case http.StatusUnauthorized, http.StatusForbidden:
		return s3mesh.KindAccessDenied
	case http.StatusRequestEntityTooLarge:
		return s3mesh.KindTooLarge
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return s3mesh.KindUnsupported
	case http.StatusTemporaryRedirect, http.StatusRequestTimeout:
		return s3mesh.KindUnreachable
	case http.StatusInsufficientStorage:
		return s3mesh.KindOther
	}
	if status >= http.StatusInternalServerError {
		return s3mesh.KindUnreachable
	}
	return s3mesh.KindInvalid
}

// responseError is an answer that says no.
type responseError struct {
	status    int
	server    string // the product, as it names itself
	marker    bool   // the answer is about a delete marker
	region    string // where the bucket is, if the answer says that it is elsewhere
	Code      string `xml:"Code"`
	Message   string `xml:"Message"`
	RequestID string `xml:"RequestId"`
}

func readResponseError(resp *http.Response) error {
	e := &responseError{
		status: resp.StatusCode,
		server: resp.Header.Get("Server"),
		marker: resp.Header.Get("X-Amz-Delete-Marker") == "true",
		region: resp.Header.Get("X-Amz-Bucket-Region"),
	}
	// What is no XML is a proxy's page: the status then has to do.
	_ = xml.NewDecoder(io.LimitReader(resp.Body, maxErrorBody)).Decode(e)
	if e.Code == "" {
		e.Code = resp.Header.Get("X-Minio-Error-Code") // MinIO's answers to HEAD
	}
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get("X-Amz-Request-Id")
	}
	return e
}

func (e *responseError) Error() string {
	text := fmt.Sprintf("HTTP %d", e.status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Code == metadataTooLarge {
		text += ": s3mesh's own version stamp, about 200 bytes of metadata, counts towards the limit (2 KB on Amazon S3)"
	}
	if e.status == http.StatusMovedPermanently && e.region != "" {
		text += ": the bucket is in " + e.region
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// kind is what the answer to r comes to.
func (e *responseError) kind(r request) s3mesh.Kind {
	kind := e.saidKind()
	reads := r.op == opHead || r.op == opGet || r.op == opGetTagging
	switch {
	case reads && e.status == http.StatusMethodNotAllowed && e.marker:
		return s3mesh.KindNotFound // a delete marker, asked for by its version ID
	case reads && kind == s3mesh.KindUnstorable:
		return s3mesh.KindNotFound // what cannot be there is not there
	case r.op == opHead && e.Code == "" && e.status == http.StatusBadRequest && !isFilePath(r.key):
		return s3mesh.KindNotFound // the same, from stores that keep objects as files
	case !reads && e.Code == "NoSuchKey" && r.header.Get("If-Match") != "":
		return s3mesh.KindPreconditionFailed // the key is gone
	}
	return kind
}

// saidKind is what the answer comes to by itself, whatever was asked.
func (e *responseError) saidKind() s3mesh.Kind {
	if e.locked() {
		return s3mesh.KindLocked
	}
	if kind, known := kindByCode[e.Code]; known {
		return kind
	}
	return kindByStatus(e.status)
}

// isFilePath reports whether a store that keeps objects as files can hold key as it is.
func isFilePath(key string) bool { return !hasLongSegment(key) && isPlainPath(key) }

// hasLongSegment reports whether some part of key between slashes is longer than a file name can be.
func hasLongSegment(key string) bool {
	const longest = 255
	for segment := range strings.SplitSeq(key, "/") {
		if len(segment) > longest {
			return true
		}
	}
	return false
}

// credentialsError tells that no credentials could be had.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// fail makes the *s3mesh.Error for err, which came of r. The order is that of certainty: a caller who gave up, a body that
// could not be read, what the store said; anything else is no answer.
func (c *client) fail(ctx context.Context, r request, err error) error {
	kind := s3mesh.KindUnreachable
	var response *responseError
	var credentials *credentialsError
	var known *s3mesh.Error
	switch bodyErr := r.body.failure(); {
	case ctx.Err() != nil:
		kind, err = s3mesh.KindOf(ctx.Err()), ctx.Err()
	case bodyErr != nil:
		kind, err = bodyKind(bodyErr), bodyErr
	case errors.As(err, &known):
		kind = known.Kind
	case errors.As(err, &response):
		kind = response.kind(r)
	case errors.As(err, &credentials):
		kind = s3mesh.KindAccessDenied
	}
	return &s3mesh.Error{Kind: kind, Op: r.op, Site: c.site, Key: r.key, Err: err}
}

// bodyKind classifies an error of the reader that a body came from: its own kind, where that is known.
func bodyKind(err error) s3mesh.Kind {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return s3mesh.KindCorrupted
	}
	return s3mesh.KindOf(err)
}

// refuse is the error for what is not even sent.
func (c *client) refuse(r request, kind s3mesh.Kind, why string) error {
	return &s3mesh.Error{Kind: kind, Op: r.op, Site: c.site, Key: r.key, Err: errors.New(why)}
}
