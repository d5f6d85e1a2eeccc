package natsqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
)

const (
	// firstWindow and maxWindow bound the sequences that a scan asks for at a time.
	firstWindow = 64
	maxWindow   = 512
)

// link returns the link that a letter's subject names.
func (s stored) link() s3mesh.Link {
	parts := strings.Split(s.subject, ".")
	return s3mesh.Link{Source: parts[2], Target: parts[3]}
}

// id returns a letter's ID.
func (s stored) id() string { return letterID(s.link(), s.sequence) }

// read returns the letter that a message holds. One that cannot be read is listed as such, rather than hiding those behind it.
func (s stored) read() s3mesh.DeadLetter {
	link := s.link()
	l, err := decodeLetter(s.data)
	if err != nil {
		l.Letter = s3mesh.DeadLetter{
			Event: s3mesh.Event{Site: link.Source, Target: link.Target},
			Kind:  s3mesh.KindInvalid, Cause: err.Error(), Remedy: s3mesh.KindInvalid.Remedy(),
			First: s.time, Last: s.time,
		}
	}
	l.Letter.ID, l.Letter.Link = letterID(link, s.sequence), link
	return l.Letter
}

// chosen returns the letter that a message holds if the filter chooses it. Those of other links are not even read.
func (s stored) chosen(filter s3mesh.LetterFilter) (s3mesh.DeadLetter, bool) {
	if (filter.Link != s3mesh.Link{}) && filter.Link != s.link() {
		return s3mesh.DeadLetter{}, false
	}
	letter := s.read()
	return letter, filter.Matches(letter)
}

// scan reads dead letters in the order of their sequences, many at a time. The server would give many for one request too,
// and a consumer would; but both count first what is still to come, which takes longer than to read a thousand letters when
// there are a million. Instead, requests for single sequences are sent without waiting for the answers. Where few of the
// sequences are in use, as letters were replaced or removed, it asks for fewer at a time. Not safe for concurrent use.
type scan struct {
	q      *Queue
	next   uint64 // the first sequence not looked at
	window int
	inbox  *nats.Subscription // nil until the first request
}

// newScan returns a scan of the letters after a sequence. It must be closed.
func newScan(q *Queue, after uint64) *scan { return &scan{q: q, next: after + 1, window: firstWindow} }

func (s *scan) close() {
	if s.inbox == nil {
		return
	}
	if err := s.inbox.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		s.q.cfg.Log.Debug("the end of a reading of dead letters", "error", err)
	}
}

// read returns the letters that come next: at least one, unless there is none.
func (s *scan) read(ctx context.Context) ([]stored, error) {
	first, err := s.q.get(ctx, deadLetters, fmt.Sprintf(`{"seq":%d,"next_by_subj":">"}`, s.next))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sequences := make([]uint64, s.window-1)
	for i := range sequences {
		sequences[i] = first.sequence + 1 + uint64(i)
	}
	rest, err := s.get(ctx, sequences)
	if err != nil {
		return nil, err
	}
	s.next = first.sequence + uint64(s.window)
	if len(rest) >= s.window/4 {
		s.window = min(2*s.window, maxWindow)
	} else {
		s.window = max(s.window/4, 2)
	}
	return append([]stored{first}, rest...), nil
}

// get returns the letters that are there of these sequences, in their order.
func (s *scan) get(ctx context.Context, sequences []uint64) ([]stored, error) {
	if s.inbox == nil {
		inbox, err := s.q.conn.SubscribeSync(s.q.conn.NewInbox())
		if err != nil {
			return nil, err
		}
		s.inbox = inbox
	}
	all := make([]stored, 0, len(sequences))
	for part := range slices.Chunk(sequences, maxWindow) {
		found, err := s.ask(ctx, part)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b stored) int { return cmp.Compare(a.sequence, b.sequence) })
	return all, nil
}

// ask asks for all of the sequences at once. The answers may come in any order.
func (s *scan) ask(ctx context.Context, sequences []uint64) ([]stored, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	for _, sequence := range sequences {
		request := fmt.Appendf(nil, `{"seq":%d}`, sequence)
		if err := s.q.conn.PublishRequest(s.q.names.get(deadLetters), s.inbox.Subject, request); err != nil {
			return nil, err
		}
	}
	var found []stored
	for range sequences {
		answer, err := s.inbox.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		m, err := readAnswer(answer)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return nil, err
		default:
			found = append(found, m)
		}
	}
	return found, nil
}
