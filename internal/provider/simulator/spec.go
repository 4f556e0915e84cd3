package simulator

import (
	"maps"

	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/prefix"
)

// messageSpec is the specification of ISO 8583:1987 in ASCII that the library
// publishes, as it is or with bytes in place of hexadecimal text.
func messageSpec(hexadecimal bool) *iso8583.MessageSpec {
	if hexadecimal {
		return iso8583.Spec87
	}
	fields := maps.Clone(iso8583.Spec87.Fields)
	fields[1] = field.NewBitmap(&field.Spec{Length: 8, Description: "Bitmap", Enc: encoding.Binary, Pref: prefix.Binary.Fixed})
	for number, name := range map[int]string{52: "PIN Data", 64: "Message Authentication Code (MAC)"} {
		fields[number] = field.NewBinary(&field.Spec{Length: 8, Description: name, Enc: encoding.Binary, Pref: prefix.Binary.Fixed})
	}
	return &iso8583.MessageSpec{Name: "ISO 8583:1987 with binary bitmaps", Fields: fields}
}
