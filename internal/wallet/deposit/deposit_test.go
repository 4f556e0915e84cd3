package deposit_test

import (
	"bytes"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/provider/simulator/chain"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
	"github.com/scripcards/scrip/internal/webhook"
)

// Every pair of statuses is either in the transition table or a fault that changes nothing.
func TestTransitions(t *testing.T) {
	legal := map[[2]deposit.Status]bool{
		{deposit.Pending, deposit.Confirmed}: true, {deposit.Pending, deposit.Expired}: true, {deposit.Confirmed, deposit.Pending}: true,
		{deposit.Confirmed, deposit.Expired}: true, {deposit.Expired, deposit.Pending}: true,
	}
	for _, from := range deposit.Statuses() {
		for _, to := range deposit.Statuses() {
			want := from
			if legal[[2]deposit.Status{from, to}] {
				want = to
			}
			if got, err := from.Become(to); got != want || (err == nil) != legal[[2]deposit.Status{from, to}] {
				t.Errorf("%s to %s: %s, %v", from, to, got, err)
			}
		}
	}
	for from, to := range map[deposit.Status]deposit.Status{"": deposit.Pending, deposit.Pending: "lost"} {
		if got, err := from.Become(to); err == nil {
			t.Errorf("%q became %q", from, got)
		}
	}
}

// The published example comes out as it is printed: seen, confirmed six times, credited
// once less 2 %, with the events, the entry and the rate beside it.
func TestLife(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.market.set("BTC", "66666.67")
		ada := b.customer("ada")
		p := b.pay(ada, "0.0075 BTC", 0)
		b.expect(ada)
		b.scan()
		b.expect(ada, "pending 0.0075 BTC 0/6 500.00 - 10.00 = 490.00")
		b.totals(ada, "0.00 500.00 0.00 0.00")
		b.scan()
		b.told(ada, "deposit.pending pending 490.00")
		b.mine(ada, asset.Bitcoin, 5)
		b.clock.Advance(42 * time.Minute)
		b.scan()
		b.expect(ada, "pending 0.0075 BTC 5/6 500.00 - 10.00 = 490.00")
		b.mine(ada, asset.Bitcoin, 1)
		b.scan()
		b.scan()
		b.expect(ada, "confirmed 0.0075 BTC 6/6 500.00 - 10.00 = 490.00")
		b.totals(ada, "490.00 0.00 490.00 0.00")
		b.told(ada, "deposit.pending pending 490.00", "deposit.confirmed confirmed 490.00")

		found, err := b.List(t.Context(), deposit.Filter{Book: ada.Book})
		check.OK(b.t, err)
		d := found.Deposits[0]
		if d.TxID != p.TxID || d.Rate.String() != "6666667/100" || strings.Join(d.Sources, " ") != "market" || !d.RatedAt.Equal(began) ||
			!d.SeenAt.Equal(began) || !d.ConfirmedAt.Equal(began.Add(42*time.Minute)) || d.Address != b.at(ada, asset.Bitcoin) {
			t.Errorf("%+v", d)
		}
		entry, err := b.Books.FindTransaction(t.Context(), ada.Book, d.Credit)
		check.OK(b.t, err)
		if entry.Kind != "deposit.credit" || len(entry.Moves) != 2 || entry.Reference != p.TxID {
			t.Errorf("%+v", entry)
		}
		again, err := b.Find(t.Context(), ada.Book, d.ID)
		check.OK(b.t, err)
		if again.Credit != d.Credit {
			t.Errorf("%+v", again)
		}
		if _, err := b.Find(t.Context(), b.customer("bob").Book, d.ID); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("another's deposit: %v", err)
		}
		b.verified()
	})
}

// The event of a credit has what the published list has, under the same names and in the
// same types.
func TestEvent(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, "500 USDT-ERC20", 12)
		b.market.set("USDT", "1")
		b.scan()
		events, err := b.hooks.Outbox.List(t.Context(), webhook.EventFilter{Book: ada.Book, Type: "deposit.confirmed"})
		check.OK(b.t, err)
		if len(events) != 1 {
			t.Fatalf("%d events", len(events))
		}
		found, err := b.List(t.Context(), deposit.Filter{Book: ada.Book})
		check.OK(b.t, err)
		d := found.Deposits[0]
		want := `{"id":"` + string(d.ID) + `","currency":"usdt","asset":"USDT-ERC20","network":"ethereum","address":"` + b.at(ada, asset.Ethereum) +
			`","amount_crypto":"500","amount_usd":500.00,"fee_usd":10.00,"credited_usd":490.00,"status":"confirmed","tx_hash":"` + p.TxID +
			`","tx_index":0,"confirmations":12,"confirmations_required":12,"rate":"1/1","rate_sources":"market","transaction_id":"` + string(d.Credit) + `"}`
		if got := string(events[0].Data); got != want {
			t.Errorf("event\n%s\nwant\n%s", got, want)
		}
	})
}

