package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// validator checks what the types alone do not say, and fills in the defaults that depend on other fields. Values that
// could not be read are left alone.
type validator struct {
	*report
	env    func(string) (string, bool)
	config *Config
}

func (v *validator) validate() {
	c := v.config
	if v.has("version") && c.Version != formatVersion {
		v.invalid("version", fmt.Sprintf("is %d, which this s3mesh cannot read", c.Version),
			fmt.Sprintf("write version: %d, or use the s3mesh that the file was made for", formatVersion))
	}
	v.name("name", c.Name)
	v.sites()
	v.links()
	v.filter()
	v.queue()
	v.servers()
	v.replication()
	v.reconcile()
	v.alerts()
}

// name checks the name at path.
func (v *validator) name(path, name string) {
	if v.has(path) && s3mesh.ValidateName(name) != nil {
		v.invalid(path, v.quote(path, name)+" is not a valid name",
			"use 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit")
	}
}

// links fills in or checks the links.
func (v *validator) links() {
	c := v.config
	if !v.has("links") {
		c.Links = s3mesh.FullMesh(c.Name, c.ReplicaSet().Sites...).Links
		return
	}
	first := map[s3mesh.Link]int{}
	for i, link := range c.Links {
		at := fmt.Sprintf("links[%d]", i)
		if !v.clean(at) {
			continue
		}
		v.linked(at, link.Source)
		v.linked(at, link.Target)
		if j, repeated := first[link]; repeated {
			v.invalid(at, fmt.Sprintf("repeats links[%d]", j), "remove one of the two")
		} else {
			first[link] = i
		}
	}
	v.unlinked()
}

// linked checks that the site called name, which the link at path names, exists.
func (v *validator) linked(path, name string) {
	var shown []string // the names that a remedy may quote
	for i, site := range v.config.Sites {
		if site.Name == name || site.Name == "" { // this may be the one, had its name been readable
			return
		}
		if !v.fromEnv[sitePath(i, "name")] {
			shown = append(shown, site.Name)
		}
	}
	remedy := "use the names of two sites"
	if near, ok := nearest(name, shown); ok {
		remedy = fmt.Sprintf("did you mean %q?", near)
	}
	// A link with two unknown sites has two faults.
	v.addAt(v.find(path), path, "names a site that does not exist: "+v.quote(path, name), remedy)
}

// unlinked warns of the sites that no link touches.
func (v *validator) unlinked() {
	for i, site := range v.config.Sites {
		touches := func(l s3mesh.Link) bool { return l.Source == site.Name || l.Target == site.Name }
		if !slices.ContainsFunc(v.config.Links, touches) && v.clean("links") {
			v.warn(sitePath(i, "name"), "takes part in no link", "add a link, or remove the site")
		}
	}
}

func (v *validator) filter() {
	for i, prefix := range v.config.Filter.Include {
		if strings.HasPrefix(prefix, s3mesh.ReservedPrefix) {
			v.invalid(fmt.Sprintf("filter.include[%d]", i), "is under "+s3mesh.ReservedPrefix+
				", which s3mesh keeps for itself and never replicates", "remove it")
		}
	}
}

func (v *validator) queue() {
	q := v.config.Queue
	if !v.clean("queue") {
		return
	}
	if (q.Dir == "") == (q.URL == "") {
		v.invalid("queue", "needs exactly one of dir and url",
			"give dir for the embedded queue, or url for an external NATS server")
		return
	}
	if q.URL != "" {
		if _, c := parseURL(q.URL, "nats", "tls"); c != (complaint{}) {
			v.invalid("queue.url", c.message, c.remedy)
		}
	}
	if q.CredsFile != "" && q.URL == "" {
		v.invalid("queue.creds_file", "has no use without url", "remove it")
	}
}

// servers checks the two addresses that s3mesh listens at.
func (v *validator) servers() {
	c := v.config
	intake, intakeOK := v.listen("intake.listen", c.Intake.Listen)
	admin, adminOK := v.listen("admin.listen", c.Admin.Listen)
	if !intakeOK || !adminOK {
		return
	}
	if intake.overlaps(admin) {
		v.invalid("admin.listen", "is the address that intake.listen uses", "give one of them another port")
	}
	const message = "accepts its token in clear text from other machines"
	if c.Intake.TLS == nil && !intake.loopback() {
		v.warn("intake.listen", message, "add intake.tls, or listen at 127.0.0.1 behind a proxy with TLS")
	}
	if !admin.loopback() {
		v.warn("admin.listen", message, "listen at 127.0.0.1, behind a proxy with TLS where others need it")
	}
}

// address is where a server listens. An empty host is every address of the machine.
type address struct{ host, port string }

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

func (v *validator) listen(path, text string) (address, bool) {
	if !v.clean(path) {
		return address{}, false
	}
	host, port, err := net.SplitHostPort(text)
	number, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || host != "" && !isIP(host) && !hostName.MatchString(host) {
		v.invalid(path, "is not an address", "write host:port, such as 127.0.0.1:9480, or :9480 for every address")
		return address{}, false
	}
	return address{host, strconv.FormatUint(number, 10)}, true
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func (a address) wildcard() bool {
	ip, err := netip.ParseAddr(a.host)
	return a.host == "" || err == nil && ip.IsUnspecified()
}

func (a address) loopback() bool {
	ip, err := netip.ParseAddr(a.host)
	return a.host == "localhost" || err == nil && ip.IsLoopback()
}

func (a address) overlaps(b address) bool {
	return a.port == b.port && a.port != "0" && (a.host == b.host || a.wildcard() || b.wildcard())
}

func (v *validator) replication() {
	r := v.config.Replication
	v.upTo("replication.workers", r.Workers, 1024)
	v.upTo("replication.bulk_workers", r.BulkWorkers, 1024)
	v.upTo("replication.large_workers", r.LargeWorkers, 1024)
	v.upTo("replication.attempts", r.Attempts, 1000)
	// S3's limits for a part of a multipart upload and for a single write.
	if r.LargeObject < 5<<20 || r.LargeObject > 5e9 {
		v.invalid("replication.large_object", "is out of bounds", "choose a size from 5MiB to 5GB")
	}
	if skew := time.Duration(r.MaxClockSkew); skew < time.Second || skew > time.Hour {
		v.invalid("replication.max_clock_skew", "is out of bounds", "choose a duration from 1s to 1h")
	}
	v.deletes(r)
}

const (
	// minRetention leaves time for an event that is delivered late, or again, to still find the tombstone of its key.
	minRetention = time.Hour
	maxRetention = 10 * 365 * 24 * time.Hour
	maxDeletes   = 1_000_000
)

func (v *validator) deletes(r Replication) {
	const path = "replication.max_deletes_per_minute"
	if r.MaxDeletesPerMinute == 0 {
		v.invalid(path, "would hold every delete back",
			"to propagate no deletes write deletes: ignore; otherwise choose a number from 1 to 1000000")
	} else {
		v.upTo(path, r.MaxDeletesPerMinute, maxDeletes)
	}
	switch kept := time.Duration(r.TombstoneRetention); {
	case kept < minRetention:
		v.invalid("replication.tombstone_retention",
			"is too short: a site that is away for longer brings back what was deleted meanwhile",
			"choose a duration from 1h to 87600h, longer than any site is ever away")
	case kept > maxRetention:
		v.invalid("replication.tombstone_retention", "is out of bounds", "choose a duration from 1h to 87600h")
	}
}

func (v *validator) upTo(path string, n, high int) {
	if n < 1 || n > high {
		v.invalid(path, "is out of bounds", fmt.Sprintf("choose a number from 1 to %d", high))
	}
}
