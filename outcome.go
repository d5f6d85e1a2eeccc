package s3mesh

import "time"

// Result is what a task came to.
type Result string

// The results.
const (
	// ResultReplicated: the source's version was written to the target.
	ResultReplicated Result = "replicated"
	// ResultDeleted: the source's delete was applied at the target.
	ResultDeleted Result = "deleted"
	// ResultUndeleted: a delete that a client took back at the source was taken back at the target.
	ResultUndeleted Result = "undeleted"
	// ResultHeld: a delete that the link's brake holds back.
	ResultHeld Result = "held"
	// ResultInSync: the target already held the source's version.
	ResultInSync Result = "in_sync"
	// ResultSuperseded: the target holds a later version than the source.
	ResultSuperseded Result = "superseded"
	// ResultSourceGone: the source holds no object under the key, and deletes are not propagated.
	ResultSourceGone Result = "source_gone"
	// ResultConflictWon: replicated over a version that was written without knowledge of this one.
	ResultConflictWon Result = "conflict_won"
	// ResultConflictLost: superseded by a version that was written without knowledge of this one.
	ResultConflictLost Result = "conflict_lost"
	// ResultRetry: the task failed and will be delivered again.
	ResultRetry Result = "retry"
	// ResultDeadLettered: the task used up its attempts, or can never succeed, and was kept with its cause.
	ResultDeadLettered Result = "dead_lettered"
)

// Results returns every result.
func Results() []Result {
	return []Result{ResultReplicated, ResultDeleted, ResultUndeleted, ResultHeld, ResultInSync, ResultSuperseded,
		ResultSourceGone, ResultConflictWon, ResultConflictLost, ResultRetry, ResultDeadLettered}
}

// Wrote reports whether the result includes a write at the target.
func (r Result) Wrote() bool {
	return r == ResultReplicated || r == ResultDeleted || r == ResultUndeleted || r == ResultConflictWon
}

// Outcome is the report of one processed task. It is the only thing that metrics, logs and pages are made from.
type Outcome struct {
	Task   Task
	Result Result
	// Source and Target are the versions that were compared. Target is nil when the target held nothing.
	Source, Target *Version
	Bytes          int64     // body bytes written to the target
	Done           time.Time // when the target was seen to hold the version, or the task failed
	// Err is the cause of ResultRetry and ResultDeadLettered.
	Err error
	// RetryAfter is how long a task with ResultRetry waits for its next attempt.
	RetryAfter time.Duration
}

// Lag returns how long after the event the outcome came, or zero when the store did not tell the event's time.
func (o Outcome) Lag() time.Duration {
	if o.Task.Event.Time.IsZero() {
		return 0
	}
	return max(0, o.Done.Sub(o.Task.Event.Time))
}
