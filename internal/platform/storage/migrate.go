package storage

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/core/clock"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migration is one numbered change of the schema.
type Migration struct {
	Version   int
	Name      string
	Checksum  string // of the text as written, the same for both engines
	AppliedAt int64  // microseconds; 0 while pending
	text      string
}

const migrationTable = `CREATE TABLE IF NOT EXISTS schema_migrations (
	version BIGINT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL,
	checksum TEXT NOT NULL,
	applied_at BIGINT NOT NULL
);`

var (
	listMigrations  = SQL("storage.list_migrations", `SELECT version, name, checksum, applied_at FROM schema_migrations ORDER BY version`)
	insertMigration = SQL("storage.insert_migration", `INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)`)
)

// Migrations returns every migration of this program, in order.
func Migrations() ([]Migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	all := make([]Migration, 0, len(names))
	for _, path := range names {
		text, err := migrationFiles.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, "migrations/"), ".sql")
		number, title, ok := strings.Cut(name, "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil || version != len(all)+1 {
			return nil, fmt.Errorf("migration %s: want number %04d", name, len(all)+1)
		}
		sum := sha256.Sum256(text)
		all = append(all, Migration{Version: version, Name: title, Checksum: hex.EncodeToString(sum[:]), text: string(text)})
	}
	return all, nil
}

// Migrate brings the schema up to date, one transaction per migration, and returns
// what it applied. It refuses a database that a newer program has migrated or whose
// history differs from this program's.
func (db *DB) Migrate(ctx context.Context) ([]Migration, error) {
	if err := db.prepareHistory(ctx); err != nil {
		return nil, err
	}
	all, err := Migrations()
	if err != nil {
		return nil, err
	}
	var applied []Migration
	for _, m := range all {
		fresh := false
		err := db.Write(ctx, func(ctx context.Context, tx *Tx) error {
			var err error
			fresh, err = tx.migrate(ctx, m, len(all))
			return err
		})
		if err != nil {
			return applied, fmt.Errorf("migration %04d_%s: %w", m.Version, m.Name, err)
		}
		if fresh {
			applied = append(applied, m)
		}
	}
	if err := db.Write(ctx, func(ctx context.Context, tx *Tx) error { return tx.tellPlanner(ctx) }); err != nil {
		return applied, fmt.Errorf("tell the planner of the schema: %w", err)
	}
	return applied, nil
}

func (db *DB) prepareHistory(ctx context.Context) error {
	return db.Write(ctx, func(ctx context.Context, tx *Tx) error {
		if err := tx.lockSchema(ctx); err != nil {
			return err
		}
		_, err := tx.conn.exec(ctx, call{text: tx.dialect.schema(migrationTable)})
		return err
	})
}

// lockSchema keeps two processes from migrating at once; on SQLite the writer's lock does.
func (tx *Tx) lockSchema(ctx context.Context) error {
	if tx.dialect != postgres {
		return nil
	}
	if err := tx.waitForLocks(ctx); err != nil { // of another process, which migrates
		return err
	}
	_, err := tx.conn.exec(ctx, call{text: "SELECT pg_advisory_xact_lock(7264901)"})
	return err
}

// migrate applies m unless it was applied before; it reports whether it did.
func (tx *Tx) migrate(ctx context.Context, m Migration, known int) (bool, error) {
	if err := tx.lockSchema(ctx); err != nil {
		return false, err
	}
	done, err := AppliedMigrations(ctx, tx)
	if err != nil {
		return false, err
	}
	if err := isKnown(len(done), known); err != nil {
		return false, err
	}
	if len(done) >= m.Version {
		return false, m.isSame(done[m.Version-1])
	}
	for _, statement := range splitStatements(tx.dialect.schema(m.text)) {
		if _, err := tx.conn.exec(ctx, call{text: statement}); err != nil {
			return false, fmt.Errorf("%s: %w", strings.SplitN(statement, "\n", 2)[0], err)
		}
	}
	_, err = tx.Exec(ctx, insertMigration, m.Version, m.Name, m.Checksum, Micros(clock.System().Now()))
	return true, err
}

