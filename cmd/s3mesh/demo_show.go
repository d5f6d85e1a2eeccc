package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/sample"
)

const (
	// showAhead is how many outcomes may wait to be shown. When a burst is faster than the terminal, the rest is counted.
	showAhead = 4096
	// checkUpTo is the size in bytes up to which a replica's content is compared with what was written.
	checkUpTo = 64 << 20
	// checkBelow is how many outcomes may wait before replicas are shown without being compared, to keep up with a burst.
	checkBelow = 64
)

// show prints what a demo does, in the order it happens.
type show struct {
	g     *globals
	demo  *demo
	admin string

	queue   chan s3mesh.Outcome
	done    chan struct{}
	mu      sync.Mutex // guards the output, and skipped
	skipped int
	away    map[string]bool // sites that were said to be away
	arrived chan s3mesh.Outcome
}

func newShow(g *globals, d *demo, admin string) *show {
	s := &show{g: g, demo: d, admin: admin, queue: make(chan s3mesh.Outcome, showAhead), done: make(chan struct{}),
		away: map[string]bool{}, arrived: make(chan s3mesh.Outcome, showAhead)}
	go s.loop()
	return s
}

// observe takes an outcome; it never waits.
func (s *show) observe(out s3mesh.Outcome) {
	select {
	case s.queue <- out:
	default:
		s.mu.Lock()
		s.skipped++
		s.mu.Unlock()
	}
}

// close shows what is left. No outcome may come after it.
func (s *show) close() {
	close(s.queue)
	<-s.done
}

func (s *show) loop() {
	defer close(s.done)
	for out := range s.queue {
		content := ""
		if out.Result.Wrote() {
			content = s.compare(out)
		}
		s.mu.Lock()
		if s.g.json {
			s.lineJSON(out, content)
		} else {
			s.lineText(out, content)
		}
		s.mu.Unlock()
		if out.Result.Wrote() {
			select {
			case s.arrived <- out:
			default: // nobody counts any more
			}
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
	Skipped int             `json:"skipped,omitempty"` // outcomes before this one that were not shown
}

func (s *show) lineJSON(out s3mesh.Outcome, content string) {
	line := outcomeLine{Time: out.Done.UTC(), Source: out.Task.Link.Source, Target: out.Task.Link.Target, Key: out.Task.Event.Key,
		Result: out.Result, LagMS: milliseconds(out.Lag()), Bytes: out.Bytes, Content: content, Version: out.Source,
		Skipped: s.skipped}
	if out.Err != nil {
		line.Error = out.Err.Error()
	}
	s.skipped = 0
	_ = json.NewEncoder(s.g.out).Encode(line) // a reader that went away does not end the demo
}

func (s *show) lineText(out s3mesh.Outcome, content string) {
	link := fmt.Sprintf("%-14s -> %-14s", out.Task.Link.Source, out.Task.Link.Target)
	if s.skipped > 0 {
		fmt.Fprintf(s.g.out, "  ... %d more\n", s.skipped)
		s.skipped = 0
	}
	switch {
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

// compare reads a replica and what it is a replica of, and tells whether the contents are equal.
func (s *show) compare(out s3mesh.Outcome) string {
	switch {
	case out.Bytes > checkUpTo:
		return "not compared (large)"
	case len(s.queue) > checkBelow:
		return "not compared (busy)"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	link, key := out.Task.Link, out.Task.Event.Key
	pin := s3mesh.ReadOptions{}
	from := link.Source
	if out.Source != nil && out.Source.Origin == from {
		pin.VersionID = out.Source.VersionID
	}
	source, err1 := s.digest(ctx, from, key, pin)
	replica, err2 := s.digest(ctx, link.Target, key, s3mesh.ReadOptions{})
	switch {
	case err1 != nil || err2 != nil:
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

func (s *show) digest(ctx context.Context, site, key string, opt s3mesh.ReadOptions) (sum [sha256.Size]byte, err error) {
	_, body, err := s.demo.mesh.buckets[site].Get(ctx, key, opt)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, body)
	h.Sum(sum[:0])
	return sum, errors.Join(err, body.Close())
}

// uploadSamples writes the sample pictures in the first region, and waits until they are everywhere.
func (s *show) uploadSamples(ctx context.Context) error {
	card := s.demo.folder.card
	first := card.Sites[0]
	images := sample.Images()
	s.printf("\nUploading %d pictures to %s:\n", len(images), first.Name)
	client := s3.New(s3.Options{Region: first.Region, BaseEndpoint: aws.String(s.demo.cluster.endpoint(first.Name)),
		UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(card.AccessKey, card.SecretKey, "")})
	for _, image := range images {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &first.Bucket, Key: &image.Key,
			ContentType: &image.ContentType, Body: strings.NewReader(string(image.Data))})
		if err != nil {
			return fmt.Errorf("upload %q to %s: %w", image.Key, first.Name, err)
		}
	}
	missing := len(images) * (len(card.Sites) - 1)
	for ; missing > 0; missing-- {
		select {
		case <-s.arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.printf("All %d pictures are in all %d regions. Now upload anything, anywhere; Ctrl-C ends the demo.\n\n",
		len(images), len(card.Sites))
	return nil
}

// printf writes text for people; with --json nothing.
func (s *show) printf(format string, args ...any) {
	if s.g.json {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.g.out, format, args...)
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

// welcome tells where everything is and how to use it.
func (s *show) welcome() error {
	card := s.demo.folder.card
	hello := demoHello{Admin: s.admin, Token: card.AdminToken}
	for _, site := range card.Sites {
		hello.Sites = append(hello.Sites, helloSite{site.Name, s.demo.cluster.endpoint(site.Name), site.Bucket, site.Region,
			card.AccessKey, card.SecretKey})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.g.write(hello, hello.text)
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
