package storage_test

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	codes "modernc.org/sqlite/lib"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/storage/lite"
	"github.com/scripcards/scrip/internal/testkit"
)

var (
	insertRow  = storage.Insert("test.insert", "schema_migrations", "version", "name", "checksum", "applied_at")
	upsertRow  = storage.Upsert("test.upsert", "schema_migrations", []string{"version"}, "version", "name", "checksum", "applied_at")
	findRows   = storage.Lookup("test.find", "SELECT name FROM schema_migrations WHERE applied_at >= $1 AND (version, name) IN ({values}) ORDER BY version", "BIGINT", "TEXT")
	countRows  = storage.SQL("test.count", "SELECT COUNT(*) FROM schema_migrations WHERE version >= $1")
	renameRow  = storage.SQL("test.rename", "UPDATE schema_migrations SET name = $2 WHERE version = $1")
	addWord    = storage.SQL("test.add_word", "UPDATE schema_migrations SET name = name || $2 WHERE version = $1")
	findRow    = storage.SQL("test.find_row", "SELECT name FROM schema_migrations WHERE version = $1")
	deleteRows = storage.SQL("test.delete", "DELETE FROM schema_migrations WHERE version >= $1")
	purgeRows  = storage.SQL("test.purge", `DELETE FROM schema_migrations WHERE version IN
		(SELECT version FROM schema_migrations WHERE version >= $1 AND version < $2 ORDER BY version LIMIT $3)`)
)

// firstFree is above every real migration.
const firstFree = 1000

func row(n int) []any { return []any{firstFree + n, fmt.Sprintf("row%d", n), "sum", n} }

func scanInt(r storage.Row) (n int, err error)     { err = r.Scan(&n); return n, err }
func scanText(r storage.Row) (s string, err error) { err = r.Scan(&s); return s, err }

func count(t *testing.T, db storage.Queryer) int {
	t.Helper()
	n, ok, err := storage.One(context.Background(), db, scanInt, countRows, firstFree)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return n
}

// Every registered statement is accepted by the engine, for one row and for many.
func TestStatementsPrepare(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		if err := storage.PrepareAll(context.Background(), db); err != nil {
			t.Error(err)
		}
	})
}

// Rows of any number are inserted, replaced and found again, cut into statements of few sizes.
func TestBulk(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		for _, n := range []int{1, 2, 3, 100, 127, 128, 129, 300} {
			var rows, keys [][]any
			for i := range n {
				rows = append(rows, row(i))
				keys = append(keys, []any{firstFree + i, fmt.Sprintf("row%d", i)})
			}
			err := db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
				if _, err := tx.Exec(ctx, deleteRows, firstFree); err != nil {
					return err
				}
				if err := tx.ExecRows(ctx, insertRow, rows); err != nil {
					return err
				}
				return tx.ExecRows(ctx, upsertRow, rows)
			})
			if err != nil {
				t.Fatalf("%d rows: %v", n, err)
			}
			names, err := storage.AllOf(ctx, db, scanText, findRows, keys, 1)
			if err != nil || len(names) != n-1 {
				t.Fatalf("%d rows: found %d, %v", n, len(names), err)
			}
		}
	})
}

// A failing closure leaves no trace, though it shares a commit with others that succeed.
func TestWriteIsolatesFailures(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		refused := errors.New("refused")
		var group sync.WaitGroup
		for i := range 64 {
			group.Go(func() {
				err := db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
					if err := tx.ExecRows(ctx, insertRow, [][]any{row(i)}); err != nil {
						return err
					}
					switch i % 4 {
					case 0:
						return refused
					case 1:
						panic("broken closure")
					}
					return nil
				})
				if (i%4 == 0) != errors.Is(err, refused) || (i%4 == 1) != (err != nil && strings.Contains(err.Error(), "panicked")) {
					t.Errorf("write %d: %v", i, err)
				}
			})
		}
		group.Wait()
		if got := count(t, db); got != 32 {
			t.Errorf("%d rows, want 32", got)
		}
	})
}

