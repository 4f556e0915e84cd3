package vault

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

func open(t testing.TB, db *storage.DB, master MasterKey) *Vault {
	t.Helper()
	v, err := Open(t.Context(), db, master)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seal(t testing.TB, v *Vault, plain string) []byte {
	t.Helper()
	sealed, err := v.Seal("test.number", "row_1", []byte(plain))
	if err != nil {
		t.Errorf("seal %.20q: %v", plain, err)
	}
	return sealed
}

func wantPlain(t testing.TB, v *Vault, sealed []byte, want string) {
	t.Helper()
	plain, err := v.Unseal("test.number", "row_1", sealed)
	if err != nil || string(plain) != want {
		t.Errorf("unsealed %q, %v; want %q", plain, err, want)
	}
}

// What is sealed opens, in this process and in the next, and does not show its text.
func TestSeal(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		master := NewMasterKey()
		v := open(t, db, master)
		for _, plain := range []string{"", "4111111111111111", strings.Repeat("x", 100_000)} {
			sealed := seal(t, v, plain)
			if plain != "" && bytes.Contains(sealed, []byte(plain)) {
				t.Errorf("the sealed text shows %.20q", plain)
			}
			if bytes.Equal(sealed, seal(t, v, plain)) {
				t.Errorf("%.20q is sealed twice to the same bytes", plain)
			}
			wantPlain(t, v, sealed, plain)
			wantPlain(t, open(t, db, master), sealed, plain)
		}
	})
}

// A sealed text opens for its purpose and row alone, and not when any bit of it changed.
func TestUnsealRefuses(t *testing.T) {
	v := open(t, testkit.Open(t, testkit.Database(t, "sqlite")), NewMasterKey())
	sealed := seal(t, v, "4111111111111111")
	for _, at := range []struct{ purpose, row string }{
		{"test.number", "row_2"}, {"test.pin", "row_1"}, {"test.serial", "row_1"}, {"test.numberr", "ow_1"}, {"test.numbe", "rrow_1"}, {"", "test.numberrow_1"}, {"test.numberrow_1", ""},
	} {
		if plain, err := v.Unseal(at.purpose, at.row, sealed); !errors.Is(err, ErrSealed) || plain != nil {
			t.Errorf("opens for %q of %q: %q, %v", at.purpose, at.row, plain, err)
		}
	}
	for i := range len(sealed) * 8 {
		altered := bytes.Clone(sealed)
		altered[i/8] ^= 1 << (i % 8)
		if _, err := v.Unseal("test.number", "row_1", altered); !errors.Is(err, ErrSealed) {
			t.Fatalf("opens with bit %d changed: %v", i, err)
		}
	}
	for n := range len(sealed) {
		if _, err := v.Unseal("test.number", "row_1", sealed[:n]); !errors.Is(err, ErrSealed) {
			t.Fatalf("opens when cut to %d bytes: %v", n, err)
		}
	}
	if _, err := v.Unseal("test.number", "row_1", append(sealed, 0)); !errors.Is(err, ErrSealed) {
		t.Errorf("opens with a byte more: %v", err)
	}
}

