package dump

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

var noon = time.Date(2027, 3, 4, 12, 0, 0, 0, time.UTC)

func options() Options { return Options{Clock: clock.NewManual(noon)} }

func tableOf(t *testing.T, db *storage.DB, name string) *storage.Table {
	t.Helper()
	tables, err := storage.Tables(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tables {
		if tables[i].Name == name {
			return &tables[i]
		}
	}
	t.Fatalf("no table %s", name)
	return nil
}

func insert(t *testing.T, db *storage.DB, table string, rows ...[]any) {
	t.Helper()
	into := tableOf(t, db, table)
	err := db.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error { return into.Insert(ctx, tx, rows) })
	if err != nil {
		t.Fatal(err)
	}
}

// fill writes rows that no product would: every kind of value in every kind of column.
func fill(t *testing.T, db *storage.DB, entries int) {
	t.Helper()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	insert(t, db, "ledger_books", []any{"bk_B", "live", int64(0), []byte{}, int64(0), int64(1)},
		[]any{"bk_a", "test", int64(math.MaxInt64), all, int64(-5), int64(math.MinInt64)}, []any{"bk_é", "test", int64(1), []byte{0}, int64(0), int64(0)})
	insert(t, db, "ledger_accounts", []any{"bk_a", "tab\tline\n\"q\" \\ \x7f 漢", "USD", "debit", nil, "open", int64(9)},
		[]any{"bk_a", "a", "", "credit", int64(-7), "closed", int64(9)})
	rows := make([][]any, entries)
	for i := range rows {
		rows[i] = []any{"bk_a", fmt.Sprintf("card/%d", i%10), int64(i + 1), int64(i), "debit", int64(i), int64(-i), int64(i * i), int64(math.MaxInt64 - i), int64(i), int64(0), int64(i)}
	}
	insert(t, db, "ledger_entries", rows...)
	insert(t, db, "ledger_transactions", []any{"bk_a", int64(1), "txn_1", "k", nil, "", nil, strings.Repeat("body ", 1000), all, int64(3)},
		[]any{"bk_a", int64(2), "txn_2", "k", "key", "", "txn_1", "", []byte{}, int64(3)})
}

func backup(t *testing.T, db *storage.DB, o Options) (string, Manifest) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scrip.backup")
	manifest, err := Backup(context.Background(), db, path, o)
	if err != nil {
		t.Fatal(err)
	}
	return path, manifest
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func countAll(t *testing.T, db *storage.DB) int {
	t.Helper()
	tables, err := storage.Tables(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range tables {
		if err := tables[i].Each(context.Background(), db, func([]any) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Every value survives the way from each engine to each engine, and a backup of the
// copy has the same tables with the same hashes.
func TestRoundTrip(t *testing.T) {
	for _, from := range testkit.Engines() {
		source := testkit.Open(t, testkit.Database(t, from))
		fill(t, source, 1000)
		path, made := backup(t, source, options())
		for _, to := range testkit.Engines() {
			t.Run(from+" to "+to, func(t *testing.T) {
				target := testkit.Open(t, testkit.Database(t, to))
				restored, err := Restore(context.Background(), target, path, options())
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(made, restored) {
					t.Errorf("made %+v, restored %+v", made, restored)
				}
				_, again := backup(t, target, options())
				if again.Engine != to || !reflect.DeepEqual(again.Tables, made.Tables) {
					t.Errorf("the copy has %+v, the original %+v", again.Tables, made.Tables)
				}
				if made.Rows() != 1007 || countAll(t, target) != 1007 {
					t.Errorf("%d rows in the backup, %d in the copy, want 1007", made.Rows(), countAll(t, target))
				}
			})
		}
	}
}

// Two backups of one state are the same bytes; made at another time, only the manifest differs.
func TestDeterministic(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		fill(t, db, 300)
		o := options()
		first, manifest := backup(t, db, o)
		second, _ := backup(t, db, o)
		if !bytes.Equal(read(t, first), read(t, second)) {
			t.Error("two backups of one state differ")
		}
		o.Clock.(*clock.Manual).Advance(time.Hour)
		third, later := backup(t, db, o)
		before, _, _ := bytes.Cut(read(t, first), []byte(manifestName))
		after, _, _ := bytes.Cut(read(t, third), []byte(manifestName))
		if !bytes.Equal(before, after) {
			t.Error("the rows differ with the time")
		}
		if later.CreatedAt = manifest.CreatedAt; !reflect.DeepEqual(manifest, later) {
			t.Error("the manifests differ in more than the time")
		}
	})
}

// A table larger than a chunk is cut and put together again, and progress is told.
func TestManyChunks(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		var rows [][]any
		for i := range 20 {
			rows = append(rows, []any{"bk_a", int64(i + 1), fmt.Sprintf("txn_%d", i), "k", nil, "", nil, strings.Repeat("x", 1<<20), []byte{}, int64(3)})
		}
		insert(t, db, "ledger_transactions", rows...)
		o := options()
		phases := map[Phase]Progress{}
		o.Progress = func(p Progress) { phases[p.Phase] = p }
		path, manifest := backup(t, db, o)
		if p := phases[Reading]; p.Rows != 20 || p.Tables != p.Of || p.Of != len(manifest.Tables) {
			t.Errorf("reading ended at %+v", p)
		}
		for _, table := range manifest.Tables {
			if table.Name == "ledger_transactions" && table.Chunks != 5 {
				t.Errorf("%d chunks, want 5", table.Chunks)
			}
		}
		target := testkit.Open(t, testkit.Database(t, db.Engine()))
		if _, err := Restore(context.Background(), target, path, o); err != nil {
			t.Fatal(err)
		}
		for _, phase := range []Phase{Writing, Verifying} {
			if phases[phase].Rows != 20 {
				t.Errorf("%s ended at %+v", phase, phases[phase])
			}
		}
	})
}

