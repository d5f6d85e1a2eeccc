package natsqueue

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// testSegment returns a segment of n records, and where each begins and the last one ends.
func testSegment(sequence uint64, n int, ended bool) (data []byte, ends []int) {
	data = encodeHeader(sequence)
	for i := range n {
		ends = append(ends, len(data))
		data = appendRecord(data, recordPut, fmt.Sprint("set.a.live._.", i), []byte(fmt.Sprint("data ", i)))
	}
	ends = append(ends, len(data))
	if ended {
		data = appendRecord(data, recordEnd, "", nil)
	}
	stamp(data[segmentHeader:], sequence)
	return append(data, make([]byte, 4096)...), ends
}

func scanned(t *testing.T, data []byte, sequence uint64) (subjects []string, gaps []gap, ended bool) {
	t.Helper()
	gaps, ended, err := scanRecords(data, sequence, func(r record) error {
		if want := "data " + lastToken(r.subject); string(r.data) != want {
			t.Errorf("%s holds %q", r.subject, r.data)
		}
		subjects = append(subjects, lastToken(r.subject))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return subjects, gaps, ended
}

// TestTornTail cuts the last record off at each of its bytes: over zeros, over a record of an earlier use of the file, and
// at the end of the file.
func TestTornTail(t *testing.T) {
	data, ends := testSegment(7, 3, false)
	old, _ := testSegment(6, 3, true)
	for i := range 3 {
		old = bytes.ReplaceAll(old, fmt.Append(nil, "data ", i), fmt.Append(nil, "gone!", i+3))
	}
	stamp(old[segmentHeader:len(old)-4096], 6)
	for cut := ends[2]; cut < ends[3]; cut++ {
		for name, torn := range map[string][]byte{
			"zeros": append(slices.Clone(data[:cut]), make([]byte, len(data)-cut)...),
			"old":   append(slices.Clone(data[:cut]), old[cut:]...),
			"short": data[:cut],
		} {
			if got, gaps, ended := scanned(t, torn, 7); !slices.Equal(got, []string{"0", "1"}) || len(gaps) > 0 || ended {
				t.Errorf("cut at %d over %s: records %v, gaps %v, ended %v", cut, name, got, gaps, ended)
			}
		}
	}
}

// TestBitFlips flips every bit of three records: the one hit is lost, the others are not, and no wrong one appears.
func TestBitFlips(t *testing.T) {
	data, ends := testSegment(7, 3, true)
	for bit := segmentHeader * 8; bit < ends[3]*8; bit++ {
		flipped := bytes.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		hit := 0
		for ends[hit+1] <= bit/8 {
			hit++
		}
		want := slices.Delete([]string{"0", "1", "2"}, hit, hit+1)
		got, gaps, ended := scanned(t, flipped, 7)
		if !slices.Equal(got, want) || !slices.Equal(gaps, []gap{{ends[hit], ends[hit+1] - ends[hit]}}) || !ended {
			t.Fatalf("bit %d: records %v, want %v; gaps %v, ended %v", bit, got, want, gaps, ended)
		}
	}
	for bit := range segmentHeader * 8 {
		flipped := bytes.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		if sequence, err := decodeHeader(flipped); err == nil {
			t.Fatalf("bit %d of the header: sequence %d", bit, sequence)
		}
	}
}

// TestDamageIsReported damages segments, and expects all else to be recovered, in the order of the sequences, and a word
// about it.
func TestDamageIsReported(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(first, second []byte) (a, b []byte)
		want   int
		level  string
	}{
		{"none", func(a, b []byte) ([]byte, []byte) { return a, b }, 3, ""},
		{"record", func(a, b []byte) ([]byte, []byte) { a[60] ^= 1; return a, b }, 3, "ERROR"},
		{"end", func(a, b []byte) ([]byte, []byte) { return a[:len(a)-4096-20], b }, 3, "ERROR"},
		{"header", func(a, b []byte) ([]byte, []byte) { a[9] ^= 1; return a, b }, 3, "ERROR"},
		{"last", func(a, b []byte) ([]byte, []byte) { b[60] ^= 1; return a, b }, 3, "WARN"},
		{"last tail", func(a, b []byte) ([]byte, []byte) { return a, b[:len(b)-4096-5] }, 3, ""},
	} {
		dir := t.TempDir()
		first, _ := testSegment(7, 3, true)
		second, _ := testSegment(8, 3, false)
		first, second = test.damage(first, second)
		for name, data := range map[string][]byte{"2": first, "1": second} { // used again: not in the order of the names
			if err := os.WriteFile(filepath.Join(dir, name+segmentSuffix), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, log := recovered(t, dir)
		other := strings.Count(log, "level=") != strings.Count(log, "level="+test.level)
		if len(got) != test.want || other || (log == "") != (test.level == "") {
			t.Errorf("%s: recovered %v, log %q, want level %q", test.name, got, log, test.level)
		}
	}
}
