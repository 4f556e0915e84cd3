package gatepay

import (
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// invalidParameters is the published code for whatever is wrong with a request,
// and for a card that is not there or not the merchant's.
const invalidParameters = "400001"

// faults is the dialect's error table. The status is the code's first three digits.
var faults = map[fault.Code]wire.Verdict{
	fault.InvalidRequest:       {Status: 400, Code: invalidParameters},
	fault.MalformedBody:        {Status: 400, Code: invalidParameters},
	fault.InvalidAmount:        {Status: 400, Code: invalidParameters},
	fault.UnknownCurrency:      {Status: 400, Code: invalidParameters},
	fault.InvalidCursor:        {Status: 400, Code: invalidParameters},
	fault.NotFound:             {Status: 400, Code: invalidParameters},
	fault.TemplateInactive:     {Status: 400, Code: invalidParameters},
	fault.CurrencyMismatch:     {Status: 400, Code: invalidParameters},
	fault.SignatureInvalid:     {Status: 400, Code: "400002"},
	fault.TimestampSkewed:      {Status: 400, Code: "400003"},
	fault.UnsupportedMediaType: {Status: 400, Code: "400007", Message: "Content-Type must be application/json"},
	fault.NonceInvalid:         {Status: 400, Code: "400020"},

	fault.CredentialsInvalid: {Status: 401, Code: "401001"},
	fault.PermissionDenied:   {Status: 403, Code: "403001"},
	fault.FeatureDisabled:    {Status: 403, Code: "403002"},
	fault.RouteNotFound:      {Status: 404, Code: "404001"},
	fault.MethodNotAllowed:   {Status: 405, Code: "405001"},
	fault.BodyTooLarge:       {Status: 413, Code: "413001"},

	fault.IdempotencyConflict: {Status: 409, Code: "409001", Message: "the merchantTradeNo was used before, for something else"},
	fault.AlreadyExists:       {Status: 409, Code: "409002"},

	fault.InsufficientFunds: {Status: 422, Code: "422001"},
	fault.CardExpired:       {Status: 422, Code: "422002"},
	fault.CardCancelled:     {Status: 422, Code: "422003"},
	fault.CardBlocked:       {Status: 422, Code: "422004"},
	fault.HoldEnded:         {Status: 422, Code: "422005"},
	fault.HoldExceeded:      {Status: 422, Code: "422006"},
	fault.GuardExceeded:     {Status: 422, Code: "422007"},
	fault.InvalidState:      {Status: 422, Code: "422008"},
	fault.AlreadyReversed:   {Status: 422, Code: "422009"},
	// The ledger's words for a card; the product says most of them in its own.
	fault.AccountFrozen:   {Status: 422, Code: "422004", Message: "the gift card is blocked"},
	fault.AccountClosed:   {Status: 422, Code: "422003", Message: "the gift card has ended"},
	fault.AccountNotEmpty: {Status: 422, Code: "422008", Message: "the gift card has pending holds"},
	fault.CardInvalid:     {Status: 400, Code: invalidParameters},
	fault.OutOfStock:      {Status: 422, Code: "422008"}, // nothing here has a stock

	fault.RateLimited:   {Status: 429, Code: "429001"},
	fault.QuotaExceeded: {Status: 429, Code: "429002"},
	fault.Internal:      {Status: 500, Code: "500001", Message: "internal error"},
	fault.Unavailable:   {Status: 503, Code: "503001"},
	fault.Overloaded:    {Status: 503, Code: "503002"},
	fault.Timeout:       {Status: 504, Code: "504001"},
}

// parameters are this dialect's names for what the product blames under its own.
var parameters = map[string]string{"reference": "merchantTradeNo", "original": "originalMerchantTradeNo", "hold": "holdId"}

func success(_ *call, out any) any {
	return envelope{Status: "SUCCESS", Code: "000000", Data: out}
}

func failure(_ *call, verdict wire.Verdict, f *fault.Error) any {
	message := verdict.Message
	if name, renamed := parameters[f.Field]; renamed {
		message = name + ": " + message
	}
	return envelope{Status: "FAIL", Code: verdict.Code, Label: string(f.Code), ErrorMessage: message, Data: wire.None{}}
}
