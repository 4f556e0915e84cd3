package bench

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Cardping makes the scenarios of the cardping dialect: balance checks with everything
// that belongs to one, from the key to the event.
type Cardping struct {
	// Live and Test are an account's X-API-Keys of the two realms.
	Live, Test pan.Secret
	// Cards are numbers of the account's cards in the live realm.
	Cards []string
}

// NewCardping returns the scenarios without cards; Prepare makes some.
func NewCardping(live, test pan.Secret) *Cardping { return &Cardping{Live: live, Test: test} }

// Prepare makes n more cards on the server at base, which must be on this machine, and
// adds them to Cards.
func (c *Cardping) Prepare(ctx context.Context, base string, n int) error {
	merchant := NewGatepay(c.Live)
	err := merchant.Prepare(ctx, base, n)
	c.Cards = append(c.Cards, merchant.Cards...)
	return err
}

// active is what the dialect says of a card that can be spent.
const active = `"status":"active"`

// Scrip checks the account's own cards in turn, on the network of this installation.
func (c *Cardping) Scrip() Scenario {
	return c.check("cardping scrip", "scrip", c.Live, func(n int64) string {
		if len(c.Cards) == 0 {
			return "GC0000000000000000"
		}
		return c.Cards[n%int64(len(c.Cards))]
	})
}

// Sandbox numbers: scatter makes each step a long one, and has no factor in common with
// how many there are, so that none comes twice before all have come.
const (
	perHundred = 98 // of a hundred numbers, those that have a balance: ends of 01 to 98
	scattered  = 1_000_000 * perHundred
	scatter    = 61_803_399
)

// Sandbox checks ordinary numbers of a sandbox network, none of them a documented one.
func (c *Cardping) Sandbox() Scenario {
	return c.check("cardping sandbox", "visa_gift", c.Test, func(n int64) string {
		n = n % scattered * scatter % scattered
		return fmt.Sprintf("60064914%06d%02d", n/perHundred, n%perHundred+1)
	})
}

func (c *Cardping) check(name, network string, key pan.Secret, number func(n int64) string) Scenario {
	headers := []Header{{"X-API-Key", key.Reveal()}, {"Content-Type", "application/json"}}
	return Scenario{Name: name, Expect: Expect{Contains: active}, Make: func(_ int, n int64) Request {
		return Request{Method: "POST", Path: "/v1/cards/ping", Headers: headers, Body: object(nil, "card_number", number(n), "network", network)}
	}}
}
