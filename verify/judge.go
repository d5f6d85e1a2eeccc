package verify

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// judge says what is not equal in a look whose contents, markers and tags are known; nil when nothing is.
func (r *runner) judge(key string, l look) *Finding {
	reference, certain := r.reference(l)
	if reference == nil {
		return r.unreadable(key, l)
	}
	f := &Finding{Key: key, Reference: reference.site, Recent: r.recent(l)}
	reached := r.reachable(reference.site)
	verdicts := make(map[Verdict]bool)
	for i := range l {
		h := &l[i]
		at := describe(h)
		at.Differs = r.differs(h, reference)
		switch {
		case len(at.Differs) == 0:
		case at.Differs[0] == DiffUnreadable:
			verdicts[Unreadable] = true
		case at.Differs[0] == DiffDeleted:
			verdicts[Deleted] = true
		case !reached[h.site]:
			verdicts[Unlinked] = true
		default:
			verdicts[Differs] = true
			r.planRepair(f, l, reference, h)
		}
		f.Sites = append(f.Sites, at)
	}
	for _, verdict := range []Verdict{Differs, Unreadable, Deleted, Unlinked} {
		if verdicts[verdict] {
			f.Verdict = verdict
			break
		}
	}
	if f.Verdict == "" {
		return nil
	}
	if !certain && f.Verdict == Differs {
		f.Repairs, f.NotRepairable = nil, "the sites claim to hold the same version, and nothing tells which of them is right: "+
			"write the right one again"
	}
	return f
}

// unreadable is what is found where no site holds anything that could be compared.
func (r *runner) unreadable(key string, l look) *Finding {
	if !l.unread() {
		return nil // removed everywhere since it was listed
	}
	f := &Finding{Key: key, Verdict: Unreadable}
	for i := range l {
		at := describe(&l[i])
		if l[i].err != nil {
			at.Differs = []string{DiffUnreadable}
		}
		f.Sites = append(f.Sites, at)
	}
	return f
}

func describe(h *held) AtSite {
	at := AtSite{Site: h.site, DeletedAt: h.marker.LastModified}
	if h.object != nil {
		at.Version, at.Size, at.ETag, at.Modified = &h.version, h.object.Size, h.object.ETag, h.object.LastModified
	}
	if h.err != nil {
		at.Error = h.err.Error()
	}
	return at
}

// reference returns the site that the others are to be as: of those with the latest version the one where that was written,
// and otherwise one of the largest group that agree. certain is false when there are several such groups. nil: no site holds
// anything.
func (r *runner) reference(l look) (reference *held, certain bool) {
	var holders []*held
	for i := range l {
		h := &l[i]
		if h.err != nil || !h.holds(r.PropagateDeletes) {
			continue
		}
		switch {
		case len(holders) == 0:
		case h.latest().Same(holders[0].latest()):
			holders = append(holders, h)
			continue
		case resolve.Compare(h.latest(), holders[0].latest()) < 0:
			continue
		}
		holders = append(holders[:0], h)
	}
	if len(holders) == 0 {
		return nil, false
	}
	if native := slices.IndexFunc(holders, func(h *held) bool { return h.latest().Origin == h.site }); native >= 0 {
		return holders[native], true
	}
	return majority(holders)
}

// holds reports whether a site holds a version: an object or, where deletes are propagated, a delete.
func (h *held) holds(deletes bool) bool { return h.object != nil || deletes && h.deleted() }

// latest is the version that a site holds. A delete counts as its own, made when its marker was: the tombstone that could tell
// otherwise is not asked, as it is for s3mesh to decide which one wins.
func (h *held) latest() s3mesh.Version {
	if h.object != nil {
		return h.version
	}
	return s3mesh.Version{Time: s3mesh.TimeAt(h.marker.LastModified), Origin: h.site, VersionID: h.marker.VersionID, Deleted: true}
}

// majority returns a member of the largest group of sites that agree, and whether there is only one such group.
func majority(holders []*held) (best *held, certain bool) {
	most := 0
	for i, h := range holders {
		first := slices.IndexFunc(holders[:i], func(other *held) bool { return len(compare(h, other)) == 0 }) < 0
		if !first {
			continue
		}
		size := 0
		for _, other := range holders[i:] {
			if len(compare(h, other)) == 0 {
				size++
			}
		}
		switch {
		case size > most:
			best, most, certain = h, size, true
		case size == most:
			certain = false
		}
	}
	return best, certain
}

