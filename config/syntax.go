package config

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth is how deep brackets may nest, and how many "-" and "?" may stand on a line: far more than the format needs.
// The parser's time and memory grow with the square of it.
const maxDepth = 32

const syntaxRemedy = "correct the YAML here or just above: indentation, quotes and brackets are the usual causes"

// parse reads data as one YAML document and returns its root. It reports false after adding a fault.
func parse(r *report, data []byte) (root ast.Node, ok bool) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(data) > maxFileSize {
		r.addAt(position{}, "", tooLarge(), "check that this is the configuration file")
		return nil, false
	}
	if at := invalidUTF8(data); at >= 0 {
		r.addAt(lineColumn(data[:at]), "", "is not UTF-8 text", "save the file as UTF-8")
		return nil, false
	}
	tokens := lexer.Tokenize(string(data))
	if tk := tooDeep(tokens); tk != nil {
		r.addAt(positionOf(tk), "", "is nested too deeply", syntaxRemedy)
		return nil, false
	}
	// Duplicate keys are left to the decoder, which does not stop at the first.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		addSyntaxFault(r, err)
		return nil, false
	}
	return onlyDocument(r, file)
}

func onlyDocument(r *report, file *ast.File) (root ast.Node, ok bool) {
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case root != nil:
			r.addAt(startOf(doc.Body), "", "holds a second YAML document", "keep one document, without further --- lines")
			return nil, false
		default:
			root = doc.Body
		}
	}
	if root == nil {
		r.addAt(position{}, "", "is empty", "start from the output of s3mesh config example")
	}
	return root, root != nil
}

// addSyntaxFault adds the parser's error without the excerpt of the file that its Error method prints, and without what
// its message quotes.
func addSyntaxFault(r *report, err error) {
	message, pos, remedy := "cannot be parsed", position{}, syntaxRemedy
	if e, ok := errors.AsType[yaml.Error](err); ok {
		message, _, _ = strings.Cut(e.GetMessage(), `"`)
		message = strings.TrimRight(message, ": ")
		tk := e.GetToken()
		pos = positionOf(tk)
		if tk != nil && tk.Value == "{" && tk.Prev != nil && strings.HasSuffix(tk.Prev.Value, "$") {
			remedy = `inside { } and [ ] write "${NAME}" in quotes`
		}
	}
	r.addAt(pos, "", "is not valid YAML: "+strings.ReplaceAll(message, "\t", `\t`), remedy)
}

// tooDeep returns the token at which nesting exceeds maxDepth, or nil. Nesting by indentation needs no bound: its depth
// is at most the square root of the file's size.
func tooDeep(tokens token.Tokens) *token.Token {
	depth, line, onLine := 0, 0, 0
	for _, tk := range tokens {
		if tk.Position.Line != line {
			line, onLine = tk.Position.Line, 0
		}
		switch tk.Type { //nolint:exhaustive // only brackets open and close
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			onLine++
		}
		if depth > maxDepth || onLine > maxDepth {
			return tk
		}
	}
	return nil
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// lineColumn returns the place right after text.
func lineColumn(text []byte) position {
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	return position{1 + bytes.Count(text, []byte("\n")), 1 + utf8.RuneCount(line)}
}

func positionOf(tk *token.Token) position {
	if tk == nil || tk.Position == nil {
		return position{}
	}
	return position{tk.Position.Line, tk.Position.Column}
}

// startOf returns where a node starts. A block mapping's own token is the ":" after its first key.
func startOf(n ast.Node) position {
	if m, ok := n.(ast.MapNode); ok {
		if it := m.MapRange(); it.Next() {
			return positionOf(it.Key().GetToken())
		}
	}
	return positionOf(n.GetToken())
}
