package operator

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/portal"
)

func (a *api) checkRoutes(s *surface) {
	const checks, check = "/books/{book_id}/checks", "/books/{book_id}/checks/{check_id}"
	wire.Handle(s, get("checks.list", checks), a.listChecks)
	wire.Handle(s, get("checks.get", check), a.getCheck)
	wire.Handle(s, once(post("checks.label", check+"/label", assist)), a.labelCheck)
	wire.Handle(s, get("suspensions.list", "/suspensions"), a.listSuspensions)
	wire.Handle(s, once(post("suspensions.lift", "/books/{book_id}/suspensions/lift", assist)), a.liftSuspension)
	wire.Handle(s, once(post("locks.lift", "/locks/lift", assist)), a.liftLock)
	const portals, one = "/books/{book_id}/portals", "/books/{book_id}/portals/{portal_id}"
	wire.Handle(s, get("portals.list", portals), a.listPortals)
	wire.Handle(s, get("portals.get", one), a.getPortal)
	wire.Handle(s, post("portals.verify", one+"/verify", assist), a.verifyPortal)
	wire.Handle(s, once(post("portals.enable", one+"/enable", assist)), a.enablePortal)
	wire.Handle(s, once(post("portals.disable", one+"/disable", assist)), a.disablePortal)
}

type checkPath struct {
	bookPath
	CheckID string `path:"check_id" json:"-"`
}

// checkView is a balance check as it is kept: without the card's number.
type checkView struct {
	CheckID      string          `json:"check_id"`
	BookID       string          `json:"book_id"`
	Realm        string          `json:"realm"`
	NetworkID    string          `json:"network_id"`
	CardID       string          `json:"card_id"`
	Credential   string          `json:"credential"`
	Address      string          `json:"address,omitzero"`
	Status       string          `json:"status"`
	Balance      string          `json:"balance"`
	Currency     string          `json:"currency"`
	Expiry       string          `json:"expiry,omitzero"`
	FraudScore   wire.Number     `json:"fraud_score"`
	FraudSignals []string        `json:"fraud_signals"`
	Model        string          `json:"model,omitzero"`
	DecisionID   string          `json:"decision_id,omitzero"`
	LatencyMS    int64           `json:"latency_ms"`
	Label        string          `json:"label,omitzero"`
	KnownAt      wire.TimeMillis `json:"known_at"`
	At           wire.TimeMillis `json:"at"`
}

func viewCheck(r ping.Record) checkView {
	view := checkView{CheckID: string(r.ID), BookID: string(r.Book), Realm: string(r.Realm), NetworkID: r.Network, CardID: r.Card, Credential: r.Credential,
		Address: r.Address, Status: string(r.Status), Balance: r.Balance.String(), Currency: r.Balance.Currency.String(), Expiry: r.Expiry,
		FraudScore: hundredths(r.Score.Hundredths), FraudSignals: []string{}, Model: r.Score.Model, DecisionID: r.Score.Decision, LatencyMS: r.Latency.Milliseconds(),
		Label: string(r.Label), KnownAt: at(r.AsOf), At: at(r.At)}
	for _, signal := range r.Score.Signals {
		view.FraudSignals = append(view.FraudSignals, signal.Name)
	}
	return view
}

func hundredths(n int) wire.Number { return wire.Number(fmt.Sprintf("%d.%02d", n/100, n%100)) }

// signalView is why a score is what it is.
type signalView struct {
	Signal        string      `json:"signal"`
	Of            string      `json:"of"`
	Value         int64       `json:"value"`
	Threshold     int64       `json:"threshold"`
	WindowSeconds int64       `json:"window_seconds"`
	Points        wire.Number `json:"points"`
	// Withheld signals are not told to callers whose answer is invalid.
	Withheld bool `json:"withheld"`
}

func viewSignal(s fraud.Signal) signalView {
	return signalView{Signal: s.Name, Of: s.Of, Value: s.Value, Threshold: s.Threshold, WindowSeconds: int64(s.Window / time.Second),
		Points: hundredths(s.Points), Withheld: s.Telling}
}

type checkDetail struct {
	checkView
	Explanation []signalView `json:"explanation"`
}

func viewCheckDetail(r ping.Record) checkDetail {
	return checkDetail{checkView: viewCheck(r), Explanation: page(r.Score.Signals, viewSignal).Data}
}

func (a *api) listChecks(ctx context.Context, _ *call, in bookList) (wire.Listing[checkView], error) {
	none := wire.Listing[checkView]{}
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return none, err
	}
	s, err := a.span(in.CursorQuery, "checks", in.BookID)
	if err != nil {
		return none, err
	}
	found, err := a.Pings.List(ctx, owner.Book, ping.ID(s.after), s.limit+1)
	found, next := cut(found, s, func(r ping.Record) string { return string(r.ID) })
	list := page(found, viewCheck)
	list.NextCursor = a.more(s, next)
	return list, err
}

