package catalog

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Bounds of price rules.
const (
	maxRules    = 10_000
	maxPercent  = 100_000 // ten times the face value or the cost
	maxPriority = 1_000_000
)

const rulePrefix = "rule"

var tierNames = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// PutPrice adds a price rule, or replaces the one that r.ID names. What is below the blank
// line in Rule is set here. It returns invalid_request, not_found for an unknown rule or
// item, or quota_exceeded.
func (s *Service) PutPrice(ctx context.Context, r Rule, actor string) (Rule, error) {
	if err := r.check(); err != nil {
		return Rule{}, err
	}
	if r.Item != "" {
		p, err := s.Find(ctx, r.Item)
		if err != nil {
			return Rule{}, err
		}
		if r.Basis == Fixed && p.IsRange() {
			return Rule{}, invalidAt(columnCode, "a fixed price is for a fixed denomination")
		}
	}
	r.Removed = false
	return s.writeRule(ctx, r, audit.Record{Actor: actor, Action: "catalog.price"})
}

// RemovePrice ends a price rule, or returns not_found.
func (s *Service) RemovePrice(ctx context.Context, rule RuleID, actor string) error {
	r, known := s.view.Load().rules[rule]
	if !known {
		return unknownRule()
	}
	r.Removed = true
	_, err := s.writeRule(ctx, r, audit.Record{Actor: actor, Action: "catalog.remove_price"})
	return err
}

func unknownRule() error { return fault.New(fault.NotFound, "no such price rule") }

// writeRule writes the next revision of a rule, or the first.
func (s *Service) writeRule(ctx context.Context, r Rule, record audit.Record) (Rule, error) {
	fresh, also := r.ID == "", r.Also
	r.Also = nil
	if fresh {
		r.ID = RuleID(id.New(rulePrefix))
	}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		version, _, err := storage.One(ctx, tx, storage.Scalar[int64], bumpVersion)
		if err != nil {
			return err
		}
		last, found, err := storage.One(ctx, tx, scanRule, lastPrice, string(r.ID))
		if err != nil {
			return err
		}
		if !fresh && (!found || last.Removed) {
			return unknownRule()
		}
		if err := roomForRule(ctx, tx, fresh); err != nil {
			return err
		}
		r.Revision, r.Version, r.Actor, r.At = last.Revision+1, version, record.Actor, s.now()
		if err := tx.ExecRows(ctx, insertPrice, [][]any{r.values()}); err != nil {
			return err
		}
		record.Subject, record.At = string(r.ID), r.At
		record.Detail = map[string]string{"revision": strconv.FormatInt(r.Revision, 10), "basis": string(r.Basis), "percent": strconv.FormatInt(r.Percent, 10)}
		if err := s.Audit.Append(ctx, tx, record); err != nil {
			return err
		}
		return also.Apply(ctx, tx, r)
	})
	if err != nil {
		return Rule{}, err
	}
	return r, s.Refresh(ctx)
}

func roomForRule(ctx context.Context, tx *storage.Tx, fresh bool) error {
	if !fresh {
		return nil
	}
	count, _, err := storage.One(ctx, tx, storage.Scalar[int64], countPrices)
	if err == nil && count >= maxRules {
		err = fault.New(fault.QuotaExceeded, "there were %d price rules, the most is %d: change those that there are", count, maxRules)
	}
	return err
}

// Prices returns the price rules that were not removed, by id.
func (s *Service) Prices(context.Context) []Rule {
	return slices.SortedFunc(maps.Values(s.view.Load().rules), func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
}

// FindPrice returns a price rule that was not removed, or not_found.
func (s *Service) FindPrice(_ context.Context, rule RuleID) (Rule, error) {
	r, known := s.view.Load().rules[rule]
	if !known {
		return Rule{}, unknownRule()
	}
	return r, nil
}

// Member is a customer who pays the prices of a tier.
type Member struct {
	Customer account.CustomerID
	Tier     string
}

// Members returns the customers who have a tier, by id.
func (s *Service) Members(context.Context) []Member {
	var all []Member
	for customer, tier := range s.view.Load().tiers {
		all = append(all, Member{customer, tier})
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Customer, b.Customer) })
	return all
}

// SetTier has a customer pay the prices of a tier, or of none when it is empty.
func (s *Service) SetTier(ctx context.Context, customer account.CustomerID, name, actor string) error {
	if customer == "" || name != "" && !tierNames.MatchString(name) {
		return invalidAt("tier", "want a customer, and a tier of 1 to 32 lower-case letters, digits, - and _")
	}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		before, _, err := storage.One(ctx, tx, storage.Scalar[string], findTier, string(customer))
		if err != nil || before == name {
			return err
		}
		version, _, err := storage.One(ctx, tx, storage.Scalar[int64], bumpVersion)
		if err != nil {
			return err
		}
		now := s.now()
		if err := tx.ExecRows(ctx, writeTier, [][]any{{string(customer), name, version, storage.Micros(now)}}); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: actor, Action: "catalog.tier", Subject: audit.Clean(string(customer)),
			Detail: map[string]string{"tier": audit.Clean(name)}, At: now})
	})
	if err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// Tier returns the tier of a customer; empty: none.
func (s *Service) Tier(customer account.CustomerID) string { return s.view.Load().tiers[customer] }

// check refuses what cannot be a rule.
func (r *Rule) check() error {
	switch {
	case r.Customer != "" && r.Tier != "":
		return invalidAt("tier", "a rule is for a customer or a tier, not both")
	case r.Tier != "" && !tierNames.MatchString(r.Tier):
		return invalidAt("tier", "a tier has 1 to 32 lower-case letters, digits, - and _")
	case r.Item != "" && r.Brand != "":
		return invalidAt("brand", "a rule is for an item or a brand, not both")
	case !plain.LineBytes(string(r.Customer), 0, maxName) || !plain.LineBytes(r.Brand, 0, maxName):
		return invalidAt("brand", "customer and brand are at most %d bytes of plain text", maxName)
	case r.Priority < -maxPriority || r.Priority > maxPriority:
		return invalidAt("priority", "want -%d to %d", maxPriority, maxPriority)
	case !r.Until.IsZero() && !r.Until.After(r.From):
		return invalidAt("until", "a rule must end after it begins")
	}
	return r.checkBasis()
}

func (r *Rule) checkBasis() error {
	switch r.Basis {
	case OfFace, OfCost:
		if r.Percent < 1 || r.Percent > maxPercent || r.Amount != (Charged{}) {
			return invalidAt("percent", "want a percentage from 0.01 to %d and no amount", maxPercent/100)
		}
	case Fixed:
		most := int64(maxMajor)
		for range r.Amount.Currency.Digits() {
			most *= 10
		}
		if r.Item == "" || r.Percent != 0 || !r.Amount.Currency.IsValid() || !r.Amount.IsPositive() || r.Amount.Minor > most {
			return invalidAt("amount", "a fixed price is for one item, above zero and at most %d, without a percent", int64(maxMajor))
		}
	default:
		return invalidAt("basis", "want face, cost or fixed")
	}
	return nil
}
