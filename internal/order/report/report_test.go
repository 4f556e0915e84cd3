package report_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

const (
	first  = report.Day("2026-11-21")
	second = report.Day("2026-11-22")
)

// twoDays plays two days of sales, replacements and refunds, and comes to the third.
func (b *bundle) twoDays() {
	b.Fill("GPLAY", 12)
	b.place(b.Buyer, 3)
	b.place(b.Rival, 2)
	b.decide(b.Buyer, 1, claim.Refund, 1)
	b.Clock.Advance(24 * time.Hour)
	b.place(b.Buyer, 1)
	b.decide(b.Buyer, 1, claim.Replace, 2)
	b.decide(b.Buyer, 1, claim.Reject, 3)
	b.decide(b.Rival, 1, claim.Refund, 1, 2)
	b.Clock.Advance(24 * time.Hour)
}

// Days of sales, replacements and refunds come out even, each with its own figures, and
// are found again as they were made.
func TestEven(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.twoDays()
		for day, want := range map[report.Day]string{
			first:  "USD orders 2 codes 5 charged 24.50 replaced 0 refunded 1 4.90 sold 5 paid 24.50 back 4.90 revenue 19.60 other 0.00",
			second: "USD orders 1 codes 1 charged 4.90 replaced 1 refunded 2 9.80 sold 2 paid 4.90 back 9.80 revenue -4.90 other 0.00",
		} {
			made := b.made(day)
			if diff := cmp.Diff([]string{want}, rows(made)); diff != "" || made.Found != 0 || len(made.Differences) != 0 {
				t.Errorf("%s: %s%v", day, diff, b.texts(made))
			}
			found, err := b.Find(t.Context(), realm.Test, day)
			check.OK(b.t, err)
			if diff := cmp.Diff(made, found, cmp.Comparer(func(a, b money.Currency) bool { return a == b })); diff != "" {
				t.Errorf("%s, read again: %s", day, diff)
			}
		}
		quiet, err := b.Make(t.Context(), realm.Live, first)
		if err != nil || len(quiet.Rows) != 0 || quiet.Found != 0 || b.Differences() != 0 || b.Log.Len() != 0 {
			t.Errorf("live: %+v, %v, the log: %s", quiet, err, b.Log)
		}
	})
}

// Whichever row of whichever table is not as the others say, the order is named, and the
// operator is told in the audit log, the program's log and the metric.
func TestCorruption(t *testing.T) {
	for name, c := range map[string]struct {
		statement *storage.Statement
		day       report.Day
		want      []string
	}{
		"an order's amount": {cheapen, first, []string{"price of acme/1, USD: 14.60, not 14.70", "total, charged/USD: 24.50, not 24.40",
			"wallet of acme/1, USD: 9.80, not 9.70"}},
		"an order's quantity": {enlarge, first, []string{"codes of rival/1, stock: 2, not 3", "price of rival/1, USD: 9.80, not 14.70",
			"status of rival/1: 2 refunded, not refunded", "total, codes/USD: 5, not 6"}},
		"an order's status": {complete, first, []string{"status of rival/1: 2 refunded, not completed"}},
		"an order that failed": {fail, second, []string{"codes of acme/2, stock: 1, not 0", "total, charged/USD: 4.90, not 0.00", "total, codes/USD: 2, not 1",
			"wallet of acme/2, USD: 4.90, not 0.00"}},
		"a sold code":                  {unsell, second, []string{"codes of acme/2, stock: 0, not 1", "total, codes/USD: 1, not 2"}},
		"a code of nobody":             {misplace, second, []string{"code of acme, code: 99, not ", "codes of acme/2, stock: 0, not 1", "total, codes/USD: 1, not 2"}},
		"a refunded code":              {revive, first, []string{"refunded of acme/1, stock: 0, not 1"}},
		"a claim":                      {reconsider, second, []string{"replaced of acme/1, claims: 0, not 1"}},
		"a refund of more":             {inflate, second, []string{"total, refunded/USD: 9.80, not 10.80", "wallet of rival/1, USD: 0.00, not -1.00"}},
		"a refund that no order knows": {forget, second, []string{"total, refunded/USD: 9.80, not 0.00", "transaction of rival, txn: order.refund, not "}},
		"an order that nobody paid":    {disown, second, []string{"missing of acme/2", "transaction of acme, txn: order.purchase, not ", "wallet of acme/2, USD: 0.00, not 4.90"}},
		"a lost transaction":           {erase, second, []string{"missing of acme/2, txn", "total, charged/USD: 0.00, not 4.90", "wallet of acme/2, USD: 0.00, not 4.90"}},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b *bundle) {
				b.twoDays()
				b.corrupt(c.statement)
				made := b.made(c.day)
				var got []string
				for _, text := range b.texts(made) {
					got = append(got, ids.ReplaceAllString(text, "$1"))
				}
				slices.Sort(got)
				if diff := cmp.Diff(c.want, got); diff != "" || int(made.Found) != len(got) {
					t.Errorf("%d differences (-want +got):\n%s", made.Found, diff)
				}
				b.told(made)
				found, err := b.Find(t.Context(), realm.Test, c.day)
				if check.OK(t, err); !cmp.Equal(made.Differences, found.Differences) {
					t.Errorf("read again (-made +found):\n%s", cmp.Diff(made.Differences, found.Differences))
				}
			})
		})
	}
}

