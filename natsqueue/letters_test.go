package natsqueue

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/s3mesh/s3mesh"
)

// putLetters stores letters of keys from..to-1, of link a->c when the key is a multiple of 1000, else of a->b.
func putLetters(tb testing.TB, q *Queue, from, to int) {
	tb.Helper()
	var batch []*nats.Msg
	flush := func() {
		if _, err := q.keep(tb.Context(), batch); err != nil {
			tb.Fatal(err)
		}
		batch = nil
	}
	for i := from; i < to; i++ {
		link := s3mesh.Link{Source: "a", Target: "b"}
		if i%1000 == 0 {
			link.Target = "c"
		}
		key := fmt.Sprintf("2026/album/%08d.jpg", i)
		m, err := q.letterMessage(letterEnvelope{Letter: s3mesh.DeadLetter{
			Link: link, Event: benchLetterEvent(key), Site: "b", Kind: s3mesh.Kinds()[i%3], Attempts: 7,
			Cause:  fmt.Sprintf("b: PutObject %q: access_denied: operation error S3: PutObject, https response StatusCode: 403", key),
			Remedy: s3mesh.KindAccessDenied.Remedy(), First: time.Unix(int64(i), 0).UTC(), Last: time.Unix(int64(i), 0).UTC(),
		}}, keyHash(key))
		if err != nil {
			tb.Fatal(err)
		}
		if batch = append(batch, m); len(batch) == 1000 {
			flush()
		}
	}
	flush()
}

func benchLetterEvent(key string) s3mesh.Event {
	return s3mesh.Event{
		Site: "a", Bucket: "photos", Key: key, Type: s3mesh.EventCreated, Name: "ObjectCreated:Put", Time: time.Unix(1, 0).UTC(),
		ETag: "d41d8cd98f00b204e9800998ecf8427e", Size: 4096, Sequencer: "0055AED6DCD90281E5",
	}
}

func openTrio(tb testing.TB) *Queue {
	tb.Helper()
	q, err := Open(tb.Context(), Config{Dir: tb.TempDir(),
		Set: s3mesh.FullMesh("trio", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"}, s3mesh.Site{Name: "c"})})
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

// readAll lists all letters that a filter chooses, and counts the pages, and those without a letter.
func readAll(tb testing.TB, q *Queue, f s3mesh.LetterFilter, each func([]s3mesh.DeadLetter)) (pages, empty int) {
	tb.Helper()
	for cursor := ""; ; {
		page, next, err := q.DeadLetters().List(tb.Context(), f, cursor, maxPage)
		if err != nil {
			tb.Fatal(err)
		}
		each(page)
		if pages++; next == "" {
			return pages, empty
		}
		if len(page) == 0 {
			empty++
		}
		cursor = next
	}
}

// TestListIsBounded looks for few letters among many: a call ends without one rather than look on.
func TestListIsBounded(t *testing.T) {
	const all = 3 * maxLooks
	q := openTrio(t)
	defer mustClose(t, q)
	putLetters(t, q, 0, all)
	for _, f := range []s3mesh.LetterFilter{
		{Prefix: fmt.Sprintf("2026/album/%08d", all-1)},
		{Since: time.Unix(all-1, 0)},
	} {
		var found []s3mesh.DeadLetter
		pages, empty := readAll(t, q, f, func(page []s3mesh.DeadLetter) { found = append(found, page...) })
		if len(found) != 1 || empty < 2 || pages > 4 {
			t.Errorf("%+v: %d letters on %d pages, %d of them empty; want one, on 3 or 4", f, len(found), pages, empty)
		}
	}
	var sparse int
	readAll(t, q, s3mesh.LetterFilter{Link: s3mesh.Link{Source: "a", Target: "c"}},
		func(page []s3mesh.DeadLetter) { sparse += len(page) })
	if sparse != all/1000 {
		t.Errorf("%d letters of the link with few, want %d", sparse, all/1000)
	}
}

// TestScanOverGaps replaces and removes letters so that the sequences in use are few, many, and far apart.
func TestScanOverGaps(t *testing.T) {
	q := openTrio(t)
	defer mustClose(t, q)
	putLetters(t, q, 0, 3000)
	for range 3 {
		putLetters(t, q, 100, 1600) // leaves gaps of 1500
	}
	var page []string
	readAll(t, q, s3mesh.LetterFilter{}, func(p []s3mesh.DeadLetter) {
		for i, l := range p {
			if i%7 != 0 {
				page = append(page, l.ID)
			}
		}
	})
	if n, err := q.DeadLetters().Drop(t.Context(), page...); err != nil || n != len(page) {
		t.Fatalf("Drop: %d, %v; want %d", n, err, len(page))
	}
	seen, last := map[string]bool{}, uint64(0)
	readAll(t, q, s3mesh.LetterFilter{}, func(p []s3mesh.DeadLetter) {
		for _, l := range p {
			sequence, err := parseLetterID(l.ID)
			if err != nil || sequence <= last || seen[l.Event.Key] {
				t.Fatalf("letter %s of %q after %d, %v", l.ID, l.Event.Key, last, err)
			}
			last, seen[l.Event.Key] = sequence, true
		}
	})
	counts, err := q.DeadLetters().Count(t.Context(), s3mesh.LetterFilter{})
	var sum int64
	for _, c := range counts {
		sum += c.Count
	}
	if want := 3000 - len(page); err != nil || len(seen) != want || sum != int64(want) {
		t.Errorf("%d letters listed, %d counted, %v; want %d", len(seen), sum, err, want)
	}
}

// TestManyLetters tells how long a store of many letters takes, and its memory, when S3MESH_TEST_LETTERS says how many.
func TestManyLetters(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("S3MESH_TEST_LETTERS"))
	if err != nil {
		t.Skip("set S3MESH_TEST_LETTERS to a number, such as 1000000")
	}
	q := openTrio(t)
	defer mustClose(t, q)
	step := func(what string, do func()) {
		begun := time.Now()
		do()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		grown := m.HeapAlloc >> 20
		runtime.GC()
		runtime.ReadMemStats(&m)
		t.Logf("%-28s %8.2f s, heap %d MiB, %d MiB of it garbage", what, time.Since(begun).Seconds(), grown, grown-m.HeapAlloc>>20)
	}
	step("store", func() { putLetters(t, q, 0, n) })
	step("count", func() {
		if _, err := q.DeadLetters().Count(t.Context(), s3mesh.LetterFilter{}); err != nil {
			t.Fatal(err)
		}
	})
	var ids []string
	step("list all", func() {
		readAll(t, q, s3mesh.LetterFilter{}, func(page []s3mesh.DeadLetter) {
			for i, l := range page {
				if i%10 == 0 {
					ids = append(ids, l.ID)
				}
			}
		})
	})
	step("list the link with few", func() {
		readAll(t, q, s3mesh.LetterFilter{Link: s3mesh.Link{Source: "a", Target: "c"}}, func([]s3mesh.DeadLetter) {})
	})
	half := len(ids) / 2
	step(fmt.Sprint("drop of ", half), func() {
		if got, err := q.DeadLetters().Drop(t.Context(), ids[:half]...); got != half || err != nil {
			t.Fatal(got, err)
		}
	})
	step(fmt.Sprint("replay of ", len(ids)-half), func() {
		if got, err := q.DeadLetters().Replay(t.Context(), ids[half:]...); got != len(ids)-half || err != nil {
			t.Fatal(got, err)
		}
	})
	step("count with gaps", func() {
		if _, err := q.DeadLetters().Count(t.Context(), s3mesh.LetterFilter{}); err != nil {
			t.Fatal(err)
		}
	})
}
