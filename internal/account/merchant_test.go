package account_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
)

// A signing credential opens one book in one realm and gives back the secret that was shown.
func TestMerchantSecret(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		for _, r := range realm.All() {
			made := b.merchant(t, customer.Book(r))
			for range 2 { // from the database, then from memory
				got := must(b.MerchantSecret(ctx, string(made.ClientID)))(t)
				want := account.Principal{Customer: customer.ID, Book: customer.Book(r), Realm: r, Credential: string(made.ClientID), Scopes: got.Scopes}
				if diff := cmp.Diff(want, got.Principal); diff != "" {
					t.Error(diff)
				}
				if !got.Secret.Equal(made.Secret) || len(made.Secret.Reveal()) < 40 || !got.Previous.IsZero() {
					t.Error("another secret came back than was shown")
				}
				if !got.Scopes.Has(account.ScopeGiftcardWrite) || got.Scopes.Has(account.ScopePing) {
					t.Errorf("scopes %s", got.Scopes)
				}
			}
			must(b.MerchantSecret(cannotRead(t), string(made.ClientID)))(t)
		}
	})
}

// A chosen client id must be well formed, not reserved and free in the whole installation.
func TestChosenClientID(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer, other := t.Context(), b.customer(t, "Shop"), b.customer(t, "Other")
		// A look-up before the credential exists must not hide it afterwards.
		_, err := b.MerchantSecret(ctx, "Shop_1-x")
		wantCode(t, err, fault.CredentialsInvalid)
		n := account.NewMerchant{Book: customer.Live, Name: "Shop", ClientID: "Shop_1-x"}
		made := must(b.CreateMerchant(ctx, actor, n))(t)
		must(b.MerchantSecret(ctx, "Shop_1-x"))(t)
		n.Book = other.Test
		_, err = b.CreateMerchant(ctx, actor, n)
		wantCode(t, err, fault.AlreadyExists)
		if got := must(b.MerchantSecret(ctx, "Shop_1-x"))(t); got.Book != made.Book {
			t.Errorf("the client id leads to %s now", got.Book)
		}
		for _, bad := range []account.ClientID{"ab", account.ClientID(strings.Repeat("a", 65)), "a b c", "äöü", "demo-merchant", "shop-4242424242424"} {
			n.ClientID = bad
			_, err := b.CreateMerchant(ctx, actor, n)
			if e := fault.From(err); e.Code != fault.InvalidRequest || e.Field != "client_id" {
				t.Errorf("%s: %v", bad, err)
			}
		}
		if list := must(b.ListMerchants(ctx, other.Test))(t); len(list) != 0 {
			t.Errorf("%d credentials were made", len(list))
		}
	})
}

// While a grace runs both secrets are given, never three; a rotation without grace ends all older ones.
func TestRotateMerchant(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, first := t.Context(), b.merchant(t, b.customer(t, "Shop").Live)
		secrets := func(process *bundle, want ...account.IssuedMerchant) {
			t.Helper()
			got := must(process.MerchantSecret(ctx, string(first.ClientID)))(t)
			found := []pan.Secret{got.Secret}
			if !got.Previous.IsZero() {
				found = append(found, got.Previous)
			}
			if len(found) != len(want) {
				t.Fatalf("%d secrets work, want %d", len(found), len(want))
			}
			for i := range want {
				if !found[i].Equal(want[i].Secret) {
					t.Errorf("secret %d is another one", i)
				}
			}
		}
		secrets(b, first)
		next := must(b.RotateMerchant(ctx, actor, first.MerchantRef, account.MerchantRotation{Grace: time.Hour}))(t)
		secrets(b, next, first)
		secrets(b.another(), next, first)
		if !next.GraceUntil.Equal(began.Add(time.Hour)) {
			t.Errorf("grace until %s", next.GraceUntil)
		}
		_, err := b.RotateMerchant(ctx, actor, first.MerchantRef, account.MerchantRotation{Grace: time.Minute})
		wantCode(t, err, fault.InvalidState)
		b.clock.Advance(time.Hour - time.Second)
		secrets(b, next, first)
		b.clock.Advance(time.Second)
		secrets(b, next)
		third := must(b.RotateMerchant(ctx, actor, first.MerchantRef, account.MerchantRotation{Grace: time.Hour}))(t)
		secrets(b, third, next)
		last := must(b.RotateMerchant(ctx, actor, first.MerchantRef, account.MerchantRotation{}))(t)
		secrets(b, last)
		_, err = b.RotateMerchant(ctx, actor, first.MerchantRef, account.MerchantRotation{Grace: -time.Second})
		wantCode(t, err, fault.InvalidRequest)
		want := []string{"merchant.create", "merchant.rotate", "merchant.rotate", "merchant.rotate"}
		if got := b.actions(t, first.Book, string(first.ClientID)); !slices.Equal(got, want) {
			t.Errorf("audit: %v", got)
		}
	})
}

