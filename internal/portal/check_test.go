package portal

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzAddress: what is taken for a host or a URL can stand in a policy, a certificate and a page.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{"cards.shop.example", "xn--mnchen-3ya.example:443", "https://cdn.shop.example:8443/a;b,c.png?v=1", "https://u:p@a.example", "[::1]:80", "mailto:a@b.example"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if host := Hostname(text); isPublicName(host) {
			if len(host) > maxDomain || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || Hostname(host) != host {
				t.Fatalf("host %q of %q", host, text)
			}
		}
		if isPublicURL(text) {
			u, err := url.Parse(text)
			if err != nil || u.Scheme != "https" || !isPublicName(strings.ToLower(u.Hostname())) || strings.ContainsAny(text, " \t\r\n\"'<>`\\") {
				t.Fatalf("URL %q", text)
			}
		}
	})
}
