// Package shop sells the codes of one product from its stock, for tests of what comes after
// a sale.
package shop

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
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
	Buyer   order.Buyer
	Rival   order.Buyer

	t testing.TB
}

// Open returns a shop on an empty database.
func Open(t testing.TB, db *storage.DB, adapters map[string]supply.Adapter) *Shop {
	t.Helper()
	s := join(t, db, clock.NewManual(Began), adapters)
	face := catalog.NewFace(500, money.USD)
	items := s.Orders.Catalog
	_, _, err := items.Put(t.Context(), catalog.Product{Code: Item, Name: "Google Play 5 USD", Brand: "Google Play", Category: "Apps", Face: face, FaceMax: face,
		Region: "global", Delivery: catalog.Digital, State: catalog.Active}, Seeder)
	check.OK(t, err)
	_, err = items.PutPrice(t.Context(), catalog.Rule{Item: Item, Basis: catalog.Fixed, Amount: catalog.NewCharged(Price, money.USD)}, Seeder)
	check.OK(t, err)
	accounts := account.New(account.Deps{DB: db, Vault: s.Stock.Vault, Audit: s.Stock.Audit, Clocks: s.Stock.Clocks, Logger: s.Stock.Logger})
	s.Buyer, s.Rival = s.customer(accounts, "Acme"), s.customer(accounts, "Rival")
	return s
}

// Another returns a second process over the shop's database and clock.
func (s *Shop) Another() *Shop {
	s.t.Helper()
	other := join(s.t, s.Stock.DB, s.Clock, nil)
	other.Buyer, other.Rival = s.Buyer, s.Rival
	return other
}

func join(t testing.TB, db *storage.DB, at *clock.Manual, adapters map[string]supply.Adapter) *Shop {
	t.Helper()
	g := ground.Lay(t, db, clock.NewRealms(at))
	s := &Shop{t: t, Clock: at, Books: g.Books, Hooks: g.Hooks, Jobs: g.Jobs, Log: g.Log, Wallets: wallet.New(g.Books, g.Hooks.Outbox, g.Clocks)}
	items := catalog.New(catalog.Deps{DB: db, Audit: g.Audit, Clocks: g.Clocks, Logger: g.Logger})
	check.OK(t, items.Refresh(t.Context()))
	s.Stock = stock.New(stock.Deps{DB: db, Vault: g.Vault, Audit: g.Audit, Outbox: g.Hooks.Outbox, Clocks: g.Clocks, Catalog: items, Logger: g.Logger})
	s.Supply = supply.New(supply.Deps{DB: db, Vault: g.Vault, Audit: g.Audit, Clocks: g.Clocks, Catalog: items, Logger: g.Logger, Adapters: adapters})
	s.Orders = order.New(order.Deps{DB: db, Books: g.Books, Catalog: items, Stock: s.Stock, Supply: s.Supply, Outbox: g.Hooks.Outbox, Queue: g.Jobs, Audit: g.Audit,
		Clocks: g.Clocks, Logger: g.Logger, Patience: time.Minute})
	t.Cleanup(s.Orders.Close)
	return s
}

func (s *Shop) customer(accounts *account.Service, name string) order.Buyer {
	s.t.Helper()
	made, err := accounts.CreateCustomer(s.t.Context(), Seeder, account.NewCustomer{Name: name})
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
