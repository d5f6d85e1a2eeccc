package sim

import (
	"math/bits"
	"strings"

	"github.com/s3mesh/s3mesh"
)

const (
	hashStart = 14695981039346656037
	hashPrime = 1099511628211
)

// mix adds b to a hash, where the order matters.
func mix(a, b uint64) uint64 {
	a = (a ^ b) * hashPrime
	return bits.RotateLeft64(a, 29) ^ a>>17
}

// hashText is FNV-1a.
func hashText(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * hashPrime
	}
	return mix(h, uint64(len(s)))
}

func hashError(err error) uint64 {
	if err == nil {
		return 1
	}
	return mix(2, uint64(s3mesh.KindOf(err)))
}

// hashObject covers what a decision can depend on. The body is covered by its ETag, and the attributes by the content type, which
// names the client's write.
func hashObject(obj s3mesh.Object, err error) uint64 {
	if err != nil {
		return hashError(err)
	}
	h := hashText(hashStart, obj.ETag)
	h = hashText(h, obj.VersionID)
	h = hashText(h, obj.Attributes.ContentType)
	h = hashText(h, stamped(obj.Attributes.Metadata[stampName]))
	return mix(h, uint64(obj.LastModified.Unix()))
}

// stamped is a version stamp without the time it was written at, and the binding over it: that time only tells one stamp from
// another.
func stamped(stamp string) string {
	for range 2 {
		if i := strings.LastIndexByte(stamp, ' '); i >= 0 {
			stamp = stamp[:i]
		}
	}
	return stamp
}

func hashEntry(e s3mesh.HistoryEntry) uint64 {
	h := hashText(hashStart, e.ETag)
	h = hashText(h, e.VersionID)
	if e.DeleteMarker {
		h = mix(h, 7)
	}
	return mix(h, uint64(e.LastModified.Unix()))
}

func hashWritten(w s3mesh.Written, err error) uint64 {
	if err != nil {
		return hashError(err)
	}
	return hashText(hashText(hashStart, w.ETag), w.VersionID)
}

// stateHash covers all that the future depends on.
func (x *explorer) stateHash() uint64 {
	h := mix(uint64(x.next), uint64(x.crashes))
	for at, s := range x.sites {
		h = mix(h, s.hash(x.Keys[0]))
		h = mix(h, boolBit(x.remembers(at)))
	}
	var waiting, live uint64
	for _, e := range x.pending {
		waiting += hashEvent(e)
	}
	for _, t := range x.tasks {
		state := uint64(t.at.op)<<2 | boolBit(t.waits)<<1 | boolBit(t.announced && x.scope.Crashes > 0)
		live += mix(hashEvent(t.entry), mix(t.seen, state))
	}
	h = mix(mix(h, waiting), live)
	for id := range x.unfinished {
		h += mix(uint64(id.source)<<8|uint64(id.target), hashStart)
	}
	for i := range x.log.writes {
		wr := &x.log.writes[i]
		h = mix(h, uint64(wr.covered+8)<<1|boolBit(wr.gone))
	}
	return h
}

func boolBit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// hashEvent covers what an entry can make its task do.
func hashEvent(e *entry) uint64 {
	h := mix(uint64(e.source)<<8|uint64(e.target), uint64(e.attempt))
	h = hashText(h, string(e.lane))
	h = hashText(h, string(e.event.Type))
	h = hashText(h, e.event.VersionID)
	h = mix(h, boolBit(e.waits)<<1|boolBit(e.replaced))
	return mix(hashText(h, e.event.ETag), uint64(e.event.Size))
}

// hash covers what a site holds under a key; it is kept until something is written there.
func (s *site) hash(key string) uint64 {
	if s.cached != 0 {
		return s.cached
	}
	h := uint64(hashStart)
	for e, err := range s.keys.History(background, key) {
		if err != nil {
			return hashError(err)
		}
		h = mix(h, hashEntry(e))
		if !e.DeleteMarker {
			obj, err := s.keys.Head(background, key, s3mesh.ReadOptions{VersionID: e.VersionID})
			h = mix(h, hashObject(obj, err))
		}
	}
	s.cached = mix(h, s.tombstoneHash(key))
	return s.cached
}
