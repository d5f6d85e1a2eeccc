package s3store

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// maxPage bounds a page in bytes: 1,000 entries with keys of 1,024 bytes, URL-encoded.
const maxPage = 8 << 20

var (
	errEndless = errors.New("a truncated page does not say where the next one starts")
	errTooLong = errors.New("the page is longer than 1,000 entries can be")
	errOther   = errors.New("the answer is no listing")
	errEscape  = errors.New("a key is not URL-encoded, as the page says")
)

// listing is a page of any of the listings of a bucket.
type listing struct {
	truncated bool
	token     string // of the next page of keys
	nextKey   string // where the next page of versions starts, and at which version
	nextID    string
	entries   []entry  // in the order of the answer: versions and delete markers stay in the order they were written in
	prefixes  []string // with a delimiter
}

// entry is an object, a version or a delete marker.
type entry struct {
	key, id, etag string
	modified      time.Time // as the store says
	size          int64
	latest        bool
	marker        bool
}

// pageReader reads one page after the other of one listing, in the same memory.
type pageReader struct {
	body    bytes.Buffer
	scanner scanner
}

// fetch sends r and reads its answer, and the name of the product that gave it.
func (p *pageReader) fetch(ctx context.Context, c *client, r request) (page listing, server string, err error) {
	resp, err := c.do(ctx, r)
	if err != nil {
		return listing{}, "", err
	}
	defer discard(resp)
	if err := p.receive(resp); err != nil {
		return listing{}, "", c.fail(ctx, r, brokenOff(err))
	}
	server = resp.Header.Get("Server")
	if page, err = p.decode(); err == nil {
		return page, server, nil
	}
	if response, ok := errors.AsType[*responseError](err); ok {
		response.status, response.server = resp.StatusCode, server
		return listing{}, "", c.fail(ctx, r, response)
	}
	if _, ok := errors.AsType[*xml.SyntaxError](err); ok || errors.Is(err, io.EOF) {
		return listing{}, "", c.fail(ctx, r, brokenOff(err))
	}
	return listing{}, "", c.malformed(r, err)
}

func (p *pageReader) receive(resp *http.Response) error {
	p.body.Reset()
	if size := resp.ContentLength; size > 0 && size <= maxPage {
		p.body.Grow(int(size) + bytes.MinRead)
	}
	n, err := p.body.ReadFrom(io.LimitReader(resp.Body, maxPage+1))
	if err == nil && n > maxPage {
		return errTooLong
	}
	return err
}

// decode reads the page. What the scanner does not understand is left to encoding/xml.
func (p *pageReader) decode() (listing, error) {
	raw, understood := p.scanner.scan(p.body.Bytes())
	if !understood {
		var err error
		if raw, err = parseListing(p.body.Bytes()); err != nil {
			return listing{}, err
		}
	}
	return raw.listing()
}

// rawListing is what the elements of a page hold, as they hold it: keys may be URL-encoded, ETags are quoted.
type rawListing struct {
	truncated                        bool
	encoding, token, nextKey, nextID []byte
	entries                          []rawEntry
	prefixes                         [][]byte
}

type rawEntry struct {
	key, id, etag []byte
	modified      time.Time
	size          int64
	latest        bool
	marker        bool
}

// listing copies what is in raw. The strings of a page share their memory: one allocation in place of thousands.
func (raw rawListing) listing() (listing, error) {
	texts := arena{encoded: string(raw.encoding) == "url"}
	texts.Grow(raw.textSize())
	page := listing{
		truncated: raw.truncated, token: string(raw.token), nextKey: texts.addKey(raw.nextKey), nextID: string(raw.nextID),
		entries: make([]entry, len(raw.entries)),
	}
	for i, e := range raw.entries {
		page.entries[i] = entry{
			key: texts.addKey(e.key), id: texts.add(e.id), etag: texts.add(bytes.Trim(e.etag, `"`)),
			modified: e.modified, size: e.size, latest: e.latest, marker: e.marker,
		}
	}
	for _, prefix := range raw.prefixes {
		page.prefixes = append(page.prefixes, texts.addKey(prefix))
	}
	return page, texts.err
}

// textSize is how much [arena] holds of raw, at most.
func (raw rawListing) textSize() int {
	size := len(raw.nextKey)
	for i := range raw.entries {
		size += len(raw.entries[i].key) + len(raw.entries[i].id) + len(raw.entries[i].etag)
	}
	for _, prefix := range raw.prefixes {
		size += len(prefix)
	}
	return size
}

// arena keeps strings one after the other.
type arena struct {
	strings.Builder
	encoded bool // keys are URL-encoded
	err     error
}

func (a *arena) add(text []byte) string {
	start := a.Len()
	a.Write(text)
	return a.String()[start:]
}

// addKey adds what may be URL-encoded.
func (a *arena) addKey(text []byte) string {
	if !a.encoded || !bytes.ContainsAny(text, "%+") {
		return a.add(text)
	}
	start := a.Len()
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '+':
			a.WriteByte(' ')
		case '%':
			var decoded [1]byte
			if len(text) < i+3 {
				a.err = errEscape
			} else if _, err := hex.Decode(decoded[:], text[i+1:i+3]); err != nil {
				a.err = errEscape
			}
			a.WriteByte(decoded[0])
			i += 2
		default:
			a.WriteByte(c)
		}
	}
	return a.String()[start:]
}

// objects returns the entries of a listing of keys.
func (l listing) objects() []s3mesh.Listed {
	page := make([]s3mesh.Listed, len(l.entries))
	for i, e := range l.entries {
		page[i] = s3mesh.Listed{Key: e.key, Size: e.size, ETag: e.etag, LastModified: wholeSeconds(e.modified)}
	}
	return page
}
