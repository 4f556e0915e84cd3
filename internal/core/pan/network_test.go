package pan

import "testing"

// The networks of their published test numbers, and both ends of the blocks.
func TestNetwork(t *testing.T) {
	for bin, want := range map[string]Network{
		"4111111111111111": Visa, "400000": Visa, "499999": Visa,
		"5555555555554444": Mastercard, "510000": Mastercard, "559999": Mastercard,
		"222099": NetworkUnknown, "222100": Mastercard, "272099": Mastercard, "272100": NetworkUnknown,
		"378282246310005": Amex, "340000": Amex, "349999": Amex,
		"6011111111111117": Discover, "644000": Discover, "643999": NetworkUnknown, "659999": Discover,
		"622125": UnionPay, "622126": Discover, "622925": Discover, "622926": UnionPay, "620000": UnionPay,
		"30569309025904": Diners, "36000000000008": Diners, "309500": Diners, "306000": NetworkUnknown,
		"3530111333300000": JCB, "352799": NetworkUnknown, "352800": JCB, "358999": JCB, "359000": NetworkUnknown,
		"675900": Maestro, "676399": Maestro, "501800": Maestro, "589300": Maestro,
		"220000": Mir, "220499": Mir, "220500": NetworkUnknown,
		"606985": RuPay, "652150": RuPay, "653150": Discover, "508500": RuPay,
		"506099": Verve, "650002": Verve, "650028": Discover, "979200": Troy, "135412": UATP,
		"600649": NetworkUnknown, "000000": NetworkUnknown, "999999": NetworkUnknown,
		"": NetworkUnknown, "41111": NetworkUnknown, "4111x1": NetworkUnknown, "GC1234567890123456": NetworkUnknown,
	} {
		if got := NetworkOf(bin); got != want {
			t.Errorf("NetworkOf(%s) = %q, want %q", bin, got, want)
		}
		if number, err := ParseAlnum(bin); err == nil && number.Network() != want {
			t.Errorf("%s is of %q, want %q", bin, number.Network(), want)
		}
	}
}

// Every block is well formed and reachable: none lies behind an earlier one
// that covers it, and two that overlap lie one inside the other.
func TestIINRanges(t *testing.T) {
	for i, block := range iinRanges {
		if block.first > block.last || block.first < 100000 || block.last > 999999 || block.network == NetworkUnknown {
			t.Errorf("malformed block %v", block)
		}
		for _, earlier := range iinRanges[:i] {
			if earlier.last < block.first || earlier.first > block.last {
				continue
			}
			if inside := earlier.first >= block.first && earlier.last <= block.last; !inside {
				t.Errorf("%v hides part of %v", earlier, block)
			}
		}
	}
}