// checkOwner returns the owner of the path's book; not_found for what cannot be a check.
func (a *api) checkOwner(ctx context.Context, in checkPath) (account.Owner, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err == nil {
		err = known("balance check", "ping", in.CheckID)
	}
	return owner, err
}

func (a *api) getCheck(ctx context.Context, _ *call, in checkPath) (checkDetail, error) {
	owner, err := a.checkOwner(ctx, in)
	if err != nil {
		return checkDetail{}, err
	}
	found, err := a.Pings.Find(ctx, owner.Book, ping.ID(in.CheckID))
	return viewCheckDetail(found), err
}

type checkLabel struct {
	checkPath
	Label string `json:"label" wire:"required"`
}

func (a *api) labelCheck(ctx context.Context, c *call, in checkLabel) (checkDetail, error) {
	owner, err := a.checkOwner(ctx, in.checkPath)
	if err != nil {
		return checkDetail{}, err
	}
	var labelled checkDetail
	view := func(r ping.Record) checkDetail {
		labelled = viewCheckDetail(r)
		return labelled
	}
	err = a.Pings.Label(ctx, ping.LabelRequest{Book: owner.Book, Ping: ping.ID(in.CheckID), Label: ping.Label(in.Label), Actor: actor(c),
		Also: storing(a, c, view)})
	return labelled, a.raced(ctx, c, err)
}

type suspensionView struct {
	BookID      string          `json:"book_id"`
	Realm       string          `json:"realm"`
	Caller      string          `json:"caller"`
	Credential  string          `json:"credential"`
	Reason      string          `json:"reason"`
	Cards       int64           `json:"cards"`
	Found       int64           `json:"found"`
	SuspendedAt wire.TimeMillis `json:"suspended_at"`
}

func viewSuspension(s ping.Suspension) suspensionView {
	return suspensionView{BookID: string(s.Book), Realm: string(s.Realm), Caller: s.Caller, Credential: s.Credential, Reason: s.Reason,
		Cards: s.Cards, Found: s.Found, SuspendedAt: at(s.At)}
}

func (a *api) listSuspensions(ctx context.Context, _ *call, in struct{ wire.CursorQuery }) (wire.Listing[suspensionView], error) {
	s, err := a.span(in.CursorQuery, "suspensions")
	if err != nil {
		return wire.Listing[suspensionView]{}, err
	}
	book, caller, _ := strings.Cut(s.after, "/")
	found, err := a.Pings.Suspensions(ctx, ping.Suspension{Book: ledger.BookID(book), Caller: caller}, s.limit+1)
	found, next := cut(found, s, func(one ping.Suspension) string { return string(one.Book) + "/" + one.Caller })
	list := page(found, viewSuspension)
	list.NextCursor = a.more(s, next)
	return list, err
}

type suspensionLift struct {
	bookPath
	Caller string `json:"caller" wire:"required,max=256"`
	reasoned
}

// liftSuspension lets a caller back. It answers what was held against it.
func (a *api) liftSuspension(ctx context.Context, c *call, in suspensionLift) (suspensionView, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return suspensionView{}, err
	}
	reason, err := written("reason", in.Reason)
	if err != nil {
		return suspensionView{}, err
	}
	var lifted suspensionView
	view := func(s ping.Suspension) suspensionView {
		lifted = viewSuspension(s)
		return lifted
	}
	err = a.Pings.Lift(ctx, ping.LiftRequest{Book: owner.Book, Caller: in.Caller, Reason: reason, Actor: actor(c), Also: storing(a, c, view)})
	return lifted, a.raced(ctx, c, err)
}

// lockLift names a card by its number, of which nothing is kept.
type lockLift struct {
	Realm     string     `json:"realm" wire:"required"`
	NetworkID string     `json:"network_id" wire:"required,max=64"`
	Number    pan.Secret `json:"number" wire:"required"`
	reasoned
}

type lockView struct {
	CardID      string          `json:"card_id"`
	Realm       string          `json:"realm"`
	NetworkID   string          `json:"network_id"`
	LockedUntil wire.TimeMillis `json:"locked_until"`
}

// liftLock ends the lock of a card. It answers when that would have ended by itself.
func (a *api) liftLock(ctx context.Context, c *call, in lockLift) (lockView, error) {
	r, err := realmOf(in.Realm)
	if err != nil {
		return lockView{}, err
	}
	reason, err := written("reason", in.Reason)
	if err != nil {
		return lockView{}, err
	}
	view := func(u ping.Unlocked) lockView {
		return lockView{CardID: u.Card, Realm: string(u.Realm), NetworkID: u.Network, LockedUntil: at(u.Until)}
	}
	ended, err := a.Pings.Unlock(ctx, ping.Unlocking{Realm: r, Network: in.NetworkID, Number: in.Number, Reason: reason, Actor: actor(c),
		Also: storing(a, c, view)})
	return view(ended), a.raced(ctx, c, blamed(err))
}

type portalPath struct {
	bookPath
	PortalID string `path:"portal_id" json:"-"`
}

