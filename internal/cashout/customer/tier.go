package customer

import (
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// Ask is something that a customer has to tell or show.
type Ask string

// The things that are asked for, beside the phone.
const (
	Names    Ask = "names"
	Document Ask = "document" // a government's, front and back, and the face of its owner
)

// Asks returns the closed list in its documented order.
func Asks() []Ask { return []Ask{Names, Document} }

// Tier is what is asked of those whose volume is above an amount.
type Tier struct {
	Above money.Amount
	Asks  []Ask
}

// Tiers are the rules of volume, as data.
type Tiers struct {
	// Window is how far back volume counts.
	Window time.Duration
	// Smallest and Largest bound one order; Most is what nobody's volume may pass.
	Smallest, Largest, Most money.Amount
	// Steps are by Above, the lowest first.
	Steps []Tier
}

// maxSteps bounds a configuration.
const maxSteps = 16

// DefaultTiers returns the published rules: up to $1,000 in seven days a phone is enough,
// above it names are asked for, above $3,000 a document; $10,000 is the most. An order is
// of $10 to $1,000.
func DefaultTiers() Tiers {
	usd := func(dollars int64) money.Amount { return money.New(dollars*100, money.USD) }
	return Tiers{Window: 7 * 24 * time.Hour, Smallest: usd(10), Largest: usd(1_000), Most: usd(10_000),
		Steps: []Tier{{Above: usd(1_000), Asks: []Ask{Names}}, {Above: usd(3_000), Asks: []Ask{Names, Document}}}}
}

// Check returns invalid_request for rules that cannot hold.
func (t *Tiers) Check() error {
	wrong := func(field, text string) error { return fault.New(fault.InvalidRequest, "%s", text).At(field) }
	switch {
	case t.Window <= 0:
		return wrong("window", "want a time above zero")
	case !t.Smallest.IsPositive() || t.Largest.Minor < t.Smallest.Minor:
		return wrong("largest", "want a smallest order above zero and a largest one that is no smaller")
	case t.Most.Minor < t.Largest.Minor:
		return wrong("most", "want a most of at least one order")
	case len(t.Steps) > maxSteps:
		return wrong("steps", "want at most 16 steps")
	}
	for i, step := range t.Steps {
		if step.Above.IsNegative() || i > 0 && step.Above.Minor <= t.Steps[i-1].Above.Minor {
			return wrong("steps", "want steps with rising amounts")
		}
		for _, ask := range step.Asks {
			if !slices.Contains(Asks(), ask) {
				return wrong("steps", "a step may ask for names and a document")
			}
		}
	}
	return nil
}

// CheckOrder returns invalid_request for an amount that no order may have.
func (t *Tiers) CheckOrder(amount money.Amount) error {
	if amount.Minor < t.Smallest.Minor || amount.Minor > t.Largest.Minor {
		return fault.New(fault.InvalidRequest, "the amount must be %d to %d cents", t.Smallest.Minor, t.Largest.Minor).At("amount")
	}
	return nil
}

// At returns what is asked of a volume, the order in question among it. It returns
// guard_exceeded above the most.
func (t *Tiers) At(volume money.Amount) ([]Ask, error) {
	if volume.Minor > t.Most.Minor {
		return nil, fault.New(fault.GuardExceeded, "this would be more than %d cents in %d days", t.Most.Minor, int(t.Window/(24*time.Hour)))
	}
	var asks []Ask
	for _, step := range t.Steps {
		if volume.Minor > step.Above.Minor {
			asks = step.Asks
		}
	}
	return asks, nil
}

// Left returns how much more fits under an amount; zero when nothing does.
func Left(used, most money.Amount) money.Amount {
	return money.New(max(0, most.Minor-used.Minor), most.Currency)
}

// Until returns the volume up to which something is not asked for: the most, where it never is.
func (t *Tiers) Until(ask Ask) money.Amount {
	for _, step := range t.Steps {
		if slices.Contains(step.Asks, ask) {
			return step.Above
		}
	}
	return t.Most
}
