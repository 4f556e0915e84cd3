package iso8583

import (
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/platform/iso"
)

// Every reason has a response code, the guide has the same table, and every fault that a
// payment can meet has one beside that of our own mistakes.
func TestCodes(t *testing.T) {
	text, err := os.ReadFile("../../../docs/iso8583.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[authorization.Reason]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([0-9A-Z]{2})` \\|[^|]*\\| (.*) \\|$").FindAllStringSubmatch(string(text), -1) {
		for _, reason := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(row[2], -1) {
			documented[authorization.Reason(reason[1])] = row[1]
		}
	}
	for _, reason := range authorization.Reasons() {
		if len(codes[reason]) != 2 {
			t.Errorf("%s has no response code", reason)
		}
		if documented[reason] != codes[reason] {
			t.Errorf("%s is %q in the guide and %q here", reason, documented[reason], codes[reason])
		}
	}
	if len(codes) != len(authorization.Reasons())+1 { // and none
		t.Errorf("%d codes for %d reasons", len(codes), len(authorization.Reasons()))
	}
	for _, code := range fault.Codes() {
		kind, has := code.Kind(), faults[code]
		if (kind == fault.KindInvalid || kind == fault.KindLimit || kind == fault.KindUnavailable || kind == fault.KindConflict) && has == "" && !unheard[code] {
			t.Errorf("the fault %s has no response code", code)
		}
	}
	if got := codeOf(os.ErrClosed); got != codeBroken {
		t.Errorf("another error is %s", got)
	}
}

// unheard are faults that only HTTP has, or only others than payments.
var unheard = map[fault.Code]bool{fault.UnsupportedMediaType: true, fault.MethodNotAllowed: true, fault.InvalidCursor: true, fault.AlreadyExists: true}

