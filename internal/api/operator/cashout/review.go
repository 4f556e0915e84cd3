package cashout

import (
	"context"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	product "github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/cashout/review"
)

func (a *api) claim(ctx context.Context, c *desk.Call, in orderPath) (caseView, error) {
	return a.do(ctx, c, in, func(r review.Ref) (review.Case, error) { return a.Reviews.Claim(ctx, r) })
}

func (a *api) release(ctx context.Context, c *desk.Call, in orderPath) (caseView, error) {
	return a.do(ctx, c, in, func(r review.Ref) (review.Case, error) { return a.Reviews.Release(ctx, r) })
}

type judgement struct {
	ImageType string `json:"image_type" wire:"required"`
	Accept    *bool  `json:"accept" wire:"required"`
	Reason    string `json:"reason"`
	Note      string `json:"note"`
}

type decision struct {
	orderPath
	Images []judgement `json:"images" wire:"required"`
}

func (a *api) decide(ctx context.Context, c *desk.Call, in decision) (caseView, error) {
	return a.do(ctx, c, in.orderPath, func(r review.Ref) (review.Case, error) {
		d := review.Decision{Ref: r}
		for _, j := range in.Images {
			if j.Accept == nil { // it may have been meant either way
				return review.Case{}, desk.Invalid("images", "say accept, true or false, of each image")
			}
			d.Judgements = append(d.Judgements, review.Judgement{Kind: product.Kind(j.ImageType), Accept: *j.Accept, Reason: product.Reason(j.Reason), Note: j.Note})
		}
		return a.Reviews.Decide(ctx, d)
	})
}

type refusal struct {
	orderPath
	Reason string `json:"reason" wire:"required,max=300"`
}

func (a *api) refuse(ctx context.Context, c *desk.Call, in refusal) (caseView, error) {
	return a.do(ctx, c, in.orderPath, func(r review.Ref) (review.Case, error) { return a.Reviews.Refuse(ctx, r, in.Reason) })
}

func (a *api) askToClear(ctx context.Context, c *desk.Call, in refusal) (caseView, error) {
	return a.do(ctx, c, in.orderPath, func(r review.Ref) (review.Case, error) { return a.Reviews.AskToClear(ctx, r, in.Reason) })
}

type clearance struct {
	orderPath
	Accept *bool  `json:"accept" wire:"required"`
	Reason string `json:"reason" wire:"required,max=300"`
}

func (a *api) clear(ctx context.Context, c *desk.Call, in clearance) (caseView, error) {
	return a.do(ctx, c, in.orderPath, func(r review.Ref) (review.Case, error) {
		return a.Reviews.Clear(ctx, review.Clearance{Ref: r, Accept: *in.Accept, Reason: in.Reason})
	})
}

type destination struct {
	orderPath
	To string `json:"to"`
}

func (a *api) payAgain(ctx context.Context, c *desk.Call, in destination) (caseView, error) {
	return a.do(ctx, c, in.orderPath, func(r review.Ref) (review.Case, error) { return a.Reviews.PayAgain(ctx, r, in.To) })
}

type imagePath struct {
	orderPath
	ImageID string `path:"image_id" json:"-"`
}

type linkView struct {
	// Path leads to the image without a credential.
	Path      string          `json:"path"`
	ExpiresAt wire.TimeMillis `json:"expires_at"`
}

func (a *api) show(ctx context.Context, c *desk.Call, in imagePath) (linkView, error) {
	ref, err := a.ref(ctx, c, in.orderPath)
	if err != nil {
		return linkView{}, err
	}
	link, err := a.Reviews.Show(ctx, ref, in.ImageID)
	return linkView{desk.Base + "/cashouts/images/" + link.Text, desk.At(link.ExpiresAt)}, err
}

func (a *api) hide(ctx context.Context, c *desk.Call, in imagePath) (wire.None, error) {
	ref, err := a.ref(ctx, c, in.orderPath)
	if err != nil {
		return wire.None{}, err
	}
	return wire.None{}, a.Reviews.Hide(ctx, ref, in.ImageID)
}

type area struct {
	imagePath
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width" wire:"required"`
	Height int `json:"height" wire:"required"`
}

func (a *api) cover(ctx context.Context, c *desk.Call, in area) (wire.None, error) {
	ref, err := a.ref(ctx, c, in.orderPath)
	if err != nil {
		return wire.None{}, err
	}
	return wire.None{}, a.Reviews.Cover(ctx, ref, in.ImageID, review.Rect{X: in.X, Y: in.Y, Width: in.Width, Height: in.Height})
}

type linkPath struct {
	Link string `path:"link" json:"-"`
}

func (a *api) image(ctx context.Context, _ *desk.Call, in linkPath) (wire.File, error) {
	content, err := a.Reviews.Follow(ctx, in.Link)
	return wire.File{ContentType: content.Type, Body: content.Data}, err
}

type switchView struct {
	Realm   string `json:"realm"`
	Stopped bool   `json:"stopped"`
}

func (a *api) stopped(ctx context.Context, _ *desk.Call, in realmQuery) (switchView, error) {
	r, err := desk.RealmOrLive(in.Realm)
	if err != nil {
		return switchView{}, err
	}
	stopped, err := a.Payouts.Stopped(ctx, r)
	return switchView{string(r), stopped}, err
}

type realmBody struct {
	Realm string `json:"realm" wire:"required"`
}

func (a *api) stop(ctx context.Context, c *desk.Call, in realmBody) (switchView, error) {
	r, err := desk.RealmOf(in.Realm)
	if err != nil {
		return switchView{}, err
	}
	return switchView{string(r), true}, a.Payouts.Stop(ctx, desk.Actor(c), r)
}

func (a *api) resume(ctx context.Context, c *desk.Call, in realmBody) (switchView, error) {
	r, err := desk.RealmOf(in.Realm)
	if err != nil {
		return switchView{}, err
	}
	return switchView{string(r), false}, a.Payouts.Resume(ctx, desk.Actor(c), r)
}

type trafficView struct {
	Day      string `json:"day"`
	Country  string `json:"country"`
	Sent     int64  `json:"sent"`
	Verified int64  `json:"verified"`
	Alarmed  bool   `json:"alarmed"`
}

// messages lists where codes went today.
func (a *api) messages(ctx context.Context, _ *desk.Call, in realmQuery) (wire.Listing[trafficView], error) {
	r, err := desk.RealmOrLive(in.Realm)
	if err != nil {
		return wire.Listing[trafficView]{}, err
	}
	book, err := a.Orders.Book(ctx, r)
	if err != nil {
		return wire.Listing[trafficView]{}, err
	}
	found, err := a.Phones.Today(ctx, book, r)
	return desk.Page(found, func(t phone.Traffic) trafficView { return trafficView{t.Day, t.Country, t.Sent, t.Verified, t.Alarmed} }), err
}
