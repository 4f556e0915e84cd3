package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// The rows of a product that does not exist: what these tests let operations write.
var (
	createOrders = storage.SQL("ledgertest.create_orders",
		`CREATE TABLE ledgertest_orders (order_id TEXT NOT NULL PRIMARY KEY, transaction_id TEXT NOT NULL, seq BIGINT NOT NULL)`)
	insertOrder = storage.Insert("ledgertest.insert_order", "ledgertest_orders", "order_id", "transaction_id", "seq")
	updateOrder = storage.SQL("ledgertest.update_order", `UPDATE ledgertest_orders SET seq = $2 WHERE order_id = $1`)
	listOrders  = storage.SQL("ledgertest.list_orders", `SELECT order_id, transaction_id, seq FROM ledgertest_orders ORDER BY order_id`)
)

type order struct {
	id, transaction string
	seq             int64
}

func scanOrder(r storage.Row) (o order, err error) {
	err = r.Scan(&o.id, &o.transaction, &o.seq)
	return o, err
}

// orders returns what is in the product's table, by order.
func orders(t *testing.T, db *storage.DB) map[string]order {
	t.Helper()
	all, err := storage.All(context.Background(), db, scanOrder, listOrders)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]order{}
	for _, o := range all {
		byID[o.id] = o
	}
	return byID
}

// shop is stand with the product's table.
func shop(t *testing.T, config storage.Config, units int64) (*storage.DB, *ledger.Ledger) {
	t.Helper()
	db, books := stand(t, config, units)
	err := db.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.Exec(ctx, createOrders)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return db, books
}

// buy spends one unit and writes an order with it.
func buy(key, id string) ledger.Operation {
	op := spend(key, 1)
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		return []storage.Effect{insertOrder.Row(id, string(o.Transaction), o.Seq)}, nil
	}
	return op
}

var errEffect = errors.New("the product changed its mind")

// An effect that cannot be written refuses its own operation, whose money stays and whose
// key stays free; the others of the batch are done, each with its effects, once.
func TestEffectsFailAlone(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, books := shop(t, testkit.Database(t, engine), 100)
			submit(t, books, buy("", "taken"))
			g := gate(t, db)
			stale := spend("stale", 1)
			stale.Effects = func(ledger.Outcome) ([]storage.Effect, error) {
				return []storage.Effect{insertOrder.Row("of stale", "", 0), updateOrder.With("nobody", 1).Exactly(1)}, nil
			}
			refusing, panicking := spend("refusing", 1), spend("panicking", 1)
			refusing.Effects = func(ledger.Outcome) ([]storage.Effect, error) { return nil, errEffect }
			panicking.Effects = func(ledger.Outcome) ([]storage.Effect, error) { panic("broken effect") }
			errs := map[string]error{}
			var one sync.Mutex
			for name, op := range inOrder("a", buy("a", "a"), "twice", buy("twice", "taken"), "b", buy("b", "b"), "stale", stale,
				"same batch", buy("same batch", "b"), "refusing", refusing, "c", buy("c", "c"), "panicking", panicking, "d", buy("d", "d")) {
				g.enqueue(context.Background(), op, func(o ledger.Outcome, err error) {
					one.Lock()
					defer one.Unlock()
					if errs[name] = err; err != nil && (o.Transaction != "" || o.Seq != 0) {
						t.Errorf("%s was refused with the outcome %+v", name, o)
					}
				})
			}
			if n := ledger.Waiting(g.Ledger); n != 9 {
				t.Fatalf("%d operations wait for one batch, want 9", n)
			}
			g.finish()
			for name, expected := range map[string]func(error) bool{
				"a": isNil, "b": isNil, "c": isNil, "d": isNil, "twice": storage.IsUnique, "same batch": storage.IsUnique,
				"stale": func(err error) bool {
					return fault.CodeOf(err) == fault.InvalidState && errors.Is(err, storage.ErrStale)
				},
				"refusing":  func(err error) bool { return errors.Is(err, errEffect) },
				"panicking": func(err error) bool { return err != nil },
			} {
				if !expected(errs[name]) {
					t.Errorf("%s: %v", name, errs[name])
				}
				if _, found, err := books.FindByKey(context.Background(), theBook, name); found != isNil(errs[name]) || err != nil {
					t.Errorf("%s: the key is used: %t, %v", name, found, err)
				}
			}
			if got := orders(t, db); len(got) != 5 {
				t.Errorf("orders %v, want taken, a, b, c and d", got)
			}
			if posted, _ := balance(t, books, "wallet"); posted != 100-5 {
				t.Errorf("the balance is %d, want 95", posted)
			}
			verified(t, db)
		})
	}
}

