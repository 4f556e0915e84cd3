package storage

import "context"

// Compile is compile for tests.
func (db *DB) Compile(ctx context.Context, text string) error { return db.compile(ctx, text) }

// ExecText runs a text for tests.
func (tx *Tx) ExecText(ctx context.Context, text string) error {
	_, err := tx.conn.exec(ctx, call{text: text})
	return err
}
