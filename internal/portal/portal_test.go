package portal_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/testkit"
)

// What makes no portal is refused with the field that is to blame, and leaves no trace.
func TestCreateRefuses(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), portal.Config{OwnHost: "Cards.Scrip.Example:443"})
	branding := func(edit func(*portal.Branding)) func(*portal.NewPortal) {
		return func(n *portal.NewPortal) { edit(&n.Branding) }
	}
	for field, changes := range map[string][]func(*portal.NewPortal){
		"name": {
			func(n *portal.NewPortal) { n.Name = " " },
			func(n *portal.NewPortal) { n.Name = strings.Repeat("é", 129) },
			func(n *portal.NewPortal) { n.Name = "two\nlines" },
			func(n *portal.NewPortal) { n.Name = "turned \u202e round" },
			func(n *portal.NewPortal) { n.Name = "\xff" },
		},
		"slug": {
			func(n *portal.NewPortal) { n.Slug = "" },
			func(n *portal.NewPortal) { n.Slug = "ab" },
			func(n *portal.NewPortal) { n.Slug = "-abc" },
			func(n *portal.NewPortal) { n.Slug = "abc-" },
			func(n *portal.NewPortal) { n.Slug = "a--bc" },
			func(n *portal.NewPortal) { n.Slug = "Abc" },
			func(n *portal.NewPortal) { n.Slug = "abc\n" },
			func(n *portal.NewPortal) { n.Slug = strings.Repeat("a", 64) },
		},
		"custom_domain": domains("localhost", "shop", "10.0.0.1", "[::1]", "shop.local", "a.internal", "shop.localdomain", "shop.intranet", "shop.private", "shop.home.arpa", "shop.example:443", "https://shop.example",
			"sh_op.example", "-a.example", "a-.example", "a..example", ".example", "münchen.example", "ab--c.example", "xn--.example",
			strings.Repeat("a", 64)+".example", strings.Repeat("a.", 126)+"ex", "cards.scrip.example", "x.cards.scrip.example", "1.2.3", "*.example"),
		"branding.primary_color": {
			branding(func(b *portal.Branding) { b.PrimaryColor = "red" }),
			branding(func(b *portal.Branding) { b.PrimaryColor = "#12345" }),
			branding(func(b *portal.Branding) { b.PrimaryColor = "#12345g" }),
		},
		"branding.text_color": {
			branding(func(b *portal.Branding) { b.PrimaryColor, b.TextColor = "#ffffff", "#777777" }),
			branding(func(b *portal.Branding) { b.TextColor = "white" }),
		},
		"branding.tagline": {branding(func(b *portal.Branding) { b.Tagline = strings.Repeat("x", 201) })},
		"branding.logo_url": {
			branding(func(b *portal.Branding) { b.LogoURL = "http://shop.example/a.png" }),
			branding(func(b *portal.Branding) { b.LogoURL = "https://u:p@shop.example/a.png" }),
			branding(func(b *portal.Branding) { b.LogoURL = "https://10.0.0.1/a.png" }),
			branding(func(b *portal.Branding) { b.LogoURL = "https://localhost/a.png" }),
			branding(func(b *portal.Branding) { b.LogoURL = "https://shop.example/a b" }),
			branding(func(b *portal.Branding) { b.LogoURL = "https://shop.example/\"" }),
			branding(func(b *portal.Branding) { b.LogoURL = "https://shop.example/#a" }),
			branding(func(b *portal.Branding) { b.LogoURL = "mailto:a@shop.example" }),
			branding(func(b *portal.Branding) { b.LogoURL = "https://shop.example/" + strings.Repeat("a", 512) }),
		},
		"branding.support_url": {
			branding(func(b *portal.Branding) { b.SupportURL = "javascript:alert(1)" }),
			branding(func(b *portal.Branding) { b.SupportURL = "mailto:a@localhost" }),
			branding(func(b *portal.Branding) { b.SupportURL = "mailto:a@shop.example?cc=b@c.example" }),
		},
		"branding.privacy_url": {branding(func(b *portal.Branding) { b.PrivacyURL = "ftp://shop.example" })},
		"languages": {
			func(n *portal.NewPortal) { n.Languages = []string{"de"} },
			func(n *portal.NewPortal) { n.Languages = []string{"en", "en"} },
		},
		"networks": {
			func(n *portal.NewPortal) { n.Networks = []string{"a b"} },
			func(n *portal.NewPortal) { n.Networks = []string{"a", "a"} },
			func(n *portal.NewPortal) { n.Networks = make([]string, 65) },
		},
	} {
		for i, change := range changes {
			_, err := b.Create(t.Context(), b.ask(change))
			if f := fault.From(err); f.Code != fault.InvalidRequest || f.Field != field {
				t.Errorf("%s %d: %v", field, i, err)
			}
			if field == "branding.support_url" && !strings.Contains(err.Error(), "mailto:") {
				t.Errorf("%s %d: %v, and no word of mail", field, i, err)
			}
		}
	}
	for i, change := range []func(*portal.NewPortal){
		func(n *portal.NewPortal) { n.Realm = "other" },
		func(n *portal.NewPortal) { n.Book = "" },
		func(n *portal.NewPortal) { n.Actor = "" },
	} {
		if _, err := b.Create(t.Context(), b.ask(change)); fault.CodeOf(err) != fault.Internal {
			t.Errorf("a mistake of the program %d: %v", i, err)
		}
	}
	if got, err := b.List(t.Context(), b.book, "", 10); err != nil || len(got) != 0 {
		t.Errorf("portals = %+v, %v", got, err)
	}
}

