package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/host"
)

// Limits of an endpoint's address.
const (
	maxURL     = 2048 // bytes
	maxHost    = 253  // RFC 1035 section 2.3.4
	maxLabel   = 63
	lookupTime = 3 * time.Second
)

// Guard decides where the program may send requests to addresses that customers
// chose. The same guard checks an address when it is saved, tried and used; the
// check that counts is made on the IP address itself, when it is dialled.
// The zero value allows public hosts over HTTPS on ports 443 and 8443.
type Guard struct {
	// AllowPrivate also allows any address, any port and plain HTTP. Only for
	// tests and machines of developers.
	AllowPrivate bool
	// Ports that may be called; 443 and 8443 when empty.
	Ports []uint16
	// Deny is what is refused beside the special-purpose ranges, such as the
	// operator's own public networks.
	Deny []netip.Prefix
	// Resolver looks names up; nil is the system's.
	Resolver *net.Resolver

	whose string // the URLs are, in messages; empty: a webhook's
}

// Of returns a guard of the same rules that says of URLs whose they are.
func (g *Guard) Of(whose string) *Guard {
	other := *g
	other.whose = whose
	return &other
}

// errRefused is in the chain of every error that says that an address may not be called.
var errRefused = errors.New("address refused")

// CheckURL returns the parsed address of an endpoint. It returns the fault
// invalid_request for anything but an absolute HTTPS URL of at most 2,048 bytes
// with a public host name or address, an allowed port, no user information and no
// fragment. It looks nothing up.
func (g *Guard) CheckURL(text string) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, g.bad("is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, g.bad("is malformed") // the parser's text repeats the URL, which may hold a password
	}
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !g.AllowPrivate):
		return nil, g.bad("must begin with https://")
	case u.Opaque != "" || u.Host == "":
		return nil, g.bad("must name a host")
	case u.User != nil:
		return nil, g.bad("must not hold a user name or password")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, g.bad("must not have a fragment")
	}
	if err := g.checkHost(u.Hostname()); err != nil {
		return nil, err
	}
	port, err := portOf(u)
	if err != nil {
		return nil, g.bad("has a malformed port")
	}
	if err := g.checkPort(port); err != nil {
		return nil, g.bad("has port %d, which is not allowed", port)
	}
	return u, nil
}

// Check is CheckURL and one look-up: it also refuses a name that now has an
// address which may not be called. A name that does not resolve yet is accepted,
// since every delivery checks again.
func (g *Guard) Check(ctx context.Context, text string) (*url.URL, error) {
	u, err := g.CheckURL(text)
	if err != nil || g.AllowPrivate {
		return u, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	addresses, err := g.resolver().LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return u, nil
	}
	for _, a := range addresses {
		// A resolver gives IPv4 addresses in their mapped form, too.
		if what := g.refused(a.Unmap()); what != "" {
			return nil, g.bad("has a host whose address is not public: %s", what)
		}
	}
	return u, nil
}

// CheckAddress returns an error when a may not be called.
func (g *Guard) CheckAddress(a netip.Addr) error {
	if what := g.refused(a); what != "" {
		return fmt.Errorf("%s address: %w", what, errRefused)
	}
	return nil
}

// refused returns what kind of address a is when it must not be called; "" when it may.
func (g *Guard) refused(a netip.Addr) string {
	if g.AllowPrivate && a.IsValid() {
		return ""
	}
	if what := refusedRange(a); what != "" {
		return what
	}
	if slices.ContainsFunc(g.Deny, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return "denied"
	}
	return ""
}

// Dialer returns a dialer that refuses, at the last moment and for each address
// that a name has, what CheckAddress refuses.
func (g *Guard) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Resolver: g.resolver(), ControlContext: g.control}
}

func (g *Guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || (network != "tcp4" && network != "tcp6") {
		return fmt.Errorf("dial %s: %w", network, errRefused)
	}
	if err := g.CheckAddress(to.Addr()); err != nil {
		return err
	}
	return g.checkPort(to.Port())
}

func (g *Guard) resolver() *net.Resolver {
	if g.Resolver == nil {
		return net.DefaultResolver
	}
	return g.Resolver
}

func (g *Guard) checkPort(port uint16) error {
	allowed := g.Ports
	if len(allowed) == 0 {
		allowed = []uint16{443, 8443}
	}
	if port == 0 || (!g.AllowPrivate && !slices.Contains(allowed, port)) {
		return fmt.Errorf("port %d: %w", port, errRefused)
	}
	return nil
}

func portOf(u *url.URL) (uint16, error) {
	switch text := u.Port(); {
	case text != "":
		port, err := strconv.ParseUint(text, 10, 16)
		return uint16(port), err
	case strings.HasSuffix(u.Host, ":"):
		return 0, errors.New("empty port")
	case u.Scheme == "http":
		return 80, nil
	}
	return 443, nil
}

// checkHost refuses what is not a public host name or address by its form.
func (g *Guard) checkHost(text string) error {
	if strings.ContainsAny(text, ":%") {
		return g.checkLiteral(text)
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return g.checkLiteral(a.String())
	}
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	labels := strings.Split(name, ".")
	if len(name) > maxHost || !all(labels, validLabel) {
		return g.bad("has a malformed host name")
	}
	// Some resolvers read 0x7f.1, 017700000001 and 2130706433 as addresses.
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		return g.bad("has a malformed host address")
	}
	if !g.AllowPrivate && host.IsLocal(name) {
		return g.bad("must have a public host")
	}
	return nil
}

func (g *Guard) checkLiteral(text string) error {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return g.bad("has a malformed host address")
	}
	if what := g.refused(a); what != "" {
		return g.bad("has an address that is not public: %s", what)
	}
	return nil
}

func validLabel(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func all(labels []string, ok func(string) bool) bool {
	return !slices.ContainsFunc(labels, func(l string) bool { return !ok(l) })
}

func (g *Guard) bad(format string, args ...any) error {
	return fault.New(fault.InvalidRequest, "the "+cmp.Or(g.whose, "webhook")+" URL "+format, args...).At("url")
}

// refusal is a range that no webhook may be sent to, and what it is.
type refusal struct {
	prefix netip.Prefix
	what   string
}

// refusedIPv4 is the special-purpose registry of RFC 6890 as IANA keeps it, less
// what is reachable for everybody, and addresses by which clouds tell their
// machines secrets though they look public.
var refusedIPv4 = []refusal{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "cloud metadata"},
	{netip.MustParsePrefix("169.254.169.254/32"), "cloud metadata"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignment"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmark"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
}

// globalIPv6 is all that IANA has given out for general use; the names below only
// explain why an address outside it is refused.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

var refusedIPv6 = []refusal{
	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped"},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "IPv4-translated"},
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "NAT64"},
	{netip.MustParsePrefix("100::/64"), "discard"},
	{netip.MustParsePrefix("2001::/32"), "Teredo"},
	{netip.MustParsePrefix("2001:2::/48"), "benchmark"},
	{netip.MustParsePrefix("2001::/23"), "protocol assignment"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing"},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "cloud metadata"},
	{netip.MustParsePrefix("fc00::/7"), "unique local"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// refusedRange is refused for the ranges that nobody configures.
func refusedRange(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "malformed"
	case a.Zone() != "":
		return "zoned"
	}
	list := refusedIPv6
	if a.Is4() {
		list = refusedIPv4
	}
	for _, r := range list {
		if r.prefix.Contains(a) {
			return r.what
		}
	}
	if a.Is6() && !globalIPv6.Contains(a) {
		return "reserved"
	}
	return ""
}
