package archtest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

var updateRatchet = flag.Bool("update-ratchet", false, "write today's exceptions to testdata/ratchet.txt")

// rule is one thing that holds all over the source.
type rule struct {
	name  string // one word, used in the files of exceptions
	about string // what holds
	check func(*source) []finding
	// ratchet rules measure: an exception has a figure that may only shrink.
	// Others are broken or not: an exception has a reason.
	ratchet bool
	// most is what a ratchet figure may never exceed; 0: no such limit.
	most int
	bad  []string // fixtures that break the rule, each once or more
	good []string // fixtures that come close and keep it
}

// finding is one place where a rule is broken.
type finding struct {
	key    string // names the place in the files of exceptions; no spaces
	figure int    // how much, for a ratchet rule
	at     string // path:line
	text   string // what is wrong there
}

func (f finding) String() string { return f.at + ": " + f.text }

// rules is every rule there is. A new group of rules is added here.
func rules() []rule {
	return slices.Concat(importRules, sizeRules, callRules, globalRules, moneyRules, docRules, wordRules, linkRules, schemaRules, nameRules)
}

// TestSourceKeepsTheRules proves that no rule is broken outside its exceptions.
func TestSourceKeepsTheRules(t *testing.T) {
	s := load(t)
	allowed := readExceptions(t, "allow.txt")
	ratchet := readExceptions(t, "ratchet.txt")
	for _, r := range rules() {
		if r.ratchet {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			defer explain(t, r)
			times := map[string]int{}
			for _, f := range s.breaks(r) {
				entry := r.name + " " + f.key
				if _, ok := allowed[entry]; !ok {
					times[entry]++
					if times[entry] == 1 {
						t.Errorf("%s (key: %s)", f, entry)
					}
				}
			}
			for _, entry := range sortedKeys(times) {
				if n := times[entry] - 1; n > 0 {
					t.Errorf("%s: %d more", entry, n)
				}
			}
		})
	}
	if *updateRatchet {
		writeRatchet(t, s)
		return
	}
	for _, r := range rules() {
		if r.ratchet {
			t.Run(r.name, func(t *testing.T) {
				defer explain(t, r)
				for _, problem := range compareRatchet(r, r.check(s), ratchet) {
					t.Error(problem)
				}
			})
		}
	}
}

// explain adds the rule to the findings of a test that failed.
func explain(t *testing.T, r rule) {
	t.Helper()
	if t.Failed() {
		t.Logf("the rule: %s", r.about)
	}
}

// TestExceptionsAreNeeded proves that testdata/allow.txt excuses nothing that is
// in order, gives a reason each time, and that both files name rules there are.
func TestExceptionsAreNeeded(t *testing.T) {
	s := load(t)
	allowed := readExceptions(t, "allow.txt")
	kind := map[string]bool{}
	for _, r := range rules() {
		kind[r.name] = r.ratchet
		if r.ratchet {
			continue
		}
		for _, f := range s.breaks(r) {
			if reason, ok := allowed[r.name+" "+f.key]; ok && len(strings.Fields(reason)) < 2 {
				t.Errorf("allow.txt: %s %s gives no reason", r.name, f.key)
			}
			delete(allowed, r.name+" "+f.key)
		}
	}
	for _, entry := range sortedKeys(allowed) {
		t.Errorf("allow.txt: %s is not needed (any more); remove it", entry)
	}
	for _, entry := range sortedKeys(readExceptions(t, "ratchet.txt")) {
		name, _, _ := strings.Cut(entry, " ")
		if !kind[name] {
			t.Errorf("ratchet.txt: %s is no rule with a figure", name)
		}
	}
}

// TestEveryRuleBites proves that each rule finds its bad fixtures and nothing in
// its good ones: a rule that cannot fail proves nothing.
func TestEveryRuleBites(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			if seen[r.name] || r.about == "" || len(r.bad) == 0 {
				t.Fatal("a rule needs a name of its own, a sentence and a bad fixture")
			}
			seen[r.name] = true
			for i, text := range r.bad {
				if len(r.check(loadFixture(t, text))) == 0 {
					t.Errorf("bad fixture %d passes:\n%s", i, text)
				}
			}
			for i, text := range r.good {
				for _, f := range r.check(loadFixture(t, text)) {
					t.Errorf("good fixture %d is refused: %s", i, f)
				}
			}
		})
	}
}

