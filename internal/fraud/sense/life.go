package sense

import (
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/feature"
)

// lives are cards since they were activated, as checks and as payments name them.
type lives struct{ checked, paid *feature.Lives }

func newLives(checks, payments int64) lives {
	return lives{feature.NewLives(checks), feature.NewLives(payments)}
}

func (s *Sense) lives(r realm.Realm) *lives {
	if r == realm.Test {
		return &s.testLives
	}
	return &s.liveLives
}

// allLives are those of both realms, in the order in which they are saved.
func (s *Sense) allLives() [4]*feature.Lives {
	return [4]*feature.Lives{s.liveLives.checked, s.liveLives.paid, s.testLives.checked, s.testLives.paid}
}

// Hear takes in that a card was activated or reloaded. To hear the same again changes
// nothing.
func (s *Sense) Hear(event *fraud.Event) {
	e := feature.Event{At: event.At.UnixMicro(), Kind: feature.Activation}
	if event.Kind == fraud.Reload {
		e.Kind = feature.Reload
	}
	known := s.lives(event.Realm)
	e.Keys[feature.Card], e.Keys[feature.Ten] = hashed(&event.Card), hashed(&event.Block)
	e.Keys[feature.Hundred], e.Keys[feature.Range] = hashed(&event.Hundred), hashed(&event.Range)
	known.checked.Hear(&e)
	e.Keys = [feature.Roles]feature.Key{feature.Card: hashed(&event.Payer)}
	known.paid.Hear(&e)
}

const (
	// checkLives and payLives are how many numbers of lives a check and a payment have:
	// nothing is known of the numbers around a card that pays.
	checkLives = feature.LifeWidth
	payLives   = 4
)

// lifeSignal is the word for what is unusual of a card's life.
const lifeSignal = "card_age_anomaly"

// lifeColumns are the last ones of a kind of events. Models of checks do not look at them:
// that a card is known speaks for whoever asks for it, and so for thieves just where they
// find one. docs/decisions/0023-what-is-heard-of-cards.md has the figures.
func lifeColumns(kind fraud.Kind) []Column {
	names, roles := feature.LifeNames()
	n := checkLives
	if kind == fraud.Authorization {
		n = payLives
	}
	all := make([]Column, n)
	for i := range all {
		c := fraud.RowColumn{Name: names[i], Signal: lifeSignal, Of: roleNames[roles[i]], Telling: kind == fraud.Ping}
		if name, ok := strings.CutSuffix(c.Name, "_1d"); ok {
			c.Name, c.Signal, c.Window = "fading_"+name, "pan_range_pattern", 24*time.Hour
		}
		all[i] = Column{RowColumn: c, Kind: kind, Spare: kind == fraud.Ping}
	}
	return all
}

// Life is what is known of an event's card since it was activated; NaN is unknown.
type Life struct {
	// SinceActivation and SinceReload are hours; Asks are events since the newest of both.
	SinceActivation, SinceReload, Asks float32
}

// LifeOf returns what the numbers of an event say of its card, and whether anything.
func LifeOf(kind fraud.Kind, row *Row) (Life, bool) {
	numbers := row[lifeFrom:]
	if kind == fraud.Authorization {
		numbers = row[paidLifeFrom:]
	}
	l := Life{SinceActivation: numbers[1], SinceReload: numbers[2], Asks: numbers[3]}
	return l, l.Asks == l.Asks
}
