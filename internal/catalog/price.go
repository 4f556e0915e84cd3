package catalog

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// RuleID names a price rule ("rule_…").
type RuleID string

// Basis is what a rule makes the charged amount of.
type Basis string

// The bases.
const (
	OfFace Basis = "face"  // a part of the face value
	OfCost Basis = "cost"  // the cost with a margin
	Fixed  Basis = "fixed" // an amount, for one item of a fixed denomination
)

// Rule says what is charged for a code. Whom and what it is for are empty for all. Of the
// rules that apply, one for a customer precedes one for a tier precedes one for all; among
// these one for an item precedes one for a brand precedes one for all; then the higher
// Priority, then the later From, then the later ID.
type Rule struct {
	ID RuleID
	// At most one of Customer and Tier, and of Item and Brand, is set.
	Customer account.CustomerID
	Tier     string
	Item     ItemCode
	Brand    string
	Basis    Basis
	// Percent is in hundredths of a percent of the face value (9800 is a discount of 2 %),
	// or of the cost (10500 is a margin of 5 %). What it makes is rounded half up.
	Percent int64
	// Amount is for Fixed.
	Amount   Charged
	Priority int
	// From and Until are when it holds, the first included, the second not; zero is open.
	From, Until time.Time

	// Revision counts the versions of this rule from 1; Version is the catalog's.
	Revision int64
	Removed  bool
	Version  int64
	Actor    string
	At       time.Time

	// Also is not kept.
	Also storage.Also[Rule]
}

func (r *Rule) holds(at time.Time) bool {
	return !at.Before(r.From) && (r.Until.IsZero() || at.Before(r.Until))
}

// scope is whom and what a rule is for.
type scope struct {
	customer account.CustomerID
	tier     string
	item     ItemCode
	brand    string // folded
}

// prices are the rules by scope, the first that holds being the one.
type prices map[scope][]Rule

func newPrices(rules map[RuleID]Rule) prices {
	all := prices{}
	for _, r := range rules {
		at := scope{r.Customer, r.Tier, r.Item, fold(r.Brand)}
		all[at] = append(all[at], r)
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b Rule) int {
			return cmp.Or(cmp.Compare(b.Priority, a.Priority), b.From.Compare(a.From), strings.Compare(string(b.ID), string(a.ID)))
		})
	}
	return all
}

// scopes returns where to look for a rule, the first that has one being the one.
func scopes(customer account.CustomerID, tier string, p *Product) []scope {
	var all []scope
	add := func(who scope) {
		byItem, byBrand := who, who
		byItem.item, byBrand.brand = p.Code, fold(p.Brand)
		all = append(all, byItem, byBrand, who)
	}
	if customer != "" {
		add(scope{customer: customer})
	}
	if tier != "" {
		add(scope{tier: tier})
	}
	add(scope{})
	return all
}

// PriceQuery asks what a code costs whom.
type PriceQuery struct {
	// Customer may be empty: what anybody pays.
	Customer account.CustomerID
	Product  Product
	// Face is the denomination chosen from a range; zero: Product.Face.
	Face Face
	At   time.Time
}

// Price returns what is charged for one code. Without a rule it is the face value. It
// returns invalid_amount for a denomination that the product does not have, and
// invalid_state where the rule leads to no price: it never guesses another one.
func (s *Service) Price(_ context.Context, q PriceQuery) (Charged, error) {
	face, err := q.face()
	if err != nil {
		return Charged{}, err
	}
	v := s.view.Load()
	rule, found := v.prices.find(&q, v.tiers[q.Customer])
	if !found {
		return Charged{Amount: face.Amount}, nil
	}
	charged, err := rule.charge(&q.Product, face)
	if err != nil {
		return Charged{}, fault.Wrap(err, fault.InvalidState, "the item %s has no price", q.Product.Code).With("rule", string(rule.ID))
	}
	return charged, nil
}

// face returns the denomination that is asked for.
func (q *PriceQuery) face() (Face, error) {
	if q.Face == (Face{}) {
		return q.Product.Face, nil
	}
	return q.Face, q.Product.checkFace(q.Face)
}

// Sells reports whether the product has a denomination.
func (p *Product) Sells(f Face) bool { return p.checkFace(f) == nil }

func (p *Product) checkFace(f Face) error {
	switch {
	case f.Currency == p.Face.Currency && f.Minor >= p.Face.Minor && f.Minor <= p.FaceMax.Minor:
		return nil
	case p.IsRange():
		return fault.New(fault.InvalidAmount, "the value must be from %s to %s %s", p.Face, p.FaceMax, p.Face.Currency).At("value")
	}
	return fault.New(fault.InvalidAmount, "the value of this item is %s %s", p.Face, p.Face.Currency).At("value")
}

// Choose returns the denomination that a buyer asks for: the value, which must lie in the
// range of a product that has one, and may be left out for one that has not. It returns
// invalid_request where a range lacks it and invalid_amount for one that there is not.
func (p *Product) Choose(value *Value) (Face, error) {
	switch {
	case value == nil && p.IsRange():
		return Face{}, fault.New(fault.InvalidRequest, "a value from %s to %s %s is required: the item is sold in any denomination between", p.Face, p.FaceMax,
			p.Face.Currency).At("value")
	case value == nil:
		return p.Face, nil
	}
	scale := int64(1)
	for range valueDigits - p.Face.Currency.Digits() {
		scale *= 10
	}
	if int64(*value)%scale != 0 {
		return Face{}, fault.New(fault.InvalidAmount, "the value has at most %d decimals", p.Face.Currency.Digits()).At("value")
	}
	f := NewFace(int64(*value)/scale, p.Face.Currency)
	return f, p.checkFace(f)
}

func (all prices) find(q *PriceQuery, tier string) (Rule, bool) {
	for _, at := range scopes(q.Customer, tier, &q.Product) {
		for _, r := range all[at] {
			if r.holds(q.At) {
				return r, true
			}
		}
	}
	return Rule{}, false
}

// charge returns what a rule makes of a product's denomination, never nothing.
func (r *Rule) charge(p *Product, face Face) (Charged, error) {
	var (
		amount money.Amount
		err    error
	)
	switch r.Basis {
	case OfFace:
		amount, err = face.BasisPoints(r.Percent, money.HalfUp)
	case OfCost:
		if p.IsRange() {
			return Charged{}, fault.New(fault.InvalidState, "the cost of a range is that of no denomination")
		}
		amount, err = p.Cost.BasisPoints(r.Percent, money.HalfUp)
	case Fixed:
		if p.IsRange() {
			return Charged{}, fault.New(fault.InvalidState, "a fixed price is for a fixed denomination")
		}
		amount = r.Amount.Amount
	}
	if err == nil && !amount.IsPositive() {
		err = fault.New(fault.InvalidState, "the price would be %s", amount)
	}
	return Charged{Amount: amount}, err
}
