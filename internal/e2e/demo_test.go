package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mesh/s3mesh/internal/sample"
)

// demo is a running demo.
type demo struct {
	*machine
	*process
	hello demoHello
	sites []*site
}

// demoHello is the first line of demo --json.
type demoHello struct {
	Sites []*site `json:"sites"`
	Admin string  `json:"admin"`
	Token string  `json:"token"`
}

// startDemo starts a demo that logs everything, and returns once it said that it is ready.
func startDemo(t *testing.T, m *machine, args ...string) *demo {
	t.Helper()
	d := &demo{machine: m, process: m.launch(t, 1, append([]string{"demo", "--json", "--log-level", "debug"}, args...)...)}
	d.firstLine(t, &d.hello)
	d.sites = d.hello.Sites
	m.hide(d.hello.Token, d.sites[0].SecretKey, d.sites[0].AccessKey)
	for _, s := range d.sites {
		s.connect(t)
	}
	return d
}

// outcome is a line of demo --json after the first.
type outcome struct {
	Source  string  `json:"source"`
	Target  string  `json:"target"`
	Key     string  `json:"key"`
	Result  string  `json:"result"`
	LagMS   float64 `json:"lag_ms"`
	Bytes   int64   `json:"bytes"`
	Content string  `json:"content"`
}

func (d *demo) outcomes(t *testing.T) []outcome {
	t.Helper()
	lines := d.stdout.lines()[1:]
	all := make([]outcome, len(lines))
	for i, line := range lines {
		decode(t, line, &all[i])
	}
	return all
}

func names(sites []*site) []string {
	all := make([]string, len(sites))
	for i, s := range sites {
		all[i] = s.Name
	}
	return all
}

// TestDemo uses one demo as its users do.
//
//nolint:tparallel // its parts share what was started, in this order
func TestDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t, newMachine(t))
	t.Run("hello", func(t *testing.T) { testHello(t, d) })
	t.Run("samples", func(t *testing.T) { testSamples(t, d) })
	t.Run("any region to all others", func(t *testing.T) { testAnyRegion(t, d) })
	t.Run("odd keys", func(t *testing.T) { testOddKeys(t, d) })
	t.Run("concurrent writes", func(t *testing.T) { testConcurrent(t, d) })
	t.Run("inspect", func(t *testing.T) { testInspect(t, d) })
	d.settled(t, arrival)
	d.noLetters(t)
}

func testHello(t *testing.T, d *demo) {
	t.Helper()
	if got, want := names(d.sites), []string{"us-east-1", "eu-west-2", "ap-northeast-1"}; !slices.Equal(got, want) {
		t.Errorf("regions %q, want %q", got, want)
	}
	for _, s := range d.sites {
		if s.Region != s.Name || !strings.HasSuffix(s.Bucket, "-toasthost-"+s.Name) {
			t.Errorf("site %s has region %q and bucket %q", s.Name, s.Region, s.Bucket)
		}
		got, err := s.s3.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: &s.Bucket})
		if err != nil || got.Status != "Enabled" {
			t.Errorf("site %s: versioning %v, %v", s.Name, got, err)
		}
	}
	var fields map[string]json.RawMessage
	decode(t, d.stdout.lines()[0], &fields)
	if len(fields) != 3 || fields["admin"] == nil || fields["token"] == nil {
		t.Errorf("the first line has %d fields, want sites, admin and token", len(fields))
	}
}

// testSamples: the sample pictures are in every region, and each arrival is told with its lag and a content check.
func testSamples(t *testing.T, d *demo) {
	t.Helper()
	images := sample.Images()
	for _, image := range images {
		awaitObject(t, d.sites, image.Key, object{body: string(image.Data), contentType: image.ContentType})
	}
	eventually(t, arrival, "a line for every arrival", func() error {
		want := map[outcome]int{}
		for _, image := range images {
			for _, target := range d.sites[1:] {
				want[outcome{Source: d.sites[0].Name, Target: target.Name, Key: image.Key, Result: "replicated",
					Bytes: int64(len(image.Data)), Content: "equal"}]++
			}
		}
		for _, o := range d.outcomes(t) {
			if o.LagMS <= 0 {
				t.Fatalf("lag %v ms: %+v", o.LagMS, o)
			}
			o.LagMS = 0
			want[o]--
		}
		return leftOver(want)
	})
}

