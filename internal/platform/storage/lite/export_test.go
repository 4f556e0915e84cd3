package lite

import (
	"time"

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
