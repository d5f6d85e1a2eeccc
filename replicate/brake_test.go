package replicate_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/replicate"
)

var (
	usEU = s3mesh.Link{Source: "us", Target: "eu"}
	euUS = s3mesh.Link{Source: "eu", Target: "us"}
)

const brakeLimit = 10

// brakeFixture is a brake with a limit of ten for both directions between us and eu, and the alerts that it gave.
type brakeFixture struct {
	*replicate.Brake
	clock  *clock
	mu     sync.Mutex
	alerts []s3mesh.Link
}

func newBrake() *brakeFixture {
	f := &brakeFixture{clock: &clock{time: start}}
	f.Brake = replicate.NewBrake([]s3mesh.Link{usEU, euUS}, brakeLimit, f.clock.now, func(link s3mesh.Link) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.alerts = append(f.alerts, link)
	})
	return f
}

// admitted returns how many of n deletes on us->eu are let through.
func (f *brakeFixture) admitted(n int) (through int) {
	for range n {
		if f.Admit(usEU) == nil {
			through++
		}
	}
	return through
}

func TestBrakeEngagesAboveTheLimit(t *testing.T) {
	b := newBrake()
	if n := b.admitted(brakeLimit); n != brakeLimit || b.Engaged(usEU) || len(b.alerts) != 0 {
		t.Fatalf("%d let through, engaged %v, alerts %v", n, b.Engaged(usEU), b.alerts)
	}
	err := b.Admit(usEU)
	var e *s3mesh.Error
	if !errors.As(err, &e) || e.Kind != s3mesh.KindHeld || e.Site != "eu" || e.Op != "delete" {
		t.Errorf("one more: %v", err)
	}
	if n := b.admitted(5); n != 0 || !b.Engaged(usEU) || len(b.alerts) != 1 || b.alerts[0] != usEU {
		t.Errorf("%d let through once engaged, alerts %v", n, b.alerts)
	}
	if err := b.Admit(euUS); err != nil || b.Engaged(euUS) {
		t.Errorf("the other direction: %v", err)
	}
	b.clock.advance(24 * time.Hour)
	if b.Admit(usEU) == nil {
		t.Error("it lets go by itself")
	}
}

// The window slides: what counts is the last minute, not a minute of the clock, and a bucket's second is not taken for another.
func TestBrakeCountsTheLastMinute(t *testing.T) {
	b := newBrake()
	b.clock.advance(55 * time.Second)
	if n := b.admitted(brakeLimit - 1); n != brakeLimit-1 {
		t.Fatalf("%d let through", n)
	}
	b.clock.advance(10 * time.Second) // another minute by the clock
	if n := b.admitted(1); n != 1 {
		t.Fatal("the limit itself was not let through")
	}
	b.clock.advance(51 * time.Second) // past the first nine, not past the tenth
	if n := b.admitted(brakeLimit - 1); n != brakeLimit-1 || b.Engaged(usEU) {
		t.Fatalf("%d let through after a minute, engaged %v", n, b.Engaged(usEU))
	}
	if b.Admit(usEU) == nil {
		t.Error("one too many within the minute was let through")
	}
	steady := newBrake()
	for range 1000 {
		if err := steady.Admit(usEU); err != nil {
			t.Fatalf("at nine a minute: %v", err)
		}
		steady.clock.advance(time.Minute/(brakeLimit-1) + time.Millisecond)
	}
}

func TestBrakeResume(t *testing.T) {
	b := newBrake()
	b.admitted(2 * brakeLimit)
	b.Resume(usEU)
	b.Resume(usEU) // twice is no error
	if b.Engaged(usEU) {
		t.Error("engaged after Resume")
	}
	if n := b.admitted(brakeLimit); n != brakeLimit {
		t.Errorf("%d let through after Resume, want the whole limit again", n)
	}
	if b.Admit(usEU) == nil || len(b.alerts) != 2 {
		t.Errorf("alerts %v, want one per engagement", b.alerts)
	}
	b.Engage(usEU)
	b.Engage(euUS)
	if !b.Engaged(euUS) || len(b.alerts) != 3 || b.Admit(euUS) == nil {
		t.Errorf("alerts %v", b.alerts)
	}
}

func TestBrakeWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrake()
		var done atomic.Int32
		wait := func() {
			go func() {
				if b.Wait(t.Context(), usEU) == nil {
					done.Add(1)
				}
			}()
		}
		wait()
		b.Engage(usEU)
		wait()
		b.Resume(euUS)
		if synctest.Wait(); done.Load() != 0 {
			t.Fatal("waited for nothing")
		}
		b.Resume(usEU)
		if synctest.Wait(); done.Load() != 2 {
			t.Fatalf("%d of 2 went on", done.Load())
		}
		wait()
		if synctest.Wait(); done.Load() != 3 {
			t.Fatal("a resumed link waits")
		}
		b.Engage(usEU)
		wait()
		if synctest.Wait(); done.Load() != 3 {
			t.Fatal("went on though engaged again")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Wait(ctx, usEU); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that ended: %v", err)
		}
		b.Resume(usEU)
	})
}

// Of many at once exactly the limit is let through, and one alert is given.
func TestBrakeConcurrent(t *testing.T) {
	b := newBrake()
	var through atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				if b.Admit(usEU) == nil {
					through.Add(1)
				}
			}
		})
	}
	group.Wait()
	if through.Load() != brakeLimit || len(b.alerts) != 1 {
		t.Errorf("%d let through, alerts %v", through.Load(), b.alerts)
	}
}

func TestNoBrake(t *testing.T) {
	var none *replicate.Brake
	none.Engage(usEU)
	none.Resume(usEU)
	if none.Admit(usEU) != nil || none.Engaged(usEU) || none.Wait(t.Context(), usEU) != nil {
		t.Error("a brake that is not there holds")
	}
	b := newBrake()
	unknown := s3mesh.Link{Source: "us", Target: "ap"}
	b.Engage(unknown)
	b.Resume(unknown)
	if b.Admit(unknown) != nil || b.Engaged(unknown) || b.Wait(t.Context(), unknown) != nil {
		t.Error("a link that it was not made for is held")
	}
}
