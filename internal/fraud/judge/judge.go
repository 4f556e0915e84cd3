// Package judge scores events: what the rules count, what a trained model makes of it,
// and what the operator's own rules add. The model and the operator's rules can be
// replaced while it works.
//
// It promises that nothing lowers what the built-in rules say, that every point of a
// score has a reason, and an answer in microseconds without I/O. It decides nothing.
package judge

import (
	"sync"
	"sync/atomic"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
	"github.com/scripcards/scrip/internal/fraud/sense"
)

// Judge is safe for concurrent use.
type Judge struct {
	*sense.Sense
	checks, payments seats
	book             atomic.Pointer[rulebook.Book]
	scratch          sync.Pool // of *asking
}

// seats are the models of one kind of events.
type seats struct {
	champion, challenger atomic.Pointer[estimator.Model]
	// columns say how the models' reasons are told.
	columns []sense.Column
}

// New returns a judge without a model and without rules of the operator's.
func New(s *sense.Sense) *Judge {
	j := &Judge{Sense: s, scratch: sync.Pool{New: func() any { return new(asking) }}}
	j.checks.columns, j.payments.columns = sense.Columns(fraud.Ping), sense.Columns(fraud.Authorization)
	return j
}

func (j *Judge) seats(kind fraud.Kind) *seats {
	if kind == fraud.Authorization {
		return &j.payments
	}
	return &j.checks
}

// Use replaces the models of a kind of events; nil is none. The challenger's scores change
// nothing.
func (j *Judge) Use(kind fraud.Kind, champion, challenger *estimator.Model) {
	s := j.seats(kind)
	s.champion.Store(champion)
	s.challenger.Store(challenger)
}

// UseBook replaces the operator's rules; nil is none.
func (j *Judge) UseBook(b *rulebook.Book) { j.book.Store(b) }

// Models returns the models in use of a kind of events, nil where there is none.
func (j *Judge) Models(kind fraud.Kind) (champion, challenger *estimator.Model) {
	s := j.seats(kind)
	return s.champion.Load(), s.challenger.Load()
}

// Detail is what a score was made of.
type Detail struct {
	// Row is the event's numbers.
	Row sense.Row
	// Rules, Model and Shadow are what the built-in rules, the champion and the challenger
	// say alone, in hundredths; -1 where there is none.
	Rules, Model, Shadow int
	// Challenger names the challenger, Rule the strongest rule of the operator's.
	Challenger, Rule string
	Action           rulebook.Action
	// Room, where there is some, is where the score's signals are made: they are there until
	// it is used again. Nothing is allocated then.
	Room *Room
}

// Room is memory for the signals of one score.
type Room struct {
	rules fraud.Room
	quiet [fraud.MostSignals + estimator.Top]fraud.Signal
	all   [fraud.MostSignals + estimator.Top + 1]fraud.Signal // and one of the operator's rules
	told  fraud.Told
	blind blind
}

// noScore is where there is no model.
const noScore = -1

// Score counts an event, and says how much it looks like theft and why.
func (j *Judge) Score(event *fraud.Event, d *Detail) fraud.Score {
	d.Model, d.Shadow = noScore, noScore
	room := d.Room
	if room == nil {
		room = new(Room)
	}
	score := j.SeeInto(event, &d.Row, &room.rules)
	d.Rules = score.Hundredths
	if event.Kind == fraud.Ping {
		score.Shown = j.look(&d.Row, &score, &room.blind)
	}
	champion, challenger := j.Models(event.Kind)
	if champion != nil {
		if event.Kind == fraud.Authorization {
			score, d.Model = j.consultOf(champion, &d.Row, score, room)
		} else {
			score, d.Model = j.consult(champion, &d.Row, score, room)
		}
	}
	if challenger != nil {
		d.Shadow, d.Challenger = Says(challenger, &d.Row), challenger.Info.Name
	}
	j.obey(event, d, &score, room)
	return score
}

// mostHundredths is the most that a score is: certainty is nobody's.
const mostHundredths = 99

func hundredths(p float64) int { return min(int(100*p), mostHundredths) }

// quietBelow is what a model says when it says nothing: less is no suspicion.
const quietBelow = 5

// Says is what a model says of an event, in hundredths, as a champion and as a challenger:
// the most that one of its parts says.
func Says(m *estimator.Model, row *sense.Row) int {
	says := hundredths(m.Full.Probability(row))
	if m.Kind == fraud.Ping {
		says = max(says, hundredths(m.Quiet.Probability(row)))
	}
	return says
}

// opinion is what a part of a model says of an event, in hundredths, and why.
type opinion struct {
	part      *estimator.Part
	row       *sense.Row
	says      int
	explained bool
	why       estimator.Reasons
}

// ask asks a part of a model. Where the rules speak, its reasons will be wanted too, and cost
// less at once than later.
func ask(p *estimator.Part, row *sense.Row, rules *fraud.Score) opinion {
	o := opinion{part: p, row: row}
	if rules.Hundredths == 0 {
		o.says = hundredths(p.Probability(row))
		return o
	}
	probability := 0.0
	probability, o.why = p.Explain(row)
	o.says, o.explained = hundredths(probability), true
	return o
}

func (o *opinion) reasons() *estimator.Reasons {
	if !o.explained {
		_, o.why = o.part.Explain(o.row)
		o.explained = true
	}
	return &o.why
}

