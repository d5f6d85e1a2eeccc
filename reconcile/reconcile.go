package reconcile

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

// Site is what a run reads of one site's bucket. Its methods are safe for concurrent use, and their errors are *[s3mesh.Error].
type Site interface {
	// Head returns the current object under key, see [s3mesh.Reader].
	Head(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, error)
	// List yields pages of the keys that hold an object, in the store's order. Pages may be kept. After an error it ends.
	List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error]
	// Versions yields pages of all versions and delete markers, keys in the store's order, within a key the latest first. A
	// store that cannot list versions is KindUnsupported.
	Versions(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.ListedVersion, error]
	// Folders returns, from one page of a listing, the common prefixes that end at the next "/" after prefix. more tells
	// that the page was not all.
	Folders(ctx context.Context, prefix string) (folders []string, more bool, err error)
}

// Publisher is the part of a queue that takes events.
type Publisher interface {
	Publish(ctx context.Context, lane s3mesh.Lane, events ...s3mesh.Event) error
}

// Backlogs is the part of a queue that counts what a link has yet to do.
type Backlogs interface {
	Backlog(ctx context.Context, link s3mesh.Link) (s3mesh.Backlog, error)
}

// Queue is what a run needs of a queue.
type Queue interface {
	Publisher
	Backlogs
}

// Config is what a [Reconciler] is made of.
type Config struct {
	Set s3mesh.ReplicaSet
	// Served names the sites whose links a run may compare: only links to these. Empty: all links.
	Served []string
	// Sites reads every site of the replica set, by name.
	Sites map[string]Site
	// Takes reports whether a key is to be replicated; nil takes all. Keys under [s3mesh.ReservedPrefix] are never taken.
	Takes func(key string) bool
	// Rules is a text that changes whenever Takes does: what was compared under other rules does not count as compared.
	Rules string
	Queue Queue
	// PropagateDeletes tells that delete markers are carried to the other sites.
	PropagateDeletes bool
	// MaxClockSkew is the largest difference between the clocks of the sites, and of this process.
	MaxClockSkew time.Duration
	// LargeObject is the size in bytes from which an object goes to the large lane; zero: none does.
	LargeObject int64
	// Dir is where it is kept how far a run came. It belongs to this replica set and process. Empty: nothing is kept.
	Dir string
	// Ready, where set, waits until a site answers. It is called before a run, and before a request that failed is repeated.
	Ready func(ctx context.Context, site string) error
	// Away, where set, reports whether a site does not answer. It is asked of all sites at once before a run, which leaves the links
	// of those that do not out, and says so.
	Away func(site string) bool
	// Observe, where set, is told of the progress of each run about once a second, and once when it ends.
	Observe func(Progress)
	// Now is the clock; nil stands for [time.Now].
	Now func() time.Time
	Log *slog.Logger
	// Parallel is how many ranges of the keyspace are compared at a time: 4 when zero.
	Parallel int
	// MaxPending is how many events a link may have yet to do before a run waits: 20,000 when zero.
	MaxPending int64
}

// Options say what a run compares. The zero value compares all keys over all links.
type Options struct {
	// Prefix restricts the run to keys that start with it.
	Prefix string `json:"prefix,omitempty"`
	// From and To restrict the run to links from, and to, the sites that they name; empty: any.
	From []string `json:"from,omitempty"`
	To   []string `json:"to,omitempty"`
	// DryRun publishes nothing and keeps nothing.
	DryRun bool `json:"dry_run,omitempty"`
	// Anew begins with the first key, also where an earlier run with the same options was cut off: what that one compared may have
	// changed since.
	Anew bool `json:"anew,omitempty"`
	// Full asks also the objects that have not changed since the last complete run.
	Full bool `json:"full,omitempty"`
}

// Reason is why a key counts as different on a link.
type Reason string

