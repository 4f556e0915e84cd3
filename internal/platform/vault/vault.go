// Package vault seals what must not be readable at rest and hashes what must be
// found without being readable.
//
// Two keysets live in the database, each sealed under the installation's master
// key: one for authenticated encryption, which can be rotated, and one for keyed
// hashes, which cannot, because hashes are look-up keys. What is sealed is bound
// to its purpose and row, so that it opens nowhere else. The master key comes
// from a private file or the environment and is never stored in the database.
//
// It must never print a key, nor make new keys where a database has some already.
package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// ErrMasterKey says that the master key is not the one that sealed this database's keys.
var ErrMasterKey = errors.New("the master key does not open this database's keys: use the master.key or SCRIP_MASTER_KEY that it was made with")

// ErrSealed says that a sealed value was altered, or belongs to another row or purpose.
var ErrSealed = errors.New("the sealed value does not open")

// MaxPlain is the longest text that Seal takes, in bytes.
const MaxPlain = 16 << 20

// Vault seals, unseals and hashes. It is safe for concurrent use.
type Vault struct {
	db *storage.DB
	// base is Open's context without its end: Unseal has none and may have to ask the database.
	base   context.Context
	mu     sync.Mutex // one rotation or reload at a time
	master tink.AEAD
	path   string // the master key's file, if it has one
	// staged: the master key in use is the one beside path, of an interrupted rotation.
	staged bool
	seal   atomic.Pointer[sealer]
	macs   sync.Pool
	every  time.Duration // between two rounds of Run
}

// sealer is one version of the sealing keyset.
type sealer struct {
	version int64
	handle  *keyset.Handle
	aead    tink.AEAD
}

// Open reads the installation's keysets, making them on first use. Of several
// processes that make them at once, one wins and the others read what it made.
// It returns ErrMasterKey when master is not theirs.
func Open(ctx context.Context, db *storage.DB, master MasterKey) (*Vault, error) {
	v := &Vault{db: db, base: context.WithoutCancel(ctx), path: master.path, every: refreshEvery}
	keys, err := v.unlock(ctx, master)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	hashKey, err := keys.hashKey()
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	current, err := newSealer(keys[keysetSeal])
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v.seal.Store(current)
	v.macs.New = func() any { return &hasher{mac: hmac.New(sha256.New, hashKey)} }
	return v, nil
}

// unlock opens the keysets with the master key or, when that was being replaced as
// the program ended, with the one that was to follow.
func (v *Vault) unlock(ctx context.Context, master MasterKey) (keys keysets, err error) {
	for i, text := range master.candidates() {
		if v.master, err = masterAEAD(text); err != nil {
			return nil, err
		}
		if keys, err = openOrCreate(ctx, v.db, v.master); !errors.Is(err, ErrMasterKey) {
			v.staged = i > 0
			return keys, err
		}
	}
	return nil, err
}

// Check returns ErrMasterKey when master does not open the keysets that q sees, and an
// error when there are none.
func Check(ctx context.Context, q storage.Queryer, master MasterKey) error {
	rows, err := storage.All(ctx, q, scanKeyset, listKeysets)
	if err != nil {
		return err
	}
	for _, text := range master.candidates() {
		opener, err := masterAEAD(text)
		if err != nil {
			return err
		}
		if _, err := openAll(rows, opener); !errors.Is(err, ErrMasterKey) {
			return err
		}
	}
	return ErrMasterKey
}

// Seal encrypts plain, of at most MaxPlain bytes, so that it opens only for the
// same purpose and row.
func (v *Vault) Seal(purpose, row string, plain []byte) ([]byte, error) {
	if purpose == "" || row == "" || len(plain) > MaxPlain {
		return nil, fmt.Errorf("seal %s: want a purpose, a row and at most %d bytes", purpose, MaxPlain)
	}
	sealed, err := v.seal.Load().aead.Encrypt(plain, bind(nil, purpose, row))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", purpose, err)
	}
	return sealed, nil
}

// Unseal opens what Seal made. It returns ErrSealed for anything else, and the
// database's error when a key of another process could not be looked up.
func (v *Vault) Unseal(purpose, row string, sealed []byte) ([]byte, error) {
	bound := bind(nil, purpose, row)
	current := v.seal.Load()
	if plain, err := current.aead.Decrypt(sealed, bound); err == nil {
		return plain, nil
	}
	// Another process may have rotated: its newest key is not ours yet.
	if id, ok := keyID(sealed); ok && !current.has(id) {
		if err := v.learn(id); err != nil {
			return nil, fmt.Errorf("unseal %s of %s: %w", purpose, row, err)
		}
		if plain, err := v.seal.Load().aead.Decrypt(sealed, bound); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("unseal %s of %s: %w", purpose, row, ErrSealed)
}

// hasher is a keyed hash and the space in which its input is put together.
type hasher struct {
	mac   hash.Hash
	input []byte
}

// keptInput bounds the space that a hasher keeps, in bytes.
const keptInput = 4 << 10

// Hash returns 32 bytes, the HMAC-SHA256 that stands for value within purpose: equal
// for equal values, on every process and for the life of the installation, and
// meaningless without its hash key.
func (v *Vault) Hash(purpose, value string) []byte {
	h := v.macs.Get().(*hasher)
	h.mac.Reset()
	h.input = bind(h.input[:0], purpose, value)
	h.mac.Write(h.input)
	sum := h.mac.Sum(make([]byte, 0, sha256.Size))
	clear(h.input)
	if cap(h.input) <= keptInput {
		v.macs.Put(h)
	}
	return sum
}

// bind appends purpose and row. The length before the purpose keeps "a" of "bc"
// apart from "ab" of "c".
func bind(b []byte, purpose, row string) []byte {
	b = slices.Grow(b, binary.MaxVarintLen64+len(purpose)+len(row))
	b = binary.AppendUvarint(b, uint64(len(purpose)))
	b = append(b, purpose...)
	return append(b, row...)
}
