package feature

import "math"

// writer writes the numbers of an event in their order, or only says their names.
type writer struct {
	v     *Vector
	names []string // of those that were written, when there is no v
	n     int
	at    seconds
	event *Event

	ratio, usual, rank float32
}

// put writes one number, or its name: the role's, what, and over how long.
func (w *writer) put(role Role, what, window string, value float32) {
	if w.v != nil {
		w.v[w.n] = value
		w.n++
		return
	}
	name := what
	if role < Roles {
		name = role.String() + "." + what
	}
	if window != "" {
		name += "_" + window
	}
	w.names = append(w.names, name)
}

// describe says all names in the order in which See writes the numbers.
func (w *writer) describe() {
	w.event = &Event{}
	w.noDays(Card)
	w.noDays(Merchant)
	w.whole()
	for role := range Roles {
		w.noTrack(role)
	}
}

// Width is how many numbers an event has.
const Width = wholeWidth + 2*daysWidth + int(Roles)*trackWidth

const wholeWidth = 7

// whole writes what is so of the event itself.
func (w *writer) whole() {
	amount, kind, hourOfDay := float32(w.event.Amount), float32(w.event.Kind), float32(math.Mod(float64(w.at/hour), 24))
	cents := float32(w.event.Amount % 100)
	if w.event.Amount == 0 {
		amount, cents = unknown, unknown
	}
	if w.ratio == 0 {
		w.put(Roles, "ratio", "", unknown)
		w.put(Roles, "usual", "", unknown)
	} else {
		w.put(Roles, "ratio", "", w.ratio)
		w.put(Roles, "usual", "", w.usual)
	}
	w.put(Roles, "amount", "", amount)
	w.put(Roles, "amount_rank", "", w.rank)
	w.put(Roles, "cents", "", cents)
	w.put(Roles, "kind", "", kind)
	w.put(Roles, "hour", "", hourOfDay)
}

var (
	seenDays   = [...]int{1, 7, 14, 30}
	seenNames  = [...]string{"1d", "7d", "14d", "30d"}
	labelDays  = [...]int{8, 10, 14, 21, 28, 37}
	labelNames = [...]string{"8d", "10d", "14d", "21d", "28d", "37d"}
)

const daysWidth = 4*5 + 6*4 + 7

// days writes what the last days say of a card or a merchant.
func (w *writer) days(role Role, d *days) {
	for i, length := range seenDays {
		s, over := d.over(w.at, length), seenNames[i]
		w.put(role, "seen", over, s.events)
		w.put(role, "high", over, s.high)
		w.put(role, "mean", over, s.amount/max(s.events, 1))
		w.put(role, "ratio", over, s.ratios/max(s.events, 1))
		w.put(role, "top", over, s.top)
	}
	for i, length := range labelDays {
		s, over := d.over(w.at, length), labelNames[i]
		w.put(role, "known", over, s.known)
		w.put(role, "frauds", over, s.fraud)
		w.put(role, "plain_frauds", over, s.plain)
		w.put(role, "risk", over, (s.plain+0.01)/(s.known+1))
	}
	w.put(role, "usual_of", "", float32(d.counts))
	w.put(role, "fraud_run", "", float32(d.run))
	w.put(role, "good_since", "", float32(d.goodSince))
	w.put(role, "fraud_run_since", "", w.ago(d.runSince))
	w.put(role, "last_good", "", w.ago(d.lastGood))
	w.put(role, "last_plain", "", w.ago(d.lastPlain))
	w.put(role, "first_plain", "", w.ago(d.firstPlain))
}

// ago is how many days ago something was.
func (w *writer) ago(then seconds) float32 {
	if then == 0 {
		return unknown
	}
	return float32((w.at - then) / day)
}

// noDays writes that nothing is known.
func (w *writer) noDays(role Role) { w.blank(daysWidth, func() { w.days(role, &days{}) }) }

// blank writes unknown numbers, or the names that do would write.
func (w *writer) blank(width int, do func()) {
	if w.v == nil {
		do()
		return
	}
	numbers := w.v[w.n : w.n+width]
	for i := range numbers {
		numbers[i] = unknown
	}
	w.n += width
}

const trackWidth = 5 + 5 + 4 + 3 + 5 + 2

// Places of half-lives in counts.
const (
	perHour = 1
	perDay  = 2
	per7    = 3
	per30   = 4
)

// track writes what is known of one key, before the event is counted. f is the fading
// since its newest event.
func (w *writer) track(role Role, t *track, f *fades) {
	for i := range t.events {
		w.put(role, "events", halfNames[i], t.events[i]*f[i])
	}
	for _, i := range [...]int{perHour, perDay, per30} {
		w.put(role, "miss_share", halfNames[i], t.missed[i]*f[i]/(t.events[i]*f[i]+1))
	}
	w.put(role, "misses", halfNames[perHour], t.missed[perHour]*f[perHour])
	w.put(role, "misses", halfNames[perDay], t.missed[perDay]*f[perDay])
	w.put(role, "wrong", halfNames[perHour], t.wrong[perHour]*f[perHour])
	w.put(role, "wrong", halfNames[perDay], t.wrong[perDay]*f[perDay])
	w.put(role, "distinct", halfNames[perHour], t.spread[0].estimate(w.at, hour))
	w.put(role, "distinct", halfNames[perDay], t.spread[1].estimate(w.at, day))
	since := unknown
	if t.last != 0 {
		since = float32(math.Log2(1 + max(0, float64(w.at-t.last))))
	}
	w.put(role, "since", "", since)
	w.put(role, "gap", "", t.gap)
	w.put(role, "gap_spread", "", float32(math.Sqrt(float64(t.gapVar))))
	w.labels(role, t, f)
	z := unknown
	if a := logAmount(w.event.Amount); a > 0 && t.amounts > 0 {
		spread := math.Sqrt(float64(max(t.amountSq-t.amount*t.amount, 0))) + 0.3
		z = (a - t.amount) / float32(spread)
	}
	w.put(role, "amount_z", "", z)
	w.put(role, "amount_mean", "", t.amount)
}

// labels writes what the labels say that have arrived.
func (w *writer) labels(role Role, t *track, f *fades) {
	for _, i := range [...]int{perDay, per7, per30} {
		w.put(role, "label_frauds", halfNames[i], t.fraud[i]*f[i])
	}
	for _, i := range [...]int{per7, per30} {
		frauds := t.fraud[i] * f[i]
		w.put(role, "label_risk", halfNames[i], (frauds+0.01)/(frauds+t.good[i]*f[i]+1))
	}
}

func (w *writer) noTrack(role Role) {
	w.blank(trackWidth, func() { w.track(role, &track{}, &fades{}) })
}

// ColumnRoles returns, by number, whose it is: unknown for events without a key of that
// role. Roles stands for the event itself.
func ColumnRoles() []Role {
	var roles []Role
	add := func(role Role, n int) {
		for range n {
			roles = append(roles, role)
		}
	}
	add(Card, daysWidth)
	add(Merchant, daysWidth)
	add(Roles, wholeWidth)
	for role := range Roles {
		add(role, trackWidth)
	}
	return roles
}
