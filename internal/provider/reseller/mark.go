package reseller

import (
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/order/supply"
)

// mark is an order at the upstream as it is kept in a reference: its number, and what the answer
// to a new order says of it and that to an old one does not, or cannot be believed without. In
// text it is "71 2026-11-21T09:00:00Z 5.00 USD", with "-" for what was not said, and " repeat"
// behind it.
type mark struct {
	number string
	// placed is when it was: under the same number another account has another order.
	placed time.Time
	worth  catalog.Face // of each code
	// repeat is that the first answer has PINs, which the published one to an order that is read
	// has not: as long as the upstream keeps that, it is asked for once more.
	repeat bool
}

const (
	unsaid    = "-"
	repeating = " repeat"
	// sameTime is how far apart an upstream may say that one order was placed: at first it may
	// say when it answered. Another account's order of the same number is hardly that close.
	sameTime = 5 * time.Minute
)

// String returns what parseMark reads.
func (m mark) String() string {
	placed, worth := unsaid, unsaid
	if !m.placed.IsZero() {
		placed = m.placed.Format(time.RFC3339)
	}
	if m.worth.Currency.IsValid() {
		worth = m.worth.String() + " " + m.worth.Currency.String()
	}
	text := strings.TrimSuffix(m.number+" "+placed+" "+worth, " "+unsaid+" "+unsaid)
	if m.repeat {
		text += repeating
	}
	return text
}

// unrepeated is m as a reference by which an order is only looked up from now on.
func (m mark) unrepeated() string {
	m.repeat = false
	return m.String()
}

// parseMark reads a reference. A number alone is one, too.
func parseMark(reference string) (m mark, ok bool) {
	reference, m.repeat = strings.CutSuffix(reference, repeating)
	words := strings.Split(reference, " ")
	m.number = words[0]
	if _, err := strconv.ParseInt(m.number, 10, 64); err != nil {
		return mark{}, false
	}
	if len(words) > 1 {
		m.placed = moment(words[1])
	}
	if len(words) > 3 {
		m.worth = face(words[2], words[3])
	}
	return m, true
}

// moment reads a time to the second; zero where it is none.
func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Second)
}

// mark returns which order an answer is about, if that can be the one of a submission.
func (in *purchased) mark(s *supply.Submission) (mark, bool) {
	m, ok := parseMark(string(in.OrderID))
	if !ok {
		return mark{}, false
	}
	m.placed, m.worth = moment(string(in.CreatedAt)), in.worth(s.Quantity)
	if s.Reference == "" {
		return m, true
	}
	known, _ := parseMark(s.Reference)
	both := !known.placed.IsZero() && !m.placed.IsZero()
	if m.number != known.number || both && m.placed.Sub(known.placed).Abs() > sameTime {
		return mark{}, false
	}
	if !known.placed.IsZero() {
		m.placed = known.placed
	}
	if m.worth == (catalog.Face{}) {
		m.worth = known.worth
	}
	return m, true
}

// worth is what each code is worth by what all of them are; zero where that is not said. Beside
// some of the codes, nothing says whether it is what those are worth or what all will be.
func (in *purchased) worth(quantity int) catalog.Face {
	if n := len(in.Codes); n > 0 && n != quantity {
		return catalog.Face{}
	}
	all := face(string(in.Worth), string(in.Unit))
	if !all.Currency.IsValid() || all.Minor <= 0 || quantity < 1 || all.Minor%int64(quantity) != 0 {
		return catalog.Face{}
	}
	return catalog.Face{Amount: money.New(all.Minor/int64(quantity), all.Currency)}
}
