package account_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
)

// A key has the form of the contract, opens its own book in its own realm, and says what it may do.
func TestAuthenticateKey(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		customer := b.customer(t, "Shop")
		for _, r := range realm.All() {
			made := must(b.CreateKey(t.Context(), actor, account.NewKey{
				Book:        customer.Book(r),
				KeySettings: account.KeySettings{Name: "Till", Scopes: account.NewScopes(account.ScopePing, account.ScopeGiftcardRead)},
			}))(t)
			secret := made.Secret.Reveal()
			form := regexp.MustCompile(`^cp_` + string(r) + `_sk_[A-Za-z0-9_-]{32,}$`)
			if !form.MatchString(secret) || !strings.HasSuffix(secret, made.Last4) {
				t.Errorf("the key's form is not the contract's")
			}
			want := account.Principal{
				Customer: customer.ID, Book: customer.Book(r), Realm: r, Credential: string(made.ID), Scopes: made.Scopes,
			}
			for range 2 { // from the database, then from memory
				got := must(b.AuthenticateKey(t.Context(), secret, somewhere))(t)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			}
			if want.Require(account.ScopePing) != nil {
				t.Error("the key may not ping")
			}
			wantCode(t, want.Require(account.ScopeGiftcardWrite), fault.PermissionDenied)
			if got := b.actions(t, made.Book, string(made.ID)); !slices.Equal(got, []string{"key.create"}) {
				t.Errorf("audit: %v", got)
			}
		}
	})
}

// Whatever is wrong with a key, the answer is the same to the letter.
func TestKeyRefusalsAreAlike(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		good := b.key(t, customer.Test).Secret.Reveal()
		revoked := b.key(t, customer.Test)
		if err := b.RevokeKey(ctx, actor, revoked.KeyRef); err != nil {
			t.Fatal(err)
		}
		expired := must(b.CreateKey(ctx, actor, account.NewKey{Book: customer.Test, KeySettings: everything(), ExpiresAt: began.Add(time.Hour)}))(t)
		b.clock.Advance(time.Hour - time.Millisecond)
		must(b.AuthenticateKey(ctx, expired.Secret.Reveal(), somewhere))(t)
		b.clock.Advance(time.Millisecond) // memory still holds it, and must not outlive it
		want := fault.From(second(b.AuthenticateKey(ctx, "", somewhere)))
		if want.Code != fault.CredentialsInvalid {
			t.Fatalf("no key: %v", want)
		}
		flipped := "A"
		if strings.HasSuffix(good, flipped) {
			flipped = "B"
		}
		for name, presented := range map[string]string{
			"malformed":   "cp_test_sk_",
			"other kind":  "op_" + good,
			"other realm": strings.Replace(good, "cp_test", "cp_live", 1),
			"one wrong":   good[:len(good)-1] + flipped,
			"longer":      good + "A",
			"endless":     "cp_test_sk_" + strings.Repeat("A", 1<<20),
			"guess":       "cp_test_sk_" + strings.Repeat("A", 48),
			"revoked":     revoked.Secret.Reveal(),
			"expired":     expired.Secret.Reveal(),
			"demo":        "cp_test_sk_demo",
		} {
			for range 2 {
				got := fault.From(second(b.AuthenticateKey(ctx, presented, somewhere)))
				if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(fault.Error{})); diff != "" {
					t.Errorf("%s:\n%s", name, diff)
				}
			}
		}
		must(b.AuthenticateKey(ctx, good, somewhere))(t)
	})
}

func second[T any](_ T, err error) error { return err }

