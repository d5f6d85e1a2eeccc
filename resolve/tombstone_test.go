package resolve_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

func TestTombstoneSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		if strings.ContainsRune(key, '\uFFFD') {
			t.Skip("JSON spells what is not UTF-8 so")
		}
		want := resolve.Tombstone{Key: key}.Bind("m1", deleted("us", 100)).Bind("", deleted("eu", 200))
		want = want.Intend(resolve.Intent{Delete: deleted("ap", 300), ETag: "w", Made: written})
		data, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := resolve.ParseTombstone(data, key, written)
		if err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%s came back as %+v, %v", data, got, err)
		}
	})
}

func TestParseTombstoneRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON": "x", "empty": "", "of another key": `{"key":"other"}`, "of no key": `{}`,
		"of another type": `{"key":"k","markers":7}`,
		"of no delete":    `{"key":"k","markers":[{"id":"","delete":{"time":{"seconds":1},"origin":"us","version_id":"z"}}]}`,
		"of an object":    `{"key":"k","markers":[{"id":"","delete":{"deleted":true,"etag":"e","origin":"us","version_id":"z"}}]}`,
		"of no site":      `{"key":"k","markers":[{"id":"","delete":{"deleted":true,"origin":"U S","version_id":"z"}}]}`,
		"of a time to come": `{"key":"k","markers":[{"id":"","delete":{"deleted":true,"origin":"us","version_id":"z",` +
			`"time":{"seconds":9223372036854775807,"counter":4294967295}}}]}`,
		"with an intent that explains everything": `{"key":"k","intents":[{"delete":{"deleted":true,"origin":"us","version_id":"z"},` +
			`"unconditional":true}]}`,
	} {
		if got, err := resolve.ParseTombstone([]byte(text), "k", written); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTombstoneBinds(t *testing.T) {
	low, high := deleted("us", 100), deleted("us", 200)
	both := resolve.Tombstone{}.Bind("m", low).Bind("m", high).Bind("m", low)
	if v, found := both.Of("m"); !found || v != high {
		t.Errorf("a marker stands for the latest delete merged into it, not %+v", v)
	}
	if got := both.Bind("n", high).MarkersOf(high); !cmp.Equal(got, []string{"m", "n"}) {
		t.Errorf("markers of a delete: %q", got)
	}
	if _, found := both.Unbind("m").Of("m"); found {
		t.Error("an unbound marker is still known")
	}
	one, two := resolve.Intent{Delete: low, ETag: "e", Made: written}, resolve.Intent{Delete: high, ETag: "e", Made: written.Add(1)}
	both = both.Intend(one).Intend(two)
	if got := both.Explain(written, "e"); got == nil || got.Delete != high {
		t.Errorf("a marker that either may have made comes from %+v", got)
	}
	if got := both.End(two).Explain(written, "e"); got == nil || got.Delete != low {
		t.Errorf("one task gave up: the other's is %+v", got)
	}
	if got := both.End(two).End(one); got.Explain(written, "e") != nil {
		t.Errorf("both ended: %+v", got)
	}
}

func TestTentativeDeletesAreNotConfirmed(t *testing.T) {
	for _, id := range []string{"", "m"} {
		stone := resolve.Tombstone{}.Expect(id, deleted("us", 100))
		if v, found := stone.Of(id); !found || v != deleted("us", 100) {
			t.Errorf("%q: while it is on top it is %+v, %v", id, v, found)
		}
		if got := stone.MarkersOf(deleted("us", 100)); len(got) != 0 {
			t.Errorf("%q: unconfirmed, %q would be missed", id, got)
		}
		if _, found := stone.Confirmed(id); found {
			t.Errorf("%q counts as confirmed", id)
		}
		if v, found := stone.Bind(id, deleted("us", 100)).Confirmed(id); !found || v != deleted("us", 100) {
			t.Errorf("%q: confirmed, it is %+v, %v", id, v, found)
		}
		if got := stone.Unexpect(id, deleted("us", 100)); len(got.Markers) != 0 {
			t.Errorf("%q is not forgotten: %+v", id, got)
		}
	}
}

func TestWithdrawnMarkersAreNotMissed(t *testing.T) {
	stone := resolve.Tombstone{}.Bind("m", deleted("us", 100)).Withdraw("m")
	if v, found := stone.Of("m"); !found || v != deleted("us", 100) {
		t.Errorf("as long as it is there it stands for %+v, %v", v, found)
	}
	if got := stone.MarkersOf(deleted("us", 100)); len(got) != 0 {
		t.Errorf("missed: %q", got)
	}
}

func TestIntentExplains(t *testing.T) {
	intent := resolve.Intent{ETag: "e", Made: written}
	for _, tt := range []struct {
		name   string
		intent resolve.Intent
		after  time.Duration
		etag   string
		want   bool
	}{
		{"what it is to cover", intent, time.Second, "e", true},
		{"something else", intent, time.Second, "f", false},
		{"something else, unconditionally", resolve.Intent{Unconditional: true, Made: written}, time.Second, "f", true},
		{"long before", intent, -4 * time.Second, "e", false},
		{"too late", intent, 16 * time.Second, "e", false},
	} {
		if got := tt.intent.Explains(written.Add(tt.after), tt.etag); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// A tombstone does not grow with the number of deletes, and keeps the latest.
func TestTombstoneIsBounded(t *testing.T) {
	stone := resolve.Tombstone{Key: strings.Repeat("\x01", 1024)}
	long := strings.Repeat("v", 1024)
	var v s3mesh.Version
	for i := range 100 {
		v = deleted("us", int64(i))
		v.VersionID = long
		stone = stone.Bind(strings.Repeat("m", 100+i), v)
	}
	data, err := stone.Encode()
	if err != nil || len(data) > resolve.MaxTombstone {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	read, err := resolve.ParseTombstone(data, stone.Key, written)
	if got, _ := read.Of(strings.Repeat("m", 199)); got != v || err != nil {
		t.Errorf("the latest is %+v, %v", got, err)
	}
}

func TestTombstoneKeys(t *testing.T) {
	long := strings.Repeat("k", 1024)
	a, b := resolve.TombstoneKey(long), resolve.TombstoneKey("k")
	if len(a) != len(b) || a == b || !strings.HasPrefix(a, s3mesh.ReservedPrefix) {
		t.Errorf("%q, %q", a, b)
	}
}

func FuzzParseTombstone(f *testing.F) {
	f.Add([]byte(`{"key":"k","markers":[{"id":"m","delete":{"origin":"us"}}],"intents":[{"etag":"w"}]}`), "k")
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		stone, err := resolve.ParseTombstone(data, key, written)
		if err != nil {
			return
		}
		if _, err := stone.Encode(); err != nil {
			t.Errorf("%q was read and cannot be written: %v", data, err)
		}
	})
}