// Each asset has its own number of confirmations and its own minimum: one block less is
// pending, one unit less is shown and not credited.
func TestPolicies(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		for _, c := range []struct {
			asset         asset.Asset
			minimum       string
			confirmations int64
		}{
			{asset.BTC, "0.0001", 6}, {asset.ETH, "0.005", 12}, {asset.USDTERC20, "5", 12}, {asset.USDTSOL, "5", 32}, {asset.SOL, "0.1", 32}, {asset.XMR, "0.05", 10},
		} {
			least := b.Minimum(c.asset)
			if least.String() != c.minimum {
				t.Errorf("%s: the minimum is %s, want %s", c.asset, least, c.minimum)
			}
			ada := b.customer("ada-" + string(c.asset))
			less, err := asset.FromBig(new(big.Int).Sub(least.Big(), big.NewInt(1)), c.asset)
			check.OK(b.t, err)
			b.pay(ada, least.String()+" "+string(c.asset), 0)
			b.pay(ada, less.String()+" "+string(c.asset), c.confirmations-1)
			b.scan()
			before := b.deposits(ada)
			if len(before) != 2 || !strings.HasPrefix(before[0], "pending "+c.minimum) && !strings.HasPrefix(before[1], "pending "+c.minimum) {
				t.Errorf("%s: %v", c.asset, before)
			}
			b.mine(ada, c.asset.Chain(), 1)
			b.scan()
			confirmed, tiny := "", ""
			for _, line := range b.deposits(ada) {
				if strings.HasPrefix(line, "confirmed") {
					confirmed = line
				} else {
					tiny = line
				}
			}
			if !strings.HasPrefix(confirmed, "confirmed "+c.minimum+" ") || !strings.HasPrefix(tiny, "expired below_minimum "+less.String()+" ") ||
				!strings.HasSuffix(tiny, " 0.00 - 0.00 = 0.00") {
				t.Errorf("%s:\n%s\n%s", c.asset, confirmed, tiny)
			}
		}
		b.verified()
	})
}

// Larger amounts wait longer, and what is worth more than the books hold waits for somebody
// to look.
func TestHuge(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		rule := b.Policy.Rules[asset.BTC]
		rule.Bands = append(rule.Bands, deposit.Band{From: b.amount("1 BTC"), Confirmations: 20})
		b.Policy.Rules[asset.BTC] = rule
		check.OK(b.t, b.Policy.Check())
		ada := b.customer("ada")
		b.pay(ada, "0.99999999 BTC", 0)
		b.pay(ada, "1 BTC", 0)
		b.mine(ada, asset.Bitcoin, 19)
		b.scan()
		b.expect(ada, "confirmed 0.99999999 BTC 19/6 65849.99 - 1317.00 = 64532.99", "pending 1 BTC 19/20 65850.00 - 1317.00 = 64533.00")
		b.mine(ada, asset.Bitcoin, 1)
		b.scan()
		b.totals(ada, "129065.99 0.00 129065.99 0.00")

		var told bytes.Buffer
		b.Logger = slog.New(slog.NewTextHandler(&told, nil))
		eve := b.customer("eve")
		b.pay(eve, "340282366920938463463.374607431768211455 ETH", 12) // 2^128 - 1 wei
		b.scan()
		b.scan()
		b.expect(eve, "pending too_large 340282366920938463463.374607431768211455 ETH 12/12 0.00 - 0.00 = 0.00")
		b.totals(eve, "0.00 0.00 0.00 0.00")
		if lines := strings.Count(told.String(), "worth more than can be credited"); lines != 1 {
			t.Errorf("%d lines of the log tell of it, want one, however often its chain is looked at:\n%s", lines, told.String())
		}
		b.verified()
	})
}

