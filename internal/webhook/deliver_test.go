package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// A committed event reaches those who subscribed, once, signed by each one's scheme; nobody else gets it.
func TestDeliver(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		pings, cards, others := newReceiver(t), newReceiver(t), newReceiver(t)
		b.create(others, SchemeCardPing, "card.created.not", "card.funded")
		e1, secret1 := b.create(pings, SchemeCardPing, "ping.completed", "card.created")
		e2, secret2 := b.create(cards, SchemeCryptoCardy, "*")
		if _, err := b.Create(t.Context(), NewEndpoint{Book: "bk_b", Realm: realm.Live, URL: others.URL, Events: []string{"*"}, Scheme: SchemeCardPing, Actor: "key/k2"}); err != nil {
			t.Fatal(err)
		}
		undo := errors.New("undo")
		err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			return errors.Join(tx.Apply(ctx, b.Outbox.Effects(Event{Book: book, Realm: realm.Live, Type: "card.created", Data: []byte(`{}`)})), undo)
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
		event := b.emit("card.created")
		b.deliver()
		b.deliver()
		body := fmt.Sprintf(`{"id":%q,"type":"card.created","created_at":"2026-11-21T09:00:00Z","data":{"n":1}}`, event)
		got := pings.requests()
		if len(got) != 1 || got[0].body != body {
			t.Fatalf("cardping endpoint got %+v, want one %s", got, body)
		}
		if err := verifyCardPing(got[0].Get("CP-Signature"), []byte(got[0].body), secret1, epoch); err != nil {
			t.Error(err)
		}
		if got[0].Get("Content-Type") != "application/json" || got[0].Get("User-Agent") != userAgent {
			t.Errorf("headers %v", got[0].Header)
		}
		got = cards.requests()
		want := fmt.Sprintf(`{"id":%q,"type":"card.created","created_at":"2026-11-21T09:00:00Z","data":{"n":1}}`, event)
		if len(got) != 1 || got[0].body != want {
			t.Fatalf("cryptocardy endpoint got %+v, want one %s", got, want)
		}
		d := b.delivery(e2, event)
		wantHeaders := fmt.Sprintf("%x card.created %s %d", mac(secret2, []byte(want)), d.ID, epoch.Unix())
		h := got[0].Header
		if have := strings.Join([]string{h.Get("X-CryptoCardy-Signature"), h.Get("X-CryptoCardy-Event"), h.Get("X-CryptoCardy-Delivery"), h.Get("X-CryptoCardy-Timestamp")}, " "); have != wantHeaders {
			t.Errorf("headers %s, want %s", have, wantHeaders)
		}
		if n := len(others.requests()); n != 0 {
			t.Errorf("endpoints of another book and for other events got %d requests", n)
		}
		attempts := b.attempts(b.delivery(e1, event))
		if len(attempts) != 1 || attempts[0].Status != 200 || string(attempts[0].Answer) != "answer 200" || attempts[0].Error != "" || !attempts[0].At.Equal(epoch) {
			t.Errorf("attempts = %+v", attempts)
		}
	})
}

// An event that nobody subscribed to is stored with nothing to deliver; one that somebody did is pending.
func TestEffectsKnowsSubscribers(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		e, _ := b.create(newReceiver(t), SchemeCardPing, "ping.completed")
		states := func() (states []string) {
			events, err := b.Outbox.List(t.Context(), EventFilter{Book: book})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				states = append(states, e.Type+" "+e.State)
			}
			return states
		}
		b.emit("ping.completed")
		b.emit("card.created")
		if diff := cmp.Diff([]string{"card.created none", "ping.completed pending"}, states()); diff != "" {
			t.Error(diff)
		}
		if err := b.Service.Delete(t.Context(), b.changeOf(e)); err != nil {
			t.Fatal(err)
		}
		b.emit("ping.completed")
		b.deliver()
		if diff := cmp.Diff([]string{"ping.completed none", "card.created none", "ping.completed none"}, states()); diff != "" {
			t.Error(diff)
		}
		before := &bundle{t: t, Service: New(Deps{DB: db, Clocks: b.Clocks, Vault: b.Vault, Queue: b.Queue, Audit: b.Audit, Logger: b.Logger})}
		before.emit("card.created")
		if got := states()[0]; got != "card.created pending" {
			t.Errorf("before anything is known the event is %q, want pending", got)
		}
		if _, err := b.Dispatch(t.Context()); err != nil || states()[0] != "card.created none" {
			t.Errorf("the dispatcher made it %q, %v", states()[0], err)
		}
	})
}

