package resolve

import (
	"cmp"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// Decision is what to do about a key on one link.
type Decision int

// The decisions.
const (
	// Copy: the source's version is the later one; write it to the target.
	Copy Decision = iota + 1
	// InSync: both hold the same version.
	InSync
	// Superseded: the target's version is the later one; leave it.
	Superseded
	// NeedExact: the times at hand cannot tell. Ask for the exact time of both versions where they were written, and
	// resolve again.
	NeedExact
)

// String returns the decision's name.
func (d Decision) String() string {
	switch d {
	case Copy:
		return "copy"
	case InSync:
		return "in sync"
	case Superseded:
		return "superseded"
	case NeedExact:
		return "need exact"
	default:
		return "invalid"
	}
}

// Resolve decides between the version at a source and the one at a target, which is nil when the target never held the
// key. skew is the largest difference between the sites' clocks for which the order is still causal. A delete is a version
// like any other: "held" includes it, and to copy it is to delete at the target.
//
//	target | versions | times                                                  | decision
//	-------+----------+--------------------------------------------------------+-----------
//	none   | –        | –                                                      | Copy
//	held   | same     | –                                                      | InSync
//	held   | differ   | one not exact, and apart by at most skew               | NeedExact
//	held   | differ   | one not exact, and that one multipart                  | NeedExact
//	held   | differ   | otherwise, source after target in the order            | Copy
//	held   | differ   | otherwise, target after source in the order            | Superseded
func Resolve(source s3mesh.Version, target *s3mesh.Version, skew time.Duration) Decision {
	switch {
	case target == nil:
		return Copy
	case source.Same(*target):
		return InSync
	case uncertain(source, *target, skew):
		return NeedExact
	case Compare(source, *target) > 0:
		return Copy
	default:
		return Superseded
	}
}

// Compare places two versions in the total order: logical time, then the name of the origin site, then what tells two
// versions of one origin apart. It returns 0 only for versions that are the same.
func Compare(a, b s3mesh.Version) int {
	return cmp.Or(
		a.Time.Compare(b.Time),
		strings.Compare(a.Origin, b.Origin),
		strings.Compare(a.ETag, b.ETag),
		strings.Compare(a.VersionID, b.VersionID),
		compareBool(a.Deleted, b.Deleted),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// uncertain reports that LastModified alone must not decide. A time read off a LastModified differs from the exact one by at
// most the clocks' skew, unless the object is multipart: AWS dates those at the start of the upload.
func uncertain(a, b s3mesh.Version, skew time.Duration) bool {
	if a.Exact && b.Exact {
		return false
	}
	if (!a.Exact && Multipart(a.ETag)) || (!b.Exact && Multipart(b.ETag)) {
		return true
	}
	apart := a.Time.Seconds - b.Time.Seconds
	if apart < 0 {
		apart = -apart
	}
	return apart <= wholeSeconds(skew)
}

// wholeSeconds rounds up, as times are whole seconds.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// Multipart reports whether an ETag is that of a multipart object: "<hex>-<number of parts>".
func Multipart(etag string) bool { return strings.Contains(etag, "-") }

// Native returns the exact time of a version that a client wrote over previous, the version right below it in the history
// of its site (nil for the first): the LastModified, or just after previous where the clock does not show that.
func Native(lastModified time.Time, previous *s3mesh.LogicalTime) s3mesh.LogicalTime {
	t := s3mesh.TimeAt(lastModified)
	if previous != nil && previous.Compare(t) >= 0 {
		return previous.Next()
	}
	return t
}

// CannotReach reports that the version of entry is so much earlier than a later one of the same history, modified at
// later, that it can no longer push that one's exact time past its LastModified. A multipart version may always: AWS dates
// it at the start of its upload.
func CannotReach(entry s3mesh.HistoryEntry, later time.Time, skew time.Duration) bool {
	return !Multipart(entry.ETag) && later.Unix()-entry.LastModified.Unix() > wholeSeconds(skew)
}
