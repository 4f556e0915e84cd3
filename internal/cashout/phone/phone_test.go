package phone_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
)

// Numbers are read in the form of E.164 with their countries; strictly only those that exist and cost nothing special.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, e164, country string // e164 empty: refused
		strict              bool   // taken strictly, too
	}{
		{"+11231231234", "+11231231234", "US", false}, // the published sample
		{"+14155550123", "+14155550123", "US", true},
		{"+1 (415) 555-0123", "+14155550123", "US", true},
		{"+442079460958", "+442079460958", "GB", true},
		{"+41446681800", "+41446681800", "CH", true},
		{"+19005550123", "+19005550123", "US", false},                                                          // premium rate
		{"+447012345678", "+447012345678", "GB", false},                                                        // a number that leads elsewhere, at a rate of its own
		{"+870773111632", "+870773111632", "001", false}, {"+882 16 12345678", "+8821612345678", "001", false}, // satellites
		{"+447700900123", "+447700900123", "GB", false}, {"+447400123456", "+447400123456", "GB", true},
		{"4155550123", "", "", false}, {"+", "", "", false}, {"+999999999999999999", "", "", false}, {"", "", "", false}, {"+1415555012", "", "", false},
		{"+14155550123 ext. 5", "", "", false}, {"+1415555012three", "", "", false}, {strings.Repeat("+1", 40), "", "", false}, {"+1\x00", "", "", false},
	} {
		n, err := phone.Parse(c.text, false)
		if (err == nil) != (c.e164 != "") || n.E164() != c.e164 || err == nil && n.Country() != c.country {
			t.Errorf("%q: %q in %s, %v", c.text, n.E164(), n.Country(), err)
		}
		if _, err := phone.Parse(c.text, true); (err == nil) != c.strict {
			t.Errorf("%q strictly: %v", c.text, err)
		}
		if err != nil && fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %v", c.text, err)
		}
	}
}

// However a number is printed, its middle is not.
func TestNumberMasks(t *testing.T) {
	n, err := phone.Parse(cashdesk.Number, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%s", "%q", "%+v", "%#v", "%d", "%x"} {
		if text := fmt.Sprintf(format, n); strings.Contains(text, "5555012") {
			t.Errorf("%s: %s", format, text)
		}
	}
}

// No text makes the parser panic, and what it takes is E.164.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"+14155550123", "+442079460958", "+1 415 555 0123;ext=1", "tel:+1", "+٤٤٢٠٧٩٤٦٠٩٥٨"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := phone.Parse(text, false)
		if err != nil {
			return
		}
		if e := n.E164(); len(e) < 5 || len(e) > 17 || e[0] != '+' || strings.Trim(e[1:], "0123456789") != "" {
			t.Errorf("%q became %q", text, e)
		}
	})
}

// bench is a service with rules of a test's over a desk that has an order.
type bench struct {
	*cashdesk.Desk
	phones *phone.Service
	place  phone.Place
	number phone.Number
}

func setup(t *testing.T, db *storage.DB, change func(*phone.Policy)) *bench {
	t.Helper()
	b := &bench{Desk: cashdesk.Open(t, db)}
	policy := phone.DefaultPolicy()
	policy.Strict = false
	if change != nil {
		change(&policy)
	}
	b.phones = phone.New(b.Phones.Deps, map[realm.Realm]phone.Line{realm.Test: {Sender: b.Phone, Policy: policy}})
	b.place = b.order()
	b.number = b.parse(cashdesk.Number)
	return b
}

func (b *bench) order() phone.Place {
	b.T.Helper()
	o := b.Look(b.Opened(5500)).Order
	return phone.Place{Book: o.Book, Realm: realm.Test, Order: string(o.ID)}
}

func (b *bench) parse(text string) phone.Number {
	b.T.Helper()
	n, err := phone.Parse(text, false)
	b.Must(err)
	return n
}

func (b *bench) send(p phone.Place, n phone.Number, from string) error {
	return b.phones.Send(b.T.Context(), phone.Request{Place: p, To: n, From: netip.MustParseAddr(from)})
}

func (b *bench) check(code string) error {
	effects, err := b.phones.Check(b.T.Context(), phone.Attempt{Place: b.place, To: b.number, Code: pan.NewSecret(code), Person: true})
	if err != nil {
		return err
	}
	return b.apply(effects)
}

