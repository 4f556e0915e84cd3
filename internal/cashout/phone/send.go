package phone

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Send makes a new code for an order, which ends the one before, and sends it. It returns
// rate_limited before the next one may be asked for and where a limit is reached,
// quota_exceeded when the day's money is spent, invalid_request for a country that no code
// is sent to and for a call where none are made, and unavailable when the message was not taken.
func (s *Service) Send(ctx context.Context, q Request) error {
	line, ok := s.lines[q.Realm]
	if !ok || line.Sender == nil {
		return fault.New(fault.Unavailable, "no codes are sent just now")
	}
	if len(line.Policy.Countries) > 0 && !slices.Contains(line.Policy.Countries, q.To.Country()) {
		return fault.New(fault.InvalidRequest, "no codes are sent to this country").At("phone_number")
	}
	if q.Voice && !line.Sender.Has(Voice) {
		return fault.New(fault.InvalidRequest, "no calls are made here: ask for a text message").At("call")
	}
	code := line.Code
	if code.IsZero() {
		drawn, err := s.draw()
		if err != nil {
			return err
		}
		code = drawn
	}
	if err := s.wait(ctx, q, &line.Policy); err != nil {
		return err
	}
	if err := s.count(ctx, q, &line.Policy); err != nil {
		return err
	}
	if err := s.keep(ctx, q, &line.Policy, code); err != nil {
		return err
	}
	m := Message{To: q.To, Channel: Text, Code: code}
	if q.Voice {
		m.Channel = Voice
	}
	if err := line.Sender.Send(ctx, m); err != nil {
		s.Logger.WarnContext(ctx, "code not sent", "order", q.Order, "to", q.To, "channel", string(m.Channel), "error", err)
		return fault.Wrap(err, fault.Unavailable, "the code could not be sent: try again")
	}
	return nil
}

// draw returns a code of which every digit is as likely as any other.
func (s *Service) draw() (pan.Secret, error) {
	var text [Digits]byte
	var one [1]byte
	for i := 0; i < Digits; {
		if _, err := io.ReadFull(s.Random, one[:]); err != nil {
			return pan.Secret{}, fmt.Errorf("draw a code: %w", err)
		}
		if one[0] < 250 {
			text[i] = '0' + one[0]%10
			i++
		}
	}
	return pan.NewSecret(string(text[:])), nil
}

// wait refuses an order that had its codes, or its last one a moment ago.
func (s *Service) wait(ctx context.Context, q Request, p *Policy) error {
	last, found, err := storage.One(ctx, s.DB, scanCode, findCode, string(q.Book), q.Order)
	if err != nil || !found {
		return err
	}
	return last.mayResend(s.Clocks.Now(q.Realm), p)
}

func (c *code) mayResend(now time.Time, p *Policy) error {
	if c.sends >= int64(p.Sends) {
		return fault.New(fault.QuotaExceeded, "this order had all of its codes")
	}
	if left := p.Resend - now.Sub(c.sentAt); left > 0 {
		return fault.New(fault.RateLimited, "a code was just sent: wait %d seconds", int((left+time.Second-1)/time.Second)).After(left)
	}
	return nil
}

// count takes a message from every limit that it falls under. What is taken stays taken:
// somebody who runs into one limit uses up the others, too.
func (s *Service) count(ctx context.Context, q Request, p *Policy) error {
	address := "unknown"
	if q.From.IsValid() {
		address = network(q.From)
	}
	for _, l := range []struct {
		subject string
		windows []limit.Window
	}{
		{"address/" + address, p.Address},
		{"number/" + hex.EncodeToString(s.Hash(q.To)), p.Number},
		{"range/" + hex.EncodeToString(s.Vault.Hash(purposeHash, q.To.block())), p.Range},
		{"country/" + q.To.Country(), p.Country},
	} {
		if len(l.windows) == 0 {
			continue
		}
		d, err := s.Limits.Take(ctx, "cashout/"+string(q.Realm)+"/"+l.subject, l.windows, 1)
		if err != nil {
			return err
		}
		if !d.Allowed {
			return fault.New(fault.RateLimited, "too many codes were asked for").After(max(d.RetryAfter, time.Second))
		}
	}
	return nil
}

// keep writes the new code down, with the day's money and counts, before it is sent. Of two
// requests of an order at once the second one waits as if it had come later.
func (s *Service) keep(ctx context.Context, q Request, p *Policy, secret pan.Secret) error {
	now, cost := s.Clocks.Now(q.Realm), p.CostText
	if q.Voice {
		cost = p.CostVoice
	}
	c := code{place: q.Place, phoneHash: s.Hash(q.To), codeHash: s.hashOf(q.Place, q.To, secret), country: q.To.Country(), sentAt: now, expiresAt: now.Add(Lifetime)}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		last, found, err := storage.One(ctx, tx, scanCode, lockCode, string(q.Book), q.Order)
		if err == nil && found {
			err = last.mayResend(now, p)
		}
		if err != nil {
			return err
		}
		if cost > 0 {
			quota := limit.Quota{Book: string(q.Book), Name: "cashout.messages", Period: limit.Day(now), Limit: p.Cap}
			if _, err := limit.Spend(ctx, tx, quota, cost); err != nil {
				return err
			}
		}
		put := putCode.With(append(c.args(), p.Sends, storage.Micros(now.Add(-p.Resend)))...).Exactly(1)
		return tx.Apply(ctx, []storage.Effect{put, countSent.With(string(q.Book), limit.Day(now), c.country)})
	})
	if errors.Is(err, storage.ErrStale) { // the first code of an order, which there is no row to lock for
		return cmp.Or(s.wait(ctx, q, p), busy())
	}
	return err
}

func busy() error {
	return fault.New(fault.RateLimited, "another code is being sent: wait a moment").After(time.Second)
}
