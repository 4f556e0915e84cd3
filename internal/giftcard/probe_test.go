package giftcard_test

import (
	"testing"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/testkit/check"
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
