package issuing

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/dispute"
)

// maxEvidence bounds a body with a file in base64.
const maxEvidence = 1 << 20

func (a *api) disputeRoutes(s *desk.Surface) {
	const all, one = "/books/{book_id}/disputes", "/books/{book_id}/disputes/{dispute_id}"
	wire.Handle(s, desk.Get("disputes.list", "/disputes"), a.listDisputes)
	wire.Handle(s, desk.Created(desk.Post("disputes.open", all, desk.Assist)), a.openDispute)
	wire.Handle(s, desk.Get("disputes.get", one), a.getDispute)
	wire.Handle(s, desk.Once(desk.Post("disputes.move", one+"/move", desk.Assist)), a.moveDispute)
	add := desk.Created(desk.Post("disputes.add_evidence", one+"/evidence", desk.Assist))
	add.MaxBody = maxEvidence
	wire.Handle(s, add, a.addEvidence)
	read := desk.Get("disputes.evidence", one+"/evidence/{number}")
	read.Scope = desk.Assist // it is about persons
	wire.Handle(s, read, a.readEvidence)
}

type disputePath struct {
	bookPath
	DisputeID string `path:"dispute_id" json:"-"`
}

// evidenceView is a piece of evidence without its contents.
type evidenceView struct {
	Number    int             `json:"number"`
	MediaType string          `json:"media_type"`
	Size      int             `json:"size"`
	Actor     string          `json:"actor"`
	CreatedAt wire.TimeMillis `json:"created_at"`
}

// disputeView is a contested payment.
type disputeView struct {
	DisputeID       string `json:"dispute_id"`
	BookID          string `json:"book_id"`
	Realm           string `json:"realm"`
	AuthorizationID string `json:"authorization_id"`
	CardID          string `json:"card_id"`
	Reason          string `json:"reason"`
	Note            string `json:"note,omitzero"`
	Amount          string `json:"amount"`
	Refunded        string `json:"refunded"`
	Currency        string `json:"currency"`
	// Credited says that it was credited when it was opened.
	Credited  bool   `json:"credited"`
	State     string `json:"state"`
	OpenedBy  string `json:"opened_by"`
	Decision  string `json:"decision,omitzero"`
	DecidedBy string `json:"decided_by,omitzero"`
	// Pieces is how many pieces of evidence there are; Evidence lists them, of disputes.get alone.
	Pieces    int             `json:"pieces"`
	Evidence  []evidenceView  `json:"evidence,omitzero"`
	DueAt     wire.TimeMillis `json:"due_at,omitzero"`
	CreatedAt wire.TimeMillis `json:"created_at"`
	ChangedAt wire.TimeMillis `json:"changed_at"`
}

func viewDispute(d dispute.Dispute) disputeView {
	return disputeView{DisputeID: string(d.ID), BookID: string(d.Book), Realm: string(d.Realm), AuthorizationID: string(d.Payment), CardID: string(d.Card),
		Reason: string(d.Reason), Note: d.Note, Amount: d.Amount.String(), Refunded: d.Refunded.String(), Currency: d.Amount.Currency.String(), Credited: d.Credited,
		State: string(d.State), OpenedBy: d.OpenedBy, Decision: d.Decision, DecidedBy: d.DecidedBy, Pieces: d.Evidence, DueAt: desk.At(d.DueAt),
		CreatedAt: desk.At(d.CreatedAt), ChangedAt: desk.At(d.ChangedAt)}
}

type disputeList struct {
	wire.CursorQuery
	Realm string `query:"realm" json:"-"`
	State string `query:"state" json:"-"`
}

func (a *api) listDisputes(ctx context.Context, _ *call, in disputeList) (wire.Listing[disputeView], error) {
	none := wire.Listing[disputeView]{}
	r, err := desk.RealmOrLive(in.Realm)
	if err != nil {
		return none, err
	}
	s, err := a.desk.Span(in.CursorQuery, "disputes", string(r), in.State)
	if err != nil {
		return none, err
	}
	found, err := a.Disputes.List(ctx, dispute.Filter{Realm: r, State: dispute.State(in.State), Before: dispute.ID(s.After), Limit: s.Limit + 1})
	found, next := desk.Cut(found, s, func(d dispute.Dispute) string { return string(d.ID) })
	list := desk.Page(found, viewDispute)
	list.NextCursor = a.desk.More(s, next)
	return list, err
}

