package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// deletesMesh is a mesh whose notifications pass a tap.
type deletesMesh struct {
	*mesh
	test *testing.T // the one that all parts belong to: the process outlives the part that starts it
	tap  *tap
	p    *process
	n    int // how often quiet was called
}

// newDeletesMesh returns a mesh without sites, that is not running.
func newDeletesMesh(t *testing.T, replication string) *deletesMesh {
	t.Helper()
	d := &deletesMesh{mesh: newMesh(t), test: t}
	d.replication = replication
	d.tap = newTap(t, d.intake)
	d.events = d.tap.address
	return d
}

// addMinIO starts a MinIO server as a site of the mesh. It sends an event once; the tap keeps what it cannot deliver.
func (d *deletesMesh) addMinIO(t *testing.T, name string) {
	t.Helper()
	d.tap.relayed[name] = true
	d.mesh.addMinIO(t, name)
}

func (d *deletesMesh) conf() []string { return []string{"-c", d.file} }

func (d *deletesMesh) start() {
	d.test.Helper()
	d.p = d.run(d.test)
}

// restart ends the process as an operator does, and starts it again: it remembers none of its writes.
func (d *deletesMesh) restart(t *testing.T) {
	t.Helper()
	d.end(t)
	d.start()
}

func (d *deletesMesh) end(t *testing.T) {
	t.Helper()
	if code := d.p.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d\n%s", code, d.p.stderr.String())
	}
}

// quiet waits until nothing is left to do, also of what the stores have not told yet: a write at each site, which is told
// after all else, has arrived everywhere.
func (d *deletesMesh) quiet(t *testing.T) {
	t.Helper()
	eventually(t, redelivery, "the events are delivered", d.tap.idle)
	d.settled(t, redelivery, d.conf()...)
	d.n++
	for _, s := range d.sites {
		key := fmt.Sprintf("quiet/%d/%s", d.n, s.Name)
		s.mustPut(t, key, text("quiet"))
		awaitObject(t, d.all(), key, text("quiet"))
	}
	eventually(t, arrival, "the events are delivered", d.tap.idle)
	d.settled(t, arrival, d.conf()...)
	d.noLetters(t, d.conf()...)
}

// repeat delivers the notifications of a site that tell of key an event of the family once more.
func (d *deletesMesh) repeat(t *testing.T, site, key, family string) {
	t.Helper()
	bodies := d.tap.of(site, key, family)
	if len(bodies) == 0 {
		t.Fatalf("%s has told no %s of %q", site, family, key)
	}
	address := "http://" + d.intake + "/v1/events/" + site
	for _, body := range bodies {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+d.token)
		if code, answer := d.do(t, req); code != http.StatusOK {
			t.Fatalf("the intake answered %d to a repeated event: %s", code, answer)
		}
	}
}

// do sends a request to the process, whose answer may tell no secret.
func (d *deletesMesh) do(t *testing.T, req *http.Request) (code int, answer string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	d.inspectOutput(t, req.URL.Path, body.String())
	return resp.StatusCode, body.String()
}

// kept is a version of a key that a site keeps.
type kept struct {
	id             string
	marker, latest bool
	modified       time.Time
}

func (s *site) versions(ctx context.Context, key string) ([]kept, error) {
	var all []kept
	pages := s3.NewListObjectVersionsPaginator(s.s3, &s3.ListObjectVersionsInput{Bucket: &s.Bucket, Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("versions of %q at %s: %w", key, s.Name, err)
		}
		for _, v := range page.Versions {
			if aws.ToString(v.Key) == key {
				all = append(all, kept{aws.ToString(v.VersionId), false, aws.ToBool(v.IsLatest), aws.ToTime(v.LastModified)})
			}
		}
		for _, m := range page.DeleteMarkers {
			if aws.ToString(m.Key) == key {
				all = append(all, kept{aws.ToString(m.VersionId), true, aws.ToBool(m.IsLatest), aws.ToTime(m.LastModified)})
			}
		}
	}
	return all, nil
}

