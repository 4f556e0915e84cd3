package e2e

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/provider/simulator/acquirer"
)

// virtual makes calls of virtual cards, good and bad, whose seeds, numbers and secrets are looked for from then on.
func (s *secrecy) virtual(base, customer string) {
	t := s.t
	var start struct {
		Seed string
		Card struct {
			ID     string
			Number string `json:"card_number"`
		}
	}
	ask(t, question{method: http.MethodGet, url: base + "/v1/api?card=mastercard&asset=ETH"}, &start)
	s.add("a seed", start.Seed)
	s.add("a virtual card's number, spaced", start.Card.Number)
	s.add("a virtual card's number", strings.ReplaceAll(start.Card.Number, " ", ""))

	made := s.at.fields(t, "seed", "create", "--customer", customer, "--realm", "test", "--name", "desk")
	s.add("a seed from the desk", made["seed"])
	own := s.at.fields(t, "seed", "rotate", made["seed_id"], "--customer", customer, "--realm", "test")["seed"]
	s.add("a rotated seed", own)

	for _, seed := range []string{start.Seed, own} {
		q := question{method: http.MethodPost, url: base + "/v1/api", seed: seed}
		q.post(t, "/simulate/deposit", `{"currency":"eth","amount_crypto":"1","confirmations":12}`, nil)
		var card struct{ ID string }
		q.post(t, "/cards", `{"bin_id":"491653","amount":20,"metadata":{"team":"secret keepers"}}`, &card)
		var details struct{ PAN, CVV string }
		ask(t, question{method: http.MethodGet, url: base + "/v1/api/cards/" + card.ID + "/details", seed: seed}, &details)
		s.add("the number of "+card.ID, details.PAN)
		s.numbers, s.codes = append(s.numbers, details.PAN), append(s.codes, details.CVV)
		s.add("the security code of "+card.ID, `"cvv":"`+details.CVV+`"`)
		s.add("the security code of "+card.ID+" in a message", securityTags(details.CVV))
		var hook struct{ Secret string }
		q.post(t, "/webhooks", `{"url":"https://hooks.example/x","events":["*"]}`, &hook)
		s.add("the secret of a webhook for "+card.ID, hook.Secret)
		q.post(t, "/simulate/3ds", `{"card_id":"`+card.ID+`","merchant":"SHOP","amount":1}`, nil)
		q.post(t, "/simulate/authorization", `{"card_id":"`+card.ID+`","amount":1,"merchant":{"name":"SHOP"}}`, nil)
		s.contested(q, card.ID, details.PAN)
		for path, body := range map[string]string{
			"/cards/" + details.PAN + "/freeze": `{}`, "/cards/" + card.ID + "/fund": `{"amount":"` + details.PAN + `"}`,
			"/cards": `{"bin_id":"` + details.PAN + `","amount":1}`, "/webhooks": `{"url":"` + seed + `","events":["` + seed + `"]}`,
			"/" + seed: `{"` + seed + `":1}`, "/simulate/authorization": `{"card_id":"` + details.PAN + `","amount":1}`,
		} {
			s.refusedTo(q, path, body)
			question{method: http.MethodGet, url: q.url + path + "?card_id=" + details.PAN, seed: seed}.answer(t) // whatever it says
		}
	}
	s.add("an unknown seed", "0123-4567-89ab-cdef")
	s.refusedTo(question{method: http.MethodPost, url: base + "/v1/api", seed: s.secrets["an unknown seed"]}, "/cards", `{"bin_id":"491653","amount":1}`)
}

// securityTags is element 48 with a postcode and a security code.
func securityTags(code string) string { return acquirer.Tag("82", "19801") + acquirer.Tag("92", code) }

