package cryptocardy

import (
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/pan"
)

// problem is the body of every refusal; Code is the status.
type problem struct {
	Error     string `json:"error"`
	Message   string `json:"message"`
	Code      int    `json:"code"`
	RequestID string `json:"request_id"`
}

// Requests.

type generateQuery struct {
	Card  string `query:"card" json:"-"`
	Asset string `query:"asset" json:"-"`
}

type cardPath struct {
	ID string `path:"card_id" json:"-"`
}

type newCard struct {
	BINID             string             `json:"bin_id" wire:"required,max=8"`
	Amount            wire.Number        `json:"amount" wire:"required"`
	Label             string             `json:"label" wire:"max=64"`
	SpendingLimit     wire.Number        `json:"spending_limit"`
	AllowedCategories []string           `json:"allowed_categories"`
	AutoFreezeAt      wire.Number        `json:"auto_freeze_at"`
	Metadata          map[string]*string `json:"metadata"`
}

// cardChange changes what it names. Of metadata, null takes a member away.
type cardChange struct {
	cardPath
	Label             *string            `json:"label"`
	SpendingLimit     wire.Number        `json:"spending_limit"`
	AllowedCategories *[]string          `json:"allowed_categories"`
	AutoFreezeAt      wire.Number        `json:"auto_freeze_at"`
	Metadata          map[string]*string `json:"metadata"`
}

type transfer struct {
	cardPath
	Amount wire.Number `json:"amount" wire:"required"`
}

type cardsQuery struct {
	wire.PageQuery
	Status string `query:"status" json:"-"`
	BINID  string `query:"bin_id" json:"-" wire:"max=8"`
	Label  string `query:"label" json:"-" wire:"max=64"`
	Sort   string `query:"sort" json:"-"`
	Order  string `query:"order" json:"-"`
}

type cardMonths struct {
	cardPath
	wire.PageQuery
}

type monthPath struct {
	Month string `path:"month" json:"-"`
}

type cardMonth struct {
	cardPath
	monthPath
}

type cardMonthPage struct {
	cardMonth
	wire.PageQuery
}

type walletMonthPage struct {
	monthPath
	wire.PageQuery
}

type transactionPath struct {
	ID string `path:"txn_id" json:"-"`
}

type transactionsQuery struct {
	wire.PageQuery
	CardID    string      `query:"card_id" json:"-" wire:"max=64"`
	Type      string      `query:"type" json:"-"`
	From      wire.Since  `query:"from" json:"-"`
	To        until       `query:"to" json:"-"`
	Merchant  string      `query:"merchant" json:"-" wire:"max=64"`
	MinAmount wire.Number `query:"min_amount" json:"-"`
	MaxAmount wire.Number `query:"max_amount" json:"-"`
}

type addressQuery struct {
	Currency string `query:"currency" json:"-"`
}

type depositsQuery struct {
	wire.PageQuery
	Status   string `query:"status" json:"-"`
	Currency string `query:"currency" json:"-"`
}

type challengePath struct {
	ID string `path:"challenge_id" json:"-"`
}

type challengesQuery struct {
	wire.PageQuery
	CardID string `query:"card_id" json:"-" wire:"max=64"`
	Status string `query:"status" json:"-"`
}

type newDispute struct {
	// TransactionID is any line of the payment.
	TransactionID string      `json:"transaction_id" wire:"required,max=64"`
	Reason        string      `json:"reason" wire:"required"`
	Note          string      `json:"note" wire:"max=500"`
	Amount        wire.Number `json:"amount"`
	Evidence      string      `json:"evidence" wire:"max=4000"`
}

type disputesQuery struct {
	Status string `query:"status" json:"-"`
	Before string `query:"before" json:"-" wire:"max=64"`
}

type disputePath struct {
	ID string `path:"dispute_id" json:"-"`
}

type newWebhook struct {
	URL    string     `json:"url" wire:"required,max=2048"`
	Events []string   `json:"events" wire:"required"`
	Secret pan.Secret `json:"secret"`
}

type webhookPath struct {
	ID string `path:"webhook_id" json:"-"`
}

