package issuing

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/country"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// ShippedBINs are the two BINs as they are until an operator changes them.
func ShippedBINs() []BIN {
	usd := func(major int64) money.Amount { return money.New(major*100, money.USD) }
	return []BIN{
		{ID: "491653", Network: pan.Visa, Type: "advertising", IssuerCountry: "US", Currency: money.USD, ThreeDS: true, ApplePay: true, GooglePay: true,
			MaxTransaction: usd(5_000), MaxMonthly: usd(50_000), AcceptanceTenths: 972, BestFor: []string{"meta_ads", "google_ads", "tiktok_ads"}, Active: true},
		{ID: "531993", Network: pan.Mastercard, Type: "everyday", IssuerCountry: "US", Currency: money.USD, ThreeDS: true, ApplePay: true, GooglePay: true,
			MaxTransaction: usd(1_000), MaxMonthly: usd(10_000), AcceptanceTenths: 958, BestFor: []string{"subscriptions", "saas", "shopping"}, Active: true},
	}
}

// Bounds of BINs.
const (
	maxBINs     = 200
	maxBestFor  = 20
	maxBINMajor = 10_000_000 // of what one payment or month may cost
	maxTenths   = 1000
)

var (
	binID   = regexp.MustCompile(`^\d{6,8}$`)
	binWord = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

	putBIN = storage.Upsert("issuing.put_bin", "issuing_bins", []string{"bin_id"}, "bin_id", "network", "type", "issuer_country", "currency", "features",
		"max_transaction_minor", "max_monthly_minor", "acceptance_tenths", "best_for", "state", "actor", "changed_at")
	listBINs = storage.SQL("issuing.list_bins", `SELECT bin_id, network, type, issuer_country, currency, features, max_transaction_minor, max_monthly_minor,
		acceptance_tenths, best_for, state FROM issuing_bins ORDER BY bin_id LIMIT $1`)
)

// The features of a BIN, as they are stored.
const (
	feature3DS       = "3ds"
	featureApplePay  = "apple_pay"
	featureGooglePay = "google_pay"
)

// BINs returns every BIN by its digits, in whatever state, those that ship among them.
// What other processes changed is there within seconds.
func (s *Service) BINs(ctx context.Context) ([]BIN, error) {
	all, _, err := s.bins.Find(ctx, memo.Query{Key: sha256.Sum256([]byte("bins")), Now: s.Clocks.Now(realm.Live)},
		func(ctx context.Context) ([]BIN, bool, error) {
			all, err := readBINs(ctx, s.DB)
			return all, true, err
		})
	return slices.Clone(all), err
}

func readBINs(ctx context.Context, q storage.Queryer) ([]BIN, error) {
	all, err := storage.All(ctx, q, scanBIN, listBINs, maxBINs)
	if err != nil {
		return nil, err
	}
	for _, shipped := range ShippedBINs() {
		if !slices.ContainsFunc(all, func(b BIN) bool { return b.ID == shipped.ID }) {
			all = append(all, shipped)
		}
	}
	slices.SortFunc(all, func(a, b BIN) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// BIN returns the BIN with the given digits, or not_found.
func (s *Service) BIN(ctx context.Context, digits string) (BIN, error) {
	all, err := s.BINs(ctx)
	if err != nil {
		return BIN{}, err
	}
	at := slices.IndexFunc(all, func(b BIN) bool { return b.ID == digits })
	if at < 0 {
		return BIN{}, fault.New(fault.NotFound, "no such BIN").At("bin_id")
	}
	return all[at], nil
}

// BINChange is a BIN as it shall be.
type BINChange struct {
	BIN
	Actor string
	Also  storage.Also[BIN]
}

// PutBIN adds a BIN or replaces the one with its digits, whose network and currency stay
// what they are. No BIN may begin with another. It returns invalid_request,
// unknown_currency, invalid_amount, invalid_state or quota_exceeded.
func (s *Service) PutBIN(ctx context.Context, c BINChange) (BIN, error) {
	b := c.BIN
	b.BestFor = slices.Clone(b.BestFor)
	if err := b.check(); err != nil {
		return BIN{}, err
	}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		all, err := readBINs(ctx, tx)
		if err != nil {
			return err
		}
		if err := b.fits(all); err != nil {
			return err
		}
		now := s.Clocks.Now(realm.Live)
		row := func(b *BIN) []any { return b.row(c.Actor, storage.Micros(now)) }
		if slices.ContainsFunc(all, func(was BIN) bool { return slices.Equal(row(&was), row(&b)) }) {
			return c.Also.Apply(ctx, tx, b)
		}
		if err := tx.ExecRows(ctx, putBIN, [][]any{row(&b)}); err != nil {
			return err
		}
		r := audit.Record{Actor: c.Actor, Action: "bin.put", Subject: b.ID, At: now, Detail: map[string]string{"state": b.state(),
			"max_transaction": b.MaxTransaction.String(), "max_monthly": b.MaxMonthly.String()}}
		if err := s.Audit.Append(ctx, tx, r); err != nil {
			return err
		}
		return c.Also.Apply(ctx, tx, b)
	})
	if err != nil {
		return BIN{}, fmt.Errorf("put BIN: %w", err)
	}
	s.bins.Forget(func([]BIN) bool { return true })
	s.recent.Forget(func(r *record) bool { return r.bin == b.ID })
	return b, nil
}

