package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/provider/simulator/acquirer"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/wallet"
)

// The payments through crashes: how many cards, crashes and terminals there are.
const (
	stormCards     = 1000
	stormCrashes   = 10
	shortCrashes   = 3
	stormTerminals = 16
	stormFunds     = 20_000 // cents on each card
	busyCards      = 12     // of a terminal
)

// Cards under a storm of payments over ISO 8583 (authorizations, increments, completions,
// purchases, refunds, reversals, duplicates, lost answers, freezes) while the server is
// killed again and again answer every message as the oracle says, once; afterwards every
// balance is the oracle's, nothing is held without an end, and the books are proven.
func TestPaymentsThroughCrashes(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		seed := chooseSeed(t)
		s := &payments{t: t, at: at, random: rand.New(rand.NewPCG(seed, 2)), moved: make(chan struct{}), seen: map[string]int{}}
		s.issue()
		s.run(seed)
	})
}

// payments is one installation's life.
type payments struct {
	t      *testing.T
	at     *installation
	random *rand.Rand // of the moments of crashes
	holder issuing.Holder
	secret string // the seed of the cards' owner
	ghosts []*ghost
	server *process
	over   atomic.Bool // no new payments

	mu      sync.Mutex
	network string        // where card networks connect
	moved   chan struct{} // closed when the server has another address
	seen    map[string]int
	due     int64 // answers until enough is closed
	enough  chan struct{}
}

// open opens the installation in this process, while no server runs.
func (s *payments) open(do func(ctx context.Context, app *server.App)) {
	s.t.Helper()
	app, err := server.Open(s.t.Context(), server.Options{Data: s.at.dir, Database: s.at.database, Logger: slog.New(slog.DiscardHandler), Issuing: server.Issuing{On: true}})
	if err != nil {
		s.t.Fatal(err)
	}
	do(s.t.Context(), app)
	if err := app.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// issue makes the cards.
func (s *payments) issue() {
	s.open(func(ctx context.Context, app *server.App) {
		seed, err := app.Accounts.CreateSeed(ctx, "setup", account.NewSeed{Realm: realm.Test})
		if err != nil {
			s.t.Fatal(err)
		}
		s.holder, s.secret = issuing.Holder{Book: seed.Book, Realm: realm.Test, Actor: "seed/storm"}, seed.Secret.Reveal()
		_, err = app.Wallets.Load(ctx, wallet.Load{Book: seed.Book, Realm: realm.Test, Amount: money.New(stormCards*stormFunds, money.USD), Reference: "first", Actor: "setup"})
		if err != nil {
			s.t.Fatal(err)
		}
		s.ghosts = make([]*ghost, stormCards)
		numbers := make([]int, stormCards)
		for i := range numbers {
			numbers[i] = i
		}
		each(s.t, numbers, func(i int) error {
			made, err := app.Issuing.Issue(ctx, s.holder, issuing.NewCard{BIN: "491653", Amount: money.New(stormFunds, money.USD), Label: "storm"})
			if err != nil {
				return err
			}
			d, err := app.Issuing.Details(ctx, s.holder, made.ID)
			if err != nil {
				return err
			}
			s.ghosts[i] = &ghost{id: made.ID, posted: stormFunds,
				card: acquirer.Card{Number: d.Number, CVC: d.CVC, Expiry: fmt.Sprintf("%02d%02d", d.Year%100, d.Month)}}
			return nil
		})
	})
}

func (s *payments) run(seed uint64) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*patience)
	defer cancel()
	var riders sync.WaitGroup
	defer riders.Wait()
	defer cancel()
	for n := range stormTerminals {
		r := &rider{payments: s, ctx: ctx, random: rand.New(rand.NewPCG(seed, uint64(100+n))), at: &acquirer.Terminal{Acquirer: "411111", Number: n,
			Merchant: fmt.Sprint("M-", n), Name: "EXAMPLE ADS", City: "Menlo Park", Country: "US", MCC: "7311", Currency: "840"}}
		for i := n; i < len(s.ghosts); i += stormTerminals {
			r.ghosts = append(r.ghosts, s.ghosts[i])
		}
		riders.Go(func() { r.ride() })
	}
	crashes := stormCrashes
	if testing.Short() {
		crashes = shortCrashes
	}
	for range crashes {
		s.start()
		s.load(ctx, 100+s.random.Int64N(150))
		s.server.kill()
		if s.t.Failed() {
			return
		}
	}
	s.start()
	s.load(ctx, 200)
	s.over.Store(true)
	riders.Wait()
	if ctx.Err() != nil {
		s.t.Fatalf("the storm did not end: %v\n%s", s.seen, s.server.dump()) // nobody else uses it any more
	}
	s.server.stop(s.t)
	s.settled()
}

