package supply_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/line"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

const (
	actor = "op_1"
	plain = catalog.ItemCode("PLAIN")
	own   = catalog.ItemCode("OWN")
)

// nobody is a supplier that answers every question for a price as it was opened.
type nobody struct {
	supply.Supplier
	quote supply.Quote
	err   error
}

func (n nobody) Quote(context.Context, supply.Wanted) (supply.Quote, error) { return n.quote, n.err }

// bundle is one process over a database with two items: from stock, and made when sold.
type bundle struct {
	*supply.Service
	t        testing.TB
	deps     supply.Deps
	clock    *clock.Manual
	log      *bytes.Buffer
	customer account.Customer
}

func setup(t *testing.T, db *storage.DB) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: clock.NewManual(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)), log: &bytes.Buffer{}}
	master, _, err := vault.LoadMasterKey(t.TempDir(), "")
	check.OK(b.t, err)
	keys, err := vault.Open(t.Context(), db, master)
	check.OK(b.t, err)
	clocks, log, logger := clock.NewRealms(b.clock), audit.New(db), slog.New(slog.NewTextHandler(b.log, nil))
	items := catalog.New(catalog.Deps{DB: db, Audit: log, Clocks: clocks, Logger: logger})
	accounts := account.New(account.Deps{DB: db, Vault: keys, Audit: log, Clocks: clocks, Logger: logger})
	b.deps = supply.Deps{DB: db, Vault: keys, Audit: log, Clocks: clocks, Catalog: items, Accounts: accounts, Logger: logger,
		Adapters: map[string]supply.Adapter{"fixed": b.open}}
	b.Service = supply.New(b.deps)
	b.customer, err = accounts.CreateCustomer(t.Context(), actor, account.NewCustomer{Name: "Issuer"})
	check.OK(b.t, err)
	face := catalog.NewFace(500, money.USD)
	for _, p := range []catalog.Product{{Code: plain, Name: "Plain", Brand: "B", Face: face}, {Code: own, Name: "Own", Brand: "B", Face: face, Mint: "template_001"}} {
		_, _, err := items.Put(t.Context(), p, actor)
		check.OK(b.t, err)
	}
	return b
}

// open is the adapter: the configuration is a secret with a price in it.
func (b *bundle) open(config []byte) (supply.Supplier, error) {
	var cents int64
	if _, err := fmt.Sscanf(string(config), `{"secret":"hunter2","cents":%d`, &cents); err != nil {
		return nil, fault.New(fault.InvalidRequest, "no price").At("cents")
	}
	if cents < 0 {
		return nobody{err: errors.New("down")}, nil
	}
	in := money.USD
	if bytes.Contains(config, []byte(`"EUR"`)) {
		in = money.EUR
	}
	return nobody{quote: supply.Quote{Cost: catalog.NewCost(cents, in), Available: true}}, nil
}

func config(cents int) []byte { return fmt.Appendf(nil, `{"secret":"hunter2","cents":%d}`, cents) }

func (b *bundle) add(id string, cents int) {
	b.t.Helper()
	_, err := b.Add(b.t.Context(), wanted(id, config(cents)))
	check.OK(b.t, err)
}

func wanted(id string, config []byte) supply.Setup {
	return supply.Setup{Config: config, Actor: actor,
		Configured: supply.Configured{Realm: realm.Test, ID: id, Name: "Supplier " + id, Kind: "fixed", Active: true}}
}

func (b *bundle) route(item catalog.ItemCode, supplier string, priority int) {
	b.t.Helper()
	check.OK(b.t, b.PutRoute(b.t.Context(), supply.Route{Realm: realm.Test, Item: item, Supplier: supplier, Priority: priority}, actor))
}

// sources are who delivers an item, in order.
func sources(s *supply.Service, item catalog.ItemCode) string {
	p, err := s.Catalog.Find(context.Background(), item)
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, from := range s.Sources(realm.Test, &p) {
		names = append(names, from.Supplier)
	}
	return strings.Join(names, " ")
}