// Responses.

type generated struct {
	Success   bool            `json:"success"`
	RequestID string          `json:"request_id"`
	Seed      string          `json:"seed"`
	Card      preview         `json:"card"`
	Wallet    fundingWallet   `json:"wallet"`
	CreatedAt wire.TimeOffset `json:"created_at"`
}

type preview struct {
	ID         string `json:"id"`
	State      string `json:"state"`
	Network    string `json:"network"`
	CardNumber string `json:"card_number"`
	CVVMasked  string `json:"cvv_masked"`
	Expiry     string `json:"expiry"`
}

type fundingWallet struct {
	Asset   string `json:"asset"`
	Address string `json:"address"`
}

type list[T any] struct {
	Data []T `json:"data"`
}

type pages[T any] struct {
	Data       []T             `json:"data"`
	Pagination wire.PageTotals `json:"pagination"`
}

// cardLine is a card in a list.
type cardLine struct {
	ID      string     `json:"id"`
	BINID   string     `json:"bin_id"`
	Network string     `json:"network"`
	Last4   string     `json:"last4"`
	Status  string     `json:"status"`
	Balance wire.Major `json:"balance"`
	// Currency is absent for US dollars, in which all that holders make themselves is.
	Currency  string          `json:"currency,omitzero"`
	Label     string          `json:"label"`
	CreatedAt wire.TimeSecond `json:"created_at"`
}

// card is a card by itself, without what pays with it.
type card struct {
	ID      string     `json:"id"`
	BINID   string     `json:"bin_id"`
	Network string     `json:"network"`
	Last4   string     `json:"last4"`
	Status  string     `json:"status"`
	Balance wire.Major `json:"balance"`
	// Currency is absent for US dollars.
	Currency string `json:"currency,omitzero"`
	// SpendingLimit is the month's.
	SpendingLimit wire.Major `json:"spending_limit"`
	// TotalSpent is never below zero.
	TotalSpent        wire.Major `json:"total_spent"`
	TransactionCount  int64      `json:"transaction_count"`
	Label             string     `json:"label"`
	AllowedCategories []string   `json:"allowed_categories"`
	// AutoFreezeAt is 0.00 where nothing freezes the card.
	AutoFreezeAt wire.Major        `json:"auto_freeze_at"`
	Metadata     map[string]string `json:"metadata"`
	CreatedAt    wire.TimeSecond   `json:"created_at"`
	ExpiresAt    wire.TimeSecond   `json:"expires_at"`
	// LastUsedAt is null until it is used.
	LastUsedAt *wire.TimeSecond `json:"last_used_at"`
}

type billing struct {
	Line1   string `json:"line1"`
	City    string `json:"city"`
	State   string `json:"state"`
	Zip     string `json:"zip"`
	Country string `json:"country"`
}

// details is what pays.
type details struct {
	ID             string  `json:"id"`
	PAN            string  `json:"pan"`
	CVV            string  `json:"cvv"`
	ExpMonth       int     `json:"exp_month"`
	ExpYear        int     `json:"exp_year"`
	HolderName     string  `json:"holder_name"`
	BillingAddress billing `json:"billing_address"`
}

type frozen struct {
	ID       string          `json:"id"`
	Status   string          `json:"status"`
	FrozenAt wire.TimeSecond `json:"frozen_at"`
}

type terminated struct {
	ID             string          `json:"id"`
	Status         string          `json:"status"`
	RefundedAmount wire.Major      `json:"refunded_amount"`
	Currency       string          `json:"currency,omitzero"` // absent for US dollars
	TerminatedAt   wire.TimeSecond `json:"terminated_at"`
}

type funded struct {
	ID              string     `json:"id"`
	PreviousBalance wire.Major `json:"previous_balance"`
	FundedAmount    wire.Major `json:"funded_amount"`
	NewBalance      wire.Major `json:"new_balance"`
	WalletBalance   wire.Major `json:"wallet_balance"`
	// Repaid is absent where nothing was owed.
	Repaid *wire.Major `json:"repaid,omitzero"`
}

