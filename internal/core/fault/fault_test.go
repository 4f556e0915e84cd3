package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

// Every code stands once in the list, with a kind, and Kind finds it.
func TestCodes(t *testing.T) {
	seen := map[Code]bool{}
	for _, code := range Codes() {
		if seen[code] {
			t.Errorf("%s stands twice", code)
		}
		seen[code] = true
		if code.Kind() == KindInternal && code != Internal {
			t.Errorf("%s has no kind", code)
		}
	}
	if Code("made_up").Kind() != KindInternal {
		t.Error("an unknown code must be internal")
	}
}

// From finds a fault through wrapping, and turns anything else into an internal one that keeps its cause.
func TestFrom(t *testing.T) {
	base := New(InsufficientFunds, "need %d", 5).At("amount").With("available", "1").After(time.Second)
	got := From(fmt.Errorf("redeem: %w", base))
	if got.Code != InsufficientFunds || got.Field != "amount" || got.Details["available"] != "1" || got.RetryAfter != time.Second {
		t.Errorf("From = %+v", got)
	}
	other := From(io.ErrUnexpectedEOF)
	if other.Code != Internal || !errors.Is(other, io.ErrUnexpectedEOF) {
		t.Errorf("From(other) = %+v", other)
	}
	if CodeOf(nil) != "" || CodeOf(base) != InsufficientFunds {
		t.Error("CodeOf")
	}
	if !errors.Is(fmt.Errorf("x: %w", base), New(InsufficientFunds, "")) {
		t.Error("errors.Is by code")
	}
}