func isNil(err error) bool { return err == nil }

// Effects see the outcome as it is stored, and a repeated operation does not write them again.
func TestEffectsAreWrittenOnce(t *testing.T) {
	everyIsolation(t, func(t *testing.T, config storage.Config) {
		db, books := shop(t, config, 1_000)
		outcomes := make([]ledger.Outcome, 64)
		crowd.AtOnce(len(outcomes), func(i int) {
			var err error
			key := fmt.Sprint("order-", i%16)
			if outcomes[i], err = books.Submit(context.Background(), buy(key, key)); err != nil {
				t.Error(err)
			}
		})
		got := orders(t, db)
		if len(got) != 16 {
			t.Errorf("%d orders, want 16", len(got))
		}
		for i, o := range outcomes {
			key := fmt.Sprint("order-", i%16)
			if want := (order{key, string(o.Transaction), o.Seq}); got[key] != want {
				t.Errorf("order %v, want %v", got[key], want)
			}
		}
		verified(t, db)
	})
}

// An operation that is refused writes no effect, and is not asked for any.
func TestRefusedOperationHasNoEffects(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, books := shop(t, testkit.Database(t, engine), 1)
			var asked atomic.Int64
			op := spend("", 2)
			op.Effects = func(ledger.Outcome) ([]storage.Effect, error) {
				asked.Add(1)
				return []storage.Effect{insertOrder.Row("never", "", 0)}, nil
			}
			if _, err := books.Submit(context.Background(), op); fault.CodeOf(err) != fault.InsufficientFunds {
				t.Errorf("submit: %v", err)
			}
			if len(orders(t, db)) != 0 || asked.Load() != 0 {
				t.Errorf("%d orders, asked %d times", len(orders(t, db)), asked.Load())
			}
		})
	}
}

// A caller who leaves while a failed batch is tried again is refused, and is not shown the
// outcome of the try that was undone.
func TestCallerLeavesBetweenTwoTries(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, books := shop(t, testkit.Database(t, engine), 100)
			submit(t, books, buy("", "taken"))
			g := gate(t, db)
			ctx, leave := context.WithCancel(context.Background())
			defer leave()
			op := spend("left", 1)
			op.Effects = func(ledger.Outcome) ([]storage.Effect, error) {
				leave()
				return nil, nil
			}
			g.enqueue(context.Background(), buy("", "taken"), func(_ ledger.Outcome, err error) {
				if !storage.IsUnique(err) {
					t.Errorf("the order that was taken: %v", err)
				}
			})
			g.enqueue(ctx, op, func(o ledger.Outcome, err error) {
				if fault.CodeOf(err) != fault.Timeout || o.Transaction != "" {
					t.Errorf("answered %+v, %v; want no outcome and a timeout", o, err)
				}
			})
			g.finish()
			if posted, _ := balance(t, books, "wallet"); posted != 99 {
				t.Errorf("the balance is %d, want 99", posted)
			}
			verified(t, db)
		})
	}
}

// SubmitAll does everything or nothing, across batches, beside callers of Submit.
func TestSubmitAll(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, books := shop(t, testkit.Database(t, engine), 10_000)
			const n = ledger.BatchSize + 88
			ops := make([]ledger.Operation, n, n+1)
			for i := range ops {
				ops[i] = buy(fmt.Sprint("bulk-", i), fmt.Sprint("bulk-", i))
			}
			for what, last := range map[string]ledger.Operation{"refused": spend("", 20_000), "invalid": spend("", 0), "unique": buy("", "bulk-0")} {
				if _, err := books.SubmitAll(context.Background(), append(ops, last), nil); err == nil {
					t.Errorf("%s: it was accepted", what)
				}
			}
			if posted, _ := balance(t, books, "wallet"); posted != 10_000 || len(orders(t, db)) != 0 {
				t.Errorf("posted %d and %d orders after refusals, want 10000 and none", posted, len(orders(t, db)))
			}
			var told []int
			crowd.AtOnce(4, func(i int) {
				if i > 0 {
					submit(t, books, spend("", 1))
					return
				}
				outcomes, err := books.SubmitAll(context.Background(), ops, func(done int) { told = append(told, done) })
				if err != nil || len(outcomes) != n {
					t.Errorf("%d outcomes, %v", len(outcomes), err)
				}
				for j, o := range outcomes {
					if o.Key != ops[j].Key || o.Replayed || j > 0 && o.Seq != outcomes[j-1].Seq+1 {
						t.Errorf("outcome %d is %+v", j, o)
					}
				}
			})
			if posted, _ := balance(t, books, "wallet"); posted != 10_000-n-3 || len(orders(t, db)) != n {
				t.Errorf("posted %d and %d orders, want %d and %d", posted, len(orders(t, db)), 10_000-n-3, n)
			}
			if len(told) == 0 || told[len(told)-1] != n {
				t.Errorf("progress %v, want it to end at %d", told, n)
			}
			again, err := books.SubmitAll(context.Background(), ops[:3], nil)
			if err != nil || !again[0].Replayed || !again[2].Replayed {
				t.Errorf("the second time: %v, %v", again, err)
			}
			verified(t, db)
		})
	}
}

