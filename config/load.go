package config

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"reflect"
	"time"

	"github.com/s3mesh/s3mesh"
)

// maxFileSize bounds the memory and the time that reading a file can take: the parser's time grows with the square of a
// mapping's length. A commented file of maxSites sites fits.
const maxFileSize = 256 << 10

//go:embed example.yaml
var example []byte

// Example returns a commented mesh.yaml that shows every field.
func Example() []byte { return bytes.Clone(example) }

// Load reads the file at path; see [Parse]. Its errors are an [*Error] for what the file says, and an *s3mesh.Error of
// KindInvalid when the file cannot be read.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "load configuration", Err: err}
	}
	return Parse(path, data, env)
}

func readFile(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	// Nothing was written, so that a failure to close has nothing to tell.
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxFileSize+1))
}

// Parse reads a configuration, fills in its defaults and checks it. name is the file's name in faults; env looks up an
// environment variable, as os.LookupEnv does. Its error is an [*Error] with every fault.
func Parse(name string, data []byte, env func(string) (string, bool)) (*Config, error) {
	r := newReport(name)
	c := defaults()
	if root, ok := parse(r, data); ok {
		d := decoder{report: r, env: env}
		d.mapping(root, "", reflect.ValueOf(c).Elem())
		if !r.bad[""] {
			v := validator{report: r, env: env, config: c}
			v.validate()
		}
	}
	if len(r.faults) > 0 {
		return nil, &Error{inOrder(r.faults)}
	}
	c.warnings = inOrder(r.warnings)
	return c, nil
}

// defaults returns what holds where the file says nothing. The defaults of a site depend on its other fields: see
// validator.site.
func defaults() *Config {
	return &Config{
		Intake:      Intake{Listen: "127.0.0.1:9481"},
		Admin:       Admin{Listen: "127.0.0.1:9480"},
		Replication: DefaultReplication(),
		Reconcile:   DefaultReconcile(),
	}
}

// DefaultReconcile returns what holds where a file says nothing else.
func DefaultReconcile() Reconcile { return Reconcile{Every: Duration(24 * time.Hour)} }

// DefaultReplication returns what holds where a file says nothing else.
func DefaultReplication() Replication {
	return Replication{
		Workers: 16, BulkWorkers: 8, LargeWorkers: 2, LargeObject: 64 << 20, Attempts: 8,
		MaxClockSkew: Duration(2 * time.Second), Deletes: DeletesIgnore, MaxDeletesPerMinute: 1000,
		TombstoneRetention: Duration(30 * 24 * time.Hour),
	}
}

// tooLarge is the fault of a file past maxFileSize.
func tooLarge() string { return fmt.Sprintf("is larger than %s", ByteSize(maxFileSize)) }
