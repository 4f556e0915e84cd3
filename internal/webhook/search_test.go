package webhook

import (
	"fmt"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// A search for a type of which there are few looks at so many events at a time, and finds all
// of them in the end: in a book and in a realm, backwards and for who follows.
func TestSearch(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		const many, look = 23, 5
		for i := range many {
			e := Event{Book: "bk_a", Realm: realm.Live, Type: "card.often", Data: []byte(`{}`), At: epoch.Add(time.Duration(i/7) * time.Minute)}
			if i == 1 || i == many-2 {
				e.Type = "card.seldom"
			}
			if err := b.write(b.Outbox.Effects(e)); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range []EventFilter{{Book: "bk_a"}, {Realm: realm.Live}} {
			oldest, err := b.Outbox.List(t.Context(), EventFilter{Book: f.Book, Realm: f.Realm})
			if err != nil || len(oldest) != many {
				t.Fatalf("%d events, %v", len(oldest), err)
			}
			f.Type, f.Look = "card.seldom", look
			check := func(f EventFilter, goOn func(*EventFilter, Cursor)) {
				t.Helper()
				found, pages := 0, 0
				for more := Cursor("?"); more != ""; pages++ {
					if pages > many {
						t.Fatalf("%+v never ends", f)
					}
					var part []Event
					if part, more, err = b.Outbox.Search(t.Context(), f); err != nil {
						t.Fatal(err)
					}
					found += len(part)
					goOn(&f, more)
				}
				if pages < many/(look+1) || found == 0 || found > 2 {
					t.Errorf("%+v found %d in %d pages of %d", f, found, pages, look)
				}
			}
			check(f, func(f *EventFilter, more Cursor) { f.Before = more })
			f.After = oldest[many-1].Cursor() // one that is listed is none of what is newer
			check(f, func(f *EventFilter, more Cursor) { f.After = more })
			f.Limit = 1
			if full, more, err := b.Outbox.Search(t.Context(), f); err != nil || len(full) != 1 || more != "" {
				t.Errorf("a full page of %d goes on at %q: %v", len(full), more, err)
			}
		}
	})
}

// Who follows a type that does not come is told up to where there is none, and not to look
// there again.
func TestFollowWhatIsSeldom(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		for range 3 {
			b.emit("card.often")
		}
		all, err := b.Outbox.List(t.Context(), EventFilter{Realm: realm.Live})
		if err != nil || len(all) != 3 {
			t.Fatalf("%+v, %v", all, err)
		}
		b.clock.Advance(time.Hour)
		follow := EventFilter{Realm: realm.Live, Type: "card.seldom", After: all[2].Cursor(), Settled: true}
		none, more, err := b.Outbox.Search(t.Context(), follow)
		if err != nil || len(none) != 0 || more == "" || more == follow.After {
			t.Fatalf("%+v, to go on at %q: %v", none, more, err)
		}
		passed := EventFilter{Realm: realm.Live, After: more}
		if left, err := b.Outbox.List(t.Context(), passed); err != nil || len(left) != 0 {
			t.Errorf("looks again at %+v, %v", left, err)
		}
		b.clock.Advance(time.Hour)
		b.emit("card.seldom")
		b.clock.Advance(time.Hour)
		follow.After = more
		if found, _, err := b.Outbox.Search(t.Context(), follow); err != nil || len(found) != 1 {
			t.Errorf("what came: %+v, %v", found, err)
		}
	})
}

// A search for deliveries in a state goes on in the same way.
func TestSearchDeliveries(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		r := newReceiver(t)
		e, _ := b.create(r, SchemeCardPing, "*")
		for range 7 {
			b.emit("card.created")
		}
		b.deliver()
		r.answer(answerWith(500))
		newest := b.emit("card.created")
		b.deliver()
		f := DeliveryFilter{Book: book, Endpoint: e.ID, State: deliveryPending, Look: 3}
		var got []string
		for range 4 {
			found, more, err := b.SearchDeliveries(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(len(found), more != ""))
			if len(found) > 0 && found[0].Event != newest {
				t.Errorf("found %+v, want that of %s", found, newest)
			}
			if f.Before = more; more == "" {
				break
			}
		}
		if want := "[1 true 0 true 0 false]"; fmt.Sprint(got) != want {
			t.Errorf("found, and more: %v, want %s", got, want)
		}
		f.Before, f.Limit = "", 1
		if full, more, err := b.SearchDeliveries(t.Context(), f); err != nil || len(full) != 1 || more != "" {
			t.Errorf("a full page of %d goes on before %q: %v", len(full), more, err)
		}
		f = DeliveryFilter{Book: book, Endpoint: e.ID, Look: 3}
		if all, more, err := b.SearchDeliveries(t.Context(), f); err != nil || len(all) != 8 || more != "" {
			t.Errorf("%d of any state, more before %q: %v", len(all), more, err)
		}
	})
}