// A time without a year is in the year that brings it closest.
func TestInstant(t *testing.T) {
	for _, c := range []struct{ now, text, want string }{
		{"2026-11-28T12:00:00Z", "1128115959", "2026-11-28T11:59:59Z"},
		{"2026-12-31T23:59:59Z", "0101000001", "2027-01-01T00:00:01Z"},
		{"2027-01-01T00:00:01Z", "1231235959", "2026-12-31T23:59:59Z"},
		{"2027-06-01T00:00:00Z", "0229000000", "2028-02-29T00:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		got, err := instant(c.text, now)
		if err != nil || got.Format(time.RFC3339) != c.want {
			t.Errorf("%s at %s is %s, %v; want %s", c.text, c.now, got, err, c.want)
		}
	}
	for _, text := range []string{"", "1300000000", "0100000000", "01010000", "0101246000", "0101 00000"} {
		if _, err := instant(text, time.Now()); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Where and how a card was presented is read from the elements that say so.
func TestMerchantAndEntry(t *testing.T) {
	m := iso.Message{18: "5812", 41: "T1      ", 42: "M-EAT          ", 43: "Chez Ann                 Paris        FR"}
	want := authorization.Merchant{ID: "M-EAT", Name: "Chez Ann", MCC: "5812", City: "Paris", Country: "FR", Terminal: "T1", Acquirer: "422222"}
	if diff := cmp.Diff(want, merchant(m, "422222")); diff != "" {
		t.Errorf("merchant (-want +got):\n%s", diff)
	}
	m[43] = "CAF\xc9 ANN                 Z\xfcrich       CH" // ISO 8859-1
	if got := merchant(m, "1"); got.Name != "CAFÉ ANN" || got.City != "Zürich" {
		t.Errorf("beyond ASCII: %+v", got)
	}
	for name, want := range map[string]string{"Café René Boulangerie A": "Café René Boulangerie A", "Café René Boulangerie \xc3": "Café René Boulangerie",
		"Caf\xe9 Ren\xe9 Boulangerie Art": "Café René Boulangerie Art", "Boulangerie Au Bon Fourn\xc9": "Boulangerie Au Bon FournÉ", "東京中央書店新宿\xe6": "東京中央書店新宿"} {
		m[43] = name + "Paris        FR" // UTF-8 is cut wherever its 25 bytes end
		if got := merchant(m, "1"); got.Name != want {
			t.Errorf("%q: name %q, want %q", name, got.Name, want)
		}
	}
	m[43] = "Chez Ann                 Paris        XX"
	if got := merchant(m, "1"); got.Country != "" || got.City != "Paris" {
		t.Errorf("no country: %+v", got)
	}
	delete(m, 43)
	if got := merchant(m, "1"); got.Name != "M-EAT" {
		t.Errorf("no name: %+v", got)
	}
	for mode, want := range map[string]authorization.Entry{"012": authorization.Manual, "051": authorization.Chip, "071": authorization.Contactless,
		"901": authorization.Stripe, "100": authorization.Stored, "812": authorization.Online, "000": "", "": ""} {
		if got := entry(iso.Message{22: mode, 25: "00"}); got != want {
			t.Errorf("mode %s is %q", mode, got)
		}
		if got := entry(iso.Message{22: mode, 25: "59"}); got != authorization.Online {
			t.Errorf("mode %s in electronic commerce is %q", mode, got)
		}
	}
}

// Whatever bytes a network sends, they are read as a message, refused with a fault that
// holds nothing of them, and the answer can be written.
func FuzzMessage(f *testing.F) {
	h := New(Deps{}, Options{Acquirers: []string{"411111"}})
	sample := iso.Message{0: "0100", 2: "4916530000000000", 3: "000000", 4: "000000000100", 7: "1128120000", 11: "000001", 14: "3001", 18: "7311", 22: "812",
		32: "411111", 37: "000000000001", 41: "T0000001", 42: "M-ADS          ", 43: "FACEBK ADS               Menlo Park   US", 48: "9203123" + "8205" + "19801", 49: "840"}
	for kind, change := range map[string]iso.Message{
		"0100": {}, "0120": {39: "00"}, "0200": {3: "200000"}, "0220": {6: "000000000110", 51: "978"}, "0800": {70: "301"}, "0300": {},
		"0420": {90: "0100" + "000001" + "1128120000" + "00000411111" + strings.Repeat("0", 11), 95: strings.Repeat("0", 11) + "1" + strings.Repeat("0", 30)},
		"0101": {2: "", 35: "4916530000000000=3001101"},
	} {
		m := iso.Message{}
		for n, text := range sample {
			m[n] = text
		}
		for n, text := range change {
			m[n] = text
		}
		m[0] = kind
		frame, err := m.Pack(h.spec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame[2:])
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > iso.MaxFrame {
			return
		}
		m, err := iso.Unpack(h.spec, frame)
		if err != nil || !isRequest(m[0]) {
			return
		}
		r := result{code: codeApproved, decision: &authorization.Decision{Approved: true, Code: "123456"}, cvc: true, part: true}
		o, err := h.read(m)
		if err == nil {
			_, err = o.stands(m)
		}
		if err != nil {
			if r.code = codeOf(err); r.code == codeBroken {
				t.Fatal(err)
			}
			for _, n := range []int{2, 35, 48} {
				if len(m[n]) > 5 && strings.Contains(err.Error(), m[n]) {
					t.Fatal("the error holds an element")
				}
			}
		}
		if err == nil && (o.key == "" || o.billed.IsNegative() || o.charged.IsNegative()) {
			t.Fatal("it was read wrongly")
		}
		if _, err := reply(m, r).Pack(h.spec); err != nil {
			t.Fatal(err)
		}
	})
}

// Messages about one payment take turns, also those that come while an earlier one ends; nothing is
// kept of what is done.
func TestTurns(t *testing.T) {
	turns := turns{last: map[string]chan struct{}{}}
	_, endFirst := turns.take("1")
	wait, endSecond := turns.take("1")
	endFirst()
	if len(turns.last) != 1 {
		t.Error("nothing waits for the second")
	}
	wait()
	endSecond()
	if len(turns.last) > 0 {
		t.Errorf("%d are kept", len(turns.last))
	}
}

// An amount is told with its sign, and not at all where it has no room.
func TestAdditional(t *testing.T) {
	for minor, want := range map[int64]string{0: "0002840C000000000000", 1_50: "0002840C000000000150", -1_50: "0002840D000000000150",
		maxMinor: "0002840C999999999999", maxMinor + 1: "", -maxMinor - 1: "", math.MinInt64: ""} {
		if got := additional(kindAvailable, money.New(minor, money.USD)); got != want {
			t.Errorf("%d is %q, want %q", minor, got, want)
		}
	}
}

// Requests and advices are of the version of 1987; answers, and other versions, are none.
func TestIsRequest(t *testing.T) {
	for kind, want := range map[string]bool{"0100": true, "0121": true, "0800": true, "0110": false, "0130": false, "1100": false, "2200": false,
		"01x0": false, "010": false, "01000": false, "": false} {
		if got := isRequest(kind); got != want {
			t.Errorf("%q: %t", kind, got)
		}
	}
}

// What was compared of an address, and whether the security code matched, are told in one letter each.
func TestChecks(t *testing.T) {
	for _, c := range []struct {
		avs    authorization.AVS
		reason authorization.Reason
		cvc    bool
		want   string
	}{
		{authorization.AVSNotSent, authorization.ReasonNone, false, ""}, {authorization.AVSMatch, authorization.ReasonNone, false, "Y "},
		{authorization.AVSPostcode, authorization.ReasonNone, true, "ZM"}, {authorization.AVSAddress, authorization.ReasonFunds, true, "AP"},
		{authorization.AVSNone, authorization.ReasonCVCWrong, true, "NN"}, {authorization.AVSNotSent, authorization.ReasonCVCWrong, false, ""},
	} {
		d := authorization.Decision{AVS: c.avs, Reason: c.reason, Approved: c.reason == authorization.ReasonNone}
		if got := checks(&d, c.cvc); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Network management is a request with a trace and one of the codes; it signs off and on.
func TestManage(t *testing.T) {
	s := &session{}
	for _, c := range []struct {
		kind, trace, function, code string
		off                         bool
	}{
		{"0800", "000001", functionEcho, codeApproved, false}, {"0800", "000002", functionSignOff, codeApproved, true},
		{"0801", "000003", functionEcho, codeApproved, true}, {"0820", "000004", functionSignOn, codeSupported, true},
		{"0840", "000005", functionSignOn, codeSupported, true}, {"0800", "000006", "999", codeSupported, true},
		{"0800", "00007", functionSignOn, "30", true}, {"0800", "000008", "1", "30", true}, {"0800", "000009", functionSignOn, codeApproved, false},
	} {
		code := s.manage(iso.Message{0: c.kind, 11: c.trace, 70: c.function})
		if code != c.code || s.signedOff != c.off {
			t.Errorf("%+v: %s, signed off %t", c, code, s.signedOff)
		}
	}
}

// A card is presented by its number, its track, or both where they say the same; the expiry that is
// written beside them counts first.
func TestPlastic(t *testing.T) {
	const number, other = "4111111111111111", "5555555555554444"
	for _, c := range []struct {
		number, expiry, track, want string
	}{
		{number, "", "", ""}, {number, "2911", "", "2911"}, {"", "", number + "=2911101", "2911"}, {"", "", number + "D2911101", "2911"},
		{number, "2912", number + "=2911101", "2912"}, {other, "", number + "=2911101", "35"}, {"", "", number + "=291", "35"},
		{"", "", number, "35"}, {"", "2911", "", "2"}, {number + "x", "", "", "2"}, {number, "29", "", "14"}, {"", "", number + "=29x1101", "14"},
	} {
		got, expiry, err := plastic(iso.Message{2: c.number, 14: c.expiry, 35: c.track})
		if err != nil {
			expiry = fault.From(err).Field
		} else if got.Reveal() != number {
			t.Errorf("%+v: another number", c)
		}
		if expiry != c.want {
			t.Errorf("%+v: %q, %v", c, expiry, err)
		}
	}
}
