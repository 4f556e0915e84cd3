package portal

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	portals "github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// pressed is a pace that one check uses up.
func pressed(d *Deps) {
	patient(d)
	for level := range maxLevel {
		d.Pace.Address[level] = wire.Window{Limit: 1, Per: time.Hour}
	}
	d.Proxies = nil
}

var (
	tokenOf = regexp.MustCompile(`name="challenge" value="([^"]+)"`)
	bitsOf  = regexp.MustCompile(`data-bits="(\d+)"`)
)

// posed returns what a page asks for; nothing, if it asks for nothing.
func posed(t *testing.T, body string) (token string, zeros int) {
	t.Helper()
	match := tokenOf.FindStringSubmatch(body)
	if match == nil {
		return "", 0
	}
	zeros, err := strconv.Atoi(bitsOf.FindStringSubmatch(body)[1])
	if err != nil {
		t.Fatal(err)
	}
	return match[1], zeros
}

// prove finds the proof for a token, as the script of the page does.
func prove(token string, zeros int) string {
	for n := 0; ; n++ {
		if proof := strconv.Itoa(n); proves(Answer{token, proof}, zeros) {
			return proof
		}
	}
}

func with(form url.Values, token, proof string) url.Values {
	form.Set("challenge", token)
	form.Set("proof", proof)
	return form
}

// Whoever asks at a person's pace is asked for nothing. Beyond it each check needs a
// proof, harder the more there are; a proof counts once, and others go on undisturbed.
func TestPressure(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setupOn(t, db, pressed)
		thief, person := visitAs{from: "198.51.100.7"}, visitAs{from: "198.51.100.8"}
		if w := b.post(here, card(usd, numberActive, ""), thief); w.Code != 200 {
			t.Fatalf("the first: %d", w.Code)
		}
		for level := 1; level <= maxLevel; level++ {
			token, zeros := posed(t, b.get(here, thief).Body.String())
			if zeros != workTable[level].bits {
				t.Fatalf("level %d asks for %d bits", level, zeros)
			}
			proof := prove(token, zeros)
			if w := b.post(here, with(card(usd, numberActive, ""), token, proof), thief); w.Code != 200 {
				t.Fatalf("level %d with a proof: %d %s", level, w.Code, w.Body)
			}
			if w := b.post(here, with(card(usd, numberActive, ""), token, proof), thief); w.Code != 429 {
				t.Fatalf("level %d with the same proof again: %d", level, w.Code)
			}
		}
		if n := len(b.desk.checks()); n != 1+maxLevel {
			t.Errorf("%d checks were made", n)
		}
		if w := b.post(here, card(usd, numberActive, ""), person); w.Code != 200 {
			t.Errorf("somebody else: %d", w.Code)
		}
	})
}

// meeting is a limiter whose first callers look at a subject's pace at the same time.
type meeting struct {
	Limiter
	subject string
	left    atomic.Int64
	all     chan struct{}
}

func (m *meeting) Take(ctx context.Context, subject string, windows []wire.Window, n int) (wire.Decision, error) {
	d, err := m.Limiter.Take(ctx, subject, windows, n)
	if n > 0 || subject != m.subject {
		return d, err
	}
	if m.left.Add(-1) == 0 {
		close(m.all)
	}
	<-m.all
	return d, err
}

// Of those who come at once from one place as many need no proof as one after the other.
func TestPressureAtOnce(t *testing.T) {
	const at = 12
	b := setup(t, func(d *Deps) {
		d.Proxies = nil
		m := &meeting{Limiter: d.Limits, subject: "portal/pace/198.51.100.7/0", all: make(chan struct{})}
		m.left.Store(at)
		d.Limits = m
	})
	var passed atomic.Int64
	crowd.AtOnce(at, func(int) {
		if b.post(here, card(usd, numberActive, ""), visitAs{from: "198.51.100.7"}).Code == 200 {
			passed.Add(1)
		}
	})
	if free := int64(DefaultPace().Address[0].Limit); passed.Load() != free || len(b.desk.checks()) != int(free) {
		t.Errorf("%d passed, %d checks, want %d", passed.Load(), len(b.desk.checks()), free)
	}
}

