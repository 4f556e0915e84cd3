package portal

import (
	"fmt"
	"net/http"
	"strings"
)

// headers sets what goes with every page.
func (s *Site) headers(h http.Header, v *visit) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.page.lang.code)
	h.Set("Content-Security-Policy", v.page.policy())
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	if v.request.TLS != nil || s.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if v.page.retryAfter > 0 {
		h.Set("Retry-After", fmt.Sprint(int(v.page.retryAfter.Seconds()+0.999)))
	}
	if v.page.status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD, POST")
	}
}

// policy is the page's Content-Security-Policy: this origin's style sheet, script and
// pictures, and beside them the portal's logo at its exact address. Nothing else is
// loaded, nobody frames the page, the form goes nowhere else, and no script can write
// HTML. While a captcha is on the page its own sources are let in, and its scripts, which
// make further ones, are not held to trusted types.
func (p *page) policy() string {
	images, types := []string{"'self'"}, "; require-trusted-types-for 'script'; trusted-types 'none'"
	if p.portal != nil && p.portal.Branding.LogoURL != "" {
		images = append(images, source(p.portal.Branding.LogoURL))
	}
	w := p.widget()
	if w == nil {
		w = &Widget{}
	} else {
		types = ""
	}
	return "default-src 'none'" + directive("style-src", append([]string{"'self'"}, w.Styles...)) + directive("img-src", images) +
		directive("script-src", append([]string{"'self'"}, w.Scripts...)) + directive("frame-src", w.Frames) + directive("connect-src", w.Connects) +
		"; form-action 'self'; frame-ancestors 'none'; base-uri 'none'" + types
}

// directive is a part of a policy; one without sources is what default-src says.
func directive(name string, sources []string) string {
	if len(sources) == 0 {
		return ""
	}
	return "; " + name + " " + strings.Join(sources, " ")
}

// source writes an address as a source of a policy, which has no query and in which
// commas and semicolons end the source (CSP 3, section 2.3.1).
func source(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return strings.NewReplacer(",", "%2C", ";", "%3B").Replace(address)
}
