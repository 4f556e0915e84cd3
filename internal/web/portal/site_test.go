package portal

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
	portals "github.com/scripcards/scrip/internal/portal"
)

const here = "/p/example"

// Each outcome of a check has a page of its own, with its status and its words.
func TestStates(t *testing.T) {
	b := setup(t, patient)
	en := english()
	for _, c := range []struct {
		name   string
		form   url.Values
		status int
		want   string
		form2  bool // the form is there again
	}{
		{"found", card(usd, numberActive, pin), 200, "$1,234.56", false},
		{"in the network's own currency", card(eur, numberActive, pin), 200, "€1,234.56", false},
		{"of which the month is known in which it ends", card(usd, numberActive, pin), 200, "<dt>Expires in</dt><dd>March 2027</dd>", false},
		{"of which the month is known in which it ended", card(usd, numberExpired, ""), 200, "<dt>Expired in</dt><dd>January 2025</dd>", false},
		{"from an hour ago", card(usd, numberStale, ""), 200, "21 November 2026, 08:00 UTC", false},
		{"expired", card(usd, numberExpired, ""), 200, en.ExpiredTitle, false},
		{"inactive", card(usd, numberInactive, ""), 200, en.InactiveTitle, false},
		{"not confirmed", card(usd, "6006491300000999", pin), 200, en.InvalidTitle, true},
		{"no number of the network's", card(usd, numberRefused, ""), 422, en.ErrorNumberForm, true},
		{"nothing", url.Values{}, 422, en.ErrorNetwork, true},
		{"unknown network", card("other", numberActive, ""), 422, en.ErrorNetwork, true},
		{"no number", card(usd, " ", ""), 422, en.ErrorNumber, true},
		{"long number", card(usd, strings.Repeat("1", 65), ""), 422, en.ErrorNumberForm, true},
		{"no PIN", card(eur, numberActive, ""), 422, en.ErrorPIN, true},
		{"long PIN", card(usd, numberActive, strings.Repeat("1", 65)), 422, en.ErrorPIN, true},
		{"network away", card(usd, numberAway, ""), 503, en.UnavailableTitle, true},
		{"quota", card(usd, numberQuota, ""), 503, en.UnavailableTitle, false},
		{"barred", card(usd, numberBarred, ""), 503, en.UnavailableTitle, true},
		{"network gone", card(usd, numberGone, ""), 503, en.UnavailableTitle, true},
		{"database away", card(usd, numberFull, ""), 503, en.UnavailableTitle, true},
		{"our mistake", card(usd, numberBroken, ""), 500, en.InternalTitle, false},
	} {
		w := b.post(here, c.form, visitAs{})
		body := w.Body.String()
		if w.Code != c.status || !strings.Contains(body, c.want) || strings.Contains(body, "<form") != c.form2 {
			t.Errorf("%s: %d, form %t, want %d, %q, form %t: %s", c.name, w.Code, strings.Contains(body, "<form"), c.status, c.want, c.form2, body)
		}
		if got := w.Header().Get("Retry-After"); (got == "90") != (c.name == "network away") && got != "1" && got != "" {
			t.Errorf("%s: Retry-After %q", c.name, got)
		}
	}
	if !strings.Contains(b.log.String(), "nobody thought of this") {
		t.Errorf("our mistake is not in the log: %s", b.log)
	}
}

