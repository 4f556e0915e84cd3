package report

import (
	"context"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/wallet"
)

// sides are what everybody says of one order, in all its life until now.
type sides struct {
	order    *order.Order
	changes  []order.Change
	codes    stock.Tally
	claims   claim.Tally
	postings map[ledger.TransactionID]*ledger.Outcome
}

// check compares the sides of some orders of a book.
func (m *maker) check(ctx context.Context, book ledger.BookID, orders []order.Order) error {
	if len(orders) == 0 {
		return nil
	}
	all, err := m.gather(ctx, book, orders)
	if err != nil {
		return err
	}
	for i := range orders {
		s := all[orders[i].Number]
		for _, d := range s.differences() {
			d.Book, d.Order = book, s.order.Number
			m.differ(d)
		}
	}
	return nil
}

// gather reads what the others say of some orders of a book, each from its own tables.
func (m *maker) gather(ctx context.Context, book ledger.BookID, orders []order.Order) (map[order.Number]*sides, error) {
	all := make(map[order.Number]*sides, len(orders))
	numbers, names := make([]order.Number, len(orders)), make([]string, len(orders))
	ids, owner := make([]ledger.TransactionID, 0, len(orders)), map[ledger.TransactionID]*sides{}
	for i := range orders {
		s := &sides{order: &orders[i], postings: map[ledger.TransactionID]*ledger.Outcome{}}
		numbers[i], names[i] = s.order.Number, strconv.FormatInt(int64(s.order.Number), 10)
		all[s.order.Number], owner[s.order.Transaction], ids = s, s, append(ids, s.order.Transaction)
	}
	changes, err := order.ChangesOf(ctx, m.q, book, numbers)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		s := all[c.Order]
		s.changes, owner[c.Transaction], ids = append(s.changes, c), s, append(ids, c.Transaction)
	}
	posted, err := ledger.Transactions(ctx, m.q, book, ids)
	if err != nil {
		return nil, err
	}
	for i := range posted {
		owner[posted[i].Transaction].postings[posted[i].Transaction] = &posted[i]
	}
	tallies, err := stock.Tallies(ctx, m.q, book, names)
	if err != nil {
		return nil, err
	}
	for _, t := range tallies {
		n, _ := strconv.ParseInt(t.Order, 10, 64) // it is one of names
		all[order.Number(n)].codes = t
	}
	claims, err := claim.Tallies(ctx, m.q, book, numbers)
	for _, t := range claims {
		all[t.Order].claims = t
	}
	return all, err
}

// differences compares the sides of one order.
func (s *sides) differences() (all []Difference) {
	differ := func(k Kind, subject string, want, got int64) {
		if want != got {
			all = append(all, Difference{Kind: k, Subject: subject, Want: strconv.FormatInt(want, 10), Got: strconv.FormatInt(got, 10)})
		}
	}
	o := s.order
	money := func(k Kind, want, got int64) {
		if want != got {
			all = append(all, Difference{Kind: k, Subject: o.Amount.Currency.String(), Want: amount(o, want), Got: amount(o, got)})
		}
	}
	refunded, replaced, back := int64(0), int64(0), int64(0)
	for i := range s.changes {
		back += s.changes[i].Refunded.Minor
		switch {
		case s.changes[i].IsRefund():
			refunded += int64(s.changes[i].Codes)
		case s.changes[i].IsReplacement():
			replaced += int64(s.changes[i].Codes)
		}
	}
	sold, paid := int64(0), int64(0)
	if delivered(o) {
		sold, paid = int64(o.Quantity), o.Amount.Minor
	}
	money(Price, o.Price.Minor*int64(o.Quantity), o.Amount.Minor)
	if whole := refunded == int64(o.Quantity); delivered(o) && whole != (o.Status == order.Refunded) {
		all = append(all, Difference{Kind: Status, Want: string(o.Status), Got: strconv.FormatInt(refunded, 10) + " refunded"})
	}
	differ(Codes, "stock", sold, int64(s.codes.Sold+s.codes.Refunded))
	differ(Replaced, "stock", replaced, int64(s.codes.Replaced))
	differ(Replaced, "claims", replaced, int64(s.claims.Replaced))
	differ(Refunded, "stock", refunded, int64(s.codes.Refunded))
	differ(Refunded, "claims", refunded, int64(s.claims.Refunded))
	wallet, rest := s.net()
	money(Wallet, paid-back, wallet)
	money(Revenue, wallet, rest)
	return append(all, s.missing()...)
}

// amount writes minor units in the currency of an order.
func amount(o *order.Order, minor int64) string { return money.New(minor, o.Amount.Currency).String() }

// net is what the wallet paid for the order by the books, and what all other accounts got.
func (s *sides) net() (paid, got int64) {
	own := wallet.Account(s.order.Amount.Currency).ID
	for _, o := range s.postings {
		for _, m := range o.Moves {
			if m.Debit == own {
				paid += m.Posted.Minor
			} else {
				got -= m.Posted.Minor
			}
			if m.Credit == own {
				paid -= m.Posted.Minor
			} else {
				got += m.Posted.Minor
			}
		}
	}
	return paid, got
}

// missing are the order's transactions that the books do not have, or have as something else.
func (s *sides) missing() (all []Difference) {
	lack := func(id ledger.TransactionID) {
		if id == "" && !delivered(s.order) {
			return // nothing paid for it yet
		}
		if o := s.postings[id]; o == nil || !strings.HasPrefix(o.Kind, order.Prefix) {
			all = append(all, Difference{Kind: Missing, Subject: string(id)})
		}
	}
	lack(s.order.Transaction)
	for i := range s.changes {
		lack(s.changes[i].Transaction)
	}
	return all
}
