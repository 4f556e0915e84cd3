// Package rulebook is the operator's own rules: conditions in a small language over what
// the engine counts, each with an action and a score that an event has at least when the
// condition holds. A rule raises a score and never lowers it.
//
// The language has numbers, texts and truth, and knows at the time of writing which is
// which. It has no loops, no calls and no time of its own, so that a rule takes a bounded
// number of steps. What is unknown makes every comparison false.
package rulebook

import (
	"math"
	"slices"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/sense"
)

// Action is what a rule asks the operator's side to do. The engine itself does nothing.
type Action string

// The actions, from the mildest.
const (
	Allow     Action = "allow"
	Review    Action = "review"
	Slow      Action = "slow"
	Challenge Action = "challenge"
	Block     Action = "block"
)

// actions are in the order of their strength.
var actions = [...]Action{Allow, Review, Slow, Challenge, Block}

// Stronger reports whether a is more than b; every action is more than none.
func (a Action) Stronger(b Action) bool {
	return slices.Index(actions[:], a) > slices.Index(actions[:], b)
}

// Rule is one rule as it is written.
type Rule struct {
	// Name says what it is for.
	Name string
	// When is the condition, Action what follows.
	When   string
	Action Action
	// AtLeast is the score, in hundredths, that an event has then; 0 leaves it as it is.
	AtLeast int
}

// Bounds of what is written.
const (
	MaxText  = 2000
	MaxScore = 99
)

// Compile reads a rule. It returns invalid_request at what is wrong.
func Compile(r Rule) (*Compiled, error) {
	switch {
	case !slices.Contains(actions[:], r.Action):
		return nil, fault.New(fault.InvalidRequest, "want allow, review, slow, challenge or block").At("action")
	case r.AtLeast < 0 || r.AtLeast > MaxScore:
		return nil, fault.New(fault.InvalidRequest, "a score is 0 to %d hundredths", MaxScore).At("at_least_hundredths")
	case utf8.RuneCountInString(r.When) > MaxText:
		return nil, fault.New(fault.InvalidRequest, "a condition has at most %d characters", MaxText).At("when")
	}
	when, err := parse(r.When)
	if err != nil {
		return nil, fault.New(fault.InvalidRequest, "%s", err).At("when")
	}
	return &Compiled{Rule: r, when: when}, nil
}

// Compiled is a rule that can be asked.
type Compiled struct {
	Rule
	when func(*Event) bool
}

// Holds reports whether the condition is so. It allocates nothing.
func (c *Compiled) Holds(e *Event) bool { return c.when(e) }

// Event is what conditions are about.
type Event struct {
	// Row has the engine's numbers of the event; nil: all are unknown.
	Row *sense.Row
	// Score is what the engine made of it before any rule of the operator's, in hundredths,
	// Rules and Model what its rules and its model did.
	Score, Rules, Model int
	Kind                string
	Network             string
	Country             string
	// Amount is a payment's, in minor units.
	Amount int64
}

// Book is the rules that are enabled.
type Book struct {
	Rules []*Compiled
}

// Verdict is what a book says of an event.
type Verdict struct {
	// Rule is where the strongest rule that holds stands in the book; -1 for none.
	Rule   int
	Action Action
	// AtLeast is the most that a rule which holds asks for.
	AtLeast int
}

// Judge asks all rules.
func (b *Book) Judge(e *Event) Verdict {
	v := Verdict{Rule: -1}
	if b == nil {
		return v
	}
	for i, r := range b.Rules {
		if !r.Holds(e) {
			continue
		}
		if r.Action.Stronger(v.Action) {
			v.Rule, v.Action = i, r.Action
		}
		v.AtLeast = max(v.AtLeast, r.AtLeast)
	}
	return v
}

// Name is one word of the language with what it is.
type Name struct {
	Name string
	Text bool // a text; else a number
}

// Names returns the words that conditions may use, in order.
func Names() []Name {
	all := []Name{{"amount", false}, {"country", true}, {"kind", true}, {"model", false}, {"network", true}, {"rules", false}, {"score", false}}
	for _, kind := range fraud.Kinds() {
		for _, c := range sense.Columns(kind) {
			all = append(all, Name{c.Key(), false})
		}
	}
	return all
}

// whole is a number that was made of whole ones; nil where there is none of the name.
func whole(name string) func(*Event) float64 {
	switch name {
	case "score":
		return func(e *Event) float64 { return float64(e.Score) / 100 }
	case "rules":
		return func(e *Event) float64 { return float64(e.Rules) / 100 }
	case "model":
		return func(e *Event) float64 { return float64(e.Model) / 100 }
	case "amount":
		return func(e *Event) float64 { return float64(e.Amount) }
	}
	return nil
}

// numbersByName are those of the engine.
func numbersByName() map[string]func(*Event) float64 {
	all := map[string]func(*Event) float64{}
	for _, kind := range fraud.Kinds() {
		for i, c := range sense.Columns(kind) {
			if name := c.Key(); all[name] == nil {
				all[name] = counted(kind, i)
			}
		}
	}
	return all
}

// counted is one of the engine's numbers, which events of another kind do not have.
func counted(kind fraud.Kind, i int) func(*Event) float64 {
	return func(e *Event) float64 {
		if e.Row == nil || e.Kind != string(kind) {
			return math.NaN()
		}
		return float64(e.Row[i])
	}
}

func text(name string) func(*Event) string {
	switch name {
	case "kind":
		return func(e *Event) string { return e.Kind }
	case "network":
		return func(e *Event) string { return e.Network }
	case "country":
		return func(e *Event) string { return e.Country }
	}
	return nil
}
