package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/plain"
)

// The bounds of numbers and durations.
const (
	maxDatabaseConnections = 1_000
	maxConnections         = 1_000_000
	minTimeout             = 100 * time.Millisecond
	maxTimeout             = time.Hour
	minValidity            = time.Hour
	maxValidity            = 100 * 365 * 24 * time.Hour
	minHold                = time.Minute
	maxHold                = 365 * 24 * time.Hour
	maxScore               = 100
	minChecks              = 100 // as many as a batch may have
	maxChecks              = 10_000_000
	maxProxies             = 64
	maxAcquirers           = 256
	maxAcquirer            = 11 // digits
	masterKeySize          = 32 // bytes
	maxCardholder          = 26 // characters, as a card's stripe has room for
	maxAddressPart         = 100
)

// Check returns everything that is wrong with the settings: it joins Problems.
func (c Config) Check() error { return join(c.problems()) }

func (c Config) problems() []Problem {
	var found []Problem
	check := func(name, wrong string) {
		if wrong != "" {
			found = append(found, Problem{Name: name, Text: wrong})
		}
	}
	check("listen", c.checkListen())
	if c.Data == "" || strings.ContainsRune(c.Data, 0) {
		check("data", "want a directory")
	}
	check("database", checkDatabase(c.Database))
	check("database_connections", checkNumber(c.DatabaseConnections, maxDatabaseConnections))
	check("base_url", checkBaseURL(c.BaseURL))
	opened := []place{{"listen", c.Listen}, {"tls_listen", c.TLSListen}, {"iso8583", c.ISO8583}}
	check("tls_listen", c.checkBeside(c.TLSListen, ":443", "TLS needs", opened[:1]))
	check("acme_directory", checkDirectory(c.ACMEDirectory))
	if c.ACMEEmail != "" && !isMail(c.ACMEEmail) {
		check("acme_email", "want an address such as ops@cards.example")
	}
	if c.DNSServer != "" && !isAddress(c.DNSServer) {
		check("dns_server", fmt.Sprintf("%q: want HOST:PORT, such as 192.0.2.53:53", c.DNSServer))
	}
	if _, err := c.TrustedProxies(); err != nil {
		check("trusted_proxies", strings.TrimPrefix(err.Error(), "trusted_proxies: "))
	}
	check("max_connections", checkNumber(c.MaxConnections, maxConnections))
	check("read_timeout", checkTimeout(c.ReadTimeout))
	check("write_timeout", checkTimeout(c.WriteTimeout))
	check("idle_timeout", checkTimeout(c.IdleTimeout))
	check("shutdown_timeout", checkTimeout(c.ShutdownTimeout))
	check("log_level", checkWord(c.LogLevel, "debug", "info", "warn", "error"))
	check("log_format", checkWord(c.LogFormat, "auto", "text", "json"))
	check("metrics", c.checkMetrics(opened))
	check("iso8583", c.checkBeside(c.ISO8583, "127.0.0.1:8583", "card networks need", opened[:2]))
	check("iso8583_realm", checkWord(c.ISO8583Realm, "test", "live"))
	check("iso8583_bitmap", checkWord(c.ISO8583Bitmap, "binary", "hex"))
	if _, err := c.CardNetworks(); err != nil {
		check("iso8583_sources", strings.TrimPrefix(err.Error(), "iso8583_sources: "))
	}
	if _, err := c.Acquirers(); err != nil {
		check("iso8583_acquirers", strings.TrimPrefix(err.Error(), "iso8583_acquirers: "))
	}
	if c.Captcha != "" {
		check("captcha", checkWord(c.Captcha, "recaptcha", "hcaptcha", "turnstile"))
	}
	check("captcha_endpoint", checkEndpoint(c.CaptchaEndpoint))
	check("giftcard_validity", checkDuration(c.GiftcardValidity, minValidity, maxValidity))
	check("giftcard_hold", checkDuration(c.GiftcardHold, minHold, maxHold))
	check("high_risk", checkNumber(c.HighRisk, maxScore))
	check("checks_per_minute", checkBetween(c.ChecksPerMinute, minChecks, maxChecks))
	check("seed_realm", checkWord(c.SeedRealm, "test", "live"))
	check("dispute_credit", checkWord(c.DisputeCredit, CreditOpened, CreditWon))
	check("cardholder_name", checkName(c.CardholderName))
	if _, err := c.Billing(); err != nil {
		check("cardholder_address", strings.TrimPrefix(err.Error(), "cardholder_address: "))
	}
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(c.MasterKey.Reveal())); err != nil || (len(raw) != 0 && len(raw) != masterKeySize) {
		check("master_key", fmt.Sprintf("want %d bytes in base64, such as `openssl rand -base64 %d` prints", masterKeySize, masterKeySize))
	}
	return found
}