// differs says what a site has not as the reference has it.
func (r *runner) differs(h, reference *held) []string {
	switch {
	case h.err != nil:
		return []string{DiffUnreadable}
	case h == reference:
		return nil
	case reference.object == nil && h.object != nil:
		return []string{DiffNotDeleted}
	case reference.object == nil:
		return nil
	case h.object == nil && h.deleted() && !r.PropagateDeletes &&
		h.marker.LastModified.Unix() >= reference.version.Time.Seconds:
		return []string{DiffDeleted}
	case h.object == nil:
		return []string{DiffMissing}
	default:
		return compare(h, reference)
	}
}

// compare says in what two objects differ.
func compare(a, b *held) []string {
	var found []string
	switch {
	case a.object.Size != b.object.Size:
		found = append(found, DiffSize)
	case a.content != b.content:
		found = append(found, DiffContent)
	}
	found = append(found, compareAttributes(a.object.Attributes, b.object.Attributes)...)
	if !maps.Equal(a.tags, b.tags) {
		found = append(found, DiffTags)
	}
	return found
}

func compareAttributes(a, b s3mesh.Attributes) []string {
	var found []string
	for _, attribute := range []struct{ name, a, b string }{
		{"content-type", a.ContentType, b.ContentType},
		{"content-encoding", a.ContentEncoding, b.ContentEncoding},
		{"content-language", a.ContentLanguage, b.ContentLanguage},
		{"content-disposition", a.ContentDisposition, b.ContentDisposition},
		{"cache-control", a.CacheControl, b.CacheControl},
		{"expires", a.Expires, b.Expires},
		{"website-redirect", a.WebsiteRedirect, b.WebsiteRedirect},
	} {
		if attribute.a != attribute.b {
			found = append(found, attribute.name)
		}
	}
	names := make(map[string]bool)
	for _, m := range []map[string]string{a.Metadata, b.Metadata} {
		for name := range m {
			names[name] = name != resolve.MetadataName
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x, inA := a.Metadata[name]
		y, inB := b.Metadata[name]
		if names[name] && (inA != inB || x != y) {
			found = append(found, "metadata "+name)
		}
	}
	return found
}

// recentWithin is how long a write may take to reach the other sites before its absence there is beyond suspicion.
const recentWithin = time.Minute

// recent reports that something was written within the last minute.
func (r *runner) recent(l look) bool { return r.Now().Sub(l.newest()) < recentWithin }

// reachable returns the sites that links lead to from site, over any number of others.
func (r *runner) reachable(site string) map[string]bool {
	reached := map[string]bool{site: true}
	pending := []string{site}
	for len(pending) > 0 {
		next := pending[0]
		pending = pending[1:]
		for _, link := range r.Set.From(next) {
			if !reached[link.Target] {
				reached[link.Target] = true
				pending = append(pending, link.Target)
			}
		}
	}
	return reached
}

// planRepair adds to f what would make a site as the reference is.
func (r *runner) planRepair(f *Finding, l look, reference, h *held) {
	if slices.Equal(r.differs(h, reference), []string{DiffTags}) {
		f.NotRepairable = cmp.Or(f.NotRepairable, "s3mesh does not copy tags: make those at "+h.site+" equal yourself")
		return
	}
	for i := range l {
		source := &l[i]
		if source.err != nil || !source.holds(r.PropagateDeletes) || !source.latest().Same(reference.latest()) ||
			len(r.differs(source, reference)) > 0 || !r.linked(source.site, h.site) {
			continue
		}
		f.Repairs = append(f.Repairs, Repair{f.Key, source.site, h.site})
		// What bears the stamp of the original may be a client's copy of it, which is the later one then: the replicators see that. No
		// original is repaired, so that asking for it is no risk.
		copied := h.latest().Same(reference.latest()) && reference.latest().Origin == reference.site
		if (r.undecided(reference, h) || copied) && r.linked(h.site, reference.site) {
			f.Repairs = append(f.Repairs, Repair{f.Key, h.site, reference.site})
		}
		return
	}
	f.NotRepairable = cmp.Or(f.NotRepairable, "no link leads to "+h.site+" from a site that is as it should be")
}

func (r *runner) linked(source, target string) bool {
	return slices.Contains(r.Set.Links, s3mesh.Link{Source: source, Target: target})
}

// undecided reports that the times of two versions do not tell for certain which is the later one, so that the running process
// is to look at them from both ends.
func (r *runner) undecided(reference, h *held) bool {
	if !h.holds(r.PropagateDeletes) {
		return false
	}
	a, b := reference.latest(), h.latest()
	return a.Deleted != b.Deleted || resolve.Resolve(a, &b, r.MaxClockSkew) == resolve.NeedExact
}
