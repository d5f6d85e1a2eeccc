package natsqueue

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
)

// Backlog implements s3mesh.Queue. It costs about six requests to the server for an idle link and twelve for a busy one,
// whatever the number of events. InFlight includes events that wait for a retry. Oldest is the time of the event that has
// been in the stream longest: of a key that was written many times, the latest time.
func (q *Queue) Backlog(ctx context.Context, link s3mesh.Link) (s3mesh.Backlog, error) {
	if err := q.checkLink(link); err != nil {
		return s3mesh.Backlog{}, invalid("Backlog", link.Source, err)
	}
	b, err := q.backlog(ctx, link)
	if err != nil {
		return s3mesh.Backlog{}, failed("Backlog", link.Source, err)
	}
	return b, nil
}

func (q *Queue) backlog(ctx context.Context, link s3mesh.Link) (s3mesh.Backlog, error) {
	var b s3mesh.Backlog
	stream, err := q.js.Stream(ctx, q.names.stream(link.Source))
	if err != nil {
		return b, err
	}
	for _, lane := range s3mesh.Lanes() {
		c, err := stream.Consumer(ctx, consumer(link.Target, lane))
		if err != nil {
			return b, err
		}
		info := c.CachedInfo()
		if lane == s3mesh.LaneHeld {
			b.Held = int64(info.NumPending) + int64(info.NumAckPending)
			continue
		}
		b.Pending += int64(info.NumPending)
		b.InFlight += int64(info.NumAckPending)
		if lane == s3mesh.LaneBulk || lane == s3mesh.LaneLarge {
			b.Bulk += int64(info.NumPending) + int64(info.NumAckPending)
		}
		if info.NumPending+uint64(info.NumAckPending) == 0 {
			continue
		}
		if err := q.oldest(ctx, stream, info, &b.Oldest); err != nil {
			return b, err
		}
	}
	b.DeadLetters, err = q.countLetters(ctx, link)
	return b, err
}

// firstFrom returns the first message from a sequence on whose subject filter matches. A server that is asked for one from the
// beginning of a stream, or from before it, looks through all subjects there are; from a later one it does not. So the very first
// message is asked for by itself.
func (q *Queue) firstFrom(ctx context.Context, stream jetstream.Stream, sequence uint64, filter string) (
	*jetstream.RawStreamMsg, error) {
	first := stream.CachedInfo().State.FirstSeq
	if sequence > first {
		return stream.GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(filter))
	}
	raw, err := stream.GetMsg(ctx, first)
	switch {
	case err == nil && matches(filter, raw.Subject):
		return raw, nil
	case err != nil && !errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, err
	}
	return stream.GetMsg(ctx, first+1, jetstream.WithGetMsgSubject(filter))
}

// matches reports whether a subject is of those that a filter ending in "*" stands for.
func matches(filter, subject string) bool {
	prefix := strings.TrimSuffix(filter, "*")
	rest, ok := strings.CutPrefix(subject, prefix)
	return ok && !strings.Contains(rest, ".")
}

// oldest lowers t to the time of the first event that the consumer has not acknowledged: everything up to its ack floor
// is.
func (q *Queue) oldest(ctx context.Context, stream jetstream.Stream, info *jetstream.ConsumerInfo, t *time.Time) error {
	for _, filter := range info.Config.FilterSubjects {
		raw, err := q.firstFrom(ctx, stream, info.AckFloor.Stream+1, filter)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if at := eventTime(raw.Data, raw.Time); t.IsZero() || at.Before(*t) {
			*t = at
		}
	}
	return nil
}
