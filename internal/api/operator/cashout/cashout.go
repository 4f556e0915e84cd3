// Package cashout is the room of the operator API for those who review orders that turn
// prepaid cards into bitcoin: the queue, who has which order in hand, pictures through links
// that are short-lived and recorded, decisions, the switch that stops payouts, and what the
// nodes' own lists of payments say.
//
// It translates, and holds no rule. It must never show an order's token.
package cashout

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	product "github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Deps is what the room stands on.
type Deps struct {
	Orders  *product.Service
	Reviews *review.Service
	Payouts *payout.Service
	Phones  *phone.Service
}

type api struct {
	Deps
	desk *desk.Desk
}

// Routes adds the room's calls to the operator API.
func Routes(s *desk.Surface, d *desk.Desk, deps Deps) {
	a := &api{deps, d}
	const one = "/books/{book_id}/cashouts/{order_id}"
	const image = one + "/images/{image_id}"
	wire.Handle(s, desk.Get("cashouts.list", "/cashouts"), a.list)
	wire.Handle(s, desk.Get("cashouts.queue", "/cashouts/queue"), a.queue)
	wire.Handle(s, reviewers(desk.Get("cashouts.get", one)), a.get)
	wire.Handle(s, desk.Once(desk.Post("cashouts.claim", one+"/claim", desk.Assist)), a.claim)
	wire.Handle(s, desk.Once(desk.Post("cashouts.release", one+"/release", desk.Assist)), a.release)
	wire.Handle(s, desk.Once(desk.Post("cashouts.decide", one+"/decide", desk.Assist)), a.decide)
	wire.Handle(s, desk.Once(desk.Post("cashouts.refuse", one+"/refuse", desk.Assist)), a.refuse)
	wire.Handle(s, desk.Once(desk.Post("cashouts.pay_again", one+"/pay", desk.Administer)), a.payAgain)
	wire.Handle(s, desk.Once(desk.Post("cashouts.ask_to_clear", one+"/clear", desk.Assist)), a.askToClear)
	wire.Handle(s, desk.Once(desk.Post("cashouts.clear", one+"/clear/decide", desk.Administer)), a.clear)
	wire.Handle(s, desk.Post("cashouts.show_image", image+"/link", desk.Assist), a.show)
	wire.Handle(s, desk.Post("cashouts.hide_image", image+"/hide", desk.Assist), a.hide)
	wire.Handle(s, desk.Post("cashouts.cover_image", image+"/cover", desk.Assist), a.cover)
	wire.Handle(s, public(desk.Get("cashouts.image", "/cashouts/images/{link}")), a.image)
	wire.Handle(s, desk.Get("cashouts.switch", "/cashouts/payouts"), a.stopped)
	wire.Handle(s, desk.Post("cashouts.stop", "/cashouts/payouts/stop", desk.Administer), a.stop)
	wire.Handle(s, desk.Post("cashouts.resume", "/cashouts/payouts/resume", desk.Administer), a.resume)
	wire.Handle(s, desk.Get("cashouts.days", "/cashouts/payouts/days"), a.days)
	wire.Handle(s, desk.Get("cashouts.day", "/cashouts/payouts/days/{day}"), a.day)
	wire.Handle(s, desk.Post("cashouts.reconcile", "/cashouts/payouts/reconcile", desk.Administer), a.reconcile)
	const paid = "/books/{book_id}/payouts/{payout_id}"
	wire.Handle(s, desk.Get("payouts.get", paid), a.payout)
	wire.Handle(s, desk.Once(desk.Post("payouts.cancel", paid+"/cancel", desk.Administer)), a.cancelPayout)
	wire.Handle(s, desk.Get("cashouts.messages", "/cashouts/messages"), a.messages)
}

// reviewers is a read of what only those may see who review.
func reviewers(spec wire.Spec) wire.Spec {
	spec.Scope = desk.Assist
	return spec
}

// public is a read for which the path is the credential.
func public(spec wire.Spec) wire.Spec {
	spec.Public, spec.Scope = true, ""
	return spec
}

type orderPath struct {
	BookID  string `path:"book_id" json:"-"`
	OrderID string `path:"order_id" json:"-"`
}

// ref names the path's order; not_found for what cannot be one.
func (a *api) ref(ctx context.Context, c *desk.Call, in orderPath) (review.Ref, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err == nil {
		err = desk.Known("order", product.Prefix, in.OrderID)
	}
	return review.Ref{Book: owner.Book, Order: product.ID(in.OrderID), Actor: desk.Actor(c)}, err
}

