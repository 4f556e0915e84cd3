package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

const (
	// queueLength bounds the closures that wait for the writer; more wait in Write.
	queueLength = 1024
	// groupSize bounds the closures that share one commit.
	groupSize = 64
	// busyTries bounds the attempts at a transaction while another process writes.
	busyTries = 8
	busyPause = 20 * time.Millisecond
)

// writerPragmas: a commit is on disk when it returns (FULL); the log is folded back every 32 MB.
const writerPragmas = "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)" +
	"&_pragma=foreign_keys(1)&_pragma=cache_size(-65536)&_pragma=wal_autocheckpoint(8192)&_pragma=temp_store(MEMORY)"

const readerPragmas = "_pragma=busy_timeout(5000)&_pragma=query_only(1)&_pragma=cache_size(-16384)&_pragma=temp_store(MEMORY)"

func openSQLite(ctx context.Context, config Config) (*DB, error) {
	if err := touchPrivate(config.Path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", config.Path, err)
	}
	file := "file:" + (&url.URL{Path: config.Path}).EscapedPath() + "?"
	pool, err := sql.Open("sqlite", file+writerPragmas)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", config.Path, err)
	}
	pool.SetMaxOpenConns(1)
	connection, err := pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", config.Path, errors.Join(err, pool.Close()))
	}
	readers, err := sql.Open("sqlite", file+readerPragmas)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", config.Path, errors.Join(err, pool.Close()))
	}
	readers.SetMaxOpenConns(max(4, runtime.NumCPU()))
	readers.SetMaxIdleConns(max(4, runtime.NumCPU()))
	w := &sqliteWriter{pool: pool, conn: &preparedConn{conn: connection}, queue: make(chan *pendingWrite, queueLength), done: make(chan struct{}), observe: config.Observe}
	go w.run()
	return &DB{dialect: sqlite, readers: readers, writer: w}, nil
}

// touchPrivate makes the file before the engine does, so that nobody else can read it.
func touchPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

type pendingWrite struct {
	ctx  context.Context
	fn   func(context.Context, *Tx) error
	err  error
	done chan struct{}
}

// sqliteWriter owns the one connection that writes. Closures that wait while a
// commit is under way share the next one, each in its own savepoint.
type sqliteWriter struct {
	pool  *sql.DB
	conn  *preparedConn
	queue chan *pendingWrite
	done  chan struct{}

	observe func(writes int, took time.Duration)

	closing sync.RWMutex
	closed  bool
}

var errClosed = errors.New("storage: the database is closed")

func (w *sqliteWriter) write(ctx context.Context, fn func(context.Context, *Tx) error) error {
	p := &pendingWrite{ctx: ctx, fn: fn, done: make(chan struct{})}
	if err := w.enqueue(p); err != nil {
		return err
	}
	<-p.done // once queued it is decided by the writer alone, so that the answer is never a guess
	return p.err
}

func (w *sqliteWriter) enqueue(p *pendingWrite) error {
	w.closing.RLock()
	defer w.closing.RUnlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.queue <- p:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

func (w *sqliteWriter) close(readers *sql.DB) error {
	w.closing.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.closing.Unlock()
	<-w.done
	err := readers.Close()
	// Another process may be reading: then its own end folds the log back.
	if _, busy := w.conn.exec(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)", nil); busy != nil && !isTransient(busy) {
		err = errors.Join(err, fmt.Errorf("fold the log back: %w", busy))
	}
	return errors.Join(err, w.conn.close(), w.pool.Close())
}

func (w *sqliteWriter) run() {
	defer close(w.done)
	for first := range w.queue {
		group := w.gather(first)
		watch := clock.Start()
		w.runGroup(group)
		if w.observe != nil {
			w.observe(len(group), watch.Elapsed())
		}
		for _, p := range group {
			close(p.done)
		}
	}
}

// gather takes what is waiting and never waits for more.
func (w *sqliteWriter) gather(first *pendingWrite) []*pendingWrite {
	group := []*pendingWrite{first}
	for len(group) < groupSize {
		select {
		case p, ok := <-w.queue:
			if !ok {
				return group
			}
			group = append(group, p)
		default:
			return group
		}
	}
	return group
}

func (w *sqliteWriter) runGroup(group []*pendingWrite) {
	ctx := context.Background() // a caller that leaves must not undo the others' work
	var err error
	for try := range busyTries {
		for _, p := range group {
			p.err = nil
		}
		if err = w.tryGroup(ctx, group); err == nil || !isTransient(err) {
			break
		}
		_ = clock.Wait(ctx, busyPause<<min(try, 4)) // the context never ends
	}
	if err != nil {
		for _, p := range group {
			p.err = err
		}
	}
}

// tryGroup runs every closure and commits; its error means that nothing was stored.
func (w *sqliteWriter) tryGroup(ctx context.Context, group []*pendingWrite) error {
	if _, err := w.conn.exec(ctx, "BEGIN IMMEDIATE", nil); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := w.runClosures(ctx, group)
	if err == nil {
		if _, err = w.conn.exec(ctx, "COMMIT", nil); err == nil {
			return nil
		}
	}
	if _, rollback := w.conn.exec(ctx, "ROLLBACK", nil); rollback != nil {
		return errors.Join(err, rollback)
	}
	return err
}

func (w *sqliteWriter) runClosures(ctx context.Context, group []*pendingWrite) error {
	tx := &Tx{dialect: sqlite, conn: w.conn}
	if len(group) == 1 { // alone, its rollback is the transaction's
		if err := group[0].ctx.Err(); err != nil {
			return err
		}
		return runProtected(ctx, tx, group[0].fn)
	}
	for _, p := range group {
		if p.err = p.ctx.Err(); p.err != nil {
			continue
		}
		if _, err := w.conn.exec(ctx, "SAVEPOINT one", nil); err != nil {
			return err
		}
		p.err = runProtected(ctx, tx, p.fn)
		if isTransient(p.err) {
			return p.err
		}
		end := "RELEASE one"
		if p.err != nil {
			end = "ROLLBACK TO one"
		}
		if _, err := w.conn.exec(ctx, end, nil); err != nil {
			return err
		}
	}
	return nil
}

// runProtected turns a panic into an error: one closure must not take the writer with it.
func runProtected(ctx context.Context, tx *Tx, fn func(context.Context, *Tx) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("storage: write panicked: %v", r)
		}
	}()
	return fn(ctx, tx)
}

// preparedConn runs texts on one connection and keeps them prepared.
type preparedConn struct {
	conn  *sql.Conn
	cache statementCache
}

func (c *preparedConn) exec(ctx context.Context, text string, args []any) (int64, error) {
	stmt, err := c.cache.get(ctx, c.conn, text)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *preparedConn) queue(ctx context.Context, text string, args []any) error {
	_, err := c.exec(ctx, text, args) // nothing is saved by waiting: the database is in this process
	return err
}

func (c *preparedConn) query(ctx context.Context, text string, args []any) (Rows, error) {
	stmt, err := c.cache.get(ctx, c.conn, text)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func (c *preparedConn) close() error { return c.conn.Close() }
