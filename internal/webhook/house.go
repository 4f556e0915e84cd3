package webhook

import (
	"strings"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const housePrefix = "house_"

// House names the book of an installation's own events in a realm: what concerns its
// operators, whoever their customers are. There is no money in it.
func House(r realm.Realm) ledger.BookID { return ledger.BookID(housePrefix + string(r)) }

// HouseRealm returns the realm of a book that House named, and whether it did.
func HouseRealm(book string) (realm.Realm, bool) {
	name, ok := strings.CutPrefix(book, housePrefix)
	if !ok {
		return "", false
	}
	r, err := realm.Parse(name)
	return r, err == nil
}

// Operators returns what tells the operators of an event: e, in the house's book of its realm.
func (o *Outbox) Operators(e Event) []storage.Effect {
	e.Book = House(e.Realm)
	return o.Effects(e)
}
