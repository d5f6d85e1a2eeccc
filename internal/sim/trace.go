package sim

import (
	"fmt"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// trace is a readable account of a run, a line for each step.
type trace struct {
	lines []string
	hash  uint64
}

// tracef adds a line. Nothing is formatted where there is no trace.
func (w *world) tracef(format string, args ...any) {
	if w.trace == nil {
		return
	}
	line := fmt.Sprintf("%4d %8.1fs  ", len(w.trace.lines), w.clock.Sub(epoch).Seconds()) + fmt.Sprintf(format, args...)
	w.trace.lines = append(w.trace.lines, line)
	w.trace.hash = hashText(w.trace.hash, line)
}

// tail returns the last n lines.
func (t *trace) tail(n int) string {
	if t == nil {
		return ""
	}
	return strings.Join(t.lines[max(0, len(t.lines)-n):], "\n")
}

func (w *world) name(at int) string { return w.sites[at].Name }

func (w *world) taskName(t *task) string {
	return fmt.Sprintf("task %d %s->%s %s", t.number, w.name(t.entry.source), w.name(t.entry.target), t.entry.event.Key)
}

// report traces how a task ended, if it has.
func (w *world) report(t *task) {
	switch {
	case w.trace == nil || !t.done:
	case t.dead:
		w.tracef("died    %s", w.taskName(t))
	default:
		w.tracef("done    %s: %s source %s target %s err %v", w.taskName(t), t.out.Result, version(t.out.Source),
			version(t.out.Target), t.out.Err)
	}
}

func version(v *s3mesh.Version) string {
	if v == nil {
		return "-"
	}
	exact := "~"
	if v.Exact {
		exact = ""
	}
	return fmt.Sprintf("%s/%s@%d.%d%s", v.Origin, v.VersionID, v.Time.Seconds-epoch.Unix(), v.Time.Counter, exact)
}