// A wallet that has as much as can be counted keeps no other from being credited: what comes
// more waits, and is told once.
func TestFull(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		var told bytes.Buffer
		b.Logger = slog.New(slog.NewTextHandler(&told, nil))
		eve, ada := b.customer("eve"), b.customer("ada")
		from, to := wallet.Bank(money.USD), wallet.Account(money.USD)
		_, err := b.Books.Submit(t.Context(), ledger.Operation{Book: eve.Book, Kind: "test.load", Actor: "test", At: b.clocks.Now(eve.Realm), Open: []ledger.NewAccount{from, to},
			Postings: []ledger.Posting{{Debit: from.ID, Credit: to.ID, Amount: money.New(1<<61-100, money.USD)}}})
		check.OK(t, err)
		b.pay(eve, "0.01 BTC", 6)
		b.pay(ada, "0.01 BTC", 6)
		b.scan()
		b.scan()
		b.expect(eve, "pending too_large 0.01 BTC 6/6 0.00 - 0.00 = 0.00")
		b.totals(ada, "645.33 0.00 645.33 0.00")
		if lines := strings.Count(told.String(), "worth more than can be credited"); lines != 1 {
			t.Errorf("%d lines of the log tell of it, want one:\n%s", lines, told.String())
		}
		b.verified()
	})
}

// One transaction that pays a wallet twice is two deposits, and one sighting that comes any
// number of times, from two processes at once, is one.
func TestTwice(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		first := b.pay(ada, "0.1 BTC", 0)
		_, err := b.chains[asset.Bitcoin].Pay(t.Context(), chain.Sent{Address: b.at(ada, asset.Bitcoin), Amount: b.amount("0.2 BTC"), TxID: first.TxID, Confirmations: 6})
		check.OK(b.t, err)
		seen, err := b.chains[asset.Bitcoin].Look(t.Context(), []deposit.Payment{first, {Chain: asset.Bitcoin, TxID: first.TxID, Index: 1}})
		check.OK(b.t, err)
		other := b.another()
		t.Cleanup(other.Books.Close)
		var group sync.WaitGroup
		for i := range 16 {
			group.Go(func() {
				service := []*deposit.Service{b.Service, other.Service}[i%2]
				if _, err := service.Observe(t.Context(), realm.Test, seen[i/2%2]); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		b.scan()
		if n := len(b.deposits(ada)); n != 2 {
			t.Fatalf("%v", b.deposits(ada))
		}
		b.totals(ada, "19359.90 0.00 19359.90 0.00")
		if n := len(b.events(ada)); n != 4 {
			t.Errorf("%v", b.events(ada))
		}
		b.verified()
	})
}

// A payment that is replaced before its block is over, and what replaced it is the deposit;
// one that is forgotten is over until it comes back.
func TestReplacedAndDropped(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		btc := b.chains[asset.Bitcoin]
		old := b.pay(ada, "0.01 BTC", 0)
		b.scan()
		by, err := btc.Replace(t.Context(), old, chain.Sent{Address: b.at(ada, asset.Bitcoin), Amount: b.amount("0.009 BTC")})
		check.OK(b.t, err)
		b.scan()
		b.expect(ada, "expired replaced 0.01 BTC 0/6 0.00 - 0.00 = 0.00", "pending 0.009 BTC 0/6 592.65 - 11.85 = 580.80")
		found, err := b.List(t.Context(), deposit.Filter{Book: ada.Book, Status: deposit.Expired})
		check.OK(b.t, err)
		if found.Total != 1 || found.Deposits[0].ReplacedBy != by.TxID {
			t.Errorf("%+v", found)
		}
		check.OK(b.t, btc.Drop(t.Context(), by))
		b.scan()
		b.scan()
		b.expect(ada, "expired replaced 0.01 BTC 0/6 0.00 - 0.00 = 0.00", "expired dropped 0.009 BTC 0/6 0.00 - 0.00 = 0.00")
		b.totals(ada, "0.00 0.00 0.00 0.00")
		check.OK(b.t, btc.Return(t.Context(), by))
		b.scan()
		b.expect(ada, "expired replaced 0.01 BTC 0/6 0.00 - 0.00 = 0.00", "pending 0.009 BTC 0/6 592.65 - 11.85 = 580.80")
		b.mine(ada, asset.Bitcoin, 6)
		b.scan()
		b.totals(ada, "580.80 0.00 580.80 0.00")
		b.told(ada, "deposit.pending pending 645.33", "deposit.expired expired replaced 0.00", "deposit.pending pending 580.80",
			"deposit.expired expired dropped 0.00", "deposit.pending pending 580.80", "deposit.confirmed confirmed 580.80")
		b.verified()
	})
}

// What is too little for a credit stays so, though its chain forgot it and has it again.
func TestTooLittleComesBack(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, "0.00009 BTC", 0)
		b.scan()
		check.OK(b.t, b.chains[asset.Bitcoin].Drop(t.Context(), p))
		b.scan()
		b.expect(ada, "expired dropped 0.00009 BTC 0/6 0.00 - 0.00 = 0.00")
		check.OK(b.t, b.chains[asset.Bitcoin].Return(t.Context(), p))
		b.scan()
		b.expect(ada, "pending below_minimum 0.00009 BTC 0/6 0.00 - 0.00 = 0.00")
		b.mine(ada, asset.Bitcoin, 6)
		b.scan()
		b.expect(ada, "expired below_minimum 0.00009 BTC 6/6 0.00 - 0.00 = 0.00")
		b.totals(ada, "0.00 0.00 0.00 0.00")
		b.verified()
	})
}

