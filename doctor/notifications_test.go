package doctor_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh/doctor"
	"github.com/s3mesh/s3mesh/internal/peer"
)

// fuse calls blow when the number of requests that are left is used up.
type fuse struct {
	http.RoundTripper
	mu   sync.Mutex
	left int
	blow func()
}

func (f *fuse) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	if f.left--; f.left == 0 {
		f.blow()
	}
	f.mu.Unlock()
	return f.RoundTripper.RoundTrip(r)
}

// inbox has what it is asked for arrive at the times that it is asked, but never before come.
type inbox struct {
	mu    sync.Mutex
	come  int
	asked []string
	err   error
}

func (i *inbox) Seen(_ context.Context, site, key string) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = append(i.asked, site+" "+key)
	return i.come > 0 && len(i.asked) >= i.come, i.err
}

func TestNotifications(t *testing.T) {
	endpoint := peer.MinIO(t)
	bucket := endpoint.CreateBucket(t)
	for name, c := range map[string]struct {
		inbox    *inbox
		poll     time.Duration
		answer   string
		severity doctor.Severity
	}{
		"arrives": {&inbox{come: 2}, 0, "yes", doctor.Good},
		"lost":    {&inbox{}, 0, "lost", doctor.Fault},
		"polled":  {&inbox{}, time.Minute, "polled", doctor.Good},
		"unknown": {&inbox{err: errors.New("the daemon is too old")}, 0, "?", doctor.Warning},
	} {
		examined := site(t, endpoint, bucket)
		examined.Announces, examined.Poll, examined.Intake = true, c.poll, "http://S3MESH_HOST:9481/v1/events/site"
		report := doctor.Examine(t.Context(), doctor.Config{Set: "photos", Sites: []doctor.Site{examined}, Arrivals: c.inbox,
			Wait: 500 * time.Millisecond, MaxClockSkew: 2 * time.Second})
		result := want(t, report.Sites[0], "notifications", c.answer, c.severity)
		if name == "lost" && (!strings.Contains(result.Remedy, "mc event add site/"+bucket) ||
			!strings.Contains(result.Remedy, "$S3MESH_INTAKE_TOKEN")) {
			t.Errorf("remedy: %s", result.Remedy)
		}
		for _, asked := range c.inbox.asked {
			if !strings.HasPrefix(asked, "site .s3mesh/probe/") {
				t.Errorf("asked for %s", asked)
			}
		}
	}
}
