package archtest

import (
	"go/ast"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// forbidden are patterns that no text of the repository contains. Each is written
// so that it does not find itself.
var forbidden = []struct {
	word string // for the key of an exception
	why  string
	re   *regexp.Regexp
}{
	{"machine-path", "a path of somebody's machine", regexp.MustCompile(`(^|[^\w./-])/(wor[k]|roo[t]|home/[a-z]\w*|User[s]/\w+|tmp/brie[f])(/|\b)`)},
	{"registry", "the address of a package registry", regexp.MustCompile(`\b(prox[y]\.golang\.org|su[m]\.golang\.org|registr[y]\.npmjs\.org|registr[y]\.yarnpkg\.com|pyp[i]\.org|file[s]\.pythonhosted\.org|de[b]\.debian\.org|securit[y]\.debian\.org|snapsho[t]\.debian\.org|index\.crate[s]\.io|registry-[1]\.docker\.io)\b`)},
	{"origin", "how the text came about", regexp.MustCompile(`(?i)\b(claud[e]|anthropi[c]|open[a]i|chatgp[t]|gpt-?[0-9]\w*|copilo[t]|code[x]|ll[m]s?|language mode[l]s?|co-authored-b[y]|sub-?agent[s]?|coding (agent|assistan[t])s?|ai[ -](assist\w*|generat\w*|agent\w*)|(generated|written|created) (by|with) (an )?a[i]|vibe[ -]cod\w*|system promp[t]s?|prompt engineerin[g]|assistan[t]s?)\b`)},
	{"assignment", "the assignment instead of the subject", regexp.MustCompile(`(?i)(\b(in|of|from|per|see|by|this|the|first|second|third|later|next|previous) issue [1-9][0-9]?\b|\bissue [1-9][0-9]?('s|[.,;:)]|$)|\b([g]raders?|hidden tes[t]s?|task descriptio[n]|the brie[f] (says|asks|wants)|shared/(contract[s]|desig[n]|rail[s]|referenc[e]|dat[a])\b))`)},
	{"unfinished", "unfinished work", regexp.MustCompile(`\bTOD[O]\b|\bFIXM[E]\b|\bXX[X]:|\bHAC[K]:`)},
}

// unread are files that others wrote.
var unread = []string{"LICENSE", "go.sum", "scripts/tools/go.sum"}

var wordRules = []rule{
	{
		name: "words", about: "no text speaks of a machine, a registry, its own making or unfinished work",
		check: checkWords,
		bad: []string{
			"-- a.md --\nSee /wo~rk/main.\n", "-- a.go.txt --\n\"/ro~ot/x\"\n", "-- a.sh --\ncd /ho~me/joe/src\n",
			"-- a.md --\nfrom https://prox~y.golang.org/x\n", "-- a.json --\n\"https://registr~y.npmjs.org/a\"\n",
			"-- a.md --\nThanks to Claud~e.\n", "-- a.md --\nCo-Authored-B~y: x\n", "-- a.md --\nAn LL~M wrote it.\n", "-- a.md --\nAI-gene~rated\n",
			"-- a.md --\nThis is for iss~ue 2.\n", "-- a.md --\nThe brie~f says so.\n", "-- a.md --\nshared/contract~s/x.md\n",
			"-- internal/ledger/a.go --\npackage ledger\n// TOD~O: more\n", "-- a.yaml --\n# FIXM~E\n",
		},
		good: []string{
			"-- a.md --\nThe networks' roots/roots and https://x.example/work/ are fine; so is ./work/x, a User-Agent, a prompt for the\npassphrase, a session, the XXX currency, **** XXXX and we issue 2 cards.\n",
			"-- LICENSE --\nthe registr~y.npmjs.org\n",
			"-- a.bin --\n",
		},
	},
}

func checkWords(s *source) []finding {
	var found []finding
	for _, name := range s.names() {
		if slices.Contains(unread, name) {
			continue
		}
		number := 0
		for line := range strings.Lines(s.files[name]) {
			number++
			for _, f := range forbidden {
				if match := f.re.FindString(strings.TrimRight(line, "\r\n")); match != "" {
					found = append(found, finding{key: name + ":" + f.word, at: name + ":" + itoa(number), text: "\"" + match + "\" is " + f.why})
				}
			}
		}
	}
	return found
}

var linkRules = []rule{
	{
		name: "links", about: "every link of a Markdown file within the repository leads somewhere",
		check: checkLinks,
		bad: []string{
			"-- README.md --\n[a](docs/b.md)\n",
			"-- README.md --\n[a](#nowhere)\n",
			"-- README.md --\n[a](docs/b.md#two)\n-- docs/b.md --\n# One\n",
			"-- docs/a.md --\n[a](../../b.md)\n",
			"-- README.md --\n[a][b]\n\n[b]: gone.md\n",
			"-- README.md --\n![chart](chart.svg \"A chart\")\n",
			"-- README.md --\n<img src=\"gone.png\">\n",
		},
		good: []string{
			"-- README.md --\n# The *first* `one`!\n## Again\n## Again\n[a](docs/b.md#two-words) [b](#the-first-one) [c](docs/) [d](https://x.example/y) [e](mailto:a@x.example) [f](#again-1)\n" +
				"-- docs/b.md --\n## Two words\n[up](../README.md) [root](/README.md) `[not](a-link)`\n```\n[nor](this)\n```\n[line](b.md?plain=1) [g](<with space.md>)\n-- docs/with space.md --\n",
			"-- README.md --\n<a id=\"here\"></a> [a](#here) [b][c]\n\n[c]: docs/x.go#L10\n-- docs/x.go --\npackage docs\n",
		},
	},
}

var (
	inlineLink = regexp.MustCompile(`\]\(\s*(<[^>]*>|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+["'(][^)]*)?\)`)
	linkTarget = regexp.MustCompile(`^\s{0,3}\[[^\]]+\]:\s+(\S+)`)
	htmlTarget = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	htmlAnchor = regexp.MustCompile(`<[a-z][^>]*\s(?:id|name)="([^"]+)"`)
	codeSpan   = regexp.MustCompile("``.*?``|`[^`]*`")
	heading    = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*\s*$`)
	scheme     = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:|^//`)
	linkInText = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
)

