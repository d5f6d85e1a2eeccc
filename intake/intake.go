// Package intake is the HTTP endpoint that stores send their notifications to.
package intake

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/webapi"
)

// maxMessage bounds one notification in bytes. SNS and SQS carry at most 1 MiB.
const maxMessage = 1 << 20

// Config is what the endpoint needs.
type Config struct {
	// Token is the secret that every message must carry.
	Token string
	// Decode turns a message into events.
	Decode func(body []byte) ([]s3mesh.Event, error)
	// Accept makes the events of one message durable.
	Accept func(ctx context.Context, site string, events []s3mesh.Event) error
	Log    *slog.Logger
}

// Handler returns the endpoint, POST /v1/events/{site}. It answers 200 only once every event of the message is on disk;
// 400 to a message that can never be accepted; 401 without the token; 413 past 1 MiB; and 503 when the events could not
// be stored, so that the sender tries again.
//
// The token comes as "Authorization: Bearer <token>", as MinIO sends it, or as the password of basic authentication, for
// senders that can only be given a URL: http://s3mesh:<token>@host/v1/events/<site>.
func Handler(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events/{site}", webapi.RequireToken(cfg.Token, cfg.receive))
	return mux
}

// unread is the answer to a message that could not be read. One that broke off on the way is to be sent again: senders take
// 4xx answers for final.
func unread(err error) int {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusServiceUnavailable
}

func (c Config) receive(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxMessage))
	if err != nil {
		webapi.Fail(w, unread(err), err)
		return
	}
	site := req.PathValue("site")
	events, err := c.Decode(body)
	if err == nil {
		err = c.Accept(req.Context(), site, events)
	}
	if err != nil {
		tell := c.Log.Error
		if req.Context().Err() != nil { // the sender has hung up, and comes again
			tell = c.Log.Debug
		}
		tell("a notification was refused", "site", site, "error", err)
		webapi.FailByKind(w, err)
	}
}
