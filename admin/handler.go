package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/webapi"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// Config is what the API is made from.
type Config struct {
	// Token is the secret that every request but the health check must carry.
	Token  string
	Status func(ctx context.Context) (Status, error)
	// Inspect reads a key at every site; its answer is sent as JSON.
	Inspect func(ctx context.Context, key string) any
	Letters s3mesh.DeadLetters
	// Resume lets the held deletes of a link go on: see [Resumer].
	Resume func(ctx context.Context, link s3mesh.Link) (Resumed, error)
	// Metrics answers scrapes.
	Metrics http.Handler
	// Regions, in a demo, stops and starts regions; nil elsewhere.
	Regions Regions
}

// Regions are the servers of a demo.
type Regions interface {
	StopRegion(ctx context.Context, name string) error
	StartRegion(ctx context.Context, name string) error
}

// Handler returns the API:
//
//	GET  /healthz                               200 while the process works; needs no token
//	GET  /v1/status                             a Status
//	GET  /v1/inspect?key=KEY                    the key at every site
//	GET  /v1/dead-letters?link=&cursor=&limit=  a DeadLetterPage
//	POST /v1/dead-letters/{id}/replay           204
//	POST /v1/links/{source}/{target}/resume     a Resumed
//	GET  /metrics                               for Prometheus
//	POST /v1/regions/{name}/{stop|start}        204, in a demo
//
// An error is a JSON object {"error", "kind"} with status 401, 404 (not found), 400 (other permanent kinds) or 503.
func Handler(cfg Config) http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET /v1/status", cfg.status)
	api.HandleFunc("GET /v1/inspect", cfg.inspect)
	api.HandleFunc("GET /v1/dead-letters", cfg.letters)
	api.HandleFunc("POST /v1/dead-letters/{id}/replay", cfg.replay)
	api.HandleFunc("POST /v1/links/{source}/{target}/resume", cfg.resume)
	if cfg.Regions != nil {
		api.HandleFunc("POST /v1/regions/{name}/stop", cfg.region(cfg.Regions.StopRegion))
		api.HandleFunc("POST /v1/regions/{name}/start", cfg.region(cfg.Regions.StartRegion))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		webapi.Reply(w, map[string]string{"status": "ok"}, nil)
	})
	mux.HandleFunc("GET /metrics", webapi.RequireToken(cfg.Token, cfg.Metrics.ServeHTTP))
	mux.HandleFunc("/v1/", webapi.RequireToken(cfg.Token, api.ServeHTTP))
	return mux
}

func (c Config) status(w http.ResponseWriter, req *http.Request) {
	s, err := c.Status(req.Context())
	webapi.Reply(w, s, err)
}

func (c Config) inspect(w http.ResponseWriter, req *http.Request) {
	key := req.URL.Query().Get("key")
	if key == "" {
		webapi.Reply(w, nil, invalid("inspect", errors.New("give the key as ?key=")))
		return
	}
	webapi.Reply(w, c.Inspect(req.Context(), key), nil)
}

// DeadLetterPage is one page of dead letters.
type DeadLetterPage struct {
	Letters []s3mesh.DeadLetter `json:"letters"`
	// Next is the cursor of the following page; empty at the end.
	Next string `json:"next,omitempty"`
}

func (c Config) letters(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	var link s3mesh.Link
	var err error
	if text := q.Get("link"); text != "" {
		if link, err = s3mesh.ParseLink(text); err != nil {
			webapi.Reply(w, nil, invalid("list dead letters", err))
			return
		}
	}
	limit := defaultPage
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			webapi.Reply(w, nil, invalid("list dead letters", fmt.Errorf("limit %q: use 1 to %d", text, maxPage)))
			return
		}
	}
	page := DeadLetterPage{}
	page.Letters, page.Next, err = c.Letters.List(req.Context(), link, q.Get("cursor"), limit)
	if page.Letters == nil {
		page.Letters = []s3mesh.DeadLetter{}
	}
	webapi.Reply(w, page, err)
}

func (c Config) replay(w http.ResponseWriter, req *http.Request) {
	noContent(w, c.Letters.Replay(req.Context(), req.PathValue("id")))
}

func (c Config) region(act func(context.Context, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		noContent(w, act(req.Context(), req.PathValue("name")))
	}
}

func invalid(op string, err error) error {
	return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: op, Err: err}
}

func noContent(w http.ResponseWriter, err error) {
	if err != nil {
		webapi.FailByKind(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