// A refused delivery is tried twelve times over three days, never twice at once, and then given up.
func TestRetries(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{DisableAfter: 30 * 24 * time.Hour})
		r := newReceiver(t, answerWith(500))
		e, secret := b.create(r, SchemeCardPing, "*")
		event := b.emit("card.created")
		b.deliver()
		for n := 1; ; n++ {
			d := b.delivery(e, event)
			if d.Attempts != n || len(r.requests()) != n {
				t.Fatalf("after %d rounds: %+v, %d requests", n, d, len(r.requests()))
			}
			if d.State != deliveryPending {
				break
			}
			pause, full := d.DueAt.Sub(b.clock.Now()), schedule[n-1]
			if pause < full*4/5 || pause > full*6/5 {
				t.Errorf("pause %d is %s, want about %s", n, pause, full)
			}
			b.clock.Advance(pause - time.Millisecond)
			b.deliver()
			if got := len(r.requests()); got != n {
				t.Fatalf("request %d came too early", got)
			}
			b.clock.Advance(2 * time.Minute) // by then the endpoint's own pause is over, too
			b.deliver()
		}
		d := b.delivery(e, event)
		took := b.clock.Now().Sub(epoch)
		if d.State != deliveryFailed || d.Attempts != len(schedule)+1 || took < 56*time.Hour || took > 90*time.Hour {
			t.Errorf("after %s: %+v", took, d)
		}
		last := r.requests()[d.Attempts-1]
		if err := verifyCardPing(last.Get("CP-Signature"), []byte(last.body), secret, b.clock.Now()); err != nil {
			t.Errorf("the last attempt's signature: %v", err)
		}
		if first := r.requests()[0]; first.body != last.body {
			t.Errorf("the body changed from %s to %s", first.body, last.body)
		}
		attempts := b.attempts(d)
		if len(attempts) != d.Attempts || attempts[0].Number != d.Attempts || attempts[0].Error != ErrorStatus || attempts[0].Status != 500 {
			t.Errorf("attempts = %+v", attempts)
		}
		r.answer(answerWith(500), answerWith(204))
		again, err := b.Resend(t.Context(), b.changeOf(e), event)
		if stored := b.delivery(e, event); err != nil || again.ID != d.ID || again != stored {
			t.Fatalf("resend = %+v, %v, stored %+v", again, err, stored)
		}
		b.deliver()
		if d := b.delivery(e, event); d.State != deliveryPending || d.DueAt.Sub(b.clock.Now()) > schedule[0]*6/5 {
			t.Errorf("sent again and refused: %+v, want the schedule from its beginning", d)
		}
		b.clock.Advance(schedule[0] * 2)
		b.clock.Advance(2 * time.Minute)
		b.deliver()
		if d := b.delivery(e, event); d.State != deliveryDelivered || d.Attempts != len(schedule)+3 {
			t.Errorf("after sending again: %+v", d)
		}
		if healthy := b.endpoint(e); healthy.Failures != 0 || !healthy.FailingSince.IsZero() {
			t.Errorf("the endpoint = %+v", healthy)
		}
		often := func(n int) {
			t.Helper()
			err := b.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				_, err := tx.Exec(ctx, sentOften, n)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		often(maxAttempts - 1)
		if _, err := b.Resend(t.Context(), b.changeOf(e), event); err != nil {
			t.Errorf("sent again, the last time: %v", err)
		}
		often(maxAttempts)
		if _, err := b.Resend(t.Context(), b.changeOf(e), event); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("sent again without end: %v", err)
		}
	})
}

