package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// state is what is known of an operation.
type state int

const (
	unknown state = iota // no answer came
	done                 // it was acknowledged
	refused              // the answer was that it cannot be
)

// operation is one call of the load and all that is known of it.
type operation struct {
	kind     string
	body     values
	card     *card      // whose money it moves; nil for a create without an answer
	amount   int64      // asked, in cents; 0 for all that is left
	final    bool       // of a capture
	hold     *operation // that a capture or void ends
	original *operation // that a refund gives back

	state state
	data  json.RawMessage // the acknowledged answer
	got   movement
}

// card is a gift card with the operations that were acknowledged on it.
type card struct {
	number, key string
	create      *operation
	ops         map[string]*operation // by transaction
	open        []*operation          // holds that nothing ended, as far as is known
	cancelled   *operation            // that was sent to cancel it
	ending      bool                  // its holds are voided, then it is cancelled
}

// action is a kind of call: how often it is drawn, where it goes, and with which codes
// it may be refused.
type action struct {
	weight   int
	kind     string
	path     string
	refusals string
	draw     func(w *world) *operation
}

var actions = []action{
	{3, "create", "giftcard/create", "", (*world).drawCreate},
	{36, "redeem", "giftcard/redeem", "422001 422003", (*world).drawTake},
	{16, "hold", "giftcard/hold", "422001 422003", (*world).drawTake},
	{12, "capture", "giftcard/capture", "422005 422006", (*world).drawCapture},
	{6, "void", "giftcard/void", "422005", (*world).drawVoid},
	{10, "refund", "giftcard/redeem/refund", "422003 422007", (*world).drawRefund},
	{14, "reload", "giftcard/reload", "422003", (*world).drawTake},
	{5, "cancel", "giftcard/cancel", "422008", (*world).drawCancel},
}

func actionOf(kind string) *action {
	return &actions[slices.IndexFunc(actions, func(a action) bool { return a.kind == kind })]
}

// Bounds of the load: a card's history stays below what one query shows.
const (
	activeCards  = 16
	longestCard  = 400 // acknowledged operations, after which a card rests
	cancelFrom   = 10  // acknowledged operations, before which a card is not cancelled
	rememberedOf = 64  // holds and redemptions that are drawn from
)

// world is the oracle: it draws operations, learns from the answers what happened, and
// says what every card must look like. It is safe for concurrent use.
type world struct {
	mu     sync.Mutex
	random *rand.Rand
	drawn  int
	cards  []*card
	holds  []*operation
	taken  []*operation // redemptions and captures
	round  []*operation // since the books were last compared
	totals map[string]int
}

func newWorld(seed uint64) *world {
	return &world{random: rand.New(rand.NewPCG(seed, 0)), totals: map[string]int{}}
}

// next draws an operation.
func (w *world) next() *operation {
	w.mu.Lock()
	defer w.mu.Unlock()
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	n := w.random.IntN(total)
	for _, a := range actions {
		if n -= a.weight; n >= 0 {
			continue
		}
		if op := a.draw(w); op != nil {
			return w.add(a.kind, op)
		}
		break
	}
	if op := w.drawTake(); op != nil { // there is nothing yet to do what was drawn with
		return w.add("redeem", op)
	}
	return w.add("create", w.drawCreate())
}

// first draws a create, so that there are cards from the beginning.
func (w *world) first() *operation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.add("create", w.drawCreate())
}

func (w *world) add(kind string, op *operation) *operation {
	w.drawn++
	if op.kind == "" {
		op.kind = kind
	}
	if op.kind != "cancel" {
		op.body["merchantTradeNo"] = "e2e-" + strconv.Itoa(w.drawn)
	}
	w.round = append(w.round, op)
	return op
}

func (w *world) cents(most int64) int64 { return 1 + w.random.Int64N(most) }

func (w *world) drawCreate() *operation {
	op := &operation{amount: 5000 + w.cents(20000)}
	op.body = values{"title": "Thank you", "templateId": "template_001", "currency": "USD", "amount": decimal(op.amount)}
	return op
}

// drawCard picks one of the newest cards that still live.
func (w *world) drawCard() *card {
	var active []*card
	for _, c := range slices.Backward(w.cards) {
		if !c.ending && len(c.ops) < longestCard {
			active = append(active, c)
		}
		if len(active) == activeCards {
			break
		}
	}
	if len(active) == 0 {
		return nil
	}
	return active[w.random.IntN(len(active))]
}

// drawTake is for the calls that name a card and an amount.
func (w *world) drawTake() *operation {
	c := w.drawCard()
	if c == nil {
		return nil
	}
	op := &operation{card: c, amount: w.cents(3000)}
	op.body = values{"amount": decimal(op.amount), "currency": "USD"}
	if w.random.IntN(4) == 0 {
		op.body["key"] = c.key
	} else {
		op.body["cardNumber"] = c.number
	}
	return op
}

func (w *world) pick(from []*operation) *operation {
	recent := from[max(0, len(from)-rememberedOf):]
	if len(recent) == 0 {
		return nil
	}
	return recent[w.random.IntN(len(recent))]
}

// drawCapture takes all of a hold, or a part of it that may be too much.
func (w *world) drawCapture() *operation {
	h := w.pick(w.holds)
	if h == nil {
		return nil
	}
	op := &operation{card: h.card, hold: h, body: values{"holdId": h.got.HoldID}}
	if w.random.IntN(2) == 0 {
		op.amount = w.cents(h.amount + h.amount/4)
		op.body["amount"], op.body["currency"] = decimal(op.amount), "USD"
		if op.final = w.random.IntN(2) == 0; op.final {
			op.body["final"] = "true"
		}
	}
	return op
}

