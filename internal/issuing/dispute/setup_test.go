package dispute_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/issuer"
	"github.com/scripcards/scrip/internal/webhook"
)

var (
	epoch = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

	ann = issuing.Holder{Book: "bk_ann", Realm: realm.Test, Actor: "seed/ann"}
	bob = issuing.Holder{Book: "bk_bob", Realm: realm.Test, Actor: "seed/bob"}

	ads = authorization.Merchant{ID: "M-ADS", Name: "FACEBK ADS", MCC: "7311", Country: "US"}
)

const day = 24 * time.Hour

// process is one running program with a customer who has 1,000.00 in the wallet.
type process struct {
	*issuer.Issuer
	*dispute.Service
	t      testing.TB
	clock  *clock.Manual
	serial int
}

func setup(t testing.TB, db *storage.DB) *process {
	t.Helper()
	p := &process{t: t, clock: clock.NewManual(epoch)}
	p.Issuer = issuer.Open(t, db, issuer.Config{Clocks: clock.NewRealms(p.clock), Key: vault.NewMasterKey(), Random: rand.NewChaCha8([32]byte{1})})
	p.Customer(ann, 100_000)
	p.Service = dispute.New(dispute.Deps{DB: db, Books: p.Books, Payments: p.Payments, Vault: p.Vault, Outbox: p.Outbox, Audit: p.Audit, Clocks: p.Clocks, Policy: dispute.DefaultPolicy()})
	p.Payments.Disputes = p.Service
	return p
}

func eachEngine(t *testing.T, test func(t *testing.T, p *process)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db)) })
}

func usd(minor int64) money.Amount { return money.New(minor, money.USD) }

func (p *process) key() string {
	p.serial++
	return fmt.Sprint("key-", p.serial)
}

func (p *process) issue(minor int64) issuing.CardID {
	p.t.Helper()
	card, err := p.Cards.Issue(context.Background(), ann, issuing.NewCard{BIN: "491653", Amount: usd(minor)})
	check.OK(p.t, err)
	return card.ID
}

// buy makes a payment and has it captured.
func (p *process) buy(card issuing.CardID, minor int64) authorization.ID {
	p.t.Helper()
	d, err := p.Payments.Authorize(context.Background(), authorization.Request{Book: ann.Book, Card: card, Key: p.key(), Amount: usd(minor), Merchant: ads})
	check.OK(p.t, err)
	p.advise(p.Payments.Capture, authorization.Advice{Payment: d.ID}, "")
	return d.ID
}

func (p *process) advise(do func(context.Context, authorization.Advice) (authorization.Decision, error), a authorization.Advice, reason authorization.Reason) {
	p.t.Helper()
	a.Book, a.Key = ann.Book, p.key()
	d, err := do(context.Background(), a)
	check.OK(p.t, err)
	check.Equal(p.t, "reason", d.Reason, reason)
}

func (p *process) open(payment authorization.ID, minor int64) dispute.Dispute {
	p.t.Helper()
	o := dispute.Opening{Holder: ann, Payment: payment, Reason: dispute.NotReceived}
	if minor != 0 {
		o.Amount = usd(minor)
	}
	d, err := p.Open(context.Background(), o)
	check.OK(p.t, err)
	return d
}

func (p *process) move(d dispute.Dispute, to dispute.State) dispute.Dispute {
	p.t.Helper()
	moved, err := p.Move(context.Background(), dispute.Step{Book: d.Book, Dispute: d.ID, To: to, Words: "as decided", Actor: "op/1"})
	check.OK(p.t, err)
	check.Equal(p.t, "state", moved.State, to)
	check.Equal(p.t, "changed at", moved.ChangedAt, p.clock.Now())
	return moved
}

// look checks what a card can spend and what stands on the accounts of the book.
func (p *process) look(card issuing.CardID, balance, disputed, settled, owed int64) {
	p.t.Helper()
	now, err := p.Cards.Get(context.Background(), ann, card)
	check.OK(p.t, err)
	check.Equal(p.t, "balance, disputed, settled, owed", []int64{now.Balance.Minor, p.posted("card.disputed/USD"), p.posted("card.settlement/USD"), p.posted("card.receivable/USD")},
		[]int64{balance, disputed, settled, owed})
}

func (p *process) spent(card issuing.CardID) int64 {
	p.t.Helper()
	now, err := p.Cards.Get(context.Background(), ann, card)
	check.OK(p.t, err)
	return now.Spent.Minor
}

func (p *process) posted(account ledger.AccountID) int64 {
	p.t.Helper()
	a, err := p.Books.FindAccount(context.Background(), ann.Book, account)
	if fault.CodeOf(err) == fault.NotFound {
		return 0
	}
	check.OK(p.t, err)
	return a.Posted().Minor
}

func (p *process) verify() {
	p.t.Helper()
	check.OK(p.t, p.DB.Snapshot(context.Background(), func(ctx context.Context, q storage.Queryer) error {
		report, err := ledger.Verify(ctx, q, nil)
		check.Equal(p.t, "problems of the books", report.Problems, nil)
		return err
	}))
}

// audited is who did what to a dispute, and the words that are kept of that, oldest first.
func (p *process) audited(d dispute.Dispute) (all []string) {
	p.t.Helper()
	entries, err := p.Audit.List(context.Background(), audit.Filter{Book: string(d.Book), Subject: string(d.ID)})
	check.OK(p.t, err)
	for _, e := range slices.Backward(entries) {
		all = append(all, strings.TrimSpace(e.Actor+" "+e.Action+" "+e.Detail["reason"]+e.Detail["place"]))
	}
	return all
}

// told are the types of the events about disputes, oldest first.
func (p *process) told() (types []string) {
	p.t.Helper()
	events, err := p.Outbox.List(context.Background(), webhook.EventFilter{Book: ann.Book, Limit: webhook.MaxLimit})
	check.OK(p.t, err)
	for _, e := range events {
		if len(e.Type) > 8 && e.Type[:8] == "dispute." {
			types = append([]string{e.Type}, types...)
		}
	}
	return types
}
