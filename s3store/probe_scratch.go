package s3store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	// probePrefix is where scratch keys are: under what s3mesh reserves in every bucket.
	probePrefix = s3mesh.ReservedPrefix + "probe/"
	// probeCleanup and scratchCleanup bound the removal of what was made, which happens also when its caller gave up.
	probeCleanup, scratchCleanup = 5 * time.Second, 20 * time.Second
	// removers is how many keys are removed at a time.
	removers = 8
	// opMark is opPut without the checksum that a body gets there.
	opMark = "PutObject (as clients do)"
	// sweeps is how often a listing is gone through: MinIO lists "a/b" only once "a" is gone.
	sweeps = 3
)

// Scratch is a place for experiments in a bucket: keys of its own under ".s3mesh/probe/", which are never replicated. Its
// methods write there, are for one goroutine at a time, and return errors that are *[s3mesh.Error]. Whoever takes one closes
// it.
type Scratch struct {
	bucket *Bucket
	exact  *Bucket // the same bucket, asked for keys that Bucket refuses to ask for
	base   string  // what its keys start with

	mu      sync.Mutex
	keys    []string
	uploads []s3mesh.Upload
}

// Scratch returns a new place for experiments. It sends no request. A write that is under way when its context ends is waited
// for: it could otherwise come to pass after it was cleaned up.
func (b *Bucket) Scratch() *Scratch { return b.scratch(finishing{b.client.transport}) }

func (b *Bucket) scratch(transport http.RoundTripper) *Scratch {
	c := b.client
	with := func(exactKeys bool) *Bucket {
		return &Bucket{client: &client{site: c.site, region: c.region, base: c.base, exactKeys: exactKeys, transport: transport,
			creds: c.creds, signer: c.signer}}
	}
	return &Scratch{bucket: with(c.exactKeys), exact: with(true), base: probePrefix + strings.ToLower(rand.Text())}
}

// finishing is a transport that does not break off a write.
type finishing struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (f finishing) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return f.RoundTripper.RoundTrip(r)
	default:
		return f.RoundTripper.RoundTrip(r.WithContext(context.WithoutCancel(ctx)))
	}
}

// key returns the scratch key with a name, and has it removed when s is closed.
func (s *Scratch) key(name string) string {
	key := s.base + "/" + name
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.keys, key) {
		s.keys = append(s.keys, key)
	}
	return key
}

// Mark writes an object and returns its key: what a store announces, if it announces anything.
func (s *Scratch) Mark(ctx context.Context) (key string, err error) {
	key = s.key("mark")
	_, err = s.write(ctx, key, "s3mesh", nil)
	return key, err
}

// write writes an object as applications do: without a condition, whatever its key.
func (s *Scratch) write(ctx context.Context, key, content string, header http.Header) (s3mesh.Written, error) {
	r := request{op: opMark, key: key, method: http.MethodPut, header: header, body: xmlBody([]byte(content))}
	resp, err := s.exact.client.do(ctx, r)
	if err != nil {
		return s3mesh.Written{}, err
	}
	defer discard(resp)
	return writtenFrom(resp.Header, ""), nil
}

// Close removes what was made: uploads, and every version of the keys. It does so also when ctx has ended, for 20 s at most.
// What may not be removed stays, and is an error.
func (s *Scratch) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), scratchCleanup)
	defer cancel()
	return s.clean(ctx)
}

func (s *Scratch) clean(ctx context.Context) error {
	var mu sync.Mutex
	var errs []error
	var all sync.WaitGroup
	slots := make(chan struct{}, removers)
	start := func(remove func() error) {
		slots <- struct{}{}
		all.Go(func() {
			err := remove()
			<-slots
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	for _, upload := range s.uploads {
		start(func() error { return upload.Abort(ctx) })
	}
	for _, key := range s.keys {
		start(func() error { return s.remove(ctx, key) })
	}
	all.Wait()
	s.uploads, s.keys = nil, nil
	return s.join(errs...)
}

// remove removes every version of a key.
func (s *Scratch) remove(ctx context.Context, key string) error {
	var errs []error
	var ids []string
	for entry, err := range s.exact.History(ctx, key) {
		switch {
		case err == nil:
			ids = append(ids, cmp.Or(entry.VersionID, nullVersion))
		case unlisted(err):
			ids = append(ids, "") // a store without versions
		default:
			errs = append(errs, err)
		}
	}
	for _, id := range ids {
		errs = append(errs, s.exact.removeVersion(ctx, deletion(key), id))
	}
	return s.join(errs...)
}

// Sweep removes what is left under the scratch's own keys after [Scratch.Close], under whatever name a store has put it, and
// what earlier processes that were killed left under ".s3mesh/probe/" longer ago than age. It returns how many versions and
// uploads it removed. It does so also when ctx has ended, for 20 s at most.
func (s *Scratch) Sweep(ctx context.Context, age time.Duration) (removed int, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), scratchCleanup)
	defer cancel()
	before := time.Now().Add(-age)
	old := func(key string, at time.Time) bool { return strings.HasPrefix(key, s.base+"/") || at.Before(before) }
	var errs []error
	for pass := range sweeps {
		n, err := s.sweepVersions(ctx, old, pass > 0)
		removed += n
		if errs = append(errs, err); n == 0 || err != nil {
			break
		}
	}
	n, err := s.sweepUploads(ctx, old)
	return removed + n, s.join(append(errs, err)...)
}

// unlisted reports that a store does not list versions, or so that nobody understands it.
func unlisted(err error) bool {
	kind := s3mesh.KindOf(err)
	return err != nil && (kind == s3mesh.KindUnsupported || kind == s3mesh.KindOther)
}

// forget has a key not removed, as nothing came to be there.
func (s *Scratch) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = slices.DeleteFunc(s.keys, func(k string) bool { return k == key })
}