// A supplier is added, changed without showing what it is configured with, made inactive and
// removed; other processes follow, and its configuration is nowhere in the clear.
func TestConfigure(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		made, err := b.Add(t.Context(), wanted("acme", config(450)))
		check.OK(b.t, err)
		if !made.Active || made.State != line.Operational || made.Name != "Supplier acme" {
			t.Errorf("%+v", made)
		}
		if _, err := b.Add(t.Context(), wanted("acme", config(450))); fault.CodeOf(err) != fault.AlreadyExists {
			t.Errorf("added twice: %v", err)
		}
		b.route(plain, "acme", 1)
		other := supply.New(b.deps)
		check.OK(b.t, other.Refresh(t.Context()))
		if got := sources(other, plain); got != "stock acme" {
			t.Errorf("in another process: %s", got)
		}
		change := wanted("acme", nil)
		change.Name, change.Active, change.Timeout = "Acme Ltd", false, 7*time.Second
		if made, err = b.Change(t.Context(), change); err != nil || made.Name != "Acme Ltd" || made.Active || made.State != line.Down || made.Timeout != 7*time.Second {
			t.Errorf("%+v, %v", made, err)
		}
		check.OK(b.t, other.Refresh(t.Context()))
		if got := sources(other, plain); got != "stock" {
			t.Errorf("inactive, in another process: %s", got)
		}
		change.Active = true
		_, err = b.Change(t.Context(), change)
		check.OK(b.t, err)
		if got := sources(b.Service, plain); got != "stock acme" {
			t.Errorf("active again, with what it had: %s", got)
		}
		gone := supply.Removal{Realm: realm.Test, ID: "acme", Actor: actor}
		if err := b.Remove(t.Context(), gone); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("removed while it is active: %v", err)
		}
		change.Active = false
		_, err = b.Change(t.Context(), change)
		check.OK(b.t, err)
		check.OK(b.t, b.Remove(t.Context(), gone))
		for name, err := range map[string]error{"removed twice": b.Remove(t.Context(), gone), "found": second(b.Find(t.Context(), realm.Test, "acme")),
			"changed": second(b.Change(t.Context(), change))} {
			if fault.CodeOf(err) != fault.NotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		if all, err := b.List(t.Context(), realm.Test); err != nil || len(all) != 0 {
			t.Errorf("%d suppliers, %v", len(all), err)
		}
		if _, err := b.Add(t.Context(), wanted("acme", config(450))); fault.CodeOf(err) != fault.AlreadyExists {
			t.Errorf("an id is used again: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// A supplier is opened when it is first asked. Where it cannot be opened, for want of its
// secrets say, it is down and asked for nothing, it is known why, and the others go on.
func TestNotOpenedHere(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.add("acme", 450)
	b.route(plain, "acme", 1)
	deps := b.deps
	tried := 0
	deps.Adapters = map[string]supply.Adapter{"fixed": func([]byte) (supply.Supplier, error) {
		tried++
		return nobody{}, errors.New("no such file")
	}}
	other := supply.New(deps)
	check.OK(b.t, other.Refresh(t.Context()))
	product := catalog.Product{Code: plain}
	found, err := other.List(t.Context(), realm.Test)
	if err != nil || len(found) != 1 || found[0].State != line.Operational || other.Unopened(realm.Test, &product) != nil || tried != 0 {
		t.Errorf("%+v, %v, opened %d times before it was asked", found, err, tried)
	}
	if offers := other.Best(t.Context(), other.Sources(realm.Test, &product), supply.Ask{Price: catalog.NewCharged(490, money.USD), Quantity: 1}); len(offers) != 0 || tried != 1 {
		t.Errorf("%+v, opened %d times", offers, tried)
	}
	if err := other.Unopened(realm.Test, &product); err == nil || err.Error() != "supplier acme cannot be asked from here: no such file" {
		t.Error(err)
	}
	if got := sources(other, plain); got != "stock" {
		t.Error(got)
	}
	if found, err := other.Find(t.Context(), realm.Test, "acme"); err != nil || found.State != line.Down {
		t.Errorf("%+v, %v", found, err)
	}
	row := supply.Row{Realm: realm.Test, Supplier: "acme"}
	if a := other.Query(t.Context(), &row); !a.NotCalled() || a.Reason == "" {
		t.Errorf("asked all the same: %+v", a)
	}
	other.Close()
}

// What a supplier is configured with is nowhere in the clear.
func TestConfigIsSealed(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.add("acme", 450)
		tables, err := storage.Tables(t.Context(), db)
		check.OK(b.t, err)
		for _, table := range tables {
			check.OK(b.t, table.Each(t.Context(), db, func(row []any) error {
				for _, column := range row {
					if text := fmt.Sprintf("%s", column); strings.Contains(text, "hunter2") {
						t.Errorf("it is in %s", table.Name)
					}
				}
				return nil
			}))
		}
		if strings.Contains(b.log.String(), "hunter2") {
			t.Error("it is in the log")
		}
	})
}

// What cannot be a supplier, or a route, is refused and says at which field.
func TestRefusals(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.add("acme", 450)
	setups := map[string]func(*supply.Setup){
		"realm": func(s *supply.Setup) { s.Realm = "moon" }, "id": func(s *supply.Setup) { s.ID = "stock" }, "name": func(s *supply.Setup) { s.Name = "" },
		"kind": func(s *supply.Setup) { s.Kind = "carrier pigeon" }, "config": func(s *supply.Setup) { s.Config = nil },
		"config.cents": func(s *supply.Setup) { s.Config = []byte(`{}`) }, "timeout": func(s *supply.Setup) { s.Timeout = time.Hour },
		"concurrency":     func(s *supply.Setup) { s.Concurrency = -1 },
		"config.customer": func(s *supply.Setup) { s.Kind, s.Config = supply.KindGiftcard, []byte(`{"customer":"cus_0"}`) },
	}
	for field, spoil := range setups {
		setup := wanted("other", config(1))
		spoil(&setup)
		_, err := b.Add(t.Context(), setup)
		if f := fault.From(err); f.Code != fault.InvalidRequest || f.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	kept := wanted("acme", nil)
	kept.Kind = supply.KindGiftcard
	if _, err := b.Change(t.Context(), kept); fault.From(err).Field != "kind" {
		t.Errorf("another kind: %v", err)
	}
	routes := map[string]struct {
		supply.Route
		code fault.Code
	}{
		"realm":         {supply.Route{Item: plain, Supplier: "acme"}, fault.InvalidRequest},
		"priority":      {supply.Route{Realm: realm.Test, Item: plain, Supplier: "acme", Priority: 1001}, fault.InvalidRequest},
		"supplier_item": {supply.Route{Realm: realm.Test, Item: plain, Supplier: "acme", SupplierItem: "a\x00b"}, fault.InvalidRequest},
		"no item":       {supply.Route{Realm: realm.Test, Item: "NOTHING", Supplier: "acme"}, fault.NotFound},
		"no supplier":   {supply.Route{Realm: realm.Test, Item: plain, Supplier: "nobody"}, fault.NotFound},
		"another realm": {supply.Route{Realm: realm.Live, Item: plain, Supplier: "acme"}, fault.NotFound},
	}
	for name, c := range routes {
		if err := b.PutRoute(t.Context(), c.Route, actor); fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := b.RemoveRoute(t.Context(), supply.Route{Realm: realm.Test, Item: plain, Supplier: "acme"}, actor); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("a route that is not there: %v", err)
	}
}

// Sources are asked by priority, stock first unless it is told otherwise; for items that are
// made when they are sold a customer has to be named.
func TestSources(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	if got := sources(b.Service, plain) + "/" + sources(b.Service, own); got != "stock/stock" {
		t.Errorf("without routes: %s", got)
	}
	b.add("acme", 450)
	b.add("best", 450)
	b.route(plain, "best", 5)
	b.route(plain, "acme", 5)
	if got := sources(b.Service, plain); got != "stock acme best" {
		t.Error(got)
	}
	b.route(plain, supply.Stock, 7)
	b.route(plain, "acme", 6)
	if got := sources(b.Service, plain); got != "best acme stock" {
		t.Error(got)
	}
	check.OK(b.t, b.RemoveRoute(t.Context(), supply.Route{Realm: realm.Test, Item: plain, Supplier: "best"}, actor))
	if got := sources(b.Service, plain); got != "acme stock" {
		t.Error(got)
	}
	house := wanted("house", fmt.Appendf(nil, `{"customer":%q}`, b.customer.ID))
	house.Kind = supply.KindGiftcard
	_, err := b.Add(t.Context(), house)
	check.OK(b.t, err)
	if err := b.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: plain, Supplier: "house"}, actor); fault.From(err).Field != "supplier" {
		t.Errorf("gift cards without a template: %v", err)
	}
	b.route(own, "house", 1)
	p, err := b.Catalog.Find(t.Context(), own)
	check.OK(b.t, err)
	all := b.Sources(realm.Test, &p)
	if len(all) != 2 || all[1].Issuer != b.customer.Test || all[1].Kind != supply.KindGiftcard {
		t.Errorf("%+v", all)
	}
	if all := b.Sources(realm.Live, &p); len(all) != 1 {
		t.Errorf("the live realm has it, too: %+v", all)
	}
	routes, err := b.Routes(t.Context(), realm.Test, plain)
	check.OK(b.t, err)
	if _, err := b.Routes(t.Context(), realm.Test, "NOPE"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("of an item that there is not: %v", err)
	}
	var lines []string
	for _, r := range routes {
		lines = append(lines, fmt.Sprint(r.Supplier, " ", r.Priority, " ", r.TheirItem()))
	}
	if diff := cmp.Diff([]string{"acme 6 PLAIN", "stock 7 PLAIN"}, lines); diff != "" {
		t.Error(diff)
	}
}

