package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Statements returns the text of every registered statement by its name, in
// PostgreSQL's words and for one row where it takes rows. It is for tests.
func Statements() map[string]string { return texts(postgres) }

func texts(d dialect) map[string]string {
	registry.Lock()
	defer registry.Unlock()
	all := make(map[string]string, len(registry.names))
	for name, text := range registry.names {
		all[name] = text(d)
	}
	return all
}

// PrepareAll asks the engine to compile every registered statement of the program
// and returns what it refused. It runs none of them. Tests call it on both engines.
func PrepareAll(ctx context.Context, db *DB) error {
	all := texts(db.dialect)
	var refused []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := db.compile(ctx, all[name]); err != nil {
			refused = append(refused, fmt.Errorf("%s on %s: %w", name, db.Engine(), err))
		}
	}
	return errors.Join(refused...)
}

// compile has the engine read one text. What follows a first statement, and an empty
// text, SQLite would look at only when it runs: neither is let through.
func (db *DB) compile(ctx context.Context, text string) error {
	if strings.TrimSpace(text) == "" || strings.Contains(text, ";") {
		return errors.New("a text must be one statement, without a semicolon")
	}
	return db.reader.compile(ctx, text)
}
