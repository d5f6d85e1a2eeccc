package config

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	minPoll = time.Second
	maxPoll = 24 * time.Hour
	minRun  = time.Minute
	maxRun  = 365 * 24 * time.Hour
)

// durationOr0 checks a duration that may be zero, which turns off what it is for.
func (v *validator) durationOr0(path string, d Duration, low, high time.Duration) {
	if got := time.Duration(d); got != 0 && (got < low || got > high) {
		v.invalid(path, "is out of bounds", "choose a duration from "+short(low)+" to "+short(high)+", or 0s for not at all")
	}
}

// short is a whole duration in its largest unit that the file takes, as people write it.
func short(d time.Duration) string {
	text := d.String()
	for _, tail := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, tail) {
			text = text[:len(text)-len(tail)+1]
		}
	}
	return text
}

// reconcile checks when the sites are compared, and fills in where it is kept how far that came.
func (v *validator) reconcile() {
	r, c := &v.config.Reconcile, v.config
	v.durationOr0("reconcile.every", r.Every, minRun, maxRun)
	switch {
	case r.Dir != "" || !v.clean("reconcile.dir") || !v.clean("queue") || !v.clean("name"):
	case c.Queue.Dir != "":
		r.Dir = filepath.Join(c.Queue.Dir, "reconcile")
	default:
		cache, err := os.UserCacheDir()
		if err != nil {
			v.invalid("reconcile.dir", "is missing, and this user has no cache directory to take instead",
				"name a directory that survives restarts")
			return
		}
		r.Dir = filepath.Join(cache, "s3mesh", c.Name)
	}
}

// alerts checks the webhook without ever quoting it: such URLs often hold a secret.
func (v *validator) alerts() {
	const path = "alerts.webhook"
	text := v.config.Alerts.Webhook.Reveal()
	if text == "" || !v.clean(path) {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) {
		v.invalid(path, "is not an http or https URL", "check how the environment variable is set: http:// or https:// and a host name")
		return
	}
	if u.Scheme == "http" && !(address{host: u.Hostname()}).loopback() {
		v.warn(path, "sends alerts, and the secret in its URL, in clear text", "use an https:// URL")
	}
}
