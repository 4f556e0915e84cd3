package statement_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/statement"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/issuer"
	"github.com/scripcards/scrip/internal/wallet"
)

var (
	epoch = time.Date(2026, 9, 20, 9, 0, 0, 0, time.UTC)

	ann = issuing.Holder{Book: "bk_ann", Realm: realm.Test, Actor: "seed/ann"}
	bob = issuing.Holder{Book: "bk_bob", Realm: realm.Test, Actor: "seed/bob"}

	ads   = authorization.Merchant{ID: "M-ADS", Name: "FACEBK ADS", MCC: "7311", Country: "US"}
	diner = authorization.Merchant{ID: "M-EAT", Name: "=Chez Ann, Paris", MCC: "5812", Country: "FR"}
)

const day = 24 * time.Hour

// purse is the subject of a wallet's statements.
var purse = statement.Subject{Wallet: money.USD}

func of(card issuing.CardID) statement.Subject { return statement.Subject{Card: card} }

// process is one running program with two customers, of whom one has done nothing yet.
type process struct {
	*issuer.Issuer
	*statement.Service
	t      testing.TB
	clock  *clock.Manual
	serial int
}

func setup(t testing.TB, db *storage.DB) *process {
	t.Helper()
	p := &process{t: t, clock: clock.NewManual(epoch)}
	p.Issuer = issuer.Open(t, db, issuer.Config{Clocks: clock.NewRealms(p.clock), Key: vault.NewMasterKey(), Random: rand.NewChaCha8([32]byte{1})})
	p.Service = statement.New(statement.Deps{DB: db, Books: p.Books, Cards: p.Cards, Payments: p.Payments, Clocks: p.Clocks})
	for _, h := range []issuing.Holder{ann, bob} {
		p.Customer(h, 0)
	}
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

func (p *process) load(minor int64) {
	p.t.Helper()
	_, err := p.Wallets.Load(context.Background(), wallet.Load{Book: ann.Book, Realm: ann.Realm, Amount: usd(minor), Reference: p.key(), Actor: "op/1"})
	check.OK(p.t, err)
}

// deposit credits what a chain paid, less a fee, or takes it back.
func (p *process) deposit(minor, fee int64, back bool) {
	p.t.Helper()
	from, to, kept := wallet.Custody(asset.BTC, money.USD), wallet.Account(money.USD), wallet.Fees(money.USD)
	op := ledger.Operation{Book: ann.Book, Kind: "deposit.credit", Reference: "dep_" + p.key(), Actor: "deposit", At: p.clock.Now(), Open: []ledger.NewAccount{from, to, kept},
		Postings: []ledger.Posting{{Debit: from.ID, Credit: to.ID, Amount: usd(minor)}, {Debit: from.ID, Credit: kept.ID, Amount: usd(fee)}}}
	if back {
		op.Kind = "deposit.reverse"
		op.Postings = []ledger.Posting{{Debit: to.ID, Credit: from.ID, Amount: usd(minor), Forced: true}, {Debit: kept.ID, Credit: from.ID, Amount: usd(fee)}}
	}
	_, err := p.Books.Submit(context.Background(), op)
	check.OK(p.t, err)
}

func (p *process) issue(minor int64) issuing.CardID {
	p.t.Helper()
	card, err := p.Cards.Issue(context.Background(), ann, issuing.NewCard{BIN: "491653", Amount: usd(minor)})
	check.OK(p.t, err)
	return card.ID
}

func (p *process) fund(card issuing.CardID, minor int64) {
	p.t.Helper()
	_, err := p.Cards.Fund(context.Background(), ann, issuing.Transfer{Card: card, Amount: usd(minor)})
	check.OK(p.t, err)
}

func (p *process) pay(card issuing.CardID, minor int64, m authorization.Merchant) authorization.Decision {
	p.t.Helper()
	d, err := p.Payments.Authorize(context.Background(), authorization.Request{Book: ann.Book, Card: card, Key: p.key(), Amount: usd(minor), Merchant: m})
	check.OK(p.t, err)
	return d
}

// sender sends a message about a payment.
type sender = func(context.Context, authorization.Advice) (authorization.Decision, error)

func (p *process) advise(do sender, a authorization.Advice) authorization.Decision {
	p.t.Helper()
	a.Book, a.Key = ann.Book, p.key()
	d, err := do(context.Background(), a)
	check.OK(p.t, err)
	return d
}

func (p *process) get(of statement.Subject, month string) statement.Statement {
	p.t.Helper()
	m, err := statement.ParseMonth(month)
	check.OK(p.t, err)
	st, err := p.Get(context.Background(), ann, of, m)
	check.OK(p.t, err)
	return st
}

// movements reads all movements of a statement, some at a time.
func (p *process) movements(st *statement.Statement, page int) []statement.Movement {
	p.t.Helper()
	var all []statement.Movement
	for {
		part, err := p.Movements(context.Background(), st, int64(len(all)), page)
		check.OK(p.t, err)
		if len(part) == 0 {
			return all
		}
		all = append(all, part...)
	}
}
