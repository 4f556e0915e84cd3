package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/quote"
)

// Gatepay makes the scenarios of the gatepay dialect: merchants' gift cards, the whole
// way from HTTP to the disk. Its cards must exist: Prepare makes them, or the caller.
type Gatepay struct {
	Key      pan.Secret // a merchant's X-API-Key
	Template string
	Currency string
	Face     string // amount of a new card
	Redeem   string // amount of one redemption
	Cards    []string

	run string // keeps the references of two runs apart
}

// The scenarios' amounts: a card lasts for a hundred million redemptions.
const (
	defaultFace   = "1000000"
	defaultRedeem = "0.01"
)

// NewGatepay returns the scenarios of one run, with the template of the demo data.
func NewGatepay(key pan.Secret) *Gatepay {
	name := id.New("b")
	return &Gatepay{Key: key, Template: "template_001", Currency: "USD", Face: defaultFace, Redeem: defaultRedeem, run: name[len(name)-12:]}
}

// What the dialect's envelope says when all is well, and when it is not.
const (
	success = `"SUCCESS"`
	failed  = `"FAIL"`
)

// Create makes a new card with each request.
func (g *Gatepay) Create() Scenario {
	body := g.createBody()
	return Scenario{Name: "gatepay create", Expect: Expect{Contains: success}, Make: func(int, int64) Request {
		return g.post("/v1/pay/giftcard/create", body)
	}}
}

func (g *Gatepay) createBody() []byte {
	return object(nil, "title", "Load", "templateId", g.Template, "currency", g.Currency, "amount", g.Face)
}

// RedeemHot takes a little from the same card with every request, the hardest case for a ledger.
func (g *Gatepay) RedeemHot() Scenario { return g.redeem("gatepay redeem hot", "h", 1) }

// RedeemSpread takes a little from all cards in turn, those made later too.
func (g *Gatepay) RedeemSpread() Scenario {
	return g.redeem("gatepay redeem spread", "s", maxCards)
}

func (g *Gatepay) redeem(name, mark string, cards int) Scenario {
	return Scenario{Name: name, Expect: Expect{Contains: success}, Make: func(_ int, n int64) Request {
		reference := g.run + mark + strconv.FormatInt(n, 10)
		return g.post("/v1/pay/giftcard/redeem", object(nil, "cardNumber", g.card(n, cards), "amount", g.Redeem, "currency", g.Currency, "merchantTradeNo", reference))
	}}
}

// batchSize is how many redemptions a request of RedeemBatch has.
const batchSize = 100

// RedeemBatch takes a little from all cards in turn, batchSize at a time. A request counts as
// right when all of its redemptions were made.
func (g *Gatepay) RedeemBatch() Scenario {
	same := object(nil, "action", "redeem", "amount", g.Redeem, "currency", g.Currency)
	same = append(same[:len(same)-1], `,"cardNumber":"`...)
	return Scenario{Name: "gatepay redeem batch", Each: batchSize, Expect: Expect{Contains: success, Lacks: failed}, Make: func(_ int, n int64) Request {
		body := append(make([]byte, 0, batchSize*redemptionSize), `{"operations":[`...)
		for i := n * batchSize; i < (n+1)*batchSize; i++ { // numbers and references need no escapes
			body = append(append(body, same...), g.card(i, maxCards)...)
			body = append(append(body, `","merchantTradeNo":"`...), g.run...)
			body = append(strconv.AppendInt(append(body, 'b'), i, 10), `"},`...)
		}
		return g.post("/v1/pay/giftcard/batch", append(body[:len(body)-1], "]}"...))
	}}
}

// redemptionSize has room for one of them.
const redemptionSize = 160

// Query reads all cards in turn with their histories.
func (g *Gatepay) Query() Scenario {
	return g.read("gatepay query", "/v1/pay/giftcard/query?cardNumber=")
}

// Balance reads the balances of all cards in turn.
func (g *Gatepay) Balance() Scenario {
	return g.read("gatepay balance", "/v1/pay/balance/query?cardNumber=")
}

func (g *Gatepay) read(name, path string) Scenario {
	headers := []Header{{"X-API-Key", g.Key.Reveal()}}
	return Scenario{Name: name, Expect: Expect{Contains: success}, Make: func(_ int, n int64) Request {
		return Request{Method: "GET", Path: path + g.card(n, len(g.Cards)), Headers: headers}
	}}
}

// card returns the card for the nth request, of the first so many. Without cards it is one that does not exist.
func (g *Gatepay) card(n int64, of int) string {
	if of = min(of, len(g.Cards)); of < 1 {
		return "GC0000000000000000"
	}
	return g.Cards[n%int64(of)]
}

func (g *Gatepay) post(path string, body []byte) Request {
	return Request{Method: "POST", Path: path, Body: body, Headers: []Header{{"X-API-Key", g.Key.Reveal()}, {"Content-Type", "application/json"}}}
}

// object appends a JSON object of texts, given as name, value, name, value…
func object(buf []byte, pairs ...string) []byte {
	buf = append(buf, '{')
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = quote.JSON(buf, pairs[i])
		buf = append(buf, ':')
		buf = quote.JSON(buf, pairs[i+1])
	}
	return append(buf, '}')
}

// preparers is how many callers Prepare is at once, so that their cards share commits.
const preparers = 32

// maxCards bounds what Prepare makes.
const maxCards = 10_000_000

// Prepare makes n more cards on the server at base, which must be on this machine, and
// adds them to Cards.
func (g *Gatepay) Prepare(ctx context.Context, base string, n int) error {
	if n < 0 || n > maxCards {
		return fmt.Errorf("prepare %d cards: want 0 to %d", n, maxCards)
	}
	t, err := newTarget(ctx, base, 30*time.Second)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	made := make([]string, n)
	errs := make([]error, min(preparers, n))
	var group sync.WaitGroup
	for w := range errs {
		group.Go(func() {
			if errs[w] = g.prepare(ctx, t, made, w); errs[w] != nil {
				cancel()
			}
		})
	}
	group.Wait()
	if err := firstCause(errs); err != nil {
		return fmt.Errorf("prepare cards: %w", err)
	}
	g.Cards = append(g.Cards, made...)
	return nil
}

// prepare makes every preparers-th card, beginning with the one at from.
func (g *Gatepay) prepare(ctx context.Context, t *target, made []string, from int) error {
	var c caller
	defer func() {
		if c != nil {
			_ = c.close() // nothing is read from it any more
		}
	}()
	request := g.post("/v1/pay/giftcard/create", g.createBody())
	for i := from; i < len(made); i += preparers {
		if c == nil {
			var err error
			if c, err = t.dial(ctx); err != nil {
				return err
			}
		}
		got, err := c.do(&request)
		if err != nil {
			return errors.Join(ctx.Err(), err)
		}
		if made[i], err = createdCard(&got); err != nil {
			return err
		}
		if got.Closed {
			_ = c.close() // nothing is read from it any more
			c = nil
		}
	}
	return nil
}

// createdCard reads the number of a new card.
func createdCard(got *answer) (string, error) {
	expect := Expect{Contains: success}
	if err := expect.compare(got); err != nil {
		return "", err
	}
	var created struct {
		Data struct {
			CardNumber string `json:"cardNumber"`
		} `json:"data"`
	}
	if err := json.Unmarshal(got.Body, &created); err != nil {
		return "", err
	}
	if created.Data.CardNumber == "" {
		return "", errors.New("the answer names no card")
	}
	return created.Data.CardNumber, nil
}
