package ping_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/ground"
	"github.com/scripcards/scrip/internal/webhook"
)

var epoch = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// The callers of every test: a support desk and a merchant in the live realm, and a
// developer in the test realm.
var (
	desk      = ping.Caller{Book: "bk_desk", Realm: realm.Live, Credential: "key_desk", Address: netip.MustParseAddr("192.0.2.1")}
	shop      = ping.Caller{Book: "bk_shop", Realm: realm.Live, Credential: "key_shop", Address: netip.MustParseAddr("192.0.2.2")}
	developer = ping.Caller{Book: "bk_dev", Realm: realm.Test, Credential: "key_dev", Address: netip.MustParseAddr("192.0.2.3")}
)

const template = "template_001"

// process is one running program on a database.
type process struct {
	*ping.Service
	t       testing.TB
	clock   *clock.Manual
	clocks  *clock.Realms
	cards   *giftcard.Service
	virtual *issuing.Service
	log     *bytes.Buffer // what it logs
}

// options change what a process is made with.
type options func(*ping.Deps)

// free is a policy without limits: what a test is not about.
func free() ping.Policy {
	p := ping.DefaultPolicy()
	p.Credential, p.Visitor, p.Address, p.Card, p.Slowed, p.Quota, p.Hunt = nil, nil, nil, nil, nil, 0, ping.Hunt{}
	return p
}

func with(change func(*ping.Policy)) options {
	return func(d *ping.Deps) { change(&d.Policy) }
}

// setup returns a process on an empty database, with books and a template.
func setup(t testing.TB, db *storage.DB, o ...options) *process {
	t.Helper()
	base := clock.NewManual(epoch)
	p := join(t, db, base, clock.NewRealms(base), o...)
	check.OK(t, db.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
		for _, c := range []ping.Caller{desk, shop, developer} {
			if err := ledger.OpenBook(ctx, tx, ledger.Book{ID: c.Book, Realm: c.Realm, OpenedAt: epoch}); err != nil {
				return err
			}
		}
		return nil
	}))
	var picture bytes.Buffer
	check.OK(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 16, 16))))
	_, err := p.cards.AddTemplate(context.Background(), giftcard.NewTemplate{ID: template, Name: "Aurora", Image: picture.Bytes(), Actor: "op/1"})
	check.OK(t, err)
	return p
}

// join returns one more process on a database that is set up.
func join(t testing.TB, db *storage.DB, base *clock.Manual, clocks *clock.Realms, o ...options) *process {
	t.Helper()
	g := ground.Lay(t, db, clocks)
	cards := giftcard.New(giftcard.Deps{DB: db, Books: g.Books, Vault: g.Vault, Outbox: g.Hooks.Outbox, Audit: g.Audit, Clocks: clocks, Rules: giftcard.DefaultRules()})
	virtual := issuing.New(issuing.Deps{DB: db, Books: g.Books, Vault: g.Vault, Outbox: g.Hooks.Outbox, Audit: g.Audit, Clocks: clocks, Programme: issuing.DefaultProgramme()})
	limits := limit.New(db, base)
	t.Cleanup(limits.Close)
	deps := ping.Deps{DB: db, Vault: g.Vault, Clocks: clocks, Outbox: g.Hooks.Outbox, Audit: g.Audit, Limits: limits, Cards: cards, Issuing: virtual, Policy: free(), Logger: g.Logger}
	for _, change := range o {
		change(&deps)
	}
	p := &process{Service: ping.New(deps), t: t, clock: base, clocks: clocks, cards: cards, virtual: virtual, log: g.Log}
	t.Cleanup(p.Close)
	check.OK(t, p.Refresh(context.Background()))
	return p
}

// eachEngine runs a test on a process of its own per engine.
func eachEngine(t *testing.T, test func(t *testing.T, db *storage.DB)) {
	t.Helper()
	testkit.EachEngine(t, test)
}

