package authorization_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
	"github.com/scripcards/scrip/internal/testkit/issuer"
)

// The variables that choose another storm: its seed, how many cards it has, and how many
// messages each of them gets.
const (
	seedVariable  = "SCRIP_STORM_SEED"
	cardsVariable = "SCRIP_STORM_CARDS"
	stepsVariable = "SCRIP_STORM_STEPS"
)

// Cards under a storm of authorizations, increments, captures, reversals, refunds, posts,
// duplicates, lost answers and freezes, with the database opened anew in between, answer
// every message as the oracle says; afterwards every balance is the oracle's and no hold
// is without an end.
func TestStorm(t *testing.T) {
	cards, steps := fromEnvironment(t, cardsVariable, 24), fromEnvironment(t, stepsVariable, 60)
	seeds := []uint64{usualSeed}
	if !testing.Short() {
		seeds = append(seeds, rand.Uint64())
	}
	if os.Getenv(seedVariable) != "" {
		seeds = []uint64{fromEnvironment(t, seedVariable, 0)}
	}
	for _, engine := range testkit.Engines() {
		for _, seed := range seeds {
			t.Run(fmt.Sprintf("%s/%d", engine, seed), func(t *testing.T) {
				defer func() {
					if t.Failed() {
						t.Logf("run it again with %s=%d %s=%d %s=%d", seedVariable, seed, cardsVariable, cards, stepsVariable, steps)
					}
				}()
				newStorm(t, engine, seed).run(int(cards), int(steps))
			})
		}
	}
}

// usualSeed is the storm of which it is known what it comes by.
const usualSeed = 20261121

func fromEnvironment(t *testing.T, variable string, otherwise uint64) uint64 {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	check.OK(t, err)
	return n
}

const (
	stormWorkers = 8
	stormRounds  = 4
)

// storm is one installation beside the oracle of its cards.
type storm struct {
	*process
	t      *testing.T
	config storage.Config
	base   *clock.Manual
	clocks *clock.Realms
	books  *ledger.Ledger
	seed   uint64
	ghosts []*ghost
	mu     sync.Mutex
	seen   map[string]int // what was asked and answered
}

// rider is one worker: the only one that deals with its cards.
type rider struct {
	*storm
	rng  *rand.Rand
	name int
	keys int
	past []*sent
}

// sent is a message that was answered.
type sent struct {
	what  string
	do    func(context.Context) (authorization.Decision, error)
	other func(context.Context) (authorization.Decision, error) // something else under its key
	first authorization.Decision
	lent  int64 // how much of the balance may be repaid with it: others repay the same
}

func newStorm(t *testing.T, engine string, seed uint64) *storm {
	s := &storm{t: t, config: testkit.Database(t, engine), base: clock.NewManual(epoch), seed: seed, seen: map[string]int{}}
	s.clocks = clock.NewRealms(s.base)
	s.open()
	s.populate()
	return s
}

// open starts the program, as it was before when it ran before.
func (s *storm) open() {
	db, err := storage.Open(context.Background(), s.config)
	check.OK(s.t, err)
	_, err = db.Migrate(context.Background())
	check.OK(s.t, err)
	s.books = ledger.New(db, s.clocks, ledger.Config{})
	s.process = assemble(s.t, db, issuer.Config{Clocks: s.clocks, Books: s.books})
}

func (s *storm) close() {
	s.books.Close()
	check.OK(s.t, s.DB.Close())
}

func (s *storm) now() time.Time { return s.clocks.Now(ann.Realm) }

