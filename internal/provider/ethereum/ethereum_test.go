package ethereum_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/provider/ethereum"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/ethnode"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// The two addresses that are ours.
const (
	ada  = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
	bert = "0x6Fac4D18c912343BF86fa7049364Dd4E424Ab9C0"
)

// bench is a node with what Scrip sees of it.
type bench struct {
	*ethnode.Node
	t     *testing.T
	chain *ethereum.Chain
	after string
	asked int
	known map[string][]deposit.Deposit // that were told, by address
	gaps  []deposit.Gap
}

func (b *bench) deps() ethereum.Deps {
	return ethereum.Deps{
		Ours: func(_ context.Context, all []string) (map[string]bool, error) {
			b.asked++
			known := map[string]bool{}
			for _, address := range all {
				known[address] = address == ada || address == bert
			}
			return known, nil
		},
		Recent: func(context.Context) ([]string, error) { return []string{ada, bert}, nil },
		Paid:   func(context.Context, []string) (map[string][]deposit.Deposit, error) { return b.known, nil },
		Clock:  clock.System(),
		Logger: slog.New(slog.DiscardHandler),
	}
}

func (b *bench) open(from int64) {
	b.t.Helper()
	chain, err := ethereum.Open(b.Config(from), b.deps())
	check.OK(b.t, err)
	b.chain = chain
}

// sightings reads to the end of what is new.
func (b *bench) sightings() (all []deposit.Sighting) {
	b.t.Helper()
	for {
		page, err := b.chain.Seen(b.t.Context(), b.after)
		check.OK(b.t, err)
		all = append(all, page.Sightings...)
		for _, s := range page.Sightings {
			b.learn(s)
		}
		b.gaps = append(b.gaps, page.Gaps...)
		b.after = page.Next
		if !page.More {
			return all
		}
	}
}

// learn keeps a payment of ether as one that is known, once.
func (b *bench) learn(s deposit.Sighting) {
	isKnown := slices.ContainsFunc(b.known[s.Address], func(d deposit.Deposit) bool { return d.Payment == s.Payment })
	if s.Amount.Asset != asset.ETH || isKnown {
		return
	}
	if b.known == nil {
		b.known = map[string][]deposit.Deposit{}
	}
	b.known[s.Address] = append(b.known[s.Address], deposit.Deposit{Payment: s.Payment, Amount: s.Amount, Status: deposit.Pending})
}

// seen is what is new, in short.
func (b *bench) seen() (all []string) {
	b.t.Helper()
	for _, s := range b.sightings() {
		if s.Address != ada && s.Address != bert {
			b.t.Errorf("a payment to %s", s.Address)
		}
		all = append(all, text(s))
	}
	return all
}

func text(s deposit.Sighting) string {
	switch {
	case s.Gone:
		return "gone"
	case s.Address == "":
		return fmt.Sprint(s.Confirmations)
	}
	return fmt.Sprint(s.Amount, " ", s.Amount.Asset, " ", s.Confirmations)
}

func (b *bench) look(tx string, index int64) deposit.Sighting {
	b.t.Helper()
	all, err := b.chain.Look(b.t.Context(), []deposit.Payment{{Chain: asset.Ethereum, TxID: tx, Index: index}})
	check.OK(b.t, err)
	if len(all) != 1 {
		b.t.Fatalf("%d sightings of one payment", len(all))
	}
	return all[0]
}

