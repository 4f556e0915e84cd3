package lite

import (
	"runtime"
	"time"

	"modernc.org/libc"
	engine "modernc.org/sqlite/lib"
)

// Reprepared returns how often the engine prepared a text again.
func (c *Conn) Reprepared(text string) (int32, error) {
	s, err := c.statement(text)
	if err != nil {
		return 0, err
	}
	return engine.Xsqlite3_stmt_status(c.tls, s.handle, engine.SQLITE_STMTSTATUS_REPREPARE, 0), nil
}

// FoldAfter has the log folded after so many pages. It is for before the first is written.
func (f *Folder) FoldAfter(pages int64) { f.after = pages }

// WaitFor has writers wait so long for those who read. It is for before the first is written.
func (f *Folder) WaitFor(patience time.Duration) { f.patience = patience }

// Beside has each called after every page that is folded. It is for before the first is written.
func (f *Folder) Beside(each func()) error {
	file, _, err := f.conn.file()
	if err != nil {
		return err
	}
	methods, forget := &gathererOf(file).methods, f.forget
	before := methods.FxWrite
	write := func(tls *libc.TLS, file, content uintptr, size int32, at int64) int32 {
		code := method[transferMethod](before)(tls, file, content, size, at)
		each()
		return code
	}
	methods.FxWrite = address(write)
	f.forget = func() {
		methods.FxWrite = before
		runtime.KeepAlive(write) // of which the engine has but the address
		forget()
	}
	return nil
}
