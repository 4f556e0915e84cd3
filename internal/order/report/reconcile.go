package report

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
)

// maker makes one report from one state of the database.
type maker struct {
	q      storage.Queryer
	period ledger.Period
	report *Report
	rows   map[money.Currency]*Row
	known  map[Difference]bool // those of one book
}

// reconcile returns the report of a day as q sees it.
func reconcile(ctx context.Context, q storage.Queryer, r realm.Realm, day Day) (Report, error) {
	from, err := day.start()
	if err != nil {
		return Report{}, err
	}
	report := Report{Realm: r, Day: day}
	m := &maker{q: q, period: ledger.Period{Realm: r, From: from, Until: from.AddDate(0, 0, 1)}, report: &report,
		rows: map[money.Currency]*Row{}, known: map[Difference]bool{}}
	for after := ledger.BookID(""); ; {
		books, err := ledger.BusyBooks(ctx, q, m.period, after)
		if err != nil {
			return report, err
		}
		for _, book := range books {
			if err := m.book(ctx, book); err != nil {
				return report, err
			}
			after = book
			clear(m.known)
		}
		if len(books) < ledger.MaxPage {
			break
		}
	}
	if err := m.sales(ctx); err != nil {
		return report, err
	}
	m.sum()
	return report, nil
}

// row is the figures of a currency.
func (m *maker) row(currency money.Currency) *Row {
	r := m.rows[currency]
	if r == nil {
		none := money.New(0, currency)
		r = &Row{Currency: currency, Charged: none, Refunded: none, WalletPaid: none, WalletRefunded: none, Revenue: none, Other: none}
		m.rows[currency] = r
	}
	return r
}

// differ notes a difference, once.
func (m *maker) differ(d Difference) {
	if m.known[d] {
		return
	}
	m.known[d] = true
	m.report.Found++
	if len(m.report.Differences) < MaxDifferences {
		m.report.Differences = append(m.report.Differences, d)
	}
}

// book goes through what one book did in the period.
func (m *maker) book(ctx context.Context, book ledger.BookID) error {
	stretch, err := ledger.Within(ctx, m.q, book, m.period)
	if err != nil {
		return err
	}
	run, err := order.PlacedIn(ctx, m.q, book, m.period)
	if err != nil {
		return err
	}
	if err := m.posted(ctx, stretch, run); err != nil {
		return err
	}
	if err := m.strangers(ctx, stretch); err != nil {
		return err
	}
	if err := m.placed(ctx, run); err != nil {
		return err
	}
	return m.changed(ctx, stretch, run)
}

// posted sums what the books did for orders. Each transaction is some order's; those of
// orders that were placed in the period are looked at with them.
func (m *maker) posted(ctx context.Context, s ledger.Stretch, run order.Run) error {
	for {
		page, err := ledger.OfKinds(ctx, m.q, s, order.Prefix)
		if err != nil {
			return err
		}
		owners, err := order.Owners(ctx, m.q, page)
		if err != nil {
			return err
		}
		var numbers, captured []order.Number
		for i := range page {
			m.add(&page[i])
			s.After = page[i].Seq
			number, owned := owners[page[i].Transaction]
			if !owned {
				m.differ(Difference{Kind: Transaction, Book: s.Book, Subject: string(page[i].Transaction), Got: page[i].Kind})
				continue
			}
			if numbers = append(numbers, number); order.IsCapture(&page[i]) {
				captured = append(captured, number)
			}
		}
		if err := m.captured(ctx, s.Book, captured); err != nil {
			return err
		}
		if err := m.others(ctx, run, numbers); err != nil || len(page) < ledger.MaxPage {
			return err
		}
	}
}

// captured sums orders that suppliers delivered in the period, whenever they were placed.
func (m *maker) captured(ctx context.Context, book ledger.BookID, numbers []order.Number) error {
	slices.Sort(numbers)
	for some := range slices.Chunk(slices.Compact(numbers), order.MaxPerPage) {
		found, err := order.Load(ctx, m.q, book, some)
		if err != nil {
			return err
		}
		for i := range found {
			m.count(&found[i])
		}
	}
	return nil
}

// count sums an order, if it was delivered.
func (m *maker) count(o *order.Order) {
	if delivered(o) {
		r := m.row(o.Amount.Currency)
		r.Orders, r.Codes, r.Charged.Minor = r.Orders+1, r.Codes+int64(o.Quantity), r.Charged.Minor+o.Amount.Minor
	}
}

// add sums one transaction.
func (m *maker) add(o *ledger.Outcome) {
	for _, move := range o.Moves {
		m.side(move.Debit, move.Posted, true)
		m.side(move.Credit, move.Posted, false)
	}
}

func (m *maker) side(account ledger.AccountID, amount money.Amount, debit bool) {
	r, got := m.row(amount.Currency), amount.Minor
	if debit {
		got = -got
	}
	switch {
	case account == wallet.Account(amount.Currency).ID && debit:
		r.WalletPaid.Minor += amount.Minor
	case account == wallet.Account(amount.Currency).ID:
		r.WalletRefunded.Minor += amount.Minor
	case strings.HasPrefix(string(account), order.RevenueAccount):
		r.Revenue.Minor += got
	default:
		r.Other.Minor += got
	}
}

// strangers looks for what operators undid by hand on the accounts of orders.
func (m *maker) strangers(ctx context.Context, s ledger.Stretch) error {
	for {
		page, err := ledger.OfKinds(ctx, m.q, s, "transaction.")
		if err != nil {
			return err
		}
		for i := range page {
			s.After = page[i].Seq
			touches := slices.ContainsFunc(page[i].Moves, func(move ledger.Move) bool {
				return strings.HasPrefix(string(move.Debit), order.Prefix) || strings.HasPrefix(string(move.Credit), order.Prefix)
			})
			if !touches {
				continue
			}
			undone, err := m.undone(ctx, &page[i])
			if err != nil {
				return err
			}
			m.differ(Difference{Kind: Transaction, Book: s.Book, Order: undone, Subject: string(page[i].Transaction), Got: page[i].Kind})
		}
		if len(page) < ledger.MaxPage {
			return nil
		}
	}
}

