package payout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/payout/invoice"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	milli     = 1000 // millisatoshis in a satoshi
	maxReason = 64
)

// Pay goes on with a payout over Lightning as far as it gets now, and returns after what
// time to go on; 0: it is over. Nothing is sent that was not written down before, and
// nothing is sent again while it is not known how it ended. It is run by any number of
// processes; what another one does meanwhile counts.
func (s *Service) Pay(ctx context.Context, p Payout) (time.Duration, error) {
	for range maxSteps {
		again, err := s.advance(ctx, p)
		if err != nil && !errors.Is(err, storage.ErrStale) {
			return 0, fmt.Errorf("pay %s: %w", p.ID, err)
		}
		if again > 0 {
			return again, nil
		}
		if p, err = s.Find(ctx, p.Book, p.ID); err != nil || p.State == Settled || p.State == Failed {
			return 0, err
		}
	}
	return s.Policy.Lightning.Poll, nil
}

// advance takes one step. It returns after what time to take the next one; 0: at once.
func (s *Service) advance(ctx context.Context, p Payout) (time.Duration, error) {
	if p.State != Held && p.State != Sending {
		return 0, nil
	}
	if s.Nodes[p.Realm].Lightning == nil { // the operator names none any more, or none in this process
		return 0, fault.New(fault.Unavailable, "nobody pays over Lightning in the %s realm", p.Realm)
	}
	if p.attempts == 0 {
		return s.begin(ctx, p)
	}
	a, found, err := storage.One(ctx, s.DB, scanAttempt, findAttempt, string(p.Book), string(p.ID), p.attempts)
	switch {
	case err != nil:
		return 0, err
	case !found:
		return 0, fmt.Errorf("attempt %d is missing", p.attempts)
	case a.state == attemptFailed:
		return s.begin(ctx, p)
	case a.sends == 0:
		return s.send(ctx, p, a)
	}
	return s.track(ctx, p, a)
}

// begin makes the next attempt and stores its invoice, before anything is sent.
func (s *Service) begin(ctx context.Context, p Payout) (time.Duration, error) {
	rules, now := s.Policy.Lightning, s.Clocks.Now(p.Realm)
	if p.attempts >= int64(rules.Tries) {
		_, err := s.fail(ctx, p, Unpayable)
		return 0, err
	}
	stopped, err := s.Stopped(ctx, p.Realm)
	if err != nil || stopped {
		return rules.Poll, err
	}
	text := p.To.Text
	if p.To.Kind == destination.Handle {
		if text, err = s.fetch(ctx, p); err != nil {
			return s.unanswered(ctx, p, err)
		}
	}
	in, err := invoice.Decode(text)
	if err != nil {
		return 0, err
	}
	if in.ExpiresAt.Before(now.Add(rules.Timeout)) {
		_, err := s.fail(ctx, p, Expired)
		return 0, err
	}
	a := attempt{number: p.attempts + 1, invoice: text, hash: hexOf(in.Hash), state: attemptOpen, madeAt: now, expiresAt: in.ExpiresAt}
	var effects []storage.Effect
	if p.To.Kind == destination.Handle {
		effects = append(effects, p.claimHash(a.hash))
	}
	if p.State != Sending { // the first attempt
		if err := p.State.become(Sending); err != nil {
			return 0, err
		}
	}
	p.Reason, p.attempts, p.Hash, p.ChangedAt = None, a.number, a.hash, now
	_, err = s.write(ctx, p, append(effects, insertAttempt.With(a.row(&p)...).Exactly(1))...)
	return 0, err
}

