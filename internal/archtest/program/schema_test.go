package program

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/archtest/schema"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

const migrations = "../../platform/storage/migrations/*.sql"

// readSchema reads the tables as the migrations' text has them.
func readSchema(t *testing.T) *schema.Schema {
	t.Helper()
	files, err := filepath.Glob(migrations)
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations in %s: %v", migrations, err)
	}
	var all schema.Schema
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := all.Add(string(text)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return &all
}

var columnTypes = map[string]storage.ColumnType{"TEXT": storage.TextColumn, "BIGINT": storage.IntegerColumn, "BYTEA": storage.BytesColumn}

// described is a table with what both the text and the catalogue say of it.
type described struct {
	Name    string
	Columns []storage.Column
}

// The rules over the text of the migrations judge what the engines have: the same
// tables with the same columns.
func TestCatalogueIsWhatMigrationsSay(t *testing.T) {
	var want []described
	for _, table := range readSchema(t).Tables {
		d := described{Name: table.Name}
		for _, c := range table.Columns {
			d.Columns = append(d.Columns, storage.Column{Name: c.Name, Type: columnTypes[c.Type]})
		}
		want = append(want, d)
	}
	byName := func(a, b described) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(want, byName)
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		tables, err := storage.Tables(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		var got []described
		for _, table := range tables {
			got = append(got, described{table.Name, table.Columns})
		}
		slices.SortFunc(got, byName)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("catalogue (-migrations +engine):\n%s", diff)
		}
	})
}