// An item has at most sixteen routes, those of suppliers that were removed not counted, which
// are listed nowhere either.
func TestMostRoutes(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		to := func(i int) supply.Route {
			return supply.Route{Realm: realm.Test, Item: plain, Supplier: fmt.Sprintf("s%02d", i)}
		}
		for i := range 17 {
			b.add(to(i).Supplier, 450)
			if err := b.PutRoute(t.Context(), to(i), actor); err != nil && (i < 16 || fault.CodeOf(err) != fault.QuotaExceeded) {
				t.Errorf("route %d: %v", i, err)
			}
		}
		change := wanted(to(3).Supplier, nil)
		change.Active = false
		_, err := b.Change(t.Context(), change)
		check.OK(t, err)
		if err := b.PutRoute(t.Context(), to(16), actor); fault.CodeOf(err) != fault.QuotaExceeded {
			t.Errorf("beside one that is inactive: %v", err)
		}
		check.OK(t, b.Remove(t.Context(), supply.Removal{Realm: realm.Test, ID: to(3).Supplier, Actor: actor}))
		check.OK(t, b.PutRoute(t.Context(), to(16), actor))
		routes, err := b.Routes(t.Context(), realm.Test, plain)
		if err != nil || len(routes) != 16 {
			t.Errorf("%d routes, %v", len(routes), err)
		}
		if err := b.RemoveRoute(t.Context(), to(3), actor); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("that of a supplier that was removed: %v", err)
		}
	})
}