type caseView struct {
	OrderID       string          `json:"order_id"`
	BookID        string          `json:"book_id"`
	Realm         string          `json:"realm"`
	Status        string          `json:"status"`
	Amount        string          `json:"amount"`
	Currency      string          `json:"currency"`
	Price         string          `json:"price,omitzero"`
	Bitcoin       string          `json:"bitcoin,omitzero"`
	LockedUntil   wire.TimeMillis `json:"price_locked_until,omitzero"`
	Method        string          `json:"method,omitzero"`
	Destination   string          `json:"destination,omitzero"`
	NeedsDocument bool            `json:"needs_document"`
	NeedsTwo      bool            `json:"needs_two"`
	Rejections    int             `json:"rejections"`
	Reviewer      string          `json:"reviewer,omitzero"`
	HeldUntil     wire.TimeMillis `json:"held_until,omitzero"`
	FirstReviewer string          `json:"first_reviewer,omitzero"`
	PayoutID      string          `json:"payout_id,omitzero"`
	Proof         string          `json:"proof,omitzero"`
	Reason        string          `json:"reason,omitzero"`
	// AskedBy asks to clear the match that blocks the order.
	AskedBy     string          `json:"clear_asked_by,omitzero"`
	AskedWhy    string          `json:"clear_reason,omitzero"`
	AskedAt     wire.TimeMillis `json:"clear_asked_at,omitzero"`
	CreatedAt   wire.TimeMillis `json:"created_at"`
	SubmittedAt wire.TimeMillis `json:"submitted_at,omitzero"`
	DecidedAt   wire.TimeMillis `json:"decided_at,omitzero"`
	ExpiresAt   wire.TimeMillis `json:"expires_at"`
	// AgeSeconds is how long it has waited for a decision.
	AgeSeconds int64 `json:"age_seconds"`
}

func (a *api) view(c review.Case) caseView {
	v := caseView{OrderID: string(c.ID), BookID: string(c.Book), Realm: string(c.Realm), Status: string(c.Status), Amount: c.Amount.String(),
		Currency: c.Amount.Currency.String(), Method: string(c.To.Method), Destination: c.To.Text, NeedsDocument: c.NeedsDocument,
		NeedsTwo: a.Reviews.Policy.NeedsTwo(&c.Order), Rejections: c.Round, Reviewer: c.Reviewer, HeldUntil: desk.At(c.HeldUntil), FirstReviewer: c.First,
		PayoutID: c.Payout, Proof: c.Proof, Reason: c.Reason, CreatedAt: desk.At(c.CreatedAt), SubmittedAt: desk.At(c.SubmittedAt),
		DecidedAt: desk.At(c.DecidedAt), ExpiresAt: desk.At(c.ExpiresAt)}
	if c.Price.Cents.IsPositive() {
		v.Price, v.Bitcoin, v.LockedUntil = c.Price.Cents.String(), c.Bitcoin.String(), desk.At(c.LockedUntil)
	}
	if c.Match != nil && c.Match.Asked.By != "" {
		v.AskedBy, v.AskedWhy, v.AskedAt = c.Match.Asked.By, c.Match.Asked.Why, desk.At(c.Match.Asked.At)
	}
	if c.Status == product.Processing {
		v.AgeSeconds = int64(a.desk.Clocks.Now(c.Realm).Sub(c.SubmittedAt) / time.Second)
	}
	return v
}

// kept stores the answer of a change with the change.
func (a *api) kept(c *desk.Call) func(*review.Case) ([]storage.Effect, error) {
	return func(after *review.Case) ([]storage.Effect, error) { return a.desk.Kept(c, a.view(*after)) }
}

type listQuery struct {
	wire.CursorQuery
	Realm  string `query:"realm" json:"-"`
	Status string `query:"status" json:"-"`
}

func (a *api) list(ctx context.Context, _ *desk.Call, in listQuery) (wire.Listing[caseView], error) {
	none := wire.Listing[caseView]{}
	r, err := desk.RealmOrLive(in.Realm)
	if err != nil {
		return none, err
	}
	s, err := a.desk.Span(in.CursorQuery, "cashouts", string(r), in.Status)
	if err != nil {
		return none, err
	}
	found, err := a.Reviews.List(ctx, product.Filter{Realm: r, Status: product.Status(in.Status), Before: product.ID(s.After), Limit: s.Limit + 1})
	found, next := desk.Cut(found, s, func(c review.Case) string { return string(c.ID) })
	list := desk.Page(found, a.view)
	list.NextCursor = a.desk.More(s, next)
	return list, err
}

