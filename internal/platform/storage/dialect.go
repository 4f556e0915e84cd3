package storage

import (
	"database/sql/driver"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	codes "modernc.org/sqlite/lib"

	"github.com/scripcards/scrip/internal/platform/storage/flush"
	"github.com/scripcards/scrip/internal/platform/storage/lite"
)

// dialect is one of the two engines, and all that differs between them in SQL.
type dialect int

const (
	sqlite dialect = iota
	postgres
)

func (d dialect) name() string { return [...]string{"sqlite", "postgres"}[d] }

// words replaces the words that stand for engine-specific clauses.
func (d dialect) words(text string) string {
	lock, skip := "", ""
	if d == postgres {
		lock, skip = "FOR UPDATE", "FOR UPDATE SKIP LOCKED"
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "{lock}", lock), "{skip}", skip)
}

var (
	textColumn  = regexp.MustCompile(`(?m)^(\t[a-z0-9_]+ )TEXT\b`)
	ddlWord     = regexp.MustCompile(`\b(BIGINT|BYTEA|SMALLINT)\b`)
	tableEnding = regexp.MustCompile(`(?m)^\)( \{heap\})?;`)
	listCheck   = regexp.MustCompile(`CHECK \((\w+) IN \(([^()]+)\)\)`)
)

// schema translates a migration, written in PostgreSQL's words, for the engine. Tables
// of SQLite are STRICT and clustered by their primary key, but for those that end in
// {heap}: their rows are wide and lie in the order in which they came. A check against a
// list is one against each of it, since SQLite makes a tree of a list for every row that is
// written. Texts of PostgreSQL are compared byte by byte, as SQLite does, whatever the
// server's locale.
func (d dialect) schema(text string) string {
	if d == postgres {
		text = tableEnding.ReplaceAllString(text, ");")
		return textColumn.ReplaceAllString(text, `${1}TEXT COLLATE "C"`)
	}
	text = ddlWord.ReplaceAllStringFunc(text, func(word string) string {
		if word == "BYTEA" {
			return "BLOB"
		}
		return "INTEGER"
	})
	text = listCheck.ReplaceAllStringFunc(text, func(check string) string {
		parts := listCheck.FindStringSubmatch(check)
		is := parts[1] + " = "
		return "CHECK (" + is + strings.ReplaceAll(parts[2], ", ", " OR "+is) + ")"
	})
	return tableEnding.ReplaceAllStringFunc(text, func(end string) string {
		if end == ");" {
			return ") STRICT, WITHOUT ROWID;"
		}
		return ") STRICT;"
	})
}

// IsUnique reports whether err says that a key exists already.
func IsUnique(err error) bool {
	if code, ok := liteCode(err); ok {
		return code == codes.SQLITE_CONSTRAINT_UNIQUE || code == codes.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}

// IsAway reports whether err says that the database does nothing at present, because it cannot
// be reached, is being started, stopped or replaced, takes no writes, has no room, has a
// disk that fails, or is held up by somebody's lock.
func IsAway(err error) bool {
	if errors.Is(err, flush.ErrBroken) || errors.Is(err, flush.ErrMoved) || errors.Is(err, errLost) {
		return true
	}
	if code, ok := liteCode(err); ok {
		primary := code & 0xff
		return primary == codes.SQLITE_FULL || primary == codes.SQLITE_IOERR || primary == codes.SQLITE_CANTOPEN
	}
	var pg *pgconn.PgError
	switch {
	case IsUnreached(err), IsHeldUp(err), errors.Is(err, driver.ErrBadConn), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	case errors.As(err, &pg):
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P0") || isReadOnly(err)
	}
	return false
}

// IsUnreached reports whether err says that no connection to the database could be made:
// nothing was asked of it.
func IsUnreached(err error) bool {
	var unreached *pgconn.ConnectError
	return errors.As(err, &unreached)
}

// IsHeldUp reports whether err says that somebody else held a lock for too long, or that a
// statement took longer than the server lets it, which is mostly for such a lock: nothing was
// done, and more of the same would wait as long.
func IsHeldUp(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "55P03" || pg.Code == "57014")
}

// isReadOnly reports whether PostgreSQL refused a write because it takes none.
func isReadOnly(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "25006"
}

// isMissingTable reports whether err says that a table does not exist.
func isMissingTable(err error) bool {
	var own *lite.Error
	if errors.As(err, &own) {
		return strings.HasPrefix(own.Text, "no such table")
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42P01"
}

// liteCode returns SQLite's result code, and whether there is one.
func liteCode(err error) (int, bool) {
	var own *lite.Error
	if errors.As(err, &own) {
		return own.Code, true
	}
	return 0, false
}

// isFull reports whether err says that the disk under SQLite has no room.
func isFull(err error) bool {
	code, ok := liteCode(err)
	return ok && code&0xff == codes.SQLITE_FULL
}

// isTransient reports whether the same transaction may succeed when it is run again.
func isTransient(err error) bool {
	if code, ok := liteCode(err); ok {
		primary := code & 0xff
		return primary == codes.SQLITE_BUSY || primary == codes.SQLITE_LOCKED
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}
