package webhook

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
)

// The signatures are those that openssl makes: printf '%s' "$text" | openssl dgst -sha256 -hmac "$secret".
func TestSignKnownAnswers(t *testing.T) {
	m := Message{
		Delivery: "whd_1", Type: "ping.completed", Body: []byte(`{"id":"evt_1"}`), At: time.Unix(1795251600, 0),
		Secrets: []pan.Secret{pan.NewSecret("whsec_new"), pan.NewSecret("whsec_old")},
	}
	for i, want := range []map[string]string{
		{"CP-Signature": "t=1795251600,v1=" + knownCardPing + ",v1=" + knownCardPingOld},
		{
			"X-CryptoCardy-Signature": knownCryptoCardy, "X-CryptoCardy-Signature-Previous": knownCryptoCardyOld,
			"X-CryptoCardy-Event": "ping.completed", "X-CryptoCardy-Delivery": "whd_1", "X-CryptoCardy-Timestamp": "1795251600",
		},
	} {
		h := BuiltInSchemes()[i].Sign(m)
		if len(h) != len(want) {
			t.Errorf("headers %v", h)
		}
		for name, value := range want {
			if h.Get(name) != value {
				t.Errorf("%s: %s, want %s", name, h.Get(name), value)
			}
		}
	}
}

const (
	knownCardPing       = "27243fecd6a07132fd131999e7d1eba6e51f5b52822e05bcfaa9b9734b8f4804"
	knownCardPingOld    = "38d656951a42646c0ec72a27a5fca987f17d4adda7ed7f70d7f72134685c4a27"
	knownCryptoCardy    = "524a882ca2d965949ec9adaa453d8d4f0f2d6dc200a4f7b107d30f8e6be1a034"
	knownCryptoCardyOld = "00408634bb9bb82b7c9e724eba58146dbbe1663ee7a2a2819363a5e120eba429"
)

// A signature is good for its body, its secret and five minutes, whatever else stands in the header.
func TestVerifyCardPing(t *testing.T) {
	secret, body, now := pan.NewSecret("whsec_0123456789"), []byte(`{"a":1}`), time.Unix(1795251600, 0)
	sign := func(at time.Time, secrets ...pan.Secret) string {
		return signCardPing(Message{Body: body, At: at, Secrets: secrets}).Get(HeaderCardPing)
	}
	good := sign(now, secret)
	_, v1, _ := strings.Cut(good, ",")
	other := pan.NewSecret("whsec_another")
	for header, want := range map[string]fault.Code{
		good:                                         "",
		strings.ReplaceAll(good, ",", ", "):          "",
		v1 + ",t=1795251600":                         "",
		good + ",v2=abc,new=1":                       "",
		sign(now, other, secret):                     "",
		strings.ToUpper(good[:2]) + good[2:]:         fault.SignatureInvalid,
		sign(now.Add(-300*time.Second), secret):      "",
		sign(now.Add(300*time.Second), secret):       "",
		sign(now.Add(-301*time.Second), secret):      fault.TimestampSkewed,
		sign(now.Add(301*time.Second), secret):       fault.TimestampSkewed,
		sign(now.Add(-9999*time.Second), other):      fault.SignatureInvalid,
		sign(now, other):                             fault.SignatureInvalid,
		"":                                           fault.SignatureInvalid,
		v1:                                           fault.SignatureInvalid,
		"t=1795251600":                               fault.SignatureInvalid,
		"t=1795251601," + v1:                         fault.SignatureInvalid,
		"t=01795251600," + v1:                        fault.SignatureInvalid,
		"t=+1795251600," + v1:                        fault.SignatureInvalid,
		"t=-1," + v1:                                 fault.SignatureInvalid,
		"t=99999999999999999999," + v1:               fault.SignatureInvalid,
		good + ",t=1795251600":                       fault.SignatureInvalid,
		good + ",v1=zz":                              fault.SignatureInvalid,
		good + ",nonsense":                           fault.SignatureInvalid,
		good[:len(good)-2]:                           fault.SignatureInvalid,
		"t=1795251600" + strings.Repeat(","+v1, 9):   fault.SignatureInvalid,
		good + "," + strings.Repeat("x", 1024) + "=": fault.SignatureInvalid,
	} {
		if got := fault.CodeOf(verifyCardPing(header, body, secret, now)); got != want {
			t.Errorf("%.80s: %q, want %q", header, got, want)
		}
	}
	if verifyCardPing(good, []byte(`{"a":2}`), secret, now) == nil {
		t.Error("another body passes")
	}
	if verifyCardPing(sign(now, pan.Secret{}), body, pan.Secret{}, now) == nil {
		t.Error("an empty secret passes")
	}
}

