package operator

import (
	"context"
	"net/http"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping/quota"
	"github.com/scripcards/scrip/internal/wallet"
)

func (a *api) customerRoutes(s *surface) {
	const one = "/customers/{customer_id}"
	wire.Handle(s, created(post("customers.create", "/customers", assist)), a.createCustomer)
	wire.Handle(s, get("customers.list", "/customers"), a.listCustomers)
	wire.Handle(s, get("customers.get", one), a.getCustomer)
	wire.Handle(s, patch("customers.change", one, assist), a.changeCustomer)
	wire.Handle(s, post("customers.suspend", one+"/suspend", assist), a.suspendCustomer)
	wire.Handle(s, post("customers.reactivate", one+"/reactivate", assist), a.reactivateCustomer)
	wire.Handle(s, get("customers.books", one+"/books"), a.listBooks)
	wire.Handle(s, get("books.get", "/books/{book_id}"), a.getBook)
	wire.Handle(s, get("quotas.get", one+"/quota"), a.getQuota)
	wire.Handle(s, once(patch("quotas.change", one+"/quota", assist)), a.changeQuota)
	reset := remove("quotas.reset", one+"/quota")
	reset.Scope = assist
	wire.Handle(s, once(reset), a.resetQuota)
	wire.Handle(s, get("wallet.balances", one+"/wallet"), a.walletBalances)
	wire.Handle(s, created(post("wallet.load", one+"/wallet/loads", administer)), a.loadWallet)
}

type customerView struct {
	CustomerID string          `json:"customer_id"`
	Name       string          `json:"name"`
	Email      string          `json:"email,omitzero"`
	State      string          `json:"state"`
	LiveBookID string          `json:"live_book_id"`
	TestBookID string          `json:"test_book_id"`
	CreatedAt  wire.TimeMillis `json:"created_at"`
	ChangedAt  wire.TimeMillis `json:"changed_at"`
}

func viewCustomer(c account.Customer) customerView {
	return customerView{CustomerID: string(c.ID), Name: c.Name, Email: c.Email, State: string(c.State), LiveBookID: string(c.Live),
		TestBookID: string(c.Test), CreatedAt: at(c.CreatedAt), ChangedAt: at(c.ChangedAt)}
}

type newCustomer struct {
	Name  string `json:"name" wire:"required,max=128"`
	Email string `json:"email" wire:"max=254"`
}

func (a *api) createCustomer(ctx context.Context, c *call, in newCustomer) (customerView, error) {
	made, err := a.Accounts.CreateCustomer(ctx, actor(c), account.NewCustomer{Name: in.Name, Email: in.Email, Also: storing(a, c, viewCustomer)})
	return viewCustomer(made), a.raced(ctx, c, err)
}

type customerList struct {
	wire.CursorQuery
	Search string `query:"search" json:"-" wire:"max=254"`
}

func (a *api) listCustomers(ctx context.Context, _ *call, in customerList) (wire.Listing[customerView], error) {
	s, err := a.span(in.CursorQuery, "customers", in.Search)
	if err != nil {
		return wire.Listing[customerView]{}, err
	}
	var found account.List[account.Customer]
	part := account.Page{After: s.after, Limit: s.limit}
	if in.Search == "" {
		found, err = a.Accounts.ListCustomers(ctx, part)
	} else {
		found, err = a.Accounts.SearchCustomers(ctx, in.Search, part)
	}
	list := page(found.Items, viewCustomer)
	list.NextCursor = a.more(s, found.Next)
	return list, err
}

func (a *api) getCustomer(ctx context.Context, _ *call, in customerPath) (customerView, error) {
	found, err := a.customer(ctx, in.CustomerID)
	return viewCustomer(found), err
}

type customerChange struct {
	customerPath
	Name  *string `json:"name"`
	Email *string `json:"email"`
}

func (a *api) changeCustomer(ctx context.Context, c *call, in customerChange) (customerView, error) {
	found, err := a.customer(ctx, in.CustomerID)
	if err != nil {
		return customerView{}, err
	}
	changed, err := a.Accounts.ChangeCustomer(ctx, actor(c), found.ID, func(to account.NewCustomer) (account.NewCustomer, error) {
		desk.Set(&to.Name, in.Name)
		desk.Set(&to.Email, in.Email)
		return to, nil
	})
	return viewCustomer(changed), err
}

