// Package lite owns connections to SQLite, without what database/sql does between a program
// and its engine: no look-up of parameters by name, no allocation for each of them, no
// locks. Statements are prepared once per text, and stay so. Each connection has its pages
// for itself and writes a transaction to the log in one piece; a Folder folds the log back.
//
// A Conn is used by one goroutine at a time; a Pool lends them to many. Memory that the engine
// sees is of the engine's kind, and no pointer into Go's may be kept there, unless pinned.
package lite

import (
	"errors"
	"strconv"

	"modernc.org/libc"
	engine "modernc.org/sqlite/lib"
)

// Error is what SQLite refused: its extended result code and its text.
type Error struct {
	Code int
	Text string
}

// Error returns SQLite's text and the code.
func (e *Error) Error() string { return e.Text + " (" + strconv.Itoa(e.Code) + ")" }

// Conn is a connection.
type Conn struct {
	tls   *libc.TLS
	db    uintptr
	out   uintptr // where calls leave a pointer
	cache map[string]*statement
}

const pointerSize = 8

// Open opens or makes the database file at path.
func Open(path string) (*Conn, error) {
	if err := errors.Join(useCaches(), useGathering()); err != nil {
		return nil, err
	}
	c := &Conn{tls: libc.NewTLS(), cache: map[string]*statement{}}
	c.out = libc.Xmalloc(c.tls, pointerSize)
	name, err := libc.CString(path)
	files, alsoErr := libc.CString(gatheringName)
	defer func() { libc.Xfree(c.tls, name); libc.Xfree(c.tls, files) }()
	if err = errors.Join(err, alsoErr); err == nil && c.out == 0 {
		err = errMemory
	}
	if err != nil {
		c.free()
		return nil, err
	}
	const mode = engine.SQLITE_OPEN_READWRITE | engine.SQLITE_OPEN_CREATE | engine.SQLITE_OPEN_NOMUTEX
	code := engine.Xsqlite3_open_v2(c.tls, name, c.out, mode, files)
	c.db = *pointerAt(c.out)
	if code != engine.SQLITE_OK {
		err = c.failure(code)
		engine.Xsqlite3_close_v2(c.tls, c.db)
		c.free()
		return nil, err
	}
	engine.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	return c, c.settlePlans()
}

// settlePlans keeps the engine from preparing a statement again because a parameter has
// another value: it would look at values for its plan, and our plans do not depend on them.
func (c *Conn) settlePlans() error {
	on := libc.NewVaList(int32(1), uintptr(0))
	if on == 0 {
		return errors.Join(errMemory, c.Close())
	}
	defer libc.Xfree(c.tls, on)
	if code := engine.Xsqlite3_db_config(c.tls, c.db, engine.SQLITE_DBCONFIG_ENABLE_QPSG, on); code != engine.SQLITE_OK {
		return errors.Join(c.failure(code), c.Close())
	}
	return nil
}

var errMemory = errors.New("sqlite: out of memory")

func (c *Conn) free() {
	libc.Xfree(c.tls, c.out)
	c.tls.Close()
}

// Close ends every statement and the connection.
func (c *Conn) Close() error {
	for _, s := range c.cache {
		s.finalize()
	}
	code := engine.Xsqlite3_close_v2(c.tls, c.db)
	c.free()
	if code != engine.SQLITE_OK {
		return &Error{Code: int(code), Text: "close"}
	}
	return nil
}

// failure returns the error that code stands for.
func (c *Conn) failure(code int32) error {
	if c.db == 0 {
		return errMemory
	}
	text := libc.GoString(engine.Xsqlite3_errmsg(c.tls, c.db))
	return &Error{Code: int(code), Text: text}
}

// Exec runs text and returns how many rows it changed. args are texts, bytes, integers,
// nil or driver.Valuers of these, by the numbers of their parameters.
func (c *Conn) Exec(text string, args []any) (int64, error) {
	s, err := c.statement(text)
	if err != nil {
		return 0, err
	}
	defer s.end()
	if err := s.bind(args); err != nil {
		return 0, err
	}
	for more := true; more; {
		if more, err = s.step(); err != nil {
			return 0, err
		}
	}
	return int64(engine.Xsqlite3_changes64(c.tls, c.db)), nil
}

// Query runs text. The rows must be closed before the connection writes again.
func (c *Conn) Query(text string, args []any) (*Rows, error) {
	s, err := c.statement(text)
	if err != nil {
		return nil, err
	}
	if err := s.bind(args); err != nil {
		return nil, err
	}
	s.busy = true
	return &Rows{statement: s}, nil
}

// Compile has the engine read text without running it.
func (c *Conn) Compile(text string) error {
	s, err := c.prepare(text)
	if err == nil {
		s.finalize()
	}
	return err
}

// statement returns text prepared; another one while the first has rows open.
func (c *Conn) statement(text string) (*statement, error) {
	if s := c.cache[text]; s != nil && !s.busy {
		return s, nil
	}
	s, err := c.prepare(text)
	if err != nil {
		return nil, err
	}
	if c.cache[text] == nil {
		c.cache[text] = s
	} else {
		s.once = true
	}
	return s, nil
}
