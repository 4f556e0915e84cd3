package cryptocardy

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/scripcards/scrip/sdk/go/internal/send"
)

// Cards are the cards of the seed.
type Cards struct{ sender *send.Sender }

// Card is a card without what pays with it. A list leaves out what is below CreatedAt.
// Amounts are decimals in US dollars, such as 487.50.
type Card struct {
	ID      string `json:"id"`
	BINID   string `json:"bin_id"`
	Network string `json:"network"`
	Last4   string `json:"last4"`
	// Status is pending_top_up, active, frozen or terminated.
	Status  string      `json:"status"`
	Balance json.Number `json:"balance"`
	// Currency is that of the amounts where it is not US dollars.
	Currency  string    `json:"currency"`
	Label     string    `json:"label"`
	CreatedAt time.Time `json:"created_at"`

	// SpendingLimit is the month's.
	SpendingLimit     json.Number `json:"spending_limit"`
	TotalSpent        json.Number `json:"total_spent"`
	TransactionCount  int64       `json:"transaction_count"`
	AllowedCategories []string    `json:"allowed_categories"`
	// AutoFreezeAt is 0.00 where nothing freezes the card.
	AutoFreezeAt json.Number       `json:"auto_freeze_at"`
	Metadata     map[string]string `json:"metadata"`
	ExpiresAt    time.Time         `json:"expires_at"`
	// LastUsedAt is zero until it is used.
	LastUsedAt time.Time `json:"last_used_at"`
}

// NewCard asks for a card. Amounts are decimals, such as "500" or "12.50".
type NewCard struct {
	BINID             string            `json:"bin_id"`
	Amount            json.Number       `json:"amount"`
	Label             string            `json:"label,omitempty"`
	SpendingLimit     json.Number       `json:"spending_limit,omitempty"`
	AllowedCategories []string          `json:"allowed_categories,omitempty"`
	AutoFreezeAt      json.Number       `json:"auto_freeze_at,omitempty"`
	Metadata          map[string]string `json:"metadata,omitempty"`
	// IdempotencyKey makes the call repeatable for 24 hours; one is made unless given.
	IdempotencyKey string `json:"-"`
}

// CardChange changes the members that are set.
type CardChange struct {
	Label         *string     `json:"label,omitempty"`
	SpendingLimit json.Number `json:"spending_limit,omitempty"`
	// AllowedCategories of none allow all.
	AllowedCategories *[]string `json:"allowed_categories,omitempty"`
	// AutoFreezeAt of "0" turns it off.
	AutoFreezeAt json.Number `json:"auto_freeze_at,omitempty"`
	// Metadata is merged; nil takes a member away.
	Metadata       map[string]*string `json:"metadata,omitempty"`
	IdempotencyKey string             `json:"-"`
}

// Transfer is an amount between the wallet and a card.
type Transfer struct {
	Amount         json.Number `json:"amount"`
	IdempotencyKey string      `json:"-"`
}

// Moved is what a transfer did; one of FundedAmount and WithdrawnAmount is empty.
type Moved struct {
	ID              string      `json:"id"`
	PreviousBalance json.Number `json:"previous_balance"`
	FundedAmount    json.Number `json:"funded_amount"`
	WithdrawnAmount json.Number `json:"withdrawn_amount"`
	NewBalance      json.Number `json:"new_balance"`
	WalletBalance   json.Number `json:"wallet_balance"`
	// Repaid is what a funding paid beside it of what was owed; empty where nothing was.
	Repaid json.Number `json:"repaid"`
}

// Details is what pays with a card. Never store it in the clear.
type Details struct {
	ID             string         `json:"id"`
	PAN            string         `json:"pan"`
	CVV            string         `json:"cvv"`
	ExpMonth       int            `json:"exp_month"`
	ExpYear        int            `json:"exp_year"`
	HolderName     string         `json:"holder_name"`
	BillingAddress BillingAddress `json:"billing_address"`
}

