package order

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/minted"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Replacement is other codes for dead ones of an order, which a supplier delivers.
type Replacement struct {
	Book  ledger.BookID
	Realm realm.Realm
	Order Number
	// Key is that of the remedy.
	Key string
	// Codes are the dead ones.
	Codes []stock.CodeID
	Actor string
	// Tries counts the submissions to suppliers.
	Tries int
	// GivenUp says that no other supplier is to be asked.
	GivenUp bool
	// Moot says, at its end, why nothing is to be replaced any more; empty: it is.
	Moot string
	// Status is Processing, Completed, Failed or Cancelled.
	Status               Status
	CreatedAt, ChangedAt time.Time

	// left is what the gift cards that the codes are had when it was decided, in their order.
	left []int64
}

// Ending is what to write with the end of a replacement that was under way. What it returns
// or does may be asked for again.
type Ending struct {
	// Replaced is as Remedy.Also; storage.ErrStale of its effects has it be looked for again.
	Replaced func(*Remedied) ([]storage.Effect, error)
	// Failed writes, within tx, that nobody delivers, with the replacement as it is then.
	Failed func(ctx context.Context, tx *storage.Tx, r Replacement) error
}

// OnReplacement has end asked what to write with the end of a replacement: by whoever had
// codes replaced, once, before jobs are run.
func (s *Service) OnReplacement(end func(context.Context, Replacement) (Ending, error)) {
	s.ending = end
}

// exchange is a replacement that is about to be made or under way.
type exchange struct {
	Replacement
	// dead are the codes as they were read.
	dead []stock.Held
	// cards are theirs, in the same order.
	cards []minted.Doomed
	// kept says that it is under way: it is in the database.
	kept bool
	end  Ending
	done Remedied // set by its end
}

// readExchange returns a replacement that is kept.
func readExchange(ctx context.Context, q storage.Queryer, what supply.For) (*exchange, error) {
	found, ok, err := storage.One(ctx, q, scanExchange, findExchange, string(what.Book), what.Remedy)
	if err == nil && (!ok || int64(found.Order) != what.Order) {
		err = fault.New(fault.NotFound, "no such replacement")
	}
	if err != nil {
		return nil, err
	}
	err = found.dying(ctx, q)
	return &exchange{Replacement: found, kept: true}, err
}

// dying reads the codes that a replacement is for.
func (r *Replacement) dying(ctx context.Context, q storage.Queryer) error {
	codes, err := storage.All(ctx, q, scanDying, listDying, string(r.Book), r.Key)
	for _, c := range codes {
		r.Codes, r.left = append(r.Codes, c.code), append(r.left, c.left)
	}
	return err
}

