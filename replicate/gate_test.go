package replicate_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/replicate"
)

// TestGateSparesTheOtherEnd: while a site is probed, the tasks that wait for it must not count against a site that answers.
func TestGateSparesTheOtherEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := replicate.NewGate("us", "eu", "ap")
		toEU, toAP := s3mesh.Link{Source: "us", Target: "eu"}, s3mesh.Link{Source: "us", Target: "ap"}
		away := &s3mesh.Error{Kind: s3mesh.KindUnreachable, Site: "eu", Err: errors.New("away")}
		for !gate.Closed("eu") {
			if err := gate.Enter(t.Context(), toEU); err != nil {
				t.Fatal(err)
			}
			gate.Leave(toEU, away)
		}
		if err := gate.Enter(t.Context(), toEU); err != nil { // the probe, which goes on
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		for range 20 {
			go func() {
				if err := gate.Enter(ctx, toEU); err == nil {
					t.Error("a second task entered while the site is probed")
				}
			}()
		}
		<-time.After(10 * time.Second) // on the clock of the bubble
		if gate.Closed("us") {
			t.Error("the gate of the source closed, though it answers")
		}
		if err := gate.Enter(t.Context(), toAP); err != nil {
			t.Error(err)
		}
		cancel()
		synctest.Wait()
	})
}
