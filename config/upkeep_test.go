package config_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/config"
)

func TestReconcileDefaults(t *testing.T) {
	c := loadMinimal(t, "")
	if got := c.Reconcile; time.Duration(got.Every) != 24*time.Hour || got.Dir != filepath.Join("q", "reconcile") {
		t.Errorf("%+v", got)
	}
	if c.Sites[0].Poll != 0 || !c.Alerts.Webhook.IsZero() {
		t.Errorf("poll %v, webhook %v", c.Sites[0].Poll, c.Alerts.Webhook)
	}
}

func TestReconcileGiven(t *testing.T) {
	for given, want := range map[string]config.Reconcile{
		"every: 0s":           {Dir: "q/reconcile"},
		"every: 1m":           {Every: config.Duration(time.Minute), Dir: "q/reconcile"},
		"every: 8760h":        {Every: config.Duration(8760 * time.Hour), Dir: "q/reconcile"},
		"dir: /srv/reconcile": {Every: config.Duration(24 * time.Hour), Dir: "/srv/reconcile"},
	} {
		if got := loadMinimal(t, "reconcile: {"+given+"}\n").Reconcile; got != want {
			t.Errorf("%s: got %+v", given, got)
		}
	}
	for _, poll := range []string{"0s", "1s", "24h"} {
		want, err := time.ParseDuration(poll)
		if err != nil {
			t.Fatal(err)
		}
		if got := loadMinimal(t, "    poll: "+poll+"\n").Sites[1].Poll; time.Duration(got) != want {
			t.Errorf("poll %s: got %v", poll, got)
		}
	}
}

// With an external queue the state of comparisons lies in the user's cache directory, which not every user has.
func TestReconcileDirOfAnExternalQueue(t *testing.T) {
	text := strings.Replace(minimal, "{dir: q}", "{url: nats://127.0.0.1}", 1)
	env := environment(map[string]string{"T": "token"})
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	c, err := config.Parse("mesh.yaml", []byte(text), env)
	if err != nil || !strings.HasPrefix(c.Reconcile.Dir, cache) ||
		!strings.HasSuffix(c.Reconcile.Dir, filepath.Join("s3mesh", "photos")) {
		t.Fatalf("%+v, %v", c, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	_, err = config.Parse("mesh.yaml", []byte(text), env)
	if s3mesh.KindOf(err) != s3mesh.KindInvalid || !strings.Contains(err.Error(), "reconcile.dir: is missing") {
		t.Errorf("without a cache directory: %v", err)
	}
	if _, err := config.Parse("mesh.yaml", []byte(text+"reconcile: {dir: here}\n"), env); err != nil {
		t.Errorf("with a directory of its own: %v", err)
	}
}

func TestWebhook(t *testing.T) {
	parse := func(url string) (*config.Config, error) {
		return config.Parse("mesh.yaml", []byte(minimal+"alerts: {webhook: \"${HOOK}\"}\n"),
			environment(map[string]string{"T": "token", "HOOK": url}))
	}
	for url, warnings := range map[string]int{"https://hooks.example.com/a?b=" + marker: 0, "http://localhost:1/x": 0,
		"http://127.0.0.1": 0, "http://hooks.example.com/" + marker: 1} {
		c, err := parse(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if c.Alerts.Webhook.Reveal() != url || len(c.Warnings()) != warnings {
			t.Errorf("%s: read as %q, warnings %v", url, c.Alerts.Webhook.Reveal(), c.Warnings())
		}
		for _, w := range c.Warnings() {
			if strings.Contains(w.String(), marker) || strings.Contains(w.String(), "example.com") {
				t.Errorf("the warning shows the URL: %v", w)
			}
		}
	}
	for _, url := range []string{marker, "ftp://host/" + marker, "https://", "https:///" + marker, "://" + marker,
		"https://a b/" + marker} {
		_, err := parse(url)
		if s3mesh.KindOf(err) != s3mesh.KindInvalid || strings.Contains(err.Error(), marker) {
			t.Errorf("%q: %v", url, err)
		}
	}
}
