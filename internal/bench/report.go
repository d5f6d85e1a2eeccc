package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// The targets.
const (
	targetRatio     = 0.6
	targetIdleP50   = 8.0   // ms
	targetIdleP99   = 50.0  // ms
	targetMemory    = 150.0 // MiB above idle
	targetPerObject = 2.0   // requests
	targetMerge     = 500e3 // keys/s
	targetMergeMiB  = 64.0  // MiB
)

// report is everything that was measured.
type report struct {
	Date       string `json:"date"`
	Revision   string `json:"revision,omitempty"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	CPUs       int    `json:"cpus"`
	LoadBefore string `json:"load_before,omitempty"` // averages over 1, 5 and 15 minutes
	LoadAfter  string `json:"load_after,omitempty"`

	Objects   int            `json:"objects"`
	Writers   int            `json:"writers"`
	ObjectKiB int            `json:"object_kib"`
	Merge     *mergeResult   `json:"merge,omitempty"`
	Stores    []storesReport `json:"stores"`
}

// storesReport is what was measured on one kind of stores. What is nil was not measured.
type storesReport struct {
	Kind     string          `json:"kind"`
	Skipped  string          `json:"skipped,omitempty"` // why
	Live     []*liveResult   `json:"live,omitempty"`
	Idle     *idleResult     `json:"idle,omitempty"`
	Memory   *memoryResult   `json:"memory,omitempty"`
	Requests *requestsResult `json:"requests,omitempty"`
	Profile  *profileResult  `json:"profile,omitempty"`
	Compare  *compareResult  `json:"compare,omitempty"`
	Backfill *backfillResult `json:"backfill,omitempty"`
}

func newReport(o options) *report {
	r := &report{Date: time.Now().UTC().Format(time.RFC3339), Go: runtime.Version(), CPUs: runtime.NumCPU(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, LoadBefore: loadAverage(),
		Objects: o.objects, Writers: writers, ObjectKiB: objectSize >> 10}
	if info, ok := debug.ReadBuildInfo(); ok {
		i := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" })
		if i >= 0 {
			r.Revision = info.Settings[i].Value
		}
	}
	return r
}

// save writes report.json and report.txt into dir.
func (r *report) save(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var text strings.Builder
	return errors.Join(os.MkdirAll(dir, 0o755), r.write(&text),
		os.WriteFile(filepath.Join(dir, "report.json"), append(data, '\n'), 0o600),
		os.WriteFile(filepath.Join(dir, "report.txt"), []byte(text.String()), 0o600))
}

// write writes the report for people.
func (r *report) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s  %s  %s, %d CPUs shared by stores, clients and s3mesh  load before %s, after %s\n",
		r.Date, r.Go, r.Platform, r.CPUs, r.LoadBefore, r.LoadAfter)
	r.writeMerge(w)
	for _, s := range r.Stores {
		fmt.Fprintf(w, "\n%s stores\n", s.Kind)
		if s.Skipped != "" {
			fmt.Fprintf(w, "  skipped: %s\n", s.Skipped)
			continue
		}
		fmt.Fprintf(w, "  MEASURED\tTARGET\tRESULT\t\tDETAIL\n")
		r.writeLive(w, s.Live)
		s.writeLatencyAndMemory(w)
		s.writeRequests(w)
		s.writeProfile(w)
		s.writeCompare(w)
		r.writeBackfill(w, s.Backfill)
	}
	return w.Flush()
}

// verdict says whether a target was met.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

func (r *report) writeLive(w io.Writer, live []*liveResult) {
	for _, l := range live {
		var ratios []string
		for _, round := range l.Rounds {
			ratios = append(ratios, fmt.Sprintf("%.2f", round.Ratio))
		}
		middle := l.Rounds[slices.IndexFunc(l.Rounds, func(x liveRound) bool { return x.Ratio == l.Ratio })]
		fmt.Fprintf(w, "  live ratio, %d stores\t>= %.1f\t%.2f\t%s\t", l.Sites, targetRatio, l.Ratio, verdict(l.Ratio >= targetRatio))
		fmt.Fprintf(w, "of %s; %d x %d KiB by %d writers: put %.2f s + copy %.2f s, live %.2f s%s\n",
			strings.Join(ratios, ", "), l.Objects, r.ObjectKiB, r.Writers, middle.Put, middle.Copy, middle.Live, middle.disturbance())
		if live, alone := middle.CPU, middle.CPUAlone; live != nil && alone != nil {
			fmt.Fprintf(w, "  CPU seconds, live (alone)\t\t\t\ts3mesh %.2f, stores %.2f (%.2f), clients %.2f (%.2f)\n",
				live.S3mesh, live.Stores, alone.Stores, live.Client, alone.Client)
		}
	}
}

func (s storesReport) writeLatencyAndMemory(w io.Writer) {
	if i := s.Idle; i != nil {
		fmt.Fprintf(w, "  idle write to visible, p50\t<= %.0f ms\t%.1f ms\t%s\t", targetIdleP50, i.FromCall.P50,
			verdict(i.FromCall.P50 <= targetIdleP50))
		fmt.Fprintf(w, "%d writes, from the call of PUT; from its answer %.1f ms\n", i.Writes, i.FromAnswer.P50)
		fmt.Fprintf(w, "  idle write to visible, p99\t<= %.0f ms\t%.1f ms\t%s\t", targetIdleP99, i.FromCall.P99,
			verdict(i.FromCall.P99 <= targetIdleP99))
		fmt.Fprintf(w, "from its answer %.1f ms; longest %.1f ms; other programs had %.0f %% of the CPUs\n", i.FromAnswer.P99,
			i.FromCall.Max, 100*i.Others)
	}
	if m := s.Memory; m != nil {
		fmt.Fprintf(w, "  memory above idle, %d MiB object\t<= %.0f MiB\t%.0f MiB\t%s\t", m.ObjectMiB, targetMemory, m.Above,
			verdict(m.Above <= targetMemory))
		fmt.Fprintf(w, "idle %.0f, peak %.0f MiB; %.0f MiB/s, raw copy %.0f MiB/s\n", m.Idle, m.Peak, m.Replicate, m.RawCopy)
	}
}

func (s storesReport) writeRequests(w io.Writer) {
	r := s.Requests
	if r == nil {
		return
	}
	fmt.Fprintf(w, "  requests per fresh object\t%.0f\t%.2f\t%s\t%s\n", targetPerObject, r.Fresh.perObject(),
		verdict(r.Fresh.perObject() <= targetPerObject), r.Fresh.list())
	fmt.Fprintf(w, "  requests per echo\t0\t%.2f\t%s\t%d echoes; dedicated credentials: %t\n",
		r.Fresh.perEcho(), verdict(r.Fresh.perEcho() == 0), r.Fresh.Echoes, r.Dedicated)
	for _, x := range []struct {
		when  string
		count requestCount
	}{{"at once", r.AtOnce}, {"later", r.Later}} {
		fmt.Fprintf(w, "  requests per overwrite %s\t\t%.2f\t\t%s; per echo %.2f\n", x.when, x.count.perObject(), x.count.list(),
			x.count.perEcho())
	}
}

// list names the requests per object.
func (c requestCount) list() string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(c.ByKind)) {
		parts = append(parts, fmt.Sprintf("%s %.2f", kind, float64(c.ByKind[kind])/float64(c.Objects)))
	}
	return strings.Join(parts, ", ")
}

func (s storesReport) writeProfile(w io.Writer) {
	if s.Profile == nil {
		return
	}
	for _, list := range []struct {
		name   string
		shares []share
	}{{"CPU time of s3mesh by part", s.Profile.Parts}, {"by work", s.Profile.Work}} {
		var parts []string
		for _, x := range list.shares {
			parts = append(parts, fmt.Sprintf("%s %.0f %%", x.Name, 100*x.Share))
		}
		fmt.Fprintf(w, "  %s\t\t\t\t%s\n", list.name, strings.Join(parts, ", "))
	}
}
