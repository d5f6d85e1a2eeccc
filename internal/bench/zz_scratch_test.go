package main

import (
	"os"
	"testing"
)

func TestScratch(t *testing.T) {
	for _, kind := range []string{kindEmbedded, kindMinIO} {
		b := &bench{options: options{program: "/tmp/ab/head4"}, dir: t.TempDir(), progress: os.Stderr}
		f, err := b.newFixture(t.Context(), kind, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.replicate(t.Context(), b.program, nil); err != nil {
			t.Fatal(err)
		}
		s0, _ := f.mesh.status.Status(t.Context())
		putAll(t.Context(), f.source(), "x/", 2000)
		awaitAll(t.Context(), f.targets(), "x/", 2000)
		f.mesh.quiet(t.Context())
		s1, _ := f.mesh.status.Status(t.Context())
		for i, l := range s1.Links {
			t.Log(kind, l.Link, "done", l.Done-s0.Links[i].Done, l.Results, s0.Links[i].Results)
		}
		f.close()
	}
}
