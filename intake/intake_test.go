package intake_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/intake"
	"github.com/s3mesh/s3mesh/notify"
)

const token = "the-intake-token"

const message = `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2026-11-23T12:00:00.000Z",
"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"a%2Bb+c","size":3,"eTag":"e"}}}]}`

func TestAnswers(t *testing.T) {
	stored := errors.New("disk full")
	tests := []struct {
		name, path, auth, body string
		accept                 error
		status                 int
	}{
		{"accepted", "/v1/events/us", "Bearer " + token, message, nil, http.StatusOK},
		{"token as a password", "/v1/events/us", "basic", message, nil, http.StatusOK},
		{"no token", "/v1/events/us", "", message, nil, http.StatusUnauthorized},
		{"wrong token", "/v1/events/us", "Bearer x", message, nil, http.StatusUnauthorized},
		{"not a notification", "/v1/events/us", "Bearer " + token, `{"hello":1}`, nil, http.StatusBadRequest},
		{"too large", "/v1/events/us", "Bearer " + token, strings.Repeat(" ", 2<<20), nil, http.StatusRequestEntityTooLarge},
		{"not stored", "/v1/events/us", "Bearer " + token, message, stored, http.StatusServiceUnavailable},
		{"never to be stored", "/v1/events/us", "Bearer " + token, message, &s3mesh.Error{Kind: s3mesh.KindInvalid},
			http.StatusBadRequest},
		{"another path", "/v1/else", "Bearer " + token, message, nil, http.StatusNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []s3mesh.Event
			h := intake.Handler(intake.Config{Token: token, Decode: notify.Decode, Log: slog.New(slog.DiscardHandler),
				Accept: func(_ context.Context, site string, events []s3mesh.Event) error {
					if site != "us" {
						t.Errorf("site %q", site)
					}
					got = events
					return tt.accept
				}})
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tt.path, strings.NewReader(tt.body))
			if tt.auth == "basic" {
				req.SetBasicAuth("s3mesh", token)
			} else {
				req.Header.Set("Authorization", tt.auth)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.status == http.StatusOK && (len(got) != 1 || got[0].Key != "a+b c") {
				t.Errorf("accepted %+v", got)
			}
			if tt.status == http.StatusUnauthorized && got != nil {
				t.Error("accepted without the token")
			}
			if strings.Contains(w.Body.String(), token) {
				t.Error("the answer holds the token")
			}
		})
	}
}

// Without a configured token nobody gets in, not even with an empty one.
func TestEmptyTokenLetsNobodyIn(t *testing.T) {
	h := intake.Handler(intake.Config{Decode: notify.Decode})
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events/us", strings.NewReader(message))
	req.Header.Set("Authorization", "Bearer ")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("status %d", w.Code)
	}
}

// A message that breaks off on the way is to be sent again; senders give up after a 4xx.
func TestBrokenOffIsSentAgain(t *testing.T) {
	h := intake.Handler(intake.Config{Token: token, Log: slog.New(slog.DiscardHandler)})
	body := io.MultiReader(strings.NewReader(message[:20]), iotest.ErrReader(io.ErrUnexpectedEOF))
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events/us", body)
	req.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

// A sender that hangs up comes again: that is no error of anybody's.
func TestSenderThatHangsUpIsNoError(t *testing.T) {
	var log strings.Builder
	ctx, hangUp := context.WithCancel(t.Context())
	h := intake.Handler(intake.Config{Token: token, Decode: notify.Decode, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Accept: func(ctx context.Context, _ string, _ []s3mesh.Event) error { hangUp(); return ctx.Err() }})
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/events/us", strings.NewReader(message))
	req.Header.Set("Authorization", "Bearer "+token)
	h.ServeHTTP(httptest.NewRecorder(), req)
	if log.Len() > 0 {
		t.Errorf("logged: %s", &log)
	}
}