// A database that is away is told apart from one that refuses.
func TestIsAway(t *testing.T) {
	_, unreached := storage.Open(t.Context(), storage.Config{URL: "postgres://scrip@127.0.0.1:1/scrip?sslmode=disable"})
	for _, c := range []struct {
		err  error
		away bool
	}{
		{unreached, true}, {fmt.Errorf("find: %w", &pgconn.PgError{Code: "57P01"}), true}, {&pgconn.PgError{Code: "57P03"}, true}, {&pgconn.PgError{Code: "08006"}, true},
		{fmt.Errorf("find: %w", driver.ErrBadConn), true}, {io.ErrUnexpectedEOF, true},
		{&pgconn.PgError{Code: "53100"}, true}, {fmt.Errorf("write: %w", &lite.Error{Code: codes.SQLITE_FULL}), true}, {&lite.Error{Code: codes.SQLITE_CORRUPT}, false},
		{&lite.Error{Code: codes.SQLITE_IOERR_WRITE}, true}, {&lite.Error{Code: codes.SQLITE_CANTOPEN}, true},
		{&pgconn.PgError{Code: "25006"}, true}, {&pgconn.PgError{Code: "55P03"}, true}, {&pgconn.PgError{Code: "57014"}, true}, {&pgconn.PgError{Code: "23505"}, false}, {&pgconn.PgError{Code: "42P01"}, false}, {errors.New("other"), false}, {nil, false},
	} {
		if got := storage.IsAway(c.err); got != c.away {
			t.Errorf("IsAway(%v) = %t", c.err, got)
		}
	}
}

// A server that takes no writes any more, as a primary that was replaced and still answers, is
// away, and not held on to: what is done next is done on another connection.
func TestReadOnlyServer(t *testing.T) {
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip("no PostgreSQL is at hand")
	}
	ctx := t.Context()
	insert := func(ctx context.Context, tx *storage.Tx) error { return tx.ExecRows(ctx, insertRow, [][]any{row(1)}) }
	for name, find := range map[string]func(*storage.DB) error{
		"write": func(db *storage.DB) error { return db.Write(ctx, insert) },
		"ping":  func(db *storage.DB) error { return db.Ping(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			config := testkit.Database(t, "postgres")
			config.MaxConns = 1
			db := testkit.Open(t, config)
			err := db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
				return tx.ExecText(ctx, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := find(db); err == nil || name == "write" && !storage.IsAway(err) {
				t.Errorf("a server that is read-only: %v", err)
			}
			if err := errors.Join(db.Ping(ctx), db.Write(ctx, insert)); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// A database whose connection is reset within a transaction is away, whatever that was at.
func TestConnectionIsReset(t *testing.T) {
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip("no PostgreSQL is at hand")
	}
	config := testkit.Database(t, "postgres")
	u, err := url.Parse(config.URL)
	if err != nil {
		t.Fatal(err)
	}
	address, reset := resettable(t, u.Host)
	u.Host = address
	config.URL = u.String()
	db := testkit.Open(t, config)
	for name, last := range map[string]func(context.Context, *storage.Tx) error{
		"commit": func(context.Context, *storage.Tx) error { return nil },
		"ask": func(ctx context.Context, tx *storage.Tx) error {
			var names []string
			return tx.Ask(ctx, storage.Ask(&names, storage.Scalar[string], findRows, [][]any{{1, "ledger"}}, 0))
		},
	} {
		err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			if _, err := tx.Exec(ctx, renameRow, firstFree, name); err != nil {
				return err
			}
			reset()
			return last(ctx, tx)
		})
		if !storage.IsAway(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// resettable forwards connections to a server, and returns what resets those that are open.
func resettable(t *testing.T, server string) (address string, reset func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		open  []*net.TCPConn
		group sync.WaitGroup
	)
	reset = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, client := range open {
			_ = errors.Join(client.SetLinger(0), client.Close()) // it may be closed already
		}
		open = nil
	}
	group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			behind, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			open = append(open, client.(*net.TCPConn))
			mu.Unlock()
			for _, way := range [][2]net.Conn{{client, behind}, {behind, client}} {
				group.Go(func() {
					_, _ = io.Copy(way[0], way[1]) // it ends when either side has hung up
					_ = way[0].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		reset()
		group.Wait()
	})
	return listener.Addr().String(), reset
}

// A server that answers before its disk has what it committed is known to; no other is.
func TestHasty(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		if hasty, err := db.Hasty(t.Context()); hasty || err != nil {
			t.Errorf("%t, %v", hasty, err)
		}
	})
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip("no PostgreSQL is at hand")
	}
	config := testkit.Database(t, "postgres")
	u, err := url.Parse(config.URL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("synchronous_commit", "off")
	u.RawQuery = query.Encode()
	config.URL = u.String()
	if hasty, err := testkit.Open(t, config).Hasty(t.Context()); !hasty || err != nil {
		t.Errorf("with synchronous_commit = off: %t, %v", hasty, err)
	}
}

// PostgreSQL keeps to indexes, compiles no plans and gives up a lock, unless the URL says otherwise.
func TestPlans(t *testing.T) {
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip("no PostgreSQL is at hand")
	}
	for _, c := range []struct{ asked, compiles, waits string }{
		{"", "off", "10s"}, {"jit=on", "on", "10s"}, {"lock_timeout=3s", "off", "3s"},
		{"options=-c%20jit%3Don%20-c%20deadlock_timeout%3D2s", "on", "10s"},
		{"options=-cJIT%3Don%20--lock-timeout%3D3s", "on", "3s"}, {"options=-c%20lock_timeout%3D0", "off", "0"},
	} {
		config := testkit.Database(t, "postgres")
		address, err := url.Parse(config.URL)
		if err != nil {
			t.Fatal(err)
		}
		address.RawQuery += "&" + c.asked
		config.URL = address.String()
		db := testkit.Open(t, config)
		for setting, want := range map[string]string{"jit": c.compiles, "lock_timeout": c.waits, "enable_seqscan": "off"} {
			err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				return tx.ExecText(ctx, "DO $$ BEGIN IF current_setting('"+setting+"') <> '"+want+"' THEN RAISE EXCEPTION 'it is not'; END IF; END $$")
			})
			if err != nil {
				t.Errorf("with %q %s is to be %s: %v", c.asked, setting, want, err)
			}
		}
	}
}

