// Package testkit holds what tests share: fresh databases on both engines, and
// nothing that stands in for Scrip's own code. Only tests import it.
package testkit

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that makes and drops schemas

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

// Database returns where an empty database of engine is. It goes away with the test.
func Database(t testing.TB, engine string) storage.Config {
	t.Helper()
	if engine == "postgres" {
		return storage.Config{URL: schema(t, os.Getenv(PostgresVariable)), MaxConns: 16}
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

// schema makes an empty schema in the server at base and returns the URL that uses it.
func schema(t testing.TB, base string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil || base == "" {
		t.Fatalf("%s is not a URL", PostgresVariable)
	}
	server, err := sql.Open("pgx", base)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ReplaceAll(id.New("test"), "-", "_")
	if _, err := server.Exec(fmt.Sprintf("CREATE SCHEMA %s", name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := server.Exec(fmt.Sprintf("DROP SCHEMA %s CASCADE", name)); err != nil {
			t.Errorf("drop schema: %v", err)
		}
		_ = server.Close()
	})
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return u.String()
}
