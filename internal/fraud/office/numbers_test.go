package office

import (
	"math"
	"testing"
)

// Numbers are read as they were written, bit for bit, and what is damaged is none.
func TestNumbers(t *testing.T) {
	odd := []float32{0, 1, float32(math.NaN()), -1, float32(math.Inf(1)), math.Float32frombits(0x80000000), math.Float32frombits(0x7fc00001), 0.25, 0, 0, 1}
	for width := range len(odd) + 1 {
		numbers := odd[:width]
		packed := packNumbers(numbers)
		read := make([]float32, width)
		if !unpackNumbers(packed, read) {
			t.Fatalf("%d numbers are not read", width)
		}
		for i, x := range numbers {
			if math.Float32bits(x) != math.Float32bits(read[i]) {
				t.Errorf("number %d is %x, was %x", i, math.Float32bits(read[i]), math.Float32bits(x))
			}
		}
		for end := range packed {
			if unpackNumbers(packed[:end], read) {
				t.Errorf("%d numbers are read of %d bytes", width, end)
			}
		}
		if unpackNumbers(append(packed, 0), read) || unpackNumbers(packed, make([]float32, width+1)) {
			t.Errorf("%d numbers are read of too much, or too many", width)
		}
	}
	if n := len(packNumbers(make([]float32, 204))); n != 53 {
		t.Errorf("204 numbers that are nothing take %d bytes", n)
	}
}