// Neither a known key nor a guess makes a query; an unknown key does, once in a while.
func TestAuthenticationStaysInMemory(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		secret := b.key(t, b.customer(t, "Shop").Live).Secret.Reveal()
		blind := cannotRead(t)
		if _, err := b.AuthenticateKey(blind, secret, somewhere); fault.CodeOf(err) != fault.Internal {
			t.Fatalf("the database answered a context that has ended: %v", err)
		}
		must(b.AuthenticateKey(t.Context(), secret, somewhere))(t)
		must(b.AuthenticateKey(blind, secret, somewhere))(t)
		for i := range 100 {
			_, err := b.AuthenticateKey(blind, fmt.Sprintf("cp_live_sk_%048d", i), somewhere)
			wantCode(t, err, fault.CredentialsInvalid)
		}
		b.clock.Advance(1500 * time.Millisecond) // stale: a query that cannot be made does not end what still lives
		must(b.AuthenticateKey(blind, secret, somewhere))(t)
		b.clock.Advance(1500 * time.Millisecond)
		if _, err := b.AuthenticateKey(blind, secret, somewhere); fault.CodeOf(err) != fault.Internal {
			t.Errorf("a memory of three seconds was used: %v", err)
		}
	})
}

// What this process revokes is refused at once, what another one revokes within two seconds.
func TestRevocationReachesOtherProcesses(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, other := t.Context(), b.another()
		key := b.key(t, b.customer(t, "Shop").Live)
		must(b.AuthenticateKey(ctx, key.Secret.Reveal(), somewhere))(t)
		must(other.AuthenticateKey(ctx, key.Secret.Reveal(), somewhere))(t)
		for range 2 {
			if err := b.RevokeKey(ctx, actor, key.KeyRef); err != nil {
				t.Fatal(err)
			}
		}
		_, err := b.AuthenticateKey(ctx, key.Secret.Reveal(), somewhere)
		wantCode(t, err, fault.CredentialsInvalid)
		b.clock.Advance(2 * time.Second)
		_, err = other.AuthenticateKey(ctx, key.Secret.Reveal(), somewhere)
		wantCode(t, err, fault.CredentialsInvalid)
		if got := b.actions(t, key.Book, string(key.ID)); !slices.Equal(got, []string{"key.create", "key.revoke"}) {
			t.Errorf("audit: %v", got)
		}
		_, err = b.RotateKey(ctx, actor, key.KeyRef, account.KeyRotation{})
		wantCode(t, err, fault.InvalidState)
		_, err = b.ChangeKey(ctx, actor, key.KeyRef, to(everything()))
		wantCode(t, err, fault.InvalidState)
	})
}

// A key with networks works from them alone; only a right key learns that the address is wrong.
func TestKeyNetworks(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, key := t.Context(), b.key(t, b.customer(t, "Shop").Live)
		settings := everything()
		settings.Networks = must(account.ParseNetworks([]string{"203.0.113.0/24", "2001:db8::/32", "192.0.2.5"}))(t)
		changed := must(b.ChangeKey(ctx, actor, key.KeyRef, to(settings)))(t)
		if diff := cmp.Diff([]string{"203.0.113.0/24", "2001:db8::/32", "192.0.2.5/32"}, changed.Networks.Texts()); diff != "" {
			t.Error(diff)
		}
		for range 2 {
			if same := must(b.ChangeKey(ctx, actor, key.KeyRef, to(settings)))(t); !reflect.DeepEqual(same, changed) {
				t.Errorf("the same again: %+v", same)
			}
		}
		if got := b.actions(t, key.Book, string(key.ID)); !slices.Equal(got, []string{"key.create", "key.change"}) {
			t.Errorf("audit: %v", got)
		}
		settings.Scopes = account.NewScopes(account.ScopePing)
		must(b.ChangeKey(ctx, actor, key.KeyRef, to(settings)))(t)
		settings.Name = "Till"
		must(b.ChangeKey(ctx, actor, key.KeyRef, to(settings)))(t)
		if got := b.actions(t, key.Book, string(key.ID)); len(got) != 4 {
			t.Errorf("audit of other scopes and another name: %v", got)
		}
		for address, want := range map[string]fault.Code{
			"203.0.113.99": "", "::ffff:203.0.113.1": "", "2001:db8::1%eth0": "", "192.0.2.5": "",
			"203.0.114.1": fault.PermissionDenied, "192.0.2.6": fault.PermissionDenied, "2001:db9::1": fault.PermissionDenied,
		} {
			_, err := b.AuthenticateKey(ctx, key.Secret.Reveal(), netip.MustParseAddr(address))
			if fault.CodeOf(err) != want {
				t.Errorf("from %s: %v", address, err)
			}
		}
		_, err := b.AuthenticateKey(ctx, key.Secret.Reveal(), netip.Addr{})
		wantCode(t, err, fault.PermissionDenied)
		_, err = b.AuthenticateKey(ctx, key.Secret.Reveal()+"x", netip.MustParseAddr("203.0.113.99"))
		wantCode(t, err, fault.CredentialsInvalid)
	})
}

