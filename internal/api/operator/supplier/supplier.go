// Package supplier is the room of the operator API for those who deliver codes beyond the
// stock: who they are, which items they deliver, and the orders that they are at.
//
// It translates between the wire and packages supply and order, and holds no rule of
// theirs. What a supplier is configured with is never shown.
package supplier

import (
	"context"
	"net/http"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/supply"
)

// Deps is what the room stands on.
type Deps struct {
	Supply *supply.Service
	Orders *order.Service
}

type (
	call    = desk.Call
	surface = desk.Surface
)

type api struct {
	Deps
	desk *desk.Desk
}

// maxBody bounds what is beside a configuration.
const maxBody = 64 << 10

// Routes adds the room's calls to the operator API.
func Routes(s *surface, d *desk.Desk, deps Deps) {
	a := &api{deps, d}
	const all, one = "/suppliers", "/suppliers/{realm}/{supplier_id}"
	add, change := desk.Created(desk.Post("suppliers.create", all, desk.Administer)), desk.Once(desk.Patch("suppliers.change", one, desk.Administer))
	add.MaxBody, change.MaxBody = supply.MaxConfig+maxBody, supply.MaxConfig+maxBody
	wire.Handle(s, add, a.create)
	wire.Handle(s, desk.Get("suppliers.list", all), a.list)
	wire.Handle(s, desk.Get("suppliers.get", one), a.get)
	wire.Handle(s, change, a.change)
	wire.Handle(s, desk.Once(desk.Remove("suppliers.delete", one)), a.remove)

	const routes = "/stock/{realm}/{item_code}/suppliers"
	put := wire.Spec{Name: "routes.put", Method: http.MethodPut, Path: desk.Base + routes + "/{supplier_id}", Scope: desk.Administer}
	wire.Handle(s, desk.Get("routes.list", routes), a.listRoutes)
	wire.Handle(s, put, a.putRoute)
	wire.Handle(s, desk.Remove("routes.delete", routes+"/{supplier_id}"), a.deleteRoute)

	const under = "/books/{book_id}/orders/{order_id}"
	wire.Handle(s, desk.Get("submissions.list", "/submissions"), a.submissions)
	wire.Handle(s, desk.Post("orders.give_up", under+"/give-up", desk.Assist), a.giveUp)
	wire.Handle(s, desk.Post("orders.deny", under+"/deny", desk.Administer), a.deny)
}

type view struct {
	SupplierID  string          `json:"supplier_id"`
	Realm       string          `json:"realm"`
	Name        string          `json:"name"`
	Kind        string          `json:"kind"`
	Timeout     desk.Duration   `json:"timeout,omitzero"`
	Concurrency int             `json:"concurrency,omitzero"`
	Active      bool            `json:"active"`
	State       string          `json:"state"`
	CreatedAt   wire.TimeMillis `json:"created_at"`
	ChangedAt   wire.TimeMillis `json:"changed_at"`
}

func viewOf(c supply.Configured) view {
	return view{SupplierID: c.ID, Realm: string(c.Realm), Name: c.Name, Kind: c.Kind, Timeout: desk.Duration(c.Timeout), Concurrency: c.Concurrency,
		Active: c.Active, State: string(c.State), CreatedAt: desk.At(c.CreatedAt), ChangedAt: desk.At(c.ChangedAt)}
}

// bounds are what a supplier may be without, and what its changes may name.
type bounds struct {
	Timeout     *desk.Duration `json:"timeout"`
	Concurrency *int           `json:"concurrency"`
	Active      *bool          `json:"active"`
}

func (in *bounds) apply(to *supply.Configured) {
	to.Timeout = in.Timeout.Or(to.Timeout)
	desk.Set(&to.Concurrency, in.Concurrency)
	desk.Set(&to.Active, in.Active)
}

type newSupplier struct {
	Realm      string   `json:"realm" wire:"required"`
	SupplierID string   `json:"supplier_id" wire:"required,max=32"`
	Name       string   `json:"name" wire:"required,max=100"`
	Kind       string   `json:"kind" wire:"required,max=32"`
	Config     wire.Raw `json:"config" wire:"required"`
	bounds
}

func (a *api) create(ctx context.Context, c *call, in newSupplier) (view, error) {
	r, err := desk.RealmOf(in.Realm)
	if err != nil {
		return view{}, err
	}
	to := supply.Configured{Realm: r, ID: in.SupplierID, Name: in.Name, Kind: in.Kind, Active: true}
	in.apply(&to)
	made, err := a.Supply.Add(ctx, supply.Setup{Configured: to, Config: in.Config, Actor: desk.Actor(c), Also: desk.Storing(a.desk, c, viewOf)})
	return viewOf(made), a.desk.Raced(ctx, c, blamed(err))
}

// blamed blames the member of the request where the product blames its own.
func blamed(err error) error {
	if err == nil {
		return nil
	}
	if field := fault.From(err).Field; field == "id" || field == "supplier" {
		return fault.From(err).At("supplier_id")
	}
	return err
}

type realmQuery struct {
	Realm string `query:"realm" json:"-" wire:"required"`
}

