package minted_test

import (
	"errors"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/order/minted"
)

// What may be voided depends on how the card stands: never while a part is held, only by who
// accepts it once it was used, and only as it was when that was decided.
func TestRules(t *testing.T) {
	decided := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	before, after := decided.Add(-time.Hour), decided.Add(time.Hour)
	card := func(status giftcard.Status, balance, held int64, used time.Time) *minted.Card {
		return &minted.Card{Use: giftcard.Use{FirstAt: used, Card: &giftcard.Card{Status: status, Amount: money.New(2500, money.USD),
			Balance: money.New(balance, money.USD), Held: money.New(held, money.USD)}}}
	}
	swept := card(giftcard.Redeemed, 0, 0, before)
	swept.EndedAt = after
	for name, c := range map[string]struct {
		card             *minted.Card
		refused, accepts bool // refused by default, and accepted once that is said
		left             int64
		spent            bool
	}{
		"no card":               {},
		"as it was made":        {card: card(giftcard.Created, 2500, 0, time.Time{}), left: 2500},
		"used before":           {card: card(giftcard.Created, 1500, 0, before), refused: true, accepts: true, left: 1500},
		"used up before":        {card: card(giftcard.Redeemed, 0, 0, before), refused: true, accepts: true},
		"used and given back":   {card: card(giftcard.Created, 2500, 0, before), refused: true, accepts: true, left: 2500},
		"loaded again":          {card: card(giftcard.Created, 3500, 0, time.Time{}), refused: true, accepts: true, left: 2500, spent: true},
		"used since":            {card: card(giftcard.Created, 1500, 0, after), refused: true, accepts: true, left: 2500, spent: true},
		"held":                  {card: card(giftcard.Created, 2000, 500, before), refused: true, left: 2000, spent: true},
		"expired while held":    {card: card(giftcard.Expired, 0, 500, before), refused: true, accepts: true, left: 500},
		"expired":               {card: card(giftcard.Expired, 0, 0, time.Time{}), left: 2500},
		"cancelled, used since": {card: card(giftcard.Cancelled, 0, 0, after), refused: true, accepts: true, left: 2500, spent: true},
		"used up, then ended":   {card: swept, refused: true, accepts: true},
	} {
		d := minted.Doomed{Place: 1, Card: c.card}
		if err := d.Check(false); (fault.CodeOf(err) == fault.InvalidState) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
		if err := d.Check(true); (err != nil) != (c.refused && !c.accepts) {
			t.Errorf("%s, accepted: %v", name, err)
		}
		if err := d.Since(decided, c.left); errors.Is(err, minted.ErrSpent) != c.spent {
			t.Errorf("%s, since it was decided: %v", name, err)
		}
	}
}
