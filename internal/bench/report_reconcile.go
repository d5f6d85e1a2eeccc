package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// listingShare is what listings may add to the requests of a backfilled object.
const listingShare = 0.02

func (r *report) writeMerge(w io.Writer) {
	m := r.Merge
	if m == nil {
		return
	}
	fmt.Fprintf(w, "\nwithout stores\n  MEASURED\tTARGET\tRESULT\t\tDETAIL\n")
	fmt.Fprintf(w, "  merge of listings\t>= %.0f keys/s\t%.0f\t%s\t1,000,000 keys x 3 sites\n", targetMerge, m.KeysPerSecond,
		verdict(m.KeysPerSecond >= targetMerge))
	fmt.Fprintf(w, "  its peak heap\t<= %.0f MiB\t%.0f MiB\t%s\n", targetMergeMiB, m.PeakMiB, verdict(m.PeakMiB <= targetMergeMiB))
}

func (s storesReport) writeCompare(w io.Writer) {
	c := s.Compare
	if c == nil {
		return
	}
	for _, x := range []struct {
		stores int
		runs   compareRuns
	}{{2, c.Two}, {3, c.Three}} {
		fmt.Fprintf(w, "  %d keys equal at %d stores, first\t\t%.2f s\t\tevery object is asked for%s\n", c.Keys, x.stores,
			x.runs.First, x.runs.CPU.text())
		fmt.Fprintf(w, "  %d keys equal at %d stores, again\t\t%.2f s\t\tof %s%s\n", c.Keys, x.stores, x.runs.Median,
			seconds(x.runs.Again), x.runs.CPUAgain.text())
	}
	if p := c.Peer; p != nil {
		fmt.Fprintf(w, "  rclone check --size-only, 2 stores\t\t%.2f s\t\t", p.CheckMedian)
		fmt.Fprintf(w, "of %s; %.2f times as long as s3mesh again; %.2f s to start; %s\n", seconds(p.Check),
			p.CheckMedian/c.Two.Median, p.Start, p.Version)
		fmt.Fprintf(w, "  rclone sync, 2 stores\t\t%.2f s\t\t", p.Sync)
		fmt.Fprintf(w, "%.2f times as long as s3mesh first, %.2f as again\n", p.Sync/c.Two.First, p.Sync/c.Two.Median)
	} else {
		fmt.Fprintf(w, "  rclone, 2 stores\t\t\t\tnot installed: make tools\n")
	}
	for _, x := range []struct {
		name  string
		count *requestCount
	}{{"s3mesh first, 3 stores", &c.Asked.First}, {"s3mesh again, 3 stores", &c.Asked.Again},
		{"rclone check --size-only, 2 stores", c.Asked.Check}, {"rclone sync, 2 stores", c.Asked.Sync}} {
		if x.count != nil {
			fmt.Fprintf(w, "  requests per 1000 keys, %s\t\t%.1f\t\t%d keys: %s\n", x.name, 1000*x.count.perObject(), x.count.Objects,
				x.count.totals())
		}
	}
}

// totals names all the requests.
func (c requestCount) totals() string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(c.ByKind)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, c.ByKind[kind]))
	}
	return strings.Join(parts, ", ")
}

// text tells who spent how much, for people.
func (c *cpuSeconds) text() string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("; CPU seconds: s3mesh %.2f, stores %.2f, others %.2f", c.S3mesh, c.Stores, c.Others)
}

func seconds(all []float64) string {
	var texts []string
	for _, s := range all {
		texts = append(texts, fmt.Sprintf("%.2f", s))
	}
	return strings.Join(texts, ", ")
}

func (r *report) writeBackfill(w io.Writer, b *backfillResult) {
	if b == nil {
		return
	}
	var ratios []float64
	for _, round := range b.Rounds {
		ratios = append(ratios, round.Ratio)
	}
	middle := b.Rounds[slices.Index(ratios, b.Ratio)]
	fmt.Fprintf(w, "  backfill, ratio to a raw copy\t\t%.2f\t\tof %s; ", b.Ratio, seconds(ratios))
	fmt.Fprintf(w, "%d x %d KiB by %d workers: raw copy %.2f s, backfill %.2f s%s\n", b.Objects, r.ObjectKiB, b.Workers, middle.Copy,
		middle.Backfill, middle.disturbance())
	if with, alone := middle.CPU, middle.CPUAlone; with != nil && alone != nil {
		fmt.Fprintf(w, "  CPU seconds, backfill (raw copy)\t\t\t\ts3mesh %.2f, stores %.2f (%.2f), clients %.2f (%.2f)\n",
			with.S3mesh, with.Stores, alone.Stores, with.Client, alone.Client)
	}
	fmt.Fprintf(w, "  requests per object of a backfill\t%.0f\t%.3f\t%s\t%s\n", targetPerObject, b.Requests.perObject(),
		verdict(b.Requests.perObject() < targetPerObject+listingShare), b.Requests.list())
}
