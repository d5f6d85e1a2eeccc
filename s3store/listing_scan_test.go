package s3store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// awsKeys is a page of keys as Amazon S3 writes it.
func awsKeys(n int) []byte {
	var b bytes.Buffer
	b.WriteString(xmlDeclaration + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>photos</Name>` +
		`<Prefix>2026/</Prefix><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>` +
		`<KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>`)
	for i := range n {
		fmt.Fprintf(&b, `<Contents><Key>2026/photos+of+the+year/%%C3%%BCber/IMG_%08d.jpg</Key><LastModified>2026-10-12T17:50:%02d.000Z`+
			`</LastModified><ETag>&quot;%032x&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT`+
			`</ChecksumType><Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>`, i, i%60, i*31, 4096+i)
	}
	b.WriteString(`<CommonPrefixes><Prefix>2026/more/</Prefix></CommonPrefixes></ListBucketResult>`)
	return b.Bytes()
}

// awsVersions is a page of versions as Amazon S3 writes it.
func awsVersions(n int) []byte {
	var b bytes.Buffer
	b.WriteString(xmlDeclaration + "\n" + `<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>photos</Name>` +
		`<Prefix/><KeyMarker/><VersionIdMarker/><NextKeyMarker>a%2Bb</NextKeyMarker><NextVersionIdMarker>id</NextVersionIdMarker>` +
		`<MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>`)
	const owner = `<Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID>` +
		`<DisplayName>grüße &amp; so</DisplayName></Owner>`
	for i := range n {
		if i%3 == 2 {
			fmt.Fprintf(&b, `<DeleteMarker><Key>key-%d</Key><VersionId>%032d</VersionId><IsLatest>true</IsLatest>`+
				`<LastModified>2026-11-12T17:50:30.000Z</LastModified>%s</DeleteMarker>`, i, i, owner)
			continue
		}
		fmt.Fprintf(&b, `<Version><Key>key-%d</Key><VersionId>%032d</VersionId><IsLatest>false</IsLatest>`+
			`<LastModified>2009-10-12T17:50:30.000Z</LastModified><ETag>&#34;%032x&#x22;</ETag><Size>%d</Size>%s`+
			`<StorageClass>STANDARD</StorageClass></Version>`, i, i, i, i, owner)
	}
	b.WriteString(`</ListVersionsResult>`)
	return b.Bytes()
}

// compareScan fails t when the scanner reads a page that encoding/xml reads otherwise, and returns whether it read it.
func compareScan(t *testing.T, s *scanner, body []byte) bool {
	t.Helper()
	scanned, understood := s.scan(body)
	if !understood {
		return false
	}
	parsed, err := parseListing(body)
	if err != nil {
		t.Fatalf("scanned what encoding/xml refuses: %v\n%.2000s", err, body)
	}
	if got, want := texts(scanned), texts(parsed); !reflect.DeepEqual(got, want) {
		t.Fatalf("scanned %+v\nparsed %+v\n%.2000s", got, want, body)
	}
	return true
}

// texts makes pages comparable: no text and an empty one are the same.
func texts(raw rawListing) []string {
	all := []string{fmt.Sprintf("%v %q %q %q %q", raw.truncated, raw.encoding, raw.token, raw.nextKey, raw.nextID)}
	for _, e := range raw.entries {
		all = append(all, fmt.Sprintf("%q %q %q %v %d %v %v", e.key, e.id, e.etag, e.modified, e.size, e.latest, e.marker))
	}
	for _, prefix := range raw.prefixes {
		all = append(all, fmt.Sprintf("%q", prefix))
	}
	return all
}

