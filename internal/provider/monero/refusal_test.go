package monero_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/provider/monero"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// primary and sub are addresses of one wallet of a regtest chain.
const (
	primary = "44GYNL6AQ9VJS4mLma9D3EaKncwmHM4Cn9xJjdgrbRyx1VakgwYFAs4ChUCmNhWvVpTmTwi6z2pf74CHBkxu52Tb8FTPmdJ"
	sub     = "87DNxg3LGJqCnEkMmkdBv2fxJDenTPerS2E14fe4ZNEaC8FBmyobTaD8kPeE1u4N237MqJLzAFSRAhqdjqmyStn8FJAUTDa"
)

// answers are what a node and a wallet say that are as they should be, by the call.
func answers() map[string]string {
	return map[string]string{
		"get_info":             `"result":{"status":"OK","nettype":"fakechain","height":101,"top_block_hash":"aa","synchronized":true}`,
		"get_address":          `"result":{"addresses":[{"address":"` + primary + `","address_index":0}]}`,
		"describe_transfer":    `"error":{"code":-29,"message":"secret"}`,
		"refresh":              `"result":{}`,
		"get_height":           `"result":{"height":101}`,
		"get_transfers":        `"result":{}`,
		"get_transfer_by_txid": `"error":{"code":-8,"message":"secret"}`,
	}
}

// told opens the chain of a node and a wallet that give some answers.
func told(t *testing.T, answers map[string]string) *monero.Chain {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Method string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.URL.Path != "/json_rpc" {
			t.Errorf("asked %s: %v", r.URL.Path, err)
		}
		switch text := answers[asked.Method]; text {
		case "login":
			w.WriteHeader(http.StatusUnauthorized)
		case "away":
			panic(http.ErrAbortHandler)
		default:
			_, _ = fmt.Fprintf(w, `{"id":"0","jsonrpc":"2.0",%s}`, text)
		}
	}))
	t.Cleanup(server.Close)
	chain, err := monero.Open(fmt.Appendf(nil, `{"url":%q,"node_url":%[1]q,"address":%q,"network":"regtest"}`, server.URL, primary),
		func(context.Context) (int64, error) { return 0, nil })
	check.OK(t, err)
	return chain
}

// A node or a wallet that is not what it should be, or does not say what it should, is an
// error, in words of our own.
func TestRefusals(t *testing.T) {
	const info = `"result":{"status":"OK","nettype":"fakechain","height":101,"top_block_hash":"aa",`
	for name, c := range map[string]struct{ method, answer, want string }{
		"other network":     {"get_info", `"result":{"status":"OK","nettype":"mainnet","height":101,"top_block_hash":"aa"}`, "not on the network regtest"},
		"behind":            {"get_info", info + `"synchronized":false}`, "does not have all blocks"},
		"syncing":           {"get_info", info + `"synchronized":true,"busy_syncing":true}`, "does not have all blocks"},
		"bootstrapping":     {"get_info", info + `"synchronized":true,"untrusted":true}`, "repeats what another one says"},
		"busy":              {"get_info", `"result":{"status":"BUSY"}`, "does not tell where it is"},
		"node away":         {"get_info", "away", "the node: "},
		"other wallet":      {"get_address", `"result":{"addresses":[{"address":"` + sub + `","address_index":0}]}`, "not the one of the configuration"},
		"other index":       {"get_address", `"result":{"addresses":[{"address":"` + primary + `","address_index":7}]}`, "another address than was asked for"},
		"no address":        {"get_address", `"result":{"addresses":[]}`, "did not tell every address"},
		"no wallet":         {"get_address", `"error":{"code":-13,"message":"secret"}`, "no wallet is open"},
		"can spend":         {"describe_transfer", `"error":{"code":-1,"message":"secret"}`, "can spend"},
		"did describe":      {"describe_transfer", `"result":{}`, "can spend"},
		"denied":            {"describe_transfer", `"error":{"code":-7,"message":"secret"}`, "does not tell whether it can spend"},
		"wallet without it": {"refresh", `"error":{"code":-38,"message":"secret"}`, "does not reach its node"},
		"login":             {"refresh", "login", "wants a login"},
		"behind the node":   {"get_height", `"result":{"height":100}`, "not at the same block"},
		"ahead of it":       {"get_height", `"result":{"height":102}`, "not at the same block"},
		"no JSON":           {"get_height", `"result":`, "no JSON"},
		"other answer":      {"get_height", `"result":[1]`, "not what was asked for"},
		"nothing":           {"get_height", `"other":1`, "not what was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			all := answers()
			all[c.method] = c.answer
			chain := told(t, all)
			_, err := chain.Seen(t.Context(), "")
			if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Monero, TxID: "00", Index: 1}}); fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("look: %v", err)
			}
		})
	}
}