var ids = regexp.MustCompile(`(txn|code)_[0-9a-z]{26}`)

// What goes wrong in the tables, in the books of the buyer or the rival: $1 and $2.
var (
	cheapen  = storage.SQL("report_test.cheapen", `UPDATE orders SET amount_minor = amount_minor - 10 WHERE book_id = $1 AND order_id = 1 AND $2 <> ''`)
	enlarge  = storage.SQL("report_test.enlarge", `UPDATE orders SET quantity = 3 WHERE book_id = $2 AND order_id = 1 AND $1 <> ''`)
	complete = storage.SQL("report_test.complete", `UPDATE orders SET status = 'completed' WHERE book_id = $2 AND order_id = 1 AND $1 <> ''`)
	fail     = storage.SQL("report_test.fail", `UPDATE orders SET status = 'failed' WHERE book_id = $1 AND order_id = 2 AND $2 <> ''`)
	unsell   = storage.SQL("report_test.unsell", `UPDATE stock_codes SET state = 'available', buyer = '', order_id = '', sold_at = NULL
		WHERE buyer = $1 AND order_id = '2' AND $2 <> ''`)
	misplace   = storage.SQL("report_test.misplace", `UPDATE stock_codes SET order_id = '99' WHERE buyer = $1 AND order_id = '2' AND $2 <> ''`)
	revive     = storage.SQL("report_test.revive", `UPDATE stock_codes SET state = 'sold' WHERE buyer = $1 AND state = 'refunded' AND $2 <> ''`)
	reconsider = storage.SQL("report_test.reconsider", `UPDATE claim_codes SET state = 'rejected' WHERE book_id = $1 AND state = 'replaced' AND $2 <> ''`)
	inflate    = storage.SQL("report_test.inflate", `UPDATE order_changes SET refunded_minor = refunded_minor + 100 WHERE book_id = $2 AND $1 <> ''`)
	forget     = storage.SQL("report_test.forget", `DELETE FROM order_changes WHERE book_id = $2 AND $1 <> ''`)
	disown     = storage.SQL("report_test.disown", `UPDATE orders SET transaction_id = '' WHERE book_id = $1 AND order_id = 2 AND $2 <> ''`)
	erase      = storage.SQL("report_test.erase", `DELETE FROM ledger_transactions WHERE book_id = $1 AND $2 <> ''
		AND transaction_id = (SELECT o.transaction_id FROM orders o WHERE o.book_id = $1 AND o.order_id = 2)`)
)

func (b *bundle) corrupt(s *storage.Statement) {
	b.t.Helper()
	check.OK(b.t, b.DB.Write(b.t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		n, err := tx.Exec(ctx, s, string(b.Buyer.Book), string(b.Rival.Book))
		if err == nil && n != 1 {
			err = fmt.Errorf("%d rows were changed", n)
		}
		return err
	}))
}

