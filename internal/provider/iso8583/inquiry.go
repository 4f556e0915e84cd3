package iso8583

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/iso"
)

// message is the elements of one message; 0 is its type.
type message = iso.Message

// maxNumber is the longest number that fits into DE2.
const maxNumber = 19

// The codes of network management, DE70.
const (
	functionSignOn  = "001"
	functionSignOff = "002"
	functionEcho    = "301"
)

const codeApproved = "00"

// inquiry returns the 0100 without trace and reference. It returns the fault
// card_invalid for a number, PIN or currency that the host cannot know.
func (h *host) inquiry(inquiry ping.Inquiry, now time.Time) (message, error) {
	number := inquiry.Number.Reveal()
	if !allDigits(number) || len(number) > maxNumber {
		return nil, fault.New(fault.CardInvalid, "the card number cannot be this network's")
	}
	currency := inquiry.Currency.Numeric()
	if currency == "" {
		return nil, fault.New(fault.CardInvalid, "the currency cannot be this network's")
	}
	m := message{2: number, 49: currency, 7: transmitted(now), 12: now.UTC().Format("150405"), 13: now.UTC().Format("0102")}
	for n, value := range h.constant {
		if value != "" {
			m[n] = value
		}
	}
	if h.sendsPIN(inquiry) {
		block, err := h.pinKey.pinBlock(inquiry.Number, inquiry.PIN)
		if err != nil {
			return nil, err
		}
		m[52] = block
	}
	return m, nil
}

// sendsPIN reports whether the host hears of the PIN.
func (h *host) sendsPIN(inquiry ping.Inquiry) bool { return h.pinKey != nil && !inquiry.PIN.IsZero() }

// management returns a 0800 without trace.
func (h *host) management(function string, now time.Time) message {
	return message{0: "0800", 7: transmitted(now), 41: h.terminal, 70: function}
}

func transmitted(now time.Time) string { return now.UTC().Format("0102150405") }

// reference is the retrieval reference number: the last digit of the year, the day of
// the year, the hour and the trace number, as is usual.
func reference(now time.Time, trace string) string {
	now = now.UTC()
	return fmt.Sprintf("%d%03d%02d%s", now.Year()%10, now.YearDay(), now.Hour(), trace)
}

// traces numbers messages from 000001 to 999999 and over again. It begins anywhere,
// so that two processes or two starts do not use the same ones.
type traces struct {
	mu   sync.Mutex
	last uint32
}

func newTraces() (*traces, error) {
	var seed [4]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("number messages: %w", err)
	}
	return &traces{last: binary.BigEndian.Uint32(seed[:]) % maxTrace}, nil
}

const maxTrace = 999_999

func (t *traces) next() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = t.last%maxTrace + 1
	return fmt.Sprintf("%06d", t.last)
}

// key is what an answer has in common with its question: whether it is one to an
// inquiry or to network management, and the trace number.
type key struct{ kind, trace string }

// keyOf returns the key of an answer; ok is false for what is no answer.
func keyOf(m message) (k key, ok bool) {
	switch m[0] {
	case "0110":
		return key{"0100", m[11]}, true
	case "0810":
		return key{"0800", m[11]}, true
	}
	return key{}, false
}

// answers reports whether m can be the answer to asked: to an inquiry it repeats the
// terminal; where it repeats the card number or the reference, they are the same.
func answers(m, asked message) bool {
	if asked[0] == "0100" && strings.TrimRight(m[41], " ") != strings.TrimRight(asked[41], " ") {
		return false
	}
	for _, n := range []int{2, 37} {
		if m[n] != "" && asked[n] != "" && m[n] != asked[n] {
			return false
		}
	}
	return len(m[39]) == 2
}
