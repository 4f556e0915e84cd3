package ping

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/pseudonym"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/line"
)

// Purposes of what the vault seals and hashes for this package.
const (
	purposeNetwork = "ping.network"
	purposeAgent   = "ping.agent"
	purposeDevice  = "ping.device"
)

// attempt is one check while it is made.
type attempt struct {
	check   *Check
	network *connection
	caller  callerKey
	inquiry Inquiry
	at      time.Time // in the realm
	now     time.Time // by the machine's clock
	card    fraud.Hash
	event   fraud.Event
	balance Balance
	result  Result
}

// guarded says whether the check counts against quota, locks and suspensions.
func (a *attempt) guarded() bool { return !a.network.sandbox }

// quota is how many checks the book may make, if the check costs one of them.
func (s *Service) quota(a *attempt) (checks int64, bounded bool) {
	if !a.guarded() || a.inquiry.Realm != realm.Live {
		return 0, false
	}
	return s.Quotas.Of(a.caller.book)
}

// Ping checks a card on a network. A number that does not exist, a wrong PIN and a locked
// card are one answer: invalid, with a balance of zero. It returns invalid_request for an
// unknown network, card_invalid for a number that cannot be the network's or a PIN that is
// missing, rate_limited, quota_exceeded, permission_denied to a suspended caller, and
// unavailable or timeout when the network gave no answer.
func (s *Service) Ping(ctx context.Context, c Check) (Result, error) {
	a, err := s.begin(ctx, &c)
	if err != nil {
		return Result{}, err
	}
	defer a.network.leave()
	a.result.Score = s.score(a)
	if err := s.ask(ctx, a); err != nil {
		return Result{}, err
	}
	result, err := s.record(ctx, a)
	if err != nil {
		return Result{}, err
	}
	s.learn(a, result)
	return result.told(), nil
}

// begin enters the network and checks everything that can be checked without asking it.
func (s *Service) begin(ctx context.Context, c *Check) (*attempt, error) {
	a := &attempt{check: c, at: s.Clocks.Now(c.Caller.Realm), now: s.now(), caller: callerKey{c.Caller.Book, c.Caller.name()}}
	if c.Currency == money.NoCurrency {
		c.Currency = money.USD
	}
	c.PIN = pan.NewSecret(strings.TrimSpace(c.PIN.Reveal()))
	var err error
	if a.network, err = s.networks.enter(c.Caller.Realm, c.Network); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, a); err != nil {
		a.network.leave()
		return nil, err
	}
	return a, nil
}

// prepare checks the caller, the number and the quota, and makes the inquiry.
func (s *Service) prepare(ctx context.Context, a *attempt) error {
	c := a.check
	if a.guarded() {
		if err := s.admit(ctx, a); err != nil {
			return err
		}
	}
	number, err := a.network.rules.read(c)
	if err != nil {
		return err
	}
	a.inquiry = Inquiry{Book: c.Caller.Book, Realm: c.Caller.Realm, Number: number, PIN: c.PIN, Currency: c.Currency, Public: c.Caller.public()}
	a.card = s.cardHash(c.Caller.Realm, c.Network, number.Reveal())
	if a.guarded() {
		if err := take(ctx, s.local, "ping.card:"+hex.EncodeToString(a.card[:16]), s.Policy.Card); err != nil {
			return err
		}
	}
	if checks, bounded := s.quota(a); bounded && s.spent.all(a.caller.book, used{limit.Month(a.now), checks}) {
		return quotaExceeded(checks, a.now)
	}
	return nil
}

// admit refuses suspended callers and those who ask too often.
func (s *Service) admit(ctx context.Context, a *attempt) error {
	switch s.watch.state(a.caller) {
	case callerSuspended:
		return errSuspended()
	case callerSlowed:
		if err := take(ctx, s.Limits, "ping.slowed:"+string(a.caller.book)+"/"+a.caller.name, s.Policy.Slowed); err != nil {
			return err
		}
	case callerFree:
	}
	limits, windows := s.Limits, s.Policy.Credential
	if a.check.Caller.public() {
		limits, windows = s.local, s.Policy.Visitor
	}
	if err := take(ctx, limits, "ping.caller:"+string(a.caller.book)+"/"+a.caller.name, windows); err != nil {
		return err
	}
	place := a.check.Caller.place()
	if place == "" {
		return nil
	}
	return take(ctx, s.Limits, "ping.address:"+place, s.Policy.Address)
}

// take takes one of a limit's windows, or says how long to wait.
func take(ctx context.Context, limits *limit.Limiter, subject string, windows []limit.Window) error {
	if len(windows) == 0 {
		return nil
	}
	d, err := limits.Take(ctx, subject, windows, 1)
	if err != nil {
		return err
	}
	if !d.Allowed {
		return fault.New(fault.RateLimited, "too many balance checks").After(d.RetryAfter)
	}
	return nil
}