func (b *bench) apply(effects []storage.Effect) error {
	return b.DB.Apply(b.T.Context(), effects)
}

// wrong is a code that is not the last one.
func (b *bench) wrong() string {
	if b.Phone.Last().Reveal() == "0000" {
		return "0001"
	}
	return "0000"
}

// A code works once, for its order and number, for ten minutes, and is stored as a hash.
func TestCode(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, nil)
		b.Must(b.send(b.place, b.number, "192.0.2.1"))
		code := b.Phone.Last()
		if m := b.Phone.Sent[0]; m.Channel != phone.Text || m.To != b.number || len(code.Reveal()) != phone.Digits {
			t.Errorf("sent by %s", m.Channel)
		}
		if text := b.Contents(); strings.Contains(text, " "+code.Reveal()+" ") || bytes.Contains(b.Log.Bytes(), []byte(code.Reveal())) {
			t.Error("the code is stored or logged")
		}
		other := b.order()
		for name, a := range map[string]phone.Attempt{
			"another order":  {Place: other, To: b.number, Code: code},
			"another number": {Place: b.place, To: b.parse("+14155550199"), Code: code},
			"another code":   {Place: b.place, To: b.number, Code: pan.NewSecret(b.wrong())},
		} {
			if _, err := b.phones.Check(t.Context(), a); fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%s: %v", name, err)
			}
		}
		b.Clock.Advance(phone.Lifetime - time.Microsecond)
		first, err := b.phones.Check(t.Context(), phone.Attempt{Place: b.place, To: b.number, Code: code})
		b.Must(err)
		second, err := b.phones.Check(t.Context(), phone.Attempt{Place: b.place, To: b.number, Code: code, Person: true})
		b.Must(err)
		b.Must(b.apply(first))
		if err := b.apply(second); err == nil {
			t.Error("the code was used twice")
		}
		if b.check(code.Reveal()) == nil {
			t.Error("a used code works")
		}
		b.Must(b.send(b.place, b.number, "192.0.2.1"))
		b.Clock.Advance(phone.Lifetime)
		if err := b.check(b.Phone.Last().Reveal()); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("after ten minutes: %v", err)
		}
	})
}

// The next code ends the one before, may be asked for after a while, and only so often.
func TestResend(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, func(p *phone.Policy) { p.Sends = 3 })
		b.Must(b.send(b.place, b.number, "192.0.2.1"))
		first := b.Phone.Last().Reveal()
		err := b.send(b.place, b.number, "192.0.2.1")
		if fault.CodeOf(err) != fault.RateLimited || fault.From(err).RetryAfter != 30*time.Second || !strings.HasSuffix(fault.From(err).Message, "wait 30 seconds") {
			t.Errorf("at once: %v", err)
		}
		b.Clock.Advance(30 * time.Second)
		b.Must(b.send(b.place, b.number, "192.0.2.1"))
		if second := b.Phone.Last().Reveal(); second != first && b.check(first) == nil {
			t.Error("the first code still works")
		}
		b.Clock.Advance(30 * time.Second)
		b.Must(b.send(b.place, b.number, "192.0.2.1"))
		b.Clock.Advance(30 * time.Second)
		if err := b.send(b.place, b.number, "192.0.2.1"); fault.CodeOf(err) != fault.QuotaExceeded {
			t.Errorf("a fourth one: %v", err)
		}
		b.Must(b.check(b.Phone.Last().Reveal()))
	})
}

// Of many who ask for an order's first code at once one gets it: the others wait, as who asks for the next one does.
func TestSendAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, func(p *phone.Policy) {
			p.Number = []limit.Window{{Limit: 100, Per: time.Hour}}
			p.Address = p.Number
		})
		var group sync.WaitGroup
		errs := make([]error, 12)
		for i := range errs {
			group.Go(func() { errs[i] = b.send(b.place, b.number, "192.0.2.1") })
		}
		group.Wait()
		sent := 0
		for _, err := range errs {
			switch fault.CodeOf(err) {
			case "":
				sent++
			case fault.RateLimited:
			default:
				t.Error(err)
			}
		}
		if sent != 1 || len(b.Phone.Sent) != 1 {
			t.Errorf("%d requests had a code, %d messages left", sent, len(b.Phone.Sent))
		}
		b.Must(b.check(b.Phone.Last().Reveal()))
	})
}

