package config

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"github.com/s3mesh/s3mesh"
)

var (
	reference = regexp.MustCompile(`\$\{([^}]*)\}?`)
	variable  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	decimal   = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
)

// scalar is a single value of the file, as text.
type scalar struct {
	text     string
	node     ast.Node
	expanded bool // text comes from the environment, in part or whole, and must not be quoted
}

// isText reports whether the value can stand for text: it was written as text.
func (s scalar) isText() bool {
	switch s.node.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return true
	default:
		return false
	}
}

// complaint is what is wrong with a value, and the remedy. The zero complaint is none.
type complaint struct{ message, remedy string }

// scalar decodes n into the value that target points to.
func (d *decoder) scalar(n ast.Node, path string, target any) {
	if secret, ok := target.(*Secret); ok {
		d.secret(n, path, secret)
		return
	}
	s, ok := d.read(n, path)
	if !ok {
		return
	}
	shown := d.quote(path, s.text)
	var c complaint
	switch target := target.(type) {
	case *string:
		*target, c = s.text, s.checkText()
	case *bool:
		*target, c = s.bool()
	case *int:
		*target, c = s.int()
	case *ByteSize:
		*target, c = s.byteSize(shown)
	case *Duration:
		*target, c = s.duration(shown)
	case *Deletes:
		*target, c = s.deletes(shown)
	case *s3mesh.Link:
		*target, c = s.link(shown)
	}
	if c != (complaint{}) {
		d.unreadable(path, c.message, c.remedy)
	}
}

// read returns the value of n with its environment variables replaced.
func (d *decoder) read(n ast.Node, path string) (scalar, bool) {
	s := scalar{node: n}
	switch n := n.(type) {
	case *ast.StringNode:
		return d.expand(scalar{text: n.Value, node: n}, path)
	case *ast.LiteralNode:
		return d.expand(scalar{text: n.Value.Value, node: n}, path)
	case *ast.BoolNode:
		s.text = strconv.FormatBool(n.Value)
	case *ast.IntegerNode:
		s.text = n.Token.Value
	case *ast.FloatNode:
		s.text = n.Token.Value
	default:
		d.unreadable(path, "is "+kindOf(n)+" where a single value belongs", "write one value")
		return s, false
	}
	return s, true
}

// expand replaces every ${NAME} of s.
func (d *decoder) expand(s scalar, path string) (scalar, bool) {
	ok := true
	text := reference.ReplaceAllStringFunc(s.text, func(ref string) string {
		s.expanded = true
		value, c := d.lookup(ref)
		if c != (complaint{}) {
			d.unreadable(path, c.message, c.remedy)
			ok = false
		}
		return value
	})
	s.text = text
	d.fromEnv[path] = s.expanded
	if ok && strings.ContainsFunc(s.text, unicode.IsControl) {
		d.unreadable(path, "holds a line break or another control character", "remove it")
		ok = false
	}
	return s, ok
}

// lookup returns the value of a reference to an environment variable.
func (d *decoder) lookup(ref string) (string, complaint) {
	name := strings.TrimSuffix(strings.TrimPrefix(ref, "${"), "}")
	if !strings.HasSuffix(ref, "}") || !variable.MatchString(name) {
		return "", complaint{`holds "${" that is not followed by a name and "}"`,
			"write ${NAME}, with letters, digits and underscores; there are no defaults or other forms"}
	}
	switch value, set := d.env(name); {
	case !set:
		return "", complaint{"needs the environment variable " + name + ", which is not set", "set it"}
	case value == "":
		return "", complaint{"needs the environment variable " + name + ", which is empty", "give it a value"}
	default:
		return value, complaint{}
	}
}

// secret decodes a value that must come from the environment as a whole. Nothing of it is ever quoted.
func (d *decoder) secret(n ast.Node, path string, target *Secret) {
	text, isText := n.(*ast.StringNode)
	if !isText || reference.FindString(text.Value) != text.Value || !strings.HasSuffix(text.Value, "}") {
		d.unreadable(path, "is a secret, and must not be written into the file",
			"put it into an environment variable and write ${NAME}")
		return
	}
	if s, ok := d.read(n, path); ok {
		d.keep(s.text, path, target)
	}
}

// keep sets target to value, if that can be sent in an HTTP header, as keys and tokens are.
func (d *decoder) keep(value, path string, target *Secret) {
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		d.unreadable(path, "is a secret with spaces or characters that are not ASCII",
			"check how the environment variable is set")
		return
	}
	*target = newSecret(value)
}

func (s scalar) checkText() complaint {
	if !s.isText() {
		return complaint{"is " + kindOf(s.node) + " where text belongs", "put it in quotes"}
	}
	return complaint{}
}

func (s scalar) bool() (bool, complaint) {
	if _, isBool := s.node.(*ast.BoolNode); isBool || s.expanded {
		switch s.text {
		case "true":
			return true, complaint{}
		case "false":
			return false, complaint{}
		}
	}
	return false, complaint{"is neither true nor false", "write true or false, without quotes"}
}

func (s scalar) int() (int, complaint) {
	_, isInt := s.node.(*ast.IntegerNode)
	n, err := strconv.Atoi(s.text)
	if err != nil || !decimal.MatchString(s.text) || !isInt && !s.expanded {
		return 0, complaint{"is not a whole number", "write it in digits alone, without quotes"}
	}
	return n, complaint{}
}

func (s scalar) byteSize(shown string) (ByteSize, complaint) {
	size, err := ParseByteSize(s.text)
	if err != nil {
		return 0, complaint{shown + " is not a size", "write a whole number and a unit, such as 64MiB or 5GB"}
	}
	return size, complaint{}
}

func (s scalar) duration(shown string) (Duration, complaint) {
	wait, err := time.ParseDuration(s.text)
	if err != nil || !s.isText() {
		return 0, complaint{shown + " is not a duration", "write a number and a unit, such as 500ms, 2s or 1h30m"}
	}
	return Duration(wait), complaint{}
}

func (s scalar) deletes(shown string) (Deletes, complaint) {
	choice := Deletes(s.text)
	if !choice.Valid() {
		return "", complaint{shown + " is not what can become of deletes", "write ignore or propagate"}
	}
	return choice, complaint{}
}

func (s scalar) link(shown string) (s3mesh.Link, complaint) {
	if source, target, ok := strings.Cut(s.text, "->"); ok && source == target && source != "" {
		return s3mesh.Link{}, complaint{shown + " links a site to itself", "name two different sites"}
	}
	link, err := s3mesh.ParseLink(s.text)
	if err != nil {
		return s3mesh.Link{}, complaint{shown + " is not a link", "write source->target, with the names of two sites"}
	}
	return link, complaint{}
}