// A node and a wallet that end below a block that was read before are behind, though they
// agree: nothing is new, and nothing is gone until they have that block again.
func TestBehind(t *testing.T) {
	all := answers()
	chain := told(t, all)
	page, err := chain.Seen(t.Context(), "")
	check.OK(t, err)
	payment := []deposit.Payment{{Chain: asset.Monero, TxID: "bb", Index: 1}}
	good := [2]string{all["get_info"], all["get_height"]}
	all["get_info"], all["get_height"] = strings.Replace(good[0], "101", "90", 1), strings.Replace(good[1], "101", "90", 1)
	for _, c := range []*monero.Chain{chain, told(t, all)} { // this process, and one that has just been started
		if _, err := c.Seen(t.Context(), page.Next); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "ends at block 89, and block 100 was read") {
			t.Errorf("seen: %v", err)
		}
		if _, err := c.Look(t.Context(), payment); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "behind") {
			t.Errorf("look: %v", err)
		}
	}
	all["get_info"], all["get_height"] = good[0], good[1]
	if seen, err := chain.Look(t.Context(), payment); err != nil || len(seen) != 1 || !seen[0].Gone {
		t.Errorf("it has all of it: %+v, %v", seen, err)
	}
}

// What a wallet tells of a transaction becomes one payment a subaddress, exact to the
// piconero, and what contradicts itself or its node becomes none.
func TestTransfers(t *testing.T) {
	one := func(kind string, minor int, amount uint64, rest string) string {
		return fmt.Sprintf(`{"txid":"bb","type":%q,"address":%q,"amount":%d,"subaddr_index":{"major":0,"minor":%d}%s}`, kind, sub, amount, minor, rest)
	}
	const most = 1<<64 - 1
	for name, c := range map[string]struct{ in, pool, want string }{
		"nothing":               {"", "", ""},
		"to the piconero":       {one("in", 1, most, `,"height":100`), "", "1: 18446744.073709551615 1"},
		"in pieces":             {one("in", 1, 7, `,"height":91`) + "," + one("in", 1, 8, `,"height":91`), "", "1: 0.000000000015 10"},
		"waiting and mined":     {one("in", 1, 7, `,"height":100`), one("pool", 1, 7, ""), "1: 0.000000000007 1"},
		"locked and waiting":    {one("in", 1, 7, `,"height":90,"unlock_time":900,"locked":true`), one("pool", 1, 7, ""), "1: 0.000000000007 0"},
		"not locked any more":   {one("in", 1, 7, `,"height":90,"unlock_time":95,"locked":false`), "", "1: 0.000000000007 11"},
		"young":                 {one("in", 1, 7, `,"height":100,"unlock_time":0,"locked":true`), "", "1: 0.000000000007 1"},
		"spent twice":           {"", one("pool", 1, 7, `,"double_spend_seen":true`), ""},
		"the primary address":   {one("in", 0, 7, `,"height":100`), "", ""},
		"more than there is":    {one("in", 1, most, `,"height":100`) + "," + one("in", 1, 1, `,"height":100`), "", "contradicts itself"},
		"a block to come":       {one("in", 1, 7, `,"height":101`), "", "a block that its node does not have"},
		"something that leaves": {one("out", 1, 7, `,"height":100`), "", "something else than what came in"},
		"below nothing":         {strings.Replace(one("in", 1, 7, `,"height":100`), `"amount":7`, `"amount":-7`, 1), "", "not what was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			all := answers()
			all["get_transfers"] = fmt.Sprintf(`"result":{"in":[%s],"pool":[%s]}`, c.in, c.pool)
			page, err := told(t, all).Seen(t.Context(), "")
			got := ""
			for _, s := range page.Sightings {
				got += fmt.Sprint(s.Index, ": ", s.Amount, " ", s.Confirmations)
			}
			if err != nil {
				got = err.Error()
			}
			if got != c.want && (err == nil || c.want == "" || !strings.Contains(got, c.want)) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if err == nil && (page.Next != "100/aa" || page.More) {
				t.Errorf("the place is %s, %t", page.Next, page.More)
			}
		})
	}
}