// told fails unless the operator was told of a report's differences.
func (b *bundle) told(r report.Report) {
	b.t.Helper()
	log, err := b.Audit.List(b.t.Context(), audit.Filter{Action: "report.differs"})
	check.OK(b.t, err)
	if len(log) != 1 || log[0].Subject != "test/"+string(r.Day) || log[0].Actor != "system" || log[0].Detail["first"] != r.Differences[0].String() ||
		log[0].Detail["differences"] != fmt.Sprint(r.Found) {
		b.t.Errorf("the audit log has %+v", log)
	}
	events, err := b.Outbox.List(b.t.Context(), webhook.EventFilter{Book: webhook.House(realm.Test), Type: "report.differs"})
	check.OK(b.t, err)
	if len(events) != 1 || !strings.HasPrefix(string(events[0].Data), fmt.Sprintf(`{"day":%q,"differences":%d,"first":`, r.Day, r.Found)) {
		b.t.Errorf("the operators were told %+v", events)
	}
	if text := b.Log.String(); !strings.Contains(text, "orders, codes and postings differ") || !strings.Contains(text, "level=ERROR") {
		b.t.Errorf("the log is %s", text)
	}
	if b.Differences() != r.Found {
		b.t.Errorf("the metric says %d", b.Differences())
	}
}

// What an operator undoes by hand in the books of orders is named, with its order, which
// does not know of it. What they undo elsewhere is no matter of orders.
func TestReversalByHand(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.Fill("GPLAY", 1)
		b.place(b.Buyer, 1)
		posted, err := b.Orders.Postings(t.Context(), b.Buyer.Book, 1)
		check.OK(b.t, err)
		undone, err := b.Books.Submit(t.Context(), ledger.Operation{Book: b.Buyer.Book, Kind: "transaction.reverse", Reverses: posted[0].Transaction, Actor: operator, At: b.Clock.Now()})
		check.OK(b.t, err)
		load, err := b.Wallets.Load(t.Context(), wallet.Load{Book: b.Buyer.Book, Realm: realm.Test, Amount: money.New(100, money.USD), Reference: "mistaken", Actor: shop.Seeder})
		check.OK(b.t, err)
		_, err = b.Books.Submit(t.Context(), ledger.Operation{Book: b.Buyer.Book, Kind: "transaction.reverse", Reverses: load.Transaction, Actor: operator, At: b.Clock.Now()})
		check.OK(b.t, err)
		b.Clock.Advance(24 * time.Hour)
		made := b.made(first)
		want := []report.Difference{{Kind: report.Transaction, Book: b.Buyer.Book, Order: 1, Subject: string(undone.Transaction), Got: "transaction.reverse"}}
		if diff := cmp.Diff(want, made.Differences); diff != "" {
			t.Error(diff)
		}
	})
}

