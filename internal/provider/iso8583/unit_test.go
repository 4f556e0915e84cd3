package iso8583

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/iso"
)

// PIN blocks are those that another implementation makes.
func TestPINBlock(t *testing.T) {
	cases := []struct{ key, number, pin, want string }{
		// By OpenSSL, of the clear block 041234fedcba9876.
		{zonePINKey, "4000001234567899", "1234", "7886f2179a0694b3"},
		{"0123456789ABCDEFFEDCBA98765432100123456789ABCDEF", "4000001234567899", "1234", "7886f2179a0694b3"},
	}
	for _, c := range cases {
		key, err := parseZoneKey(pan.NewSecret(c.key))
		if err != nil {
			t.Fatal(err)
		}
		number, err := pan.Parse(c.number)
		if err != nil {
			t.Fatal(err)
		}
		block, err := key.pinBlock(number, pan.NewSecret(c.pin))
		if err != nil || hex.EncodeToString([]byte(block)) != c.want {
			t.Errorf("%x, %v, want %s", block, err, c.want)
		}
	}
	for _, bad := range []string{"", "zonal", "0123456789ABCDEF", zonePINKey + "00", strings.Repeat("0123456789ABCDEF", 2)} {
		if _, err := parseZoneKey(pan.NewSecret(bad)); fault.CodeOf(err) != fault.InvalidRequest || (bad != "" && strings.Contains(err.Error(), bad)) {
			t.Errorf("key of %d: %v", len(bad), err)
		}
	}
}

// Additional amounts are read to the unit or not at all, and the right one is taken.
func TestAmounts(t *testing.T) {
	usd, eur, jpy := currency(t, "USD"), currency(t, "EUR"), currency(t, "JPY")
	cases := []struct {
		name, text string
		kinds      []string
		want       money.Amount
		found, bad bool
	}{
		{"none", "", []string{"02"}, money.Amount{}, false, false},
		{"one", "0002840C000000004750", []string{"02"}, money.New(4750, usd), true, false},
		{"great", "0002840C999999999999", []string{"02"}, money.New(999999999999, usd), true, false},
		{"debit", "0002840D000000004750", []string{"02"}, money.New(-4750, usd), true, false},
		{"another exponent", "0002392C000000001200", []string{"02"}, money.New(1200, jpy), true, false},
		{"another kind", "0001840C000000004750", []string{"02"}, money.Amount{}, false, false},
		{"preferred kind", "0001840C000000000001" + "0002840C000000000002", []string{"02", "01"}, money.New(2, usd), true, false},
		{"second kind", "0001840C000000000001" + "0090840C000000000002", []string{"02", "01"}, money.New(1, usd), true, false},
		{"asked currency", "0002978C000000000001" + "0002840C000000000002", []string{"02"}, money.New(2, usd), true, false},
		{"first currency", "0002978C000000000001" + "0002392C000000000002", []string{"02"}, money.New(1, eur), true, false},
		{"asked currency comes first", "0002840C000000000001" + "0002840C000000000002", []string{"02"}, money.New(1, usd), true, false},
		{"short", "0002840C00000000475", nil, money.Amount{}, false, true},
		{"long", "0002840C0000000047500", nil, money.Amount{}, false, true},
		{"seven", strings.Repeat("0002840C000000004750", 7), nil, money.Amount{}, false, true},
		{"sign", "0002840+000000004750", nil, money.Amount{}, false, true},
		{"letter", "0002840C00000000475O", nil, money.Amount{}, false, true},
		{"minus", "0002840C-00000004750", nil, money.Amount{}, false, true},
		{"space", "0002840C 00000004750", nil, money.Amount{}, false, true},
		{"currency", "0002999C000000004750", nil, money.Amount{}, false, true},
		{"no currency", "0002000C000000004750", nil, money.Amount{}, false, true},
		{"letters of a currency", "0002USDC000000004750", nil, money.Amount{}, false, true},
		{"kind", "00A2840C000000004750", nil, money.Amount{}, false, true},
		{"second is malformed", "0002840C000000004750" + strings.Repeat("x", 20), nil, money.Amount{}, false, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			amounts, err := parseAmounts(c.text)
			if c.bad {
				wantFault(t, err, fault.Unavailable)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, found := choose(amounts, c.kinds, usd); got != c.want || found != c.found {
				t.Errorf("%v, %v, want %v, %v", got, found, c.want, c.found)
			}
		})
	}
}

