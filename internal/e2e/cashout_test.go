package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/server"
)

// The payouts through crashes: crashes, and orders that are approved before each.
const (
	payCrashes      = 12
	shortPayCrashes = 5
	payOrders       = 4
	paySatoshi      = 83_523 // for 55 dollars at the demonstration's price
)

// payAddresses has one address of each form.
var payAddresses = []string{"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX", "3P14159f73E4gFr7JterCCQh9QjiTjiZrG", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
	"bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"}

// Orders are approved, and the server that pays them is killed at any moment, again and
// again, while its node, whose state no crash touches, loses answers, takes requests late
// or says nothing. In the end each order was paid once, and the books agree.
func TestPayoutsThroughCrashes(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		seed := chooseSeed(t)
		p := &payouts{t: t, at: at, random: rand.New(rand.NewPCG(seed, 3)), caught: map[payout.State]int{}, sent: map[string]int{}}
		p.run()
	})
}

// payouts is one installation's life.
type payouts struct {
	t      *testing.T
	at     *installation
	random *rand.Rand
	base   string
	orders []string       // their tokens
	sent   map[string]int // orders by address
	lit    int            // orders over Lightning
	caught map[payout.State]int
}

func (p *payouts) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *payouts) run() {
	crashes := payCrashes
	if testing.Short() {
		crashes = shortPayCrashes
	}
	var invoices []string
	p.open(func(ctx context.Context, app *server.App) {
		payee := node.Payee{Node: p.node(app), Network: destination.Main, Valid: 30 * 24 * time.Hour}
		for range crashes {
			text, err := payee.Invoice(ctx, 0, "")
			p.must(err)
			invoices = append(invoices, text)
		}
	})
	first := p.at.start(p.t, "--demo")
	p.base = first.base
	for i := range crashes {
		p.order(`{"ln_invoice":"` + invoices[i] + `"}`)
		p.order(fmt.Sprintf(`{"ln_invoice":"ada%d@lightning.example"}`, i))
		for range payOrders - 2 {
			address := payAddresses[len(p.orders)%len(payAddresses)]
			p.sent[address]++
			p.order(`{"address":"` + address + `"}`)
		}
		p.lit += 2
	}
	first.stop(p.t)
	for range crashes {
		p.open(p.prepare)
		p.crash()
	}
	p.open(p.finish)
	p.proven()
}

// node is the sandbox's, which the server uses.
func (p *payouts) node(app *server.App) *node.Node {
	return node.New(app.DB, app.Clocks.Of(realm.Test), "sandbox", true)
}

// open opens the installation in this process, while no server runs.
func (p *payouts) open(do func(ctx context.Context, app *server.App)) {
	p.t.Helper()
	app, err := server.Open(p.t.Context(), server.Options{Data: p.at.dir, Database: p.at.database, Logger: slog.New(slog.DiscardHandler)})
	p.must(err)
	_, err = app.Demo(p.t.Context())
	p.must(err)
	do(p.t.Context(), app)
	p.must(app.Close())
}

// send makes a request and returns the data of its answer.
func (p *payouts) send(method, path, body string) map[string]any {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, strings.NewReader(body))
	p.must(err)
	response, err := http.DefaultClient.Do(request)
	p.must(err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	p.must(err)
	var answer struct{ Data map[string]any }
	p.must(json.Unmarshal(text, &answer))
	if response.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	return answer.Data
}

// order makes an order that waits for a reviewer.
func (p *payouts) order(where string) {
	p.t.Helper()
	order := p.send("POST", "/v2/orders", `{"amount":5500,"currency":"bitcoin"}`)["order_id"].(string)
	number := fmt.Sprintf("+1415555%04d", 1000+len(p.orders))
	p.send("POST", "/v2/phones?order_id="+order, `{"phone_number":"`+number+`","call":"true", "recaptcha_response":"demo"}`)
	p.send("POST", "/v2/phones/code?order_id="+order, `{"phone_number":"`+number+`","verification_code":"4321"}`)
	p.send("POST", "/v2/orders/"+order+"/payment", where)
	for _, kind := range []string{"Image1", "Image2"} {
		p.upload(order, kind)
	}
	p.send("POST", "/v2/orders/"+order+"/verify", "")
	p.orders = append(p.orders, order)
}

