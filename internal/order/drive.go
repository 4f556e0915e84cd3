package order

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	// jobDeliver goes on with an order that a supplier delivers; its unique key is the
	// order's number.
	jobDeliver  = "supply.deliver"
	mostResumed = 32
	// resumeTimeout is longer than the calls of a round take: a price, a submission.
	resumeTimeout = 15 * time.Minute
	// mostRounds bounds how often an order is read again because somebody else went on with it.
	mostRounds = 32
)

// standing is an order under way: what was asked of suppliers, and what they delivered.
type standing struct {
	order    Order
	product  catalog.Product
	tries    []supply.Row
	reserved []stock.Code
}

// open returns the submission of which it is not known what becomes of it, or nil.
func (st *standing) open() *supply.Row {
	if n := len(st.tries); n > 0 && st.tries[n-1].Open() {
		return &st.tries[n-1]
	}
	return nil
}

// rest is how many codes nobody delivered yet.
func (st *standing) rest() int { return st.order.Quantity - len(st.reserved) }

// offer is what the order was placed for.
func (st *standing) offer() offer { return offer{st.product, st.order.Face, st.order.Price} }

// spare is what becomes of codes that the order does not keep: they are for sale, unless
// they have a denomination that only its buyer chose.
func (st *standing) spare() stock.State {
	if st.product.IsRange() {
		return stock.Quarantined
	}
	return stock.Available
}

// asked reports whether a supplier was asked for the order before.
func (st *standing) asked(supplier string) bool {
	for i := range st.tries {
		if st.tries[i].Supplier == supplier {
			return true
		}
	}
	return false
}

// costs are what suppliers are owed for what they delivered.
func (st *standing) costs() []cost {
	var all []cost
	for i := range st.tries {
		if t := &st.tries[i]; t.Delivered > 0 {
			all = append(all, cost{t.Supplier, t.Cost})
		}
	}
	return all
}

// read returns how an order stands.
func (s *Service) read(ctx context.Context, book ledger.BookID, number Number) (st standing, err error) {
	err = s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		var found bool
		if st.order, found, err = storage.One(ctx, q, scanOrder, findOrder, string(book), int64(number)); err != nil {
			return err
		}
		if !found {
			return fault.New(fault.NotFound, "no such order")
		}
		if st.tries, err = s.Supply.Submissions(ctx, q, book, int64(number)); err != nil {
			return err
		}
		st.reserved, err = s.Stock.Reserved(ctx, q, book, number.ref())
		return err
	})
	if err != nil {
		return st, err
	}
	st.product, err = s.Catalog.Find(ctx, st.order.Item)
	return st, err
}

// resume is the job that goes on with an order.
func (s *Service) resume(ctx context.Context, j job.Job) error {
	number, err := strconv.ParseInt(string(j.Payload), 10, 64)
	if err != nil {
		return job.Discard(fmt.Errorf("resume order: %w", err))
	}
	pause, err := s.advance(ctx, ledger.BookID(j.Book), Number(number), nil)
	if err == nil && pause > 0 {
		err = job.Postpone(pause)
	}
	return err
}

// advance goes on with an order until it is over, or has to wait for so long.
func (s *Service) advance(ctx context.Context, book ledger.BookID, number Number, w *waiter) (time.Duration, error) {
	for round := 1; ; round++ {
		st, err := s.read(ctx, book, number)
		if err != nil || st.order.Status != Processing {
			return 0, err
		}
		pause, err := s.step(ctx, &st, w)
		switch {
		case (errors.Is(err, storage.ErrStale) || storage.IsUnique(err)) && round < mostRounds:
			// Somebody else went on with it, or has a code: see how it stands now.
		case err != nil || pause > 0:
			return pause, err
		}
	}
}

// step does the next thing to be done about an order.
func (s *Service) step(ctx context.Context, st *standing, w *waiter) (time.Duration, error) {
	open := st.open()
	if open == nil {
		return s.next(ctx, st, w)
	}
	if busy := s.Supply.Busy(open); busy > 0 {
		return busy, nil
	}
	before := open.BusyUntil
	row, asking := s.Supply.Asking(*open)
	if err := s.write(ctx, asking); err != nil {
		return 0, err
	}
	st.tries[len(st.tries)-1] = row
	ask := s.Supply.Query
	if st.order.GivenUp {
		ask = s.Supply.Cancel
	}
	answer := ask(ctx, &row)
	if answer.Reference != "" {
		row.Reference = answer.Reference
	}
	if answer.NotCalled() || (answer.State == supply.Refused && !s.Supply.Believes(&row, before)) {
		answer.State = supply.Unknown
	}
	return s.record(ctx, st, recorded{row, answer}, w)
}

