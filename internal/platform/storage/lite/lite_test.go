package lite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage/lite"
)

func open(t *testing.T) *lite.Conn {
	t.Helper()
	c, err := lite.Open(filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	exec(t, c, "CREATE TABLE things (id INTEGER PRIMARY KEY, text TEXT, bytes BLOB, number INTEGER) STRICT")
	return c
}

func exec(t *testing.T, c *lite.Conn, text string, args ...any) int64 {
	t.Helper()
	n, err := c.Exec(text, args)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return n
}

type word string

// What is bound comes back as it was: empty, absent, long, with zero bytes, of named types.
func TestValuesComeBack(t *testing.T) {
	c := open(t)
	long := strings.Repeat("long ", 10_000)
	exec(t, c, "INSERT INTO things VALUES ($1, $2, $3, $4), (?5, ?6, ?7, ?8)",
		1, "", []byte{}, int64(-1<<63), int64(2), sql.NullString{String: long, Valid: true}, []byte("a\x00b"), true)
	exec(t, c, "INSERT INTO things (number, id, text, bytes) VALUES ($4, $1, $2, $3)", 3, word("named"), nil, sql.NullInt64{})
	want := []struct {
		text   string
		bytes  string
		null   bool
		number int64
		known  bool
	}{{"", "", false, -1 << 63, true}, {long, "a\x00b", false, 1, true}, {"named", "", true, 0, false}}
	rows, err := c.Query("SELECT text, bytes, bytes, number, id FROM things ORDER BY id", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		var (
			text   word
			bytes  []byte
			maybe  sql.Null[[]byte]
			number sql.NullInt64
			id     int
		)
		if !rows.Next() {
			t.Fatalf("row %d: %v", i, rows.Err())
		}
		if err := rows.Scan(&text, &bytes, &maybe, &number, &id); err != nil {
			t.Fatal(err)
		}
		if string(text) != w.text || string(bytes) != w.bytes || (bytes == nil) != w.null || maybe.Valid == w.null || string(maybe.V) != w.bytes ||
			number.Int64 != w.number || number.Valid != w.known || id != i+1 {
			t.Errorf("row %d: %.20q %q %v %v %d", i, text, bytes, maybe, number, id)
		}
	}
	if rows.Next() || rows.Close() != nil {
		t.Errorf("a row too many, or %v", rows.Err())
	}
}

// A refusal has SQLite's code and leaves the statement fit for its next use.
func TestRefusals(t *testing.T) {
	c := open(t)
	insert := "INSERT INTO things (id) VALUES ($1)"
	exec(t, c, insert, 1)
	var refused *lite.Error
	if _, err := c.Exec(insert, []any{1}); !errors.As(err, &refused) || refused.Code != 1555 {
		t.Errorf("a key twice: %v", err)
	}
	if n := exec(t, c, insert, 2); n != 1 {
		t.Errorf("%d rows changed", n)
	}
	if _, err := c.Exec(insert, nil); err == nil {
		t.Error("a parameter without an argument was taken")
	}
	if _, err := c.Exec("INSERT INTO things (id) VALUES (:name)", []any{1}); err == nil {
		t.Error("a parameter with a name was taken")
	}
	if _, err := c.Exec("nonsense", nil); !errors.As(err, &refused) || refused.Code != 1 {
		t.Errorf("nonsense: %v", err)
	}
	rows, err := c.Query("SELECT text, id FROM things", nil)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	var id int64
	if !rows.Next() || rows.Scan(&text, &id) == nil || rows.Scan(&id) == nil {
		t.Error("NULL was read into a text, or two columns into one value")
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
}

// A text may be used again while rows of its first use are open.
func TestOneTextTwice(t *testing.T) {
	c := open(t)
	exec(t, c, "INSERT INTO things (id, text) VALUES (1, 'a'), (2, 'b')")
	text := "SELECT id FROM things WHERE text >= $1 ORDER BY id"
	outer, err := c.Query(text, []any{"a"})
	if err != nil {
		t.Fatal(err)
	}
	var seen []int64
	for outer.Next() {
		inner, err := c.Query(text, []any{"b"})
		if err != nil {
			t.Fatal(err)
		}
		var a, b int64
		if !inner.Next() || inner.Scan(&b) != nil || inner.Close() != nil || outer.Scan(&a) != nil {
			t.Fatal(inner.Err())
		}
		seen = append(seen, a, b)
	}
	if err := outer.Close(); err != nil || len(seen) != 4 || seen[0] != 1 || seen[1] != 2 || seen[2] != 2 || seen[3] != 2 {
		t.Errorf("%v, %v", seen, err)
	}
}

// A pool opens no more connections than are lent at once, lends each to one user at a time, gives none when all are lent until
// the caller gives up, and closes when the last comes back.
func TestPool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	c, err := lite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, c, "CREATE TABLE things (id INTEGER PRIMARY KEY)")
	exec(t, c, "INSERT INTO things VALUES (1), (2)")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	opened := 0
	p := lite.NewPool(2, func() (*lite.Conn, error) {
		opened++
		return lite.Open(path)
	})
	ctx := context.Background()
	for range 3 {
		if err := p.With(ctx, func(*lite.Conn) error { return nil }); err != nil || opened != 1 {
			t.Fatalf("%d connections for one user at a time, %v", opened, err)
		}
	}
	first, err := p.Query(ctx, "SELECT id FROM things", nil)
	if err != nil || !first.Next() {
		t.Fatal(err)
	}
	err = p.With(ctx, func(*lite.Conn) error {
		short, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := p.Query(short, "SELECT 1", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a third user: %v", err)
		}
		return nil
	})
	if err != nil || first.Close() != nil || first.Close() != nil {
		t.Error(err)
	}
	if _, err := p.Query(ctx, "nonsense", nil); err == nil {
		t.Error("nonsense was answered")
	}
	for range 3 { // refusals and closing twice have not lost a connection, nor lent one twice
		a, err := p.Query(ctx, "SELECT 1", nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.Query(ctx, "SELECT 1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.Close() != nil || b.Close() != nil {
			t.Error("close")
		}
	}
	if err := p.Close(); err != nil || opened != 2 {
		t.Errorf("%d connections, %v", opened, err)
	}
	if _, err := p.Query(ctx, "SELECT 1", nil); err == nil {
		t.Error("a closed pool answered")
	}
}

// A statement is prepared once, whatever its parameters' values.
func TestPreparedOnce(t *testing.T) {
	c := open(t)
	exec(t, c, "CREATE TABLE others (id INTEGER PRIMARY KEY, thing INTEGER) STRICT")
	text := "SELECT t.id FROM things t JOIN others o ON o.id = t.id WHERE t.id = $1"
	for i := range 3 {
		rows, err := c.Query(text, []any{i})
		if err != nil || rows.Next() || rows.Close() != nil {
			t.Fatal(err)
		}
	}
	if n, err := c.Reprepared(text); n != 0 || err != nil {
		t.Errorf("prepared again %d times, %v", n, err)
	}
}
