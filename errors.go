package s3mesh

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Kind classifies every failure of a store or a queue. The set is closed: adapters map what their technology says to one
// of these, once, in one table.
type Kind uint8

// The kinds. See [Kind.Transient] and [Kind.Remedy].
const (
	KindOther              Kind = iota // not classified: treated as transient, and as a gap in an adapter's table
	KindNotFound                       // no such key, version or upload
	KindPreconditionFailed             // a condition of the request did not hold (412)
	KindConflict                       // a concurrent operation on the same key was in the way (409)
	KindThrottled                      // asked to slow down (503 SlowDown, 429)
	KindUnreachable                    // no answer: connection refused or reset, time-out, DNS, TLS, 500/502/503/504
	KindAccessDenied                   // credentials are missing, wrong or lack a permission
	KindNoSuchBucket                   // the bucket does not exist
	KindInvalid                        // the request or message can never be accepted as it is
	KindUnstorable                     // this store cannot hold this key or its metadata
	KindTooLarge                       // beyond what this store accepts
	KindUnsupported                    // the store lacks the operation
	KindCorrupted                      // bytes do not match their length or checksum
	KindCanceled                       // the caller gave up
	KindHeld                           // a delete that the link's brake holds back
	KindLocked                         // an object lock (retention or legal hold) forbids it
)

var kinds = [...]struct {
	name      string
	transient bool
	remedy    string
}{
	KindOther:              {"other", true, "read the cause; if it repeats, report it with the store's name and version"},
	KindNotFound:           {"not_found", false, "nothing to do: the object is gone"},
	KindPreconditionFailed: {"precondition_failed", true, "nothing to do: the key changed meanwhile and is read again"},
	KindConflict:           {"conflict", true, "nothing to do: the key was busy and is tried again"},
	KindThrottled:          {"throttled", true, "lower the concurrency or raise the store's request limit"},
	KindUnreachable:        {"unreachable", true, "check that the endpoint is up and reachable from here; replication resumes by itself"},
	KindAccessDenied:       {"access_denied", false, "check the site's credentials and the bucket's policy, then replay the dead letters"},
	KindNoSuchBucket:       {"no_such_bucket", false, "create the bucket or correct its name in the configuration, then replay the dead letters"},
	KindInvalid:            {"invalid", false, "correct the request or message named in the cause"},
	KindUnstorable:         {"unstorable", false, "rename the object or shorten its metadata at the source: the target cannot hold them"},
	KindTooLarge:           {"too_large", false, "the target's limit is below this object's size"},
	KindUnsupported:        {"unsupported", false, "the store lacks this operation; see docs/stores.md"},
	KindCorrupted:          {"corrupted", true, "the bytes were damaged or cut off on the way; tried again"},
	KindHeld: {"held", true, "deletes on this link exceeded the configured rate; when they are meant, " +
		"let them go with: s3mesh link resume SOURCE TARGET"},
	KindLocked: {"locked", false, "an object lock protects what the target holds: wait until its retention ends or lift the " +
		"legal hold, then replay the dead letters"},
	KindCanceled: {"canceled", true, "nothing to do: the work was stopped and is taken up again"},
}

// Kinds returns every kind.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i := range kinds {
		all[i] = Kind(i)
	}
	return all
}

func (k Kind) valid() Kind {
	if int(k) >= len(kinds) {
		return KindOther
	}
	return k
}

// String returns the kind's name as it appears in logs, metrics and JSON.
func (k Kind) String() string { return kinds[k.valid()].name }

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(text []byte) error {
	for i, entry := range kinds {
		if entry.name == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("unknown error kind %q", text)
}

// Transient reports whether the same request may succeed later without anybody changing anything.
func (k Kind) Transient() bool { return kinds[k.valid()].transient }

// MayHeal reports whether a task that became a dead letter with this kind may succeed later though neither the object nor the
// message changed: because a site, a permission or a bucket is mended, or a lock ends. Such letters are replayed by themselves.
func (k Kind) MayHeal() bool {
	switch k.valid() {
	case KindAccessDenied, KindNoSuchBucket, KindLocked:
		return true
	default:
		return k.Transient()
	}
}

// Remedy returns the operator's next step.
func (k Kind) Remedy() string { return kinds[k.valid()].remedy }

// Error is a failure with its kind and its place. Credentials never appear in it.
type Error struct {
	Kind Kind
	Op   string // the operation, such as "PutObject"
	Site string // where, when known
	Key  string // which key, when there is one
	Err  error  // the cause
}

// Error returns "site: op "key": kind: cause", leaving out what is empty.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Site != "" {
		b.WriteString(e.Site + ": ")
	}
	if e.Op != "" {
		b.WriteString(e.Op + " ")
	}
	if e.Key != "" {
		fmt.Fprintf(&b, "%q", e.Key)
	}
	if b.Len() > 0 {
		text := strings.TrimRight(b.String(), ": ")
		b.Reset()
		b.WriteString(text + ": ")
	}
	b.WriteString(e.Kind.String())
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of err: that of the outermost [Error] in its chain, KindCanceled for a cancelled context,
// KindUnreachable for an exceeded deadline, otherwise KindOther.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled):
		return KindCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return KindUnreachable
	default:
		return KindOther
	}
}