// A payment that was seen between two looks and is gone by the second is nobody's deposit.
func TestGoneBeforeSeen(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		p := b.pay(ada, "0.01 BTC", 0)
		check.OK(b.t, b.chains[asset.Bitcoin].Drop(t.Context(), p))
		b.scan()
		b.expect(ada)
		if _, err := b.chains[asset.Bitcoin].Replace(t.Context(), p, chain.Sent{Address: "x", Amount: b.amount("1 BTC")}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("a payment that is gone was replaced: %v", err)
		}
	})
}

// A reorganisation takes a credit back by an entry of its own, though it is spent: the
// wallet is negative, nothing leaves it any more, and the next credit makes up for it.
func TestReorganised(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		btc, to := b.chains[asset.Bitcoin], b.at(ada, asset.Bitcoin)
		b.pay(ada, "0.01 BTC", 6)
		b.scan()
		b.totals(ada, "645.33 0.00 645.33 0.00")
		check.OK(b.t, b.spend(ada, 60000))
		b.totals(ada, "45.33 0.00 645.33 600.00")
		check.OK(b.t, btc.Reorganise(t.Context(), to, 6, false))
		b.scan()
		b.expect(ada, "pending reorganised 0.01 BTC 0/6 658.50 - 13.17 = 645.33")
		if found, err := b.List(t.Context(), deposit.Filter{Book: ada.Book, Limit: 1}); err != nil || !found.Deposits[0].ConfirmedAt.IsZero() {
			t.Errorf("it waits for a block, and was confirmed at %s, %v", found.Deposits[0].ConfirmedAt, err)
		}
		b.totals(ada, "-600.00 658.50 0.00 600.00")
		if err := b.spend(ada, 1); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Errorf("a wallet that owes spent a cent: %v", err)
		}
		check.OK(b.t, btc.Mine(t.Context(), to, 5))
		b.scan()
		b.totals(ada, "-600.00 658.50 0.00 600.00")
		check.OK(b.t, btc.Mine(t.Context(), to, 1))
		b.scan()
		b.expect(ada, "confirmed 0.01 BTC 6/6 658.50 - 13.17 = 645.33")
		b.totals(ada, "45.33 0.00 645.33 600.00")

		check.OK(b.t, btc.Reorganise(t.Context(), to, 6, true))
		b.scan()
		b.expect(ada, "expired reorganised 0.01 BTC 0/6 0.00 - 0.00 = 0.00")
		b.totals(ada, "-600.00 0.00 0.00 600.00")
		b.pay(ada, "0.1 BTC", 6)
		b.scan()
		b.totals(ada, "5853.30 0.00 6453.30 600.00")
		check.OK(b.t, b.spend(ada, 100))
		b.told(ada, "deposit.pending pending 645.33", "deposit.confirmed confirmed 645.33", "deposit.reversed pending reorganised 645.33",
			"deposit.confirmed confirmed 645.33", "deposit.reversed expired reorganised 645.33", "deposit.pending pending 6453.30",
			"deposit.confirmed confirmed 6453.30")
		b.verified()
	})
}

