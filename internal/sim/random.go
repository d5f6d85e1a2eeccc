package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
)

// Options choose a random run.
type Options struct {
	Seed uint64
	// Trace keeps a readable account.
	Trace   bool
	Variant Variant
	// Shape, where set, changes the drawn world before it begins.
	Shape func(*WorldConfig, *Weather)
}

// Result is what a run came to.
type Result struct {
	Err       error
	Trace     string // its tail
	TraceHash uint64
	Writes    int // by clients
	Replicas  int // writes by replicators
	Tasks     int
	Faults    int
	Letters   int
}

// Weather is how rough a run is: chances out of 1000 at each request or step.
type Weather struct {
	Writes    int // client actions
	Actions   [actions]int
	Fault     int // a request fails
	Crash     int // the task's process loses it
	Denied    int // a request fails for good
	Restart   int // a whole process dies
	Duplicate int
	Lose      int
	Partition int
	Slow      int
	Tick      int // the clock moves between two steps
	Parallel  int // how readily another task is begun while one is at work
	Overlap   int // a delivery comes again while its task is still at work
}

// run is one random run.
type run struct {
	*world
	rng     *rand.Rand
	weather Weather
	left    int         // client actions to come
	cut     [][]bool    // [process][site]
	slow    map[int]int // by link: steps for which nothing is delivered
	calm    bool        // faults are over
	steps   int
	buried  int // dead letters of the rough part
}

// Random carries out the run of a seed.
func Random(o Options) Result {
	rng := rand.New(rand.NewPCG(o.Seed, 0x53696d))
	cfg, weather := drawWorld(rng), drawWeather(rng)
	cfg.Variant = o.Variant
	tameDeletes(&cfg, &weather)
	if o.Shape != nil {
		o.Shape(&cfg, &weather)
	}
	w := newWorld(cfg)
	if o.Trace {
		w.trace = &trace{}
	}
	r := &run{world: w, rng: rng, weather: weather, left: weather.Writes, slow: map[int]int{}}
	for range w.sites {
		r.cut = append(r.cut, make([]bool, len(w.sites)))
	}
	w.tracef("world   %+v %+v", cfg, weather)
	err := r.all()
	w.close()
	res := Result{Err: err, Trace: w.trace.tail(3000), Writes: len(w.log.writes), Replicas: w.replicaWrites, Tasks: w.runs,
		Faults: w.faults, Letters: r.buried}
	if w.trace != nil {
		res.TraceHash = w.trace.hash
	}
	return res
}

func (r *run) all() error {
	for r.left > 0 || r.rng.IntN(20) != 0 {
		if err := r.advance(); err != nil {
			return err
		}
	}
	if err := r.heal(); err != nil {
		return err
	}
	if err := r.settle("after the events"); err != nil {
		return err
	}
	r.tracef("anti-entropy round")
	r.antiEntropy()
	if err := r.settle("after the anti-entropy round"); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	return r.checkStill()
}

// checkStill asks for another round, which must find nothing to do.
func (r *run) checkStill() error {
	before := r.replicaWrites
	r.tracef("second anti-entropy round")
	r.antiEntropy()
	if err := r.settle("after the second round"); err != nil {
		return err
	}
	if n := r.replicaWrites - before; n > 0 {
		return fmt.Errorf("%d replica writes after all sites were equal", n)
	}
	if err := r.check(); err != nil {
		return err
	}
	return r.checkSwept()
}

// checkSwept goes on after the tombstones have become old and some sites have removed theirs: the sites stay equal, and what a
// client writes then wins. Not so with multipart uploads: dated at their start, they owe their place to what they were written
// over, of which the tombstone may have been the proof. The docs say so.
func (r *run) checkSwept() error {
	if !r.Deletes || !r.Sweep || r.rng.IntN(2) == 0 || r.log.hasUploads() {
		return nil
	}
	r.clock = r.clock.Add(2 * retention)
	for at := range r.sites {
		if r.rng.IntN(3) > 0 {
			if err := r.sweep(at); err != nil {
				return err
			}
		}
	}
	before := r.replicaWrites
	r.antiEntropy()
	if err := r.settle("after the sweep"); err != nil {
		return err
	}
	if n := r.replicaWrites - before; n > 0 {
		return fmt.Errorf("%d replica writes after the tombstones were swept", n)
	}
	for _, key := range r.Keys {
		if _, err := r.checkEqual(key); err != nil {
			return fmt.Errorf("after the sweep: key %s: %w", key, err)
		}
		r.client(r.rng.IntN(len(r.sites))).do(actPut, key, nil)
		last := len(r.log.writes) - 1
		if err := r.settle("after the sweep"); err != nil {
			return err
		}
		if winner, err := r.checkEqual(key); err != nil || winner != last {
			return fmt.Errorf("a write after the sweep: key %s: write %d won, not %d (%w)", key, winner, last, err)
		}
	}
	return nil
}

