package dispute_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
)

// The transition table, in full.
func TestStates(t *testing.T) {
	legal := map[string]bool{"opened under_review": true, "opened won": true, "opened lost": true, "opened withdrawn": true, "under_review represented": true,
		"under_review won": true, "under_review lost": true, "under_review withdrawn": true, "represented under_review": true, "represented won": true,
		"represented lost": true, "represented withdrawn": true}
	for _, from := range dispute.States() {
		for _, to := range dispute.States() {
			if got := from.CanBecome(to); got != legal[string(from)+" "+string(to)] {
				t.Errorf("%s to %s: %t", from, to, got)
			}
		}
	}
}

// What is contested is credited at once; won, it is taken from what the network is owed, and
// lost or withdrawn, it is taken back.
func TestMoney(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.issue(10_000)
		first, second, third := p.buy(card, 3_000), p.buy(card, 2_000), p.buy(card, 1_000)
		p.look(card, 4_000, 0, 6_000, 0)
		d := p.open(first, 0)
		check.Equal(t, "all of it", d.Amount, usd(3_000))
		p.look(card, 7_000, 3_000, 6_000, 0)
		p.move(p.move(d, dispute.UnderReview), dispute.Represented)
		p.look(card, 7_000, 3_000, 6_000, 0)
		p.move(d, dispute.Won)
		p.look(card, 7_000, 0, 3_000, 0)
		d = p.open(second, 500)
		p.look(card, 7_500, 500, 3_000, 0)
		p.move(d, dispute.Lost)
		p.look(card, 7_000, 0, 3_000, 0)
		d = p.open(third, 0)
		p.move(d, dispute.Withdrawn)
		p.look(card, 7_000, 0, 3_000, 0)
		check.Equal(t, "spent", p.spent(card), 3_000)
		check.Equal(t, "events", p.told(), []string{"dispute.opened", "dispute.under_review", "dispute.represented", "dispute.won", "dispute.opened", "dispute.lost",
			"dispute.opened", "dispute.withdrawn"})
		p.verify()
	})
}

// A credit that was spent is owed when the dispute is lost, and the next funding repays it;
// a frozen card gives back all the same, and the wallet for a card that is gone, unless it is
// below zero itself.
func TestLostAfterSpending(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.issue(10_000)
		d := p.open(p.buy(card, 10_000), 0)
		p.buy(card, 9_000)
		_, err := p.Cards.Freeze(t.Context(), ann, issuing.Step{Card: card})
		check.OK(t, err)
		p.move(d, dispute.Lost)
		p.look(card, 0, 0, 19_000, 9_000)
		_, err = p.Cards.Fund(t.Context(), ann, issuing.Transfer{Card: card, Amount: usd(1_000)})
		check.OK(t, err)
		p.look(card, 1_000, 0, 19_000, 0)

		empty := p.issue(1_000)
		d = p.open(p.buy(empty, 1_000), 0)
		p.buy(empty, 1_000)
		p.move(d, dispute.Lost)
		p.look(empty, 0, 0, 21_000, 1_000)

		gone := p.issue(5_000)
		d = p.open(p.buy(gone, 5_000), 0)
		_, err = p.Cards.Terminate(t.Context(), ann, issuing.Ending{Card: gone})
		check.OK(t, err)
		before := p.posted("wallet/USD")
		p.move(d, dispute.Lost)
		check.Equal(t, "what the wallet gave back", before-p.posted("wallet/USD"), 5_000)

		owing := p.issue(2_000)
		d = p.open(p.buy(owing, 2_000), 0)
		_, err = p.Cards.Terminate(t.Context(), ann, issuing.Ending{Card: owing})
		check.OK(t, err)
		purse, bank := wallet.Account(money.USD), ledger.NewAccount{ID: "wallet.deposits/BTC", Currency: money.USD, Side: ledger.Debit, Unbounded: true}
		_, err = p.Books.Submit(t.Context(), ledger.Operation{Book: ann.Book, Kind: "deposit.reverse", Actor: "op/1", At: p.clock.Now(), Open: []ledger.NewAccount{bank},
			Postings: []ledger.Posting{{Debit: purse.ID, Credit: bank.ID, Amount: usd(p.posted(purse.ID) + 1), Forced: true}}})
		check.OK(t, err)
		p.move(d, dispute.Lost)
		check.Equal(t, "what is owed when the wallet is below zero", []int64{p.posted(purse.ID), p.posted("card.receivable/USD")}, []int64{-1, 2_000})
		p.verify()
	})
}

