package account_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
)

// A new customer has an open book in each realm, which lead back to the customer, and the audit log tells of all three.
func TestCreateCustomer(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		made := must(b.CreateCustomer(ctx, actor, account.NewCustomer{Name: "  Müller & Söhne ", Email: "a@b.example"}))(t)
		found := must(b.FindCustomer(ctx, made.ID))(t)
		if diff := cmp.Diff(made, found); diff != "" {
			t.Errorf("found another customer than was made:\n%s", diff)
		}
		if !id.Valid("cus", string(made.ID)) || made.Name != "Müller & Söhne" || made.State != account.Active || !made.CreatedAt.Equal(began) {
			t.Errorf("made %+v", made)
		}
		books := ledger.New(b.db, b.clocks, ledger.Config{})
		defer books.Close()
		for _, r := range realm.All() {
			book := must(books.FindBook(ctx, made.Book(r)))(t)
			if book.Realm != r || !id.Valid("bk", string(book.ID)) {
				t.Errorf("the %s book is %+v", r, book)
			}
			owner := must(b.FindOwner(ctx, made.Book(r)))(t)
			want := account.Owner{Book: made.Book(r), Customer: made.ID, Realm: r, State: account.Active}
			if diff := cmp.Diff(want, owner); diff != "" {
				t.Errorf("owner of the %s book:\n%s", r, diff)
			}
			if got := b.actions(t, made.Book(r), string(made.Book(r))); !slices.Equal(got, []string{"book.open"}) {
				t.Errorf("audit of the %s book: %v", r, got)
			}
		}
		if got := b.actions(t, "", string(made.ID)); !slices.Equal(got, []string{"customer.create"}) {
			t.Errorf("audit: %v", got)
		}
	})
}

// Names, addresses and actors that are empty, too long or not printable are refused, with the field's name.
func TestCustomerRefusals(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		for name, c := range map[string]struct {
			actor string
			n     account.NewCustomer
			field string
		}{
			"no name":        {actor, account.NewCustomer{Name: " \t"}, "name"},
			"long name":      {actor, account.NewCustomer{Name: strings.Repeat("ä", 129)}, "name"},
			"control":        {actor, account.NewCustomer{Name: "a\x00b"}, "name"},
			"not text":       {actor, account.NewCustomer{Name: "a\xffb"}, "name"},
			"no address":     {actor, account.NewCustomer{Name: "A", Email: "nobody"}, "email"},
			"two addresses":  {actor, account.NewCustomer{Name: "A", Email: "a@b.c, d@e.f"}, "email"},
			"display name":   {actor, account.NewCustomer{Name: "A", Email: "A <a@b.c>"}, "email"},
			"endless domain": {actor, account.NewCustomer{Name: "A", Email: "a@" + strings.Repeat("b", 260)}, "email"},
			"no actor":       {"", account.NewCustomer{Name: "A"}, "actor"},
		} {
			_, err := b.CreateCustomer(t.Context(), c.actor, c.n)
			if e := fault.From(err); e.Code != fault.InvalidRequest || e.Field != c.field {
				t.Errorf("%s: %v", name, err)
			}
		}
		if list := must(b.ListCustomers(t.Context(), account.Page{}))(t); len(list.Items) != 0 {
			t.Errorf("%d customers were made", len(list.Items))
		}
		_, err := b.FindCustomer(t.Context(), "cus_nobody")
		wantCode(t, err, fault.NotFound)
		_, err = b.FindOwner(t.Context(), "bk_nobody")
		wantCode(t, err, fault.NotFound)
	})
}

// Pages follow one another from newest to oldest without gap or repetition; what is no cursor is refused.
func TestListCustomers(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		var want []account.CustomerID
		for range 5 {
			want = append([]account.CustomerID{b.customer(t, "Shop").ID}, want...)
		}
		for limit := 1; limit <= 6; limit++ {
			var got []account.CustomerID
			page := account.Page{Limit: limit}
			for {
				list := must(b.ListCustomers(t.Context(), page))(t)
				for _, c := range list.Items {
					got = append(got, c.ID)
				}
				if page.After = list.Next; page.After == "" {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pages of %d:\n%s", limit, diff)
			}
		}
		_, err := b.ListCustomers(t.Context(), account.Page{After: "cus_'; --"})
		wantCode(t, err, fault.InvalidCursor)
		for _, limit := range []int{-1, 201} {
			_, err = b.ListCustomers(t.Context(), account.Page{Limit: limit})
			wantCode(t, err, fault.InvalidRequest)
		}
	})
}

// A change replaces name and address and keeps the rest; what changes nothing leaves no trace.
func TestChangeCustomer(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, want := t.Context(), b.customer(t, "Before")
		b.clock.Advance(time.Hour)
		changed := must(b.ChangeCustomer(ctx, actor, want.ID, to(account.NewCustomer{Name: "After", Email: "x@y.example"})))(t)
		want.Name, want.Email, want.ChangedAt = "After", "x@y.example", b.clock.Now()
		if diff := cmp.Diff(want, changed); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, must(b.FindCustomer(ctx, want.ID))(t)); diff != "" {
			t.Error(diff)
		}
		if got := b.actions(t, "", string(want.ID)); !slices.Equal(got, []string{"customer.create", "customer.change"}) {
			t.Errorf("audit: %v", got)
		}
		b.clock.Advance(time.Hour)
		if got := must(b.ChangeCustomer(ctx, actor, want.ID, to(account.NewCustomer{Name: "After", Email: "x@y.example"})))(t); got != want {
			t.Errorf("the same again: %+v", got)
		}
		if got := b.actions(t, "", string(want.ID)); len(got) != 2 {
			t.Errorf("audit of what changes nothing: %v", got)
		}
		_, err := b.ChangeCustomer(ctx, actor, "cus_nobody", to(account.NewCustomer{Name: "After"}))
		wantCode(t, err, fault.NotFound)
	})
}

// Every transition between states is tried; a suspended customer's credentials are refused in both realms at once.
func TestSuspend(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		live, test := b.key(t, customer.Live), b.key(t, customer.Test)
		merchant := b.merchant(t, customer.Test)
		state := account.Active
		for i, to := range []account.State{"active", "suspended", "suspended", "active", "active"} {
			move := b.Suspend
			if to == account.Active {
				move = b.Reactivate
			}
			changed, err := move(ctx, actor, customer.ID, "chargebacks")
			if to == state {
				wantCode(t, err, fault.InvalidState)
			} else if err != nil || changed.State != to {
				t.Fatalf("step %d: %+v, %v", i, changed, err)
			}
			state = to
			want := map[account.State]fault.Code{account.Suspended: fault.PermissionDenied}[state]
			for _, key := range []account.IssuedKey{live, test} {
				_, err := b.AuthenticateKey(ctx, key.Secret.Reveal(), somewhere)
				wantCode(t, err, want)
			}
			_, err = b.MerchantSecret(ctx, string(merchant.ClientID))
			wantCode(t, err, map[account.State]fault.Code{account.Suspended: fault.CredentialsInvalid}[state])
		}
		want := []string{"customer.create", "customer.suspend", "customer.reactivate"}
		if got := b.actions(t, "", string(customer.ID)); !slices.Equal(got, want) {
			t.Errorf("audit: %v", got)
		}
		_, err := b.Suspend(ctx, actor, customer.ID, "")
		wantCode(t, err, fault.InvalidRequest)
	})
}
