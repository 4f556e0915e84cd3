// Package testkit holds what tests share: fresh databases on both engines, and
// nothing that stands in for Scrip's own code. Only tests import it.
package testkit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
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
		server := connect(t)
		return named(t, copied(t, server, template(t, server)))
	}
	return Empty(t, engine)
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

// template returns a database with these migrations that is only ever copied: a copy is
// made in a fraction of the time that migrating takes. The first process makes it.
func template(t testing.TB, server *sql.DB) string {
	t.Helper()
	all, err := storage.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	for _, m := range all {
		fmt.Fprintln(sum, m.Version, m.Name, m.Checksum)
	}
	name := "scrip_" + hex.EncodeToString(sum.Sum(nil)[:8])
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
