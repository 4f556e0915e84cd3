package giftcard_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/ground"
	"github.com/scripcards/scrip/internal/webhook"
)

var epoch = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// The merchants of every test: two in the test realm, one in the live one.
var (
	shop   = giftcard.Merchant{Book: "bk_shop", Realm: realm.Test, Actor: "key/shop"}
	rival  = giftcard.Merchant{Book: "bk_rival", Realm: realm.Test, Actor: "key/rival"}
	street = giftcard.Merchant{Book: "bk_street", Realm: realm.Live, Actor: "key/street"}
)

const template = "template_001"

// process is one running program: a service with its own ledger on a database and
// clocks that may be shared with others.
type process struct {
	*giftcard.Service
	t      testing.TB
	clocks *clock.Realms
}

// setup returns a process on an empty database, with the merchants and a template.
func setup(t testing.TB, db *storage.DB) *process {
	t.Helper()
	p := join(t, db, clock.NewRealms(clock.NewManual(epoch)))
	p.populate()
	return p
}

func (p *process) populate() {
	p.t.Helper()
	check.OK(p.t, p.DB.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
		for _, m := range []giftcard.Merchant{shop, rival, street} {
			if err := ledger.OpenBook(ctx, tx, ledger.Book{ID: m.Book, Realm: m.Realm, OpenedAt: epoch}); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err := p.AddTemplate(context.Background(), giftcard.NewTemplate{ID: template, Name: "Aurora", Image: picture(20, 16), Actor: "op/1"})
	check.OK(p.t, err)
}

// join returns one more process on a database that is set up.
func join(t testing.TB, db *storage.DB, clocks *clock.Realms) *process {
	t.Helper()
	return &process{Service: giftcard.New(deps(ground.Lay(t, db, clocks))), t: t, clocks: clocks}
}

func deps(g *ground.Ground) giftcard.Deps {
	return giftcard.Deps{DB: g.DB, Books: g.Books, Vault: g.Vault, Outbox: g.Hooks.Outbox, Audit: g.Audit, Clocks: g.Clocks, Rules: giftcard.DefaultRules()}
}

// eachEngine runs a test on a process of its own per engine.
func eachEngine(t *testing.T, test func(t *testing.T, p *process)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

func usd(minor int64) money.Amount { return money.New(minor, money.USD) }

// forward moves the test realm's clock.
func (p *process) forward(d time.Duration) {
	p.t.Helper()
	check.OK(p.t, p.clocks.SetOffset(p.clocks.Offset()+d))
}

// held is a card with the secret that spends it.
type held struct {
	giftcard.Issued
	m      giftcard.Merchant
	Secret giftcard.Secret
}

func (p *process) create(m giftcard.Merchant, minor int64) *held {
	p.t.Helper()
	issued, err := p.Create(context.Background(), m, giftcard.Issue{Title: "Holiday", TemplateID: template, Amount: usd(minor)})
	check.OK(p.t, err)
	return &held{issued, m, giftcard.Secret{Number: issued.Card.Number}}
}

func (p *process) redeem(c *held, minor int64, reference string) (giftcard.Movement, error) {
	return p.Redeem(context.Background(), c.m, giftcard.Transfer{Secret: c.Secret, Amount: usd(minor), Reference: reference})
}

func (p *process) hold(c *held, minor int64, reference string) (giftcard.Movement, error) {
	return p.Hold(context.Background(), c.m, giftcard.Transfer{Secret: c.Secret, Amount: usd(minor), Reference: reference})
}

func (p *process) reload(c *held, minor int64, reference string) (giftcard.Movement, error) {
	return p.Reload(context.Background(), c.m, giftcard.Transfer{Secret: c.Secret, Amount: usd(minor), Reference: reference})
}

func (p *process) refund(c *held, original string, minor int64, reference string) (giftcard.Movement, error) {
	return p.Refund(context.Background(), c.m, giftcard.Refund{Original: original, Amount: usd(minor), Reference: reference})
}

func (p *process) cancel(c *held, reason string) (giftcard.Movement, error) {
	return p.Cancel(context.Background(), c.m, c.Card.ID, reason)
}

// done fails the test unless a call succeeded.
func (p *process) done(m giftcard.Movement, err error) giftcard.Movement {
	p.t.Helper()
	check.OK(p.t, err)
	return m
}

// look checks a card's status, balance and what is held, as its merchant finds it.
func (p *process) look(c *held, status giftcard.Status, balance, reserved int64) {
	p.t.Helper()
	card, err := p.Find(context.Background(), c.m, c.Secret)
	check.OK(p.t, err)
	if card.Status != status || card.Balance != usd(balance) || card.Held != usd(reserved) {
		p.t.Errorf("the card is %s with %s and %s held, want %s with %s and %s", card.Status, card.Balance, card.Held, status, usd(balance), usd(reserved))
	}
}

// contra returns what a contra account of a merchant's book has posted.
func (p *process) contra(m giftcard.Merchant, name string) int64 {
	p.t.Helper()
	account, err := p.Books.FindAccount(context.Background(), m.Book, ledger.AccountID(name+"/USD"))
	if fault.CodeOf(err) == fault.NotFound {
		return 0
	}
	check.OK(p.t, err)
	return account.Posted().Minor
}

// verify proves the books.
func (p *process) verify() {
	p.t.Helper()
	check.OK(p.t, p.DB.Snapshot(context.Background(), func(ctx context.Context, q storage.Queryer) error {
		report, err := ledger.Verify(ctx, q, nil)
		if len(report.Problems) > 0 {
			p.t.Errorf("the books are wrong: %s", strings.Join(report.Problems, "\n"))
		}
		return err
	}))
}

// audited returns the actions on a merchant's book, oldest first.
func (p *process) audited(m giftcard.Merchant) []string {
	p.t.Helper()
	entries, err := p.Audit.List(context.Background(), audit.Filter{Book: string(m.Book)})
	check.OK(p.t, err)
	var actions []string
	for _, e := range entries {
		actions = append([]string{e.Actor + " " + e.Action + " " + e.Subject}, actions...)
	}
	return actions
}

// events returns the types of a merchant's events, oldest first.
func (p *process) events(m giftcard.Merchant) []string {
	p.t.Helper()
	events, err := p.Outbox.List(context.Background(), webhook.EventFilter{Book: m.Book, Limit: webhook.MaxLimit})
	check.OK(p.t, err)
	var types []string
	for _, e := range events {
		types = append([]string{e.Type}, types...)
	}
	return types
}

// history returns the lines of a card as "type amount balance", oldest first.
func (p *process) history(c *held) []string {
	p.t.Helper()
	card, err := p.Get(context.Background(), c.m.Book, c.Card.ID)
	check.OK(p.t, err)
	lines, err := p.History(context.Background(), card, 0, 1000)
	check.OK(p.t, err)
	var texts []string
	for _, l := range lines {
		texts = append([]string{l.Type + " " + l.Amount.String() + " " + l.Balance.String()}, texts...)
	}
	return texts
}

// secrets compares what masks itself by what it hides.
var secrets = cmp.Options{
	cmp.Comparer(func(a, b pan.Number) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b pan.Secret) bool { return a.Equal(b) }),
}

// picture is a png of the given size with some colours.
func picture(width, height int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.SetNRGBA(x, y, color.NRGBA{uint8(x * 9), uint8(y * 7), uint8(x ^ y), 0xff})
		}
	}
	var out bytes.Buffer
	_ = png.Encode(&out, img) // a buffer takes everything
	return out.Bytes()
}
