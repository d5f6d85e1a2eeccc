package natsqueue

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// recovery publishes again what the journal of an unclean end holds. Of a subject the last message stays, in the stream
// as in the journal. An event that had been processed is so once more, which changes nothing.
type recovery struct {
	q       *Queue
	waiting []*nats.Msg
	bytes   int
	events  int
	letters int
	marks   int
	foreign map[string]int // events by sites that this process does not own
}

func (q *Queue) recover(ctx context.Context) error {
	left := q.embedded.leftover
	if !left.unclean {
		return nil
	}
	r := &recovery{q: q, foreign: map[string]int{}}
	if err := left.replay(func(rec record) error { return r.apply(ctx, rec) }); err != nil {
		return err
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	for site, n := range r.foreign {
		q.cfg.Log.Warn("dropping the events of a site that is no longer here", "site", site, "events", n)
	}
	q.cfg.Log.Info("recovered the event journal", "events", r.events, "dead_letters", r.letters, "marks", r.marks,
		"power_lost", left.powerLost)
	return nil
}

func (r *recovery) apply(ctx context.Context, rec record) error {
	switch site := r.q.names.site(rec.subject); {
	case site == deadLetters:
		r.letters++
		return r.repeat(ctx, site, rec)
	case site == dirtySites:
		r.marks++
		return r.repeat(ctx, site, rec)
	case !slices.Contains(r.q.cfg.Own, site):
		r.foreign[site]++
		return nil
	default:
		r.events++
		return r.publish(ctx, rec)
	}
}

// publish sends messages a thousand at a time.
func (r *recovery) publish(ctx context.Context, rec record) error {
	r.waiting = append(r.waiting, &nats.Msg{Subject: rec.subject, Data: bytes.Clone(rec.data)})
	r.bytes += len(rec.data)
	if len(r.waiting) < maxGroup && r.bytes < maxGroupBytes {
		return nil
	}
	return r.flush(ctx)
}

func (r *recovery) flush(ctx context.Context) error {
	_, err := r.q.send(ctx, r.waiting)
	r.waiting, r.bytes = nil, 0
	return err
}

// repeat stores or removes a dead letter or a mark once more, unless that is not lost: a letter keeps its ID.
func (r *recovery) repeat(ctx context.Context, name string, rec record) error {
	stream, err := r.q.js.Stream(ctx, r.q.names.stream(name))
	if err != nil {
		return err
	}
	present, err := stream.GetLastMsgForSubject(ctx, rec.subject)
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return err
	}
	same := err == nil && bytes.Equal(present.Data, rec.data)
	switch {
	case rec.kind == recordPut && !same:
		_, err := r.q.send(ctx, []*nats.Msg{{Subject: rec.subject, Data: bytes.Clone(rec.data)}})
		return err
	case rec.kind == recordRemove && same:
		return stream.DeleteMsg(ctx, present.Sequence)
	default:
		return nil
	}
}
