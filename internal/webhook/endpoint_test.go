package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

func ask(change func(*NewEndpoint)) NewEndpoint {
	n := NewEndpoint{Book: book, Realm: realm.Live, URL: "https://127.0.0.1/hook", Events: []string{"card.created"}, Scheme: SchemeCardPing, Actor: "key/k1"}
	if change != nil {
		change(&n)
	}
	return n
}

// What makes no endpoint is refused with the field that is to blame, and leaves no trace.
func TestCreateRefuses(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), Config{})
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf("card.e%d", i)
	}
	for field, changes := range map[string][]func(*NewEndpoint){
		"url": {
			func(n *NewEndpoint) { n.URL = "" },
			func(n *NewEndpoint) { n.URL = "ftp://example.org" },
			func(n *NewEndpoint) { n.URL = "https://a:b@example.org" },
		},
		"events": {
			func(n *NewEndpoint) { n.Events = nil },
			func(n *NewEndpoint) { n.Events = many },
			func(n *NewEndpoint) { n.Events = []string{"Card Created"} },
			func(n *NewEndpoint) { n.Events = []string{"card.*"} },
			func(n *NewEndpoint) { n.Events = []string{"a." + strings.Repeat("x", 64)} },
		},
		"secret": {
			func(n *NewEndpoint) { n.Secret = pan.NewSecret("short") },
			func(n *NewEndpoint) { n.Secret = pan.NewSecret(strings.Repeat("x", 129)) },
			func(n *NewEndpoint) { n.Secret = pan.NewSecret("sixteen bytes with spaces") },
			func(n *NewEndpoint) { n.Secret = pan.NewSecret("ünprintable-sixteen") },
		},
	} {
		for i, change := range changes {
			_, err := b.Create(t.Context(), ask(change))
			if f := fault.From(err); f.Code != fault.InvalidRequest || f.Field != field {
				t.Errorf("%s %d: %v", field, i, err)
			}
		}
	}
	for _, change := range []func(*NewEndpoint){
		func(n *NewEndpoint) { n.Scheme = "unknown" },
		func(n *NewEndpoint) { n.Realm = "other" },
		func(n *NewEndpoint) { n.Book = "" },
		func(n *NewEndpoint) { n.Actor = "" },
	} {
		if _, err := b.Create(t.Context(), ask(change)); fault.CodeOf(err) != fault.Internal {
			t.Errorf("a mistake of the program: %v", err)
		}
	}
	if got, err := b.Service.List(t.Context(), book); err != nil || len(got) != 0 {
		t.Errorf("endpoints = %+v, %v", got, err)
	}
}

// A book has no more endpoints than it may, however many are asked for at once; deleted ones do not count.
func TestEndpointLimit(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{MaxEndpoints: 3})
		var group sync.WaitGroup
		var mu sync.Mutex
		codes := map[fault.Code]int{}
		for range 8 {
			group.Go(func() {
				_, err := b.Create(t.Context(), ask(nil))
				mu.Lock()
				defer mu.Unlock()
				codes[fault.CodeOf(err)]++
			})
		}
		group.Wait()
		if diff := cmp.Diff(map[fault.Code]int{"": 3, fault.QuotaExceeded: 5}, codes); diff != "" {
			t.Error(diff)
		}
		list, err := b.Service.List(t.Context(), book)
		if err != nil || len(list) != 3 {
			t.Fatalf("%d endpoints, %v", len(list), err)
		}
		if err := b.Delete(t.Context(), b.changeOf(list[0])); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Create(t.Context(), ask(nil)); err != nil {
			t.Errorf("after a deletion: %v", err)
		}
	})
}

