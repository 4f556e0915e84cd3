package decision_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/authorization/decision"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/webhook"
)

const book = ledger.BookID("bk_ann")

var epoch = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// world is a service with the server that it asks.
type world struct {
	*decision.Service
	t      *testing.T
	clock  *clock.Manual
	outbox *webhook.Outbox
	server *httptest.Server
	log    strings.Builder
	asked  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc]
}

// setup returns a service whose guard may call this machine, and a server that approves.
func setup(t *testing.T, db *storage.DB) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewManual(epoch)}
	w.server = httptest.NewTLSServer(http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		(*w.answer.Load())(to, r)
	}))
	t.Cleanup(w.server.Close)
	w.says(`{"decision":"approve"}`)
	roots := x509.NewCertPool()
	roots.AddCert(w.server.Certificate())
	clocks, ctx := clock.NewRealms(w.clock), context.Background()
	keys, err := vault.Open(ctx, db, vault.NewMasterKey())
	check.OK(t, err)
	logger, log := slog.New(slog.NewTextHandler(&w.log, nil)), audit.New(db)
	hooks := webhook.New(webhook.Deps{DB: db, Clocks: clocks, Vault: keys, Queue: job.New(db, clocks, logger), Audit: log, Logger: logger})
	w.outbox = hooks.Outbox
	check.OK(t, db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return ledger.OpenBook(ctx, tx, ledger.Book{ID: book, Realm: realm.Live, OpenedAt: epoch})
	}))
	w.Service = decision.New(decision.Deps{DB: db, Vault: keys, Outbox: hooks.Outbox, Audit: log, Clocks: clocks,
		Guard: &webhook.Guard{AllowPrivate: true}, Logger: logger, Config: decision.Config{Roots: roots, Failures: 3}})
	t.Cleanup(w.Close)
	return w
}

func eachEngine(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

// says has the server answer with a body.
func (w *world) says(body string) {
	w.handles(func(to http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(to, body) })
}

func (w *world) handles(fn http.HandlerFunc) { w.answer.Store(&fn) }

func (w *world) put(change func(*decision.Put)) decision.Saved {
	w.t.Helper()
	p := decision.Put{Decider: decision.Decider{Book: book, URL: w.server.URL, Deadline: decision.MaxDeadline}, Actor: "seed/ann"}
	if change != nil {
		change(&p)
	}
	saved, err := w.Put(context.Background(), p)
	check.OK(w.t, err)
	return saved
}

func (w *world) decide(want authorization.Verdict) {
	w.t.Helper()
	got := w.Decide(context.Background(), authorization.Question{Book: book, Realm: realm.Live, Payment: "auth_1", Card: "card_1", Last4: "2039",
		Amount: money.New(1250, money.USD), Merchant: authorization.Merchant{ID: "M", Name: "FACEBK ADS", MCC: "7311", Country: "US"},
		Category: "advertising", Entry: authorization.Online, Score: 7, At: epoch})
	if got != want {
		w.t.Errorf("the verdict is %q, want %q", got, want)
	}
}

// A book without a server is asked nothing; one with a server is asked in a signed request,
// and its answer counts.
func TestAsk(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.decide(authorization.Allow)
		if w.asked.Load() != 0 {
			t.Error("a book without a server was asked about")
		}
		saved := w.put(nil)
		var body []byte
		var header http.Header
		w.handles(func(to http.ResponseWriter, r *http.Request) {
			body, _ = io.ReadAll(r.Body)
			header = r.Header
			_, _ = io.WriteString(to, `{"decision":"decline","note":"not on a Saturday"}`)
		})
		w.decide(authorization.Deny)
		sum := hmac.New(sha256.New, []byte(saved.Secret.Reveal()))
		_, _ = sum.Write(body)
		if got := header.Get(webhook.HeaderCryptoCardy); got != hex.EncodeToString(sum.Sum(nil)) {
			t.Errorf("signature %q", got)
		}
		id := header.Get("X-CryptoCardy-Delivery")
		want := `{"id":"` + id + `","type":"authorization.request","created_at":"2026-11-21T09:00:00Z","data":{"authorization_id":"auth_1","card_id":"card_1","last4":"2039",` +
			`"amount":"12.50","currency":"USD","merchant_id":"M","merchant_name":"FACEBK ADS","merchant_category":"advertising","mcc":"7311",` +
			`"merchant_country":"US","entry":"ecommerce","fraud_score":7,"deadline_ms":5000}}`
		if diff := cmp.Diff(want, string(body)); diff != "" {
			t.Errorf("question (-want +got):\n%s", diff)
		}
		w.says(`{"decision":"approve"}`)
		w.decide(authorization.Allow)
	})
}

