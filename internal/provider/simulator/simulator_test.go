package simulator

import (
	"maps"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/prefix"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
)

const (
	knownNumber   = "4000001234567899"
	unknownNumber = "4000009999999990"
	zoneKey       = "0123456789ABCDEFFEDCBA9876543210"
)

// start runs a host with one card, and returns a connection to it.
func start(t *testing.T, hexadecimal bool) net.Conn {
	t.Helper()
	usd, err := money.Parse("USD")
	if err != nil {
		t.Fatal(err)
	}
	number, err := pan.Parse(knownNumber)
	if err != nil {
		t.Fatal(err)
	}
	host, err := Listen("127.0.0.1:0", Config{
		HexBitmap: hexadecimal, ZonePINKey: pan.NewSecret(zoneKey),
		Cards: []Card{{Number: number, PIN: pan.NewSecret("1234"), Currency: usd, Minor: -5, Ledger: 4750, Expiry: "2703"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- host.Serve() }()
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	conn, err := net.Dial("tcp", host.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// exchange sends a message, and returns the fields of the answer but for the bitmap.
func exchange(t *testing.T, conn net.Conn, spec *iso8583.MessageSpec, ask map[int]string) map[int]string {
	t.Helper()
	m := iso8583.NewMessage(spec)
	for number, value := range ask {
		if err := m.Field(number, value); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := Frame(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(whole); err != nil {
		t.Fatal(err)
	}
	answer, err := ReadFrame(conn)
	if err != nil {
		t.Fatal(err)
	}
	got := iso8583.NewMessage(spec)
	if err := got.Unpack(answer); err != nil {
		t.Fatal(err)
	}
	all := map[int]string{}
	for number := range got.GetFields() {
		if number != 1 {
			all[number] = valueOf(got, number)
		}
	}
	return all
}

// with returns a copy of fields with more in it; an empty value takes one away.
func with(fields, more map[int]string) map[int]string {
	all := map[int]string{}
	for _, m := range []map[int]string{fields, more} {
		for n, v := range m {
			if all[n] = v; v == "" {
				delete(all, n)
			}
		}
	}
	return all
}

// The host answers inquiries, sign-ons and echo tests in the library's published
// specification, and checks PIN blocks that were made elsewhere.
func TestAnswers(t *testing.T) {
	// What OpenSSL makes of the format 0 block of this PIN and number under this key.
	const right, wrong = "\x78\x86\xf2\x17\x9a\x06\x94\xb3", "\x00\x11\x22\x33\x44\x55\x66\x77"
	inquiry := map[int]string{0: "0100", 2: knownNumber, 3: "310000", 7: "0304050607", 11: "000123", 37: "606305000123", 41: "SCRIP001", 49: "840", 52: right}
	answer := map[int]string{0: "0110", 2: knownNumber, 3: "310000", 7: "0304050607", 11: "000123", 14: "2703", 37: "606305000123", 39: "55", 41: "SCRIP001", 49: "840"}
	signOn := map[int]string{0: "0800", 7: "0304050607", 11: "000001", 70: "001"}
	cases := []struct {
		name      string
		ask, want map[int]string
	}{
		{"sign-on", signOn, with(signOn, map[int]string{0: "0810", 39: "00"})},
		{"echo", with(signOn, map[int]string{70: "301"}), with(signOn, map[int]string{0: "0810", 39: "00", 70: "301"})},
		{"balance", inquiry, with(answer, map[int]string{39: "00", 54: "0001840C000000004750" + "0002840D000000000005"})},
		{"wrong PIN", with(inquiry, map[int]string{52: wrong}), answer},
		{"no PIN", with(inquiry, map[int]string{52: ""}), answer},
		{"unknown", with(inquiry, map[int]string{2: unknownNumber}), with(answer, map[int]string{2: unknownNumber, 14: "", 39: "14"})},
		{"purchase", with(inquiry, map[int]string{3: "100000"}), with(answer, map[int]string{3: "100000", 39: "40"})},
	}
	for name, hexadecimal := range map[string]bool{"hexadecimal": true, "binary": false} {
		spec := NewSpec(false)
		if hexadecimal {
			// The published specification reads a PIN block and cannot write one.
			spec = &iso8583.MessageSpec{Fields: maps.Clone(iso8583.Spec87.Fields)}
			spec.Fields[52] = field.NewBinary(&field.Spec{Length: 8, Enc: encoding.BytesToASCIIHex, Pref: prefix.ASCII.Fixed})
		}
		conn := start(t, hexadecimal)
		for _, c := range cases {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				if diff := cmp.Diff(c.want, exchange(t, conn, spec, c.ask)); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// What the host cannot be, it refuses to be.
func TestListenRefuses(t *testing.T) {
	for name, config := range map[string]Config{
		"short key": {ZonePINKey: pan.NewSecret("0123456789ABCDEF")},
		"no key":    {ZonePINKey: pan.NewSecret("key")},
		"no card":   {Cards: []Card{{}}},
	} {
		if _, err := Listen("127.0.0.1:0", config); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Listen("127.0.0.1:-1", Config{}); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("address: %v", err)
	}
}
