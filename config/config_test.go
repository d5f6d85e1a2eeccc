package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/config"
)

var update = flag.Bool("update", false, "rewrite the golden files of testdata")

// marker stands for a secret: it must never be seen again.
const marker = "wJalrXUtnFEMI"

func environment(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := pairs[name]
		return value, ok
	}
}

var exampleEnv = environment(map[string]string{
	"EU_ACCESS_KEY": marker + "1", "EU_SECRET_KEY": marker + "2", "EU_SESSION_TOKEN": marker + "8",
	"LOCAL_AWS_ACCESS_KEY_ID": marker + "3", "LOCAL_AWS_SECRET_ACCESS_KEY": marker + "4",
	"LOCAL_AWS_SESSION_TOKEN": marker + "5",
	"S3MESH_INTAKE_TOKEN":     marker + "6", "S3MESH_ADMIN_TOKEN": marker + "7",
	"S3MESH_ALERT_WEBHOOK": "https://hooks.example.com/" + marker + "9",
})

var faultyEnv = environment(map[string]string{
	"INTAKE": marker, "ADMIN": marker, "KEY": marker, "MARKER": marker, "EMPTY": "", "SPACED": marker + " ",
	"NEWLINE": marker + "\n", "HOST": "host-" + strings.ToLower(marker), "OTHER": marker,
	"US_AWS_SESSION_TOKEN": marker, "US_AWS_SECRET_ACCESS_KEY": "",
})

func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := config.Load(file, faultyEnv)
			var faults *config.Error
			if !errors.As(err, &faults) {
				t.Fatalf("got %v, want a *config.Error", err)
			}
			if kind := s3mesh.KindOf(err); kind != s3mesh.KindInvalid {
				t.Errorf("kind %v, want invalid", kind)
			}
			checkFaults(t, faults)
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

