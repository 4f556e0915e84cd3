package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// counterparties are those whom a server asks, with the secrets that are in files.
type counterparties struct {
	folder  string // of the files
	partner *httptest.Server
	captcha *httptest.Server
}

// flags are what a server needs to ask them.
func (c *counterparties) flags() []string {
	return []string{"--secrets", c.folder, "--captcha", "turnstile", "--captcha-site-key", "site-1",
		"--captcha-secret-file", filepath.Join(c.folder, "captcha"), "--captcha-endpoint", c.captcha.URL, "--allow-private-webhooks",
		"--dns-server", "127.0.0.1:9"} // where nobody answers
}

// The numbers and PINs of cards that only the partner knows.
const (
	partnerNumber = "6006491377700011"
	partnerPIN    = "83920174"
	wrongPIN      = "10472938"
	honeyNumber   = "6006491377700029"
)

// connect starts the counterparties. The partner refuses whoever has not all its secrets.
func (s *secrecy) connect() *counterparties {
	s.t.Helper()
	c := &counterparties{folder: s.t.TempDir()}
	for name, secret := range map[string]string{"partner": "partner-file-secret-5b1d7e9a", "captcha": "captcha-file-secret-77aa31"} {
		s.add("the secret in the file "+name, secret)
		s.file(filepath.Join(c.folder, name), secret)
	}
	s.add("the secret in a network's configuration", "partner-config-secret-c0ffee")
	c.partner = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Number, PIN string }
		err := json.NewDecoder(r.Body).Decode(&asked)
		switch {
		case err != nil, r.Header.Get("X-File") != s.secrets["the secret in the file partner"], r.Header.Get("X-Config") != s.secrets["the secret in a network's configuration"]:
			http.Error(w, "not with "+asked.Number, http.StatusForbidden)
		case asked.Number != partnerNumber || asked.PIN != partnerPIN:
			http.Error(w, "no "+asked.Number+" with "+asked.PIN, http.StatusNotFound)
		default:
			_, _ = io.WriteString(w, `{"balance":"47.50","currency":"USD"}`)
		}
	}))
	c.captcha = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		good := r.PostFormValue("secret") == s.secrets["the secret in the file captcha"] && r.PostFormValue("response") == s.secrets["an answer to the captcha"]
		_, _ = fmt.Fprintf(w, `{"success":%t}`, good)
	}))
	s.t.Cleanup(c.partner.Close)
	s.t.Cleanup(c.captcha.Close)
	return c
}

func (s *secrecy) file(path, text string) {
	s.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// furnish does at the command line what needs no server: a catalog with stock, a wallet,
// a network, a honey number and a portal.
func (s *secrecy) furnish(customer string, c *counterparties) {
	t, at, dir := s.t, s.at, s.t.TempDir()
	owner := []string{"--customer", customer, "--realm", "live"}
	s.file(filepath.Join(dir, "items.csv"), "item_code,name,brand,currency,value\nPLAY-5,Play 5,Play,USD,5.00\n")
	at.run(t, "catalog", "import", filepath.Join(dir, "items.csv"))
	codes := "code,pin\n"
	for n, code := range []string{"QWER-7TYU-OPAS-1DFG", "HJKL-2ZXC-VBNM-8QAZ", "WSXE-9DCR-FVTG-4BYH"} {
		pin := fmt.Sprintf("7319-46%02d", n)
		codes += code + "," + pin + "\n"
		s.add(fmt.Sprintf("code %d in stock", n), code)
		s.add(fmt.Sprintf("code %d in stock without dashes", n), strings.ReplaceAll(code, "-", ""))
		s.add(fmt.Sprintf("the PIN of code %d", n), pin)
	}
	s.file(filepath.Join(dir, "codes.csv"), codes)
	s.command("stock", "import", filepath.Join(dir, "codes.csv"), "--item", "PLAY-5", "--realm", "live", "--batch", "first", "--log-level", "debug")
	cmd := at.command(t, "stock", "import", filepath.Join(dir, "codes.csv"), "--item", "PLAY-5", "--realm", "live", "--batch", "second")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("codes are imported twice: %s", out)
	} else {
		s.look("the output of an import that refuses rows", out)
	}
	at.run(t, append([]string{"customer", "load", "--amount", "100.00", "--reference", "bank-1"}, owner...)...)

	s.add("a partner's card", partnerNumber)
	s.add("the PIN of a partner's card", partnerPIN)
	s.add("a wrong PIN", wrongPIN)
	s.add("a honey number", honeyNumber)
	s.file(filepath.Join(dir, "partner.json"), `{"url":"`+c.partner.URL+`/balance","method":"POST","allow_plain":true,
		"headers":{"X-File":"{{secret.partner}}","X-Config":"`+s.secrets["the secret in a network's configuration"]+`"},"secret_files":{"partner":"partner"},
		"body":{"number":"{{number}}","pin":"{{pin}}"},"checks_pin":true,"http_statuses":{"200":"answer","404":"invalid"},
		"answer":{"balance":"balance","balance_format":"decimal","currency":"currency"}}`)
	s.command("network", "add", "partner", "--realm", "live", "--name", "Partner", "--file", filepath.Join(dir, "partner.json"), "--secrets", c.folder,
		"--length", "16", "--prefix", "6006", "--currency", "USD", "--log-level", "debug")
	s.command("network", "show", "partner", "--realm", "live", "-o", "json")
	s.file(filepath.Join(dir, "honey.txt"), honeyNumber+"\n")
	s.command("honey", "add", "--realm", "live", "--network", "partner", "--file", filepath.Join(dir, "honey.txt"), "--secrets", c.folder)
	s.command(append([]string{"portal", "create", "--name", "Corner", "--slug", "corner", "--network", "partner", "--secrets", c.folder, "--domain", "cards.corner.example"}, owner...)...)
}

