package giftcard_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/fraud/pseudonym"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// heard is what the fraud engine is told of a card.
type heard struct {
	Kind  fraud.Kind
	Realm realm.Realm
	At    time.Time
	// Card has the bytes that tell cards apart; Ranged says that the numbers around have names.
	Card   fraud.Hash
	Ranged bool
}

func (p *process) heard() (all []heard) {
	p.t.Helper()
	found, err := notice.List(p.t.Context(), p.DB, 100)
	check.OK(p.t, err)
	for _, n := range found {
		e := n.Event
		all = append(all, heard{e.Kind, e.Realm, e.At, e.Card, e.Range != fraud.Hash{} && e.Block != fraud.Hash{} && e.Hundred != fraud.Hash{}})
	}
	return all
}

// named is a card as balance checks name it.
func (p *process) named(m giftcard.Merchant, number pan.Number) (short fraud.Hash) {
	full := pseudonym.Names{Vault: p.Vault, Realm: m.Realm, Network: pseudonym.Own}.Card(number.Reveal())
	copy(short[:8], full[:])
	return short
}

// The fraud engine is told once of every card that is made, singly or with others, and of every reload, by whatever the card is named; of what comes again or is refused it is told nothing.
func TestFraudHears(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		issue := giftcard.Issue{Title: "Holiday", TemplateID: template, Amount: usd(5000), Reference: "one"}
		var first giftcard.Issued
		for range 2 {
			var err error
			first, err = p.Create(t.Context(), shop, issue)
			check.OK(t, err)
		}
		issue.Reference = "two"
		many, err := p.CreateAll(t.Context(), street, []giftcard.Issue{issue})
		check.OK(t, err)
		card := &held{first, shop, giftcard.Secret{Number: first.Card.Number}}
		p.forward(time.Hour)
		byNumber := p.done(p.reload(card, 700, "r1"))
		p.done(p.reload(card, 700, "r1"))
		p.forward(time.Hour)
		card.Secret = giftcard.Secret{Key: first.Key}
		byKey := p.done(p.reload(card, 900, "r2"))
		if _, err := p.reload(card, 900_000_000_00, "r3"); fault.CodeOf(err) != fault.InvalidAmount {
			t.Errorf("too much: %v", err)
		}
		p.done(p.redeem(card, 100, "s1"))
		want := []heard{{fraud.Activation, realm.Test, first.Card.CreatedAt, p.named(shop, first.Card.Number), true},
			{fraud.Activation, realm.Live, many[0].Card.CreatedAt, p.named(street, many[0].Card.Number), true},
			{fraud.Reload, realm.Test, byNumber.At, p.named(shop, first.Card.Number), false}, {fraud.Reload, realm.Test, byKey.At, p.named(shop, first.Card.Number), false}}
		if diff := cmp.Diff(want, p.heard()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
