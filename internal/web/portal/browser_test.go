package portal

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/scripcards/scrip/internal/api/wire"
	portals "github.com/scripcards/scrip/internal/portal"
)

// Variables for the browser tests: which browser, and where to put pictures of the
// pages for somebody to look at; none are made without it.
const (
	browserVariable    = "SCRIP_TEST_BROWSER"
	screenshotVariable = "SCRIP_TEST_SCREENSHOTS"
)

// findBrowser returns a Chromium. Where there is none the quick run does without it,
// the whole run fails.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv(browserVariable), "chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); name != "" && err == nil {
			return found
		}
	}
	if testing.Short() {
		t.Skip("there is no Chromium on PATH, and this is a short run")
	}
	t.Fatalf("there is no Chromium: install it (Debian: apt-get install chromium) or name it in %s", browserVariable)
	return ""
}

// device is a screen.
type device struct {
	name          string
	width, height int64
	mobile        bool
}

func devices() []device {
	return []device{{"phone", 320, 640, true}, {"desktop", 1280, 900, false}}
}

// look is how a tab looks at pages.
type look struct {
	device
	script bool
	dark   bool
}

// tab is one page of a browser that notes everything it complains about.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string
	also string // whom else a page may ask; empty: nobody
	look look
	mu   sync.Mutex
	bad  []string
}

// browse starts a browser with a profile of its own that reaches nothing but base and
// the hosts that rules map elsewhere.
func browse(t *testing.T, rules string) context.Context {
	t.Helper()
	profile, err := os.MkdirTemp("", "scrip-browser-")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(findBrowser(t)), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", rules+"MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Env("HOME="+profile, "TMPDIR="+profile))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		defer cancel()
		defer end()
		if err := chromedp.Cancel(ctx); err != nil { // waits for the browser to end
			t.Errorf("close the browser: %v", err)
		}
		_ = os.RemoveAll(profile) // one of its children may still be writing
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	return ctx
}

// open opens a tab. The test fails when the page breaks its policy, complains on its
// console or asks anybody else for anything.
func open(t *testing.T, browser context.Context, base string, l look) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	b := &tab{t: t, ctx: ctx, base: base, look: l}
	chromedp.ListenTarget(ctx, b.listen)
	t.Cleanup(func() {
		b.complaints()
		stop()
		cancel()
	})
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	view := chromedp.EmulateViewport(l.width, l.height)
	if l.mobile {
		view = chromedp.EmulateViewport(l.width, l.height, chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.run(log.Enable(), runtime.Enable(), audits.Enable(), network.Enable(), view,
		emulation.SetScriptExecutionDisabled(!l.script), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
	return b
}

// listen notes what a page should not do.
func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// The status of a page is no error of the page.
		if e.Entry.Source != log.SourceNetwork || !strings.HasPrefix(e.Entry.Text, "Failed to load resource: the server responded") {
			b.note("log: %s %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		for _, argument := range e.Args {
			b.note("console: %s %s %s", e.Type, argument.Description, argument.Value)
		}
	case *runtime.EventExceptionThrown:
		b.note("exception: %s", e.ExceptionDetails.Error())
	case *audits.EventIssueAdded:
		b.note("issue: %s", e.Issue.Code)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.base+"/") && !strings.HasPrefix(e.Request.URL, "about:") && e.Request.URL != logoURL && (b.also == "" || !strings.HasPrefix(e.Request.URL, b.also+"/")) {
			b.note("request: %s", e.Request.URL)
		}
	}
}

func (b *tab) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = append(b.bad, fmt.Sprintf(format, args...))
}

func (b *tab) complaints() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.bad {
		b.t.Errorf("%s: %s", b.look.name, text)
	}
	b.bad = nil
}

func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", b.look.name, err)
	}
}

// load does something that loads a page, waits for it and returns its status.
func (b *tab) load(actions ...chromedp.Action) int64 {
	b.t.Helper()
	response, err := chromedp.RunResponse(b.ctx, actions...)
	if err != nil {
		b.t.Fatalf("%s: load: %v", b.look.name, err)
	}
	return response.Status
}

