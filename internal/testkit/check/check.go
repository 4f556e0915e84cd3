// Package check says in a line what a test demands: that there is no error, that an error
// has a code, that two values are the same. It ends the test where what follows would make
// no sense, and goes on where it would.
package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
)

// OK ends the test if there is an error. Properties are tests too.
func OK(t interface {
	Helper()
	Fatal(...any)
}, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Code fails the test unless err is a fault with the code; "" means that there is none.
func Code(t testing.TB, what string, err error, want fault.Code) {
	t.Helper()
	if got := fault.CodeOf(err); got != want {
		t.Errorf("%s: %q (%v), want %q", what, got, err, want)
	}
}

// Equal fails the test with what differs between got and want, if anything.
func Equal[T any](t testing.TB, what string, got, want T, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// List fails the test with what differs between the list got and the one that follows.
func List[T any](t testing.TB, what string, got []T, want ...T) {
	t.Helper()
	Equal(t, what, got, want)
}
