package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// maxKeys bounds the keys of a keyset: nineteen years of weekly rotations.
const maxKeys = 1000

const (
	// learnTimeout bounds the wait for the database while a value is unsealed.
	learnTimeout = 5 * time.Second
	// refreshEvery is how far Run lets this process fall behind the others.
	refreshEvery = time.Minute
)

// Also writes something together with a rotation.
type Also func(context.Context, *storage.Tx) error

func writeAll(ctx context.Context, tx *storage.Tx, also []Also) error {
	for _, write := range also {
		if err := write(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// Rotate adds a new key, under which everything is sealed from now on. What older
// keys sealed still opens. Other processes follow when they meet the new key, or
// with their next Refresh. What also writes is in the same transaction.
func (v *Vault) Rotate(ctx context.Context, also ...Also) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	var grown *sealer
	err := v.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		keys, err := v.lock(ctx, tx)
		if err != nil {
			return err
		}
		k := keys[keysetSeal]
		if k.handle, err = withNewPrimary(k.handle); err != nil {
			return err
		}
		if err := replace(ctx, tx, replacement{keysetSeal, k, v.master}); err != nil {
			return err
		}
		k.version++
		if grown, err = newSealer(k); err != nil {
			return err
		}
		return writeAll(ctx, tx, also)
	})
	if err != nil {
		return fmt.Errorf("rotate keys: %w", err)
	}
	v.seal.Store(grown)
	return nil
}

// RotateMaster seals the keysets under another master key, in one transaction with also. Other
// processes keep working with the keys they have, but need the new master key at
// their next start.
func (v *Vault) RotateMaster(ctx context.Context, next MasterKey, also ...Also) error {
	master, err := masterAEAD(next.text)
	if err != nil {
		return fmt.Errorf("rotate master key: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.rewrap(ctx, master, also); err != nil {
		return fmt.Errorf("rotate master key: %w", err)
	}
	return nil
}

func (v *Vault) rewrap(ctx context.Context, master tink.AEAD, also []Also) error {
	err := v.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		keys, err := v.lock(ctx, tx)
		if err != nil {
			return err
		}
		for _, name := range keysetNames {
			if err := replace(ctx, tx, replacement{name, keys[name], master}); err != nil {
				return err
			}
		}
		return writeAll(ctx, tx, also)
	})
	if err == nil {
		v.master = master
	}
	return err
}

// RotateMasterFile replaces the master key by a new one, in the database and in the
// file that LoadMasterKey read. The new key is on disk beside the old one before the
// database depends on it, and LoadMasterKey reads both, so that no interruption
// loses the keys. It refuses a master key that came from elsewhere.
func (v *Vault) RotateMasterFile(ctx context.Context, also ...Also) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.path == "" {
		return errors.New("rotate master key: it does not come from a file")
	}
	if err := v.rotateMasterFile(ctx, NewMasterKey(), also); err != nil {
		return fmt.Errorf("rotate master key: %w", err)
	}
	return nil
}

func (v *Vault) rotateMasterFile(ctx context.Context, next MasterKey, also []Also) error {
	if err := v.promote(); err != nil { // what an interrupted rotation left to do
		return err
	}
	master, err := masterAEAD(next.text)
	if err != nil {
		return err
	}
	err = writePrivate(v.path+stagedSuffix, next.text)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: wait for the rotation that is under way or, if it was interrupted, remove the file", v.path+stagedSuffix)
	}
	if err != nil {
		return err
	}
	if err := v.rewrap(ctx, master, also); errors.Is(err, storage.ErrUnknownCommit) {
		return fmt.Errorf("%s stays, since it may be the one in use: %w", v.path+stagedSuffix, err)
	} else if err != nil {
		return errors.Join(err, v.unstage())
	}
	v.staged = true
	return v.promote()
}