func checkLinks(s *source) []finding {
	var found []finding
	for _, name := range s.names() {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		eachProseLine(s.files[name], func(number int, line string) {
			for _, target := range targetsOf(line) {
				if reason := brokenLink(s, name, target); reason != "" {
					found = append(found, finding{key: name + ":" + strings.ReplaceAll(target, " ", "%20"), at: name + ":" + itoa(number), text: reason})
				}
			}
		})
	}
	return found
}

// eachProseLine visits the lines of a Markdown text outside fenced code.
func eachProseLine(text string, visit func(number int, line string)) {
	number, fence := 0, ""
	for line := range strings.Lines(text) {
		number++
		trimmed := strings.TrimSpace(line)
		switch {
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			fence = trimmed[:3]
		default:
			visit(number, strings.TrimRight(line, "\r\n"))
		}
	}
}

// targetsOf returns where the links of a line lead.
func targetsOf(line string) []string {
	line = codeSpan.ReplaceAllString(line, "")
	var targets []string
	for _, re := range []*regexp.Regexp{inlineLink, linkTarget, htmlTarget} {
		for _, match := range re.FindAllStringSubmatch(line, -1) {
			targets = append(targets, strings.Trim(match[1], "<>"))
		}
	}
	return targets
}

// brokenLink says why a link from a file does not work, if so.
func brokenLink(s *source, from, target string) string {
	if scheme.MatchString(target) {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	file, _, _ = strings.Cut(file, "?")
	file = strings.ReplaceAll(file, "%20", " ")
	to := from
	if file != "" {
		to = path.Join(path.Dir(from), file)
		if strings.HasPrefix(file, "/") {
			to = path.Clean(strings.TrimPrefix(file, "/"))
		}
		if !s.exists(to) {
			return "the link to " + target + " leads nowhere"
		}
	}
	if anchor != "" && strings.HasSuffix(to, ".md") && !slices.Contains(anchors(s.files[to]), anchor) {
		return "the link to " + target + " names no heading of " + to
	}
	return ""
}

// anchors returns the fragments that a Markdown text offers.
func anchors(text string) []string {
	var found []string
	times := map[string]int{}
	eachProseLine(text, func(_ int, line string) {
		for _, match := range htmlAnchor.FindAllStringSubmatch(line, -1) {
			found = append(found, match[1])
		}
		match := heading.FindStringSubmatch(line)
		if match == nil {
			return
		}
		anchor := headingAnchor(match[1])
		times[anchor]++
		if n := times[anchor] - 1; n > 0 {
			anchor += "-" + itoa(n)
		}
		found = append(found, anchor)
	})
	return found
}

// headingAnchor makes a fragment of a heading the way code hosts do: lower case,
// spaces to dashes, no punctuation.
func headingAnchor(text string) string {
	text = linkInText.ReplaceAllString(text, "$1")
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 127 && !strings.ContainsRune("–—…’“”→×·", r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// slug makes one word of a text, for keys of exceptions.
func slug(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r > 127 || !isWordByte(byte(r)) })
	return strings.Join(words[:min(6, len(words))], "-")
}

// TestFuzzTargetsAreRun proves that scripts/fuzz.sh, and so "make fuzz", finds
// every fuzz target of the module.
func TestFuzzTargetsAreRun(t *testing.T) {
	s := load(t)
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed, which the scripts need")
	}
	command := exec.Command("bash", filepath.Join(s.root, "scripts", "fuzz.sh"), "-l")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("scripts/fuzz.sh -l: %v", err)
	}
	listed := strings.Split(strings.TrimSpace(string(out)), "\n")
	if missing := missingTargets(s, listed); len(missing) > 0 {
		t.Errorf("scripts/fuzz.sh does not list:\n%s", strings.Join(missing, "\n"))
	}
}

// TestMissingFuzzTargetIsNoticed proves that the comparison can fail.
func TestMissingFuzzTargetIsNoticed(t *testing.T) {
	s := loadFixture(t, "-- internal/order/a_test.go --\npackage order\nfunc FuzzA(f *testing.F) {}\nfunc FuzzB(f *testing.F) {}\nfunc Fuzzy() {}\n")
	missing := missingTargets(s, []string{"./internal/order FuzzA"})
	if len(missing) != 1 || missing[0] != "./internal/order FuzzB" {
		t.Errorf("missing = %v, want FuzzB alone", missing)
	}
}

// missingTargets returns "./dir Target" for the fuzz targets that are not listed.
func missingTargets(s *source, listed []string) []string {
	var missing []string
	for _, p := range s.packages {
		for _, f := range p.files {
			for _, decl := range f.syntax.Decls {
				function, ok := decl.(*ast.FuncDecl)
				if !ok || !f.test || !isTest(function) || !strings.HasPrefix(function.Name.Name, "Fuzz") {
					continue
				}
				if target := "./" + p.dir + " " + function.Name.Name; !slices.Contains(listed, target) {
					missing = append(missing, target)
				}
			}
		}
	}
	return missing
}
