package s3store

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/s3mesh/s3mesh"
)

// List yields pages of up to 1,000 keys that currently hold an object, in the order that the store lists them in: on Amazon
// S3 and most products that of their bytes. Each page takes a request, sent when the caller asks for it, and is the
// caller's to keep. After an error, an *[s3mesh.Error], the sequence ends. Times are whole seconds.
//
// MinIO leaves out "a/b" while there is an object "a".
func (b *Bucket) List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error] {
	return func(yield func([]s3mesh.Listed, error) bool) {
		r := listRequest(opt.Prefix)
		if opt.After != "" {
			r.query.Set("start-after", opt.After)
		}
		var pages pageReader
		for page := (listing{truncated: true}); page.truncated; {
			var err error
			if page, err = b.nextKeys(ctx, r, page.token, &pages); err != nil {
				yield(nil, err)
				return
			}
			if len(page.entries) > 0 && !yield(page.objects(), nil) {
				return
			}
		}
	}
}

// nextKeys fetches the page that token, from the page before, stands for.
func (b *Bucket) nextKeys(ctx context.Context, r request, token string, pages *pageReader) (listing, error) {
	if token != "" {
		r.query.Set("continuation-token", token)
	}
	page, _, err := pages.fetch(ctx, b.client, r)
	if err != nil {
		return listing{}, err
	}
	if page.truncated && (page.token == "" || page.token == token) {
		return listing{}, b.client.malformed(r, errEndless)
	}
	return page, nil
}

// Folders returns the distinct beginnings, up to and with the next "/", of the keys under prefix that go on to one, as far
// as one page of the listing tells; more says that it was not all. It takes one request. MinIO and versitygw name folders,
// too, in which everything is deleted.
func (b *Bucket) Folders(ctx context.Context, prefix string) (folders []string, more bool, err error) {
	r := listRequest(prefix)
	r.query.Set("delimiter", "/")
	page, _, err := new(pageReader).fetch(ctx, b.client, r)
	return page.prefixes, page.truncated, err
}

func listRequest(prefix string) request {
	return request{op: opList, onBucket: true, method: http.MethodGet, query: url.Values{
		"list-type":     {"2"},
		"prefix":        {prefix},
		"max-keys":      {strconv.Itoa(nextPages)},
		"encoding-type": {"url"}, // XML cannot hold every character
	}}
}
