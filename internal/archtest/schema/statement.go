package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Mentioned returns the names of the tables that a statement is about, sorted.
func (s *Schema) Mentioned(text string) []string {
	mentions, _ := s.mentions(plain(text))
	var tables []string
	for _, m := range mentions {
		tables = append(tables, m.table.Name)
	}
	slices.Sort(tables)
	return slices.Compact(tables)
}

// plain is a statement on one line, without what its texts say.
func plain(text string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(quoted.ReplaceAllString(text, "''"), " "))
}

// mention is one place where a statement names a table.
type mention struct {
	table *Table
	verb  string // FROM, JOIN, UPDATE or INTO
	alias string // the name by which the statement calls it
	rest  string // what follows
}

var (
	quoted    = regexp.MustCompile(`'[^']*'`)
	spaces    = regexp.MustCompile(`\s+`)
	tableUse  = regexp.MustCompile(`\b(FROM|JOIN|UPDATE|INTO) (\w+)(?: (?:AS )?([a-z]\w*))?`)
	tableWord = regexp.MustCompile(`\b\w+\b`)
	insertion = regexp.MustCompile(`^ ?\(([^)]*)\)`)
	equality  = regexp.MustCompile(`(?:(\w+)\.)?(\w+) = (?:(\w+)\.)?([$'\w]+)`)
	selection = regexp.MustCompile(`(?:(\w+)\.)?(\w+) IN \((\$|VALUES)`)
	rowSelect = regexp.MustCompile(`\(((?:\w+\.)?\w+)(?:, (?:\w+\.)?\w+)*\) IN \((\$|VALUES)`)
)

// Strays says where a statement reaches rows of customers' data without naming whose
// they are. Every table with an owner must have its owner column among the inserted
// columns, equal to a parameter or to a given row, or equal to that of a table for which
// the same holds; a look-up, whose key is the secret, counts as one.
func (s *Schema) Strays(text string) []string {
	text = plain(text)
	mentions, problems := s.mentions(text)
	named := map[string]bool{}
	for _, m := range mentions {
		owner := m.table.Owner()
		named[m.alias] = owner == "" || (m.verb == "INTO" && inserts(m.rest, owner)) || given(text, m, owner, len(mentions) == 1)
	}
	// What equals a named owner is named too: as often as there are tables to follow.
	for range mentions {
		for _, e := range equality.FindAllStringSubmatch(text, -1) {
			if slices.Contains(Owners(), e[2]) && e[2] == e[4] && (named[e[1]] || named[e[3]]) {
				named[e[1]], named[e[3]] = true, true
			}
		}
	}
	for _, m := range mentions {
		if !named[m.alias] {
			problems = append(problems, fmt.Sprintf("%s %s without its %s", m.verb, m.table.Name, m.table.Owner()))
		}
	}
	return problems
}

// mentions finds the tables of a statement. A table that stands where it is not
// looked for is a problem: nothing may escape.
func (s *Schema) mentions(text string) (mentions []mention, problems []string) {
	found := map[int]bool{}
	for _, at := range tableUse.FindAllStringSubmatchIndex(text, -1) {
		table := s.Table(text[at[4]:at[5]])
		if table == nil {
			continue
		}
		found[at[4]] = true
		m := mention{table: table, verb: text[at[2]:at[3]], alias: table.Name, rest: text[at[5]:]}
		if at[6] >= 0 {
			m.alias = text[at[6]:at[7]]
		}
		mentions = append(mentions, m)
	}
	for _, at := range tableWord.FindAllStringIndex(text, -1) {
		qualifies := at[1] < len(text) && text[at[1]] == '.'
		if s.Table(text[at[0]:at[1]]) != nil && !found[at[0]] && !qualifies {
			problems = append(problems, "names "+text[at[0]:at[1]]+" after none of FROM, JOIN, UPDATE and INTO")
		}
	}
	return mentions, problems
}

// inserts says whether the columns that follow INTO have the owner.
func inserts(rest, owner string) bool {
	columns := insertion.FindStringSubmatch(rest)
	return columns != nil && slices.Contains(strings.Split(columns[1], ", "), owner)
}

// values is what statements call the rows that the caller gives.
const values = "v"

// given says whether a condition compares the owner column of a mention with a text,
// a parameter or rows that the caller gives. alone: it is the only table, so its
// columns need no alias.
func given(text string, m mention, owner string, alone bool) bool {
	is := func(alias, column string) bool {
		return column == owner && (alias == m.alias || (alias == "" && alone))
	}
	for _, e := range equality.FindAllStringSubmatch(text, -1) {
		if is(e[1], e[2]) && (e[3] == values || strings.HasPrefix(e[4], "$") || strings.HasPrefix(e[4], "'")) {
			return true
		}
	}
	for _, in := range selection.FindAllStringSubmatch(text, -1) {
		if is(in[1], in[2]) {
			return true
		}
	}
	for _, in := range rowSelect.FindAllStringSubmatch(text, -1) {
		alias, column, qualified := strings.Cut(in[1], ".")
		if !qualified {
			alias, column = "", in[1]
		}
		if is(alias, column) {
			return true
		}
	}
	return false
}