// What was credited, spent and taken back is owed, and what the merchant gives back of the payment
// repays that before the card has it: during the dispute, and after it was in vain.
func TestRefundRepaysWhatWasSpent(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		settled := int64(0)
		for _, c := range []struct {
			decision dispute.State // before the refund; none: it comes during the dispute
			funded   bool
			balance  int64
		}{{"", false, 1_000}, {dispute.Lost, false, 1_000}, {dispute.Withdrawn, false, 1_000}, {dispute.Lost, true, 4_100}} {
			card := p.issue(10_000)
			payment := p.buy(card, 4_000)
			d := p.open(payment, 0)
			p.buy(card, 9_000)
			settled += 13_000
			p.look(card, 1_000, 4_000, settled, 0)
			if c.decision != "" {
				p.move(d, c.decision)
				p.look(card, 0, 0, settled, 3_000)
			}
			if c.funded { // it is owed no more
				_, err := p.Cards.Fund(t.Context(), ann, issuing.Transfer{Card: card, Amount: usd(100)})
				check.OK(t, err)
			}
			p.advise(p.Payments.Refund, authorization.Advice{Payment: payment, Amount: usd(4_000)}, "")
			settled -= 4_000
			p.look(card, c.balance, 0, settled, 0)
		}
		p.verify()
	})
}

// Where the operator's rules say so, what is contested is credited when it is won.
func TestCreditWhenWon(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.Policy.Provisional = false
		card := p.issue(10_000)
		first, second := p.buy(card, 3_000), p.buy(card, 2_000)
		won, lost := p.open(first, 0), p.open(second, 0)
		p.look(card, 5_000, 0, 5_000, 0)
		check.Equal(t, "spent while it is open", p.spent(card), 5_000)
		p.move(won, dispute.Won)
		p.move(lost, dispute.Lost)
		p.look(card, 8_000, 0, 2_000, 0)
		check.Equal(t, "spent", p.spent(card), 2_000)
		rest := p.open(p.buy(card, 1_000), 0)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: rest.Payment, Amount: usd(400)}, "") // of which nothing was credited
		p.look(card, 7_400, 0, 2_600, 0)
		p.move(rest, dispute.Won)
		p.look(card, 8_000, 0, 2_000, 0)
		check.Equal(t, "spent after a refund of a part", p.spent(card), 2_000)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: second, Amount: usd(2_000)}, "") // it is not contested any more
		p.verify()
	})
}

