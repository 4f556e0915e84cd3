package wire

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/platform/limit"
)

// By says whom a limit counts.
type By uint8

// Whom a limit counts.
const (
	// ByPrincipal counts the credential; it does not hold on public routes.
	ByPrincipal By = iota
	// ByAddress counts the client's address (for IPv6 its /64) before authentication.
	ByAddress
)

// Window is the limiter's: so many requests in so long.
type Window = limit.Window

// Decision is the limiter's: whether a request is allowed, and what is left.
type Decision = limit.Decision

// Limit is a set of windows over one subject, all of which must allow a request.
type Limit struct {
	// Name keeps counters apart. Empty means the route's name, or "all" for a
	// dialect's limit: one counter for all its routes.
	Name    string
	By      By
	Windows []Window
}

// boundLimit is a Limit with the fixed part of its subject.
type boundLimit struct {
	prefix  string
	by      By
	windows []Window
}

func (s *Surface[P]) bind(r *route[P]) []boundLimit {
	var bound []boundLimit
	add := func(limits []Limit, name string) {
		for _, l := range limits {
			if l.Name == "" {
				l.Name = name
			}
			if l.By == ByAddress || !r.Public {
				bound = append(bound, boundLimit{s.Name + "/" + l.Name + "/", l.By, l.Windows})
			}
		}
	}
	add(s.Limits, "all")
	add(r.Limits, r.Name)
	return bound
}

// take counts the call n times against the route's limits of one kind.
func (s *Surface[P]) take(ctx context.Context, c *Call[P], by By, n int) error {
	if s.kit.options.Take == nil {
		return nil
	}
	tightest := Decision{}
	for i := range c.route.limits {
		l := &c.route.limits[i]
		if l.by != by {
			continue
		}
		d, err := s.kit.options.Take(ctx, l.prefix+s.subject(c, by), l.windows, n)
		if err != nil {
			return err
		}
		if tightest.Limit == 0 || !d.Allowed || d.Remaining < tightest.Remaining {
			tightest = d
			c.decision = d
		}
		if !d.Allowed {
			return s.overLimit(ctx, c, d)
		}
	}
	return nil
}

// until returns how long it is until none of the route's limits refuses n at once.
func (s *Surface[P]) until(ctx context.Context, c *Call[P], n int) (wait time.Duration, err error) {
	if s.kit.options.Look == nil {
		return 0, nil
	}
	for i := range c.route.limits {
		l := &c.route.limits[i]
		d, err := s.kit.options.Look(ctx, l.prefix+s.subject(c, l.by), l.windows, n)
		if err != nil {
			return 0, err
		}
		wait = max(wait, d.RetryAfter)
	}
	return wait, nil
}

// overLimit refuses the call, and blocks its address where the dialect does so.
func (s *Surface[P]) overLimit(ctx context.Context, c *Call[P], d Decision) error {
	wait := max(d.RetryAfter, time.Second)
	if s.Penalty > 0 && s.kit.options.Block != nil {
		wait = max(wait, s.Penalty)
		if err := s.kit.options.Block(ctx, s.blockSubject(c), s.kit.options.Clock.Now().Add(s.Penalty)); err != nil {
			return err
		}
	}
	return fault.New(fault.RateLimited, "too many requests").After(wait)
}

// checkAddress refuses an address that is blocked, then counts it.
func (s *Surface[P]) checkAddress(ctx context.Context, c *Call[P]) error {
	if s.Penalty > 0 && s.kit.options.Blocked != nil {
		if until, blocked := s.kit.options.Blocked(ctx, s.blockSubject(c)); blocked {
			return fault.New(fault.RateLimited, "too many requests").After(max(until.Sub(s.kit.options.Clock.Now()), time.Second))
		}
	}
	return s.take(ctx, c, ByAddress, 1)
}

func (s *Surface[P]) blockSubject(c *Call[P]) string { return s.Name + "/" + AddressSubject(c.From) }

func (s *Surface[P]) subject(c *Call[P], by By) string {
	if by == ByPrincipal {
		return s.Subject(c.Principal)
	}
	return AddressSubject(c.From)
}

// AddressSubject names who stands behind an address: IPv6 callers own at least a
// /64, so that is what counts.
func AddressSubject(from netip.Addr) string {
	if !from.IsValid() {
		return "unknown"
	}
	if from.Is6() {
		return netip.PrefixFrom(sourceOf(from), customerBits).String()
	}
	return from.String()
}

// customerBits is how long the prefix is that an IPv6 caller owns at least.
const customerBits = 64

