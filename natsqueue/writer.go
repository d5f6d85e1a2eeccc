package natsqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const (
	// maxGroup is how many messages go to disk together: the server's limit for an atomic batch.
	maxGroup = 1000
	// batchFrom is the size of a group from which an atomic batch is faster than as many single messages. A batch costs
	// about 3 ms for its staging, and one sync in all; single messages cost one sync, about 0.2 ms, each. Measured with
	// syncs of 0.26 ms; slower disks favour the batch earlier, and never by more than the 3 ms.
	batchFrom = 16
	// maxQueued is how many publishes may wait for the write under way; more block.
	maxQueued = 256
	// headerRoom is what the headers of a batch may take of the server's largest payload.
	headerRoom = 256
)

// The headers of an atomic batch publish (nats-server 2.12, ADR-50).
const (
	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
)

// writer publishes to one site's stream, in groups: what arrives while a group is being written is the next group. It is
// the only writer of this process to the stream, so that of two publishes for a key the later one stays.
type writer struct {
	site  string
	conn  *nats.Conn
	js    jetstream.JetStream
	queue chan *write
	done  chan struct{}
}

// write is some messages on their way to disk, at most maxGroup.
type write struct {
	site     string
	messages []*nats.Msg
	result   chan error // takes one result without blocking the writer
}

func newWriter(q *Queue, site string) *writer {
	return &writer{site: site, conn: q.conn, js: q.js, queue: make(chan *write, maxQueued), done: make(chan struct{})}
}

// submit hands the messages over in writes of at most maxGroup. Every write returned has, or will have, a result.
func (w *writer) submit(ctx context.Context, messages []*nats.Msg) []*write {
	var all []*write
	for len(messages) > 0 {
		n := min(len(messages), maxGroup)
		one := &write{site: w.site, messages: messages[:n], result: make(chan error, 1)}
		messages = messages[n:]
		all = append(all, one)
		select {
		case w.queue <- one:
		case <-ctx.Done():
			one.result <- ctx.Err()
			return all
		case <-w.done:
			one.result <- errClosed
			return all
		}
	}
	return all
}

// wait returns how the write ended. When ctx ends first the write may still happen.
func (w *write) wait(ctx context.Context) error {
	select {
	case err := <-w.result:
		return failed("Publish", w.site, err)
	case <-ctx.Done():
		return failed("Publish", w.site, ctx.Err())
	}
}

// run writes groups until ctx ends. Writes that came too late for it are answered errClosed.
func (w *writer) run(ctx context.Context) {
	defer close(w.done)
	var next *write
	for {
		if next == nil {
			select {
			case next = <-w.queue:
			case <-ctx.Done():
				w.refuse(nil)
				return
			}
		}
		var group []*write
		group, next = w.gather(next)
		err := w.commit(ctx, messagesOf(group))
		for _, one := range group {
			one.result <- err
		}
		if ctx.Err() != nil {
			w.refuse(next)
			return
		}
	}
}

// gather returns first with what is waiting behind it, as far as it fits a group, and the one that did not fit.
func (w *writer) gather(first *write) (group []*write, next *write) {
	group = []*write{first}
	size := len(first.messages)
	for {
		select {
		case one := <-w.queue:
			if size += len(one.messages); size > maxGroup {
				return group, one
			}
			group = append(group, one)
		default:
			return group, nil
		}
	}
}

// refuse answers everything that is still waiting.
func (w *writer) refuse(next *write) {
	for {
		if next != nil {
			next.result <- errClosed
		}
		select {
		case next = <-w.queue:
		default:
			return
		}
	}
}

// messagesOf returns the group's messages, of each subject only the last: it would replace the others at once.
func messagesOf(group []*write) []*nats.Msg {
	var messages []*nats.Msg
	at := map[string]int{}
	for _, one := range group {
		for _, m := range one.messages {
			if i, ok := at[m.Subject]; ok {
				messages[i] = m
				continue
			}
			at[m.Subject] = len(messages)
			messages = append(messages, m)
		}
	}
	return messages
}

// commit returns nil once all messages are on disk.
func (w *writer) commit(ctx context.Context, messages []*nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if len(messages) >= batchFrom {
		return w.commitBatch(ctx, messages)
	}
	futures := make([]jetstream.PubAckFuture, 0, len(messages))
	for _, m := range messages {
		future, err := w.js.PublishMsgAsync(m)
		if err != nil {
			return err
		}
		futures = append(futures, future)
	}
	for _, future := range futures {
		select {
		case <-future.Ok():
		case err := <-future.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// commitBatch publishes the messages as one atomic batch. Only the last one is answered.
func (w *writer) commitBatch(ctx context.Context, messages []*nats.Msg) error {
	id := nuid.Next()
	last := len(messages) - 1
	for i, m := range messages {
		m.Header = nats.Header{batchID: {id}, batchSequence: {strconv.Itoa(i + 1)}}
		if i == last {
			m.Header.Set(batchCommit, "1")
			break
		}
		if err := w.conn.PublishMsg(m); err != nil {
			return err
		}
	}
	reply, err := w.conn.RequestMsgWithContext(ctx, messages[last])
	if err != nil {
		return err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
		Count int                 `json:"count"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return fmt.Errorf("answer to a batch: %w", err)
	}
	if answer.Error != nil {
		return answer.Error
	}
	if answer.Count != len(messages) {
		return fmt.Errorf("the server stored %d of %d events: atomic publishing needs nats-server 2.12", answer.Count, len(messages))
	}
	return nil
}
