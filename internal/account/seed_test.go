package account_test

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
)

// seed makes a seed for the test realm of a customer.
func (b *bundle) seed(t testing.TB, customer account.CustomerID) account.IssuedSeed {
	t.Helper()
	return must(b.CreateSeed(t.Context(), actor, account.NewSeed{Customer: customer, Realm: realm.Test, Name: "Wallet"}))(t)
}

// A seed has the form of the contract and opens the book that it was made for, of a
// customer that is there or of a new one, and that alone.
func TestAuthenticateSeed(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		known := b.customer(t, "Shop")
		form := regexp.MustCompile(`^[0-9a-f]{4}(-[0-9a-f]{4}){3}$`)
		seen := map[string]bool{}
		books := map[ledger.BookID]bool{}
		for _, n := range []account.NewSeed{
			{Customer: known.ID, Realm: realm.Live, Name: "Live"}, {Customer: known.ID, Realm: realm.Test, Name: "Test"},
			{Realm: realm.Live}, {Realm: realm.Test, Name: "Stranger"},
		} {
			made := must(b.CreateSeed(t.Context(), actor, n))(t)
			owner := must(b.FindCustomer(t.Context(), made.Customer))(t)
			if secret := made.Secret.Reveal(); !form.MatchString(secret) || seen[secret] {
				t.Errorf("%+v: the seed's form is not the contract's, or it came twice", n)
			}
			seen[made.Secret.Reveal()], books[made.Book] = true, true
			if n.Customer == "" && owner.Name != "Anonymous" {
				t.Errorf("a new customer is called %q", owner.Name)
			}
			want := account.Principal{Customer: owner.ID, Book: owner.Book(n.Realm), Realm: n.Realm, Credential: string(made.ID), Scopes: account.SeedScopes}
			for range 2 { // from the database, then from memory
				if diff := cmp.Diff(want, must(b.AuthenticateSeed(t.Context(), made.Secret.Reveal()))(t)); diff != "" {
					t.Error(diff)
				}
			}
			if want.Require(account.ScopeCardReveal) != nil || want.Require(account.ScopeGiftcardRead) == nil {
				t.Errorf("a seed may %s", want.Scopes)
			}
			if got := b.actions(t, made.Book, string(made.ID)); !slices.Equal(got, []string{"seed.create"}) {
				t.Errorf("audit: %v", got)
			}
		}
		if len(books) != 4 {
			t.Errorf("%d books for four seeds", len(books))
		}
	})
}

// Whatever is wrong with a seed, the answer is the same to the letter.
func TestSeedRefusalsAreAlike(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		good, revoked, rotated := b.seed(t, customer.ID).Secret.Reveal(), b.seed(t, customer.ID), b.seed(t, customer.ID)
		must(b.AuthenticateSeed(ctx, revoked.Secret.Reveal()))(t)
		for range 2 { // the second time changes nothing
			if err := b.RevokeSeed(ctx, actor, revoked.SeedRef); err != nil {
				t.Fatal(err)
			}
		}
		must(b.RotateSeed(ctx, actor, rotated.SeedRef, account.SeedRotation{}))(t)
		want := fault.From(second(b.AuthenticateSeed(ctx, "")))
		if want.Code != fault.CredentialsInvalid {
			t.Fatalf("no seed: %v", want)
		}
		last := "0"
		if strings.HasSuffix(good, last) {
			last = "1"
		}
		for name, presented := range map[string]string{
			"capitals": strings.ToUpper("abcd-" + good[5:]), "no dashes": strings.ReplaceAll(good, "-", ""), "longer": good + "0", "two lines": good + "\n",
			"one wrong": good[:len(good)-1] + last, "endless": strings.Repeat("0", 1<<20), "guess": "0123-4567-89ab-cdef",
			"revoked": revoked.Secret.Reveal(), "rotated": rotated.Secret.Reveal(), "demo": account.DemoSeed, "key": "cp_test_sk_demo",
		} {
			for range 2 {
				got := fault.From(second(b.AuthenticateSeed(ctx, presented)))
				if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(fault.Error{})); diff != "" {
					t.Errorf("%s:\n%s", name, diff)
				}
			}
		}
		if got := b.actions(t, customer.Test, string(revoked.ID)); !slices.Equal(got, []string{"seed.create", "seed.revoke"}) {
			t.Errorf("audit: %v", got)
		}
		must(b.AuthenticateSeed(ctx, good))(t)
	})
}