func (a *api) list(ctx context.Context, _ *call, in realmQuery) (wire.Listing[view], error) {
	r, err := desk.RealmOf(in.Realm)
	if err != nil {
		return wire.Listing[view]{}, err
	}
	found, err := a.Supply.List(ctx, r)
	return desk.Page(found, viewOf), err
}

type path struct {
	desk.InRealm
	SupplierID string `path:"supplier_id" json:"-"`
}

func (a *api) find(ctx context.Context, in path) (supply.Configured, error) {
	r, err := in.Realm()
	if err != nil {
		return supply.Configured{}, err
	}
	return a.Supply.Find(ctx, r, in.SupplierID)
}

func (a *api) get(ctx context.Context, _ *call, in path) (view, error) {
	found, err := a.find(ctx, in)
	return viewOf(found), err
}

type changed struct {
	path
	Name   *string  `json:"name"`
	Config wire.Raw `json:"config"`
	// SameAccount says that other credentials are of the account that it had.
	SameAccount bool `json:"same_account"`
	bounds
}

func (a *api) change(ctx context.Context, c *call, in changed) (view, error) {
	r, err := in.Realm()
	if err != nil {
		return view{}, err
	}
	edit := func(to *supply.Configured) {
		desk.Set(&to.Name, in.Name)
		in.apply(to)
	}
	now, err := a.Supply.Change(ctx, supply.Setup{Configured: supply.Configured{Realm: r, ID: in.SupplierID}, Edit: edit, Config: in.Config, SameAccount: in.SameAccount,
		Actor: desk.Actor(c), Also: desk.Storing(a.desk, c, viewOf)})
	return viewOf(now), a.desk.Raced(ctx, c, err)
}

func (a *api) remove(ctx context.Context, c *call, in path) (wire.None, error) {
	r, err := in.Realm()
	if err != nil {
		return wire.None{}, err
	}
	nothing := func(supply.Configured) wire.None { return wire.None{} }
	err = a.Supply.Remove(ctx, supply.Removal{Realm: r, ID: in.SupplierID, Actor: desk.Actor(c), Also: desk.Storing(a.desk, c, nothing)})
	return wire.None{}, a.desk.Raced(ctx, c, err)
}

type submissionView struct {
	BookID     string          `json:"book_id"`
	OrderID    int64           `json:"order_id"`
	ClaimID    string          `json:"claim_id,omitzero"`
	SupplierID string          `json:"supplier_id"`
	Codes      int             `json:"codes"`
	State      string          `json:"state"`
	Reference  string          `json:"reference,omitzero"`
	Asked      int             `json:"asked"`
	SentAt     wire.TimeMillis `json:"sent_at"`
	Reason     string          `json:"reason,omitzero"`
}

func viewSubmission(r supply.Row) submissionView {
	v := submissionView{BookID: string(r.Book), OrderID: r.Order, ClaimID: string(claim.OfKey(r.Remedy)), SupplierID: r.Supplier, Codes: r.Quantity, State: string(r.State), Reference: r.Reference,
		Asked: r.Asked, SentAt: desk.At(r.SentAt), Reason: r.Reason}
	if r.State == supply.Unknown {
		v.State = "sent"
	}
	return v
}

// submissions lists what suppliers were asked for and did not answer to the end.
func (a *api) submissions(ctx context.Context, _ *call, in realmQuery) (wire.Listing[submissionView], error) {
	r, err := desk.RealmOf(in.Realm)
	if err != nil {
		return wire.Listing[submissionView]{}, err
	}
	found, err := a.Supply.OpenSubmissions(ctx, r)
	return desk.Page(found, viewSubmission), err
}

type intervention struct {
	BookID  string `path:"book_id" json:"-"`
	OrderID int64  `path:"order_id" json:"-"`
	desk.Reasoned
}

// orderState is what an order is after an operator intervened: a server goes on with it.
type orderState struct {
	OrderID   int64           `json:"order_id"`
	BookID    string          `json:"book_id"`
	Status    string          `json:"status"`
	ChangedAt wire.TimeMillis `json:"changed_at"`
}

func (a *api) giveUp(ctx context.Context, c *call, in intervention) (orderState, error) {
	return a.intervene(ctx, c, in, a.Orders.GiveUp)
}

func (a *api) deny(ctx context.Context, c *call, in intervention) (orderState, error) {
	return a.intervene(ctx, c, in, a.Orders.Deny)
}

func (a *api) intervene(ctx context.Context, c *call, in intervention, do func(context.Context, order.Intervention) error) (orderState, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return orderState{}, err
	}
	reason, err := desk.Written("reason", in.Reason)
	if err != nil {
		return orderState{}, err
	}
	if err := do(ctx, order.Intervention{Book: owner.Book, Number: order.Number(in.OrderID), Reason: reason, Actor: desk.Actor(c)}); err != nil {
		return orderState{}, err
	}
	found, err := a.Orders.Find(ctx, owner.Book, order.Number(in.OrderID))
	return orderState{OrderID: in.OrderID, BookID: in.BookID, Status: string(found.Status), ChangedAt: desk.At(found.ChangedAt)}, err
}
