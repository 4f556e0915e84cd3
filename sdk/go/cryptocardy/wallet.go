package cryptocardy

import (
	"context"
	"encoding/json"
	"time"

	"github.com/scripcards/scrip/sdk/go/internal/send"
)

// Transactions are the history of all cards.
type Transactions struct{ sender *send.Sender }

// Merchant is who was paid.
type Merchant struct {
	Name     string `json:"name"`
	Category string `json:"category"`
	MCC      string `json:"mcc"`
	Country  string `json:"country"`
}

// Transaction is a line of a card's history. A list leaves out what is below CreatedAt.
type Transaction struct {
	ID     string `json:"id"`
	CardID string `json:"card_id"`
	// Type is authorization, settlement, refund or decline.
	Type string `json:"type"`
	// Amount is below zero for what is, or would have been, spent.
	Amount       json.Number `json:"amount"`
	Currency     string      `json:"currency"`
	Merchant     Merchant    `json:"merchant"`
	BalanceAfter json.Number `json:"balance_after"`
	CreatedAt    time.Time   `json:"created_at"`

	AuthorizationID string   `json:"authorization_id"`
	Status          string   `json:"status"`
	Decline         *Decline `json:"decline"`
	ThreeDS         struct {
		Status      string `json:"status"`
		ChallengeID string `json:"challenge_id"`
	} `json:"3ds"`
	Timeline []Moment `json:"timeline"`
}

// Decline says why a payment was declined, and what to do.
type Decline struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Advice  string `json:"advice"`
}

// Moment is something that happened to a payment.
type Moment struct {
	TransactionID string      `json:"transaction_id"`
	Event         string      `json:"event"`
	Amount        json.Number `json:"amount"`
	BalanceAfter  json.Number `json:"balance_after"`
	Reason        string      `json:"reason"`
	At            time.Time   `json:"at"`
}

// TransactionFilter says which lines to list; empty members do not count.
type TransactionFilter struct {
	CardID, Type string
	// From and To are ISO 8601, or days; both count.
	From, To             string
	Merchant             string
	MinAmount, MaxAmount json.Number
	Page, PerPage        int
}

// List lists lines, the newest first.
func (t *Transactions) List(ctx context.Context, f TransactionFilter) (*Page[Transaction], error) {
	return read[Page[Transaction]](ctx, t.sender, "/transactions", given("card_id", f.CardID, "type", f.Type, "from", f.From, "to", f.To,
		"merchant", f.Merchant, "min_amount", f.MinAmount.String(), "max_amount", f.MaxAmount.String(), "page", number(f.Page), "per_page", number(f.PerPage)))
}

// Find reads a line with all that is known of its payment.
func (t *Transactions) Find(ctx context.Context, id string) (*Transaction, error) {
	return read[Transaction](ctx, t.sender, "/transactions"+send.Segment(id), nil)
}

// Wallet is what cards are funded from.
type Wallet struct{ sender *send.Sender }

// Balance is the wallet's; Balance is TotalDeposited less TotalSpent.
type Balance struct {
	Balance           json.Number `json:"balance"`
	Currency          string      `json:"currency"`
	PendingDeposits   json.Number `json:"pending_deposits"`
	TotalDeposited    json.Number `json:"total_deposited"`
	TotalSpent        json.Number `json:"total_spent"`
	CardsActive       int64       `json:"cards_active"`
	CardsTotalBalance json.Number `json:"cards_total_balance"`
	// Owed is for payments that took more than was on a card; empty where nothing is owed.
	Owed json.Number `json:"owed"`
	// OwedIn is what is owed so in other currencies, by their codes.
	OwedIn map[string]json.Number `json:"owed_in"`
}

// DepositAddresses say where to send which currency, on which network, and how much at least.
type DepositAddresses struct {
	Addresses  map[string]string `json:"addresses"`
	Networks   map[string]string `json:"networks"`
	MinDeposit map[string]string `json:"min_deposit"`
}

