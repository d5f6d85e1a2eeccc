package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/s3mesh/s3mesh"
)

// What is said of a delivery to the server.
var (
	acknowledge = []byte("+ACK")
	progress    = []byte("+WPI")
)

// nak asks for redelivery after a delay.
func nak(after time.Duration) []byte {
	if after <= 0 {
		return []byte("-NAK")
	}
	return fmt.Appendf(nil, `-NAK {"delay": %d}`, int64(after))
}

// unreadPause is how long an event that can neither be read nor buried waits before it is tried again.
const unreadPause = time.Minute

// delivery is one message handed out. Every answer but an acknowledgement is confirmed by the server before the method
// returns.
type delivery struct {
	sub     *subscription
	message *nats.Msg
	event   s3mesh.Event
	attempt int
	newest  uint64 // of the dead letters when this was handed out
	ended   atomic.Bool
}

// read decodes the message.
func (d *delivery) read() error {
	meta, err := d.message.Metadata()
	if err != nil {
		return err
	}
	d.attempt = int(meta.NumDelivered)
	d.event, err = decodeEvent(d.message.Data)
	return err
}

// Event implements s3mesh.Delivery.
func (d *delivery) Event() s3mesh.Event { return d.event }

// Attempt implements s3mesh.Delivery. A delivery that a subscription handed back unseen when it was closed counts too.
func (d *delivery) Attempt() int { return d.attempt }

// Ack implements s3mesh.Delivery. It is not confirmed: when it is lost with the connection, the event comes again. The link's
// dead letter of the key goes first, if it was buried before this delivery; of one that another process buried less than a
// second before, that may not be known, and it stays.
func (d *delivery) Ack(ctx context.Context) error {
	defer d.end()
	d.supersede(ctx)
	if err := d.sub.q.conn.Publish(d.message.Reply, acknowledge); err != nil {
		return &s3mesh.Error{Kind: kindOf(err), Op: "Ack", Site: d.sub.link.Source, Key: d.event.Key, Err: err}
	}
	return nil
}

// supersede removes the dead letter that the end of this task makes out of date. When that fails the letter merely stays.
func (d *delivery) supersede(ctx context.Context) {
	q, link := d.sub.q, d.sub.link
	if !q.letters.has(link) {
		return
	}
	subject := q.names.letter(link, lastToken(d.message.Subject))
	if err := (letters{q}).supersede(ctx, subject, d.newest, d.event.Repair); err != nil {
		q.cfg.Log.Warn("a dead letter that is out of date could not be removed; drop it",
			"link", link, "key", d.event.Key, "error", err)
	}
}

// Retry implements s3mesh.Delivery.
func (d *delivery) Retry(ctx context.Context, after time.Duration) error {
	defer d.end()
	return d.tell(ctx, "Retry", nak(after))
}

// Extend implements s3mesh.Delivery.
func (d *delivery) Extend(ctx context.Context) error { return d.tell(ctx, "Extend", progress) }

// Bury implements s3mesh.Delivery.
func (d *delivery) Bury(ctx context.Context, letter s3mesh.DeadLetter) error {
	letter.Event = d.event
	letter.Event.Fresh = false // it says what was seen at the target before
	return d.bury(ctx, letterEnvelope{Letter: letter})
}

func (d *delivery) bury(ctx context.Context, l letterEnvelope) error {
	defer d.end()
	l.Letter.Link = d.sub.link
	if err := d.sub.q.keepLetter(ctx, l, lastToken(d.message.Subject)); err != nil {
		return failed("Bury", d.sub.link.Source, err)
	}
	return d.tell(ctx, "Bury", acknowledge)
}

// buryUnread buries an event that a later program has written, or nobody: as it is stored, for a program that can read
// it. It would otherwise come again for ever.
func (d *delivery) buryUnread(ctx context.Context, cause error) {
	link, now := d.sub.link, time.Now().UTC()
	err := d.bury(ctx, letterEnvelope{
		Unread: d.message.Data,
		Letter: s3mesh.DeadLetter{
			Event:    s3mesh.Event{Site: link.Source, Target: link.Target},
			Kind:     s3mesh.KindInvalid,
			Cause:    cause.Error(),
			Remedy:   s3mesh.KindInvalid.Remedy(),
			Attempts: d.attempt,
			First:    now,
			Last:     now,
		},
	})
	if err != nil {
		err = errors.Join(err, d.tell(ctx, "Retry", nak(unreadPause)))
	}
	d.sub.q.cfg.Log.Error("an event cannot be read and went to the dead letters", "link", link, "cause", cause, "error", err)
}

// tell sends an answer and waits for the server to confirm it.
func (d *delivery) tell(ctx context.Context, op string, answer []byte) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	_, err := d.sub.q.conn.RequestWithContext(ctx, d.message.Reply, answer)
	if err != nil {
		return &s3mesh.Error{Kind: kindOf(err), Op: op, Site: d.sub.link.Source, Key: d.event.Key, Err: err}
	}
	return nil
}

// end frees the delivery's place in the window, once.
func (d *delivery) end() {
	if !d.ended.Swap(true) {
		d.sub.release()
	}
}
