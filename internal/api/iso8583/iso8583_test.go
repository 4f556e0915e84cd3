package iso8583_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/api/iso8583"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/platform/iso"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/acquirer"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// Every kind of message does what it says, and is answered with what came of it.
func TestMessages(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		check.OK(t, l.Manage(t.Context(), acquirer.SignOn))
		check.OK(t, l.Manage(t.Context(), acquirer.Echo))
		c := i.issue(10_000)

		asked := at.Authorize(c.Card, 2_500)
		answer := i.ask(l, asked, "00")
		if answer[0] != "0110" || len(answer[38]) != 6 || answer[44] != " M" {
			t.Errorf("type %s, code %s, checks %q", answer[0], answer[38], answer[44])
		}
		for _, n := range []int{2, 3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49} {
			check.Equal(t, fmt.Sprint("element ", n), answer[n], asked.Element(n))
		}
		i.look(c, 7_500, 2_500)
		i.ask(l, at.Increment(asked, 500), "00")
		i.look(c, 7_000, 3_000)
		i.ask(l, at.Complete(asked, 1_000, true), "00")
		i.look(c, 7_000, 2_000)
		i.ask(l, at.Complete(asked, 1_500, false), "00")
		i.look(c, 7_500, 0)
		check.Equal(t, "answer to an inquiry", i.ask(l, at.Inquire(c.Card), "00")[54], "0002840C000000007500")
		check.Equal(t, "type of an answer to advice", i.ask(l, at.Force(c.Card, 500), "00")[0], "0230")
		i.look(c, 7_000, 0)
		i.ask(l, at.Refund(asked, 700), "00")
		i.ask(l, at.Refund(asked, 1_801), "13")
		i.look(c, 7_700, 0)
		i.ask(l, at.Credit(c.Card, 300), "00")
		i.look(c, 8_000, 0)

		paid := at.Purchase(c.Card, 1_000)
		i.ask(l, paid, "00")
		i.look(c, 7_000, 0)
		i.ask(l, at.ReverseTo(paid, 400), "00")
		i.look(c, 7_600, 0)
		i.ask(l, at.Reverse(paid), "00")
		i.look(c, 8_000, 0)

		held := at.Authorize(c.Card, 2_000)
		i.ask(l, held, "00")
		i.ask(l, at.ReverseTo(held, 1_200), "00")
		i.look(c, 6_800, 1_200)
		check.Equal(t, "type of an answer to a reversal", i.ask(l, at.Reverse(held).As("0420"), "00")[0], "0430")
		i.look(c, 8_000, 0)
		i.ask(l, at.Complete(held, 100, false), "00") // it is owed, though it was reversed
		i.look(c, 7_900, 0)

		i.ask(l, at.Authorize(c.Card, 1_000).As("0120").With(39, "00"), "00") // approved by another in its stead
		i.ask(l, at.Authorize(c.Card, 1_000).As("0120").With(39, "05"), "00") // declined by another
		i.look(c, 6_900, 1_000)
	})
}

// What another approved in the issuer's stead is held whole, beyond the balance and from a
// frozen card; it is completed, added to and reversed like a payment that was asked for.
func TestStandInAdvice(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		c := i.issue(10_000)
		advice := func(minor int64) *acquirer.Message { return at.Authorize(c.Card, minor).As("0120").With(39, "00") }
		beyond := advice(12_000)
		check.Equal(t, "type of an answer to advice", i.ask(l, beyond, "00")[0], "0130")
		i.ask(l, beyond.As("0121"), "00")
		i.ask(l, beyond.With(4, "000000000777"), "94")
		i.look(c, 0, 12_000)
		i.ask(l, at.Authorize(c.Card, 1), "51")
		more := at.Increment(beyond, 500).As("0120").With(39, "00")
		i.ask(l, more, "00")
		i.look(c, 0, 12_500)
		i.ask(l, at.Reverse(more), "00")
		i.ask(l, at.ReverseTo(beyond, 9_000), "00")
		i.look(c, 1_000, 9_000) // what was lent went back first
		i.ask(l, at.Complete(beyond, 9_000, false), "00")
		i.look(c, 1_000, 0)

		_, err := i.cards.Freeze(t.Context(), ann, issuing.Step{Card: c.id})
		check.OK(t, err)
		i.ask(l, advice(300), "00")
		i.look(c, 700, 300)
		i.ask(l, advice(600_000), "00") // above what one payment may be
		i.look(c, 0, 600_300)
		i.ask(l, advice(0), "00")
		i.ask(l, advice(100).With(49, "978"), "12")
		i.look(c, 0, 600_300)
		late := advice(40)
		i.ask(l, at.Reverse(late), "00")
		i.ask(l, late, "00") // it is acknowledged, and holds nothing
		i.ask(l, late.As("0121"), "00")
		i.look(c, 0, 600_300)
		i.ask(l, at.Increment(at.Authorize(c.Card, 1), 70).As("0120").With(39, "00"), "00") // its payment never came
		i.look(c, 0, 600_370)
	})
}

