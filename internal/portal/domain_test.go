package portal_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/portal"
)

const domain = "cards.shop.example"

func (b *bundle) claim(slug string) portal.Portal {
	b.t.Helper()
	return b.create(func(n *portal.NewPortal) { n.Slug, n.CustomDomain = slug, domain })
}

// leads is the slug of the portal that the domain leads to.
func (b *bundle) leads() string {
	b.t.Helper()
	p, err := b.FindByDomain(b.t.Context(), domain)
	if err != nil && fault.CodeOf(err) != fault.NotFound {
		b.t.Fatal(err)
	}
	return p.Slug
}

// A domain leads to its portal from when the record was seen, and not before.
func TestDomainNeedsItsRecord(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		p := b.claim("mine")
		name, text := p.Record()
		if name != "_scrip."+domain || len(text) < 30 || p.DomainState() != "pending" || b.leads() != "" {
			t.Fatalf("claimed: %q %q %s, leads to %q", name, text, p.DomainState(), b.leads())
		}
		for _, wrong := range [][]string{nil, {"v=spf1 -all"}, {text + "x"}, {p.Proof.Token}} {
			b.dns.Set(name, wrong...)
			if p = b.look(p); p.Proof.Verified || p.Proof.CheckedAt != b.clock.Now() || !p.Proof.SeenAt.IsZero() || b.leads() != "" {
				t.Errorf("%q: %+v", wrong, p.Proof)
			}
		}
		b.dns.Set(name, "v=spf1 -all", text)
		if p = b.look(p); p.DomainState() != "verified" || b.leads() != "mine" {
			t.Errorf("shown: %+v, leads to %q", p.Proof, b.leads())
		}
		if asked := b.dns.Asked(); slices.ContainsFunc(asked, func(n string) bool { return n != name }) {
			t.Errorf("asked %q", asked)
		}
		if got := b.actions(); got[0] != "portal.verify_domain" {
			t.Errorf("audit %q", got)
		}
		moved, err := b.change(p, func(c *portal.Change) { c.CustomDomain = at("other.shop.example") })
		if err != nil || moved.Proof.Verified || moved.Proof.Token == p.Proof.Token || b.leads() != "" {
			t.Errorf("another domain: %+v, %v", moved.Proof, err)
		}
		renamed, err := b.change(moved, func(c *portal.Change) { c.Name = at("New") })
		if diff := cmp.Diff(moved.Proof, renamed.Proof); err != nil || diff != "" {
			t.Errorf("renamed: %v %s", err, diff)
		}
		bare := b.create(func(n *portal.NewPortal) { n.Slug = "bare" })
		if _, err := b.VerifyDomain(t.Context(), portal.Change{Book: b.book, Portal: bare.ID, Actor: actor}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("without a domain: %v", err)
		}
	})
}

// The record is found without anybody asking again, for two weeks.
func TestDomainIsLookedUp(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		p := b.claim("mine")
		b.pass(59 * time.Second)
		if n := len(b.dns.Asked()); n != 0 {
			t.Errorf("asked %d times at once", n)
		}
		b.pass(time.Second)
		b.dns.Break(true)
		b.pass(time.Minute)
		b.dns.Break(false)
		b.dns.Set(p.Record())
		b.pass(15 * time.Minute)
		if p = b.find(p); !p.Proof.Verified || b.leads() != "mine" {
			t.Errorf("after a quarter: %+v", p.Proof)
		}

		late := b.claim("late")
		name, text := late.Record()
		_, first := p.Record()
		for range 4 * 15 {
			b.pass(6 * time.Hour)
		}
		before := len(b.dns.Asked())
		b.dns.Set(name, first, text)
		for range 11 {
			b.pass(time.Hour)
		}
		if late = b.find(late); late.Proof.Verified {
			t.Errorf("after two weeks: %+v", late.Proof)
		}
		if n := len(b.dns.Asked()) - before; n > 1 {
			t.Errorf("asked %d times within half a day", n)
		}
		b.dns.Set(name, first)
		b.look(late)
		b.dns.Set(name, text)
		b.pass(time.Minute)
		if late = b.find(late); !late.Proof.Verified {
			t.Errorf("a minute after its owner asked: %+v", late.Proof)
		}
	})
}