func (w *world) drawVoid() *operation {
	h := w.pick(w.holds)
	if h == nil {
		return nil
	}
	return &operation{card: h.card, hold: h, body: values{"holdId": h.got.HoldID}}
}

// drawRefund gives back a part of what was taken, or more.
func (w *world) drawRefund() *operation {
	original := w.pick(w.taken)
	if original == nil {
		return nil
	}
	op := &operation{card: original.card, original: original, amount: w.cents(2000)}
	op.body = values{"originalMerchantTradeNo": original.body["merchantTradeNo"], "amount": decimal(op.amount), "currency": "USD"}
	return op
}

// drawCancel is for the oldest card that was used: to cancel it, or to void a hold that
// still keeps it from being cancelled.
func (w *world) drawCancel() *operation {
	at := slices.IndexFunc(w.cards, func(c *card) bool { return c.cancelled == nil && len(c.ops) >= cancelFrom })
	if at < 0 {
		return nil
	}
	c := w.cards[at]
	c.ending = true
	if n := len(c.open); n > 0 {
		return &operation{kind: "void", card: c, hold: c.open[n-1], body: values{"holdId": c.open[n-1].got.HoldID}}
	}
	c.cancelled = &operation{card: c, body: values{"cardNumber": c.number, "reason": "no longer wanted"}}
	return c.cancelled
}

// learn takes in an answer; the error says that it is one that must not be. An answer
// that did not come, or came without saying what happened, leaves what was known.
func (w *world) learn(op *operation, r reply, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil, r.HTTP == http.StatusServiceUnavailable, r.HTTP == http.StatusGatewayTimeout:
		return nil
	case r.ok():
		return w.acknowledged(op, r.Data)
	case !slices.Contains(strings.Fields(actionOf(op.kind).refusals), r.Code):
		return fmt.Errorf("%s %v: %v", op.kind, op.body, &r)
	case op.state == unknown:
		op.state = refused
		w.ended(op)
	}
	return nil
}

func (w *world) acknowledged(op *operation, data json.RawMessage) error {
	if op.state == done {
		return op.same(data)
	}
	op.state, op.data = done, data
	if op.kind == "create" {
		return w.born(op)
	}
	if err := json.Unmarshal(data, &op.got); err != nil {
		return fmt.Errorf("%s: %w in %s", op.kind, err, data)
	}
	if op.got.MerchantTradeNo != op.body["merchantTradeNo"] {
		return fmt.Errorf("%s %v was answered with %s", op.kind, op.body, data)
	}
	other := op.card.ops[op.got.TransactionID]
	if other != nil && other.kind == "cancel" && op.kind == "cancel" {
		return other.same(data) // refused once, then sent anew: a card is cancelled once
	}
	if other != nil || op.got.TransactionID == "" {
		return fmt.Errorf("%s %v and %v are one transaction: %s", op.kind, op.body, other, data)
	}
	op.card.ops[op.got.TransactionID] = op
	w.totals[op.kind]++
	switch op.kind {
	case "hold":
		w.holds, op.card.open = append(w.holds, op), append(op.card.open, op)
	case "redeem", "capture":
		w.taken = append(w.taken, op)
	}
	w.ended(op)
	return nil
}

// ended notes what the answer to an operation says of its hold: a refusal, too, can mean
// that it ended. A card whose cancellation is refused has other holds.
func (w *world) ended(op *operation) {
	switch {
	case op.kind == "cancel" && op.state == refused:
		op.card.cancelled = nil
	case op.kind == "cancel":
		op.card.cancelled = op
	case op.kind == "void", op.kind == "capture" && op.amount == 0, op.kind == "capture" && op.final && op.state == done:
		op.card.open = slices.DeleteFunc(op.card.open, func(h *operation) bool { return h == op.hold })
	}
}

// born notes a new card.
func (w *world) born(op *operation) error {
	var m made
	if err := json.Unmarshal(op.data, &m); err != nil {
		return fmt.Errorf("create: %w in %s", err, op.data)
	}
	if slices.ContainsFunc(w.cards, func(c *card) bool { return c.number == m.CardNumber || c.key == m.Key }) {
		return fmt.Errorf("create %v gave the card of another create", op.body)
	}
	op.card = &card{number: m.CardNumber, key: m.Key, create: op, ops: map[string]*operation{}}
	w.cards = append(w.cards, op.card)
	w.totals[op.kind]++
	return nil
}

// same compares the answer to a repeated call with the first one. A card's status is
// of the moment, all else is as it was.
func (op *operation) same(data json.RawMessage) error {
	var first, again map[string]any
	for text, into := range map[*json.RawMessage]*map[string]any{&op.data: &first, &data: &again} {
		if err := json.Unmarshal(*text, into); err != nil {
			return fmt.Errorf("%s: %w in %s", op.kind, err, *text)
		}
	}
	if op.kind == "create" {
		delete(first, "status")
		delete(again, "status")
	}
	if !maps.Equal(first, again) {
		return fmt.Errorf("%s %v was answered with %s, then with %s", op.kind, op.body, op.data, data)
	}
	return nil
}

// decimal writes cents as the wire does.
func decimal(cents int64) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

// cents reads an amount of the wire.
func cents(text string) (int64, error) {
	whole, part, _ := strings.Cut(text, ".")
	if len(part) > 2 {
		return 0, fmt.Errorf("amount %q has more than two decimals", text)
	}
	return strconv.ParseInt(whole+(part + "00")[:2], 10, 64)
}
