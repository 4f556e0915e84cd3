package issuing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/dice"
)

func parse(t testing.TB, text string) pan.Number {
	t.Helper()
	n, err := pan.Parse(text)
	check.OK(t, err)
	return n
}

// Numbers are Luhn-valid, within their BIN, and unlike each other; the verification value
// is the same whenever it is derived, another for each card, and nothing else is right.
func TestNumbers(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		numbers, codes := map[string]bool{}, map[string]int{}
		for i := range 40 {
			network := []pan.Network{pan.Visa, pan.Mastercard}[i%2]
			issued, err := p.Preview(ctx, ann, network, nil)
			check.OK(t, err)
			d, err := p.Details(ctx, ann, issued.Card.ID)
			check.OK(t, err)
			text := d.Number.Reveal()
			if !pan.Luhn(text) || len(text) != 16 || !strings.HasPrefix(text, issued.Card.BIN.ID) || pan.NetworkOf(text) != network || numbers[text] {
				t.Errorf("number %d of %s", i, network)
			}
			numbers[text] = true
			codes[d.CVC.Reveal()]++
			found, err := p.FindByNumber(ctx, realm.Test, d.Number)
			check.OK(t, err)
			byID, err := p.Find(ctx, ann.Book, issued.Card.ID)
			check.OK(t, err)
			again, err := p.Details(ctx, ann, issued.Card.ID)
			if err != nil || !again.CVC.Equal(d.CVC) || len(d.CVC.Reveal()) != 3 || !p.CheckCVC(found, d.CVC) || !p.CheckCVC(byID, d.CVC) {
				t.Errorf("cvc %d, %v", i, err)
			}
			for _, wrong := range []string{"", "000", "1234", "abc"} {
				if wrong != d.CVC.Reveal() && p.CheckCVC(found, pan.NewSecret(wrong)) {
					t.Errorf("%q passed for another", wrong)
				}
			}
		}
		if len(codes) < 25 {
			t.Errorf("%d different values among 40", len(codes))
		}
	})
}

// A number and its value are shown after the audit log knows, and not without it, with the
// programme's name and address or the cardholder's.
func TestDetails(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 1000)
		d, err := p.Details(ctx, ann, card)
		check.OK(t, err)
		if d.Month != 4 || d.Year != 2029 || d.HolderName != "ANONYMOUS" ||
			d.Billing != (issuing.Address{Line1: "123 Privacy Street", City: "Wilmington", State: "DE", Zip: "19801", Country: "US"}) {
			t.Errorf("%+v", d)
		}
		check.List(t, "audit", p.audited(ann), "key/ann card.details")
		nobody := ann
		nobody.Actor = ""
		if d, err := p.Details(ctx, nobody, card); err == nil || !d.Number.IsZero() || !d.CVC.IsZero() {
			t.Errorf("shown to nobody: %v", err)
		}
		home := cardholder.Address{Line1: "1 Rue de la Paix", City: "Paris", Country: "FR"}
		person, err := p.Cardholders.Create(ctx, cardholder.Owner{Book: ann.Book, Realm: ann.Realm, Actor: ann.Actor}, cardholder.NewPerson{Name: "Ada Byron", Address: home})
		check.OK(t, err)
		p.load(ann, 1000)
		c, err := p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(1000), Cardholder: person.ID})
		check.OK(t, err)
		d, err = p.Details(ctx, ann, c.ID)
		if err != nil || d.HolderName != "Ada Byron" || d.Billing != home {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// What a card's number and verification value are is in no table in the clear, and is not
// printed by anything that the service returns.
func TestSecretsAreNowhereInTheClear(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 10000)
		old, err := p.Details(ctx, ann, card)
		check.OK(t, err)
		for _, name := range []string{"fund", "withdraw", "change", "freeze", "unfreeze", "replace"} {
			p.load(ann, 1000)
			check.OK(t, p.each(ann, card)[name]())
		}
		now, err := p.Details(ctx, ann, card)
		check.OK(t, err)
		preview, err := p.Preview(ctx, ann, "", nil)
		check.OK(t, err)
		found, err := p.FindByNumber(ctx, realm.Test, now.Number)
		check.OK(t, err)
		check.OK(t, p.each(ann, card)["terminate"]())

		var clear []string
		for _, n := range []pan.Number{old.Number, now.Number, preview.Number} {
			clear = append(clear, n.Reveal(), n.Reveal()[6:])
		}
		cells := 0
		check.OK(t, p.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
			tables, err := storage.Tables(ctx, q)
			for _, table := range tables {
				err = errors.Join(err, table.Each(ctx, q, func(row []any) error {
					for i, cell := range row {
						cells++
						text := fmt.Sprintf("%s", cell)
						for _, secret := range clear {
							if strings.Contains(text, secret) {
								t.Errorf("table %s, column %s holds a number", table.Name, table.Columns[i].Name)
							}
						}
						if text == now.CVC.Reveal() || text == old.CVC.Reveal() {
							t.Errorf("table %s, column %s holds a verification value", table.Name, table.Columns[i].Name)
						}
					}
					return nil
				}))
			}
			return err
		}))
		if cells < 300 {
			t.Errorf("only %d cells were looked at", cells)
		}
		for _, printed := range []string{fmt.Sprintf("%v %+v %#v", preview, preview, preview), fmt.Sprintf("%v %+v %#v", now, now, now), fmt.Sprintf("%+v", found)} {
			for _, secret := range append(clear, now.CVC.Reveal()+"}") {
				if strings.Contains(printed, secret) {
					t.Errorf("printed: %s", printed)
				}
			}
		}
	})
}