// heal ends all faults.
func (r *run) heal() error {
	r.calm = true
	clear(r.slow)
	for _, row := range r.cut {
		clear(row)
	}
	for _, u := range r.log.uploads {
		r.client(u.site).do(actComplete, "", nil)
	}
	for _, l := range r.letters {
		if k := s3mesh.KindOf(l.err); !errors.Is(l.err, errInjected) {
			return fmt.Errorf("dead letter that no fault explains: %v: %w", k, l.err)
		}
	}
	r.buried, r.letters = len(r.letters), r.letters[:0]
	r.tracef("calm")
	return nil
}

// settleSteps bounds what it may take to deliver everything, per event.
const settleSteps = 400

// settle delivers everything.
func (r *run) settle(when string) error {
	limit := settleSteps * (len(r.pending) + len(r.transit) + len(r.tasks) + len(r.sites))
	for step := 0; len(r.pending)+len(r.transit)+len(r.tasks) > 0; step++ {
		if step > limit {
			return fmt.Errorf("%s: no end after %d steps: the sites never settle", when, step)
		}
		if err := r.advance(); err != nil {
			return err
		}
	}
	for _, l := range r.letters {
		if !errors.Is(l.err, errInjected) { // some met their fault before the calm
			return fmt.Errorf("%s: a task failed for good without a fault: %w", when, l.err)
		}
	}
	r.buried, r.letters = r.buried+len(r.letters), r.letters[:0]
	return nil
}

// advance takes one random step.
func (r *run) advance() error {
	r.steps++
	if r.problem != nil {
		return r.problem
	}
	if !r.calm {
		r.disturb()
	}
	if r.chance(r.weather.Tick) {
		r.pass(time.Duration(r.rng.IntN(4000)) * time.Millisecond)
	}
	switch {
	case r.left > 0 && r.rng.IntN(8) == 0:
		r.left--
		r.clientAction()
	case len(r.transit) > 0 && r.rng.IntN(3) == 0:
		r.arrive()
	case len(r.tasks) > 0 && !r.chance(r.weather.Parallel):
		r.stepTask(r.tasks[r.rng.IntN(len(r.tasks))])
	case len(r.pending) > 0:
		r.deliver()
	case len(r.tasks) > 0:
		r.stepTask(r.tasks[r.rng.IntN(len(r.tasks))])
	case len(r.transit) > 0:
		r.arrive()
	case r.left > 0:
		r.left--
		r.clientAction()
	}
	return nil
}

func (r *run) chance(perMille int) bool { return perMille > 0 && r.rng.IntN(1000) < perMille }

// pauses are what may lie before a client's action.
var pauses = []time.Duration{0, 0, 0, 400 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 12 * time.Second}

// promptly is how long a task takes at most where requests are answered promptly.
const promptly = 2 * time.Second

// pass lets time go by, unless that would make a task slow in a world of prompt answers.
func (r *run) pass(d time.Duration) {
	next := r.clock.Add(d)
	if r.Prompt && slices.ContainsFunc(r.tasks, func(t *task) bool { return next.Sub(t.begun) > promptly }) {
		return
	}
	r.clock = next
}

func (r *run) clientAction() {
	r.pass(pauses[r.rng.IntN(len(pauses))])
	at, key := r.rng.IntN(len(r.sites)), r.Keys[r.rng.IntN(len(r.Keys))]
	total := 0
	for _, n := range r.weather.Actions {
		total += n
	}
	choice := r.rng.IntN(total)
	for a, n := range r.weather.Actions {
		if choice -= n; choice < 0 {
			r.client(at).do(action(a), key, r.rng.IntN)
			return
		}
	}
}

// arrive has a notification reach the intake, once, twice or never.
func (r *run) arrive() {
	i := r.rng.IntN(len(r.transit))
	ev := r.transit[i]
	if !r.calm && r.chance(r.weather.Duplicate) {
		r.tracef("intake  %s %s %s, and will again", ev.Site, ev.Key, ev.Name)
		r.intake(ev)
		return
	}
	r.transit = append(r.transit[:i], r.transit[i+1:]...)
	if !r.calm && r.chance(r.weather.Lose) {
		r.tracef("lost    %s %s %s", ev.Site, ev.Key, ev.Name)
		return
	}
	r.tracef("intake  %s %s %s %s", ev.Site, ev.Key, ev.Name, ev.VersionID)
	r.intake(ev)
}

func (r *run) deliver() {
	e := r.pending[r.rng.IntN(len(r.pending))]
	if r.slow[r.linkID(e)] > 0 {
		r.slow[r.linkID(e)]--
		return
	}
	t := r.begin(e)
	r.tracef("begin   %s attempt %d, %s %s", r.taskName(t), e.attempt, e.lane, e.event.Name)
	r.report(t)
	if !r.calm && r.chance(r.weather.Overlap) && !e.replaced {
		again := *e
		r.pending = append(r.pending, &again)
		r.tracef("again   %s will be delivered twice", r.taskName(t))
	}
}

func (r *run) linkID(e *entry) int { return e.source*len(r.sites) + e.target }

// stepTask lets the request that a task is stopped at come to something.
func (r *run) stepTask(t *task) {
	at := t.at
	v, what := r.verdict(t)
	if v != (verdict{}) {
		r.faults++
	}
	r.step(t, v)
	r.tracef("request %s: %s %s %s: %s", r.taskName(t), at.op, r.name(at.site), at.key, what)
	r.report(t)
}
