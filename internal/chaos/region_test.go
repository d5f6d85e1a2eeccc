package chaos

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mesh/s3mesh/devstore"
)

const bucketName = "photos"

// region is a store that can be killed and comes back with what it had. Writers talk to it directly, the daemon through ToStore,
// and it sends its notifications through tap and toIntake.
type region struct {
	Name, Bucket      string
	ToStore, toIntake *proxy
	tap               *tap

	client        // of the SDK's defaults
	once   client // gives up at the first failure
	config devstore.Config
	// lives counts kills and restarts: an operation during which it changed may have happened without being announced.
	lives   atomic.Int64
	running *devstore.Region // used by one goroutine at a time
}

// Prefix begins the environment variables with the daemon's credentials.
func (r *region) Prefix() string { return strings.ToUpper(r.Name) + "_" }

func (w *world) newRegion(t *testing.T, name string) *region {
	t.Helper()
	r := &region{Name: name, Bucket: bucketName}
	r.toIntake = newProxy(t, "intake-"+name, w.intake)
	r.tap = newTap(t, r.toIntake, w.seed, &w.damage)
	r.config = devstore.Config{
		Site: name, Region: "us-east-1", Bucket: bucketName, Dir: filepath.Join(w.dir, name), Addr: freeAddress(t),
		Client:     devstore.Credentials{AccessKeyID: "client-" + name, SecretAccessKey: rand.Text()},
		Replicator: devstore.Credentials{AccessKeyID: "replicator-" + name, SecretAccessKey: rand.Text()},
		EventURL:   "http://" + r.tap.Address() + "/v1/events/" + name, EventToken: w.token,
		Logger: slog.New(slog.NewJSONHandler(w.file(t, "region-"+name+".jsonl"), nil)),
	}
	r.ToStore = newProxy(t, "store-"+name, r.config.Addr)
	if err := r.restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.running.Kill() })
	r.connect(t)
	return r
}

// connect gives the region its clients.
func (r *region) connect(t *testing.T) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	endpoint := "http://" + r.config.Addr
	options := s3.Options{
		BaseEndpoint: &endpoint, Region: r.config.Region, UsePathStyle: true, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider(r.config.Client.AccessKeyID, r.config.Client.SecretAccessKey, ""),
	}
	r.client = client{s3: s3.New(options)}
	options.Retryer = aws.NopRetryer{}
	r.once = client{s3: s3.New(options), hasty: true}
}

func (r *region) kill() {
	r.lives.Add(1)
	r.running.Kill()
}

func (r *region) restart(ctx context.Context) error {
	running, err := devstore.Start(ctx, r.config)
	if err != nil {
		return fmt.Errorf("start %s: %w", r.Name, err)
	}
	r.running = running
	r.lives.Add(1)
	return nil
}
