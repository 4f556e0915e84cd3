package catalog

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
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

// Rule says what is charged for a code. Who and what it is for are empty for all. Of the
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
	// or of the cost (10500 is a margin of 5 %).
	Percent int64
	// Amount is for Fixed.
	Amount   Charged
	Priority int
	// From and Until are when it holds, the first included, the second not; zero is open.
	From, Until time.Time
	// Revision counts the versions of this rule from 1.
	Revision int64
	Removed  bool
	Version  int64 // of the catalog
	Actor    string
	At       time.Time
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
// returns invalid_amount for a denomination outside the product's and invalid_state where
// the rule leads to no price.
func (s *Service) Price(context.Context, PriceQuery) (Charged, error) {
	return Charged{}, fault.New(fault.Unavailable, "the catalog is not read yet")
}
