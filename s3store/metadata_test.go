package s3store

import (
	"testing"
	"time"
)

func TestMetadataEncoding(t *testing.T) {
	for value, wire := range map[string]string{
		"plain":             "plain",
		"":                  "",
		"grüße":             "=?UTF-8?B?Z3LDvMOfZQ==?=",
		" blank at an end":  "=?UTF-8?B?IGJsYW5rIGF0IGFuIGVuZA==?=",
		"tab\there":         "=?UTF-8?B?dGFiCWhlcmU=?=",
		"=?UTF-8?Q?plain?=": "=?UTF-8?Q?plain?=",
		"=?broken":          "=?broken",
	} {
		if got := encodeMetadata(value); got != wire {
			t.Errorf("%q goes as %q, want %q", value, got, wire)
		}
		if got := decodeMetadata(wire); got != value {
			t.Errorf("%q comes as %q, want %q", wire, got, value)
		}
	}
	// As MinIO encodes what a client wrote raw.
	if got := decodeMetadata("=?UTF-8?q?gr=C3=BC=C3=9Fe_=E4=B8=96?= =?UTF-8?q?=E7=95=8C?="); got != "grüße 世界" {
		t.Errorf("got %q", got)
	}
}

func FuzzMetadataEncoding(f *testing.F) {
	for _, seed := range []string{"plain", "grüße", " ", "\x00", "=?UTF-8?B?w7w=?="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wire := encodeMetadata(value)
		if !isPrintable(wire) {
			t.Fatalf("%q goes as %q, which HTTP does not carry unchanged", value, wire)
		}
	})
}

func TestContentEncoding(t *testing.T) {
	for given, want := range map[string]string{
		"": "", "gzip": "gzip", "aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip, aws-chunked": "gzip",
	} {
		if got := withoutChunked(given); got != want {
			t.Errorf("%q becomes %q, want %q", given, got, want)
		}
	}
}

func TestWriteTime(t *testing.T) {
	modified := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	written := time.UnixMilli(1469918176385).UTC().Truncate(time.Second)
	for _, c := range []struct {
		server, id string
		want       time.Time
	}{
		{versitygw, "01ARYZ6S41TSV4RRFFQ69G5FAV", written},
		{"MinIO", "01ARYZ6S41TSV4RRFFQ69G5FAV", modified.Truncate(time.Second)},
		{versitygw, "null", modified.Truncate(time.Second)},
		{versitygw, "01ARYZ6S4!TSV4RRFFQ69G5FAV", modified.Truncate(time.Second)},
	} {
		if got := writeTime(c.server, c.id, modified); !got.Equal(c.want) {
			t.Errorf("%s %s: %v, want %v", c.server, c.id, got, c.want)
		}
	}
}

func TestFoldedKeys(t *testing.T) {
	for key, want := range map[string]bool{
		"a": true, "a/b": true, "a/": true, "...": true, ".a/..b": true,
		"/a": false, "a//b": false, "a//": false, ".": false, "..": false, "a/../b": false, "./a": false, "/": false,
	} {
		if isPlainPath(key) != want {
			t.Errorf("%q is a plain path: %v", key, !want)
		}
	}
}
