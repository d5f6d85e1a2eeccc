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
	// maxFolder is the most bytes of a folder's name, which is what a filesystem can hold.
	maxFolder = 255
	// maxName is the most bytes of a key after its last slash: to overwrite an object, the backend first links the new
	// one as ".NAME.sgwtmp.NANOSECONDS", in 28 bytes more.
	maxName = maxFolder - 28
)

// checkNames refuses a key that the backend could not store, or could store but not overwrite.
func checkNames(key string) error {
	folders, name := key[:strings.LastIndex(key, "/")+1], key[strings.LastIndex(key, "/")+1:]
	if len(name) > maxName {
		return s3err.GetKeyTooLongErr(int64(len(name)), maxName)
	}
	for folder := range strings.SplitSeq(folders, "/") {
		if len(folder) > maxFolder {
			return s3err.GetKeyTooLongErr(int64(len(folder)), maxFolder)
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
