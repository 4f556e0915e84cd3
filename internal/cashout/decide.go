package cashout

import (
	"context"
	"errors"
	"strconv"

	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// The kinds of the ledger's transactions.
const (
	kindApprove = "cashout.approve"
	kindBlock   = "cashout.block"
	kindAgain   = "cashout.pay_again"
	kindClear   = "cashout.clear"
)

// The accounts: what cards brought, what was kept of it, what stands between dollars and
// bitcoin, and what is owed and to whom.
const (
	accountCards    = "cashout.cards/"
	accountFees     = "cashout.fees/"
	accountExchange = "cashout.exchange/"
	accountOwed     = "cashout.owed/"
	accountBlocked  = "cashout.blocked/"
)

// Owed returns the account of what is owed for an order.
func Owed(order ID) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID(accountOwed + string(order)), Currency: money.BTC, Side: ledger.Credit}
}

// Decision is what reviewers decided about an order.
type Decision struct {
	Book     ledger.BookID
	Order    ID
	Verdicts []Verdict
	// Reason is for a rejection as a whole, and for the books; may be empty.
	Reason string
	Actor  string
	Also   storage.Also[*Order]
}

func (d *Decision) also(o *Order) ([]storage.Effect, error) {
	var effects []storage.Effect
	for i := range d.Verdicts {
		effects = append(effects, d.Verdicts[i].put(o))
	}
	return d.Also.With(effects, o)
}

// Approve takes the card's value into the books, owes the bitcoin and has it paid; or, where
// a list has the customer or the address, owes it to nobody and blocks the order. It returns
// not_found, invalid_state, and unavailable where a list cannot be asked or nothing is paid.
func (s *Service) Approve(ctx context.Context, d Decision) (Order, error) {
	o, desk, err := s.decided(ctx, &d)
	if err != nil {
		return Order{}, err
	}
	match, err := s.screen(ctx, desk, &o)
	if err != nil {
		return Order{}, err
	}
	if match.Found() {
		return s.block(ctx, o, &d, match)
	}
	op, err := s.posting(&o, Owed(o.ID))
	if err != nil {
		return Order{}, err
	}
	op.Kind, op.Key = kindApprove, kindApprove+"/"+string(o.ID)
	return s.approve(ctx, o, &d, op)
}

// approve has an order paid with the operation that owes what it is.
func (s *Service) approve(ctx context.Context, o Order, d *Decision, op ledger.Operation) (Order, error) {
	if err := o.become(Approved); err != nil {
		return Order{}, err
	}
	op.Actor = d.Actor
	op.Effects = func(ledger.Outcome) ([]storage.Effect, error) {
		effects, err := s.with(&o, d, s.Desks[o.Realm], eventApproved)
		if o.Payout == "" {
			effects = append(effects, s.tell(&o, eventFailed)...)
		}
		return effects, err
	}
	if err := s.plan(ctx, &o, &op); err != nil {
		return Order{}, err
	}
	done, err := s.Books.Submit(ctx, op)
	if err != nil {
		return Order{}, stale(err)
	}
	if done.Replayed {
		return Order{}, late()
	}
	s.Queue.Wake()
	o.Revision++
	return o, nil
}

// late says of a decision that it was made before.
func late() error {
	return fault.New(fault.InvalidState, "the order changed meanwhile: look at it again")
}

// decided reads the order of a decision.
func (s *Service) decided(ctx context.Context, d *Decision) (Order, *Desk, error) {
	o, err := s.Get(ctx, d.Book, d.Order)
	if err != nil {
		return Order{}, nil, err
	}
	desk, err := s.desk(o.Realm)
	if err == nil && o.Status != Processing {
		err = fault.New(fault.InvalidState, "the order is %s", o.Status)
	}
	o.ChangedAt = s.Clocks.Now(o.Realm)
	o.DecidedAt = o.ChangedAt
	return o, desk, err
}

