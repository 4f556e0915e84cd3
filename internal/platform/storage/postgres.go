package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage/flush"
	"github.com/scripcards/scrip/internal/platform/storage/link"
)

const (
	defaultConns = 24
	writeTries   = 12
	firstPause   = 2 * time.Millisecond
	lockTimeout  = "lock_timeout" // a setting of the server
)

func openPostgres(ctx context.Context, config Config) (*DB, error) {
	parsed, err := parseURL(config.URL)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	setUnlessAsked(parsed, "application_name", "scrip")
	// Every look-up here has its index. A plan that was made while a table was small must
	// not go on reading the whole of it when it has grown. Where there is no other way, as for
	// tables of a few rows, such a plan has a price at which the server would compile it first,
	// which takes longer than all it does. A page of a list is read in the order of its index: a
	// plan that does not know yet which filters are asked for expects so few rows behind all of
	// them that it would gather the rows of a whole book in a bitmap and sort them.
	for _, way := range []string{"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit"} {
		setUnlessAsked(parsed, way, "off")
	}
	// Whoever waits for a lock longer than others hold one is answered, and not kept until its own
	// caller has gone.
	setUnlessAsked(parsed, lockTimeout, "10s")
	parsed.StatementCacheCapacity = 1024
	parsed.DialFunc = link.Dial
	if parsed.ConnectTimeout == 0 { // the URL's own, connect_timeout, bounds the whole way in
		parsed.ConnectTimeout = link.Open
	}
	turn := &turn{}
	pool := stdlib.OpenDB(*parsed, stdlib.OptionAfterConnect(turn.opened), stdlib.OptionResetSession(turn.usable))
	conns := config.MaxConns
	if conns == 0 {
		conns = defaultConns
	}
	pool.SetMaxOpenConns(conns + 1) // and the witness
	pool.SetMaxIdleConns(conns)
	if err := pool.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("open database %s:%d/%s: %w", parsed.Host, parsed.Port, parsed.Database, errors.Join(err, pool.Close()))
	}
	begin := "BEGIN ISOLATION LEVEL READ COMMITTED"
	if config.Serializable {
		begin = "BEGIN ISOLATION LEVEL SERIALIZABLE"
	}
	w := &postgresWriter{pool: pool, turn: turn, begin: begin, observe: config.Observe}
	w.flusher = flush.New(w.flushLog)
	r := &postgresReader{pool: pool, turn: turn}
	return &DB{view: view{postgres, r}, reader: r, writer: w}, nil
}

// setUnlessAsked sets a setting of the server where the URL does not, neither by itself nor among
// its options, which the server reads first and would then forget.
func setUnlessAsked(parsed *pgx.ConnConfig, name, value string) {
	for option := range strings.FieldsSeq(parsed.RuntimeParams["options"]) { // -c name=value, -cname=value, --name=value
		asked, _, _ := strings.Cut(option, "=")
		asked = strings.TrimPrefix(strings.TrimPrefix(asked, "-c"), "--")
		if strings.EqualFold(strings.ReplaceAll(asked, "-", "_"), name) {
			return
		}
	}
	if parsed.RuntimeParams[name] == "" {
		parsed.RuntimeParams[name] = value
	}
}

// CheckURL returns what is wrong with a URL of PostgreSQL, or with a file that it names. It
// calls nobody.
func CheckURL(text string) error {
	_, err := parseURL(text)
	return err
}

// parseURL reads a URL and the files that it names. The driver's own text would quote the URL,
// and with it a password; the cause, where the URL itself is sound, is of a setting behind its "?".
func parseURL(text string) (*pgx.ConnConfig, error) {
	parsed, err := pgx.ParseConfig(text)
	if err == nil {
		return parsed, nil
	}
	var refused *pgconn.ParseConfigError
	if _, malformed := url.Parse(text); malformed == nil && errors.As(err, &refused) && refused.Unwrap() != nil {
		return nil, fmt.Errorf("the URL cannot be used: %w", refused.Unwrap())
	}
	return nil, errors.New("the URL is malformed")
}