// readInOrder fails with the plan of a page unless an index gives its rows one after the other. The
// plan is the one that serves whatever filters are asked for.
const readInOrder = `DO $$ DECLARE line TEXT; plan TEXT := ''; BEGIN
	CREATE TABLE pages (book_id TEXT NOT NULL, seq BIGINT NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL, PRIMARY KEY (book_id, seq));
	INSERT INTO pages SELECT CASE i % 2 WHEN 0 THEN 'large' ELSE 'small' || i % 300 END, i, 'kind' || i % 50, 'actor' || i % 20 FROM generate_series(1, 20000) AS i;
	EXECUTE 'ANALYZE pages';
	PERFORM set_config('plan_cache_mode', 'force_generic_plan', TRUE);
	EXECUTE 'PREPARE page AS SELECT seq FROM pages WHERE book_id = $1 AND ($2 = '''' OR kind = $2) AND ($3 = '''' OR actor = $3)
		AND seq < $4 ORDER BY seq DESC LIMIT $5';
	FOR line IN EXECUTE 'EXPLAIN EXECUTE page(''large'', '''', '''', 20000, 50)' LOOP
		plan := plan || line || ' ';
	END LOOP;
	IF plan NOT LIKE 'Limit%Index Scan Backward using pages_pkey%' OR plan LIKE '%Sort%' THEN RAISE EXCEPTION '%', plan; END IF;
END $$`

// A page of a list is read in the order of its index, and the whole book is not sorted for it.
func TestPagesAreReadInOrder(t *testing.T) {
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip("no PostgreSQL is at hand")
	}
	db := testkit.Open(t, testkit.Database(t, "postgres"))
	undone := errors.New("nothing is to stay")
	err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return cmp.Or(tx.ExecText(ctx, readInOrder), undone)
	})
	if !errors.Is(err, undone) {
		t.Error(err)
	}
}

