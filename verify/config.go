package verify

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// Site is what is read of a bucket.
type Site interface {
	s3mesh.Reader
	// List yields pages of the keys that hold an object.
	List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error]
	// Tags returns the tags of one version of an object, or of the current one when versionID is empty.
	Tags(ctx context.Context, key, versionID string) (map[string]string, error)
}

// Config says what to compare, and how.
type Config struct {
	// Set has the sites to compare, two at least, and the links between them: a site that no link leads to from the one with
	// the latest version may differ.
	Set s3mesh.ReplicaSet
	// Sites opens the sites of Set by name.
	Sites map[string]Site
	// Takes reports whether a key is replicated at all; others are left out.
	Takes func(key string) bool
	// PropagateDeletes tells that a delete is applied at every site. Otherwise an object that a client deleted at one site is
	// no difference.
	PropagateDeletes bool
	// MaxClockSkew is the difference of the sites' clocks up to which their times do not tell which version is later.
	MaxClockSkew time.Duration
	// Parallel is how many keys are compared at a time; 0 means 16.
	Parallel int
	// StateFile is where it is kept how far the run came, so that the next one with the same Options goes on from there. It is
	// removed when a run is complete. Empty: a run that was cut off starts again.
	StateFile string
	// Fingerprint stands for whatever else makes a run another one, such as the endpoints of the sites.
	Fingerprint string
	// Repair, where set, is given what would mend the differences, at most 500 at a time.
	Repair func(ctx context.Context, repairs []Repair) error
	// Found, where set, is called for every finding, in the order of the keys, by one goroutine at a time. A key may be told twice:
	// where it was found in the last seconds before the process was killed, or where only sites hold it that list out of order.
	Found func(Finding) error
	// Observe, where set, is called often, by one goroutine at a time.
	Observe func(Progress)
	// Now is the clock; nil stands for time.Now.
	Now func() time.Time

	segment int64 // see defaultSegment; tests set less
}

// Options says which keys to compare, and how thoroughly.
type Options struct {
	Prefix string `json:"prefix,omitempty"` // only keys with this prefix
	Sample Sample `json:"sample,omitzero"`  // only some keys; the zero Sample: all
	// Seed chooses the sample: with the same seed the same keys. Nil: any, or that of the run to go on with.
	Seed *uint64 `json:"seed,omitempty"`
	// Bytes has the bytes compared also where stored checksums tell that they are equal.
	Bytes bool `json:"bytes,omitempty"`
	// Restart forgets how far an earlier run came.
	Restart bool `json:"-"`
}

// maxSampleKeys bounds the memory of a sample of a number of keys: about 200 bytes each.
const maxSampleKeys = 1_000_000

// Sample is a part of the keys: a share, or a number of them. The zero Sample is all.
type Sample struct {
	Share float64 `json:"share,omitempty"` // above 0, below 1
	Keys  int     `json:"keys,omitempty"`  // this many, or all where there are fewer
}

// All reports that the sample leaves nothing out.
func (s Sample) All() bool { return s == Sample{} }

// String returns the form that [ParseSample] reads.
func (s Sample) String() string {
	switch {
	case s.All():
		return "100%"
	case s.Keys > 0:
		return strconv.Itoa(s.Keys)
	default:
		return strconv.FormatFloat(s.Share*100, 'g', 6, 64) + "%"
	}
}

// ParseSample reads "1%" (of the keys; above 0, at most 100) or "1000" (keys; 1 to 1,000,000).
func ParseSample(text string) (Sample, error) {
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		share, err := strconv.ParseFloat(percent, 64)
		switch {
		case err != nil || !(share > 0 && share <= 100): // NaN too
			return Sample{}, fmt.Errorf("sample %q: give a share above 0%% and at most 100%%, such as 1%%", text)
		case share == 100:
			return Sample{}, nil
		}
		return Sample{Share: share / 100}, nil
	}
	keys, err := strconv.Atoi(text)
	if err != nil || keys < 1 || keys > maxSampleKeys {
		return Sample{}, fmt.Errorf("sample %q: give a share such as 1%%, or a number of keys from 1 to %d", text, maxSampleKeys)
	}
	return Sample{Keys: keys}, nil
}

const defaultParallel = 16

// checked returns cfg with its defaults, or what is wrong with it as KindInvalid.
func (cfg Config) checked() (Config, error) {
	if len(cfg.Set.Sites) < 2 {
		return cfg, invalid(errors.New("there must be two sites at least"))
	}
	for _, site := range cfg.Set.Sites {
		if cfg.Sites[site.Name] == nil {
			return cfg, invalid(fmt.Errorf("site %q is not open", site.Name))
		}
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = defaultParallel
	}
	if cfg.segment == 0 {
		cfg.segment = defaultSegment
	}
	if cfg.Takes == nil {
		cfg.Takes = func(string) bool { return true }
	}
	if cfg.Found == nil {
		cfg.Found = func(Finding) error { return nil }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Progress) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg, nil
}

func invalid(err error) error { return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "verify", Err: err} }
