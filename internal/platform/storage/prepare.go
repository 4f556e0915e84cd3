package storage

import (
	"context"
	"errors"
	"fmt"
)

// PrepareAll asks the engine to prepare every registered statement of the program
// and returns what it refused. Tests run it on both engines.
func PrepareAll(ctx context.Context, db *DB) error {
	registry.Lock()
	defer registry.Unlock()
	var refused []error
	for name, text := range registry.names {
		stmt, err := db.readers.PrepareContext(ctx, text(db.dialect))
		if err != nil {
			refused = append(refused, fmt.Errorf("%s on %s: %w", name, db.Engine(), err))
			continue
		}
		refused = append(refused, stmt.Close())
	}
	return errors.Join(refused...)
}
