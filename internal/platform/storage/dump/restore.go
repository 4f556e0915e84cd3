package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// A batch of rows is written when it has so many rows or bytes of lines.
const (
	batchRows  = 128
	batchBytes = 1 << 20
)

// Begin notes in db, migrated or not, that a restore into it begins: until one has ended,
// nobody may take what is in it for an installation. It refuses a database that has rows. What
// is wrong with the file Verify and Suits say before, so that nothing is left of such a one.
func Begin(ctx context.Context, db *storage.DB) error {
	return db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		tables, err := storage.Tables(ctx, tx)
		if err != nil {
			return err
		}
		if err := areEmpty(ctx, tx, tables); err != nil {
			return err
		}
		return tx.BeginRestore(ctx)
	})
}

// Restore fills db, which must be migrated and empty, from the backup at path and returns
// its manifest. The whole file is verified before the first write. All rows go in by one
// transaction, which also reads them back and compares their hashes with the manifest's
// before it commits: whatever happens, the database is complete or still empty, and what
// Begin noted is taken back only where it is complete. That
// takes, for a while, about twice the space. Servers must not run on db meanwhile.
func Restore(ctx context.Context, db *storage.DB, path string, o Options) (Manifest, error) {
	var manifest Manifest
	err := withFile(path, func(f *source) error {
		var err error
		manifest, err = restore(ctx, db, f, &o)
		return err
	})
	if err != nil {
		return Manifest{}, fmt.Errorf("restore %s: %w", path, err)
	}
	return manifest, nil
}

func restore(ctx context.Context, db *storage.DB, from *source, o *Options) (Manifest, error) {
	// A full database is told before the file is read, and again under the locks.
	if _, err := emptyTables(ctx, db); err != nil {
		return Manifest{}, err
	}
	manifest, err := from.verify(ctx, o)
	if err != nil {
		return Manifest{}, err
	}
	return manifest, db.Write(ctx, func(inner context.Context, tx *storage.Tx) error {
		r := &restorer{from: from, options: o, manifest: &manifest, caller: ctx, tx: tx}
		return r.run(inner)
	})
}

// emptyTables returns the tables of a database, all of them empty.
func emptyTables(ctx context.Context, q storage.Queryer) ([]storage.Table, error) {
	tables, err := storage.Tables(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(tables) == 0 {
		return nil, errors.New("the database has no tables: migrate it first")
	}
	return tables, areEmpty(ctx, q, tables)
}

func areEmpty(ctx context.Context, q storage.Queryer, tables []storage.Table) error {
	for i := range tables {
		empty, err := tables[i].IsEmpty(ctx, q)
		if err != nil {
			return err
		}
		if !empty {
			return fmt.Errorf("the database is not empty, table %s has rows: restore into a new one", tables[i].Name)
		}
	}
	return nil
}

// restorer writes one backup within one transaction.
type restorer struct {
	from     *source
	options  *Options
	manifest *Manifest
	caller   context.Context // the writer's own context outlives the caller's
	tx       *storage.Tx
	tables   []storage.Table
	progress Progress

	batch [][]any
	bytes int
}

func (r *restorer) run(ctx context.Context) error {
	var err error
	if r.tables, err = storage.Tables(ctx, r.tx); err != nil {
		return err
	}
	if err := r.tx.LockTables(ctx, r.tables); err != nil {
		return err
	}
	if _, err := emptyTables(ctx, r.tx); err != nil {
		return err
	}
	if err := r.compareSchema(ctx); err != nil {
		return err
	}
	r.progress = Progress{Phase: Writing, Of: len(r.tables)}
	if _, err := r.from.each(r.caller, func(c chunk) error { return r.insert(ctx, c) }); err != nil {
		return err
	}
	if check := r.options.Check; check != nil {
		if err := check(ctx, r.tx); err != nil {
			return err
		}
	}
	r.progress = Progress{Phase: Verifying, Of: len(r.tables)}
	for i := range r.tables {
		if err := r.readBack(ctx, i); err != nil {
			return err
		}
	}
	if also := r.options.Also; also != nil {
		if err := also(ctx, r.tx); err != nil {
			return err
		}
	}
	if err := r.tx.EndRestore(ctx); err != nil {
		return err
	}
	return r.caller.Err()
}

func (r *restorer) compareSchema(ctx context.Context) error {
	applied, err := storage.AppliedMigrations(ctx, r.tx)
	if err != nil {
		return err
	}
	if err := fits(r.manifest.Migrations, describeSchema(applied)); err != nil {
		return err
	}
	if len(r.manifest.Tables) != len(r.tables) {
		return fmt.Errorf("the backup has %d tables, the database %d", len(r.manifest.Tables), len(r.tables))
	}
	for i := range r.tables {
		if said, have := r.manifest.Tables[i], describe(&r.tables[i]); !sameColumns(said, have) {
			return fmt.Errorf("table %s of the database is not table %s of the backup, or has other columns", have.Name, said.Name)
		}
	}
	return nil
}

// insert writes a chunk's rows. The tables come in the backup's order, parents first.
func (r *restorer) insert(ctx context.Context, c chunk) error {
	for r.tables[r.progress.Tables].Name != c.table {
		if r.progress.Tables++; r.progress.Tables == len(r.tables) {
			return fmt.Errorf("table %s: the manifest does not name it, or not in its place", c.table)
		}
	}
	t := &r.tables[r.progress.Tables]
	for rest := c.lines; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		row, err := parseRow(rest[:end])
		if err != nil {
			return err
		}
		if err := checkTypes(row, t); err != nil {
			return err
		}
		r.batch = append(r.batch, row)
		r.bytes += end
		rest = rest[end+1:]
		if len(r.batch) == batchRows || r.bytes >= batchBytes || len(rest) == 0 {
			if err := r.flush(ctx, t); err != nil {
				return err
			}
		}
	}
	r.progress.Table = t.Name
	r.options.report(r.progress)
	return nil
}

func checkTypes(row []any, t *storage.Table) error {
	if len(row) != len(t.Columns) {
		return fmt.Errorf("a row has %d columns, the table %d", len(row), len(t.Columns))
	}
	for i, value := range row {
		if !isOf(value, t.Columns[i].Type) {
			return fmt.Errorf("a row's %s is not %s", t.Columns[i].Name, t.Columns[i].Type)
		}
	}
	return nil
}

func (r *restorer) flush(ctx context.Context, t *storage.Table) error {
	if err := r.caller.Err(); err != nil {
		return err
	}
	if err := t.Insert(ctx, r.tx, r.batch); err != nil {
		return err
	}
	r.progress.Rows += int64(len(r.batch))
	clear(r.batch)
	r.batch, r.bytes = r.batch[:0], 0
	return nil
}

// readBack compares what the database now holds with what the backup says.
func (r *restorer) readBack(ctx context.Context, i int) error {
	t, said := &r.tables[i], &r.manifest.Tables[i]
	r.progress.Table, r.progress.Tables = t.Name, i
	r.options.report(r.progress)
	lines := newStream()
	err := t.Each(ctx, r.tx, func(row []any) error {
		r.progress.Rows++
		if err := lines.add(row); err != nil || len(lines.lines) < chunkBytes {
			return err
		}
		lines.clear()
		r.options.report(r.progress)
		return r.caller.Err()
	})
	if err != nil {
		return err
	}
	if rows, sum := lines.end(); rows != said.Rows || sum != said.SHA256 {
		return fmt.Errorf("table %s holds %d rows of %.12s…, not the backup's %d of %.12s…: nothing was kept", t.Name, rows, sum, said.Rows, said.SHA256)
	}
	return nil
}