// A URL that the driver cannot use is refused with the reason, and without its password.
func TestCheckURL(t *testing.T) {
	for _, c := range []struct{ after, want string }{
		{"@db.example/scrip?sslmode=verify-full", ""}, {"@db.example:5432/scrip?target_session_attrs=read-write", ""},
		{"@db.example/scrip?sslmode=verify-full&sslrootcert=/none/ca.pem", "/none/ca.pem"}, {"@db.example/scrip?sslmode=full", "sslmode"},
		{"@db.example/scrip?connect_timeout=soon", "soon"}, {"@db.example:99999/scrip", "malformed"}, {"@db .example/scrip", "malformed"}, {"/@db.example/scrip", "malformed"},
	} {
		err := storage.CheckURL("postgres://scrip:hunter2" + c.after)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s is refused: %v", c.after, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: error %v does not say %q", c.after, err, c.want)
		}
	}
}

// A duplicate key is told apart from other errors, and undoes its transaction.
func TestIsUnique(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		insert := func(ctx context.Context, tx *storage.Tx) error { return tx.ExecRows(ctx, insertRow, [][]any{row(1)}) }
		if err := db.Write(ctx, insert); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(ctx, insert); !storage.IsUnique(err) {
			t.Errorf("IsUnique(%v) = false", err)
		}
		if storage.IsUnique(errors.New("other")) {
			t.Error("IsUnique(other) = true")
		}
	})
}

// PostgreSQL takes a transaction back of which a statement failed, also where whoever made it
// goes on and commits; what is called written is.
func TestFailureThatIsPassedOver(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			if err := tx.ExecRows(ctx, insertRow, [][]any{row(1)}); err != nil {
				return err
			}
			if err := tx.ExecText(ctx, "INSERT INTO schema_migrations SELECT * FROM schema_migrations"); !storage.IsUnique(err) {
				t.Errorf("rows that are there already: %v", err)
			}
			return nil
		})
		if written := count(t, db) == 1; written != (err == nil) {
			t.Errorf("written: %t, told: %v", written, err)
		}
	})
}

// Effects of one table go together; a change that hits the wrong number of rows is refused.
func TestApply(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		apply := func(effects ...storage.Effect) error { return db.Apply(ctx, effects) }
		rename := renameRow.With(firstFree+1, "renamed").Exactly(1)
		if err := apply(insertRow.Row(row(1)...), rename, insertRow.Row(row(2)...)); err != nil {
			t.Fatal(err)
		}
		missing := renameRow.With(firstFree+9, "nobody").Exactly(1)
		if err := apply(insertRow.Row(row(3)...), missing); !errors.Is(err, storage.ErrStale) {
			t.Errorf("apply = %v, want ErrStale", err)
		}
		if got := count(t, db); got != 2 {
			t.Errorf("%d rows, want 2", got)
		}
	})
}

// Statements that lock go first, by what they lock, and the others in the order they are in.
func TestApplyLocksInOrder(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		rename := func(word string) storage.Effect { return addWord.With(firstFree, word) }
		err := db.Apply(t.Context(), []storage.Effect{rename(" z"), rename(" y").Locking("y"), rename(" a"), rename(" x").Locking("x"), insertRow.Row(row(0)...)})
		if err != nil {
			t.Fatal(err)
		}
		name, _, err := storage.One(t.Context(), db, scanText, findRow, firstFree)
		if err != nil || name != "row0 x y z a" {
			t.Errorf("%q, %v", name, err)
		}
	})
}

// Purge goes on until nothing is left of what its statement deletes, beyond what one
// transaction of it takes.
func TestPurge(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		const many = 1010
		var effects []storage.Effect
		for n := range many + 1 {
			effects = append(effects, insertRow.Row(row(n)...))
		}
		if err := db.Apply(t.Context(), effects); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int64{many, 0} {
			if n, err := db.Purge(t.Context(), purgeRows, firstFree, firstFree+many); n != want || err != nil {
				t.Errorf("purged %d rows, %v; want %d", n, err, want)
			}
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows are left; want 1", n)
		}
	})
}