// A code is tried five times at most, by however many at once, and after three failures a person is asked for, with the next code, too.
func TestGuesses(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, nil)
		b.Must(b.send(b.place, b.number, "192.0.2.1"))
		right := b.Phone.Last().Reveal()
		for i := range 3 {
			if asked, err := b.phones.NeedsCaptcha(t.Context(), b.place); err != nil || asked {
				t.Errorf("asked after %d failures, %v", i, err)
			}
			if err := b.check(b.wrong()); fault.CodeOf(err) != fault.InvalidRequest {
				t.Error(err)
			}
		}
		if asked, err := b.phones.NeedsCaptcha(t.Context(), b.place); err != nil || !asked {
			t.Errorf("not asked after 3 failures, %v", err)
		}
		var group sync.WaitGroup
		found := make([]bool, 64)
		for i := range found {
			group.Go(func() {
				code := b.wrong()
				if i == 63 {
					code = right
				}
				_, err := b.phones.Check(t.Context(), phone.Attempt{Place: b.place, To: b.number, Code: pan.NewSecret(code), Person: true})
				found[i] = err == nil
			})
		}
		group.Wait()
		if b.check(right) == nil {
			t.Error("the code is tried for a sixth time")
		}
		b.Clock.Advance(time.Minute)
		b.Must(b.send(b.place, b.number, "192.0.2.1"))
		if asked, err := b.phones.NeedsCaptcha(t.Context(), b.place); err != nil || !asked {
			t.Errorf("the next code forgets the failures, %v", err)
		}
		b.Must(b.check(b.Phone.Last().Reveal()))
	})
}

// Three wrong codes are entered without an answer to the captcha, by however many at once; the others are told what is missing, and take no try.
func TestGuessesAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, nil)
		b.Must(b.send(b.place, b.number, "192.0.2.1"))
		wrong, errs := pan.NewSecret(b.wrong()), make([]error, 16)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() {
				_, errs[i] = b.phones.Check(t.Context(), phone.Attempt{Place: b.place, To: b.number, Code: wrong})
			})
		}
		group.Wait()
		judged := 0
		for _, err := range errs {
			if fault.CodeOf(err) == fault.InvalidRequest {
				judged++
			} else if !errors.Is(err, phone.ErrPerson) {
				t.Error(err)
			}
		}
		if judged != 3 {
			t.Errorf("%d codes were judged", judged)
		}
		b.Must(b.check(b.Phone.Last().Reveal()))
	})
}

// Numbers, ranges, countries and addresses have limits, the day's money a cap, and some countries no codes.
func TestLimits(t *testing.T) {
	window := func(n int) []limit.Window { return []limit.Window{{Limit: n, Per: time.Hour}} }
	for _, c := range []struct {
		name   string
		change func(*phone.Policy)
		number func(i int) string
		from   func(i int) string
		code   fault.Code
	}{
		{"number", func(p *phone.Policy) { p.Number = window(3) }, func(int) string { return cashdesk.Number }, each, fault.RateLimited},
		{"range", func(p *phone.Policy) { p.Range = window(3) }, func(i int) string { return fmt.Sprintf("+1415555%04d", i) }, each, fault.RateLimited},
		{"country", func(p *phone.Policy) { p.Country = window(3) }, func(i int) string { return fmt.Sprintf("+1415%d550123", 2+i) }, each, fault.RateLimited},
		{"address", func(p *phone.Policy) { p.Address = window(3) }, func(i int) string { return fmt.Sprintf("+1415%d550123", 2+i) }, func(i int) string { return "2001:db8::" + fmt.Sprint(i+1) }, fault.RateLimited},
		{"cap", func(p *phone.Policy) { p.CostText, p.Cap = 7, 27 }, func(i int) string { return fmt.Sprintf("+1415%d550123", 2+i) }, each, fault.QuotaExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
				b := setup(t, db, func(p *phone.Policy) {
					p.Number, p.Range, p.Country, p.Address = window(100), window(100), window(100), window(100)
					c.change(p)
				})
				for i := range 4 {
					err := b.send(b.order(), b.parse(c.number(i)), c.from(i))
					if want := c.code; i < 3 && err != nil || i == 3 && fault.CodeOf(err) != want {
						t.Errorf("message %d: %v", i+1, err)
					}
				}
				if len(b.Phone.Sent) != 3 {
					t.Errorf("%d messages were sent", len(b.Phone.Sent))
				}
			})
		})
	}
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), func(p *phone.Policy) { p.Countries = []string{"GB"} })
	if err := b.send(b.place, b.number, "192.0.2.1"); fault.CodeOf(err) != fault.InvalidRequest || len(b.Phone.Sent) != 0 {
		t.Errorf("a country without codes: %v", err)
	}
}