// Refunds and disputes of a payment are together never more than was captured. A refund
// that comes during a dispute takes the place of the credit.
func TestRefunds(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.issue(10_000)
		payment := p.buy(card, 3_000)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: payment, Amount: usd(1_000)}, "")
		_, err := p.Open(t.Context(), dispute.Opening{Holder: ann, Payment: payment, Reason: dispute.Fraud, Amount: usd(2_001)})
		check.Code(t, "more than is left", err, fault.InvalidAmount)
		d := p.open(payment, 1_500)
		p.look(card, 9_500, 1_500, 2_000, 0)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: payment, Amount: usd(2_001)}, authorization.ReasonOverRefund)
		p.look(card, 9_500, 1_500, 2_000, 0)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: payment, Amount: usd(500)}, "") // there is room for it
		p.look(card, 10_000, 1_500, 1_500, 0)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: payment, Amount: usd(600)}, "")
		p.look(card, 10_000, 900, 900, 0)
		now, err := p.Find(t.Context(), ann.Book, d.ID)
		check.OK(t, err)
		check.Equal(t, "what is left", []any{now.Left(), now.Refunded, now.State}, []any{usd(900), usd(600), dispute.Opened})
		p.advise(p.Payments.Refund, authorization.Advice{Payment: payment}, "") // all that was not refunded
		p.look(card, 10_000, 0, 0, 0)
		now, err = p.Find(t.Context(), ann.Book, d.ID)
		check.OK(t, err)
		check.Equal(t, "the dispute", []any{now.State, now.Decision}, []any{dispute.Won, "the merchant refunded it"})
		check.Equal(t, "events", p.told(), []string{"dispute.opened", "dispute.refunded", "dispute.won"})

		won := p.buy(card, 1_000)
		p.move(p.open(won, 800), dispute.Won)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: won, Amount: usd(201)}, authorization.ReasonOverRefund)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: won}, "") // what is left of it
		p.look(card, 10_000, 0, 0, 0)

		payment = p.buy(card, 1_000)
		p.move(p.open(payment, 400), dispute.Won)
		d = p.open(payment, 0)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: payment, Amount: usd(1_000)}, authorization.ReasonOverRefund) // a part of it was won
		p.look(card, 10_000, 600, 600, 0)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: payment, Amount: usd(600)}, "")
		p.look(card, 10_000, 0, 0, 0)
		now, err = p.Find(t.Context(), ann.Book, d.ID)
		check.OK(t, err)
		check.Equal(t, "the dispute of the rest", now.State, dispute.Won)
		p.verify()
	})
}

// outpaced has a dispute give way to somebody else first.
type outpaced struct{ authorization.Disputes }

func (o outpaced) GiveWay(ctx context.Context, r authorization.Room) error {
	if err := o.Disputes.GiveWay(ctx, r); err != nil {
		return err
	}
	return o.Disputes.GiveWay(ctx, r)
}

// A refund that comes twice at once is made, whichever of the two the dispute gave way to.
func TestRefundsAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.issue(10_000)
		payment := p.buy(card, 3_000)
		p.open(payment, 0)
		p.Payments.Disputes = outpaced{p.Service}
		p.advise(p.Payments.Refund, authorization.Advice{Payment: payment, Amount: usd(3_000)}, "")
		p.look(card, 10_000, 0, 0, 0)
		p.verify()
	})
}

// The reversal of a purchase takes the place of what a dispute gave back of it, as a refund
// does, once however often it comes.
func TestReversalGivesWay(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.issue(5_000)
		d, err := p.Payments.Authorize(t.Context(), authorization.Request{Book: ann.Book, Card: card, Key: "purchase", Amount: usd(1_000), Merchant: ads, Captured: true})
		check.OK(t, err)
		p.look(card, 4_000, 0, 1_000, 0)
		p.open(d.ID, 800)
		p.look(card, 4_800, 800, 1_000, 0)
		undo := authorization.Advice{Book: ann.Book, Original: "purchase", Key: "undo"}
		for range 2 {
			undone, err := p.Payments.Reverse(t.Context(), undo)
			check.OK(t, err)
			check.Equal(t, "reason", undone.Reason, authorization.ReasonNone)
			p.look(card, 5_000, 0, 0, 0)
		}

		// What a dispute gave back for good is not given back again.
		d, err = p.Payments.Authorize(t.Context(), authorization.Request{Book: ann.Book, Card: card, Key: "second", Amount: usd(1_000), Merchant: ads, Captured: true})
		check.OK(t, err)
		p.move(p.open(d.ID, 700), dispute.Won)
		p.advise(p.Payments.Reverse, authorization.Advice{Original: "second", Amount: usd(301)}, authorization.ReasonOverRefund)
		p.advise(p.Payments.Reverse, authorization.Advice{Original: "second"}, authorization.ReasonNone)
		p.look(card, 5_000, 0, 0, 0)
		p.verify()
	})
}

