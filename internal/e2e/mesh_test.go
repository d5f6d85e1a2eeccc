package e2e

import (
	"crypto/rand"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/s3mesh/s3mesh/devstore"
	"github.com/s3mesh/s3mesh/internal/peer"
)

// mesh is what a mesh.yaml describes: sites, and how the process that replicates between them is reached.
type mesh struct {
	*machine
	file          string
	intake, admin string  // host and port
	events        string  // host and port that the stores send to; the intake's own at first
	token         string  // of the intake
	replication   string  // of mesh.yaml, on one line; the defaults when empty
	comparing     string  // its section reconcile, on one line; the defaults when empty
	alerts        *alerts // who is told; nil: nobody
	regions       map[string]devstore.Config
	running       map[string]*devstore.Region
	sites         []*meshSite
}

// meshSite is a site with the credentials that s3mesh uses there.
type meshSite struct {
	*site
	Key, Secret string // the names of the variables that hold them
	Dedicated   bool
	Poll        string // how often it is polled; empty where it sends notifications
}

// newMesh returns a mesh without sites.
func newMesh(t *testing.T) *mesh {
	t.Helper()
	m := &mesh{machine: newMachine(t), intake: freeAddress(t), admin: freeAddress(t), token: rand.Text(),
		regions: map[string]devstore.Config{}, running: map[string]*devstore.Region{}}
	m.file, m.events = filepath.Join(m.dir, "mesh.yaml"), m.intake
	m.setenv("INTAKE_TOKEN", m.token)
	m.setenv("ADMIN_TOKEN", rand.Text())
	return m
}

// freeAddress returns an address that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (m *mesh) eventURL(name string) string { return "http://" + m.events + "/v1/events/" + name }

// addRegion starts a versitygw region as a site of the mesh.
func (m *mesh) addRegion(t *testing.T, name string) *site {
	t.Helper()
	client := devstore.Credentials{AccessKeyID: "client-" + name, SecretAccessKey: rand.Text()}
	replicator := devstore.Credentials{AccessKeyID: "replicator-" + name, SecretAccessKey: rand.Text()}
	m.regions[name] = devstore.Config{
		Site: name, Region: "us-east-1", Bucket: "photos", Dir: filepath.Join(m.dir, name),
		Client: client, Replicator: replicator, EventURL: m.eventURL(name), EventToken: m.token,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	region := m.startRegion(t, name)
	s := &site{Name: name, Endpoint: region.Endpoint(), Bucket: "photos", Region: "us-east-1",
		AccessKey: client.AccessKeyID, SecretKey: client.SecretAccessKey}
	m.add(t, s, replicator.AccessKeyID, replicator.SecretAccessKey, true)
	return s
}

// startRegion starts a region that was added, for the first time or where it was when it was stopped.
func (m *mesh) startRegion(t *testing.T, name string) *devstore.Region {
	t.Helper()
	region, err := devstore.Start(t.Context(), m.regions[name])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(region.Kill)
	again := m.regions[name]
	again.Addr = region.Addr()
	m.regions[name], m.running[name] = again, region
	return region
}

// stopRegion stops a region in an orderly way.
func (m *mesh) stopRegion(t *testing.T, name string) {
	t.Helper()
	if err := m.running[name].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// addMinIO starts a MinIO server as a site of the mesh. Users and s3mesh share its credentials.
func (m *mesh) addMinIO(t *testing.T, name string, env ...string) *site {
	t.Helper()
	env = append(env, peer.Webhook(m.eventURL(name))...)
	e := peer.MinIO(t, append(env, "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_1="+m.token)...)
	s := &site{Name: name, Endpoint: e.URL, Bucket: e.CreateBucket(t), Region: e.Region,
		AccessKey: e.AccessKey, SecretKey: e.SecretKey}
	e.Subscribe(t, s.Bucket)
	m.add(t, s, s.AccessKey, s.SecretKey, false)
	return s
}

func (m *mesh) add(t *testing.T, s *site, key, secret string, dedicated bool) {
	t.Helper()
	s.connect(t)
	prefix := strings.ToUpper(s.Name)
	added := &meshSite{site: s, Key: prefix + "_KEY", Secret: prefix + "_SECRET", Dedicated: dedicated}
	m.env = append(m.env, added.Key+"="+key)
	m.setenv(added.Secret, secret)
	m.hide(s.SecretKey)
	m.sites = append(m.sites, added)
}

func (m *mesh) all() []*site {
	all := make([]*site, len(m.sites))
	for i, s := range m.sites {
		all[i] = s.site
	}
	return all
}

var meshFile = template.Must(template.New("mesh.yaml").Parse(`version: 1
name: e2e
sites:
{{- range .Sites}}
  - name: {{.Name}}
    endpoint: {{.Endpoint}}
    region: {{.Region}}
    bucket: {{.Bucket}}
    credentials:
      static:
        access_key: ${{"{"}}{{.Key}}}
        secret_key: ${{"{"}}{{.Secret}}}
    dedicated_credentials: {{.Dedicated}}
{{- with .Poll}}
    poll: {{.}}
{{- end}}
{{- end}}
queue:
  dir: {{.Queue}}
intake:
  listen: {{.Intake}}
  token: ${INTAKE_TOKEN}
admin:
  listen: {{.Admin}}
  token: ${ADMIN_TOKEN}
{{- with .Replication}}
replication: {{.}}
{{- end}}
{{- with .Reconcile}}
reconcile: {{.}}
{{- end}}
{{- if .Alerts}}
alerts: {webhook: "${ALERT_URL}"}
{{- end}}
`))

// write writes the file.
func (m *mesh) write(t *testing.T) {
	t.Helper()
	file, err := os.Create(m.file)
	if err != nil {
		t.Fatal(err)
	}
	err = meshFile.Execute(file, map[string]any{"Sites": m.sites, "Queue": filepath.Join(m.dir, "queue"),
		"Intake": m.intake, "Admin": m.admin, "Replication": m.replication,
		"Reconcile": m.comparing, "Alerts": m.alerts != nil})
	if closeErr := file.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
}

// run writes the file, starts the process that it describes, and returns once that is ready.
func (m *mesh) run(t *testing.T) *process {
	t.Helper()
	m.write(t)
	p := m.launch(t, 0, "run", "-c", m.file, "--json", "--log-level", "debug")
	var ready struct {
		Ready         bool
		Sites         []string
		Links         int
		Intake, Admin string
	}
	p.firstLine(t, &ready)
	if n := len(m.sites); !ready.Ready || len(ready.Sites) != n || ready.Links != n*(n-1) || ready.Intake != m.intake ||
		ready.Admin != m.admin {
		t.Fatalf("the first line tells %+v", ready)
	}
	return p
}