// A form that is shown again, since no card was found or the number is no one of the
// network's, asks for what the next check needs: the next one is made, not asked to come again.
func TestTriedAgain(t *testing.T) {
	b := setup(t, pressed)
	thief := visitAs{from: "198.51.100.7"}
	form := card(usd, "6006491300000099", "")
	for _, c := range []struct {
		number string
		status int
	}{{"6006491300000099", 200}, {numberRefused, 422}, {numberActive, 200}} {
		form.Set("number", c.number)
		w := b.post(here, form, thief)
		if w.Code != c.status {
			t.Fatalf("%s: %d, want %d: %s", c.number, w.Code, c.status, w.Body)
		}
		if c.number == numberActive {
			continue // and no form
		}
		token, zeros := posed(t, w.Body.String())
		if token == "" {
			t.Fatalf("after %s the form asks for nothing", c.number)
		}
		form = with(form, token, prove(token, zeros))
	}
	if n := len(b.desk.checks()); n != 3 {
		t.Errorf("%d checks were made", n)
	}
}

// Where nobody answered, the form keeps the number and asks for what the next check needs.
func TestAwayKeepsTheNumber(t *testing.T) {
	b := setup(t, pressed)
	visitor := visitAs{from: "198.51.100.7"}
	en := english()
	w := b.post(here, card(usd, numberAway, pin), visitor)
	body := w.Body.String()
	if w.Code != 503 || w.Header().Get("Retry-After") != "90" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	for _, want := range []string{"<title>" + en.UnavailableTitle, en.UnavailableText, en.PINAgain, `value="` + numberAway + `"`, `<option value="` + usd + `" selected>`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in %s", want, body)
		}
	}
	if strings.Contains(body, "Without JavaScript") {
		t.Errorf("two things to wait for: %s", body)
	}
	token, zeros := posed(t, body)
	if w := b.post(here, with(card(usd, numberActive, pin), token, prove(token, zeros)), visitor); w.Code != 200 {
		t.Errorf("tried again: %d", w.Code)
	}
}

// An answer counts for its own address and portal, in its time, as it was signed.
func TestAnswers(t *testing.T) {
	b := setup(t, pressed)
	other := b.create(portals.NewPortal{Name: "Other", Slug: "other"})
	w := b.site.Driver
	visitor := Visitor{Portal: b.portal, Subject: "198.51.100.7"}
	token := func() (string, string) {
		c, err := w.Pose(t.Context(), visitor, 1)
		if err != nil {
			t.Fatal(err)
		}
		return c.Token, prove(c.Token, c.Bits)
	}
	judge := func(v Visitor, token, proof string) Verdict {
		verdict, err := w.Judge(t.Context(), v, Answer{token, proof})
		if err != nil {
			t.Fatal(err)
		}
		return verdict
	}
	good, proof := token()
	late, lateProof := token()
	for name, c := range map[string]struct {
		visitor Visitor
		token   string
		proof   string
		want    Verdict
	}{
		"nothing":          {visitor, "", "", Failed},
		"no token":         {visitor, "AAAA", "1", Failed},
		"long":             {visitor, strings.Repeat("A", 200), "1", Failed},
		"another address":  {Visitor{Portal: b.portal, Subject: "198.51.100.8"}, good, proof, Failed},
		"another portal":   {Visitor{Portal: other, Subject: visitor.Subject}, good, proof, Failed},
		"other signature":  {visitor, good[:len(good)-4] + "AAAA", proof, Failed},
		"other level":      {visitor, "B" + good[1:], proof, Failed},
		"no proof":         {visitor, good, "", Early},
		"wrong proof":      {visitor, good, proof + "x", Early},
		"very long proof":  {visitor, good, strings.Repeat("1", 100), Early},
		"with line breaks": {visitor, good[:8] + "\n" + good[8:], proof, Failed},
	} {
		if got := judge(c.visitor, c.token, c.proof); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if judge(visitor, good, proof) != Passed || judge(visitor, good, proof) != Failed {
		t.Error("a good answer does not pass once")
	}
	b.clock.Advance(tokenLife + time.Second)
	if judge(visitor, late, lateProof) != Failed {
		t.Error("an old answer passes")
	}
}

// Without JavaScript a visitor waits with the same form; only so many checks get by like this.
func TestWaiting(t *testing.T) {
	b := setup(t, pressed)
	visitor := visitAs{from: "198.51.100.7"}
	b.post(here, card(usd, numberActive, ""), visitor)
	for n := range 3 {
		first := b.post(here, card(usd, numberActive, ""), visitor)
		token, _ := posed(t, first.Body.String())
		early := b.post(here, with(card(usd, numberActive, ""), token, ""), visitor)
		again, _ := posed(t, early.Body.String())
		if first.Code != 429 || early.Code != 429 || again != token || !strings.Contains(early.Body.String(), `value="`+numberActive+`"`) {
			t.Fatalf("%d: %d, %d, the same token: %t", n, first.Code, early.Code, again == token)
		}
		wait, err := strconv.Atoi(first.Header().Get("Retry-After"))
		if err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(time.Duration(wait) * time.Second)
		if w := b.post(here, with(card(usd, numberActive, ""), token, ""), visitor); w.Code != 200 {
			t.Fatalf("%d after %d s: %d", n, wait, w.Code)
		}
	}
	crowd := Visitor{Portal: b.portal, Subject: "198.51.100.8"}
	var tokens []string
	for range addressWaits()[0].Limit + 1 {
		c, err := b.site.Driver.Pose(t.Context(), crowd, 1)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, c.Token)
	}
	b.clock.Advance(workTable[1].wait)
	for n, token := range tokens {
		want := Passed
		if n == len(tokens)-1 {
			want = Failed
		}
		if verdict, err := b.site.Driver.Judge(t.Context(), crowd, Answer{Token: token}); err != nil || verdict != want {
			t.Errorf("wait %d at once: %d, %v, want %d", n, verdict, err, want)
		}
	}
}

