package admin_test

import (
	"testing"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
)

func hold(t *testing.T, p *process, keys ...string) {
	t.Helper()
	p.brake[link] = true
	for _, key := range keys {
		ev := s3mesh.Event{Site: "us", Target: "eu", Key: key, Type: s3mesh.EventRemoved}
		if err := p.queue.Publish(t.Context(), s3mesh.LaneHeld, ev); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResume(t *testing.T) {
	p := start(t)
	hold(t, p, "a", "b", "c")
	s, err := p.client.Status(t.Context())
	if err != nil || s.Links[0].Held != 3 || !s.Links[0].BrakeEngaged || s.Links[1].BrakeEngaged || s.Links[0].LagSeconds != 0 {
		t.Errorf("%+v, %v", s.Links, err)
	}
	done, err := p.client.Resume(t.Context(), link)
	if want := (admin.Resumed{Link: link, Resumed: true, Held: 3}); err != nil || done != want || p.brake.Engaged(link) {
		t.Errorf("%+v, %v; engaged %v", done, err, p.brake.Engaged(link))
	}
}

// What another process holds, which serves the same site, may go on from here.
func TestResumeWhatAnotherProcessHolds(t *testing.T) {
	p := start(t)
	hold(t, p, "a")
	p.brake[link] = false
	if done, err := p.client.Resume(t.Context(), link); err != nil || !done.Resumed || done.Held != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestResumeWithoutNeed(t *testing.T) {
	p := start(t)
	if done, err := p.client.Resume(t.Context(), link); err != nil || done.Resumed || done.Held != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	for l, want := range map[s3mesh.Link]s3mesh.Kind{
		{Source: "us", Target: "mars"}: s3mesh.KindNotFound,
		{Source: "eu", Target: "us"}:   s3mesh.KindInvalid, // another process serves us
	} {
		if _, err := p.client.Resume(t.Context(), l); s3mesh.KindOf(err) != want {
			t.Errorf("%s: %v, want %v", l, err, want)
		}
	}
	p.client.Token = "wrong"
	if _, err := p.client.Resume(t.Context(), link); s3mesh.KindOf(err) != s3mesh.KindAccessDenied {
		t.Errorf("with the wrong token: %v", err)
	}
}
