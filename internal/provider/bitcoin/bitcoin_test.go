package bitcoin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/provider/bitcoin"
	"github.com/scripcards/scrip/internal/testkit/btcnode"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bench is a node with what Scrip sees of it.
type bench struct {
	*btcnode.Node
	t     *testing.T
	ours  btcnode.Wallet
	chain *bitcoin.Chain
	after string
}

func (b *bench) open(from int64) {
	b.t.Helper()
	chain, err := bitcoin.Open(b.Config(from), func(_ context.Context, all []string) (map[string]bool, error) {
		known := map[string]bool{}
		for _, address := range all {
			known[address] = address == b.ours.Book
		}
		return known, nil
	})
	must(b.t, err)
	b.chain = chain
}

// seen reads to the end of what is new and returns it in short.
func (b *bench) seen() []string {
	b.t.Helper()
	var all []string
	for {
		page, err := b.chain.Seen(b.t.Context(), b.after)
		must(b.t, err)
		for _, s := range page.Sightings {
			all = append(all, b.text(s))
		}
		b.after = page.Next
		if !page.More {
			return all
		}
	}
}

func (b *bench) text(s deposit.Sighting) string {
	b.t.Helper()
	switch {
	case s.Gone:
		return strings.TrimSpace("gone " + s.ReplacedBy)
	case s.Address != b.ours.Book:
		b.t.Errorf("a payment to %s", s.Address)
	}
	return fmt.Sprint(s.Amount, " ", s.Confirmations)
}

func (b *bench) look(tx string) string {
	b.t.Helper()
	all, err := b.chain.Look(b.t.Context(), []deposit.Payment{{Chain: asset.Bitcoin, TxID: tx}})
	must(b.t, err)
	if len(all) != 1 {
		b.t.Fatalf("%d sightings of one payment", len(all))
	}
	return b.text(all[0])
}

