// Package shop sells the codes of one product, from its stock and from upstreams that tests
// have under their control, for tests of what comes after a sale.
package shop

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/ground"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// Began is where the clock stands at first.
var Began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// The product, what one code of it costs in cents, and who set the shop up.
const (
	Item   = catalog.ItemCode("GOOGLE-5USD-KOXx")
	Price  = 490
	Seeder = "setup"
)

// Shop is one process, with two customers who have 500.00 each.
type Shop struct {
	Clock   *clock.Manual
	Books   *ledger.Ledger
	Hooks   *webhook.Service
	Jobs    *job.Queue
	Log     *bytes.Buffer
	Wallets *wallet.Service
	Stock   *stock.Stock
	Supply  *supply.Service
	Orders  *order.Service
	Cards   *giftcard.Service
	Buyer   order.Buyer
	Rival   order.Buyer

	t         testing.TB
	accounts  *account.Service
	adapters  map[string]supply.Adapter
	upstreams Upstreams
}

// Open returns a shop on an empty database.
func Open(t testing.TB, db *storage.DB, adapters map[string]supply.Adapter) *Shop {
	t.Helper()
	s := (&Shop{t: t, Clock: clock.NewManual(Began), adapters: adapters, upstreams: Upstreams{}}).Over(db)
	face := catalog.NewFace(500, money.USD)
	items := s.Orders.Catalog
	_, _, err := items.Put(t.Context(), catalog.Product{Code: Item, Name: "Google Play 5 USD", Brand: "Google Play", Category: "Apps", Face: face, FaceMax: face,
		Region: "global", Delivery: catalog.Digital, State: catalog.Active}, Seeder)
	check.OK(t, err)
	_, err = items.PutPrice(t.Context(), catalog.Rule{Item: Item, Basis: catalog.Fixed, Amount: catalog.NewCharged(Price, money.USD)}, Seeder)
	check.OK(t, err)
	s.Buyer, s.Rival = s.Customer("Acme"), s.Customer("Rival")
	return s
}

// Another returns a second process over the shop's database and clock.
func (s *Shop) Another() *Shop {
	s.t.Helper()
	return s.Over(s.Stock.DB)
}

// Over returns a process over the shop's database, which may have been opened anew.
func (s *Shop) Over(db *storage.DB) *Shop {
	t := s.t
	t.Helper()
	g := ground.Lay(t, db, clock.NewRealms(s.Clock))
	s = &Shop{t: t, Clock: s.Clock, Books: g.Books, Hooks: g.Hooks, Jobs: g.Jobs, Log: g.Log, Wallets: wallet.New(g.Books, g.Hooks.Outbox, g.Clocks),
		Buyer: s.Buyer, Rival: s.Rival, adapters: s.adapters, upstreams: s.upstreams}
	items := catalog.New(catalog.Deps{DB: db, Audit: g.Audit, Clocks: g.Clocks, Logger: g.Logger})
	check.OK(t, items.Refresh(t.Context()))
	s.Stock = stock.New(stock.Deps{DB: db, Vault: g.Vault, Audit: g.Audit, Outbox: g.Hooks.Outbox, Clocks: g.Clocks, Catalog: items, Logger: g.Logger})
	s.accounts = account.New(account.Deps{DB: db, Vault: g.Vault, Audit: g.Audit, Clocks: g.Clocks, Logger: g.Logger})
	adapters := map[string]supply.Adapter{Kind: s.upstreams.Open}
	maps.Copy(adapters, s.adapters)
	s.Supply = supply.New(supply.Deps{DB: db, Vault: g.Vault, Audit: g.Audit, Clocks: g.Clocks, Catalog: items, Accounts: s.accounts, Logger: g.Logger, Adapters: adapters})
	check.OK(t, s.Supply.Refresh(t.Context()))
	s.Cards = giftcard.New(giftcard.Deps{DB: db, Books: g.Books, Vault: g.Vault, Outbox: g.Hooks.Outbox, Audit: g.Audit, Clocks: g.Clocks, Rules: giftcard.DefaultRules()})
	s.Orders = order.New(order.Deps{DB: db, Books: g.Books, Catalog: items, Stock: s.Stock, Supply: s.Supply, Cards: s.Cards, Outbox: g.Hooks.Outbox, Queue: g.Jobs, Audit: g.Audit,
		Clocks: g.Clocks, Logger: g.Logger, Patience: time.Minute})
	t.Cleanup(s.Orders.Close)
	return s
}

// Customer makes a customer with 500.00.
func (s *Shop) Customer(name string) order.Buyer {
	s.t.Helper()
	made, err := s.accounts.CreateCustomer(s.t.Context(), Seeder, account.NewCustomer{Name: name})
	check.OK(s.t, err)
	_, err = s.Wallets.Load(s.t.Context(), wallet.Load{Book: made.Test, Realm: realm.Test, Amount: money.New(50_000, money.USD), Reference: "transfer", Actor: Seeder})
	check.OK(s.t, err)
	return order.Buyer{Customer: made.ID, Book: made.Test, Realm: realm.Test, Credential: "key_" + strings.ToLower(name)}
}

// Fill puts n codes, prefix-0001 and so on, into the stock.
func (s *Shop) Fill(prefix string, n int) {
	s.t.Helper()
	var file strings.Builder
	file.WriteString("code\n")
	for i := range n {
		fmt.Fprintf(&file, "%s-%04d\n", prefix, i+1)
	}
	_, err := s.Stock.Import(s.t.Context(), strings.NewReader(file.String()), stock.Options{Realm: realm.Test, Item: Item, Supplier: "house", Batch: prefix, Actor: Seeder})
	check.OK(s.t, err)
}
