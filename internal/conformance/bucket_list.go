package conformance

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/s3mesh/s3mesh"
)

func listTests() map[string]func(bucketCase) {
	return map[string]func(bucketCase){
		"List":         bucketList,
		"ListAfter":    bucketListAfter,
		"ListOddKeys":  bucketListOddKeys,
		"ListNested":   bucketListNested,
		"ListPages":    bucketListPages,
		"ListCanceled": bucketListCanceled,
		"Folders":      bucketFolders,
	}
}

// lister is what the buckets of this project can do beyond the contract.
type lister interface {
	List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error]
	Versions(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.ListedVersion, error]
	Folders(ctx context.Context, prefix string) (folders []string, more bool, err error)
	Tags(ctx context.Context, key, versionID string) (map[string]string, error)
}

func listerOf(c bucketCase) lister {
	c.t.Helper()
	l, ok := c.Bucket.(lister)
	if !ok {
		c.t.Fatalf("%T cannot be listed", c.Bucket)
	}
	return l
}

// mostOnPage is how many entries a page of a listing may hold.
const mostOnPage = 1000

// flatten returns the entries of all pages.
func flatten[T any](t *testing.T, pages iter.Seq2[[]T, error]) []T {
	t.Helper()
	var kept [][]T
	for page, err := range pages {
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 || len(page) > mostOnPage {
			t.Fatalf("a page of %d entries", len(page))
		}
		kept = append(kept, page)
	}
	return slices.Concat(kept...)
}

func listed(c bucketCase, opt s3mesh.ListOptions) []string {
	c.t.Helper()
	var keys []string
	for _, object := range flatten(c.t, listerOf(c).List(c.t.Context(), opt)) {
		keys = append(keys, object.Key)
	}
	return keys
}

func wantListed(c bucketCase, opt s3mesh.ListOptions, want ...string) {
	c.t.Helper()
	if got := listed(c, opt); !slices.Equal(got, want) {
		c.t.Errorf("%+v: listed %q, want %q", opt, got, want)
	}
}

func bucketList(c bucketCase) {
	t, f := c.t, c.BucketFixture
	wantListed(c, s3mesh.ListOptions{})
	for _, key := range []string{"p/b", "p/a c+d%&é", "p-other", "p/deleted", "p/a/1", "q"} {
		clientPut(t, f, key, key)
		clientPut(t, f, key, "again: "+key)
	}
	clientDelete(t, f, "p/deleted")
	wantListed(c, s3mesh.ListOptions{Prefix: "p/"}, "p/a c+d%&é", "p/a/1", "p/b")
	wantListed(c, s3mesh.ListOptions{}, "p-other", "p/a c+d%&é", "p/a/1", "p/b", "q")
	wantListed(c, s3mesh.ListOptions{Prefix: "none/"})
	for _, object := range flatten(t, listerOf(c).List(t.Context(), s3mesh.ListOptions{})) {
		head := must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), object.Key, s3mesh.ReadOptions{}))
		want := s3mesh.Listed{Key: object.Key, Size: head.Size, ETag: head.ETag, LastModified: head.LastModified}
		if object != want {
			t.Errorf("listed as %+v, but HEAD says %+v", object, want)
		}
	}
}

func bucketListAfter(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for _, key := range []string{"a", "b c+&é", "b/1", "b/2", "c"} {
		clientPut(t, f, key, "")
	}
	wantListed(c, s3mesh.ListOptions{After: "b c+&é"}, "b/1", "b/2", "c")
	wantListed(c, s3mesh.ListOptions{After: "b/"}, "b/1", "b/2", "c")
	wantListed(c, s3mesh.ListOptions{After: "b/1", Prefix: "b"}, "b/2")
	wantListed(c, s3mesh.ListOptions{After: "a", Prefix: "c"}, "c")
	wantListed(c, s3mesh.ListOptions{After: "c"})
	wantListed(c, s3mesh.ListOptions{After: "c", Prefix: "b"})
}

