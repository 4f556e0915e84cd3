package schema

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A migration is read with its columns, keys, checks and indexes, and comments do not count.
func TestAdd(t *testing.T) {
	const migration = `-- Cards; with a semicolon;
CREATE TABLE cards ( -- the first
	book_id TEXT NOT NULL,
	card_id TEXT NOT NULL UNIQUE,
	state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
	amount_minor BIGINT,
	template_id TEXT REFERENCES templates (template_id),
	PRIMARY KEY (book_id, card_id),
	UNIQUE (book_id, amount_minor),
	FOREIGN KEY (book_id) REFERENCES books (book_id),
	CHECK (amount_minor > 0 OR state = 'closed')
);

CREATE UNIQUE INDEX cards_once ON cards (book_id, template_id) WHERE state = 'open';
CREATE INDEX cards_by_amount ON cards (amount_minor, card_id);
ALTER TABLE cards ADD COLUMN note TEXT;
`
	var got Schema
	if err := got.Add(migration); err != nil {
		t.Fatal(err)
	}
	want := Schema{Tables: []*Table{{
		Name: "cards", Line: 2, Key: []string{"book_id", "card_id"},
		Columns: []Column{
			{Name: "book_id", Type: "TEXT", NotNull: true, Rest: "NOT NULL"},
			{Name: "card_id", Type: "TEXT", NotNull: true, Rest: "NOT NULL UNIQUE"},
			{Name: "state", Type: "TEXT", NotNull: true, Rest: "NOT NULL CHECK (state IN ('open', 'closed'))"},
			{Name: "amount_minor", Type: "BIGINT"},
			{Name: "template_id", Type: "TEXT", Rest: "REFERENCES templates (template_id)"},
			{Name: "note", Type: "TEXT"},
		},
		Uniques: []Index{{Columns: []string{"card_id"}}, {Columns: []string{"book_id", "amount_minor"}},
			{Name: "cards_once", Columns: []string{"book_id", "template_id"}}},
		Foreign: []Foreign{{Columns: []string{"template_id"}, Parent: "templates", Named: []string{"template_id"}},
			{Columns: []string{"book_id"}, Parent: "books", Named: []string{"book_id"}}},
		Indexes: []Index{{Name: "cards_by_amount", Columns: []string{"amount_minor", "card_id"}}},
		Checks:  []string{"CHECK (state IN ('open', 'closed'))", "amount_minor > 0 OR state = 'closed'"},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
	cards := got.Table("cards")
	if cards.Owner() != "book_id" || !cards.Checked("state") || cards.Checked("note") || got.Table("card") != nil {
		t.Error("owner, checks or tables are told wrongly")
	}
}

// Whatever a migration says in a form that is not known is refused, with its line.
func TestAddRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"statement":  "DROP TABLE a;\n",
		"one line":   "CREATE TABLE a (b TEXT);\n",
		"options":    "CREATE TABLE a (\n\tb TEXT\n) STRICT;\n",
		"constraint": "CREATE TABLE a (\n\tCONSTRAINT c CHECK (TRUE)\n);\n",
		"expression": "CREATE TABLE a (\n\tb TEXT\n);\nCREATE INDEX i ON a (lower(b));\n",
		"no table":   "CREATE INDEX i ON a (b);\n",
		"no column":  "ALTER TABLE a ADD COLUMN b TEXT;\n",
	} {
		t.Run(name, func(t *testing.T) {
			if err := new(Schema).Add("\n" + text); err == nil || !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("Add: %v, want an error with a line", err)
			}
		})
	}
}
