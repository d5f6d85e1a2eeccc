package s3store

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// keyPage is a page of a listing.
type keyPage struct {
	Truncated    bool   `xml:"IsTruncated"`
	Next         string `xml:"NextContinuationToken"`
	EncodingType string `xml:"EncodingType"`
	Contents     []struct {
		Key string `xml:"Key"`
	} `xml:"Contents"`
}

// List yields the keys with prefix that currently hold an object, in the order that the store lists them in: on Amazon S3
// and most products that of their bytes. It takes a request for every 1,000 keys, sent as the caller goes on, and holds one
// page in memory. After an error, an *s3mesh.Error, the sequence ends.
//
// MinIO leaves out "a/b" while there is an object "a".
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for page := (keyPage{Truncated: true}); page.Truncated; {
			var err error
			if page, err = b.keys(ctx, prefix, page.Next); err != nil {
				yield("", err)
				return
			}
			for _, object := range page.Contents {
				if !yield(object.Key, nil) {
					return
				}
			}
		}
	}
}

// keys fetches the page that token, from the page before, stands for.
func (b *Bucket) keys(ctx context.Context, prefix, token string) (keyPage, error) {
	r := request{op: opList, onBucket: true, method: http.MethodGet, query: url.Values{
		"list-type":     {"2"},
		"prefix":        {prefix},
		"max-keys":      {strconv.Itoa(nextPages)},
		"encoding-type": {"url"}, // XML cannot hold every character
	}}
	if token != "" {
		r.query.Set("continuation-token", token)
	}
	resp, err := b.client.do(ctx, r)
	if err != nil {
		return keyPage{}, err
	}
	defer discard(resp)
	page, err := decodeKeys(resp.Body)
	if err != nil {
		return keyPage{}, b.client.fail(ctx, r, brokenOff(err))
	}
	if page.Truncated && (page.Next == "" || page.Next == token) {
		return keyPage{}, b.client.malformed(r, errors.New("a truncated page does not say where the next one starts"))
	}
	return page, nil
}

func decodeKeys(body io.Reader) (keyPage, error) {
	var page keyPage
	if err := decodeXML(body, maxPage, &page); err != nil || page.EncodingType != "url" {
		return page, err
	}
	for i := range page.Contents {
		var err error
		if page.Contents[i].Key, err = url.QueryUnescape(page.Contents[i].Key); err != nil {
			return page, err
		}
	}
	return page, nil
}
