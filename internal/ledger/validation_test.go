package ledger_test

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// longest is a name as long as one may be; the others are longer.
var (
	longest   = strings.Repeat("n", 200)
	tooLong   = longest + "n"
	tooLongOf = map[string]string{"key": strings.Repeat("k", 256), "reference": strings.Repeat("r", 513)}
)

// malformed are operations that make no sense in any book, by what is wrong.
func malformed() map[string]ledger.Operation {
	posting := []ledger.Posting{{Debit: "cash", Credit: "wallet", Amount: money.New(1, usd)}}
	with := func(change func(*ledger.Operation)) ledger.Operation {
		op := ledger.Operation{Book: theBook, Kind: "malformed", At: epoch, Postings: posting}
		change(&op)
		return op
	}
	opening := func(a ledger.NewAccount) ledger.Operation {
		return with(func(op *ledger.Operation) { op.Open = []ledger.NewAccount{a} })
	}
	holding := func(h ledger.HoldChange) ledger.Operation {
		return with(func(op *ledger.Operation) { op.Holds = []ledger.HoldChange{h} })
	}
	state := func(c ledger.StateChange) ledger.Operation {
		return with(func(op *ledger.Operation) { op.States = []ledger.StateChange{c} })
	}
	text := func(change func(op *ledger.Operation, bad string), bad string) ledger.Operation {
		return with(func(op *ledger.Operation) { change(op, bad) })
	}
	one := money.New(1, usd)
	ops := map[string]ledger.Operation{
		"no book":        with(func(op *ledger.Operation) { op.Book = "" }),
		"no kind":        with(func(op *ledger.Operation) { op.Kind = "" }),
		"no time":        with(func(op *ledger.Operation) { op.At = time.Time{} }),
		"no parts":       with(func(op *ledger.Operation) { op.Postings = nil }),
		"too far ahead":  with(func(op *ledger.Operation) { op.At = epoch.Add(24*time.Hour + time.Microsecond) }),
		"too many parts": with(func(op *ledger.Operation) { op.Guards = guards(256) }),
		"too many that must be solvent": with(func(op *ledger.Operation) {
			op.Guards, op.Solvent = guards(254), []ledger.AccountID{"cash", "wallet"}
		}),
		"too many that it follows": with(func(op *ledger.Operation) {
			op.Guards, op.Solvent, op.Follows = guards(254), []ledger.AccountID{"cash"}, []ledger.TransactionID{"txn_1"}
		}),
		"open without a name":     opening(ledger.NewAccount{Currency: usd, Side: ledger.Credit}),
		"open without a currency": opening(ledger.NewAccount{ID: "new", Side: ledger.Credit}),
		"open with no currency":   opening(ledger.NewAccount{ID: "new", Side: ledger.Credit, Currency: 255}),
		"open without a side":     opening(ledger.NewAccount{ID: "new", Currency: usd}),
		"open on another side":    opening(ledger.NewAccount{ID: "new", Currency: usd, Side: "left"}),
		"posting to itself": with(func(op *ledger.Operation) {
			op.Postings = []ledger.Posting{{Debit: "cash", Credit: "cash", Amount: one}}
		}),
		"posting from nobody":       with(func(op *ledger.Operation) { op.Postings = []ledger.Posting{{Credit: "cash", Amount: one}} }),
		"posting to nobody":         with(func(op *ledger.Operation) { op.Postings = []ledger.Posting{{Debit: "cash", Amount: one}} }),
		"posting without an amount": with(func(op *ledger.Operation) { op.Postings = []ledger.Posting{{Debit: "cash", Credit: "wallet"}} }),
		"posting all and an amount": with(func(op *ledger.Operation) {
			op.Postings = []ledger.Posting{{Debit: "cash", Credit: "wallet", Amount: one, All: true}}
		}),
		"posting all by force": with(func(op *ledger.Operation) {
			op.Postings = []ledger.Posting{{Debit: "wallet", Credit: "cash", All: true, Forced: true}}
		}),
		"posting the smallest amount": with(func(op *ledger.Operation) {
			op.Postings = []ledger.Posting{{Debit: "cash", Credit: "wallet", Amount: money.New(-1<<63, usd)}}
		}),
		"posting the largest amount": with(func(op *ledger.Operation) {
			op.Postings = []ledger.Posting{{Debit: "cash", Credit: "wallet", Amount: money.New(1<<63-1, usd)}}
		}),
		"hold without a name":    holding(ledger.HoldChange{Action: ledger.Release}),
		"hold without an action": holding(ledger.HoldChange{ID: "h1"}),
		"hold of another action": holding(ledger.HoldChange{ID: "h1", Action: "grab"}),
		"hold for itself":        holding(ledger.HoldChange{ID: "h1", Action: ledger.Place, Debit: "wallet", Credit: "wallet", Amount: one}),
		"hold from nobody":       holding(ledger.HoldChange{ID: "h1", Action: ledger.Place, Credit: "wallet", Amount: one}),
		"hold of nothing":        holding(ledger.HoldChange{ID: "h1", Action: ledger.Place, Debit: "wallet", Credit: "cash"}),
		"hold of less":           holding(ledger.HoldChange{ID: "h1", Action: ledger.Place, Debit: "wallet", Credit: "cash", Amount: money.New(-1, usd)}),
		"capture of less":        holding(ledger.HoldChange{ID: "h1", Action: ledger.Capture, Amount: money.New(-1, usd)}),
		"state of nobody":        state(ledger.StateChange{To: ledger.Frozen}),
		"no state":               state(ledger.StateChange{Account: "wallet"}),
		"another state":          state(ledger.StateChange{Account: "wallet", To: "asleep"}),
		"guard without a name":   with(func(op *ledger.Operation) { op.Guards = []ledger.Guard{{Add: 1, Limit: 1}} }),
	}
	for where, change := range map[string]func(op *ledger.Operation, bad string){
		"kind": func(op *ledger.Operation, bad string) { op.Kind = bad }, "key": func(op *ledger.Operation, bad string) { op.Key = bad },
		"reference": func(op *ledger.Operation, bad string) { op.Reference = bad }, "actor": func(op *ledger.Operation, bad string) { op.Actor = bad },
		"book": func(op *ledger.Operation, bad string) { op.Book = ledger.BookID(bad) },
		"account": func(op *ledger.Operation, bad string) {
			op.Open = []ledger.NewAccount{{ID: ledger.AccountID(bad), Currency: usd, Side: ledger.Credit}}
		},
		"debit": func(op *ledger.Operation, bad string) {
			op.Postings = []ledger.Posting{{Debit: ledger.AccountID(bad), Credit: "cash", Amount: one}}
		},
		"credit": func(op *ledger.Operation, bad string) {
			op.Postings = []ledger.Posting{{Debit: "cash", Credit: ledger.AccountID(bad), Amount: one}}
		},
		"hold": func(op *ledger.Operation, bad string) {
			op.Holds = []ledger.HoldChange{{Action: ledger.Place, ID: ledger.HoldID(bad), Debit: "cash", Credit: "wallet", Amount: one}}
		},
		"held account": func(op *ledger.Operation, bad string) {
			op.Holds = []ledger.HoldChange{{Action: ledger.Place, ID: "h1", Debit: "cash", Credit: ledger.AccountID(bad), Amount: one}}
		},
		"frozen account": func(op *ledger.Operation, bad string) {
			op.States = []ledger.StateChange{{Account: ledger.AccountID(bad), To: ledger.Frozen}}
		},
		"counter":  func(op *ledger.Operation, bad string) { op.Guards = []ledger.Guard{{Counter: bad, Add: 1, Limit: 1}} },
		"reversed": func(op *ledger.Operation, bad string) { op.Reverses = ledger.TransactionID(bad) },
		"followed": func(op *ledger.Operation, bad string) { op.Follows = []ledger.TransactionID{ledger.TransactionID(bad)} },
		"solvent":  func(op *ledger.Operation, bad string) { op.Solvent = []ledger.AccountID{ledger.AccountID(bad)} },
	} {
		ops["too long: "+where] = text(change, cmp.Or(tooLongOf[where], tooLong))
		// What cannot be stored, or is stored as something else, would break the chain or the batch.
		ops["not UTF-8: "+where] = text(change, "caf\xe9")
		ops["zero byte: "+where] = text(change, "a\x00b")
	}
	return ops
}