// Seal refuses what would be bound to nothing, and texts beyond its limit.
func TestSealLimits(t *testing.T) {
	v := open(t, testkit.Open(t, testkit.Database(t, "sqlite")), NewMasterKey())
	for name, err := range map[string]error{
		"no purpose": second(v.Seal("", "row", nil)), "no row": second(v.Seal("purpose", "", nil)),
		"too long": second(v.Seal("purpose", "row", make([]byte, MaxPlain+1))),
	} {
		if err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A hash is the same in every process and after every rotation, and differs by purpose,
// value and installation.
func TestHash(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		master := NewMasterKey()
		v := open(t, db, master)
		want := v.Hash("test.key", "value")
		if byHand := hashByHand(t, db, master, "\x08test.keyvalue"); !bytes.Equal(want, byHand) {
			t.Fatalf("hash %x, want %x: what was hashed before is not found", want, byHand)
		}
		seen := map[string]string{}
		for _, in := range [][2]string{{"test.key", "value"}, {"test.key", "Value"}, {"test.key", ""}, {"test.kez", "value"}, {"test.keyv", "alue"}, {"test.ke", "yvalue"}, {"", "test.keyvalue"}} {
			hash := string(v.Hash(in[0], in[1]))
			if other, twice := seen[hash]; twice {
				t.Errorf("%q and %q have one hash", in, other)
			}
			seen[hash] = in[0] + "|" + in[1]
		}
		if err := v.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		next := NewMasterKey()
		if err := v.RotateMaster(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string][]byte{"here": v.Hash("test.key", "value"), "elsewhere": open(t, db, next).Hash("test.key", "value")} {
			if !bytes.Equal(got, want) {
				t.Errorf("the hash changed %s", name)
			}
		}
	})
	other := open(t, testkit.Open(t, testkit.Database(t, "sqlite")), NewMasterKey())
	another := open(t, testkit.Open(t, testkit.Database(t, "sqlite")), NewMasterKey())
	if bytes.Equal(other.Hash("a", "b"), another.Hash("a", "b")) {
		t.Error("two installations have one hash key")
	}
}

// hashByHand is HMAC-SHA256 under the key of hashes.
func hashByHand(t *testing.T, db *storage.DB, master MasterKey, input string) []byte {
	t.Helper()
	opener, err := masterAEAD(master.text)
	check.OK(t, err)
	keys, err := openOrCreate(t.Context(), db, opener)
	check.OK(t, err)
	key, err := keys.hashKey()
	check.OK(t, err)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(input))
	return mac.Sum(nil)
}

// A rotation is written together with what its caller adds, or not at all.
func TestRotateAlso(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		master, next := NewMasterKey(), NewMasterKey()
		v := open(t, db, master)
		sealed, err := v.Seal("p", "c", []byte("value"))
		if err != nil {
			t.Fatal(err)
		}
		before, refusal := v.seal.Load(), errors.New("no")
		refuse := func(context.Context, *storage.Tx) error { return refusal }
		if err := v.Rotate(t.Context(), refuse); !errors.Is(err, refusal) {
			t.Errorf("rotate: %v", err)
		}
		if err := v.RotateMaster(t.Context(), next, refuse); !errors.Is(err, refusal) {
			t.Errorf("rotate master: %v", err)
		}
		if v.seal.Load() != before {
			t.Error("what was refused seals")
		}
		if got, err := open(t, db, master).Unseal("p", "c", sealed); err != nil || string(got) != "value" {
			t.Errorf("the old master key opens %q, %v", got, err)
		}
		asked := 0
		count := func(context.Context, *storage.Tx) error { asked++; return nil }
		if err := errors.Join(v.Rotate(t.Context(), count), v.RotateMaster(t.Context(), next, count)); err != nil || asked != 2 || v.seal.Load() == before {
			t.Errorf("%v, asked %d times", err, asked)
		}
	})
}

// Hashes made at once do not mix.
func TestHashConcurrently(t *testing.T) {
	v := open(t, testkit.Open(t, testkit.Database(t, "sqlite")), NewMasterKey())
	want := make([][]byte, 64)
	for i := range want {
		want[i] = v.Hash("p", strings.Repeat("x", i*100))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range want {
				if got := v.Hash("p", strings.Repeat("x", i*100)); !bytes.Equal(got, want[i]) {
					t.Errorf("hash %d differs", i)
				}
			}
		})
	}
	wg.Wait()
}