func (b *tab) open(path string) int64 {
	b.t.Helper()
	return b.load(chromedp.Navigate(b.base + path))
}

// fill types into the form. An empty network is left as it is.
func (b *tab) fill(network, number, pin string) {
	b.t.Helper()
	b.evaluate(fmt.Sprintf(`for (const [id, value] of [['number', ''], ['network', %q]]) {
		if (value !== '' || id === 'number') document.getElementById(id).value = value;
	}`, network), nil)
	b.run(chromedp.SendKeys("#number", number, chromedp.ByQuery), chromedp.SendKeys("#pin", pin, chromedp.ByQuery))
}

func (b *tab) submit() int64 {
	b.t.Helper()
	return b.load(chromedp.Click("button[type=submit]", chromedp.ByQuery))
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	var text string
	b.run(chromedp.Text(selector, &text, chromedp.ByQuery))
	return text
}

func (b *tab) evaluate(script string, into any) {
	b.t.Helper()
	b.run(chromedp.Evaluate(script, into, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
}

// violation is what axe finds.
type violation struct {
	ID, Help string
	Nodes    []struct{ HTML, FailureSummary string }
}

// accessible holds the page to axe's rules for WCAG 2.2 A and AA and its best
// practices, and to what axe does not look at. Axe needs timers: scripts are let run
// for it, once those of the page are past.
func (b *tab) accessible(state string) {
	b.t.Helper()
	source, err := os.ReadFile(filepath.Join("testdata", "axe.min.js"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.run(emulation.SetScriptExecutionDisabled(false), chromedp.Evaluate(string(source), nil))
	var found []violation
	b.evaluate(`axe.run(document, {resultTypes: ['violations'], iframes: false}).then(r => r.violations.map(v => ({ID: v.id, Help: v.help,
		Nodes: v.nodes.map(n => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`, &found)
	for _, v := range found {
		b.note("%s: axe: %s: %s %v", state, v.ID, v.Help, v.Nodes)
	}
	var wide, small []string
	b.evaluate(`document.documentElement.scrollWidth > innerWidth ? [document.documentElement.scrollWidth + ' > ' + innerWidth] : []`, &wide)
	b.evaluate(`[...document.querySelectorAll('a[href],button,input:not([type=hidden]),select')].map(e => [e, e.getBoundingClientRect()])
		.filter(([e, r]) => r.bottom > 0 && (r.height < 24 || r.width < 24)).map(([e, r]) => e.outerHTML + ' ' + r.width + '×' + r.height)`, &small)
	for _, text := range append(wide, small...) {
		b.note("%s: does not fit: %s", state, text)
	}
	b.run(emulation.SetScriptExecutionDisabled(!b.look.script))
	b.picture(state)
}

// picture puts a picture of the page where somebody wants to look at it.
func (b *tab) picture(state string) {
	b.t.Helper()
	dir := os.Getenv(screenshotVariable)
	if dir == "" {
		return
	}
	var png []byte
	b.run(chromedp.FullScreenshot(&png, 100))
	name := strings.ReplaceAll(strings.TrimPrefix(b.t.Name(), "Test"), "/", "-") + "-" + state + ".png"
	if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// serve puts the site on a loopback address.
func (b *bundle) serve() string {
	b.t.Helper()
	server := httptest.NewServer(b.handler)
	b.t.Cleanup(server.Close)
	return server.URL
}

// patient is a pace that asks nobody for anything.
func patient(d *Deps) {
	d.Pace = DefaultPace()
	for level := range maxLevel {
		d.Pace.Address[level].Limit, d.Pace.Portal[level].Limit = 100_000, 100_000
	}
	d.Pace.Most = []wire.Window{{Limit: 100_000, Per: time.Hour}}
	d.Pace.Pages.Limit, d.Pace.Risky = 100_000, 101
	d.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// The tests below can fail: a page that breaks its policy, throws, asks elsewhere, cannot
// be read or is too wide is noticed.
func TestComplaints(t *testing.T) {
	const bad = `<!doctype html><html><head><title>Bad</title></head><body><main><h1 style="color:red">Bad</h1><p id="pale">pale</p>
		<input type="text"><div id="wide">wide</div><a href="#pale" id="tiny">x</a><img src="https://elsewhere.example/a.png" alt=""></main>
		<script src="/bad.js"></script></body></html>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bad.css":
			w.Header().Set("Content-Type", "text/css")
			_, _ = w.Write([]byte("#pale{color:#ccc;background:#fff} #wide{width:3000px} #tiny{display:block;width:9px;height:9px;overflow:hidden}"))
		case "/bad.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte("console.warn('careful'); document.body.innerHTML += 'x'; throw new Error('thrown')"))
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Link", "</bad.css>; rel=stylesheet")
			w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src *; require-trusted-types-for 'script'; trusted-types 'none'")
			_, _ = w.Write([]byte(strings.Replace(bad, "</head>", `<link rel="stylesheet" href="/bad.css"></head>`, 1)))
		}
	}))
	t.Cleanup(server.Close)
	b := open(t, browse(t, ""), server.URL, look{device: devices()[0], script: true})
	b.open("/")
	b.accessible("bad")
	b.mu.Lock()
	noticed := strings.Join(b.bad, "\n")
	b.bad = nil
	b.mu.Unlock()
	for _, want := range []string{"issue: ContentSecurityPolicyIssue", "Applying inline style violates", "TrustedHTML", "console: warning", "request: https://elsewhere.example/a.png",
		"axe: color-contrast", "axe: label", "axe: html-has-lang", "does not fit: 3", `does not fit: <a href="#pale" id="tiny">`} {
		if !strings.Contains(noticed, want) {
			t.Errorf("%q was not noticed in\n%s", want, noticed)
		}
	}
}

// A person finds the way through the page on a phone and at a desk, with scripts and
// without, in each language, and nothing on it breaks the policy or keeps somebody out.
func TestWalk(t *testing.T) {
	b := setup(t, patient)
	base, browser := b.serve(), browse(t, "")
	for _, d := range devices() {
		for _, script := range []bool{true, false} {
			for i, code := range portals.Languages() {
				if testing.Short() && (i > 0 || script == d.mobile) {
					continue
				}
				l := look{device: d, script: script, dark: code == "fr"}
				name := fmt.Sprintf("%s/%s/script=%t", d.name, code, script)
				t.Run(name, func(t *testing.T) { walk(open(t, browser, base, l), code) })
			}
		}
	}
}

func walk(b *tab, code string) {
	b.t.Helper()
	l := languageOf(code)
	want := func(state string, status, wantStatus int64, selector, text string) {
		b.t.Helper()
		if got := b.text(selector); status != wantStatus || got != text {
			b.t.Errorf("%s: %d %q, want %d %q", state, status, got, wantStatus, text)
		}
		b.accessible(state)
	}
	want("form", b.open("/p/example?lang="+code), 200, "h1", l.Title)
	want("errors", b.submit(), 422, ".summary h2", l.ErrorTitle)
	var focused string
	b.evaluate("document.activeElement.className", &focused)
	if focused != "summary" {
		b.t.Errorf("the focus is on %q, not on the summary of errors", focused)
	}
	b.fill(usd, numberActive, pin)
	want("found", b.submit(), 200, ".balance", map[string]string{"en": "$1,234.56", "fr": "1\u202f234,56\u00a0$US", "es": "1234,56\u00a0US$"}[code])
	b.load(chromedp.Click(".result .button", chromedp.ByQuery))
	b.fill(eur, "WRONG-1", "99")
	want("invalid", b.submit(), 200, "#result-title", l.InvalidTitle)
	b.fill(usd, numberExpired, "")
	want("expired", b.submit(), 200, "#result-title", l.ExpiredTitle)
	b.load(chromedp.Click(".result .button", chromedp.ByQuery))
	b.fill(usd, numberInactive, "")
	want("inactive", b.submit(), 200, "#result-title", l.InactiveTitle)
	b.load(chromedp.Click(".result .button", chromedp.ByQuery))
	b.fill(usd, numberAway, "")
	want("unavailable", b.submit(), 503, "#notice-title", l.UnavailableTitle)
	want("unknown", b.open("/p/nobody?lang="+code), 404, "h1", l.UnknownTitle)
}

const logoURL = "https://logo.shop.example/logo.svg"

// Every colour that a customer may choose gives a page that can be read, light and dark.
func TestBrands(t *testing.T) {
	b := setup(t, patient)
	logo := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" {
			t.Errorf("the logo was asked for with the referrer %q", r.Header.Get("Referer"))
		}
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = w.Write([]byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 30" width="90" height="30"><rect width="90" height="30" rx="6" fill="#c03"/><circle cx="15" cy="15" r="8" fill="#fff"/></svg>`))
	}))
	t.Cleanup(logo.Close)
	u, err := url.Parse(logo.URL)
	if err != nil {
		t.Fatal(err)
	}
	base, browser := b.serve(), browse(t, "MAP logo.shop.example:443 "+u.Host+", ")
	for i, branding := range []portals.Branding{
		{PrimaryColor: "#ffcc00", Tagline: "Everything that is good begins with a card"}, {PrimaryColor: "#ffffff"}, {PrimaryColor: "#000000"},
		{PrimaryColor: "#7f7f7f"}, {PrimaryColor: "#ff0000"}, {PrimaryColor: "#00ff66"}, {PrimaryColor: "#0b5fff", TextColor: "#ffff00", LogoURL: logoURL},
	} {
		slug := fmt.Sprintf("brand-%d", i)
		b.create(portals.NewPortal{Name: "Shop of the " + strings.Repeat("longest ", i) + "name", Slug: slug, Realm: "test", Branding: branding, Networks: []string{eur}})
		for _, dark := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/dark=%t", strings.TrimPrefix(branding.PrimaryColor, "#"), dark), func(t *testing.T) {
				b := open(t, browser, base, look{device: devices()[0], script: true, dark: dark})
				b.open("/p/" + slug)
				b.accessible("form")
				b.submit()
				b.accessible("errors")
				b.fill("", numberActive, pin)
				b.submit()
				if got := b.text(".balance"); got != "€1,234.56" {
					t.Errorf("balance %q", got)
				}
				b.accessible("found")
				if branding.LogoURL != "" {
					var width int
					b.evaluate("document.querySelector('.plate img').naturalWidth", &width)
					if width != 90 {
						t.Errorf("the logo is %d wide: it was not let in", width)
					}
				}
			})
		}
	}
}