// TestRatchetOnlyShrinks proves that the comparison refuses what is new, what
// grew, what shrank unrecorded, what is no longer needed and what exceeds the most.
func TestRatchetOnlyShrinks(t *testing.T) {
	r := rule{name: "size", most: 9}
	same := []finding{{key: "a", figure: 7}}
	for name, c := range map[string]struct {
		found   []finding
		ratchet map[string]string
		want    string
	}{
		"as recorded":       {same, map[string]string{"size a": "7"}, ""},
		"other rule":        {nil, map[string]string{"sizes a": "7"}, ""},
		"new":               {same, nil, "not in the ratchet"},
		"grew":              {same, map[string]string{"size a": "6"}, "grew from 6 to 7"},
		"shrank":            {same, map[string]string{"size a": "8"}, "shrank from 8 to 7"},
		"not needed":        {nil, map[string]string{"size a": "7"}, "no longer needed"},
		"above the most":    {[]finding{{key: "a", figure: 10}}, map[string]string{"size a": "10"}, "never more than 9"},
		"figure unreadable": {same, map[string]string{"size a": "x"}, "grew from 0 to 7"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(compareRatchet(r, c.found, c.ratchet), "; ")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// compareRatchet says where the findings and the recorded figures differ.
func compareRatchet(r rule, found []finding, ratchet map[string]string) []string {
	var problems []string
	left := map[string]bool{}
	for entry := range ratchet {
		if name, key, _ := strings.Cut(entry, " "); name == r.name {
			left[key] = true
		}
	}
	for _, f := range found {
		recorded, ok := ratchet[r.name+" "+f.key]
		delete(left, f.key)
		figure, _ := strconv.Atoi(recorded)
		switch {
		case r.most > 0 && f.figure > r.most:
			problems = append(problems, fmt.Sprintf("%s (never more than %d, ratchet or not)", f, r.most))
		case !ok:
			problems = append(problems, fmt.Sprintf("%s (not in the ratchet)", f))
		case f.figure > figure:
			problems = append(problems, fmt.Sprintf("%s (grew from %d to %d)", f, figure, f.figure))
		case f.figure < figure:
			problems = append(problems, fmt.Sprintf("ratchet.txt: %s %s shrank from %d to %d; lower it", r.name, f.key, figure, f.figure))
		}
	}
	for _, key := range sortedKeys(left) {
		problems = append(problems, fmt.Sprintf("ratchet.txt: %s %s is no longer needed; remove it", r.name, key))
	}
	return problems
}

// writeRatchet records today's exceptions.
func writeRatchet(t *testing.T, s *source) {
	t.Helper()
	head, _, _ := strings.Cut(readTestdata(t, "ratchet.txt"), "\n\n")
	var lines []string
	for _, r := range rules() {
		if !r.ratchet {
			continue
		}
		for _, f := range s.breaks(r) {
			lines = append(lines, fmt.Sprintf("%s %s %d\n", r.name, f.key, f.figure))
		}
	}
	sort.Strings(lines)
	text := head + "\n\n" + strings.Join(lines, "")
	if err := os.WriteFile(filepath.Join("testdata", "ratchet.txt"), []byte(text), 0o644); err != nil {
		t.Fatalf("write the ratchet: %v", err)
	}
	t.Logf("testdata/ratchet.txt: %d exceptions", len(lines))
}

// readExceptions reads lines "rule key rest" into "rule key" → rest.
func readExceptions(t *testing.T, name string) map[string]string {
	t.Helper()
	entries := map[string]string{}
	for line := range strings.Lines(readTestdata(t, name)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.SplitN(line, " ", 3)
		if len(fields) != 3 {
			t.Errorf("%s: %q is not rule, key and figure or reason", name, line)
			continue
		}
		entry := fields[0] + " " + fields[1]
		if _, ok := entries[entry]; ok {
			t.Errorf("%s: %s is there twice", name, entry)
		}
		entries[entry] = strings.TrimSpace(fields[2])
	}
	return entries
}

func readTestdata(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatalf("read exceptions: %v", err)
	}
	return string(content)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func itoa(n int) string { return strconv.Itoa(n) }
