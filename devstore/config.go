package devstore

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"

	"github.com/s3mesh/s3mesh"
)

// Config describes one region.
type Config struct {
	// Site names the region in logs, errors and the process list.
	Site string
	// Region is the S3 region that requests are signed for, such as "eu-west-1".
	Region string
	// Dir holds everything the region keeps. It is created if need be, and must be on a filesystem with user extended
	// attributes. One region at a time may use it; a later Start with the same Dir finds the objects again.
	Dir string
	// Bucket is created when it does not exist.
	Bucket string
	// Unversioned leaves a new bucket's versioning off instead of enabling it.
	Unversioned bool
	// Addr is the host and port to listen on; "" means "127.0.0.1:0". With port 0 a free one is chosen: see [Region.Addr].
	Addr string
	// Client may do everything. It stands for the users of the bucket.
	Client Credentials
	// Replicator may do everything too, under an access key of its own, so that the principal of an event tells a
	// replica's write from a client's.
	Replicator Credentials
	// EventURL receives the bucket's notifications by POST, as AWS shapes them; "" sends none.
	EventURL string
	// EventToken is sent to EventURL as "Authorization: Bearer".
	EventToken string
	// Logger receives what the region logs; nil discards it.
	Logger *slog.Logger
}

// Credentials are an access key pair. They print without the secret.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
}

// String returns the access key ID alone.
func (c Credentials) String() string { return c.AccessKeyID }

// GoString returns the access key ID alone.
func (c Credentials) GoString() string { return fmt.Sprintf("devstore.Credentials(%q)", c.AccessKeyID) }

// LogValue returns the access key ID alone.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.AccessKeyID) }

// MarshalText returns the access key ID alone.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.AccessKeyID), nil }

func (c Config) validate() error {
	if err := s3mesh.ValidateName(c.Site); err != nil {
		return err
	}
	switch {
	case c.Region == "":
		return errors.New("no region given")
	case c.Dir == "":
		return errors.New("no directory given")
	case c.Bucket == "":
		return errors.New("no bucket given")
	case c.Client.AccessKeyID == "" || c.Client.SecretAccessKey == "":
		return errors.New("the client's credentials are incomplete")
	case c.Replicator.AccessKeyID == "" || c.Replicator.SecretAccessKey == "":
		return errors.New("the replicator's credentials are incomplete")
	case c.Client.AccessKeyID == c.Replicator.AccessKeyID:
		return errors.New("client and replicator need different access keys: events tell them apart by it")
	}
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("listen address: %w", err)
	}
	return c.validateEvents()
}

func (c Config) validateEvents() error {
	if c.EventURL == "" {
		return nil
	}
	u, err := url.Parse(c.EventURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return errors.New("the event URL is not an http or https URL without credentials")
	}
	return nil
}

// order is the configuration as the parent hands it to the child, in one line of JSON on standard input.
type order struct {
	Site             string
	Region           string
	Dir              string
	Bucket           string
	Unversioned      bool
	Addr             string
	ClientKey        string
	ClientSecret     string
	ReplicatorKey    string
	ReplicatorSecret string
	EventURL         string
	EventToken       string
}

func (c Config) order() order {
	return order{
		Site: c.Site, Region: c.Region, Dir: c.Dir, Bucket: c.Bucket, Unversioned: c.Unversioned, Addr: c.Addr,
		ClientKey: c.Client.AccessKeyID, ClientSecret: c.Client.SecretAccessKey,
		ReplicatorKey: c.Replicator.AccessKeyID, ReplicatorSecret: c.Replicator.SecretAccessKey,
		EventURL: c.EventURL, EventToken: c.EventToken,
	}
}

// report is the child's answer, one line of JSON on standard output: an address, or why there is none.
type report struct {
	Addr  string      `json:"addr,omitempty"`
	Kind  s3mesh.Kind `json:"kind"`
	Error string      `json:"error,omitempty"`
}