// An endpoint is found by its own book alone, changes are audited, and what goes with a change is stored with it.
func TestChanges(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		stored := Event{ID: NewEventID(), Book: book, Realm: realm.Live, Type: "stored.answer", Data: []byte(`{}`)}
		made, err := b.Create(t.Context(), ask(func(n *NewEndpoint) {
			n.Events = []string{"card.funded", "card.created", "card.funded"}
			n.Secret = pan.NewSecret("chosen-by-the-customer")
			n.Also = func(Issued) ([]storage.Effect, error) { return b.Outbox.Effects(stored), nil }
		}))
		if err != nil || made.Secret.Reveal() != "chosen-by-the-customer" {
			t.Fatal(err)
		}
		e := made.Endpoint
		if got := b.endpoint(e); !cmp.Equal(got, e) || !cmp.Equal(got.Events, []string{"card.created", "card.funded"}) {
			t.Errorf("stored %+v, returned %+v", got, e)
		}
		if got, err := b.Outbox.List(t.Context(), EventFilter{Book: book}); err != nil || len(got) != 1 || got[0].ID != stored.ID {
			t.Errorf("what goes with it: %+v, %v", got, err)
		}
		errUndo := errors.New("undo")
		undone := ask(func(n *NewEndpoint) {
			n.Also = func(Issued) ([]storage.Effect, error) { return nil, errUndo }
		})
		if _, err := b.Create(t.Context(), undone); !errors.Is(err, errUndo) {
			t.Errorf("undone: %v", err)
		}
		queued := b.changeOf(e)
		queued.Queued = func(Delivery) ([]storage.Effect, error) { return nil, errUndo }
		if _, err := b.SendTest(t.Context(), queued); !errors.Is(err, errUndo) {
			t.Errorf("undone: %v", err)
		}
		if list, err := b.Service.List(t.Context(), book); err != nil || len(list) != 1 {
			t.Errorf("%d endpoints, %v", len(list), err)
		}
		if list, _, err := b.Deliveries(t.Context(), DeliveryFilter{Book: book, Endpoint: e.ID}); err != nil || len(list) != 0 {
			t.Errorf("deliveries %+v, %v", list, err)
		}
		stranger := Change{Book: "bk_b", Endpoint: e.ID, Actor: "key/k2"}
		_, rotate := b.Rotate(t.Context(), stranger, Rotation{})
		_, disable := b.Disable(t.Context(), stranger, "no reason")
		_, enable := b.Enable(t.Context(), stranger)
		_, find := b.Find(t.Context(), "bk_b", e.ID)
		for i, err := range []error{rotate, disable, enable, find, b.Delete(t.Context(), stranger)} {
			if fault.CodeOf(err) != fault.NotFound {
				t.Errorf("stranger %d: %v", i, err)
			}
		}
		if _, err := b.Disable(t.Context(), b.changeOf(e), "too many complaints"); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Disable(t.Context(), b.changeOf(e), "too many complaints"); err != nil || got.Active || got.Reason != "too many complaints" {
			t.Errorf("disabled: %+v, %v", got, err)
		}
		for range 2 {
			if _, err := b.Enable(t.Context(), b.changeOf(e)); err != nil || !b.endpoint(e).Active {
				t.Errorf("enabled: %+v, %v", b.endpoint(e), err)
			}
		}
		if _, err := b.Rotate(t.Context(), b.changeOf(e), Rotation{Grace: MaxGrace + 1}); fault.From(err).Field != "grace" {
			t.Errorf("long grace: %v", err)
		}
		if got, err := b.Rotate(t.Context(), b.changeOf(e), Rotation{Grace: MaxGrace}); err != nil || !got.PreviousUntil.Equal(epoch.Add(MaxGrace)) {
			t.Errorf("the longest grace: %+v, %v", got, err)
		}
		if got, err := b.Rotate(t.Context(), b.changeOf(e), Rotation{}); err != nil || !got.PreviousUntil.Equal(epoch.Add(DefaultGrace)) {
			t.Errorf("rotate: %+v, %v", got, err)
		}
		if err := b.Delete(t.Context(), b.changeOf(e)); err != nil {
			t.Fatal(err)
		}
		if err := b.Delete(t.Context(), b.changeOf(e)); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("deleted twice: %v", err)
		}
		want := []string{"key/k1 webhook.delete", "key/k1 webhook.rotate", "key/k1 webhook.rotate", "key/k1 webhook.enable", "key/k1 webhook.disable", "key/k1 webhook.create"}
		if diff := cmp.Diff(want, b.audited()); diff != "" {
			t.Error(diff)
		}
	})
}

