package natsqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What JetStream answers to the removal of a message that is not there. The second one stands for other failures too.
const (
	codeSequenceGone jetstream.ErrorCode = 10043
	codeDeleteFailed jetstream.ErrorCode = 10057
)

// stored is a message as a stream holds it.
type stored struct {
	subject  string
	sequence uint64
	time     time.Time // when it was stored
	data     []byte
}

// get returns one message of a stream, as a direct request asks for it, or ErrMsgNotFound.
func (q *Queue) get(ctx context.Context, stream, request string) (stored, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	answer, err := q.conn.RequestWithContext(ctx, q.names.get(stream), []byte(request))
	if err != nil {
		return stored{}, err
	}
	return readAnswer(answer)
}

// readAnswer returns the message that the server sent of a stream, or ErrMsgNotFound.
func readAnswer(m *nats.Msg) (stored, error) {
	switch status := m.Header.Get("Status"); status {
	case "":
	case "404":
		return stored{}, jetstream.ErrMsgNotFound
	case "503":
		return stored{}, nats.ErrNoResponders
	default:
		return stored{}, fmt.Errorf("the server answered %s: %s", status, m.Header.Get("Description"))
	}
	sequence, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return stored{}, fmt.Errorf("sequence of a stored message: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return stored{}, fmt.Errorf("time of a stored message: %w", err)
	}
	return stored{m.Header.Get(jetstream.SubjectHeader), sequence, at, m.Data}, nil
}

// remove removes these very messages of a stream: one stored meanwhile under the same subject has another sequence, and
// stays. They do not come back when the journal is recovered. It returns how many there were.
func (q *Queue) remove(ctx context.Context, stream string, batch []stored) (int, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if q.embedded != nil {
		var records []byte
		for _, m := range batch {
			records = appendRecord(records, recordRemove, m.subject, m.data)
		}
		gone, err := q.embedded.journal.append(records)
		if err != nil {
			return 0, err
		}
		defer q.embedded.journal.release(gone)
	}
	return q.deleteAll(ctx, stream, batch)
}

// deleteAll removes messages without waiting for the answer to one before the next is sent.
func (q *Queue) deleteAll(ctx context.Context, stream string, batch []stored) (n int, err error) {
	inbox, err := q.conn.SubscribeSync(q.conn.NewInbox())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, inbox.Unsubscribe()) }()
	subject := "$JS.API.STREAM.MSG.DELETE." + q.names.stream(stream)
	for _, m := range batch {
		request := fmt.Appendf(nil, `{"seq":%d,"no_erase":true}`, m.sequence)
		if err := q.conn.PublishRequest(subject, inbox.Subject, request); err != nil {
			return 0, err
		}
	}
	failed := false
	for range batch {
		answer, err := inbox.NextMsgWithContext(ctx)
		if err != nil {
			return n, err
		}
		switch err := readRemoved(answer.Data); {
		case err == nil:
			n++
		case hasCode(err, codeDeleteFailed):
			failed = true
		case !hasCode(err, codeSequenceGone):
			return n, err
		}
	}
	if failed {
		return n, q.allGone(ctx, stream, batch)
	}
	return n, nil
}

// allGone returns an error when one of the messages is still there.
func (q *Queue) allGone(ctx context.Context, stream string, batch []stored) error {
	s, err := q.js.Stream(ctx, q.names.stream(stream))
	if err != nil {
		return err
	}
	for _, m := range batch {
		switch _, err := s.GetMsg(ctx, m.sequence); {
		case err == nil:
			return fmt.Errorf("the server could not remove message %d", m.sequence)
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return err
		}
	}
	return nil
}

// readRemoved returns the error in the answer to a removal.
func readRemoved(data []byte) error {
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	err := json.Unmarshal(data, &answer)
	if err == nil && answer.Error != nil {
		err = answer.Error
	}
	return err
}

func hasCode(err error, code jetstream.ErrorCode) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == code
}
