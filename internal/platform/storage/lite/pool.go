package lite

import (
	"context"
	"errors"
	"sync"
)

// Pool is connections that read, each for one user at a time. It is safe for concurrent use.
type Pool struct {
	open   func() (*Conn, error)
	idle   chan *Conn // nil: one that was not opened yet
	closed chan struct{}
	once   sync.Once
}

var errPoolClosed = errors.New("sqlite: the database is closed")

// NewPool returns a pool of n connections that open makes when they are first needed.
func NewPool(n int, open func() (*Conn, error)) *Pool {
	p := &Pool{open: open, idle: make(chan *Conn, n), closed: make(chan struct{})}
	for range n {
		p.idle <- nil
	}
	return p
}

func (p *Pool) take(ctx context.Context) (*Conn, error) {
	select {
	case <-p.closed:
		return nil, errPoolClosed
	default:
	}
	select {
	case c := <-p.idle:
		if c != nil {
			return c, nil
		}
		c, err := p.open()
		if err != nil {
			p.idle <- nil
		}
		return c, err
	case <-p.closed:
		return nil, errPoolClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// With runs fn with a connection of its own.
func (p *Pool) With(ctx context.Context, fn func(*Conn) error) error {
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer func() { p.idle <- c }()
	return fn(c)
}

// Query runs text on a connection that is given back when the rows are closed.
func (p *Pool) Query(ctx context.Context, text string, args []any) (*PoolRows, error) {
	c, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.Query(text, args)
	if err != nil {
		p.idle <- c
		return nil, err
	}
	return &PoolRows{Rows: rows, pool: p, conn: c}, nil
}

// Close waits for those who read and closes every connection.
func (p *Pool) Close() error {
	var errs []error
	p.once.Do(func() {
		close(p.closed)
		for range cap(p.idle) {
			if c := <-p.idle; c != nil {
				errs = append(errs, c.Close())
			}
		}
	})
	return errors.Join(errs...)
}

// PoolRows are the result of a query on a pool.
type PoolRows struct {
	*Rows
	pool *Pool
	conn *Conn
}

// Close ends the query, gives its connection back and returns its error, if it had one.
func (r *PoolRows) Close() error {
	err := r.Rows.Close()
	if r.conn != nil {
		r.pool.idle <- r.conn
		r.conn = nil
	}
	return err
}