// An error is tied to its field and to the summary, for those who cannot see where it stands.
func TestErrorsAreTied(t *testing.T) {
	b := setup(t, patient)
	body := b.post(here, card(eur, "", ""), visitAs{}).Body.String()
	for _, want := range []string{
		`<title>Error: Check your balance – Example Cards</title>`,
		`<li><a href="#number">Enter the card number</a></li>`, `<p class="error" id="number-error">Enter the card number</p>`,
		`aria-describedby="number-error number-hint"`, `aria-describedby="pin-error pin-hint"`, `<option value="brand" selected>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in %s", want, body)
		}
	}
	if n := strings.Count(body, `aria-invalid="true"`); n != 2 {
		t.Errorf("%d fields are invalid, want 2", n)
	}
}

// The PIN of a card of this installation is its key: of letters in both cases, long, and
// needed by every visitor, as the page says.
func TestKeyIsPIN(t *testing.T) {
	visa := ping.NetworkInfo{ID: usd, Name: "Visa Gift Card"}
	own := ping.NetworkInfo{ID: "scrip", Name: "Scrip", Rules: ping.Rules{Letters: true}}
	for _, c := range []struct {
		networks   []ping.NetworkInfo
		mode, hint string
		needed     bool
	}{
		{[]ping.NetworkInfo{visa}, "numeric", english().PINHint, false},
		{[]ping.NetworkInfo{own}, "text", english().PINHint, true},
		{[]ping.NetworkInfo{visa, own}, "text", english().PINHint + " Scrip cards need it.", false},
	} {
		p := &page{networks: c.networks, lang: english(), form: &form{}}
		if p.inputMode() != c.mode || p.pinHint() != c.hint || p.pinNeeded() != c.needed {
			t.Errorf("%d networks: %s, %q, needed %t", len(c.networks), p.inputMode(), p.pinHint(), p.pinNeeded())
		}
		var html strings.Builder
		if err := pinField(p).Render(t.Context(), &html); err != nil {
			t.Fatal(err)
		}
		if want := `inputmode="` + c.mode + `" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="64"`; !strings.Contains(html.String(), want) {
			t.Errorf("%d networks: no %s in %s", len(c.networks), want, html.String())
		}
	}
}

// The check asks as the portal, for the visitor's address and browser, with what was typed.
func TestCaller(t *testing.T) {
	b := setup(t, patient)
	b.site.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	r := httptest.NewRequest(http.MethodPost, here, strings.NewReader(card(eur, " 6006-4913 ", " 12 ").Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("User-Agent", "Browser/7")
	r.RemoteAddr = "192.0.2.1:999"
	b.send(r, visitAs{accept: "fr"})
	asked := b.desk.checks()
	if len(asked) != 1 {
		t.Fatalf("%d checks", len(asked))
	}
	want := ping.Caller{Book: b.book, Realm: realm.Live, Credential: string(b.portal.ID), Address: netip.MustParseAddr("203.0.113.9"), Agent: "Browser/7"}
	c := asked[0]
	if !strings.HasPrefix(c.Caller.Device, "Browser/7") || !strings.Contains(c.Caller.Device, "fr") {
		t.Errorf("the device is %q", c.Caller.Device)
	}
	c.Caller.Device = ""
	if diff := cmp.Diff(want, c.Caller, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if c.Number.Reveal() != "6006-4913" || c.PIN.Reveal() != "12" || c.Network != eur || c.Currency.String() != "EUR" {
		t.Errorf("asked for %q %q on %s in %s", c.Number.Reveal(), c.PIN.Reveal(), c.Network, c.Currency)
	}
}

// Nothing of a card is left anywhere: not in the log, the records, headers or titles;
// a PIN never comes back, a number only into the form of who typed it.
func TestSecretsStayOut(t *testing.T) {
	b := setup(t, patient)
	const secretPIN = "73915"
	for _, number := range []string{numberActive, numberExpired, numberAway, numberBroken, numberQuota, numberBarred, numberRefused + "4445556667778889", "6006491300000999"} {
		w := b.post(here, card(usd, number, secretPIN), visitAs{})
		body := w.Body.String()
		if strings.Contains(body, secretPIN) || strings.Contains(fmt.Sprint(w.Header()), number) || strings.Contains(title(body), number) {
			t.Errorf("%s comes back: %v %s", number, w.Header(), body)
		}
		if at := strings.Replace(body, `value="`+number+`"`, "", 1); strings.Contains(at, number) {
			t.Errorf("%s comes back beside its field: %s", number, body)
		}
		if strings.Contains(b.log.String(), number) || strings.Contains(fmt.Sprintf("%+v", *b.records), number) {
			t.Errorf("%s is in the log or a record", number)
		}
	}
	if strings.Contains(b.log.String()+fmt.Sprintf("%+v", *b.records), secretPIN) {
		t.Error("the PIN is in the log or a record")
	}
	if strings.Contains(title(b.post(here, card(usd, numberActive, ""), visitAs{}).Body.String()), "1,234") {
		t.Error("the balance is in the title, which browsers remember")
	}
}

var titleOf = regexp.MustCompile(`<title>(.*)</title>`)

func title(body string) string {
	match := titleOf.FindStringSubmatch(body)
	if match == nil {
		return ""
	}
	return match[1]
}

// Every page, whatever its status, has the same policy and leaves nothing behind.
func TestHeaders(t *testing.T) {
	b := setup(t, patient)
	long := httptest.NewRequest(http.MethodPost, here, strings.NewReader("number="+strings.Repeat("1", maxForm)))
	long.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	foreign := httptest.NewRequest(http.MethodPost, here, strings.NewReader("number=1"))
	foreign.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	json := httptest.NewRequest(http.MethodPost, here, strings.NewReader("{}"))
	json.Header.Set("Content-Type", "application/json")
	broken := httptest.NewRequest(http.MethodPost, here, strings.NewReader("number=%zz"))
	broken.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for status, w := range map[int]*httptest.ResponseRecorder{
		200: b.get(here, visitAs{}), 404: b.get("/p/nobody", visitAs{}), 422: b.post(here, nil, visitAs{}), 503: b.post(here, card(usd, numberAway, ""), visitAs{}),
		413: b.send(long, visitAs{}), 403: b.send(foreign, visitAs{}), 400: b.send(json, visitAs{}), 405: b.send(httptest.NewRequest(http.MethodPut, here, nil), visitAs{}),
		-400: b.send(broken, visitAs{}),
	} {
		if w.Code != max(status, -status) {
			t.Errorf("%d, want %d", w.Code, status)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; form-action 'self'; frame-ancestors 'none'; " +
				"base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"Content-Type": "text/html; charset=utf-8", "Cross-Origin-Opener-Policy": "same-origin",
			"Set-Cookie": "", "Strict-Transport-Security": "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%d: %s is %q, want %q", status, name, got, want)
			}
		}
		if !strings.HasPrefix(w.Header().Get("X-Request-Id"), "req_") || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
			t.Errorf("%d: %v", status, w.Header())
		}
	}
	if n := len(b.desk.checks()); n != 1 {
		t.Errorf("%d checks were made, want 1", n)
	}
	head := b.send(httptest.NewRequest(http.MethodHead, here, nil), visitAs{})
	if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d with %d bytes, %v", head.Code, head.Body.Len(), head.Header())
	}
}

// Over TLS, whoever ends it, browsers are told to stay with it.
func TestStrictTransport(t *testing.T) {
	direct := setup(t, nil)
	r := httptest.NewRequest(http.MethodGet, "https://"+"127.0.0.1"+here, nil)
	if got := direct.send(r, visitAs{}).Header().Get("Strict-Transport-Security"); got == "" {
		t.Error("nothing over TLS")
	}
	behind := setup(t, func(d *Deps) { d.BaseURL = "https://cards.scrip.example" })
	if got := behind.get(here, visitAs{}).Header().Get("Strict-Transport-Security"); got == "" {
		t.Error("nothing behind a proxy")
	}
}

// A logo is let in at its exact address alone.
func TestLogoPolicy(t *testing.T) {
	b := setup(t, nil)
	b.create(portals.NewPortal{Name: "Logo", Slug: "logo", Branding: portals.Branding{LogoURL: "https://cdn.shop.example/a;b,c.png?v=1"}})
	w := b.get("/p/logo", visitAs{})
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "img-src 'self' https://cdn.shop.example/a%3Bb%2Cc.png; script-src") {
		t.Errorf("policy %q", policy)
	}
	if !strings.Contains(w.Body.String(), `src="https://cdn.shop.example/a;b,c.png?v=1" alt="" height="32" referrerpolicy="no-referrer"`) {
		t.Errorf("page %s", w.Body)
	}
}

// A portal that is switched off, or of nobody, is one page: it tells nothing of whom it was.
func TestUnknownPortals(t *testing.T) {
	b := setup(t, nil)
	off := b.create(portals.NewPortal{Name: "Gone", Slug: "gone"})
	no := false
	if _, err := b.portals.Change(t.Context(), portals.Change{Book: b.book, Portal: off.ID, Active: &no, Actor: "key/k1"}); err != nil {
		t.Fatal(err)
	}
	unknown, inactive, posted := b.get("/p/nobody", visitAs{}), b.get("/p/gone", visitAs{}), b.post("/p/gone", card(usd, numberActive, ""), visitAs{})
	if unknown.Code != 404 || inactive.Code != 404 || posted.Code != 404 || len(b.desk.checks()) != 0 {
		t.Errorf("%d, %d, %d", unknown.Code, inactive.Code, posted.Code)
	}
	if diff := cmp.Diff(unknown.Body.String(), inactive.Body.String()); diff != "" {
		t.Error(diff)
	}
	if got := b.get("/p/nobody", visitAs{accept: "fr-CA, en;q=0.5"}).Body.String(); !strings.Contains(got, french().UnknownTitle) || !strings.Contains(got, `lang="fr"`) {
		t.Errorf("in French: %s", got)
	}
}

// An address as people type it, with capitals or a slash at its end, leads to the portal's
// own; whatever else is below /p/ is a page that says so.
func TestTypedAddresses(t *testing.T) {
	b := setup(t, nil)
	for path, want := range map[string]string{"/p/Example": "/p/example", "/p/example/": "/p/example", "/p/EXAMPLE/?lang=fr": "/p/example?lang=fr", "/p/Nobody": "/p/nobody",
		"/p/%2F%2Fevil.example/": "", "/p/": "", "/p": "", "/p/example/more": "", "/p/-/": "/p/-", "/p/a%3Fb/": "/p/a%3Fb"} {
		w := b.get(path, visitAs{})
		switch {
		case want == "" && (w.Code != 404 || !strings.Contains(w.Body.String(), "There is nothing here")):
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		case want != "" && (w.Code != 308 || w.Header().Get("Location") != want):
			t.Errorf("%s: %d to %q, want %q", path, w.Code, w.Header().Get("Location"), want)
		}
	}
}

// On its own domain a portal is the only thing there is.
func TestOwnDomain(t *testing.T) {
	b := setup(t, func(d *Deps) { d.BaseURL = "https://cards.scrip.example" })
	b.prove(b.create(portals.NewPortal{Name: "Own Domain", Slug: "own", CustomDomain: "cards.shop.example"}))
	b.create(portals.NewPortal{Name: "Claimed", Slug: "claimed", CustomDomain: "claimed.example"})
	main := http.NewServeMux()
	main.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("the installation")) })
	mounted, only := b.handler, b.site.Only(main)
	for _, c := range []struct {
		handler    http.Handler
		host, path string
		status     int
		want       string
	}{
		{mounted, "cards.shop.example", "/", 200, "Own Domain"},
		{mounted, "cards.shop.example:8443", "/p/own", 200, "Own Domain"},
		{mounted, "cards.shop.example", "/p/example", 404, "nothing here"},
		{mounted, "cards.scrip.example", "/p/example", 200, "Example Cards"},
		{mounted, "127.0.0.1:8420", "/p/own", 200, "Own Domain"},
		{mounted, "cards.scrip.example", "/", 404, "404 page not found"},
		{mounted, "nobody.example", "/", 404, "404 page not found"},
		{mounted, "claimed.example", "/", 404, "404 page not found"},
		{only, "Cards.Shop.Example", "/", 200, "Own Domain"},
		{only, "cards.shop.example", "/operator/v1/status", 404, "nothing here"},
		{only, "cards.shop.example", "/p/own", 404, "nothing here"},
		{only, "nobody.example", "/", 404, "nothing here"},
		{only, "claimed.example", "/", 404, "nothing here"},
		{only, "cards.scrip.example", "/operator/v1/status", 200, "the installation"},
	} {
		b.handler = c.handler
		w := b.get(c.path, visitAs{host: c.host})
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s%s: %d %s", c.host, c.path, w.Code, w.Body)
		}
	}
	b.handler = only
	form := b.get("/?lang=en", visitAs{host: "cards.shop.example"}).Body.String()
	if !strings.Contains(form, `action="/?lang=en"`) {
		t.Errorf("the form goes elsewhere: %s", form)
	}
	if w := b.post("/", card(usd, numberActive, ""), visitAs{host: "cards.shop.example"}); !strings.Contains(w.Body.String(), "$1,234.56") {
		t.Errorf("check: %d %s", w.Code, w.Body)
	}
}

// Certificates are had for our own name and for domains that were shown to be an active portal's, and for nothing else.
func TestDecide(t *testing.T) {
	b := setup(t, func(d *Deps) { d.BaseURL = "https://cards.scrip.example:8443/scrip" })
	p := b.create(portals.NewPortal{Name: "Own Domain", Slug: "own", CustomDomain: "cards.shop.example"})
	if err := b.site.Decide(t.Context(), "cards.shop.example"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("claimed: %v", err)
	}
	b.prove(p)
	for host, allowed := range map[string]bool{
		"cards.shop.example": true, "CARDS.SHOP.EXAMPLE": true, "cards.scrip.example": true, "shop.example": false, "www.cards.shop.example": false,
		"nobody.example": false, "": false, "10.0.0.1": false, "localhost": false, strings.Repeat("a", 300) + ".example": false,
	} {
		if err := b.site.Decide(t.Context(), host); (err == nil) != allowed {
			t.Errorf("%s: %v", host, err)
		}
	}
	no := false
	if _, err := b.portals.Change(t.Context(), portals.Change{Book: b.book, Portal: p.ID, Active: &no, Actor: "key/k1"}); err != nil {
		t.Fatal(err)
	}
	if err := b.site.Decide(t.Context(), "cards.shop.example"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("switched off: %v", err)
	}
}

// A portal shows its own networks in its own order, and says when there are none.
func TestNetworks(t *testing.T) {
	b := setup(t, patient)
	b.create(portals.NewPortal{Name: "Two", Slug: "two", Networks: []string{eur, "gone", usd}})
	b.create(portals.NewPortal{Name: "One", Slug: "one", Networks: []string{usd}})
	b.create(portals.NewPortal{Name: "None", Slug: "none", Networks: []string{"gone"}})
	two := b.get("/p/two", visitAs{}).Body.String()
	if first, second := strings.Index(two, `<option value="brand"`), strings.Index(two, `<option value="visa_gift"`); first < 0 || second < first || strings.Contains(two, "Resting") {
		t.Errorf("two: %s", two)
	}
	if !strings.Contains(two, `inputmode="text" autocomplete="off" autocapitalize="characters"`) || !strings.Contains(two, "Example Brand cards need it.") {
		t.Errorf("a network has letters and needs a PIN: %s", two)
	}
	one := b.get("/p/one", visitAs{}).Body.String()
	if strings.Contains(one, "<select") || !strings.Contains(one, `id="number" name="number" type="text" inputmode="numeric"`) {
		t.Errorf("one: %s", one)
	}
	if w := b.post("/p/one", url.Values{"number": {numberActive}}, visitAs{}); !strings.Contains(w.Body.String(), "$1,234.56") {
		t.Errorf("the one network need not be named: %d %s", w.Code, w.Body)
	}
	if w := b.post("/p/one", card(eur, numberActive, pin), visitAs{}); w.Code != 422 {
		t.Errorf("another network than the portal's: %d", w.Code)
	}
	if w := b.get("/p/none", visitAs{}); w.Code != 503 || !strings.Contains(w.Body.String(), english().NoNetworksText) {
		t.Errorf("none: %d %s", w.Code, w.Body)
	}
	if all := b.get(here, visitAs{}).Body.String(); !strings.Contains(all, "Resting Card (unavailable right now)") {
		t.Errorf("all: %s", all)
	}
}

// What customers and visitors write is text on the page, never markup.
func TestEscapes(t *testing.T) {
	b := setup(t, patient)
	const evil = `"><script>alert(1)</script>`
	b.create(portals.NewPortal{Name: "Evil " + evil, Slug: "evil", Branding: portals.Branding{Tagline: evil}})
	w := b.post("/p/evil", card(usd, evil, evil), visitAs{})
	if body := w.Body.String(); strings.Contains(body, "<script>alert") || !strings.Contains(body, "&lt;script&gt;") {
		t.Errorf("page: %s", body)
	}
}

// panicking breaks in the middle of a check.
type panicking struct{ *desk }

func (panicking) Ping(context.Context, ping.Check) (ping.Result, error) {
	panic("card " + numberActive)
}

// A page that panics is a mistake of ours: answered, logged, and without what it was about.
func TestPanic(t *testing.T) {
	b := setup(t, func(d *Deps) { d.Checker = panicking{&desk{}} })
	w := b.post(here, card(usd, numberActive, ""), visitAs{})
	if w.Code != 500 || !strings.Contains(w.Body.String(), w.Header().Get("X-Request-Id")) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if log := b.log.String(); !strings.Contains(log, "page panicked") || strings.Contains(log, numberActive) {
		t.Errorf("log: %s", log)
	}
	if w := b.get(here, visitAs{}); w.Code != 200 {
		t.Errorf("the next page: %d", w.Code)
	}
}

// While one address has half of all pages under way, it gets no more, and others get theirs.
func TestPagesOfAnAddress(t *testing.T) {
	b := setup(t, nil)
	for range maxInFlight / 2 {
		b.site.crowd.Enter("198.51.100.7", maxInFlight)
	}
	if w := b.get("/p/example", visitAs{from: "198.51.100.7"}); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
		t.Errorf("one more of the address: %d", w.Code)
	}
	if w := b.get("/p/example", visitAs{from: "198.51.100.8"}); w.Code != http.StatusOK {
		t.Errorf("another address: %d", w.Code)
	}
	b.site.crowd.Leave("198.51.100.7")
	for range 2 {
		if w := b.get("/p/example", visitAs{from: "198.51.100.7"}); w.Code != http.StatusOK {
			t.Errorf("when one ended: %d", w.Code)
		}
	}
}

