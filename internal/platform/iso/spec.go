// Package iso is messages of ISO 8583:1987 as they travel over TCP: the elements that
// there are, framing, packing and reading. Hosts that Scrip asks, and the networks that
// ask Scrip, share it.
//
// It promises bounded memory whatever bytes come, and that a message prints nothing of
// what it holds. It must never know what an element means to a business.
package iso

import (
	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/prefix"
)

// The wire. A message travels as two bytes of length, high byte first, which do not
// count themselves, and then the message:
//
//	type       4 digits in ASCII
//	bitmap     64 bits; the first says that 64 more follow. Bytes, or hexadecimal
//	           text where the configuration says bitmap "hex"
//	elements   in order, as the table below has them
//
// The table is ISO 8583:1987's list of data elements in ASCII: fixed ones as long as it
// says, variable ones with two or three digits of length before them, at most as long
// as it says. What a byte above 127 in a text means is for whoever reads the element.
// Binary ones are eight bytes, or sixteen hexadecimal digits with bitmap "hex".
// Everything is in the table, so that a message that carries more than is needed is
// understood.
var elements = [...]element{
	{2, variable2, 19, "primary account number"},
	{3, fixed, 6, "processing code: 31, account type, 00"},
	{4, fixed, 12, "amount, transaction"},
	{5, fixed, 12, "amount, settlement"},
	{6, fixed, 12, "amount, cardholder billing"},
	{7, fixed, 10, "transmission date and time, MMDDhhmmss in UTC"},
	{8, fixed, 8, "amount, cardholder billing fee"},
	{9, fixed, 8, "conversion rate, settlement"},
	{10, fixed, 8, "conversion rate, cardholder billing"},
	{11, fixed, 6, "system trace audit number"},
	{12, fixed, 6, "time, local transaction, hhmmss"},
	{13, fixed, 4, "date, local transaction, MMDD"},
	{14, fixed, 4, "date, expiration, YYMM"},
	{15, fixed, 4, "date, settlement"},
	{16, fixed, 4, "date, conversion"},
	{17, fixed, 4, "date, capture"},
	{18, fixed, 4, "merchant type"},
	{19, fixed, 3, "acquiring institution country code"},
	{20, fixed, 3, "primary account number country code"},
	{21, fixed, 3, "forwarding institution country code"},
	{22, fixed, 3, "point of service entry mode"},
	{23, fixed, 3, "card sequence number"},
	{24, fixed, 3, "network international identifier"},
	{25, fixed, 2, "point of service condition code"},
	{26, fixed, 2, "point of service PIN capture code"},
	{27, fixed, 1, "authorization identification response length"},
	{28, fixed, 9, "amount, transaction fee, with its sign"},
	{29, fixed, 9, "amount, settlement fee, with its sign"},
	{30, fixed, 9, "amount, transaction processing fee, with its sign"},
	{31, fixed, 9, "amount, settlement processing fee, with its sign"},
	{32, variable2, 11, "acquiring institution identification code"},
	{33, variable2, 11, "forwarding institution identification code"},
	{34, variable2, 28, "primary account number, extended"},
	{35, variable2, 37, "track 2 data"},
	{36, variable3, 104, "track 3 data"},
	{37, fixed, 12, "retrieval reference number"},
	{38, fixed, 6, "authorization identification response"},
	{39, fixed, 2, "response code"},
	{40, fixed, 3, "service restriction code"},
	{41, fixed, 8, "card acceptor terminal identification"},
	{42, fixed, 15, "card acceptor identification code"},
	{43, fixed, 40, "card acceptor name and location"},
	{44, variable2, 25, "additional response data"},
	{45, variable2, 76, "track 1 data"},
	{46, variable3, 999, "additional data, ISO"},
	{47, variable3, 999, "additional data, national"},
	{48, variable3, 999, "additional data, private"},
	{49, fixed, 3, "currency code, transaction, ISO 4217 numeric"},
	{50, fixed, 3, "currency code, settlement"},
	{51, fixed, 3, "currency code, cardholder billing"},
	{52, binary8, 8, "personal identification number data"},
	{53, fixed, 16, "security related control information"},
	{54, variable3, 120, "additional amounts: up to six of 20 characters"},
	{55, variable3, 999, "reserved, ISO"},
	{56, variable3, 999, "reserved, ISO"},
	{57, variable3, 999, "reserved, national"},
	{58, variable3, 999, "reserved, national"},
	{59, variable3, 999, "reserved, national"},
	{60, variable3, 999, "reserved, private"},
	{61, variable3, 999, "reserved, private"},
	{62, variable3, 999, "reserved, private"},
	{63, variable3, 999, "reserved, private"},
	{64, binary8, 8, "message authentication code"},
	{66, fixed, 1, "settlement code"},
	{67, fixed, 2, "extended payment code"},
	{68, fixed, 3, "receiving institution country code"},
	{69, fixed, 3, "settlement institution country code"},
	{70, fixed, 3, "network management information code: 001 sign-on, 002 sign-off, 301 echo test"},
	{71, fixed, 4, "message number"},
	{72, fixed, 4, "message number, last"},
	{73, fixed, 6, "date, action"},
	{74, fixed, 10, "credits, number"},
	{75, fixed, 10, "credits, reversal number"},
	{76, fixed, 10, "debits, number"},
	{77, fixed, 10, "debits, reversal number"},
	{78, fixed, 10, "transfer, number"},
	{79, fixed, 10, "transfer, reversal number"},
	{80, fixed, 10, "inquiries, number"},
	{81, fixed, 10, "authorizations, number"},
	{82, fixed, 12, "credits, processing fee amount"},
	{83, fixed, 12, "credits, transaction fee amount"},
	{84, fixed, 12, "debits, processing fee amount"},
	{85, fixed, 12, "debits, transaction fee amount"},
	{86, fixed, 16, "credits, amount"},
	{87, fixed, 16, "credits, reversal amount"},
	{88, fixed, 16, "debits, amount"},
	{89, fixed, 16, "debits, reversal amount"},
	{90, fixed, 42, "original data elements"},
	{91, fixed, 1, "file update code"},
	{92, fixed, 2, "file security code"},
	{93, fixed, 5, "response indicator"},
	{94, fixed, 7, "service indicator"},
	{95, fixed, 42, "replacement amounts"},
	{96, binary8, 8, "message security code"},
	{97, fixed, 17, "amount, net settlement, with its sign"},
	{98, fixed, 25, "payee"},
	{99, variable2, 11, "settlement institution identification code"},
	{100, variable2, 11, "receiving institution identification code"},
	{101, variable2, 17, "file name"},
	{102, variable2, 28, "account identification 1"},
	{103, variable2, 28, "account identification 2"},
	{104, variable3, 100, "transaction description"},
	{128, binary8, 8, "message authentication code"},
}

