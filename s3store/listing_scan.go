package s3store

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"
)

// scanner reads a page of a listing as stores write it, many times faster than encoding/xml does: elements without attributes,
// and text with escapes. It gives up on anything else, and never reads what encoding/xml would read otherwise (see
// FuzzScan). It can be used again, one page after the other.
type scanner struct {
	rest []byte // of the document
	text []byte // holds the texts that had escapes
	page rawListing
}

const (
	xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>`
	// deepest is how many elements may be in one another.
	deepest = 16
)

// scan reads the page in body and reports whether all of it was understood. The page shares the memory of body and of the
// scanner.
func (s *scanner) scan(body []byte) (rawListing, bool) {
	s.rest, s.text = bytes.TrimPrefix(body, []byte(xmlDeclaration)), s.text[:0]
	s.page = rawListing{entries: s.page.entries[:0], prefixes: s.page.prefixes[:0]}
	root, ok := s.root()
	return s.page, ok && s.children(root, s.pageChild)
}

// element is an element whose start has been read.
type element struct {
	name  []byte
	empty bool // and its end, too
}

// root reads the start of the outermost element, which alone may name a namespace.
func (s *scanner) root() (root element, ok bool) {
	s.space()
	if !s.skip("<") {
		return element{}, false
	}
	root.name = s.name()
	if string(root.name) != rootKeys && string(root.name) != rootVersions {
		return element{}, false
	}
	if s.skip(` xmlns="`) {
		end := slices.IndexFunc(s.rest, func(c byte) bool { return c <= ' ' || c > '~' || c == '<' || c == '&' || c == '"' })
		if end < 0 {
			return element{}, false
		}
		if s.rest = s.rest[end:]; !s.skip(`"`) {
			return element{}, false
		}
	}
	return root, s.skip(">")
}

// pageChild reads an element of the outermost one.
func (s *scanner) pageChild(e element) (ok bool) {
	switch string(e.name) {
	case elementContents, elementVersion, elementMarker:
		s.page.entries = append(s.page.entries, rawEntry{marker: string(e.name) == elementMarker})
		return s.children(e, s.entryChild)
	case elementPrefixes:
		s.page.prefixes = append(s.page.prefixes, nil)
		return s.children(e, s.prefixChild)
	case "IsTruncated":
		s.page.truncated, ok = s.truth(e)
	case "EncodingType":
		s.page.encoding, ok = s.content(e)
	case "NextContinuationToken":
		s.page.token, ok = s.content(e)
	case "NextKeyMarker":
		s.page.nextKey, ok = s.content(e)
	case "NextVersionIdMarker":
		s.page.nextID, ok = s.content(e)
	default:
		return s.ignore(e, deepest)
	}
	return ok
}

func (s *scanner) entryChild(e element) (ok bool) {
	entry := &s.page.entries[len(s.page.entries)-1]
	switch string(e.name) {
	case "Key":
		entry.key, ok = s.content(e)
	case "VersionId":
		entry.id, ok = s.content(e)
	case "ETag":
		entry.etag, ok = s.content(e)
	case "IsLatest":
		entry.latest, ok = s.truth(e)
	case "Size":
		var digits []byte
		if digits, ok = s.content(e); ok {
			entry.size, ok = number(digits)
		}
	case "LastModified":
		var stamp []byte
		if stamp, ok = s.content(e); ok {
			ok = entry.modified.UnmarshalText(stamp) == nil
		}
	case "Prefix":
		_, ok = s.content(e)
	default:
		return s.ignore(e, deepest)
	}
	return ok
}

// prefixChild reads an element of a common prefix. Those of an entry are not expected there.
func (s *scanner) prefixChild(e element) (ok bool) {
	if string(e.name) != "Prefix" {
		return false
	}
	s.page.prefixes[len(s.page.prefixes)-1], ok = s.content(e)
	return ok
}

// children reads up to the end of parent, and calls each for what is in it.
func (s *scanner) children(parent element, each func(element) bool) bool {
	if parent.empty {
		return true
	}
	for {
		s.space()
		if s.end(parent) {
			return true
		}
		child, ok := s.start()
		if !ok || !each(child) {
			return false
		}
	}
}

