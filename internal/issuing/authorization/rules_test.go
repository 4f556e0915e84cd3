package authorization_test

import (
	"context"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
)

// scorer is a fraud scorer that does as it is told.
type scorer struct {
	mu       sync.Mutex
	score    int
	outcomes []fraud.Outcome
}

func (s *scorer) Score(fraud.Event) fraud.Score { return fraud.Score{Hundredths: s.score} }

func (s *scorer) Learn(_ fraud.Event, o fraud.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes = append(s.outcomes, o)
}

// decider answers with one verdict and keeps the questions.
type decider struct {
	verdict authorization.Verdict
	asked   []authorization.Question
}

func (d *decider) Decide(_ context.Context, q authorization.Question) authorization.Verdict {
	d.asked = append(d.asked, q)
	return d.verdict
}

// A high score declines, a fairly high one asks for a challenge online, unless neither is to
// happen, and the scorer hears what came of each payment once.
func TestScore(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c, judge := p.issue(ann, binAds, 10_000), &scorer{score: 85}
		p.Fraud = judge
		r := p.request(c, 100, ads)
		d := p.pay(r, authorization.ReasonFraud)
		check.Equal(t, "score", d.Score, 85)
		p.pay(r, authorization.ReasonFraud)
		judge.score = 60
		p.pay(p.request(c, 100, ads), authorization.ReasonChallenge)
		chip := p.request(c, 100, ads)
		chip.Entry = authorization.Chip
		p.pay(chip, "")
		judge.score = 59
		wrong := p.request(c, 100, ads)
		wrong.CVC = pan.NewSecret("wrong")
		p.pay(wrong, authorization.ReasonCVCWrong)
		p.pay(p.request(c, 100, ads), "")
		check.Equal(t, "outcomes", judge.outcomes, []fraud.Outcome{{}, {}, {Found: true}, {WrongPIN: true}, {Found: true}})
		p.Policy.DeclineAt, p.Policy.ChallengeAt = 0, 0 // never
		judge.score = 0
		p.pay(p.request(c, 100, ads), "")
		judge.score = 100
		p.pay(p.request(c, 100, ads), "")
	})
}

// While a decider is down, small payments are approved, up to an amount a day, and marked.
func TestStandIn(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 100_000)
		p.Policy.StandIn = authorization.StandIn{MaxMajor: 50, MaxDayMajor: 100}
		p.Decider = &decider{verdict: authorization.Absent}
		for range 2 {
			p.pay(p.request(c, 5_001, ads), authorization.ReasonStandIn)
			d := p.pay(p.request(c, 5_000, ads), "")
			if !d.StoodIn {
				t.Error("the decision does not say that it stood in")
			}
			got, err := p.Get(context.Background(), d.Book, d.Transaction)
			check.OK(t, err)
			check.Equal(t, "kept", got.StoodIn, true)
			p.advise(p.Reverse, of(d, 0), "") // what was approved blindly stays counted
		}
		p.pay(p.request(c, 1, ads), authorization.ReasonStandIn)
		p.pay(p.request(c, 200_000, ads), authorization.ReasonFunds)
		p.forward(day)
		p.pay(p.request(c, 5_000, ads), "")
		p.Decider = &decider{verdict: authorization.Allow}
		check.Equal(t, "stood in", p.pay(p.request(c, 50_000, ads), "").StoodIn, false)
		p.verify()
	})
}

