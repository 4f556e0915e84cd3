package order

import (
	"context"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
)

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

// Postings returns the transactions of an order in the books, first to last: what paid for
// it or, where a supplier delivers it, what held the money, and what took it or freed it.
// It returns not_found.
func (s *Service) Postings(ctx context.Context, book ledger.BookID, number Number) ([]ledger.Outcome, error) {
	o, err := s.Find(ctx, book, number)
	if err != nil {
		return nil, err
	}
	var all []ledger.Outcome
	for _, transaction := range []ledger.TransactionID{o.HoldTransaction, o.Transaction} {
		if transaction == "" {
			continue
		}
		found, err := s.Books.FindTransaction(ctx, book, transaction)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}

func outOfStock(quantity int) *fault.Error {
	return fault.New(fault.OutOfStock, "there are not %d codes of this item in stock", quantity).With("requested", itoa(quantity))
}
