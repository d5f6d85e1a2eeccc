package notify

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// maxKey is the longest key that S3 allows, in bytes of UTF-8.
const maxKey = 1024

// validText refuses what encoding/json would turn into U+FFFD in silence, and thereby one key into another: bytes that
// are not UTF-8, and an escaped half of a surrogate pair.
func validText(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("is not UTF-8")
	}
	if loneSurrogate(body) {
		return errors.New(`is not UTF-8: it escapes half of a surrogate pair (\ud800 to \udfff)`)
	}
	return nil
}

// loneSurrogate reports whether a \u escape in body is a surrogate that its neighbour does not complete.
func loneSurrogate(body []byte) bool {
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 || i+2 > len(body) {
			return false
		}
		body = body[i:]
		switch r := escapedRune(body); {
		case !utf16.IsSurrogate(r):
			body = body[2:]
		case utf16.DecodeRune(r, escapedRune(body[6:])) == utf8.RuneError:
			return true
		default:
			body = body[12:]
		}
	}
}

// escapedRune returns the UTF-16 unit of the \uXXXX that b starts with, or -1.
func escapedRune(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(unit)
}

// decodeKey returns the key as a client wrote it. Unless raw, it arrives URL-encoded as HTML forms are: + for a space.
func decodeKey(key string, raw bool) (string, error) {
	if key == "" {
		return "", errMissing
	}
	if !raw {
		decoded, err := url.QueryUnescape(key)
		if err != nil {
			return "", fmt.Errorf("is not URL-encoded: %w", err)
		}
		key = decoded
	}
	if !utf8.ValidString(key) {
		return "", errors.New("is not UTF-8")
	}
	if len(key) > maxKey {
		return "", fmt.Errorf("has %d bytes, more than the %d of an S3 key", len(key), maxKey)
	}
	return key, nil
}

// parseTime reads an RFC 3339 time, taken as UTC where it has no zone (moto), and zero where there is none.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", text)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%.40q is not an RFC 3339 time", text)
	}
	t = t.UTC()
	if t.Year() < 0 || t.Year() > 9999 { // only by a zone offset; such a time cannot be written as JSON again
		return time.Time{}, fmt.Errorf("%.40q is out of range", text)
	}
	return t, nil
}

// parseSize reads a number of bytes. Ceph's documents show it as a string, and events of deletes have none.
func parseSize(text []byte) (int64, error) {
	text = bytes.Trim(text, `"`)
	if len(text) == 0 || string(text) == "null" {
		return 0, nil
	}
	n, err := strconv.ParseUint(string(text), 10, 63)
	if err != nil {
		return 0, errors.New("is not a number of bytes")
	}
	return int64(n), nil
}
