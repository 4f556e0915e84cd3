package issuing

import (
	"context"
	"fmt"
	"strings"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
)

// binView is a BIN.
type binView struct {
	BINID          string      `json:"bin_id"`
	Network        string      `json:"network"`
	Type           string      `json:"type"`
	IssuerCountry  string      `json:"issuer_country"`
	Currency       string      `json:"currency"`
	ThreeDS        bool        `json:"3ds"`
	ApplePay       bool        `json:"apple_pay"`
	GooglePay      bool        `json:"google_pay"`
	MaxTransaction string      `json:"max_transaction"`
	MaxMonthly     string      `json:"max_monthly"`
	AcceptanceRate wire.Number `json:"acceptance_rate"`
	BestFor        []string    `json:"best_for"`
	Active         bool        `json:"active"`
}

func viewBIN(b issuing.BIN) binView {
	return binView{BINID: b.ID, Network: string(b.Network), Type: b.Type, IssuerCountry: b.IssuerCountry, Currency: b.Currency.String(),
		ThreeDS: b.ThreeDS, ApplePay: b.ApplePay, GooglePay: b.GooglePay, MaxTransaction: b.MaxTransaction.String(), MaxMonthly: b.MaxMonthly.String(),
		AcceptanceRate: tenths(b.AcceptanceTenths), BestFor: desk.Listed(b.BestFor), Active: b.Active}
}

func tenths(n int) wire.Number { return wire.Number(fmt.Sprintf("%d.%d", n/10, n%10)) }

func (a *api) listBINs(ctx context.Context, _ *call, _ struct{}) (wire.Listing[binView], error) {
	all, err := a.Cards.BINs(ctx)
	return desk.Page(all, viewBIN), err
}

type binChange struct {
	BINID          string      `path:"bin_id" json:"-"`
	Network        string      `json:"network" wire:"required"`
	Type           string      `json:"type" wire:"required,max=32"`
	IssuerCountry  string      `json:"issuer_country" wire:"required"`
	Currency       string      `json:"currency" wire:"required"`
	ThreeDS        bool        `json:"3ds"`
	ApplePay       bool        `json:"apple_pay"`
	GooglePay      bool        `json:"google_pay"`
	MaxTransaction string      `json:"max_transaction" wire:"required,max=64"`
	MaxMonthly     string      `json:"max_monthly" wire:"required,max=64"`
	AcceptanceRate wire.Number `json:"acceptance_rate" wire:"required"`
	BestFor        []string    `json:"best_for"`
	Active         *bool       `json:"active"`
}

// putBIN adds a BIN or replaces the one with its digits, which is active unless it is said not to be.
func (a *api) putBIN(ctx context.Context, c *call, in binChange) (binView, error) {
	b := issuing.BIN{ID: in.BINID, Network: pan.Network(in.Network), Type: in.Type, IssuerCountry: in.IssuerCountry, ThreeDS: in.ThreeDS,
		ApplePay: in.ApplePay, GooglePay: in.GooglePay, BestFor: in.BestFor, Active: in.Active == nil || *in.Active}
	var err error
	if b.Currency, err = currencyOf(in.Currency); err != nil {
		return binView{}, err
	}
	if b.MaxTransaction, err = amountOf("max_transaction", in.MaxTransaction, b.Currency); err != nil {
		return binView{}, err
	}
	if b.MaxMonthly, err = amountOf("max_monthly", in.MaxMonthly, b.Currency); err != nil {
		return binView{}, err
	}
	if b.AcceptanceTenths, err = tenthsOf(in.AcceptanceRate); err != nil {
		return binView{}, err
	}
	put, err := a.Cards.PutBIN(ctx, issuing.BINChange{BIN: b, Actor: desk.Actor(c), Also: desk.Storing(a.desk, c, viewBIN)})
	return viewBIN(put), a.desk.Raced(ctx, c, err)
}

// tenthsOf reads a percentage with at most one decimal.
func tenthsOf(rate wire.Number) (int, error) {
	whole, decimal, _ := strings.Cut(string(rate), ".")
	if len(whole) > 3 || len(decimal) > 1 {
		return 0, desk.Invalid("acceptance_rate", "the acceptance rate is 0 to 100 percent with one decimal")
	}
	amount, err := money.ParseAmount(whole+decimal+strings.Repeat("0", 1-len(decimal)), money.JPY) // whole tenths
	if err != nil {
		return 0, desk.Invalid("acceptance_rate", "the acceptance rate is 0 to 100 percent with one decimal")
	}
	return int(amount.Minor), nil
}
