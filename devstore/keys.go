package devstore

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
)

// folds reports whether the backend would take key for another one, or for a path outside the bucket: it makes a file
// path of the key, where "a//b", "a/./b" and "x/../a/b" are all "a/b". A slash at the end is a folder of its own.
func folds(key string) bool {
	segments := strings.Split(strings.TrimSuffix(key, "/"), "/")
	return key != "" && slices.ContainsFunc(segments, func(s string) bool { return s == "" || s == "." || s == ".." })
}

const (
	// maxKey is the most bytes of a key on AWS, which errors tell.
	maxKey = 1024
	// maxName is the most bytes of a key between slashes, which is what a filesystem can hold.
	maxName = 255
)

// checkNames refuses a key that the backend could not store.
func checkNames(key string) error {
	for name := range strings.SplitSeq(key, "/") {
		if len(name) > maxName {
			return s3err.GetKeyTooLongErr(int64(len(name)), maxName)
		}
	}
	return nil
}

// refuseFoldingKeys answers requests for such keys, and for copies from them, before the server sees them.
func refuseFoldingKeys(c fiber.Ctx) error {
	path := string(c.Request().URI().PathOriginal())
	source, _, _ := strings.Cut(c.Get("X-Amz-Copy-Source"), "?")
	if !folds(keyOf(path)) && !folds(keyOf(source)) {
		return c.Next()
	}
	requestID, hostID := utils.EnsureRequestIDs(c)
	refusal := s3err.GetAPIError(s3err.ErrInvalidURI)
	c.Response().Header.SetContentType(fiber.MIMEApplicationXML)
	return c.Status(refusal.StatusCode()).Send(refusal.XMLBody(requestID, hostID))
}

// keyOf returns the key in "bucket/key" or "/bucket/key", decoded. What cannot be decoded the server refuses itself.
func keyOf(path string) string {
	path, err := url.PathUnescape(path)
	if err != nil {
		return ""
	}
	_, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return key
}
