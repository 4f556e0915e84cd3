package account_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
)

// search returns the names of all whom a text finds, read in pages of a size.
func (b *bundle) search(t *testing.T, text string, size int) []string {
	t.Helper()
	var names []string
	page := account.Page{Limit: size}
	for {
		found := must(b.SearchCustomers(t.Context(), text, page))(t)
		for _, c := range found.Items {
			names = append(names, c.Name)
		}
		if page.After = found.Next; page.After == "" {
			return names
		}
	}
}

// Customers are found by how their name, one of its words or their address begins, in
// small and capital letters, and by nothing else.
func TestSearchCustomers(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		for name, email := range map[string]string{
			"Corner Bakery": "owner@bakery.example", "Müller  & Söhne": "post@mueller.example", "ZÜRICH 7": "", "Baker Street": "Baker@Street.example",
			"100% %_": "", strings.Repeat("ß", 128): "", "Ünal": strings.Repeat("u", 60) + "@" + strings.Repeat("v", 60) + ".example",
		} {
			must(b.CreateCustomer(t.Context(), actor, account.NewCustomer{Name: name, Email: email}))(t)
		}
		for text, want := range map[string][]string{
			"bake": {"Baker Street", "Corner Bakery"}, "CORNER b": {"Corner Bakery"}, " corner   bakery ": {"Corner Bakery"}, "owner@": {"Corner Bakery"},
			"bakery.example": nil, "orner": nil, "corner bakery s": nil, "söhne": {"Müller  & Söhne"}, "MÜLLER & S": {"Müller  & Söhne"}, "mu": nil, "muller": nil,
			"mü": {"Müller  & Söhne"}, "zürich": {"ZÜRICH 7"}, "baker@STREET": {"Baker Street"}, "%": {"100% %_"}, "_": nil, "100%": {"100% %_"},
			strings.Repeat("ß", 128): {strings.Repeat("ß", 128)}, strings.Repeat("ß", 100): {strings.Repeat("ß", 128)},
			strings.Repeat("u", 60) + "@v": {"Ünal"}, "\U000dfffd": nil,
		} {
			if diff := cmp.Diff(want, b.search(t, text, 0)); diff != "" {
				t.Errorf("%q:\n%s", text, diff)
			}
		}
		for _, text := range []string{"", "  ", "a\nb", "\xff", strings.Repeat("a", 255)} {
			_, err := b.SearchCustomers(t.Context(), text, account.Page{})
			if f := fault.From(err); f.Code != fault.InvalidRequest || f.Field != "search" {
				t.Errorf("%q: %v", text, err)
			}
		}
		_, err := b.SearchCustomers(t.Context(), "a", account.Page{After: "nobody a"})
		wantCode(t, err, fault.InvalidCursor)
	})
}

// Every page size finds each once and in the same order, also those who are found twice.
func TestSearchPages(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		for i := range 7 {
			n := account.NewCustomer{Name: fmt.Sprintf("Acme acme %d", i/2), Email: fmt.Sprintf("acme%d@acme.example", i)}
			must(b.CreateCustomer(t.Context(), actor, n))(t)
		}
		whole := b.search(t, "acme", 200)
		if len(whole) != 7 {
			t.Fatalf("found %q", whole)
		}
		for size := 1; size < 9; size++ {
			if diff := cmp.Diff(whole, b.search(t, "acme", size)); diff != "" {
				t.Errorf("pages of %d:\n%s", size, diff)
			}
		}
	})
}

// Who was renamed is found by the new name alone.
func TestSearchFollowsChanges(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		made := must(b.CreateCustomer(t.Context(), actor, account.NewCustomer{Name: "Old Name", Email: "old@shop.example"}))(t)
		must(b.ChangeCustomer(t.Context(), actor, made.ID, to(account.NewCustomer{Name: "New Name"})))(t)
		must(b.Suspend(t.Context(), actor, made.ID, "a reason"))(t)
		if got := b.search(t, "old", 0); len(got) != 0 {
			t.Errorf("by the old name: %q", got)
		}
		for _, text := range []string{"new", "name"} {
			if got := b.search(t, text, 0); len(got) != 1 {
				t.Errorf("by %q: %q", text, got)
			}
		}
	})
}