// A supplier of gift cards whose issuer cannot be looked up at the moment, since the database
// is away say, is looked for again.
func TestIssuerAway(t *testing.T) {
	config := testkit.Database(t, "sqlite")
	b := setup(t, testkit.Open(t, config))
	house := wanted("house", fmt.Appendf(nil, `{"customer":%q}`, b.customer.ID))
	house.Kind = supply.KindGiftcard
	_, err := b.Add(t.Context(), house)
	check.OK(t, err)
	b.route(own, "house", 1)
	away, err := storage.Open(t.Context(), config)
	check.OK(t, err)
	check.OK(t, away.Close())
	deps := b.deps
	deps.Accounts = account.New(account.Deps{DB: away, Vault: deps.Vault, Audit: deps.Audit, Clocks: deps.Clocks, Logger: deps.Logger})
	other := supply.New(deps)
	if err := other.Refresh(t.Context()); err == nil {
		t.Error("nothing was amiss")
	}
	other.Accounts = b.deps.Accounts
	check.OK(t, other.Refresh(t.Context()))
	if got := sources(other, own); got != "stock house" {
		t.Error(got)
	}
}

// The best offer is the cheapest; who is down or asks for too much is left out, and the
// breaker keeps the first from being asked again at once.
func TestBest(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	for id, cents := range map[string]int{"dear": 480, "cheap": 470, "loss": 491, "down": -1} {
		b.add(id, cents)
		b.route(plain, id, 1)
	}
	p, err := b.Catalog.Find(t.Context(), plain)
	check.OK(b.t, err)
	best := func() string {
		var names []string
		for _, o := range b.Best(t.Context(), b.Sources(realm.Test, &p)[1:], supply.Ask{Price: catalog.NewCharged(490, money.USD), Quantity: 1}) {
			names = append(names, o.Supplier)
		}
		return strings.Join(names, " ")
	}
	if got := best(); got != "cheap dear" {
		t.Error(got)
	}
	for range 5 {
		best()
	}
	found, err := b.Find(t.Context(), realm.Test, "down")
	if err != nil || found.State != line.Down {
		t.Errorf("it is %s, %v", found.State, err)
	}
	if got := sources(b.Service, plain); got != "stock cheap dear loss down" {
		t.Errorf("with one that is down: %s", got)
	}
	// What costs another currency stands between no two of one.
	_, err = b.Add(t.Context(), wanted("dearer", []byte(`{"secret":"hunter2","cents":1,"currency":"EUR"}`)))
	check.OK(t, err)
	check.OK(t, b.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: plain, Supplier: "dearer", Priority: 1, BelowCost: true}, actor))
	b.add("east", 460)
	b.route(plain, "east", 1)
	if got := best(); got != "east cheap dear dearer" {
		t.Error(got)
	}
}