func domains(names ...string) []func(*portal.NewPortal) {
	var changes []func(*portal.NewPortal)
	for _, name := range names {
		changes = append(changes, func(n *portal.NewPortal) { n.CustomDomain = name })
	}
	return changes
}

// A portal is stored as it was asked for, in its normal form, with the defaults of what was left out.
func TestCreate(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		full := b.create(func(n *portal.NewPortal) {
			n.Name, n.Slug, n.CustomDomain = " Café Ünïque ", "a1-b2", "Cards.XN--Mnchen-3ya.Example."
			n.Branding = portal.Branding{LogoURL: "https://cdn.shop.example:8443/logo.svg?v=1", PrimaryColor: "#FFCC00", TextColor: "#000000",
				Tagline: "For the good things", SupportURL: "mailto:help@shop.example", PrivacyURL: "https://shop.example/privacy"}
			n.Languages, n.Networks = []string{"fr", "en"}, []string{"scrip", "visa_gift"}
		})
		want := portal.Portal{ID: full.ID, Book: b.book, Realm: realm.Live, Name: "Café Ünïque", Slug: "a1-b2", CustomDomain: "cards.xn--mnchen-3ya.example",
			Branding: portal.Branding{LogoURL: "https://cdn.shop.example:8443/logo.svg?v=1", PrimaryColor: "#ffcc00", TextColor: "#000000",
				Tagline: "For the good things", SupportURL: "mailto:help@shop.example", PrivacyURL: "https://shop.example/privacy"},
			Proof:     portal.Proof{Token: full.Proof.Token, ClaimedAt: began},
			Languages: []string{"fr", "en"}, Networks: []string{"scrip", "visa_gift"}, Active: true, CreatedAt: began}
		if diff := cmp.Diff(want, full); diff != "" {
			t.Error(diff)
		}
		full = b.prove(full)
		want.Proof.Verified, want.Proof.CheckedAt, want.Proof.SeenAt = true, began, began
		for name, find := range map[string]func() (portal.Portal, error){
			"Find":       func() (portal.Portal, error) { return b.Find(t.Context(), b.book, full.ID) },
			"FindBySlug": func() (portal.Portal, error) { return b.FindBySlug(t.Context(), "a1-b2") },
			"FindByDomain": func() (portal.Portal, error) {
				return b.FindByDomain(t.Context(), "CARDS.xn--mnchen-3ya.example.:8443")
			},
		} {
			got, err := find()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		plain := b.create(func(n *portal.NewPortal) { n.Slug = "plain" })
		if plain.Branding != (portal.Branding{PrimaryColor: portal.DefaultColor}) || !slices.Equal(plain.Languages, []string{"en"}) || len(plain.Networks) != 0 {
			t.Errorf("defaults: %+v", plain)
		}
	})
}

