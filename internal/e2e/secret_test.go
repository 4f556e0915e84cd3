package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever calls are made, good or bad, no card number, PIN, key, code in stock, API key or
// secret of a customer's, a network's or a captcha's is in clear, in hex or in base64 in the
// database, a backup, or what the processes write.
func TestSecretsAreNowhere(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		s := &secrecy{t: t, at: at, secrets: map[string]string{}, told: map[string]string{}}
		customer, others := s.set(), s.connect()
		s.furnish(customer, others)
		server := at.start(t, append(others.flags(), "--log-level", "debug", "--log-format", "json", "--issuing", "--iso8583", "127.0.0.1:0")...)
		s.calls(server.base)
		s.virtual(server.base, customer)
		s.paid(server)
		s.orders(server.base)
		s.checks(server.base)
		s.visits(server.base)
		s.trap(server.base)
		s.operate(server.base, customer)
		s.mentions(server.stderr)
		s.search("beside a server", server)

		// What a crash leaves behind is another state of the files.
		server.kill()
		s.search("after a crash", server)

		second := at.start(t, append(others.flags(), "--log-level", "debug", "--log-format", "text")...)
		s.mistakes(second.base)
		s.signed(second.base)
		second.stop(t)
		s.command("giftcard", "show", s.secrets["a card's number"], "--log-level", "debug")
		s.command("key", "list", "--customer", customer, "--log-level", "debug")
		s.command("merchant", "list", "--customer", customer, "-o", "json")
		s.command("verify", "--log-level", "debug")
		s.mistaken("giftcard", s.secrets["a card's number"])
		s.mistaken("key", "revoke", s.key, "--customer", customer, "--realm", "live")
		s.search("after a stop", second)
		s.controls(server, second)
	})
}

// secrecy is a search for secrets that were used.
type secrecy struct {
	t       *testing.T
	at      *installation
	secrets map[string]string // what it is → the text
	numbers []string          // of virtual cards
	codes   []string          // their security codes
	key     string
	client  string
	signing string
	backups int
	told    map[string]string // what a log at level debug says of what was done
}

// add has a text looked for from now on.
func (s *secrecy) add(what, secret string) {
	s.t.Helper()
	if len(secret) < 8 {
		s.t.Fatalf("%s is %q", what, secret)
	}
	s.secrets[what] = secret
}