// upload sends a picture of noise.
func (p *payouts) upload(order, kind string) {
	p.t.Helper()
	noise := image.NewGray(image.Rect(0, 0, 240, 240))
	for i := range noise.Pix {
		noise.Pix[i] = uint8(p.random.IntN(256))
	}
	var file, body bytes.Buffer
	p.must(png.Encode(&file, noise))
	form := p.send("POST", "/v2/orders/"+order+"/images/"+kind, fmt.Sprintf(`{"file_name":"a.png","file_size":%d}`, file.Len()))
	w := multipart.NewWriter(&body)
	for name, value := range form["fields"].(map[string]any) {
		p.must(w.WriteField(name, value.(string)))
	}
	part, err := w.CreateFormFile("file", "a.png")
	p.must(err)
	_, err = part.Write(file.Bytes())
	p.must(err)
	p.must(w.Close())
	response, err := http.Post(form["url"].(string), w.FormDataContentType(), &body)
	p.must(err)
	p.must(response.Body.Close())
	if response.StatusCode != http.StatusCreated {
		p.t.Fatalf("upload: %d", response.StatusCode)
	}
}

// endLeases ends those of servers that are known to be dead, which would end in a minute.
var endLeases = storage.SQL("e2e.end_leases", `UPDATE jobs SET lease_until = 0 WHERE state = 'running'`)

// prepare notes what the crash left, has orders approved, and tells the node what to do to
// the next payments.
func (p *payouts) prepare(ctx context.Context, app *server.App) {
	p.look(ctx, app)
	p.later(ctx, app)
	queue, err := app.Cashout.Reviews.Queue(ctx, realm.Test, payOrders)
	p.must(err)
	for i := range queue {
		ref := review.Ref{Book: queue[i].Book, Order: queue[i].ID, Actor: "ada"}
		_, err := app.Cashout.Reviews.Claim(ctx, ref)
		p.must(err)
		done, err := app.Cashout.Reviews.Decide(ctx, review.Decision{Ref: ref,
			Judgements: []review.Judgement{{Kind: cashout.Card, Accept: true}, {Kind: cashout.Receipt, Accept: true}}})
		p.must(err)
		if done.Status != cashout.Approved || done.Payout == "" {
			p.t.Fatalf("%s, payout %q: %s", done.Status, done.Payout, done.Reason)
		}
	}
	moods := []node.Mood{node.Calm, node.Mute, node.Late, node.Stalled}
	p.must(p.node(app).Set(ctx, moods[p.random.IntN(len(moods))], p.random.Int64N(6)))
}

// look counts the payouts that are not over.
func (p *payouts) look(ctx context.Context, app *server.App) {
	found, err := app.Cashout.Payouts.Figures(ctx, realm.Test)
	p.must(err)
	for state, n := range found.Open {
		p.caught[state] += int(n)
	}
}

// later has two minutes pass, after which what waits for others to share a transaction is due.
func (p *payouts) later(ctx context.Context, app *server.App) {
	_, err := app.Accounts.AdvanceTestClock(ctx, "test", 2*time.Minute, nil)
	p.must(err)
	p.must(app.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.Exec(ctx, endLeases)
		return err
	}))
}

// crash starts a server that has payouts to make, and kills it at a random moment.
func (p *payouts) crash() {
	server := p.at.launch(p.t, "--demo")
	if p.random.IntN(4) > 0 {
		server.await(p.t)
	}
	moment := time.NewTimer(time.Duration(p.random.IntN(250)) * time.Millisecond)
	defer moment.Stop()
	select {
	case <-moment.C:
		server.kill()
	case <-server.ended:
		p.t.Fatalf("the server ended by itself: %v\n%s", server.err, server.stderr)
	}
}