type withdrawn struct {
	ID              string     `json:"id"`
	PreviousBalance wire.Major `json:"previous_balance"`
	WithdrawnAmount wire.Major `json:"withdrawn_amount"`
	NewBalance      wire.Major `json:"new_balance"`
	WalletBalance   wire.Major `json:"wallet_balance"`
}

type merchant struct {
	Name     string `json:"name"`
	Category string `json:"category"`
	MCC      string `json:"mcc"`
	Country  string `json:"country"`
}

type transactionLine struct {
	ID     string `json:"id"`
	CardID string `json:"card_id"`
	Type   string `json:"type"`
	// Amount is below zero for what is, or would have been, spent.
	Amount       wire.Major      `json:"amount"`
	Currency     string          `json:"currency"`
	Merchant     merchant        `json:"merchant"`
	BalanceAfter wire.Major      `json:"balance_after"`
	CreatedAt    wire.TimeSecond `json:"created_at"`
}

// transactionView is a line with all that is known of its payment.
type transactionView struct {
	transactionLine
	AuthorizationID string `json:"authorization_id"`
	// Status is the payment's.
	Status string `json:"status"`
	// OriginalAmount is what the merchant charged, where that is another currency.
	OriginalAmount   *wire.Major `json:"original_amount,omitzero"`
	OriginalCurrency string      `json:"original_currency,omitzero"`
	Decline          *decline    `json:"decline,omitzero"`
	ThreeDS          threeDS     `json:"3ds"`
	Timeline         []moment    `json:"timeline"`
}

type decline struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Advice  string `json:"advice"`
}

type threeDS struct {
	// Status is authenticated or not_authenticated.
	Status      string `json:"status"`
	ChallengeID string `json:"challenge_id,omitzero"`
}

type moment struct {
	TransactionID string          `json:"transaction_id"`
	Event         string          `json:"event"`
	Amount        wire.Major      `json:"amount"`
	BalanceAfter  wire.Major      `json:"balance_after"`
	Reason        string          `json:"reason,omitzero"`
	At            wire.TimeSecond `json:"at"`
}

type walletBalance struct {
	Balance           wire.Major `json:"balance"`
	Currency          string     `json:"currency"`
	PendingDeposits   wire.Major `json:"pending_deposits"`
	TotalDeposited    wire.Major `json:"total_deposited"`
	TotalSpent        wire.Major `json:"total_spent"`
	CardsActive       int64      `json:"cards_active"`
	CardsTotalBalance wire.Major `json:"cards_total_balance"`
	// Owed is absent where nothing is.
	Owed *wire.Major `json:"owed,omitzero"`
	// OwedIn has other currencies, and is absent where nothing is owed in them.
	OwedIn map[string]wire.Major `json:"owed_in,omitzero"`
}

// monthView is a statement without its movements. Balances are posted, with what is held.
type monthView struct {
	Month          string     `json:"month"`
	Currency       string     `json:"currency"`
	OpeningBalance wire.Major `json:"opening_balance"`
	OpeningHeld    wire.Major `json:"opening_held"`
	ClosingBalance wire.Major `json:"closing_balance"`
	ClosingHeld    wire.Major `json:"closing_held"`
	Movements      int64      `json:"movements"`
	// Final says that the statement will not change any more.
	Final bool            `json:"final"`
	Until wire.TimeSecond `json:"until"`
}

type totalView struct {
	Kind   string     `json:"kind"`
	Count  int64      `json:"count"`
	Amount wire.Major `json:"amount"`
	Held   wire.Major `json:"held"`
}

type movementView struct {
	Number int64  `json:"number"`
	Kind   string `json:"kind"`
	// Amount is above zero for what came in.
	Amount          wire.Major      `json:"amount"`
	Held            wire.Major      `json:"held"`
	Fee             wire.Major      `json:"fee"`
	BalanceAfter    wire.Major      `json:"balance_after"`
	Reference       string          `json:"reference,omitzero"`
	CardID          string          `json:"card_id,omitzero"`
	AuthorizationID string          `json:"authorization_id,omitzero"`
	Merchant        *merchant       `json:"merchant,omitzero"`
	CreatedAt       wire.TimeSecond `json:"created_at"`
}