// What is still to be delivered to a deleted endpoint is cancelled, and its secret is gone.
func TestDeleteCancels(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		r := newReceiver(t, answerWith(500))
		e, _ := b.create(r, SchemeCardPing, "*")
		event := b.emit("card.created")
		b.deliver()
		if err := b.Delete(t.Context(), b.changeOf(e)); err != nil {
			t.Fatal(err)
		}
		if d := b.delivery(e, event); d.State != deliveryCancelled {
			t.Errorf("delivery = %+v", d)
		}
		b.clock.Advance(time.Hour)
		b.deliver()
		if n := len(r.requests()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		if secrets := column(t, db, allSecrets); len(secrets) != 1 || secrets[0] != "" {
			t.Errorf("the deleted endpoint keeps %q", secrets)
		}
	})
}

// A process that stood still for minutes learns of what others changed meanwhile.
func TestRefreshAfterStandstill(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := setup(t, db, Config{})
		two := setupAt(t, db, one.clock, Config{})
		one.clock.Advance(time.Minute)
		if _, err := one.Create(t.Context(), ask(nil)); err != nil {
			t.Fatal(err)
		}
		one.clock.Advance(overlap + time.Minute)
		if err := two.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !two.Outbox.subscriptions.wants(book, "card.created") {
			t.Error("the endpoint that was made while the process stood still is not known, and its events are lost")
		}
	})
}

// Endpoints that are gone do not fill the memory of a process for good.
func TestRefreshForgets(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		known := &b.Outbox.subscriptions
		stays := b.add(ask(nil)).Endpoint
		for range 5 {
			e := b.add(ask(func(n *NewEndpoint) { n.Book = "bk_b" })).Endpoint
			if err := b.Delete(t.Context(), b.changeOf(e)); err != nil {
				t.Fatal(err)
			}
		}
		known.loaded = false // all is read anew, as now and then
		if err := b.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(known.books) != 1 || known.size != 1 || !known.books[book][stays.ID].active {
			t.Errorf("of 6 endpoints, one of which there is, %d are counted: %v", known.size, known.books)
		}
	})
}

// Another process learns of endpoints when it refreshes, and never unlearns what is newer.
func TestRefresh(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := setup(t, db, Config{})
		two := setupAt(t, db, one.clock, Config{})
		wants := func(b *bundle) bool { return b.Outbox.subscriptions.wants(book, "card.created") }
		refresh := func() {
			if err := two.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		e := one.add(ask(nil)).Endpoint
		if !wants(one) || wants(two) {
			t.Fatalf("created: %v, %v", wants(one), wants(two))
		}
		refresh()
		if !wants(two) || two.Outbox.subscriptions.wants(book, "card.funded") || two.Outbox.subscriptions.wants("bk_b", "card.created") {
			t.Error("after a refresh the other process must want what was subscribed to and nothing else")
		}
		stale := two.Outbox.subscriptions.books[book][e.ID]
		if _, err := one.Disable(t.Context(), one.changeOf(e), "test"); err != nil || wants(one) {
			t.Fatal("disabled", wants(one), err)
		}
		refresh()
		if wants(two) {
			t.Error("the disabled endpoint is still known as active")
		}
		two.Outbox.subscriptions.learn(stale)
		if wants(two) {
			t.Error("a late reader undid what is newer")
		}
		two.Outbox.subscriptions.overfull = true
		if !wants(two) {
			t.Error("a process that cannot know must look at every event")
		}
	})
}

var (
	allSecrets    = storage.SQL("webhook_test.secrets", `SELECT secret FROM webhook_endpoints`)
	allDeliveries = storage.SQL("webhook_test.deliveries", `SELECT event_id FROM webhook_deliveries`)
	everyColumn   = []*storage.Statement{
		allSecrets,
		storage.SQL("webhook_test.previous", `SELECT previous_secret FROM webhook_endpoints`),
		storage.SQL("webhook_test.urls", `SELECT url FROM webhook_endpoints`),
		storage.SQL("webhook_test.reasons", `SELECT reason FROM webhook_endpoints`),
		storage.SQL("webhook_test.data", `SELECT data FROM webhook_events`),
		storage.SQL("webhook_test.answers", `SELECT answer FROM webhook_attempts`),
		storage.SQL("webhook_test.errors", `SELECT error FROM webhook_attempts`),
		storage.SQL("webhook_test.details", `SELECT detail FROM audit_records`),
		storage.SQL("webhook_test.payloads", `SELECT payload FROM jobs`),
		storage.SQL("webhook_test.job_errors", `SELECT last_error FROM jobs`),
	}
)