// A form that comes back says that its PIN has to be typed once more. A visitor without
// JavaScript who forgets it has not waited in vain.
func TestPINOnceMore(t *testing.T) {
	b := setup(t, pressed)
	again := english().PINAgain
	for i, c := range []struct {
		form       url.Values
		code, says int
	}{
		{card(eur, "6006491300000099", pin), 200, 1}, {card(eur, "6006491300000099", ""), 422, 0}, {card("", numberActive, pin), 422, 2},
		{card(usd, "6006491300000099", ""), 200, 0}, {card(usd, numberRefused, pin), 422, 2}, {card(eur, numberActive, pin), 200, 0},
	} {
		w := b.post(here, c.form, visitAs{from: fmt.Sprintf("198.51.100.%d", 100+i)})
		if got := strings.Count(w.Body.String(), again); w.Code != c.code || got != c.says {
			t.Errorf("%v: %d, said %d times, want %d and %d", c.form, w.Code, got, c.code, c.says)
		}
	}
	visitor := visitAs{from: "198.51.100.7"}
	b.post(here, card(usd, numberActive, ""), visitor)
	held := b.post(here, card(eur, numberActive, pin), visitor)
	token, _ := posed(t, held.Body.String())
	if got := strings.Count(held.Body.String(), again); held.Code != 429 || got != 2 {
		t.Errorf("held: %d, said %d times", held.Code, got)
	}
	b.clock.Advance(workTable[1].wait)
	if _, err := b.site.count(t.Context(), &Visitor{Portal: b.portal, Subject: visitor.from}); err != nil { // a new challenge would be harder
		t.Fatal(err)
	}
	forgot := b.post(here, with(card(eur, numberActive, ""), token, ""), visitor)
	if kept, zeros := posed(t, forgot.Body.String()); forgot.Code != 422 || kept != token || zeros != workTable[1].bits {
		t.Errorf("forgot: %d, the same token: %t, with %d bits", forgot.Code, kept == token, zeros)
	}
	if w := b.post(here, with(card(eur, numberActive, pin), token, ""), visitor); w.Code != 200 {
		t.Errorf("after the wait: %d %s", w.Code, w.Body)
	}
	back := b.post(here, with(card(eur, numberActive, ""), token, ""), visitor) // from the page before, which the browser kept
	if kept, _ := posed(t, back.Body.String()); back.Code != 422 || kept == "" || kept == token {
		t.Errorf("sent again: %d, the spent token: %t", back.Code, kept == token)
	}
}