// Where an answer does not arrive and another approves in its stead, the advice comes under
// the name of the request: all of it is held then, once, whatever the answer was.
func TestStandInForLostAnswers(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		c := i.issue(1_000)
		advice := func(m *acquirer.Message) *acquirer.Message { return m.As("0120").With(39, "00") }
		twice := func(m *acquirer.Message) {
			i.ask(l, advice(m), "00")
			i.ask(l, advice(m).As("0121"), "00")
		}
		approved := at.Authorize(c.Card, 400)
		i.ask(l, approved, "00")
		twice(approved)
		i.look(c, 600, 400)
		i.ask(l, advice(approved).With(4, "000000000399"), "94")
		i.ask(l, advice(approved).With(42, "ANOTHER        "), "94")
		more := at.Increment(approved, 100)
		i.ask(l, more, "00")
		twice(more)
		i.look(c, 500, 500)
		dear := at.Increment(approved, 700)
		i.ask(l, dear, "51")
		twice(dear)
		i.look(c, 0, 1_200)
		i.ask(l, at.Reverse(dear), "00")
		i.look(c, 500, 500)
		i.ask(l, at.Complete(approved, 500, false), "00")

		part := at.Authorize(c.Card, 800).With(48, acquirer.Tag("61", "1"))
		i.ask(l, part, "10")
		i.look(c, 0, 500)
		twice(part)
		i.look(c, 0, 800)
		for range 2 {
			i.ask(l, at.ReverseTo(part, 600), "00") // of all that was approved
			i.look(c, 0, 600)
		}
		i.ask(l, at.Complete(part, 600, false), "00")
		i.look(c, 0, 0)

		declined := at.Authorize(c.Card, 900)
		i.ask(l, declined, "51")
		i.ask(l, advice(declined).With(4, "000000000901"), "94")
		twice(declined)
		i.look(c, 0, 900)
		i.ask(l, at.ReverseTo(declined, 600), "00")
		i.look(c, 0, 600)
		i.ask(l, at.Complete(declined, 600, false), "00")
		i.look(c, 0, 0)
		i.ask(l, at.Reverse(declined), "21")
		undone := at.Authorize(c.Card, 900)
		i.ask(l, undone, "51")
		twice(undone)
		i.ask(l, at.Reverse(undone), "00")
		i.ask(l, at.Reverse(undone), "00")
		i.look(c, 0, 0)
	})
}

// So it is with a purchase in a single message: its advice takes all of it, once.
func TestAdviceForLostAnswers(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		c := i.issue(1_000)
		twice := func(m *acquirer.Message) {
			i.ask(l, m.As("0220"), "00")
			i.ask(l, m.As("0221"), "00")
		}
		bought := at.Purchase(c.Card, 400)
		i.ask(l, bought, "00")
		twice(bought)
		i.look(c, 600, 0)
		i.ask(l, bought.As("0220").With(4, "000000000399"), "94")
		part := at.Purchase(c.Card, 800).With(48, acquirer.Tag("61", "1"))
		i.ask(l, part, "10")
		twice(part)
		i.look(c, 0, 0)
		i.ask(l, at.Reverse(part), "21") // what was posted of it is a payment of its own
		i.look(c, 0, 0)
		declined := at.Purchase(c.Card, 900)
		i.ask(l, declined, "51")
		i.ask(l, declined.As("0220").With(4, "000000000901"), "94")
		twice(declined)
		i.look(c, 0, 0)
		i.ask(l, at.Reverse(bought), "00")
		i.look(c, 400, 0)
		i.ask(l, at.Reverse(declined), "00") // what was lent for it goes back
		i.ask(l, at.Reverse(declined), "00")
		i.look(c, 400, 0)
	})
}

