// Package storage is the only place that knows there are two SQL engines.
//
// One SQL text in the common subset of SQLite and PostgreSQL serves both; what
// differs lives in the dialect type. Packages register their statements by name
// (SQL, Lookup, Insert, Upsert) and run them through a Queryer for reading or a Tx
// for writing. Write runs a closure in one durable transaction: on SQLite all
// writers share one connection and waiting closures share one commit; on
// PostgreSQL the closure is retried whole on serialization failures and
// deadlocks, so it must not have effects outside the database.
//
// It must never hold a rule about money, and no other package opens a database.
package storage

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/platform/storage/wal"
)

// Config says where the data live.
type Config struct {
	// URL is postgres://… for PostgreSQL; empty for SQLite in Path.
	URL string
	// Path is the SQLite file. Its folder must exist.
	Path string
	// CutDamagedLog, when set, has an embedded database whose log is damaged opened without
	// what lies behind the damage, unless another process has it open, and is told of that
	// before. Otherwise it is refused with wal.ErrDamaged.
	CutDamagedLog func(wal.Report)
	// MaxConns bounds PostgreSQL connections of this process, beside the one over which the
	// log is flushed; 0 means 24.
	MaxConns int
	// Observe, when set, is told of every commit and how many writes shared it.
	Observe func(writes int, took time.Duration)
	// Serializable runs PostgreSQL transactions at SERIALIZABLE; READ COMMITTED otherwise.
	Serializable bool
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	view
	reader reader
	writer writer
	room   func() // returns when the disk has room for another commit; nil: it always has
	// failed returns why nothing can be written, or nil; nil itself: another connection may do.
	failed func() error
}

// writer runs a closure in one durable transaction.
type writer interface {
	// write is told of the rows that the closure adds where it does no more than that.
	write(ctx context.Context, fn func(context.Context, *Tx) error, rows []Effect) error
	// commit runs a closure as write does, and returns before it is durable.
	commit(ctx context.Context, fn func(context.Context, *Tx) error, durable func(error)) error
	// flush has settled called once everything that can be read now is on disk.
	flush(settled func(error))
	// close finishes what was accepted and closes the reader too.
	close() error
}

// reader answers outside of transactions that write.
type reader interface {
	querier
	// snapshot runs a closure on one consistent state.
	snapshot(ctx context.Context, fn func(context.Context, Queryer) error) error
	ping(ctx context.Context) error
	// compile has the engine read a text without running it.
	compile(ctx context.Context, text string) error
}

// Open connects to the database that config names. It does not migrate.
func Open(ctx context.Context, config Config) (*DB, error) {
	if config.URL == "" {
		return openSQLite(ctx, config)
	}
	if !strings.HasPrefix(config.URL, "postgres://") && !strings.HasPrefix(config.URL, "postgresql://") {
		return nil, fmt.Errorf("open database: want a postgres:// URL")
	}
	return openPostgres(ctx, config)
}

// Close waits for writes under way and releases every connection. On SQLite it folds
// the log back, so that the file alone is the database. It is called once.
func (db *DB) Close() error { return db.writer.close() }

// Engine returns "sqlite" or "postgres", for messages and metrics.
func (db *DB) Engine() string { return db.dialect.name() }

// Shared reports whether other processes may write to the same database.
func (db *DB) Shared() bool { return db.dialect == postgres }

// Ping returns why the database cannot serve: it does not answer, or takes no writes.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.Failed(); err != nil {
		return err
	}
	return db.reader.ping(ctx)
}

// Failed returns why nothing can be written, as far as this process knows without asking: the
// disk of an embedded database is full or failed, or its files are not in their place any more.
func (db *DB) Failed() error {
	if db.failed == nil {
		return nil
	}
	return db.failed()
}

// Write runs fn in one durable transaction: when it returns nil, all that fn
// wrote is on disk; on any error nothing of it is. fn may run more than once.
// It must call nothing outside the database and must not call Write.
func (db *DB) Write(ctx context.Context, fn func(context.Context, *Tx) error) error {
	return db.writer.write(ctx, fn, nil)
}

