package solana

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// A node that is behind, of another chain, without the blocks that are wanted, or does not
// say what it should, is an error in words of our own, and nothing is told.
func TestRefusals(t *testing.T) {
	result := func(text string) string { return `{"jsonrpc":"2.0","id":1,"result":` + text + `}` }
	refusal := func(code int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":%d,"message":"secret"}}`, code)
	}
	listed := func(slots ...int) string {
		var all []string
		for i, slot := range slots {
			all = append(all, fmt.Sprintf(`{"signature":%q,"slot":%d,"err":null}`, signature(fmt.Sprint(i)), slot))
		}
		return result("[" + strings.Join(all, ",") + "]")
	}
	const meta = `"meta":{"err":null,"preBalances":[1],"postBalances":[2]`
	transaction := func(sig, meta string) string {
		return result(fmt.Sprintf(`{"slot":900,"transaction":{"signatures":[%q],"message":{"accountKeys":["a"]}},%s}`, sig, meta))
	}
	for name, c := range map[string]struct{ method, answer, want string }{
		"behind":            {"getHealth", refusal(codeBehind), "behind the others"},
		"not well":          {"getHealth", result(`"unknown"`), "not well"},
		"other chain":       {"getGenesisHash", result(`"` + mainMint + `"`), "not on the network local"},
		"away":              {"getSlot", "away", "the node: "},
		"busy":              {"getSlot", "busy", "no more calls"},
		"denied":            {"getSlot", "denied", "wants a login"},
		"moved":             {"getSlot", "moved", "the status 302"},
		"endless":           {"getSlot", "endless", "more than"},
		"no JSON":           {"getSlot", `{"result":`, "no JSON"},
		"nothing":           {"getSlot", `{"other":1}`, "not what was asked for"},
		"below nothing":     {"getSlot", result("-1"), "not what was asked for"},
		"behind itself":     {"getSlot", result("700"), "behind what was seen before"},
		"no time":           {"getAccountInfo", result(`{"context":{"slot":1000},"value":null}`), "does not tell the time"},
		"short time":        {"getAccountInfo", result(`{"context":{"slot":1000},"value":{"data":["AAAA","base64"]}}`), "does not tell the time"},
		"pruned":            {"getFirstAvailableBlock", result("970"), "does not have the blocks since"},
		"other accounts":    {"getMultipleAccounts", result(`{"context":{"slot":1000},"value":[]}`), "not tell of every account"},
		"no history":        {"getSignaturesForAddress", refusal(codeNoHistory), "--enable-rpc-transaction-history"},
		"too early":         {"getSignaturesForAddress", refusal(codeTooEarly), "an older moment"},
		"refused":           {"getSignaturesForAddress", refusal(-32602), "does not tell the transactions of an account"},
		"upwards":           {"getSignaturesForAddress", listed(1000, 1001), "no list of transactions"},
		"no signature":      {"getSignaturesForAddress", result(`[{"signature":"secret","slot":1000}]`), "no list of transactions"},
		"not there":         {"getTransaction", result("null"), "a transaction that it lists"},
		"another":           {"getTransaction", transaction(signature("another"), meta+"}"), "another transaction"},
		"no meta":           {"getTransaction", transaction(signature("one"), `"meta":null`), "not what it did"},
		"unequal":           {"getTransaction", transaction(signature("one"), `"meta":{"err":null,"preBalances":[1],"postBalances":[]}`), "what every account"},
		"no amount":         {"getTransaction", transaction(signature("one"), meta+`,"postTokenBalances":[{"accountIndex":0,"mint":"`+key("mint")+`","programId":"`+tokenProgram+`","uiTokenAmount":{"amount":"1.5"}}]}`), "no amount of a token"},
		"no such account":   {"getTransaction", transaction(signature("one"), meta+`,"preTokenBalances":[{"accountIndex":1,"mint":"`+key("mint")+`","programId":"`+tokenProgram+`","uiTokenAmount":{"amount":"1"}}]}`), "no amount of a token"},
		"not every status":  {"getSignatureStatuses", result(`{"value":[]}`), "not tell of every transaction"},
		"statuses of stone": {"getSignatureStatuses", result(`{"value":["secret"]}`), "not what was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatch(t, key("alice"))
			w.expect("nothing")
			w.pay("one", key("alice"), 5)
			w.instead[c.method] = c.answer
			page, err := w.chain.Seen(t.Context(), w.after)
			if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || page.Sightings != nil {
				t.Errorf("%v, want %q; told %+v", err, c.want, page)
			}
			delete(w.instead, c.method)
			w.expect("it is well again", "0.000000005 SOL 1")
		})
	}
}

