package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	// showAhead is how many outcomes may wait to be shown. When a burst is faster than the terminal, the rest is counted.
	showAhead = 4096
	// checkUpTo is the size in bytes up to which a replica's content is compared with what was written.
	checkUpTo = 64 << 20
	// checkBelow is how many outcomes may wait before replicas are shown without being compared, to keep up with a burst.
	checkBelow = 64
	// checkTimeout is how long a comparison may take.
	checkTimeout = 2 * time.Second
	// slowPause is how long a site that did not answer a comparison is left alone.
	slowPause = 5 * time.Second
	// lastLines is how long an end waits for the last lines to be written.
	lastLines = time.Second
)

// show prints what a demo does, in the order it happens. One goroutine writes to standard output, and nobody else ever waits
// for it, as whoever reads it may stop reading.
type show struct {
	g     *globals
	demo  *demo
	admin string

	queue   chan shown
	skipped atomic.Int64 // outcomes that found the queue full since the last line
	samples *arrivals

	done          chan struct{}      // closed once the writer has ended
	stopComparing context.CancelFunc // nil until the writer was started

	// Of the writer alone.
	away map[string]bool      // sites that were said to be away
	slow map[string]time.Time // sites that did not answer a comparison in time, and until when they are left alone
}

// shown is a line to write: a note to people, or an outcome.
type shown struct {
	note string
	out  s3mesh.Outcome
}

func newShow(g *globals, d *demo, admin string) *show {
	return &show{g: g, demo: d, admin: admin, queue: make(chan shown, showAhead), done: make(chan struct{}),
		samples: newArrivals(), away: map[string]bool{}, slow: map[string]time.Time{}}
}

// observe takes an outcome; it never waits.
func (s *show) observe(out s3mesh.Outcome) {
	s.samples.observe(out)
	s.enqueue(shown{out: out})
}

func (s *show) enqueue(line shown) {
	select {
	case s.queue <- line:
	default:
		s.skipped.Add(1)
	}
}

// close shows what is left, as far as standard output takes it without delay. No outcome may come after it.
func (s *show) close() {
	close(s.queue)
	if s.stopComparing == nil {
		return
	}
	defer s.stopComparing()
	stop := time.AfterFunc(lastLines/2, s.stopComparing)
	defer stop.Stop()
	select {
	case <-s.done:
	case <-time.After(lastLines):
	}
}

// write says hello, tells how that went, and shows everything after it; it compares replicas until ctx ends.
func (s *show) write(ctx context.Context, hello demoHello, welcomed chan<- error) {
	defer close(s.done)
	welcomed <- s.g.write(hello, hello.text)
	for line := range s.queue {
		switch {
		case line.note != "":
			fmt.Fprint(s.g.out, line.note)
		case s.g.json:
			s.lineJSON(line.out, s.compare(ctx, line.out))
		default:
			s.lineText(line.out, s.compare(ctx, line.out))
		}
	}
}

// outcomeLine is an outcome as --json shows it.
type outcomeLine struct {
	Time    time.Time       `json:"time"`
	Source  string          `json:"source"`
	Target  string          `json:"target"`
	Key     string          `json:"key"`
	Result  s3mesh.Result   `json:"result"`
	LagMS   float64         `json:"lag_ms"`
	Bytes   int64           `json:"bytes"`
	Content string          `json:"content,omitempty"` // "equal", "different", or why it was not compared
	Version *s3mesh.Version `json:"version,omitempty"`
	Error   string          `json:"error,omitempty"`
	Skipped int64           `json:"skipped,omitempty"` // outcomes before this one that were not shown
}

func (s *show) lineJSON(out s3mesh.Outcome, content string) {
	line := outcomeLine{Time: out.Done.UTC(), Source: out.Task.Link.Source, Target: out.Task.Link.Target, Key: out.Task.Event.Key,
		Result: out.Result, LagMS: milliseconds(out.Lag()), Bytes: out.Bytes, Content: content, Version: out.Source,
		Skipped: s.skipped.Swap(0)}
	if out.Err != nil {
		line.Error = out.Err.Error()
	}
	_ = json.NewEncoder(s.g.out).Encode(line) // a reader that went away does not end the demo
}

func (s *show) lineText(out s3mesh.Outcome, content string) {
	link := fmt.Sprintf("%-14s -> %-14s", out.Task.Link.Source, out.Task.Link.Target)
	if skipped := s.skipped.Swap(0); skipped > 0 {
		fmt.Fprintf(s.g.out, "  ... %d more\n", skipped)
	}
	switch {
	case out.Result == s3mesh.ResultDeleted, out.Result == s3mesh.ResultUndeleted:
		s.back(out.Task.Link)
		what := map[s3mesh.Result]string{s3mesh.ResultDeleted: "deleted", s3mesh.ResultUndeleted: "brought back"}[out.Result]
		fmt.Fprintf(s.g.out, "  %s %7.1f ms  %9s  %s\n", link, milliseconds(out.Lag()), what, out.Task.Event.Key)
	case out.Result.Wrote():
		note := ""
		if out.Result == s3mesh.ResultConflictWon {
			note = "  (conflict: this write won)"
		}
		s.back(out.Task.Link)
		fmt.Fprintf(s.g.out, "  %s %7.1f ms  %9s  content %s  %s%s\n",
			link, milliseconds(out.Lag()), size(out.Bytes), content, out.Task.Event.Key, note)
	case out.Result == s3mesh.ResultDeadLettered:
		fmt.Fprintf(s.g.out, "  %s FAILED  %s: %v\n", link, out.Task.Event.Key, out.Err)
	case s3mesh.KindOf(out.Err) == s3mesh.KindUnreachable && out.Err != nil:
		s.gone(out)
	}
}

