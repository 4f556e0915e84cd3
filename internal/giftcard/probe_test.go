package giftcard_test

import (
	"fmt"
	"testing"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// A probe finds any merchant's card by its number and says whether a key is that card's;
// for a number that nobody has it looks at another card and says that it is not known.
func TestProbe(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		number := func(text string) pan.Number {
			n, err := pan.ParseAlnum(text)
			check.OK(t, err)
			return n
		}
		ask := func(n pan.Number, key pan.Secret) giftcard.Probe {
			found, err := p.Probe(t.Context(), n, key)
			check.OK(t, err)
			return found
		}
		if found := ask(number("GC0000000000000000"), pan.Secret{}); found.Known || found.Card != nil || found.KeyRight {
			t.Errorf("without a card: %+v", found)
		}
		mine, theirs := p.create(shop, 1000), p.create(street, 2000)
		for _, c := range []*held{mine, theirs} {
			found := ask(c.Card.Number, pan.Secret{})
			if !found.Known || found.KeyRight || found.Card.ID != c.Card.ID || found.Card.Book != c.m.Book || found.Realm != c.m.Realm || found.Card.Balance != c.Card.Balance {
				t.Errorf("found %+v", found)
			}
			if !ask(c.Card.Number, c.Key).KeyRight {
				t.Error("its key is not right")
			}
			if ask(c.Card.Number, pan.NewSecret("KEY_00000000000000000000000000000000")).KeyRight {
				t.Error("a made-up key is right")
			}
		}
		if ask(mine.Card.Number, theirs.Key).KeyRight {
			t.Error("another card's key is right")
		}
		p.done(p.hold(mine, 600, "h1"))
		for _, want := range []int64{400, 1000} {
			if found := ask(mine.Card.Number, pan.Secret{}); found.Card.Balance != usd(want) || found.Card.Held != usd(1000-want) {
				t.Errorf("%s with %s held, want %s", found.Card.Balance, found.Card.Held, usd(want))
			}
			p.forward(p.Rules.HoldFor) // swept or not
		}
		// Before, between and after the hashes that there are.
		for _, text := range []string{"GC0000000000000001", "GC0000000000000002", "GC0000000000000003", "GC0000000000000004", "GC0000000000000005",
			"GC0000000000000006", "GC0000000000000007", "GC0000000000000008"} {
			found := ask(number(text), mine.Key)
			if found.Known || found.KeyRight || found.Card == nil || (found.Realm != realm.Live && found.Realm != realm.Test) {
				t.Errorf("%s: %+v", text, found)
			}
		}
	})
}

// Of many probes at once each has its own answer: cards of two merchants, some asked for
// twice, with their keys, with others' and with none, and numbers that nobody has.
func TestProbesAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		const each = 8
		var cards []*held
		for i := range each {
			cards = append(cards, p.create(shop, int64(1000+i)), p.create(street, int64(2000+i)))
		}
		crowd.AtOnce(6*each, func(i int) {
			c, other := cards[i%len(cards)], cards[(i+1)%len(cards)]
			number, key, right := c.Card.Number, c.Key, true
			switch i / len(cards) {
			case 1:
				key, right = other.Key, false
			case 2:
				number, right = pan.Number{}, false
			}
			known := !number.IsZero()
			if !known {
				var err error
				number, err = pan.ParseAlnum(fmt.Sprintf("GC%016d", i))
				check.OK(t, err)
			}
			found, err := p.Probe(t.Context(), number, key)
			if err != nil || found.Known != known || found.KeyRight != right || found.Card == nil {
				t.Errorf("%d: %+v, %v", i, found, err)
			} else if known && (found.Card.ID != c.Card.ID || found.Card.Balance != c.Card.Balance || found.Realm != c.m.Realm) {
				t.Errorf("%d: found %+v in %s, want %+v", i, found.Card, found.Realm, c.Card)
			}
		})
	})
}
