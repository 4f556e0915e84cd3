package archtest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/archtest/schema"
)

const migrations = "internal/platform/storage/migrations"

var schemaRules = []rule{
	{
		name: "schema-owner", about: "primary and unique keys of customers' data begin or end with the book or the customer, and foreign keys begin with it; look-up and reference tables are listed with a reason",
		check: checkOwners,
		bad: []string{
			migration("CREATE TABLE a (\n\tid TEXT NOT NULL PRIMARY KEY,\n\tbook_id TEXT NOT NULL\n);"),
			migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL,\n\taccount_id TEXT NOT NULL,\n\tid TEXT NOT NULL,\n\tPRIMARY KEY (id, account_id)\n);"),
			migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL,\n\tid TEXT NOT NULL,\n\tn BIGINT NOT NULL,\n\tPRIMARY KEY (id, book_id, n)\n);"),
			migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL PRIMARY KEY,\n\tid TEXT NOT NULL UNIQUE\n);"),
			migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL PRIMARY KEY,\n\tid TEXT,\n\tn BIGINT\n);\nCREATE UNIQUE INDEX i ON a (id, book_id, n) WHERE id IS NOT NULL;"),
			migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL PRIMARY KEY,\n\tid TEXT NOT NULL REFERENCES b (id)\n);"),
			migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL PRIMARY KEY,\n\tid TEXT,\n\tFOREIGN KEY (book_id, id) REFERENCES b (id, book_id)\n);"),
		},
		good: []string{
			migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL,\n\tid TEXT NOT NULL,\n\tPRIMARY KEY (book_id, id),\n\tFOREIGN KEY (book_id, id) REFERENCES b (book_id, id)\n);\n" +
				"CREATE UNIQUE INDEX i ON a (book_id, id);\nCREATE INDEX j ON a (id);"),
			migration("CREATE TABLE a (\n\taccount_id TEXT NOT NULL PRIMARY KEY\n);"),
			migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL,\n\tid TEXT NOT NULL,\n\tcode TEXT,\n\tPRIMARY KEY (id, book_id)\n);\nCREATE UNIQUE INDEX i ON a (code, book_id);"),
		},
	},
	{
		name: "schema-key", about: "every table has a primary key, whose columns are never NULL",
		check: checkKeys,
		bad: []string{
			migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL\n);"),
			migration("CREATE TABLE a (\n\tbook_id TEXT PRIMARY KEY\n);"),
			migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL,\n\tPRIMARY KEY (book_id, id)\n);"),
		},
		good: []string{migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL,\n\tid BYTEA NOT NULL,\n\tPRIMARY KEY (book_id, id)\n);")},
	},
	{
		name: "schema-column", about: "columns are TEXT, BIGINT or BYTEA; money is *_minor with a currency beside it, times are BIGINT and end in _at, _until or _since, states have a CHECK",
		check: checkColumns,
		bad: []string{
			column("n INTEGER"), column("n NUMERIC"), column("n TEXT[]"), column("at_once BOOLEAN"), column("n SMALLINT"),
			column("fee_minor TEXT,\n\tcurrency TEXT NOT NULL"), column("fee_minor BIGINT"), column("fee_minor BIGINT,\n\tcurrency BIGINT"),
			column("amount BIGINT,\n\tcurrency TEXT NOT NULL"), column("balance BIGINT,\n\tcurrency TEXT NOT NULL"),
			column("made_at TEXT"), column("until TEXT"), column("created BIGINT NOT NULL"), column("expires BIGINT"),
			column("state TEXT NOT NULL"), column("side TEXT NOT NULL CHECK (length(book_id) > 0)"), column("ended_as TEXT"),
		},
		good: []string{
			column("fee_minor BIGINT NOT NULL,\n\tcurrency TEXT NOT NULL"), column("made_at BIGINT,\n\tfailing_since BIGINT,\n\tpaused_until BIGINT"),
			column("state TEXT NOT NULL CHECK (state IN ('open'))"), column("status TEXT,\n\tCHECK (status IN ('open') OR status IS NULL)"),
			column("secret BYTEA,\n\tname TEXT,\n\tamount_text TEXT,\n\tentries BIGINT"),
		},
	},
	{
		name: "schema-word", about: "a migration says what both engines understand: no defaults, sequences, booleans, arrays, JSON or clocks of the database",
		check: checkSchemaWords,
		bad: []string{
			column("n BIGINT DEFAULT 0"), column("n BIGSERIAL"), column("n BIGINT GENERATED ALWAYS AS IDENTITY"), column("n JSONB"), column("b boolean"),
			column("t TIMESTAMPTZ"), column("n BIGINT CHECK (n < now())"), column("x TEXT COLLATE \"C\""), migration("CREATE TABLE a (b TEXT);"), migration("DROP TABLE a;"),
		},
		good: []string{"-- " + migrations + "/0001_a.sql --\n-- No DEFAULT here: json and booleans neither.\n", column("note TEXT NOT NULL CHECK (note <> 'default')")},
	},
}

// migration is a fixture with one migration.
func migration(text string) string { return "-- " + migrations + "/0001_a.sql --\n" + text + "\n" }

// column is a fixture with a table of one more column.
func column(text string) string {
	return migration("CREATE TABLE a (\n\tbook_id TEXT NOT NULL PRIMARY KEY,\n\t" + text + "\n);")
}

// storedTable is a table with where it stands.
type storedTable struct {
	*schema.Table
	file string
}

func (t storedTable) at() string { return t.file + ":" + itoa(t.Line) }