// Rows of many callers are added at once; one that cannot be is its own caller's affair.
func TestApplyIsolatesFailures(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		if err := db.Apply(ctx, []storage.Effect{insertRow.Row(row(0)...)}); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for i := range 64 {
			group.Go(func() {
				n, twice := i+1, i%16 == 0
				if twice {
					n = 0
				}
				effects := []storage.Effect{insertRow.Row(row(i + 101)...), insertRow.Row(row(n)...)}
				if i%3 == 0 {
					effects = append(effects, renameRow.With(firstFree+i+101, "renamed").Exactly(1))
				}
				if err := db.Apply(ctx, effects); storage.IsUnique(err) != twice || !twice && err != nil {
					t.Errorf("apply %d: %v", i, err)
				}
			})
		}
		group.Wait()
		if got, want := count(t, db), 1+2*(64-4); got != want {
			t.Errorf("%d rows, want %d", got, want)
		}
	})
}

// A snapshot does not see what is written while it is open.
func TestSnapshot(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		err := db.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
			before := count(t, q)
			if err := db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
				return tx.ExecRows(ctx, insertRow, [][]any{row(1)})
			}); err != nil {
				return err
			}
			if after := count(t, q); after != before {
				t.Errorf("the snapshot moved from %d to %d rows", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := count(t, db); got != 1 {
			t.Errorf("%d rows after the snapshot, want 1", got)
		}
	})
}

// Migrating twice changes nothing, and the history is complete.
func TestMigrateTwice(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		applied, err := db.Migrate(context.Background())
		if err != nil || len(applied) != 0 {
			t.Errorf("second run applied %d, %v", len(applied), err)
		}
		status, err := db.MigrationStatus(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range status {
			if m.AppliedAt == 0 {
				t.Errorf("%04d_%s is pending", m.Version, m.Name)
			}
		}
		if err := storage.Suits(status); err != nil {
			t.Error(err)
		}
	})
}

// Asking for the status only reads: where nothing was migrated everything is pending, and stays so.
func TestMigrationStatusReads(t *testing.T) {
	for _, engine := range testkit.Engines() {
		db, err := storage.Open(t.Context(), testkit.Empty(t, engine))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		for range 2 {
			status, err := db.MigrationStatus(t.Context())
			if err != nil || len(status) == 0 || status[0].AppliedAt != 0 {
				t.Errorf("%s: %d migrations, %v", engine, len(status), err)
			}
			if _, err := storage.AppliedMigrations(t.Context(), db); err == nil {
				t.Errorf("%s: it made a table", engine)
			}
		}
	}
}

// A log that a process left which did not end by itself is folded before anything is answered
// from it: what a disk did not take that refused a flush is in the memory of the machine alone.
func TestLogIsTakenOver(t *testing.T) {
	left := testkit.Database(t, "sqlite")
	db := testkit.Open(t, left)
	if err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		return tx.ExecRows(ctx, insertRow, [][]any{row(1)})
	}); err != nil {
		t.Fatal(err)
	}
	found := filepath.Join(t.TempDir(), "scrip.db")
	for _, end := range []string{"", "-wal"} { // as a kill leaves them
		content, err := os.ReadFile(left.Path + end)
		if err == nil {
			err = os.WriteFile(found+end, content, 0o600)
		}
		if err != nil || len(content) == 0 {
			t.Fatalf("%d bytes of %q, %v", len(content), end, err)
		}
	}
	after, err := storage.Open(t.Context(), storage.Config{Path: found})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = after.Close() })
	if log, err := os.Stat(found + "-wal"); err != nil || log.Size() != 0 {
		t.Errorf("there is still a log: %v, %v", log, err)
	}
	if n := count(t, after); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// A database that a newer program migrated, or another one, is refused, and its status says why.