// A block that comes while the wallet is read has it read again: between a block and the
// wallet's learning of it, a payment is in neither.
func TestBlockMeanwhile(t *testing.T) {
	read, asked := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct{ Method string }
		check.OK(t, json.NewDecoder(r.Body).Decode(&call))
		text := answers()[call.Method]
		switch call.Method {
		case "get_info":
			if asked++; asked > 1 { // the block came after the first look
				text = strings.NewReplacer("101", "102", "aa", "bb").Replace(text)
			}
		case "get_height":
			text = strings.Replace(text, "101", fmt.Sprint(101+min(read, 1)), 1)
		case "get_transfer_by_txid":
			if read++; read > 1 {
				text = fmt.Sprintf(`"result":{"transfers":[{"txid":"cc","type":"in","address":%q,"amount":7,"height":101,"subaddr_index":{"minor":1}}]}`, sub)
			}
		}
		_, _ = fmt.Fprintf(w, `{%s}`, text)
	}))
	defer server.Close()
	chain, err := monero.Open(fmt.Appendf(nil, `{"url":%q,"node_url":%[1]q,"address":%q,"network":"regtest"}`, server.URL, primary),
		func(context.Context) (int64, error) { return 0, nil })
	check.OK(t, err)
	all, err := chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Monero, TxID: "cc", Index: 1}})
	check.OK(t, err)
	if len(all) != 1 || all[0].Gone || all[0].Confirmations != 1 || read != 2 {
		t.Errorf("%+v, read %d times", all, read)
	}
}

// More payments than one answer may hold are told in several, each once, and counted so.
func TestFlooded(t *testing.T) {
	const newest = 100
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct {
			Method string
			Params struct {
				Above  int64 `json:"min_height"`
				Upto   int64 `json:"max_height"`
				Height int64
				Pool   bool
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&call) // not all params are objects that matter
		text := answers()[call.Method]
		switch call.Method {
		case "get_block_header_by_height":
			text = fmt.Sprintf(`"result":{"block_header":{"height":%d,"hash":"at%[1]d"}}`, call.Params.Height)
		case "get_transfers":
			var all []string
			for height := call.Params.Above + 1; height <= call.Params.Upto; height++ {
				all = append(all, fmt.Sprintf(`{"txid":"tx%d","type":"in","address":%q,"amount":1,"height":%[1]d,"subaddr_index":{"minor":1}}`, height, sub))
			}
			room := 1 << 19 // a payment fills half a megabyte
			text = fmt.Sprintf(`"result":{"in":[%s]%s}`, strings.Join(all, ","), strings.Repeat(" ", room*len(all)))
		}
		_, _ = fmt.Fprintf(w, `{%s}`, text)
	}))
	defer server.Close()
	chain, err := monero.Open(fmt.Appendf(nil, `{"url":%q,"node_url":%[1]q,"address":%q,"network":"regtest"}`, server.URL, primary),
		func(context.Context) (int64, error) { return 0, nil })
	check.OK(t, err)
	told, after := map[string]int{}, ""
	for more := true; more; {
		page, err := chain.Seen(t.Context(), after)
		check.OK(t, err)
		for _, s := range page.Sightings {
			told[s.TxID]++
		}
		after, more = page.Next, page.More
	}
	for tx, times := range told {
		if times != 1 {
			t.Errorf("%s was told %d times", tx, times)
		}
	}
	if len(told) != newest {
		t.Errorf("%d payments were told, want %d", len(told), newest)
	}
	held, err := chain.Holdings(t.Context(), []string{sub})
	check.OK(t, err)
	if len(held) != 1 || held[0].Amount.Units() != fmt.Sprint(newest) {
		t.Errorf("an audit counts %v, want %d", held, newest)
	}
}

