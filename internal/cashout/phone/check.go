package phone

import (
	"context"
	"crypto/subtle"
	"errors"
	"math"
	"net/netip"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// NeedsCaptcha reports whether so many wrong codes were entered for an order that whoever
// goes on has to show that they are a person.
func (s *Service) NeedsCaptcha(ctx context.Context, p Place) (bool, error) {
	c, found, err := storage.One(ctx, s.DB, scanCode, findCode, string(p.Book), p.Order)
	return found && c.failures >= int64(s.lines[p.Realm].Policy.Failures), err
}

// Check returns what is written with the confirmation when a code is the one that was sent
// to that number: the effects fail if the code was used meanwhile. For any other code,
// number or time it returns the same invalid_request. The try is counted before it is
// judged, so that many at once are no more than one after the other; where that needs a
// person who did not show up, it returns ErrPerson.
func (s *Service) Check(ctx context.Context, a Attempt) ([]storage.Effect, error) {
	wrong := fault.New(fault.InvalidRequest, "the verification code is wrong or too old").At("verification_code")
	now, policy := s.Clocks.Now(a.Realm), s.lines[a.Realm].Policy
	most := int64(policy.Failures)
	if a.Person {
		most = math.MaxInt64
	}
	var c code
	var counted bool
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		n, err := tx.Exec(ctx, countTry, string(a.Book), a.Order, policy.Tries, most)
		if err != nil {
			return err
		}
		counted = n == 1
		c, _, err = storage.One(ctx, tx, scanCode, findCode, string(a.Book), a.Order)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case !counted && c.failures >= most:
		return nil, ErrPerson
	case !counted || !now.Before(c.expiresAt):
		return nil, wrong
	case subtle.ConstantTimeCompare(c.codeHash, s.hashOf(a.Place, a.To, a.Code)) != 1:
		return nil, wrong
	}
	return []storage.Effect{useCode.With(string(a.Book), a.Order, c.codeHash).Exactly(1),
		countVerified.With(string(a.Book), limit.Day(c.sentAt), c.country)}, nil
}

// Moved returns what is written when an order's phone becomes n: the code that was sent to
// another one ends, and is not used by who is about to.
func (s *Service) Moved(p Place, n Number) storage.Effect {
	return endCode.With(string(p.Book), p.Order, s.Hash(n))
}

// ErrPerson says that so many wrong codes were entered that whoever goes on has to show that
// they are a person.
var ErrPerson = errors.New("phone: so many codes were wrong that a person is asked for")

// network is who stands behind an address: of IPv6 the /64.
func network(from netip.Addr) string {
	if from.Is6() && !from.Is4In6() {
		if prefix, err := from.WithZone("").Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return from.Unmap().String()
}
