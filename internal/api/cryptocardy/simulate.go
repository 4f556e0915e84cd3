package cryptocardy

import (
	"context"
	"net/http"
	"strings"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/country"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

func (a *api) simulationRoutes(s *surface) {
	const at = "/simulate"
	wire.Handle(s, creating("simulate.authorization", at+"/authorization"), a.simulateAuthorization)
	wire.Handle(s, creating("simulate.settlement", at+"/settlement"), a.simulateSettlement)
	wire.Handle(s, changing("simulate.reversal", http.MethodPost, at+"/reversal"), a.simulateReversal)
	wire.Handle(s, creating("simulate.refund", at+"/refund"), a.simulateRefund)
	wire.Handle(s, creating("simulate.3ds", at+"/3ds"), a.simulateChallenge)
	wire.Handle(s, changing("simulate.3ds_complete", http.MethodPost, at+"/3ds/{challenge_id}/complete"), a.completeChallenge)
	wire.Handle(s, creating("simulate.deposit", at+"/deposit"), a.simulateDeposit)
}

// seller is a merchant as a simulation names it.
type seller struct {
	Name    string `json:"name" wire:"required,max=64"`
	MCC     string `json:"mcc" wire:"max=4"`
	Country string `json:"country" wire:"max=2"`
}

// merchant reads who asks. Cards are controlled by category and country, so that these
// have the form that a network's have.
func (m *seller) merchant() (authorization.Merchant, error) {
	var problems wire.Problems
	if m.MCC != "" && (len(m.MCC) != 4 || strings.Trim(m.MCC, "0123456789") != "") {
		problems.Add("merchant.mcc", "must be four digits, such as 7311")
	}
	if m.Country != "" && !country.IsValid(m.Country) {
		problems.Add("merchant.country", "must be a country of ISO 3166-1, such as US")
	}
	return authorization.Merchant{ID: m.Name, Name: m.Name, MCC: m.MCC, Country: m.Country}, problems.Err()
}

type paymentRequest struct {
	CardID   string      `json:"card_id" wire:"required,max=64"`
	Amount   wire.Number `json:"amount" wire:"required"`
	Merchant seller      `json:"merchant"`
	// Entry is how the card is presented; ecommerce where it is absent.
	Entry string `json:"entry" wire:"max=32"`
	// ChallengeID is a completed 3-D Secure challenge.
	ChallengeID string `json:"challenge_id" wire:"max=64"`
}

// adviceRequest is about a payment; without an amount, about all of it.
type adviceRequest struct {
	TransactionID string      `json:"transaction_id" wire:"required,max=64"`
	Amount        wire.Number `json:"amount"`
	// Final ends a payment that is settled in part.
	Final bool `json:"final"`
}

type challengeRequest struct {
	CardID   string      `json:"card_id" wire:"required,max=64"`
	Merchant string      `json:"merchant" wire:"required,max=64"`
	Amount   wire.Number `json:"amount" wire:"required"`
}

type proof struct {
	challengePath
	OTP pan.Secret `json:"otp" wire:"required"`
}

type depositRequest struct {
	Currency      string `json:"currency" wire:"required,max=16"`
	AmountCrypto  string `json:"amount_crypto" wire:"required,max=64"`
	Confirmations *int64 `json:"confirmations"`
}

// simulated is what became of a message.
type simulated struct {
	Approved bool `json:"approved"`
	// ApprovalCode has six digits; absent for a decline.
	ApprovalCode string `json:"approval_code,omitzero"`
	// Decline says why not.
	Decline     *decline         `json:"decline,omitzero"`
	Balance     wire.Major       `json:"balance"`
	Transaction *transactionView `json:"transaction,omitzero"`
}

// message names a simulated message: the same under the same X-Idempotency-Key.
func (a *api) message(c *call) string {
	if c.Retry.Key == "" {
		return id.New("sim")
	}
	return "sim/" + a.keyOf(c)
}

// happened shows what a message came to, with the line that it left.
func (a *api) happened(ctx context.Context, c *call, d authorization.Decision) (simulated, error) {
	out := simulated{Approved: d.Approved, ApprovalCode: d.Code, Balance: wire.Major(d.Balance)}
	if d.Reason != authorization.ReasonNone {
		out.Decline = &decline{Reason: string(d.Reason), Message: d.Sentence, Advice: d.Advice}
	}
	if d.Transaction == "" {
		return out, nil
	}
	line, begun := d.Begun()
	if !begun {
		var err error
		if line, err = a.Payments.Get(ctx, c.Principal.Book, d.Transaction); err != nil {
			return simulated{}, err
		}
	}
	view := viewTransaction(&line)
	out.Transaction = &view
	return out, nil
}

func (a *api) simulateAuthorization(ctx context.Context, c *call, in paymentRequest) (simulated, error) {
	if err := sandbox(c); err != nil {
		return simulated{}, err
	}
	which, err := cardID(in.CardID)
	if err != nil {
		return simulated{}, err
	}
	amount, err := amountIn("amount", in.Amount)
	if err != nil {
		return simulated{}, err
	}
	who, err := in.Merchant.merchant()
	if err != nil {
		return simulated{}, err
	}
	// A card of nobody is no decline here: the caller may not learn whose it is.
	if _, err := a.Cards.Find(ctx, c.Principal.Book, which); err != nil {
		return simulated{}, err
	}
	r := authorization.Request{Realm: c.Principal.Realm, Book: c.Principal.Book, Card: which, Amount: amount, Merchant: who,
		Challenge: authorization.ChallengeID(in.ChallengeID)}
	if c.Retry.Key != "" {
		r.Key = a.message(c)
	}
	if r.Entry = authorization.Entry(in.Entry); r.Entry == "" {
		r.Entry = authorization.Online
	}
	d, err := a.Payments.Authorize(ctx, r)
	if err != nil {
		return simulated{}, err
	}
	return a.happened(ctx, c, d)
}

// advise has a message about a payment carried out.
func (a *api) advise(ctx context.Context, c *call, in adviceRequest, do func(context.Context, authorization.Advice) (authorization.Decision, error)) (simulated, error) {
	if err := sandbox(c); err != nil {
		return simulated{}, err
	}
	about, err := a.Payments.Get(ctx, c.Principal.Book, authorization.TransactionID(in.TransactionID))
	if err != nil {
		return simulated{}, err
	}
	amount, err := part("amount", in.Amount)
	if err != nil {
		return simulated{}, err
	}
	advice := authorization.Advice{Realm: c.Principal.Realm, Book: c.Principal.Book, Payment: about.Payment, Key: a.message(c), Final: in.Final || amount == nil,
		Amount: money.New(0, dollars)}
	if amount != nil {
		advice.Amount = *amount
	}
	d, err := do(ctx, advice)
	if err != nil {
		return simulated{}, err
	}
	return a.happened(ctx, c, d)
}

func (a *api) simulateSettlement(ctx context.Context, c *call, in adviceRequest) (simulated, error) {
	return a.advise(ctx, c, in, a.Payments.Capture)
}

func (a *api) simulateReversal(ctx context.Context, c *call, in adviceRequest) (simulated, error) {
	return a.advise(ctx, c, in, a.Payments.Reverse)
}

func (a *api) simulateRefund(ctx context.Context, c *call, in adviceRequest) (simulated, error) {
	return a.advise(ctx, c, in, a.Payments.Refund)
}

func (a *api) simulateChallenge(ctx context.Context, c *call, in challengeRequest) (challengeView, error) {
	if err := sandbox(c); err != nil {
		return challengeView{}, err
	}
	which, err := cardID(in.CardID)
	if err != nil {
		return challengeView{}, err
	}
	amount, err := amountIn("amount", in.Amount)
	if err != nil {
		return challengeView{}, err
	}
	begun, err := a.Payments.Challenge(ctx, authorization.NewChallenge{Book: c.Principal.Book, Card: issuing.CardID(which),
		Merchant: authorization.Merchant{Name: in.Merchant}, Amount: amount, Key: a.message(c)})
	if err != nil {
		return challengeView{}, err
	}
	return viewChallenge(begun), nil
}

func (a *api) completeChallenge(ctx context.Context, c *call, in proof) (challengeView, error) {
	if err := sandbox(c); err != nil {
		return challengeView{}, err
	}
	done, err := a.Payments.CompleteChallenge(ctx, c.Principal.Book, authorization.ChallengeID(in.ID), in.OTP)
	if err != nil {
		return challengeView{}, err
	}
	return viewChallenge(done), nil
}

// Payment is one that a simulation has appear on the test realm's chains.
type Payment struct {
	// Name makes it one payment however often it is asked for.
	Name          string
	Address       string
	Amount        asset.Amount
	Confirmations int64
}

// Chains are the test realm's chains.
type Chains interface {
	// Pay has a payment appear, and returns it as its chain shows it.
	Pay(ctx context.Context, p Payment) (deposit.Sighting, error)
}

func (a *api) simulateDeposit(ctx context.Context, c *call, in depositRequest) (depositView, error) {
	if err := sandbox(c); err != nil {
		return depositView{}, err
	}
	if a.Chains == nil {
		return depositView{}, fault.New(fault.FeatureDisabled, "There are no chains to simulate here.")
	}
	paid, err := coinOf("currency", in.Currency)
	if err != nil {
		return depositView{}, err
	}
	amount, err := asset.ParseAmount(in.AmountCrypto, paid.asset)
	if err != nil || amount.IsZero() {
		return depositView{}, fault.New(fault.InvalidAmount, "amount_crypto must be an amount of %s, such as 0.0075", paid.name).At("amount_crypto")
	}
	p := Payment{Name: a.message(c), Amount: amount}
	if in.Confirmations != nil {
		p.Confirmations = *in.Confirmations
	}
	if p.Confirmations < 0 || p.Confirmations > maxConfirmations {
		return depositView{}, fault.New(fault.InvalidRequest, "confirmations must be 0 to %d", maxConfirmations).At("confirmations")
	}
	if p.Address, err = a.Deposits.Address(ctx, address.Wallet{Book: c.Principal.Book, Realm: c.Principal.Realm}, paid.asset); err != nil {
		return depositView{}, err
	}
	seen, err := a.Chains.Pay(ctx, p)
	if err != nil {
		return depositView{}, err
	}
	d, err := a.Deposits.Observe(ctx, c.Principal.Realm, seen)
	if err != nil {
		return depositView{}, err
	}
	return viewDeposit(&d), nil
}

// maxConfirmations bounds how deep a simulated payment lies.
const maxConfirmations = 1_000
