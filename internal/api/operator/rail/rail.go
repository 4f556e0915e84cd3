// Package rail is the room of the operator API for the chains that are watched for
// deposits: how far they were read, reading them now or again, audits, and what an operator
// has looked after that an audit found.
//
// It translates, and holds no rule.
package rail

import (
	"context"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

type api struct {
	desk     *desk.Desk
	deposits *deposit.Service
}

// Routes adds the room's calls to the operator API.
func Routes(s *desk.Surface, d *desk.Desk, deposits *deposit.Service) {
	a := &api{d, deposits}
	const one = "/rails/{realm}/{chain}"
	wire.Handle(s, desk.Get("rails.list", "/rails"), a.list)
	wire.Handle(s, desk.Post("rails.scan", one+"/scan", desk.Administer), a.scan)
	wire.Handle(s, desk.Post("rails.rescan", one+"/rescan", desk.Administer), a.rescan)
	wire.Handle(s, desk.Get("rails.audit", one+"/audit"), a.audit)
	wire.Handle(s, desk.Once(desk.Post("rails.dismiss", one+"/dismiss", desk.Administer)), a.dismiss)
}

// railView is how a chain is watched. Heights that are not known are left out.
type railView struct {
	Realm        string          `json:"realm"`
	Chain        string          `json:"chain"`
	Height       *int64          `json:"height,omitzero"`
	Tip          *int64          `json:"tip,omitzero"`
	Lag          *int64          `json:"lag,omitzero"`
	Healthy      bool            `json:"healthy"`
	LookedAt     wire.TimeMillis `json:"looked_at,omitzero"`
	FailingSince wire.TimeMillis `json:"failing_since,omitzero"`
	Problem      string          `json:"problem,omitzero"`
}

func view(s deposit.Survey) railView {
	return railView{Realm: string(s.Realm), Chain: string(s.Chain), Height: known(s.Height), Tip: known(s.Tip), Lag: known(s.Lag()), Healthy: s.IsHealthy(),
		LookedAt: desk.At(s.LookedAt), FailingSince: desk.At(s.FailingSince), Problem: s.Problem}
}

func known(height int64) *int64 {
	if height < 0 {
		return nil
	}
	return &height
}

func (a *api) list(ctx context.Context, _ *desk.Call, _ wire.None) (wire.Listing[railView], error) {
	found, err := a.deposits.Surveys(ctx)
	return desk.Page(found, view), err
}

type railPath struct {
	desk.InRealm
	Chain string `path:"chain" json:"-"`
}

// place names the path's chain; not_found for what is none.
func (in *railPath) place() (p address.Place, err error) {
	if p.Realm, err = in.Realm(); err != nil {
		return p, err
	}
	if p.Chain, err = asset.ParseChain(in.Chain); err != nil {
		err = fault.New(fault.NotFound, "no such chain")
	}
	return p, err
}

// one shows how a chain is watched by now.
func (a *api) one(ctx context.Context, p address.Place) (railView, error) {
	s, err := a.deposits.Survey(ctx, p)
	return view(s), err
}

func (a *api) scan(ctx context.Context, _ *desk.Call, in railPath) (railView, error) {
	p, err := in.place()
	if err != nil {
		return railView{}, err
	}
	if err := a.deposits.ScanChain(ctx, p); err != nil {
		return railView{}, err
	}
	return a.one(ctx, p)
}

type again struct {
	railPath
	FromHeight int64 `json:"from_height" wire:"required"`
}

func (a *api) rescan(ctx context.Context, c *desk.Call, in again) (railView, error) {
	p, err := in.place()
	if err != nil {
		return railView{}, err
	}
	err = a.deposits.Rescan(ctx, deposit.Rescan{Place: p, From: in.FromHeight, Actor: desk.Actor(c)})
	if err != nil && fault.From(err).Field == "from" {
		return railView{}, fault.From(err).At("from_height")
	}
	if err != nil {
		return railView{}, err
	}
	return a.one(ctx, p)
}

type sumView struct {
	Asset    string `json:"asset"`
	Deposits int    `json:"deposits"`
	Credited int    `json:"credited"`
	Paid     string `json:"paid"`
	Held     string `json:"held"`
	WorthUSD string `json:"worth_usd"`
}

type differenceView struct {
	Kind     string `json:"kind"`
	Asset    string `json:"asset"`
	Address  string `json:"address"`
	BookID   string `json:"book_id"`
	Deposits string `json:"deposits"`
	Found    string `json:"found"`
}

type auditView struct {
	Realm       string           `json:"realm"`
	Chain       string           `json:"chain"`
	Addresses   int              `json:"addresses"`
	Assets      []sumView        `json:"assets"`
	Differences []differenceView `json:"differences"`
}

func (a *api) audit(ctx context.Context, _ *desk.Call, in railPath) (auditView, error) {
	p, err := in.place()
	if err != nil {
		return auditView{}, err
	}
	found, err := a.deposits.Audit(ctx, p)
	if err != nil {
		return auditView{}, err
	}
	v := auditView{Realm: string(p.Realm), Chain: string(p.Chain), Addresses: found.Addresses, Assets: []sumView{}, Differences: []differenceView{}}
	for _, s := range found.Sums {
		v.Assets = append(v.Assets, sumView{string(s.Asset), s.Deposits, s.Credited, deposit.Whole(s.Paid, s.Asset), deposit.Whole(s.Held, s.Asset), s.Worth.String()})
	}
	for _, d := range found.Differences {
		v.Differences = append(v.Differences, differenceView{string(d.Kind), string(d.Asset), d.Address, string(d.Book), d.Deposits, d.Found})
	}
	return v, nil
}

type dismissal struct {
	railPath
	Address string `json:"address" wire:"required"`
	Reason  string `json:"reason" wire:"required"`
}

type spanView struct {
	Asset      string `json:"asset"`
	FromHeight int64  `json:"from_height"`
	ToHeight   int64  `json:"to_height"`
}

type dismissedView struct {
	Realm     string     `json:"realm"`
	Chain     string     `json:"chain"`
	Address   string     `json:"address"`
	BookID    string     `json:"book_id"`
	Dismissed []spanView `json:"dismissed"`
}

func viewDismissed(d deposit.Dismissed) dismissedView {
	v := dismissedView{Realm: string(d.Realm), Chain: string(d.Chain), Address: d.Address, BookID: string(d.Book), Dismissed: []spanView{}}
	for _, g := range d.Gaps {
		v.Dismissed = append(v.Dismissed, spanView{string(g.Asset), g.From, g.To})
	}
	return v
}

func (a *api) dismiss(ctx context.Context, c *desk.Call, in dismissal) (dismissedView, error) {
	p, err := in.place()
	if err != nil {
		return dismissedView{}, err
	}
	done, err := a.deposits.Dismiss(ctx, deposit.Dismissal{Place: p, Address: in.Address, Reason: in.Reason, Actor: desk.Actor(c),
		Also: desk.Storing(a.desk, c, viewDismissed)})
	return viewDismissed(done), a.desk.Raced(ctx, c, err)
}
