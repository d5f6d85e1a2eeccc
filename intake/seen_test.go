package intake_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/intake"
)

func TestSeen(t *testing.T) {
	var seen intake.Seen
	at := time.Unix(1_795_000_000, 0)
	seen.Note("us", []s3mesh.Event{{Key: "photo.jpg"}, {Key: ".s3mesh/probe/x"}}, at)
	seen.Note("us", []s3mesh.Event{{Key: ".s3mesh/tombstones/x"}}, at)
	for _, key := range []string{"photo.jpg", ".s3mesh/tombstones/x"} {
		if _, ok := seen.When("us", key); ok {
			t.Errorf("remembers %s", key)
		}
	}
	if when, ok := seen.When("us", ".s3mesh/probe/x"); !ok || !when.Equal(at) {
		t.Errorf("%v, %v", when, ok)
	}
	if _, ok := seen.When("eu", ".s3mesh/probe/x"); ok {
		t.Error("remembers it for another site")
	}
	for i := range 1000 {
		seen.Note("us", []s3mesh.Event{{Key: fmt.Sprint(".s3mesh/probe/", i)}}, at)
	}
	if _, ok := seen.When("us", ".s3mesh/probe/x"); ok {
		t.Error("remembers for ever")
	}
	if _, ok := seen.When("us", ".s3mesh/probe/999"); !ok {
		t.Error("forgot the latest")
	}
}
