// Package testkit holds what tests share: fresh databases on both engines, and
// nothing that stands in for Scrip's own code. Only tests import it.
package testkit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that makes and drops databases

	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// PostgresVariable names the server for tests; `make test` starts one and sets it.
const PostgresVariable = "SCRIP_TEST_POSTGRES"

// EngineVariable names the one engine to test on, where one is enough.
const EngineVariable = "SCRIP_TEST_ENGINE"

// Engines are the names under which EachEngine runs: both, unless one is named or no
// PostgreSQL is at hand.
func Engines() []string {
	if only := os.Getenv(EngineVariable); only != "" {
		return []string{only}
	}
	if os.Getenv(PostgresVariable) == "" {
		return []string{"sqlite"}
	}
	return []string{"sqlite", "postgres"}
}

// EachEngine runs test once per engine, each time on an empty, migrated database.
func EachEngine(t *testing.T, test func(t *testing.T, db *storage.DB)) {
	t.Helper()
	for _, engine := range Engines() {
		t.Run(engine, func(t *testing.T) { test(t, Open(t, Database(t, engine))) })
	}
}

// Database returns where a migrated database of engine is, with nothing in it. It goes away
// with the test.
func Database(t testing.TB, engine string) storage.Config {
	t.Helper()
	if engine == "postgres" {
		return named(t, leased(t, connect(t)))
	}
	config := Empty(t, engine)
	whole, err := migratedFile()
	if err == nil {
		err = os.WriteFile(config.Path, whole, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// Empty returns where an empty database of engine is, which goes away with the test.
func Empty(t testing.TB, engine string) storage.Config {
	t.Helper()
	if engine == "postgres" {
		return named(t, copied(t, connect(t), "template1"))
	}
	return storage.Config{Path: filepath.Join(t.TempDir(), "scrip.db")}
}

// Open opens and migrates a database, and closes it with the test.
func Open(t testing.TB, config storage.Config) *storage.DB {
	t.Helper()
	ctx := context.Background()
	db, err := storage.Open(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	if _, err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	return db
}

// Contents is every row of every table, as text to search in and to compare.
func Contents(t testing.TB, db *storage.DB) string {
	t.Helper()
	tables, err := storage.Tables(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, table := range tables {
		err := table.Each(context.Background(), db, func(row []any) error {
			for _, column := range row {
				if raw, isBytes := column.([]byte); isBytes {
					column = string(raw)
				}
				fmt.Fprintf(&all, "%v\t", column)
			}
			all.WriteString("\n")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// migratedFile is a migrated database of SQLite with nothing in it, made once in a process.
var migratedFile = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "scrip-migrated")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, path := context.Background(), filepath.Join(dir, "scrip.db")
	db, err := storage.Open(ctx, storage.Config{Path: path})
	if err != nil {
		return nil, err
	}
	_, err = db.Migrate(ctx)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// connect opens the server for tests until the test ends.
func connect(t testing.TB) *sql.DB {
	t.Helper()
	server, err := sql.Open("pgx", os.Getenv(PostgresVariable))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// open opens a database of the server.
func open(t testing.TB, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", named(t, name).URL)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func exec(t testing.TB, server *sql.DB, format string, args ...any) {
	t.Helper()
	if _, err := server.Exec(fmt.Sprintf(format, args...)); err != nil {
		t.Fatal(err)
	}
}

// named returns how a database of the server is opened.
func named(t testing.TB, name string) storage.Config {
	t.Helper()
	u, err := url.Parse(os.Getenv(PostgresVariable))
	if err != nil || u.Host == "" {
		t.Fatalf("%s is not a URL", PostgresVariable)
	}
	u.Path = "/" + name
	return storage.Config{URL: u.String(), MaxConns: 16}
}

// copied makes a database like another one and returns its name.
func copied(t testing.TB, server *sql.DB, like string) string {
	t.Helper()
	name := strings.ReplaceAll(id.New("test"), "-", "_")
	exec(t, server, "CREATE DATABASE %s TEMPLATE %s", name, like)
	t.Cleanup(func() {
		if _, err := server.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	return name
}

// mostLeased bounds the databases that tests have at a time.
const mostLeased = 100

// leased returns a migrated database with nothing in it, which is this test's until it
// ends. To empty a former test's costs a tenth of making another one, so they stay, beside
// the template that they are copies of. Whose database it is says a lock of a connection,
// so that a test that is killed gives it back too.
func leased(t testing.TB, server *sql.DB) string {
	t.Helper()
	like := template(t, server)
	holder, err := server.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Close() })
	for n := range mostLeased {
		var mine bool
		if err := holder.QueryRowContext(t.Context(), "SELECT pg_try_advisory_lock(hashtext($1), $2)", like, n).Scan(&mine); err != nil {
			t.Fatal(err)
		}
		if !mine {
			continue
		}
		name := fmt.Sprintf("%s_%d", like, n)
		if there := exists(t, server, name); there && emptied(t, server, name) {
			return name
		} else if there {
			exec(t, server, "DROP DATABASE %s WITH (FORCE)", name)
		}
		exec(t, server, "CREATE DATABASE %s TEMPLATE %s", name, like)
		inside := open(t, name)
		defer func() { _ = inside.Close() }()
		exec(t, server, "COMMENT ON DATABASE %s IS '%s'", name, fingerprint(t, inside))
		return name
	}
	t.Fatalf("%d databases are leased", mostLeased)
	return ""
}

// emptied takes everything out of a database that a test is done with. It reports false
// when its schema is not what it was made with.
func emptied(t testing.TB, server *sql.DB, name string) bool {
	t.Helper()
	exec(t, server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", name)
	inside := open(t, name)
	defer func() { _ = inside.Close() }()
	var made, tables sql.NullString
	// A table without a page never had a row.
	if err := inside.QueryRow(`SELECT shobj_description(oid, 'pg_database'), (SELECT string_agg(quote_ident(relname), ', ') FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'schema_migrations' AND pg_relation_size(oid) > 0)
		FROM pg_database WHERE datname = current_database()`).Scan(&made, &tables); err != nil {
		t.Fatal(err)
	}
	if fingerprint(t, inside) != made.String {
		return false
	}
	if tables.Valid {
		exec(t, inside, "TRUNCATE %s CASCADE", tables.String)
	}
	return true
}

// fingerprint stands for a database's schema and its migrations.
func fingerprint(t testing.TB, db *sql.DB) string {
	t.Helper()
	var sum string
	if err := db.QueryRow(`SELECT md5(concat(
		(SELECT string_agg(concat_ws(' ', relname, relkind, attname, atttypid, attnotnull), ',' ORDER BY relname, attnum)
			FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid WHERE relnamespace = 'public'::regnamespace AND attnum > 0),
		(SELECT string_agg(concat_ws(' ', conname, contype, conrelid::regclass, conkey, confrelid::regclass, confkey, conbin), ',' ORDER BY conname, conrelid)
			FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
		(SELECT string_agg(m::text, ',' ORDER BY m::text) FROM schema_migrations m)))`).Scan(&sum); err != nil {
		t.Fatal(err)
	}
	return sum
}

// template returns a database with these migrations that is only ever copied: a copy is
// made in a fraction of the time that migrating takes. The first process makes it.
func template(t testing.TB, server *sql.DB) string {
	t.Helper()
	all, err := storage.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	for _, m := range all {
		fmt.Fprintln(hash, m.Version, m.Name, m.Checksum)
	}
	name := "scrip_" + hex.EncodeToString(hash.Sum(nil)[:8])
	if exists(t, server, name) {
		return name
	}
	// The lock is the connection's.
	locked, err := server.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = locked.Close() }()
	const lock = 0x5c21b
	if _, err := locked.ExecContext(t.Context(), "SELECT pg_advisory_lock($1)", lock); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = locked.ExecContext(t.Context(), "SELECT pg_advisory_unlock($1)", lock) }()
	if exists(t, server, name) {
		return name
	}
	made := copied(t, server, "template1") // it goes away if something fails
	db, err := storage.Open(t.Context(), named(t, made))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	exec(t, server, "CREATE DATABASE %s TEMPLATE %s", name, made)
	return name
}

func exists(t testing.TB, server *sql.DB, name string) bool {
	t.Helper()
	var there bool
	if err := server.QueryRow("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil {
		t.Fatal(err)
	}
	return there
}
