package cardcoins

import (
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Words of refusals.
const (
	noSuchOrder = "Order not found"
	maintenance = "Service unavailable, please try again later"
	tooMany     = "Too many requests, please try again later"
	notHere     = "This service is not available where you are"
	wrongMethod = "Method not allowed"
)

// faults is the dialect's error table: the published statuses. What contradicts an order's
// state, comes from the wrong place, has the wrong method or comes too often is 403; what
// passes is 503.
var faults = map[fault.Code]wire.Verdict{
	fault.InvalidRequest:       {Status: 400},
	fault.MalformedBody:        {Status: 400},
	fault.BodyTooLarge:         {Status: 400},
	fault.UnsupportedMediaType: {Status: 400},
	fault.InvalidAmount:        {Status: 400},
	fault.UnknownCurrency:      {Status: 400},
	fault.InvalidCursor:        {Status: 400},
	fault.CurrencyMismatch:     {Status: 400},

	fault.CredentialsInvalid:  {Status: 403},
	fault.SignatureInvalid:    {Status: 403},
	fault.TimestampSkewed:     {Status: 403},
	fault.NonceInvalid:        {Status: 403},
	fault.PermissionDenied:    {Status: 403, Message: notHere},
	fault.MethodNotAllowed:    {Status: 403, Message: wrongMethod},
	fault.RateLimited:         {Status: 403, Message: tooMany},
	fault.QuotaExceeded:       {Status: 403, Message: tooMany},
	fault.InvalidState:        {Status: 403},
	fault.GuardExceeded:       {Status: 403},
	fault.AlreadyExists:       {Status: 403},
	fault.IdempotencyConflict: {Status: 403},
	fault.InsufficientFunds:   {Status: 403},
	fault.AccountFrozen:       {Status: 403},
	fault.AccountClosed:       {Status: 403},
	fault.AccountNotEmpty:     {Status: 403},
	fault.HoldEnded:           {Status: 403},
	fault.HoldExceeded:        {Status: 403},
	fault.AlreadyReversed:     {Status: 403},
	fault.CardExpired:         {Status: 403},
	fault.CardCancelled:       {Status: 403},
	fault.CardBlocked:         {Status: 403},
	fault.CardInvalid:         {Status: 403},
	fault.TemplateInactive:    {Status: 403},
	fault.OutOfStock:          {Status: 403},

	fault.NotFound:      {Status: 404, Message: noSuchOrder},
	fault.RouteNotFound: {Status: 404},

	fault.Internal: {Status: 500},

	fault.FeatureDisabled: {Status: 503, Message: maintenance},
	fault.Unavailable:     {Status: 503, Message: maintenance},
	fault.Overloaded:      {Status: 503, Message: maintenance},
	fault.Timeout:         {Status: 503, Message: maintenance},
}

// succeed puts an answer into the envelope.
func succeed(c *call, out any) any { return envelope{Message: c.Message, Data: out} }

// refuse makes the body of a refusal.
func refuse(_ *call, v wire.Verdict, _ *fault.Error) any {
	return envelope{Message: v.Message, Data: wire.None{}}
}