// guards returns n of them, each of which has a name and counts nothing.
func guards(n int) []ledger.Guard {
	all := make([]ledger.Guard, n)
	for i := range all {
		all[i].Counter = fmt.Sprint("counter ", i)
	}
	return all
}

// An operation that makes no sense is refused as the caller's mistake before it reaches a
// database, on both engines alike, and leaves nothing.
func TestMalformedOperations(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, books := stand(t, testkit.Database(t, engine), 100)
			number := 0
			for what, op := range malformed() {
				if number++; op.Book == theBook { // none stands in another's way
					op.Book = ledger.BookID(fmt.Sprint("bk_", number))
					open(t, db, op.Book)
					first := chart(epoch)
					first.Book = op.Book
					first.Open = append(first.Open, ledger.NewAccount{ID: "wallet", Currency: usd, Side: ledger.Credit})
					submit(t, books, first)
				}
				_, err := books.Submit(context.Background(), op)
				if code := fault.CodeOf(err); code.Kind() != fault.KindInvalid {
					t.Errorf("%s: answered %v", what, err)
				}
				if made, err := books.ListTransactions(context.Background(), op.Book, 0, 2); len(made) > 1 {
					t.Errorf("%s: it was stored, %v", what, err)
				}
			}
			verified(t, db)
		})
	}
}