// What cannot be contested: another's payment, one that was not captured, one of which the
// time is over, one that is contested or was in vain.
func TestRefusals(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.issue(10_000)
		payment := p.buy(card, 1_000)
		open := dispute.Opening{Holder: ann, Payment: payment, Reason: dispute.Fraud}
		for name, row := range map[string]struct {
			change func(*dispute.Opening)
			code   fault.Code
		}{
			"another's":         {func(o *dispute.Opening) { o.Holder = bob }, fault.NotFound},
			"none":              {func(o *dispute.Opening) { o.Payment = "auth_none" }, fault.NotFound},
			"no line":           {func(o *dispute.Opening) { o.Transaction = "txn_none" }, fault.NotFound},
			"no reason":         {func(o *dispute.Opening) { o.Reason = "regret" }, fault.InvalidRequest},
			"other, of what":    {func(o *dispute.Opening) { o.Reason = dispute.Other }, fault.InvalidRequest},
			"a number":          {func(o *dispute.Opening) { o.Note = "my card 4111111111111111" }, fault.InvalidRequest},
			"less than nothing": {func(o *dispute.Opening) { o.Amount = usd(-1) }, fault.InvalidAmount},
			"nothing":           {func(o *dispute.Opening) { o.Amount = usd(0) }, fault.InvalidAmount},
			"a long text":       {func(o *dispute.Opening) { o.Text = strings.Repeat("x", dispute.MaxText+1) }, fault.InvalidRequest},
		} {
			o := open
			row.change(&o)
			_, err := p.Open(ctx, o)
			check.Code(t, name, err, row.code)
		}
		held, err := p.Payments.Authorize(ctx, authorization.Request{Book: ann.Book, Card: card, Key: p.key(), Amount: usd(100), Merchant: ads})
		check.OK(t, err)
		_, err = p.Open(ctx, dispute.Opening{Holder: ann, Payment: held.ID, Reason: dispute.Fraud})
		check.Code(t, "not captured", err, fault.InvalidState)
		d := p.open(payment, 400)
		_, err = p.Open(ctx, dispute.Opening{Holder: ann, Payment: payment, Reason: dispute.Fraud, Amount: usd(100)})
		check.Code(t, "again", err, fault.AlreadyExists)
		p.move(d, dispute.Withdrawn)
		d = p.open(payment, 0)
		_, err = p.Open(ctx, open)
		check.Code(t, "again when nothing is left to contest", err, fault.AlreadyExists)
		_, err = p.Move(ctx, dispute.Step{Book: ann.Book, Dispute: d.ID, To: dispute.Lost, Actor: "op/1"})
		check.Code(t, "lost without a word", err, fault.InvalidRequest)
		_, err = p.Move(ctx, dispute.Step{Book: ann.Book, Dispute: d.ID, To: "settled", Actor: "op/1"})
		check.Code(t, "a state that is none", err, fault.InvalidRequest)
		_, err = p.Move(ctx, dispute.Step{Book: bob.Book, Dispute: d.ID, To: dispute.Won, Actor: "op/1"})
		check.Code(t, "in another book", err, fault.NotFound)
		p.move(d, dispute.Lost)
		p.move(d, dispute.Lost) // the same again changes nothing
		_, err = p.Move(ctx, dispute.Step{Book: ann.Book, Dispute: d.ID, To: dispute.Won, Actor: "op/1"})
		check.Code(t, "won after it was lost", err, fault.InvalidState)
		_, err = p.Open(ctx, open)
		check.Code(t, "after it was in vain", err, fault.AlreadyExists)
		last, late := p.buy(card, 500), p.buy(card, 500)
		p.clock.Advance(120 * day)
		p.open(last, 0)
		p.clock.Advance(time.Microsecond)
		_, err = p.Open(ctx, dispute.Opening{Holder: ann, Payment: late, Reason: dispute.Fraud})
		check.Code(t, "too late", err, fault.InvalidState)
		p.verify()
	})
}