// Another master key is refused at Open with a hint, and nothing is changed by trying.
func TestWrongMasterKey(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		master := NewMasterKey()
		sealed := seal(t, open(t, db, master), "text")
		_, err := Open(t.Context(), db, NewMasterKey())
		if !errors.Is(err, ErrMasterKey) || !strings.Contains(err.Error(), "SCRIP_MASTER_KEY") {
			t.Errorf("opened with another master key: %v", err)
		}
		wantPlain(t, open(t, db, master), sealed, "text")
		if err := Check(t.Context(), db, NewMasterKey()); !errors.Is(err, ErrMasterKey) {
			t.Errorf("checked another master key: %v", err)
		}
		if err := Check(t.Context(), db, master); err != nil {
			t.Errorf("checked the master key: %v", err)
		}
		if _, err := Open(t.Context(), db, MasterKey{}); err == nil {
			t.Error("opened without a master key")
		}
	})
}

// A database that lost one of its keysets is refused: a new one would hide the loss.
func TestMissingKeyset(t *testing.T) {
	for _, name := range keysetNames {
		db := testkit.Open(t, testkit.Database(t, "sqlite"))
		master := NewMasterKey()
		open(t, db, master)
		change(t, db, deleteKeyset.With(name).Exactly(1))
		_, err := Open(t.Context(), db, master)
		for _, err := range []error{err, Check(t.Context(), db, master)} {
			if err == nil || !strings.Contains(err.Error(), "lacks the keyset \""+name) {
				t.Errorf("opened without the keyset %s: %v", name, err)
			}
		}
	}
}

// The keysets of two rows cannot be swapped.
func TestSwappedKeysets(t *testing.T) {
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	master := NewMasterKey()
	open(t, db, master)
	rows, err := storage.All(t.Context(), db, scanKeyset, listKeysets)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		change(t, db, updateKeyset.With(row.name, row.version, rows[1-i].sealed, int64(0), row.version).Exactly(1))
	}
	if _, err := Open(t.Context(), db, master); !errors.Is(err, ErrMasterKey) {
		t.Errorf("opened with its keysets swapped: %v", err)
	}
}

var deleteKeyset = storage.SQL("vault.test_delete_keyset", `DELETE FROM vault_keysets WHERE name = $1`)

func change(t *testing.T, db *storage.DB, effect storage.Effect) {
	t.Helper()
	err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error { return tx.Apply(ctx, []storage.Effect{effect}) })
	if err != nil {
		t.Fatal(err)
	}
}

// Many processes that start first at once end with the same keys.
func TestFirstStartOfMany(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		const processes = 8
		master := NewMasterKey()
		vaults := make([]*Vault, processes)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range vaults {
			wg.Go(func() {
				<-start
				v, err := Open(t.Context(), db, master)
				if err != nil {
					t.Errorf("process %d: %v", i, err)
				}
				vaults[i] = v
			})
		}
		close(start)
		wg.Wait()
		if t.Failed() {
			t.FailNow()
		}
		for i, v := range vaults {
			wantPlain(t, vaults[(i+1)%processes], seal(t, v, "text"), "text")
			if !bytes.Equal(v.Hash("a", "b"), vaults[0].Hash("a", "b")) {
				t.Errorf("process %d has another hash key", i)
			}
		}
	})
}

// Of first processes with different master keys one wins, and the database is its alone.
func TestFirstStartWithDifferentMasterKeys(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		const processes = 6
		masters, errs := make([]MasterKey, processes), make([]error, processes)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range masters {
			masters[i] = NewMasterKey()
			wg.Go(func() {
				<-start
				_, errs[i] = Open(t.Context(), db, masters[i])
			})
		}
		close(start)
		wg.Wait()
		winners := 0
		for i, err := range errs {
			if err == nil {
				winners++
				open(t, db, masters[i])
			} else if !errors.Is(err, ErrMasterKey) {
				t.Errorf("process %d: %v", i, err)
			}
		}
		if winners != 1 {
			t.Errorf("%d processes own the database", winners)
		}
	})
}

