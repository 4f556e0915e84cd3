package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/scripcards/scrip/internal/core/clock"
)

const (
	defaultConns = 24
	writeTries   = 12
	firstPause   = 2 * time.Millisecond
)

func openPostgres(ctx context.Context, config Config) (*DB, error) {
	parsed, err := pgx.ParseConfig(config.URL)
	if err != nil {
		return nil, fmt.Errorf("open database: the URL is malformed") // the driver's text may quote the password
	}
	if parsed.RuntimeParams["application_name"] == "" {
		parsed.RuntimeParams["application_name"] = "scrip"
	}
	parsed.StatementCacheCapacity = 1024
	pool := stdlib.OpenDB(*parsed)
	conns := config.MaxConns
	if conns == 0 {
		conns = defaultConns
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	if err := pool.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("open database %s:%d/%s: %w", parsed.Host, parsed.Port, parsed.Database, errors.Join(err, pool.Close()))
	}
	options := &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	if config.Serializable {
		options.Isolation = sql.LevelSerializable
	}
	return &DB{dialect: postgres, readers: pool, writer: &postgresWriter{pool: pool, options: options}}, nil
}

// postgresWriter runs each closure in a transaction of its own.
type postgresWriter struct {
	pool    *sql.DB
	options *sql.TxOptions
}

func (w *postgresWriter) close() error { return nil } // the pool is the readers' too

func (w *postgresWriter) write(ctx context.Context, fn func(context.Context, *Tx) error) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := w.try(ctx, fn)
		if err == nil || !isTransient(err) || try == writeTries {
			return err
		}
		if werr := clock.Wait(ctx, pause); werr != nil {
			return err
		}
		pause = min(2*pause, 200*time.Millisecond)
	}
}

func (w *postgresWriter) try(ctx context.Context, fn func(context.Context, *Tx) error) error {
	tx, err := w.pool.BeginTx(ctx, w.options)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := runProtected(ctx, &Tx{dialect: postgres, conn: plainConn{tx}}, fn); err != nil {
		if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			return errors.Join(err, rollback)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// plainConn leaves preparing to the driver, which keeps texts prepared by itself.
type plainConn struct{ tx *sql.Tx }

func (c plainConn) exec(ctx context.Context, text string, args []any) (sql.Result, error) {
	return c.tx.ExecContext(ctx, text, args...)
}

func (c plainConn) query(ctx context.Context, text string, args []any) (*sql.Rows, error) {
	return c.tx.QueryContext(ctx, text, args...)
}
