package replicate

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

const (
	// smallObject is the size in bytes up to which a body is held in memory between GET and PUT, and up to which a key that
	// looks new is written without looking at the target first.
	smallObject = 256 << 10
	// rereads bounds how often a task is decided again because its key changed under it.
	rereads = 5
)

// Config is what a [Replicator] is made of.
type Config struct {
	Target string
	Bucket s3mesh.Bucket
	// Readers reads every site of the replica set, the target's own included.
	Readers map[string]s3mesh.Reader
	// MaxClockSkew is the largest difference between the sites' clocks for which the version order is causal.
	MaxClockSkew time.Duration
	// LargeObject is the size in bytes from which objects are copied in parts.
	LargeObject int64
	Echoes      *Echoes
	// IgnoreEchoes names the source sites whose echoes carry nothing further: see [s3mesh.ReplicaSet.EchoesRedundant].
	IgnoreEchoes map[string]bool
	// Announce makes an event of the target durable in its stream, for what no notification will tell of.
	Announce func(ctx context.Context, ev s3mesh.Event) error
	Now      func() time.Time
	Log      *slog.Logger
}

// Replicator carries tasks to one site. It writes to that site's bucket only, and only under a condition. It holds no
// state that matters: any number may work on the same site. It is safe for concurrent use.
type Replicator struct {
	Config
	buffers bufferPool
}

// New returns a replicator.
func New(cfg Config) *Replicator {
	return &Replicator{Config: cfg, buffers: newBufferPool(smallObject)}
}

// Replicate carries one task: afterwards the target holds the source's version or a later one. Whatever the task's event
// says, the current state of the key at both ends decides, so that late, repeated and reordered tasks are harmless.
//
// The outcome of a failure has ResultRetry; its error is an [s3mesh.Error] whose Site is the one that failed.
func (r *Replicator) Replicate(ctx context.Context, task s3mesh.Task) s3mesh.Outcome {
	out := s3mesh.Outcome{Task: task}
	err := r.replicate(ctx, &out)
	if err != nil {
		out.Result, out.Err = s3mesh.ResultRetry, err
	}
	out.Done = r.Now()
	return out
}

func (r *Replicator) replicate(ctx context.Context, out *s3mesh.Outcome) error {
	task := out.Task
	if r.IgnoreEchoes[task.Link.Source] && r.Echoes.Await(ctx, task.Event, task.Link.Target) {
		out.Result = s3mesh.ResultInSync
		return nil
	}
	if r.looksNew(task) {
		if done, err := r.copyUnseen(ctx, out); done || err != nil {
			return err
		}
	}
	var err error
	for range rereads {
		if err = r.merge(ctx, out); !changedMeanwhile(err) {
			return err
		}
	}
	return err
}

// changedMeanwhile reports that a key changed between looking and writing, so that looking again is the answer. Something
// seen a moment ago and not found now is such a change too.
func changedMeanwhile(err error) bool {
	return err != nil && slices.Contains([]s3mesh.Kind{s3mesh.KindPreconditionFailed, s3mesh.KindConflict,
		s3mesh.KindNotFound}, s3mesh.KindOf(err))
}

// looksNew reports that a task is probably the first write of a small key: worth a write without a look at the target.
func (r *Replicator) looksNew(task s3mesh.Task) bool {
	ev := task.Event
	return task.Lane == s3mesh.LaneLive && task.Attempt <= 1 && ev.Type == s3mesh.EventCreated &&
		ev.Size <= smallObject && !r.Echoes.Wrote(task.Link.Target, ev.Key)
}

// copyUnseen is the short way for a new small object: one GET, and one PUT that fails if the target holds the key. It
// reports false when the long way must be taken.
func (r *Replicator) copyUnseen(ctx context.Context, out *s3mesh.Outcome) (done bool, err error) {
	link := out.Task.Link
	source, err := r.open(ctx, out.Task)
	if err != nil {
		return false, err
	}
	defer source.close()
	switch {
	case source.version == nil:
		out.Result = s3mesh.ResultSourceGone
		return true, nil
	case source.version.Origin == link.Target:
		// The target wrote this version itself, and its state only moves up from there.
		out.Source, out.Result = source.version, s3mesh.ResultInSync
		return true, nil
	case source.object.Size > smallObject:
		return false, nil
	}
	_, err = r.write(ctx, out, source, s3mesh.IfAbsent())
	if changedMeanwhile(err) {
		return false, nil
	}
	return err == nil, err
}

// merge looks at both ends, the target first: what the source holds after that look was written on top of everything the
// target can have received from it.
func (r *Replicator) merge(ctx context.Context, out *s3mesh.Outcome) error {
	link, key := out.Task.Link, out.Task.Event.Key
	target, err := r.state(ctx, link.Target, key)
	if err != nil {
		return err
	}
	source, err := r.open(ctx, out.Task)
	if err != nil {
		return err
	}
	defer source.close()
	out.Source, out.Target = source.version, target.version
	if source.version == nil {
		out.Result = s3mesh.ResultSourceGone
		return nil
	}
	decision, err := r.decide(ctx, out.Task, source, target)
	if err != nil {
		return err
	}
	switch decision {
	case resolve.InSync:
		out.Result = s3mesh.ResultInSync
		return r.resumeRecheck(ctx, out, target)
	case resolve.Superseded:
		out.Result = s3mesh.ResultSuperseded
		if r.conflict(ctx, key, *target.version, *source.version) {
			out.Result = s3mesh.ResultConflictLost
		}
		return r.resumeRecheck(ctx, out, target)
	case resolve.Copy:
		return r.overwrite(ctx, out, source, target)
	default:
		return &s3mesh.Error{Kind: s3mesh.KindOther, Op: "resolve", Site: link.Target, Key: key,
			Err: fmt.Errorf("undecided: %v", decision)}
	}
}

func (r *Replicator) overwrite(ctx context.Context, out *s3mesh.Outcome, source *openState, target state) error {
	cond := s3mesh.IfAbsent()
	if target.holdsObject() {
		cond = s3mesh.IfMatch(target.object.ETag)
	}
	// Asked before the write: it may push the loser out of the history that is kept.
	conflict := target.version != nil && r.conflict(ctx, out.Task.Event.Key, *source.version, *target.version)
	written, err := r.write(ctx, out, source, cond)
	if err != nil {
		return err
	}
	if conflict {
		out.Result = s3mesh.ResultConflictWon
	}
	if !target.holdsObject() {
		return nil
	}
	return r.recheck(ctx, out, r.holding(*source.version, written), target.object.VersionID)
}
