package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/cryptocardy"
	"github.com/scripcards/scrip/internal/api/iso8583"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/provider/simulator/chain"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// Issuing is the operator's rules for virtual cards; the zero one gives none out.
type Issuing struct {
	// On lets new cards be made, and seeds by GET /v1/api/.
	On bool
	// Seeds is the realm of those seeds; empty: the test realm.
	Seeds realm.Realm
	// Known lets cards be made for verified cardholders alone.
	Known bool
	// LateCredit credits what is contested when a dispute is won, and not when it is opened.
	LateCredit bool
	// HolderName and Billing are on cards for nobody in particular; empty: the published ones.
	HolderName string
	Billing    issuing.Address
}

// programme completes the rules with the usual ones.
func (i *Issuing) programme() issuing.Programme {
	p := issuing.DefaultProgramme()
	p.IssuingOn, p.RequireCardholder = i.On, i.Known
	if i.HolderName != "" {
		p.HolderName = i.HolderName
	}
	if i.Billing != (issuing.Address{}) {
		p.Billing = i.Billing
	}
	return p
}

// contests are the rules for disputes.
func (i *Issuing) contests() dispute.Policy {
	p := dispute.DefaultPolicy()
	p.Provisional = !i.LateCredit
	return p
}

// seedRealm is the realm of seeds that anybody makes.
func (i *Issuing) seedRealm() realm.Realm {
	if i.Seeds == "" {
		return realm.Test
	}
	return i.Seeds
}

// sandboxChains are the test realm's chains, on which simulations pay.
type sandboxChains map[asset.Chain]*chain.Chain

// Pay has a payment appear, once under its name.
func (s sandboxChains) Pay(ctx context.Context, p cryptocardy.Payment) (deposit.Sighting, error) {
	on := s[p.Amount.Asset.Chain()]
	if on == nil {
		return deposit.Sighting{}, fault.New(fault.FeatureDisabled, "a node watches this chain: pay on it")
	}
	payment := deposit.Payment{Chain: p.Amount.Asset.Chain(), TxID: txID(p)}
	found, err := on.Look(ctx, []deposit.Payment{payment})
	if err != nil || len(found) > 0 {
		return one(found), err
	}
	if _, err := on.Pay(ctx, chain.Sent{Address: p.Address, Amount: p.Amount, TxID: payment.TxID, Confirmations: p.Confirmations}); err != nil {
		return deposit.Sighting{}, err
	}
	found, err = on.Look(ctx, []deposit.Payment{payment})
	return one(found), err
}

func one(found []deposit.Sighting) deposit.Sighting {
	if len(found) == 0 {
		return deposit.Sighting{}
	}
	return found[0]
}

// txID is the transaction of a payment's name, in its chain's form.
func txID(p cryptocardy.Payment) string {
	sum := sha256.Sum256([]byte(p.Name))
	text := hex.EncodeToString(sum[:])
	if p.Amount.Asset.Chain() == asset.Ethereum {
		text = "0x" + text
	}
	return text
}

// The card that the demonstration begins with, and the deposit that pays for it.
const (
	demoBIN     = "491653"
	demoLabel   = "Ad Spend"
	demoBitcoin = "0.05"
	demoOnCard  = 50_000 // cents
	deepEnough  = 6      // confirmations
)

// demoCards funds the demonstration's cardholder, once per database, and makes a card to try.
func (a *App) demoCards(ctx context.Context, customer *account.Customer) error {
	h := issuing.Holder{Book: customer.Test, Realm: realm.Test, Actor: demoActor}
	found, err := a.Issuing.List(ctx, issuing.Filter{Holder: h, Limit: 1})
	if err != nil || found.Total > 0 || a.Sandbox.Chains[asset.Bitcoin] == nil {
		return err
	}
	where, err := a.Deposits.Address(ctx, address.Wallet{Book: h.Book, Realm: h.Realm}, asset.BTC)
	if err != nil {
		return err
	}
	amount, err := asset.ParseAmount(demoBitcoin, asset.BTC)
	if err != nil {
		return err
	}
	paid, err := sandboxChains(a.Sandbox.Chains).Pay(ctx, cryptocardy.Payment{Name: demoActor, Address: where, Amount: amount, Confirmations: deepEnough})
	if err != nil {
		return err
	}
	if _, err := a.Deposits.Observe(ctx, realm.Test, paid); err != nil {
		return err
	}
	_, err = a.Issuing.Issue(ctx, h, issuing.NewCard{BIN: demoBIN, Amount: money.New(demoOnCard, money.USD), Label: demoLabel, Key: demoActor})
	return err
}

// ISO8583 is the issuer's host that card networks connect to; the zero one is none.
type ISO8583 struct {
	// Listen is HOST:PORT; empty: nobody connects.
	Listen string
	// Realm is that of the cards; empty: the test realm.
	Realm realm.Realm
	// HexBitmap has bitmaps written as hexadecimal text.
	HexBitmap bool
	// Sources are the networks that may connect; empty: this machine.
	Sources []netip.Prefix
	// Acquirers are the institutions that are served; empty: all.
	Acquirers []string
	// Ready is told the address that was opened; it may be nil.
	Ready func(address string)
}

// listenISO opens the issuer's host, when there is one, and returns what serves it.
func (a *App) listenISO(ctx context.Context, o ISO8583, grace time.Duration) (serve func(context.Context) error, err error) {
	if o.Listen == "" {
		return func(context.Context) error { return nil }, nil
	}
	if o.Realm == "" {
		o.Realm = realm.Test
	}
	deps := iso8583.Deps{Payments: a.Payments, Logger: a.Logger, Observe: a.observeMessage}
	host := iso8583.New(deps, iso8583.Options{Address: o.Listen, HexBitmap: o.HexBitmap, Realm: o.Realm, Sources: o.Sources, Acquirers: o.Acquirers, Grace: grace})
	opened, err := host.Listen(ctx)
	if err != nil {
		return nil, err
	}
	if a.Metrics != nil {
		err := a.Metrics.Gauge("scrip_iso8583_connections", "Open connections of card networks.", func() float64 { return float64(host.Connections()) })
		if err != nil {
			return nil, err
		}
	}
	a.Logger.InfoContext(ctx, "serving ISO 8583", "address", opened.String(), "realm", string(o.Realm))
	if o.Ready != nil {
		o.Ready(opened.String())
	}
	return host.Serve, nil
}

// observeMessage counts an answered message of a card network.
func (a *App) observeMessage(r iso8583.Record) {
	if a.Metrics != nil {
		a.Metrics.Message(r.Type, r.Code, r.Took)
	}
	if a.answered != nil {
		a.answered(r.Took)
	}
}
