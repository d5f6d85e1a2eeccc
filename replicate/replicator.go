package replicate

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
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
	// Capabilities is what the target's store was seen to do. Where it honours no condition, each write is preceded and
	// followed by a look, and a client's write that was covered is put back on top.
	Capabilities s3mesh.Capabilities
	// PropagateDeletes tells that a delete at a source is to be applied to the target. It takes buckets that keep versions.
	PropagateDeletes bool
	// Brake may hold back the deletes of a link; nil holds none.
	Brake *Brake
	// TombstoneRetention is how long replicated deletes are remembered.
	TombstoneRetention time.Duration
	Echoes             *Echoes
	// IgnoreEchoes names the source sites whose echoes carry nothing further: see [s3mesh.ReplicaSet.EchoesRedundant].
	IgnoreEchoes map[string]bool
	// Announce makes an event of the target durable in its stream, for what no notification will tell of.
	Announce func(ctx context.Context, ev s3mesh.Event) error
	// CountHistory, where set, is told of every version history that a site is asked for, and why: see [HistoryReasons].
	CountHistory func(site, reason string)
	// CountDistrust, where set, is told of every version stamp or tombstone at a site that was not believed.
	CountDistrust func(site string)
	Now           func() time.Time
	Log           *slog.Logger
}

// Replicator carries tasks to one site. It writes to that site's bucket only, and only under a condition. It holds no
// state that matters: any number may work on the same site. It is safe for concurrent use.
type Replicator struct {
	Config
	buffers   bufferPool
	lastStamp atomic.Int64 // the last of uniqueNow, in Unix nanoseconds
	intents   intents
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
	j := job{Outcome: s3mesh.Outcome{Task: task}}
	j.again = task.Attempt > 1 || task.Resumes || task.Lane == s3mesh.LaneBulk || task.Lane == s3mesh.LaneHeld
	err := r.replicate(ctx, &j)
	if err != nil {
		j.Result, j.Err = s3mesh.ResultRetry, err
	}
	j.Done = r.Now()
	return j.Outcome
}

// job is a task being carried, with the outcome so far.
type job struct {
	s3mesh.Outcome
	// again tells that an earlier try may have stopped half-way: between a write, and the look at what it covered. It may
	// have become a dead letter since, which is replayed in the bulk lane.
	again bool
	// putBack counts what was put back on top.
	putBack int
}

