package config

import (
	"slices"

	"github.com/s3mesh/s3mesh"
)

// formatVersion is the version of the file format that this package reads.
const formatVersion = 1

// Config is a loaded mesh.yaml with its defaults filled in. It is valid as [Load] and [Parse] return it. Its JSON form has
// the names of the file, and no secrets. It must not be changed while it is shared.
type Config struct {
	Version     int           `json:"version" config:"required"`
	Name        string        `json:"name" config:"required"` // of the replica set: see s3mesh.ValidateName
	Sites       []Site        `json:"sites" config:"required"`
	Links       []s3mesh.Link `json:"links"` // default: every ordered pair of sites
	Filter      Filter        `json:"filter,omitzero"`
	Queue       Queue         `json:"queue" config:"required"`
	Intake      Intake        `json:"intake" config:"required"`
	Admin       Admin         `json:"admin" config:"required"`
	Replication Replication   `json:"replication"`
	Reconcile   Reconcile     `json:"reconcile"`
	Alerts      Alerts        `json:"alerts,omitzero"`

	warnings []Fault
}

// Site is one bucket at one S3 endpoint, and how to reach it.
type Site struct {
	Name string `json:"name" config:"required"`
	// Endpoint is an http or https URL without a path. Empty means AWS, where Region decides.
	Endpoint string `json:"endpoint,omitzero"`
	// Region is required on AWS; elsewhere it defaults to us-east-1.
	Region string `json:"region"`
	Bucket string `json:"bucket" config:"required"`
	// PathStyle puts the bucket into the URL's path and not into its host name. Default: false on AWS, true elsewhere.
	PathStyle   bool        `json:"path_style"`
	Credentials Credentials `json:"credentials,omitzero"`
	// DedicatedCredentials promises that nobody but s3mesh uses this site's credentials, so that the events caused by
	// their principal are echoes of s3mesh's own writes and need no request.
	DedicatedCredentials bool `json:"dedicated_credentials"`
	// CAFile is a PEM file of certificate authorities that are trusted beside the system's own.
	CAFile string `json:"ca_file,omitzero"`
	// Poll, for a store that sends no notifications, is how often the site is compared with those that it is linked to instead:
	// 1s to 24h. Zero: not at all.
	Poll Duration `json:"poll,omitzero"`
}

// Credentials says where a site's credentials come from: exactly one of its fields, or none for the default chain of the
// AWS SDK. [Credentials.Keys] gives the keys of Environment and of Static alike.
type Credentials struct {
	// Profile is the name of a profile in the shared AWS config and credentials files.
	Profile string `json:"profile,omitzero"`
	// Environment is a prefix P, empty or with a "_" at its end: the keys are read, when the file is loaded, from
	// P+AWS_ACCESS_KEY_ID, P+AWS_SECRET_ACCESS_KEY and, where it is set, P+AWS_SESSION_TOKEN.
	Environment *string `json:"environment,omitzero" config:"nullable"`
	// Static is the keys themselves, each written as ${NAME}.
	Static *Keys `json:"static,omitzero"`

	environment *Keys
}

// Keys returns the keys that Environment or Static name, and false where Profile or the default chain applies.
func (c Credentials) Keys() (Keys, bool) {
	switch {
	case c.Static != nil:
		return *c.Static, true
	case c.environment != nil:
		return *c.environment, true
	default:
		return Keys{}, false
	}
}

// Keys is one set of S3 keys.
type Keys struct {
	AccessKey    Secret `json:"access_key" config:"required"`
	SecretKey    Secret `json:"secret_key" config:"required"`
	SessionToken Secret `json:"session_token,omitzero"` // zero when there is none
}

// Filter chooses keys by prefix: those under an Include prefix, or all when there is none, except those under an Exclude
// prefix.
type Filter struct {
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
}

