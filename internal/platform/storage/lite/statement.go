package lite

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strconv"
	"unsafe"

	"modernc.org/libc"
	engine "modernc.org/sqlite/lib"
)

// statement is one prepared text with room for the texts and bytes of its parameters.
type statement struct {
	conn   *Conn
	handle uintptr
	order  []int // for each parameter the place of its argument
	arena  arena
	busy   bool // has rows open
	once   bool // not kept
}

func (c *Conn) prepare(text string) (*statement, error) {
	source, err := libc.CString(text)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, source)
	code := engine.Xsqlite3_prepare_v3(c.tls, c.db, source, -1, engine.SQLITE_PREPARE_PERSISTENT, c.out, 0)
	if code != engine.SQLITE_OK {
		return nil, c.failure(code)
	}
	s := &statement{conn: c, handle: *pointerAt(c.out)}
	for i := range engine.Xsqlite3_bind_parameter_count(c.tls, s.handle) {
		place := int(i)
		if name := engine.Xsqlite3_bind_parameter_name(c.tls, s.handle, i+1); name != 0 { // "$2"
			number, err := strconv.Atoi(libc.GoString(name)[1:])
			if err != nil {
				s.finalize()
				return nil, fmt.Errorf("sqlite: parameter %d has a name", place+1)
			}
			place = number - 1
		}
		s.order = append(s.order, place)
	}
	return s, nil
}

func (s *statement) finalize() {
	engine.Xsqlite3_finalize(s.conn.tls, s.handle)
	s.arena.free(s.conn.tls)
}

// end makes the statement ready for its next use.
func (s *statement) end() {
	s.busy = false
	if s.once {
		s.finalize()
		return
	}
	engine.Xsqlite3_reset(s.conn.tls, s.handle) // its error is that of the step before
}

// step returns whether there is a row.
func (s *statement) step() (bool, error) {
	switch code := engine.Xsqlite3_step(s.conn.tls, s.handle); code {
	case engine.SQLITE_ROW:
		return true, nil
	case engine.SQLITE_DONE:
		return false, nil
	default:
		return false, s.conn.failure(code)
	}
}

// bind sets the parameters. Texts and bytes are copied to the arena, where they stay
// until the next use.
func (s *statement) bind(args []any) error {
	if !s.arena.reset(s.conn.tls, args) {
		return errMemory
	}
	for i, place := range s.order {
		if place >= len(args) {
			return fmt.Errorf("sqlite: parameter %d of %d has no argument", place+1, len(args))
		}
		code, err := s.bindOne(int32(i+1), args[place])
		if err != nil {
			return err
		}
		if code != engine.SQLITE_OK {
			return s.conn.failure(code)
		}
	}
	return nil
}

func (s *statement) bindOne(i int32, value any) (code int32, err error) {
	tls := s.conn.tls
	switch v := value.(type) {
	case string:
		return engine.Xsqlite3_bind_text(tls, s.handle, i, s.arena.add(v), int32(len(v)), 0), nil
	case []byte:
		return engine.Xsqlite3_bind_blob(tls, s.handle, i, s.arena.add(bytesAsText(v)), int32(len(v)), 0), nil
	case int64:
		return engine.Xsqlite3_bind_int64(tls, s.handle, i, v), nil
	case int:
		return engine.Xsqlite3_bind_int64(tls, s.handle, i, int64(v)), nil
	case sql.NullString:
		if v.Valid {
			return engine.Xsqlite3_bind_text(tls, s.handle, i, s.arena.add(v.String), int32(len(v.String)), 0), nil
		}
		return engine.Xsqlite3_bind_null(tls, s.handle, i), nil
	case sql.NullInt64:
		if v.Valid {
			return engine.Xsqlite3_bind_int64(tls, s.handle, i, v.Int64), nil
		}
		return engine.Xsqlite3_bind_null(tls, s.handle, i), nil
	case nil:
		return engine.Xsqlite3_bind_null(tls, s.handle, i), nil
	case bool:
		if v {
			return engine.Xsqlite3_bind_int64(tls, s.handle, i, 1), nil
		}
		return engine.Xsqlite3_bind_int64(tls, s.handle, i, 0), nil
	}
	return s.bindOther(i, value)
}

// bindOther takes named types and Valuers the way database/sql does.
func (s *statement) bindOther(i int32, value any) (int32, error) {
	plain, err := driver.DefaultParameterConverter.ConvertValue(value)
	if err != nil {
		return 0, err
	}
	switch v := plain.(type) {
	case string, []byte:
		return s.bindCopy(i, v)
	case int64, bool, nil:
		return s.bindOne(i, v)
	}
	return 0, fmt.Errorf("sqlite: parameter %d is a %T", i, value)
}

// bindCopy has the engine copy: the arena has no room for what was not seen beforehand.
func (s *statement) bindCopy(i int32, value any) (int32, error) {
	var text string
	bind := engine.Xsqlite3_bind_text
	switch v := value.(type) {
	case string:
		text = v
	case []byte:
		text, bind = bytesAsText(v), engine.Xsqlite3_bind_blob
	}
	var own arena
	if !own.grow(s.conn.tls, len(text)) {
		return 0, errMemory
	}
	defer own.free(s.conn.tls)
	return bind(s.conn.tls, s.handle, i, own.add(text), int32(len(text)), transient), nil
}

// transient tells the engine to make its own copy.
const transient = ^uintptr(0)

func bytesAsText(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// arena is memory of the engine's kind for the parameters of one statement.
type arena struct {
	base uintptr
	mem  []byte // the same memory
	used int
}

// reset makes room for args, and forgets those before.
func (a *arena) reset(tls *libc.TLS, args []any) bool {
	size := 1 // the empty text needs an address too
	for _, value := range args {
		switch v := value.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		case sql.NullString:
			size += len(v.String)
		}
	}
	return a.grow(tls, size)
}

func (a *arena) grow(tls *libc.TLS, size int) bool {
	a.used = 0
	if size <= len(a.mem) && a.base != 0 {
		return true
	}
	a.free(tls)
	size = max(256, 2*size)
	if a.base = libc.Xmalloc(tls, libcSize(size)); a.base == 0 {
		return false
	}
	a.mem = unsafe.Slice((*byte)(memoryAt(a.base)), size)
	return true
}

// add copies text and returns where it is.
func (a *arena) add(text string) uintptr {
	at := a.base + uintptr(a.used)
	a.used += copy(a.mem[a.used:], text)
	return at
}

func (a *arena) free(tls *libc.TLS) {
	if a.base != 0 {
		libc.Xfree(tls, a.base)
	}
	*a = arena{}
}

// memoryAt is memory of the engine's kind, which the collector neither moves nor frees.
func memoryAt(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

func pointerAt(address uintptr) *uintptr { return (*uintptr)(memoryAt(address)) }

func int32At(address uintptr) *int32 { return (*int32)(memoryAt(address)) }