// Under pressure a script does the work while its visitor types; without scripts the
// visitor waits and presses the button again.
func TestChallengeInBrowser(t *testing.T) {
	b := setup(t, func(d *Deps) {
		patient(d)
		for level := range maxLevel {
			d.Pace.Portal[level] = wire.Window{Limit: 1, Per: time.Hour}
		}
	})
	base, browser := b.serve(), browse(t, "")
	worker := open(t, browser, base, look{device: devices()[0], script: true})
	waiter := open(t, browser, base, look{device: devices()[1]})
	worker.open("/p/example")
	waiter.open("/p/example")
	worker.fill(usd, numberActive, "")
	if status := worker.submit(); status != 200 {
		t.Fatalf("the first check: %d", status)
	}
	waiter.fill(usd, numberActive, "")
	if status := waiter.submit(); status != 429 {
		t.Fatalf("the second check without a proof: %d", status)
	}
	waiter.accessible("wait")
	var number string
	waiter.evaluate("document.getElementById('number').value", &number)
	if number != numberActive {
		t.Errorf("the number is gone: %q", number)
	}
	b.clock.Advance(workTable[1].wait)
	if status := waiter.submit(); status != 200 || waiter.text(".balance") != "$1,234.56" {
		t.Errorf("after the wait: %d", status)
	}
	worker.open("/p/example")
	worker.fill(usd, numberActive, "")
	if status := worker.submit(); status != 200 || worker.text(".balance") != "$1,234.56" {
		t.Errorf("with a proof: %d", status)
	}
	worker.accessible("found")
}