func (s *storm) run(cards, steps int) {
	defer func() { s.close() }()
	rng := rand.New(rand.NewPCG(s.seed, 0))
	for i := range cards {
		h := []issuing.Holder{ann, bob}[i%2]
		g := &ghost{posted: int64(5_000 + rng.IntN(40_000)), months: map[string]int64{}}
		if rng.IntN(3) == 0 {
			g.threshold = int64(1 + rng.IntN(2_000))
		}
		if rng.IntN(2) == 0 {
			g.limit = int64(3_000 + rng.IntN(12_000))
		}
		g.card = s.issue(h, binAds, g.posted, func(n *issuing.NewCard) {
			n.AutoFreezeAt = usd(g.threshold)
			if g.limit > 0 {
				n.Controls.Limits = []spending.Limit{{Window: spending.PerMonth, Amount: usd(g.limit)}}
			}
		})
		s.ghosts = append(s.ghosts, g)
	}
	riders := make([]*rider, stormWorkers)
	for i := range riders {
		riders[i] = &rider{storm: s, rng: rand.New(rand.NewPCG(s.seed, uint64(i+1))), name: i}
	}
	for range stormRounds {
		crowd.AtOnce(len(riders), func(i int) { riders[i].ride(steps / stormRounds) })
		s.between(rng)
		if s.t.Failed() {
			s.t.FailNow()
		}
	}
	s.settle()
}

// between lets time pass, ends what is due and opens the database anew.
func (s *storm) between(rng *rand.Rand) {
	s.compare()
	s.forward(time.Duration(rng.IntN(12*24)) * time.Hour)
	if rng.IntN(4) > 0 {
		s.close()
		s.open()
	}
	s.sweep()
	s.compare()
}

// sweep ends what is due, twice at once.
func (s *storm) sweep() {
	wanted := 0
	for _, g := range s.ghosts {
		wanted += g.expire(s.now())
	}
	counts := make([]int, 2)
	crowd.AtOnce(2, func(i int) { counts[i] = s.expire() })
	check.Equal(s.t, "payments that expired", counts[0]+counts[1], wanted)
}

// settle ends the storm: when all time is over, nothing is held any more.
func (s *storm) settle() {
	s.forward(60 * day)
	s.sweep()
	s.compare()
	s.repay()
	s.compare()
	for what, statement := range map[string]*storage.Statement{"holds without an end": countHolds, "payments without an end": countOpen} {
		n, _, err := storage.One(context.Background(), s.DB, storage.Scalar[int], statement)
		check.OK(s.t, err)
		check.Equal(s.t, what, n, 0)
	}
	s.verify()
	if s.seed == usualSeed && len(s.ghosts) >= 24 && !s.t.Failed() {
		for _, what := range everything {
			if s.seen[what] == 0 {
				s.t.Errorf("the storm never came by %q: %v", what, s.seen)
			}
		}
	}
}

// repay posts more than there is to every card, and refunds in part or whole, when nobody else is
// there, all payments for which something was lent: as much of that goes back as is owed.
func (s *storm) repay() {
	r := &rider{storm: s, rng: rand.New(rand.NewPCG(s.seed, 0)), name: stormWorkers}
	for _, g := range s.ghosts {
		r.post(g, g.available()+int64(1+r.rng.IntN(1_000)))
		for _, p := range g.payments {
			if p.lent == 0 || p.state != authorization.StateSettled || p.captured+p.over == p.refunded {
				continue
			}
			owed := s.posted(g.Holder, "card.receivable/USD")
			most, repaid := r.refund(g, p, authorization.Advice{Book: g.Book, Payment: p.id, Key: r.key(), Amount: usd(r.rng.Int64N(p.captured + p.over - p.refunded))})
			check.Equal(s.t, "repaid", repaid, min(most, owed))
		}
	}
}

var (
	countHolds = storage.SQL("test.count_holds", `SELECT COUNT(*) FROM ledger_holds WHERE state = 'pending'`)
	countOpen  = storage.SQL("test.count_open", `SELECT COUNT(*) FROM authorization_payments WHERE state = 'open'`)
	countOf    = storage.SQL("test.count_of", `SELECT value FROM ledger_counters WHERE book_id = $1 AND name = $2`)
)

