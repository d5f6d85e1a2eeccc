package replicate

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	// canaryFirst and canaryMax bound the wait between two letters that are tried on their own.
	canaryFirst = 30 * time.Second
	canaryMax   = 15 * time.Minute
	// canaryPatience is how long a letter that is tried may go without an outcome: another process may have had it.
	canaryPatience = 15 * time.Minute
	// healTick is how often it is looked whether a letter is due, or a site is back.
	healTick = time.Second
	// healPage is how many letters are read, and replayed, at a time.
	healPage = 500
	// healRescan is how often all letters are looked through for what another process has left behind.
	healRescan = time.Hour
	// aftermath is for how long letters that were replayed may fail again without being news.
	aftermath = 5 * time.Minute
)

// HealerConfig is what a [Healer] is made of.
type HealerConfig struct {
	Links   []s3mesh.Link // those that this process works on
	Letters s3mesh.DeadLetters
	// Away reports whether work on a site is held back, as by [Gate.Closed].
	Away func(site string) bool
	// Healed is told how many letters of a link were replayed because their cause is gone. Nil: nobody.
	Healed func(link s3mesh.Link, letters int)
	Log    *slog.Logger
}

// Healer replays dead letters by itself once their cause is gone. Letters that may heal (see [s3mesh.Kind.MayHeal]) are of one
// ailment when they have their link, kind and failing site in common. Of each ailment one letter is replayed every so often, less
// and less often while it keeps failing, and at once when the site was away and is back. As soon as one is written to its target,
// all are replayed. One that ends well without a write, because its key is gone or equal, proves nothing: the next one is tried.
//
// Of several processes that work on a link each tries letters, and learns from those that come back to it. It is safe for
// concurrent use.
type Healer struct {
	HealerConfig
	wards map[s3mesh.Link]*ward
}

// ward is the ailments of one link.
type ward struct {
	link  s3mesh.Link
	nudge chan struct{}
	away  map[string]bool // by site, when it was last looked at; used by one goroutine

	mu       sync.Mutex
	ailments map[ailment]*course
	quiet    time.Time // until then letters that come back are no news
}

// ailment is what letters of a link have in common that heal together.
type ailment struct {
	kind s3mesh.Kind
	site string // empty where the failure named none
}

// course is how an ailment goes. The lock of the ward guards it.
type course struct {
	wait    time.Duration // before the next letter is tried, once one has failed
	due     time.Time     // when the next one is tried
	canary  string        // the key of the letter that is being tried; empty when there is none
	expires time.Time     // when the canary is given up
	news    bool          // a letter was added since it was last due
	mended  bool          // the canary was written: all letters are to be replayed
}

// NewHealer returns a healer that works once [Healer.Run] is called.
func NewHealer(cfg HealerConfig) *Healer {
	h := &Healer{HealerConfig: cfg, wards: make(map[s3mesh.Link]*ward, len(cfg.Links))}
	for _, link := range cfg.Links {
		h.wards[link] = &ward{link: link, nudge: make(chan struct{}, 1), away: map[string]bool{}, ailments: map[ailment]*course{}}
	}
	return h
}

// Observe takes an outcome. It is quick, and may be called from several goroutines.
func (h *Healer) Observe(out s3mesh.Outcome) {
	if w := h.wards[out.Task.Link]; w != nil {
		w.observe(out, time.Now())
	}
}

// Healing reports that letters of a link are being tried again, or were a short while ago: they may be letters again soon, and
// that is no news.
func (h *Healer) Healing(link s3mesh.Link) bool {
	w := h.wards[link]
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Now().Before(w.quiet) {
		return true
	}
	for _, c := range w.ailments {
		if c.canary != "" || c.mended {
			return true
		}
	}
	return false
}

// Run heals until ctx ends.
func (h *Healer) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, w := range h.wards {
		group.Go(func() { h.attend(ctx, w) })
	}
	for {
		if err := h.discover(ctx); err != nil {
			h.complain(ctx, "cannot look through the dead letters", err)
		}
		if sleep(ctx, healRescan) != nil {
			break
		}
	}
	group.Wait()
}

// discover finds the ailments of the letters that an earlier process, or another one, has left.
func (h *Healer) discover(ctx context.Context) error {
	kinds := slices.DeleteFunc(s3mesh.Kinds(), func(k s3mesh.Kind) bool { return !k.MayHeal() })
	return h.each(ctx, s3mesh.LetterFilter{Kinds: kinds}, func(page []s3mesh.DeadLetter) (more bool, err error) {
		now := time.Now()
		for _, l := range page {
			if w := h.wards[l.Link]; w != nil {
				w.mu.Lock()
				w.admit(ailment{l.Kind, l.Site}, now)
				w.mu.Unlock()
			}
		}
		return true, nil
	})
}

