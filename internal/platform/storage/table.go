package storage

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// ColumnType is what a column holds. The schema knows no other types.
type ColumnType string

// The column types.
const (
	TextColumn    ColumnType = "text"
	IntegerColumn ColumnType = "integer"
	BytesColumn   ColumnType = "bytes"
)

// Column is one column of a table.
type Column struct {
	Name string
	Type ColumnType
}

// Table is one table as the engine's catalogue describes it. It is for what treats
// all tables alike, a backup; products read their tables with their own statements.
type Table struct {
	Name    string
	Columns []Column // as they were defined
	key     []string
	parents []string // other tables that its foreign keys name
	insert  *Bulk
}

// columnTypes are the catalogues' names for the types that migrations may use.
var columnTypes = map[string]ColumnType{
	"TEXT": TextColumn, "INTEGER": IntegerColumn, "BLOB": BytesColumn,
	"text": TextColumn, "smallint": IntegerColumn, "integer": IntegerColumn, "bigint": IntegerColumn, "bytea": BytesColumn,
}

// ownSchema is the schema of PostgreSQL in which tables are made. Its name is compared, and not read as SQL.
const ownSchema = `(SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema())`

// catalogue holds, by dialect, a query for (table, column, type, place in the key) and one for (table, parent).
var catalogue = [2]struct{ columns, parents string }{
	sqlite: {
		`SELECT m.name, c.name, c.type, c.pk FROM sqlite_schema m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY m.name, c.cid`,
		`SELECT DISTINCT m.name, f."table" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY 1, 2`,
	},
	postgres: {
		`SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL), COALESCE(array_position(p.conkey, a.attnum), 0)
		FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_catalog.pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'
		WHERE c.relnamespace = ` + ownSchema + ` AND c.relkind IN ('r', 'p')
		ORDER BY c.relname::text COLLATE "C", a.attnum`,
		`SELECT DISTINCT c.relname::text, r.relname::text FROM pg_catalog.pg_constraint f
		JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_class r ON r.oid = f.confrelid
		WHERE f.contype = 'f' AND c.relnamespace = ` + ownSchema + ` ORDER BY 1, 2`,
	},
}

// Tables returns every table but the history of migrations and the mark of a restore, each after those that its
// foreign keys name, otherwise by name. It refuses a table without a key, a type
// outside the schema's three, and foreign keys that go round in a circle.
func Tables(ctx context.Context, q Queryer) ([]Table, error) {
	found, err := readColumns(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := readParents(ctx, q, found); err != nil {
		return nil, err
	}
	for i := range found {
		t := &found[i]
		if len(t.key) == 0 || slices.Contains(t.key, "") {
			return nil, fmt.Errorf("table %s has no primary key", t.Name)
		}
		t.insert = t.newInsert()
	}
	return sortTables(found)
}

// eachText runs one of the catalogue's queries, which have no name in the registry
// because each is for one engine alone.
func eachText(ctx context.Context, q Queryer, text string, fn func(Rows) error) error {
	rows, err := q.queryText(ctx, "storage.catalogue", text, nil)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(rows); err != nil {
			return err
		}
	}
	return wrap("storage.catalogue", rows.Err())
}

func readColumns(ctx context.Context, q Queryer) ([]Table, error) {
	var found []Table
	err := eachText(ctx, q, catalogue[q.engine()].columns, func(rows Rows) error {
		var table, column, typeName string
		var place int
		if err := rows.Scan(&table, &column, &typeName, &place); err != nil {
			return err
		}
		if table == "schema_migrations" || table == unfinishedName {
			return nil
		}
		if len(found) == 0 || found[len(found)-1].Name != table {
			found = append(found, Table{Name: table})
		}
		t := &found[len(found)-1]
		kind, known := columnTypes[typeName]
		if !known {
			return fmt.Errorf("table %s: column %s has type %q, want text, integer or bytes", table, column, typeName)
		}
		t.Columns = append(t.Columns, Column{Name: column, Type: kind})
		if place > 0 {
			for len(t.key) < place {
				t.key = append(t.key, "")
			}
			t.key[place-1] = column
		}
		return nil
	})
	return found, err
}

func readParents(ctx context.Context, q Queryer, tables []Table) error {
	return eachText(ctx, q, catalogue[q.engine()].parents, func(rows Rows) error {
		var child, parent string
		if err := rows.Scan(&child, &parent); err != nil {
			return err
		}
		for i := range tables {
			if tables[i].Name == child {
				tables[i].parents = append(tables[i].parents, parent)
			}
		}
		return nil
	})
}

