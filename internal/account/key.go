package account

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// KeyID names an API key or an operator's key ("key_…"). It is public.
type KeyID string

// KeyRef names an API key in its book.
type KeyRef struct {
	Book ledger.BookID
	ID   KeyID
}

// KeyState is what a key is worth at some time.
type KeyState string

// The states of a key, API key or operator's.
const (
	KeyActive  KeyState = "active"
	KeyExpired KeyState = "expired"
	KeyRevoked KeyState = "revoked"
)

// Life is when a key was made and how long it works. A zero time means not (yet).
type Life struct {
	CreatedAt  time.Time
	ExpiresAt  time.Time
	RevokedAt  time.Time
	LastUsedAt time.Time // up to a minute behind
}

// State returns what the key is worth at now, by the machine's clock.
func (l Life) State(now time.Time) KeyState {
	switch {
	case !l.RevokedAt.IsZero():
		return KeyRevoked
	case isOver(l.ExpiresAt, now):
		return KeyExpired
	}
	return KeyActive
}

// isOver reports whether a life has ended that ends at expires; zero: never.
func isOver(expires, now time.Time) bool { return !expires.IsZero() && !now.Before(expires) }

// Key is an API key without its secret.
type Key struct {
	KeyRef
	KeySettings
	Life
	Realm      realm.Realm
	Last4      string // the secret's last four characters
	ReplacedBy KeyID  // empty unless rotated
}

// KeySettings are what an owner may change.
type KeySettings struct {
	Name     string // 1 to 128 characters
	Scopes   Scopes
	Networks Networks // empty: works from everywhere
}

func (k KeySettings) same(other KeySettings) bool {
	return k.Name == other.Name && k.Scopes.String() == other.Scopes.String() && k.Networks.String() == other.Networks.String()
}

func (k KeySettings) check() (KeySettings, error) {
	var err error
	if k.Name, err = cleanText("name", k.Name, maxName); err != nil {
		return k, err
	}
	if err := k.Scopes.check(); err != nil {
		return k, err
	}
	return k, k.Networks.check()
}

// NewKey describes an API key.
type NewKey struct {
	Book ledger.BookID
	KeySettings
	ExpiresAt time.Time // zero: never
	Also      storage.Also[IssuedKey]
}

// IssuedKey is a key with its secret, which nothing returns again.
type IssuedKey struct {
	Key
	Secret pan.Secret
}

// maxKeys bounds the active keys of a book, and those of an operator.
const maxKeys = 100

// CreateKey makes an API key. It returns fault.QuotaExceeded when the book has 100 active ones.
func (s *Service) CreateKey(ctx context.Context, actor string, n NewKey) (IssuedKey, error) {
	settings, err := n.KeySettings.check()
	if err != nil {
		return IssuedKey{}, err
	}
	var issued IssuedKey
	err = s.write(ctx, actor, func(ctx context.Context, c *change) error {
		if err := checkExpiry(n.ExpiresAt, c.at); err != nil {
			return err
		}
		owner, err := findOwner(ctx, c, lockBook, n.Book)
		if err != nil {
			return err
		}
		key := Key{KeyRef: KeyRef{Book: n.Book}, KeySettings: settings, Life: Life{ExpiresAt: n.ExpiresAt}, Realm: owner.Realm}
		issued, err = s.insertKey(ctx, c, key, s.mint(keyPrefix(key.Realm)))
		if err != nil {
			return err
		}
		if err := c.recordKey(ctx, "key.create", issued.Key); err != nil {
			return err
		}
		return n.Also.Apply(ctx, c.Tx, issued)
	})
	return issued, err
}

func checkExpiry(expires, now time.Time) error {
	if !expires.IsZero() && !expires.After(now) {
		return invalid("expires_at", "want a time in the future")
	}
	return nil
}

// insertKey stores key with a new id under secret. The book's row is locked.
func (s *Service) insertKey(ctx context.Context, c *change, key Key, secret string) (IssuedKey, error) {
	active, _, err := storage.One(ctx, c, storage.Scalar[int], countKeys, string(key.Book), storage.Micros(c.at))
	if err != nil {
		return IssuedKey{}, err
	}
	if active >= maxKeys {
		return IssuedKey{}, fault.New(fault.QuotaExceeded, "there are %d active keys already", active)
	}
	key.ID = KeyID(id.New("key"))
	key.Last4, key.CreatedAt = last4(secret), c.at
	hash := s.vault.Hash(purposeKeyHash, secret)
	err = c.Apply(ctx, []storage.Effect{
		insertKey.Row(key.row()...),
		insertKeyHash.Row(hash, string(key.Book), string(key.ID)),
	})
	return IssuedKey{Key: key, Secret: pan.NewSecret(secret)}, err
}

func (c *change) recordKey(ctx context.Context, action string, key Key) error {
	detail := map[string]string{"scopes": key.Scopes.String()}
	key.Networks.note(detail)
	if !key.ExpiresAt.IsZero() {
		detail["expires_at"] = key.ExpiresAt.Format(time.RFC3339)
	}
	if key.ReplacedBy != "" {
		detail["replaced_by"] = string(key.ReplacedBy)
	}
	return c.record(ctx, note{action: action, subject: string(key.ID), book: key.Book, realm: key.Realm, detail: detail})
}

// FindKey returns a key, or fault.NotFound.
func (s *Service) FindKey(ctx context.Context, ref KeyRef) (Key, error) {
	return findKey(ctx, s.db, readKey, ref)
}

func findKey(ctx context.Context, q storage.Queryer, read *storage.Statement, ref KeyRef) (Key, error) {
	key, ok, err := storage.One(ctx, q, scanKey, read, string(ref.Book), string(ref.ID))
	if err == nil && !ok {
		err = notFound("key", clip(string(ref.ID)))
	}
	return key, err
}