func column(t *testing.T, db *storage.DB, s *storage.Statement) []string {
	t.Helper()
	values, err := storage.All(t.Context(), db, func(r storage.Row) (string, error) {
		var b []byte
		err := r.Scan(&b)
		return string(b), err
	}, s)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// No secret and no sensitive data stands in a table, a log, an error or a database file, not even when the endpoint sends it back.
func TestSecretsStaySealed(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		var mu sync.Mutex
		var echo string
		r := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			sent, _ := io.ReadAll(q.Body)
			_, _ = io.WriteString(w, "your secrets are "+echo+" and "+string(sent))
		})
		e, first := b.create(r, SchemeCryptoCardy, "*")
		second, err := b.Rotate(t.Context(), b.changeOf(e), Rotation{Secret: pan.NewSecret("Chosen!By-the_Customer")})
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		echo = first.Reveal() + " and " + second.Secret.Reveal()
		mu.Unlock()
		otp := Event{Book: book, Realm: realm.Live, Type: "3ds.challenge", Data: []byte(`{"otp":"847291-847291"}`), Sensitive: true}
		if err := b.write(b.Outbox.Effects(otp)); err != nil {
			t.Fatal(err)
		}
		b.deliver()
		b.emit("card.created")
		b.deliver()
		got := r.requests()
		if len(got) != 2 || !strings.Contains(got[0].body, `{"otp":"847291-847291"}`) {
			t.Fatalf("requests = %+v", got)
		}
		if events, err := b.Outbox.List(t.Context(), EventFilter{Book: book}); err != nil || len(events) != 2 || events[1].Data != nil || !events[1].Sensitive {
			t.Errorf("listed %+v, %v", events, err)
		}
		texts := map[string]string{"log": b.log.String(), "print": fmt.Sprintf("%+v %v %#v", e, first, second)}
		for i, s := range everyColumn {
			texts[fmt.Sprint("column ", i)] = strings.Join(column(t, db, s), "\n")
		}
		if !strings.Contains(texts["column 5"], "your secrets are [redacted] and [redacted] and {") {
			t.Errorf("answers = %s", texts["column 5"])
		}
		for where, text := range texts {
			for _, secret := range []string{first.Reveal(), second.Secret.Reveal(), "847291-847291"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s holds %s", where, secret)
				}
			}
		}
	})
}

