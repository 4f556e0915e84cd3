package cardping

import (
	"net/http"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
)

// wrongKey is the one answer to a key that is missing, malformed, unknown, revoked or expired.
const wrongKey = "the API key is missing or invalid"

// faults is the dialect's error table: the published codes, and those that they leave out.
var faults = map[fault.Code]wire.Verdict{
	fault.InvalidRequest:  {Status: 400, Code: "invalid_request"},
	fault.MalformedBody:   {Status: 400, Code: "invalid_request"},
	fault.InvalidAmount:   {Status: 400, Code: "invalid_request"},
	fault.UnknownCurrency: {Status: 400, Code: "invalid_request"},
	fault.InvalidCursor:   {Status: 400, Code: "invalid_request"},

	fault.CredentialsInvalid: {Status: 401, Code: "auth_invalid", Message: wrongKey},
	fault.SignatureInvalid:   {Status: 401, Code: "auth_invalid", Message: wrongKey},
	fault.TimestampSkewed:    {Status: 401, Code: "auth_invalid", Message: wrongKey},
	fault.NonceInvalid:       {Status: 401, Code: "auth_invalid", Message: wrongKey},
	fault.PermissionDenied:   {Status: 403, Code: "permission_denied"},
	fault.FeatureDisabled:    {Status: 403, Code: "permission_denied"},

	fault.NotFound:             {Status: 404, Code: "not_found"},
	fault.RouteNotFound:        {Status: 404, Code: "not_found"},
	fault.MethodNotAllowed:     {Status: 405, Code: "method_not_allowed"},
	fault.BodyTooLarge:         {Status: 413, Code: "body_too_large"},
	fault.UnsupportedMediaType: {Status: 415, Code: "unsupported_media_type"},

	fault.IdempotencyConflict: {Status: 409, Code: "idempotency_conflict"},
	fault.AlreadyExists:       {Status: 409, Code: "already_exists"},
	fault.InvalidState:        {Status: 409, Code: "invalid_state"},

	fault.CardInvalid: {Status: 422, Code: "card_invalid"},

	// What stands in the way of a movement of money, of which there is none here.
	fault.InsufficientFunds: {Status: 409, Code: "invalid_state"},
	fault.AccountFrozen:     {Status: 409, Code: "invalid_state"},
	fault.AccountClosed:     {Status: 409, Code: "invalid_state"},
	fault.AccountNotEmpty:   {Status: 409, Code: "invalid_state"},
	fault.CurrencyMismatch:  {Status: 409, Code: "invalid_state"},
	fault.HoldEnded:         {Status: 409, Code: "invalid_state"},
	fault.HoldExceeded:      {Status: 409, Code: "invalid_state"},
	fault.AlreadyReversed:   {Status: 409, Code: "invalid_state"},
	fault.GuardExceeded:     {Status: 409, Code: "invalid_state"},
	fault.CardExpired:       {Status: 409, Code: "invalid_state"},
	fault.CardCancelled:     {Status: 409, Code: "invalid_state"},
	fault.CardBlocked:       {Status: 409, Code: "invalid_state"},
	fault.TemplateInactive:  {Status: 409, Code: "invalid_state"},
	fault.OutOfStock:        {Status: 409, Code: "invalid_state"},

	fault.RateLimited:   {Status: 429, Code: "rate_limited"},
	fault.QuotaExceeded: {Status: 429, Code: "quota_exceeded"},
	fault.Internal:      {Status: 500, Code: "internal_error"},
	fault.Unavailable:   {Status: 503, Code: "network_unavailable"},
	fault.Overloaded:    {Status: 503, Code: "overloaded"},
	fault.Timeout:       {Status: 504, Code: "timeout"},
}

// refuse makes the body of a refusal. An answer that no limit was asked about, because
// the server is too busy even for that, says that nothing is left; the kit puts the
// figures of all others in its place.
func (a *api) refuse(c *call, v wire.Verdict, f *fault.Error) any {
	now := a.Clocks.Now(realm.Live)
	limitHeaders(c.Header(), wire.Decision{Limit: a.perAddress[0].Limit, ResetAt: now.Add(f.RetryAfter)})
	return envelope{Error: problemOf(c, v)}
}

func problemOf(c *call, v wire.Verdict) problem {
	return problem{Code: v.Code, Message: v.Message, RequestID: c.RequestID}
}

// limitHeaders shows a limit: how many requests it allows, how many are left, and when
// all of them are there again, in seconds since 1970.
func limitHeaders(h http.Header, d wire.Decision) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(d.Limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(d.Remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(d.ResetAt.Add(time.Second-1).Unix(), 10))
}

// full turns having as many of something as one may, which waiting does not cure,
// into another fault than the quota of checks.
func full(err error) error {
	if f := fault.From(err); err != nil && f.Code == fault.QuotaExceeded {
		return fault.Wrap(err, fault.InvalidState, "%s", f.Message)
	}
	return err
}
