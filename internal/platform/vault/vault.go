// Package vault seals what must not be readable at rest and hashes what must be
// found without being readable.
//
// Two keysets live in the database, each sealed under the installation's master
// key: one for authenticated encryption, which can be rotated, and one for keyed
// hashes, which cannot, because hashes are look-up keys. What is sealed is bound
// to its purpose and row, so that it opens nowhere else. The master key comes
// from a private file or the environment and is never stored in the database.
package vault

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Names of the keysets.
const (
	keysetSeal = "seal"
	keysetHash = "hash"
)

// ErrMasterKey says that the master key is not the one that sealed this database's keys.
var ErrMasterKey = errors.New("the master key does not open this database's keys; use the master.key or SCRIP_MASTER_KEY that it was made with")

// ErrSealed says that a sealed value was altered, or belongs to another row or purpose.
var ErrSealed = errors.New("the sealed value does not open")

// Vault seals, unseals and hashes. It is safe for concurrent use.
type Vault struct {
	db     *storage.DB
	mu     sync.Mutex // serialises rotation and reload
	master tink.AEAD
	seal   atomic.Pointer[sealer]
	macs   sync.Pool
}

// sealer is the keyset of one version.
type sealer struct {
	version int64
	handle  *keyset.Handle
	aead    tink.AEAD
}

var (
	insertKeyset = storage.Insert("vault.insert_keyset", "vault_keysets", "name", "version", "sealed", "updated_at")
	findKeyset   = storage.SQL("vault.find_keyset", `SELECT version, sealed FROM vault_keysets WHERE name = $1`)
	updateKeyset = storage.SQL("vault.update_keyset",
		`UPDATE vault_keysets SET version = $2, sealed = $3, updated_at = $4 WHERE name = $1 AND version = $5`)
)

type storedKeyset struct {
	version int64
	sealed  []byte
}

func scanKeyset(r storage.Row) (k storedKeyset, err error) {
	err = r.Scan(&k.version, &k.sealed)
	return k, err
}

// Open reads the installation's keysets, making them on first use. It returns
// ErrMasterKey when master is not theirs.
func Open(ctx context.Context, db *storage.DB, master MasterKey) (*Vault, error) {
	wrap, err := subtle.NewAESGCM(master.bytes())
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v := &Vault{db: db, master: wrap}
	sealing, err := v.keyset(ctx, keysetSeal, newSealKeyset)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	hashing, err := v.keyset(ctx, keysetHash, newHashKey)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	if err := v.useSealer(sealing); err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v.macs.New = func() any { return hmac.New(sha256.New, hashing.plain) }
	return v, nil
}

// opened is a keyset's version and its text in the clear.
type opened struct {
	version int64
	plain   []byte
}

// keyset opens the named keyset. Of several processes that make it at once, one wins
// and the others read what it made.
func (v *Vault) keyset(ctx context.Context, name string, create func() ([]byte, error)) (opened, error) {
	stored, ok, err := storage.One(ctx, v.db, scanKeyset, findKeyset, name)
	if err == nil && !ok {
		if err = v.create(ctx, name, create); err == nil || storage.IsUnique(err) {
			stored, _, err = storage.One(ctx, v.db, scanKeyset, findKeyset, name)
		}
	}
	if err != nil {
		return opened{}, err
	}
	plain, err := v.master.Decrypt(stored.sealed, []byte("keyset/"+name))
	if err != nil {
		return opened{}, ErrMasterKey
	}
	return opened{stored.version, plain}, nil
}

func (v *Vault) create(ctx context.Context, name string, create func() ([]byte, error)) error {
	plain, err := create()
	if err != nil {
		return err
	}
	sealed, err := v.master.Encrypt(plain, []byte("keyset/"+name))
	if err != nil {
		return err
	}
	row := []any{name, int64(1), sealed, storage.Micros(clock.System().Now())}
	return v.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return tx.ExecRows(ctx, insertKeyset, [][]any{row}) })
}

func newSealKeyset() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	return marshal(handle)
}

func (v *Vault) useSealer(k opened) error {
	handle, err := unmarshal(k.plain)
	if err != nil {
		return err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return err
	}
	v.seal.Store(&sealer{version: k.version, handle: handle, aead: primitive})
	return nil
}

// Seal encrypts plain so that it opens only for the same purpose and row.
func (v *Vault) Seal(purpose, row string, plain []byte) ([]byte, error) {
	sealed, err := v.seal.Load().aead.Encrypt(plain, binding(purpose, row))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", purpose, err)
	}
	return sealed, nil
}

// Unseal opens what Seal made. It returns ErrSealed for anything else.
func (v *Vault) Unseal(purpose, row string, sealed []byte) ([]byte, error) {
	current := v.seal.Load()
	plain, err := current.aead.Decrypt(sealed, binding(purpose, row))
	if err == nil {
		return plain, nil
	}
	// Another process may have rotated: its newest key is not ours yet.
	if v.reload(current) {
		if plain, err = v.seal.Load().aead.Decrypt(sealed, binding(purpose, row)); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("unseal %s of %s: %w", purpose, row, ErrSealed)
}

// reloadTimeout bounds the wait for the database while a value is unsealed.
const reloadTimeout = 5 * time.Second

// reload takes a newer keyset from the database; it reports whether there was one.
func (v *Vault) reload(have *sealer) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seal.Load() != have {
		return true // somebody reloaded meanwhile
	}
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	stored, ok, err := storage.One(ctx, v.db, scanKeyset, findKeyset, keysetSeal)
	if err != nil || !ok || stored.version == have.version {
		return false
	}
	plain, err := v.master.Decrypt(stored.sealed, []byte("keyset/"+keysetSeal))
	return err == nil && v.useSealer(opened{stored.version, plain}) == nil
}

// binding is the associated data: purpose and row, told apart by a zero byte.
func binding(purpose, row string) []byte {
	b := make([]byte, 0, len(purpose)+1+len(row))
	b = append(b, purpose...)
	b = append(b, 0)
	return append(b, row...)
}

// Hash returns 32 bytes that stand for value within purpose: equal for equal values,
// meaningless without the installation's hash key.
func (v *Vault) Hash(purpose, value string) []byte {
	mac := v.macs.Get().(hash.Hash)
	defer v.macs.Put(mac)
	mac.Reset()
	var buf [128]byte
	b := append(buf[:0], purpose...)
	b = append(b, 0)
	mac.Write(append(b, value...))
	return mac.Sum(make([]byte, 0, sha256.Size))
}

func marshal(handle *keyset.Handle) ([]byte, error) {
	var buf bytes.Buffer
	err := writeCleartext(handle, &buf)
	return buf.Bytes(), err
}
