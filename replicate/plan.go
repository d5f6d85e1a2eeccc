package replicate

import (
	"context"
	"fmt"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// Filter chooses keys by prefix. A key is taken when it starts with one of Include (or Include is empty) and with none of
// Exclude. Keys under [s3mesh.ReservedPrefix] are never taken.
type Filter struct {
	Include, Exclude []string
}

// Takes reports whether key is to be replicated.
func (f Filter) Takes(key string) bool {
	if strings.HasPrefix(key, s3mesh.ReservedPrefix) || hasAnyPrefix(key, f.Exclude) {
		return false
	}
	return len(f.Include) == 0 || hasAnyPrefix(key, f.Include)
}

func hasAnyPrefix(key string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

// Publisher is the part of a queue that takes events.
type Publisher interface {
	Publish(ctx context.Context, lane s3mesh.Lane, events ...s3mesh.Event) error
}

// PlannerConfig is what a [Planner] is made of.
type PlannerConfig struct {
	Set    s3mesh.ReplicaSet
	Filter Filter
	Queue  Publisher
	// Echoes is the memory shared with the replicators of this process.
	Echoes *Echoes
	// Principals names, per site, a principal that only s3mesh uses there: its events are echoes.
	Principals map[string]string
	// LargeObject is the size in bytes from which an object goes to the large lane.
	LargeObject int64
}

// Planner admits events to the queue: it drops what can never lead to a replica, and chooses the lane of the rest. It is
// safe for concurrent use.
type Planner struct {
	PlannerConfig
	ignoreEchoes map[string]bool // per site
}

// NewPlanner returns a planner.
func NewPlanner(cfg PlannerConfig) *Planner {
	p := &Planner{PlannerConfig: cfg, ignoreEchoes: make(map[string]bool, len(cfg.Set.Sites))}
	for _, site := range cfg.Set.Sites {
		p.ignoreEchoes[site.Name] = cfg.Set.EchoesRedundant(site.Name)
	}
	return p
}

// Accept makes the events of one message from site durable, and returns nil only once they are. An event that names
// another bucket than the site's is KindInvalid, and then none of them is accepted.
func (p *Planner) Accept(ctx context.Context, site string, events []s3mesh.Event) error {
	at, ok := p.Set.Site(site)
	if !ok {
		return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "accept event", Site: site,
			Err: fmt.Errorf("no site %q in replica set %q", site, p.Set.Name)}
	}
	byLane := make(map[s3mesh.Lane][]s3mesh.Event, 1)
	for _, ev := range events {
		if ev.Bucket != "" && ev.Bucket != at.Bucket {
			return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "accept event", Site: site, Key: ev.Key,
				Err: fmt.Errorf("event of bucket %q, but the site's bucket is %q: point that bucket's notifications "+
					"elsewhere or correct the site", ev.Bucket, at.Bucket)}
		}
		ev.Site = site
		if p.wanted(ev) {
			lane := p.lane(ev)
			byLane[lane] = append(byLane[lane], ev)
		}
	}
	for _, lane := range s3mesh.Lanes() {
		if len(byLane[lane]) == 0 {
			continue
		}
		if err := p.Queue.Publish(ctx, lane, byLane[lane]...); err != nil {
			return err
		}
	}
	return nil
}

func (p *Planner) wanted(ev s3mesh.Event) bool {
	return ev.Type != s3mesh.EventTest && p.Filter.Takes(ev.Key) && !p.echo(ev)
}

func (p *Planner) echo(ev s3mesh.Event) bool {
	if !p.ignoreEchoes[ev.Site] {
		return false
	}
	own := p.Principals[ev.Site]
	// The removal of a delete marker is announced under the version ID that its creation was announced under.
	return own != "" && own == ev.Principal || ev.Type == s3mesh.EventCreated && p.Echoes.Caused(ev, "")
}

func (p *Planner) lane(ev s3mesh.Event) s3mesh.Lane {
	if p.LargeObject > 0 && ev.Size >= p.LargeObject {
		return s3mesh.LaneLarge
	}
	return s3mesh.LaneLive
}