// What was reversed before it is told that another approved it, or that it is owed, holds and
// takes nothing, whatever its request was answered.
func TestReversedBeforeItsAdvice(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		c := i.issue(1_000)
		open := at.Authorize(c.Card, 100)
		i.ask(l, open, "00")
		acknowledged := func(m *acquirer.Message) {
			t.Helper()
			i.ask(l, m.As("0120").With(39, "00"), "00")
			i.ask(l, m.As("0121").With(39, "00"), "00")
			i.ask(l, at.Reverse(m), "00")
			i.look(c, 900, 100)
		}
		for _, declined := range []*acquirer.Message{at.Authorize(c.Card, 2_000), at.Increment(open, 2_000)} {
			i.ask(l, declined, "51")
			i.ask(l, at.Reverse(declined), "00")
			i.ask(l, at.Reverse(declined), "00")
			acknowledged(declined)
		}
		whole := at.Authorize(c.Card, 200)
		i.ask(l, whole, "00")
		i.ask(l, at.Reverse(whole), "00")
		acknowledged(whole)
		part := at.Authorize(c.Card, 2_000).With(48, acquirer.Tag("61", "1"))
		i.ask(l, part, "10")
		i.ask(l, at.Reverse(part), "00")
		acknowledged(part)
		late := at.Authorize(c.Card, 200)
		i.ask(l, at.Reverse(late), "00")
		i.ask(l, late, "12")
		acknowledged(late)
		bought := at.Purchase(c.Card, 2_000)
		i.ask(l, bought, "51")
		i.ask(l, at.Reverse(bought), "00")
		i.ask(l, bought.As("0220"), "12")
		i.ask(l, bought.As("0221"), "12")
		i.look(c, 900, 100)
		bought = at.Purchase(c.Card, 2_000).With(48, acquirer.Tag("61", "1"))
		i.ask(l, bought, "10")
		i.ask(l, at.Reverse(bought), "00")
		i.ask(l, bought.As("0220"), "12")
		i.ask(l, bought.As("0221"), "12")
		i.look(c, 900, 100)
		bought = at.Purchase(c.Card, 200)
		i.ask(l, bought, "00")
		i.ask(l, at.Reverse(bought), "00")
		i.ask(l, bought.As("0220"), "12")
		i.ask(l, bought.As("0221"), "12")
		i.look(c, 900, 100)
		unpaid := at.Purchase(c.Card, 200)
		i.ask(l, at.Reverse(unpaid), "00")
		i.ask(l, unpaid, "12")
		i.ask(l, unpaid.As("0220"), "12")
		i.look(c, 900, 100)
	})
}

// What another approved of a payment that has ended is held by itself: its own name
// completes it and reverses it.
func TestStandInBeyondItsPayment(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		c := i.issue(1_000)
		ended := func() *acquirer.Message {
			m := at.Authorize(c.Card, 300)
			i.ask(l, m, "00")
			i.ask(l, at.Reverse(m), "00")
			more := at.Increment(m, 200).As("0120").With(39, "00")
			i.ask(l, more, "00")
			i.look(c, 800, 200)
			return more
		}
		i.ask(l, at.Reverse(ended()), "00")
		i.look(c, 1_000, 0)
		more := ended()
		i.ask(l, at.Complete(more, 200, false), "00")
		i.look(c, 800, 0)
		i.ask(l, at.Reverse(more), "21")
		i.ask(l, at.Refund(more, 201), "13")
		i.ask(l, at.Refund(more, 200), "00")
		i.look(c, 1_000, 0)
	})
}

// Declines and parts have their codes, and the answers say what was compared.
func TestDeclines(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		c := i.issue(10_000)
		frozen := i.issue(1_000)
		_, err := i.cards.Freeze(t.Context(), ann, issuing.Step{Card: frozen.id})
		check.OK(t, err)
		limited := i.issue(1_000, func(n *issuing.NewCard) { n.Controls.Categories = []string{"travel"} })
		nobody, err := pan.Parse("4916530000000000")
		check.OK(t, err)
		i.ask(l, at.Authorize(c.Card, 10_001), "51")
		i.ask(l, at.Authorize(c.Card, 600_000), "61")
		i.ask(l, at.Authorize(frozen.Card, 100), "62")
		i.ask(l, at.Purchase(frozen.Card, 100), "62")
		i.ask(l, at.Authorize(limited.Card, 100), "57")
		for _, message := range []*acquirer.Message{at.Authorize(acquirer.Card{Number: nobody}, 100), at.Inquire(acquirer.Card{Number: nobody}),
			at.Force(acquirer.Card{Number: nobody}, 100), at.Credit(acquirer.Card{Number: nobody}, 100),
			at.Reverse(at.Authorize(acquirer.Card{Number: nobody}, 100)), at.Authorize(c.Card, 100).With(2, "123")} {
			i.ask(l, message, "14")
		}
		wrong := c.Card
		wrong.Expiry = "3001"
		i.ask(l, at.Authorize(wrong, 100), "54")
		wrong = c.Card
		wrong.CVC = pan.NewSecret("000")
		if c.CVC.Reveal() == "000" {
			wrong.CVC = pan.NewSecret("001")
		}
		check.Equal(t, "checks", i.ask(l, at.Authorize(wrong, 100), "N7")[44], " N")
		address := acquirer.Tag("82", "19801") + acquirer.Tag("83", "123 Privacy Street")
		check.Equal(t, "checks", i.ask(l, at.Authorize(c.Card, 100).With(48, address), "00")[44], "Y ")
		check.Equal(t, "checks", i.ask(l, at.Authorize(c.Card, 100).With(48, acquirer.Tag("82", "99999")), "05")[44], "N ")
		i.look(c, 9_900, 100)

		part := i.ask(l, at.Authorize(c.Card, 20_000).With(48, acquirer.Tag("61", "1")), "10")
		check.Equal(t, "amounts", []string{part[4], part[54]}, []string{"000000009900", "0002840C000000000000" + "0057840C000000020000"})
		i.look(c, 0, 10_000)

		few := i.issue(6_000)
		asked := at.Authorize(few.Card, 10_000).With(48, acquirer.Tag("61", "1"))
		i.ask(l, asked, "10")
		for range 2 { // what stands is of what was approved, however often it is said
			i.ask(l, at.ReverseTo(asked, 4_000), "00")
			i.look(few, 2_000, 4_000)
		}
	})
}

