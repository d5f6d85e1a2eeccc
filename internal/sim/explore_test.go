package sim

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	depth     = flag.Int("sim.depth", 3, "client operations per script of the exhaustive search, up to 3")
	maxStates = flag.Int("sim.states", 200, "states per script where a search of all takes too long; 0 for no limit")
	oneScript = flag.Int("sim.script", -1, "search this one script only")
)

// scripts are all sequences of n operations at three sites, up to what makes no difference: a site that writes nothing has no
// place in the version order, so that the writing sites are always the first ones; and an undelete needs a delete before it.
func scripts(n int, actions ...string) [][]Step {
	var all [][]Step
	var extend func(script []Step)
	extend = func(script []Step) {
		if len(script) == n {
			if canonical(script) {
				all = append(all, slices.Clone(script))
			}
			return
		}
		for site := range 3 {
			for _, action := range actions {
				extend(append(script, Step{site, action}))
			}
		}
	}
	extend(nil)
	return all
}

func canonical(script []Step) bool {
	var used [3]bool
	deleted := false
	for _, step := range script {
		if step.Action == "undelete" && !deleted {
			return false
		}
		deleted = deleted || step.Action == "delete"
		used[step.Site] = true
	}
	return used[0] && (used[1] || !used[2])
}

// family is the scopes of all scripts of one kind.
type family struct {
	name    string
	ops     int
	actions []string
	crashes int
	atomic  bool
	skewed  bool // a second each way, with a second between operations; also
	whole   bool // always to the last state
}

var (
	writes  = []string{"put", "multipart"}
	all     = []string{"put", "multipart", "delete", "undelete"}
	deletes = []string{"put", "delete", "undelete"}
)

// families are searched in this order.
var families = []family{
	{name: "requests, 1 operation", ops: 1, actions: all, skewed: true, whole: true},
	{name: "requests, 1 write, 1 crash", ops: 1, actions: writes, crashes: 1, whole: true},
	{name: "requests, 2 writes", ops: 2, actions: writes, skewed: true, whole: true},
	{name: "whole tasks, 2 operations, 1 crash", ops: 2, actions: deletes, crashes: 1, atomic: true, whole: true},
	{name: "whole tasks, 2 operations", ops: 2, actions: all, atomic: true, skewed: true, whole: true},
	{name: "whole tasks, 3 operations", ops: 3, actions: deletes, atomic: true, whole: true},
	{name: "requests, 2 writes, 1 crash", ops: 2, actions: []string{"put"}, crashes: 1},
	{name: "requests, 2 operations", ops: 2, actions: deletes},
	{name: "requests, 3 writes", ops: 3, actions: []string{"put"}},
}

func (f family) scopes() []Scope {
	limit := *maxStates
	if f.whole {
		limit = 0
	}
	var scopes []Scope
	for _, script := range scripts(f.ops, f.actions...) {
		plain := Scope{Script: script, Skews: make([]time.Duration, 3), Crashes: f.crashes, Atomic: f.atomic, MaxStates: limit}
		scopes = append(scopes, plain)
		if f.skewed {
			skewed := plain
			skewed.Skews, skewed.Pause = []time.Duration{time.Second, 0, -time.Second}, time.Second
			scopes = append(scopes, skewed)
		}
	}
	return scopes
}

func TestExplore(t *testing.T) {
	first := 0
	for _, f := range families {
		scopes := f.scopes()
		if f.ops <= *depth {
			f.explore(t, scopes, first)
		}
		first += len(scopes)
	}
}

// explore searches the scopes of a family, on all processors. first is the number of the first of them.
func (f family) explore(t *testing.T, scopes []Scope, first int) {
	t.Helper()
	begun := time.Now()
	var next, failures atomic.Int64
	var mu sync.Mutex
	var total Coverage
	complete, searched := 0, 0
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(scopes) && failures.Load() < 5; i = int(next.Add(1)) - 1 {
				if *oneScript >= 0 && *oneScript != first+i {
					continue
				}
				c, err := Explore(scopes[i])
				if err != nil {
					failures.Add(1)
					t.Errorf("replay: go test ./internal/sim -run '^TestExplore$' -sim.states=%d -sim.script=%d\n%v", *maxStates, first+i, err)
				}
				mu.Lock()
				total.add(c)
				searched++
				if c.Complete {
					complete++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if searched == 0 {
		return
	}
	rest := ""
	if complete < searched {
		rest = fmt.Sprintf(" (the others up to %d states each)", *maxStates)
	}
	t.Logf("%s: %d of %d scripts to the last state%s: %d states, %d different ends, %d executions, %d steps, %.1fs", f.name,
		complete, searched, rest, total.States, total.Ends, total.Executions, total.Steps, time.Since(begun).Seconds())
	if f.whole && complete < searched && !t.Failed() {
		t.Errorf("%s: not searched to the last state", f.name)
	}
}

func (c *Coverage) add(more Coverage) {
	c.States += more.States
	c.Executions += more.Executions
	c.Steps += more.Steps
	c.Ends += more.Ends
}

// TestExploreFinds checks that what the search leaves out hides nothing: broken rules are found in the smallest scopes.
func TestExploreFinds(t *testing.T) {
	put := func(sites ...int) (script []Step) {
		for _, at := range sites {
			script = append(script, Step{at, "put"})
		}
		return script
	}
	for _, c := range []struct {
		variant Variant
		script  []Step
	}{
		{SkipIfExists, put(0, 0)},
		{TargetWinsTies, put(0, 1)},
		{LastModifiedWins, put(1, 0)},
	} {
		for _, atomic := range []bool{false, true} {
			scope := Scope{Script: c.script, Skews: make([]time.Duration, 3), Atomic: atomic, Variant: c.variant}
			if _, err := Explore(scope); err == nil {
				t.Errorf("%s: not found in %v", c.variant, scope)
			}
			if scope.Variant = Sound; !t.Failed() {
				if _, err := Explore(scope); err != nil {
					t.Errorf("a false alarm: %v", err)
				}
			}
		}
	}
}