// each calls visit for the letters that filter chooses, a page at a time, while it wants more.
func (h *Healer) each(ctx context.Context, filter s3mesh.LetterFilter, visit func([]s3mesh.DeadLetter) (bool, error)) error {
	for cursor := ""; ; {
		page, next, err := h.Letters.List(ctx, filter, cursor, healPage)
		if err != nil {
			return err
		}
		if more, err := visit(page); err != nil || !more || next == "" {
			return err
		}
		cursor = next
	}
}

// attend tries the letters of one link, and replays them.
func (h *Healer) attend(ctx context.Context, w *ward) {
	for w.await(ctx) {
		h.welcome(w)
		for _, a := range w.list() {
			h.treat(ctx, w, a)
		}
	}
}

// treat does what is to be done about an ailment now.
func (h *Healer) treat(ctx context.Context, w *ward, a ailment) {
	mended, due := w.next(a, time.Now())
	switch {
	case mended:
		h.replayAll(ctx, w, a)
	case due && !h.Away(w.link.Source) && !h.Away(w.link.Target) && !h.Away(a.site):
		h.try(ctx, w, a)
	}
}

// welcome has the ailments of a site that was away and is back looked at at once.
func (h *Healer) welcome(w *ward) {
	for _, a := range w.list() {
		away := h.Away(a.site)
		if w.away[a.site] && !away {
			w.hasten(a.site, time.Now())
		}
		w.away[a.site] = away
	}
}

// try replays the oldest letter of an ailment, and no other.
func (h *Healer) try(ctx context.Context, w *ward, a ailment) {
	letter, err := h.oldest(ctx, w.link, a)
	if err != nil {
		w.postpone(a, time.Now())
		h.complain(ctx, "cannot look for a dead letter to try again", err)
		return
	}
	if letter.ID == "" {
		w.discharge(a)
		return
	}
	w.begin(a, letter.Event.Key, time.Now()) // before it can have an outcome
	n, err := h.Letters.Replay(ctx, letter.ID)
	if err != nil {
		w.abandon(a)
		w.postpone(a, time.Now())
		h.complain(ctx, "cannot try a dead letter again", err)
		return
	}
	if n == 0 { // somebody else was faster
		w.abandon(a)
	}
}

// oldest returns the oldest letter of an ailment; its ID is empty when there is none.
func (h *Healer) oldest(ctx context.Context, link s3mesh.Link, a ailment) (found s3mesh.DeadLetter, err error) {
	err = h.each(ctx, a.filter(link), func(page []s3mesh.DeadLetter) (bool, error) {
		if i := slices.IndexFunc(page, a.of); i >= 0 {
			found = page[i]
		}
		return found.ID == "", nil
	})
	return found, err
}

// replayAll replays every letter of an ailment that was there when it began.
func (h *Healer) replayAll(ctx context.Context, w *ward, a ailment) {
	filter := a.filter(w.link)
	filter.Before = time.Now() // what fails again is not replayed for ever
	healed := 1                // the one that was tried
	err := h.each(ctx, filter, func(page []s3mesh.DeadLetter) (bool, error) {
		var ids []string
		for _, l := range page {
			if a.of(l) {
				ids = append(ids, l.ID)
			}
		}
		if len(ids) == 0 {
			return true, nil
		}
		n, err := h.Letters.Replay(ctx, ids...)
		healed += n
		return true, err
	})
	w.restart(a, time.Now())
	if h.Healed != nil {
		h.Healed(w.link, healed)
	}
	h.Log.Info("dead letters are tried again, as their cause is gone", "link", w.link.String(), "kind", a.kind.String(),
		"site", a.site, "letters", healed)
	if err != nil {
		h.complain(ctx, "cannot try all dead letters again", err)
	}
}

func (h *Healer) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		h.Log.Warn("healing", "problem", what, "error", err)
	}
}

// filter chooses the letters of an ailment, and, where it names no site, those of others beside them.
func (a ailment) filter(link s3mesh.Link) s3mesh.LetterFilter {
	return s3mesh.LetterFilter{Link: link, Kinds: []s3mesh.Kind{a.kind}, Site: a.site}
}

// of reports whether a letter is of the ailment.
func (a ailment) of(l s3mesh.DeadLetter) bool { return l.Kind == a.kind && l.Site == a.site }
