package cryptocardy

import (
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Words of refusals.
const (
	wrongSeed       = "The seed is missing or invalid."
	walletTooLow    = "Your wallet balance is too low to fund this card."
	cardTooLow      = "The card's balance is too low for this withdrawal."
	notInLive       = "Simulations are for the test realm."
	issuingIsOff    = "No seeds are given out here."
	wordRequest     = "invalid_request"
	wordState       = "invalid_state"
	wordSeed        = "invalid_seed"
	wordNotFound    = "not_found"
	wordUnavailable = "unavailable"
)

// faults is the dialect's error table: the published statuses, 405, and 503 for what
// passes. A request that is wrong in whatever way is 400.
var faults = map[fault.Code]wire.Verdict{
	fault.InvalidRequest:       {Status: 400, Code: wordRequest},
	fault.MalformedBody:        {Status: 400, Code: wordRequest},
	fault.BodyTooLarge:         {Status: 400, Code: wordRequest},
	fault.UnsupportedMediaType: {Status: 400, Code: wordRequest},
	fault.UnknownCurrency:      {Status: 400, Code: wordRequest},
	fault.InvalidCursor:        {Status: 400, Code: wordRequest},
	fault.InvalidAmount:        {Status: 400, Code: "invalid_amount"},
	fault.InsufficientFunds:    {Status: 400, Code: "insufficient_funds"},
	fault.IdempotencyConflict:  {Status: 400, Code: "idempotency_conflict"},

	fault.CredentialsInvalid: {Status: 401, Code: wordSeed, Message: wrongSeed},
	fault.SignatureInvalid:   {Status: 401, Code: wordSeed, Message: wrongSeed},
	fault.TimestampSkewed:    {Status: 401, Code: wordSeed, Message: wrongSeed},
	fault.NonceInvalid:       {Status: 401, Code: wordSeed, Message: wrongSeed},
	fault.PermissionDenied:   {Status: 401, Code: wordSeed},

	fault.NotFound:         {Status: 404, Code: wordNotFound},
	fault.RouteNotFound:    {Status: 404, Code: wordNotFound},
	fault.FeatureDisabled:  {Status: 404, Code: wordNotFound},
	fault.MethodNotAllowed: {Status: 405, Code: "method_not_allowed"},

	fault.InvalidState:     {Status: 400, Code: wordState},
	fault.AlreadyExists:    {Status: 400, Code: wordState},
	fault.AccountFrozen:    {Status: 400, Code: wordState},
	fault.AccountClosed:    {Status: 400, Code: wordState},
	fault.AccountNotEmpty:  {Status: 400, Code: wordState},
	fault.CurrencyMismatch: {Status: 400, Code: wordState},
	fault.HoldEnded:        {Status: 400, Code: wordState},
	fault.HoldExceeded:     {Status: 400, Code: wordState},
	fault.AlreadyReversed:  {Status: 400, Code: wordState},
	fault.GuardExceeded:    {Status: 400, Code: wordState},
	fault.CardExpired:      {Status: 400, Code: wordState},
	fault.CardCancelled:    {Status: 400, Code: wordState},
	fault.CardBlocked:      {Status: 400, Code: wordState},
	fault.CardInvalid:      {Status: 400, Code: wordState},
	fault.TemplateInactive: {Status: 400, Code: wordState},
	fault.OutOfStock:       {Status: 400, Code: wordState},
	// As many cards, or webhooks, as there may be: no waiting changes that.
	fault.QuotaExceeded: {Status: 400, Code: wordState},

	fault.RateLimited: {Status: 429, Code: "rate_limited"},
	fault.Internal:    {Status: 500, Code: "internal_error"},
	fault.Unavailable: {Status: 503, Code: wordUnavailable},
	fault.Overloaded:  {Status: 503, Code: wordUnavailable},
	fault.Timeout:     {Status: 503, Code: wordUnavailable},
}

// refuse makes the body of a refusal.
func refuse(c *call, v wire.Verdict, _ *fault.Error) any {
	return problem{Error: v.Code, Message: v.Message, Code: v.Status, RequestID: c.RequestID}
}

// short says in the dialect's words whose money is not enough; other errors stay as they are.
func short(err error, words string) error {
	if fault.CodeOf(err) != fault.InsufficientFunds {
		return err
	}
	if owed := fault.From(err).Details["owed"]; owed != "" {
		words += " The " + owed + " that are owed for payments are repaid first."
	}
	return fault.Wrap(err, fault.InsufficientFunds, "%s", words)
}

func unknown(kind string) error { return fault.New(fault.NotFound, "no such %s", kind) }
