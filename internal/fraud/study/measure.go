package study

import (
	"cmp"
	"slices"
)

// Scored is one event of a test.
type Scored struct {
	Score float64
	Fraud bool
	// Card is whose event it was, Day the day of the test.
	Card uint64
	Day  int
}

// Measures say how well scores tell fraud.
type Measures struct {
	// AveragePrecision is the area under the steps of precision over recall.
	AveragePrecision float64
	// AUC is the share of pairs, one fraud and one not, that are in order.
	AUC float64
	// CardPrecision is the share of frauds among the 100 cards with the highest scores of
	// a day; the mean of the days. A card that was found is left out of the days after.
	CardPrecision float64
	// Recall is the share of frauds found when one in a thousand good events is flagged.
	Recall float64
	Events int
	Frauds int
}

// topCards is how many cards a day are looked at.
const topCards = 100

// falsePositives is the share of good events that Recall allows.
const falsePositives = 0.001

// Measure computes all of them. It orders what it is given.
func Measure(events []Scored) Measures {
	slices.SortStableFunc(events, func(a, b Scored) int { return cmp.Compare(b.Score, a.Score) })
	m := Measures{Events: len(events)}
	for i := range events {
		if events[i].Fraud {
			m.Frauds++
		}
	}
	frauds, good := float64(m.Frauds), float64(m.Events-m.Frauds)
	if frauds == 0 || good == 0 {
		return m
	}
	var found, wrong float64
	for first := 0; first < len(events); {
		var hits, misses float64
		last := first
		for ; last < len(events) && events[last].Score == events[first].Score; last++ {
			if events[last].Fraud {
				hits++
			} else {
				misses++
			}
		}
		m.AUC += misses * (found + hits/2) / (frauds * good)
		found, wrong = found+hits, wrong+misses
		m.AveragePrecision += hits / frauds * found / (found + wrong)
		if wrong <= falsePositives*good {
			m.Recall = found / frauds
		}
		first = last
	}
	m.CardPrecision = cardPrecision(events)
	return m
}

// suspect is a card on one day.
type suspect struct {
	card  uint64
	score float64
	fraud bool
}

// cardPrecision expects events in falling order of their scores.
func cardPrecision(events []Scored) float64 {
	byDay := map[int][]*suspect{}
	days := []int{}
	type key struct {
		day  int
		card uint64
	}
	known := map[key]*suspect{}
	for i := range events {
		e := &events[i]
		s := known[key{e.Day, e.Card}]
		if s == nil {
			s = &suspect{card: e.Card, score: e.Score} // its first event has its highest score
			known[key{e.Day, e.Card}] = s
			if byDay[e.Day] == nil {
				days = append(days, e.Day)
			}
			byDay[e.Day] = append(byDay[e.Day], s)
		}
		s.fraud = s.fraud || e.Fraud
	}
	slices.Sort(days)
	found := map[uint64]bool{}
	sum := 0.0
	for _, day := range days {
		looked := 0
		for _, s := range byDay[day] {
			if found[s.card] {
				continue
			}
			if looked == topCards {
				break
			}
			looked++
			if s.fraud {
				found[s.card] = true
				sum++
			}
		}
	}
	return sum / float64(topCards*max(len(days), 1))
}