// turn counts how often the server at the other end was found to be read-only: it was the
// primary, and another one took its turn. A connection to it would last, and every write on it
// be refused, so those of a turn that is over are closed before they are used again.
type turn struct {
	number atomic.Int64
	mu     sync.Mutex
	since  clock.Stopwatch
}

const (
	turnName = "scrip.turn"
	// leastTurn bounds how often all connections are made anew while no server takes writes.
	leastTurn = time.Second
)

func (t *turn) opened(_ context.Context, c *pgx.Conn) error {
	c.PgConn().CustomData()[turnName] = t.number.Load()
	return nil
}

func (t *turn) usable(_ context.Context, c *pgx.Conn) error {
	if c.PgConn().CustomData()[turnName] != t.number.Load() {
		return driver.ErrBadConn
	}
	return nil
}

func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.Elapsed() >= leastTurn {
		t.number.Add(1)
		t.since = clock.Start()
	}
}

// postgresWriter runs each closure in a transaction of its own.
type postgresWriter struct {
	pool    *sql.DB
	turn    *turn
	begin   string
	flusher *flush.Flusher
	observe func(writes int, took time.Duration)

	mu      sync.Mutex
	witness *witness // nil: there is none
}

func (w *postgresWriter) close() error {
	w.flusher.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dismiss()
	return w.pool.Close() // the reader's too
}

// postgresReader reads on the same pool, each text prepared once a connection.
type postgresReader struct {
	pool     *sql.DB
	turn     *turn
	prepared sync.Map // text → *sql.Stmt; bounded, since texts are registered statements
}

// prepare returns text prepared, which happens once.
func (r *postgresReader) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	if stmt, ok := r.prepared.Load(text); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := r.pool.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if other, loaded := r.prepared.LoadOrStore(text, stmt); loaded {
		_ = stmt.Close() // somebody prepared the same text meanwhile
		return other.(*sql.Stmt), nil
	}
	return stmt, nil
}

func (r *postgresReader) query(ctx context.Context, text string, args []any) (Rows, error) {
	stmt, err := r.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func (r *postgresReader) snapshot(ctx context.Context, fn func(context.Context, Queryer) error) error {
	tx, err := r.pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin snapshot: %w", lost(err))
	}
	defer func() { _ = tx.Rollback() }() // read-only: nothing to lose
	return fn(ctx, view{postgres, frozen{tx}})
}

var errReadOnly = errors.New("the database is read-only: it may be a standby, or no primary any more")

func (r *postgresReader) ping(ctx context.Context) error {
	var readOnly string
	err := r.pool.QueryRowContext(ctx, "SHOW transaction_read_only").Scan(&readOnly)
	if err == nil && readOnly == "on" {
		r.turn.end()
		err = errReadOnly
	}
	return err
}

// Hasty reports whether the server says that it committed before its disk has it, as
// synchronous_commit = off has it: what was answered is gone then after a crash.
func (db *DB) Hasty(ctx context.Context) (bool, error) {
	r, ok := db.reader.(*postgresReader)
	if !ok {
		return false, nil
	}
	var value string
	err := r.pool.QueryRowContext(ctx, "SHOW synchronous_commit").Scan(&value)
	return value == "off", lost(err)
}

func (r *postgresReader) compile(ctx context.Context, text string) error {
	stmt, err := r.pool.PrepareContext(ctx, text)
	if err != nil {
		return err
	}
	return stmt.Close()
}

func (w *postgresWriter) write(ctx context.Context, fn func(context.Context, *Tx) error, _ []Effect) error {
	return w.repeat(ctx, []string{w.begin}, fn)
}

// commit does not wait for the server's log, and so gives its locks back at once. What
// other transactions build on it is in the log behind it and cannot outlive it.
func (w *postgresWriter) commit(ctx context.Context, fn func(context.Context, *Tx) error, durable func(error)) error {
	present, err := w.summon(ctx)
	if err != nil {
		return err
	}
	if err := w.repeat(ctx, []string{w.begin, "SET LOCAL synchronous_commit TO off"}, fn); err != nil {
		return err
	}
	w.flusher.Add(func(err error) { durable(undecided(w.vouch(present, err))) })
	return nil
}

