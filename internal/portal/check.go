package portal

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/host"
	"github.com/scripcards/scrip/internal/core/plain"
)

// Limits of a portal.
const (
	maxName     = 128
	maxTagline  = 200
	maxURL      = 512
	maxDomain   = 253
	maxLabel    = 63
	maxNetworks = 64
)

var (
	slugForm    = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)
	networkForm = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)
	labelForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	digits      = regexp.MustCompile(`^[0-9]+$`)
)

// Languages returns those that a portal can have.
func Languages() []string { return []string{"en", "fr", "es"} }

// check validates p and puts it into the form that is stored.
func (s *Service) check(p *Portal) error {
	p.Name = strings.TrimSpace(p.Name)
	if !plain.Line(p.Name, 1, maxName) {
		return fault.New(fault.InvalidRequest, "a name has 1 to %d printable characters", maxName).At("name")
	}
	if !slugForm.MatchString(p.Slug) {
		return fault.New(fault.InvalidRequest, "a slug has at least 3 of a–z, 0–9 and single dashes between them, at most 63 beside the dashes").At("slug")
	}
	if err := s.checkDomain(p); err != nil {
		return err
	}
	if err := p.Branding.check(); err != nil {
		return err
	}
	if err := checkLanguages(p.Languages); err != nil {
		return err
	}
	if len(p.Networks) > maxNetworks || hasTwins(p.Networks) || slices.ContainsFunc(p.Networks, func(n string) bool { return !networkForm.MatchString(n) }) {
		return fault.New(fault.InvalidRequest, "name at most %d networks, each once", maxNetworks).At("networks")
	}
	return nil
}

// checkKnown refuses networks that the realm does not have.
func (s *Service) checkKnown(p *Portal) error {
	for _, n := range p.Networks {
		if s.Known != nil && !s.Known(p.Realm, n) {
			return fault.New(fault.InvalidRequest, "there is no such network").At("networks")
		}
	}
	return nil
}

func (s *Service) checkDomain(p *Portal) error {
	if p.CustomDomain == "" {
		return nil
	}
	wrong := func(text string) error { return fault.New(fault.InvalidRequest, "%s", text).At("custom_domain") }
	p.CustomDomain = strings.TrimSuffix(strings.ToLower(p.CustomDomain), ".")
	if !isPublicName(p.CustomDomain) {
		return wrong("a domain is a public host name such as cards.shop.example; write other letters than a–z in punycode")
	}
	if own := Hostname(s.Config.OwnHost); own != "" && (p.CustomDomain == own || strings.HasSuffix(p.CustomDomain, "."+own)) {
		return wrong("the domain belongs to this installation")
	}
	return nil
}

// isPublicName reports whether name is one that public DNS could have, in lower
// case and ASCII (RFC 1123, RFC 5890).
func isPublicName(name string) bool {
	if len(name) > maxDomain || host.IsLocal(name) {
		return false
	}
	labels := strings.Split(name, ".")
	if digits.MatchString(labels[len(labels)-1]) {
		return false
	}
	return !slices.ContainsFunc(labels, func(label string) bool { return !isLabel(label) })
}

func isLabel(label string) bool {
	if len(label) > maxLabel || !labelForm.MatchString(label) {
		return false
	}
	// Two dashes in the third and fourth place are for punycode alone.
	if len(label) >= 4 && label[2:4] == "--" {
		return strings.HasPrefix(label, "xn--") && len(label) > 4
	}
	return true
}

// Hostname returns a host or host:port as a domain is stored: in lower case, without
// port and final dot. It is empty for what is too long to be a name.
func Hostname(text string) string {
	if len(text) > maxDomain+8 {
		return ""
	}
	if name, _, err := net.SplitHostPort(text); err == nil {
		text = name
	}
	return strings.TrimSuffix(strings.ToLower(text), ".")
}

func (b *Branding) check() error {
	if b.PrimaryColor == "" {
		b.PrimaryColor = DefaultColor
	}
	b.PrimaryColor, b.TextColor = strings.ToLower(b.PrimaryColor), strings.ToLower(b.TextColor)
	primary, ok := ParseColor(b.PrimaryColor)
	if !ok {
		return fault.New(fault.InvalidRequest, "a colour is #rrggbb").At("branding.primary_color")
	}
	if b.TextColor != "" {
		text, ok := ParseColor(b.TextColor)
		if !ok {
			return fault.New(fault.InvalidRequest, "a colour is #rrggbb").At("branding.text_color")
		}
		if Contrast(primary, text) < MinContrast {
			return fault.New(fault.InvalidRequest, "the text is hard to read on the primary colour: the contrast must be at least 4.5 to 1").At("branding.text_color")
		}
	}
	b.Tagline = strings.TrimSpace(b.Tagline)
	if !plain.Line(b.Tagline, 0, maxTagline) {
		return fault.New(fault.InvalidRequest, "a tagline has at most %d printable characters", maxTagline).At("branding.tagline")
	}
	for _, link := range []struct {
		text, field string
		mail        bool
	}{{b.LogoURL, "logo_url", false}, {b.SupportURL, "support_url", true}, {b.PrivacyURL, "privacy_url", false}} {
		if link.text != "" && !isPublicURL(link.text) && !(link.mail && isMail(link.text)) {
			want := "%s must be the https address of a public host, at most %d bytes"
			if link.mail {
				want += ", or mailto: and one address"
			}
			return fault.New(fault.InvalidRequest, want, link.field, maxURL).At("branding." + link.field)
		}
	}
	return nil
}

// isPublicURL reports whether text is an https address of a public host, without
// credentials, a fragment or characters that end a policy's source.
func isPublicURL(text string) bool {
	if len(text) > maxURL || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("\"'`<>\\^{|}", c) }) {
		return false
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || strings.Contains(text, "#") {
		return false
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return false
	}
	return isPublicName(strings.ToLower(u.Hostname()))
}

var mailForm = regexp.MustCompile(`^mailto:[A-Za-z0-9._+-]{1,64}@([a-z0-9.-]+)$`)

func isMail(text string) bool {
	match := mailForm.FindStringSubmatch(text)
	return len(text) <= maxURL && match != nil && isPublicName(match[1])
}

func checkLanguages(languages []string) error {
	known := Languages()
	unknown := slices.ContainsFunc(languages, func(l string) bool { return !slices.Contains(known, l) })
	if len(languages) == 0 || unknown || hasTwins(languages) {
		return fault.New(fault.InvalidRequest, "name 1 to %d of the languages %s, each once, the default first", len(known), strings.Join(known, ", ")).At("languages")
	}
	return nil
}

func hasTwins(list []string) bool {
	for i, text := range list {
		if slices.Contains(list[:i], text) {
			return true
		}
	}
	return false
}
