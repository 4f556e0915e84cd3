package giftcard_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
	"github.com/scripcards/scrip/internal/testkit/ground"
)

// The variables that choose another simulation: one seed instead of the usual ones, more steps.
const (
	seedVariable  = "SCRIP_SIM_SEED"
	stepsVariable = "SCRIP_SIM_STEPS"
)

// The usual seeds are two and one by chance; what the two come by is known.
const (
	usual      = 2
	usualSteps = 250
)

// A long life of cards with duplicates, clocks that jump, sweeps and restarts goes as the
// oracle says, call by call, and leaves the books right.
func TestSimulation(t *testing.T) {
	steps := int(fromEnvironment(t, stepsVariable, usualSteps))
	seeds := []uint64{1, 20260101, rand.Uint64()}
	if os.Getenv(seedVariable) != "" {
		seeds = []uint64{fromEnvironment(t, seedVariable, 0)}
	}
	for _, engine := range testkit.Engines() {
		seen := map[string]int{}
		for i, seed := range seeds {
			t.Run(fmt.Sprintf("%s/%d", engine, seed), func(t *testing.T) {
				defer func() {
					if t.Failed() {
						t.Logf("run it again with %s=%d %s=%d", seedVariable, seed, stepsVariable, steps)
					}
				}()
				s := newSimulation(t, engine, seed)
				s.run(steps)
				if i < usual {
					for what, n := range s.seen {
						seen[what] += n
					}
				}
			})
		}
		if len(seeds) > usual && steps >= usualSteps && !t.Failed() {
			cover(t, seen)
		}
	}
}

func fromEnvironment(t *testing.T, variable string, otherwise uint64) uint64 {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	check.OK(t, err)
	return n
}

// simulation is one installation beside the oracle of its cards.
type simulation struct {
	*process
	t      *testing.T
	rng    *rand.Rand
	config storage.Config
	base   *clock.Manual
	books  *ledger.Ledger
	oracle *oracle
	past   []*call
	names  int
	seen   map[string]int // what was done and answered
}

// call is something that was asked for under a reference and answered.
type call struct {
	name  string
	do    func() (giftcard.Movement, error)
	other func() (giftcard.Movement, error) // the same with another amount
	first giftcard.Movement
}

func newSimulation(t *testing.T, engine string, seed uint64) *simulation {
	s := &simulation{t: t, rng: rand.New(rand.NewPCG(seed, 0)), config: testkit.Database(t, engine), base: clock.NewManual(epoch), seen: map[string]int{}}
	s.process = &process{t: t, clocks: clock.NewRealms(s.base)}
	s.open()
	s.populate()
	s.oracle = &oracle{rules: s.Rules, last: map[ledger.BookID]time.Time{}}
	return s
}

// open starts the program, as it was before when it ran before.
func (s *simulation) open() {
	db, err := storage.Open(context.Background(), s.config)
	check.OK(s.t, err)
	_, err = db.Migrate(context.Background())
	check.OK(s.t, err)
	g := ground.Lay(s.t, db, s.clocks)
	s.books, s.Service = g.Books, giftcard.New(deps(g))
	s.Rules.Validity = 14 * day // for lives of many cards
}

func (s *simulation) close() {
	s.books.Close()
	check.OK(s.t, s.DB.Close())
}

func (s *simulation) run(steps int) {
	defer s.close()
	for step := range steps {
		what := s.step()
		s.compare()
		if s.t.Failed() {
			s.t.Fatalf("step %d: %s", step, what)
		}
	}
	s.verify()
}

// everything is what the usual seeds must come by, or they prove little.
var everything = []string{"redeem: ", "hold: ", "capture: ", "void: ", "refund: ", "reload: ", "cancel: ", "repeat: ", "card sweep: ", "hold sweep: ", "restart: ",
	"redeem: insufficient_funds", "redeem: card_expired", "redeem: card_blocked", "capture: hold_ended", "capture: hold_exceeded", "refund: guard_exceeded",
	"refund: card_expired"}

// cover checks that the usual simulations together came by everything.
func cover(t *testing.T, seen map[string]int) {
	t.Helper()
	for _, what := range everything {
		if seen[what] == 0 {
			t.Errorf("no simulation came by %q: %v", what, seen)
		}
	}
}

func (s *simulation) now() time.Time { return s.clocks.Now(shop.Realm) }

