package sense

import "github.com/scripcards/scrip/internal/fraud"

// elsewhere is where the numbers of a check stand that are about other cards than its own.
type elsewhere struct {
	// wrong depend on whether those exist: only existing cards have wrong PINs.
	wrong []int
	// missed do not; where they are all zero, so are those in wrong.
	missed []int
}

func newElsewhere() (e elsewhere) {
	for i, c := range Columns(fraud.Ping) {
		if c.Of == cardName {
			continue
		}
		switch c.Name {
		case "wrong", "wrong_share", "fading_wrong":
			e.wrong = append(e.wrong, i)
		case "missed", "missed_share", "fading_misses", "fading_miss_share":
			e.missed = append(e.missed, i)
		}
	}
	return e
}

// cardName is whose numbers those of the check's own card are.
const cardName = "card"

// Blind writes the numbers of a check into another row as they would be if no other card
// existed that its parties asked for, or that is near its own. It reports whether that may
// be another row, which depends on nothing but what was answered: nobody learns from the
// time that it takes whether it is.
func (s *Sense) Blind(row, into *Row) bool {
	if !s.elsewhere.asked(row) {
		return false
	}
	*into = *row
	for _, i := range s.elsewhere.wrong {
		if into[i] > 0 { // what is unknown stays so
			into[i] = 0
		}
	}
	return true
}

// asked says whether anybody concerned missed a card.
func (e *elsewhere) asked(row *Row) bool {
	for _, i := range e.missed {
		if row[i] > 0 {
			return true
		}
	}
	return false
}