// fetch asks the service behind a Lightning Address for an invoice, and holds it to what
// was asked for.
func (s *Service) fetch(ctx context.Context, p Payout) (string, error) {
	user, host := p.To.Split()
	offer, err := s.Nodes[p.Realm].Resolver.Resolve(ctx, Ask{User: user, Host: host, MilliSatoshi: p.Amount.Minor * milli})
	if err != nil {
		return "", err
	}
	in, err := invoice.Decode(offer.Invoice)
	switch {
	case err != nil:
		return "", err
	case in.Prefix != p.To.Network.Prefix():
		return "", fault.New(fault.InvalidRequest, "the invoice is of another network")
	case in.MilliSatoshi != p.Amount.Minor*milli:
		return "", fault.New(fault.InvalidRequest, "the invoice asks for %d millisatoshis instead of %d", in.MilliSatoshi, p.Amount.Minor*milli)
	case in.HasDescriptionHash && in.DescriptionHash != sha256.Sum256([]byte(offer.Metadata)):
		return "", fault.New(fault.InvalidRequest, "the invoice is for something else")
	case in.ExpiresAt.Before(s.Clocks.Now(p.Realm).Add(s.Policy.Lightning.Timeout)):
		return "", fault.New(fault.InvalidRequest, "the invoice has expired")
	}
	_, taken, err := storage.One(ctx, s.DB, scanKey, findHash, string(p.Realm), hexOf(in.Hash))
	if err == nil && taken {
		err = fault.New(fault.InvalidRequest, "the invoice was given before")
	}
	return offer.Invoice, err
}

// unanswered waits for a service that gave no invoice which can be paid, until its time is
// over: nothing was sent meanwhile, so the money is free then. Its time begins when it is
// asked, first, after a payment that failed, or after payouts were stopped: how long they were,
// or nobody was there to pay before, is not the service's.
func (s *Service) unanswered(ctx context.Context, p Payout, why error) (time.Duration, error) {
	rules := s.Policy.Lightning
	code := fault.CodeOf(why)
	if code != fault.InvalidRequest && code != fault.Unavailable {
		return 0, why
	}
	s.Logger.WarnContext(ctx, "a Lightning Address gives no invoice", "payout", string(p.ID), "error", why)
	now := s.Clocks.Now(p.Realm)
	if p.version == 1 { // as it was planned
		p.ChangedAt = now
		_, err := s.write(ctx, p)
		return rules.Again, err
	}
	turned, _, err := storage.One(ctx, s.DB, storage.Scalar[int64], findTurned, string(p.Realm))
	if err != nil {
		return 0, err
	}
	if now.Sub(storage.Time(max(storage.Micros(p.ChangedAt), turned))) < time.Duration(rules.Tries)*rules.Again {
		return rules.Again, nil
	}
	_, err = s.fail(ctx, p, NoInvoice)
	return 0, err
}

// send hands an attempt to the node, once it is written down that it is.
func (s *Service) send(ctx context.Context, p Payout, a attempt) (time.Duration, error) {
	rules, now := s.Policy.Lightning, s.Clocks.Now(p.Realm)
	if stopped, err := s.Stopped(ctx, p.Realm); err != nil || stopped {
		return rules.Poll, err
	}
	if a.expiresAt.Before(now.Add(rules.Timeout)) {
		return s.refuse(ctx, p, a, "expired")
	}
	in, err := invoice.Decode(a.invoice)
	if err != nil {
		return 0, err
	}
	limit, err := rules.feeLimit(p.Amount)
	if err != nil {
		return 0, err
	}
	// A process that is paused behind the next line sends nothing when it wakes.
	ctx, cancel := context.WithTimeout(ctx, 2*rules.Timeout)
	defer cancel()
	before := a.sends
	a.sends, a.sentAt = before+1, now
	if err := s.apply(ctx, a.save(&p, before)); err != nil {
		return 0, err
	}
	answer, err := s.Nodes[p.Realm].Lightning.Pay(ctx, Transfer{Invoice: a.invoice, Hash: in.Hash, MilliSatoshi: p.Amount.Minor * milli,
		FeeLimit: limit * milli, Timeout: rules.Timeout})
	if err != nil {
		s.Logger.WarnContext(ctx, "it is not known whether an invoice was paid: it is looked up", "payout", string(p.ID), "error", err)
		return rules.Poll, nil
	}
	unanswered, _, err := storage.One(ctx, s.DB, storage.Scalar[int64], sumUnanswered, string(p.Book), string(p.ID), a.hash)
	if err != nil {
		return 0, err
	}
	answer.sure = unanswered == 1 // this one
	a.answered++
	return s.judge(ctx, p, a, answer)
}