func isKnown(applied, known int) error {
	if applied > known {
		return fmt.Errorf("the database has %d migrations, this program knows %d: run a newer scrip", applied, known)
	}
	return nil
}

func (m *Migration) isSame(applied Migration) error {
	if applied.Checksum != m.Checksum {
		return fmt.Errorf("checksum %.12s was applied, this program has %.12s", applied.Checksum, m.Checksum)
	}
	return nil
}

// Suits returns why Migrate refuses a database of which MigrationStatus returned status.
func Suits(status []Migration) error {
	all, err := Migrations()
	if err != nil {
		return err
	}
	if err := isKnown(len(status), len(all)); err != nil {
		return err
	}
	for i, m := range all {
		if err := m.isSame(status[i]); err != nil {
			return fmt.Errorf("migration %04d_%s: %w", m.Version, m.Name, err)
		}
	}
	return nil
}

// MigrationStatus returns every migration, those not applied yet with AppliedAt 0, and those
// that were applied as they were, this program's or not. It only reads.
func (db *DB) MigrationStatus(ctx context.Context) ([]Migration, error) {
	all, err := Migrations()
	if err != nil {
		return nil, err
	}
	done, err := AppliedMigrations(ctx, db)
	if err != nil && !isMissingTable(err) {
		return nil, err
	}
	return append(done, all[min(len(done), len(all)):]...), nil
}

// AppliedMigrations returns the migrations that q's database has, in order.
func AppliedMigrations(ctx context.Context, q Queryer) ([]Migration, error) {
	return All(ctx, q, scanMigration, listMigrations)
}

func scanMigration(r Row) (m Migration, err error) {
	err = r.Scan(&m.Version, &m.Name, &m.Checksum, &m.AppliedAt)
	return m, err
}

// splitStatements cuts a migration at the semicolons that end a line.
func splitStatements(text string) []string {
	var statements []string
	for part := range strings.SplitSeq(text, ";\n") {
		var lines []string
		for line := range strings.SplitSeq(part, "\n") {
			if code, _, _ := strings.Cut(line, "--"); strings.TrimSpace(code) != "" {
				lines = append(lines, code)
			}
		}
		if len(lines) > 0 {
			statements = append(statements, strings.Join(lines, "\n"))
		}
	}
	return statements
}

// ErrUnfinished says that what a database holds is not what a restore was to bring.
var ErrUnfinished = errors.New("a restore into this database was begun and has not ended: run it again, or begin with an empty database")

// unfinishedName is a table that is there from when a restore begins until it is committed.
// It is no part of the schema, since it comes before it, and of no backup.
const unfinishedName = "restore_unfinished"

const unfinishedTable = `CREATE TABLE IF NOT EXISTS ` + unfinishedName + ` (
	begun_at BIGINT NOT NULL PRIMARY KEY
);`

// unfinishedFind asks, by dialect, the catalogue: the table itself may be locked.
var unfinishedFind = [2]string{
	sqlite:   `SELECT name FROM sqlite_schema WHERE type = 'table' AND name = '` + unfinishedName + `'`,
	postgres: `SELECT relname::text FROM pg_catalog.pg_class WHERE relnamespace = ` + ownSchema + ` AND relname = '` + unfinishedName + `'`,
}

// BeginRestore notes, for whoever opens the database later, that a restore has begun. It is
// durable when tx is.
func (tx *Tx) BeginRestore(ctx context.Context) error {
	if err := tx.lockSchema(ctx); err != nil {
		return err
	}
	_, err := tx.conn.exec(ctx, call{text: tx.dialect.schema(unfinishedTable)})
	return err
}

// EndRestore takes back what BeginRestore noted, if it did.
func (tx *Tx) EndRestore(ctx context.Context) error {
	_, err := tx.conn.exec(ctx, call{text: "DROP TABLE IF EXISTS " + unfinishedName})
	return err
}

// Whole returns ErrUnfinished when a restore was begun and has not ended.
func Whole(ctx context.Context, q Queryer) error {
	unfinished := false
	err := eachText(ctx, q, unfinishedFind[q.engine()], func(Rows) error {
		unfinished = true
		return nil
	})
	if err == nil && unfinished {
		return ErrUnfinished
	}
	return err
}