// What an operator reversed in the books is not taken back by the chain as well, nor credited
// anew; and what the chain took back and the operator gave again is not credited twice.
func TestReversedByHand(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		btc := b.chains[asset.Bitcoin]
		reorganise := func(w address.Wallet, gone bool) {
			check.OK(b.t, btc.Reorganise(t.Context(), b.at(w, asset.Bitcoin), 6, gone))
			b.scan()
		}
		mine := func(w address.Wallet) {
			b.mine(w, asset.Bitcoin, 6)
			b.scan()
		}
		reverse := func(w address.Wallet, which func(deposit.Deposit) ledger.TransactionID) error {
			found, err := b.List(t.Context(), deposit.Filter{Book: w.Book})
			check.OK(b.t, err)
			_, err = b.Books.Submit(t.Context(), ledger.Operation{Book: w.Book, Kind: "transaction.reverse", Reverses: which(found.Deposits[0]), Actor: "op/1",
				At: b.clocks.Now(w.Realm)})
			return err
		}
		credit := func(d deposit.Deposit) ledger.TransactionID { return d.Credit }
		undone := func(d deposit.Deposit) ledger.TransactionID { return d.Reversal }

		ada := b.customer("ada")
		b.pay(ada, "0.01 BTC", 6)
		b.scan()
		check.OK(b.t, reverse(ada, credit))
		b.totals(ada, "0.00 0.00 0.00 0.00")
		reorganise(ada, false)
		b.expect(ada, "pending reorganised 0.01 BTC 0/6 658.50 - 13.17 = 645.33")
		b.totals(ada, "0.00 658.50 0.00 0.00")
		mine(ada)
		b.expect(ada, "confirmed 0.01 BTC 6/6 658.50 - 13.17 = 645.33")
		b.totals(ada, "0.00 0.00 0.00 0.00")
		reorganise(ada, true)
		b.expect(ada, "expired reorganised 0.01 BTC 0/6 0.00 - 0.00 = 0.00")
		b.totals(ada, "0.00 0.00 0.00 0.00")
		b.told(ada, "deposit.pending pending 645.33", "deposit.confirmed confirmed 645.33", "deposit.pending pending reorganised 645.33",
			"deposit.expired expired reorganised 0.00")

		bob := b.customer("bob")
		b.pay(bob, "0.01 BTC", 6)
		b.scan()
		reorganise(bob, false)
		b.totals(bob, "0.00 658.50 0.00 0.00")
		check.Code(t, "reversing a credit that was taken back", reverse(bob, credit), fault.InvalidState)
		check.OK(b.t, reverse(bob, undone))
		mine(bob)
		b.totals(bob, "645.33 0.00 645.33 0.00")
		reorganise(bob, false)
		b.totals(bob, "0.00 658.50 0.00 0.00")
		mine(bob)
		b.totals(bob, "645.33 0.00 645.33 0.00")
		check.Code(t, "giving again what was credited anew", reverse(bob, undone), fault.InvalidState)
		b.verified()
	})
}

// Accounts that an operator froze keep no chain from being read on: what it gave up is taken
// back from them.
func TestFrozen(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		eve, ada := b.customer("eve"), b.customer("ada")
		b.pay(eve, "0.01 BTC", 6)
		b.scan()
		for _, account := range []ledger.AccountID{"wallet/USD", "wallet.deposits/BTC", "wallet.fees/USD"} {
			_, err := b.Books.Submit(t.Context(), ledger.Operation{Book: eve.Book, Kind: "account.freeze", Actor: "op/1", At: b.clocks.Now(eve.Realm),
				States: []ledger.StateChange{{Account: account, To: ledger.Frozen}}})
			check.OK(b.t, err)
		}
		check.OK(b.t, b.chains[asset.Bitcoin].Reorganise(t.Context(), b.at(eve, asset.Bitcoin), 6, true))
		b.pay(ada, "0.01 BTC", 6)
		b.scan()
		b.totals(eve, "0.00 0.00 0.00 0.00")
		b.totals(ada, "645.33 0.00 645.33 0.00")
		b.verified()
	})
}

// A short reorganisation that leaves a credited payment in a block takes nothing back, and a
// deep one takes it back however long ago it was credited.
func TestReorganisedDeep(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		btc, to := b.chains[asset.Bitcoin], b.at(ada, asset.Bitcoin)
		b.pay(ada, "0.01 BTC", 6)
		b.scan()
		check.OK(b.t, btc.Reorganise(t.Context(), to, 3, false))
		b.scan()
		b.expect(ada, "confirmed 0.01 BTC 3/6 658.50 - 13.17 = 645.33")
		check.OK(b.t, btc.Mine(t.Context(), to, 200))
		b.scan()
		b.expect(ada, "confirmed 0.01 BTC 203/6 658.50 - 13.17 = 645.33")
		check.OK(b.t, btc.Mine(t.Context(), to, 1)) // it is settled: nobody counts any more
		b.scan()
		b.expect(ada, "confirmed 0.01 BTC 203/6 658.50 - 13.17 = 645.33")
		check.OK(b.t, btc.Reorganise(t.Context(), to, 204, false))
		b.scan()
		b.totals(ada, "0.00 658.50 0.00 0.00")
		check.OK(b.t, btc.Mine(t.Context(), to, 6))
		b.scan()
		b.totals(ada, "645.33 0.00 645.33 0.00")
		b.verified()
	})
}

