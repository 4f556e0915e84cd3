package operator_test

import (
	"log/slog"
	"testing"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/provider/simulator/chain"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// ethereumAt is the chain that is watched here.
var ethereumAt = address.Place{Realm: realm.Test, Chain: asset.Ethereum}

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
		Chains: map[address.Place]deposit.Chain{ethereumAt: chain.New(b.DB, asset.Ethereum)}, Rates: map[realm.Realm]*rate.Service{realm.Test: rates},
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
