package giftcard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/dice"
)

func number(t testing.TB, text string) pan.Number {
	t.Helper()
	n, err := pan.ParseAlnum(text)
	check.OK(t, err)
	return n
}

// What a card's number and key are is in no table in the clear: not in its row, its
// look-ups, the books, the events, the audit log or a template.
func TestSecretsAreNowhereInTheClear(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, c := t.Context(), p.create(shop, 10000)
		second, err := p.Create(ctx, shop, giftcard.Issue{Title: "Two", TemplateID: template, Amount: usd(100), Reference: "two"})
		check.OK(t, err)
		report, err := p.Import(ctx, shop, strings.NewReader("title,templateId,currency,amount\nThree,template_001,USD,5\n"), nil)
		check.OK(t, err)
		p.done(p.redeem(c, 100, "r1"))
		p.done(p.refund(c, "r1", 50, "f1"))
		h := p.done(p.hold(c, 10, "h1"))
		p.done(p.Capture(ctx, shop, giftcard.End{Hold: h.Hold, Reference: "c1"}))
		p.done(p.reload(c, 10, "l1"))
		check.OK(t, p.Block(ctx, shop, c.Card.ID, "card 4111 1111 1111 1111 was stolen"))
		_, _, err = p.Reveal(ctx, shop.Book, c.Card.ID, "op/1")
		check.OK(t, err)
		p.done(p.cancel(c, "sk_live_abcdefgh"))

		clear := []string{"4111 1111 1111 1111", "sk_live_abcdefgh"}
		for _, issued := range []giftcard.Issued{c.Issued, second, report.Made[0].Issued} {
			clear = append(clear, issued.Card.Number.Reveal()[2:], issued.Key.Reveal()[4:])
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
								t.Errorf("table %s, column %s holds a secret", table.Name, table.Columns[i].Name)
							}
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
	})
}

// Printed in any way, what the service returns does not show a number or a key.
func TestAnswersMaskThemselves(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 100)
		report, err := p.Import(t.Context(), shop, strings.NewReader("title,templateId,currency,amount\nThree,template_001,USD,5\n"), nil)
		check.OK(t, err)
		made := report.Made[0]
		text := fmt.Sprintf("%v %+v %#v %v %+v %v", c, c.Card, c.Issued, c.Secret, report, made)
		for _, secret := range []string{c.Card.Number.Reveal()[2:], c.Key.Reveal(), made.Card.Number.Reveal()[2:], made.Key.Reveal()} {
			if strings.Contains(text, secret) {
				t.Errorf("printed: %s", text)
			}
		}
	})
}

// A number and key are revealed only after the audit log knows; without it they are not.
func TestReveal(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.create(shop, 100)
		n, k, err := p.Reveal(t.Context(), shop.Book, c.Card.ID, "op/1")
		if err != nil || !n.Equal(c.Card.Number) || !k.Equal(c.Key) {
			t.Errorf("revealed other secrets, %v", err)
		}
		check.List(t, "audit", p.audited(shop), "op/1 giftcard.reveal "+string(c.Card.ID))
		if n, k, err := p.Reveal(t.Context(), shop.Book, c.Card.ID, ""); err == nil || !n.IsZero() || !k.IsZero() {
			t.Errorf("revealed to nobody: %v", err)
		}
		_, _, err = p.Reveal(t.Context(), rival.Book, c.Card.ID, "op/1")
		check.Code(t, "another book", err, fault.NotFound)
		check.List(t, "the other's audit", p.audited(rival))
		check.OK(t, p.DB.Snapshot(t.Context(), func(ctx context.Context, q storage.Queryer) error {
			found, err := audit.Verify(ctx, q)
			if len(found.Breaks) > 0 {
				t.Errorf("%+v", found)
			}
			return err
		}))
	})
}

// A number takes 15 random bytes below 250, a key 16.
const perCard = 15 + 16

// A number that exists is drawn again, for one card and for many, also when two of the
// same transaction are alike; a source that always draws the same is given up.
func TestCollisions(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		issue := giftcard.Issue{Title: "One", TemplateID: template, Amount: usd(5)}
		p.Random = dice.New("AAB", perCard)
		first, err := p.Create(t.Context(), shop, issue)
		check.OK(t, err)
		next, err := p.Create(t.Context(), rival, issue)
		check.OK(t, err)
		if first.Card.Number.Equal(next.Card.Number) || first.Key.Equal(next.Key) {
			t.Error("two cards are alike")
		}
		p.Random = dice.New("CBCCCD", perCard)
		all, err := p.CreateAll(t.Context(), shop, []giftcard.Issue{issue, issue})
		check.OK(t, err)
		if !all[0].Card.Number.Equal(number(t, "GC2222222222222224")) || all[1].Card.Number.Equal(all[0].Card.Number) {
			t.Errorf("%v %v", all[0].Card.Number, all[1].Card.Number)
		}
		p.Random = dice.New("A", perCard)
		if _, err := p.Create(t.Context(), shop, issue); !storage.IsUnique(err) {
			t.Errorf("made a card out of nothing: %v", err)
		}
		if _, err := p.CreateAll(t.Context(), shop, []giftcard.Issue{issue}); !storage.IsUnique(err) {
			t.Errorf("made a card out of nothing: %v", err)
		}
		p.Random = bytes.NewReader(nil)
		if _, err := p.Create(t.Context(), shop, issue); !errors.Is(err, io.EOF) {
			t.Errorf("made a card without randomness: %v", err)
		}
		if got := p.contra(shop, "giftcard.funding"); got != 15 {
			t.Errorf("funded %d, want three cards", got)
		}
		p.verify()
	})
}