// A deposit gets the rate of when it was seen if it is confirmed within three hours, and
// the rate of its credit afterwards; where there was none, that of its credit too.
func TestRates(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		b.pay(ada, "1 SOL", 0)
		b.scan()
		b.market.set("SOL", "100")
		b.clock.Advance(3 * time.Hour)
		b.mine(ada, asset.Solana, 32)
		b.scan()
		b.expect(ada, "confirmed 1 SOL 32/32 150.00 - 3.00 = 147.00")

		late := b.customer("late")
		b.pay(late, "1 SOL", 0)
		b.scan()
		b.expect(late, "pending 1 SOL 0/32 100.00 - 2.00 = 98.00")
		b.market.set("SOL", "200")
		b.clock.Advance(3*time.Hour + time.Microsecond)
		b.mine(late, asset.Solana, 32)
		b.scan()
		b.expect(late, "confirmed 1 SOL 32/32 200.00 - 4.00 = 196.00")

		b.clock.Advance(time.Minute)
		blind := b.customer("blind")
		b.market.set("SOL", "")
		b.pay(blind, "1 SOL", 0)
		b.scan()
		b.expect(blind, "pending 1 SOL 0/32 0.00 - 0.00 = 0.00")
		b.mine(blind, asset.Solana, 32)
		b.scan()
		b.scan()
		b.expect(blind, "pending no_rate 1 SOL 32/32 0.00 - 0.00 = 0.00")
		b.market.set("SOL", "120")
		b.clock.Advance(time.Hour)
		b.scan()
		b.expect(blind, "confirmed 1 SOL 32/32 120.00 - 2.40 = 117.60")
		b.told(blind, "deposit.pending pending 0.00", "deposit.confirmed confirmed 117.60")

		gone := b.customer("gone")
		b.pay(gone, "1 SOL", 0)
		b.scan()
		b.market.set("SOL", "")
		b.clock.Advance(4 * time.Hour)
		b.mine(gone, asset.Solana, 40)
		b.scan()
		b.expect(gone, "pending no_rate 1 SOL 40/32 120.00 - 2.40 = 117.60") // an estimate, which is not credited
		b.totals(gone, "0.00 120.00 0.00 0.00")
		b.market.set("SOL", "110")
		b.scan()
		b.totals(gone, "107.80 0.00 107.80 0.00")
		b.verified()
	})
}

// A dollar token is worth what the market says, not a dollar, on whichever chain it is.
func TestTokenHasItsOwnRate(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		b.pay(ada, "100 USDT-SOL", 32)
		b.pay(ada, "100 USDT-ERC20", 12)
		b.market.set("USDT", "0.9712")
		b.scan()
		b.totals(ada, "190.36 0.00 190.36 0.00")
		for _, a := range []asset.Asset{asset.USDTSOL, asset.USDTERC20} {
			found, err := b.List(t.Context(), deposit.Filter{Book: ada.Book, Asset: a})
			check.OK(b.t, err)
			if found.Total != 1 || found.Deposits[0].Value != money.New(9712, money.USD) {
				t.Errorf("%s: %+v", a, found)
			}
		}
	})
}

// Payments to addresses that are nobody's, of nothing, and sightings that cannot be are no
// deposits; one that contradicts what was seen before changes nothing.
func TestNobodys(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		ada := b.customer("ada")
		btc := b.chains[asset.Bitcoin]
		_, err := btc.Pay(ctx, chain.Sent{Address: "tb1qnobody", Amount: b.amount("1 BTC"), Confirmations: 6})
		check.OK(b.t, err)
		_, err = btc.Pay(ctx, chain.Sent{Address: b.at(ada, asset.Bitcoin), Amount: asset.New(0, asset.BTC), Confirmations: 6})
		check.OK(b.t, err)
		b.scan()
		b.expect(ada)
		p := b.pay(ada, "0.01 BTC", 6)
		b.scan()
		seen := deposit.Sighting{Payment: p, Address: b.at(ada, asset.Bitcoin), Amount: b.amount("0.01 BTC"), Confirmations: 6}
		for name, c := range map[string]struct {
			change func(*deposit.Sighting)
			want   fault.Code
		}{
			"another amount":  {func(s *deposit.Sighting) { s.Amount = b.amount("0.02 BTC") }, fault.IdempotencyConflict},
			"another address": {func(s *deposit.Sighting) { s.Address = "tb1qnobody" }, fault.IdempotencyConflict},
			"another chain":   {func(s *deposit.Sighting) { s.Chain = asset.Ethereum }, fault.InvalidRequest},
			"no transaction":  {func(s *deposit.Sighting) { s.TxID = "" }, fault.InvalidRequest},
			"no address":      {func(s *deposit.Sighting) { s.Address = "" }, fault.InvalidRequest},
			"a zero byte":     {func(s *deposit.Sighting) { s.TxID = "a\x00" }, fault.InvalidRequest},
			"negative index":  {func(s *deposit.Sighting) { s.Index = -1 }, fault.InvalidRequest},
			"negative blocks": {func(s *deposit.Sighting) { s.Confirmations = -1 }, fault.InvalidRequest},
		} {
			bad := seen
			c.change(&bad)
			if _, err := b.Observe(ctx, realm.Test, bad); fault.CodeOf(err) != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		}
		if d, err := b.Observe(ctx, realm.Live, seen); err != nil || d.ID != "" {
			t.Errorf("the other realm: %+v, %v", d, err)
		}
		b.expect(ada, "confirmed 0.01 BTC 6/6 658.50 - 13.17 = 645.33")
	})
}

