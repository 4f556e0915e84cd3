// Package cashdesk is a cash-out desk for tests: the product on a database of the test's,
// with a clock that stands still, a phone that remembers what it was sent, and a store of
// pictures and a node in memory, which are the outside world.
package cashdesk

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/cashout/ticker"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/testkit/ground"
	"github.com/scripcards/scrip/internal/webhook"
)

// Began is where the clock stands at first.
var Began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// What tests say to the desk.
const (
	Number  = "+14155550123"
	Address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
	Answer  = "a person"
)

// From is the address of whoever calls.
var From = netip.MustParseAddr("192.0.2.7")

// Desk is the product with everything around it.
type Desk struct {
	*cashout.Service
	Base
	T        testing.TB
	Market   *Market
	Phone    *Phone
	Pictures *Pictures
	Node     *Node
	Reviews  *review.Service
	Screen   *Screen
	line     phone.Line
}

// Fixed makes every code the same from now on, as a demonstration's are.
func (d *Desk) Fixed(code string) {
	d.line.Code = pan.NewSecret(code)
	d.Phones = phone.New(d.Phones.Deps, map[realm.Realm]phone.Line{realm.Test: d.line})
}

// Base is an installation that a desk stands on.
type Base struct {
	DB       *storage.DB
	Clock    *clock.Manual
	Clocks   *clock.Realms
	Vault    *vault.Vault
	Audit    *audit.Log
	Ledger   *ledger.Ledger
	Limits   *limit.Limiter
	Hooks    *webhook.Service
	Jobs     *job.Queue
	Accounts *account.Service
	Log      *bytes.Buffer
}

// Open makes a desk of the test realm, with an installation for it alone.
func Open(t testing.TB, db *storage.DB) *Desk {
	t.Helper()
	now := clock.NewManual(Began)
	g := ground.Lay(t, db, clock.NewRealms(now))
	limits := limit.New(db, now)
	t.Cleanup(limits.Close)
	return On(t, Base{DB: db, Clock: now, Clocks: g.Clocks, Vault: g.Vault, Audit: g.Audit, Ledger: g.Books, Limits: limits, Hooks: g.Hooks, Jobs: g.Jobs, Log: g.Log,
		Accounts: account.New(account.Deps{DB: db, Vault: g.Vault, Audit: g.Audit, Clocks: g.Clocks, Logger: g.Logger})})
}

// On makes a desk of the test realm in an installation.
func On(t testing.TB, b Base) *Desk {
	t.Helper()
	d := &Desk{Base: b, T: t, Market: &Market{Price: "65850.00"}, Phone: &Phone{}, Node: &Node{}, Screen: &Screen{}}
	d.Pictures = &Pictures{clock: d.Clock, of: map[cashout.Owner]map[cashout.Kind]cashout.Image{}}
	d.build(slog.New(slog.NewTextHandler(d.Log, nil)))
	return d
}

func (d *Desk) build(logger *slog.Logger) {
	d.T.Helper()
	tick, err := ticker.New(ticker.Config{Rates: d.Market, Clock: d.Clock})
	d.Must(err)
	policy := phone.DefaultPolicy()
	policy.Strict = false
	d.line = phone.Line{Sender: d.Phone, Policy: policy}
	phones := phone.New(phone.Deps{DB: d.DB, Vault: d.Vault, Limits: d.Limits, Clocks: d.Clocks, Logger: logger, Random: rand.Reader},
		map[realm.Realm]phone.Line{realm.Test: d.line})
	d.Service = cashout.New(cashout.Deps{DB: d.DB, Books: d.Ledger, Vault: d.Vault, Outbox: d.Hooks.Outbox, Queue: d.Jobs, Clocks: d.Clocks, Phones: phones,
		Accounts: d.Accounts, Logger: logger, Random: rand.Reader,
		Desks: map[realm.Realm]*cashout.Desk{realm.Test: {Ticker: tick, Tiers: customer.DefaultTiers(), Captcha: person{}, Screener: d.Screen, Payouts: d.Node,
			Images: d.Pictures, PriceLock: cashout.PriceLock, KeepImages: 30 * 24 * time.Hour, KeepBlocked: 5 * 365 * 24 * time.Hour, KeepMarks: 400 * 24 * time.Hour}}})
	d.Reviews = review.New(review.Deps{DB: d.DB, Vault: d.Vault, Orders: d.Service, Albums: map[realm.Realm]review.Album{realm.Test: d.Pictures}, Audit: d.Audit,
		Clocks: d.Clocks, Policy: review.DefaultPolicy()})
}

// Must ends the test with an error.
func (d *Desk) Must(err error) {
	d.T.Helper()
	if err != nil {
		d.T.Fatal(err)
	}
}

// Opened makes an order and returns its token.
func (d *Desk) Opened(cents int64) pan.Secret {
	d.T.Helper()
	_, token, err := d.Create(d.T.Context(), cashout.Opening{Realm: realm.Test, Amount: cents, Currency: cashout.Bitcoin})
	d.Must(err)
	return token
}

