package telemetry

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/id"
)

// What Redact makes of a text, as "text → what is left of it"; · stands for the mask.
func TestRedact(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(redactTable), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		text, want, ok := strings.Cut(line, " → ")
		if !ok {
			want = text // a line without an arrow stays as it is
		}
		want = strings.ReplaceAll(want, "·", Masked)
		if got := Redact(text); got != want {
			t.Errorf("Redact(%s)\n got %s\nwant %s", text, got, want)
		}
		if again := Redact(want); again != want {
			t.Errorf("Redact(%s) = %s: a second time changes more", want, again)
		}
	}
}

const redactTable = `
# Card numbers: 13 to 19 digits, and more, grouped or not, with a good check digit or not.
card 4111111111111111 declined → card · declined
4916530123452039 → ·
378282246310005, 6759649826438453 → ·, ·
5019717010103742555 → ·
4222222222222 → ·
pan=4111 1111 1111 1111; → pan=·;
card_number: 4916 5301 2345 2039, pin: 1234 → card_number: ·, pin: ·
{PAN:4916 5301 2345 2039 PIN:1234} → {PAN:· PIN:·}
4916 5301 2345 2039 → ·
6006-4913-0000-0011 → ·
3782 822463 10005 → ·
4111--1111 - 1111 1111 → ·
4111 1111 1111 1111 2512 → ·
41111111111111112512101000 → ·
(4111111111111111) → (·)
"4111111111111111" → "·"
card4111111111111111 → card·
4111111111111111x → ·x
track ;4111111111111111=2512101? → track ;·=2512101?
escaped\n4916530123452039\n → escaped\n·\n
1. 4111111111111111 → 1. ·
2026-11-21 4111 1111 1111 1111 → 2026-11-21 ·
1795254282529 4916530123452039 → 1795254282529 ·
4916530123452039 2026-11-21 → · 2026-11-21
10 20 30 4111111111111111 → ·

# Twelve digits are none, nor are times, dates, ids, hashes, ratios and lists.
order 411111111111
1795254282529
at 1795254282529123 and 1795254282529123456
2026-11-21 2026-11-22 2026-11-23
2026-11-21T09:44:42.529123Z
took 1234.567890123s
10 20 30 40 50 60 70
1 2 3 4 5 6 7 8 9 10 11
ratio 0.3333333333333333
127.0.0.1:8420 [::1]:80 192.168.100.200:65535
txn_01m7yqwt92e81v2cwcx6nn5pgh
12345678-1234-4234-8234-12345678901a
a2345678-1234-4234-8234-123456789012
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
000000000000000000024bead8df69990852c202db0e0097c1a12ea637d7e96d
d41d8cd98f00b204e9800998ecf84111111111111111
47.50 USD 100000000 sat
5 of 12 hold_01m7yqwt92e81v2cwcx6nn5pgh

# Tokens of every kind.
gift card GC1234567890123456 → gift card ·
unknown command "GC1544518507147827" → unknown command "·"
xGC1234567890123456x → x·x
gift card gc8070605040302010 → gift card ·
KEY_0123456789abcdef0123456789abcdef → ·
Key:KEY_abc123def456 → Key:·
xKEY_0123456789abcdef → x·
cp_live_sk_demo → ·
"cp_test_sk_a-b_c" → "·"
(op_demo) → (·)
op_4f3k2-x_y → ·
ms_0123456789012345678901234567890123456789abcd → ·
whsec_abc-123 → ·
cp_live_sk_ is how keys begin
KEY_ROTATION KEY_FILE SCRIP_MASTER_KEY_FILE
desktop_abcd shop_items ms_1234 top_ten
opr_01m7yqwt92e81v2cwcx6nn5pgh key_01m7yqwt92e81v2cwcx6nn5pgh
c4f4-6e88-036c-761c → ·
seed:c4f4-6e88-036c-761c. → seed:·
ffffc4f4-6e88-036c-761c
c4f4-6e88-036c-761cffff
1234-5678-9012-345a → ·a

# Credentials and URLs.
Authorization: Bearer eyJhbGciOi.x_y-z → Authorization: ·
bearer abc123DEF → bearer ·
BEARER   AbC → BEARER   ·
bearer token is missing
Basic dXNlcjpwYXNz → Basic ·
basic checks passed
postgres://scrip:hunter2@db.internal/scrip → postgres://scrip:·@db.internal/scrip
postgresql://u:p:q@h → postgresql://u:·@h
postgres://u:pa/ss@h/d → postgres://u:·@h/d
https://u:p@h/x?y → https://u:·@h/x?y
https://h:8080/a@b
https://h/?to=a@b.example
postgres://scrip@db.example/scrip
http://127.0.0.1:8420
"postgres://u:p@h" → "postgres://u:·@h"

# Values with a secret's name.
password=hunter2 user=x → password=· user=x
PASSWORD = hunter2 → PASSWORD = ·
?api_key=abc&x=1 → ?api_key=·&x=1
{"pin":"1234","cvv": 123} → {"pin":"·","cvv": ·}
{\"pin\":\"12\\\"34\"} → {\"pin\":\"·\"}
{"token":"a\"b","x":1} → {"token":"·","x":1}
"cardNumber": "12 34" → "cardNumber": "·"
clientSecret=x card_pin=1 userPin:2 X-API-Key:3 → clientSecret=· card_pin=· userPin:· X-API-Key:·
secret => x1 → secret => ·
X-Seed: C4F4 → X-Seed: ·
Cookie: a=b; c=d → Cookie: ·
set-cookie: a=b → set-cookie: ·
pins:[1 2] x → pins:· x
pin: wrong length
secret: want 32 bytes
password: hunter2 → password: ·
"password": swordfish → "password": ·
pin= pin=<nil> pin=null token=false
ping=1 span=2 japan:3 code=timeout code: 12 key: x
code=ABCD-EFGH → code=·
"code":"insufficient_funds" "code":"ABCD" → "code":"insufficient_funds" "code":"·"
key=key_01m7yqwt92e81v2cwcx6nn5pgh
key=abc → key=·
capture hold hold_01: insufficient_funds: 47.50 USD
dial tcp 127.0.0.1:5432: connect: connection refused
`

