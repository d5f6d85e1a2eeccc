package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/webapi"
)

// Client calls the API of a running process. It is safe for concurrent use.
type Client struct {
	// URL is the base address, such as http://127.0.0.1:9480.
	URL   string
	Token string
}

// Status returns the state of the process.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, "/v1/status", &s)
	return s, err
}

// Inspect reads a key at every site into answer.
func (c *Client) Inspect(ctx context.Context, key string, answer any) error {
	return c.call(ctx, http.MethodGet, "/v1/inspect?"+url.Values{"key": {key}}.Encode(), answer)
}

// DeadLetters returns a page of dead letters, of one link or, with the zero Link, of all.
func (c *Client) DeadLetters(ctx context.Context, link s3mesh.Link, cursor string, limit int) (DeadLetterPage, error) {
	q := url.Values{"cursor": {cursor}, "limit": {strconv.Itoa(limit)}}
	if link != (s3mesh.Link{}) {
		q.Set("link", link.String())
	}
	var page DeadLetterPage
	err := c.call(ctx, http.MethodGet, "/v1/dead-letters?"+q.Encode(), &page)
	return page, err
}

// Replay puts a dead letter's event back on the queue, for its link only.
func (c *Client) Replay(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, "/v1/dead-letters/"+url.PathEscape(id)+"/replay", nil)
}

// Resume lets the held deletes of a link go on.
func (c *Client) Resume(ctx context.Context, link s3mesh.Link) (Resumed, error) {
	var done Resumed
	err := c.call(ctx, http.MethodPost,
		"/v1/links/"+url.PathEscape(link.Source)+"/"+url.PathEscape(link.Target)+"/resume", &done)
	return done, err
}

// Region stops or starts a region of a demo.
func (c *Client) Region(ctx context.Context, name, action string) error {
	return c.call(ctx, http.MethodPost, "/v1/regions/"+url.PathEscape(name)+"/"+action, nil)
}

func (c *Client) call(ctx context.Context, method, path string, answer any) (err error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, nil)
	if err != nil {
		return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "call", Err: err}
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return &s3mesh.Error{Kind: s3mesh.KindUnreachable, Op: "call the running process",
			Err: fmt.Errorf("is it running? %w", err)}
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return readFailure(resp)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

func readFailure(resp *http.Response) error {
	const limit = 64 << 10
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil {
		return err
	}
	var f webapi.Failure
	if json.Unmarshal(body, &f) != nil || f.Error == "" {
		return &s3mesh.Error{Kind: s3mesh.KindOther, Op: "call the running process", Err: errors.New(resp.Status)}
	}
	return &answered{f}
}

// answered is an error that the process reported. Its text is whole already.
type answered struct{ webapi.Failure }

// Error returns the text as the process gave it.
func (a *answered) Error() string { return a.Failure.Error }

// Unwrap gives the error its kind.
func (a *answered) Unwrap() error { return &s3mesh.Error{Kind: a.Kind} }
