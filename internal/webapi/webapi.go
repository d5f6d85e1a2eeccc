// Package webapi is what the HTTP listeners of s3mesh share: the token check, and JSON answers.
package webapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// RequireToken passes on the requests that carry token, as "Authorization: Bearer <token>" or as the password of basic
// authentication, and answers 401 to the others. An empty token lets nobody in.
func RequireToken(token string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if !authorized(req, token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			Fail(w, http.StatusUnauthorized, &s3mesh.Error{Kind: s3mesh.KindAccessDenied, Op: req.Method + " " + req.URL.Path,
				Err: errors.New("the token is missing or wrong")})
			return
		}
		next(w, req)
	}
}

func authorized(req *http.Request, token string) bool {
	given, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if !ok {
		_, given, _ = req.BasicAuth()
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token))
	return token != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Failure is how the listeners tell an error.
type Failure struct {
	Error string      `json:"error"`
	Kind  s3mesh.Kind `json:"kind"`
}

// Fail answers with a status and a [Failure].
func Fail(w http.ResponseWriter, status int, err error) {
	answer(w, status, Failure{err.Error(), s3mesh.KindOf(err)})
}

// FailByKind answers with a [Failure] and the status that suits the kind of err: 404 for KindNotFound, 503 for kinds that
// pass, 400 for the rest.
func FailByKind(w http.ResponseWriter, err error) {
	switch kind := s3mesh.KindOf(err); {
	case kind == s3mesh.KindNotFound:
		Fail(w, http.StatusNotFound, err)
	case kind.Transient():
		Fail(w, http.StatusServiceUnavailable, err)
	default:
		Fail(w, http.StatusBadRequest, err)
	}
}

// Reply answers 200 with value as JSON, or as [FailByKind] does when there is an error.
func Reply(w http.ResponseWriter, value any, err error) {
	if err != nil {
		FailByKind(w, err)
		return
	}
	answer(w, http.StatusOK, value)
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // it fails only when the client is gone
}
