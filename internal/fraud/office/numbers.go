package office

import (
	"encoding/binary"
	"math"
)

// The numbers of a decision are kept as how many there are, two bits for each of them, and
// four bytes for those that are none of the common ones: of what a model sees of an event,
// most was never seen before, and is unknown or nothing.
const (
	isZero = iota
	isOne
	isUnknown
	isOther
)

// common are the numbers that two bits say, in their order.
var common = [...]uint32{isZero: 0, isOne: math.Float32bits(1), isUnknown: 0x7fc00000}

const (
	numbersHead = 2 // bytes of their count
	perByte     = 4 // numbers, of two bits each
)

// packNumbers writes numbers as they are kept.
func packNumbers(numbers []float32) []byte {
	packed := binary.LittleEndian.AppendUint16(make([]byte, 0, 512), uint16(len(numbers)))
	codes := len(packed)
	packed = append(packed, make([]byte, (len(numbers)+perByte-1)/perByte)...)
	for i, x := range numbers {
		bits, code := math.Float32bits(x), isOther
		for is, value := range common {
			if bits == value {
				code = is
			}
		}
		packed[codes+i/perByte] |= byte(code << (i % perByte * 2))
		if code == isOther {
			packed = binary.LittleEndian.AppendUint32(packed, bits)
		}
	}
	return packed
}

// unpackNumbers reads what packNumbers wrote, and reports whether it is as many numbers.
func unpackNumbers(packed []byte, into []float32) bool {
	codes := (len(into) + perByte - 1) / perByte
	if len(packed) < numbersHead+codes || int(binary.LittleEndian.Uint16(packed)) != len(into) {
		return false
	}
	rest := packed[numbersHead+codes:]
	for i := range into {
		code := packed[numbersHead+i/perByte] >> (i % perByte * 2) & 3
		if code != isOther {
			into[i] = math.Float32frombits(common[code])
			continue
		}
		if len(rest) < 4 {
			return false
		}
		into[i] = math.Float32frombits(binary.LittleEndian.Uint32(rest))
		rest = rest[4:]
	}
	return len(rest) == 0
}
