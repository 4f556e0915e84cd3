// Package payment owns the load on an issuer: authorizations of virtual cards, over HTTP
// as the sandbox simulates them and over ISO 8583 as card networks send them.
//
// Each card has a customer and a seed of its own, so that no limit of a seed stops the
// load. It must be given an installation that is there for that.
package payment

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/bench"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/provider/simulator/acquirer"
	"github.com/scripcards/scrip/internal/wallet"
)

// Shelf is what an installation makes cards with.
type Shelf struct {
	Accounts *account.Service
	Wallets  *wallet.Service
	Cards    *issuing.Service
	// Network is where card networks connect; empty without them.
	Network string
}

const (
	maxCards   = 100_000
	makers     = 32      // cards that are made at once
	loadedMost = 500_000 // cents on a card: as many payments of a cent
	bin        = "491653"
	actor      = "bench"
	// links are the connections that the payments share, as those of a network do.
	links = 16
)

// Load makes the scenarios.
type Load struct {
	cards []card
	at    *acquirer.Terminal
	run   string // keeps the merchants of two runs apart

	network string
	mu      sync.Mutex
	links   [links]*acquirer.Link
}

type card struct {
	acquirer.Card
	id   issuing.CardID
	seed pan.Secret
}

// Prepare makes so many cards with money in the test realm.
func Prepare(ctx context.Context, s Shelf, cards int) (*Load, error) {
	if cards < 1 || cards > maxCards {
		return nil, fmt.Errorf("prepare %d cards: want 1 to %d", cards, maxCards)
	}
	name := id.New("b")
	l := &Load{cards: make([]card, cards), network: s.Network, run: name[len(name)-8:], at: &acquirer.Terminal{Acquirer: "411111", Merchant: "BENCH", Name: "EXAMPLE ADS",
		City: "Menlo Park", Country: "US", MCC: "7311", Currency: money.USD.Numeric()}}
	var group errgroup.Group
	group.SetLimit(makers)
	for i := range l.cards {
		group.Go(func() (err error) {
			l.cards[i], err = s.make(ctx)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("prepare cards: %w", err)
	}
	return l, nil
}

// make makes one customer with one card.
func (s *Shelf) make(ctx context.Context) (card, error) {
	seed, err := s.Accounts.CreateSeed(ctx, actor, account.NewSeed{Realm: realm.Test})
	if err != nil {
		return card{}, err
	}
	amount, h := money.New(loadedMost, money.USD), issuing.Holder{Book: seed.Book, Realm: realm.Test, Actor: actor}
	if _, err := s.Wallets.Load(ctx, wallet.Load{Book: seed.Book, Realm: realm.Test, Amount: amount, Reference: actor, Actor: actor}); err != nil {
		return card{}, err
	}
	made, err := s.Cards.Issue(ctx, h, issuing.NewCard{BIN: bin, Amount: amount, Label: actor})
	if err != nil {
		return card{}, err
	}
	d, err := s.Cards.Details(ctx, h, made.ID)
	if err != nil {
		return card{}, err
	}
	return card{acquirer.Card{Number: d.Number, CVC: d.CVC, Expiry: fmt.Sprintf("%02d%02d", d.Year%100, d.Month)}, made.ID, seed.Secret}, nil
}

// Authorize authorizes a cent over HTTP, with all cards in turn and another merchant each
// time: how a sandbox simulates payments.
func (l *Load) Authorize() bench.Scenario {
	return bench.Scenario{Name: "authorize", Expect: bench.Expect{Contains: `"approved":true`}, Make: func(_ int, n int64) bench.Request {
		c := &l.cards[n%int64(len(l.cards))]
		body := `{"card_id":"` + string(c.id) + `","amount":0.01,"entry":"chip","merchant":{"name":"` + l.run + strconv.FormatInt(n, 10) + `","mcc":"7311","country":"US"}}`
		return bench.Request{Method: "POST", Path: "/v1/api/simulate/authorization", Body: []byte(body),
			Headers: []bench.Header{{Name: "X-Seed", Value: c.seed.Reveal()}, {Name: "Content-Type", Value: "application/json"}}}
	}}
}

// Network authorizes a cent over ISO 8583, beside echo tests on the same connections.
func (l *Load) Network() bench.Scenario {
	return bench.Scenario{Name: "iso8583", Served: true, Do: func(ctx context.Context, worker int, n int64) error {
		link, err := l.link(ctx, worker)
		if err != nil {
			return err
		}
		merchant := fmt.Sprintf("%-15s", l.run[:5]+strconv.FormatInt(n, 10))
		m := l.at.Authorize(l.cards[n%int64(len(l.cards))].Card, 1).With(22, "051").With(25, "00").With(42, merchant[:15])
		answer, err := link.Ask(ctx, m)
		if err == nil && answer.Code() != "00" {
			err = fmt.Errorf("an authorization is answered with %s", answer.Code())
		}
		return err
	}, Noop: func(ctx context.Context, worker int, _ int64) error {
		link, err := l.link(ctx, worker)
		if err != nil {
			return err
		}
		return link.Manage(ctx, acquirer.Echo)
	}}
}

// link returns a worker's connection, which it shares with others.
func (l *Load) link(ctx context.Context, worker int) (*acquirer.Link, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := &l.links[worker%links]
	if *mine != nil {
		select {
		case <-(*mine).Done():
			*mine = nil
		default:
			return *mine, nil
		}
	}
	dialled, err := acquirer.Dial(ctx, l.network, false)
	if err == nil {
		*mine = dialled
	}
	return dialled, err
}

// Close ends the connections.
func (l *Load) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, link := range l.links {
		if link != nil {
			link.Close()
		}
	}
}