// Any text that is text, of any length up to the limit, comes back as it was.
func TestNamesOfAnyText(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		base := clock.NewManual(epoch)
		books := ledger.New(db, clock.NewRealms(base), ledger.Config{})
		t.Cleanup(books.Close)
		open(t, db, theBook)
		for _, text := range []string{longest, `"\`, "<a href='x'>&amp;", "größe / 大きさ / 🂡", " space and\ttab\n", "\u2028\u2029\ufeff\ufffd", "\x7f\x01", "{}", "'; --"} {
			account := ledger.AccountID(text)
			op := ledger.Operation{Book: theBook, Kind: text, Key: text, Reference: text, Actor: text, At: base.Now(),
				Open:   []ledger.NewAccount{{ID: account, Currency: usd, Side: ledger.Credit, Unbounded: true}, {ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true}},
				Holds:  []ledger.HoldChange{{Action: ledger.Place, ID: ledger.HoldID(text), Debit: account, Credit: "cash", Amount: money.New(1, usd), ExpiresAt: base.Now().Add(time.Minute)}},
				States: []ledger.StateChange{{Account: account, To: ledger.Open}}, Guards: []ledger.Guard{{Counter: text, Add: 1, Limit: 1}}}
			made := submit(t, books, op)
			stored, found, err := books.FindByKey(context.Background(), theBook, text)
			if err != nil || !found {
				t.Fatalf("%q: found %t, %v", text, found, err)
			}
			if diff := outcomeDiff(stored, made); diff != "" {
				t.Errorf("%q (-want +got):\n%s", text, diff)
			}
			base.Advance(time.Minute)
			// A hold with any name can be swept, so that none stands in the others' way.
			if n, err := books.ExpireHolds(context.Background()); n != 1 || err != nil {
				t.Errorf("%q: swept %d, %v", text, n, err)
			}
		}
		verified(t, db)
	})
}

// A transaction is found by its whole id, in its own book alone.
func TestFindTransaction(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		books := ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		t.Cleanup(books.Close)
		made := map[ledger.BookID]ledger.TransactionID{}
		for _, book := range []ledger.BookID{"bk_other", theBook} {
			open(t, db, book)
			op := chart(epoch)
			op.Book = book
			made[book] = submit(t, books, op).Transaction
		}
		for _, c := range []struct {
			book        ledger.BookID
			transaction ledger.TransactionID
			found       bool
		}{
			{theBook, made[theBook], true}, {"bk_other", made["bk_other"], true}, {theBook, made["bk_other"], false}, {"bk_other", made[theBook], false},
			{"bk_none", made[theBook], false}, {theBook, ledger.TransactionID(id.New("txn")), false}, {theBook, "txn_", false}, {theBook, "", false},
		} {
			o, err := books.FindTransaction(context.Background(), c.book, c.transaction)
			if c.found != (err == nil && o.Transaction == c.transaction) || !c.found && (fault.CodeOf(err) != fault.NotFound || o.Transaction != "") {
				t.Errorf("%s in %s: %+v, %v; want it found: %t", c.transaction, c.book, o, err, c.found)
			}
		}
	})
}

// Accounts are listed in the order of their bytes, in pages, by prefix: the prefix itself
// begins with it, another case does not.
func TestListAccounts(t *testing.T) {
	testkit.EachEngine(t, testListAccounts)
}

func testListAccounts(t *testing.T, db *storage.DB) {
	books := ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
	t.Cleanup(books.Close)
	for _, book := range []ledger.BookID{"bk_other", theBook} {
		open(t, db, book)
		op := ledger.Operation{Book: book, Kind: "open", At: epoch}
		for _, name := range []string{"Card/1", "card", "card/", "card/1", "card/2", "card/B", "card/a", "card/é", "card0", "cards/1", "zero"} {
			op.Open = append(op.Open, ledger.NewAccount{ID: ledger.AccountID(name), Currency: usd, Side: ledger.Credit})
		}
		submit(t, books, op)
	}
	for _, c := range []struct{ prefix, want string }{
		{"card/", "card/ card/1 card/2 card/B card/a card/é"},
		{"card", "card card/ card/1 card/2 card/B card/a card/é card0 cards/1"},
		{"", "Card/1 card card/ card/1 card/2 card/B card/a card/é card0 cards/1 zero"},
		{"none", ""},
	} {
		for _, size := range []int{1, 2, 100} {
			var got []string
			after := ledger.AccountID("")
			for len(got) < 100 { // a cursor that goes back must not hold the test
				page, err := books.ListAccounts(context.Background(), theBook, c.prefix, after, size)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range page {
					got = append(got, string(a.ID))
					after = a.ID
				}
				if len(page) < size {
					break
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%q in pages of %d:\n\t%s, want\n\t%s", c.prefix, size, strings.Join(got, " "), c.want)
			}
		}
	}
}

// A PostgreSQL that sorts as people do, as many are installed, changes nothing: the order is
// that of the bytes.
func TestListAccountsInAnotherCollation(t *testing.T) {
	base := os.Getenv(testkit.PostgresVariable)
	if base == "" {
		t.Skip("no PostgreSQL is at hand")
	}
	ctx := context.Background()
	server, err := storage.Open(ctx, storage.Config{URL: base, MaxConns: 1})
	check.OK(t, err)
	name := id.New("test")
	run := func(verb, text string) {
		// Neither statement may run in a transaction, so it is sent as a query without rows.
		_, err := storage.All(ctx, server, scanOrder, storage.SQL("ledgertest."+verb+name, verb+" DATABASE "+name+text))
		check.OK(t, err)
	}
	run("CREATE", ` TEMPLATE template0 ENCODING UTF8 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'`)
	t.Cleanup(func() {
		run("DROP", " WITH (FORCE)")
		check.OK(t, server.Close())
	})
	u, err := url.Parse(base)
	check.OK(t, err)
	u.Path = "/" + name
	testListAccounts(t, testkit.Open(t, storage.Config{URL: u.String()}))
}
