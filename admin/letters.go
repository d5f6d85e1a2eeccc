package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/webapi"
)

const (
	defaultPage = 100
	maxPage     = 1000
	// MaxIDs is how many dead letters, or keys to repair, one request may name.
	MaxIDs = 1000
)

// DeadLetterPage is one page of dead letters.
type DeadLetterPage struct {
	Letters []s3mesh.DeadLetter `json:"letters"`
	// Next is the cursor of the following page; empty at the end. A page that is not the last may be empty.
	Next string `json:"next,omitempty"`
}

// DeadLetterCounts is how many dead letters there are, by link and kind.
type DeadLetterCounts struct {
	Counts []s3mesh.LetterCount `json:"counts"`
}

// letterIDs names dead letters.
type letterIDs struct {
	IDs []string `json:"ids"`
}

// replayedLetters and droppedLetters tell how many of the letters that a request named there were.
type (
	replayedLetters struct {
		Replayed int `json:"replayed"`
	}
	droppedLetters struct {
		Dropped int `json:"dropped"`
	}
)

func (c Config) letters(w http.ResponseWriter, req *http.Request) {
	const op = "list dead letters"
	q := req.URL.Query()
	filter, err := parseFilter(q)
	if err != nil {
		webapi.Reply(w, nil, invalid(op, err))
		return
	}
	limit := defaultPage
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			webapi.Reply(w, nil, invalid(op, fmt.Errorf("limit %.64q: use 1 to %d", text, maxPage)))
			return
		}
	}
	page := DeadLetterPage{}
	page.Letters, page.Next, err = c.Letters.List(req.Context(), filter, q.Get("cursor"), limit)
	if page.Letters == nil {
		page.Letters = []s3mesh.DeadLetter{}
	}
	webapi.Reply(w, page, err)
}

func (c Config) letter(w http.ResponseWriter, req *http.Request) {
	letter, err := c.Letters.Get(req.Context(), req.PathValue("id"))
	webapi.Reply(w, letter, err)
}

func (c Config) countLetters(w http.ResponseWriter, req *http.Request) {
	filter, err := parseFilter(req.URL.Query())
	if err != nil {
		webapi.Reply(w, nil, invalid("count dead letters", err))
		return
	}
	if err := unhurried(w); err != nil {
		webapi.Reply(w, nil, err)
		return
	}
	counts := DeadLetterCounts{}
	counts.Counts, err = c.Letters.Count(req.Context(), filter)
	if counts.Counts == nil {
		counts.Counts = []s3mesh.LetterCount{}
	}
	webapi.Reply(w, counts, err)
}

func (c Config) replay(w http.ResponseWriter, req *http.Request) {
	c.forLetters(w, req, func(ctx context.Context, ids []string) (any, error) {
		n, err := c.Letters.Replay(ctx, ids...)
		return replayedLetters{n}, err
	})
}

func (c Config) drop(w http.ResponseWriter, req *http.Request) {
	c.forLetters(w, req, func(ctx context.Context, ids []string) (any, error) {
		n, err := c.Letters.Drop(ctx, ids...)
		return droppedLetters{n}, err
	})
}

// forLetters has act done with the letters that the request names.
func (c Config) forLetters(w http.ResponseWriter, req *http.Request, act func(context.Context, []string) (any, error)) {
	const op = "read the IDs of dead letters"
	var named letterIDs
	if err := readBody(w, req, &named); err != nil {
		webapi.Reply(w, nil, invalid(op, err))
		return
	}
	if n := len(named.IDs); n < 1 || n > MaxIDs {
		webapi.Reply(w, nil, invalid(op, fmt.Errorf("%d IDs: name 1 to %d", n, MaxIDs)))
		return
	}
	answer, err := act(req.Context(), named.IDs)
	webapi.Reply(w, answer, err)
}

