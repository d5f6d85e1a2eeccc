package devstore_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"

	"github.com/s3mesh/s3mesh/devstore"
)

const bucket = "photos"

func TestMain(m *testing.M) {
	devstore.Main()
	middleProcess()
	goleak.VerifyTestMain(m)
}

// config returns a region's configuration with a directory that does not exist yet.
func config(tb testing.TB) devstore.Config {
	tb.Helper()
	return devstore.Config{
		Site: "us-east-1", Region: "us-east-1", Dir: tb.TempDir() + "/region", Bucket: bucket,
		Client:     devstore.Credentials{AccessKeyID: "client", SecretAccessKey: "client-secret"},
		Replicator: devstore.Credentials{AccessKeyID: "replicator", SecretAccessKey: "replicator-secret"},
	}
}

// start starts a region that is killed when the test ends.
func start(tb testing.TB, cfg devstore.Config) *devstore.Region {
	tb.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(testWriter{tb}, nil))
	}
	r, err := devstore.Start(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Kill)
	return r
}

type testWriter struct{ tb testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.tb.Logf("%s", p)
	return len(p), nil
}

// connect returns an S3 client that tries once.
func connect(tb testing.TB, r *devstore.Region, cred devstore.Credentials) *s3.Client {
	tb.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(transport.CloseIdleConnections)
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(r.Endpoint()), Region: "us-east-1", UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(cred.AccessKeyID, cred.SecretAccessKey, ""),
		HTTPClient:  &http.Client{Transport: transport},
	})
}

func put(tb testing.TB, c *s3.Client, key, body string) *s3.PutObjectOutput {
	tb.Helper()
	out, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key,
		Body: strings.NewReader(body)})
	if err != nil {
		tb.Fatalf("put %q: %v", key, err)
	}
	return out
}

func get(tb testing.TB, c *s3.Client, key, versionID string) string {
	tb.Helper()
	in := &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key}
	if versionID != "" {
		in.VersionId = &versionID
	}
	out, err := c.GetObject(context.Background(), in)
	if err != nil {
		tb.Fatalf("get %q: %v", key, err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		tb.Fatalf("read %q: %v", key, err)
	}
	return string(body)
}

// record is what these tests read of an event, in the names AWS documents.
type record struct {
	EventSource  string
	AwsRegion    string
	EventTime    time.Time
	EventName    string
	UserIdentity struct{ PrincipalID string }
	S3           struct {
		Bucket struct{ Name string }
		Object struct {
			Key, ETag, VersionID, Sequencer string
			Size                            int64
		}
	}
}

func (r record) key(tb testing.TB) string {
	tb.Helper()
	key, err := url.QueryUnescape(r.S3.Object.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// intake receives events.
type intake struct {
	*httptest.Server
	mu       sync.Mutex
	messages [][]record
	// before, when set, sees each request first, and answers it by returning true.
	before func(http.ResponseWriter) bool
}

func newIntake(tb testing.TB) *intake {
	tb.Helper()
	i := &intake{}
	i.Server = httptest.NewServer(i)
	tb.Cleanup(i.Close)
	return i
}

// Token is what the intake wants to see.
const token = "intake-token"

func (i *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if i.before != nil && i.before(w) {
		return
	}
	var message struct{ Records []record }
	err := json.NewDecoder(r.Body).Decode(&message)
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer "+token {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.messages = append(i.messages, message.Records)
	w.WriteHeader(http.StatusNoContent)
}

// take returns the messages received since the last take.
func (i *intake) take() [][]record {
	i.mu.Lock()
	defer i.mu.Unlock()
	messages := i.messages
	i.messages = nil
	return messages
}

// one returns the one record received since the last take.
func (i *intake) one(tb testing.TB) record {
	tb.Helper()
	messages := i.take()
	if len(messages) != 1 || len(messages[0]) != 1 {
		tb.Fatalf("received %d messages, want one with one record: %+v", len(messages), messages)
	}
	return messages[0][0]
}

// within waits for a channel, with a deadline.
func within(tb testing.TB, what string, c <-chan struct{}) {
	tb.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		tb.Fatalf("%s: not within 20 s", what)
	}
}
