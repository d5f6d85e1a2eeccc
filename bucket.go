package s3mesh

import (
	"context"
	"io"
	"iter"
	"time"
)

// Reader is the read side of a bucket: all that a replicator may do at a site other than its own.
//
// Every method is safe for concurrent use. Errors are *[Error]; a cancelled context ends a call at once with KindCanceled
// and leaves nothing behind. Methods retry nothing but what is invisible to the caller: retries belong to the task.
type Reader interface {
	// Head returns the current object under key, or the one that opt pins. A missing key, or a delete marker on top, is
	// KindNotFound; a failed IfMatch is KindPreconditionFailed.
	Head(ctx context.Context, key string, opt ReadOptions) (Object, error)
	// Get is Head with the body. The caller closes the body. A body that ends early or fails its checksum returns an
	// error of KindCorrupted or KindUnreachable from Read, never io.EOF.
	Get(ctx context.Context, key string, opt ReadOptions) (Object, io.ReadCloser, error)
	// History yields the versions of key, the latest first, delete markers included, fetched a page at a time as the
	// caller goes on. It yields nothing for a key that never was. A bucket without versioning yields the current object
	// alone, with an empty VersionID. After an error the sequence ends.
	History(ctx context.Context, key string) iter.Seq2[HistoryEntry, error]
}

// Bucket is one site's bucket: what a replicator may do at its own site.
//
// Nothing is written unconditionally: a Put or Complete with the zero [Condition] is refused with KindInvalid before any
// request is sent. A write whose condition does not hold is KindPreconditionFailed, or KindConflict when the store says
// that a concurrent operation was in the way; either way nothing was written. After any other error the write may or may
// not have happened: read again.
type Bucket interface {
	Reader
	// Put writes body, exactly in.Size bytes, under key. A body that ends early is KindCorrupted and nothing is written.
	// Where body is an io.Seeker it may be read twice.
	Put(ctx context.Context, key string, in PutInput) (Written, error)
	// BeginUpload starts a multipart upload that becomes an object with attr when completed.
	BeginUpload(ctx context.Context, key string, attr Attributes) (Upload, error)
	// Delete puts a delete marker on top of key, or removes one version of it for good, as opt says. Written.VersionID is
	// that of the marker, or of the version removed. The zero options are refused with KindInvalid.
	Delete(ctx context.Context, key string, opt DeleteOptions) (Written, error)
}

// Upload is a multipart upload in progress. Parts may be put concurrently, in any order; each part number at most once at
// a time. An upload that is neither completed nor aborted stays in the store.
type Upload interface {
	// ID is the store's upload ID.
	ID() string
	// PutPart uploads part number (from 1) of exactly size bytes and returns its ETag.
	PutPart(ctx context.Context, number int, body io.Reader, size int64) (etag string, err error)
	// Complete joins the parts, whose ETags are given in order, into the object, under the condition.
	Complete(ctx context.Context, etags []string, cond Condition) (Written, error)
	// Abort discards the upload and its parts. Aborting twice, or after Complete, is no error.
	Abort(ctx context.Context) error
}

// ReadOptions pins a read. The zero value reads what is current.
type ReadOptions struct {
	VersionID string     // this version
	IfMatch   string     // only while this is the ETag
	Range     *ByteRange // only these bytes (Get)
	Part      int        // Head: describe this part (from 1) of a multipart object
	Checksums bool       // Head: tell the checksums that the store keeps, see Object.Checksums
}

// ByteRange is Length bytes from Offset.
type ByteRange struct{ Offset, Length int64 }

// Condition is what must hold for a write to happen. The zero value is no condition, which every Bucket refuses.
type Condition struct {
	absent bool
	etag   string
}

// IfAbsent returns the condition that the key holds no object (If-None-Match: *).
func IfAbsent() Condition { return Condition{absent: true} }

// IfMatch returns the condition that the key holds the object with this ETag (If-Match).
func IfMatch(etag string) Condition { return Condition{etag: etag} }

// Absent reports whether the condition is [IfAbsent].
func (c Condition) Absent() bool { return c.absent }

// ETag returns the ETag of [IfMatch], or "".
func (c Condition) ETag() string { return c.etag }

