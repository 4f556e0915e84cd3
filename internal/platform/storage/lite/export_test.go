package lite

import engine "modernc.org/sqlite/lib"

// Reprepared returns how often the engine prepared a text again.
func (c *Conn) Reprepared(text string) (int32, error) {
	s, err := c.statement(text)
	if err != nil {
		return 0, err
	}
	return engine.Xsqlite3_stmt_status(c.tls, s.handle, engine.SQLITE_STMTSTATUS_REPREPARE, 0), nil
}