func (s *site) mustVersions(t *testing.T, key string) []kept {
	t.Helper()
	all, err := s.versions(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// markers returns how many delete markers a site keeps of key.
func (s *site) markers(t *testing.T, key string) (n int) {
	t.Helper()
	for _, v := range s.mustVersions(t, key) {
		if v.marker {
			n++
		}
	}
	return n
}

func (s *site) remove(ctx context.Context, key string) error {
	if _, err := s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &key}); err != nil {
		return fmt.Errorf("delete %q at %s: %w", key, s.Name, err)
	}
	return nil
}

func (s *site) mustRemove(t *testing.T, key string) {
	t.Helper()
	if err := s.remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

// mustRemoveVersion removes the one version that is chosen, for good.
func (s *site) mustRemoveVersion(t *testing.T, key string, choose func(kept) bool) {
	t.Helper()
	all := s.mustVersions(t, key)
	i := slices.IndexFunc(all, choose)
	if i < 0 {
		t.Fatalf("%q at %s: no such version among %+v", key, s.Name, all)
	}
	_, err := s.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &key, VersionId: &all[i].id})
	if err != nil {
		t.Fatal(err)
	}
}

// latestMarker chooses the marker that deletes a key.
func latestMarker(v kept) bool { return v.latest && v.marker }

// gone returns an error unless readers at the site get a 404, and a delete marker is on top.
func (s *site) gone(ctx context.Context, key string) error {
	o, err := s.get(ctx, key)
	var answer *awshttp.ResponseError
	switch {
	case err == nil:
		return fmt.Errorf("%q at %s: still there, %v", key, s.Name, o)
	case !errors.As(err, &answer) || answer.HTTPStatusCode() != http.StatusNotFound:
		return err
	}
	all, err := s.versions(ctx, key)
	if err == nil && !slices.ContainsFunc(all, latestMarker) {
		err = fmt.Errorf("%q at %s: no delete marker on top of %+v", key, s.Name, all)
	}
	return err
}

// awaitGone waits until key is deleted at every site.
func awaitGone(t *testing.T, sites []*site, key string) {
	t.Helper()
	for _, s := range sites {
		eventually(t, arrival, fmt.Sprintf("%q is gone at %s", key, s.Name), func() error { return s.gone(t.Context(), key) })
	}
}

// checkGone fails the test unless key is deleted at every site, each with so many delete markers, and by the same delete
// of the site by.
func (d *deletesMesh) checkGone(t *testing.T, key, by string, markers int) {
	t.Helper()
	for _, s := range d.sites {
		if err := s.gone(t.Context(), key); err != nil {
			t.Error(err)
		}
		if n := s.markers(t, key); n != markers {
			t.Errorf("%q at %s: %d delete markers, want %d: %+v", key, s.Name, n, markers, s.mustVersions(t, key))
		}
	}
	var in struct {
		Agree  bool
		Winner []string
		Sites  []struct {
			Version struct {
				Origin  string
				Deleted bool
			}
		}
	}
	r := d.must(t, append([]string{"inspect", "--json", key}, d.conf()...)...)
	decode(t, r.stdout, &in)
	if !in.Agree || len(in.Winner) != len(d.sites) {
		t.Errorf("inspect %q: %s", key, r.stdout)
	}
	for _, s := range in.Sites {
		if !s.Version.Deleted || s.Version.Origin != by {
			t.Errorf("inspect %q: not everywhere the delete by %s: %s", key, by, r.stdout)
		}
	}
}

// checkAgree fails the test unless inspect finds the same at all sites.
func (d *deletesMesh) checkAgree(t *testing.T, key string) {
	t.Helper()
	if in, code := d.inspect(t, key, d.conf()...); code != 0 || !in.Agree {
		t.Errorf("inspect %q: exit code %d, %+v", key, code, in)
	}
}

// secret returns what setenv has set.
func (m *machine) secret(name string) string {
	for _, line := range slices.Backward(m.env) {
		if value, found := strings.CutPrefix(line, name+"="); found {
			return value
		}
	}
	return ""
}
