package judge

import (
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/sense"
)

// blind is what a balance check looks like to whoever must not learn from it which other
// cards exist: see fraud.Score.Found.
type blind struct {
	row     sense.Row
	signals [fraud.MostSignals + estimator.Top + 1]fraud.Signal
	told    fraud.Told
	// rules and model are what those say of row, as in Detail.
	rules, model int
}

// look returns what is shown beside an answer that shows a card, as far as the rules made
// the score; nil where that is the whole score.
func (j *Judge) look(row *sense.Row, rules *fraud.Score, b *blind) *fraud.Told {
	if !j.Blind(row, &b.row) {
		return rules.Shown
	}
	shown := rules.Found()
	b.told = fraud.Told{Hundredths: shown.Hundredths, Signals: append(b.signals[:0], shown.Signals...)}
	b.rules, b.model = shown.Hundredths, noScore
	return &b.told
}

// show adds a model to it, whose quiet part says low.
func (j *Judge) show(m *estimator.Model, low *opinion, rules *fraud.Score, b *blind) {
	if rules.Shown != &b.told {
		return
	}
	most := ask(&m.Full, &b.row, rules)
	if low.says > most.says {
		most = *low
	}
	b.model = most.says
	if most.says < quietBelow || most.says <= b.told.Hundredths {
		return
	}
	b.told.Signals = j.explain(&most, b.told.Signals, most.says-b.told.Hundredths)
	b.told.Hundredths = sum(b.told.Signals)
}
