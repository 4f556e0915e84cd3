package issuing_test

import (
	"fmt"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
	"github.com/scripcards/scrip/internal/wallet"
)

// Withdrawals at once, from two processes, take what is on the card and no more.
func TestWithdrawalsAtOnce(t *testing.T) {
	twoProcesses(t, func(t *testing.T, both [2]*process) {
		card := both[0].card(ann, 1000)
		var answers crowd.Tally
		crowd.AtOnce(32, func(i int) {
			_, err := both[i%2].withdraw(ann, card, 70)
			answers.Add(err)
		})
		check.Equal(t, "withdrawals", answers.Codes, map[fault.Code]int{"": 14, fault.InsufficientFunds: 18})
		both[0].look(ann, card, issuing.Active, 20, 980)
		both[0].verify()
	})
}

// Fundings at once, from two processes, take what is on the wallet and no more; what is
// owed is repaid once.
func TestFundingsAtOnce(t *testing.T) {
	twoProcesses(t, func(t *testing.T, both [2]*process) {
		p := both[0]
		card := p.card(ann, 100)
		p.overdraw(ann, card, 350)
		p.load(ann, 2500)
		var answers crowd.Tally
		crowd.AtOnce(24, func(i int) {
			var err error
			if i%3 == 0 {
				_, err = both[i%2].Issue(t.Context(), ann, issuing.NewCard{BIN: visa, Amount: usd(200)})
			} else {
				_, err = both[i%2].fund(ann, card, 200)
			}
			answers.Add(err)
		})
		check.Equal(t, "fundings", answers.Codes, map[fault.Code]int{"": 10, fault.InsufficientFunds: 14})
		if purse, debt := p.purse(ann), p.posted(ann, "card.receivable/USD"); purse != 150 || debt != 0 {
			t.Errorf("the wallet has %d, the customer owes %d", purse, debt)
		}
		p.balanced()
		p.verify()
	})
}

// A card that is terminated while it is funded, emptied and frozen ends once; no money
// stays on it, and none is lost.
func TestTerminateWhileFunding(t *testing.T) {
	twoProcesses(t, func(t *testing.T, both [2]*process) {
		p := both[0]
		for round := range 4 {
			card := p.card(ann, 1000)
			p.load(ann, 5000)
			if round%2 == 1 {
				p.hold(ann, card, 100)
			}
			var ends, others crowd.Tally
			crowd.AtOnce(16, func(i int) {
				q := both[i%2]
				switch {
				case i%4 == 0:
					_, err := q.Terminate(t.Context(), ann, issuing.Ending{Card: card})
					ends.Add(err)
				case i%4 == 1:
					_, err := q.fund(ann, card, 300)
					others.Add(err)
				case i%4 == 2:
					_, err := q.withdraw(ann, card, 100)
					others.Add(err)
				default:
					others.Add(q.each(ann, card)[[]string{"freeze", "unfreeze", "replace", "change"}[i/4]]())
				}
			})
			check.Equal(t, "ends", ends.Codes, map[fault.Code]int{"": 1, fault.InvalidState: 3})
			for code := range others.Codes {
				if code != "" && code != fault.InvalidState {
					t.Errorf("%d answers were %q", others.Codes[code], code)
				}
			}
			c := p.get(ann, card)
			if c.Status != issuing.Terminated || !c.Balance.IsZero() {
				t.Errorf("the card is %s with %s", c.Status, c.Balance)
			}
		}
		p.balanced()
		p.verify()
	})
}

// Two sweeps at once end each card once.
func TestSweepsAtOnce(t *testing.T) {
	twoProcesses(t, func(t *testing.T, both [2]*process) {
		p := both[0]
		for range 20 {
			p.card(ann, 100)
		}
		p.forward(4 * 366 * day)
		var ended [2]int
		crowd.AtOnce(2, func(i int) {
			n, err := both[i].Expire(t.Context())
			if err != nil {
				t.Error(err)
			}
			ended[i] = n
		})
		if ended[0]+ended[1] != 20 || p.purse(ann) != 2000 {
			t.Errorf("%v were ended, the wallet has %d", ended, p.purse(ann))
		}
		p.verify()
	})
}

// There are never more cards than may be, however many are asked for at once; one that
// ends makes room.
func TestMostCards(t *testing.T) {
	twoProcesses(t, func(t *testing.T, both [2]*process) {
		p := both[0]
		p.load(ann, 10000)
		for _, q := range both {
			q.Programme.MaxCards = 5
		}
		var answers crowd.Tally
		crowd.AtOnce(12, func(i int) {
			_, err := both[i%2].Issue(t.Context(), ann, issuing.NewCard{BIN: visa, Amount: usd(100)})
			answers.Add(err)
		})
		check.Equal(t, "cards", answers.Codes, map[fault.Code]int{"": 5, fault.QuotaExceeded: 7})
		page, err := p.List(t.Context(), issuing.Filter{Holder: ann})
		check.OK(t, err)
		check.OK(t, p.each(ann, page.Cards[0].ID)["terminate"]())
		p.card(ann, 100)
		_, err = p.Preview(t.Context(), ann, "", nil)
		check.Code(t, "one more", err, fault.QuotaExceeded)
		p.verify()
	})
}