// everything is what the usual storm must come by, or it proves little.
var everything = []string{"authorize ", "authorize card_frozen", "authorize insufficient_funds", "authorize spending_limit", "increment ", "capture ",
	"capture payment_ended", "capture exceeds_authorization", "purchase ", "undo ", "complete ", "reverse ", "reverse already_captured", "reverse exceeds_hold", "refund ", "refund exceeds_captured",
	"post ", "late reversed_before", "repeated", "lost", "repaid"}

// compare holds every card against its ghost, and the books against the sum of all.
func (s *storm) compare() {
	ctx := context.Background()
	settled, lent := map[ledger.BookID]int64{}, map[ledger.BookID]int64{}
	for _, g := range s.ghosts {
		settled[g.Book] += g.settled
		lent[g.Book] += g.lent
		s.look(g.card, g.status(), g.available(), g.held())
		now, err := s.Cards.Get(ctx, g.Holder, g.ID)
		check.OK(s.t, err)
		check.Equal(s.t, "spent", now.Spent, usd(g.spent))
		page, err := s.List(ctx, authorization.Filter{Book: g.Book, Card: g.ID, Limit: 1})
		check.OK(s.t, err)
		check.Equal(s.t, "lines", page.Total, g.lines)
		for month, sum := range g.months {
			n, _, err := storage.One(ctx, s.DB, storage.Scalar[int64], countOf, string(g.Book), "card/"+string(g.ID)+"/spent/"+month)
			check.OK(s.t, err)
			check.Equal(s.t, "counted in "+month, n, sum)
		}
	}
	for _, h := range []issuing.Holder{ann, bob} {
		check.Equal(s.t, "settlement", s.posted(h, "card.settlement/USD"), settled[h.Book])
		if owed := s.posted(h, "card.receivable/USD"); owed > lent[h.Book] || owed < 0 {
			s.t.Errorf("%s owes %d, and was lent %d", h.Book, owed, lent[h.Book])
		}
	}
}

// ride sends messages about the rider's cards.
func (r *rider) ride(steps int) {
	for i, g := range r.ghosts {
		if i%stormWorkers != r.name {
			continue
		}
		for range steps {
			r.step(g)
			if r.t.Failed() {
				return
			}
		}
	}
}

func (r *rider) key() string {
	r.keys++
	return fmt.Sprintf("rider-%d-%d", r.name, r.keys)
}

func (r *rider) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[what]++
}

// step does one thing to a card.
func (r *rider) step(g *ghost) {
	amount := int64(1 + r.rng.IntN(3_000))
	switch dice := r.rng.IntN(24); {
	case dice < 7 || len(g.payments) == 0:
		r.authorize(g, amount)
	case dice < 15:
		r.advise(g, g.payments[max(0, len(g.payments)-1-r.rng.IntN(4))], amount)
	case dice < 18 && len(r.past) > 0:
		r.repeat()
	case dice == 18:
		r.alone(g, amount)
	case dice == 19:
		r.reverseFirst(g, amount)
	case dice < 23:
		r.toggle(g)
	default:
		_, err := r.Cards.Fund(context.Background(), g.Holder, issuing.Transfer{Card: g.ID, Amount: usd(amount + 100)})
		if err != nil {
			r.t.Errorf("fund: %v", err)
		}
		g.posted += amount + 100
	}
}