// The audit log names every network of a key, however many there are.
func TestAuditNamesEveryNetwork(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		settings, texts := everything(), []string{}
		for i := range 64 {
			texts = append(texts, fmt.Sprintf("2001:db8:1111:2222:3333:4444:5555:%x/128", 0x1000+i))
		}
		settings.Networks = must(account.ParseNetworks(texts))(t)
		key := must(b.CreateKey(t.Context(), actor, account.NewKey{Book: b.customer(t, "Shop").Live, KeySettings: settings}))(t)
		entries := must(b.audit.List(t.Context(), audit.Filter{Book: string(key.Book), Subject: string(key.ID)}))(t)
		detail, named := entries[0].Detail, []string{}
		for _, name := range []string{"networks", "networks_2", "networks_3", "networks_4", "networks_5", "networks_6"} {
			named = append(named, strings.Fields(detail[name])...)
		}
		if diff := cmp.Diff(texts, named); diff != "" {
			t.Error(diff)
		}
	})
}

// During the grace both keys work, after it the new one alone, with the old one's settings.
func TestRotateKey(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		old := must(b.CreateKey(ctx, actor, account.NewKey{Book: customer.Live, KeySettings: everything(), ExpiresAt: began.Add(90 * 24 * time.Hour)}))(t)
		must(b.AuthenticateKey(ctx, old.Secret.Reveal(), somewhere))(t)
		b.clock.Advance(24 * time.Hour)
		next := must(b.RotateKey(ctx, actor, old.KeyRef, account.KeyRotation{Grace: time.Hour}))(t)
		if diff := cmp.Diff(old.KeySettings, next.KeySettings, cmpopts.EquateEmpty()); diff != "" || next.ID == old.ID || next.Realm != old.Realm {
			t.Errorf("settings changed: %s, the new key is %+v", diff, next.Key)
		}
		if want := b.clock.Now().Add(90 * 24 * time.Hour); !next.ExpiresAt.Equal(want) {
			t.Errorf("the new key expires at %s, want %s", next.ExpiresAt, want)
		}
		stored := must(b.FindKey(ctx, old.KeyRef))(t)
		if stored.ReplacedBy != next.ID || !stored.ExpiresAt.Equal(b.clock.Now().Add(time.Hour)) {
			t.Errorf("the old key is %+v", stored)
		}
		b.clock.Advance(59 * time.Minute)
		for _, key := range []account.IssuedKey{old, next} {
			got := must(b.AuthenticateKey(ctx, key.Secret.Reveal(), somewhere))(t)
			if got.Credential != string(key.ID) {
				t.Errorf("credential %s, want %s", got.Credential, key.ID)
			}
		}
		b.clock.Advance(time.Minute)
		_, err := b.AuthenticateKey(ctx, old.Secret.Reveal(), somewhere)
		wantCode(t, err, fault.CredentialsInvalid)
		last := must(b.RotateKey(ctx, actor, next.KeyRef, account.KeyRotation{}))(t)
		_, err = b.AuthenticateKey(ctx, next.Secret.Reveal(), somewhere)
		wantCode(t, err, fault.CredentialsInvalid)
		must(b.AuthenticateKey(ctx, last.Secret.Reveal(), somewhere))(t)
		for _, grace := range []time.Duration{-1, 31 * 24 * time.Hour} {
			_, err = b.RotateKey(ctx, actor, last.KeyRef, account.KeyRotation{Grace: grace})
			wantCode(t, err, fault.InvalidRequest)
		}
	})
}

