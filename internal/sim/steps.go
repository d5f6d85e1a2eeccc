package sim

import (
	"slices"

	"github.com/s3mesh/s3mesh"
)

// choice is one thing that can happen next.
type choice struct {
	kind  choiceKind
	task  *task
	entry *entry
}

type choiceKind uint8

const (
	goOn      choiceKind = iota // a task makes its request
	start                       // a task begins, and makes its first request
	wait                        // a reader waits until something is written where it looks
	operate                     // the next client operation
	dieBefore                   // a task dies before its request
	dieAfter                    // a task dies after the effect of its request
)

// offer fills the menu with what can happen next, and reports whether that is a state to be remembered: one in which every
// reader has decided.
//
// A step is one request of a task, one client operation, or the beginning of a task with its first request. Reads of a named
// version are no steps of their own, as versions do not change, and neither is putting an event on the queue, as what waits
// there may wait for any time. A client's upload begins with the script, so that its time is the earliest.
//
// Most interleavings differ only in the order of steps that do not concern each other. Two reads never do, and a read concerns
// a write only in the same place. So in each execution every read can be moved forward in time, to right after the step of its
// own task before it, or to right after the last write to what it reads, without anybody seeing a difference; and only
// executions of that form are run. A reader decides as soon as it is there: it reads now, or waits for the next write to that
// place. For the beginning of a task that is a write to either end of its link, which covers its event being replaced. Whoever
// waits for what cannot come any more ends the execution, as another one covers it.
//
// A write that nobody else can ever see the place of is taken at once.
//
// To the world a task that dies between two of its writes has died right after the first, unless it announced something between.
func (x *explorer) offer() (decided bool) {
	x.menu = x.menu[:0]
	if x.scope.Atomic {
		x.offerAtomic()
		return len(x.tasks) == 0
	}
	for _, t := range x.tasks {
		if !t.waits && x.reads(t) {
			x.offerRead(choice{goOn, t, t.entry}, t.at.site)
			return false
		}
	}
	for _, e := range x.pending {
		if !e.waits {
			x.offerRead(choice{start, nil, e}, x.readsFirst(e)...)
			return false
		}
	}
	for _, t := range x.tasks {
		if !t.waits && x.alone(t) {
			x.offerWrite(t)
			return true
		}
	}
	for _, t := range x.tasks {
		if !t.waits {
			x.offerWrite(t)
		}
	}
	x.offerOperation()
	return true
}

// reads reports that the request of a task changes nothing: it reads, or its condition does not hold.
func (x *explorer) reads(t *task) bool {
	cond := t.at.cond
	if !t.at.op.writes() || cond.IsZero() {
		return !t.at.op.writes()
	}
	if x.sites[t.at.site].Lacks != (s3mesh.Capabilities{}) {
		return false
	}
	obj, err := x.sites[t.at.site].store(t.at.key).Head(background, t.at.key, s3mesh.ReadOptions{})
	return cond.Absent() != (err != nil) || err == nil && !cond.Absent() && cond.ETag() != obj.ETag
}

// readsFirst returns the sites on which the beginning of a task depends: the target, which it looks at first, or for what looks
// like a new key the source; whether it looks so depends on what was written to the target.
func (x *explorer) readsFirst(e *entry) []int {
	if x.looksNew(e) {
		return []int{e.source, e.target}
	}
	return []int{e.target}
}

func (x *explorer) looksNew(e *entry) bool {
	return e.lane == s3mesh.LaneLive && e.attempt == 0 && e.event.Type == s3mesh.EventCreated && !x.unfinished[e.failureID()] &&
		!x.remembers(e.target)
}

// offerRead offers to read at some sites, now or later.
func (x *explorer) offerRead(now choice, sites ...int) {
	x.menu = append(x.menu, now)
	if slices.ContainsFunc(sites, func(at int) bool { return x.mayBeWritten(at, now.entry) }) {
		x.menu = append(x.menu, choice{wait, now.task, now.entry})
	}
	if x.crashes < x.scope.Crashes && (now.task == nil || now.task.announced) {
		x.menu = append(x.menu, choice{dieBefore, now.task, now.entry})
	}
}

func (x *explorer) offerWrite(t *task) {
	x.menu = append(x.menu, choice{goOn, t, t.entry})
	if x.crashes < x.scope.Crashes {
		x.menu = append(x.menu, choice{dieBefore, t, t.entry}, choice{dieAfter, t, t.entry})
	}
}

func (x *explorer) offerOperation() {
	if x.next < len(x.scope.Script) {
		x.menu = append(x.menu, choice{kind: operate})
	}
}

