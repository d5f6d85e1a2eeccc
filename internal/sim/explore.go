package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Step is one client operation of a script.
type Step struct {
	Site   int
	Action string // "put", "multipart", "delete" or "undelete"
}

// Scope is a small world to be explored exhaustively: one key, a script of client operations in this order, and all that can
// happen around them.
type Scope struct {
	Script []Step
	Skews  []time.Duration // of the sites, one each
	Pause  time.Duration   // before each operation but the first
	// Crashes is how many times a task may die.
	Crashes int
	// Atomic has nothing come between the requests of a task, but its death.
	Atomic bool
	// MaxStates ends the search; 0 for no limit.
	MaxStates int
	Variant   Variant
}

// String returns the script in one line.
func (s Scope) String() string {
	var parts []string
	for _, step := range s.Script {
		parts = append(parts, step.Action+"@"+siteNames[step.Site])
	}
	return fmt.Sprintf("%s (skews %v, pause %v, crashes %d, atomic %v)", strings.Join(parts, " "), s.Skews, s.Pause, s.Crashes,
		s.Atomic)
}

var siteNames = []string{"ap", "eu", "us", "za"}

// Coverage is what a search saw.
type Coverage struct {
	States, Executions, Steps, Ends int
	Complete                        bool // nothing was left out for lack of states
}

// explorer is a depth-first search that keeps no snapshots: a branch is reached by carrying out its choices again.
type explorer struct {
	*world
	scope    Scope
	visited  map[uint64]struct{}
	path     []branch
	coverage Coverage

	next    int // step of the script
	crashes int
	menu    []choice // of the current state
}

// branch is one choice of the path, and how many there were.
type branch struct{ taken, of int }

// maxPath is longer than any execution that settles.
const maxPath = 2000

// Explore runs every interleaving of a scope, and returns the first violation, with its trace. See [explorer.offer] for what a
// step is, and for the interleavings that are left out because they come to the same as others.
func Explore(scope Scope) (Coverage, error) {
	cfg := WorldConfig{Keys: []string{"k"}, OneProcess: true, DedicatedCredentials: true, Coalesce: true,
		Variant: scope.Variant, MaxClockSkew: MaxClockSkew}
	for i, skew := range scope.Skews {
		cfg.Sites = append(cfg.Sites, SiteConfig{Name: siteNames[i], Skew: skew})
	}
	cfg.Deletes = slices.ContainsFunc(scope.Script, func(s Step) bool { return s.Action == "delete" })
	x := &explorer{world: newWorld(cfg), scope: scope, visited: map[uint64]struct{}{}}
	defer x.close()
	x.coarse, x.instantly, x.onChange = true, true, x.wake
	err := x.search()
	if err != nil {
		err = fmt.Errorf("%v: %w\n%s", scope, err, x.retrace())
	}
	return x.coverage, err
}

func (x *explorer) search() error {
	for {
		if err := x.execute(); err != nil {
			return err
		}
		if x.scope.MaxStates > 0 && x.coverage.States >= x.scope.MaxStates {
			return nil
		}
		for n := len(x.path) - 1; n >= 0 && x.path[n].taken+1 >= x.path[n].of; n-- {
			x.path = x.path[:n]
		}
		if len(x.path) == 0 {
			x.coverage.Complete = true
			return nil
		}
		x.path[len(x.path)-1].taken++
	}
}

// execute carries out the path, and goes on along first choices to a state that was seen, or to the end.
func (x *explorer) execute() error {
	x.coverage.Executions++
	x.begin()
	defer x.abandon()
	for _, b := range x.path {
		x.offer()
		x.apply(x.menu[b.taken])
	}
	for {
		if x.problem != nil {
			return x.problem
		}
		if decided := x.offer(); decided && x.stuck() || !x.visit(decided) {
			return nil
		}
		if len(x.menu) == 0 {
			x.coverage.Ends++
			return x.finish()
		}
		if len(x.path) >= maxPath {
			return fmt.Errorf("no end after %d steps: the sites never settle", len(x.path))
		}
		x.path = append(x.path, branch{0, len(x.menu)})
		x.apply(x.menu[0])
	}
}

// begin resets the world and begins the uploads of the script.
func (x *explorer) begin() {
	x.reset()
	x.next, x.crashes = 0, 0
	for _, step := range x.scope.Script {
		if step.Action == "multipart" {
			x.client(step.Site).do(actBegin, "k", nil)
		}
	}
}

func (x *explorer) abandon() {
	for len(x.tasks) > 0 {
		t := x.tasks[len(x.tasks)-1]
		x.tasks = x.tasks[:len(x.tasks)-1]
		t.kill()
	}
}

// visit marks the state, and reports whether it is new. One in which a reader has yet to decide is not counted.
func (x *explorer) visit(decided bool) bool {
	h := x.stateHash()
	if _, seen := x.visited[h]; seen {
		return false
	}
	x.visited[h] = struct{}{}
	if decided {
		x.coverage.States++
	}
	return true
}

// finish compares all sites twice, in order, and checks.
func (x *explorer) finish() error {
	for round := range 2 {
		before := x.replicaWrites
		x.tracef("anti-entropy round")
		x.antiEntropy()
		for step := 0; len(x.pending)+len(x.tasks) > 0; step++ {
			if step > maxPath {
				return errors.New("no end after the anti-entropy round: the sites never settle")
			}
			x.runFirst()
		}
		if err := x.check(); err != nil {
			return err
		}
		if n := x.replicaWrites - before; round > 0 && n > 0 {
			return fmt.Errorf("%d replica writes after all sites were equal", n)
		}
	}
	if len(x.letters) > 0 {
		return fmt.Errorf("a task failed for good without a fault: %w", x.letters[0].err)
	}
	return nil
}

// runFirst moves the oldest task on, or begins the oldest entry.
func (x *explorer) runFirst() {
	if len(x.tasks) > 0 {
		x.request(x.tasks[0], verdict{})
		return
	}
	x.start(x.pending[0])
}

// retrace carries out the path once more, with a trace.
func (x *explorer) retrace() string {
	x.trace = &trace{}
	x.begin()
	defer x.abandon()
	for _, b := range x.path {
		x.offer()
		x.apply(x.menu[b.taken])
	}
	if x.offer(); len(x.menu) == 0 {
		_ = x.finish() // it fails as it did
	}
	return x.trace.tail(400)
}