func errSuspended() error {
	return fault.New(fault.PermissionDenied, "the credential may not check balances: its checks looked like a search for cards")
}

func quotaExceeded(checks int64, now time.Time) error {
	return fault.New(fault.QuotaExceeded, "the quota of %d balance checks for %s is used up", checks, limit.Month(now)).
		After(limit.MonthEnd(now).Sub(now))
}

func (s *Service) now() time.Time { return s.Clocks.Now(realm.Live) }

// cardHash stands for a card: the same for the same number, network and realm, for good.
func (s *Service) cardHash(r realm.Realm, network, number string) fraud.Hash {
	return s.names(r, network).Card(number)
}

func (s *Service) names(r realm.Realm, network string) pseudonym.Names {
	return pseudonym.Names{Vault: s.Vault, Realm: r, Network: network}
}

// cardID is the name of a card in events, from its hash.
func cardID(card fraud.Hash) string { return "card_" + hex.EncodeToString(card[:16]) }

// score asks the engine, before the network is asked.
func (s *Service) score(a *attempt) fraud.Score {
	if s.Fraud == nil {
		return fraud.Score{}
	}
	c := &a.check.Caller
	a.event = fraud.Event{Kind: fraud.Ping, At: a.at, Realm: c.Realm, Book: c.Book, Caller: c.Credential, Public: c.public(),
		Address: c.Address.Unmap(), Network: a.network.id, Card: a.card}
	names, number := s.names(c.Realm, a.network.id), a.inquiry.Number.Reveal()
	names.Next(&a.event, number)
	names.Around(&a.event, number)
	if c.Device != "" {
		a.event.Agent = fraud.Hash(s.Vault.Hash(purposeAgent, string(c.Realm)+"/"+c.Agent))
		a.event.Device = fraud.Hash(s.Vault.Hash(purposeDevice, string(c.Realm)+"/"+c.Device))
	}
	return s.Fraud.Score(a.event)
}

// learn tells the engine what came of a check. Found is what the caller was told: of a
// locked card nobody finds anything.
func (s *Service) learn(a *attempt, r Result) {
	if s.Fraud == nil {
		return
	}
	wrong := a.balance.PIN == PINWrong || a.balance.Status != r.Status
	s.Fraud.Learn(a.event, fraud.Outcome{Found: r.Status != Invalid, WrongPIN: wrong})
}

// ask asks the network and makes the result of its answer.
func (s *Service) ask(ctx context.Context, a *attempt) error {
	watch := clock.Start()
	balance, err := a.network.ask(ctx, a)
	latency := watch.Elapsed()
	if err == nil {
		a.balance, err = a.network.judge(&a.inquiry, balance)
	}
	if err != nil {
		s.report(ctx, a, err)
		return err
	}
	score := a.result.Score
	if staged := a.balance.Staged; staged != nil {
		score, latency = staged.Score, staged.Latency
	}
	a.result = Result{ID: ID(id.New(idPrefix)), Network: a.network.id, Status: a.balance.Status, Balance: a.balance.Amount,
		Expiry: a.balance.Expiry, Score: score, Latency: latency, AsOf: a.balance.AsOf, At: a.at}
	switch {
	case a.result.AsOf.IsZero():
		a.result.AsOf = a.at
	case a.inquiry.Realm == realm.Test:
		a.result.AsOf = a.result.AsOf.Add(s.Clocks.Offset())
	}
	return nil
}

// report logs which network outside failed, and why, each reason once in a while. One that
// could not be opened is in the log already.
func (s *Service) report(ctx context.Context, a *attempt, err error) {
	if a.network.line == nil || a.network.network == nil || fault.CodeOf(err) != fault.Unavailable || line.NotAsked(err) {
		return
	}
	if unsaid, due := a.network.line.Due(err); due {
		s.Logger.WarnContext(ctx, "network failed", "realm", string(a.inquiry.Realm), "network", a.network.id, "error", err, "unsaid", unsaid)
	}
}

// told is what the caller hears of a result: beside an invalid answer no score that tells
// whether there is such a card, and beside any other none that tells it of other cards.
func (r Result) told() Result {
	if r.Status == Invalid {
		r.Score = r.Score.Uniform()
	} else {
		r.Score = r.Score.Found()
	}
	return r
}

// withheld is what a result becomes when the card is locked, or a honey number: the answer
// of a number that does not exist.
func (a *attempt) withheld() Result {
	r := a.result
	r.Status, r.Balance, r.Expiry, r.AsOf = Invalid, money.New(0, a.inquiry.Currency), "", a.at
	return r
}
