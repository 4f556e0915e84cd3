package operator

import (
	"context"
	"net/http"
	"sort"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
)

// imageBytes are the media types of an image that stands alone in a body: what it is, its bytes tell.
const imageBytes = "application/octet-stream, image/jpeg, image/png"

func (a *api) templateRoutes(s *surface) {
	const one, cover = "/templates/{template_id}", "/templates/{template_id}/cover"
	add := created(post("templates.create", "/templates", administer))
	add.MaxBody = giftcard.MaxCoverBytes/3*4 + maxBody // base64 takes four bytes for three
	put := wire.Spec{Name: "templates.set_cover", Method: http.MethodPut, Path: base + cover, Scope: administer,
		Accept: imageBytes, MaxBody: giftcard.MaxCoverBytes}
	wire.Handle(s, add, a.createTemplate)
	wire.Handle(s, get("templates.list", "/templates"), a.listTemplates)
	wire.Handle(s, get("templates.get", one), a.getTemplate)
	wire.Handle(s, patch("templates.change", one, administer), a.changeTemplate)
	wire.Handle(s, get("templates.cover", cover), a.getCover)
	wire.Handle(s, put, a.setCover)
}

func (a *api) cardRoutes(s *surface) {
	const cards, card = "/books/{book_id}/giftcards", "/books/{book_id}/giftcards/{card_id}"
	wire.Handle(s, post("giftcards.find", "/giftcards/find", read), a.findCard)
	wire.Handle(s, get("giftcards.list", cards), a.listCards)
	wire.Handle(s, get("giftcards.list_of_customer", "/customers/{customer_id}/giftcards"), a.listCustomerCards)
	wire.Handle(s, get("giftcards.get", card), a.getCard)
	wire.Handle(s, get("giftcards.history", card+"/history"), a.cardHistory)
	wire.Handle(s, post("giftcards.block", card+"/block", assist), a.blockCard)
	wire.Handle(s, post("giftcards.unblock", card+"/unblock", assist), a.unblockCard)
	wire.Handle(s, once(post("giftcards.cancel", card+"/cancel", assist)), a.cancelCard)
	wire.Handle(s, post("giftcards.reveal", card+"/reveal", assist), a.revealCard)
}

type templatePath struct {
	TemplateID string `path:"template_id" json:"-"`
}

type templateView struct {
	TemplateID  string          `json:"template_id"`
	Name        string          `json:"name"`
	Active      bool            `json:"active"`
	CoverType   string          `json:"cover_type"`
	CoverSHA256 string          `json:"cover_sha256"`
	CreatedAt   wire.TimeMillis `json:"created_at"`
	ChangedAt   wire.TimeMillis `json:"changed_at"`
}

func viewTemplate(t giftcard.Template) templateView {
	return templateView{TemplateID: t.ID, Name: t.Name, Active: t.Active, CoverType: t.CoverType, CoverSHA256: t.CoverHash,
		CreatedAt: at(t.CreatedAt), ChangedAt: at(t.UpdatedAt)}
}

type newTemplate struct {
	TemplateID string `json:"template_id" wire:"max=64"`
	Name       string `json:"name" wire:"required,max=128"`
	Cover      []byte `json:"cover" wire:"required"`
}

func (a *api) createTemplate(ctx context.Context, c *call, in newTemplate) (templateView, error) {
	if in.TemplateID != "" {
		if _, err := written("template_id", in.TemplateID); err != nil {
			return templateView{}, err
		}
	}
	made, err := a.Cards.AddTemplate(ctx, giftcard.NewTemplate{ID: in.TemplateID, Name: in.Name, Image: in.Cover, Actor: actor(c),
		Also: storing(a, c, viewTemplate)})
	return viewTemplate(made), a.raced(ctx, c, err)
}

// listTemplates cuts its page from the whole list, which the product keeps short.
func (a *api) listTemplates(ctx context.Context, _ *call, in struct{ wire.CursorQuery }) (wire.Listing[templateView], error) {
	none := wire.Listing[templateView]{}
	s, err := a.span(in.CursorQuery, "templates")
	if err != nil {
		return none, err
	}
	all, err := a.Cards.Templates(ctx)
	if err != nil {
		return none, err
	}
	first := sort.Search(len(all), func(i int) bool { return all[i].ID > s.after })
	shown, next := cut(all[first:], s, func(t giftcard.Template) string { return t.ID })
	list := page(shown, viewTemplate)
	list.NextCursor = a.more(s, next)
	return list, nil
}

func (a *api) getTemplate(ctx context.Context, _ *call, in templatePath) (templateView, error) {
	found, err := a.Cards.Template(ctx, in.TemplateID)
	return viewTemplate(found), err
}

type templateChange struct {
	templatePath
	Name   string `json:"name" wire:"max=128"`
	Active *bool  `json:"active"`
}

