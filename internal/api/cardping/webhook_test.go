package cardping_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/receiver"
	"github.com/scripcards/scrip/internal/webhook"
)

// signature is HMAC-SHA256 as RFC 2104 writes it, under a key of at most one block, in
// hex: nothing of the program's own goes into it.
func signature(secret, t, body string) string {
	var inner, outer [sha256.BlockSize]byte
	for i := range inner {
		char := byte(0)
		if i < len(secret) {
			char = secret[i]
		}
		inner[i], outer[i] = char^0x36, char^0x5c
	}
	first := sha256.Sum256(append(inner[:], t+"."+body...))
	second := sha256.Sum256(append(outer[:], first[:]...))
	return hex.EncodeToString(second[:])
}

// hooked makes a webhook of Acme's and returns its id and its secret.
func (b *bundle) hooked(events string) (id, secret string) {
	b.t.Helper()
	w := b.do("acme", "POST", "/v1/webhooks", `{"url":"`+b.receiver.URL+`/hook","events":`+events+`}`)
	var made struct{ ID, Secret string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 201 {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return made.ID, made.Secret
}

// message is a webhook's body.
type message struct {
	ID, Type  string
	CreatedAt string `json:"created_at"`
	Data      json.RawMessage
}

var signed = regexp.MustCompile(`^t=([0-9]+)((?:,v1=[0-9a-f]{64})+)$`)

// open checks a delivery as its receiver would and returns what is in it.
func open(t *testing.T, d receiver.Delivery, secret string, at time.Time) message {
	t.Helper()
	parts := signed.FindStringSubmatch(d.Get("CP-Signature"))
	if parts == nil {
		t.Fatalf("CP-Signature is %q", d.Get("CP-Signature"))
	}
	if parts[1] != strconv.FormatInt(at.Unix(), 10) {
		t.Errorf("signed at %s, sent at %d", parts[1], at.Unix())
	}
	if !slices.Contains(strings.Split(parts[2], ",v1="), signature(secret, parts[1], d.Body)) {
		t.Errorf("no signature of %s is made with the secret", d.Get("CP-Signature"))
	}
	var m message
	if err := json.Unmarshal([]byte(d.Body), &m); err != nil {
		t.Fatalf("%v in %s", err, d.Body)
	}
	return m
}

// A check is told to its webhook, signed: what is sent is what was answered. A card of
// high risk is told by a name that is the same every time and is not its number.
func TestChecksAreTold(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		_, secret := b.hooked(`["ping.completed","fraud.high_risk"]`)
		risky := strings.Replace(sample, "0011", "0044", 1)
		cards := map[string]bool{}
		for _, body := range []string{sample, risky, risky} {
			answer := b.do("acme", "POST", pingPath, body).Body.String()
			b.deliver()
			types := map[string]bool{}
			for _, d := range b.receiver.Take() {
				m := open(t, d, secret, b.clock.Now())
				types[m.Type] = true
				switch m.Type {
				case "ping.completed":
					if diff := cmp.Diff(answer, string(m.Data)); diff != "" {
						t.Errorf("told otherwise than answered: %s", diff)
					}
				case "fraud.high_risk":
					var risk struct {
						CardID string `json:"card_id"`
					}
					if err := json.Unmarshal(m.Data, &risk); err != nil || !strings.HasPrefix(risk.CardID, "card_") {
						t.Errorf("%v in %s", err, m.Data)
					}
					cards[risk.CardID] = true
				}
				if strings.Contains(d.Body, "6006491300") || strings.Contains(d.Body, "6006-4913") {
					t.Errorf("the event holds the number: %s", d.Body)
				}
			}
			if want := map[string]bool{"ping.completed": true}; body == sample && !cmp.Equal(want, types) {
				t.Errorf("told %v", types)
			}
		}
		if len(cards) != 1 {
			t.Errorf("one card has the names %v", cards)
		}
	})
}

// While a secret rotates both sign; after that, and after a second rotation, the older ones do not.
func TestRotation(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		id, first := b.hooked(`["*"]`)
		rotate := func() string {
			w := b.do("acme", "POST", "/v1/webhooks/"+id+"/rotate", "")
			var made struct{ Secret string }
			if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 200 || made.Secret == "" {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			return made.Secret
		}
		told := func(secrets ...string) {
			t.Helper()
			b.do("acme", "POST", pingPath, sample)
			b.deliver()
			got := b.receiver.Take()
			if len(got) != 1 {
				t.Fatalf("%d deliveries", len(got))
			}
			for _, secret := range secrets {
				open(t, got[0], secret, b.clock.Now())
			}
			if n := strings.Count(got[0].Get("CP-Signature"), "v1="); n != len(secrets) {
				t.Errorf("%d signatures, want %d", n, len(secrets))
			}
		}
		told(first)
		second := rotate()
		told(second, first)
		third := rotate()
		told(third, second)
		b.clock.Advance(25 * time.Hour)
		told(third)
	})
}

