package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// errMissing is the fault of a field that must be there and is absent, null or empty.
var errMissing = errors.New("is missing")

// fault is an error with its place in the message.
type fault struct {
	place string
	err   error
}

// Error returns "place: cause".
func (f *fault) Error() string { return f.place + ": " + f.err.Error() }

// Unwrap returns the cause.
func (f *fault) Unwrap() error { return f.err }

// at puts place in front of the place that err already has. It returns nil for nil.
func at(place string, err error) error {
	var inner *fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &inner):
		return &fault{place + "." + inner.place, inner.err}
	default:
		return &fault{place, err}
	}
}

// failure is what Decode returns for err.
func failure(err error) error {
	const op = "decode notification"
	var subscription *SubscriptionError
	var placed *fault
	switch {
	case errors.As(err, &subscription):
		return &s3mesh.Error{Kind: s3mesh.KindUnsupported, Op: op, Err: err}
	case errors.As(err, &placed):
		return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: op, Err: err}
	default:
		return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: op, Err: fmt.Errorf("the message %w", err)}
	}
}

// expect reads the opening delimiter of what.
func expect(in *json.Decoder, delim json.Delim, what string) error {
	token, err := in.Token()
	if err != nil {
		return jsonFault(err)
	}
	if token != delim {
		return fmt.Errorf("is not %s", what)
	}
	return nil
}

// jsonFault words an error of encoding/json, with its place where it tells one.
func jsonFault(err error) error {
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		found, _, _ := strings.Cut(wrongType.Value, " ") // "number 12" comes with its value
		fault := fmt.Errorf("is %s where %s belongs", found, typeName(wrongType.Type))
		if wrongType.Field == "" {
			return fault
		}
		return at(wrongType.Field, fault)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("is empty or ends too early")
	default:
		return fmt.Errorf("is not JSON: %w", err)
	}
}

// typeName is how JSON calls a Go type of this package.
func typeName(t reflect.Type) string {
	if t.Kind() == reflect.String {
		return "a string"
	}
	return "an object"
}
