package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// Inspect reads a key at every site into answer.
func (c *Client) Inspect(ctx context.Context, key string, answer any) error {
	return c.call(ctx, http.MethodGet, "/v1/inspect?"+url.Values{"key": {key}}.Encode(), nil, answer)
}

// Resume lets the held deletes of a link go on.
func (c *Client) Resume(ctx context.Context, link s3mesh.Link) (Resumed, error) {
	var done Resumed
	err := c.call(ctx, http.MethodPost,
		"/v1/links/"+url.PathEscape(link.Source)+"/"+url.PathEscape(link.Target)+"/resume", nil, &done)
	return done, err
}

// Region stops or starts a region of a demo.
func (c *Client) Region(ctx context.Context, name, action string) error {
	return c.call(ctx, http.MethodPost, "/v1/regions/"+url.PathEscape(name)+"/"+action, nil, nil)
}

// call makes a request with body, which is sent as JSON unless it is nil, and decodes the answer unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, body, answer any) (err error) {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// send makes a request, and returns its answer, whose body the caller closes. An answer that tells a failure is that error.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	const op = "call the running process"
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, invalid(op, err)
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, content)
	if err != nil {
		return nil, invalid(op, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, &s3mesh.Error{Kind: s3mesh.KindUnreachable, Op: op, Err: fmt.Errorf("is it running? %w", err)}
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, errors.Join(readFailure(resp), resp.Body.Close())
	}
	return resp, nil
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