// sweepVersions removes the versions that old chooses. What is there again has no version to remove: versitygw keeps none of
// a folder.
func (s *Scratch) sweepVersions(ctx context.Context, old func(string, time.Time) bool, again bool) (int, error) {
	found, err := s.versions(ctx, old)
	for i, version := range found {
		if again && version.id == nullVersion {
			version.id = ""
		}
		if err := s.exact.removeVersion(ctx, deletion(version.key), version.id); err != nil {
			return i, err
		}
	}
	return len(found), err
}

type scratchVersion struct{ key, id string }

// versions lists what old chooses.
func (s *Scratch) versions(ctx context.Context, old func(string, time.Time) bool) (found []scratchVersion, err error) {
	under := s3mesh.ListOptions{Prefix: probePrefix}
	for page, err := range s.exact.Versions(ctx, under) {
		if unlisted(err) {
			return s.objects(ctx, under, old)
		}
		if err != nil {
			return found, err
		}
		for _, v := range page {
			if old(v.Key, v.LastModified) {
				found = append(found, scratchVersion{v.Key, cmp.Or(v.VersionID, nullVersion)})
			}
		}
	}
	return found, nil
}

// objects is versions for a store that cannot list these.
func (s *Scratch) objects(ctx context.Context, under s3mesh.ListOptions, old func(string, time.Time) bool) (
	found []scratchVersion, err error) {
	for page, err := range s.exact.List(ctx, under) {
		if err != nil {
			return found, err
		}
		for _, object := range page {
			if old(object.Key, object.LastModified) {
				found = append(found, scratchVersion{key: object.Key})
			}
		}
	}
	return found, nil
}

// sweepUploads aborts the uploads that old chooses, of the first thousand.
func (s *Scratch) sweepUploads(ctx context.Context, old func(string, time.Time) bool) (aborted int, err error) {
	var answer struct {
		Uploads []struct {
			Key       string    `xml:"Key"`
			ID        string    `xml:"UploadId"`
			Initiated time.Time `xml:"Initiated"`
		} `xml:"Upload"`
	}
	if err := s.ask(ctx, opUploads, url.Values{"uploads": {""}, "prefix": {probePrefix}}, &answer); err != nil {
		if s3mesh.KindOf(err) == s3mesh.KindUnsupported {
			err = nil
		}
		return 0, err
	}
	for _, u := range answer.Uploads {
		if !old(u.Key, u.Initiated) || !strings.HasPrefix(u.Key, probePrefix) {
			continue
		}
		if err := (&upload{bucket: s.exact, key: u.Key, id: u.ID}).Abort(ctx); err != nil {
			return aborted, err
		}
		aborted++
	}
	return aborted, nil
}

// opUploads lists uploads.
const opUploads = "ListMultipartUploads"

// ask sends a GET to the bucket and decodes the answer, which is XML.
func (s *Scratch) ask(ctx context.Context, op string, query url.Values, into any) error {
	r := request{op: op, key: probePrefix, onBucket: true, method: http.MethodGet, query: query}
	resp, err := s.exact.client.do(ctx, r)
	if err != nil {
		return err
	}
	defer discard(resp)
	if err := decodeXML(resp.Body, maxPage, into); err != nil {
		return s.exact.client.fail(ctx, r, brokenOff(err))
	}
	return nil
}

// putXML writes a sub-resource of an object.
func (s *Scratch) putXML(ctx context.Context, r request, value any) error {
	data, err := xml.Marshal(value)
	if err != nil {
		return err
	}
	r.method, r.body = http.MethodPut, xmlBody(data)
	r.header = http.Header{"Content-Md5": {contentMD5(data)}, "Content-Type": {"application/xml"}}
	resp, err := s.exact.client.do(ctx, r)
	if err == nil {
		discard(resp)
	}
	return err
}
