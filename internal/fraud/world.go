package fraud

import "github.com/scripcards/scrip/internal/fraud/keep"

// What an event is worth when there is no room for all.
const (
	askHeat = 1
	// missHeat keeps those who look like thieves.
	missHeat = 1
	// foundHeat keeps cards that exist before numbers that were made up.
	foundHeat = 4
)

// asking is what a party did with a card, and with the numbers beside it, before.
type asking struct{ own, near last }

// near returns what the parties did with the numbers beside the card.
func (w *world) near(a *ask) pasts {
	var p pasts
	for _, k := range [...]key{a.before, a.after} {
		if k == 0 {
			continue
		}
		s := w.cards.Open(k)
		if c := s.Find(k); c != nil {
			c.recall(a, &p)
		}
		s.Close()
	}
	return p
}

func (w *world) askCard(a *ask, m *measures) pasts {
	if a.card == 0 {
		return pasts{}
	}
	s := w.cards.Open(a.card)
	defer s.Close()
	c := w.cards.Touch(s, keep.Touch{Key: a.card, Now: a.now, Heat: askHeat})
	own := c.ask(a)
	c.read(a.now, a.who[net], m)
	return own
}

func (w *world) askParty(who subject, a *ask, before asking, m *measures) {
	k := a.who[who]
	if k == 0 {
		return
	}
	t := w.parties[who]
	s := t.Open(k)
	defer s.Close()
	p := t.Touch(s, keep.Touch{Key: k, Now: a.now, Heat: askHeat})
	p.ask(a, before)
	p.read(a.now, m)
}

func (w *world) readBlock(a *ask, m *measures) {
	if a.block == 0 {
		return
	}
	s := w.blocks.Open(a.block)
	defer s.Close()
	if b := s.Find(a.block); b != nil {
		b.read(a.now, m)
	}
}

func (w *world) learnCard(a *ask, o Outcome) (pasts, news) {
	if a.card == 0 {
		return pasts{}, news{}
	}
	heat := uint32(missHeat)
	if o.Found {
		heat = foundHeat
	}
	s := w.cards.Open(a.card)
	defer s.Close()
	return w.cards.Touch(s, keep.Touch{Key: a.card, Now: a.now, Heat: heat}).learn(a, o)
}

func (w *world) learnParty(who subject, a *ask, o Outcome, before asking) {
	k := a.who[who]
	if k == 0 {
		return
	}
	heat := uint32(missHeat)
	if o.Found {
		heat = 0
	}
	t := w.parties[who]
	s := t.Open(k)
	defer s.Close()
	t.Touch(s, keep.Touch{Key: k, Now: a.now, Heat: heat}).learn(a, o, before)
}

func (w *world) learnBlock(a *ask, n news) {
	if a.block == 0 || n == (news{}) {
		return
	}
	s := w.blocks.Open(a.block)
	defer s.Close()
	w.blocks.Touch(s, keep.Touch{Key: a.block, Now: a.now, Heat: missHeat}).learn(a.now, n)
}

func (w *world) labelCard(a *ask, fraud bool) {
	if a.card == 0 {
		return
	}
	s := w.cards.Open(a.card)
	defer s.Close()
	c := w.cards.Touch(s, keep.Touch{Key: a.card, Now: a.now, Heat: keep.Hot})
	c.labelled = 0
	if fraud {
		c.labelled = a.now
	}
}

func (w *world) labelParty(who subject, a *ask, fraud bool) {
	k := a.who[who]
	if k == 0 || a.card == 0 {
		return
	}
	t := w.parties[who]
	s := t.Open(k)
	defer s.Close()
	p := t.Touch(s, keep.Touch{Key: k, Now: a.now, Heat: keep.Hot})
	if fraud {
		p.label(a.card, a.now)
	} else {
		p.unlabel(a.card)
	}
}
