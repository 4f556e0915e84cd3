package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrStale is returned by an effect that changed another number of rows than it
// must: somebody else got there first.
var ErrStale = errors.New("storage: the row is not in the expected state")

// ErrUnknownCommit is returned by Write when the connection broke while it committed:
// what it wrote may be there or not. The closure was not run again.
var ErrUnknownCommit = errors.New("storage: it is not known whether the commit happened")

// undecided says what a failed flush means for a commit.
func undecided(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(ErrUnknownCommit, fmt.Errorf("put commits on disk: %w", err))
}

// Queryer reads: a DB, a Tx or a snapshot.
type Queryer interface {
	// Query runs a statement. The caller closes the rows; All and One do.
	Query(ctx context.Context, s *Statement, args ...any) (Rows, error)
	queryText(ctx context.Context, name, text string, args []any) (Rows, error)
	engine() dialect
}

// Rows is the result of a query, a row at a time.
type Rows interface {
	Row
	Next() bool
	Err() error
	Close() error
}

// conn runs prepared texts on one connection.
type conn interface {
	querier
	// exec runs texts, together if that saves time, and returns how many rows each of them
	// changed, up to the first that failed.
	exec(ctx context.Context, calls ...call) ([]int64, error)
	// queue runs a text now or together with what comes next, whose error may then be its own.
	queue(ctx context.Context, text string, args []any) error
	// ask runs several queries, together if that saves time, and has each result read in turn.
	ask(ctx context.Context, questions []asked) error
}

// call is one text to run.
type call struct {
	text string
	args []any
}

// asked is one query and what reads its rows and closes them.
type asked struct {
	text string
	args []any
	read func(Rows) error
}

// Tx is a transaction under way. It is used by one goroutine.
type Tx struct {
	view
	conn conn
}

func newTx(d dialect, c conn) *Tx { return &Tx{view{d, c}, c} }

// Exec runs s and returns how many rows it changed.
func (tx *Tx) Exec(ctx context.Context, s *Statement, args ...any) (int64, error) {
	changed, err := tx.conn.exec(ctx, call{s.text[tx.dialect], args})
	if err != nil {
		return 0, wrap(s.name, err)
	}
	return changed[0], nil
}

// Queue runs s now or together with what comes next, whose error may then be its own.
func (tx *Tx) Queue(ctx context.Context, s *Statement, args ...any) error {
	return wrap(s.name, tx.conn.queue(ctx, s.text[tx.dialect], args))
}

// Ask has all questions answered; on PostgreSQL they share one round trip.
func (tx *Tx) Ask(ctx context.Context, questions ...Question) error {
	var all []asked
	for _, q := range questions {
		all = append(all, q(tx.dialect)...)
	}
	if len(all) == 0 {
		return nil
	}
	return tx.conn.ask(ctx, all)
}

// ExecRows runs b over rows, as few statements as it takes, each row a slice of b's columns.
func (tx *Tx) ExecRows(ctx context.Context, b *Bulk, rows [][]any, fixed ...any) error {
	for len(rows) > 0 {
		text, args, rest := b.next(tx.dialect, fixed, rows)
		if err := tx.conn.queue(ctx, text, args); err != nil {
			return wrap(b.name, err)
		}
		rows = rest
	}
	return nil
}

// arguments flattens rows, repeating the last one until there are written of them.
func (b *Bulk) arguments(fixed []any, rows [][]any, written int) []any {
	args := make([]any, 0, len(fixed)+written*b.width)
	args = append(args, fixed...)
	for _, row := range rows {
		args = append(args, row...)
	}
	for range written - len(rows) {
		args = append(args, rows[len(rows)-1]...)
	}
	return args
}

// Effect is a change to be made together with others: data, not code.
type Effect struct {
	bulk      *Bulk
	statement *Statement
	args      []any
	must      int64  // rows that must change; -1: any number
	lock      string // the row whose lock it takes before the other statements; empty: it does not
}

// Row returns the effect of inserting one row.
func (b *Bulk) Row(args ...any) Effect { return Effect{bulk: b, args: args} }

// With returns the effect of running s, however many rows it changes.
func (s *Statement) With(args ...any) Effect { return Effect{statement: s, args: args, must: -1} }

// Exactly returns e, refused with ErrStale unless it changes n rows.
func (e Effect) Exactly(n int64) Effect {
	e.must = n
	return e
}

// Locking returns e, which others of a transaction do not depend on, to be made before all that
// are not locking, in the order of the rows that such ones lock. So transactions that are about
// several of these rows never wait for each other, whoever put them together.
func (e Effect) Locking(row string) Effect {
	e.lock = row
	return e
}

// Also is what a caller wants written in the transaction of a change beside it, such as the
// stored answer to the request. It is told what the change makes, may be called more than
// once, and must be quick and have no effects of its own. Its error undoes the change. It
// may be nil.
type Also[T any] func(T) ([]Effect, error)

// With returns the effects of a change, and behind them those that a wants beside it.
func (a Also[T]) With(effects []Effect, changed T) ([]Effect, error) {
	if a == nil {
		return effects, nil
	}
	more, err := a(changed)
	return append(effects, more...), err
}

// Apply makes the effects that a wants beside a change.
func (a Also[T]) Apply(ctx context.Context, tx *Tx, changed T) error {
	effects, err := a.With(nil, changed)
	if err != nil {
		return err
	}
	return tx.Apply(ctx, effects)
}

// Apply makes all effects: first the rows, those of one table together, then the statements,
// those that are locking by what they lock, the others in order.
func (tx *Tx) Apply(ctx context.Context, effects []Effect) error {
	var order []*Bulk
	rows := map[*Bulk][][]any{}
	for _, e := range effects {
		if e.bulk == nil {
			continue
		}
		if _, seen := rows[e.bulk]; !seen {
			order = append(order, e.bulk)
		}
		rows[e.bulk] = append(rows[e.bulk], e.args)
	}
	for _, b := range order {
		if err := tx.ExecRows(ctx, b, rows[b]); err != nil {
			return err
		}
	}
	return tx.applyStatements(ctx, effects)
}

// maxTogether bounds the statements whose results are waited for at once.
const maxTogether = 64

func (tx *Tx) applyStatements(ctx context.Context, effects []Effect) error {
	var locking, run []Effect
	for _, e := range effects {
		switch {
		case e.statement == nil:
		case e.lock != "":
			locking = append(locking, e)
		default:
			run = append(run, e)
		}
	}
	if len(locking) > 0 {
		slices.SortStableFunc(locking, func(a, b Effect) int { return cmp.Compare(a.lock, b.lock) })
		run = append(locking, run...)
	}
	calls := make([]call, len(run))
	for i, e := range run {
		calls[i] = call{e.statement.text[tx.dialect], e.args}
	}
	for first := 0; first < len(calls); first += maxTogether {
		last := min(first+maxTogether, len(calls))
		changed, err := tx.conn.exec(ctx, calls[first:last]...)
		for i, n := range changed {
			if e := run[first+i]; e.must >= 0 && n != e.must {
				return fmt.Errorf("%s changed %d rows, not %d: %w", e.statement.name, n, e.must, ErrStale)
			}
		}
		if err != nil {
			return wrap(run[first+min(len(changed), last-first-1)].statement.name, err)
		}
	}
	return nil
}