// Reports are made once a day is over, for days that were missed too, and anew when asked.
func TestMakeDue(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.twoDays()
		_, err := b.Make(t.Context(), realm.Test, "2026-11-23")
		if fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("today: %v", err)
		}
		_, err = b.Find(t.Context(), realm.Test, first)
		if fault.CodeOf(err) != fault.NotFound {
			t.Errorf("before: %v", err)
		}
		check.OK(b.t, b.MakeDue(t.Context()))
		b.days("2026-11-22")
		b.Clock.Advance(-9*time.Hour + 14*time.Minute) // of the 23rd, just begun
		b.Clock.Advance(3 * 24 * time.Hour)
		check.OK(b.t, b.MakeDue(t.Context()))
		b.days("2026-11-22", "2026-11-23", "2026-11-24")
		b.Clock.Advance(time.Minute)
		check.OK(b.t, b.MakeDue(t.Context()))
		check.OK(b.t, b.MakeDue(t.Context()))
		b.days("2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25")
		b.Clock.Advance(3 * 24 * time.Hour)
		for _, r := range realm.All() { // an operator asks for the last day, before the others are made up for
			_, err := b.Make(t.Context(), r, "2026-11-28")
			check.OK(b.t, err)
		}
		check.OK(b.t, b.MakeDue(t.Context()))
		b.days("2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27", "2026-11-28")
		b.Clock.Advance(97 * 24 * time.Hour)
		check.OK(b.t, b.MakeDue(t.Context()))
		b.days("2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27", "2026-11-28", "2027-02-27", "2027-02-28", "2027-03-01", "2027-03-02", "2027-03-03", "2027-03-04", "2027-03-05")
		b.corrupt(fail)
		if again := b.made(second); again.Found == 0 {
			t.Errorf("made again: %+v", again)
		}
		if found, err := b.Find(t.Context(), realm.Test, second); err != nil || found.Found == 0 || len(found.Rows) != 1 {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// days fails unless there are reports of these days in both realms.
func (b *bundle) days(want ...string) {
	b.t.Helper()
	for _, r := range realm.All() {
		got, err := storage.All(b.t.Context(), b.DB, storage.Scalar[string], listDays, string(r))
		check.OK(b.t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			b.t.Errorf("%s: %s", r, diff)
		}
	}
}

var listDays = storage.SQL("report_test.list_days", `SELECT day FROM report_days WHERE realm = $1 ORDER BY day`)

// Whatever is no date is refused.
func TestParseDay(t *testing.T) {
	for text, ok := range map[string]bool{"2026-11-27": true, "2028-02-29": true, "2026-02-29": false, "2026-1-1": false, "": false, "27.11.2026": false, "2026-11-27T00:00:00Z": false, "0001-01-01": false} {
		day, err := report.ParseDay(text)
		if (err == nil) != ok || ok && string(day) != text {
			t.Errorf("%q: %q, %v", text, day, err)
		}
	}
}

// More transactions, changes and codes than a page has come out even, too; of more differences
// than a report lists all are counted, each once.
func TestPages(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		const orders = 1050
		b.Fill("GPLAY", orders+20)
		_, err := b.Wallets.Load(t.Context(), wallet.Load{Book: b.Buyer.Book, Realm: realm.Test, Amount: money.New(1_000_000, money.USD), Reference: "more", Actor: shop.Seeder})
		check.OK(b.t, err)
		var group errgroup.Group
		group.SetLimit(32)
		for range orders {
			group.Go(func() error {
				_, err := b.Orders.Place(t.Context(), b.Buyer, order.Purchase{Item: shop.Item, Quantity: 1})
				return err
			})
		}
		check.OK(b.t, group.Wait())
		b.decide(b.Buyer, 1, claim.Refund, 1)
		b.decide(b.Buyer, orders, claim.Replace, 1)
		b.Clock.Advance(24 * time.Hour)
		made := b.made(first)
		want := []string{"USD orders 1050 codes 1050 charged 5145.00 replaced 1 refunded 1 4.90 sold 1051 paid 5145.00 back 4.90 revenue 5140.10 other 0.00"}
		if diff := cmp.Diff(want, rows(made)); diff != "" || made.Found != 0 {
			t.Errorf("%s%v", diff, b.texts(made))
		}
		check.OK(t, b.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			_, err := tx.Exec(ctx, cheapenAll, string(b.Buyer.Book))
			return err
		}))
		made = b.made(first)
		found, err := b.Find(t.Context(), realm.Test, first)
		if err != nil || made.Found != 2*orders+1 || found.Found != made.Found || len(made.Differences) != report.MaxDifferences || len(found.Differences) != report.MaxDifferences {
			t.Errorf("%d differences, of which %d are listed; %d and %d, read again, %v", made.Found, len(made.Differences), found.Found, len(found.Differences), err)
		}

		const refunded = 510 // orders that the next day's postings and changes both lead to
		for number := range refunded {
			b.decide(b.Buyer, order.Number(number+2), claim.Refund, 1)
		}
		b.Clock.Advance(24 * time.Hour)
		if made = b.made(second); made.Found != 2*refunded {
			t.Errorf("%d differences of the day after, of %d orders", made.Found, refunded)
		}
	})
}

// cheapenAll makes each order differ in its price, and in what the wallet paid for it.
var cheapenAll = storage.SQL("report_test.cheapen_all", `UPDATE orders SET amount_minor = amount_minor - 10 WHERE book_id = $1`)