// An event whose data is a secret goes to endpoints of schemes that are sent such alone, whatever
// the others subscribed to; those cannot name it, nor be sent it again.
func TestSecretsGoWhereTheyMay(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{Secrets: []string{"3ds.challenge"}})
		plain, trusted := newReceiver(t), newReceiver(t)
		all, _ := b.create(plain, SchemeCardPing, "*")
		b.create(trusted, SchemeCryptoCardy, "3ds.challenge", "card.created")
		otp := Event{ID: NewEventID(), Book: book, Realm: realm.Live, Type: "3ds.challenge", Data: []byte(`{"otp":"847291"}`), Sensitive: true}
		if err := b.write(b.Outbox.Effects(otp)); err != nil {
			t.Fatal(err)
		}
		b.emit("card.created")
		b.deliver()
		if n, m := len(plain.requests()), len(trusted.requests()); n != 1 || m != 2 {
			t.Errorf("%d and %d requests, want 1 and 2", n, m)
		}
		named := NewEndpoint{Book: book, Realm: realm.Live, URL: plain.URL, Events: []string{"card.created", "3ds.challenge"}, Scheme: SchemeCardPing, Actor: "key/k1"}
		_, create := b.Create(t.Context(), named)
		_, change := b.Change(t.Context(), b.changeOf(all), Settings{Events: named.Events})
		for _, err := range []error{create, change} {
			if f := fault.From(err); f.Code != fault.InvalidRequest || f.Field != "events" {
				t.Errorf("named: %v", err)
			}
		}
		if _, err := b.Resend(t.Context(), b.changeOf(all), otp.ID); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("sent again: %v", err)
		}
		b.deliver()
		if n := len(plain.requests()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

// What some books alone are told of, as those of operators, no other book's endpoint can name, neither at first nor later, and it is told which ones it may; an endpoint that has it goes on and can be changed otherwise.
func TestReservedTypes(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b, to := setup(t, db, Config{}), newReceiver(t)
		old, _ := b.create(to, SchemeCardPing, "stock.low")
		plain, _ := b.create(to, SchemeCardPing, "card.created")
		b.Config.Types, b.Config.Secrets = []string{"card.created", "3ds.challenge", "stock.low"}, []string{"3ds.challenge"}
		b.Config.Reserved = []Reserved{{Types: []string{"stock.low"}, To: "operators", Has: func(_ context.Context, of ledger.BookID) (bool, error) { return of != book, nil }}}
		named := NewEndpoint{Book: book, Realm: realm.Live, URL: to.URL, Events: []string{"card.created", "stock.low"}, Scheme: SchemeCardPing, Actor: "key/k1"}
		_, create := b.Create(t.Context(), named)
		_, change := b.Change(t.Context(), b.changeOf(plain), Settings{Events: named.Events})
		for _, err := range []error{create, change} {
			if f := fault.From(err); f.Code != fault.InvalidRequest || f.Field != "events" || f.Message != "stock.low is sent to operators alone; there are card.created" {
				t.Errorf("named: %v", err)
			}
		}
		named.Scheme, named.Events = SchemeCryptoCardy, []string{"stock.high"}
		if _, err := b.Create(t.Context(), named); fault.From(err).Message != "there is no such event; there are card.created, 3ds.challenge" {
			t.Errorf("unknown: %v", err)
		}
		named.Book, named.Events = House(realm.Live), []string{"stock.low"}
		if _, err := b.Create(t.Context(), named); err != nil {
			t.Errorf("an operators' book: %v", err)
		}
		other := to.URL + "/other"
		changed, err := b.Change(t.Context(), b.changeOf(old), Settings{URL: &other})
		if err != nil || changed.URL != other || !slices.Equal(changed.Events, []string{"stock.low"}) {
			t.Errorf("%+v, %v", changed, err)
		}
	})
}

// On SQLite the files themselves hold no secret.
func TestSecretsNotInFiles(t *testing.T) {
	config := testkit.Database(t, "sqlite")
	b := setup(t, testkit.Open(t, config), Config{})
	e, secret := b.create(newReceiver(t), SchemeCardPing, "*")
	b.emit("card.created")
	b.deliver()
	files, err := filepath.Glob(config.Path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	found := false
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found = found || strings.Contains(string(content), string(e.ID))
		if strings.Contains(string(content), secret.Reveal()) {
			t.Errorf("%s holds the secret", name)
		}
	}
	if !found {
		t.Error("no file holds the endpoint: the test reads the wrong files")
	}
}

// An event that breaks a limit refuses its transaction and says why in the log.
func TestEffectsRefuses(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		good := Event{ID: NewEventID(), Book: book, Realm: realm.Live, Type: "card.created", Data: []byte(`{}`)}
		for name, change := range map[string]func(*Event){
			"no book":   func(e *Event) { e.Book = "" },
			"bad id":    func(e *Event) { e.ID = "evt_1" },
			"bad realm": func(e *Event) { e.Realm = "other" },
			"bad type":  func(e *Event) { e.Type = "created" },
			"no data":   func(e *Event) { e.Data = nil },
			"bad data":  func(e *Event) { e.Data = []byte(`{"a":`) },
			"long data": func(e *Event) { e.Data = []byte(`"` + strings.Repeat("x", maxData) + `"`) },
		} {
			e := good
			change(&e)
			if err := b.write(b.Outbox.Effects(e)); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		if !strings.Contains(b.log.String(), "webhook event refused") {
			t.Error("the log does not say why")
		}
		if err := b.write(b.Outbox.Effects(good)); err != nil {
			t.Error(err)
		}
	})
}

