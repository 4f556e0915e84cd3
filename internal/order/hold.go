package order

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
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

// IsCapture reports whether a transaction of the books paid for an order whose money was held.
func IsCapture(o *ledger.Outcome) bool { return o.Kind == kindCapture }

const holdPrefix = "hold"

func itoa(n int) string { return strconv.Itoa(n) }

// releaseKey is the ledger's key for the end of an order that failed.
func releaseKey(n Number) string { return kindRelease + "/" + n.ref() }

// accept takes an order that a supplier is about to be asked for: the money is held, and
// the order, what will be asked and the job that sees to it are written with that.
func (s *Service) accept(ctx context.Context, d deal, from *supply.Offer) (standing, error) {
	draft, row := d.draft, s.Supply.Begin(from)
	draft.Status, draft.Tries, draft.Hold = Processing, 1, ledger.HoldID(id.New(holdPrefix))
	debit, credit := wallet.Account(draft.Amount.Currency), clearing(draft.Amount.Currency)
	op := ledger.Operation{Book: draft.Book, Kind: kindHold, Reference: string(draft.Item), Actor: draft.Credential, At: s.Clocks.Now(draft.Realm),
		Open:   []ledger.NewAccount{debit, credit},
		Holds:  []ledger.HoldChange{{Action: ledger.Place, ID: draft.Hold, Amount: draft.Amount.Amount, Debit: debit.ID, Credit: credit.ID}},
		Guards: append([]ledger.Guard{{Counter: counterNumber, Add: 1, Limit: math.MaxInt64}}, Moved("", Processing)...)}
	var st standing
	op.Effects = func(done ledger.Outcome) ([]storage.Effect, error) {
		placed := Placed{Order: draft.placed(&done)}
		placed.Transaction = "" // the hold is a change of the order
		row.For, row.Try = placed.itself(), 1
		st = standing{what: row.For, order: placed.Order, tries: []supply.Row{row}, product: d.offer.product}
		effects := append(s.told(eventProcessing, &placed.Order), insertOrder.Row(placed.row()...), insertChange.Row(placed.held(&done).row()...), row.Written(), s.wakeAt(row.For, placed.Realm, s.Supply.Busy(&row)))
		return d.also.With(effects, &placed)
	}
	if _, err := s.Books.Submit(ctx, op); err != nil {
		return standing{}, fmt.Errorf("accept order: %w", err)
	}
	return st, nil
}

// held is what the books did when an order's money was held.
func (o *Order) held(done *ledger.Outcome) *Change {
	return &Change{Book: o.Book, Seq: done.Seq, Order: o.Number, Transaction: done.Transaction, Kind: done.Kind, Codes: o.Quantity,
		Refunded: catalog.NewCharged(0, o.Amount.Currency), At: done.At}
}

// itself names the order to suppliers.
func (o *Order) itself() supply.For { return supply.For{Book: o.Book, Order: int64(o.Number)} }