// readSchema reads all migrations in order. What it does not understand is a finding
// of schema-word.
func readSchema(s *source) (tables []storedTable, unread []finding) {
	var all schema.Schema
	for _, name := range s.names() {
		if path.Dir(name) != migrations || path.Ext(name) != ".sql" {
			continue
		}
		before := len(all.Tables)
		if err := all.Add(s.files[name]); err != nil {
			unread = append(unread, finding{key: path.Base(name), at: name, text: err.Error()})
		}
		for _, t := range all.Tables[before:] {
			tables = append(tables, storedTable{t, name})
		}
	}
	return tables, unread
}

func checkOwners(s *source) []finding {
	var found []finding
	tables, _ := readSchema(s)
	for _, t := range tables {
		owner := t.Owner()
		if owner == "" {
			found = append(found, finding{key: t.Name, at: t.at(), text: "table " + t.Name + " is keyed by (" + strings.Join(t.Key, ", ") + "), neither first nor last by book_id or account_id"})
			continue
		}
		for _, u := range t.Uniques {
			if !schema.Ends(u.Columns, owner) {
				found = append(found, finding{key: t.Name + "(" + strings.Join(u.Columns, ",") + ")", at: t.at(),
					text: fmt.Sprintf("table %s: what is unique, (%s), neither begins nor ends with %s", t.Name, strings.Join(u.Columns, ", "), owner)})
			}
		}
		for _, f := range t.Foreign {
			if f.Columns[0] != owner || f.Named[0] != owner {
				found = append(found, finding{key: t.Name + ">" + f.Parent, at: t.at(),
					text: fmt.Sprintf("table %s: the foreign key to %s does not begin with %s on both sides", t.Name, f.Parent, owner)})
			}
		}
	}
	return found
}

func checkKeys(s *source) []finding {
	var found []finding
	tables, _ := readSchema(s)
	for _, t := range tables {
		if len(t.Key) == 0 {
			found = append(found, finding{key: t.Name, at: t.at(), text: "table " + t.Name + " has no primary key"})
		}
		for _, name := range t.Key {
			if c := t.Column(name); c == nil || !c.NotNull {
				found = append(found, finding{key: t.Name + "." + name, at: t.at(), text: "table " + t.Name + ": key column " + name + " is missing, or may be NULL"})
			}
		}
	}
	return found
}

var (
	timeName  = regexp.MustCompile(`(^|_)(at|until|since)$`)
	badTime   = regexp.MustCompile(`^(created|updated|changed|expires|expiry|expired|ended|deleted|time|timestamp|date)$|_(time|timestamp|date)$`)
	moneyName = regexp.MustCompile(`_minor$`)
	badMoney  = regexp.MustCompile(`^(amount|balance|fee|price|total|cost)$|_(amount|balance|fee|price|total|cost)$`)
	stateName = regexp.MustCompile(`^(state|status|side|realm|role)$|_(state|status|as)$`)
)

func checkColumns(s *source) []finding {
	var found []finding
	tables, _ := readSchema(s)
	for _, t := range tables {
		for _, c := range t.Columns {
			if reason := badColumn(t.Table, c); reason != "" {
				found = append(found, finding{key: t.Name + "." + c.Name, at: t.at(), text: "table " + t.Name + ": column " + c.Name + " " + reason})
			}
		}
	}
	return found
}

func badColumn(t *schema.Table, c schema.Column) string {
	currency := t.Column("currency")
	switch {
	case !slices.Contains([]string{"TEXT", "BIGINT", "BYTEA"}, c.Type):
		return "is " + c.Type + ", not TEXT, BIGINT or BYTEA"
	case moneyName.MatchString(c.Name) && c.Type != "BIGINT":
		return "counts minor units and is no BIGINT"
	case moneyName.MatchString(c.Name) && (currency == nil || currency.Type != "TEXT"):
		return "has no currency beside it"
	case badMoney.MatchString(c.Name) && c.Type == "BIGINT":
		return "looks like money: its name should end in _minor"
	case timeName.MatchString(c.Name) && c.Type != "BIGINT":
		return "is a time and no BIGINT"
	case badTime.MatchString(c.Name):
		return "looks like a time: its name should end in _at"
	case stateName.MatchString(c.Name) && c.Type == "TEXT" && !t.Checked(c.Name):
		return "is a state without a CHECK"
	}
	return ""
}

var (
	sqlComment = regexp.MustCompile(`--[^\n]*`)
	sqlText    = regexp.MustCompile(`'[^']*'`)
	sqlWord    = regexp.MustCompile(`(?i)\b(DEFAULT|\w*SERIAL|IDENTITY|GENERATED|AUTOINCREMENT|SEQUENCE|NEXTVAL|BOOL(EAN)?|JSONB?|ARRAY|ENUM|TIMESTAMP\w*|DATE|TIME|INTERVAL|NUMERIC|DECIMAL|REAL|DOUBLE|FLOAT\w*|UUID|VARCHAR|CHAR|NOW|CURRENT_\w+|COLLATE|TRIGGER|FUNCTION|CASCADE)\b|\[`)
)

func checkSchemaWords(s *source) []finding {
	_, found := readSchema(s)
	for _, name := range s.names() {
		if path.Dir(name) != migrations || path.Ext(name) != ".sql" {
			continue
		}
		number := 0
		for line := range strings.Lines(s.files[name]) {
			number++
			code := sqlText.ReplaceAllString(sqlComment.ReplaceAllString(line, ""), "''")
			if word := sqlWord.FindString(code); word != "" {
				found = append(found, finding{key: path.Base(name) + ":" + strings.ToLower(word), at: name + ":" + itoa(number), text: word + " is not what both engines understand"})
			}
		}
	}
	return found
}
