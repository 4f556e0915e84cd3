package dump

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"slices"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// A restore that was begun is told of until one has ended, also where it was refused, and where
// nothing was in the database at all; in a used one none begins.
func TestBegin(t *testing.T) {
	ctx := context.Background()
	source := testkit.Open(t, testkit.Database(t, "sqlite"))
	fill(t, source, 10)
	path, _ := backup(t, source, options())
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db, err := storage.Open(ctx, testkit.Empty(t, engine))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			if err := errors.Join(storage.Whole(ctx, db), Begin(ctx, db)); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
			told := func(when string) {
				t.Helper()
				if err := storage.Whole(ctx, db); !errors.Is(err, storage.ErrUnfinished) {
					t.Errorf("%s: %v", when, err)
				}
			}
			told("begun")
			o, refused := options(), errors.New("refused")
			o.Check = func(context.Context, storage.Queryer) error { return refused }
			if _, err := Restore(ctx, db, path, o); !errors.Is(err, refused) {
				t.Errorf("a restore that is refused: %v", err)
			}
			told("refused")
			if err := Begin(ctx, db); err != nil {
				t.Errorf("once more: %v", err)
			}
			if _, err := Restore(ctx, db, path, options()); err != nil {
				t.Error(err)
			}
			if err := Begin(ctx, db); err == nil {
				t.Error("a restore begins in a database that has rows")
			}
			if err := storage.Whole(ctx, db); err != nil {
				t.Errorf("ended: %v", err)
			}
		})
	}
}

// A schema of PostgreSQL may have a name that has to be quoted.
func TestSchemaOfAnyName(t *testing.T) {
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip("no PostgreSQL is at hand")
	}
	ctx, from, to := t.Context(), inSchema(t, "Pay-Me"), inSchema(t, "Scrip")
	path, _ := backup(t, testkit.Open(t, from), options())
	db := testkit.Open(t, to)
	if err := errors.Join(storage.Whole(ctx, db), Begin(ctx, db)); err != nil {
		t.Fatal(err)
	}
	if err := storage.Whole(ctx, db); !errors.Is(err, storage.ErrUnfinished) {
		t.Errorf("begun: %v", err)
	}
	_, err := Restore(ctx, db, path, options())
	if err := errors.Join(err, storage.Whole(ctx, db)); err != nil {
		t.Error(err)
	}
}

// inSchema returns where a database is whose tables go into a schema of their own.
func inSchema(t *testing.T, name string) storage.Config {
	t.Helper()
	config := testkit.Empty(t, "postgres")
	server, err := sql.Open("pgx", config.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = server.ExecContext(t.Context(), `CREATE SCHEMA "`+name+`"`)
	u, alsoErr := url.Parse(config.URL)
	if err := errors.Join(err, alsoErr, server.Close()); err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("search_path", `"`+name+`"`)
	u.RawQuery = query.Encode()
	config.URL = u.String()
	return config
}
