package archtest

import (
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/s3mesh/s3mesh"

// rule says what the sources of a package may import, tests aside. Of our own packages only those in own, named by their
// path within the module ("." is the root); of other modules only where thirdParty is set.
type rule struct {
	own        []string
	thirdParty bool
}

// rules holds every package of the product. One that is missing here fails the test: a new package takes a place in the
// design before it takes code.
var rules = map[string]rule{
	".":          {},
	"notify":     {own: []string{"."}},
	"resolve":    {own: []string{"."}},
	"replicate":  {own: []string{".", "resolve"}, thirdParty: true},
	"reconcile":  {own: []string{".", "resolve"}, thirdParty: true},
	"verify":     {own: []string{".", "resolve"}, thirdParty: true},
	"doctor":     {own: []string{"."}, thirdParty: true},
	"alert":      {own: []string{"."}, thirdParty: true},
	"s3store":    {own: []string{"."}, thirdParty: true},
	"natsqueue":  {own: []string{"."}, thirdParty: true},
	"memstore":   {own: []string{"."}, thirdParty: true},
	"devstore":   {own: []string{"."}, thirdParty: true},
	"config":     {own: []string{"."}, thirdParty: true},
	"intake":     {own: []string{".", "internal/webapi"}},
	"admin":      {own: []string{".", "internal/webapi"}, thirdParty: true},
	"cmd/s3mesh": {own: []string{"*"}, thirdParty: true},

	"internal/webapi":   {own: []string{"."}},
	"internal/archtest": {},
	"internal/cicheck":  {},
	"internal/sample":   {},
	"internal/sim":      {own: []string{".", "memstore", "replicate", "resolve"}},
}

// ruleFor returns the rule of the package at dir. Under internal, a package without a rule takes that of the folder above
// it; where there is none either, it is there for tests: it may import everything, and only tests may import it.
func ruleFor(dir string) (rule, bool) {
	for at := dir; at == dir || strings.HasPrefix(at, "internal/"); at = path.Dir(at) {
		if r, ok := rules[at]; ok {
			return r, true
		}
	}
	return rule{own: []string{"*"}, thirdParty: true}, strings.HasPrefix(dir, "internal/")
}

// allows reports whether a file of a package under r may import imp.
func (r rule) allows(dir, imp string, test bool) bool {
	own, ours := inModule(imp)
	switch {
	case !ours:
		return r.thirdParty || test || isStandard(imp)
	case own == dir || slices.Contains(r.own, own) || slices.Contains(r.own, "*"):
		return true
	default:
		return test && !strings.HasPrefix(own, "cmd/")
	}
}

// forbidden are modules that nothing may link, because of their licence (AGPL): they run as processes of their own.
var forbidden = []string{"github.com/minio/minio", "github.com/minio/mc", "github.com/minio/console"}

func inModule(imp string) (string, bool) {
	if imp == module {
		return ".", true
	}
	return strings.CutPrefix(imp, module+"/")
}

// isStandard holds because the first element of any other module's path is a domain.
func isStandard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

func within(imp string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") })
}

// source is one Go file and what it imports.
type source struct {
	name    string // relative to the module
	imports []string
}

func (s source) dir() string  { return path.Dir(s.name) }
func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

func TestImportDirections(t *testing.T) {
	sources := parseModule(t, moduleRoot(t))
	if len(sources) < 10 {
		t.Fatalf("found only %d Go files: the walk is broken", len(sources))
	}
	for _, s := range sources {
		for _, fault := range faults(s) {
			t.Error(fault)
		}
	}
}

func faults(s source) []string {
	r, ok := ruleFor(s.dir())
	if !ok {
		return []string{s.name + ": package " + s.dir() + " has no rule: give it one here and in .golangci.yml"}
	}
	var found []string
	for _, imp := range s.imports {
		if within(imp, forbidden) {
			found = append(found, s.name+" imports "+imp+", whose licence forbids linking it")
		} else if !r.allows(s.dir(), imp, s.isTest()) {
			found = append(found, s.name+" may not import "+imp)
		}
	}
	return found
}

func TestFaults(t *testing.T) {
	tests := []struct {
		file, imp string
		fault     bool
	}{
		{"site.go", "strings", false},
		{"site.go", "golang.org/x/sync/errgroup", true},
		{"site.go", module + "/resolve", true},
		{"site_test.go", module + "/internal/conformance", false},
		{"notify/s3.go", module, false},
		{"notify/s3.go", module + "/resolve", true},
		{"notify/s3.go", "github.com/nats-io/nats.go", true},
		{"resolve/resolve.go", module + "/internal/sample", true},
		{"replicate/worker.go", module + "/resolve", false},
		{"replicate/worker.go", "golang.org/x/sync/errgroup", false},
		{"replicate/worker.go", module + "/natsqueue", true},
		{"replicate/worker.go", module + "/internal/conformance", true},
		{"replicate/worker_test.go", module + "/memstore", false},
		{"s3store/bucket.go", "github.com/aws/aws-sdk-go-v2/service/s3", false},
		{"s3store/bucket.go", module + "/devstore", true},
		{"s3store/bucket.go", module + "/resolve", true},
		{"s3store/bucket_test.go", module + "/internal/peer", false},
		{"s3store/bucket_test.go", module + "/cmd/s3mesh", true},
		{"cmd/s3mesh/run.go", module + "/natsqueue", false},
		{"internal/sim/world.go", module + "/replicate", false},
		{"internal/sim/world.go", module + "/s3store", true},
		{"internal/sim/world.go", "golang.org/x/sync/errgroup", true},
		{"internal/peer/minio.go", module + "/s3store", false},
		{"internal/peer/minio.go", "github.com/minio/minio/cmd", true},
		{"internal/peer/minio.go", "github.com/minio/minio-go/v7", false},
		{"internal/sample/gen/main.go", "image/jpeg", false},
		{"internal/sample/gen/main.go", "golang.org/x/image/draw", true},
		{"extra/extra.go", "strings", true},
		{"s3store/extra/extra.go", "strings", true},
	}
	for _, tt := range tests {
		got := faults(source{name: tt.file, imports: []string{tt.imp}})
		if (len(got) > 0) != tt.fault {
			t.Errorf("%s importing %s: faults %q, want a fault: %v", tt.file, tt.imp, got, tt.fault)
		}
	}
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		} else if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			t.Fatalf("no go.mod above the test: %v", err)
		}
		dir = filepath.Dir(dir)
	}
}

func parseModule(t *testing.T, root string) []source {
	t.Helper()
	var sources []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		s, err := parseSource(root, name)
		sources = append(sources, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

func parseSource(root, name string) (source, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		return source{}, err
	}
	rel, err := filepath.Rel(root, name)
	s := source{name: filepath.ToSlash(rel)}
	for _, spec := range file.Imports {
		imp, unquoteErr := strconv.Unquote(spec.Path.Value)
		err = errors.Join(err, unquoteErr)
		s.imports = append(s.imports, imp)
	}
	return s, err
}