// A key that may not see cards' secrets cannot have a webhook that is sent them lead to itself,
// nor learn what it is signed with.
func TestWebhookOfSecrets(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.key("writer", b.acme.Test, account.ScopeWebhookWrite)
	made, err := b.Webhooks.Create(t.Context(), webhook.NewEndpoint{Book: b.acme.Test, Realm: realm.Test, URL: b.receiver.URL,
		Events: []string{"*"}, Scheme: webhook.SchemeCryptoCardy, Actor: seeder})
	check.OK(t, err)
	for _, key := range []struct {
		name   string
		status [3]int
	}{{"writer", [3]int{403, 403, 403}}, {"rival", [3]int{404, 404, 404}}, {"acme", [3]int{200, 200, 204}}} {
		at := "/v1/webhooks/" + string(made.ID)
		got := [3]int{b.do(key.name, "PATCH", at, `{"url":"`+b.receiver.URL+`/other"}`).Code, b.do(key.name, "POST", at+"/rotate", "").Code,
			b.do(key.name, "DELETE", at, "").Code}
		check.Equal(t, key.name, got, key.status)
	}
}

// The guide's ways to verify, in Python and JavaScript, take what is sent and nothing else.
func TestGuideVerifies(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	_, secret := b.hooked(`["ping.completed"]`)
	b.do("acme", "POST", pingPath, sample)
	b.deliver()
	got := b.receiver.Take()
	if len(got) != 1 {
		t.Fatalf("%d deliveries", len(got))
	}
	for _, with := range []struct {
		tool, language string
		args           []string
		last           string
	}{
		{"python3", "python", []string{"-c"}, `
import sys
body, header, secret, now = sys.argv[1:]
sys.exit(0 if verify(body.encode(), header, secret, int(now)) else 1)`},
		{"node", "js", []string{"--input-type=module", "-e"}, `
const [body, header, secret, now] = process.argv.slice(1);
process.exit(verify(Buffer.from(body), header, secret, Number(now)) ? 0 : 1);`},
	} {
		t.Run(with.language, func(t *testing.T) {
			if _, err := exec.LookPath(with.tool); err != nil {
				if testing.Short() {
					t.Skip(with.tool + " is not on PATH, and this is a short run")
				}
				t.Fatalf("%s is not on PATH: install it (Debian: apt-get install nodejs python3)", with.tool)
			}
			args := append(with.args, documented(t, with.language)+with.last)
			for _, c := range received(got[0], secret, b.clock.Now().Unix()) {
				out, err := exec.Command(with.tool, append(args, c.body, c.header, c.secret, strconv.FormatInt(c.now, 10))...).CombinedOutput()
				if len(out) > 0 || (err == nil) != c.good {
					t.Errorf("%s: %v %s", c.name, err, out)
				}
			}
		})
	}
}

// reception is what a receiver may get, and whether it is good.
type reception struct {
	name, header, body, secret string
	now                        int64
	good                       bool
}

func received(d receiver.Delivery, secret string, now int64) []reception {
	_, signatures, _ := strings.Cut(d.Get("CP-Signature"), ",")
	at := func(t int64) string { return "t=" + strconv.FormatInt(t, 10) }
	return []reception{
		{"as sent", d.Get("CP-Signature"), d.Body, secret, now, true},
		{"beside another signature", at(now) + ",v1=" + strings.Repeat("0", 64) + "," + signatures, d.Body, secret, now, true},
		{"a little late", d.Get("CP-Signature"), d.Body, secret, now + 299, true},
		{"too late", d.Get("CP-Signature"), d.Body, secret, now + 301, false},
		{"too early", d.Get("CP-Signature"), d.Body, secret, now - 301, false},
		{"another body", d.Get("CP-Signature"), d.Body + " ", secret, now, false},
		{"another secret", d.Get("CP-Signature"), d.Body, secret + "x", now, false},
		{"another time", at(now+1) + "," + signatures, d.Body, secret, now, false},
		{"two times", at(now) + "," + d.Get("CP-Signature"), d.Body, secret, now, false},
		{"no signature", at(now), d.Body, secret, now, false},
		{"nothing", "", d.Body, secret, now, false},
		{"a signature without a value", at(now) + ",v1", d.Body, secret, now, false},
		{"a signature of other letters", at(now) + ",v1=é", d.Body, secret, now, false},
		{"a time that is no number", "t=²," + signatures, d.Body, secret, now, false},
		{"a time beyond all", "t=" + strings.Repeat("9", 5000) + "," + signatures, d.Body, secret, now, false},
	}
}