// A transfer that a contract makes may be another one in another block: then what it paid is
// gone, whether or not it was credited, and what it pays is a deposit of its own.
func TestMadeAnew(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, bert := b.customer("ada"), b.customer("bert")
		seen := deposit.Sighting{Payment: deposit.Payment{Chain: asset.Ethereum, TxID: "0xswap", Index: 3}}
		pays := func(w address.Wallet, amount string, confirmations, height int64) {
			t.Helper()
			seen.Address, seen.Amount, seen.Confirmations, seen.Height = "0xnobody", b.amount(amount), confirmations, height
			if w.Book != "" {
				seen.Address = b.at(w, asset.Ethereum)
			}
			for range 2 {
				_, err := b.Observe(t.Context(), realm.Test, seen)
				check.OK(b.t, err)
			}
		}
		pays(ada, "25 USDT-ERC20", 1, 100)
		waits := deposit.Sighting{Payment: seen.Payment}
		_, err := b.Observe(t.Context(), realm.Test, waits)
		check.OK(b.t, err)
		pays(ada, "20 USDT-ERC20", 1, 101)
		b.expect(ada, "expired reorganised 25 USDT-ERC20 0/12 0.00 - 0.00 = 0.00", "pending 20 USDT-ERC20 1/12 19.99 - 0.40 = 19.59")
		pays(ada, "20 USDT-ERC20", 12, 101)
		b.totals(ada, "19.59 0.00 19.59 0.00")
		pays(bert, "30 USDT-ERC20", 12, 101)
		b.expect(ada, "expired reorganised 25 USDT-ERC20 0/12 0.00 - 0.00 = 0.00", "expired reorganised 20 USDT-ERC20 0/12 0.00 - 0.00 = 0.00")
		b.totals(ada, "0.00 0.00 0.00 0.00")
		b.expect(bert, "confirmed 30 USDT-ERC20 12/12 29.98 - 0.60 = 29.38")
		pays(address.Wallet{}, "30 USDT-ERC20", 1, 102)
		b.totals(bert, "0.00 0.00 0.00 0.00")
		pays(bert, "30 USDT-ERC20", 12, 101)
		b.totals(bert, "29.38 0.00 29.38 0.00")
		b.told(ada, "deposit.pending pending 24.48", "deposit.expired expired reorganised 0.00", "deposit.pending pending 19.59",
			"deposit.confirmed confirmed 19.59", "deposit.reversed expired reorganised 19.59")
		b.verified()
	})
}

// Filters and pages find what they say, newest first, and count all of it.
func TestList(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		ada, bob := b.customer("ada"), b.customer("bob")
		for _, text := range []string{"0.01 BTC", "10 USDT-ERC20", "10 USDT-SOL", "1 ETH", "0.00001 BTC"} {
			b.pay(ada, text, 0)
			b.scan()
		}
		b.mine(ada, asset.Ethereum, 12)
		b.mine(ada, asset.Bitcoin, 6)
		b.pay(bob, "1 XMR", 10)
		b.scan()
		all, err := b.List(ctx, deposit.Filter{Book: ada.Book})
		check.OK(b.t, err)
		second := all.Deposits[1].ID
		for _, c := range []struct {
			filter deposit.Filter
			total  int
			want   string
		}{
			{deposit.Filter{}, 5, "BTC ETH USDT-SOL USDT-ERC20 BTC"},
			{deposit.Filter{Status: deposit.Confirmed}, 3, "ETH USDT-ERC20 BTC"},
			{deposit.Filter{Status: deposit.Pending}, 1, "USDT-SOL"},
			{deposit.Filter{Status: deposit.Expired}, 1, "BTC"},
			{deposit.Filter{Symbol: "USDT"}, 2, "USDT-SOL USDT-ERC20"},
			{deposit.Filter{Asset: asset.USDTSOL}, 1, "USDT-SOL"},
			{deposit.Filter{Symbol: "USDT", Status: deposit.Confirmed}, 1, "USDT-ERC20"},
			{deposit.Filter{Limit: 2, Offset: 1}, 5, "ETH USDT-SOL"},
			{deposit.Filter{Offset: 5}, 5, ""},
			{deposit.Filter{Before: second, Limit: 2}, 5, "USDT-SOL USDT-ERC20"},
			{deposit.Filter{Symbol: "XMR"}, 0, ""},
		} {
			c.filter.Book = ada.Book
			found, err := b.List(ctx, c.filter)
			check.OK(b.t, err)
			var names []string
			for _, d := range found.Deposits {
				names = append(names, string(d.Amount.Asset))
			}
			if got := strings.Join(names, " "); got != c.want || found.Total != c.total {
				t.Errorf("%+v: %d, %s; want %d, %s", c.filter, found.Total, got, c.total, c.want)
			}
		}
		for _, f := range []deposit.Filter{{Limit: -1}, {Limit: deposit.MaxLimit + 1}, {Offset: -1}, {Offset: 1_000_001}, {Status: "lost"}} {
			if _, err := b.List(ctx, f); fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%+v: %v", f, err)
			}
		}
	})
}

