package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/s3mesh/s3mesh"
)

// How hard a race is: enough to find, at the first attempt, the stores that are known to check a condition apart from the
// write, within a second or two.
const (
	racePutters, racePutRounds           = 16, 6
	raceCompleters, raceCompleteRounds   = 8, 6
	raceDeletedKeys, raceDeleteRounds    = 8, 4
	raceNobody                           = "in no round of the race was anybody let through"
	raceAbsentContent, raceReplacedStart = "s3mesh", "first"
)

// Atomic reports whether the condition of a write also holds in a race; operation and header are those of [Scratch.Honours].
// Clients write one key at once, each under a condition that the first of them makes false, some rounds over: none must see
// two succeed. A conditional delete races a write that makes its condition false: that write must never be what is deleted.
//
// That nothing was found does not prove that there is nothing: the race is short. It takes 100 to 200 requests.
func (s *Scratch) Atomic(ctx context.Context, operation, header string) (bool, error) {
	if err := s.knows(operation, header); err != nil {
		return false, err
	}
	switch operation {
	case opDelete:
		return s.raceDeletes(ctx)
	case opComplete:
		return s.raceRounds(ctx, raceCompleteRounds, func(ctx context.Context, round int) (int, error) {
			return s.raceCompletes(ctx, fmt.Sprintf("race-complete-%s-%d", header, round), header)
		})
	default:
		return s.raceRounds(ctx, racePutRounds, func(ctx context.Context, round int) (int, error) {
			return s.racePuts(ctx, fmt.Sprintf("race-put-%s-%d", header, round), header)
		})
	}
}

// raceRounds reports whether no round had more than one winner. One round at least has to have one.
func (s *Scratch) raceRounds(ctx context.Context, rounds int, run func(context.Context, int) (int, error)) (bool, error) {
	best := 0
	for round := range rounds {
		winners, err := run(ctx, round)
		if err != nil {
			return false, err
		}
		if best = max(best, winners); best > 1 {
			return false, nil
		}
	}
	if best == 0 {
		return false, &s3mesh.Error{Kind: s3mesh.KindConflict, Op: "race", Site: s.bucket.client.site, Err: errors.New(raceNobody)}
	}
	return true, nil
}

// raceCondition returns the condition that the first writer of key makes false.
func (s *Scratch) raceCondition(ctx context.Context, key, header string) (s3mesh.Condition, error) {
	if header == noneMatch {
		return s3mesh.IfAbsent(), nil
	}
	written, err := s.write(ctx, key, raceReplacedStart, nil)
	return s3mesh.IfMatch(written.ETag), err
}

// racePuts returns how many of the clients that write at once succeed.
func (s *Scratch) racePuts(ctx context.Context, name, header string) (int, error) {
	key := s.key(name)
	cond, err := s.raceCondition(ctx, key, header)
	if err != nil {
		return 0, err
	}
	return together(racePutters, func(client int) error {
		content := fmt.Sprintf("%s %d", raceAbsentContent, client)
		head := make(http.Header, 6)
		setCondition(head, cond)
		_, err := s.write(ctx, key, content, head)
		return err
	})
}

// raceCompletes returns how many of the uploads that are completed at once become the object.
func (s *Scratch) raceCompletes(ctx context.Context, name, header string) (int, error) {
	key := s.key(name)
	cond, err := s.raceCondition(ctx, key, header)
	if err != nil {
		return 0, err
	}
	var uploads [raceCompleters]s3mesh.Upload
	var etags [raceCompleters]string
	begun, err := together(raceCompleters, func(client int) (err error) {
		uploads[client], etags[client], err = s.begin(ctx, key, fmt.Sprintf("%s %d", raceAbsentContent, client))
		return err
	})
	if err != nil || begun < raceCompleters {
		return 0, err
	}
	return together(raceCompleters, func(client int) error {
		_, err := uploads[client].Complete(ctx, []string{etags[client]}, cond)
		return err
	})
}

// together runs do for clients 0 to n-1 at once and returns how many succeeded. Failures of a condition, and those that pass,
// are expected; of the others one is returned.
func together(n int, do func(client int) error) (succeeded int, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	start := make(chan struct{})
	for client := range n {
		all.Go(func() {
			<-start
			failed := do(client)
			mu.Lock()
			defer mu.Unlock()
			switch kind := s3mesh.KindOf(failed); {
			case failed == nil:
				succeeded++
			case kind == s3mesh.KindCanceled || !kind.Transient() && kind != s3mesh.KindNotFound:
				err = failed
			}
		})
	}
	close(start)
	all.Wait()
	return succeeded, err
}

// raceDeletes reports whether a delete under If-Match never deletes what a client writes at the same moment. Whichever of the
// two comes first, what the client wrote is there afterwards.
func (s *Scratch) raceDeletes(ctx context.Context) (bool, error) {
	for round := range raceDeleteRounds {
		var keys [raceDeletedKeys]string
		var conds [raceDeletedKeys]s3mesh.Condition
		for i := range keys {
			keys[i] = s.key(fmt.Sprintf("race-delete-%d-%d", round, i))
			first, err := s.write(ctx, keys[i], raceReplacedStart, nil)
			if err != nil {
				return false, err
			}
			conds[i] = s3mesh.IfMatch(first.ETag)
		}
		var written [raceDeletedKeys]bool
		_, err := together(2*raceDeletedKeys, func(client int) error {
			i := client / 2
			if client%2 == 0 {
				_, err := s.bucket.Delete(ctx, keys[i], s3mesh.DeleteOptions{Condition: conds[i]})
				return err
			}
			_, err := s.write(ctx, keys[i], raceAbsentContent, nil)
			written[i] = err == nil
			return err
		})
		if err != nil {
			return false, err
		}
		if there, err := s.allThere(ctx, keys[:], written[:]); err != nil || !there {
			return false, err
		}
	}
	return true, nil
}

// allThere reports whether every key that was written holds an object.
func (s *Scratch) allThere(ctx context.Context, keys []string, written []bool) (bool, error) {
	for i, key := range keys {
		if !written[i] {
			continue
		}
		if _, err := s.bucket.Head(ctx, key, s3mesh.ReadOptions{}); err != nil {
			return false, ignoreNotFound(err)
		}
	}
	return true, nil
}
