package pan

// Network is the network that a virtual card is of, in lower case. The zero value is none
// that is known.
type Network string

// The networks that NetworkOf recognizes.
const (
	NetworkUnknown Network = ""
	Visa           Network = "visa"
	Mastercard     Network = "mastercard"
)

// NetworkOf returns the network to whose range a BIN of at least six digits belongs, as
// ISO/IEC 7812-2's registry has it, or NetworkUnknown.
func NetworkOf(bin string) Network {
	const digits = 6 // the ranges fit in them
	if len(bin) < digits {
		return NetworkUnknown
	}
	for i := range digits {
		if !isDigit(bin[i]) {
			return NetworkUnknown
		}
	}
	switch iin := bin[:digits]; {
	case iin[0] == '4':
		return Visa
	case "222100" <= iin && iin <= "272099", "510000" <= iin && iin <= "559999":
		return Mastercard
	}
	return NetworkUnknown
}