func testAnyRegion(t *testing.T, d *demo) {
	t.Helper()
	for _, s := range d.sites {
		key := "from/" + s.Name
		o := object{body: "first, by " + s.Name, contentType: "image/x-toast; charset=utf-8",
			metadata: map[string]string{"plain": "value", "toast": "crème brûlée 日本 🍞", "empty": ""}}
		s.mustPut(t, key, o)
		awaitObject(t, d.sites, key, o)

		o = object{body: "", contentType: "application/x-empty", metadata: map[string]string{"now": "empty"}}
		s.mustPut(t, key, o)
		awaitObject(t, d.sites, key, o)
	}
	for _, s := range d.sites { // each overwrites what another wrote
		o := text("overwritten by " + s.Name)
		s.mustPut(t, "from/"+d.sites[0].Name, o)
		awaitObject(t, d.sites, "from/"+d.sites[0].Name, o)
	}
}

// TestAWSCommand does with the stock command line what the demo tells its users to.
func TestAWSCommand(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws command is not installed")
	}
	d := startDemo(t, newMachine(t))
	first, last := d.sites[0], d.sites[len(d.sites)-1]
	run := func(s *site, args ...string) string {
		cmd := exec.CommandContext(t.Context(), path, append([]string{"--region", s.Region, "--endpoint-url", s.Endpoint}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+s.AccessKey, "AWS_SECRET_ACCESS_KEY="+s.SecretKey,
			"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("aws %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	file := filepath.Join(t.TempDir(), "photo.jpg")
	image := sample.Images()[1].Data
	if err := os.WriteFile(file, image, 0o600); err != nil {
		t.Fatal(err)
	}
	run(first, "s3", "cp", file, "s3://"+first.Bucket+"/aws/")
	awaitObject(t, d.sites, "aws/photo.jpg", object{body: string(image), contentType: "image/jpeg"})
	if out := run(last, "s3", "ls", "s3://"+last.Bucket+"/aws/"); !strings.Contains(out, "photo.jpg") {
		t.Errorf("aws s3 ls does not list photo.jpg: %q", out)
	}
}

func testInspect(t *testing.T, d *demo) {
	t.Helper()
	d.sites[1].mustPut(t, "inspected", text("x"))
	awaitObject(t, d.sites, "inspected", text("x"))
	in, code := d.inspect(t, "inspected")
	if code != 0 || !in.Agree || len(in.Winner) != len(d.sites) || len(in.Sites) != len(d.sites) {
		t.Fatalf("exit code %d, %+v", code, in)
	}
	for i, held := range in.Sites {
		if held.Site != d.sites[i].Name || held.Version == nil || held.Version.Origin != d.sites[1].Name ||
			held.Version.ETag != etagOf("x") || held.Replica != (i != 1) {
			t.Errorf("site %d: %+v", i, held)
		}
	}
	if in, code := d.inspect(t, "never written"); code != 0 || !in.Agree || len(in.Winner) != 0 {
		t.Errorf("a key that nobody holds: exit code %d, %+v", code, in)
	}
	checkTexts(t, d)
}

// checkTexts: what people read, without --json.
func checkTexts(t *testing.T, d *demo) {
	t.Helper()
	if r := d.cli(t, "inspect", "inspected"); !strings.Contains(r.stdout, "All sites agree.") {
		t.Errorf("inspect as text: %q", r.stdout)
	}
	if r := d.cli(t, "status"); r.code != 0 || !strings.Contains(r.stdout, "us-east-1->eu-west-2") {
		t.Errorf("status as text: %q", r.stdout)
	}
	if r := d.cli(t, "dlq", "list", "--link", "us-east-1->mars"); r.code != 2 ||
		!strings.Contains(r.stderr, "us-east-1->eu-west-2") {
		t.Errorf("an unknown link: exit code %d, %q", r.code, r.stderr)
	}
	d.setenv("S3MESH_ADMIN_TOKEN", "not-the-token")
	if r := d.cli(t, "status", "--admin", d.hello.Admin); r.code != 1 || !strings.Contains(r.stderr, "S3MESH_ADMIN_TOKEN") ||
		strings.Contains(r.stderr, "dead letters") {
		t.Errorf("a wrong token: exit code %d, %q", r.code, r.stderr)
	}
}