// An attempt follows while the schedule lasts and the event is not too old, and never sooner than
// its receiver asked for.
func TestRetryIn(t *testing.T) {
	for about, c := range map[string]struct {
		tries int
		age   time.Duration
		after time.Duration
		again bool
	}{
		"the first":         {tries: 0, again: true},
		"the last":          {tries: len(schedule) - 1, age: lifetime - 1, again: true},
		"one too many":      {tries: len(schedule)},
		"too old":           {tries: 1, age: lifetime},
		"as late as wanted": {tries: 0, after: 48 * time.Hour, again: true},
	} {
		pause, again := retryIn(&Delivery{ID: "whd_1", QueuedAt: epoch, tries: c.tries}, &answer{retryAfter: c.after}, epoch.Add(c.age))
		if again != c.again || pause < c.after {
			t.Errorf("%s: %s, %t", about, pause, again)
		}
	}
}

var sentOften = storage.SQL("webhook_test.sent_often", `UPDATE webhook_deliveries SET attempts = $1`)

// Retry-After, in seconds or as a date, lengthens a pause up to a day and never shortens one.
func TestRetryAfter(t *testing.T) {
	date := func(d time.Duration) string { return epoch.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		text   string
		status int
		want   time.Duration // at least
		most   time.Duration
	}{
		{"7200", 429, 2 * time.Hour, 2 * time.Hour},
		{date(3 * time.Hour), 503, 3 * time.Hour, 3 * time.Hour},
		{"1", 503, schedule[0] * 4 / 5, schedule[0] * 6 / 5},
		{date(-time.Hour), 503, schedule[0] * 4 / 5, schedule[0] * 6 / 5},
		{"soon", 503, schedule[0] * 4 / 5, schedule[0] * 6 / 5},
		{"-5", 503, schedule[0] * 4 / 5, schedule[0] * 6 / 5},
		{"99999999", 503, 24 * time.Hour, 24 * time.Hour},
	} {
		b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), Config{})
		r := newReceiver(t, answerWith(c.status, "Retry-After", c.text))
		e, _ := b.create(r, SchemeCardPing, "*")
		event := b.emit("card.created")
		b.deliver()
		if pause := b.delivery(e, event).DueAt.Sub(epoch); pause < c.want || pause > c.most {
			t.Errorf("Retry-After %q: pause %s, want %s to %s", c.text, pause, c.want, c.most)
		}
	}
}

// 410 disables the endpoint at once: audited, on the operators' feed, and nothing more is sent until it is enabled.
func TestGone(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		r := newReceiver(t, answerWith(410))
		e, _ := b.create(r, SchemeCardPing, "*")
		event := b.emit("card.created")
		b.deliver()
		if got := b.endpoint(e); got.Active || got.Reason != ReasonGone {
			t.Errorf("endpoint = %+v", got)
		}
		if d := b.delivery(e, event); d.State != deliveryFailed || d.Attempts != 1 {
			t.Errorf("delivery = %+v", d)
		}
		if diff := cmp.Diff([]string{"system webhook.disable", "key/k1 webhook.create"}, b.audited()); diff != "" {
			t.Error(diff)
		}
		for _, book := range []ledger.BookID{e.Book, House(realm.Live)} {
			feed, err := b.Outbox.List(t.Context(), EventFilter{Book: book, Type: TypeDisabled})
			if err != nil || len(feed) != 1 || string(feed[0].Data) != fmt.Sprintf(`{"webhook_id":%q,"reason":"gone","book_id":%q}`, e.ID, e.Book) {
				t.Errorf("feed of %s = %+v, %v", book, feed, err)
			}
		}
		b.emit("card.created")
		b.deliver()
		if _, err := b.Resend(t.Context(), b.changeOf(e), event); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("resend to a disabled endpoint: %v", err)
		}
		if n := len(r.requests()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		r.answer(answerWith(200))
		if _, err := b.Enable(t.Context(), b.changeOf(e)); err != nil {
			t.Fatal(err)
		}
		b.emit("card.created")
		b.deliver()
		if n := len(r.requests()); n != 2 {
			t.Errorf("%d requests after it was enabled, want 2", n)
		}
		if _, _, err := b.Deliveries(t.Context(), DeliveryFilter{Book: book, Endpoint: e.ID, State: "deliverd"}); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("deliveries in a state that there is not: %v", err)
		}
	})
}