// placed is a supplier that says where it is.
type placed struct {
	nobody
	at string
}

func (p placed) Location() string { return p.at }

// A supplier stays where it is while something is open there, as far as can be told: not where
// the configuration that it has cannot be opened. None is opened in a transaction.
func TestStays(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		lost := ""
		b.Adapters["fixed"] = func(config []byte) (supply.Supplier, error) {
			if string(config) == lost {
				return nil, errors.New("no such file")
			}
			waits, stop := context.WithTimeout(t.Context(), 10*time.Second)
			defer stop()
			wrote := make(chan error, 1)
			go func() { wrote <- db.Write(waits, func(context.Context, *storage.Tx) error { return nil }) }()
			var err error
			select {
			case err = <-wrote:
			case <-waits.Done():
				err = errors.New("the database is held")
			}
			return placed{nobody{quote: supply.Quote{Cost: catalog.NewCost(450, money.USD), Available: true}}, string(config[:1])}, err
		}
		change := func(config string) error {
			_, err := b.Change(t.Context(), supply.Setup{Edit: func(*supply.Configured) {}, Actor: actor, Config: []byte(config),
				Configured: supply.Configured{Realm: realm.Test, ID: "acme"}})
			return err
		}
		_, err := b.Add(t.Context(), wanted("acme", []byte("here")))
		check.OK(t, err)
		b.route(plain, "acme", 1)
		check.OK(t, change("there"))
		lost = "there"
		check.OK(t, change("here"))
		lost = ""
		p, err := b.Catalog.Find(t.Context(), plain)
		check.OK(t, err)
		offers := b.Best(t.Context(), b.Sources(realm.Test, &p)[1:], supply.Ask{Price: catalog.NewCharged(490, money.USD), Quantity: 1, Denomination: "5"})
		if len(offers) != 1 {
			t.Fatalf("%d offers", len(offers))
		}
		row := b.Begin(&offers[0])
		row.For, row.Try = supply.For{Book: b.customer.Test, Order: 1}, 1
		keep := func(e storage.Effect) {
			check.OK(t, db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error { return tx.Apply(ctx, []storage.Effect{e}) }))
		}
		keep(row.Written())
		check.OK(t, change("here with another key"))
		check.Code(t, "elsewhere", change("there"), fault.InvalidState)
		lost = "here with another key"
		check.Code(t, "from where nobody can tell", change("there"), fault.InvalidState)
		check.Code(t, "from where nobody can tell", change("here"), fault.InvalidState)
		lost = ""
		check.OK(t, change("here"))
		row.State = supply.Refused
		keep(b.Changed(&row))
		check.OK(t, change("there"))
	})
}

