package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// sample is CPU time that was spent with one call stack, the innermost function first.
type sample struct {
	cpu   float64 // microseconds
	stack []string
}

// share is what part of all CPU time goes by a name.
type share struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
}

// rule gives a name to the samples that have a function with one of these prefixes on their stack.
type rule struct {
	name     string
	prefixes []string
}

const module = "github.com/s3mesh/s3mesh/"

// parts says what work is for. The first rule that matches counts.
func parts() []rule {
	return []rule{
		{"event stream", []string{"github.com/nats-io/", module + "natsqueue."}},
		{"request signing", []string{"github.com/aws/aws-sdk-go-v2/aws/signer/"}},
		{"S3 client", []string{module + "s3store.", "net/http.(*persistConn)", "net/http.(*Transport)"}},
		{"event decoding", []string{module + "notify."}},
		{"event intake", []string{module + "intake.", "net/http.(*conn)", "net/http.(*connReader)"}},
		{"deciding and reporting", []string{module}},
		{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge"}},
		{"Go scheduler", []string{"runtime."}},
	}
}

// works says what the processor does.
func works() []rule {
	return []rule{
		{"fsync", []string{"syscall.Fsync", "syscall.Fdatasync"}},
		{"other system calls", []string{"internal/runtime/syscall/", "syscall.RawSyscall"}},
		{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge"}},
		{"allocation", []string{"runtime.mallocgc"}},
		{"JSON", []string{"encoding/json."}},
		{"hashes", []string{"crypto/", "hash/", "github.com/minio/highwayhash"}},
		{"scheduling and locks", []string{"runtime.mcall", "runtime.schedule", "runtime.findRunnable", "runtime.ready",
			"runtime.goready", "runtime.selectgo", "runtime.chansend", "runtime.chanrecv", "runtime.lock2", "runtime.unlock2",
			"runtime.futex", "runtime.mstart", "runtime.gopark"}},
	}
}

// shares adds samples up by the names that the rules give.
func shares(samples []sample, rules []rule) []share {
	sums, total := make(map[string]float64), 0.0
	for _, s := range samples {
		sums[s.name(rules)] += s.cpu
		total += s.cpu
	}
	all := make([]share, 0, len(sums))
	for name, cpu := range sums {
		all = append(all, share{Name: name, Share: cpu / total})
	}
	slices.SortFunc(all, func(a, b share) int { return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Name, b.Name)) })
	return all
}

func (s sample) name(rules []rule) string {
	for _, r := range rules {
		for _, function := range s.stack {
			if slices.ContainsFunc(r.prefixes, func(p string) bool { return strings.HasPrefix(function, p) }) {
				return r.name
			}
		}
	}
	return "other"
}

// parseTraces reads what `go tool pprof -traces -unit us` prints: per sample a line of dashes, labels, and then its time
// with the innermost function, and the functions that called it.
func parseTraces(text string) ([]sample, error) {
	const fence = "-----------+"
	var samples []sample
	_, text, _ = strings.Cut(text, fence)
	for block := range strings.SplitSeq(text, "\n"+fence) {
		var s sample
		for _, line := range strings.Split(block, "\n")[1:] {
			fields := strings.Fields(strings.TrimSuffix(line, "(inline)"))
			switch {
			case len(s.stack) > 0 && len(fields) > 0:
				s.stack = append(s.stack, strings.Join(fields, " "))
			case len(fields) > 1 && strings.HasSuffix(fields[0], "us"):
				cpu, err := strconv.ParseFloat(strings.TrimSuffix(fields[0], "us"), 64)
				if err != nil {
					return nil, fmt.Errorf("profile line %q: %w", line, err)
				}
				s = sample{cpu: cpu, stack: []string{strings.Join(fields[1:], " ")}}
			}
		}
		if len(s.stack) > 0 {
			samples = append(samples, s)
		}
	}
	if len(samples) == 0 {
		return nil, fmt.Errorf("no samples in the profile: %.200q", text)
	}
	return samples, nil
}
