package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/s3mesh/s3mesh"
)

// decoder fills Go values from a syntax tree. The types are the schema: a field is called as in its json tag, and its
// config tag says whether it is "required" or "nullable" (may be left without a value). It adds a fault for whatever does
// not fit and goes on.
type decoder struct {
	*report
	env func(string) (string, bool)
}

// field is one field of a struct of the schema.
type field struct {
	name               string
	index              int
	required, nullable bool
}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		rule := f.Tag.Get("config")
		fields = append(fields, field{name, i, rule == "required", rule == "nullable"})
	}
	return fields
}

func namesOf(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// mapping decodes n, a mapping, into v, a struct.
func (d *decoder) mapping(n ast.Node, path string, v reflect.Value) {
	if path == "" {
		d.at[path] = startOf(n)
	}
	m, ok := n.(ast.MapNode)
	if !ok {
		d.unreadable(path, "is "+kindOf(n)+" where a mapping belongs", `write it as "field: value" lines`)
		return
	}
	fields := fieldsOf(v.Type())
	first := map[string]position{}
	it := m.MapRange()
	for it.Next() {
		d.entry(it.KeyValue(), path, fields, func(f field) reflect.Value {
			pos := startOf(it.Key())
			if before, twice := first[f.name]; twice {
				d.addAt(pos, join(path, f.name), fmt.Sprintf("is given twice: first on line %d", before.line),
					"keep one of the two")
				return reflect.Value{}
			}
			first[f.name] = pos
			return v.Field(f.index)
		})
	}
	if len(first) == 0 && d.clean(path) {
		d.unreadable(path, "is empty", "give it fields, or remove it")
		return
	}
	d.missing(path, fields)
}

// entry decodes one entry of a mapping into the value that claim gives for its field. The zero Value means that the field
// was claimed before.
func (d *decoder) entry(n *ast.MappingValueNode, path string, fields []field, claim func(field) reflect.Value) {
	key, ok := n.Key.(*ast.StringNode)
	if !ok {
		d.addAt(startOf(n.Key), path, "holds a key that is not plain text",
			"write each field as name: value; anchors, merge keys and tags are not supported")
		return
	}
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
	if i < 0 {
		d.unknown(key, path, namesOf(fields))
		return
	}
	v := claim(fields[i])
	if !v.IsValid() {
		return
	}
	path = join(path, fields[i].name)
	d.at[path] = startOf(n.Key)
	if _, isScalar := n.Value.(ast.ScalarNode); isScalar && !isNull(n.Value) {
		d.at[path] = startOf(n.Value)
	}
	if fields[i].nullable && isBlank(n.Value) {
		v.Set(reflect.New(v.Type().Elem()))
		return
	}
	d.value(n.Value, path, v)
}

// fieldLike matches what may be quoted of an unknown field: a name, and not a key or token that slipped into its place.
var fieldLike = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,30}$`)

func (d *decoder) unknown(key *ast.StringNode, path string, names []string) {
	remedy := "use one of: " + strings.Join(names, ", ")
	if !fieldLike.MatchString(key.Value) {
		d.addAt(startOf(key), path, "holds an unknown field", remedy)
		return
	}
	if name, ok := nearest(key.Value, names); ok {
		remedy = fmt.Sprintf("did you mean %q?", name)
		if !d.has(join(path, name)) {
			d.spoil(join(path, name)) // it is there, but misspelt: it is not to be reported as missing, too
		}
	}
	d.addAt(startOf(key), join(path, key.Value), "is an unknown field", remedy)
}

func (d *decoder) missing(path string, fields []field) {
	for _, f := range fields {
		if at := join(path, f.name); f.required && !d.has(at) {
			d.invalid(at, "is missing", "add it, as s3mesh config example shows")
		}
	}
}

// value decodes n into v.
func (d *decoder) value(n ast.Node, path string, v reflect.Value) {
	switch {
	case isBlank(n):
		d.unreadable(path, "is empty", "give it a value, or remove it")
		return
	case isIndirect(n):
		d.unreadable(path, "uses an anchor, an alias or a tag", "write the plain value here")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch target := v.Addr().Interface().(type) {
	case *string, *bool, *int, *Secret, *ByteSize, *Duration, *Deletes, *s3mesh.Link:
		d.scalar(n, path, target)
	default:
		if v.Kind() == reflect.Slice {
			d.sequence(n, path, v)
		} else {
			d.mapping(n, path, v)
		}
	}
}

// sequence decodes n, a list, into v, a slice.
func (d *decoder) sequence(n ast.Node, path string, v reflect.Value) {
	list, ok := n.(*ast.SequenceNode)
	switch {
	case !ok:
		d.unreadable(path, "is "+kindOf(n)+" where a list belongs", `write each item on a line of its own, after "- "`)
		return
	case len(list.Values) == 0:
		d.unreadable(path, "is empty", "give it items, or remove it")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, item := range list.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.at[at] = startOf(item)
		d.value(item, at, v.Index(i))
	}
}

// isBlank reports whether n is no value at all, or the empty text.
func isBlank(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value == ""
	case *ast.LiteralNode:
		return n.Value.Value == ""
	default:
		return isNull(n)
	}
}

func isNull(n ast.Node) bool {
	_, isNull := n.(*ast.NullNode)
	return n == nil || isNull
}

// isIndirect reports whether the meaning of n depends on more than its own text.
func isIndirect(n ast.Node) bool {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return true
	default:
		return false
	}
}

// kindOf says what n is, without quoting it.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case ast.MapNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	default:
		return "something else"
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
