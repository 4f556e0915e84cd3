// Package realm names the two worlds that every customer has: live, where money
// is real, and test, where every counterparty is simulated and the clock can be
// advanced. Books, credentials and events belong to exactly one of them; the
// credential of a request selects it.
package realm

import "fmt"

// Realm is live or test.
type Realm string

// The realms.
const (
	Live Realm = "live"
	Test Realm = "test"
)

// Parse reads the name of a realm.
func Parse(text string) (Realm, error) {
	switch r := Realm(text); r {
	case Live, Test:
		return r, nil
	}
	return "", fmt.Errorf("realm %q: want live or test", text)
}

// All returns both realms, live first.
func All() []Realm { return []Realm{Live, Test} }
