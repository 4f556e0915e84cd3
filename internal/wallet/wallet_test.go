package wallet_test

import (
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// A bank transfer credits the wallet once under its reference, in the name of who recorded
// it, and its owner is told once; what is no transfer is refused.
func TestLoad(t *testing.T) {
	each(t, func(t *testing.T, p, other *process) {
		l := wallet.Load{Book: p.book, Realm: realm.Test, Amount: money.New(1_000, money.USD), Reference: "transfer 7", Actor: ada}
		first, err := p.Load(t.Context(), l)
		check.OK(t, err)
		again, err := other.Load(t.Context(), l)
		check.OK(t, err)
		check.Equal(t, "repeated", []any{again.Transaction, again.Replayed}, []any{first.Transaction, true})
		stored, err := p.books.FindTransaction(t.Context(), p.book, first.Transaction)
		check.OK(t, err)
		check.Equal(t, "in the books", []string{stored.Kind, stored.Reference, stored.Actor}, []string{"wallet.load", "transfer 7", ada})
		check.Equal(t, "moved", stored.Moves, []ledger.Move{{Debit: "wallet.bank/USD", Credit: "wallet/USD", Posted: l.Amount}})
		for name, row := range map[string]struct {
			change func(*wallet.Load)
			want   fault.Code
		}{
			"another amount":       {func(l *wallet.Load) { l.Amount.Minor++ }, fault.IdempotencyConflict},
			"nothing":              {func(l *wallet.Load) { l.Amount.Minor = 0 }, fault.InvalidAmount},
			"less than nothing":    {func(l *wallet.Load) { l.Reference, l.Amount.Minor = "transfer 8", -1 }, fault.InvalidAmount},
			"no reference":         {func(l *wallet.Load) { l.Reference = "" }, fault.InvalidRequest},
			"a long reference":     {func(l *wallet.Load) { l.Reference = strings.Repeat("r", 141) }, fault.InvalidRequest},
			"a reference of lines": {func(l *wallet.Load) { l.Reference = "a\nb" }, fault.InvalidRequest},
		} {
			changed := l
			row.change(&changed)
			_, err := p.Load(t.Context(), changed)
			check.Code(t, name, err, row.want)
		}
		for currency, want := range map[money.Currency]int64{money.USD: 1_000, money.EUR: 0} {
			balance, err := p.Balance(t.Context(), p.book, currency)
			check.OK(t, err)
			check.Equal(t, "balance", balance, money.New(want, currency))
		}
		events, err := p.Outbox.List(t.Context(), webhook.EventFilter{Book: p.book, Type: "wallet.loaded", Limit: 100})
		check.OK(t, err)
		if len(events) != 1 || !strings.Contains(string(events[0].Data), `"balance":"10.00"`) {
			t.Errorf("told %d times: %+v", len(events), events)
		}
	})
}