// finish has a process that lives do what is left, for some hours of the sandbox's time.
func (p *payouts) finish(ctx context.Context, app *server.App) {
	p.look(ctx, app)
	n := p.node(app)
	p.must(n.Set(ctx, node.Calm, 0))
	const most = 120
	for range most {
		p.later(ctx, app)
		p.must(n.Deliver(ctx)) // what was sent to the node and was late
		p.must(n.Mine(ctx, 1)) // six blocks, and a coin that a later payment spent is gone for good
		p.must(app.Jobs.Drain(ctx))
		for _, sweep := range []func(context.Context, realm.Realm) error{app.Cashout.Payouts.Watch, app.Cashout.Payouts.Batch, app.Cashout.Payouts.Revive} {
			// What a server that was killed had locked for a transaction is free after ten minutes.
			if err := sweep(ctx, realm.Test); fault.CodeOf(err) != fault.InsufficientFunds {
				p.must(err)
			}
		}
		again := p.payAgain(ctx, app)
		left, err := app.Cashout.Payouts.Figures(ctx, realm.Test)
		p.must(err)
		if left.Oldest == 0 && again == 0 {
			break
		}
	}
	p.check(ctx, app, n)
}

// payAgain has orders paid once more whose payout failed for sure: those of a Lightning
// Address that gave no invoice, as often as is tried, before a server was killed.
func (p *payouts) payAgain(ctx context.Context, app *server.App) (orders int) {
	p.t.Helper()
	approved, err := app.Cashout.Orders.List(ctx, cashout.Filter{Realm: realm.Test, Status: cashout.Approved, Limit: cashout.MaxPage})
	p.must(err)
	for i := range approved {
		if approved[i].Unpaid() {
			_, err := app.Cashout.Reviews.PayAgain(ctx, review.Ref{Book: approved[i].Book, Order: approved[i].ID, Actor: "ada"}, "")
			p.must(err)
			orders++
		}
	}
	return orders
}

// check holds the payouts, and what the node says was paid, against the orders.
func (p *payouts) check(ctx context.Context, app *server.App, n *node.Node) {
	all, err := app.Cashout.Payouts.List(ctx, payout.Filter{Realm: realm.Test, Limit: payout.MaxLimit})
	p.must(err)
	settled := map[string]int{}
	for i := range all {
		switch all[i].State {
		case payout.Settled:
			settled[all[i].Reference]++
		case payout.Failed:
		case payout.Held, payout.Sending, payout.Sent:
			p.t.Errorf("payout %s is %s", all[i].ID, all[i].State)
		}
	}
	if len(settled) != len(p.orders) {
		p.t.Errorf("%d orders of %d were paid", len(settled), len(p.orders))
	}
	for order, times := range settled {
		if times != 1 {
			p.t.Errorf("order %s was paid %d times", order, times)
		}
	}
	for address, orders := range p.sent {
		to, err := app.Cashout.Payouts.Parse(realm.Test, address)
		p.must(err)
		if times, satoshi, err := n.Paid(ctx, to.Script()); err != nil || times != orders || satoshi != int64(orders)*paySatoshi {
			p.t.Errorf("%s was paid %d times, %d satoshis for %d orders, %v", address, times, satoshi, orders, err)
		}
	}
	if times, satoshi, err := n.Received(ctx); err != nil || times != int64(p.lit) || satoshi != int64(p.lit)*paySatoshi {
		p.t.Errorf("paid %d times over Lightning, %d satoshis for %d orders, %v", times, satoshi, p.lit, err)
	}
	p.t.Logf("%d orders; crashes left payouts %v", len(p.orders), p.caught)
}

// proven has the books proved, and every order tell of its payment.
func (p *payouts) proven() {
	if books := p.at.fields(p.t, "verify"); books["problems"] != "0" {
		p.t.Errorf("verify says %v", books)
	}
	last := p.at.start(p.t, "--demo")
	p.base = last.base
	proofs := map[string]bool{}
	for i, order := range p.orders {
		got := p.send("GET", "/v2/orders/"+order, "")
		proof, chain := got["txid"].(string)
		if !chain {
			proof, _ = got["preimage"].(string)
		}
		if got["status"] != "completed" || len(proof) != 64 || !chain && proofs[proof] {
			p.t.Errorf("order %d: %v", i, got)
		}
		proofs[proof] = true
	}
	last.stop(p.t)
}