// A decider is asked about what the rules allow, once, and can only tighten.
func TestDecider(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c, ask := p.issue(ann, binAds, 10_000), &decider{verdict: authorization.Deny}
		p.Decider = ask
		r := p.request(c, 1_000, diner)
		r.Original = money.New(900, money.EUR)
		d := p.pay(r, authorization.ReasonDecisionWebhook)
		p.pay(r, authorization.ReasonDecisionWebhook)
		check.Equal(t, "questions", ask.asked, []authorization.Question{{Book: ann.Book, Realm: ann.Realm, Payment: d.ID, Card: c.ID, Last4: c.Number.Last4(), Amount: usd(1_000),
			Original: money.New(900, money.EUR), Merchant: diner, Category: "restaurants", Entry: authorization.Online, At: d.At}})
		ask.verdict = authorization.Allow
		p.pay(p.request(c, 1_000, diner), "")
		p.pay(p.request(c, 10_000, diner), authorization.ReasonFunds) // its leave is not an order
		wrong := p.request(c, 1_000, diner)
		wrong.Expiry = "2001"
		p.pay(wrong, authorization.ReasonExpiryWrong)
		check.Equal(t, "questions", len(ask.asked), 3)
		ask.verdict = authorization.Absent
		p.pay(p.request(c, 5_001, diner), authorization.ReasonStandIn)
		check.Equal(t, "stood in", p.pay(p.request(c, 100, diner), "").StoodIn, true)
	})
}

// An increment is scored and asked about like a payment, once, and told what the payment
// holds already; a refusal leaves the payment as it was.
func TestIncrementIsWeighed(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 100_000)
		d := p.pay(p.request(c, 3_000, inn), "")
		judge, ask := &scorer{score: 84}, &decider{verdict: authorization.Allow}
		p.Fraud, p.Decider = judge, ask
		more := of(d, 1_000)
		more.Key = p.key()
		first := p.advise(p.Increment, more, "") // of 0.60 and more a new payment would need a challenge
		p.advise(p.Increment, more, "")
		check.Equal(t, "score", first.Score, 84)
		check.Equal(t, "questions", ask.asked, []authorization.Question{{Book: ann.Book, Realm: ann.Realm, Payment: d.ID, Card: c.ID, Last4: c.Number.Last4(), Amount: usd(1_000),
			Held: usd(3_000), Merchant: inn, Category: "lodging", Entry: authorization.Online, Score: 84, At: first.At}})
		judge.score = 85
		check.Equal(t, "score of a decline", p.advise(p.Increment, of(d, 1_000), authorization.ReasonFraud).Score, 85)
		p.advise(p.Increment, of(d, 100_000), authorization.ReasonFunds) // the books come first
		judge.score, ask.verdict = 0, authorization.Deny
		p.advise(p.Increment, of(d, 1_000), authorization.ReasonDecisionWebhook)
		ask.verdict = authorization.Absent
		p.advise(p.Increment, of(d, 1_001), authorization.ReasonStandIn) // 50.01 altogether
		check.Equal(t, "stood in", p.advise(p.Increment, of(d, 1_000), "").StoodIn, true)
		check.Equal(t, "questions", len(ask.asked), 4)
		check.Equal(t, "outcomes", judge.outcomes, []fraud.Outcome{{Found: true}, {}, {}, {}, {}, {Found: true}})
		p.Policy.StandIn.MaxDayMajor = 15 // of which the increment has 10
		last := p.pay(p.request(c, 500, inn), "")
		p.advise(p.Increment, of(last, 1), authorization.ReasonStandIn)
		p.look(c, issuing.Active, 94_500, 5_500)
		p.verify()
	})
}

// An increment is held to the card's controls as they are now, with all that the payment
// comes to.
func TestIncrementKeepsControls(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 100_000)
		d := p.pay(p.request(c, 3_000, inn), "")
		set := func(controls issuing.Controls) {
			t.Helper()
			_, err := p.Cards.Change(context.Background(), issuing.Holder{Book: ann.Book, Realm: ann.Realm, Actor: "op/1", Operator: true}, issuing.Change{Card: c.ID, Controls: &controls})
			check.OK(t, err)
		}
		set(issuing.Controls{Limits: []spending.Limit{{Window: spending.PerPayment, Amount: usd(3_500)}}})
		p.advise(p.Increment, of(d, 501), authorization.ReasonSpendingLimit)
		p.advise(p.Increment, of(d, 500), "")
		set(issuing.Controls{Categories: []string{"advertising"}, Limits: []spending.Limit{{Window: spending.PerMonth, Amount: usd(4_000)}}})
		p.advise(p.Increment, of(d, 501), authorization.ReasonSpendingLimit)
		p.advise(p.Increment, of(d, 500), authorization.ReasonCategory)
		set(issuing.Controls{Countries: []string{"US"}})
		p.advise(p.Increment, of(d, 1), authorization.ReasonCountry)
		p.look(c, issuing.Active, 96_500, 3_500)
		p.verify()
	})
}

