package rulebook

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// value is a piece of a condition: one of the three is set.
type value struct {
	number func(*Event) float64
	text   func(*Event) string
	truth  func(*Event) bool
	// counted says that the number is one of the engine's as it is, said that it stands in
	// the condition.
	counted, said bool
}

func (v *value) kind() string {
	switch {
	case v.number != nil:
		return "a number"
	case v.text != nil:
		return "a text"
	}
	return "true or false"
}

// parser reads a condition word by word.
type parser struct {
	words []string
	deep  int
	// names are the engine's numbers, once one is looked for: to list them takes long.
	names map[string]func(*Event) float64
}

// Bounds of a condition.
const (
	maxWords = 400
	maxDeep  = 40
)

// parse reads a condition: what is true or false.
func parse(source string) (func(*Event) bool, error) {
	words, err := split(source)
	if err != nil {
		return nil, err
	}
	p := parser{words: words}
	v, err := p.either()
	switch {
	case err != nil:
		return nil, err
	case len(p.words) > 0:
		return nil, fmt.Errorf("did not expect %s", p.words[0])
	case v.truth == nil:
		return nil, fmt.Errorf("a condition is true or false, not %s", v.kind())
	}
	return v.truth, nil
}

const marks = "<>=!()+-*/,"

// split parts a condition into words: names, numbers, texts with their quotes, marks.
func split(source string) ([]string, error) {
	var words []string
	for i := 0; i < len(source); {
		c := source[i]
		end := i + 1
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '"':
			n := strings.IndexByte(source[i+1:], '"')
			if n < 0 {
				return nil, errors.New("a text has no end")
			}
			end = i + n + 2
		case isName(c):
			for end < len(source) && isName(source[end]) {
				end++
			}
		case strings.IndexByte(marks, c) < 0:
			letter, _ := utf8.DecodeRuneInString(source[i:])
			return nil, fmt.Errorf("did not expect %q", letter)
		case end < len(source) && source[end] == '=' && strings.IndexByte("<>=!", c) >= 0:
			end++
		}
		if words = append(words, source[i:end]); len(words) > maxWords {
			return nil, fmt.Errorf("a condition has at most %d words", maxWords)
		}
		i = end
	}
	return words, nil
}

