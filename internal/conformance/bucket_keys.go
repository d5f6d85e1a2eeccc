package conformance

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh"
)

func keyTests() map[string]func(bucketCase) {
	return map[string]func(bucketCase){
		"OddKeys":  bucketOddKeys,
		"EmptyKey": bucketEmptyKey,
		"Nesting":  bucketNesting,
	}
}

// OddKeys returns keys that Amazon S3 takes and that servers, clients and proxies are known to mangle.
func OddKeys() []string {
	odd := []string{
		"with space", "plus+plus", "percent%", "percent%2Bencoded", "amp&ersand", "equals=sign", "question?mark", "hash#mark",
		`double"quote`, "single'quote", "semi;colon", "colon:colon", "at@at", "comma,comma", "star*star", "tilde~tilde",
		"(brackets)[and]{braces}", "dollar$", "exclamation!", "<angle>", "pipe|pipe", "caret^caret", "back`tick",
		`back\slash`, "ünïcödé/世界/🎉", "e\u0301-not-normalised", "é-normalised", "tab\there", "control\x01character",
		"trailing-dot.", ".hidden", "a/.hidden", "...", "deep/" + strings.Repeat("d/", 100) + "end",
		longKey(), LongSegment(), Folder, FolderWithBody,
	}
	return append(odd, FoldedKeys()...)
}

// FoldedKeys returns those of [OddKeys] that a store which takes keys for paths would fold into other keys.
func FoldedKeys() []string {
	return []string{"double//slash", "/leading-slash", "./dot", "a/./dot", "../dots", "a/../dots", "a/.."}
}

// Keys of [OddKeys] with a name of their own.
const (
	// Folder holds an empty object, as consoles make them.
	Folder = "trailing/slash/"
	// FolderWithBody holds bytes.
	FolderWithBody = "trailing/body/"
)

// longKey has 1,024 bytes, the most that Amazon S3 takes, in segments of 127.
func longKey() string {
	return strings.Repeat(strings.Repeat("k", 127)+"/", 7) + strings.Repeat("k", 128)
}

// LongSegment returns the one of [OddKeys] with more bytes between slashes than a file name can have.
func LongSegment() string { return strings.Repeat("s", 300) }

func bucketOddKeys(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for _, key := range f.Gaps.Unstorable {
		if !slices.Contains(OddKeys(), key) {
			t.Errorf("gap %.40q is not among the odd keys", key)
		}
	}
	for _, key := range OddKeys() {
		t.Run(strings.ReplaceAll(key[:min(len(key), 40)], "/", "|"), func(t *testing.T) {
			if slices.Contains(f.Gaps.Unstorable, key) {
				bucketUnstorable(t, f, key)
			} else {
				bucketStorable(t, f, key)
			}
		})
	}
}

func bucketStorable(t *testing.T, f BucketFixture, key string) {
	t.Helper()
	body := "value of " + key
	if key == Folder {
		body = ""
	}
	written := putAbsent(t, f, key, body)
	wantBody(t, f, key, body)
	entries := history(t, f, key)
	if len(entries) != 1 || entries[0].VersionID != written.VersionID || entries[0].ETag != written.ETag {
		t.Errorf("history %+v, want what was written: %+v", entries, written)
	}
	_, err := tryPut(t, f, key, body, s3mesh.IfAbsent())
	wantKind(t, err, s3mesh.KindPreconditionFailed)
	must[s3mesh.Written](t)(tryPut(t, f, key, body, s3mesh.IfMatch(written.ETag)))
}

func bucketUnstorable(t *testing.T, f BucketFixture, key string) {
	t.Helper()
	_, err := tryPut(t, f, key, "value", s3mesh.IfAbsent())
	wantKind(t, err, s3mesh.KindUnstorable)
	_, err = f.Bucket.Head(t.Context(), key, s3mesh.ReadOptions{})
	wantUnheld(t, err)
	_, _, err = f.Bucket.Get(t.Context(), key, s3mesh.ReadOptions{})
	wantUnheld(t, err)
	for entry, err := range f.Bucket.History(t.Context(), key) {
		if err == nil {
			t.Fatalf("history of a key that cannot be: %+v", entry)
		}
		wantUnheld(t, err)
	}
}

// wantUnheld wants to be told that a key which the store cannot hold is not there, or that it cannot be.
func wantUnheld(t *testing.T, err error) {
	t.Helper()
	if kind := s3mesh.KindOf(err); err == nil || kind != s3mesh.KindNotFound && kind != s3mesh.KindUnstorable {
		t.Errorf("reading a key that cannot be: %v", err)
	}
}

func bucketEmptyKey(c bucketCase) {
	t, f := c.t, c.BucketFixture
	_, err := tryPut(t, f, "", "value", s3mesh.IfAbsent())
	wantKind(t, err, s3mesh.KindInvalid)
	_, err = f.Bucket.Head(t.Context(), "", s3mesh.ReadOptions{})
	wantKind(t, err, s3mesh.KindInvalid)
	_, err = f.Bucket.BeginUpload(t.Context(), "", s3mesh.Attributes{})
	wantKind(t, err, s3mesh.KindInvalid)
	for _, err := range f.Bucket.History(t.Context(), "") {
		wantKind(t, err, s3mesh.KindInvalid)
	}
}

// bucketNesting holds objects at a key and under it, as under a folder.
func bucketNesting(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for _, keys := range [][2]string{{"a", "a/b"}, {"c/d", "c"}} {
		putAbsent(t, f, keys[0], "first")
		second, err := tryPut(t, f, keys[1], "second", s3mesh.IfAbsent())
		wantBody(t, f, keys[0], "first")
		if f.Gaps.NoNesting {
			wantKind(t, err, s3mesh.KindUnstorable)
			wantAbsent(t, f, keys[1])
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		wantBody(t, f, keys[1], "second")
		for _, key := range keys {
			if entries := history(t, f, key); len(entries) != 1 || !entries[0].Latest {
				t.Errorf("%q has the history %+v, want one version", key, entries)
			}
		}
		if entries := history(t, f, keys[1]); entries[0].VersionID != second.VersionID {
			t.Errorf("%q has the history %+v, want %+v", keys[1], entries, second)
		}
	}
}

// seekableOf returns a body that can be read twice.
func seekableOf(body string) io.ReadSeeker { return strings.NewReader(body) }
