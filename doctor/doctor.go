// Package doctor examines the buckets of a replica set: what each store can do, what s3mesh does about what it cannot, what is
// misconfigured, and the command or policy that mends it.
//
// [Examine] asks the stores and returns a [Report], which [Report.Text] renders. What an answer means lies in one table, in
// checks.go: check, answer, consequence, remedy.
package doctor

import (
	"context"
	"sync"
	"time"
)

// LeftOverAge is how old what an earlier, killed run left behind must be to be removed: it might still be at work.
const LeftOverAge = time.Hour

// Config says what to examine.
type Config struct {
	Set   string // the name of the replica set
	Sites []Site
	// PropagateDeletes and MaxClockSkew are those of the configuration.
	PropagateDeletes bool
	MaxClockSkew     time.Duration
	// Arrivals tells which notifications came. Nil: that is not looked at.
	Arrivals Arrivals
	// Wait is how long a notification may take.
	Wait time.Duration
}

// Site is one bucket to examine.
type Site struct {
	Name     string
	Endpoint string // empty for Amazon S3
	Region   string
	Bucket   string
	// Served tells that s3mesh writes to the site. At any other it must not be able to.
	Served bool
	// Announces tells that notifications of the site are needed: it is the source of a link, and not polled.
	Announces bool
	// Poll is how often the site is polled in place of notifications. Zero: it is not.
	Poll time.Duration
	// Intake is the URL that the store has to send its notifications to.
	Intake string
	// CAFile tells that the configuration names authorities for the site.
	CAFile bool

	Store   Store
	Scratch func() Scratch
	// Observer sees the site's answers: it is, or is in, the transport of Store and Scratch.
	Observer *Observer
}

// Store is a bucket as it is: nothing is written.
type Store interface {
	// Hello sends one request that any reader may send. An error of the store has the methods ErrorCode and BucketRegion.
	Hello(ctx context.Context) error
	// Versioning reports whether the bucket keeps versions.
	Versioning(ctx context.Context) (bool, error)
	// Product is what the store calls itself.
	Product() string
}

// Scratch is a place for experiments in a bucket, which is closed, and then swept.
type Scratch interface {
	Conditions
	Contents
	Keys
	// Mark writes an object, and returns its key.
	Mark(ctx context.Context) (key string, err error)
	// Try does what takes the permission for an action of IAM; without it the error is of KindAccessDenied.
	Try(ctx context.Context, action string) error
	// Close removes what was made, also when ctx has ended.
	Close(ctx context.Context) error
	// Sweep removes what is left of it all the same, and what earlier processes left longer ago than age.
	Sweep(ctx context.Context, age time.Duration) (removed int, err error)
}

// Conditions are experiments with conditional writes.
type Conditions interface {
	// Honours reports whether a write whose condition does not hold is refused.
	Honours(ctx context.Context, operation, header string) (bool, error)
	// Atomic reports whether that is so in a race, too.
	Atomic(ctx context.Context, operation, header string) (bool, error)
}

// Contents are experiments with what objects carry.
type Contents interface {
	// Checksum reports whether a checksum is kept, and whether a wrong one is refused.
	Checksum(ctx context.Context, algorithm string) (kept, checked bool, err error)
	// Tags reports whether tags are kept.
	Tags(ctx context.Context) (bool, error)
	// Range reports whether a part of an object can be read.
	Range(ctx context.Context) (bool, error)
	// Parts reports whether the number of an object's parts is told.
	Parts(ctx context.Context) (bool, error)
}

// Keys are experiments with keys and listings. Fates are "kept", "refused", "renamed", "hidden" and "fails".
type Keys interface {
	// Key finds out what becomes of an object under a key that ends in name.
	Key(ctx context.Context, name string) (fate string, err error)
	// LongestKey is Key for a key of 1,024 bytes.
	LongestKey(ctx context.Context) (fate string, err error)
	// LeadingSlash finds out whether "/key" is "key".
	LeadingSlash(ctx context.Context) (fate string, err error)
	// Beside finds out what becomes of "a/b" beside "a".
	Beside(ctx context.Context) (fate string, err error)
	// Order reports whether listings are in the order of the keys' bytes.
	Order(ctx context.Context) (bool, error)
	// Grain returns the unit of the times in listings.
	Grain(ctx context.Context) (time.Duration, error)
}

// Arrivals tells which notifications came in.
type Arrivals interface {
	// Seen reports whether a notification of a scratch key at a site came.
	Seen(ctx context.Context, site, key string) (bool, error)
}

// Examine examines all sites at once. What it writes it removes again, also when ctx ends; then the report tells how far it
// came.
func Examine(ctx context.Context, cfg Config) Report {
	sites := make([]*examination, len(cfg.Sites))
	for i, site := range cfg.Sites {
		sites[i] = &examination{cfg: cfg, site: site}
	}
	together(sites, func(e *examination) { e.begin(ctx) })
	// Whoever takes notifications remembers but the latest of scratch keys: these steps make many.
	together(sites, func(e *examination) { e.experiment(ctx) })
	report := Report{Set: cfg.Set, Between: between(cfg)}
	for _, e := range sites {
		report.Sites = append(report.Sites, e.report())
	}
	return report
}

// together does a step at all sites at once.
func together(sites []*examination, step func(*examination)) {
	var all sync.WaitGroup
	for _, e := range sites {
		all.Go(func() { step(e) })
	}
	all.Wait()
}