// exchanged is a request and the status that its answer must have.
type exchanged struct {
	method, path, body string
	status             int
	headers            map[string]string
}

// send makes a request under the customer's key and returns the answer.
func (s *secrecy) send(base string, e exchanged) string {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), e.method, base+e.path, strings.NewReader(e.body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("X-API-Key", s.key)
	request.Header.Set("Content-Type", "application/json")
	for name, value := range e.headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != e.status {
		s.t.Fatalf("%s %s: %d %s %v, want %d", e.method, e.path, response.StatusCode, body, err, e.status)
	}
	return string(body)
}

// orders buys codes, reads them again, and is refused.
func (s *secrecy) orders(base string) {
	order := exchanged{http.MethodPost, "/v1/orders", `{"item_code":"PLAY-5","quantity":2}`, 200, map[string]string{"Idempotency-Key": "order-1"}}
	first := s.send(base, order)
	if !strings.Contains(first, s.secrets["code 0 in stock"]) || s.send(base, order) != first {
		s.t.Errorf("the order is %s", first)
	}
	id := regexp.MustCompile(`"order_id":(\d+)`).FindStringSubmatch(first)
	if id == nil {
		s.t.Fatalf("the order has no id: %s", first)
	}
	s.send(base, exchanged{method: http.MethodGet, path: "/v1/orders/" + id[1], status: 200})
	s.send(base, exchanged{method: http.MethodGet, path: "/v1/orders", status: 200})
	s.send(base, exchanged{http.MethodPost, "/v1/orders", `{"item_code":"PLAY-5","quantity":100}`, 400, nil})
	s.send(base, exchanged{http.MethodPost, "/v1/orders", `{"item_code":"` + s.secrets["code 2 in stock"] + `","quantity":1}`, 404, nil})
	s.send(base, exchanged{http.MethodPost, "/v1/orders", `{"item_code":"PLAY-5","quantity":"` + s.secrets["code 1 in stock"] + `"}`, 422, nil})
	s.send(base, exchanged{http.MethodPost, "/v1/orders", `{"item_code":"PLAY-5","quantity":1}`, 200, nil})
}

// checks asks for balances over the API, with webhooks that tell of it.
func (s *secrecy) checks(base string) {
	hook := s.send(base, exchanged{http.MethodPost, "/v1/webhooks", `{"url":"http://127.0.0.1:9/hook","events":["ping.completed"]}`, 201, nil})
	var made struct{ ID, Secret string }
	decode(s.t, []byte(hook), &made)
	s.add("a webhook's secret", made.Secret)
	decode(s.t, []byte(s.send(base, exchanged{method: http.MethodPost, path: "/v1/webhooks/" + made.ID + "/rotate", status: 200})), &made)
	s.add("a webhook's rotated secret", made.Secret)
	ask := func(number, pin string, status int) string {
		return s.send(base, exchanged{http.MethodPost, "/v1/cards/ping", `{"card_number":"` + number + `","pin":"` + pin + `","network":"partner"}`, status, nil})
	}
	if got := ask("6006-4913-7770-0011", partnerPIN, 200); !strings.Contains(got, `"balance":47.50`) {
		s.t.Errorf("a partner's card: %s", got)
	}
	if got := ask(partnerNumber, wrongPIN, 200); !strings.Contains(got, `"status":"invalid"`) {
		s.t.Errorf("with a wrong PIN: %s", got)
	}
	ask(partnerNumber+"1", partnerPIN, 422)
	s.send(base, exchanged{http.MethodPost, "/v1/cards/ping/batch", `{"checks":[{"card_number":"` + partnerNumber + `","pin":"` + partnerPIN +
		`","network":"partner","idempotency_key":"b-1"},{"card_number":"` + partnerNumber + `","network":"nobody"}]}`, 200, nil})
	s.send(base, exchanged{http.MethodPost, "/v1/cards/ping", `{"card_number":` + partnerNumber + `,"pin":"` + partnerPIN, 400, nil})
}

