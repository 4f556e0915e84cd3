package order_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// searched reads everything that a query finds, some at a time, as "Acme1 Rival1".
func (b *bundle) searched(q order.Query, names map[string]string) string {
	b.t.Helper()
	var all []string
	for {
		found, next, err := b.Search(b.t.Context(), q)
		check.OK(b.t, err)
		if len(found) > q.Limit {
			b.t.Fatalf("%d found, the limit is %d", len(found), q.Limit)
		}
		for _, o := range found {
			all = append(all, fmt.Sprintf("%s%d", names[string(o.Book)], o.Number))
		}
		if next == nil {
			return strings.Join(all, " ")
		}
		q.Before = next
	}
}

// Orders of all books of a realm are found, the newest first, page by page without gaps or
// repetitions, and restricted by book, item, status and time; other realms' are not.
func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 20)
		acme, rival := b.buyer("Acme", 100_000), b.buyer("Rival", 100_000)
		names := map[string]string{string(acme.Book): "Acme", string(rival.Book): "Rival"}
		times := []time.Time{}
		for i := range 6 {
			buyer := acme
			if i%3 == 2 {
				buyer = rival
			}
			placed, err := b.Place(t.Context(), buyer, order.Purchase{Item: item, Quantity: 1})
			check.OK(b.t, err)
			times = append(times, placed.CreatedAt)
			b.clock.Advance(time.Minute)
		}
		b.become(acme, 2, order.Refunded)
		const all = "Rival2 Acme4 Acme3 Rival1 Acme2 Acme1"
		for _, c := range []struct {
			q    order.Query
			want string
		}{
			{order.Query{}, all},
			{order.Query{Book: acme.Book}, "Acme4 Acme3 Acme2 Acme1"},
			{order.Query{Status: order.Refunded}, "Acme2"},
			{order.Query{Status: order.Completed, Book: acme.Book}, "Acme4 Acme3 Acme1"},
			{order.Query{Item: item}, all},
			{order.Query{Item: "NOTHING"}, ""},
			{order.Query{From: times[2]}, "Rival2 Acme4 Acme3 Rival1"},
			{order.Query{To: times[2]}, "Acme2 Acme1"},
			{order.Query{From: times[1], To: times[4], Book: acme.Book}, "Acme3 Acme2"},
			{order.Query{Realm: realm.Live}, ""},
			{order.Query{Realm: realm.Live, Book: acme.Book}, ""},
		} {
			for _, limit := range []int{1, 2, 4, 1000} {
				if c.q.Limit = limit; c.q.Realm == "" {
					c.q.Realm = realm.Test
				}
				if got := b.searched(c.q, names); got != c.want {
					t.Errorf("%+v: %q, want %q", c.q, got, c.want)
				}
			}
		}
		if _, _, err := b.Search(t.Context(), order.Query{}); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("without a realm: %v", err)
		}
	})
}

// Orders of several books at one instant are all found, whatever the pages.
func TestSearchAtOneInstant(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 12)
		names := map[string]string{}
		for _, name := range []string{"A", "B", "C"} {
			buyer := b.buyer(name, 10_000)
			names[string(buyer.Book)] = name
			for range 3 {
				_, err := b.Place(t.Context(), buyer, order.Purchase{Item: item, Quantity: 1})
				check.OK(b.t, err)
			}
		}
		whole := b.searched(order.Query{Realm: realm.Test, Limit: 100}, names)
		if len(strings.Fields(whole)) != 9 {
			t.Errorf("found %q", whole)
		}
		for limit := 1; limit < 9; limit++ {
			if got := b.searched(order.Query{Realm: realm.Test, Limit: limit}, names); got != whole {
				t.Errorf("%d at a time: %q, want %q", limit, got, whole)
			}
		}
	})
}
