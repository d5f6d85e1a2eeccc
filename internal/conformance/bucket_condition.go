package conformance

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/s3mesh/s3mesh"
)

func conditionTests() map[string]func(bucketCase) {
	return map[string]func(bucketCase){
		"NoCondition":           bucketNoCondition,
		"IfAbsent":              bucketIfAbsent,
		"IfAbsentOverMarker":    bucketIfAbsentOverMarker,
		"IfMatch":               bucketIfMatch,
		"IfMatchUnderMarker":    bucketIfMatchUnderMarker,
		"RaceIfAbsent":          bucketRaceIfAbsent,
		"RaceIfAbsentAndMarker": bucketRaceIfAbsentOverMarker,
		"RaceIfMatch":           bucketRaceIfMatch,
	}
}

func bucketNoCondition(c bucketCase) {
	t, f := c.t, c.BucketFixture
	_, err := tryPut(t, f, "key", "value", s3mesh.Condition{})
	wantKind(t, err, s3mesh.KindInvalid)
	wantAbsent(t, f, "key")
}

func bucketIfAbsent(c bucketCase) {
	t, f := c.t, c.BucketFixture
	putAbsent(t, f, "key", "first")
	_, err := tryPut(t, f, "key", "second", s3mesh.IfAbsent())
	wantKind(t, err, s3mesh.KindPreconditionFailed)
	wantBody(t, f, "key", "first")
	if n := len(history(t, f, "key")); n != 1 {
		t.Fatalf("%d versions after a refused write, want 1", n)
	}
}

// bucketIfAbsentOverMarker writes where delete markers are on top: the key holds no object.
func bucketIfAbsentOverMarker(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for i, body := range []string{"back again", string(pattern(1 << 20))} {
		key := fmt.Sprintf("key-%d", i)
		clientPut(t, f, key, "old")
		clientPut(t, f, key, "newer")
		clientDelete(t, f, key)
		_, err := f.Bucket.Put(t.Context(), key, s3mesh.PutInput{
			Body: seekableOf(body), Size: int64(len(body)), Condition: s3mesh.IfAbsent(),
		})
		if err != nil {
			t.Fatal(err)
		}
		wantBody(t, f, key, body)
		if entries := history(t, f, key); len(entries) != 4 || !entries[1].DeleteMarker {
			t.Fatalf("history %+v, want the new object over the marker over two objects", entries)
		}
	}
}

func bucketIfMatch(c bucketCase) {
	t, f := c.t, c.BucketFixture
	first := putAbsent(t, f, "key", "first")
	_, err := tryPut(t, f, "key", "wrong", s3mesh.IfMatch("00000000000000000000000000000000"))
	wantKind(t, err, s3mesh.KindPreconditionFailed)
	must[s3mesh.Written](t)(tryPut(t, f, "key", "second", s3mesh.IfMatch(first.ETag)))
	_, err = tryPut(t, f, "key", "third", s3mesh.IfMatch(first.ETag))
	wantKind(t, err, s3mesh.KindPreconditionFailed)
	wantBody(t, f, "key", "second")
	_, err = tryPut(t, f, "missing", "value", s3mesh.IfMatch(first.ETag))
	wantKind(t, err, s3mesh.KindPreconditionFailed)
	wantAbsent(t, f, "missing")
}

// bucketIfMatchUnderMarker writes against the ETag of an object that was deleted meanwhile.
func bucketIfMatchUnderMarker(c bucketCase) {
	t, f := c.t, c.BucketFixture
	old := clientPut(t, f, "key", "old")
	clientDelete(t, f, "key")
	_, err := tryPut(t, f, "key", "new", s3mesh.IfMatch(old.ETag))
	if f.Gaps.IfMatchUnderMarker {
		if err != nil {
			t.Fatalf("declared as a gap, but refused: %v", err)
		}
		return
	}
	wantKind(t, err, s3mesh.KindPreconditionFailed)
	wantAbsent(t, f, "key")
}

func bucketRaceIfAbsent(c bucketCase) {
	t, f := c.t, c.BucketFixture
	race(t, f, "key", 50, s3mesh.IfAbsent())
}

func bucketRaceIfAbsentOverMarker(c bucketCase) {
	t, f := c.t, c.BucketFixture
	clientPut(t, f, "key", "old")
	clientDelete(t, f, "key")
	race(t, f, "key", 20, s3mesh.IfAbsent())
}

func bucketRaceIfMatch(c bucketCase) {
	t, f := c.t, c.BucketFixture
	first := putAbsent(t, f, "key", "first")
	race(t, f, "key", 50, s3mesh.IfMatch(first.ETag))
}

// race puts n bodies at once under one condition: one wins, and is what the key holds.
func race(t *testing.T, f BucketFixture, key string, n int, cond s3mesh.Condition) {
	t.Helper()
	var winners atomic.Int32
	var winner atomic.Pointer[string]
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			body := fmt.Sprintf("writer %d", i)
			_, err := tryPut(t, f, key, body, cond)
			switch kind := s3mesh.KindOf(err); {
			case err == nil:
				winners.Add(1)
				winner.Store(&body)
			case kind != s3mesh.KindPreconditionFailed && kind != s3mesh.KindConflict:
				t.Errorf("loser: %v", err)
			}
		})
	}
	wait.Wait()
	if winners.Load() != 1 {
		t.Fatalf("%d of %d racing writes won, want 1", winners.Load(), n)
	}
	wantBody(t, f, key, *winner.Load())
}