// During the grace both seeds work, after it the new one alone; a seed is rotated once,
// however many try at once.
func TestRotateSeed(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		old := b.seed(t, customer.ID)
		var next account.IssuedSeed
		var won int
		var mu sync.Mutex
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				made, err := b.RotateSeed(ctx, actor, old.SeedRef, account.SeedRotation{Grace: time.Hour})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
					next = made
					return
				}
				wantCode(t, err, fault.InvalidState)
			})
		}
		group.Wait()
		if won != 1 || next.ID == old.ID || next.Book != old.Book || next.Name != old.Name {
			t.Fatalf("%d won, the new seed is %+v", won, next.Seed)
		}
		stored := must(b.FindSeed(ctx, old.SeedRef))(t)
		if stored.ReplacedBy != next.ID || !stored.ExpiresAt.Equal(began.Add(time.Hour)) {
			t.Errorf("the old seed is %+v", stored)
		}
		b.clock.Advance(time.Hour - time.Millisecond)
		for _, seed := range []account.IssuedSeed{old, next} {
			if got := must(b.AuthenticateSeed(ctx, seed.Secret.Reveal()))(t); got.Credential != string(seed.ID) {
				t.Errorf("credential %s, want %s", got.Credential, seed.ID)
			}
		}
		b.clock.Advance(time.Millisecond)
		_, err := b.AuthenticateSeed(ctx, old.Secret.Reveal())
		wantCode(t, err, fault.CredentialsInvalid)
		must(b.AuthenticateSeed(ctx, next.Secret.Reveal()))(t)
		_, err = b.RotateSeed(ctx, actor, next.SeedRef, account.SeedRotation{Grace: 31 * 24 * time.Hour})
		wantCode(t, err, fault.InvalidRequest)
	})
}

// Seeds are listed newest first, page by page, in their own book alone; a book has at
// most a hundred that work.
func TestListSeeds(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer, other := t.Context(), b.customer(t, "Shop"), b.customer(t, "Other")
		foreign := b.seed(t, other.ID)
		var first account.IssuedSeed
		for i := range 100 {
			made := b.seed(t, customer.ID)
			if i == 0 {
				first = made
			}
		}
		_, err := b.CreateSeed(ctx, actor, account.NewSeed{Customer: customer.ID, Realm: realm.Test, Name: "Too many"})
		wantCode(t, err, fault.QuotaExceeded)
		_, err = b.RotateSeed(ctx, actor, first.SeedRef, account.SeedRotation{Grace: time.Hour})
		wantCode(t, err, fault.QuotaExceeded)
		next := must(b.RotateSeed(ctx, actor, first.SeedRef, account.SeedRotation{}))(t)
		if err := b.RevokeSeed(ctx, actor, next.SeedRef); err != nil {
			t.Fatal(err)
		}
		newest := b.seed(t, customer.ID)
		list := must(b.ListSeeds(ctx, customer.Test, account.Page{Limit: 60}))(t)
		rest := must(b.ListSeeds(ctx, customer.Test, account.Page{Limit: 60, After: list.Next}))(t)
		if len(list.Items)+len(rest.Items) != 102 || rest.Next != "" || list.Items[0].ID != newest.ID || rest.Items[len(rest.Items)-1].State(began) != account.KeyRevoked {
			t.Errorf("%d and %d seeds, %q", len(list.Items), len(rest.Items), rest.Next)
		}
		for _, err := range []error{
			second(b.FindSeed(ctx, account.SeedRef{Book: customer.Test, ID: foreign.ID})),
			second(b.RotateSeed(ctx, actor, account.SeedRef{Book: customer.Live, ID: newest.ID}, account.SeedRotation{})),
			b.RevokeSeed(ctx, actor, account.SeedRef{Book: customer.Test, ID: foreign.ID}),
			second(b.CreateSeed(ctx, actor, account.NewSeed{Customer: "cus_none", Realm: realm.Test, Name: "x"})),
		} {
			wantCode(t, err, fault.NotFound)
		}
		for _, n := range []account.NewSeed{{Customer: customer.ID, Realm: realm.Test}, {Customer: customer.ID, Realm: "moon", Name: "x"}, {Realm: realm.Live, Name: "a\x00b"}} {
			wantCode(t, second(b.CreateSeed(ctx, actor, n)), fault.InvalidRequest)
		}
	})
}

// A suspended customer's seed is known and refused, in both realms and at once; its last use is kept.
func TestSeedOfSuspended(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		made := must(b.CreateSeed(ctx, actor, account.NewSeed{Realm: realm.Live}))(t)
		must(b.AuthenticateSeed(ctx, made.Secret.Reveal()))(t)
		if err := b.FlushUsage(ctx); err != nil {
			t.Fatal(err)
		}
		if found := must(b.FindSeed(ctx, made.SeedRef))(t); !found.LastUsedAt.Equal(began) {
			t.Errorf("last used %s", found.LastUsedAt)
		}
		must(b.Suspend(ctx, actor, made.Customer, "abuse"))(t)
		_, err := b.AuthenticateSeed(ctx, made.Secret.Reveal())
		wantCode(t, err, fault.PermissionDenied)
		must(b.Reactivate(ctx, actor, made.Customer, "settled"))(t)
		must(b.AuthenticateSeed(ctx, made.Secret.Reveal()))(t)
	})
}
