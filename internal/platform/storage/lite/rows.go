package lite

import (
	"bytes"
	"database/sql"
	"fmt"
	"reflect"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	engine "modernc.org/sqlite/lib"
)

func libcSize(n int) types.Size_t { return types.Size_t(n) }

// Rows are the result of a query.
type Rows struct {
	statement *statement
	err       error
	closed    bool
}

// Next goes to the next row, and returns whether there is one.
func (r *Rows) Next() bool {
	if r.closed {
		return false
	}
	more, err := r.statement.step()
	if !more {
		r.err = err
		r.end()
	}
	return more
}

// Err returns why Next ended, if not because there was no more.
func (r *Rows) Err() error { return r.err }

// Close ends the query and returns its error, if it had one.
func (r *Rows) Close() error {
	r.end()
	return r.err
}

func (r *Rows) end() {
	if !r.closed {
		r.closed = true
		r.statement.end()
	}
}

// Scan reads the row's columns into pointers to texts, integers, bytes and their Null
// forms, named types included.
func (r *Rows) Scan(dest ...any) error {
	if n := int(engine.Xsqlite3_column_count(r.statement.conn.tls, r.statement.handle)); n != len(dest) {
		return fmt.Errorf("sqlite: %d columns into %d values", n, len(dest))
	}
	for i, to := range dest {
		if err := r.scan(int32(i), to); err != nil {
			return fmt.Errorf("sqlite: column %d: %w", i+1, err)
		}
	}
	return nil
}

func (r *Rows) scan(i int32, dest any) (err error) {
	tls, handle := r.statement.conn.tls, r.statement.handle
	null := engine.Xsqlite3_column_type(tls, handle, i) == engine.SQLITE_NULL
	switch to := dest.(type) {
	case *sql.NullString:
		*to = sql.NullString{Valid: !null, String: string(r.bytes(i))}
		return nil
	case *sql.NullInt64:
		*to = sql.NullInt64{Valid: !null, Int64: engine.Xsqlite3_column_int64(tls, handle, i)}
		return nil
	case *sql.Null[[]byte]:
		*to = sql.Null[[]byte]{Valid: !null, V: bytes.Clone(r.bytes(i))}
		return nil
	case *[]byte:
		if *to = bytes.Clone(r.bytes(i)); null {
			*to = nil
		}
		return nil
	}
	if null {
		return fmt.Errorf("NULL into %T", dest)
	}
	switch to := dest.(type) {
	case *string:
		*to = string(r.bytes(i))
	case *int64:
		*to = engine.Xsqlite3_column_int64(tls, handle, i)
	case *int:
		*to = int(engine.Xsqlite3_column_int64(tls, handle, i))
	case *bool:
		*to = engine.Xsqlite3_column_int64(tls, handle, i) != 0
	default:
		return r.scanOther(i, dest)
	}
	return nil
}

// scanOther takes named types and Scanners the way database/sql does.
func (r *Rows) scanOther(i int32, dest any) error {
	isText := engine.Xsqlite3_column_type(r.statement.conn.tls, r.statement.handle, i) != engine.SQLITE_INTEGER
	if scanner, ok := dest.(sql.Scanner); ok {
		if isText {
			return scanner.Scan(string(r.bytes(i)))
		}
		return scanner.Scan(engine.Xsqlite3_column_int64(r.statement.conn.tls, r.statement.handle, i))
	}
	to := reflect.ValueOf(dest)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return fmt.Errorf("into a %T", dest)
	}
	switch to = to.Elem(); {
	case to.Kind() == reflect.String:
		to.SetString(string(r.bytes(i)))
	case to.CanInt():
		to.SetInt(engine.Xsqlite3_column_int64(r.statement.conn.tls, r.statement.handle, i))
	default:
		return fmt.Errorf("into a %T", dest)
	}
	return nil
}

// bytes returns a column's text or bytes, which last until the next step.
func (r *Rows) bytes(i int32) []byte {
	tls, handle := r.statement.conn.tls, r.statement.handle
	at := engine.Xsqlite3_column_blob(tls, handle, i) // converts an integer to its digits first
	n := engine.Xsqlite3_column_bytes(tls, handle, i)
	if n == 0 || at == 0 {
		return []byte{}
	}
	return libc.GoBytes(at, int(n))
}
