package fraud

// visitors is how many of those who asked for a card it remembers.
const visitors = 6

// cardState is what is known of a number, whether there is such a card or not.
type cardState struct {
	asked, wrong span
	visitors     [visitors]visitor
	seen         second
	woke         second // when it was last asked for after a pause
	idle         uint32 // days that the pause had
	found        second
	missed       second
	labelled     second
}

// visitor is who asked for a card from where, and what came of it.
type visitor struct {
	who   [parties]key
	since second
	last
}

// last is when something was last so.
type last struct{ seen, found, missed, wrong second }

func (l *last) join(o *last) {
	l.seen, l.found = max(l.seen, o.seen), max(l.found, o.found)
	l.missed, l.wrong = max(l.missed, o.missed), max(l.wrong, o.wrong)
}

// pasts is when each party last dealt with a card.
type pasts [parties]last

// recall adds when the parties of an ask dealt with this card.
func (c *cardState) recall(a *ask, p *pasts) {
	for i := range c.visitors {
		v := &c.visitors[i]
		for who := range parties {
			if v.who[who] != 0 && v.who[who] == a.who[who] {
				p[who].join(&v.last)
			}
		}
	}
}

// visit returns the visitor that asks. A new one takes the place of one who never
// found the card, or of the one that came longest ago.
func (c *cardState) visit(a *ask) *visitor {
	at := &c.visitors[0]
	for i := range c.visitors {
		v := &c.visitors[i]
		if v.since != 0 && v.who == a.who {
			return v
		}
		if v.less(at) {
			at = v
		}
	}
	*at = visitor{who: a.who, since: a.now}
	return at
}

// less orders visitors by what is lost when they are forgotten.
func (v *visitor) less(o *visitor) bool {
	if known := v.found != 0; known != (o.found != 0) {
		return !known
	}
	return v.seen < o.seen
}

// ask counts an ask, and returns when its parties last dealt with the card.
func (c *cardState) ask(a *ask) pasts {
	var own pasts
	c.recall(a, &own)
	c.asked.add(a.now)
	if pause := a.now - min(c.seen, a.now); c.seen != 0 && pause >= lengths[day] {
		c.woke, c.idle = a.now, uint32(pause/lengths[day])
	}
	c.seen = max(c.seen, a.now)
	v := c.visit(a)
	v.seen = max(v.seen, a.now)
	return own
}

// news is whether an outcome is the first of its kind for a card in a day.
type news struct{ found, missed bool }

// learn counts an outcome, and returns what was known before.
func (c *cardState) learn(a *ask, o Outcome) (pasts, news) {
	var own pasts
	c.recall(a, &own)
	v := c.visit(a)
	v.seen = max(v.seen, a.now)
	if o.Found {
		first := !recent(a.now, c.found, day)
		v.found, c.found = max(v.found, a.now), max(c.found, a.now)
		return own, news{found: first}
	}
	first := !recent(a.now, c.missed, day)
	v.missed, c.missed = max(v.missed, a.now), max(c.missed, a.now)
	if o.WrongPIN {
		c.wrong.add(a.now)
		v.wrong = max(v.wrong, a.now)
	}
	return own, news{missed: first}
}

// read returns what is known of a card to one who asks from a network.
func (c *cardState) read(now second, from key, m *measures) {
	c.asked.read(now, &m[asked])
	c.wrong.read(now, &m[wrong])
	m[nets][month] = c.others(now, from)
	if recent(now, c.woke, day) {
		m[idle][day] = int64(c.idle)
	}
	if recent(now, c.labelled, week) {
		m[labels][week] = 1
	}
}

// others counts the networks from which the card was found before this one first
// asked. A network that asked a day ago is not new any more.
func (c *cardState) others(now second, from key) int64 {
	if from == 0 {
		return 0
	}
	since := now
	for i := range c.visitors {
		if v := &c.visitors[i]; v.who[net] == from && v.since != 0 {
			since = min(since, v.since)
		}
	}
	if !recent(now, since, day) {
		return 0
	}
	count := int64(0)
	for i := range c.visitors {
		if c.knows(i, since) && recent(now, c.visitors[i].seen, month) && c.visitors[i].who[net] != from && !c.repeats(i, since) {
			count++
		}
	}
	return count
}

// knows says whether a visitor found the card, and came before then.
func (c *cardState) knows(i int, then second) bool {
	v := &c.visitors[i]
	return v.found != 0 && v.since < then && v.who[net] != 0
}

// repeats says whether a visitor before this one came from the same network.
func (c *cardState) repeats(i int, then second) bool {
	for j := range i {
		if c.knows(j, then) && c.visitors[j].who[net] == c.visitors[i].who[net] {
			return true
		}
	}
	return false
}

// blockState is what is known of a hundred numbers: cards, each once a day.
type blockState struct{ found, missed counter }

func (b *blockState) learn(now second, n news) {
	if n.found {
		b.found.add(now, day)
	}
	if n.missed {
		b.missed.add(now, day)
	}
}

func (b *blockState) read(now second, m *measures) {
	m[found][day], m[missed][day] = b.found.read(now, day), b.missed.read(now, day)
}