// The file is private and whole under its name; a failure leaves nothing behind.
func TestBackupFile(t *testing.T) {
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	fill(t, db, 10)
	path, _ := backup(t, db, options())
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if _, err := Backup(context.Background(), db, path, options()); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a second backup to the same path: %v", err)
	}
	o := options()
	o.Replace = true
	if _, err := Backup(context.Background(), db, path, o); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.Progress = func(Progress) { cancel() }
	if _, err := Backup(ctx, db, filepath.Join(filepath.Dir(path), "other"), o); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled backup: %v", err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("%d files are left, %v", len(files), err)
	}
	if _, err := Backup(context.Background(), db, filepath.Join(path, "below"), o); err == nil {
		t.Error("a backup was written below a file")
	}
}

// A disk that fails fails the backup, wherever it happens.
func TestWriteFailure(t *testing.T) {
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	fill(t, db, 50)
	var whole bytes.Buffer
	if _, err := Write(context.Background(), db, &whole, options()); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	for limit := 0; limit < whole.Len(); limit += 509 {
		if _, err := Write(context.Background(), db, &failing{limit, full}, options()); !errors.Is(err, full) {
			t.Fatalf("failed after %d of %d bytes: %v", limit, whole.Len(), err)
		}
	}
}

type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, f.err
	}
	f.left -= len(p)
	return len(p), nil
}

// A file that lacks an end or differs in one bit is refused, and the database stays empty.
func TestDamage(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		fill(t, db, 20)
		path, _ := backup(t, db, options())
		good := read(t, path)
		ctx := context.Background()
		refuse := func(what string, content []byte) {
			t.Helper()
			s := &source{bytes.NewReader(content), int64(len(content))}
			o := options()
			if _, err := s.verify(ctx, &o); !errors.Is(err, errCut) && !errors.Is(err, errAltered) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		for size := 0; size < len(good); size += 127 {
			refuse(fmt.Sprintf("cut to %d bytes", size), good[:size])
		}
		for i := 0; i < len(good); i += 13 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			refuse(fmt.Sprintf("bit flipped in byte %d", i), bad)
		}
		refuse("one byte more", append(bytes.Clone(good), 0))
		refuse("a block more", append(bytes.Clone(good), make([]byte, 512)...))

		target := testkit.Open(t, testkit.Database(t, db.Engine()))
		bad := bytes.Clone(good)
		bad[len(bad)/2] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(ctx, target, path, options()); !errors.Is(err, errAltered) {
			t.Errorf("restore: %v", err)
		}
		if n := countAll(t, target); n != 0 {
			t.Errorf("%d rows were written", n)
		}
	})
}

// entry is one file of an archive.
type entry struct {
	name string
	text []byte
}

func entries(t testing.TB, content []byte) []entry {
	t.Helper()
	archive := tar.NewReader(bytes.NewReader(content[:len(content)-sealBytes]))
	var all []entry
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{h.Name, text})
	}
}

