package cardpluspay

import (
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/order"
)

// walletCurrency is that of the balance that is shown unless another one is asked for.
const walletCurrency = money.USD

// stateSuccess stands in answers that have a state and no more to say with it.
const stateSuccess = "success"

type envelope struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	Data    any    `json:"data"`
}

// Requests.

// itemRequest names an item under either of its published names.
type itemRequest struct {
	ItemID   string `json:"item_id" wire:"max=64"`
	ItemCode string `json:"item_code" wire:"max=64"`
	// Quantity is 1 where it is absent.
	Quantity *int `json:"quantity"`
	// Value is the denomination of each code, for items that have a range of them.
	Value wire.LooseNumber `json:"value"`
	// PriceCurrency is the one that the price must be in; empty: any.
	PriceCurrency string `json:"price_currency"`
	// MaxPrice is the highest price of a code that is taken; empty: any.
	MaxPrice wire.LooseNumber `json:"max_price"`

	asked order.Wanted // what Check made of it
}

type checkRequest struct{ itemRequest }

type purchaseRequest struct {
	itemRequest
	Email string `json:"email"`
}

type balanceQuery struct {
	Currency string `query:"currency" json:"-"`

	asked money.Currency // what Check made of it
}

// thresholdRequest says below which balance the account is told.
type thresholdRequest struct {
	Currency string `json:"currency"`
	// Threshold is in major units; 0 takes the alert away.
	Threshold wire.LooseNumber `json:"threshold"`

	asked money.Amount // what Check made of it
}

type imagePath struct {
	Image string `path:"image" json:"-"`
}

type orderPath struct {
	ID int64 `path:"id" json:"-"`
}

type catalogQuery struct {
	wire.PageQuery
	ItemID       string `query:"item_id" json:"-" wire:"max=64"`
	Brand        string `query:"brand" json:"-" wire:"max=100"`
	Query        string `query:"q" json:"-" wire:"max=255"`
	SortBy       string `query:"sort_by" json:"-"`
	Order        string `query:"order" json:"-"`
	Region       string `query:"region" json:"-" wire:"max=32"`
	Currency     string `query:"currency" json:"-"`
	DeliveryType string `query:"delivery_type" json:"-"`
	// ValueMin and ValueMax bound the face value, as it is written.
	ValueMin    wire.Number `query:"value_min" json:"-"`
	ValueMax    wire.Number `query:"value_max" json:"-"`
	CountryCode string      `query:"country_code" json:"-"`
	// UpdatedSince finds what changed at that time or later.
	UpdatedSince wire.Since `query:"updated_since" json:"-"`

	page  wire.Page // what Check made of it
	asked catalog.Filter
}

type listQuery struct {
	wire.PageQuery
	Status string `query:"status" json:"-"`
	SortBy string `query:"sort_by" json:"-"`
	Order  string `query:"order" json:"-"`

	page  wire.Page // what Check made of it
	asked order.Filter
}

// Responses.

type info struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Status  string `json:"status"`
	Docs    string `json:"docs"`
}

type challenge struct {
	Challenge string `json:"challenge"`
	// ExpiresIn is in seconds.
	ExpiresIn int64           `json:"expires_in"`
	ExpiresAt wire.TimeOffset `json:"expires_at"`
}

type balance struct {
	Balance  string `json:"balance"`
	Currency string `json:"currency"`
	State    string `json:"state"`
}

type balanceAlert struct {
	Currency  string `json:"currency"`
	Threshold string `json:"threshold"`
}

type balanceAlerts struct {
	Alerts []balanceAlert `json:"alerts"`
	State  string         `json:"state"`
}

type product struct {
	ItemCode    string `json:"item_code"`
	ProductName string `json:"product_name"`
	Brand       string `json:"brand"`
	Category    string `json:"category"`
	// Value is the face value, in Currency; Price is what is charged, in PriceCurrency.
	Value string `json:"value"`
	// ValueMax ends a range of denominations that Value begins.
	ValueMax      string   `json:"value_max,omitzero"`
	Price         string   `json:"price"`
	Currency      string   `json:"currency"`
	PriceCurrency string   `json:"price_currency"`
	Region        string   `json:"region"`
	CountryCode   []string `json:"country_code"`
	DeliveryType  string   `json:"delivery_type"`
	InStock       bool     `json:"in_stock"`
	Image         string   `json:"image"`
	Description   string   `json:"description"`
}

type products struct {
	Products   []product      `json:"products"`
	Pagination wire.PageLinks `json:"pagination"`
	State      string         `json:"state"`
}

type stockState struct {
	// Price is what one code is charged at.
	Price     wire.Major `json:"price"`
	State     string     `json:"state"`
	Status    bool       `json:"status"`
	Message   string     `json:"message"`
	Requested int        `json:"requested"`
}

type secretText struct {
	Pin string `json:"Pin"`
}

type soldCode struct {
	Code             string `json:"code"`
	Currency         string `json:"currency"`
	ItemCode         string `json:"item_code"`
	Denomination     string `json:"denomination"`
	ChargedAmount    string `json:"charged_amount"`
	DenominationUnit string `json:"denomination_unit"`
	// Metadata holds the PIN of a code that has one.
	Metadata []secretText `json:"metadata,omitzero"`
}

// purchase is the published answer, member for member.
type purchase struct {
	Type             string          `json:"type"`
	Brand            string          `json:"brand"`
	Codes            []soldCode      `json:"codes"`
	State            string          `json:"state"`
	Amount           string          `json:"amount"`
	Status           string          `json:"status"`
	OrderID          int64           `json:"order_id"`
	OrderNo          string          `json:"order_no"`
	CreatedAt        wire.TimeOffset `json:"created_at"`
	DenominationUnit string          `json:"denomination_unit"`
	// TotalDenomination is a number without needless decimals: 15, and 16.5.
	TotalDenomination wire.Number `json:"total_denomination"`
}

type heldCode struct {
	Code     string       `json:"code"`
	Status   string       `json:"status"`
	Metadata []secretText `json:"metadata,omitzero"`
}

type details struct {
	OrderID   int64           `json:"order_id"`
	OrderNo   string          `json:"order_no"`
	Status    string          `json:"status"`
	State     string          `json:"state"`
	Codes     []heldCode      `json:"codes"`
	Amount    wire.Major      `json:"amount"`
	CreatedAt wire.TimeOffset `json:"created_at"`
}

type orderLine struct {
	OrderID   int64           `json:"order_id"`
	OrderNo   string          `json:"order_no"`
	Status    string          `json:"status"`
	ItemCode  string          `json:"item_code"`
	Brand     string          `json:"brand"`
	Quantity  int             `json:"quantity"`
	Amount    wire.Major      `json:"amount"`
	Currency  string          `json:"currency"`
	CreatedAt wire.TimeOffset `json:"created_at"`
}

type orders struct {
	Orders     []orderLine    `json:"orders"`
	Pagination wire.PageLinks `json:"pagination"`
	State      string         `json:"state"`
}

// Data of refusals.

type fieldErrors struct {
	Errors map[string][]string `json:"errors"`
}

type shortfall struct {
	Required string `json:"required"`
	Balance  string `json:"balance"`
}

type shortage struct {
	State     string `json:"state"`
	Status    bool   `json:"status"`
	Message   string `json:"message"`
	Requested int    `json:"requested"`
	// Reason says why where no upload of codes would end the shortage.
	Reason string `json:"reason,omitzero"`
}
