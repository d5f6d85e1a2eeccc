package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

// BucketConfig describes a bucket in memory.
type BucketConfig struct {
	// Site is the name that errors and events carry.
	Site string
	// Unversioned switches versioning off: a write replaces, a delete removes.
	Unversioned bool
	// Lacks names the conditions that the bucket silently ignores, as some products do: a write then happens whatever is
	// there. So does a delete, but as with MinIO one over a delete marker makes none and returns the ID of that one, and one
	// of a key that never was fails. Its Versioned has no meaning here, as Unversioned says that.
	Lacks s3mesh.Capabilities
	// Clock gives the time of each write; nil stands for time.Now.
	Clock func() time.Time
	// OnEvent, where set, is called after each change, by the goroutine that made it and with nothing locked. Events of
	// concurrent writes may come in any order, as they do from real stores.
	OnEvent func(s3mesh.Event)
	// Principal is who the events name for the Bucket's own writes. Those of [Bucket.Application] name nobody.
	Principal string
}

// Bucket is an [s3mesh.Bucket] in memory that behaves as Amazon S3 does: any key is stored as it is, times are whole
// seconds, and a multipart object bears the time its upload began. It is safe for concurrent use.
type Bucket struct {
	cfg BucketConfig

	mu       sync.Mutex
	versions map[string][]version // by key, the oldest first
	uploads  map[string]*upload
	lastID   int
}

var _ s3mesh.Bucket = (*Bucket)(nil)

// version is immutable once it is in a bucket, and so are its tags: others take their place.
type version struct {
	id       string
	etag     string
	modified time.Time
	data     []byte
	parts    []int64 // sizes, for a multipart object
	attr     s3mesh.Attributes
	tags     map[string]string
	marker   bool
}

// maxKey is the longest key that Amazon S3 takes, in bytes.
const maxKey = 1024

// NewBucket returns an empty bucket.
func NewBucket(cfg BucketConfig) *Bucket {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Bucket{cfg: cfg, versions: make(map[string][]version), uploads: make(map[string]*upload)}
}

// Head implements [s3mesh.Reader].
func (b *Bucket) Head(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, error) {
	v, err := b.find(ctx, "HeadObject", key, opt)
	if err != nil {
		return s3mesh.Object{}, err
	}
	object := v.object()
	if opt.Checksums {
		object.Checksums = []s3mesh.Checksum{v.checksum()}
	}
	if opt.Part > 0 {
		switch {
		case len(v.parts) == 0 && opt.Part == 1:
		case opt.Part > len(v.parts):
			return s3mesh.Object{}, b.fail("HeadObject", key, s3mesh.KindInvalid, "there is no such part")
		default:
			object.Parts, object.Size = len(v.parts), v.parts[opt.Part-1]
		}
	}
	return object, nil
}

// Get implements [s3mesh.Reader].
func (b *Bucket) Get(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, io.ReadCloser, error) {
	v, err := b.find(ctx, "GetObject", key, opt)
	if err != nil {
		return s3mesh.Object{}, nil, err
	}
	data := v.data
	if r := opt.Range; r != nil {
		if r.Offset < 0 || r.Length <= 0 || r.Offset >= int64(len(data)) {
			return s3mesh.Object{}, nil, b.fail("GetObject", key, s3mesh.KindInvalid, "the range is outside of the object")
		}
		data = data[r.Offset:]
		data = data[:min(r.Length, int64(len(data)))]
	}
	return v.object(), io.NopCloser(bytes.NewReader(data)), nil
}

// History implements [s3mesh.Reader]. It yields the versions that there were when it was started.
func (b *Bucket) History(ctx context.Context, key string) iter.Seq2[s3mesh.HistoryEntry, error] {
	return func(yield func(s3mesh.HistoryEntry, error) bool) {
		if err := b.check(ctx, "ListObjectVersions", key); err != nil {
			yield(s3mesh.HistoryEntry{}, err)
			return
		}
		b.mu.Lock()
		versions := slices.Clone(b.versions[key])
		b.mu.Unlock()
		for i, v := range slices.Backward(versions) {
			entry := s3mesh.HistoryEntry{
				VersionID: v.id, ETag: v.etag, LastModified: v.modified, Size: int64(len(v.data)),
				DeleteMarker: v.marker, Latest: i == len(versions)-1,
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// find returns the version that a read asks for.
func (b *Bucket) find(ctx context.Context, op, key string, opt s3mesh.ReadOptions) (version, error) {
	if err := b.check(ctx, op, key); err != nil {
		return version{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	v, found := b.top(key)
	if opt.VersionID != "" {
		versions := b.versions[key]
		i := slices.IndexFunc(versions, func(v version) bool { return v.id == opt.VersionID })
		if found = i >= 0 && !versions[i].marker; found {
			v = versions[i]
		}
	}
	switch {
	case !found:
		return version{}, b.fail(op, key, s3mesh.KindNotFound, "no such object")
	case opt.IfMatch != "" && opt.IfMatch != v.etag:
		return version{}, b.fail(op, key, s3mesh.KindPreconditionFailed, "the ETag is another")
	}
	return v, nil
}

// top returns the current object of key. b.mu is held.
func (b *Bucket) top(key string) (version, bool) {
	versions := b.versions[key]
	if len(versions) == 0 || versions[len(versions)-1].marker {
		return version{}, false
	}
	return versions[len(versions)-1], true
}

func (v version) object() s3mesh.Object {
	return s3mesh.Object{
		Size: int64(len(v.data)), ETag: v.etag, VersionID: v.id, LastModified: v.modified,
		Tags: len(v.tags), Attributes: cloneAttributes(v.attr),
	}
}

func (v version) written() s3mesh.Written { return s3mesh.Written{ETag: v.etag, VersionID: v.id} }

// check refuses what no store gets to see: a call that was given up, a key that cannot be.
func (b *Bucket) check(ctx context.Context, op, key string) error {
	switch {
	case ctx.Err() != nil:
		return &s3mesh.Error{Kind: s3mesh.KindOf(ctx.Err()), Op: op, Site: b.cfg.Site, Key: key, Err: ctx.Err()}
	case key == "":
		return b.fail(op, key, s3mesh.KindInvalid, "the key is empty")
	}
	return nil
}

func (b *Bucket) fail(op, key string, kind s3mesh.Kind, cause string) error {
	return &s3mesh.Error{Kind: kind, Op: op, Site: b.cfg.Site, Key: key, Err: errors.New(cause)}
}

// nextID returns an ID that no version or upload has yet. b.mu is held.
func (b *Bucket) nextID() string {
	b.lastID++
	return fmt.Sprintf("%08d", b.lastID)
}
