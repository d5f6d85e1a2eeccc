package chaos

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// margin is how much later an operation must have begun than another one ended for their order to be certain, wherever they
// were: max_clock_skew, 2 s, the grain of LastModified, 1 s, and some more. All processes share one clock.
const margin = 5 * time.Second

// content is what a region holds under a key. Two are the same when they are equal.
type content struct {
	Present     bool
	SHA256      string
	Size        int64
	ContentType string
	Operation   string // by its user metadata
	Metadata    string // all of the user metadata but the stamp
}

// judge tells whether content may be what is left of a key after the operations on it, which are in the order of their
// beginnings. It must be what one of them left that no other one certainly came after.
func judge(ops []*operation, left content) error {
	candidates := candidatesFor(ops, left)
	if !left.Present && len(candidates) == 0 {
		if slices.ContainsFunc(ops, func(o *operation) bool { return o.Fate == acknowledged && !o.Delete }) {
			return errors.New("nothing is left, and nobody deleted it")
		}
		return nil
	}
	if len(candidates) == 0 {
		return fmt.Errorf("operation %q did not write this here", left.Operation)
	}
	var faults []error
	for _, c := range candidates {
		err := c.mismatch(left)
		if err == nil {
			err = outdone(ops, c)
		}
		if err == nil {
			return nil
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// candidatesFor returns the operations that content may be of.
func candidatesFor(ops []*operation, left content) []*operation {
	var found []*operation
	for _, o := range ops {
		if o.possible() && o.Delete != left.Present && (o.Delete || o.ID == left.Operation) {
			found = append(found, o)
		}
	}
	return found
}

// mismatch tells how content differs from what the operation wrote.
func (o *operation) mismatch(left content) error {
	if o.Delete {
		return nil
	}
	want := content{Present: true, SHA256: o.SHA256, Size: int64(o.Size), ContentType: o.ContentType, Operation: o.ID,
		Metadata: fmt.Sprintf("map[%s:%s]", operationName, o.ID)}
	if left != want {
		return fmt.Errorf("%+v is left, but %+v was written", left, want)
	}
	return nil
}

// outdone returns an error when an acknowledged operation certainly came after o.
func outdone(ops []*operation, o *operation) error {
	latest, bounded := o.latest()
	for _, by := range ops {
		if by == o || by.Fate != acknowledged {
			continue
		}
		switch {
		case by.Saw == o.ID && !by.Begin.Before(o.End): // until then its client may have sent it again
			return fmt.Errorf("%v was seen by the writer of %v before", o, by)
		case by.Writer == o.Writer && by.Begin.After(o.Begin):
			return fmt.Errorf("%v was followed by %v of the same writer", o, by)
		case bounded && by.Region == o.Region && by.Begin.After(latest):
			return fmt.Errorf("%v was overwritten at its region by %v", o, by)
		case bounded && by.Begin.After(latest.Add(margin)):
			return fmt.Errorf("%v is older than %v", o, by)
		}
	}
	return nil
}