// A check that looked like theft makes the next one from there prove something, wherever it is made.
func TestRisk(t *testing.T) {
	b := setup(t, func(d *Deps) {
		patient(d)
		d.Pace.Risky, d.Proxies = 60, nil
	})
	b.create(portals.NewPortal{Name: "Other", Slug: "other"})
	thief := visitAs{from: "198.51.100.7"}
	if token, _ := posed(t, b.get(here, thief).Body.String()); token != "" {
		t.Fatal("a stranger is asked")
	}
	if w := b.post(here, card(usd, numberMalicous, ""), thief); w.Code != 200 {
		t.Fatalf("%d", w.Code)
	}
	if _, zeros := posed(t, b.get("/p/other", thief).Body.String()); zeros != workTable[2].bits {
		t.Errorf("asked for %d bits", zeros)
	}
	if token, _ := posed(t, b.get(here, visitAs{from: "198.51.100.8"}).Body.String()); token != "" {
		t.Error("somebody else is asked too")
	}
	b.clock.Advance(b.site.Pace.RiskyFor + time.Second)
	if token, _ := posed(t, b.get(here, thief).Body.String()); token != "" {
		t.Error("still asked after its time")
	}
}

// Where many cards are not found on a portal, everybody there is asked, though each address
// keeps its pace; where cards are found nobody is, and on other portals neither.
func TestMissed(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setupOn(t, db, func(d *Deps) {
			patient(d)
			d.Proxies = nil
			for level := range maxLevel {
				d.Pace.Missed[level] = wire.Window{Limit: 3, Per: time.Hour}
			}
		})
		b.create(portals.NewPortal{Name: "Other", Slug: "other"})
		person := visitAs{from: "198.51.100.8"}
		asked := func(path string) int {
			_, zeros := posed(t, b.get(path, person).Body.String())
			return zeros
		}
		for i := range 3 {
			for _, number := range []string{numberActive, "6006491300000099"} {
				if w := b.post(here, card(usd, number, ""), visitAs{from: fmt.Sprintf("[2001:db8:%x::1]", i)}); w.Code != 200 || asked(here) != 0 && i < 2 {
					t.Fatalf("%s from address %d: %d, then asked for %d bits", number, i, w.Code, asked(here))
				}
			}
		}
		if got := []int{asked(here), asked("/p/other")}; got[0] != workTable[1].bits || got[1] != 0 {
			t.Errorf("asked for %d bits", got)
		}
		b.clock.Advance(time.Hour)
		if zeros := asked(here); zeros != 0 {
			t.Errorf("an hour later asked for %d bits", zeros)
		}
	})
}

// Whatever it proves, one address has so many checks, and so many pages.
func TestMost(t *testing.T) {
	b := setup(t, func(d *Deps) {
		patient(d)
		d.Proxies = nil
		d.Pace.Most = []wire.Window{{Limit: 3, Per: time.Hour}}
		d.Pace.Pages = wire.Window{Limit: 6, Per: time.Hour}
	})
	thief := visitAs{from: "2001:db8::1"}
	for range 3 {
		if w := b.post(here, card(usd, numberActive, ""), thief); w.Code != 200 {
			t.Fatalf("%d", w.Code)
		}
	}
	neighbour := visitAs{from: "[2001:db8::2]"}
	thief.from = "[2001:db8::1]"
	w := b.post(here, card(usd, numberActive, ""), neighbour)
	if w.Code != 429 || w.Header().Get("Retry-After") != "3600" || !strings.Contains(w.Body.String(), "Try again in 60") {
		t.Errorf("the fourth: %d %v", w.Code, w.Header())
	}
	if !strings.Contains(w.Body.String(), `value="`+numberActive+`"`) {
		t.Errorf("the number has to be typed again: %s", w.Body)
	}
	if len(b.desk.checks()) != 3 {
		t.Errorf("%d checks", len(b.desk.checks()))
	}
	for range 2 {
		b.get(here, thief)
	}
	if w := b.get(here, thief); w.Code != 429 {
		t.Errorf("the seventh page: %d", w.Code)
	}
}

// service is a captcha service: one answer from one address is right, another brings it down.
type service struct{ asked []string }

func (s *service) Verify(_ context.Context, answer, address string) error {
	s.asked = append(s.asked, answer+" from "+address)
	switch answer {
	case "solved":
		return nil
	case "down":
		return fault.New(fault.Unavailable, "the captcha service gives no answer")
	}
	return fault.New(fault.InvalidRequest, "the answer is wrong").At("captcha")
}