// Amounts in a merchant's currency are held in the card's, as the network converted them.
func TestCurrencies(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		at.Currency = "978"
		c := i.issue(10_000)
		converted := func(m *acquirer.Message, minor string) *acquirer.Message { return m.With(6, minor).With(51, "840") }
		asked := converted(at.Authorize(c.Card, 2_000), "000000002200")
		i.ask(l, asked, "00")
		i.look(c, 7_800, 2_200)
		partly := converted(at.Reverse(asked), "000000002200").With(95, "000000001000"+"000000000000"+"000000001100"+"000000")
		i.ask(l, partly, "00")
		i.look(c, 8_900, 1_100)
		i.ask(l, at.Authorize(c.Card, 100), "12")                 // not in the card's currency
		i.ask(l, at.Authorize(c.Card, 100).With(49, "999"), "12") // no currency
		i.ask(l, converted(at.Authorize(c.Card, 100), "000000000000"), "13")
		i.ask(l, converted(at.Authorize(c.Card, 0), "000000000100"), "13")
		i.ask(l, converted(at.Authorize(c.Card, 0), "000000000000"), "00")
		for _, m := range []*acquirer.Message{at.Purchase(c.Card, 0), at.Force(c.Card, 0), at.Credit(c.Card, 0)} {
			i.ask(l, converted(m, "000000000100"), "13")
		}
		i.ask(l, converted(at.Complete(asked, 900, false), "000000001000"), "00")
		i.look(c, 9_000, 0)
		page, err := i.payments.List(t.Context(), authorization.Filter{Book: ann.Book, Card: c.id})
		check.OK(t, err)
		check.Equal(t, "charged", page.Transactions[0].Original.String()+" "+page.Transactions[0].Original.Currency.String(), "9.00 EUR")
	})
}

// A message that comes again gets the first answer: under the type of a repetition or
// the same, on another connection, from a host that was started again; another message
// under its name is refused.
func TestRepeats(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		i := assemble(t, db)
		i.populate()
		i.serve(nil)
		at := terminal()
		c := i.issue(10_000)
		held, paid := at.Authorize(c.Card, 1_000), at.Purchase(c.Card, 2_000)
		messages := []*acquirer.Message{held, paid, at.Authorize(c.Card, 50_000), at.Increment(held, 100), at.Complete(held, 400, true), at.Force(c.Card, 50),
			at.Credit(c.Card, 25), at.Refund(paid, 500), at.ReverseTo(paid, 1_500), at.Reverse(held), at.Reverse(at.Authorize(c.Card, 1))}
		var first []acquirer.Answer
		l := i.link()
		for _, m := range messages {
			answer, err := l.Ask(t.Context(), m)
			check.OK(t, err)
			first = append(first, answer)
		}
		before, err := i.cards.Get(t.Context(), ann, c.id)
		check.OK(t, err)
		again := func(l *acquirer.Link) {
			t.Helper()
			for n, m := range messages {
				for _, same := range []*acquirer.Message{m, m.Repeated(), m.With(7, "0101000000")} {
					answer, err := l.Ask(t.Context(), same)
					check.OK(t, err)
					answer[7] = first[n][7]
					if diff := cmp.Diff(first[n], answer); diff != "" {
						t.Errorf("%s again (-first +again):\n%s", m.Type(), diff)
					}
				}
				if m.Type() != "0400" {
					i.ask(l, m.With(4, "000000000777"), "94")
				}
			}
		}
		again(l)
		again(i.link())
		check.OK(t, i.stop())
		i.books.Close()
		restarted := assemble(t, db)
		restarted.serve(nil)
		again(restarted.link())
		restarted.look(c, before.Balance.Minor, before.Held.Minor)
		restarted.prove()
	})
}

