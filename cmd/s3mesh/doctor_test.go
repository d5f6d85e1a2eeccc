package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh/doctor"
	"github.com/s3mesh/s3mesh/internal/peer"
)

const doctorToken = "intake-token-nobody-may-see"

// doctorMesh is a configuration of two buckets of one MinIO, of which site a is wired to the intake.
type doctorMesh struct {
	endpoint peer.Endpoint
	file     string
	wait     time.Duration // for notifications
}

func newDoctorMesh(t *testing.T, siteB string) doctorMesh {
	t.Helper()
	intake, err := peer.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	admin, err := peer.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	endpoint := peer.MinIO(t, append(peer.Webhook("http://"+intake+"/v1/events/a"),
		"MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_1="+doctorToken)...)
	a, b := endpoint.CreateBucket(t), endpoint.CreateBucket(t)
	endpoint.Subscribe(t, a)
	t.Setenv("AWS_ACCESS_KEY_ID", endpoint.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", endpoint.SecretKey)
	t.Setenv("INTAKE_TOKEN", doctorToken)
	text := fmt.Sprintf(`version: 1
name: photos
sites:
  - {name: a, endpoint: %[1]q, bucket: %[2]s, credentials: {environment: ""}}
  - {name: b, endpoint: %[1]q, bucket: %[3]s, credentials: {environment: ""}%[4]s}
queue: {dir: %[5]q}
intake: {listen: %[6]q, token: "${INTAKE_TOKEN}"}
admin: {listen: %[7]q, token: "${INTAKE_TOKEN}"}
`, endpoint.URL, a, b, siteB, t.TempDir(), intake, admin)
	file := filepath.Join(t.TempDir(), "mesh.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return doctorMesh{endpoint, file, 10 * time.Second}
}

// doctor runs the command, and returns what it says and its exit code.
func (m doctorMesh) doctor(t *testing.T, asJSON bool, sites ...string) (out string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	g := &globals{streams: streams{&stdout, &stderr}, json: asJSON, begun: true}
	err := runDoctor(t.Context(), g, doctorOptions{configFile: m.file, sites: sites, wait: m.wait})
	if err != nil {
		g.printError(err)
		code = exitCode(err)
	}
	for _, secret := range []string{m.endpoint.SecretKey, doctorToken} {
		if strings.Contains(stdout.String()+stderr.String(), secret) {
			t.Errorf("a secret is shown:\n%s%s", &stdout, &stderr)
		}
	}
	return stdout.String(), code
}

// TestDoctorRoundTrip has a store's notification come to the doctor itself, as no process runs.
func TestDoctorRoundTrip(t *testing.T) {
	m := newDoctorMesh(t, ", poll: 1m")
	out, code := m.doctor(t, true)
	var report doctor.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitOK {
		t.Fatalf("%v, exit code %d: %s", err, code, out)
	}
	for site, want := range []string{"yes", "polled"} {
		if result, _ := report.Sites[site].Result("notifications"); result.Answer != want {
			t.Errorf("site %d: %+v, want %s", site, result, want)
		}
	}
}

// TestDoctorFaults has a site whose notifications go nowhere, then one that can be written to though it must not.
func TestDoctorFaults(t *testing.T) {
	m := newDoctorMesh(t, "")
	m.wait = 2 * time.Second
	out, code := m.doctor(t, false)
	if code != exitUsage || !strings.Contains(out, "mc event add b/") || !strings.Contains(out, "/v1/events/b") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, code := m.doctor(t, false, "a"); code != exitOK || !strings.Contains(out, "more than needed") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// TestDoctorAway has a site that does not answer.
func TestDoctorAway(t *testing.T) {
	m := newDoctorMesh(t, ", poll: 1m")
	away, err := peer.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("name: b, endpoint: \""+m.endpoint.URL), []byte("name: b, endpoint: \"http://"+away), 1)
	if err := os.WriteFile(m.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := m.doctor(t, false); code != exitUnreachable || !strings.Contains(out, "TCP !!") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// TestDoctorTakesNoOthers checks that a notification which nobody would act on is told to come again.
func TestDoctorTakesNoOthers(t *testing.T) {
	l := &notices{seen: map[notice]bool{}, others: map[string]time.Time{}}
	event := func(key string) string {
		return `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put",` +
			`"eventTime":"2026-01-02T03:04:05.678Z","s3":{"bucket":{"name":"photos"},"object":{` +
			`"key":"` + key + `","eTag":"e","sequencer":"1"}}}]}`
	}
	handler := l.handler(doctorToken)
	post := func(body string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events/a", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+doctorToken)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, req)
		return answer.Code
	}
	mark := ".s3mesh/probe/abc/mark"
	if status := post(event(mark)); status != http.StatusOK {
		t.Errorf("its own: %d", status)
	}
	if seen, err := l.Seen(t.Context(), "a", mark); !seen || err != nil {
		t.Errorf("not seen: %v", err)
	}
	if status := post(event("holiday.jpg")); status != http.StatusServiceUnavailable {
		t.Errorf("another's: %d, want 503", status)
	}
	l.others["a"] = time.Now().Add(-time.Minute)
	if seen, err := l.Seen(t.Context(), "a", ".s3mesh/probe/def/mark"); seen || err == nil {
		t.Error("what waits behind others counts as lost")
	}
}