// A state lasts as long as the rules say: then the dispute moves on, by a sweep or before
// the next step.
func TestTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.issue(10_000)
		first, second := p.buy(card, 1_000), p.buy(card, 1_000)
		d, other := p.open(first, 0), p.open(second, 0)
		expect := func(moved int, state dispute.State) {
			t.Helper()
			n, err := p.Expire(t.Context())
			check.OK(t, err)
			check.Equal(t, "moved on", n, moved)
			now, err := p.Find(t.Context(), ann.Book, d.ID)
			check.OK(t, err)
			check.Equal(t, "state", now.State, state)
		}
		p.clock.Advance(30*day - time.Microsecond)
		expect(0, dispute.Opened)
		p.clock.Advance(time.Microsecond)
		expect(2, dispute.UnderReview)
		p.move(other, dispute.Represented)
		p.clock.Advance(30 * day)
		_, err := p.Move(t.Context(), dispute.Step{Book: ann.Book, Dispute: other.ID, To: dispute.Won, Actor: "op/1"})
		check.Code(t, "won when it was lost by time", err, fault.InvalidState)
		p.clock.Advance(15 * day)
		expect(1, dispute.Won)
		p.look(card, 9_000, 0, 1_000, 0)
		p.verify()
	})
}

// Evidence is sealed, bounded, and shown to those alone who are in the audit log.
func TestEvidence(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, secret := t.Context(), "the parcel never came to Elm Street"
		d, err := p.Open(ctx, dispute.Opening{Holder: ann, Payment: p.buy(p.issue(10_000), 1_000), Reason: dispute.NotReceived, Text: secret})
		check.OK(t, err)
		add := func(media string, content []byte) error {
			_, err := p.Add(ctx, dispute.Addition{Book: ann.Book, Dispute: d.ID, Evidence: dispute.Evidence{MediaType: media, Content: content}, Actor: "seed/ann"})
			return err
		}
		paper := []byte("%PDF-1.4 " + secret)
		check.OK(t, add("application/pdf", paper))
		check.Code(t, "a program", add("application/x-sh", paper), fault.InvalidRequest)
		check.Code(t, "what is no picture", add("image/png", paper), fault.InvalidRequest)
		check.Code(t, "nothing", add("text/plain", nil), fault.InvalidRequest)
		check.Code(t, "too large", add("application/pdf", append(paper, make([]byte, dispute.MaxFile)...)), fault.InvalidRequest)
		got, err := p.Read(ctx, dispute.Reading{Book: ann.Book, Dispute: d.ID, Place: 2, Actor: "op/1"})
		check.OK(t, err)
		check.Equal(t, "the file", string(got.Content), string(paper))
		_, err = p.Read(ctx, dispute.Reading{Book: ann.Book, Dispute: d.ID, Place: 3, Actor: "op/1"})
		check.Code(t, "no such piece", err, fault.NotFound)
		_, err = p.Read(ctx, dispute.Reading{Book: bob.Book, Dispute: d.ID, Place: 1, Actor: "op/1"})
		check.Code(t, "another's", err, fault.NotFound)
		list, err := p.Evidence(ctx, ann.Book, d.ID)
		check.OK(t, err)
		check.Equal(t, "list", fmt.Sprint(len(list), list[0].MediaType, list[1].Size), fmt.Sprint(2, "text/plain", len(paper)))
		for range dispute.MaxEvidence - 2 {
			check.OK(t, add("text/plain", []byte("more")))
		}
		check.Code(t, "too many", add("text/plain", []byte("more")), fault.QuotaExceeded)
		p.move(d, dispute.Won)
		check.Code(t, "once it is decided", add("text/plain", []byte("more")), fault.InvalidState)
		noted := p.audited(d)
		check.Equal(t, "the audit log begins", noted[:3], []string{"seed/ann dispute.open", "seed/ann dispute.evidence 2", "op/1 dispute.read_evidence"})
		check.Equal(t, "and ends", noted[len(noted)-2:], []string{"seed/ann dispute.evidence 10", "op/1 dispute.win as decided"})
		check.OK(t, p.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
			tables, err := storage.Tables(ctx, q)
			for _, table := range tables {
				err = table.Each(ctx, q, func(row []any) error {
					for _, column := range row {
						raw, isBytes := column.([]byte)
						if isBytes && bytes.Contains(raw, []byte("Elm Street")) || !isBytes && strings.Contains(fmt.Sprint(column), "Elm Street") {
							t.Errorf("%s holds evidence in the clear", table.Name)
						}
					}
					return nil
				})
			}
			return err
		}))
	})
}

