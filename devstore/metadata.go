package devstore

import (
	"encoding/base64"
	"mime"
	"strings"
	"unicode/utf8"
)

// mailSafe returns the metadata in the one form in which it is kept and answered: a value that is not printable ASCII as
// an encoded word of RFC 2047, as AWS answers it. Clients write such a value raw or encoded, in several ways, and the
// replicator encodes what it reads: so all regions answer alike, whoever wrote. See "User-defined object metadata" in the
// Amazon S3 User Guide.
func mailSafe(metadata map[string]string) map[string]string {
	safe := make(map[string]string, len(metadata))
	for name, value := range metadata {
		if decoded := decodeWords(value); !isPrintable(decoded) {
			value = "=?UTF-8?B?" + base64.StdEncoding.EncodeToString([]byte(decoded)) + "?="
		}
		safe[name] = value
	}
	return safe
}

// decodeWords decodes the encoded words in value, unless there is one in a character set that is not known.
func decodeWords(value string) string {
	if decoded, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
		value = decoded
	}
	return strings.ToValidUTF8(value, string(utf8.RuneError))
}

// isPrintable reports whether HTTP carries s unchanged: printable ASCII without blanks at its ends.
func isPrintable(s string) bool {
	return s == strings.Trim(s, " ") && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
