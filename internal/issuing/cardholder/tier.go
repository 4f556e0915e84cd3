package cardholder

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Anonymous is the tier of cards for nobody in particular and of persons who are not verified.
const Anonymous = "anonymous"

// Tier is what a person may spend with all cards together.
type Tier struct {
	Name string
	// Currency is that of the limits; a person of the tier gets cards in no other, unless
	// there are no limits, and pays nothing with one in another.
	Currency money.Currency
	Limits   []spending.Limit
	// MaxCards bounds the cards that a person has at once; 0: any number.
	MaxCards int64
}

// Shipped are the tiers as they are until an operator changes them.
func Shipped() []Tier {
	limit := func(w spending.Window, major int64) spending.Limit {
		return spending.Limit{Window: w, Amount: money.New(major*100, money.USD)}
	}
	return []Tier{
		{Name: Anonymous, Currency: money.USD, Limits: []spending.Limit{limit(spending.PerMonth, 100_000), limit(spending.PerYear, 500_000)}},
		{Name: "basic", Currency: money.USD, Limits: []spending.Limit{limit(spending.PerMonth, 250_000), limit(spending.PerYear, 1_500_000)}},
		{Name: "business", Currency: money.USD},
	}
}

// maxTiers bounds the tiers of an operator.
const maxTiers = 100

var (
	tierName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

	putTier = storage.Upsert("cardholder.put_tier", "cardholder_tiers", []string{"tier_id"},
		"tier_id", "currency", "limits", "max_cards", "actor", "changed_at")
	listTiers = storage.SQL("cardholder.list_tiers", `SELECT tier_id, currency, limits, max_cards FROM cardholder_tiers ORDER BY tier_id LIMIT $1`)
)

// Tiers returns every tier by name, those that ship among them.
func (s *Service) Tiers(ctx context.Context) ([]Tier, error) {
	all, _, err := s.tiers.Find(ctx, memo.Query{Key: sha256.Sum256([]byte("tiers")), Now: s.Clocks.Now(realm.Live)},
		func(ctx context.Context) ([]Tier, bool, error) {
			all, err := readTiers(ctx, s.DB)
			return all, true, err
		})
	return slices.Clone(all), err
}

func readTiers(ctx context.Context, q storage.Queryer) ([]Tier, error) {
	all, err := storage.All(ctx, q, scanTier, listTiers, maxTiers)
	if err != nil {
		return nil, err
	}
	for _, shipped := range Shipped() {
		if !slices.ContainsFunc(all, func(t Tier) bool { return t.Name == shipped.Name }) {
			all = append(all, shipped)
		}
	}
	slices.SortFunc(all, func(a, b Tier) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Tier returns the tier with a name, or not_found.
func (s *Service) Tier(ctx context.Context, name string) (Tier, error) {
	all, err := s.Tiers(ctx)
	if err != nil {
		return Tier{}, err
	}
	at := slices.IndexFunc(all, func(t Tier) bool { return t.Name == name })
	if at < 0 {
		return Tier{}, fault.New(fault.NotFound, "no such tier").At("tier")
	}
	return all[at], nil
}

// TierChange is a tier as it shall be.
type TierChange struct {
	Tier
	Actor string
	Also  storage.Also[Tier]
}

// PutTier adds a tier or replaces the one with its name. Other processes follow within
// seconds. It returns the tier as it is kept, or invalid_request, invalid_amount,
// currency_mismatch or quota_exceeded.
func (s *Service) PutTier(ctx context.Context, c TierChange) (Tier, error) {
	t := c.Tier
	if !tierName.MatchString(t.Name) {
		return Tier{}, fault.New(fault.InvalidRequest, "a tier's name has 1 to 32 small letters, digits, - and _, and begins with a letter").At("tier")
	}
	if !t.Currency.IsValid() {
		return Tier{}, fault.New(fault.UnknownCurrency, "want the ISO 4217 code of one currency").At("currency")
	}
	if t.MaxCards < 0 || t.MaxCards > spending.MaxCount {
		return Tier{}, fault.New(fault.InvalidRequest, "the most cards are 0 to %d", spending.MaxCount).At("max_cards")
	}
	var err error
	if t.Limits, err = spending.Check(t.Limits, t.Currency); err != nil {
		return Tier{}, err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		now := s.Clocks.Now(realm.Live)
		if err := roomFor(ctx, tx, t.Name); err != nil {
			return err
		}
		all, err := readTiers(ctx, tx)
		if err != nil {
			return err
		}
		row := func(t *Tier) []any {
			return []any{t.Name, t.Currency.String(), spending.Encode(t.Limits), t.MaxCards, c.Actor, storage.Micros(now)}
		}
		if slices.ContainsFunc(all, func(was Tier) bool { return slices.Equal(row(&was), row(&t)) }) {
			return c.Also.Apply(ctx, tx, t)
		}
		if err := tx.ExecRows(ctx, putTier, [][]any{row(&t)}); err != nil {
			return err
		}
		if err := s.Audit.Append(ctx, tx, audit.Record{Actor: c.Actor, Action: "cardholder.put_tier", Subject: t.Name,
			Detail: t.detail(), At: now}); err != nil {
			return err
		}
		return c.Also.Apply(ctx, tx, t)
	})
	if err != nil {
		return Tier{}, fmt.Errorf("put tier: %w", err)
	}
	s.tiers.Forget(func([]Tier) bool { return true })
	return t, nil
}

// detail says for the audit log what a tier allows.
func (t *Tier) detail() map[string]string {
	limits := make([]string, len(t.Limits))
	for i, l := range t.Limits {
		limits[i] = l.String()
	}
	return map[string]string{"currency": t.Currency.String(), "limits": strings.Join(limits, " "), "max_cards": strconv.FormatInt(t.MaxCards, 10)}
}

// roomFor refuses one more tier than can be listed.
func roomFor(ctx context.Context, q storage.Queryer, name string) error {
	all, err := storage.All(ctx, q, scanTier, listTiers, maxTiers)
	if err != nil {
		return err
	}
	if len(all) >= maxTiers && !slices.ContainsFunc(all, func(t Tier) bool { return t.Name == name }) {
		return fault.New(fault.QuotaExceeded, "there are %d tiers, the most is %d", len(all), maxTiers)
	}
	return nil
}

func scanTier(r storage.Row) (t Tier, err error) {
	var currency, limits string
	if err = r.Scan(&t.Name, &currency, &limits, &t.MaxCards); err != nil {
		return t, err
	}
	if t.Currency, err = money.Parse(currency); err != nil {
		return t, err
	}
	t.Limits, err = spending.Decode(limits, t.Currency)
	return t, err
}