// Effects see what each counter stands at after their own operation has counted, also
// among others of the same batch; an outcome that is read back does not know.
func TestEffectsSeeSums(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, books := shop(t, testkit.Database(t, engine), 100)
			g := gate(t, db)
			const n = 5
			var seen [n]int64
			for i := range n {
				op := spend(fmt.Sprint("count ", i), 1)
				op.Guards = []ledger.Guard{{Counter: "a", Add: 1, Limit: 2 * n}, {Counter: "b", Add: 10, Limit: 100}, {Counter: "a", Add: 1, Limit: 2 * n}}
				if i == 2 {
					op.Guards[0].Limit = 0 // refused: counts nothing
				}
				op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
					seen[i] = 100*o.Sum("a") + o.Sum("b")
					if o.Sum("c") != 0 {
						t.Errorf("a counter that nobody touched stands at %d", o.Sum("c"))
					}
					return nil, nil
				}
				g.enqueue(context.Background(), op, func(_ ledger.Outcome, err error) {
					if (err != nil) != (i == 2) {
						t.Errorf("operation %d: %v", i, err)
					}
				})
			}
			g.finish()
			if want := [n]int64{210, 420, 0, 630, 840}; seen != want {
				t.Errorf("the effects saw %v, want %v", seen, want)
			}
			found, ok, err := books.FindByKey(context.Background(), theBook, "count 4")
			if err != nil || !ok || found.Sum("a") != 0 {
				t.Errorf("read back: %t, sum %d, %v", ok, found.Sum("a"), err)
			}
		})
	}
}

// Whoever watches sees every operation that is accepted, in lanes and in bulk, with what
// its accounts had before and have after it; what it returns is written with the operation,
// or neither is. Of refusals and repetitions nothing is written.
func TestWatch(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, _ := shop(t, testkit.Database(t, engine), 100)
			var one sync.Mutex
			seen := map[string]string{}
			watch := func(o *ledger.Outcome) []storage.Effect {
				one.Lock()
				defer one.Unlock()
				before, known := o.Before("wallet")
				after, _ := o.Balance("wallet")
				_, other := o.Before("nobody")
				if b, touched := o.Balance("cash"); !touched || b.Account != "cash" {
					t.Errorf("the balance of cash is %+v, %t", b, touched)
				}
				seen[string(o.Transaction)] = fmt.Sprintf("%s %d %d %t %t", o.Key, before.Minor, after.Available.Minor, known, other)
				return []storage.Effect{insertOrder.Row("seen "+o.Key, string(o.Transaction), o.Seq)}
			}
			books := ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{Watch: watch})
			t.Cleanup(books.Close)
			submit(t, books, spend("a", 30))
			submit(t, books, spend("a", 30))
			if _, err := books.Submit(t.Context(), spend("poor", 71)); fault.CodeOf(err) != fault.InsufficientFunds {
				t.Errorf("poor: %v", err)
			}
			submit(t, books, reserve("b", "hold_1", 20))
			if _, err := books.SubmitAll(t.Context(), []ledger.Operation{spend("c", 10), spend("d", 5)}, nil); err != nil {
				t.Error(err)
			}
			written := map[string]string{}
			for id, o := range orders(t, db) {
				written[id] = seen[o.transaction]
			}
			want := map[string]string{"seen a": "a 100 70 true false", "seen b": "b 70 50 true false", "seen c": "c 50 40 true false", "seen d": "d 40 35 true false"}
			if diff := cmp.Diff(want, written); diff != "" {
				t.Error(diff)
			}
			found, _, err := books.FindByKey(t.Context(), theBook, "a")
			if _, known := found.Before("wallet"); known || err != nil {
				t.Errorf("an outcome that was read back knows what was before (%v)", err)
			}
			if _, err := books.Submit(t.Context(), buy("e", "seen e")); !storage.IsUnique(err) {
				t.Errorf("what it wrote already: %v", err)
			}
			if got := orders(t, db); len(got) != 4 || got["seen e"].id != "" {
				t.Errorf("orders %v", got)
			}
			verified(t, db)
		})
	}
}
