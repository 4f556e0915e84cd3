package cashout

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/cashout/ticker"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// PriceLock is how long a price is locked unless a desk says otherwise: for as long as an
// order that nobody rejects can wait for its customer.
const PriceLock = Lifetime

// floats reports whether an order has the price of the moment: until it is authorized, and
// once the time is over for which its price was locked, if it waits for its customer again.
// Whoever could wait longer for pictures that nobody has to reject would have a bet on the
// price that costs nothing. What is under review in time keeps its price.
func (o *Order) floats(now time.Time) bool {
	switch o.Status {
	case Created, Confirmed:
		return true
	case Authorized:
		return !now.Before(o.LockedUntil)
	case Processing, Approved, Completed, Blocked, Cancelled, Expired:
	}
	return false
}

// sizes returns the smallest and the largest amount that one payout can be for at a price, in cents.
func (d *Desk) sizes(p ticker.Price) (smallest, largest money.Amount, err error) {
	if d.Payouts == nil {
		return d.Tiers.Smallest, d.Tiers.Largest, nil
	}
	least, most := d.Payouts.Bounds()
	if smallest, err = p.Cost(least, money.Ceil); err == nil {
		largest, err = p.Cost(most, money.Floor)
	}
	return smallest, largest, err
}

// payable returns invalid_request for an amount that nobody could be paid for at a price:
// whoever learns of it when the order is approved has given the card away.
func (d *Desk) payable(amount money.Amount, p ticker.Price) error {
	smallest, largest, err := d.sizes(p)
	if err == nil && (amount.Minor < smallest.Minor || amount.Minor > largest.Minor) {
		err = fault.New(fault.InvalidRequest, "at this price the amount must be %d to %d cents", max(smallest.Minor, d.Tiers.Smallest.Minor), min(largest.Minor, d.Tiers.Largest.Minor)).At("amount")
	}
	return err
}

// price gives an order a price, and says what is owed for it. It returns unavailable where
// that is nothing.
func (o *Order) price(p ticker.Price) error {
	bitcoin, err := p.Bitcoin(o.Amount)
	if err != nil || !bitcoin.IsPositive() {
		return fault.Wrap(err, fault.Unavailable, "there is no price")
	}
	o.Price, o.Bitcoin = p, bitcoin
	return nil
}

// refresh gives an order the price of the moment where its price floats, and reports whether
// it does. It returns unavailable where there is none.
func (s *Service) refresh(ctx context.Context, o *Order) (floats bool, err error) {
	if !o.floats(s.Clocks.Now(o.Realm)) {
		return false, nil
	}
	p, err := s.Desks[o.Realm].Ticker.Price(ctx)
	if err != nil {
		return true, err
	}
	return true, o.price(p)
}