// What an answer says is read as the tables have it, and the fields of an answer that
// no card can have are the host's failing.
func TestAnswersRead(t *testing.T) {
	n := mustOpen(t, usual(t, "127.0.0.1:1").with(object{"response_codes": object{"05": "active", "N7": "wrong_pin"}}))
	usd := currency(t, "USD")
	amount := "0002840C000000004750"
	good := ping.Balance{Status: ping.Active, Amount: money.New(4750, usd)}
	cases := []struct {
		name   string
		answer message
		want   ping.Balance
		code   fault.Code
	}{
		{"good", message{39: "00", 54: amount}, good, ""},
		{"own code", message{39: "05", 54: amount}, good, ""},
		{"own wrong PIN", message{39: "N7", 54: amount}, ping.Balance{Status: ping.Invalid, Amount: money.New(0, usd)}, ""},
		{"inactive with an amount", message{39: "62", 54: amount}, ping.Balance{Status: ping.Inactive, Amount: money.New(4750, usd)}, ""},
		{"invalid with an amount", message{39: "14", 54: amount}, ping.Balance{Status: ping.Invalid, Amount: money.New(0, usd)}, ""},
		{"no expiry", message{39: "00", 54: amount, 14: "0000"}, good, ""},
		{"another currency", message{39: "00", 54: "0002978C000000004750"}, ping.Balance{}, fault.Unavailable},
		{"no amount", message{39: "00"}, ping.Balance{}, fault.Unavailable},
		{"malformed amount", message{39: "62", 54: "x"}, ping.Balance{}, fault.Unavailable},
		{"month", message{39: "00", 54: amount, 14: "2713"}, ping.Balance{}, fault.Unavailable},
		{"letters", message{39: "00", 54: amount, 14: "27AB"}, ping.Balance{}, fault.Unavailable},
		{"short expiry", message{39: "00", 54: amount, 14: "270"}, ping.Balance{}, fault.Unavailable},
	}
	for code, means := range usualCodes {
		if means == hostAway {
			cases = append(cases, struct {
				name   string
				answer message
				want   ping.Balance
				code   fault.Code
			}{code, message{39: code, 54: amount}, ping.Balance{}, fault.Unavailable})
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := n.host.balance(c.answer, about(t, "good"))
			if c.code != "" {
				wantFault(t, err, c.code)
			} else if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, b); diff != "" {
				t.Errorf("balance (-want +got):\n%s", diff)
			}
		})
	}
}

// The inquiry on the wire is, byte for byte, what the configuration and the standard
// make of it.
func TestInquiryOnTheWire(t *testing.T) {
	n := mustOpen(t, usual(t, "127.0.0.1:1").with(object{
		"merchant_type": "6012", "processing_code": "313000", "entry_mode": "010", "condition_code": "59", "bitmap": "hex",
	}))
	inquiry := about(t, "good")
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3600))
	m, err := n.host.inquiry(inquiry, at)
	if err != nil {
		t.Fatal(err)
	}
	m[11], m[37] = "000123", reference(at, "000123")
	frame, err := m.Pack(n.host.spec)
	if err != nil {
		t.Fatal(err)
	}
	want := "0100" + "7238448108C08000" + "16" + numberOf("good") + "313000" + "000000000000" + "0304040607" + "000123" + "040607" + "0304" +
		"6012" + "010" + "59" + "06" + "990001" + "606304000123" + "SCRIP1  " + "SCRIP          " + "840"
	if got := string(frame[2:]); got != want || int(frame[0])<<8+int(frame[1]) != len(want) {
		t.Errorf("length %x\n got %s\nwant %s", frame[:2], got, want)
	}
	inquiry.PIN = pan.NewSecret(testPIN)
	if m, err = n.host.inquiry(inquiry, at); err != nil || len(m[52]) != 8 || strings.Contains(m[52], testPIN) {
		t.Errorf("PIN block of %d bytes, %v", len(m[52]), err)
	}
	without := mustOpen(t, usual(t, "127.0.0.1:1").with(object{"pin": "none", "pin_key_file": nil}))
	if m, err = without.host.inquiry(inquiry, at); err != nil || m[52] != "" {
		t.Errorf("a PIN without a key: %d bytes, %v", len(m[52]), err)
	}
}

