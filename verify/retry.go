package verify

import (
	"context"
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/s3mesh/s3mesh"
)

const (
	attempts   = 5
	retryFirst = 200 * time.Millisecond
	retryMax   = 5 * time.Second
)

// errChanged tells that an object changed while it was read.
var errChanged = errors.New("changed while it was read")

// retry tries a request again where that may help. Stores' adapters retry nothing.
func retry(ctx context.Context, request func() error) error {
	policy := retrypolicy.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool {
			kind := s3mesh.KindOf(err)
			return err != nil && ctx.Err() == nil && !errors.Is(err, errChanged) &&
				kind.Transient() && kind != s3mesh.KindPreconditionFailed && kind != s3mesh.KindCanceled
		}).
		WithMaxAttempts(attempts).
		WithBackoff(retryFirst, retryMax).
		WithJitterFactor(0.25).
		ReturnLastFailure().
		Build()
	err := failsafe.With(policy).WithContext(ctx).Run(request)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// endsRun reports that an error is one of a whole site, or of the caller: to go on would only make more of them.
func endsRun(err error) bool {
	switch s3mesh.KindOf(err) {
	case s3mesh.KindUnreachable, s3mesh.KindThrottled, s3mesh.KindNoSuchBucket, s3mesh.KindCanceled:
		return true
	default:
		return false
	}
}

// sleep waits, and returns false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