// A wallet that somebody opens in the place of the right one while that is read is refused:
// it knows none of the payments.
func TestWalletMeanwhile(t *testing.T) {
	opened := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct{ Method string }
		check.OK(t, json.NewDecoder(r.Body).Decode(&call))
		text := answers()[call.Method]
		opened = opened || call.Method == "get_height"
		if call.Method == "get_address" && opened {
			text = strings.Replace(text, primary, sub, 1)
		}
		_, _ = fmt.Fprintf(w, `{%s}`, text)
	}))
	defer server.Close()
	chain, err := monero.Open(fmt.Appendf(nil, `{"url":%q,"node_url":%[1]q,"address":%q,"network":"regtest"}`, server.URL, primary),
		func(context.Context) (int64, error) { return 0, nil })
	check.OK(t, err)
	all, err := chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Monero, TxID: "cc", Index: 1}})
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "not the one of the configuration") || all != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

// What a configuration cannot be is refused with the key that is wrong.
func TestConfig(t *testing.T) {
	with := func(url, node, address, network, rest string) string {
		return fmt.Sprintf(`{"url":%q,"node_url":%q,"address":%q,"network":%q%s}`, url, node, address, network, rest)
	}
	const wallet, node = "http://127.0.0.1:18083", "https://node.example:18089"
	stage, test := "5"+primary[1:], "9"+primary[1:]
	for text, field := range map[string]string{
		with(wallet, node, primary, "main", ""):                               "",
		with("http://[::1]:1/", "http://localhost:1", primary, "regtest", ""): "",
		with(wallet, node, stage, "stage", ""):                                "",
		with(wallet, node, test, "test", `,"timeout_seconds":600`):            "",
		with(wallet, node, primary, "stage", ""):                              "address",
		with(wallet, node, sub, "main", ""):                                   "address",
		with(wallet, node, primary[1:], "main", ""):                           "address",
		with(wallet, node, primary[:94]+"0", "main", ""):                      "address",
		with(wallet, node, "", "main", ""):                                    "address",
		with(wallet, node, primary, "mainnet", ""):                            "network",
		with("https://wallet.example", node, primary, "main", ""):             "url",
		with("http://192.0.2.1:18083", node, primary, "main", ""):             "url",
		with("http://u:p@127.0.0.1:18083", node, primary, "main", ""):         "url",
		with(wallet, "http://192.0.2.1:18081", primary, "main", ""):           "node_url",
		with(wallet, "127.0.0.1:18081", primary, "main", ""):                  "node_url",
		with(wallet, node, primary, "main", `,"timeout_seconds":601`):         "timeout_seconds",
	} {
		_, err := monero.Open([]byte(text), nil)
		switch {
		case field == "" && err != nil, field != "" && (fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != field):
			t.Errorf("%s: %v, want %q", text, err, field)
		}
	}
	for _, text := range []string{``, `[]`, `{"urls":""}`, with(wallet, node, primary, "main", "") + "{}"} {
		if _, err := monero.Open([]byte(text), nil); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %v", text, err)
		}
	}
}