// The reasons.
const (
	ReasonAbsent  Reason = "absent"  // the target holds no object
	ReasonSize    Reason = "size"    // the sizes differ
	ReasonETag    Reason = "etag"    // the ETags differ, and the objects are not the same version
	ReasonVersion Reason = "version" // only what the objects carry beside their content differs, or could not be asked for
	ReasonDeleted Reason = "deleted" // the source holds a delete marker where the target holds an object
)

// Summary is an object at one end of a link. It is zero where there is none.
type Summary struct {
	Size         int64     `json:"size"`
	ETag         string    `json:"etag,omitempty"`
	LastModified time.Time `json:"last_modified,omitzero"`
}

// Difference is a key that differs on a link.
type Difference struct {
	Key    string      `json:"key"`
	Link   s3mesh.Link `json:"link"`
	Reason Reason      `json:"reason"`
	Source Summary     `json:"source,omitzero"`
	Target Summary     `json:"target,omitzero"`
}

const (
	defaultParallel   = 4
	defaultMaxPending = 20_000
	maxSites          = 64 // of a run: one bit each
)

// Reconciler compares sites. It is safe for concurrent use; runs that overlap are independent of each other.
type Reconciler struct {
	cfg   Config
	store *store
}

// New returns a reconciler that goes on where an earlier one with the same Dir was cut off. A file there that cannot be read is
// reported in the log and ignored.
func New(cfg Config) *Reconciler {
	if cfg.Parallel <= 0 {
		cfg.Parallel = defaultParallel
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = defaultMaxPending
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Dir != "" {
		if err := removeLeftovers(cfg.Dir); err != nil {
			cfg.Log.Warn("cannot remove what an earlier comparison left on disk", "error", err)
		}
	}
	return &Reconciler{cfg: cfg, store: openStore(cfg)}
}

// takes reports whether a key is compared at all. A queue holds no key that is not UTF-8, nor does S3.
func (c *Config) takes(key string) bool {
	return !strings.HasPrefix(key, s3mesh.ReservedPrefix) && (c.Takes == nil || c.Takes(key))
}

// links returns the links that a run compares. None at all is an error: an operator who asks for nothing made a mistake.
func (c *Config) links(opt Options) ([]s3mesh.Link, error) {
	for _, name := range slices.Concat(opt.From, opt.To) {
		if _, ok := c.Set.Site(name); !ok {
			return nil, invalid(fmt.Errorf("no site %q in replica set %q", name, c.Set.Name))
		}
	}
	chosen := func(names []string, name string) bool { return len(names) == 0 || slices.Contains(names, name) }
	var links []s3mesh.Link
	for _, l := range c.Set.Links {
		if chosen(c.Served, l.Target) && chosen(opt.From, l.Source) && chosen(opt.To, l.Target) {
			links = append(links, l)
		}
	}
	if len(links) == 0 {
		return nil, invalid(fmt.Errorf("no link from %v to %v ends at a site served here (%v)", opt.From, opt.To, c.Served))
	}
	return links, nil
}

// reachable returns those of the links both ends of which answer, and the sites that do not.
func (c *Config) reachable(links []s3mesh.Link) (left []s3mesh.Link, away []string, err error) {
	if c.Away == nil {
		return links, nil, nil
	}
	var sites []string
	for _, l := range links {
		sites = append(sites, l.Source, l.Target)
	}
	sites = canonical(sites)
	gone := make([]bool, len(sites))
	var group sync.WaitGroup
	for i, site := range sites {
		group.Go(func() { gone[i] = c.Away(site) })
	}
	group.Wait()
	for i, site := range sites {
		if gone[i] {
			away = append(away, site)
		}
	}
	for _, l := range links {
		if !slices.Contains(away, l.Source) && !slices.Contains(away, l.Target) {
			left = append(left, l)
		}
	}
	if len(left) == 0 {
		return nil, nil, &s3mesh.Error{Kind: s3mesh.KindUnreachable, Op: "reconcile",
			Err: fmt.Errorf("%s: no answer, and no link to compare without them", strings.Join(away, ", "))}
	}
	return left, away, nil
}

func invalid(err error) error {
	return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "reconcile", Err: err}
}