// send sends a message that the oracle has judged: alone or in a crowd, and now and then
// its first answer is lost.
func (r *rider) send(m *sent, v verdict) authorization.Decision {
	callers := 1
	switch r.rng.IntN(6) {
	case 0:
		callers = 3
	case 1: // the caller leaves before there is an answer
		ctx, leave := context.WithCancel(context.Background())
		leave()
		_, _ = m.do(ctx) // it may have been decided all the same
		r.note("lost")
	}
	answers := make([]authorization.Decision, callers)
	crowd.AtOnce(callers, func(i int) {
		var err error
		if answers[i], err = m.do(context.Background()); err != nil {
			r.t.Errorf("%s: %v", m.what, err)
		}
	})
	d := answers[0]
	for i := range answers {
		answers[i].Repeated = false
		if diff := cmp.Diff(answers[0], answers[i], ignoreRepeats); diff != "" {
			r.t.Errorf("%s: two answers (-one +other):\n%s", m.what, diff)
		}
	}
	got := verdict{d.Reason, d.Amount.Minor, d.Balance.Minor}
	if repaid := v.balance - got.balance; repaid > 0 && repaid <= m.lent {
		got.balance = v.balance
	}
	if got != v || d.Approved != (v.reason == "") {
		r.t.Errorf("%s: %+v, want %+v", m.what, got, v)
	}
	m.first = d
	r.past = append(r.past, m)
	r.note(m.what + " " + string(v.reason))
	return d
}

// repeat sends an old message again, and something else under its key.
func (r *rider) repeat() {
	m := r.past[max(0, len(r.past)-1-r.rng.IntN(40))]
	d, err := m.do(context.Background())
	if diff := cmp.Diff(m.first, d, ignoreRepeats); err != nil || diff != "" || !d.Repeated {
		r.t.Errorf("%s repeated: %v, %t (-first +again):\n%s", m.what, err, d.Repeated, diff)
	}
	if _, err := m.other(context.Background()); fault.CodeOf(err) != fault.IdempotencyConflict {
		r.t.Errorf("something else under the key of %s: %v", m.what, err)
	}
	r.note("repeated")
}

func (r *rider) authorize(g *ghost, amount int64) {
	at := []authorization.Merchant{ads, diner, inn}[r.rng.IntN(3)]
	a := ask{key: r.key(), at: at, amount: amount, partial: r.rng.IntN(4) == 0, single: r.rng.IntN(4) == 0, now: r.now()}
	if r.rng.IntN(30) == 0 {
		a.amount = 500_001
	}
	request := authorization.Request{Realm: g.Realm, Number: g.Number, Key: a.key, Amount: usd(a.amount), Merchant: at, PartialAllowed: a.partial, Captured: a.single,
		Presented: authorization.Presented{Entry: authorization.Online, CVC: g.CVC, Expiry: g.Expiry}}
	other := request
	other.Amount.Minor++
	v, made := g.authorize(a)
	what := "authorize"
	if a.single {
		what = "purchase"
	}
	d := r.send(&sent{what: what, do: func(ctx context.Context) (authorization.Decision, error) { return r.Authorize(ctx, request) },
		other: func(ctx context.Context) (authorization.Decision, error) { return r.Authorize(ctx, other) }}, v)
	if made != nil {
		made.id = d.ID
	}
}

type message func(context.Context, authorization.Advice) (authorization.Decision, error)

// sending makes a message of an advice. Services change when the database is opened anew.
func (r *rider) sending(what string, a authorization.Advice) *sent {
	do := func(ctx context.Context, a authorization.Advice) (authorization.Decision, error) {
		return map[string]message{"increment": r.Increment, "capture": r.Capture, "reverse": r.Reverse, "undo": r.Reverse, "refund": r.Refund, "post": r.Post, "complete": r.Complete}[what](ctx, a)
	}
	other := a
	other.Amount = usd(a.Amount.Minor + 1)
	return &sent{what: what, do: func(ctx context.Context) (authorization.Decision, error) { return do(ctx, a) },
		other: func(ctx context.Context) (authorization.Decision, error) { return do(ctx, other) }}
}

