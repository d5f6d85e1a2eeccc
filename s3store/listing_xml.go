package s3store

import (
	"bytes"
	"encoding/xml"
	"time"
)

// xmlListing reads a page with encoding/xml: right for any document, and slow.
type xmlListing struct {
	XMLName             xml.Name
	IsTruncated         bool
	EncodingType        string
	NextToken           string `xml:"NextContinuationToken"`
	NextKeyMarker       string
	NextVersionIDMarker string       `xml:"NextVersionIdMarker"`
	Children            []xmlElement `xml:",any"`
}

// xmlElement is one of the other elements of a page. They are read as one sequence, for the order of versions and markers.
type xmlElement struct {
	name string
	xmlEntry
}

type xmlEntry struct {
	Key          string
	VersionID    string `xml:"VersionId"`
	ETag         string
	LastModified time.Time
	Size         int64
	IsLatest     bool
	Prefix       string
}

// UnmarshalXML implements [xml.Unmarshaler].
func (e *xmlElement) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	switch e.name = start.Name.Local; e.name {
	case elementContents, elementVersion, elementMarker, elementPrefixes:
		return d.DecodeElement(&e.xmlEntry, &start)
	default:
		return d.Skip()
	}
}

// The elements of a page that are read.
const (
	elementContents = "Contents"
	elementVersion  = "Version"
	elementMarker   = "DeleteMarker"
	elementPrefixes = "CommonPrefixes"
	rootKeys        = "ListBucketResult"
	rootVersions    = "ListVersionsResult"
	// rootVersionsRclone is what rclone names it.
	rootVersionsRclone = "ListBucketVersionsResult"
)

// parseListing reads a page. An error document in place of it is a *responseError.
func parseListing(body []byte) (rawListing, error) {
	var page xmlListing
	if err := xml.NewDecoder(bytes.NewReader(body)).Decode(&page); err != nil {
		return rawListing{}, err
	}
	switch page.XMLName.Local {
	case rootKeys, rootVersions, rootVersionsRclone:
		return page.raw(), nil
	case "Error":
		var response responseError
		if err := xml.Unmarshal(body, &response); err != nil {
			return rawListing{}, err
		}
		return rawListing{}, &response
	default:
		return rawListing{}, errOther
	}
}

func (page xmlListing) raw() rawListing {
	raw := rawListing{
		truncated: page.IsTruncated, encoding: []byte(page.EncodingType), token: []byte(page.NextToken),
		nextKey: []byte(page.NextKeyMarker), nextID: []byte(page.NextVersionIDMarker),
	}
	for _, e := range page.Children {
		switch e.name {
		case elementContents, elementVersion, elementMarker:
			raw.entries = append(raw.entries, rawEntry{
				key: []byte(e.Key), id: []byte(e.VersionID), etag: []byte(e.ETag), modified: e.LastModified,
				size: e.Size, latest: e.IsLatest, marker: e.name == elementMarker,
			})
		case elementPrefixes:
			raw.prefixes = append(raw.prefixes, []byte(e.Prefix))
		}
	}
	return raw
}
