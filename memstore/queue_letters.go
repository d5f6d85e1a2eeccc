package memstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// letterBox keeps dead letters by sequence. The queue's lock guards it.
type letterBox struct {
	letters []letter
	last    uint64
}

type letter struct {
	sequence uint64
	content  s3mesh.DeadLetter
}

// keep adds a letter, in place of the link's letter of the same key.
func (b *letterBox) keep(l s3mesh.DeadLetter) {
	b.letters = slices.DeleteFunc(b.letters, func(old letter) bool {
		return old.content.Link == l.Link && old.content.Event.Key == l.Event.Key
	})
	b.last++
	l.ID = fmt.Sprintf("%s.%s.%d", l.Link.Source, l.Link.Target, b.last)
	b.letters = append(b.letters, letter{b.last, l})
}

func (b *letterBox) count(link s3mesh.Link) int64 {
	var n int64
	for _, l := range b.letters {
		if l.content.Link == link {
			n++
		}
	}
	return n
}

func (b *letterBox) find(id string) (s3mesh.DeadLetter, bool) {
	i := slices.IndexFunc(b.letters, func(l letter) bool { return l.content.ID == id })
	if i < 0 {
		return s3mesh.DeadLetter{}, false
	}
	return b.letters[i].content, true
}

func (b *letterBox) drop(id string) {
	b.letters = slices.DeleteFunc(b.letters, func(l letter) bool { return l.content.ID == id })
}

// deadLetters is the queue's DeadLetters.
type deadLetters struct{ q *Queue }

// List implements s3mesh.DeadLetters. A limit below 1 and a cursor that is not a letter's ID are KindInvalid; the letter
// that a cursor names may be gone.
func (d deadLetters) List(ctx context.Context, link s3mesh.Link, cursor string, limit int) ([]s3mesh.DeadLetter, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", queueError("List", link.Source, err)
	}
	after, err := sequenceOf(cursor)
	if err != nil || limit < 1 {
		return nil, "", invalid("List", link.Source, fmt.Errorf("cursor %q, limit %d", cursor, limit))
	}
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	var page []s3mesh.DeadLetter
	for _, l := range d.q.letters.letters {
		if l.sequence <= after || (link != s3mesh.Link{} && l.content.Link != link) {
			continue
		}
		if len(page) == limit {
			return page, page[limit-1].ID, nil
		}
		page = append(page, l.content)
	}
	return page, "", nil
}

func sequenceOf(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	return strconv.ParseUint(cursor[strings.LastIndexByte(cursor, '.')+1:], 10, 64)
}

// Replay implements s3mesh.DeadLetters.
func (d deadLetters) Replay(ctx context.Context, id string) error {
	d.q.mu.Lock()
	l, ok := d.q.letters.find(id)
	d.q.mu.Unlock()
	if !ok {
		return &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "Replay", Err: fmt.Errorf("no dead letter %q", id)}
	}
	event := l.Event
	event.Site, event.Target = l.Link.Source, l.Link.Target
	if err := d.q.Publish(ctx, s3mesh.LaneBulk, event); err != nil {
		return err
	}
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	d.q.letters.drop(id)
	return nil
}