// A number gets so many codes in an hour and in a day, and calls cost more of the day's money than messages; the next day begins anew.
func TestDays(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, func(p *phone.Policy) { p.Cap, p.CostText, p.CostVoice = 75, 5, 10 })
		b.Clock.Advance(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).Sub(b.Clock.Now()))
		sent := 0
		ask := func(number string, voice bool, want fault.Code) {
			t.Helper()
			err := b.phones.Send(t.Context(), phone.Request{Place: b.order(), To: b.parse(number), Voice: voice, From: netip.MustParseAddr(each(sent))})
			if err == nil {
				sent++
			}
			if fault.CodeOf(err) != want || len(b.Phone.Sent) != sent {
				t.Errorf("code %d to %s: %v, want %q", sent, number, err, want)
			}
		}
		for range 2 {
			for range 4 {
				ask(b.number.E164(), false, "")
			}
			ask(b.number.E164(), false, fault.RateLimited)
			b.Clock.Advance(time.Hour)
		}
		ask(b.number.E164(), false, fault.RateLimited) // eight a day
		ask("+14155550100", true, "")
		ask("+14155550101", true, "")
		ask("+14155550102", true, "") // 70 cents
		ask("+14155550103", true, fault.QuotaExceeded)
		ask("+14155550104", false, "")
		ask("+14155550105", false, fault.QuotaExceeded)
		b.Clock.Advance(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).Sub(b.Clock.Now()) - time.Microsecond)
		ask("+14155550106", false, fault.QuotaExceeded)
		b.Clock.Advance(time.Microsecond)
		ask("+14155550107", true, "")
		ask(b.number.E164(), false, "")
	})
}

func each(i int) string { return fmt.Sprintf("192.0.2.%d", i+1) }

// What a provider does not take is told, and a realm without one sends nothing.
func TestProviderIsDown(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), nil)
	b.Phone.Down = true
	if err := b.send(b.place, b.number, "192.0.2.1"); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
	if strings.Contains(b.Log.String(), cashdesk.Number) {
		t.Errorf("the log has the number: %s", b.Log)
	}
	b.place.Realm = realm.Live
	if err := b.send(b.place, b.number, "192.0.2.1"); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

// Where codes are sent and not entered, an alarm is raised, once a day and country.
func TestAlarm(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, func(p *phone.Policy) { p.AlarmFrom, p.AlarmBelow = 4, 50 })
		book := b.place.Book
		for i := range 4 {
			b.Must(b.send(b.order(), b.parse(fmt.Sprintf("+4477009%05d", i*10_000+123)), each(i)))
			b.place, b.number = b.order(), b.parse(fmt.Sprintf("+1415%d550123", 2+i))
			b.Must(b.send(b.place, b.number, each(i)))
			if i < 2 {
				b.Must(b.check(b.Phone.Last().Reveal()))
			}
		}
		for _, want := range []int{1, 0} {
			found, err := b.phones.Watch(t.Context(), book, realm.Test)
			b.Must(err)
			if len(found) != want || want == 1 && (found[0].Country != "GB" || found[0].Sent != 4 || found[0].Verified != 0) {
				t.Errorf("found %+v", found)
			}
		}
		if !strings.Contains(b.Log.String(), "country=GB") {
			t.Errorf("log: %s", b.Log)
		}
		all, err := b.phones.Today(t.Context(), book, realm.Test)
		b.Must(err)
		if len(all) != 2 || !all[0].Alarmed || all[1].Alarmed || all[1].Verified != 2 {
			t.Errorf("today %+v", all)
		}
	})
}