// track asks the node what became of an attempt. Only when nothing that was sent can still
// arrive, what it has not heard of is sent again, or given up.
func (s *Service) track(ctx context.Context, p Payout, a attempt) (time.Duration, error) {
	rules := s.Policy.Lightning
	hash, err := hashOf(a.hash)
	if err != nil {
		return 0, err
	}
	answer, err := s.Nodes[p.Realm].Lightning.Track(ctx, hash)
	if err != nil {
		s.Logger.WarnContext(ctx, "a node does not say whether an invoice was paid", "payout", string(p.ID), "error", err)
		return rules.Poll, nil
	}
	answer.sure = s.Clocks.Now(p.Realm).Sub(a.sentAt) >= rules.Doubt
	return s.judge(ctx, p, a, answer)
}

// judge does what an answer asks for.
func (s *Service) judge(ctx context.Context, p Payout, a attempt, answer Answer) (time.Duration, error) {
	rules := s.Policy.Lightning
	switch answer.Outcome {
	case Succeeded:
		return 0, s.paid(ctx, p, a, answer)
	case Refused:
		if answer.sure {
			return s.refuse(ctx, p, a, answer.Reason)
		}
	case Unheard:
		if answer.sure {
			return s.send(ctx, p, a)
		}
	case InFlight, Unclear:
		if age := s.Clocks.Now(p.Realm).Sub(a.sentAt); age >= rules.Stuck {
			s.Logger.WarnContext(ctx, "a payment over Lightning is in flight for long", "payout", string(p.ID), "hash", a.hash, "since", a.sentAt)
		}
	}
	return rules.Poll, nil
}

// paid settles a payout by the preimage of its hash. One that does not fit proves nothing,
// and somebody has to look.
func (s *Service) paid(ctx context.Context, p Payout, a attempt, answer Answer) error {
	hash, err := hashOf(a.hash)
	if err != nil {
		return err
	}
	if sha256.Sum256(answer.Preimage[:]) != hash {
		return fmt.Errorf("the node says that %s was paid, and its preimage does not fit", a.hash)
	}
	a.state = attemptSettled
	p.Hash, p.Preimage = a.hash, hexOf(answer.Preimage)
	fee := money.New((answer.Fee+milli-1)/milli, money.BTC)
	_, err = s.settle(ctx, p, fee, a.save(&p, a.sends))
	return err
}

// refuse ends an attempt that failed for sure, and pauses before the next one, or fails the
// payout if there is none.
func (s *Service) refuse(ctx context.Context, p Payout, a attempt, why string) (time.Duration, error) {
	rules, now := s.Policy.Lightning, s.Clocks.Now(p.Realm)
	a.state, a.reason = attemptFailed, why[:min(len(why), maxReason)]
	saved := a.save(&p, a.sends)
	over := p.To.Kind == destination.Invoice && a.expiresAt.Before(now.Add(rules.Again+rules.Timeout))
	if over && a.reason == "expired" {
		_, err := s.fail(ctx, p, Expired, saved)
		return 0, err
	}
	if over || p.attempts >= int64(rules.Tries) {
		_, err := s.fail(ctx, p, Unpayable, saved)
		return 0, err
	}
	p.ChangedAt = now
	_, err := s.write(ctx, p, saved)
	return rules.Again, err
}

func hashOf(text string) (hash [32]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err == nil && len(raw) != len(hash) {
		err = fmt.Errorf("a payment hash has %d bytes", len(raw))
	}
	copy(hash[:], raw)
	return hash, err
}