// offerAtomic offers whole tasks. While one is at work nothing else happens.
func (x *explorer) offerAtomic() {
	if len(x.tasks) > 0 {
		if t := x.tasks[0]; t.at.op.writes() {
			x.offerWrite(t)
		} else {
			x.offerRead(choice{goOn, t, t.entry})
		}
		return
	}
	for _, e := range x.pending {
		x.menu = append(x.menu, choice{start, nil, e})
		if x.crashes < x.scope.Crashes {
			x.menu = append(x.menu, choice{dieBefore, nil, e})
		}
	}
	x.offerOperation()
}

// mayBeWritten reports that somebody other than the task of an entry may yet write at a site.
func (x *explorer) mayBeWritten(at int, by *entry) bool {
	if x.next < len(x.scope.Script) {
		return true
	}
	writes := func(e *entry) bool { return e != by && (e.target == at || x.mayAnnounce()) }
	return slices.ContainsFunc(x.pending, writes) || slices.ContainsFunc(x.tasks, func(t *task) bool { return writes(t.entry) })
}

// mayAnnounce reports that tasks may queue events themselves, so that there is no telling who will write where.
func (x *explorer) mayAnnounce() bool { return x.Deletes || x.scope.Crashes > 0 }

// alone reports that nobody else will ever see what a task writes, or is at that site.
func (x *explorer) alone(t *task) bool {
	if x.next < len(x.scope.Script) {
		return false
	}
	at := t.entry.target
	origin := slices.ContainsFunc(x.scope.Script, func(s Step) bool { return s.Site == at })
	sees := func(e *entry) bool {
		return e != t.entry && (e.source == at || e.target == at || origin || x.mayAnnounce())
	}
	return !slices.ContainsFunc(x.pending, sees) && !slices.ContainsFunc(x.tasks, func(o *task) bool { return sees(o.entry) })
}

// wake ends the waiting for a write of a key at a site.
func (x *explorer) wake(at int, key string) {
	for _, t := range x.tasks {
		t.waits = t.waits && (t.at.site != at || t.at.key != key)
	}
	for _, e := range x.pending {
		e.waits = e.waits && !slices.Contains(x.readsFirst(e), at)
	}
}

// stuck reports that somebody waits for what cannot come any more.
func (x *explorer) stuck() bool {
	for _, t := range x.tasks {
		if t.waits && !x.mayBeWritten(t.at.site, t.entry) {
			return true
		}
	}
	for _, e := range x.pending {
		may := func(at int) bool { return x.mayBeWritten(at, e) }
		if e.waits && !slices.ContainsFunc(x.readsFirst(e), may) {
			return true
		}
	}
	return len(x.menu) == 0 && len(x.tasks)+len(x.pending) > 0
}

// apply lets a choice happen.
func (x *explorer) apply(c choice) {
	x.coverage.Steps++
	switch c.kind {
	case goOn:
		x.request(c.task, verdict{})
	case start:
		x.start(c.entry)
	case wait:
		if c.task != nil {
			c.task.waits = true
		} else {
			c.entry.waits = true
		}
	case operate:
		x.operate()
	default:
		x.crashes++
		t := c.task
		if t == nil {
			t = x.world.begin(c.entry)
		}
		if t.done {
			return // it recognised an echo
		}
		x.request(t, verdict{die: true, lost: c.kind == dieAfter})
	}
}

func (x *explorer) request(t *task, v verdict) {
	at := t.at
	x.step(t, v)
	if x.trace != nil {
		what := "ok"
		if v.die {
			what = died(v.lost)
		}
		x.tracef("request %s: %s %s %s: %s", x.taskName(t), at.op, x.name(at.site), at.key, what)
		x.report(t)
	}
}

// start begins a task and makes its first request: between the two it knows nothing. An atomic task goes on to its end, or to
// where it might die.
func (x *explorer) start(e *entry) {
	first := e.target
	if x.looksNew(e) {
		first = e.source
	}
	t := x.world.begin(e)
	if !t.done && t.at.site != first {
		x.fail("a task of %v begins at %s: offer does not know that", e.event, x.name(t.at.site))
	}
	x.tracef("begin   %s attempt %d, %s %s", x.taskName(t), e.attempt, e.lane, e.event.Name)
	if t.done {
		x.report(t)
		return
	}
	x.request(t, verdict{})
	for x.scope.Atomic && x.crashes == x.scope.Crashes && !t.done {
		x.request(t, verdict{})
	}
}

func (x *explorer) operate() {
	step := x.scope.Script[x.next]
	if x.next > 0 {
		x.clock = x.clock.Add(x.scope.Pause)
	}
	x.next++
	actions := map[string]action{"put": actPut, "multipart": actComplete, "delete": actDelete, "undelete": actUndelete}
	x.client(step.Site).do(actions[step.Action], "k", nil)
	x.changed(step.Site, "k")
}
