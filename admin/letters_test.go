package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
)

var failed = time.Date(2026, 11, 23, 12, 0, 0, 500, time.UTC)

// bury makes a dead letter of each key on us->eu, a minute apart, and returns their IDs.
func bury(t *testing.T, p *process, kind s3mesh.Kind, keys ...string) []string {
	t.Helper()
	ctx := t.Context()
	sub, err := p.queue.Subscribe(ctx, link, s3mesh.LaneLive, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range keys {
		if err := p.queue.Publish(ctx, s3mesh.LaneLive, s3mesh.Event{Site: "us", Key: key, Type: s3mesh.EventCreated}); err != nil {
			t.Fatal(err)
		}
		d, err := sub.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		letter := s3mesh.DeadLetter{Link: link, Event: d.Event(), Kind: kind, Site: "eu", Cause: "no",
			Last: failed.Add(time.Duration(i) * time.Minute)}
		if err := d.Bury(ctx, letter); err != nil {
			t.Fatal(err)
		}
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	page, err := p.client.DeadLetters(ctx, s3mesh.LetterFilter{Kinds: []s3mesh.Kind{kind}}, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, l := range page.Letters {
		ids = append(ids, l.ID)
	}
	return ids
}

func keysOf(t *testing.T, p *process, filter s3mesh.LetterFilter) string {
	t.Helper()
	var keys []string
	for cursor := ""; ; {
		page, err := p.client.DeadLetters(t.Context(), filter, cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page.Letters {
			keys = append(keys, l.Event.Key)
		}
		if cursor = page.Next; cursor == "" {
			return strings.Join(keys, " ")
		}
	}
}

func TestDeadLettersByFilter(t *testing.T) {
	p := start(t)
	bury(t, p, s3mesh.KindAccessDenied, "a", "b+/ü", "c")
	bury(t, p, s3mesh.KindUnstorable, "d")
	other := s3mesh.Link{Source: "eu", Target: "us"}
	for name, c := range map[string]struct {
		filter s3mesh.LetterFilter
		want   string
	}{
		"all":        {s3mesh.LetterFilter{}, "a b+/ü c d"},
		"link":       {s3mesh.LetterFilter{Link: link}, "a b+/ü c d"},
		"other link": {s3mesh.LetterFilter{Link: other}, ""},
		"prefix":     {s3mesh.LetterFilter{Prefix: "b+/"}, "b+/ü"},
		"kind":       {s3mesh.LetterFilter{Kinds: []s3mesh.Kind{s3mesh.KindUnstorable}}, "d"},
		"kinds":      {s3mesh.LetterFilter{Kinds: []s3mesh.Kind{s3mesh.KindUnstorable, s3mesh.KindAccessDenied}}, "a b+/ü c d"},
		"site":       {s3mesh.LetterFilter{Site: "us"}, ""},
		"since":      {s3mesh.LetterFilter{Since: failed.Add(time.Minute)}, "b+/ü c"},
		"before":     {s3mesh.LetterFilter{Before: failed.Add(1)}, "a d"},
		"all at once": {s3mesh.LetterFilter{Link: link, Prefix: "a", Kinds: []s3mesh.Kind{s3mesh.KindAccessDenied}, Site: "eu",
			Since: failed, Before: failed.Add(1)}, "a"},
	} {
		if got := keysOf(t, p, c.filter); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	counts, err := p.client.CountDeadLetters(t.Context(), s3mesh.LetterFilter{})
	want := []s3mesh.LetterCount{{Link: link, Kind: s3mesh.KindAccessDenied, Count: 3},
		{Link: link, Kind: s3mesh.KindUnstorable, Count: 1}}
	if diff := cmp.Diff(want, counts); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if none, err := p.client.CountDeadLetters(t.Context(), s3mesh.LetterFilter{Link: other}); err != nil || len(none) > 0 {
		t.Errorf("the other link: %v, %v", none, err)
	}
}

func TestDeadLettersShowReplayDrop(t *testing.T) {
	p := start(t)
	ctx := t.Context()
	ids := bury(t, p, s3mesh.KindAccessDenied, "a", "b", "c", "d")
	letter, err := p.client.DeadLetter(ctx, ids[1])
	if err != nil || letter.Event.Key != "b" || letter.ID != ids[1] || letter.Kind != s3mesh.KindAccessDenied {
		t.Errorf("%+v, %v", letter, err)
	}
	if n, err := p.client.ReplayDeadLetters(ctx, ids[0], ids[1], "us.eu.99"); err != nil || n != 2 {
		t.Errorf("replayed %d, %v", n, err)
	}
	if n, err := p.client.ReplayDeadLetters(ctx, ids[0]); err != nil || n != 0 {
		t.Errorf("replayed again %d, %v", n, err)
	}
	if n, err := p.client.DropDeadLetters(ctx, ids[2], ids[0]); err != nil || n != 1 {
		t.Errorf("dropped %d, %v", n, err)
	}
	if left := keysOf(t, p, s3mesh.LetterFilter{}); left != "d" {
		t.Errorf("left: %q", left)
	}
	if b, err := p.queue.Backlog(ctx, link); err != nil || b.Pending != 2 {
		t.Errorf("%+v, %v: what was dropped is not replayed", b, err)
	}
	for _, id := range []string{ids[0], "nonsense/../x", ""} {
		if _, err := p.client.DeadLetter(ctx, id); err == nil {
			t.Errorf("%q is there", id)
		}
	}
	if _, err := p.client.DeadLetter(ctx, ids[0]); s3mesh.KindOf(err) != s3mesh.KindNotFound {
		t.Errorf("a letter that is gone: %v", err)
	}
}

func post(t *testing.T, p *process, path, contentType, body string) (int, string) {
	t.Helper()
	return p.request(t, http.MethodPost, path, contentType, body)
}

func TestDeadLettersBadRequests(t *testing.T) {
	p := start(t)
	bury(t, p, s3mesh.KindAccessDenied, "a")
	for query, want := range map[string]string{
		"link=us": "source", "kind=bad": "access_denied", "since=yesterday": "since", "before=1": "before",
		"limit=0": "1000", "limit=5000": "1000", "limit=x": "1000",
	} {
		code, text := p.request(t, http.MethodGet, "/v1/dead-letters?"+query, "", "")
		if code != http.StatusBadRequest || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", query, code, text)
		}
	}
	if code, _ := p.request(t, http.MethodGet, "/v1/dead-letters/count?kind=bad", "", ""); code != http.StatusBadRequest {
		t.Errorf("count of a bad kind: %d", code)
	}
	many := fmt.Sprintf(`{"ids":[%s"x"]}`, strings.Repeat(`"x",`, admin.MaxIDs))
	for _, path := range []string{"/v1/dead-letters/replay", "/v1/dead-letters/drop"} {
		for _, body := range []string{"", "{}", `{"ids":[]}`, `{"ids":"us.eu.1"}`, `{"ids":["us.eu.1"],"all":true}`, "[]",
			`{"ids":["us.eu.1"]}{}`, many, `{"ids":["` + strings.Repeat("x", 9<<20) + `"]}`} {
			if code, text := post(t, p, path, "application/json", body); code != http.StatusBadRequest {
				t.Errorf("%s %.40q: %d %s", path, body, code, text)
			}
		}
		for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded"} { // all that a form can send
			if code, text := post(t, p, path, kind, `{"ids":["us.eu.1"]}`); code != http.StatusBadRequest {
				t.Errorf("%s as %q: %d %s", path, kind, code, text)
			}
		}
	}
	if left := keysOf(t, p, s3mesh.LetterFilter{}); left != "a" {
		t.Errorf("left: %q", left)
	}
}

// Nothing that changes state, and nothing that tells it, answers without the token.
func TestEverythingNeedsTheToken(t *testing.T) {
	p := start(t)
	ids := bury(t, p, s3mesh.KindAccessDenied, "a")
	ctx := t.Context()
	p.client.Token = "wrong"
	for name, call := range map[string]func() error{
		"list":   func() error { _, err := p.client.DeadLetters(ctx, s3mesh.LetterFilter{}, "", 1); return err },
		"show":   func() error { _, err := p.client.DeadLetter(ctx, ids[0]); return err },
		"count":  func() error { _, err := p.client.CountDeadLetters(ctx, s3mesh.LetterFilter{}); return err },
		"replay": func() error { _, err := p.client.ReplayDeadLetters(ctx, ids...); return err },
		"drop":   func() error { _, err := p.client.DropDeadLetters(ctx, ids...); return err },
		"start":  func() error { return p.client.StartReconcile(ctx, options{}, nil) },
		"status": func() error { return p.client.ReconcileStatus(ctx, nil) },
		"stop":   func() error { _, err := p.client.StopReconcile(ctx); return err },
		"dry":    func() error { return p.client.DryRun(ctx, options{}, nil, nil) },
		"repair": func() error {
			_, err := p.client.Repair(ctx, admin.RepairKey{Key: "a", Source: "us", Target: "eu"})
			return err
		},
		"seen": func() error { _, err := p.client.Seen(ctx, "us", "a"); return err },
	} {
		if err := call(); s3mesh.KindOf(err) != s3mesh.KindAccessDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.client.Token = token
	if left := keysOf(t, p, s3mesh.LetterFilter{}); left != "a" || len(p.repaired) > 0 || len(p.compare.calls) > 0 {
		t.Errorf("left %q, repaired %v, compared %v", left, p.repaired, p.compare.calls)
	}
}

func TestParseKinds(t *testing.T) {
	var names []string
	for _, kind := range s3mesh.Kinds() {
		names = append(names, kind.String())
	}
	kinds, err := admin.ParseKinds(names)
	if err != nil || !slices.Equal(kinds, s3mesh.Kinds()) {
		t.Errorf("%v, %v", kinds, err)
	}
	if _, err := admin.ParseKinds([]string{"denied"}); err == nil || !strings.Contains(err.Error(), "use one of other, not_found,") {
		t.Errorf("%v", err)
	}
}
