package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/web/upload"
	"github.com/scripcards/scrip/internal/webhook"
)

// desk is a demonstration over HTTP, with nothing running in the background.
type desk struct {
	t   *testing.T
	app *server.App
	url string
	log *bytes.Buffer
}

func openDesk(t *testing.T, config storage.Config) *desk {
	t.Helper()
	d := &desk{t: t, log: &bytes.Buffer{}}
	app, err := server.Open(t.Context(), server.Options{Data: t.TempDir(), Database: config.URL, Logger: slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	check.OK(d.t, err)
	t.Cleanup(func() { check.OK(d.t, app.Close()) })
	_, err = app.Demo(t.Context())
	check.OK(d.t, err)
	web := httptest.NewServer(routes(app))
	t.Cleanup(web.Close)
	d.app, d.url = app, web.URL
	return d
}

// routes are the dialects and the built-in store, without what runs beside them.
func routes(app *server.App) http.Handler {
	mux := http.NewServeMux()
	for _, s := range app.Surfaces(server.HTTP{}) {
		s.Mount(mux)
	}
	mux.Handle(upload.Path, app.Cashout.Uploads(upload.Deps{Logger: app.Logger}))
	return mux
}

// call makes a request as curl does and returns the data of its answer.
func (d *desk) call(method, path, body string) map[string]any {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	check.OK(d.t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	check.OK(d.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	check.OK(d.t, err)
	var answer struct {
		Message string
		Data    map[string]any
	}
	check.OK(d.t, json.Unmarshal(text, &answer))
	if response.StatusCode != http.StatusOK {
		d.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	return answer.Data
}

// photo is a picture that looks like no other.
func photo(seed uint64) []byte {
	source := rand.New(rand.NewPCG(seed, 1))
	m := image.NewRGBA(image.Rect(0, 0, 320, 240))
	for y := range 240 {
		for x := range 320 {
			cell := uint8(source.IntN(2))
			if x%40 != 0 || y%40 != 0 {
				cell = m.RGBAAt(x-x%40, y-y%40).R / 200
			}
			m.SetRGBA(x, y, color.RGBA{cell * 220, uint8(x), uint8(y), 255})
		}
	}
	var out bytes.Buffer
	_ = png.Encode(&out, m) // a buffer takes everything
	return out.Bytes()
}

// upload gets a form for a picture and sends it to where the form says.
func (d *desk) upload(order, kind string, file []byte) {
	d.t.Helper()
	form := d.call("POST", "/v2/orders/"+order+"/images/"+kind, `{"file_name":"a.png","file_size":"`+strconv.Itoa(len(file))+`"}`)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range form["fields"].(map[string]any) {
		check.OK(d.t, w.WriteField(name, value.(string)))
	}
	part, err := w.CreateFormFile("file", "a.png")
	check.OK(d.t, err)
	_, err = part.Write(file)
	check.OK(d.t, err)
	check.OK(d.t, w.Close())
	response, err := http.Post(form["url"].(string), w.FormDataContentType(), &body)
	check.OK(d.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	check.OK(d.t, err)
	if response.StatusCode != http.StatusCreated || !strings.Contains(string(text), "<PostResponse><Location>http://") {
		d.t.Fatalf("upload of %s: %d %s", kind, response.StatusCode, text)
	}
}

// order makes an order that waits for a reviewer.
func (d *desk) order(where string, seed uint64) string {
	d.t.Helper()
	order := d.authorized(where, seed)
	d.upload(order, "Image1", photo(10*seed))
	d.upload(order, "Image2", photo(10*seed+1))
	d.call("POST", "/v2/orders/"+order+"/verify", "")
	return order
}

// authorized makes an order that waits for pictures.
func (d *desk) authorized(where string, seed uint64) string {
	d.t.Helper()
	order := d.call("POST", "/v2/orders", `{"amount":5500,"currency":"bitcoin"}`)["order_id"].(string)
	number := "+1415555" + strconv.Itoa(int(1000+seed))
	d.call("POST", "/v2/phones?order_id="+order, `{"phone_number":"`+number+`","call":"true", "recaptcha_response":"demo"}`)
	d.call("POST", "/v2/phones/code?order_id="+order, `{"phone_number":"`+number+`","verification_code":"4321"}`)
	d.call("POST", "/v2/orders/"+order+"/payment", where)
	return order
}

// decide has a reviewer say something about each picture of the one order that waits.
func (d *desk) decide(judgements ...review.Judgement) review.Case {
	d.t.Helper()
	queue, err := d.app.Cashout.Reviews.Queue(d.t.Context(), realm.Test, 10)
	check.OK(d.t, err)
	if len(queue) != 1 {
		d.t.Fatalf("%d orders wait", len(queue))
	}
	ref := review.Ref{Book: queue[0].Book, Order: queue[0].ID, Actor: "ada"}
	_, err = d.app.Cashout.Reviews.Claim(d.t.Context(), ref)
	check.OK(d.t, err)
	c, err := d.app.Cashout.Reviews.Decide(d.t.Context(), review.Decision{Ref: ref, Judgements: judgements})
	check.OK(d.t, err)
	return c
}

var good = []review.Judgement{{Kind: cashout.Card, Accept: true}, {Kind: cashout.Receipt, Accept: true}}

// run does what the background does, for a while of the test realm's time.
func (d *desk) run() {
	d.t.Helper()
	for range 4 {
		_, err := d.app.Accounts.AdvanceTestClock(d.t.Context(), "test", 2*time.Minute, nil)
		check.OK(d.t, err)
		check.OK(d.t, d.app.Jobs.Drain(d.t.Context()))
		check.OK(d.t, d.app.Cashout.Payouts.Watch(d.t.Context(), realm.Test))
	}
}

// status reads an order.
func (d *desk) status(order string) map[string]any {
	d.t.Helper()
	return d.call("GET", "/v2/orders/"+order, "")
}

// eachDesk runs a test on both engines.
func eachDesk(t *testing.T, test func(d *desk)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			d := openDesk(t, testkit.Database(t, engine))
			test(d)
			report, err := ledger.Verify(context.Background(), d.app.DB, nil)
			check.OK(d.t, err)
			if len(report.Problems) > 0 {
				t.Errorf("the books: %v", report.Problems)
			}
			if strings.Contains(d.log.String(), "level=ERROR") {
				t.Errorf("log: %s", d.log)
			}
		})
	}
}

// The whole way over HTTP, with the published price, for every form of address and both forms of Lightning: paid once each, with the proof.
func TestCashoutJourney(t *testing.T) {
	eachDesk(t, func(d *desk) {
		lightning := node.Payee{Node: node.New(d.app.DB, d.app.Clocks.Of(realm.Test), "sandbox", true), Network: destination.Main, Valid: 24 * time.Hour}
		invoice, err := lightning.Invoice(d.t.Context(), 0, "")
		check.OK(d.t, err)
		ticker := d.call("GET", "/v2/tickers", "")["currencies"].([]any)[0].(map[string]any)
		if ticker["price_usd"] != 6585000.0 || ticker["enabled"] != true {
			d.t.Errorf("ticker %v", ticker)
		}
		for i, c := range []struct{ where, proof string }{
			{`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, "txid"},
			{`{"address":"3P14159f73E4gFr7JterCCQh9QjiTjiZrG"}`, "txid"},
			{`{"address":"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}`, "txid"},
			{`{"address":"bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"}`, "txid"},
			{`{"address":"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"}`, "txid"},
			{`{"ln_invoice":"` + invoice + `"}`, "preimage"},
			{`{"ln_invoice":"ada@lightning.example"}`, "preimage"},
		} {
			order := d.order(c.where, uint64(i+1))
			if got := d.status(order); got["status"] != "processing" {
				d.t.Fatalf("%s: %v", c.where, got)
			}
			if got := d.decide(good...); got.Status != cashout.Approved || got.Payout == "" {
				d.t.Fatalf("%s: %s, payout %q: %s", c.where, got.Status, got.Payout, got.Reason)
			}
			d.run()
			got := d.status(order)
			if proof, _ := got[c.proof].(string); got["status"] != "completed" || len(proof) != 64 {
				d.t.Errorf("%s: %v", c.where, got)
			}
			if amount := got["order"].(map[string]any)["currency_amount"]; amount != 83523.0 {
				d.t.Errorf("%s: %v satoshis", c.where, amount)
			}
		}
		paid, err := d.app.Cashout.Payouts.List(d.t.Context(), payout.Filter{Realm: realm.Test})
		check.OK(d.t, err)
		if len(paid) != 7 {
			d.t.Errorf("%d payouts", len(paid))
		}
		for i := range paid {
			if paid[i].State != payout.Settled || paid[i].Amount.Minor != 83_523 {
				d.t.Errorf("%+v", paid[i])
			}
		}
		if times, _, err := lightning.Received(d.t.Context()); err != nil || times != 2 {
			d.t.Errorf("paid over Lightning %d times, %v", times, err)
		}
	})
}

// A rejection asks for the bad picture, the new one is reviewed, and the reviewer's link shows what was uploaded.
func TestCashoutRejection(t *testing.T) {
	eachDesk(t, func(d *desk) {
		order := d.order(`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, 1)
		c := d.decide(good[0], review.Judgement{Kind: cashout.Receipt, Reason: cashout.CutOff})
		got := d.status(order)
		required, _ := got["required_images"].([]any)
		if got["status"] != "authorized" || len(required) != 1 || required[0].(map[string]any)["feedback"] != "A part of it is outside of the picture." {
			d.t.Fatalf("%v", got)
		}
		d.upload(order, "Image2", photo(99))
		d.call("POST", "/v2/orders/"+order+"/verify", "")
		ref := review.Ref{Book: c.Book, Order: c.ID, Actor: "ada"}
		_, err := d.app.Cashout.Reviews.Claim(d.t.Context(), ref)
		check.OK(d.t, err)
		pictures, err := d.app.Cashout.Orders.Pictures(d.t.Context(), &c.Order)
		check.OK(d.t, err)
		link, err := d.app.Cashout.Reviews.Show(d.t.Context(), ref, pictures[0].ID)
		check.OK(d.t, err)
		content, err := d.app.Cashout.Reviews.Follow(d.t.Context(), link.Text)
		check.OK(d.t, err)
		if shown, err := png.Decode(bytes.NewReader(content.Data)); err != nil || shown.Bounds().Dx() != 320 {
			d.t.Errorf("%v", err)
		}
		check.OK(d.t, d.app.Cashout.Reviews.Cover(d.t.Context(), ref, pictures[0].ID, review.Rect{X: 5, Y: 5, Width: 50, Height: 20}))
		d.decide(good...)
		d.run()
		if got := d.status(order); got["status"] != "completed" {
			d.t.Errorf("%v", got)
		}
	})
}

// The same card photographed for another order is found.
func TestCashoutTwins(t *testing.T) {
	d := openDesk(t, testkit.Database(t, "sqlite"))
	first := d.order(`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, 1)
	d.decide(good...)
	second := d.order(`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, 1)
	queue, err := d.app.Cashout.Reviews.Queue(t.Context(), realm.Test, 10)
	check.OK(d.t, err)
	pictures, err := d.app.Cashout.Orders.Pictures(t.Context(), &queue[0].Order)
	check.OK(d.t, err)
	twins := 0
	for _, m := range pictures {
		for _, twin := range m.Twins {
			if twin.Resemblance == "same_photo" {
				twins++
			}
		}
	}
	if twins < 2 || first == second {
		t.Errorf("%d twins of %d pictures", twins, len(pictures))
	}
}

// What is not finished is gone after a day, with its pictures, and so is what is refused at the command line, which need not know how the realm is served.
func TestCashoutEnds(t *testing.T) {
	eachDesk(t, func(d *desk) {
		expired, refused := d.authorized(`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, 1), d.authorized(`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, 2)
		for i, order := range []string{expired, refused} {
			d.upload(order, "Image1", photo(uint64(i)))
		}
		chunks := func() int {
			d.t.Helper()
			n, _, err := storage.One(d.t.Context(), d.app.DB, storage.Scalar[int], countChunks)
			check.OK(d.t, err)
			return n
		}
		gone := func(order string) {
			d.t.Helper()
			check.OK(d.t, d.app.Cashout.Images.EraseDue(d.t.Context()))
			response, err := http.Get(d.url + "/v2/orders/" + order)
			check.OK(d.t, err)
			check.OK(d.t, response.Body.Close())
			if response.StatusCode != http.StatusNotFound {
				d.t.Errorf("status %d", response.StatusCode)
			}
		}
		before := chunks()
		desk := d.app.Cashout.Orders.Desks[realm.Test]
		delete(d.app.Cashout.Orders.Desks, realm.Test) // as for a command without the setting
		list, err := d.app.Cashout.Orders.List(d.t.Context(), cashout.Filter{Realm: realm.Test, Limit: 1})
		check.OK(d.t, err)
		_, err = d.app.Cashout.Reviews.Refuse(d.t.Context(), review.Ref{Book: list[0].Book, Order: list[0].ID, Actor: "cli"}, "stolen")
		check.OK(d.t, err)
		d.app.Cashout.Orders.Desks[realm.Test] = desk
		gone(refused)
		if n := chunks(); before == 0 || n != before/2 {
			d.t.Errorf("%d parts of pictures of %d are left of one order of two", n, before)
		}
		_, err = d.app.Accounts.AdvanceTestClock(d.t.Context(), "test", 24*time.Hour, nil)
		check.OK(d.t, err)
		if n, err := d.app.Cashout.Orders.Expire(d.t.Context()); err != nil || n != 1 {
			d.t.Errorf("%d expired, %v", n, err)
		}
		gone(expired)
		if n := chunks(); n != 0 {
			d.t.Errorf("%d parts of pictures are left", n)
		}
	})
}

// Once it was decided about an order its pictures stay for thirty days, and of one that a list blocked for five years; of
// one that nobody decides about for ninety days. They go by the clock of the realm, and not before.
func TestCashoutErases(t *testing.T) {
	const day, hour = 24 * time.Hour, time.Hour
	eachDesk(t, func(d *desk) {
		list, err := customer.ReadList("sdn", strings.NewReader("address: 3P14159f73E4gFr7JterCCQh9QjiTjiZrG"))
		check.OK(d.t, err)
		d.app.Cashout.Orders.Desks[realm.Test].Screener = list
		d.order(`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, 1)
		paid := d.decide(good...).ID
		d.order(`{"address":"3P14159f73E4gFr7JterCCQh9QjiTjiZrG"}`, 2)
		blocked := d.decide(good...)
		d.order(`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, 3)
		queue, err := d.app.Cashout.Reviews.Queue(d.t.Context(), realm.Test, 10)
		check.OK(d.t, err)
		if blocked.Status != cashout.Blocked || len(queue) != 1 {
			d.t.Fatalf("%s, %d wait", blocked.Status, len(queue))
		}
		for _, step := range []struct {
			forward time.Duration
			left    []cashout.ID
		}{
			{time.Second, []cashout.ID{paid, blocked.ID, queue[0].ID}},
			{30*day - hour, []cashout.ID{paid, blocked.ID, queue[0].ID}},
			{2 * hour, []cashout.ID{blocked.ID, queue[0].ID}},
			{60*day - 2*hour, []cashout.ID{blocked.ID, queue[0].ID}},
			{2 * hour, []cashout.ID{blocked.ID}},
			{(5*365-90)*day - 2*hour, []cashout.ID{blocked.ID}},
			{2 * hour, nil},
		} {
			_, err := d.app.Accounts.AdvanceTestClock(d.t.Context(), "test", step.forward, nil)
			check.OK(d.t, err)
			check.OK(d.t, d.app.Cashout.Images.EraseDue(d.t.Context()))
			kept, err := storage.All(d.t.Context(), d.app.DB, storage.Scalar[string], listKept)
			check.OK(d.t, err)
			if want := slices.Sorted(slices.Values(step.left)); fmt.Sprint(kept) != fmt.Sprint(want) {
				d.t.Errorf("%s later there are pictures of %v, want of %v", step.forward, kept, want)
			}
		}
		records, err := d.app.Audit.List(d.t.Context(), audit.Filter{Everywhere: true, Action: "image.erase"})
		check.OK(d.t, err)
		if n, _, err := storage.One(d.t.Context(), d.app.DB, storage.Scalar[int], countChunks); err != nil || n != 0 || len(records) != 6 {
			d.t.Errorf("%d parts of pictures, %d records, %v", n, len(records), err)
		}
	})
}

var listKept = storage.SQL("server_test.list_kept", `SELECT DISTINCT i.owner_id FROM images i JOIN image_chunks c ON c.image_id = i.image_id ORDER BY i.owner_id`)

var countChunks = storage.SQL("server_test.count_chunks", `SELECT COUNT(*) FROM image_chunks`)

// An invoice that ran out while the order was reviewed is replaced by its customer, and paid once.
func TestCashoutOldInvoice(t *testing.T) {
	eachDesk(t, func(d *desk) {
		lightning := node.Payee{Node: node.New(d.app.DB, d.app.Clocks.Of(realm.Test), "sandbox", true), Network: destination.Main}
		invoice, err := lightning.Invoice(d.t.Context(), 0, "")
		check.OK(d.t, err)
		order := d.order(`{"ln_invoice":"`+invoice+`"}`, 1)
		_, err = d.app.Accounts.AdvanceTestClock(d.t.Context(), "test", 2*time.Hour, nil)
		check.OK(d.t, err)
		if c := d.decide(good...); !c.Unpaid() {
			d.t.Fatalf("%s: %s", c.Status, c.Reason)
		}
		if got := d.status(order); got["status"] != "approved" || got["payment_problem"] == nil {
			d.t.Errorf("%v", got)
		}
		fresh, err := lightning.Invoice(d.t.Context(), 0, "")
		check.OK(d.t, err)
		d.call("POST", "/v2/orders/"+order+"/payment", `{"ln_invoice":"`+fresh+`"}`)
		d.run()
		if got := d.status(order); got["status"] != "completed" {
			d.t.Errorf("%v", got)
		}
		if times, satoshi, err := lightning.Received(d.t.Context()); err != nil || times != 1 || satoshi != 83_523 {
			d.t.Errorf("paid %d times, %d satoshis, %v", times, satoshi, err)
		}
	})
}

// Whatever a chain does to a payout that was confirmed, its order shows the transaction that is: the same one in another block, or one that pays anew since the coins were spent otherwise.
func TestCashoutReorganised(t *testing.T) {
	eachDesk(t, func(d *desk) {
		chain := node.New(d.app.DB, d.app.Clocks.Of(realm.Test), "sandbox", true)
		order := d.order(`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, 1)
		d.decide(good...)
		d.run()
		first := d.status(order)["txid"].(string)
		paid := func() payout.Payout {
			all, err := d.app.Cashout.Payouts.List(d.t.Context(), payout.Filter{Realm: realm.Test})
			check.OK(d.t, err)
			if len(all) != 1 || all[0].State != payout.Settled {
				d.t.Fatalf("%+v", all)
			}
			return all[0]
		}
		spent := paid()
		raw, err := storage.All(d.t.Context(), d.app.DB, storage.Scalar[[]byte], rawTransaction, first)
		check.OK(d.t, err)
		check.OK(d.t, chain.Reorganise(d.t.Context(), 5, true))
		check.OK(d.t, d.app.Cashout.Payouts.Watch(d.t.Context(), realm.Test))
		check.OK(d.t, chain.SpendAgainst(d.t.Context(), raw[0]))
		check.OK(d.t, chain.Fund(d.t.Context(), 1_000_000))
		for range 3 {
			check.OK(d.t, chain.Mine(d.t.Context(), 3))
			d.run()
			check.OK(d.t, d.app.Cashout.Payouts.Batch(d.t.Context(), realm.Test))
		}
		again := paid()
		if got := d.status(order); again.TxID == first || got["status"] != "completed" || got["txid"] != again.TxID {
			d.t.Errorf("paid by %s, then by %s: %v", spent.TxID, again.TxID, got)
		}
		if !strings.Contains(d.log.String(), "other transactions spent the coins") {
			d.t.Error("the operator is not told")
		}
		d.log.Reset()
	})
}

var rawTransaction = storage.SQL("server_test.raw_transaction", `SELECT raw FROM payout_transactions WHERE txid = $1`)

// Without a file and a demonstration nothing is served.
func TestCashoutIsOff(t *testing.T) {
	app, err := server.Open(t.Context(), server.Options{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Close() }()
	web := httptest.NewServer(routes(app))
	defer web.Close()
	response, err := http.Post(web.URL+"/v2/orders", "", strings.NewReader(`{"amount":5500,"currency":"bitcoin"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", response.StatusCode)
	}
}

// A sandbox that the file describes begins with bitcoin: nobody is told that it has none.
func TestSandboxBeginsFunded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cashout.json")
	check.OK(t, os.WriteFile(file, []byte(`{"realm":"test","messages":{"driver":"file","path":"/dev/null"}}`), 0o600))
	app, err := server.Open(t.Context(), server.Options{Data: t.TempDir(), Cashout: file, Logger: slog.New(slog.DiscardHandler)})
	check.OK(t, err)
	defer func() { check.OK(t, app.Close()) }()
	ctx, stop := context.WithCancel(t.Context())
	check.OK(t, app.Serve(ctx, "127.0.0.1:0", server.HTTP{}, func(string) {
		check.OK(t, app.Cashout.Payouts.CheckBalances(ctx, realm.Test))
		stop()
	}))
	found, err := app.Audit.List(t.Context(), audit.Filter{Limit: 100})
	check.OK(t, err)
	for _, e := range found {
		if e.Action == "payout.balance_low" {
			t.Errorf("%s: %v", e.Subject, e.Detail)
		}
	}
}

// What is brought back pays nobody in a realm that has orders, until an operator lets it.
func TestStopPayouts(t *testing.T) {
	eachDesk(t, func(d *desk) {
		stop := func(want ...realm.Realm) {
			d.t.Helper()
			var stopped []realm.Realm
			check.OK(d.t, d.app.DB.Write(d.t.Context(), func(ctx context.Context, tx *storage.Tx) (err error) {
				stopped, err = server.StopPayouts(ctx, tx, d.app.Audit, "operator/ann")
				return err
			}))
			if !slices.Equal(stopped, want) {
				d.t.Errorf("stopped in %v, want %v", stopped, want)
			}
		}
		stop()
		d.authorized(`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, 1)
		stop(realm.Test)
		for _, r := range realm.All() {
			if got, err := d.app.Cashout.Payouts.Stopped(d.t.Context(), r); err != nil || got != (r == realm.Test) {
				d.t.Errorf("stopped in the %s realm: %t, %v", r, got, err)
			}
		}
	})
}

// The events of the cash-out and its payouts are for webhooks of the customer whose books they
// are in: another one is told that it is never sent them, and which ones there are for it. So it
// is with events of operators and of customers.
func TestDeskEvents(t *testing.T) {
	eachDesk(t, func(d *desk) {
		other, err := d.app.Accounts.CreateCustomer(d.t.Context(), "operator/ann", account.NewCustomer{Name: "Other"})
		check.OK(d.t, err)
		create := func(book ledger.BookID, event string) error {
			_, err := d.app.Webhooks.Create(d.t.Context(), webhook.NewEndpoint{Book: book, Realm: realm.Test, URL: "https://93.184.215.14/", Events: []string{event},
				Scheme: webhook.SchemeCardPing, Actor: "operator/ann"})
			return err
		}
		events := []string{"cashout.completed", "payout.settled"}
		refused := func() {
			d.t.Helper()
			for _, event := range events {
				f := fault.From(create(other.Test, event))
				if f.Code != fault.InvalidRequest || !strings.HasPrefix(f.Message, event+" is sent to the cash-out alone; there are ") || strings.Contains(f.Message[len(event):], "cashout.") || strings.Contains(f.Message, "payout.differs") {
					d.t.Errorf("%s: %v", event, f)
				}
			}
		}
		refused()
		d.authorized(`{"address":"12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"}`, 1)
		refused()
		book, err := d.app.Cashout.Orders.Book(d.t.Context(), realm.Test)
		check.OK(d.t, err)
		for _, event := range events {
			check.OK(d.t, create(book, event))
		}
		check.OK(d.t, create(webhook.House(realm.Test), "payout.differs"))
		check.Code(d.t, "operators' alone", create(book, "payout.differs"), fault.InvalidRequest)
		check.OK(d.t, create(webhook.House(realm.Test), "claim.reopened"))
		check.Code(d.t, "customers' alone", create(webhook.House(realm.Test), "order.completed"), fault.InvalidRequest)
	})
}