func (b *bench) expect(what string, got []string, want ...string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// A real node's chain is followed: what waits, what is confirmed, what a reorganisation
// takes away and brings back, what is spent otherwise, and what happened meanwhile.
func TestNode(t *testing.T) {
	b := &bench{t: t, Node: btcnode.Start(t, btcnode.NewWallet(t, 1)), ours: btcnode.NewWallet(t, 2)}
	blocks := b.Mine(120)
	b.open(1)
	b.expect("nothing is ours", b.seen())
	if !strings.HasPrefix(b.after, "120/") {
		t.Errorf("the place is %s", b.after)
	}

	first, second := b.Coinbase(blocks[0]), b.Coinbase(blocks[1])
	tx := b.Pay(first, b.ours, 1_500_000, 1_000)
	b.expect("waiting", b.seen(), "0.015 0")
	b.expect("told once", b.seen())
	b.open(1) // another process, or this one after a restart
	b.expect("told again", b.seen(), "0.015 0")
	holds := b.Mine(1)[0]
	b.expect("in a block", b.seen(), "0.015 1")
	if got := b.look(tx); got != "0.015 1" {
		t.Errorf("looked at: %s", got)
	}
	b.Mine(4)
	if got := b.look(tx); got != "0.015 5" {
		t.Errorf("five blocks: %s", got)
	}
	b.expect("nothing new", b.seen())

	must(t, b.Call("invalidateblock", holds))
	if got := b.look(tx); got != "0.015 0" && got != "gone" {
		t.Errorf("its block is gone: %s", got)
	}
	b.Mine(6)
	b.open(1)
	got := b.seen()
	if now := b.look(tx); now == "gone" {
		b.expect("the branch without it", got)
	} else {
		b.expect("in the other branch", got, "0.015 6")
	}

	behind := b.after
	b.Pay(second, b.ours, 700, 1_000)
	b.Mine(40)
	b.after = behind
	b.open(1)
	b.expect("a month behind", b.seen(), "0.000007 40")

	unknown := strings.Repeat("ab", 32)
	if got := b.look(unknown); got != "gone" {
		t.Errorf("a transaction that never was: %s", got)
	}
	b.after = "10/" + unknown
	b.expect("of another history", b.seen(), "0.015 46", "0.000007 40")
}

// A payment that is spent otherwise before its block is gone.
func TestReplaced(t *testing.T) {
	b := &bench{t: t, Node: btcnode.Start(t, btcnode.NewWallet(t, 3)), ours: btcnode.NewWallet(t, 4)}
	from := b.Coinbase(b.Mine(110)[0])
	b.open(0)
	b.expect("where the chain ends", b.seen())
	old := b.Pay(from, b.ours, 1_000_000, 1_000)
	b.expect("waiting", b.seen(), "0.01 0")
	by := b.Pay(from, b.ours, 900_000, 50_000)
	b.expect("instead of it", b.seen(), "0.009 0")
	if got := b.look(old); got != "gone" && got != "gone "+by {
		t.Errorf("replaced: %s", got)
	}
	b.Mine(2)
	if got := b.look(by); got != "0.009 2" {
		t.Errorf("what replaced it: %s", got)
	}
}

// A block of a thousand payments is read, and the addresses are asked for once.
func TestFullBlock(t *testing.T) {
	b := &bench{t: t, Node: btcnode.Start(t, btcnode.NewWallet(t, 5)), ours: btcnode.NewWallet(t, 6)}
	from := b.Coinbase(b.Mine(110)[0])
	b.open(0)
	b.expect("where the chain ends", b.seen())
	asked := 0
	var err error
	b.chain, err = bitcoin.Open(b.Config(0), func(_ context.Context, all []string) (map[string]bool, error) {
		asked++
		return map[string]bool{b.ours.Book: true}, nil
	})
	must(t, err)
	const payments = 1000
	for range payments {
		tx := b.Pay(from, b.ours, 1_000, 200)
		from = b.Rest(from, tx, 1_000, 200)
	}
	b.Mine(1)
	if got := b.seen(); len(got) != payments {
		t.Errorf("%d payments were seen", len(got))
	}
	if asked != 1 {
		t.Errorf("the addresses were asked for %d times", asked)
	}
}

// A node that is not what it should be, or does not say what it should, is an error.
func TestRefusals(t *testing.T) {
	password := filepath.Join(t.TempDir(), "cookie")
	must(t, os.WriteFile(password, []byte("__cookie__:secret\n"), 0o600))
	const rest = `"bestblockhash":"00"`
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"other network":  {200, `{"id":1,"result":{"chain":"main","blocks":1,` + rest + `}}`, "not on the network regtest"},
		"starting":       {500, `{"id":1,"error":{"code":-28,"message":"Loading secret block index"}}`, "is starting"},
		"wrong password": {401, ``, "wants a login, or another one"},
		"no JSON":        {200, `<html>`, "no JSON"},
		"refused":        {500, `{"id":1,"error":{"code":-1,"message":"secret"}}`, "does not tell"},
		"other answer":   {200, `{"id":1,"result":[1]}`, "not what was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if user, word, ok := r.BasicAuth(); !ok || user != "__cookie__" || word != "secret" {
					t.Errorf("the credentials are %q %q", user, word)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			chain, err := bitcoin.Open(fmt.Appendf(nil, `{"url":%q,"cookie_file":%q,"network":"regtest"}`, server.URL, password), nil)
			must(t, err)
			_, err = chain.Seen(t.Context(), "")
			if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Bitcoin, TxID: "00"}}); fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("look: %v", err)
			}
		})
	}
}

// What a configuration cannot be is refused with the key that is wrong.
func TestConfig(t *testing.T) {
	const good = `"cookie_file":"/run/bitcoind/.cookie","network":"main"`
	for text, field := range map[string]string{
		`{"url":"http://127.0.0.1:8332",` + good + `}`:                                                        "",
		`{"url":"https://node.example:8332",` + good + `}`:                                                    "",
		`{"url":"http://10.0.0.7:8332",` + good + `}`:                                                         "url",
		`{"url":"http://u:p@127.0.0.1:8332",` + good + `}`:                                                    "url",
		`{"url":"127.0.0.1",` + good + `}`:                                                                    "url",
		`{"url":"http://localhost:8332","cookie_file":"/c","network":"mainnet"}`:                              "network",
		`{"url":"http://localhost:8332","network":"main"}`:                                                    "cookie_file",
		`{"url":"http://localhost:8332","cookie_file":"/c","password_file":"/p","user":"u","network":"main"}`: "cookie_file",
		`{"url":"http://localhost:8332","password_file":"/p","network":"main"}`:                               "user",
		`{"url":"http://localhost:8332","from_height":-1,` + good + `}`:                                       "from_height",
		`{"url":"http://localhost:8332","timeout_seconds":601,` + good + `}`:                                  "timeout_seconds",
		`{"url":"https://node.example","certificate_file":"/none",` + good + `}`:                              "certificate_file",
	} {
		_, err := bitcoin.Open([]byte(text), nil)
		switch {
		case field == "" && err != nil, field != "" && (fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != field):
			t.Errorf("%s: %v, want %q", text, err, field)
		}
	}
	for _, text := range []string{``, `[]`, `{"urls":""}`, `{} {}`} {
		if _, err := bitcoin.Open([]byte(text), nil); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %v", text, err)
		}
	}
}