// An endpoint that has failed for days without one success is disabled; one success in between begins the count anew.
func TestDisableAfterDays(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		r := newReceiver(t, answerWith(500))
		e, _ := b.create(r, SchemeCardPing, "*")
		day := func() {
			b.emit("card.created")
			b.clock.Advance(24 * time.Hour)
			b.deliver()
		}
		for range 4 {
			day()
		}
		r.answer(answerWith(200))
		day()
		if got := b.endpoint(e); !got.Active || got.Failures != 0 {
			t.Fatalf("after a success: %+v", got)
		}
		r.answer(answerWith(500))
		for range 5 {
			day()
		}
		if got := b.endpoint(e); !got.Active {
			t.Fatalf("disabled too early: %+v", got)
		}
		day()
		if got := b.endpoint(e); got.Active || got.Reason != ReasonFailing {
			t.Errorf("after five days: %+v", got)
		}
		pending, _, err := b.Deliveries(t.Context(), DeliveryFilter{Book: book, Endpoint: e.ID, State: deliveryPending})
		if err != nil || len(pending) == 0 {
			t.Fatalf("%d deliveries are pending, %v", len(pending), err)
		}
		r.answer(answerWith(200))
		if _, err := b.Enable(t.Context(), b.changeOf(e)); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(24 * time.Hour)
		b.deliver()
		if d := b.delivery(e, pending[0].Event); d.State != deliveryDelivered {
			t.Errorf("what was pending is %+v", d)
		}
	})
}

// Each way in which an attempt can go wrong has its word in the log of attempts.
func TestErrorClasses(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	wait := func(w http.ResponseWriter, _ *http.Request) { <-hang }
	redirect := newReceiver(t)
	closed := newReceiver(t)
	closed.Close()
	plain := newReceiver(t)
	for _, c := range []struct {
		want string
		url  string
		do   http.HandlerFunc
	}{
		{want: ErrorTimeout, do: wait},
		{want: ErrorTimeout, do: func(w http.ResponseWriter, q *http.Request) {
			w.WriteHeader(500)
			w.(http.Flusher).Flush()
			wait(w, q)
		}},
		{want: ErrorRedirect, do: answerWith(302, "Location", redirect.URL)},
		{want: ErrorStatus, do: answerWith(404)},
		{want: ErrorProtocol, do: func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }},
		{want: ErrorProtocol, do: func(w http.ResponseWriter, _ *http.Request) { // no deadline holds for what comes over such a connection
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n")
			<-hang
		}},
		{want: ErrorConnect, url: closed.URL},
		{want: ErrorTLS, url: strings.Replace(plain.URL, "127.0.0.1", "localhost", 1)},
		{want: "", do: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 100<<10)) // more than is read
		}},
	} {
		b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), Config{Timeout: 300 * time.Millisecond})
		if c.want != ErrorTimeout {
			b.client.Transport, b.Config.Timeout = newClient(b.Guard, Config{Timeout: time.Minute, Roots: testRoots()}).Transport, time.Minute
		}
		r := newReceiver(t, c.do)
		if c.url == "" {
			c.url = r.URL
		}
		e := b.add(NewEndpoint{Book: book, Realm: realm.Live, URL: c.url, Events: []string{"*"}, Scheme: SchemeCardPing, Actor: "key/k1"}).Endpoint
		event := b.emit("card.created")
		b.deliver()
		attempts := b.attempts(b.delivery(e, event))
		if len(attempts) != 1 || attempts[0].Error != c.want || len(attempts[0].Answer) > maxAnswer {
			t.Errorf("want %q, attempts = %+v", c.want, attempts)
		}
		b.client.CloseIdleConnections()
	}
	if n := len(redirect.requests()); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

