package operator_test

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/chain"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// ethereumAt is the chain that is watched here.
var ethereumAt = address.Place{Realm: realm.Test, Chain: asset.Ethereum}

// forgetful is a chain that keeps no account of addresses in the blocks of a gap.
type forgetful struct {
	*chain.Chain
	lost *deposit.Gap
}

// Seen implements deposit.Chain.
func (f *forgetful) Seen(ctx context.Context, after string) (deposit.Page, error) {
	page, err := f.Chain.Seen(ctx, after)
	if f.lost.Address != "" {
		page.Compared, page.Lost, page.Gaps = deposit.Span{From: 1, To: f.lost.To}, true, []deposit.Gap{*f.lost}
	}
	return page, err
}

// untold has the chain forget what the customer's address was paid from a block on, up to another.
func (b *bundle) untold(t testing.TB, args []string) {
	t.Helper()
	to, err := b.Deposits.Address(t.Context(), address.Wallet{Book: b.customer.Test, Realm: realm.Test}, asset.ETH)
	check(t, err)
	b.lost = deposit.Gap{Address: to, Asset: asset.ETH}
	for i, height := range []*int64{&b.lost.From, &b.lost.To} {
		*height, err = strconv.ParseInt(args[i], 10, 64)
		check(t, err)
	}
	check(t, b.Deposits.ScanChain(t.Context(), ethereumAt))
}

// gaps are the calls about what may have been missed.
func (b *bundle) gaps(t testing.TB) map[string]repeatable {
	t.Helper()
	b.untold(t, []string{"5", "9"})
	return map[string]repeatable{
		"rails.dismiss": {target: "/operator/v1/rails/test/ethereum/dismiss", body: `{"address":"` + b.lost.Address + `","reason":"loaded by hand"}`},
	}
}

// rails has the sandbox's chain of ethereum watched.
func (b *bundle) rails(t testing.TB) {
	t.Helper()
	key, err := address.ParseEthereum(address.DemoEthereum)
	check(t, err)
	logger := slog.New(slog.DiscardHandler)
	rates := rate.New(rate.Deps{Sources: []rate.Named{{Name: "sandbox", Source: rate.Sandbox()}}, Clock: b.Clocks.Of(realm.Test), Logger: logger,
		Policy: rate.Policy{Least: 1, Refresh: 1, Fresh: 1, Stale: 1, Timeout: 1e9, Outlier: 200, Spread: 300}})
	book := address.New(address.Deps{DB: b.DB, Audit: b.Audit, Outbox: b.Webhooks.Outbox, Clocks: b.Clocks, Logger: logger,
		Makers: map[address.Place]address.Maker{ethereumAt: key}})
	b.Deposits = deposit.New(deposit.Deps{DB: b.DB, Books: b.Books, Outbox: b.Webhooks.Outbox, Clocks: b.Clocks, AddressBook: book, Logger: logger,
		Chains: map[address.Place]deposit.Chain{ethereumAt: &forgetful{chain.New(b.DB, asset.Ethereum), &b.lost}}, Rates: map[realm.Realm]*rate.Service{realm.Test: rates},
		Policy: deposit.DefaultPolicy()})
}

// deposited has the customer's address paid an amount of an asset on the sandbox's chain.
func (b *bundle) deposited(t testing.TB, args []string) {
	t.Helper()
	a, err := asset.Parse(args[1])
	check(t, err)
	amount, err := asset.ParseAmount(args[0], a)
	check(t, err)
	to, err := b.Deposits.Address(t.Context(), address.Wallet{Book: b.customer.Test, Realm: realm.Test}, a)
	check(t, err)
	_, err = chain.New(b.DB, asset.Ethereum).Pay(t.Context(), chain.Sent{Address: to, Amount: amount, Confirmations: 12})
	check(t, err)
}

// What an operator has looked after is in the audit log under the operator's name, with the
// reason; without a reason, and for those who may only read, nothing is done.
func TestDismiss(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		const target = "/operator/v1/rails/test/ethereum/dismiss"
		b.untold(t, []string{"5", "9"})
		for body, want := range map[string]int{
			`{"address":"` + b.lost.Address + `"}`:                                               http.StatusBadRequest,
			`{"address":"` + b.lost.Address + `","reason":"by\u202ehand"}`:                       http.StatusBadRequest,
			`{"address":"` + b.lost.Address + `","reason":"` + strings.Repeat("a", 201) + `"}`:   http.StatusBadRequest,
			`{"address":"` + b.lost.Address + `","reason":"loaded to 4111111111111111"}`:         http.StatusBadRequest,
			`{"address":"\u0000","reason":"loaded by hand"}`:                                     http.StatusBadRequest,
			`{"address":"0x0000000000000000000000000000000000000001","reason":"loaded by hand"}`: http.StatusNotFound,
		} {
			if got := b.do(account.RoleAdmin, http.MethodPost, target, body).Code; got != want {
				t.Errorf("%s: %d, want %d", body, got, want)
			}
		}
		body := `{"address":"` + b.lost.Address + `","reason":"loaded by hand"}`
		if got := b.do(account.RoleSupport, http.MethodPost, target, body).Code; got != http.StatusForbidden {
			t.Errorf("support: %d", got)
		}
		list := func() []audit.Entry {
			t.Helper()
			all, err := b.Audit.List(t.Context(), audit.Filter{Book: string(b.customer.Test), Subject: b.lost.Address})
			check(t, err)
			return all
		}
		if n := len(list()); n != 0 {
			t.Fatalf("%d records of nothing", n)
		}
		if w := b.do(account.RoleAdmin, http.MethodPost, target, body); w.Code != http.StatusOK {
			t.Fatal(w.Body)
		}
		_, me, _ := strings.Cut(b.do(account.RoleAdmin, http.MethodGet, "/operator/v1/me", "").Body.String(), `"operator_id":"`)
		me, _, _ = strings.Cut(me, `"`)
		all := list()
		if len(all) != 1 || all[0].Action != "wallet.dismiss" || all[0].Actor != me || all[0].Detail["reason"] != "loaded by hand" {
			t.Errorf("by %s: %+v", me, all)
		}
	})
}
