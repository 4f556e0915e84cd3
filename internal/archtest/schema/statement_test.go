package schema

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shop is a schema with books, their cards and holds, a look-up and a reference table.
const shop = `CREATE TABLE books (
	book_id TEXT NOT NULL PRIMARY KEY,
	realm TEXT NOT NULL
);
CREATE TABLE cards (
	book_id TEXT NOT NULL,
	card_id TEXT NOT NULL,
	used_at BIGINT,
	PRIMARY KEY (book_id, card_id)
);
CREATE TABLE customers (
	account_id TEXT NOT NULL PRIMARY KEY
);
CREATE TABLE hashes (
	hash BYTEA NOT NULL PRIMARY KEY,
	book_id TEXT NOT NULL
);
`

func newShop(t *testing.T) *Schema {
	t.Helper()
	var s Schema
	if err := s.Add(shop); err != nil {
		t.Fatal(err)
	}
	return &s
}

// A statement that says whose rows it is about passes, in every form that statements have.
func TestStraysNot(t *testing.T) {
	s := newShop(t)
	for _, text := range []string{
		"SELECT card_id FROM cards WHERE book_id = $1 AND card_id = $2",
		"SELECT c.card_id FROM cards c\n\tWHERE c.card_id > $2 AND c.book_id = $1 ORDER BY c.card_id LIMIT $3",
		"SELECT c.card_id FROM cards AS c WHERE c.book_id = $1 FOR UPDATE",
		"SELECT account_id FROM customers WHERE account_id = $1",
		"SELECT card_id FROM cards WHERE book_id = '' AND used_at IS NULL",
		"SELECT c.card_id FROM cards c JOIN books b ON b.book_id = c.book_id WHERE b.book_id = $1",
		"SELECT c.card_id FROM cards c JOIN books b ON b.book_id = c.book_id WHERE c.book_id = $1",
		"SELECT c.card_id FROM hashes h JOIN cards c ON c.book_id = h.book_id WHERE h.hash = $1",
		"SELECT c.card_id FROM (VALUES (CAST($1 AS TEXT))) AS v CROSS JOIN cards c WHERE c.book_id = v.column1",
		"WITH v (book_id) AS (VALUES ($1)) UPDATE cards SET used_at = NULL FROM v WHERE cards.book_id = v.book_id",
		"SELECT realm FROM books WHERE book_id IN (VALUES (CAST($1 AS TEXT))) ORDER BY book_id",
		"DELETE FROM cards WHERE (book_id, card_id) IN (VALUES (CAST($1 AS TEXT), CAST($2 AS TEXT)))",
		"INSERT INTO cards (book_id, card_id) VALUES ($1, $2)",
		"INSERT INTO cards (card_id, book_id) VALUES ($1, $2) ON CONFLICT (book_id, card_id) DO UPDATE SET used_at = excluded.used_at",
		"UPDATE cards SET used_at = $3 WHERE book_id = $1 AND card_id = $2",
		"SELECT hash FROM hashes",
		"SELECT name FROM elsewhere WHERE note = ' FROM cards '",
	} {
		if problems := s.Strays(text); len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
		}
	}
}

// A statement that reaches everybody's rows is found, however close it comes.
func TestStrays(t *testing.T) {
	s := newShop(t)
	for text, want := range map[string]string{
		"SELECT card_id FROM cards WHERE card_id = $1":                                                              "FROM cards without its book_id",
		"SELECT card_id FROM cards WHERE book_id > $1":                                                              "FROM cards without its book_id",
		"SELECT card_id FROM cards WHERE note = 'book_id = $1'":                                                     "FROM cards without its book_id",
		"SELECT account_id FROM customers WHERE account_id < $1":                                                    "FROM customers without its account_id",
		"UPDATE cards SET used_at = $1 WHERE card_id = $2":                                                          "UPDATE cards without its book_id",
		"DELETE FROM cards WHERE used_at < $1":                                                                      "FROM cards without its book_id",
		"DELETE FROM cards WHERE (book_id, card_id) IN (SELECT book_id, card_id FROM cards WHERE used_at < $1)":     "FROM cards without its book_id; FROM cards without its book_id",
		"SELECT c.card_id FROM cards c JOIN books b ON b.book_id = c.book_id WHERE b.realm = $1":                    "FROM cards without its book_id; JOIN books without its book_id",
		"SELECT c.card_id FROM cards c JOIN books b ON b.realm = $2 WHERE c.book_id = $1":                           "JOIN books without its book_id",
		"SELECT c.card_id FROM cards c JOIN books b ON b.realm = $2 WHERE book_id = $1":                             "FROM cards without its book_id; JOIN books without its book_id",
		"SELECT c.card_id FROM cards c CROSS JOIN hashes h WHERE h.hash = $1":                                       "FROM cards without its book_id",
		"INSERT INTO cards (card_id) VALUES ($1)":                                                                   "INTO cards without its book_id",
		"SELECT card_id FROM books b, cards WHERE b.book_id = $1":                                                   "names cards after none of FROM, JOIN, UPDATE and INTO",
		"SELECT (SELECT 1 FROM books WHERE books.book_id = cards.book_id) FROM cards WHERE cards.book_id = cards.x": "FROM books without its book_id; FROM cards without its book_id",
	} {
		if got := strings.Join(s.Strays(text), "; "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

// The tables of a statement are told, each once.
func TestMentioned(t *testing.T) {
	got := newShop(t).Mentioned("SELECT 1 FROM cards c JOIN books b ON b.book_id = c.book_id WHERE c.card_id IN (SELECT card_id FROM cards)")
	if diff := cmp.Diff([]string{"books", "cards"}, got); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
}
