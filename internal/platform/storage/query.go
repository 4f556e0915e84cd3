package storage

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Row is what a scan function reads one result row from.
type Row interface{ Scan(dest ...any) error }

// Scan turns one result row into a T.
type Scan[T any] func(Row) (T, error)

// All returns every row of s. The statement bounds how many there are.
func All[T any](ctx context.Context, q Queryer, scan Scan[T], s *Statement, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, s, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scan, s.name)
}

// One returns the first row of s, and whether there was one.
func One[T any](ctx context.Context, q Queryer, scan Scan[T], s *Statement, args ...any) (T, bool, error) {
	var zero T
	rows, err := q.Query(ctx, s, args...)
	if err != nil {
		return zero, false, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return zero, false, wrap(s.name, rows.Err())
	}
	value, err := scan(rows)
	if err != nil {
		return zero, false, wrap(s.name, err)
	}
	return value, true, wrap(s.name, rows.Close())
}

// Values returns the scan of values of what scan returns pointers to.
func Values[T any](scan Scan[*T]) Scan[T] {
	return func(r Row) (T, error) {
		found, err := scan(r)
		if err != nil {
			return *new(T), err
		}
		return *found, nil
	}
}

// AllOf returns every row that b finds for the given parameter rows.
func AllOf[T any](ctx context.Context, q Queryer, scan Scan[T], b *Bulk, values [][]any, fixed ...any) ([]T, error) {
	var found []T
	d := q.engine()
	for len(values) > 0 {
		text, args, rest := b.next(d, fixed, values)
		rows, err := q.queryText(ctx, b.name, text, args)
		if err != nil {
			return nil, err
		}
		some, err := collect(rows, scan, b.name)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
		values = rest
	}
	return found, nil
}

// Question is a query that is asked together with others.
type Question func(dialect) []asked

// Ask returns the question for every row that b finds for the given parameter rows, as
// AllOf would find them; the answer is appended to into.
func Ask[T any](into *[]T, scan Scan[T], b *Bulk, values [][]any, fixed ...any) Question {
	return func(d dialect) (all []asked) {
		for len(values) > 0 {
			text, args, rest := b.next(d, fixed, values)
			all = append(all, asked{text, args, func(rows Rows) error {
				some, err := collect(rows, scan, b.name)
				*into = append(*into, some...)
				return err
			}})
			values = rest
		}
		return all
	}
}

// Each calls fn for every row of s without holding them all in memory.
func Each[T any](ctx context.Context, q Queryer, scan Scan[T], fn func(T) error, s *Statement, args ...any) error {
	rows, err := q.Query(ctx, s, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := ctx.Err(); err != nil {
			return wrap(s.name, err)
		}
		value, err := scan(rows)
		if err != nil {
			return wrap(s.name, err)
		}
		if err := fn(value); err != nil {
			return err
		}
	}
	return wrap(s.name, rows.Err())
}

func collect[T any](rows Rows, scan Scan[T], name string) ([]T, error) {
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		value, err := scan(rows)
		if err != nil {
			return nil, wrap(name, err)
		}
		all = append(all, value)
	}
	return all, wrap(name, rows.Err())
}

// errLost says that the connection broke while a statement ran.
var errLost = errors.New("the connection to the database was lost")

func wrap(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, lost(err))
}

// lost says so where err is of a connection that broke.
func lost(err error) error {
	var broken *net.OpError
	if errors.As(err, &broken) && broken.Op != "dial" && !errors.Is(err, errLost) { // a dial has none yet
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

// querier runs a query in its engine's words.
type querier interface {
	query(ctx context.Context, text string, args []any) (Rows, error)
}

// view is a Queryer: a snapshot, or what a DB and a Tx read with.
type view struct {
	dialect dialect
	source  querier
}

// Query implements Queryer.
func (v view) Query(ctx context.Context, s *Statement, args ...any) (Rows, error) {
	return v.queryText(ctx, s.name, s.text[v.dialect], args)
}

func (v view) queryText(ctx context.Context, name, text string, args []any) (Rows, error) {
	rows, err := v.source.query(ctx, text, args)
	if err != nil {
		return nil, wrap(name, err)
	}
	return rows, nil
}

func (v view) engine() dialect { return v.dialect }

// Read is a page of a list that was read, and how many rows it had.
type Read struct{ Offset, Limit, Rows int }

// Total returns how many rows a list has on all pages. It asks count, which looks at all of
// them, only where the page that was read does not tell.
func Total(ctx context.Context, q Queryer, page Read, count *Statement, args ...any) (int, error) {
	if page.Rows < page.Limit && (page.Rows > 0 || page.Offset == 0) {
		return page.Offset + page.Rows, nil
	}
	total, _, err := One(ctx, q, Scalar[int], count, args...)
	return total, err
}