// Events are listed newest first, both ways from a cursor, in one book or in all of a realm.
func TestListEvents(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		for i := range 6 {
			e := Event{Book: "bk_a", Realm: realm.Live, Type: fmt.Sprintf("card.e%d", i), Data: []byte(`{}`), At: epoch.Add(time.Duration(i) * time.Minute)}
			if i%2 == 1 {
				e.Book = "bk_b"
			}
			if err := b.write(b.Outbox.Effects(e)); err != nil {
				t.Fatal(err)
			}
		}
		check := func(f EventFilter, want ...string) []Event {
			t.Helper()
			events, err := b.Outbox.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range events {
				got = append(got, e.Type[len(e.Type)-1:])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v: %s", f, diff)
			}
			return events
		}
		all := check(EventFilter{Realm: realm.Live}, "5", "4", "3", "2", "1", "0")
		check(EventFilter{Realm: realm.Test})
		check(EventFilter{Realm: realm.Live, Limit: 2, Before: all[1].Cursor()}, "3", "2")
		check(EventFilter{Realm: realm.Live, Limit: 2, After: all[4].Cursor()}, "3", "2")
		check(EventFilter{Realm: realm.Live, Type: "card.e3"}, "3")
		check(EventFilter{Book: "bk_a"}, "4", "2", "0")
		check(EventFilter{Book: "bk_a", Limit: 1, Before: all[1].Cursor()}, "2")
		check(EventFilter{Book: "bk_a", Limit: 1, After: all[5].Cursor()}, "2")
		check(EventFilter{Book: "bk_a", After: all[5].Cursor(), Settled: true}) // their ids are too young
		for _, f := range []EventFilter{
			{Realm: realm.Live, Before: "?"}, {Realm: realm.Live, After: "eA"}, {Book: "bk_b", Before: all[1].Cursor()},
			{Realm: realm.Live, Before: all[1].Cursor(), After: all[2].Cursor()},
		} {
			if _, err := b.Outbox.List(t.Context(), f); fault.CodeOf(err) != fault.InvalidCursor {
				t.Errorf("%+v: %v", f, err)
			}
		}
	})
}

// Old events go with their deliveries and attempts, each realm by its own clock; young ones stay.
func TestPurge(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{Retention: 10 * 24 * time.Hour})
		r := newReceiver(t)
		e, _ := b.create(r, SchemeCardPing, "*")
		old := b.emit("card.created")
		b.deliver()
		b.clock.Advance(9 * 24 * time.Hour)
		young := b.emit("card.created")
		b.deliver()
		test := Event{ID: NewEventID(), Book: "bk_t", Realm: realm.Test, Type: "card.created", Data: []byte(`{}`)}
		if err := b.write(b.Outbox.Effects(test)); err != nil {
			t.Fatal(err)
		}
		ids := func() (ids []EventID) {
			for _, r := range realm.All() {
				events, err := b.Outbox.List(t.Context(), EventFilter{Realm: r})
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range events {
					ids = append(ids, e.ID)
				}
			}
			return ids
		}
		purge := func(want ...EventID) {
			t.Helper()
			if err := b.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, ids()); diff != "" {
				t.Error(diff)
			}
		}
		purge(young, old, test.ID)
		b.clock.Advance(2 * 24 * time.Hour)
		purge(young, test.ID)
		if found, err := b.DeliveriesOf(t.Context(), book, old); err != nil || len(found) != 0 {
			t.Errorf("deliveries of the old event: %+v, %v", found, err)
		}
		if d := b.delivery(e, young); d.State != deliveryDelivered || len(b.attempts(d)) != 1 {
			t.Errorf("the young event's delivery is %+v", d)
		}
		if err := b.Clocks.SetOffset(30 * 24 * time.Hour); err != nil {
			t.Fatal(err)
		}
		purge(young)
	})
}

// What was sent again stays until it is delivered, however old its event, and no longer than
// the retention.
func TestPurgeSparesWhatIsOwed(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		const day = 24 * time.Hour
		b := setup(t, db, Config{Retention: 10 * day})
		r := newReceiver(t, answerWith(200), answerWith(200), answerWith(500), answerWith(500), answerWith(200))
		e, _ := b.create(r, SchemeCardPing, "*")
		taken, refused := b.emit("card.created"), b.emit("card.created")
		b.deliver()
		b.clock.Advance(10*day - time.Minute)
		left := func(want ...string) {
			t.Helper()
			b.clock.Advance(2 * time.Minute)
			if err := b.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.deliver()
			var states []string
			for _, event := range []EventID{taken, refused} {
				found, err := b.DeliveriesOf(t.Context(), book, event)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range found {
					states = append(states, d.State)
				}
			}
			if diff := cmp.Diff(want, states); diff != "" {
				t.Error(diff)
			}
		}
		if _, err := b.Resend(t.Context(), b.changeOf(e), refused); err != nil {
			t.Fatal(err)
		}
		b.deliver()
		left(deliveryPending) // of the other event nothing is owed
		left(deliveryDelivered)
		left()
		if _, err := b.Resend(t.Context(), b.changeOf(e), refused); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("what was deleted is sent again: %v", err)
		}
	})
}

