package storage

import "context"

// Compile is compile for tests.
func (db *DB) Compile(ctx context.Context, text string) error { return db.compile(ctx, text) }
