package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/s3mesh/s3mesh"
)

const (
	// fewLetters is how many are printed in full; more make a table.
	fewLetters = 10
	// keyWidth is how much of a key a table shows.
	keyWidth = 60
)

// plain returns text without what could steer a terminal: it comes from a store.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// age returns how long ago something was, in its largest unit.
func age(now, then time.Time) string {
	switch d := now.Sub(then); {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	default:
		return strconv.Itoa(int(d.Hours()/24)) + "d"
	}
}

// letterText prints one letter.
type letterText struct {
	s3mesh.DeadLetter
	now time.Time
}

func (l letterText) row(w io.Writer) {
	key := []rune(l.Event.Key)
	more := ""
	if len(key) > keyWidth {
		key, more = key[:keyWidth], "…"
	}
	fmt.Fprintf(w, "%s\t%s\t%q%s\t%s\t%d\t%s\n", l.ID, l.Link, string(key), more, l.Kind, l.Attempts, age(l.now, l.Last))
}

func (l letterText) block(w io.Writer) {
	fmt.Fprintf(w, "%s  %s  %q\n  %s, %d attempts, first %s, last %s (%s)\n  cause   %s\n  remedy  %s\n\n",
		l.ID, l.Link, l.Event.Key, l.Kind, l.Attempts, l.First.Format(time.RFC3339), l.Last.Format(time.RFC3339),
		age(l.now, l.Last), plain(l.Cause), l.Remedy)
}

// whole prints all there is.
func (l letterText) whole(w io.Writer) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, value)
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(time.RFC3339) + " (" + age(l.now, t) + ")"
	}
	line("ID", l.ID)
	line("link", l.Link.String())
	line("key", strconv.Quote(l.Event.Key))
	line("kind", l.Kind.String())
	line("failed at", l.Site)
	line("cause", plain(l.Cause))
	line("remedy", l.Remedy)
	line("attempts", strconv.Itoa(l.Attempts))
	line("first", at(l.First))
	line("last", at(l.Last))
	ev := l.Event
	line("event", strings.TrimSpace(string(ev.Type)+" "+plain(ev.Name)))
	line("event time", at(ev.Time))
	line("version", plain(ev.VersionID))
	line("ETag", plain(ev.ETag))
	if ev.Size > 0 {
		line("size", strconv.FormatInt(ev.Size, 10)+" bytes")
	}
	if l.Kind.MayHeal() {
		line("", "Tried again by itself from time to time, or now with: s3mesh dlq replay "+l.ID)
	} else {
		line("", "Once the cause is mended: s3mesh dlq replay "+l.ID)
	}
}

// tally counts letters by link and kind, with an example of each.
type tally struct {
	counts   []s3mesh.LetterCount
	examples map[s3mesh.LetterCount]string // the cause, by link and kind; Count is zero
}

func newTally(counts []s3mesh.LetterCount) tally {
	return tally{counts, map[s3mesh.LetterCount]string{}}
}

func (t *tally) add(l s3mesh.DeadLetter) {
	key := s3mesh.LetterCount{Link: l.Link, Kind: l.Kind}
	if _, met := t.examples[key]; !met {
		t.examples[key] = l.Cause
		t.counts = append(t.counts, key)
	}
	i := slices.IndexFunc(t.counts, func(c s3mesh.LetterCount) bool { return c.Link == l.Link && c.Kind == l.Kind })
	t.counts[i].Count++
}

// countLine is a count as --json tells it.
type countLine struct {
	s3mesh.LetterCount
	Remedy string `json:"remedy"`
}

func printCounts(g *globals, t tally) error {
	if g.json {
		for _, c := range t.counts {
			if err := json.NewEncoder(g.out).Encode(countLine{c, c.Kind.Remedy()}); err != nil {
				return err
			}
		}
		return nil
	}
	slices.SortFunc(t.counts, func(a, b s3mesh.LetterCount) int {
		return cmp.Or(cmp.Compare(a.Link.String(), b.Link.String()), cmp.Compare(a.Kind, b.Kind))
	})
	var total int64
	for _, c := range t.counts {
		total += c.Count
	}
	fmt.Fprintln(g.out, plural(total))
	for _, c := range t.counts {
		fmt.Fprintf(g.out, "\n%s  %s  %d\n", c.Link, c.Kind, c.Count)
		if cause := t.examples[s3mesh.LetterCount{Link: c.Link, Kind: c.Kind}]; cause != "" {
			fmt.Fprintf(g.out, "  such as  %s\n", plain(cause))
		}
		fmt.Fprintf(g.out, "  remedy   %s\n", c.Kind.Remedy())
	}
	return nil
}

func plural(n int64) string {
	if n == 1 {
		return "1 dead letter"
	}
	return strconv.FormatInt(n, 10) + " dead letters"
}

// letterList prints letters as they come: in full while they are few, otherwise as a table, a page at a time.
type letterList struct {
	g     *globals
	now   time.Time
	few   []s3mesh.DeadLetter // held back until it is known whether they are many
	total int
	tally tally
	table *tabwriter.Writer // nil while they are few
}

func newLetterList(g *globals, now time.Time) *letterList {
	return &letterList{g: g, now: now, tally: newTally(nil)}
}

func (l *letterList) add(page []s3mesh.DeadLetter) error {
	l.total += len(page)
	if l.g.json {
		lines := json.NewEncoder(l.g.out)
		for _, letter := range page {
			if err := lines.Encode(letter); err != nil {
				return err
			}
		}
		return nil
	}
	for _, letter := range page {
		l.tally.add(letter)
	}
	if l.table == nil {
		if l.few = append(l.few, page...); len(l.few) <= fewLetters {
			return nil
		}
		page, l.few = l.few, nil
		l.table = tabwriter.NewWriter(l.g.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(l.table, "ID\tLINK\tKEY\tKIND\tATTEMPTS\tAGE")
	}
	for _, letter := range page {
		letterText{letter, l.now}.row(l.table)
	}
	return l.table.Flush()
}

// end prints how many there are: counts, or without them what was listed.
func (l *letterList) end(counts []s3mesh.LetterCount) error {
	if l.g.json {
		return nil
	}
	for _, letter := range l.few {
		letterText{letter, l.now}.block(l.g.out)
	}
	if l.table != nil {
		fmt.Fprintln(l.g.out)
	}
	if counts != nil {
		fmt.Fprintf(l.g.out, "%d listed, of ", l.total)
		l.tally.counts = counts
	}
	return printCounts(l.g, l.tally)
}
