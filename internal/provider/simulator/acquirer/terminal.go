package acquirer

import (
	"fmt"
	"io"
	"maps"
	"strings"
	"sync/atomic"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Card is a card as a merchant has it.
type Card struct {
	Number pan.Number
	Expiry string // YYMM; empty: not sent
	CVC    pan.Secret
}

// Message is a message before it is sent; it can be sent any number of times.
type Message struct {
	kind   string
	fields map[int]string
}

// With returns the message with another element; an empty one is left out.
func (m *Message) With(element int, value string) *Message {
	changed := &Message{kind: m.kind, fields: maps.Clone(m.fields)}
	if changed.fields[element] = value; value == "" {
		delete(changed.fields, element)
	}
	return changed
}

// As returns the message under another type, such as "0120".
func (m *Message) As(kind string) *Message { return &Message{kind: kind, fields: m.fields} }

// Repeated returns the message as it is sent again: with a type that ends in 1.
func (m *Message) Repeated() *Message { return m.As(m.kind[:3] + "1") }

// Type is the message's type.
func (m *Message) Type() string { return m.kind }

// Element returns an element; empty for one that there is not.
func (m *Message) Element(n int) string { return m.fields[n] }

// Format writes the type alone, for every verb and flag.
func (m *Message) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "message "+m.kind) } // fmt reports it

// Terminal makes messages. Its number tells it from every other terminal of the acquirer.
// It is safe for concurrent use.
type Terminal struct {
	Acquirer string // the institution, DE32
	Number   int    // 0 to 9999
	Merchant string // DE42, up to 15 characters
	Name     string // up to 25
	City     string // up to 13
	Country  string // two letters
	MCC      string
	Currency string // numeric, such as 840
	// First is the number of the first message, so that two runs use other ones.
	First int64

	made atomic.Int64
}

// next numbers messages; the reference has the terminal's number and eight digits.
func (t *Terminal) next() (trace, reference string) {
	n := t.First + t.made.Add(1)
	return fmt.Sprintf("%06d", n%1_000_000), fmt.Sprintf("%04d%08d", t.Number%10_000, n%100_000_000)
}

// begin makes a message. reference is the payment's; empty for a new one.
func (t *Terminal) begin(kind, processing, reference string, minor int64) *Message {
	trace, fresh := t.next()
	if reference == "" {
		reference = fresh
	}
	sent := transmitted()
	m := &Message{kind: kind, fields: map[int]string{3: processing, 4: fmt.Sprintf("%012d", minor), 7: sent, 11: trace, 12: sent[4:], 13: sent[:4],
		22: "812", 25: "59", 32: t.Acquirer, 37: reference, 41: fmt.Sprintf("T%07d", t.Number), 42: fmt.Sprintf("%-15s", t.Merchant),
		43: fmt.Sprintf("%-25s%-13s%s", t.Name, t.City, t.Country), 49: t.Currency}}
	if t.MCC != "" {
		m.fields[18] = t.MCC
	}
	return m
}

func (m *Message) of(card Card) *Message {
	m.fields[2] = card.Number.Reveal()
	if card.Expiry != "" {
		m.fields[14] = card.Expiry
	}
	if !card.CVC.IsZero() {
		m.fields[48] = Tag("92", card.CVC.Reveal())
	}
	return m
}

// about names the message before, and the card that it was sent with.
func (m *Message) about(before *Message) *Message {
	m.fields[2] = before.fields[2]
	m.fields[90] = before.kind[:3] + "0" + before.fields[11] + before.fields[7] + strings.Repeat("0", 11-len(before.fields[32])) + before.fields[32] + strings.Repeat("0", 11)
	return m
}

// Tag is a part of DE48.
func Tag(name, value string) string { return fmt.Sprintf("%s%02d%s", name, len(value), value) }

// Authorize asks for a hold.
func (t *Terminal) Authorize(card Card, minor int64) *Message {
	return t.begin("0100", "000000", "", minor).of(card)
}

// Inquire asks for the balance.
func (t *Terminal) Inquire(card Card) *Message { return t.begin("0100", "310000", "", 0).of(card) }

// Purchase asks for money in a single message.
func (t *Terminal) Purchase(card Card, minor int64) *Message {
	return t.begin("0200", "000000", "", minor).of(card)
}

// Increment asks for more of a payment.
func (t *Terminal) Increment(payment *Message, minor int64) *Message {
	return t.begin("0100", "000000", payment.fields[37], minor).about(payment)
}

// Complete takes an amount of a payment; more says that others follow.
func (t *Terminal) Complete(payment *Message, minor int64, more bool) *Message {
	m := t.begin("0220", "000000", payment.fields[37], minor).about(payment)
	if more {
		m.fields[48] = Tag("62", "1")
	}
	return m
}

// Force takes an amount that was never authorized.
func (t *Terminal) Force(card Card, minor int64) *Message {
	return t.begin("0220", "000000", "", minor).of(card)
}

// Refund gives back an amount of a payment.
func (t *Terminal) Refund(payment *Message, minor int64) *Message {
	return t.begin("0200", "200000", payment.fields[37], minor).about(payment)
}

// Credit gives an amount to a card, without a payment before it.
func (t *Terminal) Credit(card Card, minor int64) *Message {
	return t.begin("0200", "200000", "", minor).of(card)
}

// Reverse undoes a message.
func (t *Terminal) Reverse(before *Message) *Message {
	m := t.begin("0400", "000000", before.fields[37], 0).about(before)
	m.fields[3], m.fields[4] = before.fields[3], before.fields[4]
	return m
}

// ReverseTo undoes a message but for an amount.
func (t *Terminal) ReverseTo(before *Message, stands int64) *Message {
	m := t.Reverse(before)
	m.fields[95] = fmt.Sprintf("%012d", stands) + strings.Repeat("0", 30)
	return m
}
