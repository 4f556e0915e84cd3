package webhook

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

func pointer[T any](value T) *T { return &value }

// A changed address has a clean record and gets what the old one never took; changed events count at once.
func TestChange(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		old, moved := newReceiver(t, answerWith(500)), newReceiver(t)
		e, secret := b.create(old, SchemeCardPing, "card.created")
		owed := b.emit("card.created")
		b.deliver()
		if got := b.endpoint(e); got.Failures != 1 {
			t.Fatalf("before: %+v", got)
		}
		changed, err := b.Change(t.Context(), b.changeOf(e), Settings{URL: pointer(moved.URL + "/new"), Events: []string{"card.funded", "card.ended", "card.funded"}})
		want := e
		want.URL, want.Events = moved.URL+"/new", []string{"card.ended", "card.funded"}
		if diff := cmp.Diff(want, changed); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		if diff := cmp.Diff(want, b.endpoint(e)); diff != "" {
			t.Errorf("stored: %s", diff)
		}
		b.clock.Advance(time.Minute)
		b.emit("card.created")
		b.emit("card.funded")
		b.deliver()
		got := moved.requests()
		if len(got) != 2 || b.delivery(e, owed).State != deliveryDelivered || !strings.Contains(got[0].body+got[1].body, `"type":"card.funded"`) {
			t.Fatalf("the new address got %+v", got)
		}
		if err := verifyCardPing(got[0].Get(HeaderCardPing), []byte(got[0].body), secret, b.clock.Now()); err != nil {
			t.Errorf("the secret is another: %v", err)
		}
		if n := len(old.requests()); n != 1 {
			t.Errorf("the old address got %d requests", n)
		}
	})
}

// Only what was said is changed, and the audit log has the address and the events when they are.
func TestChangePart(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		e := b.add(ask(nil)).Endpoint
		change := func(to Settings, want func(*Endpoint)) {
			t.Helper()
			expected := b.endpoint(e)
			want(&expected)
			if got, err := b.Change(t.Context(), b.changeOf(e), to); err != nil || !cmp.Equal(got, expected) {
				t.Errorf("%+v: %+v, %v, want %+v", to, got, err, expected)
			}
		}
		change(Settings{Events: []string{"card.x", "*"}}, func(e *Endpoint) { e.Events = []string{"*"} })
		change(Settings{Active: pointer(false)}, func(e *Endpoint) { e.Active, e.Reason = false, ReasonOwner })
		change(Settings{Active: pointer(false)}, func(*Endpoint) {})
		change(Settings{URL: pointer("https://127.0.0.2/?key=hush")}, func(e *Endpoint) { e.URL = "https://127.0.0.2/?key=hush" })
		change(Settings{Active: pointer(true)}, func(e *Endpoint) { e.Active, e.Reason = true, "" })
		entries, err := b.Audit.List(t.Context(), audit.Filter{Book: string(book)})
		if err != nil {
			t.Fatal(err)
		}
		var details []map[string]string
		for _, entry := range entries {
			if entry.Actor == "key/k1" && entry.Action == "webhook.change" {
				details = append(details, entry.Detail)
			}
		}
		if diff := cmp.Diff([]map[string]string{
			{"state": "active"},
			{"state": "disabled", "reason": "owner", "url": "https://127.0.0.2/?[redacted]", "events": "*"},
			{"state": "disabled", "reason": "owner"},
			{"state": "active", "url": "https://127.0.0.1/hook", "events": "*"},
		}, details); diff != "" {
			t.Error(diff)
		}
	})
}

