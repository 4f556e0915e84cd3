package cardping

import "github.com/scripcards/scrip/sdk/go/internal/send"

// Codes of the API, and of what happens before there is an answer.
const (
	CodeAuthInvalid         = "auth_invalid"         // 401: the key is missing or invalid
	CodeQuotaExceeded       = "quota_exceeded"       // 429: the month's checks are used up
	CodeCardInvalid         = "card_invalid"         // 422: the number cannot be this network's, or the PIN is missing
	CodeNetworkUnavailable  = "network_unavailable"  // 503: the card's network does not answer
	CodeRateLimited         = "rate_limited"         // 429: too many requests
	CodeInvalidRequest      = "invalid_request"      // 400: a mistake in the call
	CodePermissionDenied    = "permission_denied"    // 403: the key lacks a scope, or the caller is suspended
	CodeNotFound            = "not_found"            // 404
	CodeIdempotencyConflict = "idempotency_conflict" // 409: the key was used for another check
	CodeAlreadyExists       = "already_exists"       // 409: a slug or a domain is taken
	CodeInvalidState        = "invalid_state"        // 409: as many as there may be, or disabled by the operator
	CodeInternalError       = "internal_error"       // 500
	CodeOverloaded          = "overloaded"           // 503
	CodeTimeout             = "timeout"              // 504

	CodeConnectionFailed = "connection_failed" // there was no answer; Err says why
	CodeInvalidAnswer    = "invalid_answer"    // the answer makes no sense
)

// Error is how a call fails.
type Error = send.Error

type problem struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}
