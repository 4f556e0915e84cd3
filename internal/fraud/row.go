package fraud

import "time"

// RowWidth is how many numbers a Row has.
const RowWidth = 3*partyColumns + 8 + 2

const partyColumns = 17 + 5

// Row is the counts of one balance check as numbers for a model, in the order of
// RowColumns. They are what the rules look at, and shares of them.
type Row [RowWidth]float32

// RowColumn says what a number is.
type RowColumn struct {
	// Name is that of the number, "missed" or "missed_share"; Signal the word under which
	// it is told.
	Name, Signal string
	// Of is whose events are counted, Window over how long; 0: what is so now.
	Of     string
	Window time.Duration
	// Telling: see Signal.
	Telling bool
}

// counted is a number as it is counted.
type counted struct {
	what   quantity
	window window
}

var (
	partyCounts = [...]counted{{asked, minute}, {asked, hour}, {asked, day}, {cards, hour}, {cards, day}, {runs, hour}, {runs, day},
		{found, hour}, {found, day}, {missed, hour}, {missed, day}, {empties, hour}, {empties, day}, {strays, hour}, {strays, day},
		{wrong, hour}, {wrong, day}}
	cardCounts  = [...]counted{{asked, hour}, {asked, day}, {wrong, hour}, {wrong, day}, {nets, month}, {idle, day}}
	blockCounts = [...]counted{{found, day}, {missed, day}}
)

// quantityNames are names of numbers, and the signals that they are told under.
var quantityNames = [quantities][2]string{asked: {"asked", "velocity_anomaly"}, cards: {"cards", "card_spread_anomaly"},
	runs: {"runs", "sequential_pan_pattern"}, found: {"found", "hit_rate_anomaly"}, missed: {"missed", "hit_rate_anomaly"},
	empties: {"empties", "sequential_pan_pattern"}, strays: {"strays", "hit_rate_anomaly"}, wrong: {"wrong", "pin_guessing_pattern"},
	nets: {"nets", "new_ip_detected"}, idle: {"idle", "dormant_card_detected"}}

// cardSignals are the words for what is counted of a card where they are not those of parties.
var cardSignals = [quantities]string{asked: "card_velocity_anomaly"}

// RowColumns says what the numbers of a Row are, in their order.
func RowColumns() []RowColumn {
	var all []RowColumn
	add := func(of subject, c counted, telling bool) {
		names := quantityNames[c.what]
		if of == card && cardSignals[c.what] != "" {
			names[1] = cardSignals[c.what]
		}
		if of == block {
			names[1] = "pan_range_pattern"
		}
		all = append(all, RowColumn{Name: names[0], Signal: names[1], Of: subjectNames[of], Window: lengthOf(c.window), Telling: telling})
	}
	share := func(of subject, name, signal string, w window, telling bool) {
		all = append(all, RowColumn{Name: name, Signal: signal, Of: subjectNames[of], Window: lengthOf(w), Telling: telling})
	}
	for who := range parties {
		for _, c := range partyCounts {
			add(who, c, c.what == wrong)
		}
		share(who, "missed_share", "hit_rate_anomaly", hour, false)
		share(who, "missed_share", "hit_rate_anomaly", day, false)
		share(who, "empties_share", "sequential_pan_pattern", day, false)
		share(who, "cards_share", "card_spread_anomaly", day, false)
		share(who, "wrong_share", "pin_guessing_pattern", day, true)
	}
	for _, c := range cardCounts {
		add(card, c, true)
	}
	for _, c := range blockCounts {
		add(block, c, true)
	}
	share(address, "listed", "proxy_ip_detected", always, false)
	share(caller, "public", "velocity_anomaly", always, false)
	return all
}

func lengthOf(w window) time.Duration { return time.Duration(lengths[w]) * time.Second }

