package order

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
)

// The kinds of the transactions of an order that a supplier delivers.
const (
	kindHold    = "order.hold"
	kindCapture = "order.capture"
	kindRelease = "order.release"
)

const holdPrefix = "hold"

func itoa(n int) string { return strconv.Itoa(n) }

// releaseKey is the ledger's key for the end of an order that failed.
func releaseKey(n Number) string { return kindRelease + "/" + n.ref() }

// accept takes an order that a supplier is about to be asked for: the money is held, and
// the order, what will be asked and the job that sees to it are written with that.
func (s *Service) accept(ctx context.Context, d deal, from *supply.Offer) (standing, error) {
	draft, row := d.draft, s.Supply.Begin(from, d.offer.ask(d.draft.Quantity))
	draft.Status, draft.Tries, draft.Hold = Processing, 1, ledger.HoldID(id.New(holdPrefix))
	debit, credit := wallet.Account(draft.Amount.Currency), clearing(draft.Amount.Currency)
	op := ledger.Operation{Book: draft.Book, Kind: kindHold, Reference: string(draft.Item), Actor: draft.Credential, At: s.Clocks.Now(draft.Realm),
		Open:   []ledger.NewAccount{debit, credit},
		Holds:  []ledger.HoldChange{{Action: ledger.Place, ID: draft.Hold, Amount: draft.Amount.Amount, Debit: debit.ID, Credit: credit.ID}},
		Guards: append([]ledger.Guard{{Counter: counterNumber, Add: 1, Limit: math.MaxInt64}}, Moved("", Processing)...)}
	var st standing
	op.Effects = func(done ledger.Outcome) ([]storage.Effect, error) {
		placed := Placed{Order: draft.placed(&done)}
		placed.HoldTransaction, placed.Transaction = done.Transaction, ""
		row.Book, row.Order, row.Try = placed.Book, int64(placed.Number), 1
		st = standing{order: placed.Order, tries: []supply.Row{row}, product: d.offer.product}
		effects := append(s.told(eventProcessing, &placed.Order), insertOrder.Row(placed.row()...), row.Written(), s.wakeAt(&placed.Order, s.Supply.Busy(&row)))
		if d.also == nil {
			return effects, nil
		}
		more, err := d.also(&placed)
		return append(effects, more...), err
	}
	if _, err := s.Books.Submit(ctx, op); err != nil {
		return standing{}, fmt.Errorf("accept order: %w", err)
	}
	return st, nil
}

// wakeAt returns the effect of having an order looked at after a while.
func (s *Service) wakeAt(o *Order, after time.Duration) storage.Effect {
	return job.Enqueue(job.Request{Kind: jobDeliver, Book: string(o.Book), Realm: o.Realm, Unique: o.Number.ref(), Payload: []byte(o.Number.ref()),
		RunAt: s.Clocks.Now(o.Realm).Add(after)})
}

// filling is what completes an order.
type filling struct {
	// codes are those that are sold with it, beside the ones that are reserved for it.
	codes []stock.Code
	costs []cost // of them
	// effects sell them.
	effects func(at time.Time) []storage.Effect
	// more is made in the same transaction, in other books.
	more []ledger.Operation
}

// complete pays for an order and hands out its codes. It returns storage.ErrStale, wrapped,
// when somebody else went on with the order, or a code was sold meanwhile.
func (s *Service) complete(ctx context.Context, st *standing, f filling, w *waiter) error {
	waits := w.enter()
	defer w.exit()
	costs := append(st.costs(), f.costs...)
	through := clearing(st.order.Amount.Currency)
	op := ledger.Operation{Book: st.order.Book, Kind: kindCapture, Reference: string(st.order.Item), Actor: st.order.Credential, At: s.Clocks.Now(st.order.Realm),
		Open: []ledger.NewAccount{through}, Holds: []ledger.HoldChange{{Action: ledger.Capture, ID: st.order.Hold}}, Guards: Moved(Processing, Completed)}
	share(&op, through, st.order.Amount, costs)
	var placed Placed
	op.Effects = func(done ledger.Outcome) ([]storage.Effect, error) {
		placed = Placed{Order: st.order, Codes: append(append([]stock.Code(nil), st.reserved...), f.codes...)}
		placed.Status, placed.Transaction, placed.ChangedAt = Completed, done.Transaction, done.At
		byID(placed.Codes)
		effects := append(s.told(eventCompleted, &placed.Order), s.finished(&placed.Order),
			stock.SellReserved(placed.Book, placed.Number.ref(), len(st.reserved), done.At))
		effects = append(effects, f.effects(done.At)...)
		if !waits {
			return effects, nil
		}
		look := stock.Reveal{Book: placed.Book, Realm: placed.Realm, Order: placed.Number.ref(), Actor: placed.Credential}
		effects = append(effects, stock.Revealed(look, done.At)...)
		more, err := w.write(&placed)
		return append(effects, more...), err
	}
	if err := s.submit(ctx, op, f.more); err != nil {
		return fmt.Errorf("complete order %s: %w", st.order.Name(), err)
	}
	w.tell(placed, nil)
	return nil
}

// submit has op done, together with what is made in other books.
func (s *Service) submit(ctx context.Context, op ledger.Operation, more []ledger.Operation) error {
	if len(more) == 0 {
		_, err := s.Books.Submit(ctx, op)
		return err
	}
	_, err := s.Books.SubmitAll(ctx, append([]ledger.Operation{op}, more...), nil)
	return err
}

// finished returns the effect of ending an order under way as o says.
func (s *Service) finished(o *Order) storage.Effect {
	return finishOrder.With(string(o.Book), int64(o.Number), string(o.Status), string(o.Transaction), storage.Micros(o.ChangedAt), int64(o.Tries)).Exactly(1)
}

// fail frees the money of an order that nobody delivers. What was delivered of it is put
// on sale: the operator owes it to whoever delivered it, and nobody has seen it.
func (s *Service) fail(ctx context.Context, st *standing, w *waiter) error {
	waits := w.enter()
	defer w.exit()
	op := ledger.Operation{Book: st.order.Book, Kind: kindRelease, Key: releaseKey(st.order.Number), Reference: string(st.order.Item),
		Actor: st.order.Credential, At: s.Clocks.Now(st.order.Realm),
		Holds: []ledger.HoldChange{{Action: ledger.Release, ID: st.order.Hold}}, Guards: Moved(Processing, Failed)}
	var failed Placed
	op.Effects = func(done ledger.Outcome) ([]storage.Effect, error) {
		failed = Placed{Order: st.order}
		failed.Status, failed.Transaction, failed.ChangedAt = Failed, done.Transaction, done.At
		effects := append(s.told(eventFailed, &failed.Order), s.finished(&failed.Order), stock.FreeReserved(failed.Book, failed.Number.ref(), st.spare()))
		if !waits {
			return effects, nil
		}
		more, err := w.write(&failed)
		return append(effects, more...), err
	}
	if _, err := s.Books.Submit(ctx, op); err != nil {
		return fmt.Errorf("fail order %s: %w", st.order.Name(), err)
	}
	w.tell(failed, outOfStock(st.order.Quantity))
	return nil
}
