package ledger_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// The rules of the ledger are written down in testdata/*.txt and hold on both engines;
// testdata/README.md explains the language. Each scenario has a book of its own.
func TestSpecification(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata/*.txt", err)
	}
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		base := clock.NewManual(epoch)
		books := ledger.New(db, clock.NewRealms(base), ledger.Config{})
		defer books.Close()
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".txt")
			t.Run(name, func(t *testing.T) {
				for i, scenario := range readScenarios(t, file) {
					t.Run(scenario.title, func(t *testing.T) {
						base.Advance(time.Hour) // apart from the scenario before
						s := &script{t: t, db: db, books: books, clock: base, start: base.Now(), file: file,
							book: ledger.BookID(fmt.Sprintf("bk_%s_%d", name, i)), named: map[string]ledger.Outcome{}}
						open(t, db, s.book)
						s.run(scenario.lines)
					})
				}
			})
		}
		verified(t, db)
	})
}

// epoch is when the tests' clocks start.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// line is one command of a scenario; its block is the indented lines below it.
type line struct {
	number int
	words  []string
	block  []line
}

type scenario struct {
	title string
	lines []line
}

func readScenarios(t *testing.T, path string) []scenario {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var all []scenario
	input := bufio.NewScanner(f)
	for number := 1; input.Scan(); number++ {
		text, _, _ := strings.Cut(input.Text(), "#")
		if strings.TrimSpace(text) == "" {
			continue
		}
		if title, ok := strings.CutPrefix(text, "== "); ok {
			all = append(all, scenario{title: strings.TrimSpace(title)})
			continue
		}
		if len(all) == 0 {
			t.Fatalf("%s:%d: a command before the first scenario", path, number)
		}
		here := &all[len(all)-1]
		l := line{number: number, words: strings.Fields(text)}
		if text[0] != ' ' {
			here.lines = append(here.lines, l)
			continue
		}
		above := &here.lines[len(here.lines)-1]
		above.block = append(above.block, l)
	}
	if err := input.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// script is a scenario under way.
type script struct {
	t     *testing.T
	db    *storage.DB
	books *ledger.Ledger
	clock *clock.Manual
	start time.Time
	book  ledger.BookID
	file  string
	at    line // the line that is being run

	named   map[string]ledger.Outcome
	last    ledger.Operation
	outcome ledger.Outcome
	refusal error // of the last operation, until a line says that it was expected
}

func (s *script) run(lines []line) {
	for _, l := range lines {
		if s.refusal != nil && l.words[0] != "refused" {
			s.fail("refused, which no line expects: %v", s.refusal)
		}
		s.at = l
		s.command()()
	}
	if s.refusal != nil {
		s.fail("refused, which no line expects: %v", s.refusal)
	}
}

func (s *script) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s:%d: %s\n\t%s", s.file, s.at.number, strings.Join(s.at.words, " "), fmt.Sprintf(format, args...))
}

func (s *script) must(err error) {
	s.t.Helper()
	if err != nil {
		s.fail("%v", err)
	}
}

// command returns what runs the current line; most lines are operations.
func (s *script) command() func() {
	switch s.at.words[0] {
	case "refused":
		return s.refused
	case "repeat":
		return s.repeat
	case "again":
		return s.again
	case "expect":
		return s.expect
	case "moved":
		return s.moved
	case "statement":
		return s.statement
	case "advance":
		return s.advance
	case "sweep":
		return s.sweep
	case "book":
		return s.otherBook
	}
	return s.operate
}

// operate submits the operation that a line describes.
func (s *script) operate() {
	op := ledger.Operation{Book: s.book, Kind: "spec", Actor: "somebody", At: s.clock.Now()}
	words := s.options(&op, s.at.words)
	name := s.option(&words, "as")
	if words[0] == "together" {
		for _, l := range s.at.block {
			s.part(&op, l.words)
		}
	} else {
		s.part(&op, words)
	}
	s.submit(op)
	if name != "" {
		s.named[name] = s.outcome
	}
}

// submit runs op and checks what is true of every operation.
func (s *script) submit(op ledger.Operation) {
	before := s.seq()
	outcome, err := s.books.Submit(context.Background(), op)
	s.last, s.outcome, s.refusal = op, outcome, err
	want := before
	if err == nil && !outcome.Replayed {
		want++
	}
	if after := s.seq(); after != want {
		s.fail("the book has %d transactions, want %d; the answer was %v", after, want, err)
	}
	if err != nil || outcome.Replayed {
		return
	}
	stored, err := s.books.FindTransaction(context.Background(), op.Book, outcome.Transaction)
	s.must(err)
	s.same("the stored transaction", stored, outcome)
	if stored.Actor != op.Actor {
		s.fail("it was done by %q, says the book; it was %q", stored.Actor, op.Actor)
	}
	for _, b := range outcome.After {
		a := s.account(string(b.Account))
		if a.Posted() != b.Posted || a.Available() != b.Available {
			s.fail("%s has %s and %s available, the outcome says %s and %s", a.ID, a.Posted(), a.Available(), b.Posted, b.Available)
		}
	}
}

func (s *script) seq() int64 {
	newest, err := s.books.ListTransactions(context.Background(), s.book, 0, 1)
	s.must(err)
	if len(newest) == 0 {
		return 0
	}
	return newest[0].Seq
}

func (s *script) same(what string, got, want ledger.Outcome) {
	if diff := outcomeDiff(got, want); diff != "" {
		s.fail("%s differs (-want +got):\n%s", what, diff)
	}
}

// refused expects that the last operation was refused with a code, and names its details below.
func (s *script) refused() {
	if s.refusal == nil {
		s.fail("it was accepted")
	}
	if got := codeOf(s.refusal); got != s.at.words[1] {
		s.fail("it was refused with %s: %v", got, s.refusal)
	}
	for _, l := range s.at.block {
		if got := detail(s.refusal, l.words[0]); got != l.words[1] {
			s.fail("%s is %q, want %q", l.words[0], got, l.words[1])
		}
	}
	s.refusal = nil
}

// repeat submits the last operation once more, later, and expects its first outcome.
func (s *script) repeat() {
	first, op := s.outcome, s.last
	s.clock.Advance(time.Second)
	op.At = s.clock.Now()
	s.submit(op)
	s.must(s.refusal)
	if !s.outcome.Replayed {
		s.fail("it was done again, as transaction %d", s.outcome.Seq)
	}
	s.same("the second answer", s.outcome, first)
}

// again submits the last operation once more and expects nothing.
func (s *script) again() {
	op := s.last
	op.At = s.clock.Now()
	s.submit(op)
}

func (s *script) advance() { s.clock.Advance(s.duration(s.at.words[1])) }

func (s *script) sweep() {
	_, err := s.books.ExpireHolds(context.Background())
	s.must(err)
}

func (s *script) otherBook() {
	s.book = ledger.BookID(fmt.Sprintf("%s_%s", s.book, s.at.words[1]))
	open(s.t, s.db, s.book)
}

func (s *script) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	s.must(err)
	return d
}

func (s *script) account(id string) *ledger.Account {
	a, err := s.books.FindAccount(context.Background(), s.book, ledger.AccountID(id))
	s.must(err)
	return a
}

// expect holds an account, or a hold, against the pairs of name and value that follow.
func (s *script) expect() {
	words := s.at.words[1:]
	if words[0] == "hold" {
		h, err := s.books.FindHold(context.Background(), s.book, ledger.HoldID(words[1]))
		s.must(err)
		s.pairs(words[2:], map[string]string{"state": string(h.State), "amount": h.Amount.String(), "captured": h.Captured.String(),
			"released": h.Released.String(), "remaining": h.Remaining().String(), "ended": s.since(h.EndedAt), "expires": s.since(h.ExpiresAt)})
		return
	}
	a := s.account(words[0])
	have := map[string]string{"posted": a.Posted().String(), "available": a.Available().String(), "held": a.Held().String(),
		"state": string(a.State), "entries": fmt.Sprint(a.Entries), "side": string(a.Side), "currency": a.Currency.String()}
	rest := words[1:]
	if at := s.option(&rest, "at"); at != "" {
		then, err := s.books.PositionAt(context.Background(), a, s.start.Add(s.duration(at)))
		s.must(err)
		have = map[string]string{"posted": then.Posted.String(), "available": then.Available.String()}
	}
	s.pairs(rest, have)
}

func (s *script) since(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Sub(s.start).String()
}

func (s *script) pairs(words []string, have map[string]string) {
	if len(words) == 0 || len(words)%2 != 0 {
		s.fail("want pairs of name and value")
	}
	for i := 0; i < len(words); i += 2 {
		got, known := have[words[i]]
		if !known {
			s.fail("%s has no meaning here", words[i])
		}
		if got != words[i+1] {
			s.fail("%s is %s, want %s", words[i], got, words[i+1])
		}
	}
}

// moved expects the movements of the last operation.
func (s *script) moved() {
	var got []string
	for _, m := range s.outcome.Moves {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s -> %s %s held %d %s", m.Debit, m.Credit, m.Posted, m.Held, m.Hold)))
	}
	s.compare(got)
}

// statement expects an account's lines, newest first, in pages of a size; a line of
// dashes stands between two pages.
func (s *script) statement() {
	words := s.at.words[1:]
	size := 1000
	if text := s.option(&words, "pages"); text != "" {
		_, err := fmt.Sscan(text, &size)
		s.must(err)
	}
	account, cursor := s.account(words[0]), int64(0)
	var got []string
	for {
		page, err := s.books.Statement(context.Background(), account, cursor, size)
		s.must(err)
		for _, l := range page {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%d %s %s held %d balance %s available %s %s %s", l.Seq, l.Side, l.Posted, l.Held,
				l.Balance, l.Available, s.since(l.At), l.Reference)))
			cursor = l.Seq
		}
		if len(page) < size {
			break
		}
		got = append(got, "--")
	}
	s.compare(got)
}

func (s *script) compare(got []string) {
	var want []string
	for _, l := range s.at.block {
		want = append(want, strings.Join(l.words, " "))
	}
	if !slices.Equal(got, want) {
		s.fail("want\n\t  %s\n\tgot\n\t  %s", strings.Join(want, "\n\t  "), strings.Join(got, "\n\t  "))
	}
}