// ignore reads an element with all that is in it, up to depth elements in one another.
func (s *scanner) ignore(e element, depth int) bool {
	if e.empty {
		return true
	}
	for depth > 0 {
		if _, ok := s.characters(); !ok {
			return false
		}
		if s.end(e) {
			return true
		}
		child, ok := s.start()
		if !ok || !s.ignore(child, depth-1) {
			return false
		}
	}
	return false
}

// content reads the text in e, and its end.
func (s *scanner) content(e element) (text []byte, ok bool) {
	if e.empty {
		return nil, true
	}
	text, ok = s.characters()
	return text, ok && s.end(e)
}

func (s *scanner) truth(e element) (value, ok bool) {
	text, ok := s.content(e)
	value = string(text) == "true"
	return value, ok && (value || string(text) == "false")
}

// number reads an integer that cannot overflow.
func number(digits []byte) (n int64, ok bool) {
	const most = 18
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(digits) > 0 && len(digits) <= most
}

// start reads the start of an element.
func (s *scanner) start() (e element, ok bool) {
	if !s.skip("<") {
		return element{}, false
	}
	e.name = s.name()
	e.empty = s.skip("/")
	return e, len(e.name) > 0 && s.skip(">")
}

// end reads the end of e, if that is what comes next.
func (s *scanner) end(e element) bool {
	n := len(e.name)
	if len(s.rest) < n+3 || s.rest[0] != '<' || s.rest[1] != '/' || s.rest[n+2] != '>' || !bytes.Equal(s.rest[2:n+2], e.name) {
		return false
	}
	s.rest = s.rest[n+3:]
	return true
}

// name reads the letters that come next.
func (s *scanner) name() []byte {
	n := 0
	for n < len(s.rest) && 'a' <= s.rest[n]|0x20 && s.rest[n]|0x20 <= 'z' {
		n++
	}
	name := s.rest[:n]
	s.rest = s.rest[n:]
	return name
}

func (s *scanner) space() {
	n := 0
	for n < len(s.rest) && (s.rest[n] == ' ' || s.rest[n] == '\n' || s.rest[n] == '\t' || s.rest[n] == '\r') {
		n++
	}
	s.rest = s.rest[n:]
}

// skip reads what is given, if it comes next.
func (s *scanner) skip(what string) bool {
	if len(s.rest) < len(what) || string(s.rest[:len(what)]) != what {
		return false
	}
	s.rest = s.rest[len(what):]
	return true
}

// characters reads text up to the next tag.
func (s *scanner) characters() (text []byte, ok bool) {
	n := bytes.IndexByte(s.rest, '<')
	if n < 0 {
		return nil, false
	}
	text, s.rest = s.rest[:n], s.rest[n:]
	plain := true
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '&':
			plain = false
		case c == '\n', c == '\t':
		case c < ' ', c == '>': // encoding/xml makes one line end of "\r\n", and refuses "]]>"
			return nil, false
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError || r == 0xFFFE || r == 0xFFFF {
				return nil, false
			}
			i += size - 1
		}
	}
	if plain {
		return text, true
	}
	return s.unescape(text)
}

// unescape copies text with the characters that its escapes stand for.
func (s *scanner) unescape(text []byte) ([]byte, bool) {
	start := len(s.text)
	for {
		before, rest, found := bytes.Cut(text, []byte("&"))
		s.text = append(s.text, before...)
		if !found {
			return s.text[start:], true
		}
		name, after, found := bytes.Cut(rest, []byte(";"))
		c, known := escaped(name)
		if !found || !known {
			return nil, false
		}
		s.text, text = append(s.text, c), after
	}
}

// escaped returns the character that an escape stands for, where that is printable ASCII.
func escaped(name []byte) (c byte, known bool) {
	switch string(name) {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, numeric := bytes.CutPrefix(name, []byte("#"))
	base := 10
	if hexadecimal, found := bytes.CutPrefix(digits, []byte("x")); found {
		digits, base = hexadecimal, 16
	}
	n, err := strconv.ParseUint(string(digits), base, 8)
	return byte(n), numeric && err == nil && ' ' <= n && n <= '~'
}