// The engine of fraud scores declines a burst at one merchant, and a large amount in a new
// country after small ones at home.
func TestEngine(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.Fraud = byRules{fraud.New(fraud.Config{})}
		c := p.issue(ann, binAds, 400_000)
		for range 5 {
			check.Equal(t, "score", p.pay(p.request(c, 1_000, ads), "").Score, 0)
		}
		r := p.request(c, 100_000, diner)
		check.Equal(t, "score of a hundred times as much abroad", p.pay(r, "").Score, 55) // 15 and 40
		burst := p.issue(ann, binAds, 100_000)
		last := 0
		for range 60 {
			d, err := p.Authorize(context.Background(), p.request(burst, 100, ads))
			check.OK(t, err)
			last = d.Score
		}
		check.Equal(t, "score of a burst", last, 85)
		p.pay(p.request(burst, 100, ads), authorization.ReasonFraud)
	})
}

// Every reason has a sentence and advice.
func TestReasons(t *testing.T) {
	source, err := os.ReadFile("authorization.go")
	check.OK(t, err)
	var named []authorization.Reason
	for _, m := range regexp.MustCompile(`Reason = "([a-z0-9_]+)"`).FindAllStringSubmatch(string(source), -1) {
		named = append(named, authorization.Reason(m[1]))
	}
	slices.Sort(named)
	all := authorization.Reasons()
	check.Equal(t, "reasons with words", all, named)
	for _, r := range all {
		sentence, advice := r.Words()
		if sentence == "" || advice == "" || sentence[len(sentence)-1] != '.' || advice[len(advice)-1] != '.' {
			t.Errorf("%s: %q, %q", r, sentence, advice)
		}
	}
}

// Whoever reads the advice of a decline can follow it, also where an operator alone can lift
// what stands in the way, or nothing can.
func TestAdviceCanBeFollowed(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, operator := context.Background(), ann
		operator.Operator = true
		frozen := p.issue(ann, binAds, 1_000)
		_, err := p.Cards.Freeze(ctx, operator, issuing.Step{Card: frozen.ID})
		check.OK(t, err)
		d := p.pay(p.request(frozen, 100, ads), authorization.ReasonCardFrozen)
		_, err = p.Cards.Unfreeze(ctx, ann, issuing.Step{Card: frozen.ID})
		check.Code(t, "unfrozen by its holder", err, fault.InvalidState)
		check.Equal(t, "frozen by an operator", d.Advice, "Unfreeze the card and try again; if the operator froze it, ask support.")

		expired := p.issue(ann, binAds, 1_000)
		p.forward(4 * 365 * day)
		d = p.pay(p.request(expired, 100, ads), authorization.ReasonCardExpired)
		_, err = p.Cards.Replace(ctx, ann, issuing.Replacement{Card: expired.ID, Reason: issuing.ReasonExpiring})
		check.Code(t, "replaced after its day", err, fault.InvalidState)
		check.Equal(t, "expired", d.Advice, "Use another card.")
	})
}