// Apply makes effects in one durable transaction, for whoever has nothing to decide in it.
// On SQLite the rows that several callers add to a table at once are one statement.
func (db *DB) Apply(ctx context.Context, effects []Effect) error {
	rows := effects
	if slices.ContainsFunc(effects, func(e Effect) bool { return e.bulk == nil }) {
		rows = nil
	}
	return db.writer.write(ctx, applying(effects), rows)
}

// applying is the closure that makes effects.
func applying(effects []Effect) func(context.Context, *Tx) error {
	return func(ctx context.Context, tx *Tx) error { return tx.Apply(ctx, effects) }
}

// What Purge does at most, so that no writer waits long for it, nor its caller for ever: ten
// million rows are more than an hour makes, and nobody purges less often.
const (
	purgeBatch   = 500 // rows in a transaction
	purgeBatches = 20_000
)

// Purge runs a statement again and again, each time in a transaction of its own, until
// nothing is left for it to change, and returns how many rows it changed: ten million at
// most. The statement's last parameter, which Purge fills in, bounds the rows of one run.
func (db *DB) Purge(ctx context.Context, s *Statement, args ...any) (int64, error) {
	var total int64
	for range purgeBatches {
		var n int64
		err := db.Write(ctx, func(ctx context.Context, tx *Tx) (err error) {
			n, err = tx.Exec(ctx, s, append(slices.Clone(args), purgeBatch)...)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n < purgeBatch {
			break
		}
	}
	return total, nil
}

// Commit runs fn as Write does and returns as soon as others can read what it wrote, so
// that whoever writes in turns goes on while the disk works. durable is called once, from
// another goroutine and perhaps before Commit returns: with nil when it is on disk, with
// ErrUnknownCommit when it may never be. It must not block. When Commit returns an error,
// nothing was written and durable is not called.
//
// Nothing may be answered to anybody before durable was called.
func (db *DB) Commit(ctx context.Context, fn func(context.Context, *Tx) error, durable func(error)) error {
	return db.writer.commit(ctx, fn, durable)
}

// Room returns when the disk has room for another commit. Whoever gathers what many want
// written gathers it then: what comes while there is none shares the next transaction.
func (db *DB) Room() {
	if db.room != nil {
		db.room()
	}
}

// Settle returns when everything that q can read by now is on disk. Whoever answers with
// what somebody else wrote, such as the first answer to a repeated request, calls it
// before: Commit lets others read a moment early. Within a Tx there is nothing to wait
// for, since its own commit lies behind what it read.
func Settle(ctx context.Context, q Queryer) error {
	db, ok := q.(*DB)
	if !ok {
		return nil
	}
	settled := make(chan error, 1)
	db.writer.flush(func(err error) { settled <- err })
	select {
	case err := <-settled:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Snapshot runs fn against one consistent, read-only state of the database.
func (db *DB) Snapshot(ctx context.Context, fn func(context.Context, Queryer) error) error {
	return db.reader.snapshot(ctx, fn)
}

// Micros is how a time is stored: microseconds since 1970, UTC.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time reads what Micros stored.
func Time(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// Bit is how truth is stored: 1 or 0.
func Bit(set bool) int64 {
	if set {
		return 1
	}
	return 0
}

// NullMicros stores an optional time: the zero time becomes NULL.
func NullMicros(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

// NullTime reads what NullMicros stored.
func NullTime(micros sql.NullInt64) time.Time {
	if !micros.Valid {
		return time.Time{}
	}
	return Time(micros.Int64)
}

// Scalar scans the one column of a result.
func Scalar[T any](r Row) (value T, err error) {
	err = r.Scan(&value)
	return value, err
}

// NullBytes stores optional bytes: nil becomes NULL. A nil slice within any is not nil.
func NullBytes(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// NullText stores an optional text: the empty string becomes NULL.
func NullText(text string) sql.NullString { return sql.NullString{String: text, Valid: text != ""} }
