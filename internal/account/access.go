package account

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Scope is one thing that a credential may be allowed to do.
type Scope uint8

// The scopes, a closed list.
const (
	ScopeAll Scope = iota // everything, scopes of later versions included
	ScopePing
	ScopeWebhookRead
	ScopeWebhookWrite
	ScopePortalRead
	ScopePortalWrite
	ScopeCatalog
	ScopeOrderRead
	ScopeOrderWrite
	ScopeGiftcardRead
	ScopeGiftcardWrite
	ScopeGiftcardRedeem
	ScopeCardRead
	ScopeCardWrite
	ScopeCardReveal
	ScopeWalletRead
	ScopeWalletWrite
	ScopeCashoutRead
	ScopeCashoutWrite
	ScopeAccountRead
	ScopeAccountWrite
)

var scopeNames = [...]string{
	ScopeAll:            "*",
	ScopePing:           "ping",
	ScopeWebhookRead:    "webhook:read",
	ScopeWebhookWrite:   "webhook:write",
	ScopePortalRead:     "portal:read",
	ScopePortalWrite:    "portal:write",
	ScopeCatalog:        "catalog",
	ScopeOrderRead:      "order:read",
	ScopeOrderWrite:     "order:write",
	ScopeGiftcardRead:   "giftcard:read",
	ScopeGiftcardWrite:  "giftcard:write",
	ScopeGiftcardRedeem: "giftcard:redeem",
	ScopeCardRead:       "card:read",
	ScopeCardWrite:      "card:write",
	ScopeCardReveal:     "card:reveal",
	ScopeWalletRead:     "wallet:read",
	ScopeWalletWrite:    "wallet:write",
	ScopeCashoutRead:    "cashout:read",
	ScopeCashoutWrite:   "cashout:write",
	ScopeAccountRead:    "account:read",
	ScopeAccountWrite:   "account:write",
}

// String returns the scope's name, such as "giftcard:read".
func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return "unknown"
}

// ScopeOf returns the scope with a name; of a name that is none, "*": only who may do
// everything may do that.
func ScopeOf(name string) Scope { return Scope(max(slices.Index(scopeNames[:], name), 0)) }

// AllScopes returns the closed list in its documented order, "*" first.
func AllScopes() []Scope {
	all := make([]Scope, len(scopeNames))
	for i := range all {
		all[i] = Scope(i)
	}
	return all
}

// Scopes is a set of scopes.
type Scopes uint64

// NewScopes returns the set of the given scopes.
func NewScopes(scopes ...Scope) Scopes {
	var set Scopes
	for _, s := range scopes {
		set |= 1 << s
	}
	return set
}

// ParseScopes reads names. It refuses an empty list and unknown names.
func ParseScopes(names []string) (Scopes, error) {
	var set Scopes
	for _, name := range names {
		i := slices.Index(scopeNames[:], name)
		if i < 0 {
			return 0, invalid("scopes", "there is no scope %q: want some of %s", clip(name), strings.Join(scopeNames[:], ", "))
		}
		set |= 1 << i
	}
	return set, set.check()
}

func (c Scopes) check() error {
	if c == 0 || c>>len(scopeNames) != 0 {
		return invalid("scopes", "want one scope or more of the list")
	}
	return nil
}

// Has reports whether the set allows s: by itself or through "*".
func (c Scopes) Has(s Scope) bool { return c&(1<<s|1<<ScopeAll) != 0 }

// Names returns the names in the documented order.
func (c Scopes) Names() []string {
	var names []string
	for i, name := range scopeNames {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String returns the names with spaces between.
func (c Scopes) String() string { return strings.Join(c.Names(), " ") }

// storedScopes reads String. A name that this version does not know allows nothing.
func storedScopes(text string) Scopes {
	var set Scopes
	for name := range strings.FieldsSeq(text) {
		if i := slices.Index(scopeNames[:], name); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

// Networks is the addresses from which a credential works: none listed means all.
type Networks []netip.Prefix

const maxNetworks = 64

// ParseNetworks reads networks such as "203.0.113.0/24" and single addresses;
// host bits are cleared, repetitions dropped. At most 64.
func ParseNetworks(texts []string) (Networks, error) {
	if len(texts) > maxNetworks {
		return nil, invalid("networks", "want at most %d", maxNetworks)
	}
	var networks Networks
	for _, text := range texts {
		prefix, err := parseNetwork(strings.TrimSpace(text))
		if err != nil {
			return nil, invalid("networks", "%q is neither an address nor a network in CIDR notation", clip(text))
		}
		if !slices.Contains(networks, prefix) {
			networks = append(networks, prefix)
		}
	}
	return networks, nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || !prefix.Addr().Is4In6() {
			return prefix.Masked(), err
		}
		return prefix.Addr().Unmap().Prefix(prefix.Bits() - 96)
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	addr = addr.Unmap().WithZone("")
	return addr.Prefix(addr.BitLen())
}

// Allows reports whether from is listed. An invalid address is not, unless nothing is.
func (n Networks) Allows(from netip.Addr) bool {
	if len(n) == 0 {
		return true
	}
	from = from.Unmap().WithZone("")
	for _, prefix := range n {
		if prefix.Contains(from) {
			return true
		}
	}
	return false
}

// Texts returns the networks in CIDR notation.
func (n Networks) Texts() []string {
	texts := make([]string, len(n))
	for i, prefix := range n {
		texts[i] = prefix.String()
	}
	return texts
}

// String returns the networks with spaces between.
func (n Networks) String() string { return strings.Join(n.Texts(), " ") }

// maxDetail bounds what one detail of the audit log holds, in bytes.
const maxDetail = 512

// note adds the networks to a record of the audit log: under their own name and, where one
// detail cannot hold them all, under that name with numbers.
func (n Networks) note(detail map[string]string) {
	const name = "networks"
	part, full := "", 0
	for _, text := range n.Texts() {
		switch {
		case part == "":
			part = text
		case len(part)+1+len(text) <= maxDetail:
			part += " " + text
		default:
			detail[numbered(name, full)] = part
			part, full = text, full+1
		}
	}
	detail[numbered(name, full)] = part
}

// numbered is a name, with a number from the second on.
func numbered(name string, before int) string {
	if before == 0 {
		return name
	}
	return name + "_" + strconv.Itoa(before+1)
}

// check refuses a list that ParseNetworks would not return.
func (n Networks) check() error {
	if len(n) > maxNetworks {
		return invalid("networks", "want at most %d", maxNetworks)
	}
	for _, prefix := range n {
		if !prefix.IsValid() || prefix != prefix.Masked() || prefix.Addr().Is4In6() {
			return invalid("networks", "%s is not a network", prefix)
		}
	}
	return nil
}

// storedNetworks reads String. What cannot be read is an error: to skip it would open or close a door.
func storedNetworks(text string) (Networks, error) { return ParseNetworks(strings.Fields(text)) }

// clip keeps a caller's text short in a message.
func clip(text string) string {
	if len(text) > 64 {
		return text[:64]
	}
	return text
}