// A delivery to an endpoint that was deleted while its event was dispatched is cancelled.
func TestDeletedWhileDispatched(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b, r := setup(t, db, Config{}), newReceiver(t)
		e, _ := b.create(r, SchemeCardPing, "*")
		event := Event{ID: b.emit("card.created"), Book: book, Realm: realm.Live}
		if err := b.Delete(t.Context(), b.changeOf(e)); err != nil {
			t.Fatal(err)
		}
		// Another process found the endpoint before, and commits after.
		late := []storage.Effect{insertDelivery.Row(newDelivery(&event, e.ID, b.clock.Now())...), b.askTurn(book, e.ID, realm.Live)}
		if err := b.write(late); err != nil {
			t.Fatal(err)
		}
		b.deliver()
		if d := b.delivery(e, event.ID); d.State != deliveryCancelled || len(r.requests()) != 0 {
			t.Errorf("the delivery is %s after %d requests", d.State, len(r.requests()))
		}
	})
}

// In the test realm retries follow its clock, and signatures the machine's.
func TestTestRealm(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		if err := b.Clocks.SetOffset(400 * 24 * time.Hour); err != nil {
			t.Fatal(err)
		}
		r := newReceiver(t, answerWith(500), answerWith(200))
		made := b.add(NewEndpoint{Book: "bk_t", Realm: realm.Test, URL: r.URL, Events: []string{"*"}, Scheme: SchemeCardPing, Actor: "key/k1"})
		event := Event{ID: NewEventID(), Book: "bk_t", Realm: realm.Test, Type: "card.created", Data: []byte(`{}`)}
		if err := b.write(b.Outbox.Effects(event)); err != nil {
			t.Fatal(err)
		}
		b.deliver()
		if err := b.Clocks.SetOffset(401 * 24 * time.Hour); err != nil {
			t.Fatal(err)
		}
		b.deliver()
		got := r.requests()
		if len(got) != 2 || b.delivery(made.Endpoint, event.ID).State != deliveryDelivered {
			t.Fatalf("%d requests, %+v", len(got), b.delivery(made.Endpoint, event.ID))
		}
		if err := verifyCardPing(got[1].Get("CP-Signature"), []byte(got[1].body), made.Secret, epoch); err != nil {
			t.Error(err)
		}
		if !strings.Contains(got[1].body, `"created_at":"2027-12-26T09:00:00Z"`) {
			t.Errorf("body %s", got[1].body)
		}
	})
}

// A process that is told to stop in the middle of a request writes nothing about the endpoint, and another one repeats the request.
func TestStopDuringRequest(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := setup(t, db, Config{Timeout: time.Minute})
		hang := make(chan struct{})
		r := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-hang })
		e, _ := one.create(r, SchemeCardPing, "*")
		event := one.emit("card.created")
		one.start()
		<-r.arrived
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := one.jobs.Stop(ended); err == nil {
			t.Error("the queue stopped though a request was under way")
		}
		close(hang)
		if d := one.delivery(e, event); d.State != deliveryPending || d.Attempts != 0 || one.endpoint(e).Failures != 0 {
			t.Errorf("delivery = %+v, endpoint = %+v", d, one.endpoint(e))
		}
		r.answer(answerWith(200))
		two := setupAt(t, db, one.clock, Config{})
		one.clock.Advance(2 * time.Minute) // the lease of the first
		two.deliver()
		if d := two.delivery(e, event); d.State != deliveryDelivered || d.Attempts != 1 {
			t.Errorf("delivery = %+v", d)
		}
	})
}
