package simulator

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/moov-io/iso8583"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
)

// Card is a card of the host.
type Card struct {
	Number   pan.Number
	PIN      pan.Secret // empty: not checked
	Currency money.Currency
	// Minor is what can be spent, in minor units; it may be negative. Ledger is the
	// balance with what is held, shown beside it.
	Minor, Ledger int64
	Expiry        string // "2703"; empty: not told
	Code          string // what DE39 says whatever else holds; empty: "00"
	Trouble       Trouble
}

// Trouble is how the host misbehaves when it is asked for a card.
type Trouble string

// The ways to misbehave.
const (
	None     Trouble = ""
	Silent   Trouble = "silent"   // no answer
	Reset    Trouble = "reset"    // the connection is reset
	Half     Trouble = "half"     // half of the answer, and no more of anything
	Garbage  Trouble = "garbage"  // a frame of other bytes
	Oversize Trouble = "oversize" // a frame that says it is 65,535 bytes long
	Flood    Trouble = "flood"    // 20,000 messages that nobody asked for, then the answer
	Twice    Trouble = "twice"    // the answer comes three times
	Late     Trouble = "late"     // the answer comes with the next one on the connection, before it
	Stranger Trouble = "stranger" // an answer to another STAN, terminal, reference and card each come before
	Corrupt  Trouble = "corrupt"  // the additional amounts are malformed
	Empty    Trouble = "empty"    // there are no additional amounts
)

// The codes of DE39 that the host uses by itself.
const (
	codeApproved    = "00"
	codeNoSuchCard  = "14"
	codeWrongPIN    = "55"
	codeUnsupported = "40"
)

// talk is one connection.
type talk struct {
	host   *Host
	conn   net.Conn
	number int
	late   []byte // the answer that waits for the next one
	mute   bool   // after half of a message
}

// answer does what a message asks for. An error ends the connection.
func (t *talk) answer(m *iso8583.Message) error {
	request := fieldsOf(m, 3, 7, 11, 12, 13, 37, 41, 42, 49)
	mti, _ := m.GetMTI()
	function := valueOf(m, 70)
	if observe := t.host.config.Observe; observe != nil {
		observe(Event{Connection: t.number, MTI: mti, Function: function, STAN: request[11], Terminal: request[41]})
	}
	switch {
	case t.mute:
		return nil
	case mti == "0800":
		return t.manage(m, function)
	case mti == "0810":
		return nil // an answer to an echo test of ours
	case mti != "0100":
		return fmt.Errorf("message %s is not known", mti)
	}
	number := valueOf(m, 2)
	card := t.host.find(number)
	answer := request
	answer[2] = number
	answer[39] = t.host.decide(card, m)
	if answer[39] == codeApproved {
		answer[54] = card.amounts()
	}
	if card != nil && card.Expiry != "" {
		answer[14] = card.Expiry
	}
	trouble := None
	if card != nil {
		trouble = card.Trouble
	}
	return t.misbehave(trouble, answer)
}

// manage answers network management.
func (t *talk) manage(m *iso8583.Message, function string) error {
	if slices.Contains(t.host.config.Deaf, function) {
		return nil
	}
	answer := fieldsOf(m, 7, 11, 41, 70)
	answer[39] = codeApproved
	if code := t.host.config.SignOnCode; code != "" && function == "001" {
		answer[39] = code
	}
	return t.send("0810", answer)
}

// decide returns the code of DE39.
func (h *Host) decide(card *Card, m *iso8583.Message) string {
	switch {
	case !strings.HasPrefix(valueOf(m, 3), "31"):
		return codeUnsupported
	case card == nil:
		return codeNoSuchCard
	case h.pinKey != nil && !card.PIN.IsZero() && !h.pinFits(card, m):
		return codeWrongPIN
	case card.Code != "":
		return card.Code
	}
	return codeApproved
}