// wakeAt returns the effect of having something looked at after a while.
func (s *Service) wakeAt(what supply.For, r realm.Realm, after time.Duration) storage.Effect {
	name := Number(what.Order).ref()
	if what.Remedy != "" {
		name += " " + what.Remedy
	}
	return job.Enqueue(job.Request{Kind: jobDeliver, Book: string(what.Book), Realm: r, Unique: name, Payload: []byte(name), RunAt: s.Clocks.Now(r).Add(after)})
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

// complete pays for an order and hands out its codes, or gives them for dead ones. It returns
// storage.ErrStale, wrapped, when somebody else went on with it, or a code was sold meanwhile.
func (s *Service) complete(ctx context.Context, st *standing, f filling, w *waiter) error {
	if st.exchange != nil {
		return s.replace(ctx, st, f)
	}
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
		if err := placed.Status.become(Completed); err != nil {
			return nil, err
		}
		placed.Transaction, placed.ChangedAt = done.Transaction, done.At
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
	if _, err := s.submit(ctx, op, f.more); err != nil {
		return fmt.Errorf("complete order %s: %w", st.order.Name(), err)
	}
	w.tell(placed, nil)
	return nil
}

// submit has op done, after what is made in other books together with it.
func (s *Service) submit(ctx context.Context, op ledger.Operation, more []ledger.Operation) (ledger.Outcome, error) {
	if len(more) == 0 {
		return s.Books.Submit(ctx, op)
	}
	all, err := s.Books.SubmitAll(ctx, append(slices.Clone(more), op), nil)
	if err != nil {
		return ledger.Outcome{}, err
	}
	return all[len(more)], nil
}

// finished returns the effect of ending an order under way as o says.
func (s *Service) finished(o *Order) storage.Effect {
	return finishOrder.With(string(o.Book), int64(o.Number), string(o.Status), string(o.Transaction), storage.Micros(o.ChangedAt), int64(o.Tries)).Exactly(1)
}

// fail frees the money of an order that nobody delivers: it is cancelled where the operator
// gave it up. What was delivered of it is put
// on sale: the operator owes it to whoever delivered it, and nobody has seen it.
func (s *Service) fail(ctx context.Context, st *standing, w *waiter) error {
	if st.exchange != nil {
		return s.unreplaced(ctx, st)
	}
	waits := w.enter()
	defer w.exit()
	end, event := Failed, eventFailed
	if st.order.GivenUp {
		end, event = Cancelled, eventCancelled
	}
	op := ledger.Operation{Book: st.order.Book, Kind: kindRelease, Key: releaseKey(st.order.Number), Reference: string(st.order.Item),
		Actor: st.order.Credential, At: s.Clocks.Now(st.order.Realm),
		Holds: []ledger.HoldChange{{Action: ledger.Release, ID: st.order.Hold}}, Guards: Moved(Processing, end)}
	var failed Placed
	op.Effects = func(done ledger.Outcome) ([]storage.Effect, error) {
		failed = Placed{Order: st.order}
		if err := failed.Status.become(end); err != nil {
			return nil, err
		}
		failed.Transaction, failed.ChangedAt = done.Transaction, done.At
		effects := append(s.told(event, &failed.Order), s.finished(&failed.Order), stock.FreeReserved(failed.Book, failed.Number.ref(), st.spare()))
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

// The accounts of orders, each of them one per currency in each book.

// revenue is what was paid for codes, less what is owed for them to suppliers who are paid
// in the same currency.
func revenue(currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID("order.revenue/" + currency.String()), Currency: currency, Side: ledger.Credit, Unbounded: true}
}

// clearing is where held money goes on its way to those who get it: it is always empty.
func clearing(currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID("order.clearing/" + currency.String()), Currency: currency, Side: ledger.Credit, Unbounded: true}
}

// payable is what a supplier is owed for codes that were sold, one account for each.
func payable(supplier string, currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID("order.payable/" + supplier + "/" + currency.String()), Currency: currency, Side: ledger.Credit, Unbounded: true}
}

// foreign is what was spent on codes in a currency other than their price's.
func foreign(currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID("order.cost/" + currency.String()), Currency: currency, Side: ledger.Debit, Unbounded: true}
}

// cost is what a supplier is owed for its part of an order.
type cost struct {
	supplier string
	amount   catalog.Cost
}

// share has op give an order's amount out of an account to those who get it: to each
// supplier what it is owed, and the rest is revenue. What is owed in another currency, or
// beyond the amount, the operator pays.
func share(op *ledger.Operation, from ledger.NewAccount, amount catalog.Charged, costs []cost) {
	to := revenue(amount.Currency)
	op.Open = append(op.Open, to)
	rest, owed := amount.Minor, int64(0)
	for _, c := range costs {
		if c.amount.Currency == amount.Currency {
			owed += c.amount.Minor
		}
	}
	payer := from.ID
	if owed > rest { // sold below cost
		post(op, from.ID, to.ID, money.New(rest, amount.Currency))
		payer, rest = to.ID, 0
	}
	for _, c := range costs {
		if !c.amount.Currency.IsValid() || !c.amount.IsPositive() {
			continue
		}
		supplier := payable(c.supplier, c.amount.Currency)
		op.Open = append(op.Open, supplier)
		if c.amount.Currency != amount.Currency {
			spent := foreign(c.amount.Currency)
			op.Open = append(op.Open, spent)
			post(op, spent.ID, supplier.ID, c.amount.Amount)
			continue
		}
		post(op, payer, supplier.ID, c.amount.Amount)
		rest -= c.amount.Minor
	}
	post(op, from.ID, to.ID, money.New(rest, amount.Currency))
}

// post adds a posting of an amount, unless it is nothing.
func post(op *ledger.Operation, debit, credit ledger.AccountID, amount money.Amount) {
	if amount.IsPositive() { // what costs nothing moves nothing
		op.Postings = append(op.Postings, ledger.Posting{Debit: debit, Credit: credit, Amount: amount})
	}
}

// total returns what some codes cost: nothing where that is unknown or in several currencies.
func total(codes []catalog.Cost) (sum catalog.Cost) {
	for i, c := range codes {
		if i == 0 {
			sum = c
			continue
		}
		added, err := sum.Add(c.Amount)
		if err != nil {
			return catalog.Cost{}
		}
		sum.Amount = added
	}
	return sum
}

func outOfStock(quantity int) *fault.Error {
	return fault.New(fault.OutOfStock, "there are not %d codes of this item in stock", quantity).With("requested", itoa(quantity))
}
