package order

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/shelf"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	// jobDeliver goes on with what a supplier delivers. Its unique key is the number of the
	// order and, if it is about dead codes of it, the key of their remedy.
	jobDeliver  = "supply.deliver"
	mostResumed = 32
	// resumeTimeout is longer than the calls of a round take: a price, a submission.
	resumeTimeout = 15 * time.Minute
	// mostRounds bounds how often an order is read again because somebody else went on with it.
	mostRounds = 32
)

// standing is what is under way: what was asked of suppliers, and what they delivered.
type standing struct {
	what    supply.For
	order   Order
	product catalog.Product
	// exchange is what dead codes of the order are replaced by; nil: the order is delivered.
	exchange *exchange
	tries    []supply.Row
	reserved []stock.Code
}

// over reports whether nothing is left to do.
func (st *standing) over() bool {
	if st.exchange != nil {
		return st.exchange.Status != Processing
	}
	return st.order.Status != Processing
}

// ref names to the stock for what codes are reserved.
func (st *standing) ref() string {
	if st.exchange != nil {
		return st.exchange.Key
	}
	return st.order.Number.ref()
}

// progress is how many submissions there were, and whether nobody else is to be asked.
func (st *standing) progress() (tries *int, givenUp bool) {
	if st.exchange != nil {
		return &st.exchange.Tries, st.exchange.GivenUp
	}
	return &st.order.Tries, st.order.GivenUp
}

// givenUp reports whether nobody else is to be asked.
func (st *standing) givenUp() bool {
	_, is := st.progress()
	return is
}

// open returns the submission of which it is not known what becomes of it, or nil.
func (st *standing) open() *supply.Row {
	if n := len(st.tries); n > 0 && st.tries[n-1].Open() {
		return &st.tries[n-1]
	}
	return nil
}

// rest is how many codes nobody delivered yet.
func (st *standing) rest() int {
	if st.exchange != nil {
		return len(st.exchange.Codes) - len(st.reserved)
	}
	return st.order.Quantity - len(st.reserved)
}

// offer is what the order was placed for.
func (st *standing) offer() offer { return offer{st.product, st.order.Face, st.order.Price} }

// spare is what becomes of codes that the order does not keep: they are for sale, unless
// they have a denomination that only its buyer chose, or that the item does not have any more.
func (st *standing) spare() stock.State {
	if wanted := st.offer(); wanted.usual() {
		return stock.Available
	}
	return stock.Quarantined
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

// read returns how an order stands, or a replacement of codes of it.
func (s *Service) read(ctx context.Context, what supply.For) (st standing, err error) {
	st.what = what
	err = s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		var found bool
		if st.order, found, err = storage.One(ctx, q, scanOrder, findOrder, string(what.Book), what.Order); err != nil {
			return err
		}
		if !found {
			return fault.New(fault.NotFound, "no such order")
		}
		if what.Remedy != "" {
			if st.exchange, err = readExchange(ctx, q, what); err != nil {
				return err
			}
		}
		if st.tries, err = s.Supply.Submissions(ctx, q, what); err != nil {
			return err
		}
		st.reserved, err = s.Stock.Reserved(ctx, q, what.Book, st.ref())
		return err
	})
	if err != nil {
		return st, err
	}
	st.product, err = s.Catalog.Find(ctx, st.order.Item)
	return st, err
}

// resume is the job that goes on with an order, or with a replacement of codes of it.
func (s *Service) resume(ctx context.Context, j job.Job) error {
	name, remedy, _ := strings.Cut(string(j.Payload), " ")
	number, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return job.Discard(fmt.Errorf("resume order: %w", err))
	}
	pause, err := s.advance(ctx, supply.For{Book: ledger.BookID(j.Book), Order: number, Remedy: remedy}, nil)
	if err == nil && pause > 0 {
		err = job.Postpone(pause)
	}
	return err
}

// advance goes on with something until it is over, or has to wait for so long.
func (s *Service) advance(ctx context.Context, what supply.For, w *waiter) (time.Duration, error) {
	for round := 1; ; round++ {
		st, err := s.read(ctx, what)
		if err != nil || st.over() {
			return 0, err
		}
		pause, err := s.step(ctx, &st, w)
		switch {
		case (errors.Is(err, storage.ErrStale) || moot(err) != "" || storage.IsUnique(err)) && round < mostRounds:
			// Somebody else went on with it, has a code or used one: see how it stands now.
		case err != nil || pause > 0:
			return pause, err
		}
	}
}

// step does the next thing to be done.
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
	if st.givenUp() {
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
	return s.advance(ctx, st.what, w)
}

// write makes effects in a transaction of their own.
func (s *Service) write(ctx context.Context, effects ...storage.Effect) error {
	return s.DB.Apply(ctx, effects)
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
	return pause, s.write(ctx, s.Supply.Changed(&r.Row), s.wakeAt(st.what, st.order.Realm, pause))
}

// receive keeps what a supplier delivered. Codes may come from elsewhere meanwhile: then it
// is looked again which ones are new. So it is where the item got another value meanwhile, as
// what the order does not keep cannot be sold any more.
func (s *Service) receive(ctx context.Context, st *standing, r recorded, w *waiter) error {
	for try := 1; ; try++ {
		err := s.receiveNew(ctx, st, r, w)
		if errors.Is(err, storage.ErrStale) {
			again, failed := s.revalued(ctx, st)
			if failed != nil {
				return failed
			}
			if !again {
				return err
			}
		} else if !storage.IsUnique(err) {
			return err
		}
		if try == maxTries {
			return err
		}
	}
}