// What another book's portal has stays with it: found, changed and deleted by nobody else.
func TestStrangers(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		p := b.create(func(n *portal.NewPortal) { n.CustomDomain = "cards.shop.example" })
		stranger := portal.Change{Book: b.other, Portal: p.ID, Name: at("Mine"), Actor: actor}
		_, find := b.Find(t.Context(), b.other, p.ID)
		_, change := b.Change(t.Context(), stranger)
		for i, err := range []error{find, change, b.Delete(t.Context(), stranger)} {
			if fault.CodeOf(err) != fault.NotFound {
				t.Errorf("stranger %d: %v", i, err)
			}
		}
		_, verify := b.VerifyDomain(t.Context(), stranger)
		if fault.CodeOf(verify) != fault.NotFound {
			t.Errorf("a stranger verifies: %v", verify)
		}
		_, err := b.Create(t.Context(), b.ask(func(n *portal.NewPortal) { n.Book = b.other }))
		if f := fault.From(err); f.Code != fault.AlreadyExists || f.Field != "slug" {
			t.Errorf("slug: %v", err)
		}
		if _, err := b.Create(t.Context(), b.ask(func(n *portal.NewPortal) { n.Book, n.Slug = b.other, "other" })); err != nil {
			t.Errorf("the refused creation kept its slug: %v", err)
		}
	})
}

// A change changes what it names, is audited, and takes what goes with it along; a refused one does nothing.
func TestChange(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		p := b.create(func(n *portal.NewPortal) {
			n.CustomDomain = "cards.shop.example"
			n.Also = func(p portal.Portal) ([]storage.Effect, error) {
				return []storage.Effect{mark.Row(string(p.ID), string(p.Book), "mark")}, nil
			}
		})
		if marks := b.marks(); !slices.Equal(marks, []string{string(p.ID)}) {
			t.Errorf("what goes with it: %q", marks)
		}
		got, err := b.change(p, func(c *portal.Change) {
			c.Name, c.Active, c.Networks, c.Languages, c.Reason = at("New"), at(false), at([]string{"scrip"}), at([]string{"es"}), "moved"
		})
		want := p
		want.Name, want.Active, want.Networks, want.Languages = "New", false, []string{"scrip"}, []string{"es"}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		if found, err := b.FindBySlug(t.Context(), "example"); err != nil || found.Active || found.Name != "New" {
			t.Errorf("found %+v, %v", found, err)
		}
		before := b.actions()
		if _, err := b.change(p, func(c *portal.Change) { c.Name = at("") }); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("empty name: %v", err)
		}
		if diff := cmp.Diff(before, b.actions()); diff != "" {
			t.Error(diff)
		}
		if err := b.Delete(t.Context(), portal.Change{Book: b.book, Portal: p.ID, Actor: actor}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"portal.delete", "portal.change", "portal.create"}, b.actions()[:3]); diff != "" {
			t.Error(diff)
		}
		entries, err := b.Audit.List(t.Context(), audit.Filter{Book: string(b.book)})
		if err != nil {
			t.Fatal(err)
		}
		changed := map[string]string{"name": "New", "slug": "example", "domain": "cards.shop.example", "networks": "scrip", "state": "inactive", "reason": "moved"}
		if diff := cmp.Diff(changed, entries[1].Detail); diff != "" {
			t.Errorf("the log of the change: %s", diff)
		}
	})
}

// mark writes a row that any table of the product has room for.
var mark = storage.Insert("portal_test.mark", "portal_domains", "domain", "book_id", "portal_id")
var marked = storage.SQL("portal_test.marked", "SELECT domain FROM portal_domains WHERE portal_id = 'mark' ORDER BY domain")

func (b *bundle) marks() []string {
	b.t.Helper()
	found, err := storage.All(b.t.Context(), b.DB, storage.Scalar[string], marked)
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

func (b *bundle) actions() (actions []string) {
	b.t.Helper()
	entries, err := b.Audit.List(b.t.Context(), audit.Filter{Book: string(b.book)})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		actions = append(actions, e.Action)
	}
	return actions
}