// Any header is read or refused; what passes was signed.
func FuzzParseCardPing(f *testing.F) {
	secret, body := pan.NewSecret("whsec_fuzz"), []byte("body")
	at := time.Unix(1795251600, 0)
	f.Add(signCardPing(Message{Body: body, At: at, Secrets: []pan.Secret{secret}}).Get(HeaderCardPing))
	f.Add("t=1,v1=00")
	f.Add("t=1,,v1=" + strings.Repeat("0f", 32))
	f.Fuzz(func(t *testing.T, header string) {
		seconds, signatures, ok := parseCardPing(header)
		err := verifyCardPing(header, body, secret, time.Unix(seconds, 0))
		if !ok {
			if fault.CodeOf(err) != fault.SignatureInvalid {
				t.Errorf("%q: %v", header, err)
			}
			return
		}
		if seconds < 0 || len(signatures) == 0 || len(signatures) > maxSignatures {
			t.Errorf("%q is read as %d, %d signatures", header, seconds, len(signatures))
		}
		want := hex.EncodeToString(mac(secret, []byte(strconv.FormatInt(seconds, 10)+"."), body))
		if signed := strings.Contains(strings.ToLower(header), want); signed != (err == nil) {
			t.Errorf("%q: %v", header, err)
		}
	})
}

// A pause that an endpoint asks for is never negative and never above a day.
func FuzzRetryAfter(f *testing.F) {
	for _, text := range []string{"120", "Sat, 21 Nov 2026 10:00:00 GMT", "-1", "99999999999", "1e3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d := retryAfter(text, epoch); d < 0 || d > maxRetryAfter {
			t.Errorf("%q asks for %s", text, d)
		}
	})
}

// Any text is a cursor of a list of events or none.
func FuzzEventCursor(f *testing.F) {
	e := Event{ID: NewEventID(), Book: book, At: epoch}
	f.Add(string(e.Cursor()))
	f.Add("MS8vZXZ0")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseCursor(Cursor(text))
		if !ok {
			return
		}
		if again, ok := parseCursor(got.Cursor()); !ok || again.ID != got.ID || again.Book != got.Book || !again.At.Equal(got.At) {
			t.Errorf("%q is read as %+v, then as %+v", text, got, again)
		}
	})
}

// The data of an event are written as they are built: texts are quoted, numbers are not,
// and what is empty is left out.
func TestData(t *testing.T) {
	if got := string((&Data{}).JSON()); got != "{}" {
		t.Errorf("no data are %s", got)
	}
	got := string((&Data{}).Int("n", -1).Text("a", "quote \" it").Text("empty", "").Int("zero", 0).JSON())
	if want := `{"n":-1,"a":"quote \" it","zero":0}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The published clients are held to vectors that say of signatures what these tests do.
func TestSharedVectors(t *testing.T) {
	text, err := os.ReadFile("../../sdk/testdata/webhooks.json")
	if err != nil {
		t.Fatal(err)
	}
	var shared struct {
		Vectors []struct {
			Name, Secret, Header, Body string
			Now                        int64
			Fault                      fault.Code
		}
	}
	if err := json.Unmarshal(text, &shared); err != nil || len(shared.Vectors) < 30 {
		t.Fatalf("%d vectors, %v", len(shared.Vectors), err)
	}
	for _, v := range shared.Vectors {
		err := verifyCardPing(v.Header, []byte(v.Body), pan.NewSecret(v.Secret), time.Unix(v.Now, 0))
		if v.Fault == "" && err != nil || v.Fault != "" && fault.CodeOf(err) != v.Fault {
			t.Errorf("%s: %v, want %q", v.Name, err, v.Fault)
		}
	}
}
