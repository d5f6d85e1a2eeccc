package reconcile

import (
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

const (
	// sinceMargin is what is taken off the start of the last complete run, beside the clocks' skew, to tell what has changed
	// since: an object may become visible after the time that it bears.
	sinceMargin = time.Minute
	// sinceMultipart is the same for multipart objects, which Amazon S3 dates at the start of their upload.
	sinceMultipart = 24 * time.Hour
)

// since says from when on objects count as changed. Zero: all do.
type since struct{ plain, multipart time.Time }

func (s since) changed(e *s3mesh.Listed) bool {
	if e.LastModified.Before(s.multipart) {
		return false
	}
	return !e.LastModified.Before(s.plain) || resolve.Multipart(e.ETag)
}

// earlier returns the earlier of two.
func (s since) earlier(t since) since {
	if t.plain.Before(s.plain) {
		return t
	}
	return s
}

// pair is two sites with a link of the run between them, in one direction or both.
type pair struct {
	a, b   int
	ab, ba bool // a link from a to b, and one from b to a
	since  since
}

// rules judge what the sites list for a key.
type rules struct {
	run   *run
	all   uint64 // every site
	since since  // the earliest of all pairs
	pairs []pair
	// sources and targets are, by site, the sites with a link to it and from it.
	sources, targets []uint64
}

func (r *run) newRules() *rules {
	n := len(r.sites)
	ru := &rules{run: r, all: ^uint64(0) >> (maxSites - n), sources: make([]uint64, n), targets: make([]uint64, n)}
	number := make(map[string]int, n)
	for i, name := range r.sites {
		number[name] = i
	}
	for _, l := range r.links {
		s, t := number[l.Source], number[l.Target]
		ru.sources[t] |= 1 << s
		ru.targets[s] |= 1 << t
	}
	for a := range n {
		for b := a + 1; b < n; b++ {
			p := pair{a: a, b: b, ab: ru.sources[b]&(1<<a) != 0, ba: ru.sources[a]&(1<<b) != 0}
			if p.ab || p.ba {
				p.since = r.sinceOf(p)
				ru.pairs = append(ru.pairs, p)
			}
		}
	}
	ru.since = ru.pairs[0].since
	for _, p := range ru.pairs {
		ru.since = ru.since.earlier(p.since)
	}
	return ru
}

// sinceOf returns from when on objects count as changed on the links of a pair.
func (r *run) sinceOf(p pair) since {
	start := r.ck.Started
	for _, dir := range []struct {
		linked         bool
		source, target int
	}{{p.ab, p.a, p.b}, {p.ba, p.b, p.a}} {
		if !dir.linked {
			continue
		}
		last := r.store.last(s3mesh.Link{Source: r.sites[dir.source], Target: r.sites[dir.target]}, r.opt.Prefix)
		if last.Started.Before(start) {
			start = last.Started
		}
	}
	if start.IsZero() || r.opt.Full {
		return since{}
	}
	return since{plain: start.Add(-sinceMargin - r.cfg.MaxClockSkew), multipart: start.Add(-sinceMultipart)}
}

// equal is the short way for the many keys that every site holds alike.
func (ru *rules) equal(row []*s3mesh.Listed, held uint64) bool {
	if held != ru.all {
		return false
	}
	first := row[0]
	for _, e := range row {
		if e.Size != first.Size || e.ETag != first.ETag || ru.since.changed(e) {
			return false
		}
	}
	return true
}

// classify judges the current key of a merge. It returns nil when nothing differs.
func (ru *rules) classify(m *merger) *candidate {
	differs, doubtful := false, false
	for i := range ru.pairs {
		switch ru.judge(&ru.pairs[i], m.row) {
		case pairDiffers:
			differs = true
		case pairDoubtful:
			doubtful = true
		case pairEqual:
		}
	}
	if !differs && !doubtful {
		return nil
	}
	c := &candidate{key: m.key, held: m.held, doubtful: doubtful,
		listed: make([]s3mesh.Listed, len(m.row)), absent: make([]absence, len(m.row)), class: make([]int, len(m.row))}
	for i, e := range m.row {
		if e != nil {
			c.listed[i] = *e
		}
	}
	c.group(func(i, j int) bool { return ru.alike(i, j, m.row[i], m.row[j]) })
	return c
}

// verdict is what the listings tell of a key at the two sites of a pair.
type verdict int

const (
	pairEqual verdict = iota
	pairDiffers
	pairDoubtful
)

// judge is the table of the package comment. Which of the two a key is absent from matters where the links go one way only; with
// deletes propagated, the site without it may have a delete to tell of.
func (ru *rules) judge(p *pair, row []*s3mesh.Listed) verdict {
	a, b := row[p.a], row[p.b]
	switch {
	case a == nil && b == nil:
		return pairEqual
	case a == nil && (p.ba || ru.run.cfg.PropagateDeletes), b == nil && (p.ab || ru.run.cfg.PropagateDeletes):
		return pairDiffers
	case a == nil || b == nil:
		return pairEqual
	case a.Size != b.Size:
		return pairDiffers
	case p.since.changed(a) || p.since.changed(b) || !ru.alike(p.a, p.b, a, b):
		return pairDoubtful
	default:
		return pairEqual
	}
}

// alike reports whether two sites' entries may be the same object: where their ETags differ, that is explicable.
func (ru *rules) alike(i, j int, a, b *s3mesh.Listed) bool {
	if a.Size != b.Size {
		return false
	}
	return a.ETag == b.ETag || ru.run.opaque[i].Load() || ru.run.opaque[j].Load() ||
		resolve.Multipart(a.ETag) || resolve.Multipart(b.ETag)
}

// group gives the sites that hold the same one number.
func (c *candidate) group(same func(i, j int) bool) {
	for i := range c.class {
		c.class[i] = absentClass
		if !c.holds(i) {
			continue
		}
		c.class[i] = i
		for j := range i {
			if c.class[j] == j && same(j, i) {
				c.class[i] = j
				break
			}
		}
	}
}

// oneGroup reports whether all sites that hold the key hold the same.
func (c *candidate) oneGroup() bool {
	first := absentClass
	for _, class := range c.class {
		switch {
		case class == absentClass:
		case first == absentClass:
			first = class
		case class != first:
			return false
		}
	}
	return true
}

func (c *candidate) holds(site int) bool { return c.held&(1<<site) != 0 }
