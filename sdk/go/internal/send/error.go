package send

import (
	"errors"
	"fmt"
	"net/url"
)

// Codes of what both APIs say, and of what happens before there is an answer.
const (
	CodeRateLimited      = "rate_limited"
	CodeInvalidRequest   = "invalid_request"
	CodeConnectionFailed = "connection_failed"
	CodeInvalidAnswer    = "invalid_answer"
)

// Error is how a call fails.
type Error struct {
	// Code is the stable word to decide by.
	Code string
	// Message is for people.
	Message string
	// Status is the HTTP status; 0 when there was no answer, and for a part of a batch.
	Status int
	// RequestID is what to tell the operator when asking about the call.
	RequestID string
	// RetryAfter is how many seconds the API asks to wait; HasRetryAfter whether it does.
	RetryAfter    int
	HasRetryAfter bool
	// Err is why there was no answer: the context's error, or the connection's.
	Err error
}

// Error gives code, message and request, and why there was no answer.
func (e *Error) Error() string {
	text := fmt.Sprintf("scrip: %s: %s", e.Code, e.Message)
	if e.RequestID != "" {
		text += " (" + e.RequestID + ")"
	}
	if e.Err != nil {
		text += ": " + reason(e.Err).Error()
	}
	return text
}

// reason is an error without the address that was called, which may say what was asked for.
func reason(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
