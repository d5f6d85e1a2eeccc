package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestBackfill: what was in the buckets before s3mesh came, and before a site joined, is at all sites by itself, and what was
// equal already is not written again.
func TestBackfill(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	p := newTap(t, m.intake)
	m.events = p.address
	p.loseOneIn(1) // s3mesh does not run yet
	minio := m.addMinIO(t, "minio")
	alpha := m.addRegion(t, "alpha")
	want := map[string]string{}
	const keys = 300
	for i := range keys {
		want[fmt.Sprintf("old/%03d", i)] = fmt.Sprint(i)
	}
	inParallel(t, keys, 8, func(ctx context.Context, i int) error {
		key, o := fmt.Sprintf("old/%03d", i), text(fmt.Sprint(i))
		if err := []*site{minio, alpha}[i%2].put(ctx, key, o); err != nil || i%10 != 0 {
			return err
		}
		return []*site{alpha, minio}[i%2].put(ctx, key, o) // synchronised by other means
	})
	p.loseOneIn(0)
	running := m.run(t)
	awaitListing(t, time.Minute, []*site{minio, alpha}, "old/", want)
	written := m.settled(t, arrival, "-c", m.file)
	var writes int64
	for _, l := range written.Links {
		writes += l.writes()
	}
	if writes != keys*9/10 {
		t.Errorf("%d replicas written, want %d: a tenth was there already", writes, keys*9/10)
	}
	minio.mustPut(t, "old/000", text("while it runs"))
	want["old/000"] = "while it runs"
	awaitListing(t, arrival, []*site{minio, alpha}, "old/", want)

	running.kill(t)
	m.addRegion(t, "joins")
	m.run(t)
	awaitListing(t, time.Minute, m.all(), "old/", want)
	m.settled(t, arrival, "-c", m.file)
	m.noLetters(t, "-c", m.file)
	m.agree(t)
}

// TestPoll: a store that sends no notifications is polled.
func TestPoll(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.comparing = byHand
	p := newTap(t, m.intake)
	m.events = p.address
	alpha := m.addRegion(t, "alpha")
	beta := m.addRegion(t, "beta")
	m.sites[0].Poll = "1s"
	p.lose("alpha")
	m.run(t)
	alpha.mustPut(t, "polled", text("one"))
	awaitObject(t, m.all(), "polled", text("one"))
	alpha.mustPut(t, "polled", text("two"))
	awaitObject(t, m.all(), "polled", text("two"))
	metadata := object{body: "two", contentType: "text/x-other"} // which no listing tells
	alpha.mustPut(t, "polled", metadata)
	awaitObject(t, m.all(), "polled", metadata)
	beta.mustPut(t, "told", text("three"))
	awaitObject(t, m.all(), "told", text("three"))
}

// TestVerify: a replica that claims to be its original, and is not, is found, and repaired.
func TestVerify(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.comparing = byHand
	minio := m.addMinIO(t, "minio")
	alpha := m.addRegion(t, "alpha")
	m.run(t)
	good := object{body: "good", contentType: "text/x-good"}
	for _, key := range []string{"a", "b", "c"} {
		minio.mustPut(t, key, good)
		awaitObject(t, m.all(), key, good)
	}
	verify := []string{"verify", "-c", m.file}
	m.must(t, verify...)

	alpha.tamper(t, "b")
	m.settled(t, arrival, "-c", m.file)
	found := m.cli(t, verify...)
	if found.code != 3 || !strings.Contains(found.stdout, "b") || !strings.Contains(found.stdout, "--repair") {
		t.Fatalf("exit code %d:\n%s%s", found.code, found.stdout, found.stderr)
	}
	if r := m.cli(t, append(verify, "--repair")...); r.code != 3 {
		t.Errorf("repair: exit code %d, %s%s", r.code, r.stdout, r.stderr)
	}
	awaitObject(t, m.all(), "b", good)
	m.settled(t, arrival, "-c", m.file)
	m.must(t, append(verify, "--bytes")...)

	// One that s3mesh's own credentials wrote, later than the replica, whose event is taken for an echo, is a client's copy of it.
	keys := m.regions["alpha"].Replicator
	stranger := *alpha
	stranger.AccessKey, stranger.SecretKey = keys.AccessKeyID, keys.SecretAccessKey
	stranger.connect(t)
	eventually(t, arrival, "the replica to be older than its stamp allows", func() error {
		o, err := alpha.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &alpha.Bucket, Key: aws.String("c")})
		if err == nil && time.Since(*o.LastModified) < 8*time.Second {
			err = errors.New("too young")
		}
		return err
	})
	stranger.tamper(t, "c")
	if r := m.cli(t, append(verify, "--repair")...); r.code != 3 {
		t.Errorf("repair: exit code %d, %s%s", r.code, r.stdout, r.stderr)
	}
	awaitObject(t, m.all(), "c", object{body: "good", contentType: "text/x-wrong"})
	m.settled(t, arrival, "-c", m.file)
	m.must(t, verify...)
}

