package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
)

const (
	// maxGroup and maxGroupBytes bound what one call of Publish has under way at a time.
	maxGroup      = 1000
	maxGroupBytes = 1 << 20
	// headerRoom is left free of the server's largest payload for headers.
	headerRoom = 256
)

// Publish implements s3mesh.Queue. An event without a key, of an unknown site or with a key that is not UTF-8 is
// KindInvalid, one too large for the server KindTooLarge; then nothing is published. A server that cannot be reached is
// KindUnreachable at once, and one that does not answer within ctx, or 10 s, is too. After an error other than these two
// kinds, some of the events may have been published.
//
// An event of a site whose backlog is full (Config.MaxBacklog) is not stored: the site is marked dirty instead, durably, which
// is no error. See [Queue.Dirty].
func (q *Queue) Publish(ctx context.Context, lane s3mesh.Lane, events ...s3mesh.Event) error {
	if err := checkLane(lane); err != nil {
		return invalid("Publish", "", err)
	}
	messages := make([]*nats.Msg, 0, len(events))
	for _, e := range events {
		m, err := q.message(lane, e)
		if err != nil {
			return err
		}
		messages = append(messages, m)
	}
	if err := q.enter(); err != nil {
		return failed("Publish", "", err)
	}
	defer q.calls.Done()
	if err := ctx.Err(); err != nil {
		return failed("Publish", "", err)
	}
	for len(messages) > 0 {
		n := fitting(messages)
		if _, err := q.keep(ctx, q.admit(messages[:n])); err != nil {
			return failed("Publish", q.names.site(messages[0].Subject), err)
		}
		messages = messages[n:]
	}
	return nil
}

// fitting returns how many of the messages go together: at least one.
func fitting(messages []*nats.Msg) int {
	size := 0
	for i, m := range messages {
		if size += len(m.Data); i > 0 && (i == maxGroup || size > maxGroupBytes) {
			return i
		}
	}
	return len(messages)
}

// keep returns without error once the messages are durable and in their streams, with the sequence of the last: with the
// embedded server, the journal makes them durable, and the server does not sync them.
func (q *Queue) keep(ctx context.Context, messages []*nats.Msg) (uint64, error) {
	if q.embedded != nil {
		var records []byte
		for _, m := range messages {
			records = appendRecord(records, recordPut, m.Subject, m.Data)
		}
		kept, err := q.embedded.journal.append(records)
		if err != nil {
			return 0, err
		}
		defer q.embedded.journal.release(kept)
	}
	return q.send(ctx, messages)
}

// send publishes to JetStream, and waits for all answers. It returns the sequence of the last message.
func (q *Queue) send(ctx context.Context, messages []*nats.Msg) (last uint64, err error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	futures := make([]jetstream.PubAckFuture, 0, len(messages))
	for _, m := range messages {
		future, err := q.js.PublishMsgAsync(m, jetstream.WithStallWait(requestTimeout))
		if err != nil {
			return 0, err
		}
		futures = append(futures, future)
	}
	for _, future := range futures {
		select {
		case answer := <-future.Ok():
			last = answer.Sequence
		case err := <-future.Err():
			return 0, err
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return last, nil
}

// message checks and encodes an event.
func (q *Queue) message(lane s3mesh.Lane, e s3mesh.Event) (*nats.Msg, error) {
	_, known := q.cfg.Set.Site(e.Site)
	switch {
	case !known:
		return nil, invalid("Publish", e.Site, fmt.Errorf("site %q is not in replica set %s", e.Site, q.cfg.Set.Name))
	case e.Target != "" && s3mesh.ValidateName(e.Target) != nil:
		return nil, invalid("Publish", e.Site, s3mesh.ValidateName(e.Target))
	case e.Key == "":
		return nil, invalid("Publish", e.Site, errors.New("the event has no key"))
	case !utf8.ValidString(e.Key):
		return nil, invalid("Publish", e.Site, fmt.Errorf("the key %q is not UTF-8", e.Key))
	}
	data, err := encodeEvent(e)
	if err != nil {
		return nil, invalid("Publish", e.Site, err)
	}
	if limit := q.conn.MaxPayload(); limit > 0 && int64(len(data)) > limit-headerRoom {
		return nil, failed("Publish", e.Site, nats.ErrMaxPayload)
	}
	return &nats.Msg{Subject: q.names.event(lane, e.Site, e.Target, keyHash(e.Key)), Data: data}, nil
}
