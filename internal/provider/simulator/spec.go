package simulator

import (
	"maps"

	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/prefix"
)

// NewSpec returns the specification of ISO 8583:1987 in ASCII that the library
// publishes, with bitmaps as hexadecimal text or as bytes, the processing code and amounts
// with the zeros before them, and the replacement amounts, which it lacks.
func NewSpec(hexadecimal bool) *iso8583.MessageSpec {
	text := func(length int, name string) field.Field {
		return field.NewString(&field.Spec{Length: length, Description: name, Enc: encoding.ASCII, Pref: prefix.ASCII.Fixed})
	}
	fields := maps.Clone(iso8583.Spec87.Fields)
	fields[3], fields[95] = text(6, "Processing Code"), text(42, "Replacement Amounts")
	fields[4], fields[6] = text(12, "Transaction Amount"), text(12, "Billing Amount")
	if hexadecimal {
		return &iso8583.MessageSpec{Name: "ISO 8583:1987", Fields: fields}
	}
	fields[1] = field.NewBitmap(&field.Spec{Length: 8, Description: "Bitmap", Enc: encoding.Binary, Pref: prefix.Binary.Fixed})
	for number, name := range map[int]string{52: "PIN Data", 64: "Message Authentication Code (MAC)"} {
		fields[number] = field.NewBinary(&field.Spec{Length: 8, Description: name, Enc: encoding.Binary, Pref: prefix.Binary.Fixed})
	}
	return &iso8583.MessageSpec{Name: "ISO 8583:1987 with binary bitmaps", Fields: fields}
}
