package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/scripcards/scrip/internal/testkit"
)

// crowd is how many callers there are at once.
const crowd = 64

// However many redeem a card at once, it gives what is on it and no more, and every
// success is one line of its history.
func TestOverspend(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		server := at.start(t, "--demo")
		shop := newCaller(t, server.base, crowd)
		card := shop.newCard(t, "100", "one")
		took := rush{callers: []*caller{shop, shop.signing(demoClient, demoSecret)}, cards: []string{card.CardNumber}, times: 5, amount: "0.75"}.run(t)

		// 100 divided by 0.75 is 133, and 0.25 remain; 320 tried.
		settled(t, shop, card.CardNumber, want{taken: took[card.CardNumber], takes: 133, balance: "0.25", status: "CREATED"})
		shop.must(t, "giftcard/redeem", values{"cardNumber": card.CardNumber, "amount": "0.25", "currency": "USD", "merchantTradeNo": "rest"}, nil)
		if s := shop.statement(t, card.CardNumber); s.Status != "REDEEMED" || s.Balance != "0" {
			t.Errorf("an empty card is %s with %s", s.Status, s.Balance)
		}
		server.stop(t)
		proved(t, at)
	})
}

// Two servers on one database, with the same cards and some of the same references, are
// as one: no card is overspent and no reference counts twice.
func TestOverspendByTwoServers(t *testing.T) {
	if !slices.Contains(testkit.Engines(), "postgres") {
		t.Skip(testkit.PostgresVariable + " is not set: SQLite is for one server")
	}
	at := newInstallation(t, "postgres")
	servers := []*process{at.start(t, "--demo"), at.start(t, "--demo")}
	shops := []*caller{newCaller(t, servers[0].base, crowd/2), newCaller(t, servers[1].base, crowd/2)}
	var numbers []string
	for i := range 4 {
		numbers = append(numbers, shops[i%2].newCard(t, "20", "card-"+strconv.Itoa(i)).CardNumber)
	}
	took := rush{callers: shops, cards: numbers, times: 8, amount: "0.30", shared: true}.run(t)
	for _, number := range numbers {
		for _, shop := range shops {
			settled(t, shop, number, want{taken: took[number], takes: 66, balance: "0.2", status: "CREATED"})
		}
	}
	for _, server := range servers {
		server.stop(t)
	}
	proved(t, at)
}

// rush is many callers redeeming the same cards at the same time.
type rush struct {
	callers []*caller
	cards   []string
	times   int // that each of the crowd tries each card
	amount  string
	shared  bool // two of the crowd have the same references
}

// run lets the crowd loose and returns the transactions that it was told of, by card,
// each as often as it was told.
func (r rush) run(t *testing.T) map[string][]string {
	t.Helper()
	var (
		mu    sync.Mutex
		took  = map[string][]string{}
		gate  = make(chan struct{})
		group sync.WaitGroup
	)
	for n := range crowd {
		group.Go(func() {
			<-gate
			for i := range r.times * len(r.cards) {
				number := r.cards[(n+i)%len(r.cards)]
				id, err := r.redeem(t, n, number, i)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				took[number] = append(took[number], id)
				mu.Unlock()
			}
		})
	}
	close(gate)
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return took
}

// redeem returns the transaction, or nothing when the card has too little.
func (r rush) redeem(t *testing.T, n int, number string, i int) (string, error) {
	who := n
	if r.shared {
		who = n / 2
	}
	reference := fmt.Sprintf("%s-%d-%d", number, who, i)
	answer, err := r.callers[n%len(r.callers)].post(t.Context(), "giftcard/redeem",
		values{"cardNumber": number, "amount": r.amount, "currency": "USD", "merchantTradeNo": reference})
	switch {
	case err != nil:
		return "", err
	case answer.ok():
		var m movement
		decode(t, answer.Data, &m)
		return m.TransactionID, nil
	case answer.Label != "insufficient_funds":
		return "", fmt.Errorf("redeem %s: %v", reference, &answer)
	}
	return "", nil
}

// want is what must have become of a card.
type want struct {
	taken           []string // transactions that callers were told of
	takes           int      // redemptions that its money allows
	balance, status string
}

// settled compares a card's history with what its callers were told.
func settled(t *testing.T, shop *caller, number string, w want) {
	t.Helper()
	s := shop.statement(t, number)
	if s.Balance != w.balance || s.Status != w.status {
		t.Errorf("card %s is %s with %s, want %s with %s", number, s.Status, s.Balance, w.status, w.balance)
	}
	there := map[string]bool{}
	for _, l := range s.Transactions {
		if l.Type == "REDEEM" {
			there[l.TransactionID] = true
		}
	}
	told := map[string]bool{}
	for _, id := range w.taken {
		if id != "" && !there[id] {
			t.Errorf("card %s: %s was acknowledged and is not in its history", number, id)
		}
		told[id] = id != ""
	}
	delete(told, "")
	if len(there) != w.takes || len(told) != w.takes {
		t.Errorf("card %s has %d redemptions and its callers know of %d, want %d", number, len(there), len(told), w.takes)
	}
}

// proved has the books of an installation verified.
func proved(t *testing.T, at *installation) {
	t.Helper()
	if books := at.fields(t, "verify"); books["problems"] != "0" {
		t.Errorf("verify says %v", books)
	}
}