// A printed value is read more strictly than prose: its fields have names.
func TestRedactFields(t *testing.T) {
	for text, want := range map[string]string{
		"{Code:ABCD Key:x Name:y}":                              "{Code:· Key:· Name:y}",
		"{Code:timeout Key:key_01m7yqwt92e81v2cwcx6nn5pgh}":     "{Code:timeout Key:key_01m7yqwt92e81v2cwcx6nn5pgh}",
		"map[pin:1234 x:1]":                                     "map[pin:· x:1]",
		"{PIN:swordfish}":                                       "{PIN:·}",
		"[52 49 49 49 49 49 49]":                                "[·]",
		"{At:2026-11-21 09:44:42 +0000 UTC Sum:1 N:2 List:[1]}": "{At:2026-11-21 09:44:42 +0000 UTC Sum:1 N:2 List:[1]}",
		"{Token:{A:1 B:{C:2}} X:1}":                             "{Token:· X:1}",
		"{Token:{A:1":                                           "{Token:·",
	} {
		if got := redact(text, true); got != strings.ReplaceAll(want, "·", Masked) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Our own ids are never masked, in whatever company.
func TestRedactLeavesIDs(t *testing.T) {
	const digits = "ids wh_01m8h91jk7ep08738201758619, txn_01234567890123456789012345 and req_01m8h91jk44111111111111111" // which stand for one in thousands
	if got := Redact(digits); got != digits {
		t.Errorf("%s became %s", digits, got)
	}
	for _, text := range []string{"number_4111111111111111", "wh_4111111111111111 0123456789"} {
		if got := Redact(text); got == text {
			t.Errorf("%s was left", text)
		}
	}
	for _, prefix := range []string{"txn", "hold", "bk", "cus", "key", "opr", "req", "gc", "evt", "wh", "job"} {
		for range 500 {
			text := fmt.Sprintf("kind=%s id=%s, %s", prefix, id.New(prefix), id.New(prefix))
			if diff := cmp.Diff(text, Redact(text)); diff != "" {
				t.Fatal(diff)
			}
		}
	}
}

// Names are told apart however they are written.
func TestClassify(t *testing.T) {
	for class, names := range map[nameClass]string{
		secretName: "pin PIN cvv CVV2 api_key apiKey API-KEY X-API-Key x_seed seed password userPassword secret client.secret token accessToken pan " +
			"cardNumber card_number otp cardPin CardPIN redemption_code webhook-signature master_key averyveryveryveryveryveryveryveryverylong_pin",
		headerName:   "authorization Authorization cookie Set-Cookie",
		doubtfulName: "key Key code CODE",
		plainName: "kind route status error_code status_code country_code key_id public_key idempotency_key ping span japan spin stop proceed pin_attempts " +
			"token_type secretary passport id x 0 subject took request_id job typing",
	} {
		for name := range strings.FieldsSeq(names) {
			if got := classify(name); got != class {
				t.Errorf("%s is of class %d, want %d", name, got, class)
			}
		}
	}
	if classify("") != plainName {
		t.Error("no name is secret")
	}
}

// Texts that are made to be slow to search are searched in linear time: each has 400,000
// bytes, which a quadratic search would not finish.
func TestRedactLongTexts(t *testing.T) {
	for _, part := range []string{"1 ", "10 20 30 ", "://", "://a:", "bearer ", "basic ", "pin:[", "cookie:" + Masked, "a4111111111111111", "4111-", "KEY_", "op_", "\"pin\":\"", "c4f4-", "2026-11-21 ", "1795254282529 ", "=", "pin:{", "\\\\", "\\\"pin\\\":\\\""} {
		text := strings.Repeat(part, 400_000/len(part))
		if got := Redact(text); len(got) == 0 {
			t.Errorf("nothing is left of %q", part)
		}
	}
}

// secrets are texts that no log may show.
var secrets = []string{
	"cp_live_sk_4f3k2", "cp_test_sk_demo", "op_demo", "whsec_abc-123", "KEY_abc123def456", "GC1234567890123456", "c4f4-6e88-036c-761c",
	"4916530123452039", "4916 5301 2345 2039", "6006-4913-0000-0011", "378282246310005", "hunter2pass", "eyJhbGciOi.xyz",
}

// dangerous is a text in which a secret may travel.
func dangerous(secret string) string {
	switch secret {
	case "hunter2pass":
		return "postgres://scrip:hunter2pass@db.internal/scrip"
	case "eyJhbGciOi.xyz":
		return "Authorization: Bearer eyJhbGciOi.xyz"
	}
	return "card " + secret + " failed"
}

// Whatever stands around a secret, it is masked, in prose and in printed values.
func FuzzRedact(f *testing.F) {
	for _, s := range secrets {
		f.Add(dangerous(s), "")
		f.Add("", dangerous(s))
	}
	for line := range strings.Lines(redactTable) {
		f.Add(line, line)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, secret := range []string{"4916530123452039", "6006-4913-0000-0011", "cp_live_sk_4f3k2", "KEY_abc123def456", "c4f4-6e88-036c-761c", "GC1234567890123456"} {
			text := before + " " + secret + " " + after
			clean := Redact(text)
			if strings.Contains(clean, " "+secret+" ") {
				t.Fatalf("Redact(%q) shows %s: %q", text, secret, clean)
			}
			if printed := redact(text, true); strings.Contains(printed, " "+secret+" ") {
				t.Fatalf("printed %q shows %s: %q", text, secret, printed)
			}
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	for name, text := range map[string]string{
		"clean": "the request was answered", "ids": "capture hold hold_01m7yqwt92e81v2cwcx6nn5pgh of book bk_01m7yqwt92e81v2cwcx6nn5pgh: insufficient_funds",
		"card": "card 4111111111111111 declined",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Redact(text)
			}
		})
	}
}
