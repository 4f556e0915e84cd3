package vault

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/scripcards/scrip/internal/core/pan"
)

// masterSize is the size of a master key, in bytes: AES-256.
const masterSize = 32

const (
	// MasterFile is the master key's file within the data directory.
	MasterFile = "master.key"
	// stagedSuffix marks the key that takes MasterFile's place when a rotation is done.
	stagedSuffix = ".next"
	// maxMasterFile bounds what is read of either, in bytes.
	maxMasterFile = 1024
)

// MasterKey seals the keysets. It masks itself wherever it is printed.
type MasterKey struct {
	text pan.Secret
	// path is the file it was read from, if any.
	path string
	// staged is the key of a rotation that may have been interrupted; usually none.
	staged pan.Secret
}

// Text returns the key in base64, for writing it where the operator keeps it.
func (k MasterKey) Text() pan.Secret { return k.text }

// String returns a mask.
func (k MasterKey) String() string { return k.text.String() }

// candidates are the texts of the keys to try, in order.
func (k MasterKey) candidates() []pan.Secret {
	if k.staged.IsZero() {
		return []pan.Secret{k.text}
	}
	return []pan.Secret{k.text, k.staged}
}

// ParseMasterKey reads 32 bytes in base64.
func ParseMasterKey(text string) (MasterKey, error) {
	text = strings.TrimSpace(text)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != masterSize { // the library's error would quote the text
		return MasterKey{}, fmt.Errorf("master key: want %d bytes in base64, such as `openssl rand -base64 %d` prints", masterSize, masterSize)
	}
	return MasterKey{text: pan.NewSecret(text)}, nil
}

// NewMasterKey draws a master key.
func NewMasterKey() MasterKey {
	var raw [masterSize]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	return MasterKey{text: pan.NewSecret(base64.StdEncoding.EncodeToString(raw[:]))}
}

// masterAEAD returns what seals keysets under the key with the given text.
func masterAEAD(text pan.Secret) (tink.AEAD, error) {
	raw, err := base64.StdEncoding.DecodeString(text.Reveal())
	if err != nil || len(raw) != masterSize {
		return nil, fmt.Errorf("master key: want %d bytes in base64", masterSize)
	}
	return subtle.NewAESGCM(raw)
}

// LoadMasterKey returns the master key from env, when it is not empty, else from
// dir's file, which is made on first use. It reports whether it made one. It refuses
// a file that anyone but its owner may read.
func LoadMasterKey(dir, env string) (key MasterKey, created bool, err error) {
	if env != "" {
		key, err = ParseMasterKey(env)
		return key, false, err
	}
	path := filepath.Join(dir, MasterFile)
	key, err = readMasterKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = NewMasterKey()
		err = writePrivate(path, key.text)
		created = err == nil
		if errors.Is(err, fs.ErrExist) { // another process was first
			key, err = readMasterKey(path)
		}
	}
	if err != nil {
		return MasterKey{}, false, err
	}
	staged, err := readMasterKey(path + stagedSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return MasterKey{}, false, err
	}
	key.path, key.staged = path, staged.text
	return key, created, nil
}

func readMasterKey(path string) (MasterKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return MasterKey{}, fmt.Errorf("read master key: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return MasterKey{}, fmt.Errorf("read master key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return MasterKey{}, fmt.Errorf("read master key: %s is not a file", path)
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" { // which has no such modes
		return MasterKey{}, fmt.Errorf("read master key: others may read %s (mode %04o): run `chmod 600 %s`", path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxMasterFile))
	if err != nil {
		return MasterKey{}, fmt.Errorf("read master key: %w", err)
	}
	key, err := ParseMasterKey(string(text))
	if err != nil {
		return MasterKey{}, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// writePrivate makes a file that did not exist, whole or not at all, and on disk: a
// half-written master key would lose everything that is sealed under it. It returns
// fs.ErrExist when the name is taken.
func writePrivate(path string, key pan.Secret) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // exclusive, mode 0600
	if err != nil {
		return fmt.Errorf("write master key: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it has its other name by then
	_, err = io.WriteString(f, key.Reveal()+"\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write master key: %w", err)
	}
	if err := os.Link(f.Name(), path); err != nil { // refuses a name that is taken, unlike a rename
		return fmt.Errorf("write master key: %w", err)
	}
	return syncDirectory(path)
}

// syncDirectory puts the names in path's directory on disk.
func syncDirectory(path string) error {
	if runtime.GOOS == "windows" { // directories cannot be synced there
		return nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write master key: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("write master key: %w", err)
	}
	return nil
}