// A slug that was given up goes back to its own customer alone, in either realm; a domain is free
// for everybody.
func TestAddressesGivenUp(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		p := b.prove(b.create(func(n *portal.NewPortal) { n.CustomDomain = "cards.shop.example" }))
		if _, err := b.FindByDomain(t.Context(), "cards.shop.example"); err != nil {
			t.Errorf("the domain: %v", err)
		}
		if _, err := b.FindBySlug(t.Context(), "second"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("not there yet: %v", err)
		}
		p, err := b.change(p, func(c *portal.Change) { c.Slug, c.CustomDomain = at("second"), at("") })
		if err != nil {
			t.Fatal(err)
		}
		_, bySlug := b.FindBySlug(t.Context(), "example")
		_, byDomain := b.FindByDomain(t.Context(), "cards.shop.example")
		if fault.CodeOf(bySlug) != fault.NotFound || fault.CodeOf(byDomain) != fault.NotFound {
			t.Errorf("the old addresses: %v, %v", bySlug, byDomain)
		}
		if found, err := b.FindBySlug(t.Context(), "second"); err != nil || found.ID != p.ID {
			t.Errorf("the new slug: %+v, %v", found, err)
		}
		taken := b.ask(func(n *portal.NewPortal) { n.Book = b.other })
		if _, err := b.Create(t.Context(), taken); fault.CodeOf(err) != fault.AlreadyExists {
			t.Errorf("another book took the old slug: %v", err)
		}
		taken.Slug, taken.CustomDomain = "third", "cards.shop.example"
		next, err := b.Create(t.Context(), taken)
		if err != nil {
			t.Fatal(err)
		}
		if next = b.prove(next); !next.Proof.Verified {
			t.Errorf("the domain is not free: %+v", next.Proof)
		}
		if err := b.Delete(t.Context(), portal.Change{Book: b.book, Portal: p.ID, Actor: actor}); err != nil {
			t.Fatal(err)
		}
		again := b.create(func(n *portal.NewPortal) { n.Slug = "second" })
		if found, err := b.FindBySlug(t.Context(), "second"); err != nil || found.ID != again.ID {
			t.Errorf("the slug's own book: %+v, %v", found, err)
		}
		tried := b.ask(func(n *portal.NewPortal) { n.Book, n.Realm, n.Slug = b.customer.Test, realm.Test, "second" })
		if _, err := b.Create(t.Context(), tried); fault.CodeOf(err) != fault.AlreadyExists {
			t.Errorf("the other realm took a slug that is in use: %v", err)
		}
		if err := b.Delete(t.Context(), portal.Change{Book: b.book, Portal: again.ID, Actor: actor}); err != nil {
			t.Fatal(err)
		}
		next, err = b.Create(t.Context(), tried)
		if err != nil {
			t.Fatalf("the customer's other realm: %v", err)
		}
		if found, err := b.FindBySlug(t.Context(), "second"); err != nil || found.ID != next.ID {
			t.Errorf("the slug's other realm: %+v, %v", found, err)
		}
		if _, err := b.Create(t.Context(), b.ask(func(n *portal.NewPortal) { n.Slug = "second" })); fault.CodeOf(err) != fault.AlreadyExists {
			t.Errorf("two realms have one slug: %v", err)
		}
	})
}

// A book has no more portals than it may, and no more slugs, however many are asked for at once.
func TestLimits(t *testing.T) {
	each(t, portal.Config{MaxPortals: 2}, func(t *testing.T, b *bundle) {
		var group sync.WaitGroup
		var mu sync.Mutex
		codes := map[fault.Code]int{}
		for i := range 6 {
			group.Go(func() {
				_, err := b.Create(t.Context(), b.ask(func(n *portal.NewPortal) { n.Slug = fmt.Sprintf("slug-%d", i) }))
				mu.Lock()
				defer mu.Unlock()
				codes[fault.CodeOf(err)]++
			})
		}
		group.Wait()
		if diff := cmp.Diff(map[fault.Code]int{"": 2, fault.QuotaExceeded: 4}, codes); diff != "" {
			t.Error(diff)
		}
		list, err := b.List(t.Context(), b.book, "", 10)
		if err != nil || len(list) != 2 {
			t.Fatalf("%d portals, %v", len(list), err)
		}
		p := list[0]
		for i := range 8 {
			if p, err = b.change(p, func(c *portal.Change) { c.Slug = at(fmt.Sprintf("more-%d", i)) }); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.change(p, func(c *portal.Change) { c.Slug = at("more-8") }); fault.CodeOf(err) != fault.QuotaExceeded {
			t.Errorf("an eleventh slug: %v", err)
		}
		if _, err := b.change(p, func(c *portal.Change) { c.Slug = at("more-0") }); err != nil {
			t.Errorf("a slug of its own: %v", err)
		}
	})
}

// Of many that claim one slug at once, one has it.
func TestClaimAtOnce(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		var group sync.WaitGroup
		var mu sync.Mutex
		codes := map[fault.Code]int{}
		for i := range 8 {
			group.Go(func() {
				book := b.book
				if i%2 == 1 {
					book = b.other
				}
				_, err := b.Create(t.Context(), b.ask(func(n *portal.NewPortal) { n.Book = book }))
				mu.Lock()
				defer mu.Unlock()
				codes[fault.CodeOf(err)]++
			})
		}
		group.Wait()
		if diff := cmp.Diff(map[fault.Code]int{"": 1, fault.AlreadyExists: 7}, codes); diff != "" {
			t.Error(diff)
		}
	})
}