// BillingAddress is what address checks compare with.
type BillingAddress struct {
	Line1   string `json:"line1"`
	City    string `json:"city"`
	State   string `json:"state"`
	Zip     string `json:"zip"`
	Country string `json:"country"`
}

// Frozen is a card that was frozen.
type Frozen struct {
	ID       string    `json:"id"`
	Status   string    `json:"status"`
	FrozenAt time.Time `json:"frozen_at"`
}

// Terminated is a card that was terminated.
type Terminated struct {
	ID             string      `json:"id"`
	Status         string      `json:"status"`
	RefundedAmount json.Number `json:"refunded_amount"`
	// Currency is that of RefundedAmount where it is not US dollars.
	Currency     string    `json:"currency"`
	TerminatedAt time.Time `json:"terminated_at"`
}

// CardFilter says which cards to list; empty members do not count.
type CardFilter struct {
	Status, BINID, Label string
	// Sort is created_at, balance or last_used; Order is asc or desc.
	Sort, Order   string
	Page, PerPage int
}

// Create makes a card with an amount of the wallet on it.
func (c *Cards) Create(ctx context.Context, n NewCard) (*Card, error) {
	return change[Card](ctx, c.sender, call{method: http.MethodPost, path: "/cards", in: n, key: n.IdempotencyKey})
}

// List lists cards, the newest first unless said otherwise.
func (c *Cards) List(ctx context.Context, f CardFilter) (*Page[Card], error) {
	return read[Page[Card]](ctx, c.sender, "/cards", given("status", f.Status, "bin_id", f.BINID, "label", f.Label, "sort", f.Sort, "order", f.Order,
		"page", number(f.Page), "per_page", number(f.PerPage)))
}

// Find reads one card.
func (c *Cards) Find(ctx context.Context, id string) (*Card, error) {
	return read[Card](ctx, c.sender, "/cards"+send.Segment(id), nil)
}

// Details reads number, code and expiry. Each call is on record.
func (c *Cards) Details(ctx context.Context, id string) (*Details, error) {
	return read[Details](ctx, c.sender, "/cards"+send.Segment(id)+"/details", nil)
}

// Update changes a card.
func (c *Cards) Update(ctx context.Context, id string, to CardChange) (*Card, error) {
	to.AllowedCategories = send.List(to.AllowedCategories)
	return change[Card](ctx, c.sender, call{method: http.MethodPatch, path: "/cards" + send.Segment(id), in: to, key: to.IdempotencyKey})
}

// Freeze suspends a card; its balance stays.
func (c *Cards) Freeze(ctx context.Context, id string) (*Frozen, error) {
	return change[Frozen](ctx, c.sender, call{method: http.MethodPost, path: "/cards" + send.Segment(id) + "/freeze"})
}

// Unfreeze ends a suspension.
func (c *Cards) Unfreeze(ctx context.Context, id string) (*Card, error) {
	return change[Card](ctx, c.sender, call{method: http.MethodPost, path: "/cards" + send.Segment(id) + "/unfreeze"})
}

// Terminate ends a card for good; its balance goes back to the wallet.
func (c *Cards) Terminate(ctx context.Context, id string) (*Terminated, error) {
	return change[Terminated](ctx, c.sender, call{method: http.MethodDelete, path: "/cards" + send.Segment(id)})
}

// Fund moves an amount of the wallet to a card.
func (c *Cards) Fund(ctx context.Context, id string, t Transfer) (*Moved, error) {
	return change[Moved](ctx, c.sender, call{method: http.MethodPost, path: "/cards" + send.Segment(id) + "/fund", in: t, key: t.IdempotencyKey})
}

// Withdraw moves an amount of a card back to the wallet.
func (c *Cards) Withdraw(ctx context.Context, id string, t Transfer) (*Moved, error) {
	return change[Moved](ctx, c.sender, call{method: http.MethodPost, path: "/cards" + send.Segment(id) + "/withdraw", in: t, key: t.IdempotencyKey})
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
