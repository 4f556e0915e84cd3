package issuing

import (
	"slices"

	"github.com/scripcards/scrip/internal/core/country"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/issuing/category"
	"github.com/scripcards/scrip/internal/issuing/spending"
)

// Bounds of controls.
const (
	maxCountries  = 249
	maxCurrencies = 60
	maxMerchant   = 64 // bytes of an acquirer's merchant id
)

// checked returns controls in the form in which they are kept, or what is wrong with them
// for a card of a BIN.
func (c Controls) checked(bin *BIN) (Controls, error) {
	var err error
	if c.Limits, err = spending.Check(c.Limits, bin.Currency); err != nil {
		return c, err
	}
	if month, ok := spending.Of(c.Limits, spending.PerMonth); ok && month.Amount.Minor > bin.MaxMonthly.Minor {
		return c, fault.New(fault.InvalidAmount, "a month's limit is at most %s", bin.MaxMonthly).At("spending_limit")
	}
	if c.Categories, err = category.Clean(c.Categories); err != nil {
		return c, fault.From(err).At("allowed_categories")
	}
	if c.Countries = sorted(c.Countries); len(c.Countries) > maxCountries || slices.ContainsFunc(c.Countries, func(code string) bool { return !country.IsValid(code) }) {
		return c, fault.New(fault.InvalidRequest, "countries are codes of ISO 3166-1 with two letters").At("countries")
	}
	if c.Currencies = sorted(c.Currencies); len(c.Currencies) > maxCurrencies || slices.ContainsFunc(c.Currencies, func(cur money.Currency) bool { return !cur.IsValid() }) {
		return c, fault.New(fault.InvalidRequest, "currencies are at most %d codes of ISO 4217", maxCurrencies).At("currencies")
	}
	if !plain.LineBytes(c.Merchant, 0, maxMerchant) {
		return c, fault.New(fault.InvalidRequest, "a merchant's id has at most %d bytes", maxMerchant).At("merchant")
	}
	switch {
	case c.AutoFreezeAt.IsNegative():
		return c, fault.New(fault.InvalidAmount, "the threshold must not be negative").At("auto_freeze_at")
	case !c.AutoFreezeAt.IsZero() && c.AutoFreezeAt.Currency != bin.Currency:
		return c, fault.New(fault.CurrencyMismatch, "the card is in %s", bin.Currency).At("auto_freeze_at")
	}
	c.AutoFreezeAt.Currency = bin.Currency
	return c, nil
}

// sorted returns values in order, each once, in a new slice; nil for none.
func sorted[T string | money.Currency](values []T) []T {
	if len(values) == 0 {
		return nil
	}
	values = slices.Clone(values)
	slices.Sort(values)
	return slices.Compact(values)
}

// AllowsCategory reports whether the controls let a merchant with a category code be paid.
func (c *Controls) AllowsCategory(mcc string) bool { return category.Allows(c.Categories, mcc) }

// AllowsCountry reports whether the controls let a merchant of a country be paid.
func (c *Controls) AllowsCountry(code string) bool {
	return len(c.Countries) == 0 || slices.Contains(c.Countries, code)
}

// AllowsCurrency reports whether the controls let a merchant charge in a currency.
func (c *Controls) AllowsCurrency(currency money.Currency) bool {
	return len(c.Currencies) == 0 || slices.Contains(c.Currencies, currency)
}

// AllowsMerchant reports whether the controls let a merchant be paid, by its acquirer's id.
func (c *Controls) AllowsMerchant(id string) bool { return c.Merchant == "" || c.Merchant == id }