func (b *bench) looked(what, tx string, index int64, want string) {
	b.t.Helper()
	if got := text(b.look(tx, index)); got != want {
		b.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func (b *bench) expect(what string, got []string, want ...string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// A real node's chain is followed: ether and tokens, what a reorganisation takes away and
// brings back, and what happened meanwhile. The look-alike of the token and what was undone
// are nothing, and a token that keeps a fee pays what it says.
func TestNode(t *testing.T) {
	b := &bench{t: t, Node: ethnode.Start(t)}
	b.open(1)
	b.expect("nothing is ours", b.seen())
	if !strings.HasPrefix(b.after, "1/0x") {
		t.Errorf("the place is %s", b.after)
	}
	ether := b.Pay(ada, ethnode.Gwei(1_500_000_000))
	tokens := b.Transfer(b.Token, ada, 25_000_000)
	b.Transfer(b.Fake, ada, 25_000_000)
	undone := b.Refused(ada)
	b.expect("in no block", b.seen())
	b.Mine(1)
	b.expect("in a block", b.seen(), "1.5 ETH 1", "25 USDT-ERC20 1")
	b.expect("told once", b.seen())
	b.looked("ether", ether, 0, "1")
	b.looked("tokens", tokens, 1, "25 USDT-ERC20 1")
	b.looked("undone", undone, 1, "gone")
	b.Mine(4)
	b.looked("five blocks", tokens, 1, "25 USDT-ERC20 5")
	b.expect("nothing new", b.seen())

	b.Reorganise(5)
	b.expect("the branch without them", b.seen())
	for _, tx := range []string{ether, tokens} {
		if s := b.look(tx, 0); s.Confirmations != 0 {
			t.Errorf("its block is gone: %s", text(s))
		}
	}
	b.SetFee(100)
	fee := b.Transfer(b.Token, bert, 10_000_000)
	b.Mine(2)
	again := b.seen()
	if !slices.Contains(again, "9.9 USDT-ERC20 2") {
		t.Errorf("with a fee: %q", again)
	}
	b.looked("with a fee", fee, 2, "9.9 USDT-ERC20 2")
	b.looked("the fee, which is somebody else's", fee, 1, "0.1 USDT-ERC20 2")

	behind := b.after
	b.Pay(bert, ethnode.Gwei(7))
	b.Mine(40)
	b.after = behind
	b.open(1) // another process, or this one after a restart
	b.expect("a while behind", b.seen(), "0.000000007 ETH 40")
	unknown := "0x" + strings.Repeat("ab", 32)
	b.looked("a transaction that never was", unknown, 0, "gone")
	if s := b.look(fee, 2); !s.Final {
		t.Error("forty blocks later it is not final")
	}
}

// What a contract pays is found by the balance, in its own block and once, whoever looks
// from wherever; what an owner takes away hides it not, and a reorganisation undoes it.
func TestHidden(t *testing.T) {
	b := &bench{t: t, Node: ethnode.Start(t)}
	b.open(1)
	b.seen()
	b.PayHidden(ada, ethnode.Gwei(500_000_000))
	b.Pay(ada, ethnode.Gwei(1_000_000_000))
	b.Mine(1)
	first := b.sightings()
	if len(first) != 2 || text(first[0]) != "1 ETH 1" || text(first[1]) != "0.5 ETH 1" {
		t.Fatalf("%v", first)
	}
	hidden := first[1]
	b.looked("hidden", hidden.TxID, 0, "1")

	b.Mine(1)
	b.Empty(ada, ethnode.Gwei(1_200_000_000))
	b.PayHidden(ada, ethnode.Gwei(30_000_000))
	b.Mine(1)
	b.expect("besides what was taken away", b.seen(), "0.03 ETH 1")
	b.after = ""
	b.open(1)
	b.expect("all of it at once", b.seen(), "1 ETH 3", "0.5 ETH 3", "0.03 ETH 1")
	b.after = ""
	if all := b.sightings(); !slices.ContainsFunc(all, func(s deposit.Sighting) bool { return s.Payment == hidden.Payment }) {
		t.Errorf("%v has no %v", all, hidden.Payment)
	}
	b.looked("three blocks", hidden.TxID, 0, "3")
	b.Reorganise(3)
	b.looked("its block is gone", hidden.TxID, 0, "gone")
}

// A node that has less than it had is behind: nothing is gone.
func TestBehind(t *testing.T) {
	b := &bench{t: t, Node: ethnode.Start(t)}
	b.open(1)
	var snapshot string
	check.OK(t, b.Ask(&snapshot, "evm_snapshot"))
	tx := b.Pay(ada, ethnode.Gwei(1_000_000))
	b.Mine(5)
	b.expect("seen", b.seen(), "0.001 ETH 5")
	check.OK(t, b.Call("evm_revert", snapshot))
	b.open(1)
	_, err := b.chain.Seen(t.Context(), b.after)
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "behind") {
		t.Errorf("seen: %v", err)
	}
	_, err = b.chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Ethereum, TxID: tx}})
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "behind") {
		t.Errorf("looked at: %v", err)
	}
	b.Mine(5)
	b.expect("in another history", b.seen())
	b.looked("gone", tx, 0, "gone")
}