func sealed(t testing.TB, all []entry) []byte {
	t.Helper()
	var content bytes.Buffer
	a := newArchive(&content)
	for _, e := range all {
		if err := a.add(e.name, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

// forge seals a backup anew with another manifest.
func forge(t testing.TB, content []byte, change func(*Manifest)) []byte {
	t.Helper()
	all := entries(t, content)
	last := &all[len(all)-1]
	var m Manifest
	if err := json.Unmarshal(last.text, &m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	last.text = text
	return sealed(t, all)
}

// A backup that does not fit the database is refused with the reason, and nothing is kept.
func TestRestoreRefusals(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		fill(t, db, 300)
		path, made := backup(t, db, options())
		good := read(t, path)
		target := testkit.Open(t, testkit.Database(t, db.Engine()))
		last := len(made.Migrations) - 1
		cases := []struct {
			want   string
			change func(*Manifest)
		}{
			{"reads format 1", func(m *Manifest) { m.Format = 2 }},
			{"then start this one, which migrates it", func(m *Manifest) { m.Migrations = m.Migrations[:last] }},
			{"restore it with the scrip that made it", func(m *Manifest) { m.Migrations = append(m.Migrations, Migration{Version: last + 2}) }},
			{"its text differs", func(m *Manifest) { m.Migrations[last].Checksum = "other" }},
			{"the manifest says", func(m *Manifest) { m.Tables[len(m.Tables)-1].Rows++ }},
			{"does not name it", func(m *Manifest) { m.Tables = nil }},
			{"contradicts itself", func(m *Manifest) { m.Tables[1] = m.Tables[0] }},
			{"has other columns", func(m *Manifest) { m.Tables[0].Columns[0].Name = "other" }},
			{"has other columns", func(m *Manifest) { m.Tables[0].Columns[0].Type = "float" }},
		}
		for _, c := range cases {
			if err := os.WriteFile(path, forge(t, good, c.change), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Restore(context.Background(), target, path, options()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
			m := made
			m.Migrations = slices.Clone(made.Migrations)
			c.change(&m)
			if err := m.Suits(); (err == nil) != slices.Equal(m.Migrations, made.Migrations) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("without a database: want %q, got %v", c.want, err)
			}
		}
		if n := countAll(t, target); n != 0 {
			t.Errorf("%d rows were written", n)
		}
		if _, err := Restore(context.Background(), db, path, options()); err == nil || !strings.Contains(err.Error(), "restore into a new one") {
			t.Errorf("restore into a database with rows: %v", err)
		}
	})
}

// A restore that is stopped, or that meets a row which the schema forbids, leaves the database empty.
func TestRestoreIsAtomic(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		fill(t, db, 300)
		path, _ := backup(t, db, options())
		target := testkit.Open(t, testkit.Database(t, db.Engine()))
		for _, phase := range []Phase{Writing, Verifying} {
			ctx, cancel := context.WithCancel(context.Background())
			o := options()
			o.Progress = func(p Progress) {
				if p.Phase == phase && p.Of > 0 && p.Rows > 0 {
					cancel()
				}
			}
			if _, err := Restore(ctx, target, path, o); !errors.Is(err, context.Canceled) {
				t.Errorf("canceled while %s: %v", phase, err)
			}
			cancel()
		}
		all := entries(t, read(t, path))
		for i := range all {
			if strings.Contains(all[i].name, "ledger_transactions") {
				all[i].text = []byte("not gzip")
			}
		}
		s := &source{from: bytes.NewReader(sealed(t, all))}
		s.size = int64(s.from.(*bytes.Reader).Len())
		o := options()
		if _, err := restore(context.Background(), target, s, &o); err == nil {
			t.Error("a broken chunk was restored")
		}
		if n := countAll(t, target); n != 0 {
			t.Errorf("%d rows were written", n)
		}
		if _, err := Restore(context.Background(), target, path, options()); err != nil {
			t.Errorf("the database cannot be used any more: %v", err)
		}
	})
}

// What is to be changed with a restore is in its transaction: it sees what was restored, stays
// with it, and its error leaves the database empty.
func TestAlso(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		fill(t, db, 30)
		path, _ := backup(t, db, options())
		rows, refused := countAll(t, db), errors.New("refused")
		target := testkit.Open(t, testkit.Database(t, db.Engine()))
		books := tableOf(t, target, "ledger_books")
		change := func(failure error) func(context.Context, *storage.Tx) error {
			return func(ctx context.Context, tx *storage.Tx) error {
				if empty, err := books.IsEmpty(ctx, tx); err != nil || empty {
					t.Errorf("no book was restored: %v", err)
				}
				return errors.Join(failure, books.Insert(ctx, tx, [][]any{{"bk_new", "test", int64(0), []byte{}, int64(0), int64(0)}}))
			}
		}
		o := options()
		o.Also = change(refused)
		if _, err := Restore(t.Context(), target, path, o); !errors.Is(err, refused) {
			t.Errorf("error = %v", err)
		}
		if n := countAll(t, target); n != 0 {
			t.Errorf("%d rows were written", n)
		}
		o.Also = change(nil)
		if _, err := Restore(t.Context(), target, path, o); err != nil {
			t.Fatal(err)
		}
		if n := countAll(t, target); n != rows+1 {
			t.Errorf("%d rows, want %d", n, rows+1)
		}
	})
}

