package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	"github.com/tink-crypto/tink-go/v2/mac/hmac"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Names of the keysets.
const (
	keysetHash = "hash"
	keysetSeal = "seal"
)

// keysetNames lists them in the order in which their rows are locked.
var keysetNames = [...]string{keysetHash, keysetSeal}

var (
	insertKeyset = storage.Insert("vault.insert_keyset", "vault_keysets", "name", "version", "sealed", "updated_at")
	listKeysets  = storage.SQL("vault.list_keysets", `SELECT name, version, sealed FROM vault_keysets ORDER BY name`)
	lockKeysets  = storage.SQL("vault.lock_keysets", `SELECT name, version, sealed FROM vault_keysets ORDER BY name {lock}`)
	updateKeyset = storage.SQL("vault.update_keyset",
		`UPDATE vault_keysets SET version = $2, sealed = $3, updated_at = $4 WHERE name = $1 AND version = $5`)
)

// storedKeyset is a row: a keyset sealed under the master key.
type storedKeyset struct {
	name    string
	version int64
	sealed  []byte
}

func scanKeyset(r storage.Row) (k storedKeyset, err error) {
	err = r.Scan(&k.name, &k.version, &k.sealed)
	return k, err
}

// openKeyset is a keyset that can be used.
type openKeyset struct {
	version int64
	handle  *keyset.Handle
}

// keysets is all of them, by name.
type keysets map[string]openKeyset

// openOrCreate opens the keysets, and makes them in a database that has none.
func openOrCreate(ctx context.Context, db *storage.DB, master tink.AEAD) (keysets, error) {
	rows, err := storage.All(ctx, db, scanKeyset, listKeysets)
	if err == nil && len(rows) == 0 {
		if err = create(ctx, db, master); err == nil || storage.IsUnique(err) {
			rows, err = storage.All(ctx, db, scanKeyset, listKeysets)
		}
	}
	if err != nil {
		return nil, err
	}
	return openAll(rows, master)
}

// create makes all keysets in one transaction: of two first processes with different
// master keys, one must lose whole.
func create(ctx context.Context, db *storage.DB, master tink.AEAD) error {
	rows := make([][]any, 0, len(keysetNames))
	for _, name := range keysetNames {
		handle, err := newKeyset(name)
		if err != nil {
			return err
		}
		sealed, err := wrap(handle, name, master)
		if err != nil {
			return err
		}
		rows = append(rows, []any{name, int64(1), sealed, storage.Micros(clock.System().Now())})
	}
	return db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return tx.ExecRows(ctx, insertKeyset, rows) })
}

func newKeyset(name string) (*keyset.Handle, error) {
	if name == keysetHash {
		return keyset.NewHandle(mac.HMACSHA256Tag256KeyTemplate())
	}
	return keyset.NewHandle(aead.AES256GCMKeyTemplate())
}

// openAll opens rows, which must be all keysets: to make one that is missing would
// hide the loss of what was sealed or hashed under it.
func openAll(rows []storedKeyset, master tink.AEAD) (keysets, error) {
	open := keysets{}
	for _, row := range rows {
		handle, err := unwrap(row, master)
		if err != nil {
			return nil, err
		}
		open[row.name] = openKeyset{row.version, handle}
	}
	for _, name := range keysetNames {
		if _, ok := open[name]; !ok {
			return nil, fmt.Errorf("the database lacks the keyset %q: restore the table vault_keysets from a backup", name)
		}
	}
	return open, nil
}

// wrap seals a keyset under the master key; name keeps rows from being swapped.
func wrap(handle *keyset.Handle, name string, master tink.AEAD) ([]byte, error) {
	var sealed bytes.Buffer
	err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&sealed), master, bind(nil, "keyset", name))
	if err != nil {
		return nil, fmt.Errorf("seal keyset %q: %w", name, err)
	}
	return sealed.Bytes(), nil
}

func unwrap(row storedKeyset, master tink.AEAD) (*keyset.Handle, error) {
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(row.sealed)), master, bind(nil, "keyset", row.name))
	if err != nil {
		return nil, ErrMasterKey // the library's text tells no more
	}
	return handle, nil
}

// hashKey returns the key of hashes. It is taken out of its keyset so that Hash can
// keep the state of HMAC that the key leads to.
func (k keysets) hashKey() ([]byte, error) {
	entry, err := k[keysetHash].handle.Primary()
	if err != nil {
		return nil, fmt.Errorf("keyset %q: %w", keysetHash, err)
	}
	key, ok := entry.Key().(*hmac.Key)
	if !ok {
		return nil, errors.New("the keyset of hashes holds a key of another kind")
	}
	return key.KeyBytes().Data(insecuresecretdataaccess.Token{}), nil
}

func newSealer(k openKeyset) (*sealer, error) {
	primitive, err := aead.New(k.handle)
	if err != nil {
		return nil, fmt.Errorf("keyset %q: %w", keysetSeal, err)
	}
	return &sealer{version: k.version, handle: k.handle, aead: primitive}, nil
}

// has reports whether the keyset holds the key with the given id.
func (s *sealer) has(id uint32) bool {
	for _, key := range s.handle.KeysetInfo().GetKeyInfo() {
		if key.GetKeyId() == id {
			return true
		}
	}
	return false
}

// keyID returns the id of the key that sealed a text: the library puts a 1 and the id,
// four bytes from the highest, before what it encrypts.
func keyID(sealed []byte) (uint32, bool) {
	if len(sealed) < 5 || sealed[0] != 1 {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:]), true
}
