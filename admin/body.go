package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// maxBody bounds the body of a request. [MaxIDs] keys of S3's longest, 1024 bytes, each escaped, fit.
const maxBody = 8 << 20

// readBody decodes the request's body, one JSON value, into target, whose fields are all that may be in it.
func readBody(w http.ResponseWriter, req *http.Request, target any) error {
	data, err := readJSON(w, req)
	if err != nil {
		return err
	}
	return decodeStrictly(data, target)
}

// readJSON returns the request's body, which is JSON. It must say so: the form of a web page cannot, so that no page of
// somebody else's can send one with a password that the browser remembers.
func readJSON(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, errors.New("send JSON, with Content-Type: application/json")
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		return nil, err
	}
	if !json.Valid(data) {
		return nil, errors.New("the body is not a JSON value")
	}
	return data, nil
}

// unhurried lifts the limit on how long the request may take: what the client has yet to send is only its hanging up.
func unhurried(w http.ResponseWriter) error {
	err := http.NewResponseController(w).SetReadDeadline(time.Time{})
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("lift the time limit: %w", err)
	}
	return nil
}

// decodeStrictly decodes one JSON value that has no fields but target's.
func decodeStrictly(data []byte, target any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(target)
}
