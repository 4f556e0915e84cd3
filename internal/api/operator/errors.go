package operator

import (
	"net/http"
	"strings"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// faults is the dialect's error table. Its codes are those of package fault.
var faults = map[fault.Code]wire.Verdict{
	fault.InvalidRequest:  {Status: 400, Code: "invalid_request"},
	fault.MalformedBody:   {Status: 400, Code: "malformed_body"},
	fault.InvalidAmount:   {Status: 400, Code: "invalid_amount"},
	fault.UnknownCurrency: {Status: 400, Code: "unknown_currency"},
	fault.InvalidCursor:   {Status: 400, Code: "invalid_cursor"},

	fault.CredentialsInvalid: {Status: 401, Code: "credentials_invalid"},
	fault.SignatureInvalid:   {Status: 401, Code: "signature_invalid"},
	fault.TimestampSkewed:    {Status: 401, Code: "timestamp_skewed"},
	fault.NonceInvalid:       {Status: 401, Code: "nonce_invalid"},
	fault.PermissionDenied:   {Status: 403, Code: "permission_denied"},
	fault.FeatureDisabled:    {Status: 403, Code: "feature_disabled"},

	fault.NotFound:             {Status: 404, Code: "not_found"},
	fault.RouteNotFound:        {Status: 404, Code: "route_not_found"},
	fault.MethodNotAllowed:     {Status: 405, Code: "method_not_allowed"},
	fault.BodyTooLarge:         {Status: 413, Code: "body_too_large"},
	fault.UnsupportedMediaType: {Status: 415, Code: "unsupported_media_type"},

	fault.IdempotencyConflict: {Status: 409, Code: "idempotency_conflict"},
	fault.AlreadyExists:       {Status: 409, Code: "already_exists"},
	fault.AlreadyReversed:     {Status: 409, Code: "already_reversed"},
	fault.InvalidState:        {Status: 409, Code: "invalid_state"},

	fault.InsufficientFunds: {Status: 422, Code: "insufficient_funds"},
	fault.AccountFrozen:     {Status: 422, Code: "account_frozen"},
	fault.AccountClosed:     {Status: 422, Code: "account_closed"},
	fault.AccountNotEmpty:   {Status: 422, Code: "account_not_empty"},
	fault.CurrencyMismatch:  {Status: 422, Code: "currency_mismatch"},
	fault.HoldEnded:         {Status: 422, Code: "hold_ended"},
	fault.HoldExceeded:      {Status: 422, Code: "hold_exceeded"},
	fault.GuardExceeded:     {Status: 422, Code: "guard_exceeded"},
	fault.CardExpired:       {Status: 422, Code: "card_expired"},
	fault.CardCancelled:     {Status: 422, Code: "card_cancelled"},
	fault.CardBlocked:       {Status: 422, Code: "card_blocked"},
	fault.TemplateInactive:  {Status: 422, Code: "template_inactive"},
	fault.CardInvalid:       {Status: 422, Code: "card_invalid"},
	fault.OutOfStock:        {Status: 422, Code: "out_of_stock"},

	fault.RateLimited:   {Status: 429, Code: "rate_limited"},
	fault.QuotaExceeded: {Status: 429, Code: "quota_exceeded"},
	fault.Internal:      {Status: 500, Code: "internal"},
	fault.Unavailable:   {Status: 503, Code: "unavailable"},
	fault.Overloaded:    {Status: 503, Code: "overloaded"},
	fault.Timeout:       {Status: 504, Code: "timeout"},
}

// problem is a refusal as RFC 9457 writes it, with members of its own after detail.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	// Field is the first offending field; Errors lists them all where there are several.
	Field  string       `json:"field,omitzero"`
	Errors []fieldError `json:"errors,omitzero"`
	// Figures tell more, such as what is available.
	Figures map[string]string `json:"figures,omitzero"`
}

type fieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// problemType begins the URI of every type of problem; the code ends it.
const problemType = "urn:scrip:problem:"

func problemOf(c *call, v wire.Verdict, f *fault.Error) any {
	p := problem{Type: problemType + v.Code, Title: title(v.Code), Status: v.Status, Detail: v.Message, Code: v.Code,
		RequestID: c.RequestID, Field: f.Field, Figures: f.Details}
	if all := wire.ProblemsOf(f); len(all) > 1 {
		for _, one := range all {
			p.Errors = append(p.Errors, fieldError{Field: one.Field, Detail: one.Message})
		}
	}
	if v.Status == http.StatusUnauthorized {
		c.Header().Set("WWW-Authenticate", `Bearer realm="operator"`)
	}
	return p
}

// title is a code in words: "Invalid request".
func title(code string) string {
	return strings.ToUpper(code[:1]) + strings.ReplaceAll(code[1:], "_", " ")
}