// Pages show every portal of the book once, the newest first.
func TestList(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		var want []portal.ID
		for i := range 5 {
			want = append(want, b.create(func(n *portal.NewPortal) { n.Slug = fmt.Sprintf("slug-%d", i) }).ID)
		}
		b.create(func(n *portal.NewPortal) { n.Book, n.Slug = b.other, "stranger" })
		slices.Reverse(want)
		var got []portal.ID
		for before := portal.ID(""); ; {
			page, err := b.List(t.Context(), b.book, before, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, p := range page {
				got = append(got, p.ID)
			}
			before = got[len(got)-1]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if _, err := b.List(t.Context(), b.book, "x", 2); fault.CodeOf(err) != fault.InvalidCursor {
			t.Errorf("no cursor: %v", err)
		}
	})
}

// Another process sees a change within seconds; this one, at once.
func TestOtherProcess(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		other := b.another()
		if _, err := other.FindBySlug(t.Context(), "example"); fault.CodeOf(err) != fault.NotFound {
			t.Fatal(err)
		}
		p := b.create(nil)
		if found, err := b.FindBySlug(t.Context(), "example"); err != nil || found.ID != p.ID {
			t.Errorf("here: %+v, %v", found, err)
		}
		b.clock.Advance(10 * time.Second)
		if found, err := other.FindBySlug(t.Context(), "example"); err != nil || found.ID != p.ID {
			t.Errorf("there: %+v, %v", found, err)
		}
	})
}

// A suspended customer has no portals that anybody could find.
func TestSuspended(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		b.prove(b.create(func(n *portal.NewPortal) { n.CustomDomain = "cards.shop.example" }))
		if _, err := b.accounts.Suspend(t.Context(), "opr_test", b.customer.ID, "complaints"); err != nil {
			t.Fatal(err)
		}
		_, bySlug := b.FindBySlug(t.Context(), "example")
		_, byDomain := b.FindByDomain(t.Context(), "cards.shop.example")
		if fault.CodeOf(bySlug) != fault.NotFound || fault.CodeOf(byDomain) != fault.NotFound {
			t.Errorf("suspended: %v, %v", bySlug, byDomain)
		}
	})
}

// A challenge counts once, however many spend it at once, and is forgotten when it has expired.
func TestSpend(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		c := portal.Challenge{Book: b.book, Portal: "portal_a", Name: []byte("once"), ExpiresAt: began.Add(time.Minute)}
		var group sync.WaitGroup
		firsts := make(chan bool, 8)
		for range cap(firsts) {
			group.Go(func() {
				first, err := b.Spend(context.WithoutCancel(t.Context()), c)
				if err != nil {
					t.Error(err)
				}
				firsts <- first
			})
		}
		group.Wait()
		close(firsts)
		n := 0
		for first := range firsts {
			if first {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d were first", n)
		}
		other := c
		other.Portal = "portal_other"
		for challenge, want := range map[*portal.Challenge]bool{&c: true, &other: false} {
			if spent, err := b.Spent(t.Context(), *challenge); err != nil || spent != want {
				t.Errorf("of %s: spent %t, %v", challenge.Portal, spent, err)
			}
		}
		b.clock.Advance(time.Minute)
		if err := b.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if first, err := b.Spend(t.Context(), c); err != nil || first {
			t.Errorf("purged before it expired: %t, %v", first, err)
		}
		b.clock.Advance(time.Second)
		if err := b.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if first, err := b.Spend(t.Context(), c); err != nil || !first {
			t.Errorf("not purged: %t, %v", first, err)
		}
	})
}