// stale says of a decision that somebody else was first, that an operator reversed in the
// books what was owed, or that enough is paid out for a day.
func stale(err error) error {
	switch {
	case errors.Is(err, storage.ErrStale):
		return fault.Wrap(err, fault.InvalidState, "the order changed meanwhile: look at it again")
	case fault.CodeOf(err) == fault.AlreadyReversed:
		return fault.Wrap(err, fault.InvalidState, "what blocked the order was reversed in the books: nothing is owed for it")
	case fault.CodeOf(err) == fault.InsufficientFunds:
		return fault.Wrap(err, fault.InvalidState, "nothing is owed for the order any more: its approval was reversed in the books")
	case fault.CodeOf(err) == fault.GuardExceeded: // the payout's: a decision has no other guard
		full := *fault.From(err)
		full.Message = "more would be paid out than on one day (UTC) may be: decide tomorrow, or have the rule daily of the setting payouts raised"
		return &full
	}
	return err
}

// screen asks the lists about an order. What was cleared of it does not count, as if it were
// cleared already does one of its matches.
func (s *Service) screen(ctx context.Context, d *Desk, o *Order, clearing ...customer.Block) (customer.Match, error) {
	if d.Screener == nil {
		return customer.Match{}, nil
	}
	who, err := s.subject(ctx, o)
	if err != nil {
		return customer.Match{}, err
	}
	blocks, err := s.Blocks(ctx, o.Book, string(o.ID))
	if err != nil {
		return customer.Match{}, err
	}
	who.Cleared = s.customers.Passed(append(blocks, clearing...), who)
	return d.Screener.Screen(ctx, who)
}

// subject is who would be paid for an order, and where.
func (s *Service) subject(ctx context.Context, o *Order) (customer.Subject, error) {
	who, err := s.PersonOf(ctx, o)
	return customer.Subject{Name: who.Name, Address: o.To.Text}, err
}

// Blocks returns the matches with lists that orders of a book have had, each order's newest last.
func (s *Service) Blocks(ctx context.Context, book ledger.BookID, orders ...string) ([]customer.Block, error) {
	return s.customers.Blocks(ctx, s.DB, book, orders...)
}

// found is the match that blocks an order as it is about to be written.
func (s *Service) found(ctx context.Context, o *Order, m customer.Match) (customer.Block, error) {
	who, err := s.subject(ctx, o)
	return customer.Block{Match: m, Book: o.Book, Order: string(o.ID), Revision: o.Revision, Subject: s.customers.HashOf(m.Kind, who), FoundAt: s.Clocks.Now(o.Realm)}, err
}

// plan adds the payout to an operation. Where it can never be paid where the order says,
// the order waits for another destination, and what is owed stays owed.
func (s *Service) plan(ctx context.Context, o *Order, op *ledger.Operation) error {
	payouts := s.Desks[o.Realm].Payouts
	if payouts == nil {
		return fault.New(fault.Unavailable, "nothing can be paid out just now")
	}
	payout, err := payouts.Plan(ctx, Payment{Book: o.Book, Realm: o.Realm, Order: o.ID, To: o.To.Text, Amount: o.Bitcoin, From: Owed(o.ID).ID}, op)
	o.Payout, o.Reason = payout, ""
	switch fault.CodeOf(err) {
	case fault.InvalidRequest, fault.AlreadyExists:
		o.Reason = fault.From(err).Message
		return nil
	case fault.FeatureDisabled:
		return fault.Wrap(err, fault.Unavailable, "nothing can be paid there just now")
	default:
		return err
	}
}

// posting is an order in the books: the card's value came, a part of it is the fee, the rest
// became bitcoin that is owed.
func (s *Service) posting(o *Order, owed ledger.NewAccount) (ledger.Operation, error) {
	worth, err := o.Price.Worth(o.Bitcoin)
	if err != nil {
		return ledger.Operation{}, err
	}
	usd := o.Amount.Currency
	account := func(name string, side ledger.Side, c money.Currency) ledger.NewAccount {
		return ledger.NewAccount{ID: ledger.AccountID(name + c.String()), Currency: c, Side: side, Unbounded: true}
	}
	cards, fees := account(accountCards, ledger.Debit, usd), account(accountFees, ledger.Credit, usd)
	dollars, bitcoin := account(accountExchange, ledger.Credit, usd), account(accountExchange, ledger.Debit, money.BTC)
	op := ledger.Operation{Book: o.Book, At: o.ChangedAt, Reference: string(o.ID) + " at " + o.Price.Cents.String() + " " + usd.String(),
		Open: []ledger.NewAccount{cards, fees, dollars, bitcoin, owed}}
	for _, p := range []ledger.Posting{
		{Debit: cards.ID, Credit: dollars.ID, Amount: worth},
		{Debit: cards.ID, Credit: fees.ID, Amount: money.New(o.Amount.Minor-worth.Minor, usd)},
		{Debit: bitcoin.ID, Credit: owed.ID, Amount: o.Bitcoin},
	} {
		if p.Amount.IsPositive() {
			op.Postings = append(op.Postings, p)
		}
	}
	return op, nil
}

