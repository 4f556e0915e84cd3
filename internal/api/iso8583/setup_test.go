package iso8583_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/api/iso8583"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/iso"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/provider/simulator/acquirer"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

var (
	masterKey = vault.NewMasterKey()
	ann       = issuing.Holder{Book: "bk_ann", Realm: realm.Test, Actor: "seed/ann"}
)

const binAds = "491653"

// issuer is a running host on a database, with what its tests look at.
type issuer struct {
	t        *testing.T
	db       *storage.DB
	books    *ledger.Ledger
	cards    *issuing.Service
	payments *authorization.Service
	address  string
	log      *journal
	records  chan iso8583.Record
	stop     func() error // stops the host once and returns what Serve did
}

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.more)
	j.more = make(chan struct{})
	return j.text.Write(p)
}

func (j *journal) look() (string, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String(), j.more
}

// await waits until something is logged.
func (i *issuer) await(text string) {
	i.t.Helper()
	for {
		all, more := i.log.look()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-more:
		case <-i.t.Context().Done():
			i.t.Fatalf("%q was never logged", text)
		}
	}
}

// eachEngine runs a test on a host of its own per engine; change may say otherwise than usual.
func eachEngine(t *testing.T, change func(*iso8583.Options), test func(t *testing.T, i *issuer)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		i := assemble(t, db)
		i.populate()
		i.serve(change)
		test(t, i)
		i.prove()
	})
}

func assemble(t *testing.T, db *storage.DB) *issuer {
	t.Helper()
	keys, err := vault.Open(t.Context(), db, masterKey)
	check.OK(t, err)
	i := &issuer{t: t, db: db, log: &journal{more: make(chan struct{})}, records: make(chan iso8583.Record, 10_000)}
	logger := slog.New(slog.NewTextHandler(i.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	clocks, log := clock.NewRealms(clock.System()), audit.New(db)
	i.books = ledger.New(db, clocks, ledger.Config{})
	t.Cleanup(i.books.Close)
	hooks := webhook.New(webhook.Deps{DB: db, Clocks: clocks, Vault: keys, Queue: job.New(db, clocks, logger), Audit: log, Logger: logger})
	check.OK(t, hooks.Refresh(t.Context()))
	i.cards = issuing.New(issuing.Deps{DB: db, Books: i.books, Vault: keys, Outbox: hooks.Outbox, Audit: log, Clocks: clocks, Programme: issuing.DefaultProgramme()})
	i.payments = authorization.New(authorization.Deps{DB: db, Books: i.books, Cards: i.cards, Vault: keys, Outbox: hooks.Outbox, Clocks: clocks,
		Policy: authorization.DefaultPolicy(), Logger: logger})
	return i
}

// populate gives a customer money.
func (i *issuer) populate() {
	i.t.Helper()
	check.OK(i.t, i.db.Write(i.t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return ledger.OpenBook(ctx, tx, ledger.Book{ID: ann.Book, Realm: ann.Realm, OpenedAt: clock.System().Now()})
	}))
	_, err := wallet.New(i.books, i.cards.Outbox, i.cards.Clocks).Load(i.t.Context(),
		wallet.Load{Book: ann.Book, Realm: ann.Realm, Amount: usd(100_000_000), Reference: "first", Actor: "op/1"})
	check.OK(i.t, err)
}

func (i *issuer) serve(change func(*iso8583.Options)) {
	i.t.Helper()
	o := iso8583.Options{Address: "127.0.0.1:0", Realm: realm.Test, Grace: time.Minute}
	if change != nil {
		change(&o)
	}
	h := iso8583.New(iso8583.Deps{Payments: i.payments, Logger: slog.New(slog.NewTextHandler(i.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(r iso8583.Record) { i.records <- r }}, o)
	address, err := h.Listen(i.t.Context())
	check.OK(i.t, err)
	i.address = address.String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx) }()
	i.stop = sync.OnceValue(func() error {
		stop()
		return <-ended
	})
	i.t.Cleanup(func() { _ = i.stop() })
}

// prove stops the host, proves the books, and looks for numbers in the log.
func (i *issuer) prove() {
	i.t.Helper()
	check.OK(i.t, i.stop())
	check.OK(i.t, i.db.Snapshot(context.Background(), func(ctx context.Context, q storage.Queryer) error {
		report, err := ledger.Verify(ctx, q, nil)
		if len(report.Problems) > 0 {
			i.t.Errorf("the books are wrong: %s", strings.Join(report.Problems, "\n"))
		}
		return err
	}))
	if all, _ := i.log.look(); strings.Contains(all, binAds) {
		i.t.Errorf("a number is in the log:\n%s", all)
	}
}

func usd(minor int64) money.Amount { return money.New(minor, money.USD) }

// card is a card as its owner and a merchant have it.
type card struct {
	acquirer.Card
	id issuing.CardID
}

// issue makes a card with money on it.
func (i *issuer) issue(minor int64, change ...func(*issuing.NewCard)) card {
	i.t.Helper()
	n := issuing.NewCard{BIN: binAds, Amount: usd(minor), Label: "test"}
	for _, c := range change {
		c(&n)
	}
	made, err := i.cards.Issue(i.t.Context(), ann, n)
	check.OK(i.t, err)
	d, err := i.cards.Details(i.t.Context(), ann, made.ID)
	check.OK(i.t, err)
	return card{acquirer.Card{Number: d.Number, CVC: d.CVC, Expiry: fmt.Sprintf("%02d%02d", d.Year%100, d.Month)}, made.ID}
}

// look checks what a card can spend and what is held on it.
func (i *issuer) look(c card, balance, held int64) {
	i.t.Helper()
	now, err := i.cards.Get(context.Background(), ann, c.id)
	check.OK(i.t, err)
	if now.Balance != usd(balance) || now.Held != usd(held) {
		i.t.Errorf("the card has %s and %s held, want %s and %s", now.Balance, now.Held, usd(balance), usd(held))
	}
}

// link connects.
func (i *issuer) link() *acquirer.Link {
	i.t.Helper()
	l, err := acquirer.Dial(i.t.Context(), i.address, false)
	check.OK(i.t, err)
	i.t.Cleanup(l.Close)
	return l
}

// elements is a message as it can be changed and packed.
func elements(m *acquirer.Message) iso.Message {
	all := iso.Message{0: m.Type()}
	for n := 2; n <= 128; n++ {
		if value := m.Element(n); value != "" {
			all[n] = value
		}
	}
	return all
}

// send sends messages in one go.
func (i *issuer) send(l *acquirer.Link, line ...iso.Message) {
	i.t.Helper()
	var frames []byte
	for _, m := range line {
		frame, err := m.Pack(iso.NewSpec(false))
		check.OK(i.t, err)
		frames = append(frames, frame...)
	}
	check.OK(i.t, l.Raw(frames))
}

// ask sends a message and expects a code.
func (i *issuer) ask(l *acquirer.Link, m *acquirer.Message, code string) acquirer.Answer {
	i.t.Helper()
	answer, err := l.Ask(i.t.Context(), m)
	check.OK(i.t, err)
	if answer.Code() != code {
		i.t.Errorf("%s is answered with %s, want %s", m.Type(), answer.Code(), code)
	}
	return answer
}

// terminal is one at a merchant of advertisements.
func terminal() *acquirer.Terminal {
	return &acquirer.Terminal{Acquirer: "411111", Number: 7, Merchant: "M-ADS", Name: "FACEBK ADS", City: "Menlo Park", Country: "US", MCC: "7311", Currency: "840"}
}
