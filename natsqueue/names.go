package natsqueue

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// everyLink stands in a subject where a target would: the event is for all links of its site. No site can be called so.
const everyLink = "_"

// deadLetters stands in names and subjects where a site would. No site can be called so: site names are lower case.
const deadLetters = "DLQ"

// dirtySites stands there for the marks of sites.
const dirtySites = "DIRTY"

// subjects builds the names of one replica set. All parts are [a-z0-9-], so none can hold a separator or a wildcard.
type subjects struct{ set string }

func (s subjects) stream(site string) string { return s.set + "_" + site }

func (s subjects) all(site string) string { return s.set + "." + site + ".>" }

// event returns the subject of an event: the unit of coalescing.
func (s subjects) event(lane s3mesh.Lane, site, target, hash string) string {
	if target == "" {
		target = everyLink
	}
	return strings.Join([]string{s.set, site, string(lane), target, hash}, ".")
}

// filters returns what a link's consumer of a lane is interested in.
func (s subjects) filters(link s3mesh.Link, lane s3mesh.Lane) []string {
	return []string{s.event(lane, link.Source, "", "*"), s.event(lane, link.Source, link.Target, "*")}
}

// site returns the site that a subject names.
func (s subjects) site(subject string) string {
	site, _, _ := strings.Cut(strings.TrimPrefix(subject, s.set+"."), ".")
	return site
}

// letter returns the subject of a dead letter. The zero link's is the filter for all.
func (s subjects) letter(link s3mesh.Link, hash string) string {
	if link == (s3mesh.Link{}) {
		link = s3mesh.Link{Source: "*", Target: "*"}
	}
	return strings.Join([]string{s.set, deadLetters, link.Source, link.Target, hash}, ".")
}

// mark returns the subject of the mark that a site is dirty.
func (s subjects) mark(site string) string { return s.set + "." + dirtySites + "." + site }

// get returns the subject of requests for single messages of a stream.
func (s subjects) get(site string) string { return "$JS.API.DIRECT.GET." + s.stream(site) }

// consumer returns the name of a link's durable consumer for a lane, on the source's stream.
func consumer(target string, lane s3mesh.Lane) string { return target + "_" + string(lane) }

// counter returns the name of the consumer that counts a link's dead letters.
func counter(link s3mesh.Link) string { return link.Source + "_" + link.Target }

// keyHash is 128 bits of the key's SHA-256 in hexadecimal: keys hold anything, subjects do not. Two keys with one hash
// would coalesce; at 2^40 keys the odds are below 2^-48.
func keyHash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// lastToken returns the key hash at the end of a subject.
func lastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
