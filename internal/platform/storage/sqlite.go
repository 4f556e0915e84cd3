package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage/flush"
	"github.com/scripcards/scrip/internal/platform/storage/lite"
	"github.com/scripcards/scrip/internal/platform/storage/wal"
)

const (
	// queueLength bounds the closures that wait for the writer; more wait in Write.
	queueLength = 1024
	// groupSize bounds the closures that share one commit.
	groupSize = 64
	// busyTries bounds the attempts at a transaction while another process writes.
	busyTries = 8
	busyPause = 20 * time.Millisecond
	// mostReaders is how many connections read, if there are not more processors.
	mostReaders = 8
	// maxUnflushed bounds the commits that are made and not on disk yet: while one is put
	// there the next is made, and whoever comes meanwhile shares the one after that.
	maxUnflushed = 2
)

// writerPragmas: the folder folds the log back. NORMAL leaves putting a commit on disk to
// the flusher, so that the next commit is made meanwhile; nothing is answered before it is.
// Asking for a version makes the engine open the log, of which the flusher then knows which it is.
var writerPragmas = []string{"busy_timeout = 5000", "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = 1",
	"cache_size = -16384", "wal_autocheckpoint = 0", "temp_store = MEMORY", "user_version"}

// folderPragmas: a connection that only folds the log needs no schema, which takes longer to
// read than all else that opens a database. Asking for a version makes it open the log. Once
// it is open, the folder itself looks again where somebody is in its way.
var folderPragmas = []string{"busy_timeout = 5000", "query_only = ON", "user_version", "busy_timeout = 0"}

var readerPragmas = []string{"busy_timeout = 5000", "query_only = ON", "cache_size = -16384", "temp_store = MEMORY"}

func openSQLite(ctx context.Context, config Config) (*DB, error) {
	if err := touchPrivate(config.Path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", config.Path, err)
	}
	found, err := wal.Look(config.Path)
	if err == nil && found.Lost > 0 {
		err = cut(found, config)
	}
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", config.Path, err)
	}
	connection, err := openLite(config.Path, writerPragmas)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", config.Path, err)
	}
	if found.Left && !found.Shared {
		if err := takeOver(connection); err != nil {
			return nil, errors.Join(fmt.Errorf("fold the log of %s: %w", config.Path, err), connection.Close())
		}
	}
	log, err := flush.NewLog(config.Path+"-wal", config.Path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), connection.Close())
	}
	readers := lite.NewPool(max(mostReaders, runtime.NumCPU()), func() (*lite.Conn, error) { return openLite(config.Path, readerPragmas) })
	w := &sqliteWriter{conn: liteConn{connection}, readers: readers, log: log,
		queue: make(chan *pendingWrite, queueLength), unflushed: make(chan struct{}, maxUnflushed), turn: make(chan struct{}, 1), observe: config.Observe}
	folding, err := openLite(config.Path, folderPragmas)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", config.Path, err), log.Close(), connection.Close())
	}
	w.folder = lite.NewFolder(folding, w.alone, w.log.Break)
	w.flusher = flush.New(w.log.Sync)
	r := liteReader{readers}
	return &DB{view: view{sqlite, r}, reader: r, writer: w, room: w.room, failed: w.failed}, nil
}

// takeOver folds a log that a process left which did not end by itself. What lies behind its end
// must not be there at the next start. And where the disk refused that process a flush, the kernel
// shows what it could not write: that is answered with from now on, and new commits lie behind it.
// Where others have the database open it is theirs to see to, and they would wait.
func takeOver(c *lite.Conn) error {
	_, err := c.Exec("PRAGMA wal_checkpoint(TRUNCATE)", nil)
	if isFull(err) || isTransient(err) { // what is on a full disk can be read
		return nil
	}
	return err
}

// cut returns why what lies behind damage is not given up; nil once it was told of.
func cut(found wal.Report, config Config) error {
	if config.CutDamagedLog == nil {
		return found.Err()
	}
	if err := found.Cut(); err != nil {
		return err
	}
	config.CutDamagedLog(found)
	return nil
}

func openLite(path string, pragmas []string) (*lite.Conn, error) {
	connection, err := lite.Open(path)
	if err != nil {
		return nil, err
	}
	for _, pragma := range pragmas {
		if _, err := connection.Exec("PRAGMA "+pragma, nil); err != nil {
			return nil, errors.Join(err, connection.Close())
		}
	}
	return connection, nil
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
	ctx       context.Context
	fn        func(context.Context, *Tx) error
	rows      []Effect // the rows that fn adds, if that is all it does
	err       error
	committed chan struct{} // closed when it is decided: err says how
	durable   func(error)   // called once what was committed is on disk, or known not to be
}