func checkEndpoint(text string) string {
	if text == "" || isEndpoint(text) {
		return ""
	}
	return "want an https URL without credentials or a query, or http on this machine"
}

func isEndpoint(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && err == nil && ip.IsLoopback()
}

func (c Config) checkListen() string {
	switch {
	case !isAddress(c.Listen):
		return fmt.Sprintf("%q: want HOST:PORT, such as %s", c.Listen, Default().Listen)
	case c.Demo && !IsLoopback(c.Listen):
		return fmt.Sprintf("%q: a demo has published credentials and listens on loopback addresses only, such as %s", c.Listen, Default().Listen)
	}
	return ""
}

// place is an address that is listened on, and the setting that says so.
type place struct{ name, address string }

// checkBeside checks an address that is listened on beside others, where there is one.
func (c Config) checkBeside(address, such, need string, others []place) string {
	switch {
	case address == "":
	case !isAddress(address):
		return fmt.Sprintf("%q: want HOST:PORT, such as %s", address, such)
	case c.Demo && !IsLoopback(address):
		return fmt.Sprintf("%q: a demo has published credentials and listens on loopback addresses only", address)
	default:
		return checkFree(address, need, others)
	}
	return ""
}

func (c Config) checkMetrics(others []place) string {
	switch {
	case c.Metrics == "", c.Metrics == MetricsOff:
	case !isAddress(c.Metrics):
		return fmt.Sprintf("%q: want HOST:PORT or %s", c.Metrics, MetricsOff)
	case c.Demo && !IsLoopback(c.Metrics):
		return fmt.Sprintf("%q: a demo listens on loopback addresses only", c.Metrics)
	default:
		return checkFree(c.Metrics, "metrics need", others)
	}
	return ""
}

// checkFree checks that an address is none that another setting has opened already.
func checkFree(address, need string, others []place) string {
	for _, o := range others {
		if collide(address, o.address) {
			return fmt.Sprintf("%q: %s an address beside %s", address, need, o.name)
		}
	}
	return ""
}

// collide reports whether only one of two addresses can be listened on: they have one port, and
// one host or one that stands for all. Port 0 is any that is free.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isEveryHost(hostA) || isEveryHost(hostB)
}

func isEveryHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func checkDirectory(text string) string {
	u, err := url.Parse(text)
	if text == "" || err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && u.Fragment == "" {
		return ""
	}
	return "want an https URL such as https://acme.example/directory"
}

func isMail(text string) bool {
	at, err := mail.ParseAddress(text)
	return err == nil && at.Address == text
}

// isAddress reports whether text is HOST:PORT, with a number for a port; the host may be empty.
func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// checkDatabase never repeats the URL, which may hold a password.
func checkDatabase(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil {
		return "the URL is malformed: write special characters of the password as %XX"
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "" {
		return "want a postgres:// URL, or nothing for the embedded database"
	}
	return ""
}

func checkBaseURL(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "", strings.HasSuffix(text, "/"):
	case u.User != nil, u.RawQuery != "", u.Fragment != "", strings.ContainsAny(text, "?#"):
	default:
		return ""
	}
	return "want a URL such as https://cards.example, without a slash at its end, a query or credentials"
}

func checkNumber(n, most int) string { return checkBetween(n, 1, most) }