// A reversal may overtake what it reverses, and comes again under another name as an
// advice; one of something that never was is remembered.
func TestReversalFirst(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		c := i.issue(10_000)
		for _, late := range []*acquirer.Message{at.Authorize(c.Card, 1_000), at.Purchase(c.Card, 1_000)} {
			i.ask(l, at.Reverse(late), "00")
			i.ask(l, late, "12")
			i.ask(l, at.Reverse(late).As("0420"), "00")
		}
		open := at.Authorize(c.Card, 1_000)
		i.ask(l, open, "00")
		for _, late := range []*acquirer.Message{at.Increment(open, 500), at.Complete(open, 500, false), at.Refund(open, 500), at.Force(c.Card, 500)} {
			i.ask(l, at.Reverse(late), "00")
			i.ask(l, late, "12")
			i.ask(l, late.Repeated(), "12")
		}
		i.ask(l, at.Reverse(open), "00")
		i.look(c, 10_000, 0)
		refused := at.Authorize(c.Card, 50_000)
		i.ask(l, refused, "51")
		i.ask(l, at.Reverse(refused), "00")
		taken := at.Authorize(c.Card, 1_000)
		i.ask(l, taken, "00")
		i.ask(l, at.Complete(taken, 1_000, false), "00")
		i.ask(l, at.Reverse(taken), "21")
		i.ask(l, at.ReverseTo(taken, 1_000), "13")
		i.look(c, 9_000, 0)
		i.ask(l, at.Increment(at.Authorize(c.Card, 1), 100), "25")
		i.ask(l, at.Refund(at.Purchase(c.Card, 1), 100), "25")
		i.ask(l, at.Reverse(taken).With(2, i.issue(100).Number.Reveal()), "25") // it is another card's
	})
}

// What is missing or malformed is answered with 30, and what there is not with 40; the
// connection stays.
func TestFormat(t *testing.T) {
	eachEngine(t, func(o *iso8583.Options) { o.Acquirers = []string{"00411111", "422222"} }, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		c := i.issue(10_000)
		m := func() *acquirer.Message { return at.Authorize(c.Card, 100) }
		zeros := strings.Repeat("0", 42)
		for name, sent := range map[string]struct {
			m    *acquirer.Message
			code string
		}{
			"no number":              {m().With(2, ""), "30"},
			"letters in a number":    {m().With(2, "4916X30000000000"), "30"},
			"no processing code":     {m().With(3, ""), "30"},
			"no amount":              {m().With(4, ""), "30"},
			"letters in an amount":   {m().With(4, "00000000010O"), "30"},
			"no time":                {m().With(7, ""), "30"},
			"no such day":            {m().With(7, "0231000000"), "30"},
			"no trace":               {m().With(11, ""), "30"},
			"no acquirer":            {m().With(32, ""), "30"},
			"acquirer of zeros":      {m().With(32, "000"), "30"},
			"no reference":           {m().With(37, ""), "30"},
			"blank reference":        {m().With(37, strings.Repeat(" ", 12)), "30"},
			"no currency":            {m().With(49, ""), "12"},
			"expiry":                 {m().With(14, "2X01"), "30"},
			"tags":                   {m().With(48, "92"), "30"},
			"tag too long":           {m().With(48, "9204123"), "30"},
			"track":                  {m().With(35, "4916"), "30"},
			"another number's track": {m().With(35, "4916530000000000=3001"), "30"},
			"original":               {m().With(90, strings.Repeat("x", 42)), "30"},
			"control character":      {m().With(42, "M\x01             "), "30"},
			"reversal of nothing":    {at.Reverse(m()).With(90, ""), "30"},
			"reversal of zeros":      {at.Reverse(m()).With(90, zeros), "30"},
			"replacement":            {at.Reverse(m()).With(95, strings.Repeat("x", 42)), "30"},
			"nothing is reversed":    {at.ReverseTo(m(), 100), "13"},
			"another's original":     {at.Reverse(m()).With(90, "0100000001010100000000000422222"+strings.Repeat("0", 11)), "25"},
			"another acquirer":       {m().With(32, "433333"), "58"},
			"capture of zero":        {at.Force(c.Card, 0), "13"},
			"refund of zero":         {at.Credit(c.Card, 0), "13"},
			"increment of zero":      {at.Increment(m(), 0), "13"},
			"refund authorization":   {m().With(3, "200000"), "40"},
			"payment to a card":      {at.Purchase(c.Card, 1).With(3, "260000"), "40"},
			"file update":            {m().As("0300"), "40"},
			"notification":           {m().As("0140"), "40"},
			"of an issuer":           {m().As("0102"), "40"},
			"advice of an issuer":    {at.Force(c.Card, 100).As("0222"), "40"},
			"reversal of an issuer":  {at.Reverse(m()).As("0402"), "40"},
			"letters in a category":  {m().With(18, "54A1"), "30"},
		} {
			t.Run(name, func(t *testing.T) {
				sub := *i
				sub.t = t
				sub.ask(l, sent.m, sent.code)
			})
		}
		track := c.Number.Reveal() + "=" + c.Expiry + "101"
		i.ask(l, m().With(2, "").With(14, "").With(35, track), "00")
		i.ask(l, m().With(2, "").With(14, "").With(35, strings.Replace(track, "=", "D", 1)).With(90, zeros), "00")
		i.look(c, 9_800, 200)
		if err := l.Manage(t.Context(), "161"); err == nil || !strings.Contains(err.Error(), "40") {
			t.Errorf("key exchange: %v", err)
		}
		check.OK(t, l.Manage(t.Context(), acquirer.SignOff))
		i.ask(l, m(), "91")
		check.OK(t, l.Manage(t.Context(), acquirer.SignOn))
		i.ask(l, m(), "00")
	})
}