// bucketListOddKeys finds every key that the store holds, in the order of bytes.
func bucketListOddKeys(c bucketCase) {
	t, f := c.t, c.BucketFixture
	var want []string
	for _, key := range OddKeys() {
		if !slices.Contains(f.Gaps.Unstorable, key) {
			putAbsent(t, f, key, "")
			want = append(want, key)
		}
	}
	slices.Sort(want)
	wantListed(c, s3mesh.ListOptions{}, want...)
	for i, key := range want {
		if got := listed(c, s3mesh.ListOptions{After: key}); !slices.Equal(got, want[i+1:]) {
			t.Errorf("after %.60q: listed %.200q, want %.200q", key, got, want[i+1:])
		}
		if got := listed(c, s3mesh.ListOptions{Prefix: key}); len(got) == 0 || got[0] != key {
			t.Errorf("with the prefix %.60q: listed %.200q", key, got)
		}
	}
	versions := flatten(t, listerOf(c).Versions(t.Context(), s3mesh.ListOptions{}))
	got := make([]string, len(versions))
	for i, version := range versions {
		got[i] = version.Key
	}
	if !slices.Equal(got, want) {
		t.Errorf("versions of %q, want %q", got, want)
	}
}

func bucketListNested(c bucketCase) {
	t, f := c.t, c.BucketFixture
	clientPut(t, f, "a", "")
	if f.Gaps.NoNesting {
		return
	}
	clientPut(t, f, "a/b", "")
	clientPut(t, f, "a-b", "")
	if f.Gaps.HidesNested {
		wantListed(c, s3mesh.ListOptions{}, "a", "a-b")
	} else {
		wantListed(c, s3mesh.ListOptions{}, "a", "a-b", "a/b")
	}
}

func bucketListPages(c bucketCase) {
	t, f := c.t, c.BucketFixture
	keys := mostOnPage + 1
	if testing.Short() {
		keys = 2
	}
	want := make([]string, keys)
	for i := range want {
		want[i] = fmt.Sprintf("%04d", i)
		clientPut(t, f, want[i], "")
	}
	wantListed(c, s3mesh.ListOptions{}, want...)
	wantListed(c, s3mesh.ListOptions{After: "0000"}, want[1:]...)
	if versions := flatten(t, listerOf(c).Versions(t.Context(), s3mesh.ListOptions{})); len(versions) != keys {
		t.Errorf("%d versions, want %d", len(versions), keys)
	}
	for page, err := range listerOf(c).List(t.Context(), s3mesh.ListOptions{}) {
		if err != nil || page[0].Key != "0000" {
			t.Fatalf("%+v, %v; want the first keys", page, err)
		}
		break
	}
}

func bucketListCanceled(c bucketCase) {
	t, f := c.t, c.BucketFixture
	clientPut(t, f, "key", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantEnded(t, listerOf(c).List(ctx, s3mesh.ListOptions{}))
	wantEnded(t, listerOf(c).Versions(ctx, s3mesh.ListOptions{}))
	_, _, err := listerOf(c).Folders(ctx, "")
	wantKind(t, err, s3mesh.KindCanceled)
}

// wantEnded wants a sequence that is nothing but the error of a cancelled context.
func wantEnded[T any](t *testing.T, pages iter.Seq2[[]T, error]) {
	t.Helper()
	var last error
	for page, err := range pages {
		if last != nil || len(page) > 0 {
			t.Fatalf("%+v, %v after the error %v", page, err, last)
		}
		last = err
	}
	wantKind(t, last, s3mesh.KindCanceled)
}

func bucketFolders(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for _, key := range []string{"b/1", "b/2", "b/c/3", "b+ é/4", "a/5", "key"} {
		clientPut(t, f, key, "")
	}
	for prefix, want := range map[string][]string{
		"": {"a/", "b+ é/", "b/"}, "b": {"b+ é/", "b/"}, "b/": {"b/c/"}, "b/c/": nil, "none": nil,
	} {
		folders, more, err := listerOf(c).Folders(t.Context(), prefix)
		if err != nil || more || !slices.Equal(folders, want) {
			t.Errorf("folders under %q: %q, more %v, %v; want %q", prefix, folders, more, err, want)
		}
	}
}