// A process that dies between event and delivery loses nothing: another turns each event into exactly one delivery per endpoint.
func TestCrashBetweenEventAndDelivery(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		died := setup(t, db, Config{})
		r1, r2 := newReceiver(t), newReceiver(t)
		e1, _ := died.create(r1, SchemeCardPing, "*")
		e2, _ := died.create(r2, SchemeCardPing, "*")
		var events []EventID
		for range 300 {
			events = append(events, died.emit("card.created"))
		}
		one, two := setupAt(t, db, died.clock, Config{}), setupAt(t, db, died.clock, Config{})
		var group sync.WaitGroup
		for _, b := range []*bundle{one, two, one, two} {
			group.Go(func() {
				if _, err := b.Dispatch(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		one.start()
		two.start()
		counts := map[string]int{}
		for range 2 * len(events) {
			select {
			case <-r1.arrived:
				counts["first"]++
			case <-r2.arrived:
				counts["second"]++
			}
		}
		one.Stop()
		two.Stop()
		for _, b := range []*bundle{one, two} {
			if err := b.jobs.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(map[string]int{"first": 300, "second": 300}, counts); diff != "" {
			t.Error(diff)
		}
		for _, event := range events {
			d1, d2 := one.delivery(e1, event), one.delivery(e2, event)
			if d1.State != deliveryDelivered || d2.State != deliveryDelivered || d1.Attempts != 1 || d2.Attempts != 1 {
				t.Fatalf("deliveries = %+v, %+v", d1, d2)
			}
		}
		if rows, err := one.DeliveriesOf(t.Context(), book, events[0]); err != nil || len(rows) != 2 {
			t.Errorf("%d rows for one event, %v", len(rows), err)
		}
	})
}

// Where several processes share a database, one passes over the events that another has in hand instead of waiting for it.
func TestDispatchSkipsWhatIsTaken(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := setup(t, db, Config{})
		two := setupAt(t, db, one.clock, Config{})
		e, _ := one.create(newReceiver(t), SchemeCardPing, "*")
		for range dispatchBatch {
			one.emit("card.created")
		}
		if _, err := one.Create(t.Context(), ask(func(n *NewEndpoint) { n.Book = "bk_b" })); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if err := one.write(one.Outbox.Effects(Event{Book: "bk_b", Realm: realm.Live, Type: "card.created", Data: []byte(`{}`)})); err != nil {
				t.Fatal(err)
			}
		}
		mine, others := 0, 0
		err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			n, err := one.dispatch(ctx, tx)
			mine = n
			if err == nil && db.Shared() {
				others, err = two.Dispatch(ctx)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !db.Shared() {
			if others, err = two.Dispatch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if mine != dispatchBatch || others != 10 {
			t.Errorf("one took %d events, the other %d", mine, others)
		}
		if n, err := one.Dispatch(t.Context()); n != 0 || err != nil {
			t.Errorf("%d events are left, %v", n, err)
		}
		if rows := column(t, db, allDeliveries); len(rows) != dispatchBatch+10 {
			t.Errorf("%d deliveries to %s", len(rows), e.ID)
		}
	})
}

// What is not on disk yet is told to nobody, by a turn that is under way either: a crash would
// take back what was told.
func TestNothingIsToldBeforeItIsOnDisk(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b, r := setup(t, db, Config{}), newReceiver(t)
		e, _ := b.create(r, SchemeCardPing, "*")
		event := b.emit("card.created")
		begun, release := make(chan struct{}), make(chan struct{})
		nothing := func(context.Context, *storage.Tx) error { return nil }
		if err := db.Commit(t.Context(), nothing, func(error) { close(begun); <-release }); err != nil {
			t.Fatal(err)
		}
		<-begun // whoever wants something put on disk waits from now on
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := b.Dispatch(t.Context()); err != nil {
				t.Error(err)
			}
		})
		for seen := false; !seen; {
			found, err := b.DeliveriesOf(t.Context(), book, event)
			if err != nil {
				t.Fatal(err)
			}
			seen = len(found) > 0
		}
		turn, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		over := make(chan error, 1)
		go func() {
			over <- b.turn(turn, job.Job{Kind: jobDeliver, Book: string(book), Realm: realm.Live, Unique: string(e.ID)})
		}()
		select {
		case <-r.arrived:
			t.Error("it was told before it was on disk")
			close(release)
			<-over
		case err := <-over:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the turn ended with %v", err)
			}
			close(release)
		}
		group.Wait()
		if err := b.jobs.Drain(t.Context()); err != nil || b.delivery(e, event).State != deliveryDelivered {
			t.Errorf("the delivery is %+v, %v", b.delivery(e, event), err)
		}
	})
}