// Deposit is crypto that arrived.
type Deposit struct {
	ID           string      `json:"id"`
	Currency     string      `json:"currency"`
	AmountCrypto string      `json:"amount_crypto"`
	AmountUSD    json.Number `json:"amount_usd"`
	FeeUSD       json.Number `json:"fee_usd"`
	CreditedUSD  json.Number `json:"credited_usd"`
	// Status is pending, confirmed or expired.
	Status        string    `json:"status"`
	TxHash        string    `json:"tx_hash"`
	Confirmations int64     `json:"confirmations"`
	CreatedAt     time.Time `json:"created_at"`
	// ConfirmedAt is zero until it is confirmed.
	ConfirmedAt time.Time `json:"confirmed_at"`
}

// DepositFilter says which deposits to list; empty members do not count.
type DepositFilter struct {
	Status, Currency string
	Page, PerPage    int
}

// Balance reads the balance and what led to it.
func (w *Wallet) Balance(ctx context.Context) (*Balance, error) {
	return read[Balance](ctx, w.sender, "/wallet/balance", nil)
}

// DepositAddresses reads where to send crypto, of one currency such as btc, or of all.
func (w *Wallet) DepositAddresses(ctx context.Context, currency string) (*DepositAddresses, error) {
	return read[DepositAddresses](ctx, w.sender, "/wallet/deposit-address", given("currency", currency))
}

// Deposits lists deposits, the newest first.
func (w *Wallet) Deposits(ctx context.Context, f DepositFilter) (*Page[Deposit], error) {
	return read[Page[Deposit]](ctx, w.sender, "/wallet/deposits", given("status", f.Status, "currency", f.Currency, "page", number(f.Page),
		"per_page", number(f.PerPage)))
}

// BINs are the ranges of card numbers that cards are made of.
type BINs struct{ sender *send.Sender }

// BIN is a range of card numbers and what its cards can do.
type BIN struct {
	ID             string      `json:"id"`
	Network        string      `json:"network"`
	Type           string      `json:"type"`
	IssuerCountry  string      `json:"issuer_country"`
	ThreeDS        bool        `json:"3ds"`
	ApplePay       bool        `json:"apple_pay"`
	GooglePay      bool        `json:"google_pay"`
	MaxTransaction json.Number `json:"max_transaction"`
	MaxMonthly     json.Number `json:"max_monthly"`
	// AcceptanceRate is in percent.
	AcceptanceRate json.Number `json:"acceptance_rate"`
	BestFor        []string    `json:"best_for"`
}

// List lists them.
func (b *BINs) List(ctx context.Context) (*Page[BIN], error) {
	return read[Page[BIN]](ctx, b.sender, "/bins", nil)
}

// ThreeDS are the 3-D Secure challenges with their one-time codes.
type ThreeDS struct{ sender *send.Sender }

// Challenge is one of them.
type Challenge struct {
	ID       string      `json:"id"`
	CardID   string      `json:"card_id"`
	Merchant string      `json:"merchant"`
	Amount   json.Number `json:"amount"`
	// Currency is that of Amount where it is not US dollars.
	Currency string `json:"currency"`
	OTP      string `json:"otp"`
	// Status is pending, completed or expired.
	Status    string    `json:"status"`
	ExpiresAt time.Time `json:"expires_at"`
	CreatedAt time.Time `json:"created_at"`
}

// ChallengeFilter says which challenges to list; empty members do not count.
type ChallengeFilter struct {
	CardID, Status string
	Page, PerPage  int
}

// List lists challenges, the newest first.
func (t *ThreeDS) List(ctx context.Context, f ChallengeFilter) (*Page[Challenge], error) {
	return read[Page[Challenge]](ctx, t.sender, "/3ds", given("card_id", f.CardID, "status", f.Status, "page", number(f.Page),
		"per_page", number(f.PerPage)))
}

// Find reads one challenge.
func (t *ThreeDS) Find(ctx context.Context, id string) (*Challenge, error) {
	return read[Challenge](ctx, t.sender, "/3ds"+send.Segment(id), nil)
}
