package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// status is what status --json tells, as far as these tests read it.
type status struct {
	Set   string `json:"set"`
	Sites []struct {
		Name string `json:"name"`
		Away bool   `json:"away"`
	} `json:"sites"`
	Links []linkStatus `json:"links"`
}

type linkStatus struct {
	Source       string           `json:"source"`
	Target       string           `json:"target"`
	Pending      int64            `json:"pending"`
	InFlight     int64            `json:"in_flight"`
	Held         int64            `json:"held"`
	DeadLetters  int64            `json:"dead_letters"`
	BrakeEngaged bool             `json:"brake_engaged"`
	LagSeconds   float64          `json:"lag_seconds"`
	Done         int64            `json:"done"`
	Failed       int64            `json:"failed"`
	Results      map[string]int64 `json:"results"`
	LastError    string           `json:"last_error"`
}

func (l linkStatus) String() string {
	return fmt.Sprintf("%s->%s: %d pending, %d in flight, %d dead letters, last error %s",
		l.Source, l.Target, l.Pending, l.InFlight, l.DeadLetters, l.LastError)
}

// writes returns how many replicas the link has written.
func (l linkStatus) writes() int64 { return l.Results["replicated"] + l.Results["conflict_won"] }

func (s status) away(name string) bool {
	for _, site := range s.Sites {
		if site.Name == name {
			return site.Away
		}
	}
	return false
}

// status asks the running process; args tell which.
func (m *machine) status(t *testing.T, args ...string) status {
	t.Helper()
	var s status
	decode(t, m.must(t, append([]string{"status", "--json"}, args...)...).stdout, &s)
	return s
}

// settled waits until no link has anything left to do, and returns the status then.
func (m *machine) settled(t *testing.T, limit time.Duration, args ...string) status {
	t.Helper()
	var s status
	eventually(t, limit, "nothing left to do", func() error {
		s = m.status(t, args...)
		var busy []error
		for _, l := range s.Links {
			if l.Pending+l.InFlight > 0 {
				busy = append(busy, errors.New(l.String()))
			}
		}
		return errors.Join(busy...)
	})
	return s
}

// letter is a dead letter as dlq list --json tells it.
type letter struct {
	ID    string                          `json:"id"`
	Link  struct{ Source, Target string } `json:"link"`
	Event struct {
		Key string `json:"key"`
	} `json:"event"`
	Kind     string    `json:"kind"`
	Cause    string    `json:"cause"`
	Remedy   string    `json:"remedy"`
	Attempts int       `json:"attempts"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

func (m *machine) letters(t *testing.T, args ...string) []letter {
	t.Helper()
	var letters []letter
	text := m.must(t, append([]string{"dlq", "list", "--json"}, args...)...).stdout
	for line := range strings.Lines(text) {
		var l letter
		decode(t, line, &l)
		letters = append(letters, l)
	}
	return letters
}

// noLetters fails the test when there is a dead letter.
func (m *machine) noLetters(t *testing.T, args ...string) {
	t.Helper()
	if letters := m.letters(t, args...); len(letters) > 0 {
		t.Fatalf("%d dead letters, the first: %+v", len(letters), letters[0])
	}
}

// inspection is what inspect --json tells.
type inspection struct {
	Key   string `json:"key"`
	Sites []struct {
		Site    string `json:"site"`
		Replica bool   `json:"replica"`
		Error   string `json:"error"`
		Version *struct {
			Origin string `json:"origin"`
			ETag   string `json:"etag"`
		} `json:"version"`
	} `json:"sites"`
	Agree  bool     `json:"agree"`
	Winner []string `json:"winner"`
}

// inspect returns what inspect tells of key, and its exit code.
func (m *machine) inspect(t *testing.T, key string, args ...string) (inspection, int) {
	t.Helper()
	r := m.cli(t, append(append([]string{"inspect", "--json"}, args...), "--", key)...)
	var in inspection
	decode(t, r.stdout, &in)
	return in, r.code
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
}