// What was sent before a sign-off, or after a sign-on, is decided, though its answer was not waited
// for before the other was sent.
func TestSignOffInLine(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		const rounds = 50
		l, at, c := i.link(), terminal(), i.issue(1_000)
		var line []iso.Message
		for n := range rounds {
			off := iso.Message{0: "0800", 7: "1130235900", 11: fmt.Sprintf("%06d", n), 70: acquirer.SignOff}
			on := maps.Clone(off)
			on[70] = acquirer.SignOn
			line = append(line, elements(at.Inquire(c.Card)), off, on, elements(at.Inquire(c.Card)))
		}
		i.send(l, line...)
		codes := map[string]int{}
		for range 4 * rounds {
			codes[(<-i.records).Code]++
		}
		check.Equal(t, "codes", codes, map[string]int{"00": 4 * rounds})
	})
}

// Messages about one payment are worked on in the order in which a connection brings them, though
// none waits for the answer to the one before it.
func TestPaymentInLine(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		for range 20 {
			c := i.issue(1_000)
			stoodIn := at.Authorize(c.Card, 100).As("0120").With(39, "00")
			bought := at.Purchase(c.Card, 300)
			open := at.Authorize(c.Card, 50)
			line := []*acquirer.Message{
				stoodIn, at.Complete(stoodIn, 100, false),
				bought, at.Refund(bought, 200),
				open, at.Increment(open, 20), at.Complete(open, 60, false), at.Reverse(open),
			}
			var frames []iso.Message
			for _, m := range line {
				frames = append(frames, elements(m))
			}
			i.send(l, frames...)
			codes := map[string]int{}
			for range line {
				codes[(<-i.records).Code]++
			}
			check.Equal(t, "codes", codes, map[string]int{"00": 7, "21": 1})
			i.look(c, 740, 0)
		}
	})
}

// A merchant's name beyond ASCII is read, and other such texts are refused with 30: neither
// ends a connection, which others share.
func TestBeyondASCII(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at, c := i.link(), terminal(), i.issue(1_000)
		for element, row := range map[int][2]string{43: {"CAF\xc9" + strings.Repeat(" ", 34) + "FR", "00"}, 48: {acquirer.Tag("82", "CAF\xc9"), "30"}} {
			m := elements(at.Authorize(c.Card, 100))
			m[element] = row[0]
			i.send(l, m)
			check.Equal(t, "code", (<-i.records).Code, row[1])
		}
		check.OK(t, l.Manage(t.Context(), acquirer.Echo))
		page, err := i.payments.List(t.Context(), authorization.Filter{Book: ann.Book, Card: c.id})
		check.OK(t, err)
		check.Equal(t, "name", page.Transactions[0].Merchant.Name, "CAFÉ")
	})
}

// Frames that are no messages end their connection, with a line that says why and holds
// nothing of them; other connections stay.
func TestBadFrames(t *testing.T) {
	eachEngine(t, func(o *iso8583.Options) { o.HexBitmap = true }, func(t *testing.T, i *issuer) {
		good, err := acquirer.Dial(t.Context(), i.address, true)
		check.OK(t, err)
		defer good.Close()
		check.OK(t, good.Manage(t.Context(), acquirer.Echo))
		check.OK(t, good.Raw([]byte{0, 0})) // a sign of life
		frame := func(text string) []byte { return append([]byte{byte(len(text) >> 8), byte(len(text))}, text...) }
		for text, bad := range map[string][]byte{
			"not in the specification":  frame("0100" + "7238448108C08000" + "16" + "4916530000000000" + "short"),
			"length that none can have": {0xff, 0xff, '0', '1'},
			"of a type that is none":    frame("0110" + hex.EncodeToString(make([]byte, 8))),
			"with something after it":   frame("0800" + "8220000000000000" + "0400000000000000" + "0101000000" + "000001" + "301" + "XX"),
			"closed by the network":     nil,
			"reason=\"broken off\"":     {0, 90, '4', '9', '1', '6', '5', '3'},
		} {
			l, err := acquirer.Dial(t.Context(), i.address, true)
			check.OK(t, err)
			if bad != nil {
				check.OK(t, l.Raw(bad))
			}
			if bad == nil || len(bad) == 8 {
				l.Close()
			}
			<-l.Done()
			i.await(text)
			l.Close()
		}
		check.OK(t, good.Manage(t.Context(), acquirer.Echo))
	})
}