// undone returns which order's transaction one reversed; 0: it was none's.
func (m *maker) undone(ctx context.Context, by *ledger.Outcome) (order.Number, error) {
	originals, err := ledger.Transactions(ctx, m.q, by.Book, []ledger.TransactionID{by.Reverses})
	if err != nil {
		return 0, err
	}
	owners, err := order.Owners(ctx, m.q, originals)
	return owners[by.Reverses], err
}

// placed sums the orders of the period that were paid at once, and looks at each.
func (m *maker) placed(ctx context.Context, run order.Run) error {
	for {
		page, err := order.Between(ctx, m.q, run)
		if err != nil {
			return err
		}
		for i := range page {
			o := &page[i]
			run.After = o.Number
			if o.Hold == "" {
				m.count(o)
			}
		}
		if err := m.check(ctx, run.Book, page); err != nil || len(page) < order.MaxPerPage {
			return err
		}
	}
}

// delivered reports whether an order's codes were delivered and paid.
func delivered(o *order.Order) bool { return o.Status == order.Completed || o.Status == order.Refunded }

// changed sums what became of orders in the period.
func (m *maker) changed(ctx context.Context, s ledger.Stretch, run order.Run) error {
	for {
		page, err := order.ChangesIn(ctx, m.q, s)
		if err != nil {
			return err
		}
		var numbers []order.Number
		for i := range page {
			c := &page[i]
			s.After, numbers = c.Seq, append(numbers, c.Order)
			r := m.row(c.Refunded.Currency)
			r.Refunded.Minor += c.Refunded.Minor
			switch {
			case c.IsRefund():
				r.CodesRefunded += int64(c.Codes)
			case c.IsReplacement():
				r.CodesReplaced += int64(c.Codes)
			}
		}
		if err := m.others(ctx, run, numbers); err != nil || len(page) < ledger.MaxPage {
			return err
		}
	}
}

// others looks at those of some orders that are not in a run.
func (m *maker) others(ctx context.Context, run order.Run, numbers []order.Number) error {
	numbers = slices.DeleteFunc(numbers, func(n order.Number) bool { return n > run.After && n <= run.Last })
	slices.Sort(numbers)
	for some := range slices.Chunk(slices.Compact(numbers), order.MaxPerPage) {
		found, err := order.Load(ctx, m.q, run.Book, some)
		if err != nil {
			return err
		}
		if err := m.check(ctx, run.Book, found); err != nil {
			return err
		}
	}
	return nil
}

// sales counts the codes that were sold. Each belongs to an order.
func (m *maker) sales(ctx context.Context) error {
	query := stock.SalesQuery{Realm: m.period.Realm, From: m.period.From, Until: m.period.Until, Limit: stock.MaxSales}
	for {
		page, err := stock.Sales(ctx, m.q, query)
		if err != nil {
			return err
		}
		byBook := map[ledger.BookID][]stock.Sale{}
		for _, sale := range page {
			byBook[sale.Book] = append(byBook[sale.Book], sale)
			query.After = sale
		}
		for _, book := range slices.Sorted(maps.Keys(byBook)) {
			if err := m.sold(ctx, book, byBook[book]); err != nil {
				return err
			}
		}
		if len(page) < stock.MaxSales {
			return nil
		}
	}
}

func (m *maker) sold(ctx context.Context, book ledger.BookID, sales []stock.Sale) error {
	var numbers []order.Number
	for _, sale := range sales {
		if n, err := strconv.ParseInt(sale.Order, 10, 64); err == nil {
			numbers = append(numbers, order.Number(n))
		}
	}
	slices.Sort(numbers)
	found, err := order.Load(ctx, m.q, book, slices.Compact(numbers))
	if err != nil {
		return err
	}
	currency := make(map[string]money.Currency, len(found))
	for i := range found {
		currency[strconv.FormatInt(int64(found[i].Number), 10)] = found[i].Amount.Currency
	}
	for _, sale := range sales {
		if c, known := currency[sale.Order]; known {
			m.row(c).CodesSold++
		} else {
			m.differ(Difference{Kind: Code, Book: book, Subject: string(sale.ID), Got: sale.Order})
		}
	}
	return nil
}

// sum sorts the rows and compares the sides of each.
func (m *maker) sum() {
	for _, r := range m.rows {
		m.report.Rows = append(m.report.Rows, *r)
	}
	slices.SortFunc(m.report.Rows, func(a, b Row) int { return strings.Compare(a.Currency.String(), b.Currency.String()) })
	for i := range m.report.Rows {
		r := &m.report.Rows[i]
		count := func(n int64) string { return strconv.FormatInt(n, 10) }
		kept := money.New(r.WalletPaid.Minor-r.WalletRefunded.Minor, r.Currency)
		for _, f := range []struct{ name, want, got string }{
			{"codes", count(r.Codes + r.CodesReplaced), count(r.CodesSold)},
			{"charged", r.Charged.String(), r.WalletPaid.String()},
			{"refunded", r.Refunded.String(), r.WalletRefunded.String()},
			{"kept", kept.String(), money.New(r.Revenue.Minor+r.Other.Minor, r.Currency).String()},
		} {
			if f.want != f.got {
				m.differ(Difference{Kind: Total, Subject: f.name + "/" + r.Currency.String(), Want: f.want, Got: f.got})
			}
		}
	}
}
