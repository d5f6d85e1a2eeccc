package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/config"
	"github.com/s3mesh/s3mesh/doctor"
	"github.com/s3mesh/s3mesh/intake"
	"github.com/s3mesh/s3mesh/notify"
)

const (
	// daemonTimeout is how long the running process may take to say that it is there.
	daemonTimeout = 5 * time.Second
	// othersWait is how long a notification may be behind others that are told to come again.
	othersWait = 3 * time.Second
	scratchKey = s3mesh.ReservedPrefix + "probe/"
)

// openArrivals returns who tells which notifications came: the running process, or where there is none a listener in its place.
// end ends it.
func openArrivals(ctx context.Context, cfg *config.Config, log *slog.Logger) (from doctor.Arrivals,
	end func(context.Context) error) {
	client := &admin.Client{URL: "http://" + dialable(cfg.Admin.Listen), Token: cfg.Admin.Token.Reveal()}
	asking, cancel := context.WithTimeout(ctx, daemonTimeout)
	defer cancel()
	if _, err := client.Status(asking); s3mesh.KindOf(err) != s3mesh.KindUnreachable || err == nil {
		return daemon{client}, func(context.Context) error { return nil }
	}
	l := &notices{seen: map[notice]bool{}, others: map[string]time.Time{}}
	listener, err := listen(ctx, "events (intake.listen)", cfg.Intake.Listen, cfg.Intake.TLS)
	if err != nil {
		l.err = err
		return l, func(context.Context) error { return nil }
	}
	server := serve(listener, l.handler(cfg.Intake.Token.Reveal()))
	log.Debug("no process is running: the doctor takes the notifications of its own writes", "listen", cfg.Intake.Listen)
	return l, server.close
}

// daemon is the running process.
type daemon struct{ *admin.Client }

// Seen implements [doctor.Arrivals].
func (d daemon) Seen(ctx context.Context, site, key string) (bool, error) {
	answer, err := d.Client.Seen(ctx, site, key)
	return answer.Seen, err
}

// notices remembers the notifications of scratch keys, and takes no others.
type notices struct {
	err error // why nothing can arrive

	mu     sync.Mutex
	seen   map[notice]bool
	others map[string]time.Time // when the first of another key came from a site
}

type notice struct{ site, key string }

func (a *notices) handler(token string) http.Handler {
	return intake.Handler(intake.Config{Token: token, Decode: notify.Decode, Accept: a.accept, Log: slog.New(slog.DiscardHandler)})
}

// accept takes a message about scratch keys. Any other has to come again, when s3mesh runs: nobody would replicate it now.
func (a *notices) accept(_ context.Context, site string, events []s3mesh.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	foreign := false
	for _, ev := range events {
		switch {
		case ev.Type == s3mesh.EventTest:
		case strings.HasPrefix(ev.Key, scratchKey):
			if strings.HasSuffix(ev.Key, "/mark") {
				a.seen[notice{site, ev.Key}] = true
			}
		default:
			foreign = true
		}
	}
	if !foreign {
		return nil
	}
	if a.others[site].IsZero() {
		a.others[site] = time.Now()
	}
	return &s3mesh.Error{Kind: s3mesh.KindUnreachable, Op: "take events", Site: site,
		Err: errors.New("s3mesh is not running; come again")}
}

// Seen implements [doctor.Arrivals]. Where notifications of other keys are waiting before it, that is an error.
func (a *notices) Seen(_ context.Context, site, key string) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.others[site]
	switch {
	case a.err != nil:
		return false, a.err
	case a.seen[notice{site, key}]:
		return true, nil
	case !first.IsZero() && time.Since(first) > othersWait:
		return false, errors.New("the store sends notifications, but of other keys first, which wait for s3mesh to run: " +
			"start it, and ask again")
	}
	return false, nil
}
