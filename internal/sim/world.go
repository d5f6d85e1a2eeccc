package sim

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/memstore"
	"github.com/s3mesh/s3mesh/replicate"
	"github.com/s3mesh/s3mesh/resolve"
)

// stampName is the metadata entry that a replica has and its original has not.
const stampName = resolve.MetadataName

// MaxClockSkew is the bound that the replicators are configured with, as in production by default.
const MaxClockSkew = 2 * time.Second

// epoch is when every world begins.
var epoch = time.Unix(1_795_000_000, 0).UTC()

// background is the context of what the world itself reads.
var background = context.Background()

// principal is who the replicators are in events.
const principal = "s3mesh"

// SiteConfig is what one site is like.
type SiteConfig struct {
	Name        string
	Skew        time.Duration // of its clock
	Unversioned bool
	// Lacks names the conditions that its store ignores, which the replicator is told of.
	Lacks s3mesh.Capabilities
}

// WorldConfig is what a world is made of.
type WorldConfig struct {
	Sites []SiteConfig
	Keys  []string
	// Chain links each site with the next only, both ways, instead of each with each.
	Chain bool
	// Deletes switches the propagation of deletes on.
	Deletes bool
	// Sweep has tombstones grow old and be removed at the end of some runs.
	Sweep bool
	// OneProcess has all replicators share one memory of their writes; otherwise each site is a process of its own.
	OneProcess bool
	// KeepEchoes delivers the events that the replicators' own writes cause, as where links are no full mesh.
	KeepEchoes bool
	// DedicatedCredentials lets the intake recognise echoes by their principal.
	DedicatedCredentials bool
	// Coalesce replaces undelivered events of a key by its next one, as the production queue does.
	Coalesce bool
	// LargeObject is the size from which objects are copied in parts; 0 for never.
	LargeObject int64
	// MaxClockSkew is what the replicators believe of the clocks.
	MaxClockSkew time.Duration
	// Prompt has tasks take little time, however often they are put off by others.
	Prompt  bool
	Variant Variant
}

// site is one bucket with its clock and the replicator that writes to it.
type site struct {
	SiteConfig
	keys     *memstore.Bucket // what clients see
	reserved *memstore.Bucket // s3mesh's own objects, apart, so that they leave the version IDs of the keys alone
	echoes   *replicate.Echoes
	engine   *replicate.Replicator
	// cached is the hash of its contents, or 0.
	cached uint64
	// effects counts what was changed in it.
	effects int
}

func (s *site) store(key string) *memstore.Bucket {
	if strings.HasPrefix(key, s3mesh.ReservedPrefix) {
		return s.reserved
	}
	return s.keys
}

// world is everything there is. It is used by one goroutine.
type world struct {
	WorldConfig
	variant *variant
	set     s3mesh.ReplicaSet
	sites   []*site
	planner *replicate.Planner

	clock   time.Time
	ticks   time.Duration
	running *task
	tasks   []*task // live ones
	tasksNo int
	idle    []*coroutine

	transit   []s3mesh.Event // sent by a store and not yet at the intake
	instantly bool           // events reach the queue at once
	coarse    bool           // tasks stop only where the order can matter
	pending   []*entry
	letters   []letter
	failures  map[failureID]int
	// unfinished holds what was left half-way: what takes its place is told so.
	unfinished map[failureID]bool

	log     *clientLog
	clients int // client operations that are going on: their events name nobody

	replicaWrites int
	runs          int // tasks run
	faults        int
	trace         *trace
	scratch       []s3mesh.HistoryEntry
	problem       error // the first thing that must never happen
	onChange      func(at int, key string)
}

func newWorld(cfg WorldConfig) *world {
	if cfg.MaxClockSkew == 0 {
		cfg.MaxClockSkew = MaxClockSkew
	}
	breakWorld(&cfg)
	w := &world{WorldConfig: cfg, variant: newVariant(cfg.Variant)}
	var sites []s3mesh.Site
	for _, sc := range cfg.Sites {
		sites = append(sites, s3mesh.Site{Name: sc.Name, Bucket: "bucket-" + sc.Name})
		w.sites = append(w.sites, &site{SiteConfig: sc})
	}
	w.set = s3mesh.FullMesh("sim", sites...)
	if cfg.Chain {
		w.set.Links = slices.DeleteFunc(w.set.Links, func(l s3mesh.Link) bool {
			return max(w.siteIndex(l.Source)-w.siteIndex(l.Target), w.siteIndex(l.Target)-w.siteIndex(l.Source)) > 1
		})
	}
	readers := make(map[string]s3mesh.Reader, len(sites))
	for i, s := range w.sites {
		readers[s.Name] = port{w, i}
	}
	for i, s := range w.sites {
		s.engine = replicate.New(w.engineConfig(i, readers))
	}
	principals := map[string]string{}
	if cfg.DedicatedCredentials {
		for _, s := range w.sites {
			principals[s.Name] = principal
		}
	}
	w.planner = replicate.NewPlanner(replicate.PlannerConfig{Set: w.set, Queue: w, Echoes: &replicate.Echoes{},
		Principals: principals, LargeObject: w.LargeObject})
	w.reset()
	return w
}