type portalView struct {
	PortalID     string          `json:"portal_id"`
	BookID       string          `json:"book_id"`
	Realm        string          `json:"realm"`
	Name         string          `json:"name"`
	Slug         string          `json:"slug"`
	CustomDomain string          `json:"custom_domain,omitzero"`
	DomainProof  *domainProof    `json:"domain_proof,omitzero"`
	Branding     brandingView    `json:"branding"`
	Languages    []string        `json:"languages"`
	Networks     []string        `json:"networks"`
	Active       bool            `json:"active"`
	Disabled     bool            `json:"disabled"`
	CreatedAt    wire.TimeMillis `json:"created_at"`
}

// domainProof is the record of DNS that shows whose a domain is, and what is known of it.
type domainProof struct {
	State      string          `json:"state"`
	RecordType string          `json:"record_type"`
	RecordName string          `json:"record_name"`
	RecordText string          `json:"record_text"`
	ClaimedAt  wire.TimeMillis `json:"claimed_at"`
	CheckedAt  wire.TimeMillis `json:"checked_at,omitzero"`
	SeenAt     wire.TimeMillis `json:"seen_at,omitzero"`
}

type brandingView struct {
	LogoURL      string `json:"logo_url,omitzero"`
	PrimaryColor string `json:"primary_color"`
	TextColor    string `json:"text_color,omitzero"`
	Tagline      string `json:"tagline,omitzero"`
	SupportURL   string `json:"support_url,omitzero"`
	PrivacyURL   string `json:"privacy_url,omitzero"`
}

func viewPortal(p portal.Portal) portalView {
	var proof *domainProof
	if p.CustomDomain != "" {
		name, text := p.Record()
		proof = &domainProof{State: p.DomainState(), RecordType: "TXT", RecordName: name, RecordText: text, ClaimedAt: at(p.Proof.ClaimedAt),
			CheckedAt: at(p.Proof.CheckedAt), SeenAt: at(p.Proof.SeenAt)}
	}
	return portalView{PortalID: string(p.ID), BookID: string(p.Book), Realm: string(p.Realm), Name: p.Name, Slug: p.Slug, CustomDomain: p.CustomDomain,
		DomainProof: proof, Branding: brandingView(p.Branding), Languages: listed(p.Languages), Networks: listed(p.Networks), Active: p.Active, Disabled: p.Disabled,
		CreatedAt: at(p.CreatedAt)}
}

func (a *api) listPortals(ctx context.Context, _ *call, in bookList) (wire.Listing[portalView], error) {
	none := wire.Listing[portalView]{}
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return none, err
	}
	s, err := a.span(in.CursorQuery, "portals", in.BookID)
	if err != nil {
		return none, err
	}
	s.Limit = min(s.Limit, portal.MaxPage)
	found, err := a.Portals.List(ctx, owner.Book, portal.ID(s.after), s.Limit+1)
	found, next := cut(found, s, func(p portal.Portal) string { return string(p.ID) })
	list := page(found, viewPortal)
	list.NextCursor = a.more(s, next)
	return list, err
}

// portalOwner returns the owner of the path's book; not_found for what cannot be a portal.
func (a *api) portalOwner(ctx context.Context, in portalPath) (account.Owner, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err == nil {
		err = known("portal", "portal", in.PortalID)
	}
	return owner, err
}

func (a *api) getPortal(ctx context.Context, _ *call, in portalPath) (portalView, error) {
	owner, err := a.portalOwner(ctx, in)
	if err != nil {
		return portalView{}, err
	}
	found, err := a.Portals.Find(ctx, owner.Book, portal.ID(in.PortalID))
	return viewPortal(found), err
}

// verifyPortal has the record of the portal's domain looked for now.
func (a *api) verifyPortal(ctx context.Context, c *call, in portalPath) (portalView, error) {
	owner, err := a.portalOwner(ctx, in)
	if err != nil {
		return portalView{}, err
	}
	after, err := a.Portals.VerifyDomain(ctx, portal.Change{Book: owner.Book, Portal: portal.ID(in.PortalID), Actor: actor(c)})
	return viewPortal(after), err
}

type portalReason struct {
	portalPath
	reasoned
}

func (a *api) enablePortal(ctx context.Context, c *call, in portalReason) (portalView, error) {
	return a.setPortal(ctx, c, in, false)
}

func (a *api) disablePortal(ctx context.Context, c *call, in portalReason) (portalView, error) {
	return a.setPortal(ctx, c, in, true)
}

func (a *api) setPortal(ctx context.Context, c *call, in portalReason, disabled bool) (portalView, error) {
	owner, err := a.portalOwner(ctx, in.portalPath)
	if err != nil {
		return portalView{}, err
	}
	reason, err := written("reason", in.Reason)
	if err != nil {
		return portalView{}, err
	}
	changed, err := a.Portals.Change(ctx, portal.Change{Book: owner.Book, Portal: portal.ID(in.PortalID), Disabled: &disabled, Reason: reason,
		Actor: actor(c), Also: storing(a, c, viewPortal)})
	return viewPortal(changed), a.raced(ctx, c, err)
}