type realmQuery struct {
	Realm string `query:"realm" json:"-"`
}

func (a *api) queue(ctx context.Context, _ *desk.Call, in realmQuery) (wire.Listing[caseView], error) {
	r, err := desk.RealmOrLive(in.Realm)
	if err != nil {
		return wire.Listing[caseView]{}, err
	}
	found, err := a.Reviews.Queue(ctx, r, review.MaxQueue)
	return desk.Page(found, a.view), err
}

type twinView struct {
	ImageID string `json:"image_id"`
	OrderID string `json:"order_id"`
	// Resemblance is same_photo, same_card or same_design.
	Resemblance string `json:"resemblance"`
}

type imageView struct {
	ImageType  string          `json:"image_type"`
	ImageID    string          `json:"image_id,omitzero"`
	SHA256     string          `json:"sha256,omitzero"`
	Width      int             `json:"width,omitzero"`
	Height     int             `json:"height,omitzero"`
	UploadedAt wire.TimeMillis `json:"uploaded_at,omitzero"`
	Twins      []twinView      `json:"twins"`
	Refused    string          `json:"refused,omitzero"`
	// Verdict is what was said last about the kind of image, and about which one.
	Verdict string `json:"verdict,omitzero"`
	Judged  string `json:"judged_image_id,omitzero"`
	Reason  string `json:"reason,omitzero"`
	Note    string `json:"note,omitzero"`
}

type detailView struct {
	caseView
	PhoneNumber string      `json:"phone_number,omitzero"`
	FirstName   string      `json:"first_name,omitzero"`
	LastName    string      `json:"last_name,omitzero"`
	Images      []imageView `json:"images"`
}

func (a *api) get(ctx context.Context, c *desk.Call, in orderPath) (detailView, error) {
	ref, err := a.ref(ctx, c, in)
	if err != nil {
		return detailView{}, err
	}
	found, err := a.Reviews.Find(ctx, ref.Book, ref.Order)
	if err != nil {
		return detailView{}, err
	}
	who, err := a.Orders.PersonOf(ctx, &found.Order)
	if err != nil {
		return detailView{}, err
	}
	verdicts, err := a.Orders.Verdicts(ctx, &found.Order)
	if err != nil {
		return detailView{}, err
	}
	pictures, err := a.Orders.Pictures(ctx, &found.Order)
	return detailView{caseView: a.view(found), PhoneNumber: who.Phone.E164(), FirstName: who.Name.First, LastName: who.Name.Last,
		Images: viewImages(&found.Order, verdicts, pictures)}, err
}

// viewImages shows what an order takes, in its documented order.
func viewImages(o *product.Order, verdicts []product.Verdict, pictures []product.Image) []imageView {
	all := []imageView{}
	for _, kind := range o.Needs() {
		v := imageView{ImageType: string(kind), Twins: []twinView{}}
		for i := range pictures {
			m := &pictures[i]
			if m.Kind != kind {
				continue
			}
			v.ImageID, v.SHA256, v.Width, v.Height, v.UploadedAt, v.Refused = m.ID, m.SHA256, m.Width, m.Height, desk.At(m.UploadedAt), m.Refused
			for _, twin := range m.Twins {
				v.Twins = append(v.Twins, twinView{twin.Image, string(twin.Order), twin.Resemblance})
			}
		}
		for i := range verdicts {
			if said := &verdicts[i]; said.Kind == kind {
				v.Verdict, v.Judged, v.Reason, v.Note = "rejected", said.Image, string(said.Reason), said.Note
				if said.Accepted {
					v.Verdict = "accepted"
				}
			}
		}
		all = append(all, v)
	}
	return all
}

// do carries out a change of the path's order, with its answer stored beside it.
func (a *api) do(ctx context.Context, c *desk.Call, in orderPath, do func(review.Ref) (review.Case, error)) (caseView, error) {
	ref, err := a.ref(ctx, c, in)
	if err != nil {
		return caseView{}, err
	}
	ref.Also = a.kept(c)
	done, err := do(ref)
	return a.view(done), a.desk.Raced(ctx, c, err)
}