// After a rotation old texts open, new ones are sealed under the new key, and another
// process opens those without being told.
func TestRotate(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		master := NewMasterKey()
		v, other := open(t, db, master), open(t, db, master)
		texts := [][]byte{seal(t, v, "text")}
		for range 3 {
			if err := v.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, seal(t, v, "text"))
		}
		ids := map[uint32]bool{}
		for _, sealed := range texts {
			id, ok := keyID(sealed)
			if !ok || ids[id] {
				t.Errorf("sealed under key %d again", id)
			}
			ids[id] = true
			wantPlain(t, v, sealed, "text")
		}
		wantPlain(t, other, texts[3], "text") // learns all keys from the newest
		for _, sealed := range append(texts, seal(t, other, "text")) {
			wantPlain(t, other, sealed, "text")
		}
	})
}

// Rotations at once all count: no process undoes another's.
func TestRotateConcurrently(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		const processes, rotations = 4, 3
		master := NewMasterKey()
		vaults := make([]*Vault, processes)
		for i := range vaults {
			vaults[i] = open(t, db, master)
		}
		var wg sync.WaitGroup
		for i, v := range vaults {
			wg.Go(func() {
				for range rotations {
					if err := v.Rotate(t.Context()); err != nil {
						t.Errorf("process %d: %v", i, err)
					}
					wantPlain(t, vaults[(i+1)%processes], seal(t, v, "text"), "text")
				}
			})
		}
		wg.Wait()
		if got := open(t, db, master).seal.Load().handle.Len(); got != 1+processes*rotations {
			t.Errorf("%d keys after %d rotations", got, processes*rotations)
		}
	})
}

// A keyset does not grow without end.
func TestRotateLimit(t *testing.T) {
	v := open(t, testkit.Open(t, testkit.Database(t, "sqlite")), NewMasterKey())
	handle := v.seal.Load().handle
	var err error
	for handle.Len() < maxKeys {
		if handle, err = withNewPrimary(handle); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := withNewPrimary(handle); err == nil {
		t.Errorf("a keyset has %d keys", maxKeys+1)
	}
}

// Refresh moves a process to the newest key.
func TestRefresh(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		master := NewMasterKey()
		v, other := open(t, db, master), open(t, db, master)
		if err := v.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := other.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		want, _ := keyID(seal(t, v, "text"))
		if got, _ := keyID(seal(t, other, "text")); got != want {
			t.Errorf("the other process seals under key %d, want %d", got, want)
		}
	})
}

// After the master key was replaced the old one opens nothing, the new one everything,
// and a process that runs goes on with the keys it has.
func TestRotateMaster(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		master, next := NewMasterKey(), NewMasterKey()
		v, other := open(t, db, master), open(t, db, master)
		sealed := seal(t, v, "text")
		if err := v.RotateMaster(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), db, master); !errors.Is(err, ErrMasterKey) {
			t.Errorf("the old master key: %v", err)
		}
		wantPlain(t, open(t, db, next), sealed, "text")
		wantPlain(t, v, sealed, "text")
		wantPlain(t, other, seal(t, other, "more"), "more")
		for name, err := range map[string]error{"refresh": other.Refresh(t.Context()), "rotate": other.Rotate(t.Context()), "rotate master": other.RotateMaster(t.Context(), NewMasterKey())} {
			if !errors.Is(err, ErrMasterKey) {
				t.Errorf("%s with the old master key: %v", name, err)
			}
		}
		if err := v.Rotate(t.Context()); err != nil {
			t.Errorf("rotate under the new master key: %v", err)
		}
		if err := v.RotateMaster(t.Context(), MasterKey{}); err == nil {
			t.Error("rotated to no master key")
		}
	})
}

// What a known key sealed needs no database, and a database that does not answer is
// not taken for a forgery.
func TestUnsealWithoutDatabase(t *testing.T) {
	config := testkit.Database(t, "sqlite")
	master := NewMasterKey()
	db, err := storage.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := open(t, db, master)
	known := seal(t, v, "text")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantPlain(t, v, known, "text")
	known[len(known)-1] ^= 1
	if _, err := v.Unseal("test.number", "row_1", known); !errors.Is(err, ErrSealed) {
		t.Errorf("a forgery under a known key: %v", err)
	}
	unknown := bytes.Clone(known)
	unknown[1] ^= 1
	if _, err := v.Unseal("test.number", "row_1", unknown); err == nil || errors.Is(err, ErrSealed) {
		t.Errorf("an unknown key without a database: %v", err)
	}
}