// Beyond the bound of pages at once the next is refused.
func TestOverload(t *testing.T) {
	b := setup(t, nil)
	for range maxInFlight {
		b.site.slots <- struct{}{}
	}
	if w := b.get(here, visitAs{}); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	<-b.site.slots
	if w := b.get(here, visitAs{}); w.Code != 200 {
		t.Errorf("with room again: %d", w.Code)
	}
}

// A visit is recorded by its pattern, its portal and its outcome.
func TestRecords(t *testing.T) {
	b := setup(t, patient)
	b.get(here, visitAs{})
	b.post(here, card(usd, numberAway, ""), visitAs{})
	b.get("/p/nobody", visitAs{})
	var got []string
	for _, r := range *b.records {
		got = append(got, fmt.Sprintf("%s %s %s %s %d %s %t", r.Dialect, r.Route, r.Method, r.Path, r.Status, r.Code, r.Subject != ""))
	}
	want := []string{"portal page GET /p/{slug} 200  true", "portal check POST /p/{slug} 503 unavailable true", "portal page GET /p/{slug} 404 not_found false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Files have names that tell their content, and are kept for a year; other names are nothing.
func TestAssets(t *testing.T) {
	b := setup(t, nil)
	page := b.get(here, visitAs{}).Body.String()
	names := regexp.MustCompile(`(?:href|src)="(/p/-/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(names) != 4 {
		t.Fatalf("%d files: %s", len(names), page)
	}
	for _, name := range names {
		w := b.get(name[1], visitAs{})
		if w.Code != 200 || w.Body.Len() == 0 || w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", name[1], w.Code, w.Header())
		}
	}
	for _, name := range []string{"page.css", "brand-000000000000-ffcc00.css", "brand-" + b.site.assets.brand + "-red.css", "..%2fsite.go", "page-" + b.site.assets.brand + ".css"} {
		if w := b.get("/p/-/"+name, visitAs{}); w.Code != 404 || w.Body.Len() != 0 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if w := b.send(httptest.NewRequest(http.MethodPost, names[0][1], nil), visitAs{}); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}