// A connection that is silent, or stops within a message, is ended; so is one from
// elsewhere, and one too many.
func TestBounds(t *testing.T) {
	eachEngine(t, func(o *iso8583.Options) { o.Idle, o.Read = 100*time.Millisecond, 100*time.Millisecond }, func(t *testing.T, i *issuer) {
		l := i.link()
		<-l.Done()
		l = i.link()
		check.OK(t, l.Raw([]byte{0, 50, '0'}))
		<-l.Done()
		i.await("reason=silence")
	})
	eachEngine(t, func(o *iso8583.Options) { o.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }, func(t *testing.T, i *issuer) {
		<-i.link().Done()
		i.await("source not allowed")
	})
	eachEngine(t, func(o *iso8583.Options) { o.MaxConnections = 2 }, func(t *testing.T, i *issuer) {
		one, two := i.link(), i.link()
		check.OK(t, one.Manage(t.Context(), acquirer.Echo))
		check.OK(t, two.Manage(t.Context(), acquirer.Echo))
		<-i.link().Done()
		i.await("too many connections")
		check.OK(t, one.Manage(t.Context(), acquirer.Echo))
	})
}

// Many messages over several connections at once, each sent twice at the same time, are
// each decided once, and never more is spent than there is.
func TestAtOnce(t *testing.T) {
	eachEngine(t, func(o *iso8583.Options) { o.InFlight = 4 }, func(t *testing.T, i *issuer) {
		at, c := terminal(), i.issue(1_000)
		links := []*acquirer.Link{i.link(), i.link(), i.link()}
		var group sync.WaitGroup
		var mu sync.Mutex
		codes := map[string]int{}
		for n := range 30 {
			m := at.Authorize(c.Card, 100)
			group.Go(func() {
				answers := make([]acquirer.Answer, 2)
				var twins sync.WaitGroup
				for twin := range answers {
					twins.Go(func() {
						var err error
						if answers[twin], err = links[(n+twin)%len(links)].Ask(t.Context(), m); err != nil {
							t.Error(err)
						}
					})
				}
				twins.Wait()
				if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
					t.Errorf("two answers (-one +other):\n%s", diff)
				}
				mu.Lock()
				defer mu.Unlock()
				codes[answers[0].Code()]++
			})
		}
		group.Wait()
		check.Equal(t, "codes", codes, map[string]int{"00": 10, "51": 20})
		i.look(c, 0, 1_000)
	})
}

// A payment has the challenge that was completed for its merchant by the name that an element
// has room for, in whatever case, and by the merchant's id where the challenge has one.
func TestChallengeOfAMerchant(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at, c := i.link(), terminal(), i.issue(10_000)
		completed := func(m authorization.Merchant) string {
			made, err := i.payments.Challenge(t.Context(), authorization.NewChallenge{Book: ann.Book, Card: c.id, Merchant: m, Amount: usd(999)})
			check.OK(t, err)
			_, err = i.payments.CompleteChallenge(t.Context(), ann.Book, made.ID, made.OTP)
			check.OK(t, err)
			return acquirer.Tag("43", string(made.ID))
		}
		place := fmt.Sprintf("%-13s%s", "Kendal", "GB")
		ask := func(challenge, name, code string) {
			t.Helper()
			i.ask(l, at.Authorize(c.Card, 999).With(48, challenge).With(43, fmt.Sprintf("%-25s", name)+place), code)
		}
		byName := completed(authorization.Merchant{Name: "Northwind Books and Records Ltd"})
		ask(byName, "NORTHWIND BOOKS", "1A")
		ask(byName, "NORTHWIND BOOKS AND RECOR", "00")
		ask(byName, "NORTHWIND BOOKS AND RECOR", "1A") // it is used up
		ask(completed(authorization.Merchant{Name: "Cafe  Ann"}), "CAFE ANN", "00")
		ask(completed(authorization.Merchant{ID: "M-ADS", Name: "Northwind"}), "northwind", "00")
		ask(completed(authorization.Merchant{ID: "M-OTHER", Name: "Northwind"}), "Northwind", "1A")
		i.look(c, 10_000-3*999, 3*999)
	})
}

