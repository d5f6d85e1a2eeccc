package s3store

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// versitygw keeps the current version of a key as a file, and deletes by marking that file. Two things follow in release
// 1.8: the marker bears the time and the ETag of the object that it hides, and If-None-Match takes it for an object.
const versitygw = "VERSITYGW"

// refusedByVersitygw reports that err is a failed condition there, which may be due to a delete marker.
func refusedByVersitygw(err error) bool {
	var response *responseError
	return errors.As(err, &response) && response.server == versitygw &&
		response.status == http.StatusPreconditionFailed
}

// unknownToVersitygw reports that err is its answer to the removal of a version that is not there: the same as to an ID
// which cannot be, where other products report success.
func unknownToVersitygw(err error, versionID string) bool {
	var response *responseError
	_, possible := ulidTime(versionID)
	return possible && errors.As(err, &response) && response.server == versitygw && response.Code == "InvalidArgument"
}

// absenceBeforehand is absence where the store is versitygw, which is found out once, and IfAbsent elsewhere.
func (b *Bucket) absenceBeforehand(ctx context.Context, r request) (s3mesh.Condition, error) {
	if b.client.product.Load() == nil && !b.client.exactKeys {
		if err := b.headBucket(ctx); err != nil {
			return s3mesh.Condition{}, err
		}
	}
	if product := b.client.product.Load(); product == nil || *product != versitygw {
		return s3mesh.IfAbsent(), nil
	}
	return b.absence(ctx, r)
}

// absence returns the condition that versitygw checks in place of IfAbsent. Under a delete marker that is If-Match with the
// ETag of the object which the marker hides: the store compares it under the lock of the key. It stands for "the marker,
// or the very same bytes written anew", which is as exact as If-Match ever is. Where an object is on top, the error is
// what IfAbsent would have come to.
func (b *Bucket) absence(ctx context.Context, r request) (s3mesh.Condition, error) {
	top := true
	for entry, err := range b.History(ctx, r.key) {
		switch {
		case err != nil:
			return s3mesh.Condition{}, err
		case top && !entry.DeleteMarker:
			return s3mesh.Condition{}, b.client.refuse(r, s3mesh.KindPreconditionFailed, "the key holds an object")
		case !entry.DeleteMarker:
			return s3mesh.IfMatch(entry.ETag), nil
		}
		top = false
	}
	if top {
		return s3mesh.IfAbsent(), nil
	}
	return s3mesh.Condition{}, b.client.refuse(r, s3mesh.KindConflict,
		"versitygw takes the delete marker for an object, and the versions under it are gone: remove the marker")
}

// sortVersitygw puts a page of version entries in order: versitygw lists its delete markers apart from the objects. What is
// not on top is listed with the time it was replaced at, to the second for objects and finer for markers. Of versions that
// were replaced within one second the IDs are in order; what was written before versioning was on has no such ID and comes
// last.
func sortVersitygw(entries []entry) {
	id := func(e entry) string { return strings.TrimSuffix(e.id, nullVersion) }
	slices.SortStableFunc(entries, func(a, b entry) int {
		switch {
		case a.key != b.key:
			return strings.Compare(a.key, b.key)
		case a.latest:
			return -1
		case b.latest:
			return 1
		}
		replaced := wholeSeconds(b.modified).Compare(wholeSeconds(a.modified))
		return cmp.Or(replaced, strings.Compare(id(b), id(a)))
	})
}

// writeTime returns when a version was written, to the second. versitygw gives noncurrent versions the time at which they
// were replaced and markers that of the object they hide, but its version IDs are ULIDs, which start with the true time.
func writeTime(server, versionID string, lastModified time.Time) time.Time {
	if at, ok := ulidTime(versionID); server == versitygw && ok {
		return wholeSeconds(at)
	}
	return wholeSeconds(lastModified)
}

// ulidTime returns the time in a ULID: its first ten characters, in Crockford's base 32, are milliseconds.
func ulidTime(id string) (time.Time, bool) {
	const length, timeLength, radixBits = 26, 10, 5
	if len(id) != length {
		return time.Time{}, false
	}
	var ms int64
	for i := range timeLength {
		digit, ok := crockford(id[i])
		if !ok {
			return time.Time{}, false
		}
		ms = ms<<radixBits | digit
	}
	return time.UnixMilli(ms), true
}

func crockford(c byte) (int64, bool) {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	for i := range len(alphabet) {
		if alphabet[i] == c {
			return int64(i), true
		}
	}
	return 0, false
}
