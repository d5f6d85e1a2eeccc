package natsqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
)

// maxPage is the most letters that one List returns, whatever its limit.
const maxPage = 1000

// letters is the dead letters: a message each, in one stream. An ID is the link and the message's sequence, so that a page
// begins where the last one ended without anything being remembered.
type letters struct{ q *Queue }

func letterID(link s3mesh.Link, sequence uint64) string {
	return fmt.Sprintf("%s.%s.%d", link.Source, link.Target, sequence)
}

func parseLetterID(id string) (s3mesh.Link, uint64, error) {
	parts := strings.Split(id, ".")
	if len(parts) != 3 {
		return s3mesh.Link{}, 0, fmt.Errorf("%q is not the ID of a dead letter", id)
	}
	sequence, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil || sequence == 0 {
		return s3mesh.Link{}, 0, fmt.Errorf("%q is not the ID of a dead letter", id)
	}
	return s3mesh.Link{Source: parts[0], Target: parts[1]}, sequence, nil
}

// keepLetter makes a letter durable; it replaces the link's letter of the same key.
func (q *Queue) keepLetter(ctx context.Context, l letterEnvelope, hash string) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	l.Version, l.Letter.ID = formatVersion, ""
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return q.keep(ctx, []*nats.Msg{{Subject: q.names.letter(l.Letter.Link, hash), Data: data}})
}

func (l letters) stream(ctx context.Context) (jetstream.Stream, error) {
	return l.q.js.Stream(ctx, l.q.names.stream(deadLetters))
}

// List implements s3mesh.DeadLetters. One page holds at most 1000 letters. A limit below 1 and a cursor
// that is not a letter's ID are KindInvalid; the letter that a cursor names may be gone.
func (l letters) List(ctx context.Context, link s3mesh.Link, cursor string, limit int) ([]s3mesh.DeadLetter, string, error) {
	if limit < 1 {
		return nil, "", invalid("List", link.Source, fmt.Errorf("limit %d: at least 1", limit))
	}
	var after uint64
	if cursor != "" {
		var err error
		if _, after, err = parseLetterID(cursor); err != nil {
			return nil, "", invalid("List", "", err)
		}
	}
	stream, err := l.stream(ctx)
	if err != nil {
		return nil, "", failed("List", link.Source, err)
	}
	var page []s3mesh.DeadLetter
	for limit = min(limit, maxPage); ; {
		raw, err := stream.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(l.q.names.letter(link, "*")))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return page, "", nil
		}
		if err != nil {
			return nil, "", failed("List", link.Source, err)
		}
		if len(page) >= limit {
			return page, page[len(page)-1].ID, nil
		}
		page = append(page, readLetter(raw))
		after = raw.Sequence
	}
}

// readLetter returns the letter that a message holds. One that cannot be read is listed as such, rather than hiding
// those behind it.
func readLetter(raw *jetstream.RawStreamMsg) s3mesh.DeadLetter {
	link := linkOf(raw.Subject)
	l, err := decodeLetter(raw.Data)
	if err != nil {
		l.Letter = s3mesh.DeadLetter{
			Event: s3mesh.Event{Site: link.Source, Target: link.Target},
			Kind:  s3mesh.KindInvalid, Cause: err.Error(), Remedy: s3mesh.KindInvalid.Remedy(),
			First: raw.Time, Last: raw.Time,
		}
	}
	l.Letter.ID, l.Letter.Link = letterID(link, raw.Sequence), link
	return l.Letter
}

// linkOf returns the link that a letter's subject names.
func linkOf(subject string) s3mesh.Link {
	parts := strings.Split(subject, ".")
	return s3mesh.Link{Source: parts[2], Target: parts[3]}
}

// Replay implements s3mesh.DeadLetters. A letter of a link that is no more, or that this program cannot read, is
// KindInvalid and stays.
func (l letters) Replay(ctx context.Context, id string) error {
	link, sequence, err := parseLetterID(id)
	if err != nil {
		return &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "Replay", Err: err}
	}
	stream, err := l.stream(ctx)
	if err != nil {
		return failed("Replay", link.Source, err)
	}
	raw, err := stream.GetMsg(ctx, sequence)
	if err != nil {
		return failed("Replay", link.Source, err)
	}
	if linkOf(raw.Subject) != link {
		return &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "Replay", Site: link.Source, Err: fmt.Errorf("no dead letter %s", id)}
	}
	if err := l.q.checkLink(link); err != nil {
		return invalid("Replay", link.Source, err)
	}
	if err := l.republish(ctx, link, raw); err != nil {
		return err
	}
	return failed("Replay", link.Source, l.remove(ctx, stream, raw))
}

// remove removes this very letter: one buried meanwhile has another sequence.
func (l letters) remove(ctx context.Context, stream jetstream.Stream, raw *jetstream.RawStreamMsg) error {
	if e := l.q.embedded; e != nil {
		gone, err := e.journal.append(appendRecord(nil, recordRemove, raw.Subject, raw.Data))
		if err != nil {
			return err
		}
		defer e.journal.release(gone)
	}
	err := stream.DeleteMsg(ctx, raw.Sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	return err
}

func (l letters) republish(ctx context.Context, link s3mesh.Link, raw *jetstream.RawStreamMsg) error {
	stored, err := decodeLetter(raw.Data)
	if err != nil {
		return invalid("Replay", link.Source, err)
	}
	if stored.Unread == nil {
		event := stored.Letter.Event
		event.Site, event.Target = link.Source, link.Target
		return l.q.Publish(ctx, s3mesh.LaneBulk, event)
	}
	event, err := decodeEvent(stored.Unread)
	if err != nil {
		return invalid("Replay", link.Source, err)
	}
	event.Site, event.Target = link.Source, link.Target
	return l.q.Publish(ctx, s3mesh.LaneBulk, event)
}