// step does one thing and returns what.
func (s *simulation) step() string {
	switch dice := s.rng.IntN(40); {
	case dice == 0:
		s.close()
		s.open()
		s.seen["restart: "]++
		return "restart"
	case dice <= 2:
		s.base.Advance(time.Duration(s.rng.IntN(40)-10) * time.Minute)
		return "the machine's clock jumped"
	case dice == 3:
		s.forward(time.Duration(1+s.rng.IntN(5)) * day)
		return "days passed"
	case dice == 4 && s.rng.IntN(2) == 0:
		s.forward(s.Rules.Validity / 2)
		return "a week passed"
	case dice <= 6:
		return s.sweep()
	case dice <= 13 && len(s.past) > 0:
		return s.repeat()
	case dice <= 16 || len(s.oracle.cards) == 0:
		return s.issue()
	default:
		return s.spend(s.oracle.cards[max(0, len(s.oracle.cards)-1-s.rng.IntN(8))])
	}
}

func (s *simulation) name() string {
	s.names++
	return fmt.Sprint("ref-", s.names)
}

func (s *simulation) issue() string {
	m := []giftcard.Merchant{shop, rival}[s.rng.IntN(2)]
	c := s.create(m, int64(1+s.rng.IntN(5000)))
	s.oracle.made(c, s.now())
	return fmt.Sprintf("created %s with %s", c.Card.ID, c.Card.Amount)
}

// sweep ends what is due, holds first or not at all.
func (s *simulation) sweep() string {
	if s.rng.IntN(3) > 0 {
		n, err := s.Books.ExpireHolds(context.Background())
		if want := s.oracle.expireHolds(s.now()); n != want || err != nil {
			s.t.Errorf("%d holds expired, %v; want %d", n, err, want)
		}
		s.seen["hold sweep: "] += n
	}
	n, err := s.Expire(context.Background())
	if want := s.oracle.expire(s.now()); n != want || err != nil {
		s.t.Errorf("%d cards expired, %v; want %d", n, err, want)
	}
	s.seen["card sweep: "] += n
	return "sweep"
}

// repeat asks for something again, alone or in a crowd, or for something else under its reference.
func (s *simulation) repeat() string {
	c := s.past[max(0, len(s.past)-1-s.rng.IntN(60))]
	want := c.first
	want.Replayed = true
	crowd.AtOnce(1+s.rng.IntN(3), func(int) {
		got, err := c.do()
		if diff := cmp.Diff(want, got, asAnswered); err != nil || diff != "" {
			s.t.Errorf("%s repeated: %v (-first +again):\n%s", c.name, err, diff)
		}
	})
	_, err := c.other()
	check.Code(s.t, c.name+" of another amount", err, fault.IdempotencyConflict)
	s.seen["repeat: "]++
	return "repeated " + c.name
}

// ask does a call that the oracle has judged, several times at once now and then.
func (s *simulation) ask(c *call, want verdict) string {
	callers := 1
	if s.rng.IntN(5) == 0 {
		callers = 4
	}
	answers, errs := make([]giftcard.Movement, callers), make([]error, callers)
	crowd.AtOnce(callers, func(i int) { answers[i], errs[i] = c.do() })
	fresh := 0
	for i, m := range answers {
		check.Code(s.t, c.name, errs[i], want.code)
		if errs[i] != nil || want.code != "" {
			continue
		}
		if !m.Replayed {
			fresh++
			c.first = m
		}
		if m.Amount != usd(want.amount) || m.Card.Balance != usd(want.balance) || m.Card.Status != want.status || m.Transaction != answers[0].Transaction {
			s.t.Errorf("%s: %s of %s, now %s with %s; want %s, %s with %s", c.name, m.Transaction, m.Amount, m.Card.Status, m.Card.Balance, usd(want.amount), want.status, usd(want.balance))
		}
	}
	if want.code == "" && fresh != 1 {
		s.t.Errorf("%s was done %d times", c.name, fresh)
	}
	if want.code == "" {
		s.past = append(s.past, c)
	}
	kind, _, _ := strings.Cut(c.name, " ")
	s.seen[kind+": "+string(want.code)]++
	return fmt.Sprintf("%s: %s", c.name, want.code)
}