// More cards that wait for their holds than a sweep's page do not keep later ones waiting.
func TestSweepDoesNotStarve(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		const n = 30
		p.SetSweepPage(10)
		holds := make([]ledger.HoldID, n)
		cards := make([]issuing.CardID, n)
		for i := range n {
			cards[i] = p.card(ann, 100)
			holds[i] = p.hold(ann, cards[i], 100)
			check.OK(t, p.each(ann, cards[i])["terminate"]())
		}
		later := p.card(ann, 700)
		p.forward(4 * 366 * day)
		p.swept(1)
		p.look(ann, later, issuing.Terminated, 0, 700)
		for i := range n {
			p.endHold(ann, holds[i], ledger.Release, 0)
		}
		p.swept(n)
		p.swept(0)
		if p.purse(ann) != 700+n*100 {
			t.Errorf("the wallet has %d", p.purse(ann))
		}
		p.verify()
	})
}

// An operator who freezes the account in the books alone keeps the money on the card, whatever
// its holder does, and the card is shown so; an operator's unfreezing lets it go.
func TestFrozenInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.card(ann, 1000)
		_, err := p.Books.Submit(t.Context(), ledger.Operation{Book: ann.Book, Kind: "account.freeze", At: epoch,
			States: []ledger.StateChange{{Account: ledger.AccountID(fmt.Sprint("card/", card)), To: ledger.Frozen}}})
		check.OK(t, err)
		_, err = p.withdraw(ann, card, 100)
		check.Code(t, "withdraw", err, fault.InvalidState)
		p.look(ann, card, issuing.Frozen, 1000, 0)
		check.Equal(t, "reason", p.get(ann, card).Reason, issuing.ReasonOperator)
		listed, err := p.List(t.Context(), issuing.Filter{Holder: ann})
		check.OK(t, err)
		check.Equal(t, "listed as", listed.Cards[0].Status, issuing.Frozen)
		details, err := p.Details(t.Context(), ann, card)
		check.OK(t, err)
		// To others it looks no different from a card that is not frozen, nor takes more time.
		for asker, status := range map[ledger.BookID]issuing.Status{ann.Book: issuing.Frozen, "": issuing.Active} {
			found, err := p.Probe(t.Context(), details.Number, asker)
			check.OK(t, err)
			check.Equal(t, "probed by "+string(asker), found.Card.Status, status)
		}
		label := "Travel"
		changed, err := p.Change(t.Context(), ann, issuing.Change{Card: card, Label: &label})
		check.OK(t, err)
		check.Equal(t, "changed as", changed.Status, issuing.Frozen)
		for range 2 { // it is the operator's all the same, since when it was found out
			frozen, err := p.Freeze(t.Context(), ann, issuing.Step{Card: card})
			check.OK(t, err)
			check.Equal(t, "frozen by", frozen.Reason, issuing.ReasonOperator)
			check.Equal(t, "frozen at", frozen.FrozenAt, epoch)
		}
		_, err = p.Unfreeze(t.Context(), ann, issuing.Step{Card: card})
		check.Code(t, "unfreeze", err, fault.InvalidState)
		_, err = p.Replace(t.Context(), ann, issuing.Replacement{Card: card, Reason: issuing.ReasonLost})
		check.Code(t, "replace", err, fault.InvalidState)
		_, err = p.Terminate(t.Context(), ann, issuing.Ending{Card: card})
		check.Code(t, "terminate", err, fault.InvalidState)
		_, err = p.withdraw(ann, card, 100)
		check.Code(t, "withdraw all the same", err, fault.InvalidState)
		_, err = p.Unfreeze(t.Context(), house, issuing.Step{Card: card})
		check.OK(t, err)
		_, err = p.withdraw(ann, card, 100)
		check.OK(t, err)
		p.look(ann, card, issuing.Active, 900, 100)
		p.verify()
	})
}

// Whose money an operator keeps is told so, whatever it was to do, and not what the books call
// the account, or to unfreeze what only the operator can.
func TestKeptMoney(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.card(ann, 1000)
		_, err := p.Freeze(t.Context(), house, issuing.Step{Card: card, Reason: issuing.ReasonFraud})
		check.OK(t, err)
		_, err = p.withdraw(ann, card, 100)
		check.Code(t, "withdraw", err, fault.InvalidState)
		check.Equal(t, "withdraw", fault.From(err).Message, "the card was frozen by the operator (fraud)")
		_, err = p.Books.Submit(t.Context(), ledger.Operation{Book: ann.Book, Kind: "account.freeze", At: epoch,
			States: []ledger.StateChange{{Account: wallet.Account(money.USD).ID, To: ledger.Frozen}}})
		check.OK(t, err)
		_, err = p.Issue(t.Context(), ann, issuing.NewCard{BIN: visa, Amount: money.New(100, money.USD)})
		check.Code(t, "issue", err, fault.InvalidState)
		_, funded := p.fund(ann, card, 100)
		check.Code(t, "fund", funded, fault.InvalidState)
		check.Equal(t, "issue", fault.From(err).Message, fault.From(funded).Message)
	})
}

// What a cardholder asks of a card that the operator freezes meanwhile is decided on anew: it
// stays frozen, with its number and its money.
func TestFrozenMeanwhile(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for _, what := range []string{"unfreeze", "replace", "terminate"} {
			card := p.card(ann, 1000)
			before, err := p.Freeze(t.Context(), ann, issuing.Step{Card: card})
			check.OK(t, err)
			late := join(t, p.DB, p.base)
			late.Clocks = testkit.Meanwhile(p.base, func() {
				_, err := p.Freeze(t.Context(), house, issuing.Step{Card: card, Reason: issuing.ReasonFraud})
				check.OK(t, err)
			})
			check.Code(t, what, late.each(ann, card)[what](), fault.InvalidState)
			if c := p.get(ann, card); c.Status != issuing.Frozen || c.Reason != issuing.ReasonFraud || c.Last4 != before.Last4 {
				t.Errorf("%s: %+v", what, c)
			}
		}
		p.verify()
	})
}