func scanSeeds() [][]byte {
	seeds := [][]byte{awsKeys(2), awsVersions(3)}
	for _, inner := range []string{
		``, ` `, `<IsTruncated>true</IsTruncated>`, `<IsTruncated> true </IsTruncated>`, `<IsTruncated>1</IsTruncated>`,
		`<IsTruncated/>`,
		`<Contents/>`, `<Contents></Contents>`, `<Contents><Key/></Contents>`, `<Contents><Key>a</Key><Key>b</Key></Contents>`,
		`<Contents><Key>a<!-- c -->b</Key></Contents>`, `<Contents><Key><![CDATA[a&b]]></Key></Contents>`,
		`<Contents><Key>a<b/>c</Key></Contents>`, `<Contents>text<Key>a</Key></Contents>`, "<Contents>\r\n<Key>a\r\nb</Key></Contents>",
		`<Contents><Key>&lt;&gt;&amp;&quot;&apos;&#65;&#x41;&#xE9;&#9;</Key></Contents>`, `<Contents><Key>&nbsp;</Key></Contents>`,
		`<Contents><Key>a&#x0;b</Key></Contents>`, `<Contents><Key>a&b</Key></Contents>`, `<Contents><Key>a]]>b</Key></Contents>`,
		`<Contents><Key a="b">c</Key></Contents>`, `<x:Contents><x:Key>a</x:Key></x:Contents>`, `<Contents><Key >c</Key ></Contents>`,
		`<Contents><Size>-1</Size></Contents>`, `<Contents><Size>9999999999999999999</Size></Contents>`, `<Contents><Size/></Contents>`,
		`<Contents><Size> 7 </Size></Contents>`, `<Contents><LastModified>yesterday</LastModified></Contents>`,
		`<Contents><LastModified>2026-01-02T03:04:05+02:00</LastModified></Contents>`, `<Contents><LastModified/></Contents>`,
		`<Contents><Owner><Key>inner</Key>mixed &amp; text</Owner><Key>a</Key></Contents>`, `<Owner><A><B>x</B></A></Owner>`,
		"<Contents><Key>\xff</Key></Contents>", "<Contents><Key>\xef\xbf\xbf</Key></Contents>", "<Contents><Key>ü世🎉</Key></Contents>",
		`<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes><CommonPrefixes/>`, `<CommonPrefixes><Key>a</Key></CommonPrefixes>`,
		`<Contents><Key>a</Key>`, `<Contents><Key>a</Contents></Key>`,
		`<Deep>` + strings.Repeat(`<a>`, 20) + strings.Repeat(`</a>`, 20) + `</Deep>`,
	} {
		seeds = append(seeds, []byte(`<ListBucketResult>`+inner+`</ListBucketResult>`), []byte(`<ListVersionsResult xmlns="a">`+
			strings.ReplaceAll(inner, "Contents", "Version")+`</ListVersionsResult>rest`))
	}
	for _, whole := range []string{
		"", "<", "<Error><Code>SlowDown</Code></Error>", `<html><body></body></html>`, `<ListBucketResult/>`,
		`<?xml version="1.1"?><ListBucketResult></ListBucketResult>`, `<ListBucketResultX></ListBucketResultX>`,
		`<?xml version="1.0" encoding="latin1"?><ListBucketResult></ListBucketResult>`,
		`<ListBucketResult xmlns="a" b="c"></ListBucketResult>`,
	} {
		seeds = append(seeds, []byte(whole))
	}
	return seeds
}

func FuzzScan(f *testing.F) {
	for _, seed := range scanSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) { compareScan(t, new(scanner), body) })
}

// TestScanUnderstands checks that what stores write needs no encoding/xml, one page after the other with one scanner.
func TestScanUnderstands(t *testing.T) {
	var s scanner
	for _, body := range [][]byte{awsKeys(1000), awsVersions(10), awsKeys(3), []byte(`<ListBucketResult></ListBucketResult>`)} {
		if !compareScan(t, &s, body) {
			t.Errorf("not understood: %.300s", body)
		}
	}
}

// TestScanMutations changes pages at random: fuzzing of a kind that every run does.
func TestScanMutations(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // reproducible on purpose
	pieces := []string{
		"<", ">", "/", "&", ";", "&amp;", "<Key>", "</Key>", "<Key/>", "]]>", "\r", "\x00", "\xff", " ", "x", `"`, "<!--", "-->",
		"<Contents>", "</Contents>", "<?p?>", "<![CDATA[", "true", "0", ":",
	}
	seeds := scanSeeds()
	understood := 0
	for range 20_000 {
		body := bytes.Clone(seeds[random.IntN(len(seeds))])
		for range random.IntN(3) {
			at := random.IntN(len(body) + 1)
			end := at + random.IntN(min(5, len(body)-at)+1)
			body = append(body[:at:at], append([]byte(pieces[random.IntN(len(pieces))]), body[end:]...)...)
		}
		if compareScan(t, new(scanner), body) {
			understood++
		}
	}
	if understood == 0 {
		t.Error("nothing was understood")
	}
}

// BenchmarkListing reads a page of 1,000 entries.
func BenchmarkListing(b *testing.B) {
	pages := map[string][]byte{"Keys": awsKeys(1000), "Versions": awsVersions(1000)}
	for name, body := range pages {
		b.Run(name, func(b *testing.B) {
			var p pageReader
			p.body.Write(body)
			b.ReportAllocs()
			for b.Loop() {
				page, err := p.decode()
				if err != nil || len(page.objects()) != 1000 {
					b.Fatal(len(page.entries), err)
				}
			}
		})
		b.Run(name+"XML", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parseListing(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