// reservedFrom and reservedTo are the elements that are all reserved, and variable3.
const (
	reservedFrom = 105
	reservedTo   = 127
	reservedLen  = 999
	maxElement   = 128
)

// bitmapLen is how many bytes of 64 elements a bitmap has.
const bitmapLen = 8

// form is how an element is written.
type form uint8

const (
	fixed     form = iota
	variable2      // two digits of length before it
	variable3      // three digits of length before it
	binary8        // eight bytes
)

type element struct {
	number int
	form   form
	length int
	name   string
}

// lengthDigits is how many digits of length stand before an element.
func (f form) lengthDigits() int {
	switch f {
	case variable2:
		return 2
	case variable3:
		return 3
	case fixed, binary8:
	}
	return 0
}

// text leaves the bytes of a text as they are. The library's own refuses those above 127, and
// its binary one copies all that follows.
type text struct{}

func (text) Encode(value []byte) ([]byte, error) { return value, nil }

func (text) Decode(data []byte, length int) (value []byte, read int, err error) {
	if length < 0 || length > len(data) {
		return nil, 0, ErrGarbage
	}
	return data[:length:length], length, nil
}

// Spec is the specification of messages, which any number of them share.
type Spec struct {
	library *iso8583.MessageSpec
	binary  int // bytes of a message for each of a bitmap, say: two in hexadecimal
	forms   [maxElement + 1]form
}

// NewSpec returns the specification of the table: with bitmaps and binary elements as
// bytes, or as hexadecimal text.
func NewSpec(hexadecimal bool) *Spec {
	s := &Spec{binary: 1, forms: [maxElement + 1]form{1: binary8}}
	var enc encoding.Encoder = encoding.Binary
	bitmap, eight := prefix.Binary.Fixed, prefix.Binary.Fixed
	if hexadecimal {
		// Of bitmaps the library counts digits, of other elements bytes.
		s.binary, enc, bitmap, eight = 2, encoding.BytesToASCIIHex, prefix.Hex.Fixed, prefix.ASCII.Fixed
	}
	fields := map[int]field.Field{1: field.NewBitmap(&field.Spec{Length: bitmapLen, Description: "bitmap", Enc: enc, Pref: bitmap})}
	add := func(e element) {
		s.forms[e.number] = e.form
		if e.form == binary8 {
			fields[e.number] = field.NewBinary(&field.Spec{Length: e.length, Description: e.name, Enc: enc, Pref: eight})
			return
		}
		lengths := []prefix.Prefixer{0: prefix.ASCII.Fixed, 2: prefix.ASCII.LL, 3: prefix.ASCII.LLL}
		fields[e.number] = field.NewString(&field.Spec{Length: e.length, Description: e.name, Enc: text{}, Pref: lengths[e.form.lengthDigits()]})
	}
	add(element{0, fixed, 4, "message type"})
	for _, e := range elements {
		add(e)
	}
	for number := reservedFrom; number <= reservedTo; number++ {
		add(element{number, variable3, reservedLen, "reserved"})
	}
	s.library = &iso8583.MessageSpec{Name: "ISO 8583:1987", Fields: fields}
	return s
}

// length is how many bytes of a message an element takes that has so many.
func (s *Spec) length(number, bytes int) int {
	if s.forms[number] == binary8 {
		return s.binary * bytes
	}
	return s.forms[number].lengthDigits() + bytes
}