// A rotation lets no key work for longer than it would have, and none that has expired work anew.
func TestRotateKeyThatExpires(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		ends := b.clock.Now().Add(30 * time.Minute)
		brief := account.NewKey{Book: customer.Live, KeySettings: everything(), ExpiresAt: ends}
		rotated, expired := must(b.CreateKey(ctx, actor, brief))(t), must(b.CreateKey(ctx, actor, brief))(t)
		must(b.RotateKey(ctx, actor, rotated.KeyRef, account.KeyRotation{Grace: time.Hour}))(t)
		if stored := must(b.FindKey(ctx, rotated.KeyRef))(t); !stored.ExpiresAt.Equal(ends) {
			t.Errorf("the old key works until %s, want %s", stored.ExpiresAt, ends)
		}
		b.clock.Advance(30 * time.Minute)
		for _, grace := range []time.Duration{0, time.Hour} {
			_, err := b.RotateKey(ctx, actor, expired.KeyRef, account.KeyRotation{Grace: grace})
			wantCode(t, err, fault.InvalidState)
		}
	})
}

// Of rotations of one key at once, one wins and the others are told so.
func TestRotateKeyConcurrently(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		customer := b.customer(t, "Shop")
		key := b.key(t, customer.Live)
		errs := make([]error, 16)
		var group sync.WaitGroup
		for i := range errs {
			process := b
			if i%2 == 1 {
				process = b.another()
			}
			group.Go(func() {
				_, errs[i] = process.RotateKey(t.Context(), actor, key.KeyRef, account.KeyRotation{Grace: time.Hour})
			})
		}
		group.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			wantCode(t, err, fault.InvalidState)
		}
		list := must(b.ListKeys(t.Context(), customer.Live, account.Page{}))(t)
		if won != 1 || len(list.Items) != 2 {
			t.Errorf("%d rotations won and %d keys exist, want 1 and 2", won, len(list.Items))
		}
	})
}

// A book has at most a hundred active keys; ended ones make room and stay in the list.
func TestKeyLimit(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		var keys []account.IssuedKey
		for range 100 {
			keys = append(keys, b.key(t, customer.Live))
		}
		_, err := b.CreateKey(ctx, actor, account.NewKey{Book: customer.Live, KeySettings: everything()})
		wantCode(t, err, fault.QuotaExceeded)
		_, err = b.RotateKey(ctx, actor, keys[99].KeyRef, account.KeyRotation{Grace: time.Hour})
		wantCode(t, err, fault.QuotaExceeded)
		must(b.AuthenticateKey(ctx, keys[99].Secret.Reveal(), somewhere))(t)
		stolen := must(b.RotateKey(ctx, actor, keys[99].KeyRef, account.KeyRotation{}))(t)
		_, err = b.AuthenticateKey(ctx, keys[99].Secret.Reveal(), somewhere)
		wantCode(t, err, fault.CredentialsInvalid)
		must(b.AuthenticateKey(ctx, stolen.Secret.Reveal(), somewhere))(t)
		b.key(t, customer.Test)
		if err := b.RevokeKey(ctx, actor, keys[0].KeyRef); err != nil {
			t.Fatal(err)
		}
		newest := b.key(t, customer.Live)
		list := must(b.ListKeys(ctx, customer.Live, account.Page{Limit: 200}))(t)
		if len(list.Items) != 102 || list.Items[0].ID != newest.ID || list.Items[101].State(b.clock.Now()) != account.KeyRevoked {
			t.Errorf("%d keys, first %s", len(list.Items), list.Items[0].ID)
		}
		first := must(b.ListKeys(ctx, customer.Live, account.Page{Limit: 60}))(t)
		rest := must(b.ListKeys(ctx, customer.Live, account.Page{Limit: 60, After: first.Next}))(t)
		if diff := cmp.Diff(list.Items, append(first.Items, rest.Items...)); diff != "" || len(first.Items) != 60 || rest.Next != "" {
			t.Errorf("pages differ from the whole: %s", diff)
		}
	})
}

// A key is reached through its own book only.
func TestKeysStayInTheirBook(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer, other := t.Context(), b.customer(t, "Shop"), b.customer(t, "Other")
		key := b.key(t, customer.Live)
		for _, book := range []account.KeyRef{{Book: other.Live, ID: key.ID}, {Book: customer.Test, ID: key.ID}, {Book: "bk_none", ID: key.ID}} {
			_, err := b.FindKey(ctx, book)
			wantCode(t, err, fault.NotFound)
			wantCode(t, b.RevokeKey(ctx, actor, book), fault.NotFound)
			_, err = b.RotateKey(ctx, actor, book, account.KeyRotation{})
			wantCode(t, err, fault.NotFound)
			_, err = b.ChangeKey(ctx, actor, book, to(everything()))
			wantCode(t, err, fault.NotFound)
		}
		must(b.AuthenticateKey(ctx, key.Secret.Reveal(), somewhere))(t)
	})
}