var someCaptcha = Widget{Script: "https://captcha.example/widget.js?key=1", Class: "some-captcha", SiteKey: "site-1", Field: "some-response",
	Scripts: []string{"https://captcha.example"}, Styles: []string{"https://captcha.example/styles/"}, Frames: []string{"https://captcha.example", "https://frame.example"},
	Connects: []string{"https://captcha.example"}}

// A captcha takes the place of the proof of work: it is on the page, and in its policy, only
// for visitors who are challenged; its answer is verified, and no answer is no pass.
func TestCaptcha(t *testing.T) {
	desk := &service{}
	b := setup(t, func(d *Deps) {
		pressed(d)
		d.Driver = NewCaptcha(desk, someCaptcha)
	})
	thief := visitAs{from: "198.51.100.7"}
	plain := b.get(here, thief)
	if policy := plain.Header().Get("Content-Security-Policy"); strings.Contains(plain.Body.String(), "captcha") || strings.Contains(policy, "captcha") || !strings.Contains(policy, "trusted-types 'none'") {
		t.Errorf("a stranger gets %q and %s", policy, plain.Body)
	}
	b.post(here, card(usd, numberActive, ""), thief)
	w := b.get(here, thief)
	want := "default-src 'none'; style-src 'self' https://captcha.example/styles/; img-src 'self'; script-src 'self' https://captcha.example; " +
		"frame-src https://captcha.example https://frame.example; connect-src https://captcha.example; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	if policy := w.Header().Get("Content-Security-Policy"); policy != want {
		t.Errorf("policy %q", policy)
	}
	body := w.Body.String()
	for _, part := range []string{`<script src="https://captcha.example/widget.js?key=1" async defer>`, `<div class="some-captcha" data-sitekey="site-1">`,
		english().Captcha, `<noscript><p class="error">` + english().CaptchaScript} {
		if !strings.Contains(body, part) {
			t.Errorf("the page has no %s: %s", part, body)
		}
	}
	if strings.Contains(body, "data-bits") || strings.Contains(body, `name="proof"`) {
		t.Errorf("the page asks for work: %s", body)
	}
	answered := func(answer string) url.Values {
		form := card(usd, numberActive, "")
		form.Set("some-response", answer)
		return form
	}
	for answer, status := range map[string]int{"": 429, "wrong": 429, "down": 503, "solved": 200} {
		if w := b.post(here, answered(answer), thief); w.Code != status {
			t.Errorf("%q: %d, want %d", answer, w.Code, status)
		}
	}
	again := b.post(here, answered("wrong"), thief)
	if again.Header().Get("Retry-After") != "" || !strings.Contains(again.Body.String(), `value="`+numberActive+`"`) || !strings.Contains(again.Body.String(), "some-captcha") {
		t.Errorf("not solved: %v %s", again.Header(), again.Body)
	}
	if n := len(b.desk.checks()); n != 2 {
		t.Errorf("%d checks were made", n)
	}
	slices.Sort(desk.asked)
	if diff := cmp.Diff([]string{"down from 198.51.100.7", "solved from 198.51.100.7", "wrong from 198.51.100.7", "wrong from 198.51.100.7"}, desk.asked); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(b.log.String(), "solved") {
		t.Errorf("the log has an answer: %s", b.log)
	}
}

// FuzzToken: no token passes that was not signed for its visitor.
func FuzzToken(f *testing.F) {
	w := &work{hash: func(purpose, value string) []byte {
		sum := sha256.Sum256([]byte("a key\x00" + purpose + "\x00" + value))
		return sum[:]
	}, clock: clock.NewManual(began)}
	v := Visitor{Portal: portals.Portal{ID: "portal_1"}, Subject: "198.51.100.7"}
	body := make([]byte, tokenSize) // the same in every process of the fuzzer
	signed := base64.RawURLEncoding.EncodeToString(append(body, w.sign(&v, body)...))
	f.Add(signed)
	f.Add(signed[:40])
	f.Fuzz(func(t *testing.T, token string) {
		if _, ok := w.read(&v, token); ok != (token == signed) {
			t.Fatalf("%q is read: %t", token, ok)
		}
	})
}