// statementView is a month with a page of its movements; the first page has the totals.
type statementView struct {
	monthView
	CardID     string          `json:"card_id,omitzero"`
	BINID      string          `json:"bin_id,omitzero"`
	Totals     []totalView     `json:"totals,omitzero"`
	Fees       *wire.Major     `json:"fees,omitzero"`
	Data       []movementView  `json:"data"`
	Pagination wire.PageTotals `json:"pagination"`
}

type disputeView struct {
	ID              string     `json:"id"`
	AuthorizationID string     `json:"authorization_id"`
	CardID          string     `json:"card_id"`
	Reason          string     `json:"reason"`
	Note            string     `json:"note,omitzero"`
	Amount          wire.Major `json:"amount"`
	Refunded        wire.Major `json:"refunded"`
	Currency        string     `json:"currency"`
	// Credited says that it was credited when it was opened.
	Credited bool   `json:"credited"`
	Status   string `json:"status"`
	Decision string `json:"decision,omitzero"`
	Evidence int64  `json:"evidence"`
	// DueAt is null once it is decided.
	DueAt     *wire.TimeSecond `json:"due_at"`
	CreatedAt wire.TimeSecond  `json:"created_at"`
}

// depositAddresses have a member a currency.
type depositAddresses struct {
	Addresses  map[string]string `json:"addresses"`
	Networks   map[string]string `json:"networks"`
	MinDeposit map[string]string `json:"min_deposit"`
}

type depositView struct {
	ID           string     `json:"id"`
	Currency     string     `json:"currency"`
	Network      string     `json:"network"`
	AmountCrypto string     `json:"amount_crypto"`
	AmountUSD    wire.Major `json:"amount_usd"`
	FeeUSD       wire.Major `json:"fee_usd"`
	CreditedUSD  wire.Major `json:"credited_usd"`
	Status       string     `json:"status"`
	// Reason says more of a status: below_minimum, dropped, reorganised, replaced.
	Reason    string          `json:"reason,omitzero"`
	TxHash    string          `json:"tx_hash"`
	Confirms  int64           `json:"confirmations"`
	CreatedAt wire.TimeSecond `json:"created_at"`
	// ConfirmedAt is null until it is confirmed.
	ConfirmedAt *wire.TimeSecond `json:"confirmed_at"`
}

type binView struct {
	ID             string     `json:"id"`
	Network        string     `json:"network"`
	Type           string     `json:"type"`
	IssuerCountry  string     `json:"issuer_country"`
	ThreeDS        bool       `json:"3ds"`
	ApplePay       bool       `json:"apple_pay"`
	GooglePay      bool       `json:"google_pay"`
	MaxTransaction wire.Major `json:"max_transaction"`
	MaxMonthly     wire.Major `json:"max_monthly"`
	// AcceptanceRate is in percent with one decimal.
	AcceptanceRate wire.Number `json:"acceptance_rate"`
	BestFor        []string    `json:"best_for"`
}

type challengeView struct {
	ID       string     `json:"id"`
	CardID   string     `json:"card_id"`
	Merchant string     `json:"merchant"`
	Amount   wire.Major `json:"amount"`
	Currency string     `json:"currency,omitzero"` // absent for US dollars
	// OTP is the one-time code.
	OTP       string          `json:"otp"`
	Status    string          `json:"status"`
	ExpiresAt wire.TimeSecond `json:"expires_at"`
	CreatedAt wire.TimeSecond `json:"created_at"`
}

type webhookView struct {
	ID     string   `json:"id"`
	URL    string   `json:"url"`
	Events []string `json:"events"`
	// Secret is shown by the call that made it.
	Secret    string          `json:"secret,omitzero"`
	Active    bool            `json:"active"`
	Reason    string          `json:"reason,omitzero"`
	CreatedAt wire.TimeSecond `json:"created_at"`
}

type deleted struct {
	ID      string `json:"id"`
	Deleted bool   `json:"deleted"`
}