// A form that is under way is not sent twice; once its visitor stopped that, the next press
// sends it.
func TestSentOnce(t *testing.T) {
	b := setup(t, patient)
	posted, hold := make(chan struct{}, 4), make(chan struct{})
	inner := b.handler
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posted <- struct{}{}
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}
		inner.ServeHTTP(w, r)
	})
	tab := open(t, browse(t, ""), b.serve(), look{device: devices()[0], script: true})
	tab.open("/p/example")
	tab.evaluate(`{
		window.stopped = new Promise((resolve) => navigation.addEventListener('navigateerror', resolve, { once: true }));
		window.waits = new Set();
		const [set, clear] = [setTimeout, clearTimeout];
		window.setTimeout = (...given) => { const id = set(...given); waits.add(id); return id; };
		window.clearTimeout = (id) => { waits.delete(id); clear(id); };
	}`, nil)
	tab.fill(usd, numberActive, "")
	press := func() {
		tab.evaluate(`{ const button = document.querySelector('button[type=submit]'); button.click(); button.click(); }`, nil)
	}
	press()
	<-posted
	tab.run(cdp.StopLoading())
	var waits int
	tab.evaluate(`stopped.then(() => waits.size)`, &waits)
	if waits != 0 {
		t.Errorf("%d waits of the form that was stopped are left: one would free it while it is under way again", waits)
	}
	close(hold)
	press()
	tab.run(chromedp.WaitVisible(".balance", chromedp.ByQuery))
	<-posted
	if len(posted) > 0 {
		t.Error("a second press sent the form again")
	}
}