// Endpoints that hang hold back neither others nor more than their share of requests.
func TestSlowEndpointsStarveNobody(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		const perEndpoint = 3
		b := setup(t, db, Config{PerEndpoint: perEndpoint, Workers: 4, Timeout: time.Minute})
		release := make(chan struct{})
		slow := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { <-release })
		fast := newReceiver(t)
		b.create(slow, SchemeCardPing, "*")
		b.create(fast, SchemeCardPing, "*")
		const events = 40
		for range events {
			b.emit("card.created")
		}
		b.start()
		for range perEndpoint {
			<-slow.arrived
		}
		for range events {
			<-fast.arrived
		}
		if n := len(slow.requests()); n != perEndpoint {
			t.Errorf("the slow endpoint has %d requests at once, want %d", n, perEndpoint)
		}
		close(release)
		for range events - perEndpoint {
			<-slow.arrived
		}
	})
}

// An endpoint that fails is tried with one request at a time, ever more rarely; the first success opens it again.
func TestFailingEndpointIsProbed(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{PerEndpoint: 4})
		r := newReceiver(t, answerWith(500))
		e, _ := b.create(r, SchemeCardPing, "*")
		const events = 20
		for range events {
			b.emit("card.created")
		}
		b.deliver()
		if n := len(r.requests()); n != 4 {
			t.Fatalf("%d requests at first, want 4", n)
		}
		for i := 1; i <= 9; i++ {
			pause := pauseAfter(i)
			b.clock.Advance(pause - time.Millisecond)
			b.deliver()
			if n := len(r.requests()); n != 3+i {
				t.Fatalf("%d requests before pause %d is over, want %d", n, i, 3+i)
			}
			b.clock.Advance(time.Millisecond)
			b.deliver()
			if n := len(r.requests()); n != 4+i {
				t.Fatalf("%d requests after pause %d, want %d", n, i, 4+i)
			}
		}
		if got := b.endpoint(e); got.Failures != 10 || !got.FailingSince.Equal(epoch) {
			t.Errorf("endpoint = %+v", got)
		}
		r.answer(answerWith(200))
		b.clock.Advance(2 * time.Hour)
		b.deliver()
		left, _, err := b.Deliveries(t.Context(), DeliveryFilter{Book: book, Endpoint: e.ID, State: deliveryPending})
		if err != nil || len(left) != 0 {
			t.Errorf("%d deliveries are left, %v", len(left), err)
		}
	})
}

// An endpoint that is left alone for a while is not left alone for longer because the machine's
// clock was set back.
func TestPauseAfterClockSetBack(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		r := newReceiver(t, answerWith(500))
		e, _ := b.create(r, SchemeCardPing, "*")
		b.emit("card.created")
		b.deliver()
		b.clock.Advance(-24 * time.Hour)
		r.answer(answerWith(200))
		event := b.emit("card.created")
		b.deliver()
		if d := b.delivery(e, event); d.State != deliveryDelivered {
			t.Errorf("the event after it is %s", d.State)
		}
	})
}

// Requests carry signatures of both secrets during the grace of a rotation and of the new one alone afterwards.
func TestRotation(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		pings, cards := newReceiver(t), newReceiver(t)
		e1, old1 := b.create(pings, SchemeCardPing, "*")
		e2, old2 := b.create(cards, SchemeCryptoCardy, "*")
		one, err := b.Rotate(t.Context(), b.changeOf(e1), Rotation{Grace: time.Hour})
		if err != nil || !one.PreviousUntil.Equal(epoch.Add(time.Hour)) || one.Secret.Equal(old1) {
			t.Fatalf("rotate = %+v, %v", one, err)
		}
		two, err := b.Rotate(t.Context(), b.changeOf(e2), Rotation{Grace: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		b.emit("card.created")
		b.deliver()
		b.clock.Advance(time.Hour)
		b.emit("card.created")
		b.deliver()
		for i, old := range []bool{true, false} {
			q := pings.requests()[i]
			if err := verifyCardPing(q.Get("CP-Signature"), []byte(q.body), one.Secret, b.clock.Now().Add(-time.Duration(1-i)*time.Hour)); err != nil {
				t.Errorf("request %d, new secret: %v", i, err)
			}
			err := verifyCardPing(q.Get("CP-Signature"), []byte(q.body), old1, b.clock.Now().Add(-time.Duration(1-i)*time.Hour))
			if old != (err == nil) {
				t.Errorf("request %d, old secret: %v", i, err)
			}
			q = cards.requests()[i]
			if q.Get(HeaderCryptoCardy) != fmt.Sprintf("%x", mac(two.Secret, []byte(q.body))) {
				t.Errorf("request %d is not signed with the new secret", i)
			}
			if previous := q.Get(HeaderCryptoCardyPrevious); old != (previous == fmt.Sprintf("%x", mac(old2, []byte(q.body)))) || !old && previous != "" {
				t.Errorf("request %d has the previous signature %q", i, previous)
			}
		}
	})
}

