package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// keySize is the size of the master key and of the hash key, in bytes.
const keySize = 32

// masterFile is the master key's file within the data directory.
const masterFile = "master.key"

// MasterKey seals the keysets. It masks itself wherever it is printed.
type MasterKey struct{ text pan.Secret }

func (k MasterKey) bytes() []byte {
	raw, err := base64.StdEncoding.DecodeString(k.text.Reveal())
	if err != nil { // checked by ParseMasterKey
		return nil
	}
	return raw
}

// Text returns the key in base64, for writing it where the operator keeps it.
func (k MasterKey) Text() pan.Secret { return k.text }

// ParseMasterKey reads 32 bytes in base64.
func ParseMasterKey(text string) (MasterKey, error) {
	text = strings.TrimSpace(text)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != keySize {
		return MasterKey{}, fmt.Errorf("master key: want %d bytes in base64, such as `openssl rand -base64 32` prints", keySize)
	}
	return MasterKey{pan.NewSecret(text)}, nil
}

// NewMasterKey draws a master key.
func NewMasterKey() MasterKey {
	var raw [keySize]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	return MasterKey{pan.NewSecret(base64.StdEncoding.EncodeToString(raw[:]))}
}

// LoadMasterKey returns the master key from env, when it is not empty, else from
// dir's file, which is made on first use. It reports whether it made one.
func LoadMasterKey(dir, env string) (key MasterKey, created bool, err error) {
	if env != "" {
		key, err = ParseMasterKey(env)
		return key, false, err
	}
	path := filepath.Join(dir, masterFile)
	key, err = readMasterKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key = NewMasterKey()
	err = writePrivate(path, key.text.Reveal()+"\n")
	if errors.Is(err, fs.ErrExist) { // another process was first
		key, err = readMasterKey(path)
		return key, false, err
	}
	return key, err == nil, err
}

func readMasterKey(path string) (MasterKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return MasterKey{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return MasterKey{}, fmt.Errorf("master key %s can be read by others: run chmod 600 on it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return MasterKey{}, err
	}
	return ParseMasterKey(string(text))
}

// writePrivate makes a file that did not exist, whole or not at all: a half-written
// master key would lose everything that is sealed under it.
func writePrivate(path, text string) error {
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary) }() // linked under its name by then
	_, err = io.WriteString(f, text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(temporary, path) // fails when the name is taken, unlike a rename
}

func newHashKey() ([]byte, error) {
	raw := make([]byte, keySize)
	_, err := rand.Read(raw)
	return raw, err
}

// writeCleartext writes a keyset that is sealed under the master key next.
func writeCleartext(handle *keyset.Handle, w io.Writer) error {
	return insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(w))
}

func unmarshal(plain []byte) (*keyset.Handle, error) {
	return insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(plain)))
}

// Rotate adds a new key, under which everything is sealed from now on. What older
// keys sealed still opens.
func (v *Vault) Rotate(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	stored, ok, err := storage.One(ctx, v.db, scanKeyset, findKeyset, keysetSeal)
	if err != nil || !ok {
		return errors.Join(errors.New("rotate vault: the keyset is missing"), err)
	}
	plain, err := v.master.Decrypt(stored.sealed, []byte("keyset/"+keysetSeal))
	if err != nil {
		return fmt.Errorf("rotate vault: %w", ErrMasterKey)
	}
	grown, err := withNewPrimary(plain)
	if err != nil {
		return fmt.Errorf("rotate vault: %w", err)
	}
	sealed, err := v.master.Encrypt(grown, []byte("keyset/"+keysetSeal))
	if err != nil {
		return fmt.Errorf("rotate vault: %w", err)
	}
	if err := v.replace(ctx, keysetSeal, storedKeyset{stored.version, sealed}); err != nil {
		return fmt.Errorf("rotate vault: %w", err)
	}
	return v.useSealer(opened{stored.version + 1, grown})
}

func withNewPrimary(plain []byte) ([]byte, error) {
	handle, err := unmarshal(plain)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	added, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	if err := manager.SetPrimary(added); err != nil {
		return nil, err
	}
	if handle, err = manager.Handle(); err != nil {
		return nil, err
	}
	return marshal(handle)
}

// replace stores a keyset over the version it was made from.
func (v *Vault) replace(ctx context.Context, name string, k storedKeyset) error {
	return v.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.Apply(ctx, []storage.Effect{
			updateKeyset.With(name, k.version+1, k.sealed, storage.Micros(clock.System().Now()), k.version).Exactly(1)})
	})
}

// RotateMaster seals both keysets under another master key, in one transaction. Other
// processes keep working; they need the new key at their next start.
func (v *Vault) RotateMaster(ctx context.Context, next MasterKey) error {
	wrap, err := subtle.NewAESGCM(next.bytes())
	if err != nil {
		return fmt.Errorf("rotate master key: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	err = v.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		for _, name := range []string{keysetSeal, keysetHash} {
			stored, _, err := storage.One(ctx, tx, scanKeyset, findKeyset, name)
			if err != nil {
				return err
			}
			plain, err := v.master.Decrypt(stored.sealed, []byte("keyset/"+name))
			if err != nil {
				return ErrMasterKey
			}
			sealed, err := wrap.Encrypt(plain, []byte("keyset/"+name))
			if err != nil {
				return err
			}
			change := updateKeyset.With(name, stored.version+1, sealed, storage.Micros(clock.System().Now()), stored.version).Exactly(1)
			if err := tx.Apply(ctx, []storage.Effect{change}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("rotate master key: %w", err)
	}
	v.master = wrap
	return nil
}
