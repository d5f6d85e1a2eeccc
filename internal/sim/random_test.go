package sim

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

var (
	seeds     = flag.Uint64("sim.seeds", 2000, "how many random seeds to run")
	oneSeed   = flag.Uint64("sim.seed", 0, "run this one seed only")
	showTrace = flag.Bool("sim.trace", false, "print the trace of the one seed")
	sweeps    = flag.Bool("sim.sweep", true, "let tombstones grow old at the end of some runs, and sweep them")
	without   = flag.String("sim.without", "", "what random worlds are to lack: words of the table leaveOut, with commas between")
)

// replay is the command that runs a seed again.
func replay(test string, seed uint64) string {
	extra := ""
	if !*sweeps {
		extra = " -sim.sweep=false"
	}
	if *without != "" {
		extra += " -sim.without=" + *without
	}
	return fmt.Sprintf("go test ./internal/sim -run '^%s$' -sim.seed=%d -sim.trace -v%s", test, seed, extra)
}

func TestRandom(t *testing.T) {
	if *oneSeed != 0 {
		res := Random(Options{Seed: *oneSeed, Trace: true, Shape: simplify})
		if *showTrace {
			t.Logf("seed %d:\n%s", *oneSeed, res.Trace)
		}
		if res.Err != nil {
			t.Fatalf("seed %d: %v", *oneSeed, res.Err)
		}
		return
	}
	begun := time.Now()
	total := runSeeds(t, *seeds)
	t.Logf("%d seeds in %.1fs: %d client writes, %d replica writes, %d tasks, %d faults, %d dead letters", *seeds,
		time.Since(begun).Seconds(), total.Writes, total.Replicas, total.Tasks, total.Faults, total.Letters)
}

// runSeeds runs the seeds from 1 on, on all processors, and adds up what they came to.
func runSeeds(t *testing.T, n uint64) Result {
	t.Helper()
	var next, failures atomic.Uint64
	var mu sync.Mutex
	var total Result
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for seed := next.Add(1); seed <= n && failures.Load() < 10; seed = next.Add(1) {
				res := Random(Options{Seed: seed, Shape: simplify})
				mu.Lock()
				total.Writes += res.Writes
				total.Replicas += res.Replicas
				total.Tasks += res.Tasks
				total.Faults += res.Faults
				total.Letters += res.Letters
				mu.Unlock()
				if res.Err != nil {
					again := Random(Options{Seed: seed, Trace: true, Shape: simplify})
					count := failures.Add(1)
					text := ""
					if count == 1 {
						text = "\n" + again.Trace
					}
					t.Errorf("seed %d: %v\nreplay: %s%s", seed, res.Err, replay("TestRandom", seed), text)
				}
			}
		})
	}
	group.Wait()
	return total
}

// leaveOut says what each word of -sim.without takes out of a drawn world, to see what is behind a failure, or beside it.
var leaveOut = map[string]func(*WorldConfig, *Weather){
	"slow":      func(c *WorldConfig, _ *Weather) { c.Prompt = true },
	"chain":     func(c *WorldConfig, _ *Weather) { c.Chain = false },
	"coalesce":  func(c *WorldConfig, _ *Weather) { c.Coalesce = false },
	"remove":    func(_ *WorldConfig, w *Weather) { w.Actions[actRemove] = 0 },
	"restore":   func(_ *WorldConfig, w *Weather) { w.Actions[actRestore] = 0 },
	"same":      func(_ *WorldConfig, w *Weather) { w.Actions[actPutSame] = 0 },
	"multipart": func(_ *WorldConfig, w *Weather) { w.Actions[actBegin] = 0 },
	"undelete":  func(_ *WorldConfig, w *Weather) { w.Actions[actUndelete] = 0 },
	"deletes": func(c *WorldConfig, w *Weather) {
		c.Deletes, w.Actions[actDelete], w.Actions[actUndelete], w.Actions[actDeleteBatch] = false, 0, 0, 0
	},
	"faults": func(_ *WorldConfig, w *Weather) {
		*w = Weather{Writes: w.Writes, Parallel: w.Parallel, Actions: w.Actions}
	},
	"lacks": func(c *WorldConfig, _ *Weather) {
		for i := range c.Sites {
			c.Sites[i].Lacks = s3mesh.Capabilities{}
		}
	},
	"size": func(c *WorldConfig, w *Weather) {
		c.Sites, c.Keys, w.Writes = c.Sites[:min(3, len(c.Sites))], c.Keys[:1], min(w.Writes, 3)
	},
}

func simplify(c *WorldConfig, w *Weather) {
	c.Sweep = *sweeps
	for word := range strings.SplitSeq(*without, ",") {
		if leave := leaveOut[word]; leave != nil {
			leave(c, w)
		}
	}
}

func TestSameSeedSameRun(t *testing.T) {
	for seed := uint64(1); seed <= 50; seed++ {
		first, second := Random(Options{Seed: seed, Trace: true}), Random(Options{Seed: seed, Trace: true})
		if first.TraceHash != second.TraceHash || first.TraceHash == 0 {
			t.Fatalf("seed %d: two runs differ:\n%s\n\n%s", seed, first.Trace, second.Trace)
		}
	}
}
