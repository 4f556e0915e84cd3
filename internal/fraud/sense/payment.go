package sense

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/feature"
)

// payRoles are those that payments have. A terminal is a device, a country a place; the
// customer whose card it is stands where checks have a caller, and all payments of about
// the same amount where they have an operator of networks.
var payRoles = [...]feature.Role{feature.Card, feature.Pair, feature.Merchant, feature.Device, feature.Category, feature.Place, feature.Caller,
	feature.Operator}

// payFading is how many fading numbers of a payment are used: of each role those that
// checks have and how far the amount is from what is usual there; what the last days of
// its card and of its merchant were like; and the amount among all.
const payFading = len(payRoles)*(perRole+1) + 2*perDays + 2

// perDays is how many numbers of days are used of a card and of a merchant.
const perDays = 4 * 4

// PaymentWidth is how many numbers of a Row a payment has.
const PaymentWidth = paidLifeFrom + payLives

// paidLifeFrom is where the numbers of a payment's card's life begin.
const paidLifeFrom = fraud.PaymentRowWidth + payFading

// They fit.
const _ = uint(Width - PaymentWidth)

var payRoleNames = map[feature.Role]string{feature.Card: "card", feature.Pair: "card at merchant", feature.Merchant: "merchant", feature.Device: "terminal",
	feature.Category: "category", feature.Place: "country", feature.Caller: "customer", feature.Operator: "amounts like it", feature.Roles: "payment"}

// paid are the words for numbers of payments, by whose they are. What is not there is told
// as what is unusual of the role.
var paid = map[feature.Role]map[string]string{
	feature.Card: {"events": "payment_velocity_anomaly", "miss_share": "decline_anomaly", "misses": "decline_anomaly", "wrong": "cvc_guessing_pattern",
		"distinct": "merchant_spread_anomaly", "since": "timing_anomaly", "gap": "timing_anomaly", "gap_spread": "timing_anomaly",
		"seen": "payment_velocity_anomaly", "high": "amount_anomaly", "ratio": "amount_anomaly", "top": "amount_anomaly", "amount_z": "amount_anomaly"},
	feature.Pair: {"amount_z": "amount_anomaly"},
	feature.Merchant: {"miss_share": "card_testing_pattern", "misses": "card_testing_pattern", "wrong": "card_testing_pattern", "distinct": "card_spread_anomaly",
		"amount_z": "merchant_amount_anomaly", "high": "merchant_amount_anomaly", "ratio": "merchant_amount_anomaly", "top": "merchant_amount_anomaly"},
	feature.Device: {"miss_share": "card_testing_pattern", "misses": "card_testing_pattern", "wrong": "card_testing_pattern", "distinct": "card_spread_anomaly"},
	feature.Roles:  {"ratio": "amount_anomaly", "amount_rank": "amount_anomaly"},
}

// paidElse are the words for what is unusual of a role.
var paidElse = map[feature.Role]string{feature.Pair: "merchant_velocity_anomaly", feature.Merchant: "merchant_anomaly", feature.Device: "terminal_anomaly",
	feature.Category: "category_anomaly", feature.Place: "country_anomaly", feature.Caller: "customer_anomaly",
	feature.Operator: "amount_band_anomaly"}

// paymentNumbers are the fading numbers of a payment, those of days and of the payment
// itself among those of the roles. Hours and plain amounts are left out: hours would be
// those of where it was made up, and what an amount is worth depends on the currency.
func paymentNumbers() []place {
	places := make([]place, 0, payFading)
	names := feature.Names()
	for _, role := range append(payRoles[:], feature.Roles) {
		for i, whose := range feature.ColumnRoles() {
			if whose != role {
				continue
			}
			name, window := names[i][strings.LastIndex(names[i], ".")+1:], time.Duration(0)
			if cut := strings.LastIndex(name, "_"); cut > 0 && windows[name[cut+1:]] > 0 {
				name, window = name[:cut], windows[name[cut+1:]]
			}
			if usedOf(role, name) {
				places = append(places, place{i, paymentColumn(role, name, window)})
			}
		}
	}
	return places
}

// usedOf reports whether a number is used of a payment.
func usedOf(role feature.Role, name string) bool {
	switch name {
	case "seen", "high", "top", "ratio", "amount_z", "amount_rank":
		return true
	}
	return told[name] != ""
}

func paymentColumn(role feature.Role, name string, window time.Duration) Column {
	signal := cmp.Or(paid[role][name], paidElse[role])
	if role != feature.Roles {
		name = "fading_" + name
	}
	return Column{Kind: fraud.Authorization, RowColumn: fraud.RowColumn{Name: name, Signal: signal, Of: payRoleNames[role], Window: window}}
}

