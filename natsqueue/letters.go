package natsqueue

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/s3mesh/s3mesh"
)

const (
	// maxPage is the most letters that one List returns, whatever its limit.
	maxPage = 1000
	// maxLooks bounds the letters that one List looks at.
	maxLooks = 5000
)

// letters is the dead letters: a message each, in one stream. An ID is the link and the message's sequence, so that a page
// begins where the last one ended without anything being remembered.
type letters struct{ q *Queue }

func letterID(link s3mesh.Link, sequence uint64) string {
	return fmt.Sprintf("%s.%s.%d", link.Source, link.Target, sequence)
}

// parseLetterID returns the sequence in a letter's ID.
func parseLetterID(id string) (uint64, error) {
	parts := strings.Split(id, ".")
	if len(parts) != 3 {
		return 0, fmt.Errorf("%q is not the ID of a dead letter", id)
	}
	sequence, err := strconv.ParseUint(parts[2], 10, 63)
	if err != nil || sequence == 0 {
		return 0, fmt.Errorf("%q is not the ID of a dead letter", id)
	}
	return sequence, nil
}

// keepLetter makes a letter durable; it replaces the link's letter of the same key. When there are as many letters as there
// may be, it marks the link's source dirty instead.
func (q *Queue) keepLetter(ctx context.Context, l letterEnvelope, hash string) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	link := l.Letter.Link
	if q.letters.room() == 0 {
		if q.letters.overflows() {
			q.cfg.Log.Warn("there are too many dead letters: what fails further is not kept, and a reconcile has to find it",
				"site", link.Source, "limit", q.letters.limit)
		}
		_, err := q.keep(ctx, []*nats.Msg{q.mark(link.Source)})
		return err
	}
	m, err := q.letterMessage(l, hash)
	if err != nil {
		return err
	}
	sequence, err := q.keep(ctx, []*nats.Msg{m})
	if err == nil {
		q.letters.kept(link, sequence)
	}
	return err
}

// letterMessage returns the message that a letter is stored as.
func (q *Queue) letterMessage(l letterEnvelope, hash string) (*nats.Msg, error) {
	l.Version, l.Letter.ID = formatVersion, ""
	data, err := json.Marshal(l)
	return &nats.Msg{Subject: q.names.letter(l.Letter.Link, hash), Data: data}, err
}

// List implements s3mesh.DeadLetters. One page holds at most 1000 letters, and one call looks at about 5000. A limit below 1
// and a cursor that is not a letter's ID are KindInvalid; the letter that a cursor names may be gone.
func (l letters) List(ctx context.Context, filter s3mesh.LetterFilter, cursor string, limit int) (
	[]s3mesh.DeadLetter, string, error) {
	site := filter.Link.Source
	if limit < 1 {
		return nil, "", invalid("List", site, fmt.Errorf("limit %d: at least 1", limit))
	}
	var after uint64
	if cursor != "" {
		var err error
		if after, err = parseLetterID(cursor); err != nil {
			return nil, "", invalid("List", site, err)
		}
	}
	limit = min(limit, maxPage)
	s := newScan(l.q, after)
	defer s.close()
	var page []s3mesh.DeadLetter
	var last stored
	for looked := 0; looked <= maxLooks; {
		found, err := s.read(ctx)
		if err != nil {
			return nil, "", failed("List", site, err)
		}
		if len(found) == 0 {
			return page, "", nil
		}
		for _, m := range found {
			if len(page) == limit {
				return page, last.id(), nil
			}
			if letter, ok := m.chosen(filter); ok {
				page = append(page, letter)
			}
			last = m
		}
		looked += len(found)
	}
	return page, last.id(), nil
}

// Get implements s3mesh.DeadLetters.
func (l letters) Get(ctx context.Context, id string) (s3mesh.DeadLetter, error) {
	found, err := l.load(ctx, []string{id})
	if err != nil {
		return s3mesh.DeadLetter{}, failed("Get", "", err)
	}
	if len(found) == 0 {
		return s3mesh.DeadLetter{}, &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "Get", Err: fmt.Errorf("no dead letter %q", id)}
	}
	return found[0].read(), nil
}

// load returns the letters that are there, in the order of their IDs, each once.
func (l letters) load(ctx context.Context, ids []string) ([]stored, error) {
	var sequences []uint64
	for _, id := range ids {
		if sequence, err := parseLetterID(id); err == nil { // what is no ID names no letter
			sequences = append(sequences, sequence)
		}
	}
	slices.Sort(sequences)
	s := newScan(l.q, 0)
	defer s.close()
	found, err := s.get(ctx, slices.Compact(sequences))
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	return slices.DeleteFunc(found, func(m stored) bool { return !wanted[m.id()] }), err
}

// Count implements s3mesh.DeadLetters.
func (l letters) Count(ctx context.Context, filter s3mesh.LetterFilter) ([]s3mesh.LetterCount, error) {
	type group struct {
		link s3mesh.Link
		kind s3mesh.Kind
	}
	counts := map[group]int64{}
	s := newScan(l.q, 0)
	defer s.close()
	for {
		found, err := s.read(ctx)
		if err != nil {
			return nil, failed("Count", filter.Link.Source, err)
		}
		for _, m := range found {
			if letter, ok := m.chosen(filter); ok {
				counts[group{letter.Link, letter.Kind}]++
			}
		}
		if len(found) == 0 {
			break
		}
	}
	all := make([]s3mesh.LetterCount, 0, len(counts))
	for g, n := range counts {
		all = append(all, s3mesh.LetterCount{Link: g.link, Kind: g.kind, Count: n})
	}
	slices.SortFunc(all, func(a, b s3mesh.LetterCount) int {
		return cmp.Or(cmp.Compare(a.Link.Source, b.Link.Source), cmp.Compare(a.Link.Target, b.Link.Target), cmp.Compare(a.Kind, b.Kind))
	})
	return all, nil
}