// Replacements returns those of an order of a book that are under way.
func (s *Service) Replacements(ctx context.Context, book ledger.BookID, number Number) ([]Replacement, error) {
	var all []Replacement
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) (err error) {
		if all, err = storage.All(ctx, q, scanExchange, listExchanges, string(book), int64(number)); err != nil {
			return err
		}
		for i := range all {
			if err = all[i].dying(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// Replace gives a completed order a fresh code of the same item for each dead one, from
// whoever delivers it, in the order in which they are asked for orders, too: who costs more
// than was paid is passed over, unless the route allows it. Where one is outside of this
// installation, it is under way when Replace returns, and what Also is asked for is written
// with that; its end is told to OnReplacement. Gift cards that dead codes are stay as they
// are until then: when one of them is used meanwhile, nothing is replaced. It returns what
// Refund does, and out_of_stock.
func (s *Service) Replace(ctx context.Context, r Remedy) (Remedied, error) {
	for try := 1; ; try++ {
		done, err := s.exchangeOnce(ctx, &r)
		raced := errors.Is(err, storage.ErrStale) || storage.IsUnique(err) && try < mintTries
		if !raced || try == maxTries {
			return done, err
		}
	}
}

func (s *Service) exchangeOnce(ctx context.Context, r *Remedy) (Remedied, error) {
	st, err := s.exchanging(ctx, r)
	if err != nil {
		return Remedied{}, err
	}
	wanted := st.offer()
	sources, err := s.sources(st.order.Realm, &wanted, st.rest())
	if err != nil {
		return Remedied{}, err
	}
	for _, equals := range tiers(sources) {
		for i := range equals.own {
			if done, err := s.fillFrom(ctx, &st, &equals.own[i], nil); done || err != nil {
				return st.exchange.done, err
			}
		}
		if offers := s.Supply.Best(ctx, equals.outside, wanted.ask(st.rest())); len(offers) > 0 {
			return s.have(ctx, &st, r, &offers[0])
		}
		if err := ctx.Err(); err != nil {
			return Remedied{}, err
		}
	}
	none := outOfStock(st.rest())
	if err := s.Supply.Unopened(st.order.Realm, &st.product); err != nil {
		none.Message += ", and " + err.Error()
	}
	return Remedied{}, none
}

// exchanging returns how an order stands of which codes are to be replaced.
func (s *Service) exchanging(ctx context.Context, r *Remedy) (st standing, err error) {
	found, held, err := s.remedial(ctx, r)
	if err != nil {
		return st, err
	}
	now := s.Clocks.Now(found.Realm)
	x := &exchange{end: Ending{Replaced: r.Also}, Replacement: Replacement{Book: r.Book, Realm: found.Realm, Order: r.Order, Key: r.Key, Codes: r.Codes,
		Actor: r.Actor, Tries: 1, Status: Processing, CreatedAt: now, ChangedAt: now}}
	x.dead = held.of(r.Codes)
	if x.cards, err = s.doomed(ctx, r, x.dead); err != nil {
		return st, err
	}
	for i := range x.cards {
		x.left = append(x.left, x.cards[i].Left())
	}
	st = standing{what: supply.For{Book: r.Book, Order: int64(r.Order), Remedy: r.Key}, order: found, exchange: x}
	st.product, err = s.Catalog.Find(ctx, found.Item)
	return st, err
}

// have has a supplier deliver other codes: the codes are marked as dead, and what will be
// asked and the job that sees to it are written with that. Then the supplier is called.
func (s *Service) have(ctx context.Context, st *standing, r *Remedy, from *supply.Offer) (Remedied, error) {
	row, x := s.Supply.Begin(from), st.exchange
	row.For, row.Try = st.what, 1
	done := Remedied{UnderWay: true, Order: st.order, Change: Change{At: x.CreatedAt}}
	effects := []storage.Effect{insertExchange.Row(x.row()...), row.Written(),
		changeOrder.With(string(r.Book), int64(r.Order), string(Completed), storage.Micros(x.CreatedAt)).Exactly(1)}
	for i, code := range x.Codes {
		effects = append(effects, insertDying.Row(string(x.Book), x.Key, i+1, string(code), x.cards[i].Currency(), x.left[i]))
	}
	effects = append(append(effects, r.stock().Doom(x.Codes)...), s.wakeAt(st.what, x.Realm, s.Supply.Busy(&row)))
	effects, err := r.Also.With(effects, &done)
	if err != nil {
		return Remedied{}, err
	}
	if err := s.write(ctx, effects...); err != nil {
		return Remedied{}, fmt.Errorf("%s %s: %w", kindReplace, st.order.Name(), err)
	}
	x.kept, st.tries = true, []supply.Row{row}
	over := s.crew.run(ctx, func(ctx context.Context) { s.start(ctx, st, nil) })
	if r.Patience {
		s.wait(ctx, over)
	}
	return done, nil
}

// refresh reads the dead codes of a replacement that is under way, and what to write with its
// end. It returns storage.ErrStale, wrapped, when it is over.
func (s *Service) refresh(ctx context.Context, st *standing) (err error) {
	x := st.exchange
	if x.end, err = s.ending(ctx, x.Replacement); err != nil {
		return err
	}
	held, err := s.Stock.Holdings(ctx, x.Book, x.Order.ref())
	if err != nil {
		return err
	}
	now := map[stock.CodeID]stock.Held{}
	for _, h := range held {
		now[h.ID] = h
	}
	x.dead = nil
	for _, code := range x.Codes {
		if now[code].State != stock.Replacing {
			return fmt.Errorf("code %s is %s: %w", code, now[code].State, storage.ErrStale)
		}
		x.dead = append(x.dead, now[code])
	}
	return nil
}

// moot says, for the buyer, why nothing is to be replaced any more; empty: err is about
// something else.
func moot(err error) string {
	switch {
	case errors.Is(err, minted.ErrSpent):
		return "a gift card that is to be replaced was used meanwhile"
	case errors.Is(err, errReversed):
		return "the payment of the order was reversed meanwhile"
	}
	return ""
}

// needed reads the dead codes of a replacement that is under way with their gift cards. It
// returns an error that makes it moot if one of those was used since it was decided that they
// are replaced, or if what paid for the order was reversed; and what refresh does.
func (s *Service) needed(ctx context.Context, st *standing) error {
	if err := s.refresh(ctx, st); err != nil {
		return err
	}
	if err := s.stands(ctx, &st.order); err != nil {
		return err
	}
	x := st.exchange
	var err error
	if x.cards, err = s.withCards(ctx, x.Book, x.dead); err != nil {
		return err
	}
	for i := range x.cards {
		if err := x.cards[i].Since(x.CreatedAt, x.left[i]); err != nil {
			return err
		}
	}
	return nil
}

// replace puts other codes in the places of dead ones, and posts what suppliers are owed for
// them: the operator pays that. It returns storage.ErrStale, wrapped, when somebody else went
// on with it, or a code was sold meanwhile, and an error that makes it moot.
func (s *Service) replace(ctx context.Context, st *standing, f filling) error {
	x := st.exchange
	if x.kept {
		if err := s.needed(ctx, st); err != nil {
			return err
		}
	}
	voids, err := s.own.Prepare(ctx, x.cards, minted.Order{Realm: x.Realm, Actor: x.Actor, Reason: "its code was replaced"})
	if err != nil {
		return err
	}
	fresh := append(append([]stock.Code(nil), st.reserved...), f.codes...)
	swaps := make([]stock.Swap, len(fresh))
	for i := range fresh {
		swaps[i] = stock.Swap{Dead: x.dead[i], Fresh: fresh[i].ID}
	}
	r := Remedy{Book: x.Book, Order: x.Order, Codes: x.Codes, Key: x.Key, Actor: x.Actor, Also: x.end.Replaced}
	op := s.remedy(&st.order, &r, kindReplace)
	op.Guards = []ledger.Guard{{Counter: counterReplaced + x.Order.ref(), Add: int64(len(swaps)), Limit: math.MaxInt64}}
	nothing := catalog.NewCharged(0, st.order.Amount.Currency)
	if costs := append(st.costs(), f.costs...); len(costs) > 0 {
		share(&op, revenue(nothing.Currency), nothing, costs)
	}
	var done Remedied
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		done = st.order.remedied(&o, len(swaps), nothing)
		done.Swaps = swaps
		var sold []storage.Effect
		if x.kept {
			ended := x.Replacement
			if err := ended.Status.become(Completed); err != nil {
				return nil, err
			}
			ended.ChangedAt = o.At
			sold = append(sold, ended.finished(), stock.SellReserved(x.Book, x.Key, len(st.reserved), o.At))
		}
		sold = append(append(sold, f.effects(o.At)...), r.stock().Replace(swaps)...)
		return done.effects(&r, voids, sold)
	}
	made, err := s.makeGood(ctx, op, &done, append(voids.Ops, f.more...)...)
	if err == nil {
		x.done = made
	}
	return err
}

// finished returns the effect of ending a replacement under way as r says.
func (r *Replacement) finished() storage.Effect {
	return finishExchange.With(string(r.Book), r.Key, string(r.Status), storage.Micros(r.ChangedAt), int64(r.Tries)).Exactly(1)
}

// unreplaced leaves dead codes as they were, since nobody delivers others: it is cancelled
// where the operator gave it up. What was delivered is put on sale.
func (s *Service) unreplaced(ctx context.Context, st *standing) error {
	if err := s.refresh(ctx, st); err != nil {
		return err
	}
	x := st.exchange
	ended, end := x.Replacement, Failed
	if x.GivenUp {
		end = Cancelled
	}
	if err := ended.Status.become(end); err != nil {
		return err
	}
	ended.ChangedAt = s.Clocks.Now(x.Realm)
	r := stock.Remedy{Book: x.Book, Order: x.Order.ref(), Key: x.Key}
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		effects := append(r.Revive(x.Codes), ended.finished(), stock.FreeReserved(x.Book, x.Key, st.spare()))
		if err := tx.Apply(ctx, effects); err != nil {
			return err
		}
		return x.end.Failed(ctx, tx, ended)
	})
}
