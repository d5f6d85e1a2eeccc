package devstore

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v3"
)

// serverName is the Server header. It is not that of versitygw, whose peculiarities a client may know and work round,
// while the ones that matter are mended here.
const serverName = "s3mesh-devstore"

// answerAsAWS corrects answers on their way out: the name of the server, and the order of version listings.
func answerAsAWS(c fiber.Ctx) error {
	err := c.Next()
	resp := c.Response()
	resp.Header.SetServer(serverName)
	if err != nil || c.Method() != http.MethodGet || !c.Request().URI().QueryArgs().Has("versions") ||
		resp.StatusCode() != http.StatusOK {
		return err
	}
	ordered, err := orderVersions(resp.Body())
	if err != nil {
		return fmt.Errorf("order the versions: %w", err)
	}
	resp.SetBodyRaw(ordered)
	return nil
}

// versionListing is a ListVersionsResult, with what is inside its elements left as it is.
type versionListing struct {
	XMLName  xml.Name
	Elements []versionElement `xml:",any"`
}

type versionElement struct {
	XMLName   xml.Name
	Inner     []byte `xml:",innerxml"`
	Text      string `xml:",chardata"`
	Key       string
	VersionID string `xml:"VersionId"`
	IsLatest  bool
}

func (e versionElement) listed() bool {
	return e.XMLName.Local == "Version" || e.XMLName.Local == "DeleteMarker"
}

// orderVersions puts objects and delete markers into one sequence, as AWS lists them: by key, the latest first. The server
// lists markers and objects apart. Version IDs grow with time, but for "null": what was written before versioning was on.
func orderVersions(body []byte) ([]byte, error) {
	var listing versionListing
	if err := xml.Unmarshal(body, &listing); err != nil {
		return nil, err
	}
	encoded := slices.ContainsFunc(listing.Elements, func(e versionElement) bool {
		return e.XMLName.Local == "EncodingType" && e.Text == "url"
	})
	for i := range listing.Elements {
		e := &listing.Elements[i]
		if key, err := url.QueryUnescape(e.Key); encoded && err == nil {
			e.Key = key
		}
		e.VersionID = strings.TrimPrefix(e.VersionID, "null")
	}
	slices.SortStableFunc(listing.Elements, compareVersions)
	return encodeVersions(listing), nil
}

// compareVersions puts what is not a version first.
func compareVersions(a, b versionElement) int {
	if !a.listed() || !b.listed() {
		return compareBool(a.listed(), b.listed())
	}
	return cmp.Or(strings.Compare(a.Key, b.Key), compareBool(b.IsLatest, a.IsLatest),
		strings.Compare(b.VersionID, a.VersionID))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

func encodeVersions(listing versionListing) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `%s<%s xmlns="%s">`, xml.Header, listing.XMLName.Local, listing.XMLName.Space)
	for _, e := range listing.Elements {
		fmt.Fprintf(&b, "<%s>%s</%[1]s>", e.XMLName.Local, e.Inner)
	}
	fmt.Fprintf(&b, "</%s>", listing.XMLName.Local)
	return b.Bytes()
}
