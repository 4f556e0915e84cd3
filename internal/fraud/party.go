package fraud

// mostLabels is how many labelled cards are remembered of a party.
const mostLabels = 4

// party is who asks: a credential, an address or a network.
type party struct {
	minute counter // asks
	asked, cards, runs,
	found, missed, empties, wrong span
	labels [mostLabels]labelled
}

// labelled is a card that was labelled as fraud.
type labelled struct {
	card key
	at   second
}

// ask counts an ask.
func (p *party) ask(a *ask, before asking) {
	p.minute.add(a.now, minute)
	p.asked.add(a.now)
	if a.card == 0 {
		return
	}
	p.cards.addUnless(a.now, before.own.seen)
	if recent(a.now, before.near.seen, hour) && !recent(a.now, before.own.seen, hour) {
		p.runs.hour.add(a.now, hour)
	}
	if recent(a.now, before.near.seen, day) && !recent(a.now, before.own.seen, day) {
		p.runs.day.add(a.now, day)
	}
}

// learn counts an outcome, once for each card: who repeats one card changes no share.
func (p *party) learn(a *ask, o Outcome, before asking) {
	if o.Found {
		p.found.addUnless(a.now, before.own.found)
		return
	}
	p.missed.addUnless(a.now, before.own.missed)
	if recent(a.now, before.near.missed, day) {
		p.empties.addUnless(a.now, before.own.missed)
	}
	if o.WrongPIN {
		p.wrong.addUnless(a.now, before.own.wrong)
	}
}

// label notes a card as fraud, in the place of the oldest where there is no room.
func (p *party) label(k key, at second) {
	to := &p.labels[0]
	for i := range p.labels {
		l := &p.labels[i]
		if l.card == k {
			to = l
			break
		}
		if l.at < to.at {
			to = l
		}
	}
	*to = labelled{card: k, at: at}
}

// unlabel takes a label back.
func (p *party) unlabel(k key) {
	for i := range p.labels {
		if p.labels[i].card == k {
			p.labels[i] = labelled{}
		}
	}
}

// read returns what is known of a party.
func (p *party) read(now second, m *measures) {
	m[asked][minute] = p.minute.read(now, minute)
	p.asked.read(now, &m[asked])
	p.cards.read(now, &m[cards])
	p.runs.read(now, &m[runs])
	p.found.read(now, &m[found])
	p.missed.read(now, &m[missed])
	p.empties.read(now, &m[empties])
	p.wrong.read(now, &m[wrong])
	for w := range windows {
		m[strays][w] = m[missed][w] - m[empties][w]
	}
	for i := range p.labels {
		if recent(now, p.labels[i].at, week) {
			m[labels][week]++
		}
	}
}