// Many who decide, refund and contest at once leave one decision, and the books right.
func TestAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.issue(50_000)
		for range 5 {
			payment := p.buy(card, 1_000)
			var group sync.WaitGroup
			opened := make(chan dispute.Dispute, 8)
			for range 8 {
				group.Go(func() {
					if d, err := p.Open(context.Background(), dispute.Opening{Holder: ann, Payment: payment, Reason: dispute.Fraud}); err == nil {
						opened <- d
					} else if code := fault.CodeOf(err); code != fault.AlreadyExists && code != fault.InvalidAmount {
						t.Errorf("open: %v", err)
					}
				})
			}
			group.Wait()
			check.Equal(t, "opened", len(opened), 1)
			d := <-opened
			keys := []string{p.key(), p.key(), p.key(), p.key()}
			for i, to := range []dispute.State{dispute.Won, dispute.Lost, dispute.Withdrawn, dispute.UnderReview} {
				group.Go(func() {
					_, err := p.Move(context.Background(), dispute.Step{Book: ann.Book, Dispute: d.ID, To: to, Words: "now", Actor: "op/1"})
					if code := fault.CodeOf(err); err != nil && code != fault.InvalidState {
						t.Errorf("%s: %v", to, err)
					}
				})
				group.Go(func() {
					_, err := p.Payments.Refund(context.Background(), authorization.Advice{Book: ann.Book, Payment: payment, Key: keys[i], Amount: usd(300)})
					if err != nil {
						t.Errorf("refund: %v", err)
					}
				})
			}
			group.Wait()
		}
		p.verify()
	})
}

// In long random histories nothing is given back twice: refunds and what disputes gave are
// never more than was captured, what stands on the account of open disputes is what is left of
// those that were credited, and the card has spent what the network is owed but for that.
func TestNeverMoreThanCaptured(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		seed := uint64(20261128)
		if !testing.Short() {
			seed = rand.Uint64()
		}
		t.Logf("seed %d", seed)
		dice, ctx := rand.New(rand.NewPCG(seed, 2)), t.Context()
		card := p.issue(90_000)
		var payments []authorization.ID
		all := map[dispute.ID]dispute.Dispute{}
		for range 6 {
			payments = append(payments, p.buy(card, int64(100+dice.IntN(5_000))))
		}
		for range 150 {
			payment := payments[dice.IntN(len(payments))]
			p.Policy.Provisional = dice.IntN(3) > 0
			switch dice.IntN(4) {
			case 0:
				if d, err := p.Open(ctx, dispute.Opening{Holder: ann, Payment: payment, Reason: dispute.Fraud, Amount: usd(int64(dice.IntN(3_000)))}); err == nil {
					all[d.ID] = d
				}
			case 1:
				_, err := p.Payments.Refund(ctx, authorization.Advice{Book: ann.Book, Payment: payment, Key: p.key(), Amount: usd(int64(dice.IntN(900)))})
				check.OK(t, err)
			case 2:
				for id := range all {
					to := dispute.States()[dice.IntN(len(dispute.States()))]
					if _, err := p.Move(ctx, dispute.Step{Book: ann.Book, Dispute: id, To: to, Words: "so", Actor: "op/1"}); err != nil {
						check.Code(t, "move", err, fault.InvalidState)
					}
					break
				}
			case 3:
				payments = append(payments, p.buy(card, int64(100+dice.IntN(900))))
			}
		}
		given, open := map[authorization.ID]int64{}, int64(0)
		found, err := p.List(ctx, dispute.Filter{Book: ann.Book, Limit: dispute.MaxPage})
		check.OK(t, err)
		check.Equal(t, "disputes", len(found), len(all))
		for _, d := range found {
			if d.State.Open() && d.Credited {
				open += d.Left().Minor
			}
			if d.State.Open() || d.State == dispute.Won {
				given[d.Payment] += d.Left().Minor
			}
		}
		check.Equal(t, "on the account of open disputes", p.posted("card.disputed/USD"), open)
		check.Equal(t, "spent", p.spent(card), p.posted("card.settlement/USD")-open)
		for _, payment := range slices.Compact(slices.Sorted(slices.Values(payments))) {
			paid, err := p.Payments.Paid(ctx, ann.Book, payment)
			check.OK(t, err)
			page, err := p.Payments.List(ctx, authorization.Filter{Book: ann.Book, Type: authorization.TypeRefund, Limit: authorization.MaxPerPage})
			check.OK(t, err)
			for _, line := range page.Transactions {
				if line.Payment == payment {
					given[payment] += line.Amount.Minor
				}
			}
			check.Equal(t, "counted as given back", paid.Returned.Minor, given[payment])
			if given[payment] > paid.Captured.Minor {
				t.Errorf("%s: captured %s, given back %d", payment, paid.Captured, given[payment])
			}
		}
		p.verify()
	})
}