func (r *Replicator) replicate(ctx context.Context, j *job) error {
	task := j.Task
	// What is for one link alone is no notification: reconcile and replay ask for a look.
	if r.IgnoreEchoes[task.Link.Source] && task.Event.Type == s3mesh.EventCreated && task.Event.Target == "" &&
		r.Echoes.Await(ctx, task.Event, task.Link.Target) {
		j.Result = s3mesh.ResultInSync
		return nil
	}
	if r.looksNew(task) {
		if done, err := r.copyUnseen(ctx, j); done || err != nil {
			return err
		}
	}
	var err error
	undeleted := false
	for range rereads {
		if err = r.merge(ctx, j); !changedMeanwhile(err) {
			break
		}
		j.again = true
		undeleted = undeleted || j.Result == s3mesh.ResultUndeleted
	}
	if err == nil && undeleted && !j.Result.Wrote() {
		j.Result = s3mesh.ResultUndeleted
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
	return r.Capabilities.ConditionalPut && (task.Lane == s3mesh.LaneLive || ev.Fresh) &&
		task.Attempt <= 1 && !task.Resumes && ev.Type == s3mesh.EventCreated &&
		ev.Size <= smallObject && !r.Echoes.Wrote(task.Link.Target, ev.Key)
}

// copyUnseen is the short way for a new small object: one GET, and one PUT that fails if the target holds the key. It
// reports false when the long way must be taken.
func (r *Replicator) copyUnseen(ctx context.Context, j *job) (done bool, err error) {
	link := j.Task.Link
	source, err := r.open(ctx, j.Task)
	if changedMeanwhile(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer source.close()
	switch {
	case source.version == nil:
		j.Result = s3mesh.ResultSourceGone
		return true, nil
	case source.version.Deleted:
		return false, nil
	case source.version.Origin == link.Target && j.Task.Event.Fresh:
		// The target was seen to hold nothing, though it wrote this version: it lost it, or cannot tell that it deleted it.
		return false, nil
	case source.version.Origin == link.Target:
		// The target wrote this version itself, and its state only moves up from there.
		j.Source, j.Result = source.version, s3mesh.ResultInSync
		return true, nil
	case source.object.Size > smallObject:
		return false, nil
	}
	written, err := r.write(ctx, j, source, s3mesh.IfAbsent())
	if changedMeanwhile(err) {
		return false, nil
	}
	if err != nil || !r.PropagateDeletes {
		return err == nil, err
	}
	// A delete at the target may be the later one. The condition does not tell.
	return true, r.recheck(ctx, j, r.holding(*source.version, written), "")
}

// merge looks at both ends, the target first: what the source holds after that look was written on top of everything the
// target can have received from it.
func (r *Replicator) merge(ctx context.Context, j *job) error {
	link, key := j.Task.Link, j.Task.Event.Key
	target, err := r.state(ctx, link.Target, key)
	if err != nil {
		return err
	}
	source, err := r.open(ctx, j.Task)
	if err != nil {
		return err
	}
	defer source.close()
	j.Source, j.Target = source.version, target.version
	if source.version == nil {
		j.Result = s3mesh.ResultSourceGone
		return nil
	}
	decision, err := r.decide(ctx, j.Task, &source.state, target)
	if err != nil {
		return err
	}
	if decision, err = r.undoneAlready(ctx, j, decision, source, target); err != nil {
		return err
	}
	switch decision {
	case resolve.InSync:
		return r.inSync(ctx, j, source, target)
	case resolve.Superseded:
		j.Result = s3mesh.ResultSuperseded
		if target.version != nil && r.conflict(ctx, key, *target.version, *source.version) {
			j.Result = s3mesh.ResultConflictLost
		}
		return r.resumeRecheck(ctx, j, target)
	case resolve.Copy:
		if source.version.Deleted {
			return r.applySourceDelete(ctx, j, *source.version, target)
		}
		return r.overwrite(ctx, j, source, target)
	default:
		return &s3mesh.Error{Kind: s3mesh.KindOther, Op: "resolve", Site: link.Target, Key: key,
			Err: fmt.Errorf("undecided: %v", decision)}
	}
}

func (r *Replicator) overwrite(ctx context.Context, j *job, source *openState, target state) error {
	cond := s3mesh.IfAbsent()
	if target.holdsObject() {
		cond = s3mesh.IfMatch(target.object.ETag)
	}
	// Asked before the write: it may push the loser out of the history that is kept.
	conflict := target.version != nil && r.conflict(ctx, j.Task.Event.Key, *source.version, *target.version)
	written, err := r.write(ctx, j, source, cond)
	if err != nil {
		return err
	}
	if conflict {
		j.Result = s3mesh.ResultConflictWon
	}
	if !target.holdsObject() && !r.PropagateDeletes && r.honours(source.object.Size) {
		return nil
	}
	return r.recheck(ctx, j, r.holding(*source.version, written), target.object.VersionID)
}

// inSync deals with a target that says it holds the source's version. A replica that was seen to be something else is written
// anew.
func (r *Replicator) inSync(ctx context.Context, j *job, source *openState, target state) error {
	repairs := j.Task.Event.Repair && source.holdsObject() && target.holdsObject() && target.version.Origin != r.Target
	if !repairs {
		j.Result = s3mesh.ResultInSync
		return r.resumeRecheck(ctx, j, target)
	}
	written, err := r.write(ctx, j, source, s3mesh.IfMatch(target.object.ETag))
	if err != nil {
		return err
	}
	return r.recheck(ctx, j, r.holding(*source.version, written), target.object.VersionID)
}

// honours reports whether the target's store honours the condition of a write of size bytes.
func (r *Replicator) honours(size int64) bool {
	if size >= r.LargeObject {
		return r.Capabilities.ConditionalComplete
	}
	return r.Capabilities.ConditionalPut
}
