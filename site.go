package s3mesh

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ReservedPrefix is where s3mesh keeps its own small objects in a bucket. Keys under it are never replicated.
const ReservedPrefix = ".s3mesh/"

var siteName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ValidateName reports whether name can name a site or a replica set: 1 to 63 of [a-z0-9-], not starting or ending with
// a hyphen. Names become parts of queue subjects, of version stamps and of URLs, hence the narrow alphabet.
func ValidateName(name string) error {
	if !siteName.MatchString(name) {
		return fmt.Errorf("name %q: use 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit", name)
	}
	return nil
}

// Site is one bucket at one S3 endpoint.
type Site struct {
	Name   string `json:"name"`
	Bucket string `json:"bucket"`
}

// Link is an ordered pair of sites: what is written at Source is replicated to Target.
type Link struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// String returns "source->target".
func (l Link) String() string { return l.Source + "->" + l.Target }

// ParseLink reads the form that [Link.String] writes.
func ParseLink(s string) (Link, error) {
	source, target, ok := strings.Cut(s, "->")
	if !ok || ValidateName(source) != nil || ValidateName(target) != nil || source == target {
		return Link{}, fmt.Errorf("link %q: write it as source->target, with the names of two sites", s)
	}
	return Link{source, target}, nil
}

// ReplicaSet is the sites that hold the same keys, and the links between them.
type ReplicaSet struct {
	Name  string
	Sites []Site
	Links []Link
}

// FullMesh returns a replica set with a link for every ordered pair of sites.
func FullMesh(name string, sites ...Site) ReplicaSet {
	set := ReplicaSet{Name: name, Sites: sites}
	for _, source := range sites {
		for _, target := range sites {
			if source.Name != target.Name {
				set.Links = append(set.Links, Link{source.Name, target.Name})
			}
		}
	}
	return set
}

// Site returns the site called name.
func (s ReplicaSet) Site(name string) (Site, bool) {
	i := slices.IndexFunc(s.Sites, func(site Site) bool { return site.Name == name })
	if i < 0 {
		return Site{}, false
	}
	return s.Sites[i], true
}

// From returns the links that start at source, in the order they were declared.
func (s ReplicaSet) From(source string) []Link {
	return s.filter(func(l Link) bool { return l.Source == source })
}

// To returns the links that end at target, in the order they were declared.
func (s ReplicaSet) To(target string) []Link {
	return s.filter(func(l Link) bool { return l.Target == target })
}

func (s ReplicaSet) filter(keep func(Link) bool) []Link {
	var links []Link
	for _, l := range s.Links {
		if keep(l) {
			links = append(links, l)
		}
	}
	return links
}

// EchoesRedundant reports whether the events caused by replicas that s3mesh writes at site can be ignored: every site
// that could have originated such a replica reaches every target of site by a direct link of its own. It is so in a full
// mesh, and not in a chain, where the replica's event is what carries a version further.
func (s ReplicaSet) EchoesRedundant(site string) bool {
	for _, origin := range s.upstream(site) {
		for _, onward := range s.From(site) {
			if onward.Target != origin && !slices.Contains(s.Links, Link{origin, onward.Target}) {
				return false
			}
		}
	}
	return true
}

// upstream returns every site from which a version can arrive at site, over any number of links.
func (s ReplicaSet) upstream(site string) []string {
	var found []string
	pending := []string{site}
	for len(pending) > 0 {
		next := pending[0]
		pending = pending[1:]
		for _, l := range s.To(next) {
			if l.Source != site && !slices.Contains(found, l.Source) {
				found = append(found, l.Source)
				pending = append(pending, l.Source)
			}
		}
	}
	return found
}
