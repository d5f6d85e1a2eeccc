package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/s3mesh/s3mesh/devstore"
)

func TestMain(m *testing.M) {
	devstore.Main()
	m.Run()
}

// TestRequestsOfFreshObjects holds the real program to its promise: one GET and one PUT carry a new small object over a
// link, and the event that the replica causes costs nothing.
func TestRequestsOfFreshObjects(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the program")
	}
	program := filepath.Join(t.TempDir(), "s3mesh")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/s3mesh").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	b := &bench{options: options{program: program}, dir: t.TempDir(), progress: t.Output()}
	var r storesReport
	if err := b.requests(t.Context(), kindEmbedded, &r); err != nil {
		t.Fatal(err)
	}
	fresh := map[string]int{"GET source": countedObjects, "PUT target": countedObjects}
	overwrite := map[string]int{"GET source": countedObjects, "HEAD target": countedObjects, "PUT target": countedObjects,
		"LIST target": countedObjects}
	for _, tt := range []struct {
		name string
		got  requestCount
		want map[string]int
	}{{"fresh", r.Requests.Fresh, fresh}, {"overwrite later", r.Requests.Later, overwrite}} {
		if diff := cmp.Diff(tt.want, tt.got.ByKind); diff != "" {
			t.Errorf("%s: requests for %d objects (-want +got):\n%s", tt.name, countedObjects, diff)
		}
		if tt.got.Echoes != countedObjects {
			t.Errorf("%s: %d echoes were announced, want %d", tt.name, tt.got.Echoes, countedObjects)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var durations []time.Duration
	for i := range 200 {
		durations = append(durations, time.Duration(200-i)*time.Millisecond)
	}
	if diff := cmp.Diff(quantiles{P50: 100, P99: 198, Max: 200}, quantilesOf(durations)); diff != "" {
		t.Error(diff)
	}
	if got := median([]float64{3, 1, 2}, func(x float64) float64 { return x }); got != 2 {
		t.Errorf("median %v, want 2", got)
	}
}

func TestParseStat(t *testing.T) {
	got, err := parseStat("42 (s3mesh (x) y) S 7 42 7 0 -1 4194560 1 2 3 4 150 50 8 9 20 0 11 0 99\n")
	if err != nil || got != (processStat{pid: 42, parent: 7, cpu: 2}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestProfileShares(t *testing.T) {
	const traces = `File: s3mesh
Type: cpu
-----------+-------------------------------------------------------
    stream:  bench_site-a
  30000us   internal/runtime/syscall/linux.Syscall6
             syscall.Fsync
             github.com/nats-io/nats-server/v2/server.(*stream).internalLoop
-----------+-------------------------------------------------------
  10000us   runtime.mallocgc (inline)
             github.com/s3mesh/s3mesh/s3store.(*client).do
             github.com/s3mesh/s3mesh/replicate.(*Worker).one
-----------+-------------------------------------------------------
`
	samples, err := parseTraces(traces)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]share{{"event stream", 0.75}, {"S3 client", 0.25}}, shares(samples, parts())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]share{{"fsync", 0.75}, {"allocation", 0.25}}, shares(samples, works())); diff != "" {
		t.Error(diff)
	}
	if _, err := parseTraces("pprof: no such file"); err == nil {
		t.Error("text without samples was read as a profile")
	}
}

func TestParseMerge(t *testing.T) {
	const text = "goos: linux\nBenchmarkMerge-2   \t       5\t1234567890 ns/op\t    810000 keys/s\t        31.5 peak-MiB\nPASS\n"
	got, err := parseMerge(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&mergeResult{KeysPerSecond: 810000, PeakMiB: 31.5}, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"PASS\n", "BenchmarkMerge-2 5 17 ns/op\n", "BenchmarkMerge-2 5 x keys/s\n"} {
		if got, err := parseMerge(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

// TestReconcileSections: the measurements of comparisons are shown with what they are measured against, or why that is missing.
func TestReconcileSections(t *testing.T) {
	count := requestCount{Objects: 2000, ByKind: map[string]int{"GET source": 2000, "PUT target": 2000, "LIST source": 4}}
	r := report{ObjectKiB: 4, Merge: &mergeResult{KeysPerSecond: 400e3, PeakMiB: 30}, Stores: []storesReport{{Kind: kindEmbedded,
		Compare: &compareResult{Keys: 1000, Two: compareRuns{First: 2, Again: []float64{0.5}, Median: 0.5},
			Asked: compareCounted{First: count, Again: count}},
		Backfill: &backfillResult{Objects: 2000, Workers: 8, Ratio: 0.9, Requests: count,
			Rounds: []backfillRound{{Copy: 0.9, Backfill: 1, Ratio: 0.9}}}}}}
	for _, peer := range []*rcloneTimes{nil, {Sync: 3, Check: []float64{1}, CheckMedian: 1}} {
		r.Stores[0].Compare.Peer = peer
		var text strings.Builder
		if err := r.write(&text); err != nil {
			t.Fatal(err)
		}
		want := []string{"not installed"}
		if peer != nil {
			want = []string{"2.00 times as long as s3mesh again", "1.50 times as long as s3mesh first"}
		}
		for _, phrase := range append(want, "MISSED  1,000,000 keys", "of 0.90; 2000 x 4 KiB by 8 workers", "2.002   met",
			"LIST source 4") {
			if !strings.Contains(text.String(), phrase) {
				t.Errorf("%q is missing:\n%s", phrase, &text)
			}
		}
	}
}
