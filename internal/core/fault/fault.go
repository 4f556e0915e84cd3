// Package fault is the closed list of ways in which a request can fail.
//
// Products and platform return a *Error with one of the codes below; every wire
// dialect owns one table from code to its own status and body, and a test holds
// each table to the whole list. What is not a *Error is an internal error: it is
// logged where it happened and shows no text to the caller.
//
// A refusal that is part of a product's answer (a declined authorization, an
// invalid card in a balance ping) is a result, never a fault.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Error is one failure of one request.
type Error struct {
	// Code says what went wrong; it decides the status on every wire.
	Code Code
	// Message is one sentence for the caller's developer. It holds no secret.
	Message string
	// Field names the offending field of the request, if one is to blame.
	Field string
	// RetryAfter is how long to wait before trying again; zero when unknown.
	RetryAfter time.Duration
	// Details are figures that a dialect may show (available, required…).
	Details map[string]string
	cause   error
}

// New returns a fault with a formatted message.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns a fault that keeps cause for the log. The cause's text is not shown to callers.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	e := New(code, format, args...)
	e.cause = cause
	return e
}

// Error implements error.
func (e *Error) Error() string {
	text := string(e.Code) + ": " + e.Message
	if e.Field != "" {
		text += " (" + e.Field + ")"
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is a fault of the same code, so that
// errors.Is(err, fault.New(fault.NotFound, "")) works.
func (e *Error) Is(target error) bool {
	var other *Error
	return errors.As(target, &other) && other.Code == e.Code
}

// At returns a copy that blames field.
func (e *Error) At(field string) *Error {
	copied := *e
	copied.Field = field
	return &copied
}

// After returns a copy that asks the caller to wait.
func (e *Error) After(wait time.Duration) *Error {
	copied := *e
	copied.RetryAfter = wait
	return &copied
}

// With returns a copy that carries a detail.
func (e *Error) With(name, value string) *Error {
	copied := *e
	copied.Details = make(map[string]string, len(e.Details)+1)
	for k, v := range e.Details {
		copied.Details[k] = v
	}
	copied.Details[name] = value
	return &copied
}

// From returns the fault in err's chain. Anything else, nil included, becomes an
// Internal fault that keeps err as its cause.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Wrap(err, Internal, "internal error")
}

// CodeOf returns the code of the fault in err's chain: empty for nil, Internal when there is none.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return From(err).Code
}
