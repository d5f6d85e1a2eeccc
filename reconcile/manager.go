package reconcile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	// settleIn is how long after its start a process waits with its first run: whoever starts it sees it work first.
	settleIn = 10 * time.Second
	// retryFirst and retryLast bound the wait before a scheduled run that failed is tried again.
	retryFirst = 30 * time.Second
	retryLast  = 30 * time.Minute
)

// Schedule says when a [Manager] compares by itself.
type Schedule struct {
	// Every is how often all links are compared, give or take a tenth. Zero: only when asked to.
	Every time.Duration
	// Polls says, for sites whose stores send no notifications, how often they are compared with those that they are linked to.
	Polls map[string]time.Duration
}

// Status is what a [Manager] is doing.
type Status struct {
	// Running is the run that is running, or about to; nil when there is none.
	Running *Progress `json:"running,omitempty"`
	// Waiting is the run that an operator asked for while another was running; nil when there is none.
	Waiting *Progress `json:"waiting,omitempty"`
	// Last is the last run that ended, polls aside; nil when there was none since the process started.
	Last *Report `json:"last,omitempty"`
	// Next is when all links are compared next; zero when that is not scheduled.
	Next time.Time `json:"next,omitzero"`
}

// Manager has the runs of a process done, one at a time: those that an operator asks for, then those that are due by the
// schedule, then the polls. It is safe for concurrent use.
type Manager struct {
	reconciler *Reconciler
	schedule   Schedule
	wake       chan struct{} // has room for one

	mu      sync.Mutex
	asked   *run // by Start, and not begun
	running *run
	cancel  context.CancelFunc // of running
	stopped bool               // an operator stopped running
	last    *Report
	next    time.Time            // of the scheduled run; zero: none
	wait    time.Duration        // before a scheduled run that failed is tried again
	polls   map[string]time.Time // when each is due
	resume  []Options            // the runs that an earlier process was cut off in
	again   time.Time            // when the first of these goes on
}

// NewManager returns a manager, which does nothing before [Manager.Run].
func NewManager(r *Reconciler, schedule Schedule) *Manager {
	return &Manager{reconciler: r, schedule: schedule, wake: make(chan struct{}, 1)}
}

// Run does what is asked for or due, until ctx ends. A run that is cut off by that goes on in the next process. What an earlier
// process did not finish, and a first comparison of all links, begin some seconds after the start.
func (m *Manager) Run(ctx context.Context) {
	m.plan()
	for ctx.Err() == nil {
		run, due := m.take()
		if run != nil {
			m.do(ctx, run)
			continue
		}
		m.idle(ctx, due)
	}
}

// Start has a run begin at once, or when the one that is running has ended, and returns its progress so far. KindConflict when
// another one was asked for, and waits; KindInvalid for options that name no link, KindUnreachable where no two sites answer.
func (m *Manager) Start(opt Options) (Progress, error) {
	run, err := m.reconciler.prepare(opt)
	if err != nil {
		return Progress{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.asked != nil {
		return Progress{}, &s3mesh.Error{Kind: s3mesh.KindConflict, Op: "reconcile",
			Err: fmt.Errorf("another comparison waits already (%s): stop the one in progress, or wait", m.asked.id)}
	}
	m.asked = run
	m.signal()
	return run.progress(), nil
}

// Stop ends the run that is running, and the one that waits, and reports whether there was one. It does not go on by itself; a
// run with the same options, which is not to begin anew, goes on where it was.
func (m *Manager) Stop() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := m.running != nil || m.asked != nil
	m.asked = nil
	if m.running != nil {
		m.stopped = true
		if m.cancel != nil {
			m.cancel()
		}
	}
	return found
}

// Status tells what the manager is doing.
func (m *Manager) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := Status{Last: m.last, Next: m.next}
	if run := m.current(); run != nil {
		p := run.progress()
		st.Running = &p
	}
	if m.running != nil && m.asked != nil {
		p := m.asked.progress()
		st.Waiting = &p
	}
	return st
}

// isPoll reports whether a run with these options is one that the schedule polls a site with.
func (m *Manager) isPoll(opt Options) bool {
	if len(opt.From) != 1 || !sameOptions(opt, Options{From: opt.From}) {
		return false
	}
	_, polled := m.schedule.Polls[opt.From[0]]
	return polled
}

// current returns the run that is running or asked for. m.mu is held.
func (m *Manager) current() *run {
	if m.running != nil {
		return m.running
	}
	return m.asked
}

func (m *Manager) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// plan decides what is due when at the start.
func (m *Manager) plan() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.reconciler.cfg.Now()
	m.resume, m.again = m.reconciler.store.interrupted(), now.Add(settleIn)
	m.wait = retryFirst
	if m.schedule.Every > 0 {
		m.next = now.Add(settleIn)
		if last := m.LastComplete(); !last.IsZero() {
			m.next = later(m.next, last.Add(jitter(m.schedule.Every)))
		}
	}
	m.polls = make(map[string]time.Time, len(m.schedule.Polls))
	for site, every := range m.schedule.Polls {
		m.polls[site] = now.Add(min(settleIn, jitter(every)))
	}
	if len(m.resume) > 0 && !m.next.IsZero() {
		// The one that is resumed may be the scheduled one.
		m.resume = slices.DeleteFunc(m.resume, func(opt Options) bool {
			all := sameOptions(opt, Options{})
			if all {
				m.next = now.Add(settleIn)
			}
			return all
		})
	}
}