// What an operator took off its owner cannot put on, change it as they may, nor make anew at its
// address; the operator can.
func TestDisabled(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		p := b.create(nil)
		off, err := b.change(p, func(c *portal.Change) { c.Disabled = at(true) })
		if err != nil || !off.Disabled || off.Active {
			t.Fatalf("disabled: %+v, %v", off, err)
		}
		if _, err := b.change(p, func(c *portal.Change) { c.Active = at(true) }); fault.CodeOf(err) != fault.InvalidState || fault.From(err).Field != "active" {
			t.Errorf("the owner puts it on: %v", err)
		}
		renamed, err := b.change(p, func(c *portal.Change) { c.Name, c.Active = at("New"), at(false) })
		if err != nil || renamed.Name != "New" || !renamed.Disabled {
			t.Errorf("renamed: %+v, %v", renamed, err)
		}
		if found, err := b.FindBySlug(t.Context(), p.Slug); err != nil || found.Active {
			t.Errorf("found: %+v, %v", found, err)
		}
		_, moved := b.change(p, func(c *portal.Change) { c.Slug = at("elsewhere") })
		_, claimed := b.change(p, func(c *portal.Change) { c.CustomDomain = at("cards.shop.example") })
		deleted := b.Delete(t.Context(), portal.Change{Book: b.book, Portal: p.ID, Actor: actor})
		for about, err := range map[string]error{"moves it": moved, "gives it a domain": claimed, "deletes it": deleted} {
			if fault.CodeOf(err) != fault.InvalidState {
				t.Errorf("the owner %s, and may make another at its address: %v", about, err)
			}
		}
		on, err := b.change(p, func(c *portal.Change) { c.Disabled = at(false) })
		if err != nil || on.Disabled || !on.Active {
			t.Errorf("enabled: %+v, %v", on, err)
		}
		if _, err := b.change(p, func(c *portal.Change) { c.Disabled = at(true) }); err != nil {
			t.Fatal(err)
		}
		if moved, err := b.change(p, func(c *portal.Change) { c.Slug, c.Operator = at("elsewhere"), true }); err != nil || !moved.Disabled {
			t.Errorf("an operator moves it: %+v, %v", moved, err)
		}
		if err := b.Delete(t.Context(), portal.Change{Book: b.book, Portal: p.ID, Operator: true, Actor: actor}); err != nil {
			t.Errorf("an operator deletes it: %v", err)
		}
	})
}

// The domain of a portal that an operator took off stays with it whatever record its owner
// shows, or none; somebody else whose record is there gets it.
func TestDisabledKeepsItsDomain(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		off := b.prove(b.claim("off"))
		name, text := off.Record()
		disable := func(yes bool) {
			t.Helper()
			if _, err := b.change(off, func(c *portal.Change) { c.Disabled = at(yes) }); err != nil {
				t.Fatal(err)
			}
		}
		disable(true)
		again := b.claim("again")
		testing := b.create(func(n *portal.NewPortal) {
			n.Book, n.Realm, n.Slug, n.CustomDomain = b.customer.Test, realm.Test, "testing", domain
		})
		for _, other := range []portal.Portal{again, testing} {
			if other = b.prove(other); other.Proof.Verified || b.leads() != "off" {
				t.Errorf("its owner shows %s: %+v", b.leads(), other.Proof)
			}
		}
		b.dns.Set(name)
		for range 8 {
			b.pass(12 * time.Hour)
		}
		if !b.find(off).Proof.Verified || b.leads() != "off" {
			t.Errorf("after four days without a record: %+v", b.find(off).Proof)
		}
		disable(false)
		if again = b.prove(again); !again.Proof.Verified || b.leads() != "again" {
			t.Errorf("enabled, its owner shows another: %+v", again.Proof)
		}
		b.dns.Set(name, text)
		off = b.look(off)
		disable(true)
		stranger := b.prove(b.create(func(n *portal.NewPortal) { n.Book, n.Slug, n.CustomDomain = b.other, "stranger", domain }))
		if !stranger.Proof.Verified || b.leads() != "stranger" {
			t.Errorf("somebody else shows theirs: %+v", stranger.Proof)
		}
	})
}

// A portal offers networks that its realm has; what has gone since may stay while the rest changes.
func TestNetworksAreKnown(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		gone := false
		b.Known = func(r realm.Realm, network string) bool { return r == realm.Live && network == "visa_gift" && !gone }
		unknown := b.ask(func(n *portal.NewPortal) { n.Networks = []string{"nope"} })
		if _, err := b.Create(t.Context(), unknown); fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != "networks" {
			t.Errorf("an unknown network: %v", err)
		}
		p := b.create(func(n *portal.NewPortal) { n.Networks = []string{"visa_gift"} })
		gone = true
		name := "Renamed"
		if _, err := b.change(p, func(c *portal.Change) { c.Name = &name }); err != nil {
			t.Errorf("rename: %v", err)
		}
		if _, err := b.change(p, func(c *portal.Change) { c.Networks = &p.Networks }); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("a network that has gone: %v", err)
		}
	})
}