// signals tells when something was logged.
type signals struct {
	slog.Handler
	logged chan string
}

func (s signals) Enabled(context.Context, slog.Level) bool { return true }

func (s signals) Handle(_ context.Context, r slog.Record) error {
	select {
	case s.logged <- r.Message:
	default: // one is enough
	}
	return nil
}

// Run refreshes until its context ends and tells when it cannot.
func TestRun(t *testing.T) {
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	master := NewMasterKey()
	v, other := open(t, db, master), open(t, db, master)
	if err := v.RotateMaster(t.Context(), NewMasterKey()); err != nil {
		t.Fatal(err)
	}
	other.every = time.Microsecond
	ctx, cancel := context.WithCancel(t.Context())
	logged, done := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(done)
		other.Run(ctx, slog.New(signals{logged: logged}))
	}()
	if text := <-logged; text == "" {
		t.Error("an empty message was logged")
	}
	cancel()
	<-done
}

// A master key shows itself in no format.
func TestMasterKeyMasks(t *testing.T) {
	master := NewMasterKey()
	shown := fmt.Sprintf("%v %+v %#v %s %q %x", master, master, &master, master, master, master)
	if strings.Contains(shown, master.Text().Reveal()) {
		t.Errorf("a master key prints: %s", shown)
	}
	if diff := cmp.Diff(master.Text().String(), pan.NewSecret("x").String()); diff != "" {
		t.Error(diff)
	}
}

// Whatever bytes are presented, Unseal opens only what Seal made, and never panics.
func FuzzUnseal(f *testing.F) {
	v := open(f, testkit.Open(f, testkit.Database(f, "sqlite")), NewMasterKey())
	sealed := seal(f, v, "text")
	f.Add("test.number", "row_1", sealed[5:])
	f.Add("", "", []byte{})
	f.Add("test.number", "row_1", []byte{0})
	f.Fuzz(func(t *testing.T, purpose, row string, body []byte) {
		// The prefix is kept, so that the fuzzer gets past the look-up of the key.
		forged := append(bytes.Clone(sealed[:5]), body...)
		plain, err := v.Unseal(purpose, row, forged)
		genuine := purpose == "test.number" && row == "row_1" && bytes.Equal(forged, sealed)
		if genuine != (err == nil) || (err == nil && string(plain) != "text") {
			t.Fatalf("genuine %t, but unsealed %q, %v", genuine, plain, err)
		}
		if _, err := v.Unseal(purpose, row, body); err != nil && !errors.Is(err, ErrSealed) {
			t.Fatalf("unseal: %v", err)
		}
		again, err := v.Seal("p"+purpose, "r"+row, body)
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := v.Unseal("p"+purpose, "r"+row, again); err != nil || !bytes.Equal(plain, body) {
			t.Fatalf("sealed %x, unsealed %x, %v", body, plain, err)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	v := open(b, testkit.Open(b, testkit.Database(b, "sqlite")), NewMasterKey())
	b.ReportAllocs()
	for b.Loop() {
		v.Hash("account.key", "cp_live_sk_0123456789012345678901234567890123456789abcdefgh")
	}
}

func BenchmarkSeal(b *testing.B) {
	v := open(b, testkit.Open(b, testkit.Database(b, "sqlite")), NewMasterKey())
	plain := []byte("4111111111111111")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Seal("giftcard.number", "gc_01m7yqwt92e81v2cwcx6nn5pgh", plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnseal(b *testing.B) {
	v := open(b, testkit.Open(b, testkit.Database(b, "sqlite")), NewMasterKey())
	sealed := seal(b, v, "4111111111111111")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Unseal("test.number", "row_1", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