// A captcha works within the policy of the page that it is on: its script makes another
// one and a frame, and gives the form its answer; where scripts are off the page says so.
func TestCaptchaInBrowser(t *testing.T) {
	maker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", map[string]string{"/frame": "text/html"}[r.URL.Path])
		switch r.URL.Path {
		case "/widget.js":
			_, _ = w.Write([]byte(`const more = document.createElement('script'); more.src = new URL('/more.js', document.currentScript.src); document.head.append(more)`))
		case "/more.js":
			_, _ = w.Write([]byte(`const place = document.querySelector('.some-captcha');
				place.innerHTML = '<input type="hidden" name="some-response">';
				const frame = document.createElement('iframe');
				frame.title = 'captcha ' + place.dataset.sitekey; frame.width = 300; frame.height = 60;
				frame.onload = () => { place.querySelector('input').value = 'solved' };
				frame.src = new URL('/frame', document.currentScript.src); place.append(frame)`))
		case "/frame":
			_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>Captcha</title><main><h1>Captcha</h1></main>`))
		}
	}))
	t.Cleanup(maker.Close)
	widget := Widget{Script: maker.URL + "/widget.js", Class: "some-captcha", SiteKey: "site-1", Field: "some-response",
		Scripts: []string{maker.URL}, Frames: []string{maker.URL}}
	b := setup(t, func(d *Deps) {
		patient(d)
		d.Pace.Portal[0] = wire.Window{Limit: 1, Per: time.Hour}
		d.Driver = NewCaptcha(&service{}, widget)
	})
	base, browser := b.serve(), browse(t, "")
	visitor := open(t, browser, base, look{device: devices()[0], script: true})
	visitor.also = maker.URL
	visitor.open("/p/example")
	visitor.fill(usd, numberActive, "")
	if status := visitor.submit(); status != 200 {
		t.Fatalf("the first check: %d", status)
	}
	visitor.open("/p/example")
	visitor.run(chromedp.WaitReady(`.some-captcha iframe`, chromedp.ByQuery), chromedp.Poll(`document.querySelector('[name=some-response]')?.value === 'solved'`, nil))
	visitor.accessible("captcha")
	visitor.fill(usd, numberActive, "")
	if status := visitor.submit(); status != 200 || visitor.text(".balance") != "$1,234.56" {
		t.Errorf("solved: %d", status)
	}
	blind := open(t, browser, base, look{device: devices()[1]})
	blind.open("/p/example")
	blind.fill(usd, numberActive, "")
	if status := blind.submit(); status != 429 || !strings.Contains(blind.text("form"), english().CaptchaScript) {
		t.Errorf("without scripts: %d %q", status, blind.text("form"))
	}
	blind.accessible("captcha-without-scripts")
}
