package deposit_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

var testBitcoin = address.Place{Realm: realm.Test, Chain: asset.Bitcoin}

// survey says how bitcoin is watched: height, tip, lag and problem.
func (b *bench) survey() string {
	b.t.Helper()
	all, err := b.Surveys(b.t.Context())
	check.OK(b.t, err)
	for i := range all {
		if s := &all[i]; s.Place == testBitcoin {
			return strings.TrimSpace(fmt.Sprint(s.Height, " ", s.Tip, " ", s.Lag(), " ", s.Problem))
		}
	}
	b.t.Fatal("nobody watches bitcoin")
	return ""
}

// How far a chain was read and where it ends is known, and so is why it does not answer.
func TestSurveys(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		b.pay(ada, "0.01 BTC", 3)
		before := b.survey()
		if !strings.HasPrefix(before, "-1 ") || !strings.HasSuffix(before, " -1") {
			t.Errorf("never looked at: %s", before)
		}
		check.OK(b.t, b.ScanChain(t.Context(), testBitcoin))
		var height, tip, lag int64
		if _, err := fmt.Sscan(b.survey(), &height, &tip, &lag); err != nil || height != tip || height == 0 || lag != 0 {
			t.Errorf("looked at: %s, %v", b.survey(), err)
		}
		b.mine(ada, asset.Bitcoin, 1)
		b.pay(ada, "0.02 BTC", 0)
		if _, err := fmt.Sscan(b.survey(), &height, &tip, &lag); err != nil || lag != tip-height || lag == 0 {
			t.Errorf("behind: %s, %v", b.survey(), err)
		}
		chain := b.Chains[testBitcoin]
		b.Chains[testBitcoin] = short{chain.(surveyed)}
		if got, want := b.survey(), fmt.Sprintf("%d 0 0 it is behind: it ends at 0, and %[1]d was read before", height); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if _, err := b.Audit(t.Context(), testBitcoin); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "behind") {
			t.Errorf("an audit of a chain that is behind: %v", err)
		}
		b.Chains[testBitcoin] = chain
		check.OK(b.t, b.chains[asset.Bitcoin].Stall(t.Context(), true))
		if got := b.survey(); !strings.HasSuffix(got, "bitcoin does not answer") {
			t.Errorf("stalled: %s", got)
		}
		live := address.Place{Realm: realm.Live, Chain: asset.Bitcoin}
		if err := b.ScanChain(t.Context(), live); fault.CodeOf(err) != fault.FeatureDisabled {
			t.Errorf("what nobody watches: %v", err)
		}
	})
}

// surveyed is a chain that can be audited, and short one that lacks what it had.
type surveyed interface {
	deposit.Chain
	deposit.Surveyor
	deposit.Holder
}

type short struct{ surveyed }

func (short) Tip(context.Context) (int64, error) { return 0, nil }

// A chain that is read again credits nothing again, and who scans at that moment does not
// undo it.
func TestRescan(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		b.pay(ada, "0.01 BTC", 6)
		b.pay(ada, "0.02 BTC", 6)
		b.scan()
		b.totals(ada, "1935.99 0.00 1935.99 0.00")
		check.OK(b.t, b.Rescan(t.Context(), deposit.Rescan{Place: testBitcoin, From: 1, Actor: "ada"}))
		if got := b.survey(); !strings.HasPrefix(got, "0 ") {
			t.Errorf("it goes on behind %s", got)
		}
		b.scan()
		b.totals(ada, "1935.99 0.00 1935.99 0.00")
		for _, from := range []int64{-1, 0, 1 << 40} {
			err := b.Rescan(t.Context(), deposit.Rescan{Place: testBitcoin, From: from})
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("from %d: %v", from, err)
			}
		}
		other := b.another()
		interrupted := &between{Chain: b.chains[asset.Bitcoin], then: func() {
			check.OK(b.t, other.Rescan(t.Context(), deposit.Rescan{Place: testBitcoin, From: 1, Actor: "ada"}))
		}}
		b.pay(ada, "0.03 BTC", 6)
		b.Chains[testBitcoin] = interrupted
		b.scan()
		b.Chains[testBitcoin] = b.chains[asset.Bitcoin]
		if got := b.survey(); !strings.HasPrefix(got, "0 ") {
			t.Errorf("who was reading went on behind %s", got)
		}
		b.scan()
		b.verified()
	})
}

// between is a chain during whose answer something else happens.
type between struct {
	deposit.Chain
	then func()
}

func (c *between) Seen(ctx context.Context, after string) (deposit.Page, error) {
	page, err := c.Chain.Seen(ctx, after)
	c.then()
	return page, err
}

// audit runs an audit of bitcoin: its sums and then its differences, in short.
func (b *bench) audit() []string {
	b.t.Helper()
	found, err := b.Audit(b.t.Context(), testBitcoin)
	check.OK(b.t, err)
	var all []string
	for _, s := range found.Sums {
		all = append(all, fmt.Sprintf("%d/%d %s %s %s", s.Credited, s.Deposits, deposit.Whole(s.Paid, s.Asset), deposit.Whole(s.Held, s.Asset), s.Worth))
	}
	for _, d := range found.Differences {
		all = append(all, fmt.Sprint(d.Kind, " ", d.Book, " ", d.Deposits, " ", d.Found))
	}
	return all
}

