package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// maxLooks bounds the letters that one List looks at.
const maxLooks = 5000

// letterBox keeps dead letters. The queue's lock guards it.
type letterBox struct {
	letters []letter // by sequence
	keys    map[letterKey]uint64
	counts  map[s3mesh.Link]int64
	last    uint64
}

type letter struct {
	sequence uint64
	content  s3mesh.DeadLetter
}

// letterKey tells letters apart: a link keeps one per key.
type letterKey struct {
	link s3mesh.Link
	key  string
}

func newLetterBox() letterBox {
	return letterBox{keys: map[letterKey]uint64{}, counts: map[s3mesh.Link]int64{}}
}

func (l letter) key() letterKey { return letterKey{l.content.Link, l.content.Event.Key} }

// keep adds a letter, in place of the link's letter of the same key.
func (b *letterBox) keep(content s3mesh.DeadLetter) {
	b.last++
	content.ID = fmt.Sprintf("%s.%s.%d", content.Link.Source, content.Link.Target, b.last)
	l := letter{b.last, content}
	if old, ok := b.keys[l.key()]; ok {
		i, _ := b.place(old)
		b.removeAt(i)
	}
	b.letters = append(b.letters, l)
	b.keys[l.key()] = l.sequence
	b.counts[content.Link]++
}

// supersede removes the letter of a key whose task ended well, if it is not later than newest, the last one when the task was
// handed out: the task has read a later state of the key. A success without Repair says nothing of a letter with it.
func (b *letterBox) supersede(key letterKey, newest uint64, repaired bool) {
	sequence, ok := b.keys[key]
	if !ok || sequence > newest {
		return
	}
	if i, _ := b.place(sequence); repaired || !b.letters[i].content.Event.Repair {
		b.removeAt(i)
	}
}

func (b *letterBox) removeAt(i int) {
	l := b.letters[i]
	b.letters = slices.Delete(b.letters, i, i+1)
	delete(b.keys, l.key())
	b.counts[l.content.Link]--
}

// place returns where the letter with the sequence is, or would be.
func (b *letterBox) place(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(b.letters, sequence, func(l letter, s uint64) int { return cmp.Compare(l.sequence, s) })
}

func (b *letterBox) find(id string) (int, bool) {
	sequence, err := sequenceOf(id)
	if err != nil {
		return 0, false
	}
	i, ok := b.place(sequence)
	return i, ok && b.letters[i].content.ID == id
}

// deadLetters is the queue's DeadLetters.
type deadLetters struct{ q *Queue }

// List implements s3mesh.DeadLetters. A limit below 1 and a cursor that is not a letter's ID are KindInvalid; the letter
// that a cursor names may be gone. One call looks at up to 5000 letters.
func (d deadLetters) List(ctx context.Context, filter s3mesh.LetterFilter, cursor string, limit int) (
	[]s3mesh.DeadLetter, string, error) {
	site := filter.Link.Source
	if err := ctx.Err(); err != nil {
		return nil, "", queueError("List", site, err)
	}
	after, err := sequenceOf(cursor)
	if err != nil || limit < 1 {
		return nil, "", invalid("List", site, fmt.Errorf("cursor %q, limit %d", cursor, limit))
	}
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	first, _ := d.q.letters.place(after + 1)
	var page []s3mesh.DeadLetter
	for i, l := range d.q.letters.letters[first:] {
		if i == maxLooks || len(page) == limit {
			return page, d.q.letters.letters[first+i-1].content.ID, nil
		}
		if filter.Matches(l.content) {
			page = append(page, l.content)
		}
	}
	return page, "", nil
}

// sequenceOf returns the sequence in a letter's ID, or 0 for the empty one.
func sequenceOf(id string) (uint64, error) {
	if id == "" {
		return 0, nil
	}
	return strconv.ParseUint(id[strings.LastIndexByte(id, '.')+1:], 10, 63)
}

// Get implements s3mesh.DeadLetters.
func (d deadLetters) Get(ctx context.Context, id string) (s3mesh.DeadLetter, error) {
	if err := ctx.Err(); err != nil {
		return s3mesh.DeadLetter{}, queueError("Get", "", err)
	}
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	i, ok := d.q.letters.find(id)
	if !ok {
		return s3mesh.DeadLetter{}, &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "Get", Err: fmt.Errorf("no dead letter %q", id)}
	}
	return d.q.letters.letters[i].content, nil
}

// Count implements s3mesh.DeadLetters.
func (d deadLetters) Count(ctx context.Context, filter s3mesh.LetterFilter) ([]s3mesh.LetterCount, error) {
	if err := ctx.Err(); err != nil {
		return nil, queueError("Count", filter.Link.Source, err)
	}
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	counts := map[s3mesh.LetterCount]int64{}
	for _, l := range d.q.letters.letters {
		if filter.Matches(l.content) {
			counts[s3mesh.LetterCount{Link: l.content.Link, Kind: l.content.Kind}]++
		}
	}
	all := make([]s3mesh.LetterCount, 0, len(counts))
	for c, n := range counts {
		c.Count = n
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b s3mesh.LetterCount) int {
		return cmp.Or(cmp.Compare(a.Link.Source, b.Link.Source), cmp.Compare(a.Link.Target, b.Link.Target), cmp.Compare(a.Kind, b.Kind))
	})
	return all, nil
}

// Replay implements s3mesh.DeadLetters.
func (d deadLetters) Replay(ctx context.Context, ids ...string) (int, error) {
	return d.take(ctx, "Replay", ids, func(l s3mesh.DeadLetter) {
		event := l.Event
		event.Site, event.Target, event.Fresh = l.Link.Source, l.Link.Target, false
		d.q.put(s3mesh.LaneBulk, event)
	})
}

// Drop implements s3mesh.DeadLetters.
func (d deadLetters) Drop(ctx context.Context, ids ...string) (int, error) {
	return d.take(ctx, "Drop", ids, func(s3mesh.DeadLetter) {})
}

// take removes letters, and does something with each before.
func (d deadLetters) take(ctx context.Context, op string, ids []string, do func(s3mesh.DeadLetter)) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, queueError(op, "", err)
	}
	d.q.mu.Lock()
	defer d.q.mu.Unlock()
	n := 0
	for _, id := range ids {
		if i, ok := d.q.letters.find(id); ok {
			do(d.q.letters.letters[i].content)
			d.q.letters.removeAt(i)
			n++
		}
	}
	return n, nil
}