// load waits until so many messages more were answered.
func (s *payments) load(ctx context.Context, messages int64) {
	enough := make(chan struct{})
	s.mu.Lock()
	s.due, s.enough = messages, enough
	s.mu.Unlock()
	select {
	case <-enough:
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.t.Errorf("there were too few answers: %v\n%s", s.seen, s.server.dump())
	case <-s.server.ended:
		s.t.Errorf("the server ended by itself: %v\n%s", s.server.err, s.server.stderr)
	}
}

// networks is the line by which a server says where card networks connect.
var networks = regexp.MustCompile(`(?m)^card networks on (\S+)\n`)

func (s *payments) start() {
	s.t.Helper()
	p := s.at.start(s.t, "--iso8583", "127.0.0.1:0", "--issuing", "--log-level", "warn")
	match := networks.FindStringSubmatch(p.stdout.String())
	if match == nil {
		s.t.Fatalf("the server does not say where card networks connect:\n%s", p.stdout)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.network = p, match[1]
	close(s.moved)
	s.moved = make(chan struct{})
}

// where returns the server, and where card networks connect to it, once there is one that
// was not killed. It returns nil when the test is over.
func (s *payments) where(ctx context.Context) (server *process, network string) {
	for {
		s.mu.Lock()
		server, network, moved := s.server, s.network, s.moved
		s.mu.Unlock()
		if server != nil {
			select {
			case <-server.ended:
			default:
				return server, network
			}
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, ""
		}
	}
}

// settled compares every card with the oracle, and has the books proven.
func (s *payments) settled() {
	s.open(func(ctx context.Context, app *server.App) {
		each(s.t, s.ghosts, func(g *ghost) error {
			now, err := app.Issuing.Get(ctx, s.holder, g.id)
			if err != nil {
				return err
			}
			if now.Balance.Minor != g.posted || now.Held.Minor != 0 || g.held() != 0 {
				return fmt.Errorf("card %s has %s and %s held, want %d cents and nothing", g.id, now.Balance, now.Held, g.posted)
			}
			return nil
		})
	})
	if books := s.at.fields(s.t, "verify"); books["problems"] != "0" {
		s.t.Errorf("verify says %v", books)
	}
	s.t.Logf("answered: %v", s.seen)
	for _, what := range []string{"authorize 00", "purchase 00", "complete 00", "reverse 00", "undo 00", "refund 00", "repeated", "lost", "broken"} {
		if s.seen[what] == 0 {
			s.t.Errorf("the storm never came by %q: %v", what, s.seen)
		}
	}
}

func (s *payments) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[what]++
	if s.due--; s.due == 0 {
		close(s.enough)
	}
}

// rider is one terminal: the only one that deals with its cards.
type rider struct {
	*payments
	ctx    context.Context
	random *rand.Rand
	at     *acquirer.Terminal
	ghosts []*ghost
	link   *acquirer.Link
	past   []answered
}

type answered struct {
	m      *acquirer.Message
	answer acquirer.Answer
}