// formatFilter writes filter as query parameters.
func formatFilter(f s3mesh.LetterFilter) url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Link != (s3mesh.Link{}) {
		set("link", f.Link.String())
	}
	set("prefix", f.Prefix)
	set("site", f.Site)
	for _, kind := range f.Kinds {
		q.Add("kind", kind.String())
	}
	for name, at := range map[string]time.Time{"since": f.Since, "before": f.Before} {
		if !at.IsZero() {
			set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return q
}

// parseFilter reads what formatFilter writes.
func parseFilter(q url.Values) (f s3mesh.LetterFilter, err error) {
	f.Prefix, f.Site = q.Get("prefix"), q.Get("site")
	if text := q.Get("link"); text != "" {
		if f.Link, err = s3mesh.ParseLink(text); err != nil {
			return f, err
		}
	}
	if f.Kinds, err = ParseKinds(q["kind"]); err != nil {
		return f, err
	}
	for name, at := range map[string]*time.Time{"since": &f.Since, "before": &f.Before} {
		if text := q.Get(name); text != "" {
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return f, fmt.Errorf("%s %.64q: write a time as in 2006-01-02T15:04:05Z", name, text)
			}
		}
	}
	return f, nil
}

// ParseKinds reads the names of kinds. Its error names those that there are.
func ParseKinds(names []string) ([]s3mesh.Kind, error) {
	var kinds []s3mesh.Kind
	for _, name := range names {
		var kind s3mesh.Kind
		if kind.UnmarshalText([]byte(name)) != nil {
			var known []string
			for _, k := range s3mesh.Kinds() {
				known = append(known, k.String())
			}
			return nil, fmt.Errorf("kind %.64q: use one of %s", name, strings.Join(known, ", "))
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// DeadLetters returns a page of up to limit (at most 1000) of the dead letters that filter chooses.
func (c *Client) DeadLetters(ctx context.Context, filter s3mesh.LetterFilter, cursor string, limit int) (DeadLetterPage, error) {
	q := formatFilter(filter)
	q.Set("cursor", cursor)
	q.Set("limit", strconv.Itoa(limit))
	var page DeadLetterPage
	err := c.call(ctx, http.MethodGet, "/v1/dead-letters?"+q.Encode(), nil, &page)
	return page, err
}

// DeadLetter returns one dead letter. KindNotFound when it is gone.
func (c *Client) DeadLetter(ctx context.Context, id string) (s3mesh.DeadLetter, error) {
	if id == "" {
		return s3mesh.DeadLetter{}, invalid("show a dead letter", errors.New("it has no ID"))
	}
	var letter s3mesh.DeadLetter
	err := c.call(ctx, http.MethodGet, "/v1/dead-letters/"+url.PathEscape(id), nil, &letter)
	return letter, err
}

// CountDeadLetters counts the dead letters that filter chooses, by link and kind. It looks at all there are.
func (c *Client) CountDeadLetters(ctx context.Context, filter s3mesh.LetterFilter) ([]s3mesh.LetterCount, error) {
	var counts DeadLetterCounts
	err := c.call(ctx, http.MethodGet, "/v1/dead-letters/count?"+formatFilter(filter).Encode(), nil, &counts)
	return counts.Counts, err
}

// ReplayDeadLetters puts the events of up to [MaxIDs] dead letters back on the queue, each for its link only. It returns how many
// of the letters there were.
func (c *Client) ReplayDeadLetters(ctx context.Context, ids ...string) (int, error) {
	var done replayedLetters
	err := c.call(ctx, http.MethodPost, "/v1/dead-letters/replay", letterIDs{ids}, &done)
	return done.Replayed, err
}

// DropDeadLetters removes up to [MaxIDs] dead letters for good. It returns how many of them there were.
func (c *Client) DropDeadLetters(ctx context.Context, ids ...string) (int, error) {
	var done droppedLetters
	err := c.call(ctx, http.MethodPost, "/v1/dead-letters/drop", letterIDs{ids}, &done)
	return done.Dropped, err
}
