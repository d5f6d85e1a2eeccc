package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/config"
	"github.com/s3mesh/s3mesh/s3store"
)

// A store with a certificate of the operator's own is trusted by its ca_file, and not without.
func TestCAFile(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	for caFile, want := range map[string]s3mesh.Kind{file: s3mesh.KindNoSuchBucket, "": s3mesh.KindUnreachable} {
		cfg, err := storeConfig(t.Context(), config.Site{
			Name: "eu", Endpoint: server.URL, Region: "us-east-1", Bucket: "photos", PathStyle: true, CAFile: caFile})
		if err != nil {
			t.Fatal(err)
		}
		bucket, err := s3store.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bucket.Head(t.Context(), "key", s3mesh.ReadOptions{}); s3mesh.KindOf(err) != want {
			t.Errorf("ca_file %q: %v, want %v", caFile, err, want)
		}
	}
	_, err := storeConfig(t.Context(), config.Site{Name: "eu", CAFile: file + ".missing"})
	if s3mesh.KindOf(err) != s3mesh.KindInvalid {
		t.Errorf("a missing ca_file: %v", err)
	}
}
