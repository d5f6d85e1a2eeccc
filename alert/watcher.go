package alert

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

// pollEvery is how often the dead letters of every link are counted. Those of this process are noticed at once.
const pollEvery = 10 * time.Second

// Backlogs counts what a link has yet to do, and its dead letters.
type Backlogs interface {
	Backlog(ctx context.Context, link s3mesh.Link) (s3mesh.Backlog, error)
}

// Letters shows dead letters, as s3mesh.DeadLetters does.
type Letters interface {
	List(ctx context.Context, filter s3mesh.LetterFilter, cursor string, limit int) ([]s3mesh.DeadLetter, string, error)
}

// WatcherConfig is what a [Watcher] is made of.
type WatcherConfig struct {
	Set   string        // the name of the replica set
	Links []s3mesh.Link // those that this process works on
	// Left is what there was of every link before any work began: it was told of by an earlier process.
	Left    map[s3mesh.Link]s3mesh.Backlog
	Queue   Backlogs
	Letters Letters
	// MaxDeletesPerMinute is the limit of the brake.
	MaxDeletesPerMinute int
	// Healing reports that dead letters of a link are being tried again, so that there being none means nothing. Nil: never.
	Healing func(s3mesh.Link) bool
	Notify  func(Alert)
	Now     func() time.Time
	Log     *slog.Logger
}

// Watcher raises an alert when a link that had no dead letters has one, and when its deletes begin to be held. It raises none
// for a link that had dead letters when the process began, nor a second one before the link was seen without any while none
// was being tried again. Processes that share a link each raise their own. It is safe for concurrent use.
type Watcher struct {
	WatcherConfig
	nudge chan struct{}

	mu    sync.Mutex
	links map[s3mesh.Link]*watched
}

// watched is one link. The lock of the Watcher guards it.
type watched struct {
	armed    bool // the link had no dead letters when it was last looked at
	nudged   bool // a task became a dead letter since
	held     bool // the brake engaged since
	heldLeft bool // deletes were held when the process began: the first engagement of the brake is no news
	last     s3mesh.DeadLetter
}

// NewWatcher returns a watcher that looks at its links once [Watcher.Run] is called.
func NewWatcher(cfg WatcherConfig) *Watcher {
	w := &Watcher{WatcherConfig: cfg, nudge: make(chan struct{}, 1), links: make(map[s3mesh.Link]*watched, len(cfg.Links))}
	if w.Healing == nil {
		w.Healing = func(s3mesh.Link) bool { return false }
	}
	for _, link := range cfg.Links {
		left := cfg.Left[link]
		w.links[link] = &watched{armed: left.DeadLetters == 0, heldLeft: left.Held > 0}
	}
	return w
}

// Observe takes an outcome. It is quick, and may be called from several goroutines.
func (w *Watcher) Observe(out s3mesh.Outcome) {
	if out.Result != s3mesh.ResultDeadLettered {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.links[out.Task.Link]
	if l == nil || !l.armed {
		return
	}
	kind := s3mesh.KindOf(out.Err)
	l.nudged, l.last = true, s3mesh.DeadLetter{Event: out.Task.Event, Kind: kind, Cause: out.Err.Error(), Remedy: kind.Remedy()}
	w.wake()
}

// Held takes that the brake of a link engaged. It is quick, and may be called from several goroutines.
func (w *Watcher) Held(link s3mesh.Link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.links[link]
	if l == nil {
		return
	}
	l.held = !l.heldLeft
	l.heldLeft = false
	w.wake()
}

// wake has Run look at the links. The lock is held.
func (w *Watcher) wake() {
	select {
	case w.nudge <- struct{}{}:
	default: // it is awake already
	}
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		all := false
		select {
		case <-ctx.Done():
			return
		case <-w.nudge:
		case <-ticker.C:
			all = true
		}
		for _, link := range w.Links {
			w.look(ctx, link, all)
		}
	}
}

// look counts the dead letters of a link if there is word of one, or always; and tells when its deletes began to be held.
func (w *Watcher) look(ctx context.Context, link s3mesh.Link, always bool) {
	w.mu.Lock()
	l := w.links[link]
	nudged, held := l.nudged, l.held
	l.nudged, l.held = false, false
	w.mu.Unlock()
	if !nudged && !held && !always {
		return
	}
	healing := w.Healing(link)
	backlog, err := w.Queue.Backlog(ctx, link)
	if held {
		w.Notify(w.heldAlert(link, backlog))
	}
	if err != nil {
		w.complain(ctx, link, err)
		return
	}
	// Asked on both sides of the count, as a letter that is being tried again is none for that time.
	healing = healing || w.Healing(link)
	switch n := backlog.DeadLetters; {
	case n == 0 && !healing:
		w.mu.Lock()
		l.armed = true
		w.mu.Unlock()
	case n > 0 && w.disarm(l):
		w.raise(ctx, link, n, l)
	}
}

func (w *Watcher) complain(ctx context.Context, link s3mesh.Link, err error) {
	if ctx.Err() == nil {
		w.Log.Warn("cannot look at the dead letters of a link", "link", link.String(), "error", err)
	}
}

func (w *Watcher) heldAlert(link s3mesh.Link, b s3mesh.Backlog) Alert {
	a := w.alert(DeletesHeld, link, max(1, b.Held)) // the delete that engaged the brake may not be counted yet
	a.Kind = s3mesh.KindHeld
	a.Cause = fmt.Sprintf("there were more than %d deletes on this link in a minute", w.MaxDeletesPerMinute)
	a.Remedy = fmt.Sprintf("when they are meant, let them go with: s3mesh link resume %s %s; otherwise take them back at %s first",
		link.Source, link.Target, link.Source)
	return a
}

// disarm reports whether the link was armed, and ends that.
func (w *Watcher) disarm(l *watched) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	armed := l.armed
	l.armed = false
	return armed
}

// raise raises the alert that a link has n dead letters. Those that another process buried are looked up.
func (w *Watcher) raise(ctx context.Context, link s3mesh.Link, n int64, l *watched) {
	w.mu.Lock()
	letter := l.last
	l.last = s3mesh.DeadLetter{}
	w.mu.Unlock()
	if letter.Event.Key == "" {
		letters, _, err := w.Letters.List(ctx, s3mesh.LetterFilter{Link: link}, "", 1)
		if err != nil {
			w.complain(ctx, link, err)
		}
		if len(letters) > 0 {
			letter = letters[0]
		}
	}
	a := w.alert(DeadLetters, link, n)
	a.Kind, a.Cause, a.Remedy, a.Key = letter.Kind, letter.Cause, letter.Remedy, letter.Event.Key
	w.Notify(a)
}

func (w *Watcher) alert(name Name, link s3mesh.Link, n int64) Alert {
	return Alert{Alert: name, Set: w.Set, Link: link, Count: n, Time: w.Now()}
}