// Without an answer in time, what was stated happens; the answer that comes later changes
// nothing and is told. A server that is always late is left alone like one that fails,
// until it is saved anew.
func TestLateAnswer(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		late := func(want authorization.Verdict) {
			release := make(chan struct{})
			w.handles(func(to http.ResponseWriter, _ *http.Request) {
				<-release
				_, _ = io.WriteString(to, `{"decision":"decline"}`)
			})
			w.decide(want)
			close(release)
			w.Wait()
		}
		for otherwise, want := range map[decision.Otherwise]authorization.Verdict{
			decision.Approve: authorization.Allow, decision.Decline: authorization.Deny, decision.StandIn: authorization.Absent, "": authorization.Absent} {
			w.put(func(p *decision.Put) { p.Deadline, p.Otherwise = decision.MinDeadline, otherwise })
			late(want)
		}
		events, err := w.outbox.List(context.Background(), webhook.EventFilter{Book: book})
		check.OK(t, err)
		if len(events) != 4 {
			t.Fatalf("%d events of late answers, want 4", len(events))
		}
		for _, e := range events {
			if e.Type != "decision.late" || !strings.HasPrefix(string(e.Data), `{"authorization_id":"auth_1","card_id":"card_1","decision":"decline","otherwise":"`) {
				t.Errorf("event %s %s", e.Type, e.Data)
			}
		}
		w.put(func(p *decision.Put) { p.Deadline = decision.MinDeadline })
		before := w.asked.Load()
		for range 5 {
			late(authorization.Absent)
		}
		check.Equal(t, "how often it was asked", w.asked.Load()-before, int64(3))
		w.put(nil)
		w.says(`{"decision":"decline"}`)
		w.decide(authorization.Deny)
	})
}

// Whoever asks and leaves says nothing of the server, which is asked on.
func TestLeave(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.put(nil)
		for range 5 {
			ctx, leave := context.WithCancel(context.Background())
			release := make(chan struct{})
			w.handles(func(http.ResponseWriter, *http.Request) {
				leave()
				<-release
			})
			if got := w.Decide(ctx, authorization.Question{Book: book, Realm: realm.Live}); got != authorization.Absent {
				t.Errorf("the verdict is %q, want %q", got, authorization.Absent)
			}
			close(release)
			w.Wait()
		}
		w.says(`{"decision":"decline"}`)
		w.decide(authorization.Deny)
	})
}

// Stopping gives up a question that nobody answers.
func TestClose(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.put(func(p *decision.Put) { p.Deadline = decision.MinDeadline })
		release := make(chan struct{})
		w.handles(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		w.decide(authorization.Absent)
		w.Close()
		close(release)
		events, err := w.outbox.List(context.Background(), webhook.EventFilter{Book: book})
		check.OK(t, err)
		if len(events) != 0 {
			t.Errorf("events %+v", events)
		}
	})
}