func (w *world) engineConfig(at int, readers map[string]s3mesh.Reader) replicate.Config {
	large := w.LargeObject
	if large == 0 {
		large = 1 << 40
	}
	ignore := make(map[string]bool, len(w.sites))
	for _, s := range w.sites {
		ignore[s.Name] = !w.KeepEchoes && w.set.EchoesRedundant(s.Name)
	}
	cfg := replicate.Config{
		Target: w.sites[at].Name, Bucket: port{w, at}, Readers: readers, MaxClockSkew: w.MaxClockSkew, LargeObject: large,
		IgnoreEchoes: ignore, Now: w.now, Log: slog.New(slog.DiscardHandler),
		CountHistory: w.onHistory,
		Announce:     func(ctx context.Context, ev s3mesh.Event) error { return w.announce(ctx, at, ev) },
	}
	configureDeletes(&cfg, w, at)
	return cfg
}

// reset puts the world back to its beginning.
func (w *world) reset() {
	w.clock, w.ticks, w.running, w.tasks, w.tasksNo = epoch, 0, nil, w.tasks[:0], 0
	w.transit, w.pending, w.letters = w.transit[:0], w.pending[:0], w.letters[:0]
	w.failures, w.unfinished = nil, nil
	w.log = newClientLog()
	w.replicaWrites, w.runs, w.faults, w.problem = 0, 0, 0, nil
	shared := &replicate.Echoes{}
	for i, s := range w.sites {
		cfg := memstore.BucketConfig{Site: s.Name, Unversioned: s.Unversioned, Principal: principal, Lacks: s.Lacks,
			Clock: func() time.Time { return w.clock.Add(s.Skew) }, OnEvent: w.onEvent}
		s.keys = memstore.NewBucket(cfg)
		cfg.OnEvent = nil
		cfg.Unversioned = false
		s.reserved = memstore.NewBucket(cfg)
		s.cached, s.effects = 0, 0
		s.echoes = shared
		if !w.OneProcess {
			s.echoes = &replicate.Echoes{}
		}
		w.sites[i].engine.Echoes = s.echoes
	}
	w.planner.Echoes = shared
}

// restart has the process of a site die, with all its tasks, and begin again without memory.
func (w *world) restart(at int) {
	fresh := &replicate.Echoes{}
	for i, s := range w.sites {
		if i != at && !w.OneProcess {
			continue
		}
		s.echoes, s.engine.Echoes = fresh, fresh
		if w.OneProcess {
			w.planner.Echoes = fresh
		}
		for _, t := range append([]*task(nil), w.tasks...) {
			if t.entry.target == i {
				t.kill()
				w.conclude(t)
			}
		}
	}
}

// now is the clock of the processes, which never tells the same time twice. What a task learns from it is part of what it knows.
func (w *world) now() time.Time {
	if w.running != nil {
		w.running.seen = mix(w.running.seen, uint64(w.clock.UnixMilli()))
	}
	if w.coarse && w.running != nil {
		// The same in every interleaving that led to the same state, or no two states would be equal.
		e := w.running.entry
		return w.clock.Add(time.Duration(w.sites[e.target].effects*1000 + e.source*10 + e.target))
	}
	w.ticks++
	return w.clock.Add(w.ticks)
}

// onEvent takes what a store announces.
func (w *world) onEvent(ev s3mesh.Event) {
	if w.clients > 0 {
		ev.Principal = ""
	}
	if w.instantly {
		w.intake(ev)
		return
	}
	w.transit = append(w.transit, ev)
}

// intake is what the webhook does with a notification.
func (w *world) intake(ev s3mesh.Event) {
	at := ev.Site
	ev.Site = ""
	if err := w.planner.Accept(context.Background(), at, []s3mesh.Event{ev}); err != nil {
		w.fail("intake: %v", err)
	}
}

// onHistory learns why a replicator is about to ask for a history.
func (w *world) onHistory(_, reason string) { w.running.reason = reason }

// announce is the replicators' own way into the queue.
func (w *world) announce(ctx context.Context, at int, ev s3mesh.Event) error {
	if w.coarse && !w.running.dead {
		w.running.announced = true
		return w.Publish(ctx, s3mesh.LaneLive, ev)
	}
	v := w.ask(at, opAnnounce, ev.Key)
	if v.err != nil && !v.lost {
		return w.refused(v)
	}
	err := w.Publish(ctx, s3mesh.LaneLive, ev)
	if v.err != nil {
		return w.refused(v)
	}
	w.answered(v, hashError(err))
	return err
}

// changed takes note that something was written, or removed, under a key at a site.
func (w *world) changed(at int, key string) {
	w.sites[at].cached = 0
	w.sites[at].effects++
	if w.onChange != nil {
		w.onChange(at, key)
	}
}

func (w *world) countWrite(key string) {
	if !strings.HasPrefix(key, s3mesh.ReservedPrefix) {
		w.replicaWrites++
	}
}

// remembers reports that the process of a site remembers having written there. Of its echo memory nothing else matters where
// the intake drops echoes by their principal.
func (w *world) remembers(at int) bool {
	return w.sites[at].echoes.Wrote(w.sites[at].Name, w.Keys[0])
}

// fail records the first thing that must never happen.
func (w *world) fail(format string, args ...any) {
	if w.problem == nil {
		w.problem = fmt.Errorf(format, args...)
	}
}

func (w *world) siteIndex(name string) int {
	for i, s := range w.sites {
		if s.Name == name {
			return i
		}
	}
	return -1
}
