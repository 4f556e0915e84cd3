package fault

// Kind groups codes by what the caller can do about them.
type Kind string

// The kinds.
const (
	KindInvalid         Kind = "invalid"         // the request is wrong; change it
	KindUnauthenticated Kind = "unauthenticated" // say who you are
	KindForbidden       Kind = "forbidden"       // you may not
	KindNotFound        Kind = "not_found"       // no such thing, for you
	KindConflict        Kind = "conflict"        // it contradicts what was done before
	KindPrecondition    Kind = "precondition"    // right request, wrong state or balance
	KindLimit           Kind = "limit"           // too much; wait
	KindUnavailable     Kind = "unavailable"     // not now; try again
	KindInternal        Kind = "internal"        // our mistake
)

// Code is one way to fail.
type Code string

// The closed list. A new code goes here and into the table below, and every
// dialect's error table must then name it.
const (
	InvalidRequest       Code = "invalid_request"
	MalformedBody        Code = "malformed_body"
	BodyTooLarge         Code = "body_too_large"
	UnsupportedMediaType Code = "unsupported_media_type"
	MethodNotAllowed     Code = "method_not_allowed"
	InvalidAmount        Code = "invalid_amount"
	UnknownCurrency      Code = "unknown_currency"
	InvalidCursor        Code = "invalid_cursor"

	CredentialsInvalid Code = "credentials_invalid"
	SignatureInvalid   Code = "signature_invalid"
	TimestampSkewed    Code = "timestamp_skewed"
	NonceInvalid       Code = "nonce_invalid"

	PermissionDenied Code = "permission_denied"
	FeatureDisabled  Code = "feature_disabled"

	NotFound      Code = "not_found"
	RouteNotFound Code = "route_not_found"

	IdempotencyConflict Code = "idempotency_conflict"
	AlreadyExists       Code = "already_exists"

	InvalidState      Code = "invalid_state"
	InsufficientFunds Code = "insufficient_funds"
	AccountFrozen     Code = "account_frozen"
	AccountClosed     Code = "account_closed"
	AccountNotEmpty   Code = "account_not_empty"
	CurrencyMismatch  Code = "currency_mismatch"
	HoldEnded         Code = "hold_ended"
	HoldExceeded      Code = "hold_exceeded"
	AlreadyReversed   Code = "already_reversed"
	GuardExceeded     Code = "guard_exceeded"
	CardExpired       Code = "card_expired"
	CardCancelled     Code = "card_cancelled"
	CardBlocked       Code = "card_blocked"
	TemplateInactive  Code = "template_inactive"
	CardInvalid       Code = "card_invalid"
	OutOfStock        Code = "out_of_stock"

	RateLimited   Code = "rate_limited"
	QuotaExceeded Code = "quota_exceeded"

	Unavailable Code = "unavailable"
	Overloaded  Code = "overloaded"
	Timeout     Code = "timeout"

	Internal Code = "internal"
)

type row struct {
	code Code
	kind Kind
}

// rows is the list in order: what Codes returns and Kind looks up.
var rows = [...]row{
	{InvalidRequest, KindInvalid},
	{MalformedBody, KindInvalid},
	{BodyTooLarge, KindInvalid},
	{UnsupportedMediaType, KindInvalid},
	{MethodNotAllowed, KindInvalid},
	{InvalidAmount, KindInvalid},
	{UnknownCurrency, KindInvalid},
	{InvalidCursor, KindInvalid},
	{CredentialsInvalid, KindUnauthenticated},
	{SignatureInvalid, KindUnauthenticated},
	{TimestampSkewed, KindUnauthenticated},
	{NonceInvalid, KindUnauthenticated},
	{PermissionDenied, KindForbidden},
	{FeatureDisabled, KindForbidden},
	{NotFound, KindNotFound},
	{RouteNotFound, KindNotFound},
	{IdempotencyConflict, KindConflict},
	{AlreadyExists, KindConflict},
	{InvalidState, KindPrecondition},
	{InsufficientFunds, KindPrecondition},
	{AccountFrozen, KindPrecondition},
	{AccountClosed, KindPrecondition},
	{AccountNotEmpty, KindPrecondition},
	{CurrencyMismatch, KindPrecondition},
	{HoldEnded, KindPrecondition},
	{HoldExceeded, KindPrecondition},
	{AlreadyReversed, KindPrecondition},
	{GuardExceeded, KindPrecondition},
	{CardExpired, KindPrecondition},
	{CardCancelled, KindPrecondition},
	{CardBlocked, KindPrecondition},
	{TemplateInactive, KindPrecondition},
	{CardInvalid, KindPrecondition},
	{OutOfStock, KindPrecondition},
	{RateLimited, KindLimit},
	{QuotaExceeded, KindLimit},
	{Unavailable, KindUnavailable},
	{Overloaded, KindUnavailable},
	{Timeout, KindUnavailable},
	{Internal, KindInternal},
}

// Kind returns the group that c belongs to; a code outside the list is internal.
func (c Code) Kind() Kind {
	for _, r := range rows {
		if r.code == c {
			return r.kind
		}
	}
	return KindInternal
}

// Codes returns the closed list in its documented order.
func Codes() []Code {
	codes := make([]Code, len(rows))
	for i, r := range rows {
		codes[i] = r.code
	}
	return codes
}