// IsZero reports that c is no condition at all.
func (c Condition) IsZero() bool { return !c.absent && c.etag == "" }

// PutInput is one object to write.
type PutInput struct {
	Body       io.Reader
	Size       int64
	Attributes Attributes
	Condition  Condition
}

// DeleteOptions says what to delete. Exactly one field is set.
type DeleteOptions struct {
	// Condition is [IfMatch] of the object that the marker is to cover. When it does not hold the error is
	// KindPreconditionFailed. Not every store honours it (see [Capabilities]): there the marker may cover something else, or be
	// one that a client made at the same moment. So the caller looks at what it covers.
	Condition Condition
	// VersionID names the one version, object or delete marker, to remove for good. It needs no condition, as it says
	// exactly what goes. Removing what is not there is no error.
	VersionID string
}

// Capabilities is what a store was seen to do with a bucket. A replicator falls back to looking before and after a write
// where a condition is not honoured, which takes a bucket that keeps versions.
type Capabilities struct {
	Versioned           bool `json:"versioned"`            // the bucket keeps versions
	ConditionalPut      bool `json:"conditional_put"`      // PUT honours If-None-Match: * and If-Match
	ConditionalComplete bool `json:"conditional_complete"` // so does the completion of a multipart upload
	ConditionalDelete   bool `json:"conditional_delete"`   // DELETE honours If-Match, also in a race
}

// AllCapabilities returns those of Amazon S3 with a versioned bucket.
func AllCapabilities() Capabilities {
	return Capabilities{Versioned: true, ConditionalPut: true, ConditionalComplete: true, ConditionalDelete: true}
}

// Written is what a store says of an object it took.
type Written struct {
	ETag      string // without quotes
	VersionID string // empty where the bucket is not versioned
}

// Object is an object as HEAD or GET describe it.
type Object struct {
	Size         int64 // of the whole object; with ReadOptions.Part, of that part
	ETag         string
	VersionID    string    // empty where the bucket is not versioned
	LastModified time.Time // whole seconds, UTC
	// OpaqueETag tells that the ETag does not depend on the content alone (SSE-KMS, SSE-C), so that equal content may
	// have different ETags.
	OpaqueETag bool
	// Parts is the number of parts, when a Head with ReadOptions.Part asked and the store told; otherwise 0.
	Parts int
	// Checksums are those that the store keeps, when ReadOptions.Checksums asked for them; none where it keeps none.
	Checksums []Checksum
	// Tags is the number of tags, where the store tells and the caller may read them; otherwise 0.
	Tags       int
	Attributes Attributes
}

// Checksum is a checksum of an object's content as its store keeps it. Two objects of which one store keeps the same checksum,
// of the same algorithm and form, have the same content.
//
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
type Checksum struct {
	Algorithm string `json:"algorithm"` // CRC32, CRC32C, CRC64NVME, SHA1 or SHA256
	Value     string `json:"value"`     // base64, and with Composite "-" and the number of parts
	Composite bool   `json:"composite"` // of the checksums of the parts, and not of the whole content
}

// Attributes is what an object carries beside its body, and what a replica must carry too.
type Attributes struct {
	ContentType        string
	ContentEncoding    string
	ContentLanguage    string
	ContentDisposition string
	CacheControl       string
	Expires            string // verbatim, as it may not be a date
	WebsiteRedirect    string
	// Metadata is the user metadata: names in lower case without the "x-amz-meta-" prefix, values decoded to UTF-8.
	Metadata map[string]string
}

// HistoryEntry is one version of a key as a version listing gives it.
type HistoryEntry struct {
	VersionID    string
	ETag         string // empty for a delete marker
	LastModified time.Time
	Size         int64
	DeleteMarker bool
	Latest       bool
}

// Listed is an object as a listing gives it.
type Listed struct {
	Key          string
	Size         int64
	ETag         string // without quotes
	LastModified time.Time
}

// ListedVersion is a version of a key as a listing of versions gives it.
type ListedVersion struct {
	Key string
	HistoryEntry
}

// ListOptions says what to list.
type ListOptions struct {
	Prefix string // only keys with this prefix
	After  string // only keys after this one, in the order that the store lists in
}