// consultOf adds a model of payments to what the rules say: whoever pays is told no score,
// so there is nothing to keep from them.
func (j *Judge) consultOf(m *estimator.Model, row *sense.Row, rules fraud.Score, room *Room) (fraud.Score, int) {
	full := ask(&m.Full, row, &rules)
	score := rules
	score.Model = m.Info.Name
	if full.says >= quietBelow && full.says > rules.Hundredths {
		score.Signals = j.explain(&full, append(room.all[:0], rules.Signals...), full.says-rules.Hundredths)
		score.Hundredths = sum(score.Signals)
	}
	return score, full.says
}

// consult adds a model to what the rules say of a balance check. What callers may see of a
// check that found nothing is made of the quiet part alone; the whole score is never less than that.
func (j *Judge) consult(m *estimator.Model, row *sense.Row, rules fraud.Score, room *Room) (fraud.Score, int) {
	full, low := ask(&m.Full, row, &rules), ask(&m.Quiet, row, &rules)
	j.show(m, &low, &rules, &room.blind)
	most := &full
	if low.says > full.says {
		most = &low
	}
	score := rules
	score.Model = m.Info.Name
	if most.says < quietBelow {
		return score, most.says
	}
	room.told = rules.Quiet(room.quiet[:0])
	if quiet := &room.told; low.says >= quietBelow && low.says > quiet.Hundredths {
		quiet.Signals = j.explain(&low, quiet.Signals, low.says-quiet.Hundredths)
		quiet.Hundredths = sum(quiet.Signals)
	}
	score.Told = &room.told
	if most.says > rules.Hundredths {
		score.Signals = j.explain(most, append(room.all[:0], rules.Signals...), most.says-rules.Hundredths)
		score.Hundredths = sum(score.Signals)
	}
	return score, most.says
}

func sum(signals []fraud.Signal) int {
	n := 0
	for i := range signals {
		n += signals[i].Points
	}
	return min(n, mostHundredths)
}

// explain spreads points over a model's reasons, and puts them among the signals of the
// rules, which have room for them: a signal that both have is there once, with the points
// of both.
func (j *Judge) explain(o *opinion, signals []fraud.Signal, points int) []fraud.Signal {
	reasons, columns := o.reasons(), j.seats(o.part.Kind).columns
	all := 0.0
	for _, r := range reasons.List[:reasons.N] {
		all += r.Share
	}
	left := points
	for i := reasons.N - 1; i >= 0 && left > 0; i-- { // what is left by rounding goes to the strongest
		r := &reasons.List[i]
		part := left
		if i > 0 {
			part = int(float64(points) * r.Share / all)
		}
		if part > 0 {
			signals = add(signals, &columns[r.Column], r, part)
			left -= part
		}
	}
	for i := 1; i < len(signals); i++ {
		for k := i; k > 0 && signals[k-1].Points < signals[k].Points; k-- {
			signals[k-1], signals[k] = signals[k], signals[k-1]
		}
	}
	return signals
}

func add(signals []fraud.Signal, c *sense.Column, r *estimator.Reason, points int) []fraud.Signal {
	for i := range signals {
		if signals[i].Name == c.Signal {
			signals[i].Points += points
			return signals
		}
	}
	return append(signals, fraud.Signal{Name: c.Signal, Of: c.Of, Value: c.Whole(r.Value), Window: c.Window, Points: points, Telling: c.Telling})
}

// asking is what the operator's rules are asked about.
type asking struct {
	row   sense.Row
	event rulebook.Event
}

// operatorSignal is the signal of the operator's own rules.
const operatorSignal = "operator_rule"

// obey raises a score as the operator's rules say.
func (j *Judge) obey(event *fraud.Event, d *Detail, score *fraud.Score, room *Room) {
	book := j.book.Load()
	if book == nil || len(book.Rules) == 0 {
		return
	}
	asking := j.scratch.Get().(*asking)
	defer j.scratch.Put(asking)
	asking.row = d.Row
	asked := &asking.event
	*asked = rulebook.Event{Row: &asking.row, Score: score.Hundredths, Rules: d.Rules, Model: max(d.Model, 0), Kind: string(event.Kind),
		Network: event.Network, Country: event.Country, Amount: event.Amount.Minor}
	v := book.Judge(asked)
	if v.Rule >= 0 {
		d.Action, d.Rule = v.Action, book.Rules[v.Rule].Name
	}
	if v.AtLeast > score.Hundredths {
		score.Signals = raise(append(room.all[:0], score.Signals...), v.AtLeast, v.AtLeast-score.Hundredths)
		score.Hundredths = sum(score.Signals)
	}
	b := &room.blind
	if score.Shown != &b.told {
		return
	}
	asking.row = b.row
	asked.Score, asked.Rules, asked.Model = b.told.Hundredths, b.rules, max(b.model, 0)
	if v := book.Judge(asked); v.AtLeast > b.told.Hundredths {
		b.told.Signals = raise(b.told.Signals, v.AtLeast, v.AtLeast-b.told.Hundredths)
		b.told.Hundredths = sum(b.told.Signals)
	}
}

// Unruled is the score, in hundredths, of which the operator's rules were asked, by the
// signals of what came of it.
func Unruled(signals []fraud.Signal) int {
	n := 0
	for i := range signals {
		if signals[i].Name != operatorSignal {
			n += signals[i].Points
		}
	}
	return min(n, mostHundredths)
}

// raise puts what the operator's rules ask for among the signals, which have room for it.
// What they looked at may tell whether there is such a card.
func raise(signals []fraud.Signal, atLeast, extra int) []fraud.Signal {
	at := len(signals)
	for at > 0 && signals[at-1].Points < extra {
		at--
	}
	signals = append(signals, fraud.Signal{})
	copy(signals[at+1:], signals[at:])
	signals[at] = fraud.Signal{Name: operatorSignal, Of: "event", Value: int64(atLeast), Points: extra, Telling: true}
	return signals
}
