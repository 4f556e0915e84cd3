package fraud

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// quantityTexts are what the document calls what is counted; a share says "of cards".
var quantityTexts = [quantities]string{
	asked: "asks", cards: "cards", runs: "runs", missed: "misses", empties: "empty runs", wrong: "wrong PINs",
	labels: "labels", nets: "other networks", idle: "idle days", listed: "listed", abroad: "new country", multiple: "% of usual",
}

var audienceTexts = [...]string{everyone: "all", keys: "keys", pages: "pages"}

func lengthText(w window) string {
	return [windows]string{"–", "1 min", "1 h", "24 h", "7 d", "30 d"}[w]
}

// documented is a rule as a row of the document's table.
func documented(s *signal, r *rule) string {
	value := func(n int64) string { return strconv.FormatInt(n, 10) }
	count := quantityTexts[r.count]
	if r.among != nothing {
		value = func(n int64) string { return strconv.FormatInt(n, 10) + " %" }
		among, named := map[quantity]string{wrong: "existing cards", empties: "misses"}[r.count]
		switch {
		case r.of == merchant:
			among = "payments"
		case !named:
			among = "cards"
		}
		count = fmt.Sprintf("%s of %d or more %s", count, r.least, among)
	}
	from := audienceTexts[r.from]
	if r.unproven {
		from = "unproven"
	}
	points := fmt.Sprintf("%d–%d", r.low, r.high)
	if r.low == r.high {
		points = strconv.Itoa(r.low)
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s | %s | %s |",
		s.name, subjectNames[r.of], from, count, lengthText(r.window), value(r.threshold), value(r.full), points)
}

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/fraud-signals.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// docs/fraud-signals.md shows every rule as it is, in order, and no other.
func TestDocumentShowsTheRules(t *testing.T) {
	var want []string
	for _, s := range slices.Concat(signals[:], paying[:]) {
		for j := range s.rules {
			want = append(want, documented(&s, &s.rules[j]))
		}
	}
	var got []string
	for line := range strings.Lines(document(t)) {
		if strings.Count(line, "|") == 9 && strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-code +document):\n%s", diff)
	}
}

// docs/fraud-signals.md says of every signal what it means, and whether it is telling.
func TestDocumentExplainsTheSignals(t *testing.T) {
	var want [][2]string
	for _, s := range slices.Concat(signals[:], paying[:]) {
		want = append(want, [2]string{s.name, map[bool]string{true: "yes", false: "no"}[s.telling]})
	}
	var got [][2]string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [^|]{20,} \\| (yes|no) \\|$").FindAllStringSubmatch(document(t), -1) {
		got = append(got, [2]string{row[1], row[2]})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("signals (-code +document):\n%s", diff)
	}
}