// begin makes the first call about a submission that was just written, and goes on from there.
func (s *Service) begin(ctx context.Context, st *standing, w *waiter) (time.Duration, error) {
	row := *st.open()
	answer := s.Supply.Submit(ctx, &row)
	if answer.NotCalled() {
		answer.State = supply.Refused
	}
	row.Reference = answer.Reference
	pause, err := s.record(ctx, st, recorded{row, answer}, w)
	if err != nil && !errors.Is(err, storage.ErrStale) || pause > 0 {
		return pause, err
	}
	return s.advance(ctx, st.order.Book, st.order.Number, w)
}

// write makes effects in a transaction of their own.
func (s *Service) write(ctx context.Context, effects ...storage.Effect) error {
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return tx.Apply(ctx, effects) })
}

// recorded is a submission with the answer to be kept.
type recorded struct {
	supply.Row
	answer supply.Answer
}

// record keeps what a supplier said. It returns how long to wait before it is asked again.
func (s *Service) record(ctx context.Context, st *standing, r recorded, w *waiter) (time.Duration, error) {
	s.Supply.Idle(&r.Row)
	r.Reason = r.answer.Reason
	switch r.answer.State {
	case supply.Delivered:
		return 0, s.receive(ctx, st, r, w)
	case supply.Refused:
		r.State = supply.Refused
		s.Logger.WarnContext(ctx, "supplier refused", "supplier", r.Supplier, "order", st.order.Name(), "submission", string(r.ID), "reason", r.Reason)
		return 0, s.write(ctx, s.Supply.Changed(&r.Row))
	case supply.Working:
		r.State = supply.Working
	case supply.Unknown:
	}
	pause := r.Pause()
	return pause, s.write(ctx, s.Supply.Changed(&r.Row), s.wakeAt(&st.order, pause))
}

// receive keeps what a supplier delivered. Codes may come from elsewhere meanwhile: then it
// is looked again which ones are new.
func (s *Service) receive(ctx context.Context, st *standing, r recorded, w *waiter) error {
	for try := 1; ; try++ {
		err := s.receiveNew(ctx, st, r, w)
		if !storage.IsUnique(err) || try == maxTries {
			return err
		}
	}
}

// receiveNew completes an order with what was delivered, or reserves it for the order.
func (s *Service) receiveNew(ctx context.Context, st *standing, r recorded, w *waiter) error {
	receipt, err := s.Stock.Receive(ctx, stock.Delivery{Realm: st.order.Realm, Item: st.order.Item, Supplier: r.Supplier, Book: st.order.Book,
		Order: st.order.Number.ref(), Codes: r.answer.Codes, Spare: st.spare()})
	if err != nil {
		return err
	}
	keep := min(st.rest(), len(receipt.Codes))
	r.State, r.Delivered = supply.Delivered, keep
	var costs []catalog.Cost
	for _, c := range receipt.Codes[:keep] {
		costs = append(costs, c.Cost)
	}
	r.Cost = total(costs)
	if short := r.Quantity - len(receipt.Codes); short != 0 || receipt.Known > 0 || receipt.Unfit > 0 {
		r.Reason = fmt.Sprintf("of %d codes %d were new, %d known and %d unfit", r.Quantity, len(receipt.Codes), receipt.Known, receipt.Unfit)
		s.Logger.WarnContext(ctx, "supplier delivered something else than was asked for", "supplier", r.Supplier, "order", st.order.Name(),
			"submission", string(r.ID), "asked", r.Quantity, "new", len(receipt.Codes), "known", receipt.Known, "unfit", receipt.Unfit)
	}
	if keep < st.rest() {
		return s.write(ctx, append(receipt.Keep(keep, stock.Reserved, st.order.CreatedAt), s.Supply.Changed(&r.Row))...)
	}
	return s.complete(ctx, st, filling{codes: receipt.Codes[:keep], costs: []cost{{r.Supplier, r.Cost}},
		effects: func(at time.Time) []storage.Effect {
			return append(receipt.Keep(keep, stock.Sold, at), s.Supply.Changed(&r.Row))
		}}, w)
}

