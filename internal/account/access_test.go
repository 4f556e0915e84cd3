package account_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Every scope has a name of its own that leads back to it, and allows itself alone, except "*".
func TestScopes(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range account.AllScopes() {
		if s.String() == "" || seen[s.String()] {
			t.Errorf("scope %d has the name %q", s, s)
		}
		seen[s.String()] = true
		set := must(account.ParseScopes([]string{s.String()}))(t)
		if set != account.NewScopes(s) || set.String() != s.String() {
			t.Errorf("%s was read as %s", s, set)
		}
		for _, other := range account.AllScopes() {
			if got, want := set.Has(other), s == other || s == account.ScopeAll; got != want {
				t.Errorf("%s allows %s: %t", s, other, got)
			}
		}
	}
	if got := account.Scope(200).String(); got != "unknown" {
		t.Errorf("scope 200 is %q", got)
	}
}

// Unknown and missing scopes are refused, repeated ones count once.
func TestParseScopes(t *testing.T) {
	for _, bad := range [][]string{nil, {}, {"king"}, {"ping", ""}, {"Ping"}, {strings.Repeat("x", 1000)}} {
		_, err := account.ParseScopes(bad)
		if e := fault.From(err); e.Code != fault.InvalidRequest || e.Field != "scopes" || len(e.Message) > 400 {
			t.Errorf("%q: %v", bad, err)
		}
	}
	got := must(account.ParseScopes([]string{"ping", "catalog", "ping"}))(t)
	if diff := cmp.Diff([]string{"ping", "catalog"}, got.Names()); diff != "" {
		t.Error(diff)
	}
}

// Networks are read in every usual form and written in one; nonsense is refused.
func TestParseNetworks(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", "10.1.2.3/8": "10.0.0.0/8", " 10.0.0.0/8 ": "10.0.0.0/8", "::1": "::1/128",
		"2001:db8::5/32": "2001:db8::/32", "::ffff:10.1.2.3": "10.1.2.3/32", "::ffff:10.1.2.3/104": "10.0.0.0/8",
		"0.0.0.0/0": "0.0.0.0/0", "fe80::1%eth0": "fe80::1/128",
	} {
		networks, err := account.ParseNetworks([]string{text, text})
		if err != nil || networks.String() != want {
			t.Errorf("%q: %s, %v, want %s", text, networks, err, want)
		}
	}
	for _, bad := range []string{"", "10.0.0", "10.0.0.0/33", "10.0.0.0/-1", "::ffff:0.0.0.0/90", "fe80::%eth0/64", "example.com"} {
		if networks, err := account.ParseNetworks([]string{bad}); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %s, %v", bad, networks, err)
		}
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("10.0.0.%d", i)
	}
	_, err := account.ParseNetworks(many)
	wantCode(t, err, fault.InvalidRequest)
	must(account.ParseNetworks(many[:64]))(t)
}

// What ParseNetworks accepts, it reads back the same from its own text, and its network address is allowed.
func FuzzParseNetworks(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "::1", "::ffff:1.2.3.4/100", "fe80::1%a", "1.2.3.4/0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		networks, err := account.ParseNetworks([]string{text})
		if err != nil {
			return
		}
		again, err := account.ParseNetworks(networks.Texts())
		if err != nil || again.String() != networks.String() {
			t.Errorf("%q is written %s and read back %s, %v", text, networks, again, err)
		}
		if !networks.Allows(networks[0].Addr()) || networks.Allows(netip.Addr{}) {
			t.Errorf("%s does not allow its own address, or allows none", networks)
		}
	})
}