// Of rotations with a grace at once, one wins, and the secret in use keeps working.
func TestRotateMerchantConcurrently(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		first := b.merchant(t, b.customer(t, "Shop").Live)
		results := make([]account.IssuedMerchant, 12)
		var group sync.WaitGroup
		for i := range results {
			process := b.another()
			group.Go(func() {
				var err error
				if results[i], err = process.RotateMerchant(t.Context(), actor, first.MerchantRef, account.MerchantRotation{Grace: time.Hour}); err != nil {
					wantCode(t, err, fault.InvalidState)
				}
			})
		}
		group.Wait()
		winners := slices.DeleteFunc(results, func(m account.IssuedMerchant) bool { return m.Secret.IsZero() })
		got := must(b.another().MerchantSecret(t.Context(), string(first.ClientID)))(t)
		if len(winners) != 1 || !got.Secret.Equal(winners[0].Secret) || !got.Previous.Equal(first.Secret) {
			t.Errorf("%d rotations won, or other secrets work than the winner's and the first", len(winners))
		}
	})
}

// A disabled credential is refused at once, and works again when enabled; the same state again changes nothing.
func TestSetMerchantState(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, made := t.Context(), b.merchant(t, b.customer(t, "Shop").Live)
		must(b.MerchantSecret(ctx, string(made.ClientID)))(t)
		for _, to := range []account.MerchantState{"disabled", "disabled", "active", "active"} {
			changed := must(b.SetMerchantState(ctx, actor, made.MerchantRef, to))(t)
			if stored := must(b.FindMerchant(ctx, made.MerchantRef))(t); !cmp.Equal(stored, changed) || stored.State != to {
				t.Errorf("state %s, want %s", stored.State, to)
			}
			_, err := b.MerchantSecret(ctx, string(made.ClientID))
			wantCode(t, err, map[account.MerchantState]fault.Code{"disabled": fault.CredentialsInvalid}[to])
		}
		if got := b.actions(t, made.Book, string(made.ClientID)); !slices.Equal(got, []string{"merchant.create", "merchant.disabled", "merchant.active"}) {
			t.Errorf("audit: %v", got)
		}
		_, err := b.SetMerchantState(ctx, actor, made.MerchantRef, "asleep")
		wantCode(t, err, fault.InvalidRequest)
		foreign := account.MerchantRef{Book: b.customer(t, "Other").Live, ClientID: made.ClientID}
		_, err = b.SetMerchantState(ctx, actor, foreign, account.MerchantDisabled)
		wantCode(t, err, fault.NotFound)
		_, err = b.RotateMerchant(ctx, actor, foreign, account.MerchantRotation{})
		wantCode(t, err, fault.NotFound)
	})
}

// Client ids that are missing, malformed or unknown get one answer, and a book has at most a hundred.
func TestMerchantRefusals(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		for _, client := range []string{"", "x", "a b", "nobody", strings.Repeat("a", 1<<16), "demo-merchant"} {
			_, err := b.MerchantSecret(ctx, client)
			wantCode(t, err, fault.CredentialsInvalid)
		}
		for range 100 {
			b.merchant(t, customer.Live)
		}
		_, err := b.CreateMerchant(ctx, actor, account.NewMerchant{Book: customer.Live, Name: "Shop"})
		wantCode(t, err, fault.QuotaExceeded)
		if list := must(b.ListMerchants(ctx, customer.Live))(t); len(list) != 100 {
			t.Errorf("%d are listed", len(list))
		}
	})
}
