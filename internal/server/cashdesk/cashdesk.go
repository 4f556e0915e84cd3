// Package cashdesk puts the cash-out together: orders, reviews, pictures and payouts, with the
// counterparties that the operator's file names. Without the file nothing is served; a
// demonstration serves the test realm with a node that is simulated.
//
// It holds no rule of its own.
package cashdesk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/cashout/ticker"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/provider/captcha"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/provider/sms"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/web/upload"
	"github.com/scripcards/scrip/internal/webhook"
)

// Deps is what the desk stands on.
type Deps struct {
	DB       *storage.DB
	Books    *ledger.Ledger
	Vault    *vault.Vault
	Accounts *account.Service
	Outbox   *webhook.Outbox
	Jobs     *job.Queue
	Clocks   *clock.Realms
	Audit    *audit.Log
	Limits   *limit.Limiter
	Rates    map[realm.Realm]*rate.Service
	Logger   *slog.Logger
}

// Options are the operator's.
type Options struct {
	// File describes the desk; empty: nothing is served.
	File string
	// Payouts describes who pays; empty: nobody but the sandbox.
	Payouts string
	// BaseURL is the public address of uploads; empty: each request's own host.
	BaseURL string
	// Captcha tells people from machines; nil: none is configured.
	Captcha cashout.Captcha
}

// Desk is everything of the cash-out.
type Desk struct {
	Orders  *cashout.Service
	Reviews *review.Service
	Images  *image.Service
	Payouts *payout.Service
	Phones  *phone.Service
	// Realm is the one that the public API serves.
	Realm realm.Realm
	// File says how it is served; empty: it is not, or as a demonstration is.
	File string
	// PerMinute is how many requests of the public API an address may make; 0: the usual number.
	PerMinute int

	deps   Deps
	lines  map[realm.Realm]phone.Line
	albums map[realm.Realm]review.Album
	place  places
}

// sandboxNode is the name of the simulated node in the database.
const sandboxNode = "sandbox"

// Open puts the desk together and calls nobody.
func Open(d Deps, o Options) (*Desk, error) {
	paid, err := openPayers(o.Payouts)
	if err != nil {
		return nil, fmt.Errorf("payouts: %w", err)
	}
	k := &Desk{Realm: realm.Live, File: o.File, deps: d, lines: map[realm.Realm]phone.Line{}, albums: map[realm.Realm]review.Album{}}
	var f file
	if err = config.ReadNamed(o.File, &f); err == nil {
		err = k.pictures(&f, o.BaseURL)
	}
	if err != nil {
		return nil, fmt.Errorf("cashout: %w", err)
	}
	k.Payouts = payout.New(payout.Deps{DB: d.DB, Books: d.Books, Outbox: d.Outbox, Clocks: d.Clocks, Queue: d.Jobs, Audit: d.Audit, Logger: d.Logger,
		Nodes: paid.nodes, Policy: paid.policy})
	k.Phones = phone.New(phone.Deps{DB: d.DB, Vault: d.Vault, Limits: d.Limits, Clocks: d.Clocks, Logger: d.Logger, Random: rand.Reader}, k.lines)
	k.Orders = cashout.New(cashout.Deps{DB: d.DB, Books: d.Books, Vault: d.Vault, Accounts: d.Accounts, Outbox: d.Outbox, Queue: d.Jobs, Clocks: d.Clocks,
		Phones: k.Phones, Logger: d.Logger, Random: rand.Reader, Desks: map[realm.Realm]*cashout.Desk{},
		Unserved: &cashout.Desk{Images: pictures{k.Images}, KeepMarks: k.Images.Config.KeepMarks}})
	k.Reviews = review.New(review.Deps{DB: d.DB, Vault: d.Vault, Orders: k.Orders, Albums: k.albums, Audit: d.Audit, Clocks: d.Clocks, Policy: review.DefaultPolicy()})
	k.Payouts.Listen(k.ended)
	k.schedule()
	if o.File == "" {
		return k, nil
	}
	if err := k.configure(f, o); err != nil {
		return nil, fmt.Errorf("cashout: %w", err)
	}
	return k, nil
}

// pictures says where images are uploaded to: the built-in store, or the one that the file names.
func (k *Desk) pictures(f *file, baseURL string) error {
	d := image.Deps{DB: k.deps.DB, Vault: k.deps.Vault, Audit: k.deps.Audit, Clocks: k.deps.Clocks, Jobs: k.deps.Jobs,
		Config: image.Config{URL: uploads(baseURL), Bucket: bucket}}
	if err := f.openStore(&d); err != nil {
		return err
	}
	var keep cashout.Desk
	if err := f.keep(&keep); err != nil {
		return err
	}
	d.Config.KeepMarks = keep.KeepMarks
	k.Images = image.New(d)
	return nil
}