// advise sends a message about a payment.
func (r *rider) advise(g *ghost, s *spectre, amount int64) {
	a := authorization.Advice{Book: g.Book, Payment: s.id, Key: r.key(), Amount: usd(amount)}
	if s.key != "" && r.rng.IntN(2) == 0 {
		a = authorization.Advice{Realm: g.Realm, Number: g.Number, Original: s.key, Key: a.Key, Amount: a.Amount}
	}
	kind := r.rng.IntN(10)
	if kind > 0 && r.rng.IntN(3) == 0 {
		amount = 0
	} else if kind >= 2 && r.rng.IntN(4) == 0 {
		amount = s.left() * 11 / 10 // a tip
	}
	a.Amount = usd(amount)
	switch {
	case kind == 0:
		r.send(r.sending("increment", a), g.increment(s, amount, r.now()))
	case kind == 1 && amount > 0:
		a = authorization.Advice{Realm: g.Realm, Number: g.Number, Payment: a.Payment, Original: a.Original, Key: a.Key, Amount: a.Amount, Merchant: diner}
		v, made := g.complete(s, amount, r.now())
		if d := r.send(r.sending("complete", a), v); made != nil {
			made.id = d.ID
		}
	case kind < 6:
		a.Final = r.rng.IntN(3) == 0
		r.send(r.sending("capture", a), g.capture(s, amount, a.Final, r.now()))
	case kind < 8 && a.Original != "" && s.single > 0:
		r.send(r.sending("undo", a), g.undo(s, amount))
	case kind < 8:
		r.send(r.sending("reverse", a), g.reverse(s, amount))
	default:
		r.refund(g, s, a)
	}
}

// refund refunds a payment, and returns how much of what was lent for it might have been repaid
// with that, and how much was: as much as is owed, which others change at the same time.
func (r *rider) refund(g *ghost, s *spectre, a authorization.Advice) (most, repaid int64) {
	m, v := r.sending("refund", a), g.refund(s, a.Amount.Minor)
	m.lent = min(s.lent, v.amount)
	repaid = v.balance - r.send(m, v).Balance.Minor
	s.lent, g.posted = s.lent-repaid, g.posted-repaid
	if repaid > 0 {
		r.note("repaid")
	}
	return m.lent, repaid
}

// alone posts or refunds without an authorization.
func (r *rider) alone(g *ghost, amount int64) {
	if r.rng.IntN(3) > 0 {
		r.post(g, amount)
		return
	}
	v, made := g.refundAlone(amount)
	made.id = r.send(r.sending("refund", r.byItself(g, amount)), v).ID
}

// post posts a payment that was never authorized.
func (r *rider) post(g *ghost, amount int64) {
	v, made := g.post(amount, diner, r.now())
	made.id = r.send(r.sending("post", r.byItself(g, amount)), v).ID
}

// byItself is an advice that begins a payment.
func (r *rider) byItself(g *ghost, amount int64) authorization.Advice {
	return authorization.Advice{Realm: g.Realm, Number: g.Number, Key: r.key(), Amount: usd(amount), Merchant: diner}
}

// reverseFirst sends a reversal before its authorization.
func (r *rider) reverseFirst(g *ghost, amount int64) {
	request := authorization.Request{Realm: g.Realm, Number: g.Number, Key: r.key(), Amount: usd(amount), Merchant: ads}
	a := authorization.Advice{Realm: g.Realm, Number: g.Number, Original: request.Key, Key: r.key()}
	r.send(r.sending("reverse", a), g.yes(0, false))
	other := request
	other.Amount.Minor++
	r.send(&sent{what: "late", do: func(ctx context.Context) (authorization.Decision, error) { return r.Authorize(ctx, request) },
		other: func(ctx context.Context) (authorization.Decision, error) { return r.Authorize(ctx, other) }}, g.no(authorization.ReasonReversed, true))
}

// toggle freezes a card, or lets it go: more often, so that it can pay.
func (r *rider) toggle(g *ghost) {
	do := r.Cards.Freeze
	if g.frozen {
		do = r.Cards.Unfreeze
	} else if r.rng.IntN(3) > 0 {
		return
	}
	if _, err := do(context.Background(), g.Holder, issuing.Step{Card: g.ID}); err != nil {
		r.t.Errorf("toggle: %v", err)
	}
	g.frozen = !g.frozen
}