// held is a supplier as whom is said by the first line of a file.
type held struct {
	placed
	account string
}

func (h held) Account() string { return h.account }

// While something is open at a supplier it is asked as who it was: with other credentials only
// where it is said that they are of the same account, whichever way they come.
func TestSameAccount(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		file := map[string]string{"one": "a", "two": "b"}
		b.Adapters["fixed"] = func(config []byte) (supply.Supplier, error) {
			offers := nobody{quote: supply.Quote{Cost: catalog.NewCost(450, money.USD), Available: true}}
			return held{placed{offers, "here"}, file[string(config)]}, nil
		}
		change := func(config string, same bool) error {
			_, err := b.Change(t.Context(), supply.Setup{Edit: func(*supply.Configured) {}, Actor: actor, Config: []byte(config), SameAccount: same,
				Configured: supply.Configured{Realm: realm.Test, ID: "acme"}})
			return err
		}
		_, err := b.Add(t.Context(), wanted("acme", []byte("one")))
		check.OK(t, err)
		b.route(plain, "acme", 1)
		b.Connect()
		check.OK(t, change("two", false))
		check.OK(t, change("one", false))
		const told = "supplier is asked with other credentials from now on"
		if strings.Contains(b.log.String(), told) {
			t.Errorf("nothing is open: %s", b.log)
		}
		p, err := b.Catalog.Find(t.Context(), plain)
		check.OK(t, err)
		offers := b.Best(t.Context(), b.Sources(realm.Test, &p)[1:], supply.Ask{Price: catalog.NewCharged(490, money.USD), Quantity: 1, Denomination: "5"})
		if len(offers) != 1 {
			t.Fatalf("%d offers", len(offers))
		}
		row := b.Begin(&offers[0])
		row.For, row.Try = supply.For{Book: b.customer.Test, Order: 1}, 1
		check.OK(t, db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error { return tx.Apply(ctx, []storage.Effect{row.Written()}) }))
		check.Code(t, "another file", change("two", false), fault.InvalidState)
		check.OK(t, change("one", false))
		check.OK(t, change("", false))
		file["one"] = "c"
		check.Code(t, "another content", change("one", false), fault.InvalidState)
		check.Code(t, "another content, by the way", change("", false), fault.InvalidState)
		other := supply.New(b.deps)
		check.OK(t, other.Refresh(t.Context()))
		_, err = other.Change(t.Context(), supply.Setup{Edit: func(*supply.Configured) {}, Actor: actor, Configured: supply.Configured{Realm: realm.Test, ID: "acme"}})
		check.OK(t, err) // that one has never asked with the one of before
		check.OK(t, b.Refresh(t.Context()))
		if !strings.Contains(b.log.String(), told) {
			t.Errorf("nobody is told: %s", b.log)
		}
		check.OK(t, change("two", true))
		check.Code(t, "and another one", change("one", false), fault.InvalidState)
	})
}

