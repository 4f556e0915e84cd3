package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// maxQueued bounds the texts that wait to travel together.
const maxQueued = 64

// pipeline is a PostgreSQL transaction under way. Texts whose results nobody waits
// for are kept back and sent with the next one, so that a transaction of ten
// statements costs three or four round trips. It is used by one goroutine.
type pipeline struct {
	conn    *pgx.Conn
	queued  pgx.Batch
	opening int  // texts that begin the transaction
	begun   bool // something was sent
}

func (p *pipeline) add(text string, args []any) { p.queued.Queue(text, args...) }

// flush sends what is queued and returns what the server did for the last texts, so many of
// them, up to the first that failed.
func (p *pipeline) flush(ctx context.Context, last int) ([]pgconn.CommandTag, error) {
	results, n := p.send(ctx)
	done := make([]pgconn.CommandTag, 0, last)
	for i := range n {
		tag, err := results.Exec()
		if err != nil {
			return done, cmp.Or(err, results.Close()) // what follows a failed text fails for that reason
		}
		if i >= n-last {
			done = append(done, tag)
		}
	}
	return done, results.Close()
}

func (p *pipeline) send(ctx context.Context) (pgx.BatchResults, int) {
	batch := p.queued
	p.queued, p.begun = pgx.Batch{}, true
	return p.conn.SendBatch(ctx, &batch), batch.Len()
}

func (p *pipeline) queue(ctx context.Context, text string, args []any) error {
	p.add(text, args)
	if p.queued.Len() < maxQueued {
		return nil
	}
	_, err := p.flush(ctx, 0)
	return err
}

func (p *pipeline) exec(ctx context.Context, calls ...call) ([]int64, error) {
	for _, one := range calls {
		p.add(one.text, one.args)
	}
	done, err := p.flush(ctx, len(calls))
	changed := make([]int64, len(done))
	for i, tag := range done {
		changed[i] = tag.RowsAffected()
	}
	return changed, err
}

func (p *pipeline) ask(ctx context.Context, questions []asked) error {
	for _, q := range questions {
		p.add(q.text, q.args)
	}
	results, n := p.send(ctx)
	for range n - len(questions) {
		if _, err := results.Exec(); err != nil {
			return cmp.Or(err, results.Close())
		}
	}
	for _, q := range questions {
		rows, err := results.Query()
		if err == nil {
			err = q.read(oneOf{rows})
		}
		if err != nil {
			return cmp.Or(err, results.Close())
		}
	}
	return results.Close()
}

// oneOf is one result of several in a batch.
type oneOf struct{ pgx.Rows }

// Close ends the result and returns its error, if it had one.
func (r oneOf) Close() error {
	r.Rows.Close()
	return r.Err()
}

func (p *pipeline) query(ctx context.Context, text string, args []any) (Rows, error) {
	p.add(text, args)
	results, n := p.send(ctx)
	for range n - 1 {
		if _, err := results.Exec(); err != nil {
			return nil, cmp.Or(err, results.Close())
		}
	}
	rows, err := results.Query()
	if err != nil {
		return nil, cmp.Or(err, results.Close())
	}
	return &pipelineRows{rows, results}, nil
}

// finish commits, or rolls back after err.
func (p *pipeline) finish(ctx context.Context, err error) error {
	if err == nil {
		if !p.begun && p.queued.Len() == p.opening { // nothing but the beginning
			return nil
		}
		p.add("COMMIT", nil)
		done, failed := p.flush(ctx, 1)
		if len(done) == 1 { // a server that is stopped may hang up behind its answer
			if done[0].String() != "COMMIT" { // a statement failed, and whoever made it went on
				return fmt.Errorf("commit: the server answers %s", done[0])
			}
			return nil
		}
		if err = fmt.Errorf("commit: %w", failed); isUndecided(err) {
			err = errors.Join(ErrUnknownCommit, err)
		}
	}
	if p.begun && !p.conn.IsClosed() {
		if _, rollback := p.conn.Exec(context.WithoutCancel(ctx), "ROLLBACK"); rollback != nil {
			// A connection in an unknown state must not go back to the others.
			return errors.Join(err, rollback, p.conn.Close(context.WithoutCancel(ctx)))
		}
	}
	return err
}

// isUndecided reports whether a failed commit may have happened all the same: something may
// have reached the server, and it did not say no. That it hangs up, or a pooler before it
// says so, is no answer.
func isUndecided(err error) bool {
	var refused *pgconn.PgError
	return !pgconn.SafeToRetry(err) && (!errors.As(err, &refused) || refused.SeverityUnlocalized != "ERROR")
}

// pipelineRows are the last result of a batch.
type pipelineRows struct {
	pgx.Rows
	results pgx.BatchResults
}

// Close ends the query and returns its error, if it had one.
func (r *pipelineRows) Close() error {
	r.Rows.Close()
	return cmp.Or(r.Err(), r.results.Close())
}