func TestMigratedByAnother(t *testing.T) {
	for name, c := range map[string]struct {
		change func(context.Context, *storage.Tx) error
		want   string
	}{
		"newer": {func(ctx context.Context, tx *storage.Tx) error { return tx.ExecRows(ctx, insertRow, [][]any{row(1)}) }, "run a newer scrip"},
		"other": {func(ctx context.Context, tx *storage.Tx) error {
			return tx.ExecText(ctx, "UPDATE schema_migrations SET checksum = 'another' WHERE version = 2")
		}, "migration 0002_"},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
				ctx := t.Context()
				if err := db.Write(ctx, c.change); err != nil {
					t.Fatal(err)
				}
				_, refused := db.Migrate(ctx)
				status, err := db.MigrationStatus(ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, err := range []error{refused, storage.Suits(status)} {
					if err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("error %v does not say %q", err, c.want)
					}
				}
			})
		})
	}
}

// A canceled caller is refused before its closure runs; a closed database refuses everybody.
func TestWriteRefusals(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, _ *storage.DB) {})
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := db.Write(ctx, func(context.Context, *storage.Tx) error { t.Error("the closure ran"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("write = %v", err)
	}
}

// What was committed before is on disk when Settle returns.
func TestSettle(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		var onDisk atomic.Bool
		err := db.Commit(ctx, func(ctx context.Context, tx *storage.Tx) error {
			if err := storage.Settle(ctx, tx); err != nil {
				return err
			}
			return tx.ExecRows(ctx, insertRow, [][]any{row(0)})
		}, func(err error) { onDisk.Store(err == nil) })
		if err != nil {
			t.Fatal(err)
		}
		if err := storage.Settle(ctx, db); err != nil || !onDisk.Load() {
			t.Errorf("settled with %v before what was committed: on disk %t", err, onDisk.Load())
		}
	})
}

// What was committed is not known to be on disk where the server ended every connection
// since: it may have crashed, and lost what it had only promised.
func TestServerReplacedBeforeFlush(t *testing.T) {
	if os.Getenv(testkit.PostgresVariable) == "" {
		t.Skip("no PostgreSQL is at hand")
	}
	ctx, config := t.Context(), testkit.Database(t, "postgres")
	db := testkit.Open(t, config)
	begun, release, told := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	commit := func(n int, durable func(error)) {
		t.Helper()
		err := db.Commit(ctx, func(ctx context.Context, tx *storage.Tx) error {
			return tx.ExecRows(ctx, insertRow, [][]any{row(n)})
		}, durable)
		if err != nil {
			t.Fatal(err)
		}
	}
	commit(0, func(error) { close(begun); <-release }) // the next has to wait for its flush
	<-begun
	commit(1, func(err error) { told <- err })
	server, err := pgx.Connect(ctx, config.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close(context.WithoutCancel(ctx)) }()
	_, err = server.Exec(ctx, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	for answered := 0; answered < 5; answered++ { // whoever finds a connection dead gets another
		if db.Ping(ctx) != nil {
			answered = 0
		}
	}
	close(release)
	if err := <-told; !errors.Is(err, storage.ErrUnknownCommit) {
		t.Errorf("told %v of a commit that its server may have lost", err)
	}
	commit(2, func(err error) { told <- err })
	if err := <-told; err != nil {
		t.Errorf("the next: %v", err)
	}
	if err := storage.Settle(ctx, db); err != nil {
		t.Errorf("settle: %v", err)
	}
}

// A total is counted, which takes as long as there is much, only where the page that was read
// does not tell it.
func TestTotal(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		migrations, _, err := storage.One(t.Context(), db, storage.Scalar[int], countRows, 0)
		if err != nil || migrations < 2 {
			t.Fatalf("%d, %v", migrations, err)
		}
		for page, want := range map[storage.Read]int{
			{Offset: 0, Limit: 50, Rows: 0}:    0,
			{Offset: 0, Limit: 50, Rows: 49}:   49,
			{Offset: 100, Limit: 50, Rows: 1}:  101,
			{Offset: 0, Limit: 50, Rows: 50}:   migrations,
			{Offset: 100, Limit: 50, Rows: 50}: migrations,
			{Offset: 100, Limit: 50, Rows: 0}:  migrations,
			{}:                                 migrations,
		} {
			if got, err := storage.Total(t.Context(), db, page, countRows, 0); err != nil || got != want {
				t.Errorf("%+v: %d, %v, want %d", page, got, err, want)
			}
		}
	})
}