// ride sends payments until the storm is over, and then ends those that are open.
func (r *rider) ride() {
	for !r.over.Load() && !r.t.Failed() && r.ctx.Err() == nil {
		among := r.ghosts
		if r.random.IntN(3) > 0 { // so that there is much about some of them
			among = among[:busyCards]
		}
		r.step(among[r.random.IntN(len(among))])
	}
	for _, g := range r.ghosts {
		for _, p := range g.payments {
			if p.open && !r.t.Failed() {
				r.reverse(g, p, 0)
			}
		}
	}
	if r.link != nil {
		r.link.Close()
	}
}

// connect returns a connection to the server, once there is one.
func (r *rider) connect() *acquirer.Link {
	for r.link == nil {
		server, network := r.where(r.ctx)
		if server == nil || r.ctx.Err() != nil {
			return nil
		}
		if l, err := acquirer.Dial(r.ctx, network, false); err == nil {
			r.link = l
		}
	}
	return r.link
}

func (r *rider) drop() {
	r.link.Reset()
	r.link = nil
}

// send sends a message until it is answered, through crashes, and expects the oracle's
// code. Now and then its first answer is lost, or it is sent twice.
func (r *rider) send(what string, m *acquirer.Message, code string) acquirer.Answer {
	if dice := r.random.IntN(12); dice < 2 {
		if l := r.connect(); l != nil && l.Tell(m) == nil {
			r.note("lost")
			if dice == 0 {
				r.drop()
			}
		}
	}
	answer := r.ask(m)
	if answer == nil {
		return acquirer.Answer{}
	}
	r.note(what + " " + answer.Code())
	if answer.Code() != code {
		r.t.Errorf("%s is answered with %s, want %s", what, answer.Code(), code)
	}
	if what != "inquire" { // which is looked at anew
		r.past = append(r.past, answered{m, answer})
	}
	if len(r.past) > 0 && r.random.IntN(6) == 0 {
		r.again(r.past[max(0, len(r.past)-1-r.random.IntN(30))])
	}
	return answer
}

// again sends an old message once more.
func (r *rider) again(old answered) {
	answer := r.ask(old.m.Repeated())
	if answer == nil {
		return
	}
	for n, text := range old.answer {
		if answer[n] != text && n != 2 { // a number is not to be printed
			r.t.Errorf("%s repeated: element %d is %q, was %q", old.m, n, answer[n], text)
		}
	}
	r.note("repeated")
}

// ask sends a message until there is an answer. It returns nil when the test is over.
func (r *rider) ask(m *acquirer.Message) acquirer.Answer {
	for {
		l := r.connect()
		if l == nil {
			return nil
		}
		answer, err := l.Ask(r.ctx, m)
		switch {
		case err == nil && answer.Code() == "91": // it took too long
			r.note("away")
		case err == nil:
			return answer
		case errors.Is(err, acquirer.ErrBroken):
			r.note("broken")
			r.drop()
		default:
			if r.ctx.Err() == nil {
				r.t.Errorf("%s: %v", m, err)
			}
			return nil
		}
		m = m.Repeated()
	}
}

// toggle freezes a card, or lets it go, over HTTP.
func (r *rider) toggle(g *ghost) {
	path := "/freeze"
	if g.frozen {
		path = "/unfreeze"
	}
	for r.ctx.Err() == nil {
		server, _ := r.where(r.ctx)
		if server == nil {
			return
		}
		q, err := http.NewRequestWithContext(r.ctx, http.MethodPost, server.base+"/v1/api/cards/"+string(g.id)+path, nil)
		if err != nil {
			r.t.Error(err)
			return
		}
		q.Header.Set("X-Seed", r.secret)
		answer, err := shopping.Do(q)
		if err != nil {
			continue // it was killed meanwhile
		}
		_ = answer.Body.Close() // nothing is read of it
		switch answer.StatusCode {
		case http.StatusOK:
			g.frozen = !g.frozen
			r.note("toggled")
		case http.StatusTooManyRequests:
		default:
			r.t.Errorf("%s answers %d", path, answer.StatusCode)
		}
		return
	}
}

// shopping sends the requests of cards' owners.
var shopping = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
