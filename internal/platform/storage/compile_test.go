package storage_test

import (
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// Compiling refuses what the engine could not run, and neither runs nor refuses the rest.
func TestCompile(t *testing.T) {
	bad := map[string]string{
		"no table":   "SELECT 1 FROM nowhere",
		"no column":  "SELECT nothing FROM schema_migrations",
		"target":     "INSERT INTO schema_migrations (version, nothing) VALUES ($1, $2)",
		"syntax":     "SELEC 1",
		"second":     "SELECT 1; SELECT nothing FROM nowhere",
		"empty":      " \n",
		"no filling": "SELECT version FROM schema_migrations WHERE version IN ({values})",
	}
	good := map[string]string{
		"query":  "SELECT version FROM schema_migrations WHERE version = $1",
		"delete": "DELETE FROM schema_migrations WHERE version >= $1",
	}
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		for name, text := range bad {
			if err := db.Compile(t.Context(), text); err == nil {
				t.Errorf("%s: %q compiles", name, text)
			}
		}
		for name, text := range good {
			if err := db.Compile(t.Context(), text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		applied, err := storage.AppliedMigrations(t.Context(), db)
		if err != nil || len(applied) == 0 {
			t.Errorf("%d migrations are left, %v", len(applied), err)
		}
	})
}

// Every registered statement is known by its name, marks replaced.
func TestStatements(t *testing.T) {
	all := storage.Statements()
	if got, want := all["test.rename"], "UPDATE schema_migrations SET name = $2 WHERE version = $1"; got != want {
		t.Errorf("test.rename = %q, want %q", got, want)
	}
	if got, want := all["test.insert"], "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)"; got != want {
		t.Errorf("test.insert = %q, want %q", got, want)
	}
}