// What Create refuses Change refuses, with the same blame and without a trace; a stranger finds nothing.
func TestChangeRefuses(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		e := b.add(ask(nil)).Endpoint
		for field, refused := range map[string]Settings{
			"":       {},
			"url":    {URL: pointer("ftp://example.org"), Events: []string{"*"}},
			"events": {Events: []string{}, URL: pointer("https://127.0.0.2/")},
		} {
			if _, err := b.Change(t.Context(), b.changeOf(e), refused); fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != field {
				t.Errorf("%q: %v", field, err)
			}
		}
		if _, err := b.Change(t.Context(), Change{Book: "bk_b", Endpoint: e.ID, Actor: "key/k2"}, Settings{Active: pointer(false)}); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("stranger: %v", err)
		}
		unstored := func(Issued) ([]storage.Effect, error) { return nil, errors.New("cannot be stored") }
		with := b.changeOf(e)
		with.Also = unstored
		if _, err := b.Change(t.Context(), with, Settings{Active: pointer(false)}); err == nil {
			t.Error("changed without what goes with it")
		}
		if got := b.endpoint(e); !cmp.Equal(got, e) {
			t.Errorf("changed to %+v", got)
		}
		if diff := cmp.Diff([]string{"key/k1 webhook.create"}, b.audited()); diff != "" {
			t.Error(diff)
		}
	})
}

// The guard judges a new address as it judges a first one.
func TestChangeIsGuarded(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), Config{})
	e := b.add(ask(nil)).Endpoint
	b.Guard.AllowPrivate = false
	for _, url := range []string{"https://127.0.0.1/", "https://10.0.0.7/hook", "https://169.254.169.254/latest", "http://93.184.215.14/", "https://93.184.215.14:22/"} {
		if _, err := b.Change(t.Context(), b.changeOf(e), Settings{URL: &url}); fault.From(err).Field != "url" {
			t.Errorf("%s: %v", url, err)
		}
	}
	if got := b.endpoint(e); got.URL != e.URL {
		t.Errorf("the address is now %s", got.URL)
	}
}

// What an operator disabled stays so for its owner; what the program disabled does not.
func TestChangeDoesNotOverrule(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		e, _ := b.create(newReceiver(t, answerWith(http.StatusGone)), SchemeCardPing, "*")
		b.emit("card.created")
		b.deliver()
		if got := b.endpoint(e); got.Reason != ReasonGone {
			t.Fatalf("%+v", got)
		}
		if got, err := b.Change(t.Context(), b.changeOf(e), Settings{Active: pointer(true)}); err != nil || !got.Active {
			t.Errorf("after 410: %+v, %v", got, err)
		}
		if _, err := b.Disable(t.Context(), b.changeOf(e), "too many complaints"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Change(t.Context(), b.changeOf(e), Settings{Active: pointer(true)}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("after an operator's: %v", err)
		}
		if got := b.endpoint(e); got.Active || got.Reason != "too many complaints" {
			t.Errorf("%+v", got)
		}
		for _, reason := range []string{ReasonGone, ReasonFailing, ReasonOwner, "", "two\nlines", strings.Repeat("x", maxReason+1)} {
			if _, err := b.Disable(t.Context(), b.changeOf(e), reason); fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != "reason" {
				t.Errorf("disabled as %q: %v", reason, err)
			}
		}
	})
}

// An answer of the old address that arrives after the change says nothing about the new one.
func TestChangeDuringRequest(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{Timeout: time.Minute})
		hang := make(chan struct{})
		old := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
			<-hang
			w.WriteHeader(http.StatusGone)
		})
		e, _ := b.create(old, SchemeCardPing, "*")
		b.emit("card.created")
		var turn sync.WaitGroup
		turn.Go(b.deliver)
		<-old.arrived
		moved := newReceiver(t)
		if _, err := b.Change(t.Context(), b.changeOf(e), Settings{URL: pointer(moved.URL)}); err != nil {
			t.Fatal(err)
		}
		close(hang)
		turn.Wait()
		if got := b.endpoint(e); !got.Active || got.Failures != 0 {
			t.Errorf("the new address inherits %+v", got)
		}
	})
}

// Of many changes at once each is whole, and the audit log has them all.
func TestChangesAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		e := b.add(ask(nil)).Endpoint
		var group sync.WaitGroup
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			group.Go(func() {
				if _, err := b.Change(t.Context(), b.changeOf(e), Settings{URL: pointer("https://127.0.0.1/" + name), Events: []string{"card." + name}}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got := b.endpoint(e); got.Events[0] != "card."+got.URL[len(got.URL)-1:] {
			t.Errorf("two changes are mixed: %+v", got)
		}
		if n := len(b.audited()); n != 7 {
			t.Errorf("%d audit records, want 7", n)
		}
	})
}
