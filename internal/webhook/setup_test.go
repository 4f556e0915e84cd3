package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

const book = ledger.BookID("bk_a")

var epoch = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// bundle is one process: a service with its queue, on a database and a clock that may be shared with others.
type bundle struct {
	*Service
	t     testing.TB
	clock *clock.Manual
	log   *syncBuffer
	jobs  *job.Queue
}

// setup returns a process on db at epoch that trusts the test servers.
func setup(t testing.TB, db *storage.DB, config Config) *bundle {
	t.Helper()
	return setupAt(t, db, clock.NewManual(epoch), config)
}

// masterKey is the same for all processes of a test run, as that of an installation is.
var masterKey = vault.NewMasterKey()

func setupAt(t testing.TB, db *storage.DB, manual *clock.Manual, config Config) *bundle {
	t.Helper()
	sealed, err := vault.Open(t.Context(), db, masterKey)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, clock: manual, log: &syncBuffer{}}
	logger := slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	clocks := clock.NewRealms(manual)
	b.jobs = job.New(db, clocks, logger)
	config.Roots = testRoots()
	b.Service = New(Deps{
		DB: db, Clocks: clocks, Vault: sealed, Queue: b.jobs, Audit: audit.New(db),
		Guard: &Guard{AllowPrivate: true}, Logger: logger, Config: config,
	})
	t.Cleanup(b.client.CloseIdleConnections)
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// start runs the service and its queue until the test ends.
func (b *bundle) start() {
	b.t.Helper()
	if err := b.jobs.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := b.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		b.Stop()
		if err := b.jobs.Stop(context.WithoutCancel(b.t.Context())); err != nil {
			b.t.Errorf("stop jobs: %v", err)
		}
	})
}

// emit commits one event of a type and returns its id.
func (b *bundle) emit(eventType string) EventID {
	b.t.Helper()
	e := Event{ID: NewEventID(), Book: book, Realm: realm.Live, Type: eventType, Data: []byte(`{"n":1}`)}
	if err := b.write(b.Outbox.Effects(e)); err != nil {
		b.t.Fatal(err)
	}
	return e.ID
}

func (b *bundle) write(effects []storage.Effect) error {
	return b.DB.Apply(b.t.Context(), effects)
}

// deliver dispatches and runs what is due now.
func (b *bundle) deliver() {
	b.t.Helper()
	if _, err := b.Dispatch(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := b.jobs.Drain(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) create(r *receiver, scheme string, events ...string) (Endpoint, pan.Secret) {
	b.t.Helper()
	made := b.add(NewEndpoint{Book: book, Realm: realm.Live, URL: r.URL + "/hook", Events: events, Scheme: scheme, Actor: "key/k1"})
	return made.Endpoint, made.Secret
}

func (b *bundle) add(n NewEndpoint) Issued {
	b.t.Helper()
	made, err := b.Create(b.t.Context(), n)
	if err != nil {
		b.t.Fatal(err)
	}
	return made
}

func (b *bundle) changeOf(e Endpoint) Change {
	return Change{Book: e.Book, Endpoint: e.ID, Actor: "key/k1"}
}

func (b *bundle) delivery(e Endpoint, event EventID) Delivery {
	b.t.Helper()
	found, err := b.DeliveriesOf(b.t.Context(), e.Book, event)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range found {
		if d.Endpoint == e.ID {
			return d
		}
	}
	b.t.Fatalf("event %s has no delivery to %s", event, e.ID)
	return Delivery{}
}

func (b *bundle) attempts(d Delivery) []Attempt {
	b.t.Helper()
	found, err := b.Attempts(b.t.Context(), d)
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

func (b *bundle) endpoint(e Endpoint) Endpoint {
	b.t.Helper()
	found, err := b.Find(b.t.Context(), e.Book, e.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

func (b *bundle) audited() (actions []string) {
	b.t.Helper()
	entries, err := b.Audit.List(b.t.Context(), audit.Filter{Book: string(book)})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		actions = append(actions, e.Actor+" "+e.Action)
	}
	return actions
}

// request is what a receiver got.
type request struct {
	http.Header
	body string
}

// receiver is a customer's HTTPS server that answers as it is told and keeps what it got.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	answers []http.HandlerFunc // in order; the last one again and again
	got     []request
	arrived chan request
}

func newReceiver(t testing.TB, answers ...http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{answers: answers, arrived: make(chan request, 4096)}
	r.Server = httptest.NewTLSServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	got := request{Header: q.Header, body: string(body)}
	r.mu.Lock()
	r.got = append(r.got, got)
	answer := answerWith(200)
	if len(r.answers) > 0 {
		answer = r.answers[0]
	}
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	r.mu.Unlock()
	r.arrived <- got
	q.Body = io.NopCloser(bytes.NewReader(body))
	answer(w, q)
}

// answer replaces what the receiver answers from now on.
func (r *receiver) answer(answers ...http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = answers
}

func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.got...)
}

// answerWith writes a status, headers given as name, value…, and a short body.
func answerWith(status int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "answer %d", status)
	}
}

// testRoots trusts the certificate that all test servers show.
var testRoots = sync.OnceValue(func() *x509.CertPool {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return roots
})

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
