package iso_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/platform/iso"
)

const number = "9900000000000001"

// examples are messages with elements of every form.
var examples = []iso.Message{
	{0: "0110", 2: number, 11: "000001", 14: "2703", 39: "00", 41: "SCRIP1  ", 54: "0002840C000000004750"},
	{0: "0810", 11: "000001", 39: "00", 70: "301"},
	{0: "0110", 39: "62", 52: "\x00\x01\x02\x03\x04\x05\x06\x07", 128: "12345678", 120: "private"},
	{0: "0100", 43: "CAF\xc9" + strings.Repeat(" ", 34) + "FR", 104: "\xff"},
	{0: "0420", 2: number, 48: "9203123", 90: strings.Repeat("0", 42), 95: strings.Repeat("1", 42)},
}

// What is packed is read again as it was, with bitmaps of both kinds.
func TestPackedAndRead(t *testing.T) {
	for _, hexadecimal := range []bool{false, true} {
		spec := iso.NewSpec(hexadecimal)
		for _, m := range examples {
			packed, err := m.Pack(spec)
			if err != nil {
				t.Fatal(err)
			}
			frame, err := iso.ReadFrame(bytes.NewReader(packed), func() error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			again, err := iso.Unpack(spec, frame)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[int]string(m), map[int]string(again)); diff != "" {
				t.Errorf("%s (-packed +read):\n%s", m[0], diff)
			}
		}
	}
}

// A frame that is longer than its message is none: where the next one begins is unknown.
func TestRest(t *testing.T) {
	for _, hexadecimal := range []bool{false, true} {
		spec := iso.NewSpec(hexadecimal)
		for _, m := range examples {
			packed, err := m.Pack(spec)
			if err != nil {
				t.Fatal(err)
			}
			for _, rest := range []string{"0", "\x00\x00", string(packed)} {
				if read, err := iso.Unpack(spec, append(packed[2:len(packed):len(packed)], rest...)); !errors.Is(err, iso.ErrRest) {
					t.Errorf("%s and %d bytes: %v, %v", m[0], len(rest), read != nil, err)
				}
			}
		}
	}
}

// What does not fit an element, or a frame, is not written.
func TestTooLong(t *testing.T) {
	spec := iso.NewSpec(false)
	for name, m := range map[string]iso.Message{
		"element": {0: "0100", 11: "1234567"},
		"unknown": {0: "0100", 200: "1"},
		"frame":   {0: "0100", 46: strings.Repeat("a", 999), 47: strings.Repeat("a", 999), 48: strings.Repeat("a", 999), 55: strings.Repeat("a", 999), 56: strings.Repeat("a", 999), 57: strings.Repeat("a", 999), 58: strings.Repeat("a", 999), 59: strings.Repeat("a", 999), 60: strings.Repeat("a", 999)},
	} {
		if _, err := m.Pack(spec); err == nil || strings.Contains(err.Error(), "1234567") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := iso.ReadFrame(bytes.NewReader([]byte{0xff, 0xff, '0'}), func() error { return nil }); !errors.Is(err, iso.ErrFrame) {
		t.Errorf("a frame of 65,535 bytes: %v", err)
	}
}

// A message in any output shows nothing of what it holds.
func TestNothingPrints(t *testing.T) {
	m := examples[0]
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("heard", "message", m, "in", []any{m}, "of", map[string]iso.Message{"a": m})
	text, err := json.Marshal(map[string]any{"message": m})
	if err != nil {
		t.Fatal(err)
	}
	outputs := []string{log.String(), string(text), m.String(), fmt.Errorf("heard %v", m).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		outputs = append(outputs, fmt.Sprintf(verb, m), fmt.Sprintf(verb, []iso.Message{m}))
	}
	for _, out := range outputs {
		if strings.Contains(out, number) || strings.Contains(out, fmt.Sprintf("%x", number)) {
			t.Errorf("the number is in %s", out)
		}
	}
}

// Whatever bytes come, they are a message or garbage, and what is a message can be written.
func FuzzMessage(f *testing.F) {
	spec := iso.NewSpec(false)
	for _, m := range examples {
		frame, err := m.Pack(spec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame[2:])
	}
	f.Add([]byte("0110" + strings.Repeat("\xff", 200)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > iso.MaxFrame {
			return
		}
		m, err := iso.Unpack(spec, frame)
		if err != nil {
			return
		}
		if _, err := m.Pack(spec); err != nil {
			t.Fatal(err)
		}
	})
}

// A stream of any bytes ends in an error, in bounded memory.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 4, '0', '8', '0', '0', 0, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		for {
			frame, err := iso.ReadFrame(r, func() error { return nil })
			if err != nil {
				return
			}
			if len(frame) > iso.MaxFrame {
				t.Fatalf("a frame of %d bytes", len(frame))
			}
		}
	})
}