// set makes an operator and a customer with all kinds of credentials, and returns the customer.
func (s *secrecy) set() string {
	t, at := s.t, s.at
	s.add("an operator's key", at.fields(t, "operator", "create", "--name", "Ada")["secret"])
	customer := at.fields(t, "customer", "create", "--name", "Corner Bakery")["customer_id"]
	owner := []string{"--customer", customer, "--realm", "live"}
	with := func(args ...string) []string { return append(args, owner...) }

	first := at.fields(t, with("key", "create", "--name", "till")...)
	s.add("an API key", first["secret"])
	s.key = at.fields(t, with("key", "rotate", first["key_id"])...)["secret"]
	s.add("a rotated API key", s.key)

	signer := at.fields(t, with("merchant", "create", "--name", "shop")...)
	s.add("a signing secret", signer["secret"])
	s.client = signer["client_id"]
	s.signing = at.fields(t, with("merchant", "rotate", s.client)...)["secret"]
	s.add("a rotated signing secret", s.signing)

	at.run(t, "template", "add", "--id", "template_001", "--name", "Holiday", "--cover", filepath.Join("testdata", "cover.png"))
	card := at.fields(t, with("giftcard", "create", "--title", "From the desk", "--template", "template_001", "--amount", "50")...)
	s.add("a desk card's number", card["number"])
	s.add("a desk card's key", card["key"])

	list := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(list, []byte("title,templateId,currency,amount\nFrom a list,template_001,USD,5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	made := strings.Split(strings.TrimSpace(at.run(t, with("giftcard", "import", list)...)), ",")
	s.add("an imported card's number", made[len(made)-2])
	s.add("an imported card's key", made[len(made)-1])

	master, err := os.ReadFile(filepath.Join(at.dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	s.add("the master key", strings.TrimSpace(string(master)))
	return customer
}

func (s *secrecy) caller(base string) *caller {
	c := newCaller(s.t, base, 1)
	c.key = s.key
	return c
}

// calls makes every kind of call that the dialect has.
func (s *secrecy) calls(base string) {
	t, shop := s.t, s.caller(base)
	card := shop.newCard(t, "100", "one")
	s.add("a card's number", card.CardNumber)
	s.add("a card's digits", strings.TrimPrefix(card.CardNumber, "GC"))
	s.add("a card's key", card.Key)
	s.add("the random part of a card's key", strings.TrimPrefix(card.Key, "KEY_"))
	byNumber := func(reference, amount string) values {
		return values{"cardNumber": card.CardNumber, "amount": amount, "currency": "USD", "merchantTradeNo": reference}
	}
	var held movement
	shop.must(t, "giftcard/redeem", byNumber("two", "10"), nil)
	shop.must(t, "giftcard/redeem", values{"key": card.Key, "amount": "1", "currency": "USD", "merchantTradeNo": "three"}, nil)
	shop.must(t, "giftcard/redeem/refund", values{"originalMerchantTradeNo": "two", "amount": "3", "currency": "USD", "merchantTradeNo": "four"}, nil)
	shop.must(t, "giftcard/hold", byNumber("five", "20"), &held)
	shop.must(t, "giftcard/capture", values{"holdId": held.HoldID, "amount": "5", "currency": "USD", "merchantTradeNo": "six"}, nil)
	shop.must(t, "giftcard/void", values{"holdId": held.HoldID, "merchantTradeNo": "seven"}, nil)
	shop.must(t, "giftcard/reload", byNumber("eight", "2"), nil)
	shop.must(t, "gift/query", values{"key": card.Key}, nil)
	for _, path := range []string{"balance/query", "giftcard/query"} {
		for _, query := range []values{{"cardNumber": card.CardNumber}, {"key": card.Key}} {
			if r, err := shop.get(t.Context(), path, query); err != nil || !r.ok() {
				t.Fatalf("%s: %v %v", path, &r, err)
			}
		}
	}
	ended := shop.newCard(t, "7", "nine")
	s.add("a cancelled card's number", ended.CardNumber)
	s.add("a cancelled card's key", ended.Key)
	shop.must(t, "giftcard/cancel", values{"cardNumber": ended.CardNumber, "reason": "lost"}, nil)
	shop.must(t, "giftcard/cancel", values{"key": ended.Key, "reason": "lost"}, nil)
}

// mistakes makes calls that are refused, with secrets where they belong and where they do not.
func (s *secrecy) mistakes(base string) {
	shop := s.caller(base)
	number, key := s.secrets["a card's number"], s.secrets["a card's key"]
	strange := "GC0123456789012345"
	s.add("an unknown card's number", strange)
	s.add("an unknown key", "KEY_0123456789abcdef0123456789abcdef")
	s.add("an unknown API key", "cp_live_sk_nobodyhasthiskeynobodyhasthiskey")
	for _, body := range []string{
		`{"cardNumber":"` + number + `","amount":"1000","currency":"USD","merchantTradeNo":"a"}`,
		`{"cardNumber":"` + number + `","amount":"1","currency":"EUR","merchantTradeNo":"b"}`,
		`{"cardNumber":"` + number + `","amount":"` + key + `","currency":"` + number + `","merchantTradeNo":"c"}`,
		`{"cardNumber":"` + number + `","amount":"2","currency":"USD","merchantTradeNo":"two"}`,
	} {
		s.refused(shop, http.MethodPost, "/v1/pay/giftcard/redeem", body)
	}
	for _, body := range []string{
		`{"cardNumber":"` + number + `","key":"` + key + `"}`,
		`{"cardNumber":"` + strange + `","amount":"1","currency":"USD","merchantTradeNo":"d"}`,
		`{"key":"` + s.secrets["an unknown key"] + `","amount":"1","currency":"USD","merchantTradeNo":"e"}`,
		`{"cardNumber":"` + number,
		`{"cardNumber":` + number + `}`,
		`{"cardNumber":["` + number + `"]}`,
		`{"` + number + `":"` + key + `"}`,
		`{"cardNumber":"` + number + `","cardNumber":"` + number + `"}`,
		`{"holdId":"` + number + `","merchantTradeNo":"` + strings.Repeat("x", 65) + `"}`,
	} {
		for _, path := range []string{"redeem", "redeem/refund", "hold", "capture", "void", "reload", "cancel", "create", "batch"} {
			s.refused(shop, http.MethodPost, "/v1/pay/giftcard/"+path, body)
		}
		s.refused(shop, http.MethodPost, "/v1/pay/gift/query", body)
	}
	for _, path := range []string{"/v1/pay/balance/query?cardNumber=" + strange, "/v1/pay/giftcard/query?key=" + key + "&cardNumber=" + number,
		"/v1/pay/giftcard/" + number, "/" + key, "/v1/pay/giftcard/template/cover/" + number, "/v1/pay/balance/query?" + number + "=" + key} {
		s.refused(shop, http.MethodGet, path, "")
	}
	stranger := s.caller(base)
	stranger.key = s.secrets["an unknown API key"]
	s.refused(stranger, http.MethodGet, "/v1/pay/balance/query?cardNumber="+number, "")
	s.refused(shop.signing(s.client, s.key), http.MethodGet, "/v1/pay/balance/query?cardNumber="+number, "")
	s.refused(shop.signing(s.signing, s.signing), http.MethodGet, "/v1/pay/balance/query?key="+key, "")
}

// refused makes a call that must not succeed.
func (s *secrecy) refused(c *caller, method, path, body string) {
	s.t.Helper()
	answer, err := c.send(s.t.Context(), method, path, []byte(body))
	if err != nil || answer.HTTP < 400 || answer.HTTP >= 500 {
		s.t.Errorf("%s %s %s: %v %v, want a refusal", method, path, body, &answer, err)
	}
}

// signed makes calls under the merchant's signature.
func (s *secrecy) signed(base string) {
	shop := s.caller(base).signing(s.client, s.signing)
	card := shop.newCard(s.t, "12", "ten")
	s.add("a signed card's number", card.CardNumber)
	s.add("a signed card's key", card.Key)
	shop.must(s.t, "giftcard/redeem", values{"cardNumber": card.CardNumber, "amount": "12", "currency": "USD", "merchantTradeNo": "eleven"}, nil)
	shop.statement(s.t, card.CardNumber)
}

// command runs a command that has no secret to show.
func (s *secrecy) command(args ...string) {
	s.t.Helper()
	cmd := s.at.command(s.t, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("scrip %v: %v\n%s", args[:2], err, out)
	}
	s.look("the output of scrip "+strings.Join(args[:2], " "), out)
}

// mistaken runs a command that has a secret where none belongs, and must not repeat it.
func (s *secrecy) mistaken(args ...string) {
	s.t.Helper()
	out, err := s.at.command(s.t, args...).CombinedOutput()
	if err == nil {
		s.t.Errorf("scrip %s is done: %s", args[0], out)
	}
	s.look("what scrip "+args[0]+" says of a mistake", out)
}

// search looks through everything that is on disk or was written.
func (s *secrecy) search(when string, servers ...*process) {
	s.t.Helper()
	for _, p := range servers {
		s.look("stdout "+when, []byte(p.stdout.String()))
		s.look("the log "+when, []byte(p.stderr.String()))
	}
	for name, text := range s.files() {
		s.look(name+" "+when, text)
	}
	for name, text := range s.backup() {
		s.look(name+" of a backup "+when, text)
	}
}

// files reads what is in the data directory.
func (s *secrecy) files() map[string][]byte {
	s.t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(s.at.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		found[entry.Name()], err = os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // a file of SQLite's that came and went
			err = nil
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// backup makes a backup, which has every row of either engine, and unpacks it.
func (s *secrecy) backup() map[string][]byte {
	s.t.Helper()
	s.backups++
	path := filepath.Join(s.t.TempDir(), fmt.Sprintf("%d.backup", s.backups))
	s.at.run(s.t, "backup", path)
	file, err := os.Open(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // only read
	found := map[string][]byte{}
	for archive := tar.NewReader(file); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err == nil {
			found[entry.Name], err = unpacked(entry.Name, archive)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func unpacked(name string, r io.Reader) ([]byte, error) {
	if filepath.Ext(name) == ".gz" {
		zipped, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		r = zipped
	}
	return io.ReadAll(r)
}

// look searches a text for every secret in every form.
func (s *secrecy) look(where string, text []byte) {
	s.t.Helper()
	for what, secret := range s.secrets {
		if what == "the master key" && strings.HasPrefix(where, "master.key ") {
			continue // which is where it belongs
		}
		for form, hidden := range forms(secret) {
			if at := bytes.Index(text, []byte(hidden)); at >= 0 {
				s.t.Errorf("%s has %s in %s: …%q…", where, what, form, text[max(0, at-80):min(len(text), at+len(hidden)+20)])
			}
		}
	}
}

// forms returns a secret as it may stand somewhere.
func forms(secret string) map[string]string {
	whole := secret[:len(secret)/3*3] // so that base64 does not depend on what follows
	return map[string]string{
		"clear": secret, "lower-case hex": hex.EncodeToString([]byte(secret)), "upper-case hex": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"base64": base64.StdEncoding.EncodeToString([]byte(whole)), "base64 for URLs": base64.URLEncoding.EncodeToString([]byte(whole)),
	}
}

// controls proves that the search reads what it should: what is no secret is found.
func (s *secrecy) controls(servers ...*process) {
	s.t.Helper()
	for _, p := range servers {
		if !strings.Contains(p.stderr.String(), "giftcard.redeem") {
			s.t.Error("the log does not tell of a redemption at level debug")
		}
	}
	read := s.backup()
	if s.at.database == "" {
		for name, text := range s.files() {
			read[name] = text
		}
	}
	for _, known := range []string{"From the desk", "Partner Cards", "cards.corner.example", s.client} {
		found := false
		for _, text := range read {
			found = found || bytes.Contains(text, []byte(known))
		}
		if !found {
			s.t.Errorf("%q was not found, although it is stored in clear", known)
		}
	}
}
