package issuing

import (
	"context"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
)

// addressView is where bills go to.
type addressView struct {
	Line1   string `json:"line1" wire:"required,max=400"`
	City    string `json:"city" wire:"required,max=400"`
	State   string `json:"state,omitzero" wire:"max=400"`
	Zip     string `json:"zip,omitzero" wire:"max=64"`
	Country string `json:"country" wire:"required"`
}

// personView is a cardholder.
type personView struct {
	CardholderID string          `json:"cardholder_id"`
	BookID       string          `json:"book_id"`
	Name         string          `json:"name"`
	Email        string          `json:"email,omitzero"`
	Reference    string          `json:"reference,omitzero"`
	Address      addressView     `json:"address"`
	State        string          `json:"state"`
	Tier         string          `json:"tier"`
	Reason       string          `json:"reason,omitzero"`
	CreatedAt    wire.TimeMillis `json:"created_at"`
	ChangedAt    wire.TimeMillis `json:"changed_at"`
}

func viewPerson(c cardholder.Cardholder) personView {
	return personView{CardholderID: string(c.ID), BookID: string(c.Book), Name: c.Name, Email: c.Email, Reference: c.Reference,
		Address: addressView(c.Address), State: string(c.State), Tier: c.TierName(), Reason: c.Reason, CreatedAt: desk.At(c.CreatedAt), ChangedAt: desk.At(c.ChangedAt)}
}

type newPerson struct {
	bookPath
	Name      string       `json:"name" wire:"required,max=400"`
	Email     string       `json:"email" wire:"max=254"`
	Reference string       `json:"reference" wire:"max=256"`
	Address   *addressView `json:"address" wire:"required"`
}

func (a *api) createPerson(ctx context.Context, c *call, in newPerson) (personView, error) {
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return personView{}, err
	}
	made, err := a.Cards.Cardholders.Create(ctx, owner(h), cardholder.NewPerson{Name: in.Name, Email: in.Email, Reference: in.Reference,
		Address: cardholder.Address(*in.Address), Also: desk.Storing(a.desk, c, viewPerson)})
	return viewPerson(made), a.desk.Raced(ctx, c, err)
}

func owner(h issuing.Holder) cardholder.Owner {
	return cardholder.Owner{Book: h.Book, Realm: h.Realm, Actor: h.Actor}
}

type personList struct {
	bookPath
	wire.CursorQuery
}

func (a *api) listPersons(ctx context.Context, c *call, in personList) (wire.Listing[personView], error) {
	none := wire.Listing[personView]{}
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return none, err
	}
	s, err := a.desk.Span(in.CursorQuery, "cardholders", in.BookID)
	if err != nil {
		return none, err
	}
	found, err := a.Cards.Cardholders.List(ctx, h.Book, cardholder.ID(s.After), s.Limit+1)
	if err != nil {
		return none, err
	}
	found, next := desk.Cut(found, s, func(c cardholder.Cardholder) string { return string(c.ID) })
	list := desk.Page(found, viewPerson)
	list.NextCursor = a.desk.More(s, next)
	return list, nil
}

type personPath struct {
	bookPath
	CardholderID string `path:"cardholder_id" json:"-"`
}

func (a *api) getPerson(ctx context.Context, c *call, in personPath) (personView, error) {
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return personView{}, err
	}
	found, err := a.Cards.Cardholders.Get(ctx, h.Book, cardholder.ID(in.CardholderID))
	return viewPerson(found), err
}

type judgement struct {
	personPath
	State  string `json:"state" wire:"required"`
	Tier   string `json:"tier" wire:"max=32"`
	Reason string `json:"reason" wire:"max=400"`
}

func (a *api) judgePerson(ctx context.Context, c *call, in judgement) (personView, error) {
	h, err := a.holder(ctx, c, in.BookID)
	if err != nil {
		return personView{}, err
	}
	judged, err := a.Cards.JudgeCardholder(ctx, h, cardholder.Judgement{ID: cardholder.ID(in.CardholderID), State: cardholder.State(in.State),
		Tier: in.Tier, Reason: in.Reason, Also: desk.Storing(a.desk, c, viewPerson)})
	return viewPerson(judged), a.desk.Raced(ctx, c, err)
}
