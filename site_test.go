package s3mesh_test

import (
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh"
)

func links(pairs ...string) []s3mesh.Link {
	var all []s3mesh.Link
	for _, p := range pairs {
		source, target, _ := strings.Cut(p, "->")
		all = append(all, s3mesh.Link{Source: source, Target: target})
	}
	return all
}

func TestEchoesRedundant(t *testing.T) {
	tests := []struct {
		name      string
		links     []s3mesh.Link
		site      string
		redundant bool
	}{
		{"full mesh", s3mesh.FullMesh("m", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"}, s3mesh.Site{Name: "c"}).Links, "b", true},
		{"two sites", links("a->b", "b->a"), "a", true},
		{"chain, the middle", links("a->b", "b->c"), "b", false},
		{"chain, the end", links("a->b", "b->c"), "c", true},
		{"chain of four", links("a->b", "b->c", "a->c", "c->d", "a->d"), "c", false},
		{"ring", links("a->b", "b->c", "c->a"), "a", false},
		{"star out", links("a->b", "a->c"), "a", true},
		{"star in and out", links("b->a", "a->c"), "a", false},
	}
	for _, tt := range tests {
		set := s3mesh.ReplicaSet{Links: tt.links}
		if got := set.EchoesRedundant(tt.site); got != tt.redundant {
			t.Errorf("%s: EchoesRedundant(%s) = %v", tt.name, tt.site, got)
		}
	}
}

func TestFullMesh(t *testing.T) {
	set := s3mesh.FullMesh("m", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"}, s3mesh.Site{Name: "c"})
	if len(set.Links) != 6 || len(set.From("a")) != 2 || len(set.To("a")) != 2 {
		t.Errorf("%v", set.Links)
	}
	if site, ok := set.Site("b"); !ok || site.Name != "b" {
		t.Errorf("%v, %v", site, ok)
	}
	if _, ok := set.Site("d"); ok {
		t.Error("found a site that is not there")
	}
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"us-east-1": true, "a": true, "7": true, strings.Repeat("a", 63): true,
		"": false, "-a": false, "a-": false, "A": false, "a.b": false, "a_b": false, "ü": false, strings.Repeat("a", 64): false,
	} {
		if err := s3mesh.ValidateName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestParseLink(t *testing.T) {
	want := s3mesh.Link{Source: "us-east-1", Target: "eu"}
	if got, err := s3mesh.ParseLink(want.String()); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "a", "a->", "->b", "a->a", "a->b->c", "a -> b", "A->b"} {
		if got, err := s3mesh.ParseLink(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}
