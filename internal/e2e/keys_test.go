package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// oddKeys returns keys that software gets wrong.
func oddKeys() []string {
	keys := []string{
		"with space", " space at both ends ", "two  spaces", "plus+plus", "plus + space", "100% sure", "%", "%%", "%2", "%zz",
		"literal%2Bplus", "literal%20space", "literal%2Fslash", "a&b=c?d#e;f", "?query", "#fragment", "key?versionId=null",
		`double"quote`, "single'quote", "back\\slash", "<xml>&amp;</xml>", "[brackets]{braces}(round)", "^`|~*!$,:;@=", "tab\tkey",
		"äöü/日本語/🍞.jpg", "\u00e9 composed", "e\u0301 decomposed", ".hidden", "dir/.hidden", "...", "a/.../b", "dot.",
		"UPPER", "upper", "-dash", "--flag", "trailing/", "deep/trailing/", "soft\u00adhyphen", "zero\u200bwidth", "rtl\u202eoverride",
	}
	long := strings.Repeat(strings.Repeat("k", 203)+"/", 5)
	return append(keys, long+strings.Repeat("x", 1024-len(long)))
}

// oddObject returns what is written under a key. A key that ends in a slash is a folder to many stores, and so holds nothing,
// and has the type that versitygw gives all folders.
func oddObject(key string) object {
	if strings.HasSuffix(key, "/") {
		return object{contentType: "application/x-directory"}
	}
	return text("body of " + key)
}

// testOddKeys writes every odd key in some region, and finds it in all of them, byte for byte.
func testOddKeys(t *testing.T, d *demo) {
	t.Helper()
	const prefix = "odd/"
	want := map[string]string{}
	keys := oddKeys()
	for i, key := range keys {
		if len(key) < 1024 {
			keys[i] = prefix + key
		}
		want[keys[i]] = oddObject(keys[i]).body
	}
	inParallel(t, len(keys), 4, func(ctx context.Context, i int) error {
		return d.sites[i%len(d.sites)].put(ctx, keys[i], oddObject(keys[i]))
	})
	for _, key := range keys {
		awaitObject(t, d.sites, key, oddObject(key))
	}
	for _, key := range []string{"odd/ space at both ends ", "odd/literal%2Bplus", keys[len(keys)-1]} {
		if in, code := d.inspect(t, key); code != 0 || in.Key != key {
			t.Errorf("inspect %q: exit code %d, %+v", key, code, in)
		}
	}
	delete(want, keys[len(keys)-1]) // not under the prefix
	awaitListing(t, arrival, d.sites, prefix, want)
}

// leftOver returns an error that names the entries that are not zero.
func leftOver[K comparable](counts map[K]int) error {
	for key, n := range counts {
		if n != 0 {
			return fmt.Errorf("%+v: %d too few (or, if negative, too many); %d entries in all", key, n, len(counts))
		}
	}
	return nil
}
