package pan

// Network is the card network that a number belongs to, in lower case. The zero
// value is no known network.
type Network string

// The networks that NetworkOf and Number.Network recognize.
const (
	NetworkUnknown Network = ""
	Visa           Network = "visa"
	Mastercard     Network = "mastercard"
	Amex           Network = "amex"
	Discover       Network = "discover"
	Diners         Network = "diners"
	JCB            Network = "jcb"
	UnionPay       Network = "unionpay"
	Maestro        Network = "maestro"
	Mir            Network = "mir"
	RuPay          Network = "rupay"
	Verve          Network = "verve"
	Troy           Network = "troy"
	UATP           Network = "uatp"
)

// iinDigits is how much of a number tells its network. Issuers' numbers have
// eight digits since ISO/IEC 7812-1:2017, but the networks' ranges fit in six.
const iinDigits = 6

// iinRange is a block of issuer identification numbers, both ends included.
type iinRange struct {
	first, last uint32
	network     Network
}

// iinRanges holds the blocks that ISO/IEC 7812-2's registry and the networks
// publish. The first match counts, so a block inside another comes before it.
var iinRanges = [...]iinRange{
	{100000, 199999, UATP},
	{220000, 220499, Mir},
	{222100, 272099, Mastercard},
	{300000, 305999, Diners},
	{309500, 309599, Diners},
	{340000, 349999, Amex},
	{352800, 358999, JCB},
	{360000, 369999, Diners},
	{370000, 379999, Amex},
	{380000, 399999, Diners},
	{400000, 499999, Visa},
	{501800, 501899, Maestro},
	{502000, 502099, Maestro},
	{503800, 503899, Maestro},
	{506099, 506198, Verve},
	{508500, 508999, RuPay},
	{510000, 559999, Mastercard},
	{589300, 589399, Maestro},
	{601100, 601199, Discover},
	{606985, 607984, RuPay},
	{608001, 608500, RuPay},
	{622126, 622925, Discover}, // in UnionPay's block: accepted by both networks
	{620000, 629999, UnionPay},
	{630400, 630499, Maestro},
	{644000, 649999, Discover},
	{650002, 650027, Verve}, // in Discover's block
	{652150, 653149, RuPay}, // in Discover's block
	{650000, 659999, Discover},
	{675900, 675999, Maestro},
	{676100, 676399, Maestro},
	{979200, 979289, Troy},
}

// Network returns the network of n by its first six digits, or NetworkUnknown
// for a closed-loop number.
func (n Number) Network() Network { return NetworkOf(n.Reveal()) }

// NetworkOf returns the network to which a BIN of at least six digits belongs,
// or NetworkUnknown.
func NetworkOf(bin string) Network {
	if len(bin) < iinDigits {
		return NetworkUnknown
	}
	var iin uint32
	for i := range iinDigits {
		if !isDigit(bin[i]) {
			return NetworkUnknown
		}
		iin = iin*10 + uint32(bin[i]-'0')
	}
	for _, block := range iinRanges {
		if iin >= block.first && iin <= block.last {
			return block.network
		}
	}
	return NetworkUnknown
}
