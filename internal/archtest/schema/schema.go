// Package schema reads migrations as text: which tables there are, with which
// columns, keys and checks. It also reads statements, as far as it takes to tell
// whether they say whose rows they are about. It is for the architecture's tests only.
//
// It knows the few forms that migrations may have and refuses everything else, so
// that nothing escapes the rules because it was not understood. It must never be
// imported by the program.
package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Table is one table with what hangs on it.
type Table struct {
	Name    string
	Line    int // of its CREATE TABLE
	Columns []Column
	Key     []string // the primary key's columns
	Uniques []Index
	Foreign []Foreign
	Indexes []Index // those that are not unique
	Checks  []string
}

// Column is one column.
type Column struct {
	Name    string
	Type    string
	NotNull bool
	// Rest is what follows the type: NOT NULL, CHECK (…) and so on.
	Rest string
}

// Index is an index, or a UNIQUE constraint without a name.
type Index struct {
	Name    string
	Columns []string
}

// Foreign is a foreign key.
type Foreign struct {
	Columns []string
	Parent  string
	Named   []string // the parent's columns
}

// Column returns the column of that name, nil when there is none.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// Owners are the columns that say whose a row is, the book's before the customer's.
func Owners() []string { return []string{"book_id", "account_id"} }

// Owner returns the column that says whose a row of t is: the first of its primary
// key, or the last, if that is one of Owners; empty otherwise.
func (t *Table) Owner() string {
	for _, owner := range Owners() {
		if Ends(t.Key, owner) && (owner == "book_id" || t.Column("book_id") == nil) {
			return owner
		}
	}
	return ""
}

// Ends reports whether a key begins or ends with a column.
func Ends(key []string, column string) bool {
	return len(key) > 0 && (key[0] == column || key[len(key)-1] == column)
}

// Checked reports whether a CHECK names the column.
func (t *Table) Checked(column string) bool {
	word := regexp.MustCompile(`\b` + regexp.QuoteMeta(column) + `\b`)
	for _, check := range t.Checks {
		if word.MatchString(check) {
			return true
		}
	}
	return false
}

var (
	createTable = regexp.MustCompile(`(?s)^CREATE TABLE (\w+) \(\n(.*)\n\)(?: \{heap\})?$`)
	createIndex = regexp.MustCompile(`(?s)^CREATE (UNIQUE )?INDEX (\w+) ON (\w+) \(([^)]*)\)(?: WHERE .*)?$`)
	addColumn   = regexp.MustCompile(`(?s)^ALTER TABLE (\w+) ADD COLUMN (.*)$`)
	columnForm  = regexp.MustCompile(`(?s)^(\w+) (\w+(?:\s*\[\])?)\s*(.*)$`)
	tableKey    = regexp.MustCompile(`^PRIMARY KEY \(([^)]*)\)$`)
	tableUnique = regexp.MustCompile(`^UNIQUE \(([^)]*)\)$`)
	tableCheck  = regexp.MustCompile(`(?s)^CHECK \((.*)\)$`)
	foreignKey  = regexp.MustCompile(`^FOREIGN KEY \(([^)]*)\) REFERENCES (\w+) \(([^)]*)\)$`)
	columnCheck = regexp.MustCompile(`(?s)CHECK \(.*\)`)
	reference   = regexp.MustCompile(`REFERENCES (\w+) \(([^)]*)\)`)
)

// Schema is the tables that migrations make, in order.
type Schema struct{ Tables []*Table }

