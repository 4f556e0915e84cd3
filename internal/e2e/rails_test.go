package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/testkit/lndnode"
)

// till is the demonstration, which pays with a real node.
type till struct {
	t      *testing.T
	at     *installation
	server *process
	orders int
}

// A demonstration that pays with a real lnd is killed when a transaction was signed and
// before it is stored, and when one was published and before anybody knows. Started again it
// goes on at once, and pays every order once. Payout's own tests kill it at every call, over
// Lightning too.
func TestRailsThroughCrashes(t *testing.T) {
	net := lndnode.Start(t)
	eachEngine(t, func(t *testing.T, at *installation) {
		killer, way := net.Killer(t)
		text, err := json.Marshal(map[string]any{"test_nodes": map[string]any{"lnd": way.Node}, "rules": map[string]int{"gather_seconds": 0, "watch_seconds": 1}})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "payouts.json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		at.env = append(at.env, "SCRIP_PAYOUTS="+path)
		d := &till{t: t, at: at, server: at.start(t, "--demo")}
		paid := map[string][]byte{} // by order: the script
		for _, call := range []string{"POST /v2/wallet/psbt/finalize", "POST /v2/wallet/tx"} {
			to := net.Payee.Address()
			order := d.order(to.Text)
			paid[order] = to.Script()
			killer.KillAt(d.server.cmd.Process, call)
			d.approve(order)
			<-d.server.ended
			d.server = at.start(t, "--demo")
			d.completed(order, func() { net.Mine(1) })
		}
		for order, script := range paid {
			if n, satoshi := net.Chain.Paid(script); n != 1 || satoshi != 83_523 {
				t.Errorf("%s was paid %d times, %d satoshis", order, n, satoshi)
			}
		}
		if problems := at.fields(t, "verify")["problems"]; problems != "0" {
			t.Errorf("the books have %s problems", problems)
		}
		d.server.stop(t)
	})
}

// call makes a request and reads the answer into out. It reports false when nobody answered.
func (d *till) call(method, path, body string, out any) bool {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, d.server.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer op_demo")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return false
	}
	if answer.StatusCode >= http.StatusBadRequest {
		d.t.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, text)
	}
	if out != nil {
		decode(d.t, text, out)
	}
	return true
}

// must is a call that is answered.
func (d *till) must(method, path, body string, out any) {
	d.t.Helper()
	if !d.call(method, path, body, out) {
		d.t.Fatalf("%s %s: no answer\n%s", method, path, d.server.stderr)
	}
}

// order makes an order that waits for a reviewer, and returns its token.
func (d *till) order(where string) string {
	d.t.Helper()
	d.orders++
	var made struct {
		Data struct {
			ID string `json:"order_id"`
		}
	}
	d.must("POST", "/v2/orders", `{"amount":5500,"currency":"bitcoin"}`, &made)
	token := made.Data.ID
	number := "+1415555" + strconv.Itoa(2000+d.orders)
	d.must("POST", "/v2/phones?order_id="+token, `{"phone_number":"`+number+`","call":"true","recaptcha_response":"demo"}`, nil)
	d.must("POST", "/v2/phones/code?order_id="+token, `{"phone_number":"`+number+`","verification_code":"4321"}`, nil)
	d.must("POST", "/v2/orders/"+token+"/payment", fmt.Sprintf(`{"address":%q}`, where), nil)
	for i, kind := range []string{"Image1", "Image2"} {
		d.upload(token, kind, photo(uint64(10*d.orders+i)))
	}
	d.must("POST", "/v2/orders/"+token+"/verify", "", nil)
	return token
}

// upload sends a picture to where the form says.
func (d *till) upload(token, kind string, file []byte) {
	d.t.Helper()
	var form struct {
		Data struct {
			URL    string            `json:"url"`
			Fields map[string]string `json:"fields"`
		}
	}
	d.must("POST", "/v2/orders/"+token+"/images/"+kind, `{"file_name":"a.png","file_size":"`+strconv.Itoa(len(file))+`"}`, &form)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range form.Data.Fields {
		_ = w.WriteField(name, value) // a buffer takes everything
	}
	part, err := w.CreateFormFile("file", "a.png")
	if err != nil {
		d.t.Fatal(err)
	}
	_, _ = part.Write(file)
	_ = w.Close()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, form.Data.URL, &body)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusCreated {
		d.t.Fatalf("upload of %s: %d", kind, answer.StatusCode)
	}
}

// photo is a picture that looks like no other.
func photo(seed uint64) []byte {
	source := rand.New(rand.NewPCG(seed, 1))
	m := image.NewRGBA(image.Rect(0, 0, 320, 240))
	for y := 0; y < 240; y += 40 {
		for x := 0; x < 320; x += 40 {
			shade := uint8(220 * source.IntN(2))
			for i := range 1600 {
				m.SetRGBA(x+i%40, y+i/40, color.RGBA{shade, uint8(x), uint8(y), 255})
			}
		}
	}
	var out bytes.Buffer
	_ = png.Encode(&out, m) // a buffer takes everything
	return out.Bytes()
}

// approve has a reviewer approve the one order that waits. The server may die meanwhile.
func (d *till) approve(token string) {
	d.t.Helper()
	var queue struct {
		Data []struct {
			ID   string `json:"order_id"`
			Book string `json:"book_id"`
		}
	}
	d.must("GET", "/operator/v1/cashouts/queue?realm=test", "", &queue)
	if len(queue.Data) != 1 {
		d.t.Fatalf("%d orders wait, and %s is one of them", len(queue.Data), token)
	}
	one := "/operator/v1/books/" + queue.Data[0].Book + "/cashouts/" + queue.Data[0].ID
	d.must("POST", one+"/claim", "{}", nil)
	d.call("POST", one+"/decide", `{"images":[{"image_type":"Image1","accept":true},{"image_type":"Image2","accept":true}]}`, nil)
}

// completed has the test realm's time pass until an order is paid.
func (d *till) completed(token string, mine func()) {
	d.t.Helper()
	var got struct {
		Data struct{ Status string }
	}
	for range 240 {
		d.must("GET", "/v2/orders/"+token, "", &got)
		if got.Data.Status == "completed" {
			return
		}
		mine()
		d.must("POST", "/operator/v1/clock/advance", `{"by":"6m"}`, nil)
		if err := clock.Wait(d.t.Context(), 250*time.Millisecond); err != nil {
			d.t.Fatal(err)
		}
	}
	d.t.Fatalf("the order is %s\n%s", got.Data.Status, d.server.stderr)
}