// What an operator reversed in the books cannot be contested, and what is contested is not
// reversed any more.
func TestReversedInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.issue(10_000)
		first, second := p.buy(card, 3_000), p.buy(card, 2_000)
		reverse := func(payment authorization.ID) error {
			lines, err := p.Payments.List(t.Context(), authorization.Filter{Book: ann.Book, Type: authorization.TypeSettlement})
			check.OK(t, err)
			at := slices.IndexFunc(lines.Transactions, func(l authorization.Transaction) bool { return l.Payment == payment })
			_, err = p.Books.Submit(t.Context(), ledger.Operation{Book: ann.Book, Kind: "transaction.reverse", Reverses: lines.Transactions[at].Books, Actor: "op/1", At: p.clock.Now()})
			return err
		}
		check.OK(t, reverse(first))
		_, err := p.Open(t.Context(), dispute.Opening{Holder: ann, Payment: first, Reason: dispute.Fraud})
		check.Code(t, "contesting what was reversed", err, fault.InvalidState)
		p.open(second, 500)
		check.Code(t, "reversing what is contested", reverse(second), fault.InvalidState)
		p.verify()
	})
}

// A credit that an operator reversed in the books is not taken back a second time, from
// another dispute's credit, and is given when the dispute is won; once it is decided, or the
// merchant refunded a part, it is not reversed any more.
func TestCreditReversedInTheBooks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		reverse := func(d dispute.Dispute) error {
			credit, _, err := p.Books.FindByKey(t.Context(), ann.Book, "dispute.credit/"+string(d.ID))
			check.OK(t, err)
			_, err = p.Books.Submit(t.Context(), ledger.Operation{Book: ann.Book, Kind: "transaction.reverse", Reverses: credit.Transaction, Actor: "op/1", At: p.clock.Now()})
			return err
		}
		card := p.issue(10_000)
		other := p.open(p.buy(card, 2_000), 0)
		p.look(card, 10_000, 2_000, 2_000, 0)
		lost := p.open(p.buy(card, 1_000), 0)
		check.OK(t, reverse(lost))
		p.look(card, 9_000, 2_000, 3_000, 0)
		p.move(lost, dispute.Lost)
		p.look(card, 9_000, 2_000, 3_000, 0)
		won := p.open(p.buy(card, 500), 0)
		check.OK(t, reverse(won))
		p.look(card, 8_500, 2_000, 3_500, 0)
		p.move(won, dispute.Won)
		p.look(card, 9_000, 2_000, 3_000, 0)
		check.Code(t, "reversed twice", reverse(won), fault.AlreadyReversed)
		payment := p.buy(card, 800)
		refunded := p.open(payment, 0)
		check.OK(t, reverse(refunded))
		p.look(card, 8_200, 2_000, 3_800, 0)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: payment}, "")
		p.look(card, 9_000, 2_000, 3_000, 0)
		check.Equal(t, "spent", p.spent(card), 1_000)
		p.move(other, dispute.Lost)
		check.Code(t, "reversed after it was taken back", reverse(other), fault.InvalidState)
		p.look(card, 7_000, 0, 3_000, 0)
		p.verify()
	})
}