// An audit finds what a chain has that no deposit shows, what is credited and gone, and
// books that say otherwise than the deposits, each at its address; and nothing else.
func TestAudit(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, bert := b.customer("ada"), b.customer("bert")
		want := func(what string, lines ...string) {
			t.Helper()
			if got := b.audit(); !slices.Equal(got, lines) {
				t.Errorf("%s: %q, want %q", what, got, lines)
			}
		}
		want("nothing", "0/0 0 0 0.00")
		b.pay(ada, "0.01 BTC", 6)
		b.pay(bert, "0.00001 BTC", 6)
		b.at(bert, asset.Bitcoin)
		want("not looked at", "0/0 0 0.01001 0.00", "unseen ada 0 0.01", "unseen bert 0 0.00001")
		b.scan()
		want("looked at", "1/2 0.01001 0.01001 658.50")
		check.OK(b.t, b.chains[asset.Bitcoin].Reorganise(t.Context(), b.at(ada, asset.Bitcoin), 6, true))
		want("gone", "1/2 0.01001 0.00001 658.50", "gone ada 0.01 0")
		b.scan()
		want("taken back", "0/1 0.00001 0.00001 0.00")
		from, to := wallet.Custody(asset.BTC, money.USD), wallet.Account(money.USD)
		_, err := b.Books.Submit(t.Context(), ledger.Operation{Book: bert.Book, Kind: "test.credit", Actor: "test", At: b.clocks.Now(bert.Realm), Open: []ledger.NewAccount{from, to},
			Postings: []ledger.Posting{{Debit: from.ID, Credit: to.ID, Amount: money.New(100, money.USD)}}})
		check.OK(b.t, err)
		want("a credit without a deposit", "0/1 0.00001 0.00001 0.00", "booked bert 0.00 1.00")
		live := address.Place{Realm: realm.Live, Chain: asset.Bitcoin}
		if _, err := b.Audit(t.Context(), live); fault.CodeOf(err) != fault.FeatureDisabled {
			t.Errorf("what nobody watches: %v", err)
		}
	})
}

// meddled is a chain during whose answer about payments something else happens.
type meddled struct {
	surveyed
	then func()
}

func (c *meddled) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	all, err := c.surveyed.Look(ctx, payments)
	c.then()
	return all, err
}

// What is credited, or taken back, while an audit asks the chain is no difference.
func TestAuditMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		to, btc := b.at(ada, asset.Bitcoin), b.chains[asset.Bitcoin]
		b.pay(ada, "0.01 BTC", 6)
		b.pay(ada, "0.02 BTC", 0)
		b.scan()
		other := b.another()
		t.Cleanup(other.Books.Close)
		during := func(what string, happens func() error, want ...string) {
			t.Helper()
			chain := b.Chains[testBitcoin]
			b.Chains[testBitcoin] = &meddled{chain.(surveyed), func() {
				check.OK(b.t, happens())
				other.scan()
			}}
			if got := b.audit(); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
			b.Chains[testBitcoin] = chain
		}
		during("credited", func() error { return btc.Mine(t.Context(), to, 6) }, "1/2 0.03 0.01 658.50")
		b.totals(ada, "1935.99 0.00 1935.99 0.00")
		check.OK(b.t, btc.Reorganise(t.Context(), to, 12, false))
		during("taken back", func() error { return nil }, "2/2 0.03 0 1975.50")
		b.totals(ada, "0.00 1975.50 0.00 0.00")
	})
}

// Of the addresses that were used within a year those come first of which something may have
// been missed, and then those that were used last, however they are written.
func TestRecent(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		var want []string
		for _, name := range []string{"ada", "bert", "cleo", "dora", "emil"} {
			w := b.customer(name)
			want = append([]string{b.at(w, asset.Bitcoin)}, want...)
			b.clock.Advance(time.Hour)
			if name == "dora" {
				b.pay(address.Wallet{Book: "ada", Realm: realm.Test}, "0.01 BTC", 1)
				b.scan()
			}
		}
		want = []string{want[0], want[4], want[1], want[2], want[3]}
		got, err := b.Recent(t.Context(), testBitcoin)
		check.OK(b.t, err)
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		b.clock.Advance(365*24*time.Hour - 90*time.Minute)
		if got, err = b.Recent(t.Context(), testBitcoin); err != nil || !slices.Equal(got, want[:2]) {
			t.Errorf("a year later: %q, %v, want %q", got, err, want[:2])
		}
	})
}

// slow is a chain that tells where it ends when others were asked, too.
type slow struct {
	surveyed
	asked *sync.WaitGroup
}

func (c slow) Tip(ctx context.Context) (int64, error) {
	c.asked.Done()
	all := make(chan struct{})
	go func() {
		c.asked.Wait()
		close(all)
	}()
	select {
	case <-all:
		return c.surveyed.Tip(ctx)
	case <-ctx.Done():
		return 0, fault.New(fault.Unavailable, "nobody else was asked")
	}
}

// Chains that do not answer are waited for together, and not one after the other.
func TestSurveysAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		var asked sync.WaitGroup
		for p, c := range b.Chains {
			asked.Add(1)
			b.Chains[p] = slow{c.(surveyed), &asked}
		}
		all, err := b.Surveys(t.Context())
		check.OK(b.t, err)
		for _, s := range all {
			if s.Problem != "" {
				t.Errorf("%s: %s", s.Chain, s.Problem)
			}
		}
	})
}