// fill writes facts into a row.
func (r *Row) fill(f *facts, public bool) {
	n := 0
	put := func(x float32) {
		r[n] = x
		n++
	}
	for who := range parties {
		m := &f[who]
		for _, c := range partyCounts {
			put(float32(m[c.what][c.window]))
		}
		put(shareOf(m[missed][hour], m[found][hour]))
		put(shareOf(m[missed][day], m[found][day]))
		put(shareOf(m[empties][day], m[strays][day]))
		put(shareOf(m[cards][day], m[asked][day]-m[cards][day]))
		put(shareOf(m[wrong][day], m[found][day]))
	}
	for _, c := range cardCounts {
		put(float32(f[card][c.what][c.window]))
	}
	for _, c := range blockCounts {
		put(float32(f[block][c.what][c.window]))
	}
	put(float32(f[address][listed][always]))
	put(0)
	if public {
		r[n-1] = 1
	}
}

// shareOf is n among n and others, pulled towards nothing while there are few.
func shareOf(n, others int64) float32 {
	return float32(n) / (float32(max(n, 0)+max(others, 0)) + 2)
}

// Measure counts a balance check, writes what was counted into row, and says how much the
// check looks like theft, given what was seen before. It is asked before the network is. The
// signals are made in room, if there is some.
func (e *Engine) Measure(event *Event, row *Row, room *Room) Score {
	var f facts
	public := e.count(event, &f)
	row.fill(&f, public)
	return judge(&f, public, room)
}

// PaymentRowWidth is how many numbers a PaymentRow has.
const PaymentRowWidth = 22

// PaymentRow is the counts of one payment as numbers for a model, in the order of
// PaymentColumns.
type PaymentRow [PaymentRowWidth]float32

// paymentCounts are the counts in it, and the signals that they are told under.
var paymentCounts = [...]struct {
	of           subject
	what         quantity
	window       window
	name, signal string
}{
	{card, asked, hour, "asked", "payment_velocity_anomaly"},
	{card, asked, day, "asked", "payment_velocity_anomaly"},
	{card, wrong, hour, "wrong", "cvc_guessing_pattern"},
	{card, wrong, day, "wrong", "cvc_guessing_pattern"},
	{card, abroad, always, "abroad", "new_country_detected"},
	{card, multiple, always, "multiple", "amount_anomaly"},
	{card, novel, always, "novel", "new_category_detected"},
	{card, strange, hour, "strange", "merchant_spread_anomaly"},
	{card, strange, day, "strange", "merchant_spread_anomaly"},
	{card, novels, hour, "novels", "new_category_detected"},
	{card, novels, day, "novels", "new_category_detected"},
	{card, aways, hour, "abroads", "new_country_detected"},
	{card, aways, day, "abroads", "new_country_detected"},
	{pair, asked, hour, "asked", "merchant_velocity_anomaly"},
	{pair, asked, day, "asked", "merchant_velocity_anomaly"},
	{merchant, found, hour, "found", "merchant_anomaly"},
	{merchant, found, day, "found", "merchant_anomaly"},
	{merchant, missed, hour, "missed", "card_testing_pattern"},
	{merchant, missed, day, "missed", "card_testing_pattern"},
	{merchant, remote, always, "remote", "remote_payment"},
}

// PaymentColumns says what the numbers of a PaymentRow are, in their order.
func PaymentColumns() []RowColumn {
	all := make([]RowColumn, 0, PaymentRowWidth)
	for _, c := range paymentCounts {
		all = append(all, RowColumn{Name: c.name, Signal: c.signal, Of: subjectNames[c.of], Window: lengthOf(c.window)})
	}
	for _, w := range [...]window{hour, day} {
		all = append(all, RowColumn{Name: "missed_share", Signal: "card_testing_pattern", Of: subjectNames[merchant], Window: lengthOf(w)})
	}
	return all
}

// fill writes facts into a row.
func (r *PaymentRow) fill(f *facts) {
	for i, c := range paymentCounts {
		r[i] = float32(f[c.of][c.what][c.window])
	}
	m := &f[merchant]
	r[len(paymentCounts)] = shareOf(m[missed][hour], m[found][hour])
	r[len(paymentCounts)+1] = shareOf(m[missed][day], m[found][day])
}

// MeasurePayment is Measure for a payment.
func (e *Engine) MeasurePayment(event *Event, row *PaymentRow, room *Room) Score {
	var f facts
	e.world(event.Realm).paying().count(event, &f)
	row.fill(&f)
	return judgeBy(paying[:], &f, asker{}, room)
}
