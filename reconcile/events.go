package reconcile

import (
	"context"
	"math/bits"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

const (
	// eventName is what the events of a run are called.
	eventName = "reconcile"
	// backlogPoll is how often a run that waits looks whether a link has less to do.
	backlogPoll = 200 * time.Millisecond
	// maxPublish is how many events are handed to the queue at a time.
	maxPublish = 1000
)

// finding is what a candidate comes to on one link.
type finding struct {
	link           int // of the run
	source, target int
	kind           s3mesh.EventType
	reason         Reason // empty: an event that only makes sure of the order of others
	fresh          bool
	repair         bool
}

// publishBatch makes the events of the batch durable, and tells of its differences.
func (w *worker) publishBatch(ctx context.Context) error {
	events := map[s3mesh.Lane][]s3mesh.Event{}
	targets := map[s3mesh.Link]bool{}
	for _, c := range w.batch {
		found := w.findings(c)
		w.tell(c, found)
		for _, f := range found {
			lane := s3mesh.LaneBulk
			if f.kind == s3mesh.EventCreated && w.cfg.LargeObject > 0 && c.listed[f.source].Size >= w.cfg.LargeObject {
				lane = s3mesh.LaneLarge
			}
			events[lane] = append(events[lane], w.event(c, f))
			targets[w.links[f.link]] = true
		}
	}
	if w.opt.DryRun || len(targets) == 0 {
		return nil
	}
	for link := range targets {
		if err := w.awaitBacklog(ctx, link); err != nil {
			return err
		}
	}
	for _, lane := range []s3mesh.Lane{s3mesh.LaneBulk, s3mesh.LaneLarge} {
		for chunk := range slices.Chunk(events[lane], maxPublish) {
			if err := w.retry(ctx, "", func() error { return w.cfg.Queue.Publish(ctx, lane, chunk...) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// awaitBacklog waits while a link has much to do, so that the queue does not grow with the number of keys.
func (w *worker) awaitBacklog(ctx context.Context, link s3mesh.Link) error {
	waiting := false
	defer func() {
		if waiting {
			w.waiting.Add(-1)
		}
	}()
	for {
		var backlog s3mesh.Backlog
		err := w.retry(ctx, "", func() (err error) {
			backlog, err = w.cfg.Queue.Backlog(ctx, link)
			return err
		})
		if err != nil || backlog.Pending+backlog.InFlight <= w.cfg.MaxPending {
			return err
		}
		if !waiting {
			waiting = true
			w.waiting.Add(1)
		}
		if err := sleep(ctx, backlogPoll); err != nil {
			return err
		}
	}
}

// findings returns the events that a candidate asks for: for each target, one from each group of sites that hold something
// else than it. With deletes propagated, a site with a delete marker has it carried everywhere, as it may be the latest.
func (w *worker) findings(c *candidate) []finding {
	var found []finding
	stays := uint64(0) // the sites whose delete stands
	for target := range w.sites {
		sources := w.rules.sources[target] & c.held
		if sources != 0 && w.deleteStands(c, target) {
			stays |= 1 << target
			continue
		}
		for sources != 0 {
			group := c.groupOf(bits.TrailingZeros64(sources)) & sources
			sources &^= group
			source := pick(group, c.key)
			if c.class[source] != c.class[target] {
				found = append(found, w.finding(c, source, target))
			}
		}
	}
	w.local.DeletedHere += int64(min(bits.OnesCount64(stays), 1))
	if !w.cfg.PropagateDeletes || c.held == 0 {
		return found
	}
	for source := range w.sites {
		for target := range w.sites {
			if c.absent[source].marker && w.rules.targets[source]&(1<<target) != 0 {
				found = append(found, w.deletion(c, source, target))
			}
		}
	}
	return found
}

// groupOf returns the sites that hold the same as one does.
func (c *candidate) groupOf(site int) uint64 {
	var group uint64
	for i, class := range c.class {
		if class != absentClass && class == c.class[site] {
			group |= 1 << i
		}
	}
	return group
}

func (w *worker) finding(c *candidate, source, target int) finding {
	f := finding{link: w.linkOf(source, target), source: source, target: target, kind: s3mesh.EventCreated}
	from, to := c.listed[source], c.listed[target]
	switch {
	case !c.holds(target):
		f.reason = ReasonAbsent
		f.fresh = c.absent[target].known && !c.absent[target].any
	case from.Size != to.Size:
		f.reason = ReasonSize
	case from.ETag != to.ETag:
		f.reason = ReasonETag
	default:
		f.reason, f.repair = ReasonVersion, c.confused
	}
	return f
}

// deletion carries a delete marker. Where the target holds nothing either, it may be about to receive an older object.
func (w *worker) deletion(c *candidate, source, target int) finding {
	f := finding{link: w.linkOf(source, target), source: source, target: target, kind: s3mesh.EventRemoved}
	if c.holds(target) {
		f.reason = ReasonDeleted
	}
	return f
}

func (r *run) linkOf(source, target int) int {
	link := s3mesh.Link{Source: r.sites[source], Target: r.sites[target]}
	for i, l := range r.links {
		if l == link {
			return i
		}
	}
	return -1 // not for two sites that the rules say are linked
}

// deleteStands reports that a key was deleted at a site later than it was written anywhere, where deletes are not propagated:
// the replicator would leave it deleted there. A multipart object may be later than the time that it bears.
func (w *worker) deleteStands(c *candidate, site int) bool {
	a := c.absent[site]
	if w.cfg.PropagateDeletes || c.holds(site) || !a.marker {
		return false
	}
	for i, e := range c.listed {
		if c.holds(i) && (resolve.Multipart(e.ETag) || a.since.Sub(e.LastModified) <= w.cfg.MaxClockSkew+time.Second) {
			return false
		}
	}
	return true
}

// pick chooses one of the sites in a group by the key, so that reads are spread, and the same in every run.
func pick(group uint64, key string) int {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	hash := uint64(offset)
	for i := range len(key) {
		hash = (hash ^ uint64(key[i])) * prime
	}
	for range hash % uint64(bits.OnesCount64(group)) {
		group &= group - 1
	}
	return bits.TrailingZeros64(group)
}

// event is what the replicator is told. It has no time: how late a replica is says nothing of a comparison.
func (w *worker) event(c *candidate, f finding) s3mesh.Event {
	from := w.links[f.link].Source
	at, _ := w.cfg.Set.Site(from) // links are between sites of the set
	ev := s3mesh.Event{Site: from, Target: w.links[f.link].Target, Bucket: at.Bucket, Key: c.key, Type: f.kind,
		Name: eventName, Fresh: f.fresh, Repair: f.repair}
	if f.kind == s3mesh.EventCreated {
		ev.Size, ev.ETag = c.listed[f.source].Size, c.listed[f.source].ETag
	}
	return ev
}

// tell counts the differences of a candidate, and reports them.
func (w *worker) tell(c *candidate, found []finding) {
	differs := false
	for _, f := range found {
		if f.reason == "" {
			continue
		}
		differs = true
		source, target := c.summary(f.source), c.summary(f.target)
		w.local.ByLink[f.link].Keys++
		w.local.ByLink[f.link].Bytes += source.Size
		if w.each != nil {
			w.eachOnce.Lock()
			w.each(Difference{Key: c.key, Link: w.links[f.link], Reason: f.reason, Source: source, Target: target})
			w.eachOnce.Unlock()
		}
	}
	if differs {
		w.local.Differing++
	}
}

func (c *candidate) summary(site int) Summary {
	e := c.listed[site]
	return Summary{Size: e.Size, ETag: e.ETag, LastModified: e.LastModified}
}