// bucket is what the built-in store is called.
const bucket = "cardcoins-images"

func uploads(base string) string { return strings.TrimSuffix(base, "/") + upload.Path + bucket }

// How often the sweeps run.
const (
	expirySweep = 10 * time.Second
	alarmSweep  = time.Minute
)

func (k *Desk) schedule() {
	k.deps.Jobs.Every("cashout.expire", expirySweep, func(ctx context.Context) error {
		_, err := k.Orders.Expire(ctx)
		return err
	})
	k.deps.Jobs.Every("cashout.watch_messages", alarmSweep, func(ctx context.Context) error {
		for r := range k.lines {
			book, err := k.Orders.Book(ctx, r)
			if err != nil {
				return err
			}
			if book == "" {
				continue
			}
			if _, err := k.Phones.Watch(ctx, book, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// serve has a realm served by a desk.
func (k *Desk) serve(r realm.Realm, d *cashout.Desk, line phone.Line) {
	k.Realm, k.lines[r], k.albums[r], k.Orders.Desks[r] = r, line, album{k.Images}, d
}

// Begin gives a simulated node that pays its bitcoin, before anybody looks how much it has.
func (k *Desk) Begin(ctx context.Context) error {
	w, simulated := k.Payouts.Nodes[realm.Test].Wallet.(node.Wallet)
	if !simulated {
		return nil
	}
	if err := w.Fill(ctx, funding); err != nil {
		return fmt.Errorf("fund the sandbox: %w", err)
	}
	return nil
}

// sandbox has payouts of the test realm made by the simulated node, unless the operator
// named a real one, and funds it then.
func (k *Desk) sandbox(ctx context.Context) error {
	if _, named := k.Payouts.Nodes[realm.Test]; !named {
		k.simulated(destination.Main)
	}
	return k.Begin(ctx)
}

// simulated is the simulated node, which pays in the test realm from now on.
func (k *Desk) simulated(network destination.Network) *node.Node {
	n := node.New(k.deps.DB, k.deps.Clocks.Of(realm.Test), sandboxNode, true)
	k.Payouts.Nodes[realm.Test] = n.Nodes(network)
	return n
}

// demoCode is what every code of a demonstration is, funding what its node has, in satoshis.
const (
	demoCode = "4321"
	funding  = 1_000_000_000
	demoRate = 3_000_000 // requests a minute: those who try it are on this machine
)

// Demo serves the test realm: the captcha's answer is captcha.DemoAnswer, every code is
// 4321, and a simulated node pays, or the one that the operator named. A file that says how
// the test realm is served holds all the same. It is called before the server starts.
func (k *Desk) Demo(ctx context.Context) error {
	k.PerMinute = demoRate
	if err := k.sandbox(ctx); err != nil {
		return err
	}
	if k.Orders.Desks[realm.Test] != nil {
		return nil
	}
	k.File = ""
	tick, err := ticker.New(ticker.Config{Rates: k.deps.Rates[realm.Test], Clock: k.deps.Clocks.Of(realm.Test)})
	if err != nil {
		return err
	}
	k.serve(realm.Test, &cashout.Desk{Ticker: tick, Tiers: customer.DefaultTiers(), Captcha: captcha.Demo{}, Payouts: payouts{k.Payouts}, Images: pictures{k.Images},
		PriceLock: cashout.PriceLock, KeepImages: keepImages, KeepBlocked: keepBlocked, KeepMarks: image.KeepMarks}, phone.Line{Sender: sms.Nowhere{}, Policy: phone.SandboxPolicy(), Code: pan.NewSecret(demoCode)})
	return nil
}

// Place refuses addresses from where nobody is served.
func (k *Desk) Place(_ context.Context, from netip.Addr) error { return k.place.check(from) }

// Uploads answers what is uploaded to the built-in store.
func (k *Desk) Uploads(d upload.Deps) http.Handler {
	d.Images = k.Images
	return upload.New(d)
}

// ended tells an order what became of its payout.
func (k *Desk) ended(p payout.Payout) ([]storage.Effect, error) {
	if !strings.HasPrefix(p.Reference, cashout.Prefix+"_") {
		return nil, nil
	}
	e := cashout.Ended{Book: p.Book, Realm: p.Realm, Order: cashout.ID(p.Reference), Payout: string(p.ID), Amount: p.Amount, Again: p.Again(), At: p.ChangedAt}
	switch {
	case p.State == payout.Failed:
		e.Reason = "the payout failed: " + string(p.Reason)
	case p.To.Kind.IsLightning():
		e.Proof = p.Preimage
	default:
		e.Proof = p.TxID
	}
	return k.Orders.PayoutEnded(e), nil
}

// payouts are package payout's, as orders want them.
type payouts struct{ *payout.Service }

// Bounds implements cashout.Payouts.
func (p payouts) Bounds() (least, most money.Amount) { return p.Policy.Least, p.Policy.Most }

// Parse implements cashout.Payouts.
func (p payouts) Parse(r realm.Realm, text string) (cashout.Destination, error) {
	d, err := p.Service.Parse(r, text)
	if err != nil {
		return cashout.Destination{}, err
	}
	method := cashout.OnChain
	if d.Kind.IsLightning() {
		method = cashout.Lightning
		if _, err := d.Payable(p.Clocks.Now(r), p.Policy.Lightning.Left); err != nil && d.Kind == destination.Invoice {
			return cashout.Destination{}, err
		}
	}
	return cashout.Destination{Text: d.Text, Method: method}, nil
}

// Plan implements cashout.Payouts.
func (p payouts) Plan(ctx context.Context, m cashout.Payment, op *ledger.Operation) (string, error) {
	to, err := p.Service.Parse(m.Realm, m.To)
	if err != nil {
		return "", err
	}
	planned, err := p.Service.Plan(ctx, payout.Request{Book: m.Book, Realm: m.Realm, To: to, Amount: m.Amount, From: m.From, Reference: string(m.Order)}, op)
	return string(planned.ID), err
}

// pictures are package image's, as orders want them.
type pictures struct{ *image.Service }

func ownerOf(o cashout.Owner) image.Owner { return image.Owner{Realm: o.Realm, ID: string(o.Order)} }

// Presign implements cashout.Images.
func (p pictures) Presign(ctx context.Context, n cashout.NewImage) (cashout.Form, error) {
	f, err := p.Service.Presign(ctx, image.Upload{Owner: ownerOf(n.Owner), Kind: image.Kind(n.Kind), FileName: n.Name, Size: n.Size})
	return cashout.Form{URL: f.URL, Key: f.Key, ACL: f.ACL, ContentType: f.ContentType, SuccessStatus: f.SuccessStatus, Bucket: f.Bucket, Algorithm: f.Algorithm,
		Credential: f.Credential, Date: f.Date, Policy: f.Policy, Signature: f.Signature}, err
}

// List implements cashout.Images.
func (p pictures) List(ctx context.Context, o cashout.Owner) ([]cashout.Image, error) {
	refused, err := p.Collect(ctx, ownerOf(o))
	if err != nil {
		return nil, err
	}
	found, err := p.Service.List(ctx, ownerOf(o))
	if err != nil {
		return nil, err
	}
	all := make([]cashout.Image, 0, len(found)+len(refused))
	for i := range found {
		m := &found[i]
		one := cashout.Image{ID: string(m.ID), Kind: cashout.Kind(m.Kind), SHA256: m.SHA256, Width: m.Width, Height: m.Height, UploadedAt: m.UploadedAt}
		for _, twin := range m.Twins {
			one.Twins = append(one.Twins, cashout.Twin{Image: string(twin.Image), Order: cashout.ID(twin.Owner), Resemblance: string(twin.Resemblance)})
		}
		all = append(all, one)
	}
	for _, r := range refused {
		i := slices.IndexFunc(all, func(m cashout.Image) bool { return m.Kind == cashout.Kind(r.Kind) })
		if i < 0 {
			all, i = append(all, cashout.Image{Kind: cashout.Kind(r.Kind)}), len(all)
		}
		all[i].Refused = r.Reason
	}
	return all, nil
}

// Close implements cashout.Images.
func (p pictures) Close(o cashout.Owner) []storage.Effect {
	return []storage.Effect{p.CloseUploads(ownerOf(o))}
}

// EraseAfter implements cashout.Images.
func (p pictures) EraseAfter(o cashout.Owner, e cashout.Erasure) []storage.Effect {
	return p.Service.EraseAfter(ownerOf(o), image.End{Content: e.Pictures, Marks: e.Marks})
}

// album is package image's, as reviewers want it.
type album struct{ images *image.Service }

// Open implements review.Album.
func (a album) Open(ctx context.Context, actor, id string) (review.Content, error) {
	c, err := a.images.Open(ctx, actor, image.ID(id))
	return review.Content{Type: c.Type, Data: c.Data}, err
}

// Redact implements review.Album.
func (a album) Redact(ctx context.Context, actor, id string, area review.Rect) error {
	return a.images.Redact(ctx, actor, image.ID(id), image.Rect(area))
}

var errCaptcha = errors.New("the live realm needs a captcha: see the setting captcha")