// A node whose newest block is old is not believed, for what is new or for what is gone.
func TestOld(t *testing.T) {
	w := newWatch(t, key("alice"))
	w.at = w.at.Add(-oldest - time.Second)
	if _, err := w.chain.Seen(t.Context(), ""); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "old") {
		t.Errorf("seen: %v", err)
	}
	if _, err := w.chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Solana, TxID: signature("one")}}); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("look: %v", err)
	}
}

// A payment whose transaction does not make its account richer is an error, not an answer.
func TestOtherAccount(t *testing.T) {
	w := newWatch(t, key("alice"))
	w.pay("one", key("alice"), 5)
	_, err := w.chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Solana, TxID: signature("one"), Index: 0}})
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "no such account") {
		t.Errorf("%v", err)
	}
}

// What a configuration cannot be is refused with the key that is wrong, and no URL is repeated.
func TestConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	check.OK(t, os.WriteFile(file, []byte("https://node.example/secret?key=secret\n"), 0o600))
	local := `,"network":"local","genesis":"` + key("genesis") + `","usdt_mint":"` + key("mint") + `"`
	const own = `"url":"http://127.0.0.1:8899"`
	for text, field := range map[string]string{
		`{` + own + `,"network":"main"}`:                                     "",
		`{` + own + local + `,"timeout_seconds":600}`:                        "",
		`{"url":"http://[::1]:1"` + local + `}`:                              "",
		`{"url_file":"` + file + `","network":"main"}`:                       "",
		`{` + own + `,"network":"dev","usdt_mint":"` + key("mint") + `"}`:    "",
		`{` + own + `,"network":"dev"}`:                                      "usdt_mint",
		`{` + own + `,"network":"main","usdt_mint":"` + mainMint + `"}`:      "usdt_mint",
		`{` + own + `,"network":"main","genesis":"` + genesis["main"] + `"}`: "genesis",
		`{` + own + `,"network":"local","usdt_mint":"` + key("mint") + `"}`:  "genesis",
		`{` + own + `,"network":"mainnet"}`:                                  "network",
		`{` + own + `}`:                                                      "network",
		`{"network":"main"}`:                                                 "url",
		`{` + own + `,"url_file":"` + file + `","network":"main"}`:           "url",
		`{"url":"http://192.0.2.1:8899","network":"main"}`:                   "url",
		`{"url":"http://u:secret@127.0.0.1:8899","network":"main"}`:          "url",
		`{"url":"ws://127.0.0.1:8900","network":"main"}`:                     "url",
		`{"url_file":"` + file + `.none","network":"main"}`:                  "url_file",
		`{` + own + `,"network":"main","timeout_seconds":601}`:               "timeout_seconds",
		`{` + own + `,"network":"main","commitment":"processed"}`:            "commitment",
		`[]`: "",
	} {
		c, err := Open([]byte(text), nil, nil)
		wrong := field != "" || text == "[]"
		switch {
		case !wrong && (err != nil || c.IsMain() != strings.Contains(text, `"main"`)):
			t.Errorf("%s: %v", text, err)
		case wrong && (fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != field || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v, want %q", text, err, field)
		}
	}
}