// A dispute whose credit was reversed ends when its time is over.
func TestTimeOfReversedCredit(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.issue(10_000)
		d := p.move(p.move(p.open(p.buy(card, 1_000), 0), dispute.UnderReview), dispute.Represented)
		credit, _, err := p.Books.FindByKey(t.Context(), ann.Book, "dispute.credit/"+string(d.ID))
		check.OK(t, err)
		_, err = p.Books.Submit(t.Context(), ledger.Operation{Book: ann.Book, Kind: "transaction.reverse", Reverses: credit.Transaction, Actor: "op/1", At: p.clock.Now()})
		check.OK(t, err)
		p.clock.Advance(31 * day)
		_, err = p.Expire(t.Context())
		check.OK(t, err)
		now, err := p.Find(t.Context(), ann.Book, d.ID)
		check.OK(t, err)
		check.Equal(t, "state", now.State, dispute.Lost)
		p.look(card, 9_000, 0, 1_000, 0)
		p.verify()
	})
}

// What decided a dispute, or made way for a refund, is not reversed in the books: the money
// would be the cardholder's while it does not count as given back, and a refund would give it
// once more.
func TestDecisionStands(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		reverse := func(kind string) error {
			all, err := p.Books.ListTransactions(t.Context(), ann.Book, 0, ledger.MaxPage)
			check.OK(t, err)
			at := slices.IndexFunc(all, func(o ledger.Outcome) bool { return o.Kind == kind })
			_, err = p.Books.Submit(t.Context(), ledger.Operation{Book: ann.Book, Kind: "transaction.reverse", Reverses: all[at].Transaction, Actor: "op/1", At: p.clock.Now()})
			return err
		}
		card := p.issue(10_000)
		for _, end := range []dispute.State{dispute.Lost, dispute.Withdrawn} {
			payment := p.buy(card, 1_000)
			p.move(p.open(payment, 0), end)
			p.look(card, 9_000, 0, 1_000, 0)
			check.Code(t, string(end), reverse("dispute.reverse"), fault.InvalidState)
			p.advise(p.Payments.Refund, authorization.Advice{Payment: payment}, "")
			p.advise(p.Payments.Refund, authorization.Advice{Payment: payment}, authorization.ReasonOverRefund)
			p.look(card, 10_000, 0, 0, 0)
		}
		payment := p.buy(card, 1_000)
		d := p.open(payment, 0)
		p.advise(p.Payments.Refund, authorization.Advice{Payment: payment, Amount: usd(400)}, "")
		check.Code(t, "what made way", reverse("dispute.refund"), fault.InvalidState)
		p.look(card, 10_000, 600, 600, 0)
		p.move(d, dispute.Won)
		check.Code(t, "won", reverse("dispute.win"), fault.InvalidState)
		p.look(card, 10_000, 0, 0, 0)
		p.verify()
	})
}

// An account that an operator froze keeps no dispute from being decided against its cardholder.
func TestFrozenAccount(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.issue(10_000)
		d := p.open(p.buy(card, 10_000), 0)
		p.buy(card, 9_000)
		_, err := p.Books.Submit(t.Context(), ledger.Operation{Book: ann.Book, Kind: "account.freeze", Actor: "op/1", At: p.clock.Now(),
			States: []ledger.StateChange{{Account: "card.disputed/USD", To: ledger.Frozen}}})
		check.OK(t, err)
		p.move(d, dispute.Lost)
		p.look(card, 0, 0, 19_000, 9_000)
		p.verify()
	})
}