// sourceOf is who stands behind an address: of IPv6 the first of its /64. It may be invalid.
func sourceOf(from netip.Addr) netip.Addr {
	if !from.Is6() {
		return from
	}
	network, err := from.WithZone("").Prefix(customerBits)
	if err != nil {
		return from
	}
	return network.Addr()
}

// share is how much of something one address may have at once, of IPv6 a /64. Trusted proxies,
// behind which there are many, and programs of this machine may have all of it.
type share struct {
	most    int
	proxies []netip.Prefix
	crowd   limit.Crowd[netip.Addr]
}

// half returns the share of one address where there is place for all.
func half(all int, proxies []netip.Prefix) *share {
	return &share{most: (all + 1) / 2, proxies: proxies}
}

func (s *share) enter(from netip.Addr) bool {
	return s.free(from) || s.crowd.Enter(sourceOf(from), s.most)
}

func (s *share) leave(from netip.Addr) {
	if !s.free(from) {
		s.crowd.Leave(sourceOf(from))
	}
}

func (s *share) free(from netip.Addr) bool { return from.IsLoopback() || isTrusted(from, s.proxies) }

// told are the headers by which browsers and programs differ that call themselves the same.
var told = [...]string{"Accept", "Accept-Encoding", "Accept-Language", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform"}

// maxTold bounds how much of a header is looked at, in bytes.
const maxTold = 512

// Guise returns what whoever makes a request says of itself: its user agent, which may be
// empty, and all that tells it from others of the same name, which is not. Anybody can say
// anything.
func Guise(h http.Header) (agent, device string) {
	first := func(name string) string {
		text := h.Get(name)
		return text[:min(len(text), maxTold)]
	}
	agent = first("User-Agent")
	all := []byte(agent)
	for _, name := range told {
		all = append(append(all, 0), first(name)...) // no header has a zero
	}
	return agent, string(all)
}

// maxForwarded bounds how many entries of X-Forwarded-For are read, from the right.
const maxForwarded = 16

// requestID accepts a well-formed inbound id or makes a new one.
func requestID(values []string) string {
	if len(values) == 1 && isRequestID(values[0]) {
		return values[0]
	}
	return id.New("req")
}

// isRequestID accepts 8 to 64 letters, digits, dots, dashes and underscores. The
// id goes into logs, so runs of digits as long as a card number are refused.
func isRequestID(text string) bool {
	if len(text) < 8 || len(text) > 64 {
		return false
	}
	run := 0
	for i := range len(text) {
		switch char := text[i]; {
		case char >= '0' && char <= '9':
			if run++; run > 11 {
				return false
			}
		case char == '-', char == '.':
			// They do not end a run: card numbers are written with dashes too.
		case char == '_', char >= 'a' && char <= 'z', char >= 'A' && char <= 'Z':
			run = 0
		default:
			return false
		}
	}
	return true
}

// PublicURL returns the address under which callers reach this installation, as well as it
// is known: the configured one, or the one that this request was sent to. A request of
// HTTP/1.0 need not name that: then it is the address at which its connection was accepted.
func PublicURL(configured string, r *http.Request) string {
	if configured != "" {
		return configured
	}
	host := r.Host
	if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && host == "" {
		host = at.String()
	}
	if r.TLS != nil {
		return "https://" + host
	}
	return "http://" + host
}

// ClientAddress returns who sent a request: the other end of its connection or, behind
// proxies that are trusted, the address that they name.
func ClientAddress(r *http.Request, proxies []netip.Prefix) netip.Addr {
	return clientAddress(r.RemoteAddr, r.Header["X-Forwarded-For"], proxies)
}

// clientAddress walks X-Forwarded-For from the right for as long as the address
// it came from is a trusted proxy. It stops at what is not an address.
func clientAddress(remote string, forwarded []string, proxies []netip.Prefix) netip.Addr {
	current := parseAddress(remote)
	if len(proxies) == 0 || len(forwarded) == 0 || !isTrusted(current, proxies) {
		return current
	}
	rest := strings.Join(forwarded, ",")
	for range maxForwarded {
		cut := strings.LastIndexByte(rest, ',')
		next := parseAddress(strings.TrimSpace(rest[cut+1:]))
		if !next.IsValid() {
			return current
		}
		current = next
		if cut < 0 || !isTrusted(current, proxies) {
			return current
		}
		rest = rest[:cut]
	}
	return current
}

func isTrusted(address netip.Addr, proxies []netip.Prefix) bool {
	return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// parseAddress reads an address with or without a port. Its zone is dropped: no network has one.
func parseAddress(text string) netip.Addr {
	if pair, err := netip.ParseAddrPort(text); err == nil {
		return pair.Addr().Unmap().WithZone("")
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}