// Queue is where events and dead letters are kept: exactly one of Dir and URL.
type Queue struct {
	Dir       string `json:"dir,omitzero"`        // of the embedded JetStream
	URL       string `json:"url,omitzero"`        // of an external NATS server: nats:// or tls://, without credentials
	CredsFile string `json:"creds_file,omitzero"` // NATS credentials, with URL only
}

// Intake is the server that stores send their notifications to.
type Intake struct {
	Listen string `json:"listen"` // host:port; an empty host is every address, port 0 any free port
	Token  Secret `json:"token" config:"required"`
	TLS    *TLS   `json:"tls,omitzero"` // nil: plain HTTP
}

// TLS is a server's certificate chain and private key, both PEM files.
type TLS struct {
	Cert string `json:"cert" config:"required"`
	Key  string `json:"key" config:"required"`
}

// Admin is the server of the API, the dashboard and the metrics.
type Admin struct {
	Listen string `json:"listen"` // as Intake.Listen
	Token  Secret `json:"token" config:"required"`
}

// Replication tunes the work on every link.
type Replication struct {
	Workers      int `json:"workers"`       // tasks at a time in the live lane, 1 to 1024
	BulkWorkers  int `json:"bulk_workers"`  // the same in the bulk lane
	LargeWorkers int `json:"large_workers"` // the same in the large lane
	// LargeObject is the size from which an object is copied in parts, in the large lane: 5 MiB (S3's smallest part) to
	// 5 GB (S3's largest single write).
	LargeObject ByteSize `json:"large_object"`
	// Attempts is how often a task that fails for a passing reason is tried before it becomes a dead letter, 1 to 1000.
	Attempts int `json:"attempts"`
	// MaxClockSkew is the difference of two stores' clocks up to which their times do not decide alone, 1s to 1h.
	MaxClockSkew Duration `json:"max_clock_skew"`
	// Deletes says what becomes of a client's delete at the other sites.
	Deletes Deletes `json:"deletes"`
	// MaxDeletesPerMinute is how many deletes a minute may be applied over one link: one more, and all further ones wait for
	// an operator. 1 to 1,000,000. It matters only with DeletesPropagate.
	MaxDeletesPerMinute int `json:"max_deletes_per_minute"`
	// TombstoneRetention is how long a site remembers which of its delete markers are replicas, and of what: 1h to 87600h
	// (ten years). It must be longer than any site is ever away.
	TombstoneRetention Duration `json:"tombstone_retention"`
}

// Reconcile says when the sites are compared as a whole.
type Reconcile struct {
	// Every is how often, give or take a tenth: 1m to 8760h (a year), or zero: only when asked to.
	Every Duration `json:"every"`
	// Dir is where it is kept how far a comparison came. Default: "reconcile" in the queue's directory, or with an external
	// queue a directory of the replica set's name in the user's cache directory.
	Dir string `json:"dir,omitzero"`
}

// Alerts says who is told when a link that had no dead letters has one, or the deletes of a link begin to be held.
type Alerts struct {
	// Webhook is an http or https URL that takes a POST with a JSON object. As it may hold a secret, it is one.
	Webhook Secret `json:"webhook,omitzero"`
}

// Deletes says what becomes of a client's delete at the other sites.
type Deletes string

// What can become of a delete.
const (
	DeletesIgnore    Deletes = "ignore"    // it stays at its site
	DeletesPropagate Deletes = "propagate" // it is applied at every site that it is linked to
)

// Valid reports whether d is one of them.
func (d Deletes) Valid() bool { return d == DeletesIgnore || d == DeletesPropagate }

// ReplicaSet returns the sites and links as the domain sees them.
func (c *Config) ReplicaSet() s3mesh.ReplicaSet {
	set := s3mesh.ReplicaSet{Name: c.Name, Links: slices.Clone(c.Links)}
	for _, site := range c.Sites {
		set.Sites = append(set.Sites, s3mesh.Site{Name: site.Name, Bucket: site.Bucket})
	}
	return set
}

// Warnings returns what is allowed but unwise, in the order of the file.
func (c *Config) Warnings() []Fault { return slices.Clone(c.warnings) }