func checkBetween(n, least, most int) string {
	if n < least || n > most {
		return fmt.Sprintf("%d: want %d to %d", n, least, most)
	}
	return ""
}

func checkTimeout(d time.Duration) string { return checkDuration(d, minTimeout, maxTimeout) }

func checkDuration(d, least, most time.Duration) string {
	if d < least || d > most {
		return fmt.Sprintf("%s: want %s to %s", shortDuration(d), shortDuration(least), shortDuration(most))
	}
	return ""
}

func checkWord(word string, known ...string) string {
	if slices.Contains(known, word) {
		return ""
	}
	last := len(known) - 1
	return fmt.Sprintf("%q: want %s or %s", word, strings.Join(known[:last], ", "), known[last])
}

// TrustedProxies returns the networks of Proxies, at most 64.
func (c Config) TrustedProxies() ([]netip.Prefix, error) {
	return networks("trusted_proxies", c.Proxies)
}

// CardNetworks returns the networks of ISO8583Sources, at most 64.
func (c Config) CardNetworks() ([]netip.Prefix, error) {
	return networks("iso8583_sources", c.ISO8583Sources)
}

// Acquirers returns the institutions of ISO8583Acquirers, at most 256.
func (c Config) Acquirers() ([]string, error) {
	var acquirers []string
	for text := range strings.SplitSeq(c.ISO8583Acquirers, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if len(text) > maxAcquirer || strings.Trim(text, "0123456789") != "" || strings.Trim(text, "0") == "" {
			return nil, fmt.Errorf("iso8583_acquirers: %q: want up to %d digits, such as 411111", text, maxAcquirer)
		}
		if acquirers = append(acquirers, text); len(acquirers) > maxAcquirers {
			return nil, fmt.Errorf("iso8583_acquirers: want at most %d", maxAcquirers)
		}
	}
	return acquirers, nil
}

// networks reads the list of a setting.
func networks(name, list string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		network, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil && address.Zone() == "" {
			network, err = address.Prefix(address.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %q: want addresses or networks such as 10.0.0.0/8", name, text)
		}
		if network.Masked() != network {
			return nil, fmt.Errorf("%s: %q: the network is %s", name, text, network.Masked())
		}
		if networks = append(networks, unmapped(network)); len(networks) > maxProxies {
			return nil, fmt.Errorf("%s: want at most %d", name, maxProxies)
		}
	}
	return networks, nil
}

// mappedBits is how long the prefix of IPv4 addresses within IPv6 is.
const mappedBits = 96

// unmapped is a network of IPv4 addresses as such, where it is written as one of IPv6: callers'
// addresses are compared in that form.
func unmapped(network netip.Prefix) netip.Prefix {
	if !network.Addr().Is4In6() {
		return network
	}
	return netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-mappedBits)
}

// checkName lets pass what fits on a card: Latin capitals, digits and what stands between names.
func checkName(text string) string {
	fits := func(r rune) bool {
		return r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" .,'&-", r)
	}
	if len(text) > maxCardholder || strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return !fits(r) }) {
		return fmt.Sprintf("want up to %d capital letters, digits and spaces, such as EXAMPLE HOLDINGS", maxCardholder)
	}
	return ""
}

// Address is where a cardholder lives.
type Address struct {
	Street, City, State, Postcode string
	Country                       string // two letters
}

// Billing returns the parts of CardholderAddress; the zero address if there is none.
func (c Config) Billing() (Address, error) {
	if c.CardholderAddress == "" {
		return Address{}, nil
	}
	parts := strings.Split(c.CardholderAddress, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
		if !plain.LineBytes(parts[i], 1, maxAddressPart) {
			parts = nil
			break
		}
	}
	if len(parts) != 5 || !isCountry(parts[4]) {
		return Address{}, errors.New("cardholder_address: want street, city, state, postcode and country, such as 123 Privacy Street, Wilmington, DE, 19801, US")
	}
	return Address{parts[0], parts[1], parts[2], parts[3], parts[4]}, nil
}

func isCountry(text string) bool {
	return len(text) == 2 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// IsLoopback reports whether address, HOST:PORT, can be reached from this machine alone.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