// An answer that was lost with its connection is given on the next one.
func TestLostAnswers(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		at, c := terminal(), i.issue(10_000)
		for n := range 10 {
			m := at.Authorize(c.Card, 100)
			l := i.link()
			check.OK(t, l.Tell(m))
			if n%2 == 0 {
				<-i.records
			}
			l.Reset()
			i.ask(i.link(), m.Repeated(), "00")
		}
		i.look(c, 9_000, 1_000)
	})
}

// A host that stops answers what it has read, reads no more and closes; what comes then
// is sent to the next one.
func TestStop(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		at, c := terminal(), i.issue(10_000)
		l := i.link()
		check.OK(t, l.Manage(t.Context(), acquirer.Echo))
		var group sync.WaitGroup
		for range 20 {
			m := at.Authorize(c.Card, 100)
			group.Go(func() {
				if answer, err := l.Ask(t.Context(), m); err == nil && answer.Code() != "00" {
					t.Errorf("answered with %s", answer.Code())
				}
			})
		}
		<-i.records // the echo
		<-i.records // at least one is decided
		check.OK(t, i.stop())
		group.Wait()
		<-l.Done()
		if _, err := acquirer.Dial(t.Context(), i.address, false); err == nil {
			t.Error("it still listens")
		}
		got := int64(1)
		for len(i.records) > 0 {
			<-i.records
			got++
		}
		i.look(c, 10_000-100*got, 100*got)
	})
}

// A stop gives up what takes longer than its grace.
func TestStopGivesUp(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		i := assemble(t, db)
		i.populate()
		i.serve(func(o *iso8583.Options) { o.Grace = 10 * time.Millisecond })
		slow := make(chan struct{})
		i.payments.Decider = decider(func(ctx context.Context) { close(slow); <-ctx.Done() })
		l := i.link()
		check.OK(t, l.Tell(terminal().Authorize(i.issue(1_000).Card, 100)))
		<-slow
		if err := i.stop(); err == nil || !strings.Contains(err.Error(), "given up") {
			t.Errorf("the stop ended with %v", err)
		}
		<-l.Done()
	})
}

type decider func(context.Context)

func (d decider) Decide(ctx context.Context, _ authorization.Question) authorization.Verdict {
	d(ctx)
	return authorization.Allow
}

// Neither a number, a security code nor a track is in the log or a table, whatever goes wrong.
func TestSecretsAreNotLogged(t *testing.T) {
	eachEngine(t, nil, func(t *testing.T, i *issuer) {
		l, at := i.link(), terminal()
		c := i.issue(10_000, func(n *issuing.NewCard) { n.Controls.SingleUse = true })
		track := c.Number.Reveal() + "=" + c.Expiry + "101000000000"
		for _, m := range []*acquirer.Message{at.Authorize(c.Card, 1), at.Authorize(c.Card, 1).With(49, "978"), at.Authorize(c.Card, 1).With(35, track),
			at.Authorize(c.Card, 1).With(48, "9203"+c.CVC.Reveal()+"x"), at.Force(c.Card, 1).With(2, c.Number.Reveal()[:7]), at.Reverse(at.Authorize(c.Card, 1)).With(90, "x")} {
			_ = l.Tell(m.With(3, m.Element(3))) // some cannot be written
		}
		i.payments.Decider = decider(func(context.Context) { panic(c.Number.Reveal()) })
		other := i.issue(500)
		i.ask(l, at.Authorize(other.Card, 100), "96")
		i.payments.Decider = nil
		i.await("broke its handler")
		held := at.Authorize(other.Card, 100)
		i.ask(l, held, "00")
		i.ask(l, at.Complete(held, 900, false), "00")
		i.ask(l, at.Authorize(other.Card, 5_000).As("0120").With(39, "00"), "00")
		i.ask(l, at.Authorize(other.Card, 1).With(48, acquirer.Tag("43", other.Number.Reveal())), "51")
		i.ask(l, at.Credit(other.Card, 6_000).With(43, fmt.Sprintf("%-40s", other.Number.Reveal())), "00")
		i.ask(l, at.Authorize(other.Card, 1).With(48, acquirer.Tag("43", other.Number.Reveal())), "1A")
		all, _ := i.log.look()
		all += testkit.Contents(t, i.db)
		for _, secret := range []string{c.Number.Reveal(), other.Number.Reveal(), track, "9203" + c.CVC.Reveal()} {
			if strings.Contains(all, secret) {
				t.Error("a secret is in the log or in a table")
			}
		}
	})
}