// Confirmed makes an order with a confirmed phone.
func (d *Desk) Confirmed(cents int64, number string) pan.Secret {
	d.T.Helper()
	token := d.Opened(cents)
	d.Must(d.SendCode(d.T.Context(), cashout.Dispatch{Realm: realm.Test, Token: token, Phone: number, Captcha: Answer, From: From}))
	d.Must(d.EnterCode(d.T.Context(), cashout.Entry{Realm: realm.Test, Token: token, Phone: number, Code: d.Phone.Last(), From: From}))
	return token
}

// Authorized makes an order with a locked price.
func (d *Desk) Authorized(cents int64, number string) pan.Secret {
	d.T.Helper()
	token := d.Confirmed(cents, number)
	address := Address
	d.Must(d.Authorize(d.T.Context(), cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Address: &address}, First: "Ada", Last: "Lovelace"}))
	return token
}

// Upload puts a picture of every kind that an order waits for.
func (d *Desk) Upload(token pan.Secret) {
	d.T.Helper()
	v := d.Look(token)
	for _, r := range v.Required {
		d.Pictures.Put(cashout.Owner{Realm: realm.Test, Order: v.ID}, r.Kind)
	}
}

// Processing makes an order that waits for a reviewer.
func (d *Desk) Processing(cents int64, number string) pan.Secret {
	d.T.Helper()
	token := d.Authorized(cents, number)
	d.Upload(token)
	d.Must(d.Submit(d.T.Context(), realm.Test, token))
	return token
}

// Reviewed returns what fn says of each thing that reviewers did in an order's book, such as
// "claim", newest first.
func (d *Desk) Reviewed(o cashout.Order, fn func(did string, e audit.Entry) string) []string {
	d.T.Helper()
	found, err := d.Audit.List(d.T.Context(), audit.Filter{Book: string(o.Book), Limit: 100})
	d.Must(err)
	var words []string
	for _, e := range found {
		if did, is := strings.CutPrefix(e.Action, "review."); is {
			words = append(words, fn(did, e))
		}
	}
	return words
}

// Look returns an order as its caller sees it.
func (d *Desk) Look(token pan.Secret) cashout.View {
	d.T.Helper()
	v, err := d.View(d.T.Context(), realm.Test, token)
	d.Must(err)
	return v
}

// Verified fails when the books do not add up.
func (d *Desk) Verified() {
	d.T.Helper()
	report, err := ledger.Verify(d.T.Context(), d.DB, nil)
	d.Must(err)
	if len(report.Problems) > 0 {
		d.T.Errorf("the books: %v", report.Problems)
	}
}

// Contents is every row of every table.
func (d *Desk) Contents() string {
	d.T.Helper()
	tables, err := storage.Tables(d.T.Context(), d.DB)
	d.Must(err)
	var all strings.Builder
	for _, table := range tables {
		d.Must(table.Each(d.T.Context(), d.DB, func(row []any) error {
			fmt.Fprintf(&all, "%s %s\n", table.Name, row)
			return nil
		}))
	}
	return all.String()
}

// Market says what a bitcoin costs; nothing where the price is empty.
type Market struct{ Price string }

// Rate implements ticker.Source.
func (m *Market) Rate(_ context.Context, base asset.Asset, quote money.Currency) (rate.Quote, error) {
	if m.Price == "" {
		return rate.Quote{}, fault.New(fault.Unavailable, "there is no price")
	}
	r, err := money.ParseRate(m.Price)
	return rate.Quote{Pair: rate.Pair{Base: base.Symbol(), Quote: quote}, Rate: r}, err
}

// person passes whoever gives the Answer.
type person struct{}

func (person) Verify(_ context.Context, answer, _ string) error {
	if answer != Answer {
		return fault.New(fault.InvalidRequest, "the answer is wrong")
	}
	return nil
}

// Phone remembers what it was sent.
type Phone struct {
	mu   sync.Mutex
	Sent []phone.Message
	// Down: nothing is taken. Mute: no calls are made.
	Down, Mute bool
}

// Has implements phone.Sender.
func (p *Phone) Has(c phone.Channel) bool { return c != phone.Voice || !p.Mute }

// Send implements phone.Sender.
func (p *Phone) Send(_ context.Context, m phone.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Down {
		return fault.New(fault.Unavailable, "the provider gives no answer")
	}
	p.Sent = append(p.Sent, m)
	return nil
}

// Last returns the newest code.
func (p *Phone) Last() pan.Secret {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Sent[len(p.Sent)-1].Code
}

// Screen is a list that a test fills.
type Screen struct {
	Match customer.Match
	// More are on the list as well.
	More  []customer.Match
	Err   error
	Asked []customer.Subject
}

// Screen implements customer.Screener.
func (s *Screen) Screen(_ context.Context, who customer.Subject) (customer.Match, error) {
	s.Asked = append(s.Asked, who)
	var all []customer.Match
	if s.Match.Found() {
		all = append(all, s.Match)
	}
	return who.First(append(all, s.More...)...), s.Err
}

// Interrupted is a list that has something happen while it is asked.
type Interrupted struct {
	customer.Screener
	Asked func()
}