// revalued reads the product once more, and reports whether other things become of spare codes.
func (s *Service) revalued(ctx context.Context, st *standing) (bool, error) {
	before := st.spare()
	err := s.Catalog.Refresh(ctx)
	if err == nil {
		st.product, err = s.Catalog.Find(ctx, st.order.Item)
	}
	return st.spare() != before, err
}

// receiveNew completes something with what was delivered, or reserves that for it.
func (s *Service) receiveNew(ctx context.Context, st *standing, r recorded, w *waiter) error {
	receipt, err := s.Stock.Receive(ctx, stock.Delivery{Realm: st.order.Realm, Item: st.order.Item, Supplier: r.Supplier, Book: st.order.Book,
		Order: st.ref(), Codes: r.answer.Codes, Face: st.order.Face, Spare: st.spare()})
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
	if short := r.Quantity - len(receipt.Codes); short != 0 || receipt.Known > 0 || receipt.Unfit > 0 || receipt.Apart > 0 {
		r.Reason = fmt.Sprintf("of %d codes %d were new, %d known, %d unfit and %d worth something else", r.Quantity, len(receipt.Codes), receipt.Known, receipt.Unfit, receipt.Apart)
		s.Logger.WarnContext(ctx, "supplier delivered something else than was asked for", "supplier", r.Supplier, "order", st.order.Name(),
			"submission", string(r.ID), "asked", r.Quantity, "new", len(receipt.Codes), "known", receipt.Known, "unfit", receipt.Unfit, "worth_else", receipt.Apart)
	}
	if over := s.overcharged(ctx, st, r.Supplier, receipt.Codes[:keep]); over || receipt.Apart > 0 {
		s.Supply.Avoid(&r.Row)
	}
	if keep < st.rest() {
		return s.write(ctx, append(receipt.Keep(keep, stock.Reserved, st.order.CreatedAt), s.Supply.Changed(&r.Row))...)
	}
	err = s.complete(ctx, st, filling{codes: receipt.Codes[:keep], costs: []cost{{r.Supplier, r.Cost}},
		effects: func(at time.Time) []storage.Effect {
			return append(receipt.Keep(keep, stock.Sold, at), s.Supply.Changed(&r.Row))
		}}, w)
	if moot(err) != "" { // what comes next ends it
		return s.write(ctx, append(receipt.Keep(keep, stock.Reserved, st.order.CreatedAt), s.Supply.Changed(&r.Row))...)
	}
	return err
}

// overcharged reports whether a supplier takes more for some codes than they are sold at, which
// its route does not allow: it named another price before.
func (s *Service) overcharged(ctx context.Context, st *standing, supplier string, codes []stock.Code) bool {
	for _, from := range s.Supply.Sources(st.order.Realm, &st.product) {
		at := slices.IndexFunc(codes, func(c stock.Code) bool { return !from.Affords(st.order.Price, c.Cost) })
		if from.Supplier != supplier || at < 0 {
			continue
		}
		s.Logger.WarnContext(ctx, "supplier charged more than the price", "supplier", supplier, "order", st.order.Name(),
			"cost", codes[at].Cost.String(), "price", st.order.Price.String())
		return true
	}
	return false
}

// next has somebody else deliver what is left, or ends it: nobody, where a replacement is
// moot.
func (s *Service) next(ctx context.Context, st *standing, w *waiter) (time.Duration, error) {
	if st.exchange != nil {
		if err := s.needed(ctx, st); moot(err) != "" {
			st.exchange.Moot = moot(err)
			return 0, s.fail(ctx, st, w)
		} else if err != nil {
			return 0, err
		}
	}
	if st.rest() == 0 {
		return 0, s.complete(ctx, st, filling{effects: func(time.Time) []storage.Effect { return nil }}, w)
	}
	if st.givenUp() {
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

// try submits what is left to another supplier: a row first, then the call.
func (s *Service) try(ctx context.Context, st *standing, from *supply.Offer, w *waiter) (time.Duration, error) {
	row := s.Supply.Begin(from)
	tries, _ := st.progress()
	row.For, row.Try = st.what, *tries+1
	now := storage.Micros(s.Clocks.Now(st.order.Realm))
	counted := tryOrder.With(string(row.Book), row.Order, now, int64(*tries))
	if st.exchange != nil {
		counted = tryExchange.With(string(row.Book), row.Remedy, now, int64(*tries))
	}
	if err := s.write(ctx, row.Written(), counted.Exactly(1), s.wakeAt(st.what, st.order.Realm, s.Supply.Busy(&row))); err != nil {
		return 0, err
	}
	*tries++
	st.tries = append(st.tries, row)
	return s.begin(ctx, st, w)
}

// fillFrom completes something with what is left of it from this installation, if it can.
func (s *Service) fillFrom(ctx context.Context, st *standing, from *supply.Source, w *waiter) (done bool, err error) {
	if from.Kind != supply.Stock {
		wanted := st.offer()
		if !s.mintable(ctx, from, &wanted) {
			return false, nil
		}
		f, receipt, err := s.minted(ctx, deal{draft: st.order, offer: wanted}, from, st.rest())
		if err != nil {
			return false, err
		}
		receipt.For(st.ref())
		return true, s.complete(ctx, st, f, w)
	}
	at := shelf.Shelf{Realm: st.order.Realm, Item: st.order.Item}
	picked, err := s.shelves.Pick(ctx, at, st.rest())
	if err != nil || picked == nil {
		return false, err
	}
	defer func() { s.shelves.Release(at, picked, err) }()
	codes, err := s.Stock.Open(picked)
	if err != nil {
		return false, err
	}
	err = s.complete(ctx, st, filling{codes: codes, effects: func(at time.Time) []storage.Effect {
		return stock.Take(picked, st.ref(), st.order.Book, at)
	}}, w)
	return true, err
}
