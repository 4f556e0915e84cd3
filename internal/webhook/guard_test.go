package webhook

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/reply"
	"github.com/scripcards/scrip/internal/testkit"
)

// Public addresses may be called; every special-purpose address, however it is written, may not.
func TestCheckAddress(t *testing.T) {
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "93.184.215.14", "100.63.255.255", "100.128.0.1", "11.0.0.1", "9.255.255.255", "126.255.255.255", "128.0.0.1",
		"172.15.255.255", "172.32.0.1", "169.253.255.255", "169.255.0.1", "192.0.1.1", "192.0.3.1", "192.167.255.255", "192.169.0.1",
		"198.17.255.255", "198.20.0.1", "223.255.255.255", "203.0.112.1", "203.0.114.1", "198.51.99.1", "198.51.101.1",
		"2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001:80b::200e", "2400:cb00::1", "3ffe::1",
	} {
		if err := (&Guard{}).CheckAddress(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, what := range map[string]string{
		"0.0.0.0": "unspecified", "0.1.2.3": "unspecified", "::": "unspecified",
		"10.0.0.1": "private", "10.255.255.255": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.0.1": "private", "192.168.255.255": "private",
		"127.0.0.1": "loopback", "127.255.255.255": "loopback", "::1": "loopback",
		"169.254.1.1": "link-local", "fe80::1": "link-local", "febf::1": "link-local",
		"169.254.169.254": "cloud metadata", "fd00:ec2::254": "cloud metadata", "168.63.129.16": "cloud metadata",
		"100.64.0.1": "carrier-grade NAT", "100.100.100.200": "carrier-grade NAT", "100.127.255.255": "carrier-grade NAT",
		"192.0.0.1": "protocol assignment", "192.0.0.192": "protocol assignment", "192.88.99.1": "6to4 relay",
		"192.0.2.1": "documentation", "198.51.100.1": "documentation", "203.0.113.1": "documentation", "2001:db8::1": "documentation", "3fff::1": "documentation", "3fff:fff::1": "documentation",
		"198.18.0.1": "benchmark", "198.19.255.255": "benchmark", "2001:2::1": "benchmark",
		"224.0.0.1": "multicast", "239.255.255.255": "multicast", "ff02::1": "multicast", "ff0e::1": "multicast",
		"240.0.0.1": "reserved", "254.255.255.255": "reserved", "255.255.255.255": "broadcast",
		"fc00::1": "unique local", "fd12:3456:789a::1": "unique local", "fec0::1": "site-local",
		"64:ff9b::7f00:1": "NAT64", "64:ff9b::808:808": "NAT64", "64:ff9b:1::a00:1": "NAT64",
		"::ffff:127.0.0.1": "IPv4-mapped", "::ffff:8.8.8.8": "IPv4-mapped", "::127.0.0.1": "IPv4-compatible", "::8.8.8.8": "IPv4-compatible", "::ffff:0:127.0.0.1": "IPv4-translated",
		"2002:7f00:1::": "6to4", "2002:a00:1::1": "6to4", "2002:808:808::1": "6to4",
		"2001::1": "Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2": "Teredo", "2001:20::1": "protocol assignment",
		"100::1": "discard", "5f00::1": "segment routing", "4000::1": "reserved", "1::1": "reserved", "e000::1": "reserved", "200::1": "reserved",
		"fe80::1%eth0": "zoned", "2606:4700::1%eth0": "zoned",
	} {
		a := netip.MustParseAddr(text)
		if got := (&Guard{}).refused(a); got != what {
			t.Errorf("%s: %q, want %q", text, got, what)
		}
		if err := (&Guard{}).CheckAddress(a); !errors.Is(err, errRefused) {
			t.Errorf("%s: %v", text, err)
		}
		if err := (&Guard{AllowPrivate: true}).CheckAddress(a); err != nil {
			t.Errorf("%s with AllowPrivate: %v", text, err)
		}
	}
	if err := (&Guard{AllowPrivate: true}).CheckAddress(netip.Addr{}); err == nil {
		t.Error("no address is accepted")
	}
	own := &Guard{Deny: []netip.Prefix{netip.MustParsePrefix("8.8.0.0/16")}}
	if own.CheckAddress(netip.MustParseAddr("8.8.8.8")) == nil || own.CheckAddress(netip.MustParseAddr("8.9.8.8")) != nil {
		t.Error("the operator's own networks")
	}
}

// An endpoint's URL is public HTTPS on an allowed port, and nothing else.
func TestCheckURL(t *testing.T) {
	long := "https://hooks.example.org/" + strings.Repeat("x", maxURL)
	label := strings.Repeat("a", 63)
	good := []string{
		"https://hooks.example.org", "https://hooks.example.org/", "https://hooks.example.org:443/a/b?c=d", "https://hooks.example.org:8443/",
		"https://EXAMPLE.org/Path", "https://example.org.", "https://xn--bcher-kva.example.org/", "https://a_b.example.org/", "https://1.2.3.4.example.org/",
		"https://8.8.8.8/", "https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]:8443/", "https://" + label + ".org/",
	}
	bad := []string{
		"", "hooks.example.org", "//hooks.example.org/", "http://hooks.example.org/", "ftp://example.org/", "https:", "https://", "https:///path", "https:example.org",
		"javascript:alert(1)", "file:///etc/passwd", "https://user@example.org/", "https://user:pass@example.org/", "https://@example.org/", "https://example.org/#a", "https://example.org/#",
		"https://example.org:80/", "https://example.org:22/", "https://example.org:0/", "https://example.org:65536/", "https://example.org:/", "https://example.org:4x3/", "https://example.org:-1/",
		"https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/", "https://router/", "https://printer.local/", "https://metadata.google.internal/", "https://metadata.google.internal./",
		"https://db.corp/", "https://x.home.arpa/", "https://abc.onion/", "https://x.test/", "https://x.invalid/", "https://nas.home/", "https://x.alt/", "https://db.Local./",
		"https://127.0.0.1/", "https://127.1/", "https://0x7f.0.0.1/", "https://0x7f000001/", "https://017700000001/", "https://2130706433/", "https://0/", "https://127.0.0.1./", "https://example.0x7f/", "https://example.9/", "https://1.2.3.4.5/",
		"https://10.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:8.8.8.8]/", "https://[fe80::1%25eth0]/", "https://[fd00:ec2::254]/",
		"https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[::1", "https://::1/", "https://[127.0.0.1]/", "https://1.1.1.1%2f@127.0.0.1/", "https://example.org%00.a.org/", "https://exa mple.org/",
		"https://bücher.example.org/", "https://-a.example.org/", "https://a-.example.org/", "https://a..example.org/", "https://.example.org/", "https://./", "https://ex!ample.org/", "https://example.org\t/", "https://example.org\r\nX: y/",
		"https://" + label + "a.org/", "https://" + strings.Repeat(label[:50]+".", 6) + "org/", long,
		"https://①②⑦.0.0.1/", "https://127。0。0。1/", "https://example.org\\@127.0.0.1/",
	}
	guard := &Guard{}
	for _, text := range good {
		if _, err := guard.CheckURL(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range bad {
		_, err := guard.CheckURL(text)
		if f := fault.From(err); err == nil || f.Code != fault.InvalidRequest || f.Field != "url" {
			t.Errorf("%.100q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "pass") && !strings.Contains(err.Error(), "password") {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
	dev := &Guard{AllowPrivate: true}
	for _, text := range []string{"http://localhost:8080/", "https://127.0.0.1:1/", "http://[::1]:9/", "http://router/"} {
		if _, err := dev.CheckURL(text); err != nil {
			t.Errorf("with AllowPrivate %s: %v", text, err)
		}
	}
	for _, text := range []string{"ftp://localhost/", "http://a:b@localhost/", "http://localhost:0/", "http://0x7f.1/"} {
		if _, err := dev.CheckURL(text); err == nil {
			t.Errorf("with AllowPrivate %s is accepted", text)
		}
	}
	if _, err := (&Guard{Ports: []uint16{9443}}).CheckURL("https://example.org/"); err == nil {
		t.Error("the list of ports is not used")
	}
}

// nameServer answers every A question with the addresses in turn, the last again and again, and AAAA with none.
func nameServer(t *testing.T, addresses ...string) (resolver *net.Resolver, asked *atomic.Int64) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	asked = &atomic.Int64{}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := answerName(buf[:n], asked, addresses); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}
	return &net.Resolver{PreferGo: true, Dial: dial}, asked
}

// answerName makes a DNS answer (RFC 1035 section 4.1) to a query of one question.
func answerName(query []byte, asked *atomic.Int64, addresses []string) []byte {
	const header = 12
	end := header
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5
	if end > len(query) {
		return nil
	}
	answer := bytes.Clone(query[:end])
	binary.BigEndian.PutUint16(answer[2:], 0x8180)
	for i := 6; i < header; i++ {
		answer[i] = 0
	}
	if binary.BigEndian.Uint16(query[end-4:]) != 1 {
		return answer
	}
	i := int(asked.Add(1)) - 1
	a := netip.MustParseAddr(addresses[min(i, len(addresses)-1)]).As4()
	answer[7] = 1
	answer = append(answer, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
	return append(answer, a[:]...)
}

// A name that had a public address when it was saved and has a private one when it is called is refused at the dial.
func TestRebinding(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), Config{})
	r := newReceiver(t)
	port, err := strconv.ParseUint(r.URL[strings.LastIndex(r.URL, ":")+1:], 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	resolver, asked := nameServer(t, "93.184.215.14", "127.0.0.1")
	b.Guard = &Guard{Ports: []uint16{uint16(port)}, Resolver: resolver}
	b.client = newClient(b.Guard, b.Config)
	n := ask(func(n *NewEndpoint) {
		n.URL, n.Events = "https://rebind.example.org:"+strconv.Itoa(int(port))+"/", []string{"*"}
	})
	e := b.add(n).Endpoint
	event := b.emit("card.created")
	b.deliver()
	attempts := b.attempts(b.delivery(e, event))
	if len(attempts) != 1 || attempts[0].Error != ErrorRefused || attempts[0].Status != 0 {
		t.Errorf("attempts = %+v", attempts)
	}
	if len(r.requests()) != 0 || asked.Load() != 2 {
		t.Errorf("%d requests arrived, %d questions were asked", len(r.requests()), asked.Load())
	}
	// The same name and server are reached once private addresses are allowed: it was the guard.
	b.Guard.AllowPrivate = true
	b.client = newClient(b.Guard, Config{Timeout: time.Minute, Roots: testRoots()})
	b.clock.Advance(time.Hour)
	b.deliver()
	if got := b.attempts(b.delivery(e, event))[0]; got.Error != ErrorTLS {
		t.Errorf("with AllowPrivate: %+v", got) // the certificate is not for that name
	}
	if _, err := b.Create(t.Context(), n); err != nil {
		t.Error(err)
	}
}

// A name with a private address is refused when it is saved; one that does not resolve is left to the delivery.
func TestCheckResolves(t *testing.T) {
	private, _ := nameServer(t, "192.168.1.1")
	_, err := (&Guard{Resolver: private}).Check(t.Context(), "https://hooks.example.org/")
	if f := fault.From(err); f.Code != fault.InvalidRequest || f.Field != "url" || !strings.Contains(f.Message, "private") {
		t.Errorf("a private host: %v", err)
	}
	broken := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }}
	if _, err := (&Guard{Resolver: broken}).Check(t.Context(), "https://hooks.example.org/"); err != nil {
		t.Errorf("a host that does not resolve: %v", err)
	}
}

// The dial check knows no way around: other networks, ports and loopback are refused before a connection is made.
func TestDialRefuses(t *testing.T) {
	r := newReceiver(t)
	address := strings.TrimPrefix(r.URL, "https://")
	guard := &Guard{}
	if _, err := guard.Dialer(time.Minute).DialContext(t.Context(), "tcp", address); !errors.Is(err, errRefused) {
		t.Errorf("dial %s: %v", address, err)
	}
	for network, address := range map[string]string{"udp4": "8.8.8.8:443", "unix": "/tmp/socket", "tcp4": "8.8.8.8:25", "tcp6": "[::1]:443", "tcp": "8.8.8.8:443"} {
		if err := guard.control(t.Context(), network, address, nil); !errors.Is(err, errRefused) {
			t.Errorf("%s %s: %v", network, address, err)
		}
	}
	for network, address := range map[string]string{"tcp4": "8.8.8.8:443", "tcp6": "[2606:4700::1]:8443"} {
		if err := guard.control(t.Context(), network, address, nil); err != nil {
			t.Errorf("%s %s: %v", network, address, err)
		}
	}
	if _, err := (&Guard{AllowPrivate: true}).Dialer(time.Minute).DialContext(t.Context(), "tcp", address); err != nil {
		t.Errorf("with AllowPrivate: %v", err)
	}
}

// A proxy that the environment names is not used.
func TestNoProxy(t *testing.T) {
	proxy := newReceiver(t)
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	transport := newClient(&Guard{}, Config{}.withDefaults()).Transport.(reply.Bounded)
	if transport.Proxy != nil {
		t.Error("the transport has a proxy")
	}
	// 127.0.0.1 would be spared by the usual rules, a name is not: only the dial tells.
	resolver, _ := nameServer(t, "127.0.0.1")
	client := newClient(&Guard{AllowPrivate: true, Resolver: resolver}, Config{Timeout: time.Minute, Roots: testRoots()})
	response, err := client.Get("https://hooks.example.com:1/") // a port on which nobody listens
	if err == nil {
		_ = response.Body.Close()
	}
	if err == nil || len(proxy.requests()) != 0 {
		t.Errorf("the proxy got %d requests, error %v", len(proxy.requests()), err)
	}
}

// Whatever URL passes, its host and port are ones that the rules allow, and it stays the same when it is written and read again.
func FuzzCheckURL(f *testing.F) {
	for _, text := range []string{
		"https://hooks.example.org/a?b=c", "https://127.0.0.1/", "https://[::1]:443/", "https://a@b.org/", "https://0x7f.1/", "http://x.org", "https://x.org:8443", "https://x.org%2e/",
	} {
		f.Add(text)
	}
	guard := &Guard{}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := guard.CheckURL(text)
		if err != nil {
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if u.Scheme != "https" || u.User != nil || len(text) > maxURL || (u.Port() != "" && u.Port() != "443" && u.Port() != "8443" && strings.TrimLeft(u.Port(), "0") != "443" && strings.TrimLeft(u.Port(), "0") != "8443") {
			t.Errorf("%q passes as %+v", text, u)
		}
		if a, err := netip.ParseAddr(u.Hostname()); err == nil && refusedRange(a) != "" {
			t.Errorf("%q passes with the address %s", text, a)
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Host != u.Host {
			t.Errorf("%q is written as %q: %v", text, u.String(), err)
		}
		if _, err := guard.CheckURL(u.String()); err != nil && len(u.String()) <= maxURL {
			t.Errorf("%q passes, %q does not: %v", text, u.String(), err)
		}
	})
}

// No address outside the general-purpose ranges passes in any of its forms.
func FuzzCheckAddress(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add(netip.MustParseAddr("::ffff:10.0.0.1").AsSlice())
	f.Add(netip.MustParseAddr("2002:7f00:1::").AsSlice())
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := netip.AddrFromSlice(raw)
		if !ok || (&Guard{}).CheckAddress(a) != nil {
			return
		}
		if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is4In6() || a.Is6() && !globalIPv6.Contains(a) {
			t.Errorf("%s passes", a)
		}
		if a.Is4() {
			mapped := netip.AddrFrom16(a.As16())
			if (&Guard{}).CheckAddress(mapped) == nil {
				t.Errorf("%s passes", mapped)
			}
		}
	})
}