func (a *api) changeTemplate(ctx context.Context, c *call, in templateChange) (templateView, error) {
	changed, err := a.Cards.ChangeTemplate(ctx, in.TemplateID, giftcard.TemplateChange{Name: in.Name, Active: in.Active, Actor: actor(c)})
	return viewTemplate(changed), err
}

func (a *api) getCover(ctx context.Context, _ *call, in templatePath) (wire.File, error) {
	cover, err := a.Cards.TemplateCover(ctx, in.TemplateID)
	if err != nil {
		return wire.File{}, err
	}
	return wire.File{ContentType: cover.Type, Version: cover.Hash, Body: cover.Data}, nil
}

func (a *api) setCover(ctx context.Context, c *call, in templatePath) (templateView, error) {
	if len(c.Body) == 0 {
		return templateView{}, invalid("cover", "the body must be a png or jpeg image")
	}
	changed, err := a.Cards.ChangeTemplate(ctx, in.TemplateID, giftcard.TemplateChange{Image: c.Body, Actor: actor(c)})
	return viewTemplate(changed), err
}

type cardPath struct {
	bookPath
	CardID string `path:"card_id" json:"-"`
}

type cardView struct {
	CardID     string          `json:"card_id"`
	BookID     string          `json:"book_id"`
	Last4      string          `json:"last4"`
	Title      string          `json:"title"`
	TemplateID string          `json:"template_id"`
	Amount     string          `json:"amount"`
	Balance    string          `json:"balance"`
	Held       string          `json:"held"`
	Currency   string          `json:"currency"`
	Status     string          `json:"status"`
	Blocked    bool            `json:"blocked"`
	Reason     string          `json:"reason,omitzero"`
	CreatedAt  wire.TimeMillis `json:"created_at"`
	ExpiresAt  wire.TimeMillis `json:"expires_at"`
	EndedAt    wire.TimeMillis `json:"ended_at,omitzero"`
}

func viewCard(c *giftcard.Card) cardView {
	return cardView{CardID: string(c.ID), BookID: string(c.Book), Last4: c.Last4, Title: c.Title, TemplateID: c.TemplateID,
		Amount: c.Amount.String(), Balance: c.Balance.String(), Held: c.Held.String(), Currency: c.Amount.Currency.String(),
		Status: string(c.Status), Blocked: c.Blocked, Reason: c.Reason, CreatedAt: at(c.CreatedAt), ExpiresAt: at(c.ExpiresAt), EndedAt: at(c.EndedAt)}
}

type cardList struct {
	bookPath
	wire.CursorQuery
}

func (a *api) listCards(ctx context.Context, _ *call, in cardList) (wire.Listing[cardView], error) {
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return wire.Listing[cardView]{}, err
	}
	return a.cardsOf(ctx, owner.Book, in.CursorQuery)
}

type customerCardList struct {
	customerPath
	wire.CursorQuery
	Realm string `query:"realm" json:"-" wire:"required"`
}

func (a *api) listCustomerCards(ctx context.Context, _ *call, in customerCardList) (wire.Listing[cardView], error) {
	none := wire.Listing[cardView]{}
	r, err := realmOf(in.Realm)
	if err != nil {
		return none, err
	}
	customer, err := a.customer(ctx, in.CustomerID)
	if err != nil {
		return none, err
	}
	return a.cardsOf(ctx, customer.Book(r), in.CursorQuery)
}

func (a *api) cardsOf(ctx context.Context, book ledger.BookID, q wire.CursorQuery) (wire.Listing[cardView], error) {
	s, err := a.span(q, "giftcards", string(book))
	if err != nil {
		return wire.Listing[cardView]{}, err
	}
	cards, err := a.Cards.List(ctx, book, giftcard.ID(s.after), s.limit+1)
	if err != nil {
		return wire.Listing[cardView]{}, err
	}
	cards, next := cut(cards, s, func(c *giftcard.Card) string { return string(c.ID) })
	list := page(cards, viewCard)
	list.NextCursor = a.more(s, next)
	return list, nil
}

type cardSecret struct {
	Number string `json:"number" wire:"max=64"`
	Key    string `json:"key" wire:"max=128"`
	BookID string `json:"book_id"`
}

// findCard finds a card by what its holder has. It is a POST so that no URL holds a
// number. A number alone is enough; a key is looked for in one book.
func (a *api) findCard(ctx context.Context, c *call, in cardSecret) (cardView, error) {
	if (in.Number == "") == (in.Key == "") {
		return cardView{}, invalid("number", "exactly one of number and key is required")
	}
	found, err := a.findSecret(ctx, c, in)
	if err != nil {
		return cardView{}, err
	}
	if in.BookID != "" && string(found.Book) != in.BookID {
		return cardView{}, noCard()
	}
	return viewCard(found), nil
}