// A node that has the last block that was read, and not in its chain any more or not yet, is
// behind as long as that ends below it.
func TestLoadingAgain(t *testing.T) {
	server := httptest.NewServer(newCanned(0, nil))
	defer server.Close()
	chain, err := ethereum.Open(fmt.Appendf(nil, `{"url":%q,"chain_id":5,"token":"0xdac17f958d2ee523a2206206994597c13d831ec7"}`, server.URL), ethereum.Deps{Clock: clock.System()})
	check.OK(t, err)
	if page, err := chain.Seen(t.Context(), "3/"+hashThree+"/3"); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "behind") {
		t.Errorf("seen: %+v, %v", page, err)
	}
	if all, err := chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Ethereum, TxID: hashOne}}); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "behind") {
		t.Errorf("looked at: %+v, %v", all, err)
	}
}

// Where several nodes answer under one address, one that is behind makes nothing gone.
func TestOneIsBehind(t *testing.T) {
	var ends []int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var calls []struct{ Method string }
		check.OK(t, json.NewDecoder(r.Body).Decode(&calls))
		var all []string
		for i, call := range calls {
			result := "null"
			switch call.Method {
			case "eth_chainId":
				result = `"0x5"`
			case "eth_syncing":
				result = "false"
			case "eth_getBlockByNumber":
				if i < 3 { // not the final one
					result = fmt.Sprintf(`{"number":"0x%d","timestamp":"0x1"}`, ends[0])
					ends = append(ends[1:], ends[0])
				}
			}
			all = append(all, fmt.Sprintf(`{"id":%d,"result":%s}`, i, result))
		}
		_, _ = fmt.Fprintf(w, "[%s]", strings.Join(all, ","))
	}))
	defer server.Close()
	chain, err := ethereum.Open(fmt.Appendf(nil, `{"url":%q,"chain_id":5,"token":"0xdac17f958d2ee523a2206206994597c13d831ec7"}`, server.URL), ethereum.Deps{Clock: clock.System()})
	check.OK(t, err)
	for _, tx := range []string{hashOne, hashTwo + ":" + ada} {
		ends = []int{9, 8, 9, 9}
		payment := []deposit.Payment{{Chain: asset.Ethereum, TxID: tx}}
		if all, err := chain.Look(t.Context(), payment); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "behind") {
			t.Errorf("%s: %+v, %v", tx, all, err)
		}
		if all, err := chain.Look(t.Context(), payment); err != nil || len(all) != 1 || !all[0].Gone {
			t.Errorf("%s of one that is not: %+v, %v", tx, all, err)
		}
	}
}

// A block of many payments is read with one question of whose the addresses are.
func TestFullBlock(t *testing.T) {
	b := &bench{t: t, Node: ethnode.Start(t)}
	b.open(1)
	b.seen()
	b.asked = 0
	const payments = 300
	for range payments {
		b.Transfer(b.Token, ada, 1)
	}
	b.Mine(1)
	if got := b.seen(); len(got) != payments {
		t.Errorf("%d payments were seen", len(got))
	}
	if b.asked != 1 {
		t.Errorf("the addresses were asked for %d times", b.asked)
	}
}

