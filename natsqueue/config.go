package natsqueue

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	defaultAckWait        = 30 * time.Second
	defaultMaxBacklog     = 1_000_000
	defaultMaxDeadLetters = 1_000_000
)

// Config says where the streams are and which of them this process looks after.
type Config struct {
	Set s3mesh.ReplicaSet
	// Own names the sites whose streams this process creates, with the durable consumers of all their links, before Open
	// returns. Nil means every site; empty, none.
	Own []string
	// Dir is where the embedded server keeps its data; one process at a time. Exactly one of Dir and URL is set.
	Dir string
	// URL is an external NATS server, or several separated by commas, with JetStream of nats-server 2.12 or later. It may
	// carry credentials, which are never logged.
	URL string
	// CredentialsFile is a NATS .creds file for URL. Optional.
	CredentialsFile string
	// Replicas is how many servers of an external cluster keep each stream: 1 (the default), 3 or 5.
	Replicas int
	// AckWait is how long a delivery may stay unacknowledged before it is delivered again. 30 s by default.
	AckWait time.Duration
	// MaxBacklog is about how many events a site's stream may hold, of all links and lanes together: 1,000,000 by default, which
	// takes some 350 MB of memory. Beyond it, events are not kept, and the site is marked dirty instead: see [Queue.Dirty].
	MaxBacklog int64
	// MaxDeadLetters is about how many dead letters all links together may have: 1,000,000 by default. Beyond it, none is kept,
	// and the source of its link is marked dirty instead.
	MaxDeadLetters int64
	// Log takes the embedded server's warnings and the connection's changes of state. slog.Default() when nil.
	Log *slog.Logger
}

// withDefaults returns the configuration with what was left out filled in.
func (c Config) withDefaults() Config {
	if c.Own == nil {
		for _, site := range c.Set.Sites {
			c.Own = append(c.Own, site.Name)
		}
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.AckWait == 0 {
		c.AckWait = defaultAckWait
	}
	if c.MaxBacklog == 0 {
		c.MaxBacklog = defaultMaxBacklog
	}
	if c.MaxDeadLetters == 0 {
		c.MaxDeadLetters = defaultMaxDeadLetters
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	if err := s3mesh.ValidateName(c.Set.Name); err != nil {
		faults = append(faults, err)
	}
	for _, site := range c.Set.Sites {
		if err := s3mesh.ValidateName(site.Name); err != nil {
			faults = append(faults, err)
		}
	}
	for _, name := range c.Own {
		_, known := c.Set.Site(name)
		fault(!known, "site %q to own is not in the replica set", name)
	}
	fault((c.Dir == "") == (c.URL == ""), "set exactly one of Dir and URL")
	fault(!validURLs(c.URL), "the URL cannot be read: write it as nats://host:port") // its text may hold a password
	fault(!slices.Contains([]int{1, 3, 5}, c.Replicas), "replicas %d: use 1, 3 or 5", c.Replicas)
	fault(c.Replicas > 1 && c.Dir != "", "replicas %d: the embedded server keeps one", c.Replicas)
	fault(c.AckWait < 0, "acknowledgement time-out %v is negative", c.AckWait)
	fault(c.MaxBacklog < 0, "largest backlog %d is negative", c.MaxBacklog)
	fault(c.MaxDeadLetters < 0, "largest number of dead letters %d is negative", c.MaxDeadLetters)
	return errors.Join(faults...)
}

func validURLs(list string) bool {
	if list == "" {
		return true
	}
	for text := range strings.SplitSeq(list, ",") {
		if u, err := url.Parse(strings.TrimSpace(text)); err != nil || u.Host == "" {
			return false
		}
	}
	return true
}
