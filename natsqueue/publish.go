package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/s3mesh/s3mesh"
)

// Publish implements s3mesh.Queue. An event without a key, of an unknown site or with a key that is not UTF-8 is
// KindInvalid, one too large for the server KindTooLarge; then nothing is published. A server that cannot be reached is
// KindUnreachable at once, and one that does not answer within ctx, or 10 s, is too. After an error other than these two
// kinds, some of the events may have been published.
func (q *Queue) Publish(ctx context.Context, lane s3mesh.Lane, events ...s3mesh.Event) error {
	if err := checkLane(lane); err != nil {
		return invalid("Publish", "", err)
	}
	bySite := map[string][]*nats.Msg{}
	for _, e := range events {
		m, err := q.message(lane, e)
		if err != nil {
			return err
		}
		bySite[e.Site] = append(bySite[e.Site], m)
	}
	if err := q.enter(); err != nil {
		return failed("Publish", "", err)
	}
	defer q.calls.Done()
	var waiting []*write
	for site, messages := range bySite {
		waiting = append(waiting, q.writers[site].submit(ctx, messages)...)
	}
	var errs []error
	for _, w := range waiting {
		if err := w.wait(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
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
