package deposit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

var bitcoin = address.Place{Realm: realm.Test, Chain: asset.Bitcoin}

// recorded is a chain that notes from where it is asked.
type recorded struct {
	deposit.Chain
	from []string
}

func (r *recorded) Seen(ctx context.Context, after string) (deposit.Page, error) {
	r.from = append(r.from, after)
	return r.Chain.Seen(ctx, after)
}

// state returns how far a chain was looked at.
func (b *bench) state(c asset.Chain) deposit.State {
	b.t.Helper()
	all, err := b.States(b.t.Context())
	check.OK(b.t, err)
	for _, s := range all {
		if s.Chain == c {
			return s
		}
	}
	return deposit.State{}
}

// A chain that does not answer keeps no other from being looked at; what it had to tell
// comes when it answers again.
func TestStalled(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		b.pay(ada, "0.01 BTC", 6)
		b.pay(ada, "1 SOL", 32)
		check.OK(b.t, b.chains[asset.Bitcoin].Stall(t.Context(), true))
		if err := b.Scan(t.Context(), realm.Test); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "scan bitcoin") {
			t.Fatalf("a scan of a chain that is away: %v", err)
		}
		b.expect(ada, "confirmed 1 SOL 32/32 150.00 - 3.00 = 147.00")
		b.clock.Advance(time.Hour)
		if err := b.Scan(t.Context(), realm.Test); err == nil {
			t.Error("a scan of a chain that is away")
		}
		if s := b.state(asset.Bitcoin); !s.FailingSince.Equal(began) || !s.LookedAt.IsZero() {
			t.Errorf("%+v", s)
		}
		if s := b.state(asset.Solana); !s.FailingSince.IsZero() || !s.LookedAt.Equal(began.Add(time.Hour)) || s.At == "" {
			t.Errorf("%+v", s)
		}
		check.OK(b.t, b.chains[asset.Bitcoin].Stall(t.Context(), false))
		b.scan()
		if s := b.state(asset.Bitcoin); !s.FailingSince.IsZero() || !s.LookedAt.Equal(began.Add(time.Hour)) {
			t.Errorf("%+v", s)
		}
		b.totals(ada, "792.33 0.00 792.33 0.00")
	})
}

// Another process goes on where the last one came to, and all of a long history is told.
func TestResumes(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		const many = 230
		ada := b.customer("ada")
		for range many {
			b.pay(ada, "0.0001 BTC", 0)
		}
		chain := &recorded{Chain: b.Chains[bitcoin]}
		b.Chains[bitcoin] = chain
		b.scan()
		if got := strings.Join(chain.from, ","); got != ",100,200" {
			t.Errorf("asked from %s", got)
		}
		found, err := b.List(t.Context(), deposit.Filter{Book: ada.Book, Limit: 1})
		check.OK(b.t, err)
		if found.Total != many {
			t.Errorf("%d deposits, want %d", found.Total, many)
		}
		other := b.another()
		t.Cleanup(other.Books.Close)
		again := &recorded{Chain: other.Chains[bitcoin]}
		other.Chains[bitcoin] = again
		other.scan()
		if got := strings.Join(again.from, ","); got != fmt.Sprint(many) {
			t.Errorf("the other process asked from %s", got)
		}
		b.mine(ada, asset.Bitcoin, 6)
		other.scan()
		// 0.0001 BTC are 6.58, of which 13 cents are kept.
		b.totals(ada, fmt.Sprintf("%d.%02d 0.00 %[1]d.%02[2]d 0.00", many*645/100, many*645%100))
	})
}

// liar is a chain that tells of a payment otherwise than before, and of one that cannot be.
type liar struct {
	deposit.Chain
	lies []deposit.Sighting
}

func (l *liar) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	all, err := l.Chain.Look(ctx, payments)
	return append(l.lies, all...), err
}

// vague is a chain that cannot say what became of one payment, and does of the others.
type vague struct {
	deposit.Chain
	of deposit.Payment
}