// A node that is not what it should be, or does not say what it should, is an error.
func TestRefusals(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "bearer")
	check.OK(t, os.WriteFile(secret, []byte("sesame\n"), 0o600))
	answers := func(chain, syncing, made string) string {
		return fmt.Sprintf(`[{"id":0,"result":%q},{"id":1,"result":%s},{"id":2,"result":{"number":"0x5","hash":"0x1","timestamp":%q}},{"id":3,"result":null}]`, chain, syncing, made)
	}
	now := time.Unix(1_800_000_000, 0)
	fresh := fmt.Sprintf("0x%x", now.Unix()-500)
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"other chain":    {200, answers("0x5", "false", fresh), "not on the chain 1"},
		"loading":        {200, answers("0x1", `{"currentBlock":"0x5"}`, fresh), "still loading"},
		"behind":         {200, answers("0x1", "false", "0x10"), "is behind"},
		"wrong password": {401, ``, "wants a login, or another one"},
		"too many calls": {429, `{}`, "no more calls for now"},
		"no JSON":        {200, `<html>`, "no JSON-RPC"},
		"refused":        {200, `[{"id":0,"error":{"message":"secret"}},{"id":1},{"id":2},{"id":3}]`, "does not tell"},
		"too few":        {200, `[{"id":0,"result":"0x1"}]`, "not answer every call"},
		"twice":          {200, `[{"id":0},{"id":0},{"id":1},{"id":2}]`, "was not made"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != "Bearer sesame" {
					t.Errorf("the credential is %q", got)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			chain, err := ethereum.Open(fmt.Appendf(nil, `{"url":%q,"bearer_file":%q,"chain_id":1}`, server.URL, secret), ethereum.Deps{Clock: clock.NewManual(now)})
			check.OK(t, err)
			_, err = chain.Seen(t.Context(), "")
			if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Ethereum, TxID: "0x00"}}); fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("look: %v", err)
			}
		})
	}
}

// What a configuration cannot be is refused with the key that is wrong.
func TestConfig(t *testing.T) {
	const good = `"url":"http://127.0.0.1:8545"`
	for text, field := range map[string]string{
		`{` + good + `,"chain_id":1}`:                                                      "",
		`{"url":"https://node.example/v3/key","chain_id":1}`:                               "",
		`{"url":"http://10.0.0.7:8545","chain_id":1}`:                                      "url",
		`{"url":"http://u:p@127.0.0.1:8545","chain_id":1}`:                                 "url",
		`{"url":"127.0.0.1","chain_id":1}`:                                                 "url",
		`{` + good + `}`:                                                                   "chain_id",
		`{` + good + `,"chain_id":5}`:                                                      "token",
		`{` + good + `,"chain_id":5,"token":"0xdac17f958d2ee523a2206206994597c13d831ec7"}`: "",
		`{` + good + `,"chain_id":5,"token":"0xDac17F958D2ee523a2206206994597C13D831ec7"}`: "token",
		`{` + good + `,"chain_id":5,"token":"0xdac17f958d2ee523a2206206994597c13d831ec"}`:  "token",
		`{` + good + `,"chain_id":1,"from_height":-1}`:                                     "from_height",
		`{` + good + `,"chain_id":1,"compare_blocks":65}`:                                  "compare_blocks",
		`{` + good + `,"chain_id":1,"stale_seconds":-1}`:                                   "stale_seconds",
		`{` + good + `,"chain_id":1,"timeout_seconds":601}`:                                "timeout_seconds",
	} {
		_, err := ethereum.Open([]byte(text), ethereum.Deps{})
		switch {
		case field == "" && err != nil, field != "" && (fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != field):
			t.Errorf("%s: %v, want %q", text, err, field)
		}
	}
	for _, text := range []string{``, `[]`, `{"urls":""}`, `{} {}`} {
		if _, err := ethereum.Open([]byte(text), ethereum.Deps{}); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %v", text, err)
		}
	}
}