// Only what somebody watches has an address: an asset of a chain without a watcher is
// refused, though there is a key to make addresses from.
func TestAddresses(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		all, err := b.Addresses(t.Context(), ada)
		check.OK(b.t, err)
		if len(all) != len(asset.All()) || all[asset.ETH] != all[asset.USDTERC20] || all[asset.SOL] != all[asset.USDTSOL] || all[asset.BTC] == all[asset.ETH] {
			t.Errorf("%v", all)
		}
		some, err := b.Addresses(t.Context(), ada, asset.XMR, asset.BTC)
		check.OK(b.t, err)
		if len(some) != 2 || some[asset.XMR] != all[asset.XMR] {
			t.Errorf("%v", some)
		}
		live := address.Wallet{Book: ada.Book, Realm: realm.Live}
		if got := b.Assets(realm.Live); len(got) != 0 {
			t.Errorf("in the live realm there are %v", got)
		}
		if text, err := b.Address(t.Context(), live, asset.BTC); fault.CodeOf(err) != fault.FeatureDisabled || text != "" {
			t.Errorf("%q, %v", text, err)
		}
		if _, err := b.Addresses(t.Context(), live, asset.BTC); fault.CodeOf(err) != fault.FeatureDisabled {
			t.Errorf("%v", err)
		}
	})
}

// Rules that cannot hold are refused.
func TestPolicyCheck(t *testing.T) {
	if err := deposit.DefaultPolicy().Check(); err != nil {
		t.Error(err)
	}
	band := func(units uint64, n int64) deposit.Band {
		return deposit.Band{From: asset.New(units, asset.BTC), Confirmations: n}
	}
	for name, change := range map[string]func(*deposit.Policy, *deposit.Rule){
		"fee":               func(p *deposit.Policy, _ *deposit.Rule) { p.FeeBasisPoints = 10_000 },
		"negative fee":      func(p *deposit.Policy, _ *deposit.Rule) { p.FeeBasisPoints = -1 },
		"window":            func(p *deposit.Policy, _ *deposit.Rule) { p.RateWindow = -1 },
		"no minimum":        func(_ *deposit.Policy, r *deposit.Rule) { r.Minimum = asset.New(0, asset.BTC) },
		"another's minimum": func(_ *deposit.Policy, r *deposit.Rule) { r.Minimum = asset.New(1, asset.SOL) },
		"no band":           func(_ *deposit.Policy, r *deposit.Rule) { r.Bands = nil },
		"begins late":       func(_ *deposit.Policy, r *deposit.Rule) { r.Bands = []deposit.Band{band(1, 6)} },
		"unconfirmed":       func(_ *deposit.Policy, r *deposit.Rule) { r.Bands = []deposit.Band{band(0, 0)} },
		"falls":             func(_ *deposit.Policy, r *deposit.Rule) { r.Bands = []deposit.Band{band(0, 6), band(0, 7)} },
		"large ones sooner": func(_ *deposit.Policy, r *deposit.Rule) { r.Bands = []deposit.Band{band(0, 6), band(10, 5)} },
		"settled too soon":  func(_ *deposit.Policy, r *deposit.Rule) { r.Settled = 5 },
	} {
		p := deposit.DefaultPolicy()
		r := p.Rules[asset.BTC]
		change(&p, &r)
		p.Rules[asset.BTC] = r
		if fault.CodeOf(p.Check()) != fault.InvalidRequest {
			t.Errorf("%s: %v", name, p.Check())
		}
	}
	p := deposit.DefaultPolicy()
	delete(p.Rules, asset.XMR)
	if fault.CodeOf(p.Check()) != fault.InvalidRequest {
		t.Errorf("an asset without a rule: %v", p.Check())
	}
}
