package e2e

import (
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
	own := s.at.fields(t, "seed", "rotate", made["id"], "--customer", customer, "--realm", "test")["seed"]
	s.add("a rotated seed", own)

	for _, seed := range []string{start.Seed, own} {
		q := question{method: http.MethodPost, url: base + "/v1/api", seed: seed}
		q.post(t, "/simulate/deposit", `{"currency":"eth","amount_crypto":"1","confirmations":12}`, nil)
		var card struct{ ID string }
		q.post(t, "/cards", `{"bin_id":"491653","amount":20,"metadata":{"team":"secret keepers"}}`, &card)
		var details struct{ PAN string }
		ask(t, question{method: http.MethodGet, url: base + "/v1/api/cards/" + card.ID + "/details", seed: seed}, &details)
		s.add("the number of "+card.ID, details.PAN)
		s.numbers = append(s.numbers, details.PAN)
		var hook struct{ Secret string }
		q.post(t, "/webhooks", `{"url":"https://hooks.example/x","events":["*"]}`, &hook)
		s.add("the secret of a webhook for "+card.ID, hook.Secret)
		q.post(t, "/simulate/3ds", `{"card_id":"`+card.ID+`","merchant":"SHOP","amount":1}`, nil)
		q.post(t, "/simulate/authorization", `{"card_id":"`+card.ID+`","amount":1,"merchant":{"name":"SHOP"}}`, nil)
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

// paid sends payments with the cards over ISO 8583, good and bad ones, and what is no message.
func (s *secrecy) paid(server *process) {
	t := s.t
	match := networks.FindStringSubmatch(server.stdout.String())
	if match == nil {
		t.Fatalf("the server does not say where card networks connect:\n%s", server.stdout)
	}
	at := &acquirer.Terminal{Acquirer: "411111", Merchant: "M-1", Name: "SHOP", City: "Paris", Country: "FR", MCC: "5812", Currency: "840"}
	for _, text := range s.numbers {
		number, err := pan.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		l, err := acquirer.Dial(t.Context(), match[1], false)
		if err != nil {
			t.Fatal(err)
		}
		card := acquirer.Card{Number: number, CVC: pan.NewSecret("000")}
		m := at.Authorize(card, 100)
		for _, sent := range []*acquirer.Message{m, m.Repeated(), at.Purchase(card, 9_999_999), at.Reverse(m), m.With(4, "x00000000000"), m.With(49, "999"),
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
	if status, answer := q.answer(s.t); status < 400 || status >= 500 {
		s.t.Errorf("%s %s %s: %d %s, want a refusal", q.method, path, body, status, answer)
	}
}