type customerReason struct {
	customerPath
	reasoned
}

func (a *api) suspendCustomer(ctx context.Context, c *call, in customerReason) (customerView, error) {
	return a.setCustomer(ctx, c, in, a.Accounts.Suspend)
}

func (a *api) reactivateCustomer(ctx context.Context, c *call, in customerReason) (customerView, error) {
	return a.setCustomer(ctx, c, in, a.Accounts.Reactivate)
}

type setCustomer func(ctx context.Context, actor string, customer account.CustomerID, reason string) (account.Customer, error)

func (a *api) setCustomer(ctx context.Context, c *call, in customerReason, set setCustomer) (customerView, error) {
	found, err := a.customer(ctx, in.CustomerID)
	if err != nil {
		return customerView{}, err
	}
	reason, err := written("reason", in.Reason)
	if err != nil {
		return customerView{}, err
	}
	changed, err := set(ctx, actor(c), found.ID, reason)
	return viewCustomer(changed), err
}

type bookView struct {
	BookID     string          `json:"book_id"`
	CustomerID string          `json:"customer_id"`
	Realm      string          `json:"realm"`
	State      string          `json:"state"`
	OpenedAt   wire.TimeMillis `json:"opened_at"`
}

func (a *api) viewBook(ctx context.Context, owner account.Owner) (bookView, error) {
	book, err := a.Books.FindBook(ctx, owner.Book)
	return bookView{BookID: string(owner.Book), CustomerID: string(owner.Customer), Realm: string(owner.Realm), State: string(owner.State),
		OpenedAt: at(book.OpenedAt)}, err
}

func (a *api) listBooks(ctx context.Context, _ *call, in customerPath) (wire.Listing[bookView], error) {
	list := wire.Listing[bookView]{Data: []bookView{}}
	customer, err := a.customer(ctx, in.CustomerID)
	if err != nil {
		return list, err
	}
	for _, r := range realm.All() {
		view, err := a.viewBook(ctx, account.Owner{Book: customer.Book(r), Customer: customer.ID, Realm: r, State: customer.State})
		if err != nil {
			return list, err
		}
		list.Data = append(list.Data, view)
	}
	return list, nil
}

// quotaView is how many balance checks a customer may make in a month of the live realm.
type quotaView struct {
	CustomerID string `json:"customer_id"`
	BookID     string `json:"book_id"`
	// ChecksPerMonth is absent where there may be any number.
	ChecksPerMonth *int64 `json:"checks_per_month,omitzero"`
	// Own says that it is the customer's own and not the installation's.
	Own    bool            `json:"own"`
	Period string          `json:"period"`
	Used   int64           `json:"used"`
	EndsAt wire.TimeMillis `json:"ends_at"`
}

func viewQuota(customer account.CustomerID) func(quota.Quota) quotaView {
	return func(q quota.Quota) quotaView {
		view := quotaView{CustomerID: string(customer), BookID: string(q.Book), Own: q.Own, Period: q.Period, Used: q.Used, EndsAt: at(q.EndsAt)}
		if q.Bounded {
			view.ChecksPerMonth = &q.Checks
		}
		return view
	}
}

func (a *api) getQuota(ctx context.Context, _ *call, in customerPath) (quotaView, error) {
	customer, err := a.customer(ctx, in.CustomerID)
	if err != nil {
		return quotaView{}, err
	}
	found, err := a.Pings.Quotas.Find(ctx, customer.Live)
	return viewQuota(customer.ID)(found), err
}

type quotaChange struct {
	customerPath
	ChecksPerMonth *int64 `json:"checks_per_month" wire:"required"`
}

func (a *api) changeQuota(ctx context.Context, c *call, in quotaChange) (quotaView, error) {
	customer, err := a.customer(ctx, in.CustomerID)
	if err != nil {
		return quotaView{}, err
	}
	view := viewQuota(customer.ID)
	changed, err := a.Pings.Quotas.Change(ctx, quota.Change{Book: customer.Live, Checks: in.ChecksPerMonth, Actor: actor(c), Also: storing(a, c, view)})
	return view(changed), a.raced(ctx, c, err)
}

