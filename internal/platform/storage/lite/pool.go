package lite

import (
	"context"
	"errors"
	"sync"
)

// Pool is connections that read, each for one user at a time. It is safe for concurrent use.
// Whoever comes gets the one that was given back last, whose pages and statements are at hand;
// another is opened only when all are lent: each reads the schema, which takes longer than most
// of what is asked.
type Pool struct {
	open   func() (*Conn, error)
	lent   chan struct{} // a token for each that is lent
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	idle []*Conn
}

var errPoolClosed = errors.New("sqlite: the database is closed")

// NewPool returns a pool of n connections that open makes when they are first needed.
func NewPool(n int, open func() (*Conn, error)) *Pool {
	return &Pool{open: open, lent: make(chan struct{}, n), closed: make(chan struct{})}
}

func (p *Pool) take(ctx context.Context) (*Conn, error) {
	select {
	case <-p.closed:
		return nil, errPoolClosed
	default:
	}
	select {
	case p.lent <- struct{}{}:
	case <-p.closed:
		return nil, errPoolClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c := p.last(); c != nil {
		return c, nil
	}
	c, err := p.open()
	if err != nil {
		<-p.lent
	}
	return c, err
}

// last takes the connection that was given back last, nil if none is idle.
func (p *Pool) last() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	c := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return c
}

func (p *Pool) give(c *Conn) {
	p.mu.Lock()
	p.idle = append(p.idle, c)
	p.mu.Unlock()
	<-p.lent
}

// With runs fn with a connection of its own.
func (p *Pool) With(ctx context.Context, fn func(*Conn) error) error {
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer p.give(c)
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
		p.give(c)
		return nil, err
	}
	return &PoolRows{Rows: rows, pool: p, conn: c}, nil
}

// Close waits for those who read and closes every connection.
func (p *Pool) Close() error {
	var errs []error
	p.once.Do(func() {
		close(p.closed)
		for range cap(p.lent) {
			p.lent <- struct{}{}
		}
		for _, c := range p.idle {
			errs = append(errs, c.Close())
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
		r.pool.give(r.conn)
		r.conn = nil
	}
	return err
}
