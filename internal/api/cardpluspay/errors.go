package cardpluspay

import (
	"errors"
	"strconv"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/order"
)

// wrongKey is the one answer to a key that is missing, malformed, unknown, revoked or expired.
const wrongKey = "X-API-Key is missing or invalid"

// faults is the dialect's error table. The envelope has no codes: the status is one.
var faults = map[fault.Code]wire.Verdict{
	fault.MalformedBody:     {Status: 400},
	fault.InvalidCursor:     {Status: 400},
	fault.InsufficientFunds: {Status: 400, Message: "Insufficient balance"},
	fault.OutOfStock:        {Status: 400, Message: "Gift card out of stock"},

	fault.CredentialsInvalid: {Status: 401, Message: wrongKey},
	fault.SignatureInvalid:   {Status: 401},
	fault.NonceInvalid:       {Status: 401},
	fault.TimestampSkewed:    {Status: 401},
	fault.PermissionDenied:   {Status: 403},
	fault.FeatureDisabled:    {Status: 403},
	fault.AccountFrozen:      {Status: 403, Message: "The balance is frozen"},

	fault.NotFound:             {Status: 404},
	fault.RouteNotFound:        {Status: 404},
	fault.MethodNotAllowed:     {Status: 405},
	fault.BodyTooLarge:         {Status: 413},
	fault.UnsupportedMediaType: {Status: 415},

	fault.IdempotencyConflict: {Status: 409},
	fault.AlreadyExists:       {Status: 409},
	fault.InvalidState:        {Status: 409},

	fault.InvalidRequest:  {Status: 422},
	fault.InvalidAmount:   {Status: 422},
	fault.UnknownCurrency: {Status: 422},

	// What stands in the way of other movements of money than an order makes.
	fault.AccountClosed:    {Status: 409},
	fault.AccountNotEmpty:  {Status: 409},
	fault.CurrencyMismatch: {Status: 409},
	fault.HoldEnded:        {Status: 409},
	fault.HoldExceeded:     {Status: 409},
	fault.AlreadyReversed:  {Status: 409},
	fault.GuardExceeded:    {Status: 409},
	fault.CardExpired:      {Status: 409},
	fault.CardCancelled:    {Status: 409},
	fault.CardBlocked:      {Status: 409},
	fault.CardInvalid:      {Status: 409},
	fault.TemplateInactive: {Status: 409},

	fault.RateLimited:   {Status: 429},
	fault.QuotaExceeded: {Status: 429},
	fault.Internal:      {Status: 500, Message: "Internal error"},
	fault.Unavailable:   {Status: 503},
	fault.Overloaded:    {Status: 503},
	fault.Timeout:       {Status: 504},
}

func success(c *call, out any) any {
	return envelope{Success: true, Message: c.Message, Data: out}
}

func failure(_ *call, verdict wire.Verdict, f *fault.Error) any {
	return envelope{Message: verdict.Message, Data: about(f)}
}

// about is what a refusal says beside its message; an empty object for most.
func about(f *fault.Error) any {
	switch f.Code {
	case fault.InvalidRequest, fault.InvalidAmount, fault.UnknownCurrency:
		errs := fieldErrors{Errors: map[string][]string{}}
		for _, p := range sentences(f) {
			errs.Errors[p.Field] = append(errs.Errors[p.Field], p.Message)
		}
		if len(errs.Errors) == 0 {
			errs.Errors["body"] = []string{f.Message}
		}
		return errs
	case fault.InsufficientFunds:
		return shortfall{Required: f.Details["required"], Balance: f.Details["balance"]}
	case fault.OutOfStock:
		requested, _ := strconv.Atoi(f.Details["requested"]) // the product wrote it
		out := shortage{State: "out_of_stock", Message: "Unavailable", Requested: requested}
		if f.Details["reason"] == order.NoSupply {
			out.Reason = f.Message
		}
		return out
	default:
		return wire.None{}
	}
}

// problemsIn returns the fields that an error of the kit blames.
func problemsIn(err error) wire.Problems {
	var all wire.Problems
	errors.As(err, &all)
	return all
}

// sentences are the fields that f blames, each with a sentence that names it.
func sentences(f *fault.Error) wire.Problems {
	all := problemsIn(f)
	if all == nil {
		return wire.ProblemsOf(f)
	}
	named := make(wire.Problems, len(all))
	for i, p := range all {
		named[i] = wire.Problem{Field: p.Field, Message: p.Field + " " + p.Message}
	}
	return named
}