func (a *api) findSecret(ctx context.Context, c *call, in cardSecret) (*giftcard.Card, error) {
	if in.Key == "" {
		number, err := pan.ParseAlnum(in.Number)
		if err != nil {
			return nil, noCard()
		}
		return a.Cards.FindAnywhere(ctx, number)
	}
	if in.BookID == "" {
		return nil, invalid("book_id", "book_id is required with a key")
	}
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return nil, err
	}
	return a.Cards.Find(ctx, merchantOf(c, owner), giftcard.Secret{Key: pan.NewSecret(in.Key)})
}

func noCard() error { return fault.New(fault.NotFound, "no such gift card") }

// merchantOf is the owner of a book, on whose behalf an operator acts.
func merchantOf(c *call, owner account.Owner) giftcard.Merchant {
	return giftcard.Merchant{Book: owner.Book, Realm: owner.Realm, Actor: actor(c)}
}

// card returns the card of a path with the book's owner.
func (a *api) card(ctx context.Context, in cardPath) (*giftcard.Card, account.Owner, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err == nil {
		err = known("gift card", "gc", in.CardID)
	}
	if err != nil {
		return nil, owner, err
	}
	found, err := a.Cards.Get(ctx, owner.Book, giftcard.ID(in.CardID))
	return found, owner, err
}

func (a *api) getCard(ctx context.Context, _ *call, in cardPath) (cardView, error) {
	found, _, err := a.card(ctx, in)
	if err != nil {
		return cardView{}, err
	}
	return viewCard(found), nil
}

type cardHistory struct {
	cardPath
	wire.CursorQuery
}

type cardLine struct {
	TransactionID string          `json:"transaction_id"`
	Type          string          `json:"type"`
	Amount        string          `json:"amount"`
	Balance       string          `json:"balance"`
	Currency      string          `json:"currency"`
	Reference     string          `json:"reference,omitzero"`
	At            wire.TimeMillis `json:"at"`
}

func (a *api) cardHistory(ctx context.Context, _ *call, in cardHistory) (wire.Listing[cardLine], error) {
	none := wire.Listing[cardLine]{}
	found, _, err := a.card(ctx, in.cardPath)
	if err != nil {
		return none, err
	}
	s, err := a.span(in.CursorQuery, "giftcard_history", in.BookID, in.CardID)
	if err != nil {
		return none, err
	}
	before, err := s.number()
	if err != nil {
		return none, err
	}
	lines, err := a.Cards.History(ctx, found, before, s.limit+1)
	if err != nil {
		return none, err
	}
	lines, next := cut(lines, s, func(l giftcard.Line) string { return sequence(l.Seq) })
	list := page(lines, func(l giftcard.Line) cardLine {
		return cardLine{TransactionID: string(l.Transaction), Type: l.Type, Amount: l.Amount.String(), Balance: l.Balance.String(),
			Currency: l.Amount.Currency.String(), Reference: l.Reference, At: at(l.At)}
	})
	list.NextCursor = a.more(s, next)
	return list, nil
}

type cardReason struct {
	cardPath
	reasoned
}

func (a *api) blockCard(ctx context.Context, c *call, in cardReason) (cardView, error) {
	return a.setCard(ctx, c, in, a.Cards.Block)
}

func (a *api) unblockCard(ctx context.Context, c *call, in cardReason) (cardView, error) {
	return a.setCard(ctx, c, in, a.Cards.Unblock)
}

func (a *api) cancelCard(ctx context.Context, c *call, in cardReason) (cardView, error) {
	return a.setCard(ctx, c, in, func(ctx context.Context, m giftcard.Merchant, card giftcard.ID, reason string) error {
		_, err := a.Cards.Cancel(ctx, m, card, reason)
		return err
	})
}

type setCard func(ctx context.Context, m giftcard.Merchant, card giftcard.ID, reason string) error

func (a *api) setCard(ctx context.Context, c *call, in cardReason, set setCard) (cardView, error) {
	reason, err := written("reason", in.Reason)
	if err != nil {
		return cardView{}, err
	}
	found, owner, err := a.card(ctx, in.cardPath)
	if err != nil {
		return cardView{}, err
	}
	if err := set(ctx, merchantOf(c, owner), found.ID, reason); err != nil {
		return cardView{}, err
	}
	return a.getCard(ctx, c, in.cardPath)
}

type revealedCard struct {
	CardID string `json:"card_id"`
	Number string `json:"number"`
	Key    string `json:"key"`
}

// revealCard shows a card's secrets; the product writes it to the audit log first.
func (a *api) revealCard(ctx context.Context, c *call, in cardPath) (revealedCard, error) {
	found, owner, err := a.card(ctx, in)
	if err != nil {
		return revealedCard{}, err
	}
	number, key, err := a.Cards.Reveal(ctx, owner.Book, found.ID, actor(c))
	return revealedCard{CardID: string(found.ID), Number: number.Reveal(), Key: key.Reveal()}, err
}
