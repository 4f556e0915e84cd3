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

// Who follows what is seldom does not look again at what was passed over, and is led past
// nothing: neither beyond what there is, nor back when a clock is.
func TestFollowWhatIsSeldom(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		b.emit("card.seldom")
		for range 5 {
			b.clock.Advance(time.Second)
			b.emit("card.often")
		}
		for name, list := range map[string]EventFilter{"realm": {Realm: realm.Live}, "book": {Book: book, Realm: realm.Live}} {
			all, err := b.Outbox.List(t.Context(), list)
			if err != nil || len(all) != 6 {
				t.Fatalf("%+v, %v", all, err)
			}
			follow := list
			follow.Type, follow.After, follow.Look = "card.seldom", all[5].Cursor(), 3
			led := 0
			for more := follow.After; more != ""; led++ {
				var none []Event
				follow.After = more
				if none, more, err = b.Outbox.Search(t.Context(), follow); err != nil || len(none) != 0 || led > 2 {
					t.Fatalf("%s, led on %d times: %+v: %v", name, led, none, err)
				}
			}
			rest := list
			rest.After = follow.After
			if left, err := b.Outbox.List(t.Context(), rest); err != nil || led < 2 || len(left) > 2 {
				t.Errorf("%s: asked %d times, behind that there are %+v, %v", name, led, left, err)
			}
			settled := follow
			settled.After, settled.Settled, settled.Look = all[0].Cursor(), true, 0
			b.clock.Advance(-time.Hour)
			if found, more, err := b.Outbox.Search(t.Context(), settled); err != nil || len(found) != 0 || more != "" {
				t.Errorf("%s: while the clock is an hour back: %+v, on to %q, %v", name, found, more, err)
			}
			b.clock.Advance(time.Hour)
		}
	})
}

// A search for deliveries in a state goes on in the same way.
func TestDeliveries(t *testing.T) {
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
			found, more, err := b.Deliveries(t.Context(), f)
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
		if full, more, err := b.Deliveries(t.Context(), f); err != nil || len(full) != 1 || more != "" {
			t.Errorf("a full page of %d goes on before %q: %v", len(full), more, err)
		}
		f = DeliveryFilter{Book: book, Endpoint: e.ID, Look: 3}
		if all, more, err := b.Deliveries(t.Context(), f); err != nil || len(all) != 8 || more != "" {
			t.Errorf("%d of any state, more before %q: %v", len(all), more, err)
		}
	})
}
