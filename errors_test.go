package s3mesh_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/s3mesh/s3mesh"
)

func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range s3mesh.Kinds() {
		if k.String() == "" || k.Remedy() == "" || seen[k.String()] {
			t.Errorf("kind %d: name %q, remedy %q", k, k, k.Remedy())
		}
		seen[k.String()] = true
		text, err := k.MarshalText()
		var back s3mesh.Kind
		if err != nil || back.UnmarshalText(text) != nil || back != k {
			t.Errorf("%v does not survive being written as %q", k, text)
		}
	}
	if s3mesh.Kind(200).String() != "other" {
		t.Error("an unknown kind is not other")
	}
	if err := new(s3mesh.Kind).UnmarshalText([]byte("nonsense")); err == nil {
		t.Error("read a kind that there is not")
	}
}

func TestMayHeal(t *testing.T) {
	for kind, heals := range map[s3mesh.Kind]bool{s3mesh.KindAccessDenied: true, s3mesh.KindNoSuchBucket: true,
		s3mesh.KindLocked: true, s3mesh.KindOther: true, s3mesh.KindCorrupted: true,
		s3mesh.KindUnstorable: false, s3mesh.KindTooLarge: false, s3mesh.KindInvalid: false, s3mesh.KindUnsupported: false} {
		if kind.MayHeal() != heals {
			t.Errorf("%v: not %v", kind, heals)
		}
	}
}

func TestKindOf(t *testing.T) {
	inner := &s3mesh.Error{Kind: s3mesh.KindThrottled, Err: errors.New("slow down")}
	for _, tt := range []struct {
		err  error
		want s3mesh.Kind
	}{
		{inner, s3mesh.KindThrottled},
		{fmt.Errorf("around: %w", inner), s3mesh.KindThrottled},
		{&s3mesh.Error{Kind: s3mesh.KindInvalid, Err: inner}, s3mesh.KindInvalid},
		{fmt.Errorf("around: %w", context.Canceled), s3mesh.KindCanceled},
		{context.DeadlineExceeded, s3mesh.KindUnreachable},
		{errors.New("x"), s3mesh.KindOther},
	} {
		if got := s3mesh.KindOf(tt.err); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("cause")
	for want, err := range map[string]*s3mesh.Error{
		`eu: PutObject "a b": conflict: cause`: {Kind: s3mesh.KindConflict, Op: "PutObject", Site: "eu", Key: "a b", Err: cause},
		`PutObject: conflict`:                  {Kind: s3mesh.KindConflict, Op: "PutObject"},
		`eu: conflict: cause`:                  {Kind: s3mesh.KindConflict, Site: "eu", Err: cause},
		`conflict`:                             {Kind: s3mesh.KindConflict},
	} {
		if got := err.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