// spend does something to a card.
func (s *simulation) spend(card *ghost) string {
	ctx, c, now := context.Background(), card.held, s.now()
	ref, amount := s.name(), int64(s.rng.IntN(900))
	switch s.rng.IntN(12) {
	case 0:
		return s.block(card)
	case 1:
		if s.rng.IntN(3) > 0 {
			return "nothing"
		}
		want := s.oracle.cancel(card, now)
		m, err := s.cancel(c, "because")
		check.Code(s.t, "cancel", err, want.code)
		if err == nil && (m.Amount != usd(want.amount) || m.Card.Status != giftcard.Cancelled || !m.Card.Balance.IsZero()) {
			s.t.Errorf("cancelled with %s: %+v", m.Amount, m.Card)
		}
		s.seen["cancel: "+string(want.code)]++
		return "cancel: " + string(want.code)
	case 2:
		return s.ask(&call{name: "reload " + ref, do: func() (giftcard.Movement, error) { return s.reload(c, amount+1, ref) },
			other: func() (giftcard.Movement, error) { return s.reload(c, amount+2, ref) }}, s.oracle.reload(card, amount+1, now))
	case 3, 4:
		if len(card.takes) == 0 {
			return "nothing to refund"
		}
		take := card.takes[s.rng.IntN(len(card.takes))]
		return s.ask(&call{name: "refund " + ref, do: func() (giftcard.Movement, error) { return s.refund(c, take.reference, amount+1, ref) },
			other: func() (giftcard.Movement, error) { return s.refund(c, take.reference, amount+2, ref) }}, s.oracle.refund(card, take, amount+1, now))
	case 5, 6:
		long := time.Duration(s.rng.IntN(10)) * day
		do := func(minor int64) (giftcard.Movement, error) {
			return s.Hold(ctx, c.m, giftcard.Transfer{Secret: c.Secret, Amount: usd(minor), Reference: ref, HoldFor: long})
		}
		h := &call{name: "hold " + ref, do: func() (giftcard.Movement, error) { return do(amount + 1) }, other: func() (giftcard.Movement, error) { return do(amount + 2) }}
		want, placed := s.oracle.hold(card, reserve{amount + 1, long, now})
		what := s.ask(h, want)
		if placed != nil {
			placed.id = h.first.Hold
		}
		return what
	case 7, 8, 9:
		if len(card.holds) == 0 {
			return "nothing to capture"
		}
		return s.end(card, card.holds[s.rng.IntN(len(card.holds))], amount+1)
	default:
		return s.ask(&call{name: "redeem " + ref, do: func() (giftcard.Movement, error) { return s.redeem(c, amount+1, ref) },
			other: func() (giftcard.Movement, error) { return s.redeem(c, amount+2, ref) }}, s.oracle.redeem(card, ref, amount+1, now))
	}
}

// end captures or voids a hold, in part or all of it.
func (s *simulation) end(card *ghost, h *reserved, amount int64) string {
	end := giftcard.End{Hold: h.id, Amount: usd(amount), Final: s.rng.IntN(2) == 0, Reference: s.name()}
	if s.rng.IntN(4) == 0 {
		end.Amount = usd(0)
	}
	capture, name := s.rng.IntN(3) > 0, "void "+end.Reference
	if capture {
		name = "capture " + end.Reference
	}
	do := func(end giftcard.End) (giftcard.Movement, error) {
		if capture {
			return s.Capture(context.Background(), card.held.m, end)
		}
		return s.Void(context.Background(), card.held.m, end)
	}
	other := end
	other.Amount.Minor++
	return s.ask(&call{name: name, do: func() (giftcard.Movement, error) { return do(end) }, other: func() (giftcard.Movement, error) { return do(other) }},
		s.oracle.end(card, h, ending{end, capture, s.now()}))
}

func (s *simulation) block(card *ghost) string {
	run, to := s.Block, true
	if card.blocked {
		run, to = s.Unblock, false
	}
	want := card.over(s.now())
	check.Code(s.t, "block or unblock", run(context.Background(), card.held.m, card.held.Card.ID, "a whim"), want)
	if want == "" {
		card.blocked = to
		s.oracle.at(card, s.now())
	}
	return fmt.Sprintf("blocked: %t: %s", to, want)
}

// compare holds every card against its ghost, and the contra accounts against their sum.
func (s *simulation) compare() {
	now, funded := s.now(), map[ledger.BookID]int64{}
	for _, g := range s.oracle.cards {
		funded[g.held.m.Book] += g.posted
		if now.Sub(g.expires) > 30*day && g.ended != "" {
			continue
		}
		card, err := s.Find(context.Background(), g.held.m, g.held.Secret)
		check.OK(s.t, err)
		status, balance := g.status(now)
		free := g.overdue(now)
		if status == giftcard.Created {
			balance += free
		}
		if reserved := g.reservedNow() - free; card.Status != status || card.Balance != usd(balance) || card.Held != usd(reserved) || card.Blocked != g.blocked {
			s.t.Errorf("%s is %s with %s, %s held, blocked: %t; want %s with %s, %s held, blocked: %t", card.ID, card.Status, card.Balance, card.Held, card.Blocked,
				status, usd(balance), usd(reserved), g.blocked)
		}
	}
	for _, m := range []giftcard.Merchant{shop, rival} {
		if got := s.contra(m, "giftcard.funding") - s.contra(m, "giftcard.redeemed") - s.contra(m, "giftcard.breakage"); got != funded[m.Book] {
			s.t.Errorf("%s: the contra accounts say that %d is on cards, want %d", m.Book, got, funded[m.Book])
		}
	}
}