// ListKeys returns the keys of a book, revoked and expired ones too, newest first.
func (s *Service) ListKeys(ctx context.Context, book ledger.BookID, page Page) (List[Key], error) {
	before, read, err := page.before("key")
	if err != nil {
		return List[Key]{}, err
	}
	rows, err := storage.All(ctx, s.db, scanKey, listKeys, string(book), before, read)
	if err != nil {
		return List[Key]{}, err
	}
	return cut(rows, read, func(k Key) string { return string(k.ID) }), nil
}

// maxGrace bounds how long two generations of a secret work side by side.
const maxGrace = 30 * 24 * time.Hour

func checkGrace(grace time.Duration) error {
	if grace < 0 || grace > maxGrace {
		return invalid("grace", "want 0 to %d days", maxGrace/(24*time.Hour))
	}
	return nil
}

// KeyRotation says how a key is rotated.
type KeyRotation struct {
	Grace time.Duration // for which the old key works on, at most 30 days
	Also  storage.Also[IssuedKey]
}

// RotateKey makes a key with the same settings and lifetime. The old one works for
// the grace more, at most 30 days and not beyond its own expiry; with no grace it is
// revoked at once. It returns fault.InvalidState when the key is not active or was
// rotated before, so that of two rotations at once one wins, and fault.QuotaExceeded when
// the book has 100 active keys and the old one is to work on.
func (s *Service) RotateKey(ctx context.Context, actor string, ref KeyRef, r KeyRotation) (IssuedKey, error) {
	if err := checkGrace(r.Grace); err != nil {
		return IssuedKey{}, err
	}
	var issued IssuedKey
	err := s.changeKey(ctx, actor, ref, func(ctx context.Context, c *change, old *Key) error {
		if state := old.State(c.at); state != KeyActive || old.ReplacedBy != "" {
			return fault.New(fault.InvalidState, "key %s was rotated or is not active", ref.ID)
		}
		next := old.successor(c.at)
		old.retire(c.at, r.Grace)
		err := c.writeKey(ctx, old) // one that has ended makes room
		if err != nil {
			return err
		}
		if issued, err = s.insertKey(ctx, c, next, s.mint(keyPrefix(old.Realm))); err != nil {
			return err
		}
		old.ReplacedBy = issued.ID
		if err := c.recordKey(ctx, "key.rotate", *old); err != nil {
			return err
		}
		return r.Also.Apply(ctx, c.Tx, issued)
	})
	return issued, err
}

// successor returns what replaces k from now on.
func (k *Key) successor(now time.Time) Key {
	next := Key{KeyRef: KeyRef{Book: k.Book}, KeySettings: k.KeySettings, Realm: k.Realm}
	if !k.ExpiresAt.IsZero() {
		next.ExpiresAt = now.Add(k.ExpiresAt.Sub(k.CreatedAt))
	}
	return next
}

// retire ends l after grace, and never later than it would have ended anyway.
func (l *Life) retire(now time.Time, grace time.Duration) {
	if grace == 0 {
		l.RevokedAt = now
		return
	}
	if end := now.Add(grace); l.ExpiresAt.IsZero() || end.Before(l.ExpiresAt) {
		l.ExpiresAt = end
	}
}

// RevokeKey ends a key for good. Revoking it twice changes nothing.
func (s *Service) RevokeKey(ctx context.Context, actor string, ref KeyRef) error {
	return s.changeKey(ctx, actor, ref, func(ctx context.Context, c *change, key *Key) error {
		if !key.RevokedAt.IsZero() {
			return nil
		}
		key.RevokedAt = c.at
		return c.recordKey(ctx, "key.revoke", *key)
	})
}

// ChangeKey replaces the settings of a key that is not revoked by what edit makes of them.
// The same ones again change nothing.
func (s *Service) ChangeKey(ctx context.Context, actor string, ref KeyRef, edit Edit[KeySettings]) (Key, error) {
	var changed Key
	err := s.changeKey(ctx, actor, ref, func(ctx context.Context, c *change, key *Key) error {
		if !key.RevokedAt.IsZero() {
			return fault.New(fault.InvalidState, "key %s is revoked", ref.ID)
		}
		to, err := edit(key.KeySettings)
		if err != nil {
			return err
		}
		if to, err = to.check(); err != nil {
			return err
		}
		same := key.same(to)
		key.KeySettings = to
		if changed = *key; same {
			return nil
		}
		return c.recordKey(ctx, "key.change", *key)
	})
	return changed, err
}

// changeKey lets edit change the key, locked with its book, writes it back and forgets what memory knew of it.
func (s *Service) changeKey(ctx context.Context, actor string, ref KeyRef, edit func(context.Context, *change, *Key) error) error {
	err := s.write(ctx, actor, func(ctx context.Context, c *change) error {
		key, err := findKey(ctx, c, lockKey, ref)
		if err != nil {
			return err
		}
		if err := edit(ctx, c, &key); err != nil {
			return err
		}
		return c.writeKey(ctx, &key)
	})
	s.keys.Forget(func(g *grant) bool { return g.principal.Credential == string(ref.ID) })
	return err
}

func (c *change) writeKey(ctx context.Context, key *Key) error {
	write := updateKey.With(string(key.Book), string(key.ID), key.Name, key.Scopes.String(), key.Networks.String(),
		storage.NullText(string(key.ReplacedBy)), storage.NullMicros(key.ExpiresAt), storage.NullMicros(key.RevokedAt))
	return c.Apply(ctx, []storage.Effect{write.Exactly(1)})
}
