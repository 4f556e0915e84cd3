package simulator_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/field"

	"github.com/scripcards/scrip/internal/platform/iso"
	"github.com/scripcards/scrip/internal/provider/simulator"
)

// Every element that the library's specification has is written by the library as the host
// writes it, and read by each as the other wrote it.
func TestLibraryAgrees(t *testing.T) {
	for _, hexadecimal := range []bool{false, true} {
		theirs, ours := simulator.NewSpec(hexadecimal), iso.NewSpec(hexadecimal)
		for number, f := range theirs.Fields {
			if number < 2 || hexadecimal && (number == 52 || number == 64) { // of whose length the library makes two figures
				continue
			}
			value := strings.Repeat("1", f.Spec().Length)
			if number == 44 {
				value = value[:25] // it has room for more than the standard
			}
			if _, numeric := f.(*field.Numeric); numeric && len(value) > 18 {
				value = value[:18]
			}
			frame, err := iso.Message{0: "0100", number: value}.Pack(ours)
			if err != nil {
				t.Errorf("element %d of %d characters: %v", number, len(value), err)
				continue
			}
			packed := iso8583.NewMessage(theirs)
			packed.MTI("0100")
			if err := packed.BinaryField(number, []byte(value)); err != nil {
				t.Fatal(err)
			}
			written, err := packed.Pack()
			if err != nil || !bytes.Equal(written, frame[2:]) {
				t.Errorf("element %d is %q here and %q there, %v", number, frame[2:], written, err)
			}
			read, err := iso.Unpack(ours, written)
			if err != nil || read[number] != value {
				t.Errorf("element %d is read as %q, %v", number, read[number], err)
			}
			unpacked := iso8583.NewMessage(theirs)
			if err := unpacked.Unpack(frame[2:]); err != nil {
				t.Errorf("element %d is not read there: %v", number, err)
			}
		}
	}
}