// Who guesses security codes hears the score alone in the end, also for the right code and
// in inquiries.
func TestGuesses(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.Fraud = byRules{fraud.New(fraud.Config{})}
		c := p.issue(ann, binAds, 10_000)
		inquire := func(cvc pan.Secret) authorization.Reason {
			r := p.request(c, 0, authorization.Merchant{})
			r.CVC = cvc
			d, err := p.Inquire(context.Background(), r)
			check.OK(t, err)
			return d.Reason
		}
		for i := range 6 {
			if i%2 == 0 {
				check.Equal(t, "inquiry", inquire(pan.NewSecret("wrong")), authorization.ReasonCVCWrong)
				continue
			}
			r := p.request(c, 100, authorization.Merchant{})
			r.CVC = pan.NewSecret("wrong")
			p.pay(r, authorization.ReasonCVCWrong)
		}
		check.Equal(t, "another guess", inquire(pan.NewSecret("wrong")), authorization.ReasonFraud)
		check.Equal(t, "the right code", inquire(c.CVC), authorization.ReasonFraud)
		p.pay(p.request(c, 100, authorization.Merchant{}), authorization.ReasonFraud)
	})
}

// The trade of a merchant decides how long is held and how much may be added.
func TestTrades(t *testing.T) {
	policy := authorization.DefaultPolicy()
	for mcc, row := range map[string]struct {
		hold    time.Duration
		ceiling int64 // of 9.99
	}{
		"7311": {7 * day, 999}, "5812": {7 * day, 1_198}, "5814": {7 * day, 1_198}, "5815": {7 * day, 999}, "7011": {30 * day, 1_148},
		"3501": {30 * day, 1_148}, "3500": {7 * day, 999}, "": {7 * day, 999}, "58": {7 * day, 999},
	} {
		hold, ceiling := policy.Of(mcc, usd(999))
		if hold != row.hold || ceiling != usd(row.ceiling) {
			t.Errorf("%s: held for %s, captured up to %s; want %s and %s", mcc, hold, ceiling, row.hold, usd(row.ceiling))
		}
	}
}

// While a wallet is below zero, because a deposit that was spent was undone, its cards pay
// nothing, though money is on them; what was authorized before is captured, and a payment
// into the wallet lets them pay again.
func TestWalletBelowZero(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, c := context.Background(), p.issue(ann, binAds, 10_000)
		held := p.pay(p.request(c, 1_000, ads), "")
		left := p.posted(ann, "wallet/USD")
		move := func(minor int64, forced bool) {
			t.Helper()
			purse, bank := wallet.Account(money.USD), ledger.NewAccount{ID: "wallet.deposits/BTC", Currency: money.USD, Side: ledger.Debit, Unbounded: true}
			posting := ledger.Posting{Debit: purse.ID, Credit: bank.ID, Amount: usd(minor), Forced: forced}
			if !forced {
				posting.Debit, posting.Credit = posting.Credit, posting.Debit
			}
			_, err := p.Books.Submit(ctx, ledger.Operation{Book: ann.Book, Kind: "deposit.reverse", Actor: "test", At: p.Clocks.Now(ann.Realm),
				Open: []ledger.NewAccount{purse, bank}, Postings: []ledger.Posting{posting}})
			check.OK(t, err)
		}
		move(left+1, true)
		p.pay(p.request(c, 1, ads), authorization.ReasonWallet)
		p.pay(p.request(c, 0, ads), authorization.ReasonWallet)
		p.pay(p.request(c, 100_000, ads), authorization.ReasonFunds)
		p.advise(p.Increment, of(held, 1), authorization.ReasonWallet)
		p.advise(p.Increment, of(held, 100_000), authorization.ReasonFunds)
		p.advise(p.Capture, of(held, 1_000), "")
		move(1, false)
		p.pay(p.request(c, 1, ads), "")
		p.verify()
	})
}

// byRules scores by the built-in rules alone.
type byRules struct{ *fraud.Engine }

func (r byRules) Score(e fraud.Event) fraud.Score {
	return r.MeasurePayment(&e, new(fraud.PaymentRow), nil)
}