// What a key cannot be is refused before anything is stored.
func TestKeyRefusals(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		customer := b.customer(t, "Shop")
		for name, n := range map[string]account.NewKey{
			"name":       {Book: customer.Live, KeySettings: account.KeySettings{Scopes: account.NewScopes(account.ScopeAll)}},
			"scopes":     {Book: customer.Live, KeySettings: account.KeySettings{Name: "A"}},
			"networks":   {Book: customer.Live, KeySettings: account.KeySettings{Name: "A", Scopes: 1, Networks: make(account.Networks, 1)}},
			"expires_at": {Book: customer.Live, KeySettings: everything(), ExpiresAt: began},
		} {
			_, err := b.CreateKey(t.Context(), actor, n)
			if e := fault.From(err); e.Code != fault.InvalidRequest || e.Field != name {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := b.CreateKey(t.Context(), actor, account.NewKey{Book: "bk_none", KeySettings: everything()})
		wantCode(t, err, fault.NotFound)
	})
}

// Last uses are written behind the request, each at most once a minute.
func TestFlushUsage(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		key := b.key(t, b.customer(t, "Shop").Live)
		use := func() time.Time {
			must(b.AuthenticateKey(ctx, key.Secret.Reveal(), somewhere))(t)
			if err := b.FlushUsage(ctx); err != nil {
				t.Fatal(err)
			}
			return must(b.FindKey(ctx, key.KeyRef))(t).LastUsedAt
		}
		if got := must(b.FindKey(ctx, key.KeyRef))(t).LastUsedAt; !got.IsZero() {
			t.Fatalf("a new key was used at %s", got)
		}
		if got := use(); !got.Equal(began) {
			t.Errorf("last used at %s, want %s", got, began)
		}
		for range 5 {
			b.clock.Advance(10 * time.Second)
			if got := use(); !got.Equal(began) {
				t.Errorf("written again after %s", got.Sub(began))
			}
		}
		b.clock.Advance(10 * time.Second)
		if got := use(); !got.Equal(began.Add(time.Minute)) {
			t.Errorf("last used %s after the first use, want a minute", got.Sub(began))
		}
	})
}

// A process that ends writes the last uses that no minute has written yet.
func TestRunEndsWithAFlush(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		key := b.key(t, b.customer(t, "Shop").Live)
		for range 2 {
			must(b.AuthenticateKey(t.Context(), key.Secret.Reveal(), somewhere))(t)
			b.Run(cannotRead(t))
			if got := must(b.FindKey(t.Context(), key.KeyRef))(t).LastUsedAt; !got.Equal(b.clock.Now()) {
				t.Errorf("last used at %s, want %s", got, b.clock.Now())
			}
			b.clock.Advance(5 * time.Second)
		}
	})
}

// Moving the test realm ahead does not end test keys: credentials follow the machine's clock.
func TestTestClockLeavesKeysAlone(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		key := must(b.CreateKey(ctx, actor, account.NewKey{Book: customer.Test, KeySettings: everything(), ExpiresAt: began.Add(time.Hour)}))(t)
		must(b.AdvanceTestClock(ctx, actor, 24*time.Hour, nil))(t)
		must(b.another().AuthenticateKey(ctx, key.Secret.Reveal(), somewhere))(t)
		later := b.key(t, customer.Test)
		entries := must(b.audit.List(ctx, audit.Filter{Book: string(customer.Test), Subject: string(later.ID)}))(t)
		if len(entries) != 1 || !entries[0].At.Equal(began.Add(24*time.Hour)) || !later.CreatedAt.Equal(began) {
			t.Errorf("made at %s, in the test realm's audit log: %+v", later.CreatedAt, entries)
		}
	})
}
