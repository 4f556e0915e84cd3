package ledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// tamper is one way to change the books behind the ledger's back. It names the column
// that it changes, or the table for whole rows.
type tamper struct {
	what       string
	how        string
	statements []*storage.Statement
}

var tampers = register(
	"ledger_books.transactions", "one more", `UPDATE ledger_books SET transactions = transactions + 1 WHERE book_id = 'bk_main'`,
	"ledger_books.transactions", "one less", `UPDATE ledger_books SET transactions = transactions - 1 WHERE book_id = 'bk_main'`,
	"ledger_books.head_hash", "an older one", `UPDATE ledger_books SET head_hash = (SELECT hash FROM ledger_transactions WHERE book_id = 'bk_main' AND seq = 1) WHERE book_id = 'bk_main'`,
	"ledger_books.last_at", "later", `UPDATE ledger_books SET last_at = last_at + 1000000`,
	"ledger_books.last_at", "earlier", `UPDATE ledger_books SET last_at = last_at - 1000000`,
	"ledger_books.last_at", "of a book in which nothing happened", `UPDATE ledger_books SET last_at = last_at + 1 WHERE transactions = 0`,
	"ledger_books.book_id", "another name", `UPDATE ledger_books SET book_id = 'bk_renamed' WHERE book_id = 'bk_empty'`,
	"ledger_books.realm", "the other", `UPDATE ledger_books SET realm = 'live' WHERE book_id = 'bk_main'`,
	"ledger_books.realm", "of a book in which nothing happened", `UPDATE ledger_books SET realm = 'live' WHERE book_id = 'bk_empty'`,
	"ledger_books.opened_at", "earlier", `UPDATE ledger_books SET opened_at = opened_at - 1 WHERE book_id = 'bk_main'`,
	"ledger_books", "one appears", `INSERT INTO ledger_books SELECT 'bk_forged', realm, transactions, head_hash, last_at, opened_at FROM ledger_books WHERE book_id = 'bk_empty'`,
	"ledger_books", "one disappears with its accounts", `DELETE FROM ledger_holds WHERE book_id = 'bk_main'`,
	"", "", `DELETE FROM ledger_accounts WHERE book_id = 'bk_main'`, "", "", `DELETE FROM ledger_books WHERE book_id = 'bk_main'`,
	"ledger_books", "the last disappears with its accounts", `DELETE FROM ledger_accounts WHERE book_id = 'bk_other'`,
	"", "", `DELETE FROM ledger_books WHERE book_id = 'bk_other'`,

	"ledger_accounts.book_id", "another book", `UPDATE ledger_accounts SET book_id = 'bk_other' WHERE account_id = 'spare'`,
	"ledger_accounts.account_id", "another name", `UPDATE ledger_accounts SET account_id = 'renamed' WHERE account_id = 'fee'`,
	"ledger_accounts.currency", "of one without entries", `UPDATE ledger_accounts SET currency = 'EUR' WHERE account_id = 'closed'`,
	"ledger_accounts.currency", "another one", `UPDATE ledger_accounts SET currency = 'EUR' WHERE account_id = 'fee'`,
	"ledger_accounts.currency", "none", `UPDATE ledger_accounts SET currency = 'none' WHERE account_id = 'fee'`,
	"ledger_accounts.side", "the other", `UPDATE ledger_accounts SET side = 'debit' WHERE account_id = 'fee'`,
	"ledger_accounts.side", "of one without entries", `UPDATE ledger_accounts SET side = 'debit' WHERE account_id = 'closed'`,
	"ledger_accounts.floor_minor", "lower", `UPDATE ledger_accounts SET floor_minor = -1 WHERE account_id = 'fee'`,
	"ledger_accounts.floor_minor", "none", `UPDATE ledger_accounts SET floor_minor = NULL WHERE account_id = 'fee'`,
	"ledger_accounts.floor_minor", "one for cash", `UPDATE ledger_accounts SET floor_minor = 0 WHERE account_id = 'cash'`,
	"ledger_accounts.opened_at", "earlier", `UPDATE ledger_accounts SET opened_at = opened_at - 1 WHERE account_id = 'fee'`,
	"ledger_accounts.floor_minor", "above the balance", `UPDATE ledger_accounts SET floor_minor = 1000000 WHERE account_id = 'fee'`,
	"ledger_accounts.state", "thawed", `UPDATE ledger_accounts SET state = 'open' WHERE account_id = 'frozen'`,
	"ledger_accounts.state", "frozen", `UPDATE ledger_accounts SET state = 'frozen' WHERE account_id = 'fee'`,
	"ledger_accounts.state", "closed with money", `UPDATE ledger_accounts SET state = 'closed' WHERE account_id = 'fee'`,
	"ledger_accounts.state", "closed without money", `UPDATE ledger_accounts SET state = 'closed' WHERE account_id = 'spare'`,
	"ledger_accounts.state", "reopened", `UPDATE ledger_accounts SET state = 'open' WHERE account_id = 'closed'`,
	"ledger_accounts", "one that has entries disappears", `DELETE FROM ledger_accounts WHERE account_id = 'fee'`,
	"ledger_accounts", "a closed one disappears", `DELETE FROM ledger_accounts WHERE account_id = 'closed'`,
	"ledger_accounts", "one appears without money", `INSERT INTO ledger_accounts SELECT book_id, 'forged', currency, side, floor_minor, 'open', opened_at FROM ledger_accounts WHERE account_id = 'fee'`,
	"ledger_accounts", "one appears with money", `INSERT INTO ledger_accounts SELECT book_id, 'forged', currency, side, floor_minor, state, opened_at FROM ledger_accounts WHERE account_id = 'fee'`,
	"", "", `INSERT INTO ledger_entries SELECT book_id, 'forged', seq, transaction_seq, side, posted_minor, held_minor, posted_debits_minor, posted_credits_minor,
		held_debits_minor, held_credits_minor, posted_at FROM ledger_entries WHERE account_id = 'fee'`,

	"ledger_transactions.book_id", "another book", `UPDATE ledger_transactions SET book_id = 'bk_empty' WHERE kind = 'event' AND seq = 2`,
	"ledger_transactions.seq", "the last moved on", `UPDATE ledger_transactions SET seq = seq + 1 WHERE seq = (SELECT transactions FROM ledger_books WHERE book_id = 'bk_main')`,
	"ledger_transactions.seq", "two exchanged", `UPDATE ledger_transactions SET seq = 9999 WHERE seq = 2`,
	"", "", `UPDATE ledger_transactions SET seq = 2 WHERE seq = 3`, "", "", `UPDATE ledger_transactions SET seq = 3 WHERE seq = 9999`,
	"ledger_transactions.transaction_id", "another", `UPDATE ledger_transactions SET transaction_id = 'txn_forged' WHERE seq = 2`,
	"ledger_transactions.kind", "another", `UPDATE ledger_transactions SET kind = 'forged' WHERE seq = 2`,
	"ledger_transactions.key", "another", `UPDATE ledger_transactions SET key = 'forged' WHERE key = 'load'`,
	"ledger_transactions.key", "none", `UPDATE ledger_transactions SET key = NULL WHERE key = 'load'`,
	"ledger_transactions.reference", "another", `UPDATE ledger_transactions SET reference = 'forged' WHERE seq = 2`,
	"ledger_transactions.reverses", "another", `UPDATE ledger_transactions SET reverses = 'txn_forged' WHERE reverses IS NOT NULL`,
	"ledger_transactions.reverses", "none", `UPDATE ledger_transactions SET reverses = NULL WHERE reverses IS NOT NULL`,
	"ledger_transactions.posted_at", "later", `UPDATE ledger_transactions SET posted_at = posted_at + 1 WHERE seq = 2`,
	"ledger_transactions.hash", "another", `UPDATE ledger_transactions SET hash = (SELECT hash FROM ledger_transactions WHERE book_id = 'bk_main' AND seq = 1) WHERE seq = 2`,
	"ledger_transactions.body", "another amount", `UPDATE ledger_transactions SET body = REPLACE(body, '"post":10000', '"post":10001') WHERE key = 'load'`,
	"ledger_transactions.body", "another account", `UPDATE ledger_transactions SET body = REPLACE(body, '"c":"wallet"', '"c":"fee"') WHERE key = 'load'`,
	"ledger_transactions.body", "the same in other words", `UPDATE ledger_transactions SET body = body || ' ' WHERE seq = 2`,
	"ledger_transactions.body", "no text of ours", `UPDATE ledger_transactions SET body = '{}' WHERE seq = 2`,
	"ledger_transactions.body", "a long fingerprint", `UPDATE ledger_transactions SET body = REPLACE(body, '"fp":"', '"fp":"0000') WHERE seq = 2`,
	"ledger_transactions", "one appears in nobody's book", `INSERT INTO ledger_transactions SELECT 'bk_nobody', seq, transaction_id, kind, key, reference, reverses, body, hash, posted_at
		FROM ledger_transactions WHERE book_id = 'bk_main' AND seq = 1`,
	"ledger_transactions", "the last disappears", `DELETE FROM ledger_transactions WHERE seq = (SELECT transactions FROM ledger_books WHERE book_id = 'bk_main')`,
	"ledger_transactions", "the last disappears from the head too", `UPDATE ledger_books SET transactions = transactions - 1,
		head_hash = (SELECT t.hash FROM ledger_transactions t WHERE t.book_id = 'bk_main' AND t.seq = transactions - 1),
		last_at = (SELECT t.posted_at FROM ledger_transactions t WHERE t.book_id = 'bk_main' AND t.seq = transactions - 1) WHERE book_id = 'bk_main'`,
	"", "", `DELETE FROM ledger_transactions WHERE book_id = 'bk_main' AND seq > (SELECT transactions FROM ledger_books WHERE book_id = 'bk_main')`,
	"ledger_transactions", "the first disappears", `DELETE FROM ledger_transactions WHERE book_id = 'bk_main' AND seq = 1`,
	"ledger_transactions", "one in between disappears", `DELETE FROM ledger_transactions WHERE seq = 3`,
	"ledger_transactions", "all disappear", `DELETE FROM ledger_transactions WHERE book_id = 'bk_main'`,

	"ledger_entries.book_id", "another book", `UPDATE ledger_entries SET book_id = 'bk_other' WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.account_id", "another account", `UPDATE ledger_entries SET account_id = 'closed' WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.seq", "moved on", `UPDATE ledger_entries SET seq = seq + 100 WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.transaction_seq", "another one", `UPDATE ledger_entries SET transaction_seq = 1 WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.transaction_seq", "none", `UPDATE ledger_entries SET transaction_seq = 9999 WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.side", "the other", `UPDATE ledger_entries SET side = 'debit' WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.posted_minor", "more", `UPDATE ledger_entries SET posted_minor = posted_minor + 1 WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.held_minor", "less", `UPDATE ledger_entries SET held_minor = held_minor - 1 WHERE account_id = 'wallet' AND held_minor > 0`,
	"ledger_entries.posted_debits_minor", "more", `UPDATE ledger_entries SET posted_debits_minor = posted_debits_minor + 1 WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.posted_debits_minor", "more at the end", `UPDATE ledger_entries SET posted_debits_minor = posted_debits_minor + 1 WHERE account_id = 'fee' AND seq = 2`,
	"ledger_entries.posted_credits_minor", "more", `UPDATE ledger_entries SET posted_credits_minor = posted_credits_minor + 1 WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.posted_credits_minor", "more at the end", `UPDATE ledger_entries SET posted_credits_minor = posted_credits_minor + 1 WHERE account_id = 'fee' AND seq = 2`,
	"ledger_entries.held_debits_minor", "more", `UPDATE ledger_entries SET held_debits_minor = held_debits_minor + 1 WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.held_debits_minor", "more at the end", `UPDATE ledger_entries SET held_debits_minor = held_debits_minor + 1 WHERE account_id = 'fee' AND seq = 2`,
	"ledger_entries.held_credits_minor", "more", `UPDATE ledger_entries SET held_credits_minor = held_credits_minor + 1 WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries.held_credits_minor", "more at the end", `UPDATE ledger_entries SET held_credits_minor = held_credits_minor + 1 WHERE account_id = 'fee' AND seq = 2`,
	"ledger_entries.posted_at", "earlier", `UPDATE ledger_entries SET posted_at = posted_at - 1000000 WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries", "one disappears", `DELETE FROM ledger_entries WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries", "the last disappears", `DELETE FROM ledger_entries WHERE account_id = 'fee' AND seq = 2`,
	"ledger_entries", "all of an account disappear", `DELETE FROM ledger_entries WHERE account_id = 'fee'`,
	"ledger_entries", "one appears", `INSERT INTO ledger_entries SELECT book_id, account_id, 3, transaction_seq, side, 0, 0, posted_debits_minor, posted_credits_minor,
		held_debits_minor, held_credits_minor, posted_at
		FROM ledger_entries WHERE account_id = 'fee' AND seq = 2`,
	"ledger_entries", "one appears in nobody's account", `INSERT INTO ledger_entries SELECT book_id, 'nobody', 1, transaction_seq, side, posted_minor, held_minor,
		posted_minor, posted_minor, 0, 0, posted_at FROM ledger_entries WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries", "one appears in nobody's book", `INSERT INTO ledger_entries SELECT 'bk_nobody', account_id, seq, transaction_seq, side, posted_minor, held_minor,
		posted_debits_minor, posted_credits_minor, held_debits_minor, held_credits_minor, posted_at FROM ledger_entries WHERE account_id = 'fee' AND seq = 1`,
	"ledger_entries", "two exchanged, the balance between them made to fit", `UPDATE ledger_entries SET posted_minor = 300 - posted_minor WHERE account_id = 'fee'`,
	"", "", `UPDATE ledger_entries SET posted_credits_minor = posted_minor WHERE account_id = 'fee' AND seq = 1`,

	"ledger_holds.book_id", "another book", `UPDATE ledger_holds SET book_id = 'bk_other' WHERE hold_id = 'pending'`,
	"ledger_holds.realm", "the other", `UPDATE ledger_holds SET realm = 'live' WHERE hold_id = 'pending'`,
	"ledger_holds.hold_id", "another name", `UPDATE ledger_holds SET hold_id = 'renamed' WHERE hold_id = 'pending'`,
	"ledger_holds.debit_account", "another account", `UPDATE ledger_holds SET debit_account = 'fee' WHERE hold_id = 'pending'`,
	"ledger_holds.credit_account", "another account", `UPDATE ledger_holds SET credit_account = 'fee' WHERE hold_id = 'pending'`,
	"ledger_holds.currency", "another one", `UPDATE ledger_holds SET currency = 'EUR' WHERE hold_id = 'pending'`,
	"ledger_holds.currency", "none", `UPDATE ledger_holds SET currency = 'none' WHERE hold_id = 'pending'`,
	"ledger_holds.amount_minor", "more", `UPDATE ledger_holds SET amount_minor = amount_minor + 1 WHERE hold_id = 'pending'`,
	"ledger_holds.captured_minor", "less", `UPDATE ledger_holds SET captured_minor = captured_minor - 1 WHERE hold_id = 'pending'`,
	"ledger_holds.released_minor", "more", `UPDATE ledger_holds SET released_minor = released_minor + 1 WHERE hold_id = 'pending'`,
	"ledger_holds.released_minor", "instead of captured", `UPDATE ledger_holds SET released_minor = amount_minor, captured_minor = 0 WHERE hold_id = 'captured'`,
	"ledger_holds.state", "ended", `UPDATE ledger_holds SET state = 'released', released_minor = amount_minor - captured_minor, ended_at = placed_at WHERE hold_id = 'pending'`,
	"ledger_holds.state", "pending again", `UPDATE ledger_holds SET state = 'pending', ended_at = NULL WHERE hold_id = 'captured'`,
	"ledger_holds.state", "released instead of captured", `UPDATE ledger_holds SET state = 'released' WHERE hold_id = 'captured'`,
	"ledger_holds.state", "captured instead of released", `UPDATE ledger_holds SET state = 'captured' WHERE hold_id = 'released'`,
	"ledger_holds.state", "released instead of expired", `UPDATE ledger_holds SET state = 'released' WHERE hold_id = 'expired'`,
	"ledger_holds.state", "expired instead of released", `UPDATE ledger_holds SET state = 'expired' WHERE hold_id = 'released'`,
	"ledger_holds.expires_at", "later", `UPDATE ledger_holds SET expires_at = expires_at + 1 WHERE hold_id = 'pending'`,
	"ledger_holds.expires_at", "never", `UPDATE ledger_holds SET expires_at = NULL WHERE hold_id = 'pending'`,
	"ledger_holds.expires_at", "after all", `UPDATE ledger_holds SET expires_at = placed_at + 1 WHERE hold_id = 'captured'`,
	"ledger_holds.placed_at", "earlier", `UPDATE ledger_holds SET placed_at = placed_at - 1 WHERE hold_id = 'pending'`,
	"ledger_holds.ended_at", "later", `UPDATE ledger_holds SET ended_at = ended_at + 1 WHERE hold_id = 'captured'`,
	"ledger_holds", "one disappears", `DELETE FROM ledger_holds WHERE hold_id = 'pending'`,
	"ledger_holds", "one appears", `INSERT INTO ledger_holds SELECT book_id, 'forged', realm, debit_account, credit_account, currency, amount_minor, captured_minor,
		released_minor, state, placed_at, expires_at, ended_at FROM ledger_holds WHERE hold_id = 'pending'`,

	"ledger_counters.book_id", "another book", `UPDATE ledger_counters SET book_id = 'bk_other' WHERE name = 'day'`,
	"ledger_counters.name", "another one", `UPDATE ledger_counters SET name = 'night' WHERE name = 'day'`,
	"ledger_counters.value", "less", `UPDATE ledger_counters SET value = value - 1 WHERE name = 'day'`,
	"ledger_counters", "one disappears", `DELETE FROM ledger_counters WHERE name = 'day'`,
	"ledger_counters", "one that counted nothing disappears", `DELETE FROM ledger_counters WHERE name = 'nothing'`,
	"ledger_counters", "one appears", `INSERT INTO ledger_counters SELECT book_id, 'forged', 0 FROM ledger_counters WHERE name = 'day'`,
	"ledger_counters", "one appears in nobody's book", `INSERT INTO ledger_counters SELECT 'bk_nobody', name, value FROM ledger_counters WHERE name = 'day'`,
)

// register makes tampers of triples; a statement without a name belongs to the one before.
func register(triples ...string) []tamper {
	var all []tamper
	for i := 0; i < len(triples); i += 3 {
		statement := storage.SQL(fmt.Sprint("ledgertest.tamper_", i/3), triples[i+2])
		if triples[i] == "" {
			last := &all[len(all)-1]
			last.statements = append(last.statements, statement)
			continue
		}
		all = append(all, tamper{triples[i], triples[i+1], []*storage.Statement{statement}})
	}
	return all
}

// otherBook is one to which rows may be moved.
const otherBook = ledger.BookID("bk_other")

// eventful makes a book in which everything has happened that can happen, one with
// accounts of the same names, and one in which nothing happened.
func eventful(t *testing.T, db *storage.DB) {
	t.Helper()
	for _, book := range []ledger.BookID{theBook, otherBook, "bk_empty"} {
		open(t, db, book)
	}
	base := clock.NewManual(epoch)
	books := ledger.New(db, clock.NewRealms(base), ledger.Config{})
	defer books.Close()
	do := func(op ledger.Operation) ledger.Outcome {
		base.Advance(time.Minute)
		op.Book, op.Kind, op.At = theBook, "event", base.Now()
		return submit(t, books, op)
	}
	post := func(debit, credit ledger.AccountID, units int64) []ledger.Posting {
		return []ledger.Posting{{Debit: debit, Credit: credit, Amount: money.New(units, usd)}}
	}
	hold := func(change ledger.HoldChange) ledger.Operation {
		if change.Action == ledger.Place {
			change.Debit, change.Credit = "wallet", "cash"
			if change.ID != "captured" {
				change.ExpiresAt = base.Now().Add(10 * time.Hour)
			}
		}
		return ledger.Operation{Holds: []ledger.HoldChange{change}}
	}
	submit(t, books, ledger.Operation{Book: otherBook, Kind: "open", At: base.Now(), Open: []ledger.NewAccount{
		{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true}, {ID: "wallet", Currency: usd, Side: ledger.Credit}}})
	accounts := []ledger.NewAccount{{ID: "cash", Currency: usd, Side: ledger.Debit, Unbounded: true}}
	for _, name := range []ledger.AccountID{"wallet", "fee", "frozen", "closed", "spare"} {
		accounts = append(accounts, ledger.NewAccount{ID: name, Currency: usd, Side: ledger.Credit})
	}
	do(ledger.Operation{Open: accounts})
	do(ledger.Operation{Key: "load", Reference: "first", Postings: post("cash", "wallet", 10_000)})
	do(ledger.Operation{Postings: post("wallet", "fee", 100), Guards: []ledger.Guard{{Counter: "day", Add: 100, Limit: 1000}, {Counter: "nothing"}}})
	do(ledger.Operation{Postings: post("wallet", "fee", 200), Guards: []ledger.Guard{{Counter: "day", Add: 90, Limit: 1000}, {Counter: "day", Add: -30}}})
	for _, name := range []ledger.HoldID{"pending", "waiting", "captured", "released", "expired"} {
		do(hold(ledger.HoldChange{Action: ledger.Place, ID: name, Amount: money.New(500, usd)}))
	}
	do(hold(ledger.HoldChange{Action: ledger.Capture, ID: "pending", Amount: money.New(50, usd)}))
	do(hold(ledger.HoldChange{Action: ledger.Increase, ID: "pending", Amount: money.New(70, usd)}))
	do(hold(ledger.HoldChange{Action: ledger.Capture, ID: "captured", Amount: money.New(400, usd), Final: true}))
	do(hold(ledger.HoldChange{Action: ledger.Release, ID: "released"}))
	base.Advance(10 * time.Hour)
	do(hold(ledger.HoldChange{Action: ledger.Expire, ID: "expired"}))
	do(ledger.Operation{Reverses: do(ledger.Operation{Postings: post("cash", "spare", 30)}).Transaction})
	do(ledger.Operation{Postings: post("cash", "frozen", 30), States: []ledger.StateChange{{Account: "frozen", To: ledger.Frozen}}})
	do(ledger.Operation{States: []ledger.StateChange{{Account: "closed", To: ledger.Closed}}})
}

var errUndo = errors.New("undo")

// tampered runs change on the books, verifies them as they then are, and undoes it.
func tampered(t *testing.T, db *storage.DB, change func(context.Context, *storage.Tx) error) (report ledger.Report, err error) {
	t.Helper()
	undo := db.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
		if err := change(ctx, tx); err != nil {
			return err
		}
		report, err = ledger.Verify(ctx, tx, nil)
		return errUndo
	})
	if !errors.Is(undo, errUndo) {
		t.Errorf("change the books: %v", undo)
	}
	return report, err
}

// Holds that no transaction placed are named, in whosever book they are.
func TestVerifyNamesStrayHolds(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		eventful(t, db)
		report, err := tampered(t, db, func(ctx context.Context, tx *storage.Tx) error {
			for _, s := range []*storage.Statement{strayHold, renameHold} {
				if _, err := tx.Exec(ctx, s); err != nil {
					return err
				}
			}
			return nil
		})
		want := []string{"book bk_main hold pending: it has transactions and does not exist",
			"book bk_main hold renamed: no transaction placed it", "book bk_other hold stray: no transaction placed it"}
		if err != nil || !slices.Equal(report.Problems, want) || report.Holds != 6 {
			t.Errorf("found %q among %d holds, %v; want %q", report.Problems, report.Holds, err, want)
		}
	})
}

var (
	renameHold = storage.SQL("ledgertest.rename_hold", `UPDATE ledger_holds SET hold_id = 'renamed' WHERE hold_id = 'pending'`)
	strayHold  = storage.SQL("ledgertest.stray_hold", `INSERT INTO ledger_holds SELECT 'bk_other', 'stray', realm, 'wallet', 'cash', currency, amount_minor,
		captured_minor, released_minor, state, placed_at, expires_at, ended_at FROM ledger_holds WHERE hold_id = 'waiting'`)
)

// Whatever is changed behind the ledger's back, Verify finds it and goes on.
func TestVerifyFindsTampering(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		eventful(t, db)
		if report := verified(t, db); report.Books != 3 || report.Transactions != 19 || report.Holds != 5 || report.Accounts != 8 || report.Entries != 32 {
			t.Fatalf("report %+v", report)
		}
		for _, tam := range tampers {
			t.Run(tam.what+"/"+tam.how, func(t *testing.T) {
				report, err := tampered(t, db, func(ctx context.Context, tx *storage.Tx) error {
					for _, s := range tam.statements {
						if n, err := tx.Exec(ctx, s); err != nil || n == 0 {
							return fmt.Errorf("changed %d rows: %w", n, err)
						}
					}
					return nil
				})
				if err != nil {
					t.Errorf("verify stopped: %v", err)
				} else if report.Found == 0 {
					t.Error("nothing was found")
				}
			})
		}
		verified(t, db)
	})
}

// However much is wrong, all of it is counted and a part of it is named; progress is told after
// each book.
func TestVerifyBoundsWhatItNames(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		eventful(t, db)
		var books []int
		report, err := tampered(t, db, func(ctx context.Context, tx *storage.Tx) error {
			if _, err := tx.Exec(ctx, manyCounters); err != nil {
				return err
			}
			_, err := ledger.Verify(ctx, tx, func(r ledger.Report) { books = append(books, r.Books) })
			return err
		})
		if err != nil || report.Found != 6*6*6 || len(report.Problems) != ledger.MaxProblems {
			t.Errorf("found %d and named %d, %v", report.Found, len(report.Problems), err)
		}
		if !slices.Equal(books, []int{1, 2, 3}) {
			t.Errorf("told of %v books", books)
		}
	})
}

// manyCounters are as many as there are triples of the book's six accounts.
var manyCounters = storage.SQL("ledgertest.many_counters", `INSERT INTO ledger_counters
	SELECT a.book_id, a.account_id || '/' || b.account_id || '/' || c.account_id, 0 FROM ledger_accounts a, ledger_accounts b, ledger_accounts c
	WHERE a.book_id = 'bk_main' AND b.book_id = 'bk_main' AND c.book_id = 'bk_main'`)

var (
	lastBody = storage.SQL("ledgertest.last_body", `SELECT t.body, p.hash FROM ledger_transactions t JOIN ledger_books b ON b.book_id = t.book_id AND b.transactions = t.seq
		JOIN ledger_transactions p ON p.book_id = t.book_id AND p.seq = t.seq - 1 WHERE t.book_id = 'bk_main'`)
	rewriteLast = storage.SQL("ledgertest.rewrite_last", `UPDATE ledger_transactions SET body = $1, hash = $2 WHERE seq = (SELECT transactions FROM ledger_books WHERE book_id = 'bk_main')`)
	rewriteHead = storage.SQL("ledgertest.rewrite_head", `UPDATE ledger_books SET head_hash = $1 WHERE book_id = 'bk_main'`)
)

// A transaction that is rewritten together with its hash and the head still contradicts the
// accounts, the entries or the holds.
func TestVerifyFindsRewrittenHistory(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		eventful(t, db)
		books := ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		submit(t, books, ledger.Operation{Book: theBook, Kind: "event", At: epoch, Postings: []ledger.Posting{{Debit: "wallet", Credit: "fee", Amount: money.New(7, usd)}},
			Open:   []ledger.NewAccount{{ID: "late", Currency: usd, Side: ledger.Debit, Unbounded: true}},
			Guards: []ledger.Guard{{Counter: "day", Add: 6, Limit: 1000}},
			Holds: []ledger.HoldChange{{Action: ledger.Release, ID: "pending", Amount: money.New(9, usd)}, {Action: ledger.Expire, ID: "waiting"},
				{Action: ledger.Place, ID: "late", Debit: "wallet", Credit: "cash", Amount: money.New(11, usd), ExpiresAt: epoch.Add(1000 * time.Hour)}}})
		books.Close()
		for name, change := range map[string][2]string{
			"amount": {`"post":7,`, `"post":8,`}, "credited": {`"c":"fee"`, `"c":"spare"`}, "released": {`"hold":-9,`, `"hold":-8,`},
			"hold": {`"h":"pending"`, `"h":"captured"`}, "currency": {`"c":"fee","cur":"USD"`, `"c":"fee","cur":"EUR"`}, "negative": {`"post":7,`, `"post":-7,`}, "balance": {`"bal":307,`, `"bal":308,`},
			"opened": {`,"side":"debit","unbounded":true`, ``}, "bounded": {`,"unbounded":true`, ``}, "side": {`"side":"debit"`, `"side":"credit"`},
			"counted": {`"add":6`, `"add":5`}, "counter": {`"n":"day"`, `"n":"week"`}, "not counted": {`,"counts":[{"n":"day","add":6}]`, ``},
			"not expired": {`,"expired":true`, ``}, "expired": {`"hold":-9,"h":"pending"`, `"hold":-9,"h":"pending","expired":true`},
			"expires": {`"until":`, `"until":1`}, "never expires": {`"until":`, `"then":`},
			"opened again": {`"after":[{"a":"late",`, `"after":[{"a":"wallet","cur":"USD","bal":0,"avail":0,"side":"credit"},{"a":"late",`},
		} {
			t.Run(name, func(t *testing.T) {
				report, err := tampered(t, db, func(ctx context.Context, tx *storage.Tx) error {
					return rewrite(ctx, tx, change)
				})
				if err != nil || report.Found == 0 {
					t.Errorf("found %d problems, %v", report.Found, err)
				}
			})
		}
		verified(t, db)
	})
}

// What a history that was rewritten may not say is named, also where the tables were made to fit.
func TestVerifyFindsImpossibleHistory(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		eventful(t, db)
		for _, c := range []struct {
			change [2]string
			fit    []*storage.Statement
			want   string
		}{
			{[2]string{`"at":17`, `"at":16`}, nil, "book bk_main transaction 18: it goes back in time"},
			{[2]string{`"states":[{"a":"closed"`, `"states":[{"a":"fee"`}, []*storage.Statement{closeFee, openClosed}, "book bk_main account fee: it is closed and not empty"},
		} {
			report, err := tampered(t, db, func(ctx context.Context, tx *storage.Tx) error {
				for _, s := range c.fit {
					if _, err := tx.Exec(ctx, s); err != nil {
						return err
					}
				}
				return rewrite(ctx, tx, c.change)
			})
			if err != nil || !slices.Contains(report.Problems, c.want) || c.fit != nil && report.Found != 1 {
				t.Errorf("found %q, %v; want %q", report.Problems, err, c.want)
			}
		}
	})
}

// A transaction that says nothing of what it left of an account is named: else money that was not
// there could have been taken from it.
func TestVerifyFindsSilence(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		eventful(t, db)
		books := ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
		submit(t, books, ledger.Operation{Book: theBook, Kind: "event", At: epoch, Postings: []ledger.Posting{{Debit: "spare", Credit: "fee", Amount: money.New(7, usd), Forced: true}}})
		books.Close()
		for _, change := range [][2]string{{`"after":[{`, `"before":[{`}, {`"a":"spare"`, `"a":"frozen"`}} {
			report, err := tampered(t, db, func(ctx context.Context, tx *storage.Tx) error {
				if err := rewrite(ctx, tx, [2]string{`,"forced":true`, ``}); err != nil {
					return err
				}
				return rewrite(ctx, tx, change)
			})
			if want := "book bk_main transaction 19: it does not say what it left account spare"; err != nil || !slices.Contains(report.Problems, want) {
				t.Errorf("found %q, %v; want %q", report.Problems, err, want)
			}
		}
	})
}

var (
	closeFee   = storage.SQL("ledgertest.close_fee", `UPDATE ledger_accounts SET state = 'closed' WHERE account_id = 'fee'`)
	openClosed = storage.SQL("ledgertest.open_closed", `UPDATE ledger_accounts SET state = 'open' WHERE account_id = 'closed'`)
)

func rewrite(ctx context.Context, tx *storage.Tx, change [2]string) error {
	type last struct {
		body string
		hash []byte
	}
	scan := func(r storage.Row) (l last, err error) {
		err = r.Scan(&l.body, &l.hash)
		return l, err
	}
	l, ok, err := storage.One(ctx, tx, scan, lastBody)
	if err != nil || !ok || !strings.Contains(l.body, change[0]) {
		return fmt.Errorf("%s does not say %s: %w", l.body, change[0], err)
	}
	body := strings.Replace(l.body, change[0], change[1], 1)
	hash := sha256.Sum256(append(l.hash, body...))
	if _, err := tx.Exec(ctx, rewriteLast, body, hash[:]); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, rewriteHead, hash[:])
	return err
}

// Every column of the ledger's tables is tampered with by TestVerifyFindsTampering: there
// is none that Verify cannot prove.
func TestEveryColumnIsTamperedWith(t *testing.T) {
	text, err := os.ReadFile("../platform/storage/migrations/0001_ledger.sql")
	check.OK(t, err)
	var columns []string
	table := ""
	for line := range strings.Lines(string(text)) {
		if m := regexp.MustCompile(`^CREATE TABLE (\w+)`).FindStringSubmatch(line); m != nil {
			table = m[1]
		}
		if m := regexp.MustCompile(`^\t([a-z_]+) (TEXT|BIGINT|BYTEA)`).FindStringSubmatch(line); m != nil {
			columns = append(columns, table+"."+m[1])
		}
	}
	if len(columns) < 40 {
		t.Fatalf("only %d columns were read", len(columns))
	}
	for _, column := range columns {
		if !slices.ContainsFunc(tampers, func(tam tamper) bool { return tam.what == column }) {
			t.Errorf("%s is never tampered with", column)
		}
	}
	for _, tam := range tampers {
		if strings.Contains(tam.what, ".") && !slices.Contains(columns, tam.what) {
			t.Errorf("%s does not exist", tam.what)
		}
	}
}
