package e2e

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"
)

// arrival is how long a write may take to be everywhere, on a busy machine.
const arrival = 30 * time.Second

// site is one bucket, and the credentials of its users. The names are those of the first line of demo --json.
type site struct {
	Name      string `json:"name"`
	Endpoint  string `json:"endpoint"`
	Bucket    string `json:"bucket"`
	Region    string `json:"region"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`

	s3 *s3.Client
}

// connect gives the site a client with the SDK's defaults.
func (s *site) connect(t *testing.T) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	s.s3 = s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint, Region: s.Region, UsePathStyle: true, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})
}

// object is what users see of an object.
type object struct {
	body        string
	contentType string
	metadata    map[string]string
}

func text(body string) object { return object{body: body, contentType: "text/plain"} }

func (o object) String() string {
	return fmt.Sprintf("%d bytes %.40q, type %q, metadata %q", len(o.body), o.body, o.contentType, o.metadata)
}

func (o object) equal(other object) bool {
	return o.body == other.body && o.contentType == other.contentType && maps.Equal(o.metadata, other.metadata)
}

func (s *site) put(ctx context.Context, key string, o object) error {
	_, err := s.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: strings.NewReader(o.body),
		ContentType: &o.contentType, Metadata: o.metadata})
	if err != nil {
		return fmt.Errorf("put %q at %s: %w", key, s.Name, err)
	}
	return nil
}

func (s *site) mustPut(t *testing.T, key string, o object) {
	t.Helper()
	if err := s.put(t.Context(), key, o); err != nil {
		t.Fatal(err)
	}
}

// get reads an object, less what s3mesh added to its metadata.
func (s *site) get(ctx context.Context, key string) (object, error) {
	out, err := s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key})
	if err != nil {
		return object{}, fmt.Errorf("get %q at %s: %w", key, s.Name, err)
	}
	var body bytes.Buffer
	_, err = io.Copy(&body, out.Body)
	if err = errors.Join(err, out.Body.Close()); err != nil {
		return object{}, fmt.Errorf("read %q at %s: %w", key, s.Name, err)
	}
	o := object{body: body.String(), contentType: aws.ToString(out.ContentType), metadata: map[string]string{}}
	for name, value := range out.Metadata {
		if decoded, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
			value = decoded
		}
		o.metadata[name] = value
	}
	delete(o.metadata, "s3mesh-version")
	return o, nil
}

// list returns the ETag of every key under prefix.
func (s *site) list(ctx context.Context, prefix string) (map[string]string, error) {
	etags := map[string]string{}
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", s.Name, err)
		}
		for _, o := range page.Contents {
			etags[aws.ToString(o.Key)] = strings.Trim(aws.ToString(o.ETag), `"`)
		}
	}
	return etags, nil
}

// etagOf returns the ETag of a body written by one PUT.
func etagOf(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// awaitObject waits until every site holds exactly this under key.
func awaitObject(t *testing.T, sites []*site, key string, want object) {
	t.Helper()
	if want.metadata == nil {
		want.metadata = map[string]string{}
	}
	for _, s := range sites {
		eventually(t, arrival, fmt.Sprintf("%q at %s", key, s.Name), func() error {
			got, err := s.get(t.Context(), key)
			if err == nil && !got.equal(want) {
				err = fmt.Errorf("holds %v, want %v", got, want)
			}
			return err
		})
	}
}

// awaitListing waits until every site holds exactly these bodies under prefix.
func awaitListing(t *testing.T, limit time.Duration, sites []*site, prefix string, bodies map[string]string) {
	t.Helper()
	want := map[string]string{}
	for key, body := range bodies {
		want[key] = etagOf(body)
	}
	for _, s := range sites {
		eventually(t, limit, "the same listing at "+s.Name, func() error {
			got, err := s.list(t.Context(), prefix)
			if err != nil {
				return err
			}
			return difference(got, want)
		})
	}
}

// difference tells the first few keys in which two listings differ.
func difference(got, want map[string]string) error {
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			faults = append(faults, fmt.Errorf("%q: got ETag %q, want %q", key, got[key], want[key]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			faults = append(faults, fmt.Errorf("%q: not expected", key))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	const shown = 5
	return fmt.Errorf("%d keys differ: %w", len(faults), errors.Join(faults[:min(shown, len(faults))]...))
}

// inParallel runs n pieces of work at once, at most width at a time.
func inParallel(t *testing.T, n, width int, work func(ctx context.Context, i int) error) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(width)
	for i := range n {
		group.Go(func() error { return work(ctx, i) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}