// How long a replaced secret signs is the machine's time: whoever moves the test realm's clock
// ends no grace.
func TestRotationOutlastsTestClock(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		r := newReceiver(t)
		e := b.add(NewEndpoint{Book: "bk_t", Realm: realm.Test, URL: r.URL, Events: []string{"*"}, Scheme: SchemeCardPing, Actor: "key/k1"})
		if err := b.Clocks.SetOffset(24 * time.Hour); err != nil {
			t.Fatal(err)
		}
		change := Change{Book: e.Book, Endpoint: e.ID, Actor: "key/k1"}
		got, err := b.Rotate(t.Context(), change, Rotation{Grace: time.Hour})
		if err != nil || !got.PreviousUntil.Equal(epoch.Add(time.Hour)) {
			t.Fatalf("rotate = %+v, %v", got, err)
		}
		if err := b.Clocks.SetOffset(48 * time.Hour); err != nil {
			t.Fatal(err)
		}
		signed := func() error {
			if _, err := b.SendTest(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			b.deliver()
			all := r.requests()
			last := all[len(all)-1]
			return verifyCardPing(last.Get("CP-Signature"), []byte(last.body), e.Secret, b.clock.Now())
		}
		if err := signed(); err != nil {
			t.Errorf("within the grace: %v", err)
		}
		b.clock.Advance(time.Hour)
		if signed() == nil {
			t.Error("the old secret signs after its grace")
		}
	})
}

// A test event reaches its endpoint alone, whatever it subscribed to, and at once though it is failing.
func TestSendTest(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{})
		r, other := newReceiver(t, answerWith(500), answerWith(200)), newReceiver(t)
		e, _ := b.create(r, SchemeCardPing, "ping.completed")
		b.create(other, SchemeCardPing, "*")
		b.emit("ping.completed")
		b.deliver()
		d, err := b.SendTest(t.Context(), b.changeOf(e))
		if stored := b.delivery(e, d.Event); err != nil || d != stored {
			t.Fatalf("queued %+v, %v, stored %+v", d, err, stored)
		}
		b.deliver()
		got := r.requests()
		if len(got) != 2 || !strings.Contains(got[1].body, `"type":"webhook.test"`) || !strings.Contains(got[1].body, string(d.Event)) {
			t.Errorf("requests = %+v", got)
		}
		if d := b.delivery(e, d.Event); d.State != deliveryDelivered {
			t.Errorf("delivery = %+v", d)
		}
		if slices.ContainsFunc(other.requests(), func(q request) bool { return strings.Contains(q.body, TypeTest) }) {
			t.Error("another endpoint got the test")
		}
		if _, err := b.Resend(t.Context(), b.changeOf(e), NewEventID()); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("resend of no event: %v", err)
		}
		if _, err := b.Resend(t.Context(), b.changeOf(e), d.Event); err != nil {
			t.Errorf("resend of the test: %v", err)
		}
		if diff := cmp.Diff([]string{"key/k1 webhook.resend", "key/k1 webhook.test"}, b.audited()[:2]); diff != "" {
			t.Error(diff)
		}
		if _, err := b.SendTest(t.Context(), Change{Book: "bk_b", Endpoint: e.ID, Actor: "key/k2"}); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("test of another book's endpoint: %v", err)
		}
	})
}