// Trace numbers go around and are never zero; pauses grow to their bound and start
// over after a session that lasted.
func TestNumbersAndPauses(t *testing.T) {
	numbers := &traces{last: maxTrace - 1}
	if got := numbers.next() + numbers.next(); got != "999999000001" {
		t.Errorf("traces = %s", got)
	}
	h := &host{pause: 500 * time.Millisecond, maxPause: 15 * time.Second}
	var pause time.Duration
	var pauses []string
	for range 7 {
		pause = h.pauseAfter(pause, 14*time.Second)
		pauses = append(pauses, pause.String())
	}
	if got := strings.Join(pauses, " "); got != "500ms 1s 2s 4s 8s 15s 15s" {
		t.Errorf("pauses = %s", got)
	}
	if got := h.pauseAfter(pause, 16*time.Second); got != h.pause {
		t.Errorf("after a session that lasted: %s", got)
	}
	for range 64 {
		if got := spread(time.Second); got < time.Second || got > 1250*time.Millisecond {
			t.Errorf("spread = %s", got)
		}
	}
}

// A host's own echo test is answered, an empty message is a sign of life, and neither
// disturbs what is asked.
func TestHostsOwnMessages(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	n := mustOpen(t, usual(t, listener.Addr().String()).with(object{"sign_on": false}))
	failed := make(chan error, 1)
	go func() { failed <- talkative(listener, n.host) }()
	b, err := ask(t, n, "good")
	if err != nil || b.Amount.Minor != 4750 {
		t.Errorf("%+v, %v", b, err)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

// talkative is a host that says a few things of its own before it answers.
func talkative(listener net.Listener, h *host) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	read := func() (message, error) {
		frame, err := iso.ReadFrame(conn, func() error { return nil })
		if err != nil {
			return nil, err
		}
		return iso.Unpack(h.spec, frame)
	}
	asked, err := read()
	if err != nil {
		return err
	}
	echo, err := message{0: "0800", 7: "0304050607", 11: "000042", 70: functionEcho}.Pack(h.spec)
	if err != nil {
		return err
	}
	if _, err := conn.Write(append([]byte{0, 0}, echo...)); err != nil {
		return err
	}
	answered, err := read()
	if err != nil {
		return err
	}
	want := message{0: "0810", 7: "0304050607", 11: "000042", 39: "00", 70: functionEcho}
	if diff := cmp.Diff(want, answered); diff != "" {
		return fmt.Errorf("answer to the host's echo test (-want +got):\n%s", diff)
	}
	answer, err := message{0: "0110", 11: asked[11], 39: "00", 41: asked[41], 54: "0002840C000000004750"}.Pack(h.spec)
	if err != nil {
		return err
	}
	_, err = io.Copy(conn, bytes.NewReader(answer))
	return err
}

// A configuration that could not work, or not as it reads, is refused when it is
// opened, with the key that is to blame.
func TestMalformedConfigurations(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		change object
		key    string
	}{
		{"unknown key", object{"port": 1}, "port"},
		{"wrong type", object{"timeout_ms": "1s"}, "timeout_ms"},
		{"no address", object{"address": nil}, "address"},
		{"no port", object{"address": "host.example"}, "address"},
		{"no host", object{"address": ":8583"}, "address"},
		{"port zero", object{"address": "host.example:0"}, "address"},
		{"named port", object{"address": "host.example:http"}, "address"},
		{"no bitmap", object{"bitmap": nil}, "bitmap"},
		{"bitmap", object{"bitmap": "ebcdic"}, "bitmap"},
		{"no terminal", object{"terminal_id": nil}, "terminal_id"},
		{"long terminal", object{"terminal_id": "SCRIP0001"}, "terminal_id"},
		{"terminal", object{"terminal_id": "SCRÍP"}, "terminal_id"},
		{"long merchant", object{"merchant_id": "0123456789ABCDEF"}, "merchant_id"},
		{"acquirer", object{"acquirer_id": "12A"}, "acquirer_id"},
		{"long acquirer", object{"acquirer_id": "123456789012"}, "acquirer_id"},
		{"purchase", object{"processing_code": "000000"}, "processing_code"},
		{"processing code", object{"processing_code": "31000"}, "processing_code"},
		{"merchant type", object{"merchant_type": "60"}, "merchant_type"},
		{"entry mode", object{"entry_mode": "abc"}, "entry_mode"},
		{"condition", object{"condition_code": "000"}, "condition_code"},
		{"no PIN setting", object{"pin": nil}, "pin"},
		{"PIN in the clear", object{"pin": "clear"}, "pin"},
		{"PIN without a key", object{"pin_key_file": nil}, "pin_key_file"},
		{"key without a PIN", object{"pin": "none"}, "pin_key_file"},
		{"short key", object{"pin_key_file": short}, "pin_key_file"},
		{"no key file", object{"pin_key_file": short + "er"}, "pin_key_file"},
		{"no amounts", object{"amount_types": []string{}}, "amount_types"},
		{"amount type", object{"amount_types": []string{"2"}}, "amount_types"},
		{"currency", object{"currencies": []string{"XXX"}}, "currencies"},
		{"currency without a number", object{"currencies": []string{"BTC"}}, "currencies"},
		{"response code", object{"response_codes": object{"5": "active"}}, "response_codes.5"},
		{"meaning", object{"response_codes": object{"05": "fine"}}, "response_codes.05"},
		{"timeout", object{"timeout_ms": 1}, "timeout_ms"},
		{"connect timeout", object{"connect_timeout_ms": 100000}, "connect_timeout_ms"},
		{"echo", object{"echo_ms": -1}, "echo_ms"},
		{"pause", object{"reconnect_ms": 1}, "reconnect_ms"},
		{"longest pause", object{"reconnect_ms": 5000, "reconnect_max_ms": 1000}, "reconnect_max_ms"},
		{"in flight", object{"max_in_flight": 5000}, "max_in_flight"},
		{"negative", object{"max_in_flight": -1}, "max_in_flight"},
		{"authority", object{"tls": object{"ca_file": short}}, "tls"},
	}
	base := usual(t, "127.0.0.1:8583")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text, err := json.Marshal(base.with(c.change))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open("", text)
			wantFault(t, err, fault.InvalidRequest)
			if got := fault.From(err).Field; got != c.key {
				t.Errorf("blames %q, want %q: %v", got, c.key, err)
			}
		})
	}
	for _, text := range []string{"", "null", "[]", `{"address":"a:1","address":"b:1"}`, `{} {}`, strings.Repeat(" ", maxConfig+1)} {
		_, err := Open("", []byte(text))
		wantFault(t, err, fault.InvalidRequest)
	}
}