// flushLog commits something that is nothing, and so waits for all of the log before it:
// on disk here and, where there are synchronous standbys, there too.
const flushLog = "SELECT pg_logical_emit_message(true, 'scrip', '')"

func (w *postgresWriter) flushLog() error {
	ctx := context.Background()
	present, err := w.summon(ctx)
	if err != nil {
		return err
	}
	w.busy(present, true)
	_, err = present.conn.ExecContext(ctx, flushLog)
	w.busy(present, false)
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.witness == present {
			w.dismiss()
		}
	}
	return lost(err)
}

func (w *postgresWriter) flush(settled func(error)) {
	w.mu.Lock()
	present := w.witness
	w.mu.Unlock()
	w.flusher.Add(func(err error) {
		if present != nil { // otherwise nobody saw what was read
			err = w.vouch(present, err)
		}
		settled(err)
	})
}

// witness is the connection over which the log is flushed. It was there before the commits
// that it vouches for, so its server is the one that took them. A server that crashed, or in
// whose place another is, ended it, and may have lost what it had not put on disk.
type witness struct {
	conn  *sql.Conn
	used  clock.Stopwatch // since it was used last
	flush bool            // it is in use
}

const (
	// restFor is how long a witness may rest before it is asked whether it is still there,
	// askFor how long it has to answer.
	restFor = time.Second
	askFor  = 5 * time.Second
)

// summon returns the witness, a new one where there is none any more.
func (w *postgresWriter) summon(ctx context.Context) (*witness, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if present := w.witness; present != nil && !present.flush && present.used.Elapsed() > restFor {
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), askFor)
		defer cancel()
		if present.conn.PingContext(asking) != nil {
			w.dismiss()
		}
		present.used = clock.Start()
	}
	if w.witness != nil {
		return w.witness, nil
	}
	conn, err := w.pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	w.witness = &witness{conn: conn, used: clock.Start()}
	return w.witness, nil
}

// busy notes whether a flush is under way.
func (w *postgresWriter) busy(present *witness, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	present.flush, present.used = is, clock.Start()
}

// dismiss lets the witness go. The caller holds the mutex.
func (w *postgresWriter) dismiss() {
	if w.witness != nil {
		_ = w.witness.conn.Close() // what is wrong with it was told already
		w.witness = nil
	}
}

// errReplaced wraps what says that the server is away.
var errReplaced = fmt.Errorf("the server is not the one that took the commit: %w", driver.ErrBadConn)

// vouch returns the error of a flush that present should have seen.
func (w *postgresWriter) vouch(present *witness, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && w.witness != present {
		return errReplaced
	}
	return err
}

func (w *postgresWriter) repeat(ctx context.Context, begin []string, fn func(context.Context, *Tx) error) error {
	pause, watch := firstPause, clock.Start()
	if w.observe != nil {
		defer func() { w.observe(1, watch.Elapsed()) }()
	}
	for try := 1; ; try++ {
		err := w.try(ctx, begin, fn)
		if err == nil || !isTransient(err) || try == writeTries {
			return err
		}
		if werr := clock.Wait(ctx, pause); werr != nil {
			return err
		}
		pause = min(2*pause, 200*time.Millisecond)
	}
}

// try runs fn once on a connection of its own. The driver is used directly: what fn
// writes travels together with its next question or with the commit.
func (w *postgresWriter) try(ctx context.Context, begin []string, fn func(context.Context, *Tx) error) error {
	connection, err := w.pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	err = connection.Raw(func(raw any) error {
		pipe := &pipeline{conn: raw.(*stdlib.Conn).Conn()}
		for _, text := range begin {
			pipe.add(text, nil)
		}
		pipe.opening = len(begin)
		err := runProtected(ctx, newTx(postgres, pipe), fn)
		return lost(pipe.finish(ctx, err))
	})
	if isReadOnly(err) {
		w.turn.end()
	}
	return errors.Join(err, connection.Close())
}

// frozen is the transaction of a snapshot.
type frozen struct{ tx *sql.Tx }

func (f frozen) query(ctx context.Context, text string, args []any) (Rows, error) {
	rows, err := f.tx.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	return rows, nil
}