// risingPaid are the numbers of a payment of which more never makes a fraud less likely.
var risingPaid = map[string]bool{"wrong": true, "abroad": true, "novel": true}

func paymentColumns() []Column {
	all := make([]Column, 0, PaymentWidth)
	for _, c := range fraud.PaymentColumns() {
		all = append(all, Column{RowColumn: c, Kind: fraud.Authorization})
	}
	for _, p := range paymentNumbers() {
		all = append(all, p.column)
	}
	all = append(all, lifeColumns(fraud.Authorization)...)
	for i := range all {
		if risingPaid[all[i].Name] {
			all[i].Rising = 1
		}
	}
	return all
}

// seePayment counts a payment, writes its numbers into row and returns what the rules say.
func (s *Sense) seePayment(event *fraud.Event, row *Row, signals *fraud.Room) fraud.Score {
	score := s.MeasurePayment(event, (*fraud.PaymentRow)(row[:fraud.PaymentRowWidth]), signals)
	room := s.scratch.Get().(*scratch)
	room.event = paidEvent(event)
	s.paying(event.Realm).See(&room.event, &room.vector)
	for i := range s.paid {
		row[fraud.PaymentRowWidth+i] = room.vector[s.paid[i].at]
	}
	s.lives(event.Realm).paid.See(&room.event, &room.life)
	copy(row[paidLifeFrom:PaymentWidth], room.life[:])
	s.scratch.Put(room)
	return score
}

func (s *Sense) paying(r realm.Realm) *feature.State {
	if r == realm.Test {
		return s.testPaid
	}
	return s.livePaid
}

// paidEvent is a payment as the fading counts see it. The merchant also stands for the
// address: it is whose distinct ones are counted for a card.
func paidEvent(event *fraud.Event) feature.Event {
	e := feature.Event{At: event.At.UnixMicro(), Kind: feature.Authorization, Amount: max(event.Amount.Minor, 0)}
	e.Keys[feature.Card], e.Keys[feature.Merchant], e.Keys[feature.Device] = hashed(&event.Card), hashed(&event.Merchant), hashed(&event.Device)
	e.Keys[feature.Address] = e.Keys[feature.Merchant]
	if card, shop := e.Keys[feature.Card], e.Keys[feature.Merchant]; card != 0 && shop != 0 {
		e.Keys[feature.Pair] = max(1, card^shop*0x9e3779b97f4a7c15)
	}
	e.Keys[feature.Category], e.Keys[feature.Place] = spelled(event.Category), spelled(event.Country)
	e.Keys[feature.Caller] = spelled(string(event.Book))
	e.Keys[feature.Operator] = bandOf(event)
	return e
}

// bandOf is the key of all payments of at least half, and less than twice, an amount; 0
// for none.
func bandOf(event *fraud.Event) feature.Key {
	if event.Amount.Minor <= 0 {
		return 0
	}
	key := feature.Key(1+bits.Len64(uint64(event.Amount.Minor))) << 1
	if event.Remote {
		key++
	}
	return key
}

// spelled is the key of a name, a hash, so that nobody chooses where in a table a name
// goes; 0 for none.
func spelled(name string) feature.Key {
	if name == "" {
		return 0
	}
	var room [64]byte
	sum := sha256.Sum256(append(room[:0], name...))
	return feature.Key(max(binary.BigEndian.Uint64(sum[:]), 1))
}

// Of a card with fewer payments in a month and a merchant with fewer in a day nothing is
// known that a model could judge by.
const (
	leastPaid   = 3
	leastTraded = 5
)

// Places of those in a row; a test holds them to their names.
const (
	paidMonth = fraud.PaymentRowWidth + perDays + 4
	tradedDay = fraud.PaymentRowWidth + 2*perDays + 2*(perRole+1) + 2
)

// leastAsks is of how few asks in a day, by the credential, from the address and from its
// network alike, a model says nothing.
const leastAsks = 6

// asksOfADay are the places of the asks of a day by credential, address and network.
var asksOfADay = [...]int{2, 24, 46}

// Stranger reports whether too little is known of a kind of event for a model to speak.
func Stranger(kind fraud.Kind, row *Row) bool {
	if kind == fraud.Authorization {
		return !(row[paidMonth] >= leastPaid || row[tradedDay] >= leastTraded)
	}
	for _, at := range asksOfADay {
		if row[at] >= leastAsks {
			return false
		}
	}
	return true
}