// plainly is a supplier that is told of no denomination but that of a range.
type plainly struct{ nobody }

func (plainly) Plain() bool { return true }

// What is written down of a submission is what was asked for when its price was: without a
// denomination where the supplier knows none, but for that of a range.
func TestPlain(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	offers := nobody{quote: supply.Quote{Cost: catalog.NewCost(450, money.USD), Available: true}}
	for id, s := range map[string]supply.Supplier{"knows": offers, "simple": plainly{offers}} {
		b.Adapters["fixed"] = func([]byte) (supply.Supplier, error) { return s, nil }
		b.add(id, 450)
		b.route(plain, id, 1)
		b.Connect()
	}
	p, err := b.Catalog.Find(t.Context(), plain)
	check.OK(t, err)
	for _, isRange := range []bool{false, true} {
		ask := supply.Ask{Price: catalog.NewCharged(490, money.USD), Quantity: 2, Denomination: "5", Range: isRange}
		offers := b.Best(t.Context(), b.Sources(realm.Test, &p)[1:], ask)
		if len(offers) != 2 {
			t.Fatalf("%d offers", len(offers))
		}
		for i := range offers {
			want := supply.Wanted{Item: string(plain), Quantity: 2, Denomination: "5", Most: offers[i].Cost}
			if offers[i].Supplier == "simple" && !isRange {
				want.Denomination = ""
			}
			if row := b.Begin(&offers[i]); row.Wanted != want {
				t.Errorf("%s, of a range %t: %+v", offers[i].Supplier, isRange, row.Wanted)
			}
		}
	}
}

// failing is a supplier whose adapter says why each call fails.
type failing struct{ supply.Supplier }

func (failing) Quote(context.Context, supply.Wanted) (supply.Quote, error) {
	return supply.Quote{}, line.Because("the price has the HTTP status %d", 404)
}

func (failing) Query(context.Context, supply.Submission) (supply.Answer, error) {
	return supply.Answer{}, line.Because("the order has the HTTP status %d", 500)
}

// Operators find in the log which supplier failed and why, once a minute, and whoever looks at
// the order is told less.
func TestFailuresAreLogged(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.deps.Adapters["fixed"] = func([]byte) (supply.Supplier, error) { return failing{}, nil }
	b.add("acme", 450)
	b.route(plain, "acme", 1)
	row := supply.Row{Realm: realm.Test, Supplier: "acme", Submission: supply.Submission{ID: "sub_1"}}
	for _, unsaid := range []int{0, 1} {
		b.log.Reset()
		for range 2 {
			all := b.Sources(realm.Test, &catalog.Product{Code: plain})
			b.Best(t.Context(), all[len(all)-1:], supply.Ask{Price: catalog.NewCharged(490, money.USD), Quantity: 1})
			a := b.Query(t.Context(), &row)
			check.Equal(t, "reason", a.Reason, "the supplier did not answer as it should")
		}
		log := b.log.String()
		for _, want := range []string{"gave no price", "the price has the HTTP status 404", "supplier failed", "the order has the HTTP status 500"} {
			if strings.Count(log, want) != 1 {
				t.Errorf("want %q once: %s", want, log)
			}
		}
		if strings.Count(log, "realm=test supplier=acme ") != 2 || strings.Count(log, fmt.Sprintf("unsaid=%d\n", unsaid)) != 2 {
			t.Errorf("after %d: %s", unsaid, log)
		}
		b.clock.Advance(time.Minute)
	}
}

// The pauses between questions about a submission grow, and end at two minutes.
func TestPause(t *testing.T) {
	last := time.Duration(0)
	for asked := range 100 {
		row := supply.Row{Asked: asked}
		pause := row.Pause()
		if pause < last || pause > 2*time.Minute || pause < time.Second {
			t.Errorf("after %d: %s, before it %s", asked, pause, last)
		}
		last = pause
	}
	if last != 2*time.Minute {
		t.Errorf("the last is %s", last)
	}
}
