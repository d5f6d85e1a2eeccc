package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
)

// maxBatch bounds the letters that are replayed or removed at a time: with one write to the journal each.
const maxBatch = 500

var errBacklogFull = errors.New("the site's backlog is full: replay the rest when it has been worked off")

// Replay implements s3mesh.DeadLetters. A letter of a link that is no more, or that this program cannot read, stays and is
// KindInvalid once the others are replayed. When the site's backlog is full, the rest of the letters stays, and the error is
// KindThrottled.
func (l letters) Replay(ctx context.Context, ids ...string) (int, error) {
	var refused []error
	n, err := l.batches(ctx, "Replay", ids, func(batch []stored) ([]stored, error) {
		fit, errs, err := l.republish(ctx, batch)
		refused = append(refused, errs...)
		return fit, err
	})
	if err == nil && len(refused) > 0 {
		err = invalid("Replay", "", errors.Join(refused...))
	}
	return n, err
}

// Drop implements s3mesh.DeadLetters.
func (l letters) Drop(ctx context.Context, ids ...string) (int, error) {
	return l.batches(ctx, "Drop", ids, func(batch []stored) ([]stored, error) { return batch, nil })
}

// batches does something with the letters and removes those it returns. It returns how many these were.
func (l letters) batches(ctx context.Context, op string, ids []string, do func([]stored) ([]stored, error)) (int, error) {
	if err := l.q.enter(); err != nil {
		return 0, failed(op, "", err)
	}
	defer l.q.calls.Done()
	n := 0
	for part := range slices.Chunk(ids, maxBatch) {
		found, err := l.load(ctx, part)
		if err != nil {
			return n, failed(op, "", err)
		}
		for len(found) > 0 {
			fit := fittingLetters(found)
			batch, err := do(found[:fit:fit])
			if err == nil {
				_, err = l.q.remove(ctx, deadLetters, batch)
			}
			if err != nil {
				return n, failed(op, "", err)
			}
			n += len(batch)
			found = found[fit:]
		}
	}
	return n, nil
}

// fittingLetters returns how many of the letters go together in the journal: at least one.
func fittingLetters(all []stored) int {
	size := 0
	for i, s := range all {
		if size += len(s.data); i > 0 && size > maxGroupBytes {
			return i
		}
	}
	return len(all)
}

// republish publishes the events of letters and returns those of which it could, with the faults of the others.
func (l letters) republish(ctx context.Context, batch []stored) (done []stored, faults []error, err error) {
	var messages []*nats.Msg
	added := map[string]int64{}
	for _, letter := range batch {
		message, err := l.message(letter)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", letter.id(), err))
			continue
		}
		messages = append(messages, message)
		done = append(done, letter)
		added[letter.link().Source]++
	}
	for site, n := range added {
		if l.q.backlogs[site].room() < n {
			return nil, faults, &s3mesh.Error{Kind: s3mesh.KindThrottled, Op: "Replay", Site: site, Err: errBacklogFull}
		}
	}
	for site, n := range added {
		l.q.backlogs[site].add(n)
	}
	if len(messages) > 0 {
		_, err = l.q.keep(ctx, messages)
	}
	return done, faults, err
}

// message returns what Replay publishes for a letter.
func (l letters) message(m stored) (*nats.Msg, error) {
	link := m.link()
	if err := l.q.checkLink(link); err != nil {
		return nil, err
	}
	letter, err := decodeLetter(m.data)
	if err != nil {
		return nil, err
	}
	event := letter.Letter.Event
	if letter.Unread != nil {
		if event, err = decodeEvent(letter.Unread); err != nil {
			return nil, err
		}
	}
	event.Site, event.Target, event.Fresh = link.Source, link.Target, false
	return l.q.message(s3mesh.LaneBulk, event)
}

// supersede removes the letter of a key whose task ended well, if the letter was buried before the task was handed out: the
// task has read a later state of the key. A success without Repair says nothing of a letter with it.
func (l letters) supersede(ctx context.Context, subject string, newest uint64, repaired bool) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	last, err := l.q.get(ctx, deadLetters, fmt.Sprintf(`{"last_by_subj":%q}`, subject))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil
	case err != nil:
		return err
	case last.sequence > newest, !repaired && last.read().Event.Repair:
		return nil
	}
	_, err = l.q.remove(ctx, deadLetters, []stored{last})
	return err
}