// Verify tells a good file from one that is not there or something else.
func TestVerify(t *testing.T) {
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	fill(t, db, 5)
	path, made := backup(t, db, options())
	if got, err := Verify(context.Background(), path, options()); err != nil || !reflect.DeepEqual(got, made) {
		t.Errorf("verify = %+v, %v", got, err)
	}
	for _, bad := range []string{filepath.Dir(path), path + ".gone"} {
		if _, err := Verify(context.Background(), bad, options()); err == nil {
			t.Errorf("%s was verified", bad)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Verify(ctx, path, options()); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled verify: %v", err)
	}
}

// FuzzRead: no archive makes the reader panic or read without end, and what it accepts it
// can read a second time.
func FuzzRead(f *testing.F) {
	lines := newStream()
	if err := lines.add([]any{"a", int64(1), []byte{2}, nil}); err != nil {
		f.Fatal(err)
	}
	b := &builder{lines: lines, options: &Options{}}
	var content bytes.Buffer
	b.archive = newArchive(&content)
	table := Table{Name: "one", Columns: []Column{{"a", storage.TextColumn}}, Rows: 1}
	if err := b.chunk(&table); err != nil {
		f.Fatal(err)
	}
	_, table.SHA256 = b.lines.end()
	text, err := json.Marshal(Manifest{Format: Format, Tables: []Table{table}})
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(b.archive.add(manifestName, text), b.archive.close()); err != nil {
		f.Fatal(err)
	}
	whole := content.Bytes()
	f.Add(whole[:len(whole)-sealBytes])
	f.Add([]byte{})
	f.Add(make([]byte, 1024))
	accepted := func(body []byte) bool {
		a := newArchive(io.Discard)
		a.sum.Write(body)
		end, err := seal(a.sum.Sum(nil))
		if err != nil {
			f.Fatal(err)
		}
		s := &source{bytes.NewReader(append(body[:len(body):len(body)], end...)), int64(len(body) + sealBytes)}
		o := Options{}
		m, err := s.verify(context.Background(), &o)
		if err != nil {
			return false
		}
		rows := int64(0)
		_, err = s.each(context.Background(), func(c chunk) error {
			rows += int64(bytes.Count(c.lines, []byte{'\n'}))
			return nil
		})
		return err == nil && rows == m.Rows()
	}
	if !accepted(whole[:len(whole)-sealBytes]) {
		f.Fatal("the seed is refused")
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o := Options{}
		s := &source{bytes.NewReader(body), int64(len(body))}
		if _, err := s.verify(context.Background(), &o); err == nil {
			t.Error("an archive without its hash was accepted")
		}
		accepted(body)
	})
}

// Text that is not UTF-8, which SQLite can hold, comes back byte for byte.
func TestOddText(t *testing.T) {
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	insert(t, db, "ledger_counters", []any{"bk_\xff", "a\x00b\xc3", int64(1)}, []any{"bk_\xff", "\x00", int64(2)})
	path, made := backup(t, db, options())
	target := testkit.Open(t, testkit.Database(t, "sqlite"))
	if _, err := Restore(context.Background(), target, path, options()); err != nil {
		t.Fatal(err)
	}
	if _, again := backup(t, target, options()); !reflect.DeepEqual(made, again) {
		t.Errorf("made %+v, again %+v", made, again)
	}
}