// sqliteWriter owns the one connection that writes. Closures that wait while a
// commit is under way share the next one, each in its own savepoint; one of those who
// wait makes it for all. While the log is put on disk, the next commit is made.
type sqliteWriter struct {
	conn      liteConn
	readers   *lite.Pool
	log       *flush.Log
	flusher   *flush.Flusher
	folder    *lite.Folder
	unflushed chan struct{} // a token for each commit that is not on disk yet
	queue     chan *pendingWrite
	turn      chan struct{}         // full while somebody writes
	refused   atomic.Pointer[error] // why the disk did not take the last transaction, if it did not

	observe func(writes int, took time.Duration)

	closing sync.RWMutex
	closed  bool
}

var errClosed = errors.New("storage: the database is closed")

func (w *sqliteWriter) commit(ctx context.Context, fn func(context.Context, *Tx) error, durable func(error)) error {
	return w.settle(&pendingWrite{ctx: ctx, fn: fn, committed: make(chan struct{}), durable: durable})
}

func (w *sqliteWriter) write(ctx context.Context, fn func(context.Context, *Tx) error, rows []Effect) error {
	onDisk := make(chan error, 1)
	p := &pendingWrite{ctx: ctx, fn: fn, rows: rows, committed: make(chan struct{}), durable: func(err error) { onDisk <- err }}
	if err := w.settle(p); err != nil {
		return err
	}
	return <-onDisk
}

