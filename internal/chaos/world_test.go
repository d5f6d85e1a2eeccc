package chaos

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	randv2 "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"text/template"
	"time"
)

// world is three regions, the proxies before them, and the daemon that replicates between them.
type world struct {
	dir     string
	seed    uint64
	regions []*region
	daemon  *daemon
	intake  string // host and port that the daemon listens on
	token   string // of the intake
	writers []*writer
	history *history
	damage  damage
	log     *slog.Logger // what is done to the world
}

// random returns a source of random numbers of its own for each use, so that the schedule of threads changes none of them.
func (w *world) random(use string) *randv2.Rand { return newRandom(w.seed, use) }

func newRandom(seed uint64, use string) *randv2.Rand {
	var key [32]byte
	copy(key[:], strconv.FormatUint(seed, 10)+"/"+use)
	return randv2.New(randv2.NewChaCha8(key))
}

func (w *world) start(t *testing.T) {
	t.Helper()
	w.log = slog.New(slog.NewJSONHandler(w.file(t, "faults.jsonl"), nil))
	w.intake, w.token = freeAddress(t), rand.Text()
	for _, name := range []string{"alpha", "beta", "gamma"} {
		w.regions = append(w.regions, w.newRegion(t, name))
	}
	w.daemon = w.newDaemon(t)
	if err := w.daemon.start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// file creates a file in the world's folder, which is closed at the end.
func (w *world) file(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(w.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// freeAddress returns a local address that nothing listens on, below the ports that the system gives to connections: while a
// process is down, nobody else may get its port.
func freeAddress(t *testing.T) string {
	t.Helper()
	const first, count, attempts = 20_000, 10_000, 100
	for range attempts {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+randv2.IntN(count)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return l.Addr().String()
	}
	t.Fatal("no free port")
	return ""
}

// meshFile is the daemon's configuration. The sites' endpoints are the proxies.
var meshFile = template.Must(template.New("mesh.yaml").Parse(`version: 1
name: chaos
sites:
{{- range .Regions}}
  - name: {{.Name}}
    endpoint: http://{{.ToStore.Address}}
    region: us-east-1
    bucket: {{.Bucket}}
    credentials:
      environment: {{.Prefix}}
    dedicated_credentials: true
{{- end}}
queue:
  dir: {{.Queue}}
intake:
  listen: {{.Intake}}
  token: ${INTAKE_TOKEN}
admin:
  listen: {{.Admin}}
  token: ${ADMIN_TOKEN}
reconcile:
  every: 0s
replication:
  large_object: 5MiB
{{- if .Deletes}}
  deletes: propagate
  max_deletes_per_minute: 1000000
{{- end}}
`))

// eventually waits until check returns nil.
func eventually(t *testing.T, limit time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.After(limit)
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
	}
}

// pause waits, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