// resetQuota has the installation's figure hold for a customer again.
func (a *api) resetQuota(ctx context.Context, c *call, in customerPath) (wire.None, error) {
	customer, err := a.customer(ctx, in.CustomerID)
	if err != nil {
		return wire.None{}, err
	}
	_, err = a.Pings.Quotas.Change(ctx, quota.Change{Book: customer.Live, Actor: actor(c), Also: storing(a, c, nothing[quota.Quota])})
	return wire.None{}, a.raced(ctx, c, err)
}

type walletQuery struct {
	customerPath
	Realm string `query:"realm" json:"-" wire:"required"`
}

type balanceView struct {
	Currency  string `json:"currency"`
	Posted    string `json:"posted"`
	Held      string `json:"held"`
	Available string `json:"available"`
	AccountID string `json:"account_id"`
}

type walletView struct {
	CustomerID string        `json:"customer_id"`
	Realm      string        `json:"realm"`
	BookID     string        `json:"book_id"`
	Balances   []balanceView `json:"balances"`
}

func (a *api) walletBalances(ctx context.Context, _ *call, in walletQuery) (walletView, error) {
	r, err := realmOf(in.Realm)
	if err != nil {
		return walletView{}, err
	}
	customer, err := a.customer(ctx, in.CustomerID)
	if err != nil {
		return walletView{}, err
	}
	view := walletView{CustomerID: string(customer.ID), Realm: string(r), BookID: string(customer.Book(r)), Balances: []balanceView{}}
	accounts, err := a.Books.ListAccounts(ctx, customer.Book(r), wallet.Accounts, "", ledger.MaxPage)
	for _, w := range accounts {
		view.Balances = append(view.Balances, balanceView{Currency: w.Currency.String(), Posted: w.Posted().String(), Held: w.Held().String(),
			Available: w.Available().String(), AccountID: string(w.ID)})
	}
	return view, err
}

type walletLoad struct {
	customerPath
	Realm     string `json:"realm" wire:"required"`
	Amount    string `json:"amount" wire:"required,max=64"`
	Currency  string `json:"currency" wire:"required"`
	Reference string `json:"reference" wire:"required,max=140"`
}

type loadView struct {
	TransactionID string          `json:"transaction_id"`
	BookID        string          `json:"book_id"`
	Realm         string          `json:"realm"`
	Amount        string          `json:"amount"`
	Balance       string          `json:"balance"`
	Currency      string          `json:"currency"`
	Reference     string          `json:"reference"`
	LoadedAt      wire.TimeMillis `json:"loaded_at"`
}

// loadWallet records a bank transfer. Its reference makes it repeatable: a repetition answers 200.
func (a *api) loadWallet(ctx context.Context, c *call, in walletLoad) (loadView, error) {
	r, err := realmOf(in.Realm)
	if err != nil {
		return loadView{}, err
	}
	amount, err := amountOf(in.Amount, in.Currency)
	if err != nil {
		return loadView{}, err
	}
	customer, err := a.customer(ctx, in.CustomerID)
	if err != nil {
		return loadView{}, err
	}
	view := func(o ledger.Outcome) loadView {
		after, _ := o.Balance(wallet.Account(amount.Currency).ID)
		return loadView{TransactionID: string(o.Transaction), BookID: string(o.Book), Realm: in.Realm, Amount: amount.String(),
			Balance: after.Available.String(), Currency: in.Currency, Reference: o.Reference, LoadedAt: at(o.At)}
	}
	load := wallet.Load{Book: customer.Book(r), Realm: r, Amount: amount, Reference: in.Reference, Actor: actor(c), Also: storing(a, c, view)}
	err = a.desk.Record(ctx, c, audit.Record{Action: "wallet.load", Subject: string(customer.ID), Book: string(load.Book), At: a.Clocks.Now(r),
		Detail: map[string]string{"amount": amount.String(), "currency": in.Currency, "reference": in.Reference}})
	if err != nil {
		return loadView{}, err
	}
	o, err := a.Wallets.Load(ctx, load)
	if fault.CodeOf(err) == fault.IdempotencyConflict {
		err = fault.New(fault.IdempotencyConflict, "the reference was used for another transfer").At("reference")
	}
	if o.Replayed {
		c.Undone() // another call of this reference came first, after an attempt that failed
		c.SetStatus(http.StatusOK)
	}
	return view(o), a.raced(ctx, c, err)
}

func (a *api) getBook(ctx context.Context, _ *call, in bookPath) (bookView, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return bookView{}, err
	}
	return a.viewBook(ctx, owner)
}
