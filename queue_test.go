package s3mesh_test

import (
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

func TestLetterFilter(t *testing.T) {
	at := time.Unix(1_795_000_000, 0)
	link := s3mesh.Link{Source: "us", Target: "eu"}
	letter := s3mesh.DeadLetter{Link: link, Event: s3mesh.Event{Key: "a/b"}, Site: "eu", Kind: s3mesh.KindAccessDenied, Last: at}
	for name, tt := range map[string]struct {
		filter s3mesh.LetterFilter
		match  bool
	}{
		"all":           {s3mesh.LetterFilter{}, true},
		"its link":      {s3mesh.LetterFilter{Link: link}, true},
		"another link":  {s3mesh.LetterFilter{Link: s3mesh.Link{Source: "eu", Target: "us"}}, false},
		"its prefix":    {s3mesh.LetterFilter{Prefix: "a/"}, true},
		"another one":   {s3mesh.LetterFilter{Prefix: "b/"}, false},
		"its kind":      {s3mesh.LetterFilter{Kinds: []s3mesh.Kind{s3mesh.KindOther, s3mesh.KindAccessDenied}}, true},
		"other kinds":   {s3mesh.LetterFilter{Kinds: []s3mesh.Kind{s3mesh.KindOther}}, false},
		"its site":      {s3mesh.LetterFilter{Site: "eu"}, true},
		"another site":  {s3mesh.LetterFilter{Site: "us"}, false},
		"since then":    {s3mesh.LetterFilter{Since: at}, true},
		"since later":   {s3mesh.LetterFilter{Since: at.Add(1)}, false},
		"before later":  {s3mesh.LetterFilter{Before: at.Add(1)}, true},
		"before then":   {s3mesh.LetterFilter{Before: at}, false},
		"all but one":   {s3mesh.LetterFilter{Link: link, Prefix: "a/", Site: "eu", Before: at}, false},
		"all of it":     {s3mesh.LetterFilter{Link: link, Prefix: "a/", Site: "eu", Since: at, Before: at.Add(1)}, true},
		"no such thing": {s3mesh.LetterFilter{Prefix: "a/bc"}, false},
	} {
		if tt.filter.Matches(letter) != tt.match {
			t.Errorf("%s: not %v", name, tt.match)
		}
	}
}