// promote gives the staged key, if it is the one in use, the name of the key before it, also for
// whoever was told to stop. Another process may have done so meanwhile, and have staged one of its
// own: what opens the database is what counts, and the lock keeps that so until it has its name.
func (v *Vault) promote() error {
	if !v.staged {
		return nil
	}
	ctx, cancel := context.WithTimeout(v.base, learnTimeout)
	defer cancel()
	err := v.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		rows, err := storage.All(ctx, tx, scanKeyset, lockKeysets)
		if err != nil {
			return err
		}
		opened := opens(rows, v.path+stagedSuffix)
		if opened == nil {
			return os.Rename(v.path+stagedSuffix, v.path)
		}
		if err := opens(rows, v.path); err != nil {
			return errors.Join(opened, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.staged = false
	return syncDirectory(v.path)
}

// opens returns why the master key in a file does not open keysets.
func opens(rows []storedKeyset, path string) error {
	key, err := readMasterKey(path)
	if err != nil {
		return err
	}
	master, err := masterAEAD(key.text)
	if err != nil {
		return err
	}
	_, err = openAll(rows, master)
	return err
}

// unstage removes a staged key that surely did not come into use. In doubt it stays:
// it may be the only one that opens the database. What the database holds says nothing
// while a commit may still be under way. It works for whoever was told to stop, too.
func (v *Vault) unstage() error {
	ctx, cancel := context.WithTimeout(v.base, learnTimeout)
	defer cancel()
	rows, err := storage.All(ctx, v.db, scanKeyset, listKeysets)
	if err != nil {
		return err
	}
	if err := opens(rows, v.path+stagedSuffix); !errors.Is(err, ErrMasterKey) {
		return err
	}
	return os.Remove(v.path + stagedSuffix)
}

// lock opens the keysets and keeps others from changing them until tx ends.
func (v *Vault) lock(ctx context.Context, tx *storage.Tx) (keysets, error) {
	rows, err := storage.All(ctx, tx, scanKeyset, lockKeysets)
	if err != nil {
		return nil, err
	}
	return openAll(rows, v.master)
}

// replacement is a keyset to be stored over the version that it was made from.
type replacement struct {
	name   string
	keyset openKeyset
	master tink.AEAD
}

func replace(ctx context.Context, tx *storage.Tx, r replacement) error {
	sealed, err := wrap(r.keyset.handle, r.name, r.master)
	if err != nil {
		return err
	}
	change := updateKeyset.With(r.name, r.keyset.version+1, sealed, storage.Micros(clock.System().Now()), r.keyset.version)
	return tx.Apply(ctx, []storage.Effect{change.Exactly(1)})
}

func withNewPrimary(handle *keyset.Handle) (*keyset.Handle, error) {
	if handle.Len() >= maxKeys {
		return nil, fmt.Errorf("a keyset has at most %d keys", maxKeys)
	}
	manager := keyset.NewManagerFromHandle(handle)
	added, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	if err := manager.SetPrimary(added); err != nil {
		return nil, err
	}
	return manager.Handle()
}

// learn takes the key with the given id from the database, if it is there.
func (v *Vault) learn(id uint32) error {
	ctx, cancel := context.WithTimeout(v.base, learnTimeout)
	defer cancel()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seal.Load().has(id) {
		return nil // somebody waited for the same and was first
	}
	return v.refresh(ctx)
}

// Refresh takes what other processes changed. After another process replaced the
// master key it reads the file again. Without the new one it returns ErrMasterKey,
// while the keys at hand go on working.
func (v *Vault) Refresh(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.refresh(ctx); err != nil {
		return fmt.Errorf("refresh vault: %w", err)
	}
	return nil
}

func (v *Vault) refresh(ctx context.Context) error {
	rows, err := storage.All(ctx, v.db, scanKeyset, listKeysets)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.name != keysetSeal || row.version <= v.seal.Load().version {
			continue
		}
		handle, err := unwrap(row, v.master)
		if errors.Is(err, ErrMasterKey) {
			handle, err = v.follow(row)
		}
		if err != nil {
			return err
		}
		newer, err := newSealer(openKeyset{row.version, handle})
		if err != nil {
			return err
		}
		v.seal.Store(newer)
	}
	return nil
}

// follow opens a keyset with the master key that has taken the place of the one at hand,
// where it came from a file and that has the new one by now, or the one beside it, where a
// rotation was interrupted.
func (v *Vault) follow(row storedKeyset) (*keyset.Handle, error) {
	if v.path == "" {
		return nil, ErrMasterKey
	}
	handle, err := v.openWith(row, v.path)
	if err == nil {
		v.staged = false
		return handle, nil
	}
	if next, other := v.openWith(row, v.path+stagedSuffix); other == nil {
		v.staged = true
		return next, nil
	}
	return nil, err
}

// openWith opens a keyset with the master key in a file and, where it does, keeps that.
func (v *Vault) openWith(row storedKeyset, path string) (*keyset.Handle, error) {
	key, err := readMasterKey(path)
	if err != nil {
		return nil, errors.Join(ErrMasterKey, err)
	}
	master, err := masterAEAD(key.text)
	if err != nil {
		return nil, err
	}
	handle, err := unwrap(row, master)
	if err == nil {
		v.master = master
	}
	return handle, err
}

// Interrupted names the file of the master key in use where a rotation was interrupted before
// that took the place of the one before; else it is empty.
func (v *Vault) Interrupted() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.staged {
		return ""
	}
	return v.path + stagedSuffix
}

// Run refreshes once a minute until ctx ends, so that this process seals under the
// newest key too.
func (v *Vault) Run(ctx context.Context, logger *slog.Logger) {
	for clock.Wait(ctx, v.every) == nil {
		if err := v.Refresh(ctx); err != nil && ctx.Err() == nil {
			logger.WarnContext(ctx, "vault keys may be out of date", "error", err)
		}
	}
}