// Whatever bytes a host sends, they are a message or garbage, and an answer from them
// is a balance that is not negative or a fault.
func FuzzAnswer(f *testing.F) {
	h := &host{spec: iso.NewSpec(false), codes: usualCodes, amountTypes: []string{"02", "01"}}
	for _, m := range []message{
		{0: "0110", 2: "9900000000000001", 11: "000001", 14: "2703", 39: "00", 41: "SCRIP1  ", 54: "0002840C000000004750"},
		{0: "0810", 11: "000001", 39: "00", 70: "301"},
		{0: "0110", 39: "62", 52: "\x00\x01\x02\x03\x04\x05\x06\x07", 128: "12345678", 120: "private"},
	} {
		frame, err := m.Pack(h.spec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame[2:])
	}
	f.Add([]byte("0110" + strings.Repeat("\xff", 200)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > iso.MaxFrame {
			return
		}
		m, err := iso.Unpack(h.spec, frame)
		if err != nil {
			return
		}
		if _, ok := keyOf(m); ok {
			_ = answers(m, message{0: "0100", 41: "SCRIP1  "})
		}
		b, err := h.balance(m, about(t, "good"))
		switch {
		case err != nil:
			if code := fault.CodeOf(err); code != fault.Unavailable && code != fault.CardInvalid {
				t.Fatal(err)
			}
		case b.Amount.IsNegative() || !b.Amount.Currency.IsValid() || b.Status == "":
			t.Fatalf("%+v", b)
		}
	})
}