// settle has p committed with what else is waiting.
func (w *sqliteWriter) settle(p *pendingWrite) error {
	if err := w.enqueue(p); err != nil {
		return err
	}
	for { // once queued it is decided, so that the answer is never a guess
		select {
		case <-p.committed:
			return p.err
		case w.turn <- struct{}{}:
			w.lead()
			<-w.turn
		}
	}
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

// room waits for a token as a commit does, and leaves it to one.
func (w *sqliteWriter) room() {
	w.unflushed <- struct{}{}
	<-w.unflushed
}

func (w *sqliteWriter) flush(settled func(error)) { w.flusher.Add(settled) }

func (w *sqliteWriter) close() error {
	w.closing.Lock()
	w.closed = true
	close(w.queue)
	w.closing.Unlock()
	err := w.folder.Close()
	w.turn <- struct{}{} // and never given back
	w.flusher.Close()
	err = errors.Join(err, w.log.Close(), w.readers.Close())
	// Another process may be reading: then its own end folds the log back.
	if _, busy := w.conn.Exec("PRAGMA wal_checkpoint(TRUNCATE)", nil); busy != nil && !isTransient(busy) {
		err = errors.Join(err, fmt.Errorf("fold the log back: %w", busy))
	}
	return errors.Join(err, w.conn.Close())
}

// failed returns why nothing can be written: for good, or until a write succeeds.
func (w *sqliteWriter) failed() error {
	if err := w.log.Look(); err != nil {
		return err
	}
	if err := w.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// alone runs fn while nobody writes.
func (w *sqliteWriter) alone(fn func()) {
	w.turn <- struct{}{}
	fn()
	<-w.turn
}

// lead commits what is waiting, in the name of all who wait, and has them told.
func (w *sqliteWriter) lead() {
	group := w.gather()
	if len(group) == 0 {
		return // somebody else was faster
	}
	watch := clock.Start()
	err := w.runGroup(group)
	pages := w.conn.Logged()
	switch {
	case IsAway(err):
		w.refused.Store(&err)
	case err == nil && pages > 0:
		w.refused.Store(nil)
	}
	w.folder.Wrote(pages)
	w.flusher.Add(func(err error) {
		<-w.unflushed
		if w.observe != nil {
			w.observe(len(group), watch.Elapsed())
		}
		for _, p := range group {
			if p.err == nil {
				p.durable(undecided(err))
			}
		}
	})
	for _, p := range group {
		close(p.committed)
	}
}

// gather takes what is waiting and never waits for more, once the disk has room for a commit.
func (w *sqliteWriter) gather() []*pendingWrite {
	w.unflushed <- struct{}{}
	var group []*pendingWrite
	for len(group) < groupSize {
		select {
		case p, ok := <-w.queue:
			if ok {
				group = append(group, p)
				continue
			}
		default:
		}
		break
	}
	if len(group) == 0 {
		<-w.unflushed
	}
	return group
}

// runGroup has every write of a group made, or told why it is not; its error is that of them all.
func (w *sqliteWriter) runGroup(group []*pendingWrite) error {
	ctx := context.Background() // a caller that leaves must not undo the others' work
	var err error
	for try := range busyTries {
		if err = w.log.Failed(); err != nil {
			break
		}
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
	return err
}

// tryGroup runs every closure and commits; its error means that nothing was stored.
func (w *sqliteWriter) tryGroup(ctx context.Context, group []*pendingWrite) error {
	if _, err := w.conn.Exec("BEGIN IMMEDIATE", nil); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := w.runClosures(ctx, group)
	if err == nil {
		if _, err = w.conn.Exec("COMMIT", nil); err == nil {
			return nil
		}
	}
	if _, rollback := w.conn.Exec("ROLLBACK", nil); rollback != nil {
		return errors.Join(err, rollback)
	}
	return err
}

func (w *sqliteWriter) runClosures(ctx context.Context, group []*pendingWrite) error {
	tx := newTx(sqlite, w.conn)
	if len(group) == 1 { // alone, its rollback is the transaction's
		if err := group[0].ctx.Err(); err != nil {
			return err
		}
		return runProtected(ctx, tx, group[0].fn)
	}
	closures, err := w.addRows(ctx, tx, group)
	if err != nil {
		return err
	}
	for _, p := range closures {
		if p.err = p.ctx.Err(); p.err != nil {
			continue
		}
		if p.err, err = w.runPart(ctx, tx, p.fn); err != nil {
			return err
		}
	}
	return nil
}

// addRows adds the rows of all who do no more than that, those of one table together, and
// returns the others. Where that fails, it returns everybody: each finds out alone.
func (w *sqliteWriter) addRows(ctx context.Context, tx *Tx, group []*pendingWrite) (others []*pendingWrite, err error) {
	var rows []Effect
	for _, p := range group {
		if p.rows == nil || p.ctx.Err() != nil {
			others = append(others, p)
			continue
		}
		rows = append(rows, p.rows...)
	}
	if len(group)-len(others) < 2 {
		return group, nil
	}
	refused, err := w.runPart(ctx, tx, applying(rows))
	if refused != nil {
		others = group
	}
	return others, err
}

// runPart runs one closure of several. What it refused is undone; err is what ends all.
func (w *sqliteWriter) runPart(ctx context.Context, tx *Tx, fn func(context.Context, *Tx) error) (refused, err error) {
	if _, err := w.conn.Exec("SAVEPOINT one", nil); err != nil {
		return nil, err
	}
	if refused = runProtected(ctx, tx, fn); isTransient(refused) {
		return refused, refused
	}
	end := "RELEASE one"
	if refused != nil {
		end = "ROLLBACK TO one"
	}
	if _, err = w.conn.Exec(end, nil); err != nil && IsAway(refused) {
		err = errors.Join(refused, err) // a disk that is full ends all of the transaction; no other refusal is all writes'
	}
	return refused, err
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

// liteConn is a connection as a conn.
type liteConn struct{ *lite.Conn }

func (c liteConn) exec(_ context.Context, calls ...call) ([]int64, error) {
	changed := make([]int64, 0, len(calls))
	for _, one := range calls {
		n, err := c.Exec(one.text, one.args)
		if err != nil {
			return changed, err
		}
		changed = append(changed, n)
	}
	return changed, nil
}

func (c liteConn) queue(_ context.Context, text string, args []any) error {
	_, err := c.Exec(text, args) // nothing is saved by waiting: the database is in this process
	return err
}

func (c liteConn) ask(ctx context.Context, questions []asked) error {
	for _, q := range questions {
		rows, err := c.query(ctx, q.text, q.args)
		if err != nil {
			return err
		}
		if err := q.read(rows); err != nil {
			return err
		}
	}
	return nil
}

func (c liteConn) query(_ context.Context, text string, args []any) (Rows, error) {
	rows, err := c.Query(text, args)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// liteReader is a pool of connections as a reader. A query looks at ctx before it begins
// and no more: it is short, and whoever loops over rows looks at ctx.
type liteReader struct{ *lite.Pool }

func (r liteReader) query(ctx context.Context, text string, args []any) (Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rows, err := r.Query(ctx, text, args)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func (r liteReader) snapshot(ctx context.Context, fn func(context.Context, Queryer) error) error {
	return r.With(ctx, func(c *lite.Conn) error {
		if _, err := c.Exec("BEGIN", nil); err != nil {
			return fmt.Errorf("begin snapshot: %w", err)
		}
		defer func() { _, _ = c.Exec("ROLLBACK", nil) }() // read-only: nothing to lose
		return fn(ctx, view{sqlite, liteConn{c}})
	})
}

func (r liteReader) ping(ctx context.Context) error {
	return r.With(ctx, func(c *lite.Conn) error {
		_, err := c.Exec("SELECT 1", nil)
		return err
	})
}

func (r liteReader) compile(ctx context.Context, text string) error {
	return r.With(ctx, func(c *lite.Conn) error { return c.Compile(text) })
}
