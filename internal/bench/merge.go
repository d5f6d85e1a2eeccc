package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// mergeResult is how fast the listings of three sites with a million equal keys each are merged and compared, without stores.
type mergeResult struct {
	KeysPerSecond float64 `json:"keys_s"` // each key counts once
	PeakMiB       float64 `json:"peak_mib"`
}

// merge runs the benchmark of package reconcile.
func (b *bench) merge(ctx context.Context) (*mergeResult, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	out, err := goCommand(ctx, "-C", root, "test", "-run", "^$", "-bench", "^BenchmarkMerge$", "-benchtime", "5x", "./reconcile")
	if err != nil {
		return nil, err
	}
	return parseMerge(string(out))
}

// parseMerge reads what `go test -bench` prints: on the benchmark's line, after its name and count, values each with its unit.
func parseMerge(text string) (*mergeResult, error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "BenchmarkMerge") {
			continue
		}
		metrics := make(map[string]float64)
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("benchmark line %q: %w", line, err)
			}
			metrics[fields[i+1]] = value
		}
		r := &mergeResult{KeysPerSecond: metrics["keys/s"], PeakMiB: metrics["peak-MiB"]}
		if r.KeysPerSecond > 0 && r.PeakMiB > 0 {
			return r, nil
		}
	}
	return nil, fmt.Errorf("no result of BenchmarkMerge: %.200q", text)
}