// Table returns the table of that name, nil when there is none.
func (s *Schema) Table(name string) *Table {
	for _, t := range s.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Add reads one migration. Its error names the line of the first statement that it
// does not understand.
func (s *Schema) Add(text string) error {
	line := 1
	for part := range strings.SplitSeq(text, ";\n") {
		statement, first := clean(part, line)
		line += strings.Count(part, "\n") + 1
		if statement == "" {
			continue
		}
		if err := s.add(statement, first); err != nil {
			return fmt.Errorf("line %d: %w", first, err)
		}
	}
	return nil
}

// clean strips comments and returns the statement with the line on which it begins.
func clean(part string, line int) (statement string, first int) {
	var kept []string
	for text := range strings.SplitSeq(part, "\n") {
		code, _, _ := strings.Cut(text, "--")
		if strings.TrimSpace(code) != "" {
			if len(kept) == 0 {
				first = line
			}
			kept = append(kept, strings.TrimRight(code, " \t"))
		}
		line++
	}
	return strings.TrimSuffix(strings.Join(kept, "\n"), ";"), first
}

func (s *Schema) add(statement string, line int) error {
	if m := createTable.FindStringSubmatch(statement); m != nil {
		t := &Table{Name: m[1], Line: line}
		for _, part := range split(m[2]) {
			if err := t.add(part); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
		s.Tables = append(s.Tables, t)
		return nil
	}
	if m := createIndex.FindStringSubmatch(statement); m != nil {
		return s.index(m[3], Index{Name: m[2], Columns: names(m[4])}, m[1] != "")
	}
	if m := addColumn.FindStringSubmatch(statement); m != nil {
		if t := s.Table(m[1]); t != nil {
			return t.add(m[2])
		}
		return fmt.Errorf("no table %s", m[1])
	}
	first, _, _ := strings.Cut(statement, "\n")
	return fmt.Errorf("%q is none of CREATE TABLE, CREATE INDEX and ALTER TABLE … ADD COLUMN as migrations write them", first)
}

func (s *Schema) index(table string, i Index, unique bool) error {
	t := s.Table(table)
	if t == nil {
		return fmt.Errorf("index %s: no table %s", i.Name, table)
	}
	if unique {
		t.Uniques = append(t.Uniques, i)
	} else {
		t.Indexes = append(t.Indexes, i)
	}
	return nil
}

// add takes one column or constraint of a table.
func (t *Table) add(part string) error {
	if m := tableKey.FindStringSubmatch(part); m != nil {
		t.Key = names(m[1])
		return nil
	}
	if m := tableUnique.FindStringSubmatch(part); m != nil {
		t.Uniques = append(t.Uniques, Index{Columns: names(m[1])})
		return nil
	}
	if m := foreignKey.FindStringSubmatch(part); m != nil {
		t.Foreign = append(t.Foreign, Foreign{Columns: names(m[1]), Parent: m[2], Named: names(m[3])})
		return nil
	}
	if m := tableCheck.FindStringSubmatch(part); m != nil {
		t.Checks = append(t.Checks, m[1])
		return nil
	}
	m := columnForm.FindStringSubmatch(part)
	if m == nil || slices.Contains([]string{"CONSTRAINT", "EXCLUDE", "LIKE", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK"}, m[1]) {
		return fmt.Errorf("%q is neither a column nor a constraint as migrations write them", part)
	}
	t.column(m[1], m[2], m[3])
	return nil
}

// column takes a column with the constraints that are written beside it.
func (t *Table) column(name, kind, rest string) {
	t.Columns = append(t.Columns, Column{Name: name, Type: kind, Rest: rest, NotNull: strings.Contains(rest, "NOT NULL")})
	if check := columnCheck.FindString(rest); check != "" {
		t.Checks = append(t.Checks, check)
	}
	outside := columnCheck.ReplaceAllString(rest, "")
	if strings.Contains(outside, "PRIMARY KEY") {
		t.Key = []string{name}
	}
	if strings.Contains(outside, "UNIQUE") {
		t.Uniques = append(t.Uniques, Index{Columns: []string{name}})
	}
	if m := reference.FindStringSubmatch(outside); m != nil {
		t.Foreign = append(t.Foreign, Foreign{Columns: []string{name}, Parent: m[1], Named: names(m[2])})
	}
}

// split cuts the inside of a CREATE TABLE at the commas outside of parentheses.
func split(text string) []string {
	var parts []string
	depth, begin := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(text[begin:i]))
				begin = i + 1
			}
		}
	}
	return append(parts, strings.TrimSpace(text[begin:]))
}

func names(list string) []string {
	var all []string
	for name := range strings.SplitSeq(list, ",") {
		all = append(all, strings.TrimSpace(name))
	}
	return all
}
