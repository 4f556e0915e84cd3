package account

import (
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// MaxSkew is how far a signed request's timestamp may be from the machine's clock, either way.
const MaxSkew = 10 * time.Second

const (
	// nonceMemory is how long a nonce is remembered at least: longer than a
	// timestamp from MaxSkew ahead stays acceptable, which is twice MaxSkew.
	nonceMemory = 30 * time.Second
	// nonceRoom bounds the nonces of one nonceMemory; there are at most two in memory.
	nonceRoom  = 131_072
	purgeBatch = 5_000
)

var nonceForm = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)

// UseNonce accepts a nonce of a client id once. The caller has checked the
// signature over it and over the timestamp at. It returns fault.NonceInvalid when
// the nonce is malformed or was used, fault.TimestampSkewed when at is more than
// MaxSkew from now, fault.CredentialsInvalid when the client id does not work, and
// fault.Overloaded when memory is full.
//
// Where other processes share the database, each nonce is a row of it. Otherwise
// memory suffices but for a restart, which is covered so: timestamps before this
// process began are fault.TimestampSkewed (sign again), and a nonce is a row after
// all when its timestamp is not in the past yet or the process is younger than
// nonceMemory. What an earlier process accepted is thus either too old or known.
func (s *Service) UseNonce(ctx context.Context, clientID, nonce string, at time.Time) error {
	now := s.now()
	if at.Sub(now).Abs() > MaxSkew {
		return fault.New(fault.TimestampSkewed, "the timestamp is more than %s from the server's clock", MaxSkew)
	}
	if !nonceForm.MatchString(nonce) {
		return fault.New(fault.NonceInvalid, "want a nonce of 1 to 32 letters and digits")
	}
	g, err := s.findMerchantGrant(ctx, clientID, now)
	if err != nil {
		return err
	}
	shared := s.db.Shared()
	young := now.Sub(s.started).Abs() < nonceMemory
	if !shared && young && at.Before(s.started) {
		return fault.New(fault.TimestampSkewed, "the timestamp is from before this server started")
	}
	fresh, full := s.nonces.add(nonceKey(clientID, nonce), now)
	if !fresh {
		return errNonceUsed()
	}
	if full && !shared {
		return fault.New(fault.Overloaded, "too many signed requests").After(time.Second)
	}
	if shared || young || !at.Before(now) {
		if err := s.insertNonce(ctx, g, nonce, now); err != nil {
			return err
		}
	}
	s.used.note(&g.use, now)
	return nil
}

func errNonceUsed() error { return fault.New(fault.NonceInvalid, "the nonce was used before") }

func (s *Service) insertNonce(ctx context.Context, g *merchantGrant, nonce string, now time.Time) error {
	row := []any{string(g.merchant.Book), g.merchant.Credential, nonce, storage.Micros(now)}
	err := s.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.ExecRows(ctx, insertNonce, [][]any{row})
	})
	if storage.IsUnique(err) {
		return errNonceUsed()
	}
	if err != nil {
		return fmt.Errorf("use nonce: %w", err)
	}
	return nil
}

// PurgeNonces removes the rows of nonces whose timestamps can no longer be accepted.
func (s *Service) PurgeNonces(ctx context.Context) error {
	before := storage.Micros(s.now().Add(-nonceMemory))
	for {
		var removed int64
		err := s.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
			var err error
			removed, err = tx.Exec(ctx, purgeNonces, before, purgeBatch)
			return err
		})
		if err != nil || removed < purgeBatch {
			return err
		}
	}
}

// nonceSet is the nonces of the last nonceMemory and of the one before. The zero value is empty.
type nonceSet struct {
	mu     sync.Mutex
	began  time.Time
	recent map[[16]byte]struct{}
	before map[[16]byte]struct{}
}

// nonceKey fits any client id and nonce into a few bytes. The separator is in neither.
func nonceKey(clientID, nonce string) [16]byte {
	sum := sha256.Sum256([]byte(clientID + "\n" + nonce))
	return [16]byte(sum[:16])
}

// add reports whether key is new; full says that it was not remembered for lack of room.
func (n *nonceSet) add(key [16]byte, now time.Time) (fresh, full bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.turn(now)
	_, recent := n.recent[key]
	_, before := n.before[key]
	if recent || before {
		return false, false
	}
	if len(n.recent) >= nonceRoom {
		return true, true
	}
	n.recent[key] = struct{}{}
	return true, false
}

// turn begins a new map when the recent one is full of age, or when the machine's clock went back.
func (n *nonceSet) turn(now time.Time) {
	age := now.Sub(n.began)
	if n.recent != nil && age >= 0 && age < nonceMemory {
		return
	}
	n.before = n.recent
	if age >= 2*nonceMemory {
		n.before = nil
	}
	n.recent, n.began = make(map[[16]byte]struct{}), now
}