// A domain whose record has gone is lost after three days, no answer at all does not count,
// and it comes back with its record.
func TestDomainIsLost(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		p := b.prove(b.claim("mine"))
		name, text := p.Record()
		b.dns.Break(true)
		for range 30 {
			b.pass(12 * time.Hour)
		}
		if p = b.find(p); !p.Proof.Verified || b.leads() != "mine" {
			t.Fatalf("lost for want of an answer: %+v", p.Proof)
		}
		b.dns.Break(false)
		b.pass(12 * time.Hour)
		b.dns.Set(name)
		for range 5 {
			b.pass(12 * time.Hour)
		}
		if b.leads() != "mine" {
			t.Error("lost within three days")
		}
		b.pass(12 * time.Hour)
		b.pass(12 * time.Hour)
		if p = b.find(p); p.DomainState() != "pending" || b.leads() != "" {
			t.Errorf("after three days: %+v, leads to %q", p.Proof, b.leads())
		}
		entries, err := b.Audit.List(t.Context(), audit.Filter{Book: string(b.book)})
		if err != nil || entries[0].Action != "portal.lose_domain" || entries[0].Actor != "job/portal.domain" {
			t.Errorf("audit %+v, %v", entries[0], err)
		}
		b.dns.Set(name, text)
		b.pass(6 * time.Hour)
		if b.leads() != "mine" {
			t.Error("the record does not bring it back")
		}
	})
}

// Many may claim a domain; it leads to whoever shows the record, and stays while that is shown.
func TestDomainOfTwo(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		squatter := b.create(func(n *portal.NewPortal) { n.Book, n.Slug, n.CustomDomain = b.other, "squatter", domain })
		owner := b.prove(b.claim("owner"))
		name, text := owner.Record()
		if b.leads() != "owner" {
			t.Fatalf("leads to %q", b.leads())
		}
		_, second := squatter.Record()
		b.dns.Set(name, text, second)
		if squatter = b.look(squatter); squatter.Proof.Verified || b.leads() != "owner" {
			t.Errorf("taken while it is shown: %+v", squatter.Proof)
		}
		b.dns.Set(name, second)
		if squatter = b.look(squatter); !squatter.Proof.Verified || b.leads() != "squatter" || b.find(owner).Proof.Verified {
			t.Errorf("the next owner: %+v, before %+v", squatter.Proof, b.find(owner).Proof)
		}
		if err := b.Delete(t.Context(), portal.Change{Book: b.book, Portal: owner.ID, Actor: actor}); err != nil || b.leads() != "squatter" {
			t.Errorf("the first one goes: %v", err)
		}
		b.pass(24 * time.Hour) // the claim that was given up has a job yet
		if squatter = b.find(squatter); !squatter.Proof.Verified {
			t.Errorf("%+v", squatter.Proof)
		}
	})
}

// Of many portals that show a record at once, one has the domain, whatever the processes do.
func TestDomainAtOnce(t *testing.T) {
	each(t, portal.Config{}, func(t *testing.T, b *bundle) {
		var claims []portal.Portal
		var texts []string
		for _, slug := range []string{"one", "two", "three", "four"} {
			p := b.claim(slug)
			name, text := p.Record()
			claims, texts = append(claims, p), append(texts, text)
			b.dns.Set(name, texts...)
		}
		processes := []*portal.Service{b.Service, b.another()}
		var group sync.WaitGroup
		for i := range 16 {
			p := claims[i%len(claims)]
			group.Go(func() {
				if _, err := processes[i%2].VerifyDomain(t.Context(), portal.Change{Book: p.Book, Portal: p.ID, Actor: actor}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		verified := slices.DeleteFunc(claims, func(p portal.Portal) bool { return !b.find(p).Proof.Verified })
		b.clock.Advance(time.Minute)
		if len(verified) != 1 || b.leads() != verified[0].Slug {
			t.Errorf("%d have it, it leads to %q", len(verified), b.leads())
		}
	})
}
