package resolve

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// MetadataName is the user metadata entry that carries a replica's version: x-amz-meta-s3mesh-version.
const MetadataName = "s3mesh-version"

// Stamp is what s3mesh writes into a replica's metadata: the version it is a replica of.
//
//	v1 <seconds>.<counter>[~] <origin> <etag>[~] <version id> <written> <binding>
//
// A "~" marks a time that is not exact, or an ETag that does not depend on the content alone, "-" an absent version ID; written
// is when the replica was made, in Unix nanoseconds. The binding is a short hash over the other fields, the place of the replica
// and its size: a client that copies a replica to another key or site, or rewrites its body and keeps the metadata, does not
// smuggle the old version along.
type Stamp struct {
	Version s3mesh.Version
	// Written is the time of the replicator that wrote the replica, different for every replica at a site: of two objects with
	// the same stamp in one history, the later one is a client's copy of the other.
	Written time.Time
}

// Place is where a replica lies.
type Place struct{ Site, Key string }

// Encode returns the metadata value for a replica at a place with size bytes.
func (s Stamp) Encode(at Place, size int64) string {
	v := s.Version
	mark, etag, versionID := "", v.ETag, v.VersionID
	if !v.Exact {
		mark = "~"
	}
	if v.OpaqueETag {
		etag += "~"
	}
	if versionID == "" {
		versionID = "-"
	}
	text := fmt.Sprintf("v1 %d.%d%s %s %s %s %d",
		v.Time.Seconds, v.Time.Counter, mark, v.Origin, etag, versionID, s.Written.UnixNano())
	return text + " " + binding(text, at, size)
}

func binding(text string, at Place, size int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", text, at.Site, at.Key, size))
	return hex.EncodeToString(sum[:8])
}

var errStamp = errors.New("not a version stamp of this object")

const (
	// maxAhead is how far a version's time may be ahead of the store that holds its replica. S3 refuses requests by a clock that
	// differs from its own by more than 15 minutes (RequestTimeTooSkewed), so that two stores which both serve one s3mesh are
	// no further apart than twice that.
	maxAhead = 30 * time.Minute
	// maxCounter bounds the versions of a key that lie within what clocks can tell.
	maxCounter = 1 << 24
)

// plausible reports whether a version with this time can have been known when the store that tells of it was at the time told.
func plausible(t s3mesh.LogicalTime, told time.Time) bool {
	return t.Seconds >= 0 && t.Seconds <= told.Add(maxAhead).Unix() && t.Counter <= maxCounter
}

// ParseStamp reads the metadata value of an object at a place with size bytes. A value that is malformed, or bound to another
// place, size or version, is an error: such an object is a client's own.
func ParseStamp(value string, at Place, size int64) (Stamp, error) {
	f := strings.Split(value, " ")
	if len(f) != 7 || f[0] != "v1" {
		return Stamp{}, fmt.Errorf("%w: want 7 fields starting with v1", errStamp)
	}
	if text := strings.TrimSuffix(value, " "+f[6]); binding(text, at, size) != f[6] {
		return Stamp{}, fmt.Errorf("%w: its binding does not match", errStamp)
	}
	clock, inexact := strings.CutSuffix(f[1], "~")
	sec, ctr, _ := strings.Cut(clock, ".")
	seconds, err1 := strconv.ParseInt(sec, 10, 64)
	counter, err2 := strconv.ParseUint(ctr, 10, 32)
	written, err3 := strconv.ParseInt(f[5], 10, 64)
	if err := errors.Join(err1, err2, err3, s3mesh.ValidateName(f[2])); err != nil {
		return Stamp{}, fmt.Errorf("%w: %w", errStamp, err)
	}
	v := s3mesh.Version{
		Time:   s3mesh.LogicalTime{Seconds: seconds, Counter: uint32(counter)},
		Exact:  !inexact,
		Origin: f[2], VersionID: f[4],
	}
	v.ETag, v.OpaqueETag = strings.CutSuffix(f[3], "~")
	if v.VersionID == "-" {
		v.VersionID = ""
	}
	return Stamp{Version: v, Written: time.Unix(0, written).UTC()}, nil
}

// Reading is an object as the version order sees it.
type Reading struct {
	Version s3mesh.Version
	// Replica tells that s3mesh wrote the object, and Written when.
	Replica bool
	Written time.Time
	// Fault tells why a stamp was not believed, so that the object counts as native; nil without a stamp.
	Fault error
}

// Read returns the version that an object held by site under key is. An object without a stamp is native: written at site
// by a client, at its LastModified. So is one whose stamp is malformed or belongs to other
// content.
func Read(site, key string, obj s3mesh.Object) Reading {
	native := Reading{Version: s3mesh.Version{
		Time: s3mesh.TimeAt(obj.LastModified), Origin: site, ETag: obj.ETag, OpaqueETag: obj.OpaqueETag, VersionID: obj.VersionID,
	}}
	value, stamped := obj.Attributes.Metadata[MetadataName]
	if !stamped {
		return native
	}
	stamp, err := ParseStamp(value, Place{site, key}, obj.Size)
	if err == nil && !stamp.Version.OpaqueETag && !sameContent(stamp.Version.ETag, obj) {
		err = fmt.Errorf("%w: its ETag is that of other content", errStamp)
	}
	if err == nil && !plausible(stamp.Version.Time, obj.LastModified) {
		err = fmt.Errorf("%w: its time %v is no time of a write", errStamp, stamp.Version.Time)
	}
	if err != nil {
		native.Fault = err
		return native
	}
	return Reading{Version: stamp.Version, Replica: true, Written: stamp.Written}
}

// sameContent reports whether an object can be a copy of what had this ETag. Only MD5 ETags can be compared: not those of
// multipart objects, and none where the store encrypts in a way that changes them.
func sameContent(etag string, obj s3mesh.Object) bool {
	return etag == obj.ETag || obj.OpaqueETag || Multipart(etag) || Multipart(obj.ETag)
}