func (v vague) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	all, err := v.Chain.Look(ctx, payments)
	if !slices.Contains(payments, v.of) || err != nil {
		return all, err
	}
	return slices.DeleteFunc(all, func(s deposit.Sighting) bool { return s.Payment == v.of }), errors.New("vague")
}

// A payment of which a chain cannot say what became of it keeps no other from being credited.
func TestVague(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		first := b.pay(ada, "0.01 BTC", 0)
		b.pay(ada, "0.02 BTC", 0)
		b.scan()
		b.mine(ada, asset.Bitcoin, 1)
		b.scan()
		b.Chains[bitcoin] = vague{b.Chains[bitcoin], first}
		b.mine(ada, asset.Bitcoin, 5)
		if err := b.Scan(t.Context(), realm.Test); err == nil || !strings.Contains(err.Error(), "vague") {
			t.Errorf("scanned with %v", err)
		}
		b.expect(ada, "pending 0.01 BTC 1/6 658.50 - 13.17 = 645.33", "confirmed 0.02 BTC 6/6 1317.00 - 26.34 = 1290.66")
	})
}

// What a chain cannot mean is left behind, and keeps nothing else from being credited.
func TestLies(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		first := b.pay(ada, "0.01 BTC", 0)
		b.pay(ada, "0.02 BTC", 0)
		b.scan()
		to := b.at(ada, asset.Bitcoin)
		b.Chains[bitcoin] = &liar{Chain: b.Chains[bitcoin], lies: []deposit.Sighting{
			{Payment: first, Address: to, Amount: b.amount("9 BTC"), Confirmations: 6},
			{Payment: deposit.Payment{Chain: asset.Bitcoin, TxID: "x"}, Address: to, Amount: b.amount("9 ETH"), Confirmations: 6},
		}}
		b.mine(ada, asset.Bitcoin, 6)
		b.scan()
		b.expect(ada, "confirmed 0.01 BTC 6/6 658.50 - 13.17 = 645.33", "confirmed 0.02 BTC 6/6 1317.00 - 26.34 = 1290.66")
	})
}

// One deposit that cannot be credited keeps no other from it, and is credited when it can be.
func TestOneFails(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, eve := b.customer("ada"), b.customer("eve")
		b.pay(eve, "0.01 BTC", 0)
		b.pay(ada, "0.01 BTC", 0)
		b.scan()
		check.OK(b.t, b.setWallet(eve, ledger.Closed))
		b.mine(eve, asset.Bitcoin, 6)
		b.mine(ada, asset.Bitcoin, 6)
		if err := b.Scan(t.Context(), realm.Test); fault.CodeOf(err) != fault.AccountClosed {
			t.Errorf("a wallet that is closed was credited: %v", err)
		}
		b.totals(ada, "645.33 0.00 645.33 0.00")
		b.expect(eve, "pending 0.01 BTC 0/6 658.50 - 13.17 = 645.33")
		check.OK(b.t, b.setWallet(eve, ledger.Open))
		other := b.another() // this one has the account's state in its memory
		t.Cleanup(other.Books.Close)
		other.scan()
		b.totals(eve, "645.33 0.00 645.33 0.00")
	})
}

// setWallet opens a wallet's account if need be and puts it into a state; a closed one
// cannot be opened again by the books, so it is put back where it is kept.
func (b *bench) setWallet(w address.Wallet, to ledger.State) error {
	if to == ledger.Open {
		return b.db.Write(b.t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			_, err := tx.Exec(ctx, reopen, string(w.Book))
			return err
		})
	}
	account := wallet.Account(money.USD)
	_, err := b.Books.Submit(b.t.Context(), ledger.Operation{Book: w.Book, Kind: "test.close", Actor: "test", At: b.clocks.Now(w.Realm),
		Open: []ledger.NewAccount{account}, States: []ledger.StateChange{{Account: account.ID, To: to}}})
	return err
}

var reopen = storage.SQL("deposit_test.reopen", `UPDATE ledger_accounts SET state = 'open' WHERE book_id = $1 AND account_id = 'wallet/USD'`)