// perNumber is the random digits of a number within a BIN of six.
const perNumber = 9

// A number that exists is drawn again, in any book, also when a card is replaced by it; a
// source that always draws the same is given up, and nothing was paid.
func TestCollisions(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		p.load(ann, 10000)
		p.load(bob, 10000)
		p.Random = dice.New("AABBBCC", perNumber)
		first, err := p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(1000)})
		check.OK(t, err)
		second, err := p.Issue(ctx, bob, issuing.NewCard{BIN: visa, Amount: usd(1000)})
		check.OK(t, err)
		if first.Number.Equal(second.Number) {
			t.Error("two cards are alike")
		}
		i, err := p.Replace(ctx, ann, issuing.Replacement{Card: first.ID, Reason: issuing.ReasonLost})
		check.OK(t, err)
		if i.Number.Equal(first.Number) || i.Number.Equal(second.Number) {
			t.Error("the new number is an old one")
		}
		_, err = p.Issue(ctx, bob, issuing.NewCard{BIN: visa, Amount: usd(1000)})
		if !storage.IsUnique(err) {
			t.Errorf("always the same number: %v", err)
		}
		p.look(bob, second.ID, issuing.Active, 1000, 9000)
		p.verify()
	})
}

// A card is found by its number in its own realm alone; a number that nobody has, or that
// another realm's card has, is not.
func TestFindByNumber(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(street, 1000)
		d, err := p.Details(ctx, street, card)
		check.OK(t, err)
		found, err := p.FindByNumber(ctx, realm.Live, d.Number)
		if err != nil || found.ID != card || found.Book != street.Book || !found.Number.Equal(d.Number) || found.Expiry() != "2904" || found.Status != issuing.Active {
			t.Errorf("%+v, %v", found, err)
		}
		_, other := p.FindByNumber(ctx, realm.Test, d.Number)
		_, none := p.FindByNumber(ctx, realm.Test, parse(t, "4916530000000001"))
		check.Code(t, "the other realm", other, fault.NotFound)
		check.Code(t, "nobody's", none, fault.NotFound)
		if other.Error() != none.Error() {
			t.Errorf("%v and %v", other, none)
		}
		_, err = p.Find(ctx, ann.Book, card)
		check.Code(t, "another's book", err, fault.NotFound)
	})
}

// What one process changed is seen by another at the latest when it looks again, and what
// was decided on the older state cannot be written.
func TestRememberedCards(t *testing.T) {
	twoProcesses(t, func(t *testing.T, both [2]*process) {
		p, q := both[0], both[1]
		ctx, card := t.Context(), p.card(ann, 10000)
		d, err := p.Details(ctx, ann, card)
		check.OK(t, err)
		remembered, err := q.FindByNumber(ctx, realm.Test, d.Number)
		check.OK(t, err)
		for name, change := range map[string]func() error{"freeze": p.each(ann, card)["freeze"], "unfreeze": p.each(ann, card)["unfreeze"],
			"change": p.each(ann, card)["change"], "replace": p.each(ann, card)["replace"]} {
			if name == "unfreeze" {
				check.OK(t, p.each(ann, card)["freeze"]())
				remembered, err = q.Reread(ctx, remembered)
				check.OK(t, err)
			}
			check.OK(t, change())
			stale, err := q.Find(ctx, ann.Book, card)
			check.OK(t, err)
			if stale.Version != remembered.Version {
				t.Errorf("%s: another process looked again by itself", name)
			}
			err = q.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
				return tx.Apply(ctx, []storage.Effect{issuing.Used(stale, epoch, usd(100))})
			})
			if !errors.Is(err, storage.ErrStale) {
				t.Errorf("%s: used with an old version: %v", name, err)
			}
			again, err := q.Reread(ctx, stale)
			check.OK(t, err)
			if again.Version <= stale.Version {
				t.Errorf("%s: read again at version %d after %d", name, again.Version, stale.Version)
			}
			check.OK(t, q.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
				return tx.Apply(ctx, []storage.Effect{issuing.Used(again, epoch, usd(100)), issuing.GivenBack(again, usd(100))})
			}))
			if c, err := p.Unfreeze(ctx, ann, issuing.Step{Card: card}); err != nil || c.Spent != usd(0) {
				t.Errorf("%s: %+v, %v", name, c, err)
			}
			remembered, err = q.Reread(ctx, again)
			check.OK(t, err)
		}
		old, err := q.FindByNumber(ctx, realm.Test, d.Number)
		if err != nil || old.Status != issuing.Terminated || old.Reason != issuing.ReasonLost {
			t.Errorf("the old number: %+v, %v", old, err)
		}
		if c := p.get(ann, card); c.Transactions != 4 {
			t.Errorf("%d uses were written", c.Transactions)
		}
	})
}
