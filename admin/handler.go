package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/webapi"
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
	// Reconcile compares the sites; nil where that is not done.
	Reconcile Reconciler
	// Repair has up to [MaxIDs] keys written anew, and returns how many it put to work. KindInvalid when one of them names a link
	// that there is not.
	Repair func(ctx context.Context, keys []RepairKey) (int, error)
	// Seen tells when the notification of a scratch key at a site came last, and false when none did.
	Seen func(site, key string) (time.Time, bool)
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
//	GET  /v1/dead-letters?FILTER&cursor=&limit= a DeadLetterPage
//	GET  /v1/dead-letters/count?FILTER          a DeadLetterCounts
//	GET  /v1/dead-letters/{id}                  an s3mesh.DeadLetter
//	POST /v1/dead-letters/replay  {"ids"}       {"replayed"}: how many of them there were
//	POST /v1/dead-letters/drop    {"ids"}       {"dropped"}
//	POST /v1/reconcile            options       the run's progress
//	GET  /v1/reconcile                          the state of comparisons
//	POST /v1/reconcile/stop                     a Stopped
//	POST /v1/reconcile/dry-run    options       a StreamLine on every line
//	POST /v1/repair               {"keys"}      {"queued"}: how many of the RepairKeys were put to work
//	GET  /v1/seen?site=&key=                    a Seen
//	POST /v1/links/{source}/{target}/resume     a Resumed
//	GET  /metrics                               for Prometheus
//	POST /v1/regions/{name}/{stop|start}        204, in a demo
//
// FILTER is any of link, prefix, kind (repeatable), site, since and before (RFC 3339): see s3mesh.LetterFilter. A body is JSON,
// said to be so, and names at most 1000 letters or keys.
//
// An error is a JSON object {"error", "kind"} with status 401, 404 (not found), 400 (other permanent kinds) or 503.
func Handler(cfg Config) http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET /v1/status", cfg.status)
	api.HandleFunc("GET /v1/inspect", cfg.inspect)
	api.HandleFunc("GET /v1/dead-letters", cfg.letters)
	api.HandleFunc("GET /v1/dead-letters/count", cfg.countLetters)
	api.HandleFunc("GET /v1/dead-letters/{id}", cfg.letter)
	api.HandleFunc("POST /v1/dead-letters/replay", cfg.replay)
	api.HandleFunc("POST /v1/dead-letters/drop", cfg.drop)
	api.HandleFunc("POST /v1/repair", cfg.repair)
	api.HandleFunc("GET /v1/seen", cfg.seen)
	api.HandleFunc("POST /v1/links/{source}/{target}/resume", cfg.resume)
	if cfg.Reconcile != nil {
		api.HandleFunc("POST /v1/reconcile", cfg.startReconcile)
		api.HandleFunc("GET /v1/reconcile", cfg.reconcileStatus)
		api.HandleFunc("POST /v1/reconcile/stop", cfg.stopReconcile)
		api.HandleFunc("POST /v1/reconcile/dry-run", cfg.dryRun)
	}
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