// twice runs a test on two processes per engine, each with its own connections where there can be several.
func twice(t *testing.T, test func(t *testing.T, both [2]*process), o ...options) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			config := testkit.Database(t, engine)
			first := setup(t, testkit.Open(t, config), o...)
			db := first.DB
			if db.Shared() {
				db = testkit.Open(t, config)
			}
			test(t, [2]*process{first, join(t, db, first.clock, first.clocks, o...)})
		})
	}
}

func usd(minor int64) money.Amount { return money.New(minor, money.USD) }

// issued is a card with its secrets.
type issued struct{ number, key string }

// issue makes a card in a caller's book.
func (p *process) issue(c ping.Caller, minor int64) issued {
	p.t.Helper()
	made, err := p.cards.Create(context.Background(), giftcard.Merchant{Book: c.Book, Realm: c.Realm, Actor: c.Credential},
		giftcard.Issue{Title: "Holiday", TemplateID: template, Amount: usd(minor)})
	check.OK(p.t, err)
	return issued{made.Card.Number.Reveal(), made.Key.Reveal()}
}

// issuedVirtual is a virtual card with its number.
type issuedVirtual struct {
	holder issuing.Holder
	id     issuing.CardID
	number string
}

// issueVirtual makes a virtual card in a caller's book that waits for its first funding.
func (p *process) issueVirtual(c ping.Caller) issuedVirtual {
	p.t.Helper()
	holder := issuing.Holder{Book: c.Book, Realm: c.Realm, Actor: c.Credential}
	made, err := p.virtual.Preview(context.Background(), holder, pan.Visa, nil)
	check.OK(p.t, err)
	return issuedVirtual{holder, made.Card.ID, made.Number.Reveal()}
}

// alikeRules compares what rules say, not how they are kept.
var alikeRules = cmpopts.IgnoreUnexported(ping.Rules{})

func asking(c ping.Caller, network, number, pin string) ping.Check {
	return ping.Check{Caller: c, Network: network, Number: pan.NewSecret(number), PIN: pan.NewSecret(pin)}
}

// ask pings a network without a PIN and returns the fault.
func (p *process) ask(c ping.Caller, network, number string) error {
	_, err := p.Ping(p.t.Context(), asking(c, network, number, ""))
	return err
}

// look pings the scrip network and fails the test on a fault.
func (p *process) look(c ping.Caller, number, pin string) ping.Result {
	p.t.Helper()
	r, err := p.Ping(context.Background(), asking(c, "scrip", number, pin))
	check.OK(p.t, err)
	return r
}

// gist is what of a result does not differ by chance.
func gist(r ping.Result) ping.Result {
	r.ID, r.Latency = "", 0
	return r
}

// events returns the types and data of a book's events, oldest first.
func (p *process) events(book ledger.BookID, types ...string) []string {
	p.t.Helper()
	events, err := p.Outbox.List(context.Background(), webhook.EventFilter{Book: book, Limit: webhook.MaxLimit})
	check.OK(p.t, err)
	var texts []string
	for _, e := range events {
		for _, wanted := range types {
			if e.Type == wanted {
				texts = append([]string{e.Type + " " + string(e.Data)}, texts...)
			}
		}
	}
	return texts
}

// pings returns how many checks of a book are kept.
func (p *process) pings(book ledger.BookID) int {
	p.t.Helper()
	n, before := 0, ping.ID("")
	for {
		page, err := p.List(context.Background(), book, before, ping.MaxLimit)
		check.OK(p.t, err)
		n += len(page)
		if len(page) < ping.MaxLimit {
			return n
		}
		before = page[len(page)-1].ID
	}
}

// address is one of many.
func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}) }

// unknownNumber is a well-formed number of scrip that no card has.
func unknownNumber(i int) string {
	text := []byte("GC9900000000000000")
	for at := len(text) - 1; i > 0; at-- {
		text[at] = byte('0' + i%10)
		i /= 10
	}
	return string(text)
}

// openSQLite is for what does not differ between engines.
func openSQLite(t testing.TB) *storage.DB { return testkit.Open(t, testkit.Database(t, "sqlite")) }

// byRules scores by the built-in rules alone.
type byRules struct{ *fraud.Engine }

func (r byRules) Score(e fraud.Event) fraud.Score { return r.Measure(&e, new(fraud.Row), nil) }