// tamper writes a replica again with its own metadata and another content type, as no client should.
func (s *site) tamper(t *testing.T, key string) {
	t.Helper()
	out, err := s.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	o, err := s.get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	wrong := "text/x-wrong"
	if _, err := s.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: strings.NewReader(o.body),
		ContentType: &wrong, Metadata: out.Metadata}); err != nil {
		t.Fatal(err)
	}
}

// TestDoctor: the doctor finds all in order while s3mesh runs and while it does not, and leaves nothing behind.
func TestDoctor(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.comparing = byHand
	m.addMinIO(t, "minio")
	m.addRegion(t, "alpha")
	m.write(t)
	doctor := []string{"doctor", "-c", m.file}
	m.must(t, doctor...)
	m.run(t)
	out := m.must(t, doctor...).stdout
	if !strings.Contains(out, "DELETE If-Match") || !strings.Contains(out, "0 faults") {
		t.Errorf("doctor:\n%s", out)
	}
	for _, s := range m.all() {
		left, err := s.list(t.Context(), ".s3mesh/")
		if err != nil || len(left) > 0 {
			t.Errorf("%s: %v left, %v", s.Name, left, err)
		}
	}
}

// TestEncrypted: buckets that encrypt with a key of their own, so that ETags tell nothing, are compared without taking every
// object for another.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.comparing = byHand
	p := newTap(t, m.intake)
	m.events = p.address
	for _, name := range []string{"minio1", "minio2"} {
		key := make([]byte, 32)
		rand.Read(key)
		m.addMinIO(t, name, "MINIO_KMS_SECRET_KEY="+name+":"+base64.StdEncoding.EncodeToString(key), "MINIO_KMS_AUTO_ENCRYPTION=on")
	}
	m.addRegion(t, "alpha")
	m.run(t)
	sites := m.all()
	const keys = 30
	for i := range keys {
		sites[i%len(sites)].mustPut(t, fmt.Sprintf("kms/%02d", i), text(fmt.Sprint(i)))
	}
	p.lose("minio1")
	other := object{body: "0", contentType: "text/x-other"}
	sites[0].mustPut(t, "kms/00", other)
	sites[0].mustPut(t, "kms/new", other)
	m.settled(t, arrival, "-c", m.file)
	etags := map[string]bool{}
	for _, s := range sites {
		listed, err := s.list(t.Context(), "kms/03")
		if err != nil {
			t.Fatal(err)
		}
		etags[listed["kms/03"]] = true
	}
	if len(etags) != len(sites) {
		t.Fatalf("ETags %v: nothing is encrypted, and nothing tested", etags)
	}
	if found := m.reconcile(t); found.Differing != 2 {
		t.Errorf("reconcile found %+v, want the two whose events were lost", found)
	}
	awaitObject(t, sites, "kms/00", other)
	awaitObject(t, sites, "kms/new", other)
	if again := m.reconcile(t); again.Differing != 0 {
		t.Errorf("the next one finds %+v", again)
	}
	m.must(t, "verify", "-c", m.file)
	m.noLetters(t, "-c", m.file)
}