// trap asks for a honey number, which ends the key's checks.
func (s *secrecy) trap(base string) {
	for _, status := range []int{200, 403} {
		s.send(base, exchanged{http.MethodPost, "/v1/cards/ping", `{"card_number":"` + honeyNumber + `","pin":"` + partnerPIN + `","network":"partner"}`, status, nil})
	}
}

// visits checks cards on the portal until a captcha is asked for, and answers it.
func (s *secrecy) visits(base string) {
	s.add("an answer to the captcha", "captcha-answer-of-a-person")
	s.add("a wrong answer to the captcha", "captcha-answer-of-a-machine")
	submit := func(answer string, status int) string {
		form := url.Values{"network": {"partner"}, "number": {partnerNumber}, "pin": {partnerPIN}, "cf-turnstile-response": {answer}}
		return s.send(base, exchanged{http.MethodPost, "/p/corner", form.Encode(), status,
			map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}})
	}
	for range 5 {
		if page := submit("", 200); !strings.Contains(page, "47.50") {
			s.t.Fatalf("the portal shows %s", page)
		}
	}
	for answer, status := range map[string]int{"": 429, s.secrets["a wrong answer to the captcha"]: 429, s.secrets["an answer to the captcha"]: 200} {
		if page := submit(answer, status); strings.Contains(page, "answer-of") || strings.Contains(page, partnerPIN) {
			s.t.Errorf("the page repeats what was sent: %s", page)
		}
	}
}

// operate does over the operator API and at the command line what operators do with all of it.
func (s *secrecy) operate(base, customer string) {
	bearer := map[string]string{"Authorization": "Bearer " + s.secrets["an operator's key"]}
	book := s.at.fields(s.t, "customer", "show", customer)["live_book_id"]
	get := func(path string) string {
		return s.send(base, exchanged{http.MethodGet, "/operator/v1" + path, "", 200, bearer})
	}
	for _, path := range []string{"/networks/live/partner", "/honey", "/books/" + book + "/checks", "/books/" + book + "/portals", "/suspensions",
		"/customers/" + customer + "/quota", "/audit?book_id=" + book} {
		s.look("the answer of "+path, []byte(get(path)))
	}
	s.send(base, exchanged{http.MethodPatch, "/operator/v1/networks/live/partner", `{"name":"` + "Partner Cards" + `"}`, 200, bearer})
	s.send(base, exchanged{http.MethodPost, "/operator/v1/honey", `{"realm":"live","network_id":"partner","number":"` + partnerNumber + `","note":"` + partnerNumber + `"}`, 400, bearer})
	s.send(base, exchanged{http.MethodPatch, "/operator/v1/customers/" + customer + "/quota", `{"checks_per_month":5000}`, 200, bearer})
	owner := []string{"--customer", customer, "--realm", "live", "--log-level", "debug"}
	for _, args := range [][]string{{"check", "list"}, {"portal", "list"}} {
		s.command(append(args, owner...)...)
	}
	check := regexp.MustCompile(`ping_\w+`).FindString(s.at.run(s.t, append([]string{"check", "list"}, owner...)...))
	s.command(append([]string{"check", "show", check}, owner...)...)
	s.command("suspension", "list")
	s.command("stock", "count", "PLAY-5", "--realm", "live")
	s.command("customer", "quota", customer)
	for what, text := range map[string]string{"orders": "orders.create", "balance checks": "cards.ping", "portals": `"route":"check"`} {
		s.told[what] = text
	}
}

// mentions proves that a log at level debug told of what was done.
func (s *secrecy) mentions(log *output) {
	s.t.Helper()
	for what, text := range s.told {
		if !bytes.Contains([]byte(log.String()), []byte(text)) {
			s.t.Errorf("the log does not tell of %s", what)
		}
	}
}