// sortTables puts parents before children.
func sortTables(tables []Table) ([]Table, error) {
	sorted := make([]Table, 0, len(tables))
	placed := map[string]bool{}
	for len(sorted) < len(tables) {
		next := slices.IndexFunc(tables, func(t Table) bool {
			return !placed[t.Name] && !slices.ContainsFunc(t.parents, func(parent string) bool { return !placed[parent] })
		})
		if next < 0 {
			return nil, fmt.Errorf("%d tables have foreign keys that go round in a circle", len(tables)-len(sorted))
		}
		placed[tables[next].Name] = true
		sorted = append(sorted, tables[next])
	}
	return sorted, nil
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (t *Table) newInsert() *Bulk {
	b := &Bulk{name: "storage.insert_into_" + t.Name, width: len(t.Columns)}
	for d := range b.text {
		b.text[d] = "INSERT INTO " + quoteName(t.Name) + " (" + t.list() + ") {values}"
	}
	return b
}

func (t *Table) list() string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = quoteName(c.Name)
	}
	return strings.Join(names, ", ")
}

// order sorts by key, texts by their bytes on both engines.
func (t *Table) order(d dialect) string {
	terms := make([]string, len(t.key))
	for i, name := range t.key {
		terms[i] = quoteName(name)
		if d == postgres && slices.Contains(t.Columns, Column{Name: name, Type: TextColumn}) {
			terms[i] += ` COLLATE "C"`
		}
	}
	return strings.Join(terms, ", ")
}

// Each calls fn for every row, by key in the order of bytes, the same on both engines.
// Values are nil, string, int64 or []byte. fn must not keep the row, which is reused.
func (t *Table) Each(ctx context.Context, q Queryer, fn func(row []any) error) error {
	text := "SELECT " + t.list() + " FROM " + quoteName(t.Name) + " ORDER BY " + t.order(q.engine())
	targets, row := t.targets()
	return eachText(ctx, q, text, func(rows Rows) error {
		if err := rows.Scan(targets...); err != nil {
			return fmt.Errorf("read table %s: %w", t.Name, err)
		}
		for i, target := range targets {
			row[i] = valueOf(target)
		}
		return fn(row)
	})
}

// targets returns what a row is scanned into, and space for its values.
func (t *Table) targets() (targets, row []any) {
	targets = make([]any, len(t.Columns))
	for i, c := range t.Columns {
		switch c.Type {
		case TextColumn:
			targets[i] = new(sql.NullString)
		case IntegerColumn:
			targets[i] = new(sql.NullInt64)
		case BytesColumn:
			targets[i] = new(sql.Null[[]byte])
		}
	}
	return targets, make([]any, len(t.Columns))
}

func valueOf(target any) any {
	switch v := target.(type) {
	case *sql.NullString:
		if v.Valid {
			return v.String
		}
	case *sql.NullInt64:
		if v.Valid {
			return v.Int64
		}
	case *sql.Null[[]byte]:
		if v.Valid {
			return v.V
		}
	}
	return nil
}

// IsEmpty reports whether the table has no row.
func (t *Table) IsEmpty(ctx context.Context, q Queryer) (bool, error) {
	empty := true
	err := eachText(ctx, q, "SELECT 1 FROM "+quoteName(t.Name)+" LIMIT 1", func(Rows) error {
		empty = false
		return nil
	})
	return empty, err
}

// Insert adds rows, each a value per column as Each gives them.
func (t *Table) Insert(ctx context.Context, tx *Tx, rows [][]any) error {
	return tx.ExecRows(ctx, t.insert, rows)
}

// LockTables keeps every other process from writing to tables until tx ends. On SQLite a
// transaction that writes does so by itself.
func (tx *Tx) LockTables(ctx context.Context, tables []Table) error {
	if tx.dialect != postgres {
		return nil
	}
	if err := tx.waitForLocks(ctx); err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := tx.conn.exec(ctx, call{text: "LOCK TABLE " + quoteName(t.Name) + " IN SHARE ROW EXCLUSIVE MODE"}); err != nil {
			return fmt.Errorf("lock table %s: %w", t.Name, err)
		}
	}
	return nil
}

// waitForLocks has a transaction on PostgreSQL wait for locks as long as others hold them.
func (tx *Tx) waitForLocks(ctx context.Context) error {
	_, err := tx.conn.exec(ctx, call{text: "SET LOCAL " + lockTimeout + " TO 0"}, call{text: "SET LOCAL statement_timeout TO 0"})
	return err
}

// WaitBriefly has a transaction on PostgreSQL wait for a lock a little longer than others hold
// one, and no more: it is for what has waited in vain before.
func (tx *Tx) WaitBriefly(ctx context.Context) error {
	if tx.dialect != postgres {
		return nil
	}
	return tx.conn.queue(ctx, "SET LOCAL "+lockTimeout+" TO 250", nil) // milliseconds
}