// checkFaults checks what holds of every fault: a place, a message, a remedy and no secret.
func checkFaults(t *testing.T, err *config.Error) {
	t.Helper()
	if len(err.Faults) == 0 {
		t.Error("an error without faults")
	}
	for _, f := range err.Faults {
		if f.Line < 1 || f.Column < 1 || f.Message == "" || f.Remedy == "" {
			t.Errorf("incomplete: %+v", f)
		}
	}
	if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(marker)) {
		t.Errorf("the secret is in the error: %v", err)
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func loadExample(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Parse("mesh.yaml", config.Example(), exampleEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExampleLoads(t *testing.T) {
	c := loadExample(t)
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %v", w)
	}
	set := c.ReplicaSet()
	want := s3mesh.FullMesh("photos", s3mesh.Site{Name: "us-east-1", Bucket: "photos-us"},
		s3mesh.Site{Name: "eu-west-1", Bucket: "photos-eu"}, s3mesh.Site{Name: "local", Bucket: "photos-local"})
	if diff := cmp.Diff(want, set); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for i, want := range []bool{false, true, true} {
		if c.Sites[i].PathStyle != want {
			t.Errorf("site %s: path style %t, want %t", c.Sites[i].Name, !want, want)
		}
	}
	if c.Sites[2].Region != "us-east-1" {
		t.Errorf("default region %q", c.Sites[2].Region)
	}
}

func TestCredentials(t *testing.T) {
	c := loadExample(t)
	if _, ok := c.Sites[0].Credentials.Keys(); ok || c.Sites[0].Credentials.Profile != "photos" {
		t.Error("a profile has no keys")
	}
	static, ok := c.Sites[1].Credentials.Keys()
	if !ok || static.AccessKey.Reveal() != marker+"1" || static.SecretKey.Reveal() != marker+"2" ||
		!static.SessionToken.IsZero() {
		t.Error("static keys are not those of the environment")
	}
	env, ok := c.Sites[2].Credentials.Keys()
	if !ok || env.AccessKey.Reveal() != marker+"3" || env.SecretKey.Reveal() != marker+"4" ||
		env.SessionToken.Reveal() != marker+"5" {
		t.Error("environment keys are not those under the prefix")
	}
}

func TestCredentialsWithoutPrefix(t *testing.T) {
	env := environment(map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "",
		"T": "token"})
	for _, value := range []string{"", ` ""`, " # none"} {
		c, err := config.Parse("mesh.yaml", []byte(minimal+"    credentials:\n      environment:"+value+"\n"), env)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		keys, ok := c.Sites[1].Credentials.Keys()
		if !ok || keys.AccessKey.Reveal() != "id" || keys.SecretKey.Reveal() != "key" || !keys.SessionToken.IsZero() {
			t.Errorf("%q: not the keys of the environment", value)
		}
	}
}

// minimal is the least that loads, with T set. It ends inside the second site.
const minimal = `
version: 1
name: photos
queue: {dir: q}
intake: {token: "${T}"}
admin: {token: "${T}"}
sites:
  - {name: a, region: us-east-1, bucket: photos-a}
  - name: b
    endpoint: http://LOCALHOST:9000/
    bucket: Photos_B
`

func loadMinimal(t *testing.T, more string) *config.Config {
	t.Helper()
	c, err := config.Parse("mesh.yaml", []byte(minimal+more), environment(map[string]string{"T": "token", "N": "3"}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExampleNamesTheDefaults(t *testing.T) {
	c, shown := loadMinimal(t, ""), loadExample(t)
	if diff := cmp.Diff(c.Replication, shown.Replication); diff != "" {
		t.Errorf("-default +example:\n%s", diff)
	}
	if c.Reconcile.Every != shown.Reconcile.Every {
		t.Errorf("default reconcile.every %v, in the example %v", c.Reconcile.Every, shown.Reconcile.Every)
	}
	if c.Intake.Listen != shown.Intake.Listen || c.Admin.Listen != shown.Admin.Listen {
		t.Error("the example's addresses are not the defaults")
	}
	if c.Sites[1].Endpoint != "http://localhost:9000" {
		t.Errorf("endpoint %q", c.Sites[1].Endpoint)
	}
}

func TestExampleShowsEveryField(t *testing.T) {
	visited := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		// A link is written as one value.
		if typ.Kind() != reflect.Struct || visited[typ] || typ == reflect.TypeFor[s3mesh.Link]() {
			return
		}
		visited[typ] = true
		for f := range typ.Fields() {
			if !f.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			line := regexp.MustCompile(`(?m)^[ #-]*` + name + `:`)
			if name == "" || !line.Match(config.Example()) {
				t.Errorf("field %s.%s (%q) is not in the example", typ.Name(), f.Name, name)
			}
			visit(f.Type)
		}
	}
	visit(reflect.TypeFor[config.Config]())
}

// TestExampleWithEverything turns every commented field on, one alternative at a time.
func TestExampleWithEverything(t *testing.T) {
	text := string(config.Example())
	for _, line := range []string{"ca_file:", "session_token:", "links:", "  - us-east-1->eu", "  - eu-west-1->us",
		"  - us-east-1->local", "filter:", "  include:", "  exclude:", "tls:", "  cert:", "  key:", "url:", "creds_file:",
		"poll:", "dir: /var/lib/s3mesh/reconcile", "alerts:", "  webhook:"} {
		commented := regexp.MustCompile(`(?m)^( *)# (` + line + `.*)$`)
		if !commented.MatchString(text) {
			t.Fatalf("no line %q", line)
		}
		text = commented.ReplaceAllString(text, "$1$2")
	}
	text = strings.Replace(text, "  dir: /var/lib/s3mesh\n", "", 1)
	c, err := config.Parse("mesh.yaml", []byte(text), exampleEnv)
	if err != nil {
		t.Fatal(err)
	}
	wantFilter := config.Filter{Include: []string{"albums/", "avatars/"}, Exclude: []string{"albums/drafts/"}}
	if diff := cmp.Diff(wantFilter, c.Filter); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantLinks := []s3mesh.Link{{Source: "us-east-1", Target: "eu-west-1"}, {Source: "eu-west-1", Target: "us-east-1"},
		{Source: "us-east-1", Target: "local"}}
	if diff := cmp.Diff(wantLinks, c.Links); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if c.Queue.URL != "tls://nats.example.com:4222" || c.Intake.TLS == nil || c.Sites[1].CAFile == "" ||
		c.Sites[2].Poll.String() != "1m0s" || c.Reconcile.Dir != "/var/lib/s3mesh/reconcile" || c.Alerts.Webhook.IsZero() {
		t.Errorf("not everything was read: %+v", c)
	}
}

func TestNumbersFromTheEnvironment(t *testing.T) {
	c := loadMinimal(t, "replication:\n  workers: ${N}\n  large_object: ${N}0MB\n  max_clock_skew: ${N}s\n")
	if c.Replication.Workers != 3 || c.Replication.LargeObject != 30e6 || c.Replication.MaxClockSkew.String() != "3s" {
		t.Errorf("%+v", c.Replication)
	}
}

func TestWarnings(t *testing.T) {
	text := strings.Replace(minimal, "intake: {", "intake: {listen: \":9481\", ", 1)
	text = strings.Replace(text, "admin: {", "admin: {listen: \"0.0.0.0:9480\", ", 1)
	text += "  - {name: c, region: eu-west-1, bucket: photos-c}\nlinks: [a->b]\n"
	c, err := config.Parse("mesh.yaml", []byte(text), environment(map[string]string{"T": "token"}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Warnings() {
		got = append(got, fmt.Sprintf("%d:%d %s", w.Line, w.Column, w.Path))
	}
	if diff := cmp.Diff([]string{"5:18 intake.listen", "6:17 admin.listen", "12:12 sites[2].name"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, listen := range []string{"localhost:0", "[::1]:9481", "127.0.0.2:9481"} {
		text := strings.Replace(minimal, "intake: {", fmt.Sprintf("intake: {listen: %q, ", listen), 1)
		c, err := config.Parse("mesh.yaml", []byte(text), environment(map[string]string{"T": "token"}))
		if err != nil || len(c.Warnings()) > 0 {
			t.Errorf("%s: error %v, warnings %v", listen, err, c.Warnings())
		}
	}
}

func TestEditorsMarks(t *testing.T) {
	text := "\ufeff" + strings.ReplaceAll(string(config.Example()), "\n", "\r\n")
	c, err := config.Parse("mesh.yaml", []byte(text), exampleEnv)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, loadExample(t)) {
		t.Error("a byte order mark and CRLF change the meaning")
	}
}

func TestJSON(t *testing.T) {
	got, err := json.MarshalIndent(loadExample(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/example.json", string(got)+"\n")
}

func TestSecretsNeverShow(t *testing.T) {
	c := loadExample(t)
	asJSON, jsonErr := json.Marshal(c)
	asYAML, yamlErr := yaml.Marshal(c)
	if jsonErr != nil || yamlErr != nil {
		t.Fatal(jsonErr, yamlErr)
	}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("x", "config", c, "value", *c, "token", c.Admin.Token, "keys", c.Sites[1].Credentials)
	hidden := struct{ s config.Secret }{c.Admin.Token}
	shown := []string{string(asJSON), string(asYAML), log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{c, *c, c.Sites, c.Sites[2].Credentials, c.Admin.Token, &c.Admin.Token, hidden, &hidden} {
			shown = append(shown, fmt.Sprintf(verb, value))
		}
	}
	hex := fmt.Sprintf("%x", marker)
	for _, text := range shown {
		if strings.Contains(text, marker) || strings.Contains(text, hex) {
			t.Errorf("a secret shows: %s", text)
		}
	}
	if !strings.Contains(string(asJSON), `"token":"[redacted]"`) || !strings.Contains(string(asYAML), "[redacted]") {
		t.Errorf("secrets are not marked as redacted: %s\n%s", asJSON, asYAML)
	}
}

func TestSecretMethods(t *testing.T) {
	s := loadExample(t).Admin.Token
	text, err := s.MarshalText()
	value, yamlErr := s.MarshalYAML()
	if err != nil || yamlErr != nil {
		t.Fatal(err, yamlErr)
	}
	for _, got := range []any{s.String(), s.GoString(), string(text), value, s.LogValue().String()} {
		if got != "[redacted]" {
			t.Errorf("got %q", got)
		}
	}
	var none config.Secret
	if s.IsZero() || s.Reveal() != marker+"7" || !none.IsZero() || none.Reveal() != "" {
		t.Error("a secret does not keep its value")
	}
}

func TestLoadUnreadable(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "absent.yaml"), exampleEnv)
	if s3mesh.KindOf(err) != s3mesh.KindInvalid || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	_, err = config.Load(t.TempDir(), exampleEnv)
	if s3mesh.KindOf(err) != s3mesh.KindInvalid {
		t.Errorf("got %v for a directory", err)
	}
}

func TestTooLarge(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mesh.yaml")
	if err := os.WriteFile(file, slices.Repeat([]byte("# \n"), 1<<17), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(file, exampleEnv)
	if err == nil || !strings.Contains(err.Error(), "is larger than 256KiB") {
		t.Errorf("got %v", err)
	}
}

func TestTooManySites(t *testing.T) {
	text := minimal
	for i := range 300 {
		text += fmt.Sprintf("  - {name: s%d, region: us-east-1, bucket: photos-%d}\n", i, i)
	}
	_, err := config.Parse("mesh.yaml", []byte(text), environment(map[string]string{"T": "token"}))
	if err == nil || !strings.Contains(err.Error(), "sites: has more than 256 sites") {
		t.Errorf("got %v", err)
	}
}

func TestByteSize(t *testing.T) {
	good := map[string]config.ByteSize{"0": 0, "1048576": 1 << 20, "64MiB": 64 << 20, "5GB": 5e9, "7B": 7, "1KB": 1000,
		"2KiB": 2048, "1TB": 1e12, "3TiB": 3 << 40, "3MB": 3e6, "1GiB": 1 << 30, "9223372036854775807": 1<<63 - 1}
	for text, want := range good {
		got, err := config.ParseByteSize(text)
		if err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
		again, err := config.ParseByteSize(want.String())
		if err != nil || again != want {
			t.Errorf("%q printed as %q reads as %d, %v", text, want, again, err)
		}
	}
	for _, text := range []string{"", "-1", "1.5GiB", "64M", "64 MiB", "64mib", "MiB", "9223372036854775808", "8388608TiB", "1iB"} {
		if got, err := config.ParseByteSize(text); err == nil {
			t.Errorf("%q reads as %d", text, got)
		}
	}
}