// What is no answer counts as none, and a server that keeps failing is left alone for a while.
func TestFailures(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.put(func(p *decision.Put) { p.Otherwise, p.URL = decision.Decline, p.URL+"/hooks/a-key-in-the-path" })
		for name, fn := range map[string]http.HandlerFunc{
			"broken":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"error":    func(to http.ResponseWriter, _ *http.Request) { to.WriteHeader(http.StatusInternalServerError) },
			"redirect": func(to http.ResponseWriter, r *http.Request) { http.Redirect(to, r, w.server.URL, http.StatusFound) },
			"empty":    func(http.ResponseWriter, *http.Request) {},
			"no JSON":  func(to http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(to, "approve") },
			"other":    func(to http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(to, `{"decision":"maybe"}`) },
			"too long": func(to http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(to, `{"decision":"approve","x":"`+strings.Repeat("x", 8<<10)+`"}`)
			},
			"cut off": func(to http.ResponseWriter, _ *http.Request) {
				to.Header().Set("Content-Length", "100")
				_, _ = io.WriteString(to, `{`)
			},
		} {
			t.Run(name, func(*testing.T) {
				w.handles(fn)
				w.decide(authorization.Deny)
				w.says(`{"decision":"approve"}`)
				w.decide(authorization.Allow) // one success makes it well again
			})
		}
		w.handles(func(to http.ResponseWriter, _ *http.Request) { to.WriteHeader(http.StatusBadGateway) })
		before := w.asked.Load()
		for range 10 {
			w.decide(authorization.Deny)
		}
		if got := w.asked.Load() - before; got != 3 {
			t.Errorf("a failing server was asked %d times, want 3", got)
		}
		w.clock.Advance(11 * time.Second)
		w.says(`{"decision":"approve"}`)
		w.decide(authorization.Allow)
		if log := w.log.String(); strings.Count(log, "ask about a payment") != 11 || strings.Contains(log, "a-key-in-the-path") {
			t.Errorf("log: %s", log)
		}
	})
}

// The secret is shown when it is made or changed and stays otherwise; what may not be
// called is refused; whoever is deleted is asked no more.
func TestPut(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		first := w.put(nil)
		if len(first.Secret.Reveal()) < 32 || first.Otherwise != decision.StandIn {
			t.Errorf("saved %+v", first)
		}
		if again := w.put(nil); !again.Secret.IsZero() {
			t.Error("the secret is shown again")
		}
		own := pan.NewSecret("sixteen-bytes-ok")
		if changed := w.put(func(p *decision.Put) { p.Secret = own }); !changed.Secret.Equal(own) {
			t.Error("the secret was not changed")
		}
		found, err := w.Find(ctx, book)
		check.OK(t, err)
		if found.URL != w.server.URL || found.Deadline != decision.MaxDeadline || !found.ChangedAt.Equal(epoch) {
			t.Errorf("found %+v", found)
		}
		for name, change := range map[string]func(*decision.Put){
			"no URL":        func(p *decision.Put) { p.URL = "" },
			"too fast":      func(p *decision.Put) { p.Deadline = time.Millisecond },
			"too slow":      func(p *decision.Put) { p.Deadline = time.Minute },
			"otherwise":     func(p *decision.Put) { p.Otherwise = "maybe" },
			"short secret":  func(p *decision.Put) { p.Secret = pan.NewSecret("short") },
			"user and pass": func(p *decision.Put) { p.URL = "https://a:b@example.com/" },
		} {
			p := decision.Put{Decider: decision.Decider{Book: book, URL: w.server.URL}}
			change(&p)
			_, err := w.Put(ctx, p)
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.Guard.AllowPrivate = false // the rules are stricter now
		before := w.asked.Load()
		w.decide(authorization.Absent)
		if w.asked.Load() != before {
			t.Error("an address was called that may not be")
		}
		_, err = w.Put(ctx, decision.Put{Decider: decision.Decider{Book: book, URL: w.server.URL}})
		if fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("a loopback address is saved: %v", err)
		}
		check.OK(t, w.Delete(ctx, book, "seed/ann"))
		w.decide(authorization.Allow)
		for what, err := range map[string]error{"delete again": w.Delete(ctx, book, "seed/ann"), "find": func() error { _, err := w.Find(ctx, book); return err }()} {
			if fault.CodeOf(err) != fault.NotFound {
				t.Errorf("%s: %v", what, err)
			}
		}
		log, err := w.Audit.List(ctx, audit.Filter{Book: string(book)})
		check.OK(t, err)
		if len(log) != 3 || log[0].Action != "decider.delete" || log[2].Action != "decider.put" {
			t.Errorf("audit log %+v", log)
		}
	})
}