// with is what is written with a decision: the order, its pictures' clock and the event.
func (s *Service) with(o *Order, d *Decision, desk *Desk, event string) ([]storage.Effect, error) {
	effects, err := d.also(o)
	if err != nil {
		return nil, err
	}
	keep := desk.KeepImages
	if o.Status == Blocked {
		keep = desk.KeepBlocked
	}
	effects = append(effects, desk.erase(o, keep)...)
	return append(append(effects, o.revise()), s.tell(o, event)...), nil
}

// block owes an order's bitcoin to nobody. Who asks for the order is not told.
func (s *Service) block(ctx context.Context, o Order, d *Decision, m customer.Match) (Order, error) {
	if err := o.become(Blocked); err != nil {
		return Order{}, err
	}
	o.Reason = listed(m)
	op, err := s.posting(&o, blocked())
	if err != nil {
		return Order{}, err
	}
	op.Key = kindBlock + "/" + string(o.ID)
	return s.withhold(ctx, o, d, withheld{op, m})
}

func listed(m customer.Match) string {
	return "the " + m.Kind + " is on the list " + strconv.Quote(m.List)
}

// blocked is the account of what is owed to nobody.
func blocked() ledger.NewAccount {
	return ledger.NewAccount{ID: accountBlocked + "BTC", Currency: money.BTC, Side: ledger.Credit}
}

// withheld is the operation that blocks an order, and the match for which it does.
type withheld struct {
	ledger.Operation
	match customer.Match
}

// withhold carries out the operation that blocks an order.
func (s *Service) withhold(ctx context.Context, o Order, d *Decision, w withheld) (Order, error) {
	found, err := s.found(ctx, &o, w.match)
	if err != nil {
		return Order{}, err
	}
	op := w.Operation
	op.Kind, op.Actor = kindBlock, d.Actor
	op.Effects = func(done ledger.Outcome) ([]storage.Effect, error) {
		effects, err := s.with(&o, d, s.Desks[o.Realm], eventBlocked)
		block := found
		block.Transaction = done.Transaction
		return append(effects, block.Add()), err
	}
	done, err := s.Books.Submit(ctx, op)
	if err != nil {
		return Order{}, stale(err)
	}
	if done.Replayed {
		return Order{}, late()
	}
	o.Revision++
	return o, nil
}

// Reject sends an order back to its customer, for the pictures that are bad. It returns
// not_found and invalid_state.
func (s *Service) Reject(ctx context.Context, d Decision) (Order, error) {
	o, _, err := s.decided(ctx, &d)
	if err != nil {
		return Order{}, err
	}
	if err := o.become(Authorized); err != nil {
		return Order{}, err
	}
	o.Round++
	o.Reason, o.ExpiresAt = d.Reason, o.ChangedAt.Add(Lifetime)
	return s.write(ctx, o, &d, eventRejected)
}

// write makes a decision that is not in the books.
func (s *Service) write(ctx context.Context, o Order, d *Decision, event string) (Order, error) {
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		effects, err := d.also(&o)
		if err != nil {
			return err
		}
		effects = append(effects, o.revise())
		if event != "" {
			effects = append(effects, s.tell(&o, event)...)
		}
		return tx.Apply(ctx, effects)
	})
	if err != nil {
		return Order{}, stale(err)
	}
	o.Revision++
	return o, nil
}