// contested takes money of a card and contests that, with words that hold its number, too,
// and reads all statements that there are.
func (s *secrecy) contested(q question, card, number string) {
	t := s.t
	var paid struct{ Transaction struct{ ID string } }
	q.post(t, "/simulate/authorization", `{"card_id":"`+card+`","amount":2,"merchant":{"name":"SHOP"}}`, &paid)
	about := `{"transaction_id":"` + paid.Transaction.ID + `"`
	q.post(t, "/simulate/settlement", about+`}`, nil)
	s.refusedTo(q, "/disputes", about+`,"reason":"fraud","note":"my card `+number+`"}`)
	s.refusedTo(q, "/disputes", about+`,"reason":"`+number+`"}`)
	q.post(t, "/disputes", about+`,"reason":"fraud","note":"not mine","evidence":"It was with my card `+number+`."}`, nil)
	read := func(path string) []byte {
		status, raw := question{method: http.MethodGet, url: q.url + path, seed: q.seed}.answer(t)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, status, raw)
		}
		s.look("the answer to "+path, raw)
		return raw
	}
	read("/disputes")
	for _, subject := range []string{"/cards/" + card, "/wallet"} {
		var months struct{ Data []struct{ Month string } }
		decode(t, read(subject+"/statements"), &months)
		if len(months.Data) == 0 {
			t.Fatalf("%s has no statement", subject)
		}
		for _, month := range months.Data {
			for _, form := range []string{"", "/csv", "/pdf"} {
				read(subject + "/statements/" + month.Month + form)
			}
		}
	}
	s.told["a dispute"] = "disputes.create"
}

// paid sends payments with the cards over ISO 8583, good and bad ones, and what is no message.
func (s *secrecy) paid(server *process) {
	t := s.t
	match := networks.FindStringSubmatch(server.stdout.String())
	if match == nil {
		t.Fatalf("the server does not say where card networks connect:\n%s", server.stdout)
	}
	at := &acquirer.Terminal{Acquirer: "411111", Merchant: "M-1", Name: "SHOP", City: "Paris", Country: "FR", MCC: "5812", Currency: "840"}
	for n, text := range s.numbers {
		number, err := pan.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		l, err := acquirer.Dial(t.Context(), match[1], false)
		if err != nil {
			t.Fatal(err)
		}
		card := acquirer.Card{Number: number, CVC: pan.NewSecret(s.codes[n])}
		tags := securityTags(s.codes[n])
		m := at.Authorize(card, 100)
		held, stood := at.Authorize(card, 200).With(48, tags), at.Authorize(card, 90_000).With(48, tags).As("0120").With(39, "00")
		for _, sent := range []*acquirer.Message{m, m.Repeated(), at.Purchase(card, 9_999_999), at.Reverse(m), m.With(4, "x00000000000"), m.With(49, "999"),
			held, at.Increment(held, 50), at.Complete(held, 100, true), at.ReverseTo(held, 50), at.Complete(held, 900, false), at.Refund(held, 10),
			stood, stood.As("0121"), stood.With(4, "000000000001"), at.Increment(stood, 10).As("0120"), at.Reverse(stood).As("0420"),
			at.Credit(card, 5), at.Force(card, 1), at.Reverse(at.Authorize(card, 1)), m.With(3, "999999"), m.With(43, fmt.Sprintf("%-40s", text+" SHOP")),
			m.With(48, tags+"x"), at.Authorize(card, 3).With(43, fmt.Sprintf("%-40s", "SHOP "+text)), at.Authorize(card, 7).With(48, acquirer.Tag("43", text)),
			at.Inquire(card).With(35, text+"=3001101"), at.Force(card, 1).With(2, "").With(35, text+"D300")} {
			if _, err := l.Ask(t.Context(), sent); err != nil {
				t.Errorf("%s: %v", sent, err)
			}
		}
		if err := l.Raw(append([]byte{0, byte(len(text) + 4)}, "0100"+text...)); err != nil {
			t.Error(err)
		}
		<-l.Done()
		l.Close()
	}
}

// refusedTo asks what must not succeed.
func (s *secrecy) refusedTo(q question, path, body string) {
	s.t.Helper()
	q.url, q.body = q.url+path, body
	status, answer := q.answer(s.t)
	if status < 400 || status >= 500 {
		s.t.Errorf("%s %s %s: %d %s, want a refusal", q.method, path, body, status, answer)
	}
	s.look("the refusal of "+q.method, answer)
}
