package iso_test

import (
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/platform/iso"
)

var authorization = iso.Message{0: "0100", 2: number, 3: "000000", 4: "000000000100", 7: "1128120000", 11: "000001", 12: "120000", 13: "1128", 14: "3001",
	18: "7311", 22: "812", 25: "59", 32: "411111", 37: "000000000001", 41: "T0000001", 42: "M-ADS          ",
	43: "FACEBK ADS" + strings.Repeat(" ", 15) + "Menlo Park   US", 48: "9203123", 49: "840"}

// What it costs to write and to read a message of a payment.
func BenchmarkMessage(b *testing.B) {
	spec := iso.NewSpec(false)
	frame, err := authorization.Pack(spec)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("pack", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := authorization.Pack(spec); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unpack", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := iso.Unpack(spec, frame[2:]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