type newDispute struct {
	bookPath
	AuthorizationID string `json:"authorization_id" wire:"required,max=64"`
	Reason          string `json:"reason" wire:"required"`
	Note            string `json:"note" wire:"max=500"`
	Amount          string `json:"amount" wire:"max=64"`
	Currency        string `json:"currency"`
	Text            string `json:"text" wire:"max=4000"`
}

func (a *api) openDispute(ctx context.Context, c *call, in newDispute) (disputeView, error) {
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return disputeView{}, err
	}
	o := dispute.Opening{Holder: h, Payment: authorization.ID(in.AuthorizationID), Reason: dispute.Reason(in.Reason), Note: in.Note, Text: in.Text,
		Also: desk.Storing(a.desk, c, viewDispute)}
	if in.Amount != "" {
		currency, err := currencyOf(in.Currency)
		if err != nil {
			return disputeView{}, err
		}
		if o.Amount, err = amountOf("amount", in.Amount, currency); err != nil {
			return disputeView{}, err
		}
	}
	opened, err := a.Disputes.Open(ctx, o)
	return viewDispute(opened), a.desk.Raced(ctx, c, err)
}

func (a *api) getDispute(ctx context.Context, _ *call, in disputePath) (disputeView, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return disputeView{}, err
	}
	found, err := a.Disputes.Find(ctx, owner.Book, dispute.ID(in.DisputeID))
	if err != nil {
		return disputeView{}, err
	}
	pieces, err := a.Disputes.Evidence(ctx, owner.Book, found.ID)
	view := viewDispute(found)
	for _, e := range pieces {
		view.Evidence = append(view.Evidence, evidenceView{e.Place, e.MediaType, e.Size, e.Actor, desk.At(e.At)})
	}
	return view, err
}

// disputeStep says which state comes next, and why.
type disputeStep struct {
	disputePath
	To     string `json:"to" wire:"required"`
	Reason string `json:"reason" wire:"max=500"`
}

func (a *api) moveDispute(ctx context.Context, c *call, in disputeStep) (disputeView, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return disputeView{}, err
	}
	moved, err := a.Disputes.Move(ctx, dispute.Step{Book: owner.Book, Dispute: dispute.ID(in.DisputeID), To: dispute.State(in.To), Words: strings.TrimSpace(in.Reason),
		Actor: desk.Actor(c), Also: desk.Storing(a.desk, c, viewDispute)})
	return viewDispute(moved), a.desk.Raced(ctx, c, err)
}

type newEvidence struct {
	disputePath
	MediaType string `json:"media_type" wire:"required"`
	// Content is in base64.
	Content []byte `json:"content" wire:"required"`
}

func (a *api) addEvidence(ctx context.Context, c *call, in newEvidence) (disputeView, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return disputeView{}, err
	}
	added, err := a.Disputes.Add(ctx, dispute.Addition{Book: owner.Book, Dispute: dispute.ID(in.DisputeID), Actor: desk.Actor(c),
		Evidence: dispute.Evidence{MediaType: in.MediaType, Content: in.Content}, Also: desk.Storing(a.desk, c, viewDispute)})
	return viewDispute(added), a.desk.Raced(ctx, c, err)
}

type evidencePath struct {
	disputePath
	Number string `path:"number" json:"-"`
}

func (a *api) readEvidence(ctx context.Context, c *call, in evidencePath) (wire.File, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return wire.File{}, err
	}
	place, err := strconv.Atoi(in.Number)
	if err != nil {
		return wire.File{}, fault.New(fault.NotFound, "no such evidence")
	}
	found, err := a.Disputes.Read(ctx, dispute.Reading{Book: owner.Book, Dispute: dispute.ID(in.DisputeID), Place: place, Actor: desk.Actor(c)})
	_, ending, _ := strings.Cut(found.MediaType, "/")
	return wire.File{ContentType: found.MediaType, Name: fmt.Sprintf("%s-%d.%s", in.DisputeID, place, ending), Body: found.Content}, err
}