func isName(c byte) bool {
	return c == '.' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func (p *parser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

// accept takes the next word if it is one of some.
func (p *parser) accept(some ...string) string {
	if word := p.peek(); word != "" && slices.Contains(some, word) {
		p.words = p.words[1:]
		return word
	}
	return ""
}

// either is "a or b".
func (p *parser) either() (value, error) {
	if p.deep++; p.deep > maxDeep {
		return value{}, fmt.Errorf("a condition is at most %d deep", maxDeep)
	}
	defer func() { p.deep-- }()
	return p.joined("or", p.both, func(a, b func(*Event) bool) func(*Event) bool {
		return func(e *Event) bool { return a(e) || b(e) }
	})
}

// both is "a and b".
func (p *parser) both() (value, error) {
	return p.joined("and", p.negated, func(a, b func(*Event) bool) func(*Event) bool {
		return func(e *Event) bool { return a(e) && b(e) }
	})
}

func (p *parser) joined(word string, next func() (value, error), join func(a, b func(*Event) bool) func(*Event) bool) (value, error) {
	left, err := next()
	for err == nil && p.accept(word) != "" {
		var right value
		if right, err = next(); err != nil {
			break
		}
		if left.truth == nil || right.truth == nil {
			return value{}, fmt.Errorf("%s joins what is true or false", word)
		}
		left = value{truth: join(left.truth, right.truth)}
	}
	return left, err
}

func (p *parser) negated() (value, error) {
	if p.accept("not") == "" {
		return p.compared()
	}
	if p.deep++; p.deep > maxDeep {
		return value{}, fmt.Errorf("a condition is at most %d deep", maxDeep)
	}
	defer func() { p.deep-- }()
	v, err := p.negated()
	switch {
	case err != nil:
		return v, err
	case v.truth == nil:
		return v, fmt.Errorf("not is about what is true or false, not %s", v.kind())
	}
	return value{truth: func(e *Event) bool { return !v.truth(e) }}, nil
}

// compared is "a < b", "a in (b, c)", or a value alone.
func (p *parser) compared() (value, error) {
	left, err := p.sum()
	if err != nil {
		return left, err
	}
	if p.accept("in") != "" {
		return p.listed(left)
	}
	sign := p.accept("<", "<=", ">", ">=", "==", "!=")
	if sign == "" {
		return left, nil
	}
	right, err := p.sum()
	switch {
	case err != nil:
		return right, err
	case left.number != nil && right.number != nil:
		alike(&left, &right)
		return value{truth: numbers(sign, left.number, right.number)}, nil
	case left.text != nil && right.text != nil && (sign == "==" || sign == "!="):
		return value{truth: func(e *Event) bool { return (left.text(e) == right.text(e)) == (sign == "==") }}, nil
	}
	return value{}, fmt.Errorf("%s does not compare %s with %s", sign, left.kind(), right.kind())
}

// alike writes a number that is said as finely as the engine counts, where it is compared
// with one that is: there 0.7 is a little less than 0.7.
func alike(a, b *value) {
	for _, pair := range [...][2]*value{{a, b}, {b, a}} {
		if counted, said := pair[0], pair[1]; counted.counted && said.said {
			n := float64(float32(said.number(nil)))
			said.number = func(*Event) float64 { return n }
		}
	}
}

// numbers compares; what is unknown is not even unequal.
func numbers(sign string, a, b func(*Event) float64) func(*Event) bool {
	switch sign {
	case "<":
		return func(e *Event) bool { return a(e) < b(e) }
	case "<=":
		return func(e *Event) bool { return a(e) <= b(e) }
	case ">":
		return func(e *Event) bool { return a(e) > b(e) }
	case ">=":
		return func(e *Event) bool { return a(e) >= b(e) }
	case "==":
		return func(e *Event) bool { return a(e) == b(e) }
	}
	return func(e *Event) bool { x, y := a(e), b(e); return x < y || x > y }
}

// listed is the list of texts behind "in".
func (p *parser) listed(left value) (value, error) {
	if left.text == nil {
		return value{}, fmt.Errorf("in is about a text, not %s", left.kind())
	}
	var list []string
	if p.accept("(") == "" {
		return value{}, errors.New(`want a list such as ("a", "b") after in`)
	}
	for {
		word := p.peek()
		if !strings.HasPrefix(word, `"`) {
			return value{}, errors.New(`want a list such as ("a", "b") after in`)
		}
		list = append(list, strings.Trim(word, `"`))
		p.words = p.words[1:]
		if p.accept(")") != "" {
			return value{truth: func(e *Event) bool { return slices.Contains(list, left.text(e)) }}, nil
		}
		if p.accept(",") == "" {
			return value{}, errors.New("want a comma or the end of the list")
		}
	}
}

func (p *parser) sum() (value, error) {
	return p.reckoned([]string{"+", "-"}, p.product)
}

func (p *parser) product() (value, error) {
	return p.reckoned([]string{"*", "/"}, p.single)
}

func (p *parser) reckoned(signs []string, next func() (value, error)) (value, error) {
	left, err := next()
	for err == nil {
		sign := p.accept(signs...)
		if sign == "" {
			break
		}
		var right value
		if right, err = next(); err != nil {
			break
		}
		if left.number == nil || right.number == nil {
			return value{}, fmt.Errorf("%s is for numbers", sign)
		}
		left = value{number: reckon(sign, left.number, right.number)}
	}
	return left, err
}

func reckon(sign string, a, b func(*Event) float64) func(*Event) float64 {
	switch sign {
	case "+":
		return func(e *Event) float64 { return a(e) + b(e) }
	case "-":
		return func(e *Event) float64 { return a(e) - b(e) }
	case "*":
		return func(e *Event) float64 { return a(e) * b(e) }
	}
	return func(e *Event) float64 {
		if by := b(e); by != 0 {
			return a(e) / by
		}
		return math.NaN()
	}
}

// single is a number, a text, a name, or what stands between brackets.
func (p *parser) single() (value, error) {
	word := p.peek()
	if word == "" {
		return value{}, errors.New("the condition ends too early")
	}
	p.words = p.words[1:]
	switch {
	case word == "(":
		v, err := p.either()
		if err == nil && p.accept(")") == "" {
			err = errors.New("a bracket is not closed")
		}
		return v, err
	case word == "-":
		if p.deep++; p.deep > maxDeep {
			return value{}, fmt.Errorf("a condition is at most %d deep", maxDeep)
		}
		defer func() { p.deep-- }()
		v, err := p.single()
		if err == nil && v.number == nil {
			err = errors.New("- is for numbers")
		}
		return value{number: func(e *Event) float64 { return -v.number(e) }, said: v.said}, err
	case word == "true" || word == "false":
		return value{truth: func(*Event) bool { return word == "true" }}, nil
	case word[0] == '"':
		said := strings.Trim(word, `"`)
		return value{text: func(*Event) string { return said }}, nil
	case '0' <= word[0] && word[0] <= '9':
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return value{}, fmt.Errorf("%s is no number", word)
		}
		return value{number: func(*Event) float64 { return n }, said: true}, nil
	case !isName(word[0]):
		return value{}, fmt.Errorf("did not expect %s", word)
	}
	if get := text(word); get != nil {
		return value{text: get}, nil
	}
	if get := whole(word); get != nil {
		return value{number: get}, nil
	}
	if p.names == nil {
		p.names = numbersByName()
	}
	get := p.names[word]
	if get == nil {
		return value{}, fmt.Errorf("there is nothing called %s", word)
	}
	return value{number: get, counted: true}, nil
}