// gone says once that a region does not answer.
func (s *show) gone(out s3mesh.Outcome) {
	var e *s3mesh.Error
	if !errors.As(out.Err, &e) || e.Site == "" || s.away[e.Site] {
		return
	}
	s.away[e.Site] = true
	fmt.Fprintf(s.g.out, "  %s does not answer; what is written elsewhere waits for it\n", e.Site)
}

// back says once that the ends of a link answer again.
func (s *show) back(link s3mesh.Link) {
	for _, site := range []string{link.Source, link.Target} {
		if s.away[site] {
			delete(s.away, site)
			fmt.Fprintf(s.g.out, "  %s is back and catches up\n", site)
		}
	}
}

// compare reads a replica and what it is a replica of, and tells whether the contents are equal; nothing when there is no
// new replica.
func (s *show) compare(ctx context.Context, out s3mesh.Outcome) string {
	link, key := out.Task.Link, out.Task.Event.Key
	switch {
	case !out.Result.Wrote(), out.Result == s3mesh.ResultDeleted, out.Result == s3mesh.ResultUndeleted:
		return "" // no new content
	case out.Bytes > checkUpTo:
		return "not compared (large)"
	case len(s.queue) > checkBelow:
		return "not compared (busy)"
	case time.Now().Before(s.slow[link.Source]), time.Now().Before(s.slow[link.Target]):
		return "not compared (no answer)"
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	pin := s3mesh.ReadOptions{}
	if out.Source != nil && out.Source.Origin == link.Source {
		pin.VersionID = out.Source.VersionID
	}
	source, err := s.digest(ctx, link.Source, key, pin)
	if err != nil {
		return "not compared"
	}
	replica, err := s.digest(ctx, link.Target, key, s3mesh.ReadOptions{})
	switch {
	case err != nil:
		return "not compared"
	case source == replica:
		return "equal"
	case s.moved(ctx, out):
		return "overwritten meanwhile"
	default:
		return "DIFFERENT"
	}
}

// moved reports that the target has taken another version since.
func (s *show) moved(ctx context.Context, out s3mesh.Outcome) bool {
	now := s.demo.mesh.inspector.Inspect(ctx, out.Task.Event.Key, []string{out.Task.Link.Target})
	v := now.Sites[0].Version
	return v == nil || out.Source == nil || !v.Same(*out.Source)
}

// digest reads an object. A site that does not answer in time is left alone for a while: it would hold up every line.
func (s *show) digest(ctx context.Context, site, key string, opt s3mesh.ReadOptions) (sum [sha256.Size]byte, err error) {
	defer func() {
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.slow[site] = time.Now().Add(slowPause)
		}
	}()
	_, body, err := s.demo.mesh.buckets[site].Get(ctx, key, opt)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, body)
	h.Sum(sum[:0])
	return sum, errors.Join(err, body.Close())
}

// printf writes text for people; with --json nothing.
func (s *show) printf(format string, args ...any) {
	if !s.g.json {
		s.enqueue(shown{note: fmt.Sprintf(format, args...)})
	}
}

// demoHello is the first line of demo --json.
type demoHello struct {
	Sites []helloSite `json:"sites"`
	Admin string      `json:"admin"`
	Token string      `json:"token"`
}

type helloSite struct {
	Name      string `json:"name"`
	Endpoint  string `json:"endpoint"`
	Bucket    string `json:"bucket"`
	Region    string `json:"region"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// welcome tells where everything is and how to use it, and has everything shown that comes after. It waits until the text is
// written, or ctx ends.
func (s *show) welcome(ctx context.Context) error {
	card := s.demo.folder.card
	hello := demoHello{Admin: s.admin, Token: card.AdminToken}
	for _, site := range card.Sites {
		hello.Sites = append(hello.Sites, helloSite{site.Name, s.demo.cluster.endpoint(site.Name), site.Bucket, site.Region,
			card.AccessKey, card.SecretKey})
	}
	welcomed := make(chan error, 1)
	// The comparisons go on while the work is drained, after ctx; close ends them.
	comparing, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopComparing = stop
	go s.write(comparing, hello, welcomed)
	select {
	case err := <-welcomed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (h demoHello) text(w io.Writer) {
	first, last := h.Sites[0], h.Sites[len(h.Sites)-1]
	fmt.Fprintf(w, "s3mesh demo: %d regions on this machine, every bucket writable\n\n", len(h.Sites))
	for _, site := range h.Sites {
		fmt.Fprintf(w, "  %-16s %s  bucket %s\n", site.Name, site.Endpoint, site.Bucket)
	}
	fmt.Fprintf(w, `
In another terminal, with the stock aws CLI (the credentials are the same in every region):

  export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s
  aws --region %s --endpoint-url %s s3 cp photo.jpg s3://%s/
  aws --region %s --endpoint-url %s s3 ls s3://%s/

  %[9]s status                            links, backlog, lag
  %[9]s inspect photo.jpg                 one key in every region
  %[9]s demo region stop %-16[10]s take a region down; 'start' brings it back
`, first.AccessKey, first.SecretKey, first.Region, first.Endpoint, first.Bucket,
		last.Region, last.Endpoint, last.Bucket, os.Args[0], h.Sites[1].Name)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
}