// LastComplete returns when the last complete run over all links began; zero when there was none.
func (m *Manager) LastComplete() time.Time {
	links, err := m.reconciler.cfg.links(Options{})
	if err != nil {
		return time.Time{}
	}
	earliest := m.reconciler.cfg.Now()
	for _, l := range links {
		if last := m.reconciler.store.last(l, ""); last.Started.Before(earliest) {
			earliest = last.Started
		}
	}
	return earliest
}

// take returns the run to do now, or else when the next one is due (zero: when somebody asks).
func (m *Manager) take() (*run, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if run := m.asked; run != nil {
		m.asked, m.running, m.stopped = nil, run, false
		return run, time.Time{}
	}
	opt, due, found := m.soonest()
	if !found || due.After(m.reconciler.cfg.Now()) {
		return nil, due
	}
	run, err := m.reconciler.prepare(opt)
	if err != nil {
		tell := m.reconciler.cfg.Log.Warn
		if s3mesh.KindOf(err) == s3mesh.KindUnreachable { // which the status tells, and the workers have logged
			tell = m.reconciler.cfg.Log.Debug
		}
		tell("cannot compare as scheduled; it is tried again", "error", err)
		m.reschedule(opt, err)
		return nil, m.reconciler.cfg.Now()
	}
	m.running, m.stopped = run, false
	return run, time.Time{}
}

// soonest returns what is due first by the schedule. m.mu is held.
func (m *Manager) soonest() (opt Options, due time.Time, found bool) {
	if len(m.resume) > 0 {
		opt, due, found = m.resume[0], m.again, true
	}
	if !m.next.IsZero() && (!found || m.next.Before(due)) {
		opt, due, found = Options{}, m.next, true
	}
	for site, at := range m.polls {
		if !found || at.Before(due) {
			opt, due, found = Options{From: []string{site}}, at, true
		}
	}
	return opt, due, found
}

// do does a run.
func (m *Manager) do(ctx context.Context, run *run) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.mu.Lock()
	m.cancel = cancel
	if m.stopped { // since it was taken
		cancel()
	}
	m.mu.Unlock()

	report, err := run.report(ctx)

	m.mu.Lock()
	stopped := m.stopped
	m.running, m.cancel = nil, nil
	if !m.isPoll(run.opt) {
		m.last = &report
	}
	m.reschedule(run.opt, err)
	m.mu.Unlock()
	if stopped && err != nil {
		m.reconciler.store.stop(run.opt)
	}
	m.log(run, report, err)
}

// log says what a run came to. Of the polls, which are many, only those that found or failed something are worth a line.
func (m *Manager) log(run *run, report Report, err error) {
	log := m.reconciler.cfg.Log.With("run", run.id, "prefix", run.opt.Prefix, "from", run.opt.From, "to", run.opt.To,
		"dry_run", run.opt.DryRun, "keys", report.Keys, "differing", report.Differing)
	switch {
	case s3mesh.KindOf(err) == s3mesh.KindCanceled:
		log.Info("the comparison was stopped")
	case err != nil:
		log.Warn("the comparison ended early; the next one goes on from there", "error", err)
	case !m.isPoll(run.opt) || report.Differing > 0:
		log.Info("compared the sites", "took", report.Finished.Sub(run.began).Round(time.Millisecond))
	}
}

// reschedule decides when what was just done is due again. m.mu is held.
func (m *Manager) reschedule(opt Options, err error) {
	now := m.reconciler.cfg.Now()
	if s3mesh.KindOf(err) == s3mesh.KindUnreachable && !m.stopped {
		m.again = now.Add(jitter(m.wait))
	} else {
		m.resume = slices.DeleteFunc(m.resume, func(other Options) bool { return sameOptions(opt, other) })
	}
	if m.isPoll(opt) {
		m.polls[opt.From[0]] = now.Add(jitter(m.schedule.Polls[opt.From[0]]))
	}
	if m.schedule.Every <= 0 || !sameOptions(opt, Options{}) && !sameOptions(opt, Options{Full: true}) {
		return
	}
	switch {
	case err == nil || m.stopped:
		m.next, m.wait = now.Add(jitter(m.schedule.Every)), retryFirst
	case s3mesh.KindOf(err) != s3mesh.KindCanceled:
		m.next = now.Add(min(jitter(m.wait), jitter(m.schedule.Every)))
		m.wait = min(2*m.wait, retryLast)
	}
}

// idle waits until somebody asks for a run, or one is due.
func (m *Manager) idle(ctx context.Context, due time.Time) {
	var timer <-chan time.Time
	if !due.IsZero() {
		t := time.NewTimer(max(due.Sub(m.reconciler.cfg.Now()), time.Millisecond))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-m.wake:
	case <-timer:
	}
}

// jitter is a duration give or take a tenth, so that the processes of several replica sets do not work in step.
func jitter(d time.Duration) time.Duration {
	tenth := int64(d / 10)
	if tenth <= 0 {
		return d
	}
	return d + time.Duration(rand.Int64N(2*tenth+1)-tenth)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
