package iso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"

	"github.com/moov-io/iso8583"
)

// MaxFrame bounds a message, in bytes. The longest that make sense have a few hundred.
const MaxFrame = 8 << 10

// The ways in which what arrives is no message.
var (
	ErrFrame   = errors.New("a message has a length that none can have")
	ErrGarbage = errors.New("a message is not in the specification")
	ErrRest    = errors.New("a message has a length that is not its own, with something after it")
)

// Message is the elements of one message; 0 is its type. It holds card numbers, so that
// it prints as nothing but what it is.
type Message map[int]string

const printed = "[iso 8583 message]"

// String returns no element.
func (m Message) String() string { return printed }

// GoString returns no element.
func (m Message) GoString() string { return printed }

// Format writes no element, for every verb and flag.
func (m Message) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, printed) } // fmt reports it

// MarshalText returns no element.
func (m Message) MarshalText() ([]byte, error) { return []byte(printed), nil }

// LogValue returns no element.
func (m Message) LogValue() slog.Value { return slog.StringValue(printed) }

// Pack returns the message with its length before it. Elements that are empty are left out.
func (m Message) Pack(spec *Spec) ([]byte, error) {
	packed := iso8583.NewMessage(spec.library)
	for number, value := range m {
		if value == "" {
			continue
		}
		if err := packed.BinaryField(number, []byte(value)); err != nil {
			return nil, fmt.Errorf("element %s cannot be set", strconv.Itoa(number))
		}
	}
	text, err := packed.Pack()
	if err != nil || len(text) > MaxFrame {
		return nil, errors.New("the message cannot be written") // the library's text may hold values
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...), nil
}

// ReadFrame reads the bytes of one message. begun is called after the first byte. It
// returns ErrFrame for a length above MaxFrame, and the errors of r and begun.
func ReadFrame(r io.Reader, begun func() error) ([]byte, error) {
	var header [2]byte
	if _, err := io.ReadFull(r, header[:1]); err != nil {
		return nil, err
	}
	if err := begun(); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(r, header[1:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint16(header[:])
	if length > MaxFrame {
		return nil, ErrFrame
	}
	frame := make([]byte, length)
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// Unpack reads a message. It returns ErrGarbage for what is not one, ErrRest for one that
// ends before its frame does, and never panics: the bytes are a stranger's, and the
// library's parsers are many.
func Unpack(spec *Spec, frame []byte) (m Message, err error) {
	defer func() {
		if recover() != nil {
			m, err = nil, ErrGarbage
		}
	}()
	packed := iso8583.NewMessage(spec.library)
	if packed.Unpack(frame) != nil {
		return nil, ErrGarbage
	}
	fields := packed.GetFields()
	m = make(Message, len(fields))
	rest := len(frame)
	for number, read := range fields {
		value, err := read.Bytes()
		if err != nil {
			return nil, ErrGarbage
		}
		rest -= spec.length(number, len(value))
		if number != 1 {
			m[number] = string(value)
		}
	}
	if rest != 0 {
		return nil, ErrRest
	}
	return m, nil
}