// next has somebody else deliver what is left of an order, or ends it.
func (s *Service) next(ctx context.Context, st *standing, w *waiter) (time.Duration, error) {
	if st.rest() == 0 {
		return 0, s.complete(ctx, st, filling{effects: func(time.Time) []storage.Effect { return nil }}, w)
	}
	if st.order.GivenUp {
		return 0, s.fail(ctx, st, w)
	}
	wanted := st.offer()
	sources, err := s.sources(st.order.Realm, &wanted, st.rest())
	if err != nil && fault.CodeOf(err) != fault.OutOfStock {
		return 0, err
	}
	for _, equals := range tiers(sources) {
		for i := range equals.own {
			if done, err := s.fillFrom(ctx, st, &equals.own[i], w); done || err != nil {
				return 0, err
			}
		}
		var others []supply.Source
		for _, from := range equals.outside {
			if !st.asked(from.Supplier) {
				others = append(others, from)
			}
		}
		if offers := s.Supply.Best(ctx, others, wanted.ask(st.rest())); len(offers) > 0 {
			return s.try(ctx, st, &offers[0], w)
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	return 0, s.fail(ctx, st, w)
}

// try submits what is left of an order to another supplier: a row first, then the call.
func (s *Service) try(ctx context.Context, st *standing, from *supply.Offer, w *waiter) (time.Duration, error) {
	wanted := st.offer()
	row := s.Supply.Begin(from, wanted.ask(st.rest()))
	row.Book, row.Order, row.Try = st.order.Book, int64(st.order.Number), st.order.Tries+1
	counted := tryOrder.With(string(row.Book), row.Order, storage.Micros(s.Clocks.Now(st.order.Realm)), int64(st.order.Tries)).Exactly(1)
	if err := s.write(ctx, row.Written(), counted, s.wakeAt(&st.order, s.Supply.Busy(&row))); err != nil {
		return 0, err
	}
	st.order.Tries++
	st.tries = append(st.tries, row)
	return s.begin(ctx, st, w)
}

// fillFrom completes an order with what is left of it from this installation, if it can.
func (s *Service) fillFrom(ctx context.Context, st *standing, from *supply.Source, w *waiter) (done bool, err error) {
	if from.Kind != supply.Stock {
		wanted := st.offer()
		if !s.mintable(ctx, from, &wanted) {
			return false, nil
		}
		f, _, err := s.minted(ctx, deal{draft: st.order, offer: wanted}, from, st.rest())
		if err != nil {
			return false, err
		}
		return true, s.complete(ctx, st, f, w)
	}
	at := shelf{st.order.Realm, st.order.Item}
	ids, err := s.pick(ctx, at, st.rest())
	if err != nil || ids == nil {
		return false, err
	}
	defer func() { s.shelves.release(at, ids, err) }()
	codes, err := s.Stock.Open(ctx, ids)
	if err != nil {
		return false, err
	}
	err = s.complete(ctx, st, filling{codes: codes, effects: func(at time.Time) []storage.Effect {
		return stock.Take(ids, st.order.Number.ref(), st.order.Book, at)
	}}, w)
	return true, err
}

// Intervention is what an operator does about an order under way.
type Intervention struct {
	Book   ledger.BookID
	Number Number
	Reason string // 1 to 200 bytes
	Actor  string
}

// GiveUp has nobody else asked for an order under way: its supplier is asked to cancel, and
// the order is cancelled unless that delivers all the same. It returns not_found, or invalid_state
// for an order that is over.
func (s *Service) GiveUp(ctx context.Context, i Intervention) error {
	return s.intervene(ctx, i, "supplier.give_up", func(_ context.Context, o *Order) ([]storage.Effect, error) {
		return []storage.Effect{giveUpOrder.With(string(o.Book), int64(o.Number), storage.Micros(s.Clocks.Now(o.Realm))).Exactly(1)}, nil
	})
}

// Deny records that the supplier will never deliver what was submitted to it last and whose
// end it does not say: the operator asked it by other means. The next supplier is asked then.
// It returns not_found, or invalid_state where no submission is open or a call about it is
// under way.
func (s *Service) Deny(ctx context.Context, i Intervention) error {
	return s.intervene(ctx, i, "supplier.deny", func(ctx context.Context, o *Order) ([]storage.Effect, error) {
		st, err := s.read(ctx, o.Book, o.Number)
		if err != nil {
			return nil, err
		}
		open := st.open()
		if open == nil || s.Supply.Busy(open) > 0 {
			return nil, fault.New(fault.InvalidState, "no submission is open, or a call about it is under way")
		}
		row := *open
		row.State, row.Reason = supply.Refused, "denied by the operator"
		return []storage.Effect{s.Supply.Changed(&row)}, nil
	})
}

func (s *Service) intervene(ctx context.Context, i Intervention, action string, what func(context.Context, *Order) ([]storage.Effect, error)) error {
	if !plain.LineBytes(i.Reason, 1, maxReason) {
		return fault.New(fault.InvalidRequest, "want a reason of 1 to %d bytes of plain text", maxReason).At("reason")
	}
	o, err := s.Find(ctx, i.Book, i.Number)
	if err != nil {
		return err
	}
	over := fault.New(fault.InvalidState, "the order is %s", o.Status)
	if o.Status != Processing {
		return over
	}
	effects, err := what(ctx, &o)
	if err != nil {
		return err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if err := tx.Apply(ctx, append(effects, s.wakeAt(&o, 0))); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: i.Actor, Action: action, Subject: o.Name(), Book: string(o.Book), At: s.Clocks.Now(o.Realm),
			Detail: map[string]string{"reason": i.Reason}})
	})
	if errors.Is(err, storage.ErrStale) {
		err = fault.Wrap(err, fault.InvalidState, "the order went on meanwhile: look again")
	}
	if err == nil {
		s.Queue.Wake()
	}
	return err
}

// maxReason bounds an operator's reason, in bytes.
const maxReason = 200