func (h *Host) find(number string) *Card {
	for i := range h.config.Cards {
		if h.config.Cards[i].Number.Reveal() == number {
			return &h.config.Cards[i]
		}
	}
	return nil
}

// amounts is DE54: the ledger balance and what is available.
func (c *Card) amounts() string {
	if c.Trouble == Corrupt {
		return "0002" + c.Currency.Numeric() + "C00000000O123"
	}
	if c.Trouble == Empty {
		return ""
	}
	return c.amount("01", c.Ledger) + c.amount("02", c.Minor)
}

// amount is one of the additional amounts: account type, amount type, currency, sign, amount.
func (c *Card) amount(kind string, minor int64) string {
	sign := "C"
	if minor < 0 {
		sign, minor = "D", -minor
	}
	return fmt.Sprintf("00%s%s%s%012d", kind, c.Currency.Numeric(), sign, minor)
}

// misbehave sends an answer as the card's trouble has it.
func (t *talk) misbehave(trouble Trouble, answer map[int]string) error {
	message, err := t.host.message("0110", answer)
	if err != nil {
		return err
	}
	whole, err := Frame(message)
	if err != nil {
		return err
	}
	switch trouble {
	case None, Corrupt, Empty:
	case Silent:
		return nil
	case Reset:
		if tcp, ok := t.conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // the close that follows becomes a reset
		}
		return net.ErrClosed
	case Half:
		t.mute = true
		return t.write(whole[:len(whole)/2])
	case Garbage:
		for i := 2; i < len(whole); i++ {
			whole[i] = byte(i*151 + 77)
		}
	case Oversize:
		whole = []byte{0xff, 0xff, '0', '1'}
	case Flood:
		return t.flood(answer, whole)
	case Twice:
		whole = slices.Concat(whole, whole, whole)
	case Late:
		t.late = whole
		return nil
	case Stranger:
		if err := t.strangers(answer); err != nil {
			return err
		}
	}
	whole = append(t.late, whole...)
	t.late = nil
	return t.write(whole)
}

// flood sends what nobody asked for, and then the answer.
func (t *talk) flood(answer map[int]string, whole []byte) error {
	for i := range floodSize {
		answer[11] = fmt.Sprintf("%06d", i)
		answer[37] = "000000" + answer[11]
		mti := "0110"
		if i%2 == 1 {
			mti, answer[70] = "0800", "301"
		}
		if err := t.send(mti, answer); err != nil {
			return err
		}
	}
	return t.write(whole)
}

// strangers sends answers that differ from the right one in one thing each, with a
// great balance.
func (t *talk) strangers(answer map[int]string) error {
	other := map[int]string{2: "4000000000000002", 11: "000000", 37: "000000000000", 41: "ELSEWHER"}
	for number, value := range other {
		wrong := map[int]string{}
		for n, v := range answer {
			wrong[n] = v
		}
		wrong[number] = value
		wrong[54] = "0002840C000099999999"
		if err := t.send("0110", wrong); err != nil {
			return err
		}
	}
	return nil
}

func (t *talk) send(mti string, fields map[int]string) error {
	message, err := t.host.message(mti, fields)
	if err != nil {
		return err
	}
	whole, err := Frame(message)
	if err != nil {
		return err
	}
	return t.write(whole)
}

// message makes a message of the fields that are not empty.
func (h *Host) message(mti string, fields map[int]string) (*iso8583.Message, error) {
	m := iso8583.NewMessage(h.spec)
	m.MTI(mti)
	for number, value := range fields {
		if value == "" {
			continue
		}
		if err := m.Field(number, value); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func valueOf(m *iso8583.Message, number int) string {
	text, err := m.GetString(number)
	if err != nil {
		return ""
	}
	return text
}

func fieldsOf(m *iso8583.Message, numbers ...int) map[int]string {
	fields := make(map[int]string, len(numbers)+4)
	for _, n := range numbers {
		fields[n] = valueOf(m, n)
	}
	return fields
}
