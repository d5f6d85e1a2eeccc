package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	// S3's rules for new general purpose buckets, but for the length and the ones in validBucket.
	awsBucket = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	// Other stores, and AWS's oldest buckets, take more.
	anyBucket = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`)
	// A region is one element of a request signature's scope, which "/" divides.
	regionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	// The "_" at the end keeps a key that slipped into the prefix's place out of the faults, which name the variables.
	envPrefix = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*_)?$`)
)

func sitePath(i int, name string) string { return fmt.Sprintf("sites[%d].%s", i, name) }

// maxSites bounds the memory that the links of a full mesh take.
const maxSites = 256

func (v *validator) sites() {
	sites := v.config.Sites
	switch {
	case !v.has("sites"):
		return
	case len(sites) < 2:
		v.invalid("sites", "needs at least two sites", "add another site")
	case len(sites) > maxSites:
		v.addAt(v.find("sites"), "sites", fmt.Sprintf("has more than %d sites", maxSites),
			"split them into several replica sets")
		v.config.Sites = sites[:maxSites]
		sites = v.config.Sites
	}
	names, buckets := map[string]int{}, map[string]int{}
	for i := range sites {
		if v.bad[fmt.Sprintf("sites[%d]", i)] {
			continue
		}
		v.site(i, &sites[i])
		if first, taken := claim(names, sites[i].Name, i); taken {
			v.invalid(sitePath(i, "name"), fmt.Sprintf("is the name of sites[%d] too", first),
				"give each site a name of its own")
		}
		if !v.clean(sitePath(i, "endpoint")) || !v.clean(sitePath(i, "bucket")) {
			continue
		}
		if first, taken := claim(buckets, sites[i].store()+"/"+sites[i].Bucket, i); taken {
			v.invalid(sitePath(i, "bucket"), fmt.Sprintf("is the bucket of sites[%d] too, at the same endpoint", first),
				"give each site a bucket of its own")
		}
	}
}

// claim returns who claimed key first, unless that is i. Empty keys were not given and clash with nothing.
func claim(claims map[string]int, key string, i int) (first int, taken bool) {
	first, taken = claims[key]
	if !taken && key != "" {
		claims[key] = i
	}
	return first, taken
}

// site checks sites[i] and fills in its defaults.
func (v *validator) site(i int, s *Site) {
	v.name(sitePath(i, "name"), s.Name)
	v.endpoint(i, s)
	v.region(i, s)
	if !v.has(sitePath(i, "path_style")) {
		s.PathStyle = s.partition() == ""
	}
	v.bucket(i, s)
	v.credentials(sitePath(i, "credentials"), &s.Credentials)
	v.durationOr0(sitePath(i, "poll"), s.Poll, minPoll, maxPoll)
}

func (v *validator) bucket(i int, s *Site) {
	path := sitePath(i, "bucket")
	// An unreadable endpoint gets the benefit of the doubt: the wider rules.
	aws := s.partition() != "" && v.clean(sitePath(i, "endpoint"))
	if v.has(path) && !validBucket(s.Bucket, aws) {
		v.invalid(path, v.quote(path, s.Bucket)+" is not a valid bucket name",
			"use 3 to 63 of a-z, 0-9, '-' and '.', starting and ending with a letter or digit")
	}
}

func (v *validator) endpoint(i int, s *Site) {
	if s.Endpoint == "" {
		return
	}
	u, c := parseURL(s.Endpoint, "http", "https")
	if c != (complaint{}) {
		v.invalid(sitePath(i, "endpoint"), c.message, c.remedy)
		return
	}
	s.Endpoint = u.String()
}

func (v *validator) region(i int, s *Site) {
	path := sitePath(i, "region")
	switch {
	case v.has(path):
		if !regionName.MatchString(s.Region) {
			v.invalid(path, v.quote(path, s.Region)+" is not a valid region", "use letters, digits and '-', as in eu-west-1")
		}
	case s.partition() != "":
		if v.clean(sitePath(i, "endpoint")) {
			v.invalid(path, "is missing", "add it: on AWS the region decides where requests go")
		}
	default:
		s.Region = "us-east-1" // what stores without regions expect in a signature
	}
}

// partition returns the AWS domain that the site belongs to, or "" for a store that is not AWS. Bucket names are unique
// in it, whatever the region.
func (s Site) partition() string {
	const global, china = "amazonaws.com", "amazonaws.com.cn"
	if s.Endpoint == "" {
		if strings.HasPrefix(s.Region, "cn-") {
			return china
		}
		return global
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return ""
	}
	for _, domain := range []string{global, china} {
		if strings.HasSuffix(u.Hostname(), "."+domain) {
			return domain
		}
	}
	return ""
}

// store identifies what the bucket's name is unique in: an AWS partition, or a host and port.
func (s Site) store() string {
	if domain := s.partition(); domain != "" {
		return domain
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return s.Endpoint
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]))
}

func validBucket(name string, aws bool) bool {
	if _, err := netip.ParseAddr(name); err == nil || strings.Contains(name, "..") {
		return false
	}
	return awsBucket.MatchString(name) || !aws && anyBucket.MatchString(name)
}

// credentials checks that at most one kind of credentials is given, and reads those of the environment.
func (v *validator) credentials(path string, c *Credentials) {
	given := 0
	for _, is := range []bool{c.Profile != "", c.Environment != nil, c.Static != nil} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		v.invalid(path, "holds more than one of profile, environment and static", "keep one of them")
	case c.Environment != nil:
		c.environment = v.environment(path+".environment", *c.Environment)
	}
}

// environment reads the keys that stand in the environment under a prefix.
func (v *validator) environment(path, before string) *Keys {
	switch {
	case v.fromEnv[path]:
		v.invalid(path, "is a prefix that comes from the environment itself", "write the prefix into the file")
	case !envPrefix.MatchString(before):
		v.invalid(path, "is not a prefix for environment variables", "use letters and digits, then a '_' at the end, as in US_")
	}
	if !v.clean(path) {
		return nil
	}
	d := decoder{report: v.report, env: v.env}
	read := func(name string, target *Secret) {
		value, c := d.lookup("${" + before + name + "}")
		if c != (complaint{}) {
			v.unreadable(path, c.message, c.remedy)
			return
		}
		d.keep(value, path, target)
	}
	var keys Keys
	read("AWS_ACCESS_KEY_ID", &keys.AccessKey)
	read("AWS_SECRET_ACCESS_KEY", &keys.SecretKey)
	if token, set := v.env(before + "AWS_SESSION_TOKEN"); set && token != "" {
		read("AWS_SESSION_TOKEN", &keys.SessionToken)
	}
	return &keys
}

// parseURL reads the URL of a server: a scheme of schemes, a host, perhaps a port, and nothing else. Its complaint never
// quotes the URL, which may hold a password.
func parseURL(text string, schemes ...string) (*url.URL, complaint) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme):
		return nil, complaint{"is not a URL of the form " + schemes[0] + "://host:port",
			"write " + strings.Join(schemes, ":// or ") + ":// and a host name"}
	case u.User != nil:
		return nil, complaint{"holds a user name or password", "remove them from the URL; credentials have fields of their own"}
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, complaint{"holds more than a host and a port", "remove what follows the host and the port"}
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, complaint{"holds a port that does not exist", "choose a port from 1 to 65535"}
		}
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, complaint{}
}