// Screen has it happen, and asks.
func (i Interrupted) Screen(ctx context.Context, who customer.Subject) (customer.Match, error) {
	i.Asked()
	return i.Screener.Screen(ctx, who)
}

// Pictures is a store of pictures in memory.
type Pictures struct {
	mu     sync.Mutex
	clock  clock.Clock
	of     map[cashout.Owner]map[cashout.Kind]cashout.Image
	Closed []cashout.Owner
	Erased map[cashout.Owner]cashout.Erasure
	Opened []string
	Red    []review.Rect
}

// Put uploads a picture of a kind, and returns its id.
func (p *Pictures) Put(o cashout.Owner, k cashout.Kind) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[o] == nil {
		p.of[o] = map[cashout.Kind]cashout.Image{}
	}
	m := cashout.Image{ID: id.New("img"), Kind: k, SHA256: strings.Repeat("ab", 32), Width: 640, Height: 480, UploadedAt: p.clock.Now()}
	p.of[o][k] = m
	return m.ID
}

// Presign implements cashout.Images.
func (p *Pictures) Presign(_ context.Context, n cashout.NewImage) (cashout.Form, error) {
	if n.Size < 1 || n.Size > 5<<20 {
		return cashout.Form{}, fault.New(fault.InvalidRequest, "the image may have 1 to %d bytes", 5<<20).At("file_size")
	}
	contentType := map[string]string{".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}[strings.ToLower(path.Ext(n.Name))]
	if contentType == "" {
		return cashout.Form{}, fault.New(fault.InvalidRequest, "want a jpeg or png").At("file_name")
	}
	return cashout.Form{URL: "http://127.0.0.1/uploads/images", Key: string(n.Kind), ACL: "private", ContentType: contentType, SuccessStatus: "201", Bucket: "images",
		Algorithm: "AWS4-HMAC-SHA256", Credential: "c", Date: p.clock.Now().Format("20060102T150405Z"), Policy: "p", Signature: "s"}, nil
}

// List implements cashout.Images.
func (p *Pictures) List(_ context.Context, o cashout.Owner) ([]cashout.Image, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.of[o])), nil
}

// Close implements cashout.Images.
func (p *Pictures) Close(o cashout.Owner) []storage.Effect {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Closed = append(p.Closed, o)
	return nil
}

// EraseAfter implements cashout.Images.
func (p *Pictures) EraseAfter(o cashout.Owner, e cashout.Erasure) []storage.Effect {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Erased == nil {
		p.Erased = map[cashout.Owner]cashout.Erasure{}
	}
	p.Erased[o] = e
	return nil
}

// Open implements review.Album.
func (p *Pictures) Open(_ context.Context, actor, image string) (review.Content, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Opened = append(p.Opened, actor+" "+image)
	return review.Content{Type: "image/png", Data: []byte("the picture " + image)}, nil
}

// Redact implements review.Album.
func (p *Pictures) Redact(_ context.Context, _, _ string, area review.Rect) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Red = append(p.Red, area)
	return nil
}

// Node plans payouts that a test ends.
type Node struct {
	mu      sync.Mutex
	Planned []cashout.Payment
	// Refuse is why nothing can be planned.
	Refuse error
	// Old is an invoice that has expired.
	Old string
	// Most is the most of one payout, in satoshis; 0: ten bitcoin. Daily is that of a day; 0: any.
	Most, Daily int64
}

// Bounds implements cashout.Payouts.
func (n *Node) Bounds() (least, most money.Amount) {
	return money.New(1_000, money.BTC), money.New(cmp.Or(n.Most, 1_000_000_000), money.BTC)
}

// Parse implements cashout.Payouts.
func (n *Node) Parse(_ realm.Realm, text string) (cashout.Destination, error) {
	switch {
	case text == n.Old && text != "":
		return cashout.Destination{}, fault.New(fault.InvalidRequest, "the invoice has expired")
	case strings.HasPrefix(text, "bcrt1"), strings.HasPrefix(text, "1"):
		return cashout.Destination{Text: text, Method: cashout.OnChain}, nil
	case strings.HasPrefix(text, "lnbcrt1"), strings.Contains(text, "@"):
		return cashout.Destination{Text: text, Method: cashout.Lightning}, nil
	}
	return cashout.Destination{}, fault.New(fault.InvalidRequest, "this is neither an address nor an invoice")
}

// Plan implements cashout.Payouts.
func (n *Node) Plan(_ context.Context, p cashout.Payment, op *ledger.Operation) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Refuse != nil {
		return "", n.Refuse
	}
	n.Planned = append(n.Planned, p)
	name := id.New("pay")
	custody := ledger.NewAccount{ID: "payout.custody/BTC", Currency: money.BTC, Side: ledger.Credit, Unbounded: true}
	op.Open = append(op.Open, custody)
	if n.Daily > 0 {
		op.Guards = append(op.Guards, ledger.Guard{Counter: "payout.day/2026-11-21", Add: p.Amount.Minor, Limit: n.Daily})
	}
	op.Holds = append(op.Holds, ledger.HoldChange{Action: ledger.Place, ID: ledger.HoldID("hold_" + name), Amount: p.Amount, Debit: p.From, Credit: custody.ID})
	return name, nil
}
