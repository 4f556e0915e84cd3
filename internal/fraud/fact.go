package fraud

// subject is whose events are counted.
type subject uint8

const (
	caller subject = iota
	address
	net
	parties // those above ask
	card    = parties
	block   = card + 1
	// Payments have these beside the card: the merchant, and the card at the merchant.
	merchant = block + 1
	pair     = merchant + 1
	// subjects is how many there are.
	subjects = pair + 1
)

// subjectNames are for those who read a signal.
var subjectNames = [subjects]string{"credential", "address", "network", "card", "neighbourhood", "merchant", "card at merchant"}

// quantity is what is counted.
type quantity uint8

const (
	nothing  quantity = iota
	asked             // asks
	cards             // cards that the party did not ask for in the window before
	runs              // such cards next to one that it asked for
	found             // cards that exist, with the right PIN where one was given
	missed            // cards that do not exist, or with a wrong PIN
	empties           // missed cards next to one that it missed
	strays            // missed cards next to none
	wrong             // wrong PINs: cards of a party, asks for a card
	labels            // cards labelled as fraud
	nets              // networks from which the card was found before the asking one
	idle              // days that the card was not asked for before it was now
	listed            // 1: on the operator's list of proxies
	abroad            // 1: a payment in a country in which the card did not pay before
	multiple          // of what the card usually pays, in per cent
	novel             // 1: a payment in a category in which the card did not pay before
	strange           // payments of a card at merchants that it never paid before
	novels            // payments of a card in categories that were new to it
	aways             // payments of a card in countries that were new to it
	remote            // 1: a payment without the card
	quantities
)

// measures are one subject's quantities.
type measures [quantities][windows]int64

// facts are what the rules look at: the counts of everyone who has a part in an event.
type facts [subjects]measures

// Who found so many cards in a day, and missed no more than this part of all, is proven.
const (
	provenCards  = 20
	provenMisses = 40 // per cent
)

// proven says whether the asker has a clean record: the credential, or on a page that
// anybody can use the address.
func (f *facts) proven(public bool) bool {
	m := &f[caller]
	if public {
		m = &f[address]
	}
	hits, misses := m[found][day], m[missed][day]
	return hits >= provenCards && 100*misses <= provenMisses*(hits+misses)
}