func (b *BIN) check() error {
	most := int64(maxBINMajor)
	for range b.Currency.Digits() {
		most *= 10
	}
	switch {
	case !binID.MatchString(b.ID):
		return fault.New(fault.InvalidRequest, "a BIN has 6 to 8 digits").At("bin_id")
	case b.Network == pan.NetworkUnknown || pan.NetworkOf(b.ID) != b.Network:
		return fault.New(fault.InvalidRequest, "the network is visa or mastercard, and the digits are within its range").At("network")
	case !binWord.MatchString(b.Type):
		return fault.New(fault.InvalidRequest, "the type is one word in small letters, such as everyday").At("type")
	case !country.IsValid(b.IssuerCountry):
		return fault.New(fault.InvalidRequest, "the issuer's country is a code of ISO 3166-1 with two letters").At("issuer_country")
	case !b.Currency.IsValid():
		return fault.New(fault.UnknownCurrency, "want the ISO 4217 code of one currency").At("currency")
	case b.MaxTransaction.Currency != b.Currency || b.MaxMonthly.Currency != b.Currency:
		return fault.New(fault.CurrencyMismatch, "what a payment and a month may cost must be in %s", b.Currency).At("max_transaction")
	case !b.MaxTransaction.IsPositive() || b.MaxTransaction.Minor > b.MaxMonthly.Minor || b.MaxMonthly.Minor > most:
		return fault.New(fault.InvalidAmount, "a payment may cost more than nothing, a month at least as much and at most %d", maxBINMajor).At("max_monthly")
	case b.AcceptanceTenths < 0 || b.AcceptanceTenths > maxTenths:
		return fault.New(fault.InvalidRequest, "the acceptance rate is 0 to 100 percent").At("acceptance_rate")
	case len(b.BestFor) > maxBestFor || slices.ContainsFunc(b.BestFor, func(w string) bool { return !binWord.MatchString(w) }):
		return fault.New(fault.InvalidRequest, "what it is best for is at most %d words in small letters", maxBestFor).At("best_for")
	}
	return nil
}

// fits reports what keeps a BIN from standing beside the others.
func (b *BIN) fits(all []BIN) error {
	for _, other := range all {
		switch {
		case other.ID == b.ID && other.Currency != b.Currency:
			return fault.New(fault.InvalidState, "the BIN's cards are in %s", other.Currency).At("currency")
		case other.ID != b.ID && (strings.HasPrefix(other.ID, b.ID) || strings.HasPrefix(b.ID, other.ID)):
			return fault.New(fault.InvalidRequest, "the BIN overlaps with %s", other.ID).At("bin_id")
		}
	}
	if len(all) >= maxBINs && !slices.ContainsFunc(all, func(other BIN) bool { return other.ID == b.ID }) {
		return fault.New(fault.QuotaExceeded, "there are %d BINs, the most is %d", len(all), maxBINs)
	}
	return nil
}

const (
	binActive   = "active"
	binInactive = "inactive"
)

func (b *BIN) state() string {
	if b.Active {
		return binActive
	}
	return binInactive
}

func (b *BIN) row(actor string, now int64) []any {
	var features []string
	for _, f := range []struct {
		name string
		has  bool
	}{{feature3DS, b.ThreeDS}, {featureApplePay, b.ApplePay}, {featureGooglePay, b.GooglePay}} {
		if f.has {
			features = append(features, f.name)
		}
	}
	return []any{b.ID, string(b.Network), b.Type, b.IssuerCountry, b.Currency.String(), strings.Join(features, " "), b.MaxTransaction.Minor,
		b.MaxMonthly.Minor, int64(b.AcceptanceTenths), strings.Join(b.BestFor, " "), b.state(), actor, now}
}

func scanBIN(r storage.Row) (b BIN, err error) {
	var (
		currency, features, bestFor, state string
		tenths                             int64
	)
	err = r.Scan(&b.ID, (*string)(&b.Network), &b.Type, &b.IssuerCountry, &currency, &features, &b.MaxTransaction.Minor, &b.MaxMonthly.Minor,
		&tenths, &bestFor, &state)
	if err != nil {
		return b, err
	}
	if b.Currency, err = money.Parse(currency); err != nil {
		return b, err
	}
	b.MaxTransaction.Currency, b.MaxMonthly.Currency = b.Currency, b.Currency
	has := strings.Fields(features)
	b.ThreeDS, b.ApplePay, b.GooglePay = slices.Contains(has, feature3DS), slices.Contains(has, featureApplePay), slices.Contains(has, featureGooglePay)
	b.AcceptanceTenths, b.BestFor, b.Active = int(tenths), strings.Fields(bestFor), state == binActive
	return b, nil
}
