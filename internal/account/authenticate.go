package account

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// grant is what memory keeps of an API key.
type grant struct {
	principal Principal
	networks  Networks
	expiresAt time.Time // zero: never
	suspended bool
	use       use
}

// AuthenticateKey says whose API key was presented. A key that is missing,
// malformed, unknown, revoked or expired is fault.CredentialsInvalid, always with
// the same text; a right key from an address that its networks do not list, or of
// a suspended customer, is fault.PermissionDenied.
func (s *Service) AuthenticateKey(ctx context.Context, presented string, from netip.Addr) (Principal, error) {
	if len(presented) > maxPresented || !strings.HasPrefix(presented, "cp_") {
		return Principal{}, errCredentials()
	}
	now := s.now()
	load := func(ctx context.Context) (*grant, bool, error) { return s.loadKey(ctx, presented, now) }
	g, ok, err := s.keys.Find(ctx, memo.Query{Key: digest(presented), Now: now}, load)
	switch {
	case err != nil:
		return Principal{}, fmt.Errorf("authenticate key: %w", err)
	case !ok || isOver(g.expiresAt, now):
		return Principal{}, errCredentials()
	case g.suspended:
		return Principal{}, errSuspended()
	case !g.networks.Allows(from):
		return Principal{}, errAddress()
	}
	s.used.note(&g.use, now)
	return g.principal, nil
}

// loadKey looks a presented key up. Whatever no key of this installation can be stays away from the database.
func (s *Service) loadKey(ctx context.Context, presented string, now time.Time) (*grant, bool, error) {
	if !s.genuine(keyPrefix(realm.Live), presented) && !s.genuine(keyPrefix(realm.Test), presented) && !s.isDemoKey(presented) {
		return nil, false, nil
	}
	ref, ok, err := storage.One(ctx, s.db, scanKeyRef, readKeyHash, s.vault.Hash(purposeKeyHash, presented))
	if err != nil || !ok {
		return nil, false, err
	}
	found, ok, err := storage.One(ctx, s.db, scanOwnedKey, readKey, string(ref.Book), string(ref.ID))
	if err != nil || !ok || found.key.State(now) != KeyActive {
		return nil, false, err
	}
	return &grant{
		principal: Principal{
			Customer: found.owner.Customer, Book: ref.Book, Realm: found.owner.Realm,
			Credential: string(ref.ID), Scopes: found.key.Scopes,
		},
		networks:  found.key.Networks,
		expiresAt: found.key.ExpiresAt,
		suspended: found.owner.State != Active,
		use:       use{used: used{useKey, string(ref.Book), string(ref.ID)}},
	}, true, nil
}

// ownedKey is a key with whose it is.
type ownedKey struct {
	key   Key
	owner Owner
}

// useKind is the kind of credential that was used.
type useKind int

const (
	useKey useKind = iota
	useMerchant
	useOperator
	useSeed
)

// used names a credential: its owner, a book or an operator, and its own name.
type used struct {
	kind  useKind
	owner string
	name  string
}

// use is a credential in memory, with when its use was last noted.
type use struct {
	used
	noted atomic.Int64 // microseconds
}

// Limits of what is known about last uses. Beyond the first, uses go unrecorded.
const (
	maxUsage   = 65_536
	usageBatch = 500
	noteEvery  = time.Second
	writeEvery = time.Minute
)

// usage gathers when credentials were last used, to be written in batches.
type usage struct {
	mu    sync.Mutex
	times map[used]*lastUse
}

type lastUse struct {
	at      int64 // microseconds
	written int64 // when it was last written; 0: not yet
}

// note remembers a use. Most calls change one number of the credential and are done.
func (u *usage) note(credential *use, now time.Time) {
	at := storage.Micros(now)
	last := credential.noted.Load()
	if at-last < noteEvery.Microseconds() || !credential.noted.CompareAndSwap(last, at) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if known, ok := u.times[credential.used]; ok {
		known.at = max(known.at, at)
		return
	}
	if u.times == nil {
		u.times = make(map[used]*lastUse)
	}
	if len(u.times) < maxUsage {
		u.times[credential.used] = &lastUse{at: at}
	}
}

// due is one last use to be written.
type due struct {
	used
	at int64
}

// take returns what is to be written at now, in a fixed order, and forgets what is idle.
// Each credential is taken at most once every interval.
func (u *usage) take(now time.Time, interval time.Duration) []due {
	u.mu.Lock()
	defer u.mu.Unlock()
	var taken []due
	for credential, last := range u.times {
		rested := last.written == 0 || storage.Micros(now)-last.written >= interval.Microseconds()
		switch {
		case last.at > last.written && rested:
			taken = append(taken, due{credential, last.at})
			last.written = max(storage.Micros(now), last.at)
		case rested:
			delete(u.times, credential)
		}
	}
	// Processes that write the same rows must lock them in the same order.
	slices.SortFunc(taken, func(a, b due) int {
		return strings.Compare(a.owner+"/"+a.name, b.owner+"/"+b.name)
	})
	return taken
}

// FlushUsage writes when credentials were last used: each at most once a minute.
func (s *Service) FlushUsage(ctx context.Context) error { return s.flush(ctx, writeEvery) }

// flushAll writes every last use that is not written yet.
func (s *Service) flushAll(ctx context.Context) error { return s.flush(ctx, 0) }

func (s *Service) flush(ctx context.Context, interval time.Duration) error {
	for batch := range slices.Chunk(s.used.take(s.now(), interval), usageBatch) {
		err := s.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
			for _, d := range batch {
				if _, err := tx.Exec(ctx, touch[d.kind], d.owner, d.name, d.at); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err // the uses of this minute are lost; the next ones are written
		}
	}
	return nil
}
