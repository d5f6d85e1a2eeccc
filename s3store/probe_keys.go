package s3store

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// What can become of an object with an odd key.
const (
	keyKept    = "kept"    // it is there, under its own name
	keyRefused = "refused" // the store did not take it
	keyRenamed = "renamed" // it is there under another name, where it can replace another object
	keyHidden  = "hidden"  // it is there, but no listing tells
	keyFails   = "fails"   // the store broke on it
	maxKey     = 1024
)

// Key finds out what becomes of an object whose key is name under a folder of the scratch: "kept", "refused", "renamed" (it is
// there under another name, where it may replace another object), "hidden" (it is there, but no listing tells) or "fails" (the
// store broke on it). A name that ends in a slash gets no content, as the folders that consoles make.
func (s *Scratch) Key(ctx context.Context, name string) (fate string, err error) {
	return s.fate(ctx, s.key("odd/"+digestName(name)+"/"+name))
}

// LongestKey is [Scratch.Key] for a key of 1,024 bytes, the most that S3 allows.
func (s *Scratch) LongestKey(ctx context.Context) (fate string, err error) {
	const segment = 100
	name := "longest/"
	for left := maxKey - len(s.base) - 1 - len(name); left > 0; left = maxKey - len(s.base) - 1 - len(name) {
		if left <= segment {
			name += strings.Repeat("k", left)
			break
		}
		name += strings.Repeat("k", segment-1) + "/"
	}
	return s.fate(ctx, s.key(name))
}

// digestName gives every odd key a folder of its own.
func digestName(name string) string {
	sum, _ := digest("CRC32C", name)
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '+' || r == '=' {
			return '-'
		}
		return r
	}, sum)
}

// fate writes an object under key and looks what came of it.
func (s *Scratch) fate(ctx context.Context, key string) (string, error) {
	before, err := s.keysNow(ctx)
	if err != nil {
		return "", err
	}
	content := scratchContent
	if strings.HasSuffix(key, "/") {
		content = ""
	}
	if _, err := s.write(ctx, key, content, nil); err != nil {
		fate, err := refusedKey(err)
		if fate == keyRefused {
			s.forget(key)
		}
		return fate, err
	}
	after, err := s.keysNow(ctx)
	if err != nil {
		return "", err
	}
	switch news := slices.DeleteFunc(after, func(k string) bool { return slices.Contains(before, k) }); {
	case slices.Contains(news, key):
		return keyKept, nil
	case len(news) > 0:
		return keyRenamed, nil
	}
	if _, err := s.exact.Head(ctx, key, s3mesh.ReadOptions{}); err != nil {
		return keyRenamed, ignoreNotFound(err) // it is somewhere, and not here
	}
	return keyHidden, nil
}

// refusedKey tells what the failure of a write says of its key.
func refusedKey(err error) (fate string, _ error) {
	var response *responseError
	switch {
	case declined(err), s3mesh.KindOf(err) == s3mesh.KindConflict:
		return keyRefused, nil
	case errors.As(err, &response) && response.Code == "InternalError":
		return keyFails, nil // other keys were fine
	}
	return "", err
}

func ignoreNotFound(err error) error {
	if s3mesh.KindOf(err) == s3mesh.KindNotFound {
		return nil
	}
	return err
}

// keysNow lists the keys of the scratch. They fit a page.
func (s *Scratch) keysNow(ctx context.Context) (keys []string, err error) {
	entries, err := s.entries(ctx, s.base+"/")
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys, err
}

// LeadingSlash finds out whether the store takes "/key" for "key": "kept" apart, "refused" or "renamed". As such a key would
// lie outside the reserved prefix, none is written: the write is under a condition that only "key" fulfils. The store has to
// honour If-Match.
func (s *Scratch) LeadingSlash(ctx context.Context) (fate string, err error) {
	key := s.key("lead")
	written, err := s.write(ctx, key, scratchContent, nil)
	if err != nil {
		return "", err
	}
	head := make(http.Header, 6)
	setCondition(head, s3mesh.IfMatch(written.ETag))
	_, err = s.write(ctx, "/"+key, scratchContent, head)
	switch kind := s3mesh.KindOf(err); {
	case err == nil:
		return keyRenamed, nil
	case kind == s3mesh.KindPreconditionFailed || kind == s3mesh.KindNotFound:
		return keyKept, nil
	}
	return refusedKey(err)
}

// Beside finds out what becomes of "a/b" where there is an object "a": "kept", "refused", "renamed" or "hidden".
func (s *Scratch) Beside(ctx context.Context) (fate string, err error) {
	if _, err := s.write(ctx, s.key("beside/a"), scratchContent, nil); err != nil {
		return "", err
	}
	return s.fate(ctx, s.key("beside/a/b"))
}

// ordered are names whose order is another one where a store sorts by folder, by letter or by UTF-16.
func ordered() []string {
	names := []string{"D1", "d-1", "d.1", "d/x", "d0", "e", "\u00e9", "\uff5a", "\U0001f600"}
	slices.Sort(names)
	return names
}

// Order reports whether listings are in the order of the keys' bytes.
func (s *Scratch) Order(ctx context.Context) (bool, error) {
	for _, name := range ordered() {
		if _, err := s.write(ctx, s.key("order/"+name), scratchContent, nil); err != nil && !declined(err) {
			return false, err
		}
	}
	entries, err := s.entries(ctx, s.base+"/order/")
	return slices.IsSortedFunc(entries, func(a, b scratchEntry) int { return strings.Compare(a.Key, b.Key) }), err
}

// Grain returns the unit of the times in listings: a second or a millisecond. (HTTP has HEAD give seconds.)
func (s *Scratch) Grain(ctx context.Context) (time.Duration, error) {
	for _, name := range []string{"1", "2", "3", "4"} { // one of a thousand falls on a whole second
		if _, err := s.write(ctx, s.key("grain/"+name), scratchContent, nil); err != nil {
			return 0, err
		}
	}
	entries, err := s.entries(ctx, s.base+"/grain/")
	for _, e := range entries {
		if e.LastModified.Nanosecond() != 0 {
			return time.Millisecond, err
		}
	}
	return time.Second, err
}

type scratchEntry struct {
	Key          string    `xml:"Key"`
	LastModified time.Time `xml:"LastModified"` // to the store's own grain
}

// entries lists up to a thousand objects as the store tells them.
func (s *Scratch) entries(ctx context.Context, prefix string) ([]scratchEntry, error) {
	var page struct {
		XMLName      xml.Name
		EncodingType string         `xml:"EncodingType"`
		Contents     []scratchEntry `xml:"Contents"`
	}
	err := s.ask(ctx, opList, url.Values{"list-type": {"2"}, "prefix": {prefix}, "encoding-type": {"url"}}, &page)
	if err != nil || page.EncodingType != "url" {
		return page.Contents, err
	}
	for i := range page.Contents {
		if page.Contents[i].Key, err = url.QueryUnescape(page.Contents[i].Key); err != nil {
			return nil, s.exact.client.malformed(request{op: opList, key: prefix}, err)
		}
	}
	return page.Contents, nil
}
