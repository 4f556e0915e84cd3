package pan

import "testing"

// The networks of their published test numbers, and both ends of the ranges.
func TestNetworkOf(t *testing.T) {
	for bin, want := range map[string]Network{
		"4111111111111111": Visa, "399999": NetworkUnknown, "400000": Visa, "499999": Visa, "500000": NetworkUnknown,
		"5555555555554444": Mastercard, "509999": NetworkUnknown, "510000": Mastercard, "559999": Mastercard, "560000": NetworkUnknown,
		"222099": NetworkUnknown, "222100": Mastercard, "272099": Mastercard, "272100": NetworkUnknown,
		"378282246310005": NetworkUnknown, "6011111111111117": NetworkUnknown, "600649": NetworkUnknown,
		"000000": NetworkUnknown, "999999": NetworkUnknown,
		"": NetworkUnknown, "41111": NetworkUnknown, "4111x1": NetworkUnknown, "GC1234567890123456": NetworkUnknown,
	} {
		if got := NetworkOf(bin); got != want {
			t.Errorf("NetworkOf(%s) = %q, want %q", bin, got, want)
		}
	}
}
