package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// Variant is a deliberately broken world: what the checker must find. Each breaks the rule from outside of the code under test,
// by what the stores answer or by what the replicators are told.
type Variant string

// The variants. Sound is the world as it is meant to be.
const (
	Sound Variant = ""
	// NoCondition has stores ignore every condition, and claim that they honour them.
	NoCondition Variant = "no condition"
	// NoTombstone loses every tombstone, so that a replicated marker passes for a new delete.
	NoTombstone Variant = "no tombstone"
	// NoTrace has a target forget that it holds a delete, so that it looks like a site that never held the key.
	NoTrace Variant = "no trace of a delete"
	// TargetWinsTies has each site keep what it holds where two sites wrote at the same time of the version order.
	TargetWinsTies Variant = "wrong tie-break"
	// SkipIfExists never overwrites, as the article has it.
	SkipIfExists Variant = "skip if exists"
	// LastModifiedWins lets LastModified decide, whatever lies below.
	LastModifiedWins Variant = "last writer wins on LastModified alone"
	// FoundIsOlder takes a version for older that is found in the other site's history, itself or a replica of it.
	FoundIsOlder Variant = "found in the other site's history is older"
	// SkewBeyondBound has clocks that are further apart than the replicators are told.
	SkewBeyondBound Variant = "skew beyond the bound"
)

// breakWorld changes what a broken world is made of.
func breakWorld(cfg *WorldConfig) {
	switch cfg.Variant {
	case NoCondition:
		for i := range cfg.Sites {
			cfg.Sites[i].Lacks = s3mesh.AllCapabilities()
		}
	case LastModifiedWins:
		cfg.MaxClockSkew = -2 * time.Second
	case SkewBeyondBound:
		for i := range cfg.Sites {
			cfg.Sites[i].Skew *= 20
		}
	default: // broken at the requests: see newVariant
	}
}

// variant is how a broken world differs, at the requests of the replicators. Its zero fields change nothing.
type variant struct {
	// place decides otherwise between two writes on top of a source and a target.
	place func(w *world, key string, source, target top) placing
	// forgetful answers no question for what lies below a version.
	forgetful bool
	// traceless hides the delete markers of the target.
	traceless bool
	// onPut returns false for a write that is answered and not done.
	onPut func(key string, cond s3mesh.Condition) bool
}

// placing is where the target's version is made to stand, compared with the source's.
type placing int

const (
	inOrder placing = iota
	before
	after
)

// top is a write on top of a site.
type top struct{ site, write int }

func newVariant(v Variant) *variant {
	switch v {
	case NoTombstone:
		return &variant{onPut: func(key string, _ s3mesh.Condition) bool { return !strings.HasPrefix(key, s3mesh.ReservedPrefix) }}
	case SkipIfExists:
		return &variant{onPut: func(key string, cond s3mesh.Condition) bool {
			return cond.Absent() || strings.HasPrefix(key, s3mesh.ReservedPrefix)
		}}
	case TargetWinsTies:
		return &variant{place: targetWinsTies}
	case FoundIsOlder:
		return &variant{place: foundIsOlder}
	case LastModifiedWins:
		return &variant{forgetful: true}
	case NoTrace:
		return &variant{traceless: true, onPut: newVariant(NoTombstone).onPut}
	default:
		return &variant{}
	}
}

func targetWinsTies(w *world, _ string, source, target top) placing {
	s, t := &w.log.writes[source.write], &w.log.writes[target.write]
	if s.site != t.site && s.time == t.time {
		return after
	}
	return inOrder
}

func foundIsOlder(w *world, key string, source, target top) placing {
	found := func(n, at int) bool {
		return slices.ContainsFunc(w.versions(at, key), func(v held) bool { return w.identify(at, key, v) == n })
	}
	switch {
	case found(target.write, source.site):
		return before
	case found(source.write, target.site):
		return after
	default:
		return inOrder
	}
}

// look changes what a task sees on top of its target: the same version, with another time.
func (v *variant) look(p port, key string, obj s3mesh.Object) s3mesh.Object {
	e := p.w.running.entry
	if v.place == nil || p.site != e.target {
		return obj
	}
	held, ok := p.w.top(e.source, key)
	source, target := top{e.source, unknown}, top{p.site, parseIdentity(obj.Attributes.ContentType)}
	if ok {
		source.write = p.w.identify(e.source, key, held)
	}
	if source.write < 0 || target.write < 0 || source.write == target.write {
		return obj
	}
	where := v.place(p.w, key, source, target)
	if where == inOrder {
		return obj
	}
	version := resolve.Read(p.w.name(p.site), key, obj).Version
	version.Exact, version.Time = true, s3mesh.LogicalTime{}
	if where == after {
		version.Time.Seconds = epoch.AddDate(1, 0, 0).Unix()
	}
	stamp := resolve.Stamp{Version: version, Written: obj.LastModified}
	metadata := maps.Clone(obj.Attributes.Metadata)
	if metadata == nil {
		metadata = make(map[string]string, 1)
	}
	obj.Attributes.Metadata = metadata
	metadata[stampName] = stamp.Encode(resolve.Place{Site: p.w.name(p.site), Key: key}, obj.Size)
	return obj
}

func (v *variant) history(p port, entries []s3mesh.HistoryEntry) []s3mesh.HistoryEntry {
	if v.forgetful && p.w.running.reason == "exact" {
		return nil
	}
	if t := p.w.running; v.traceless && p.site == t.entry.target && (t.reason == "marker" || t.reason == "covered") {
		return slices.DeleteFunc(entries, func(e s3mesh.HistoryEntry) bool { return e.DeleteMarker })
	}
	return entries
}

func (v *variant) put(key string, cond s3mesh.Condition, write func() (s3mesh.Written, error)) (s3mesh.Written, error) {
	if v.onPut != nil && !v.onPut(key, cond) {
		return s3mesh.Written{ETag: cond.ETag()}, nil
	}
	return write()
}
