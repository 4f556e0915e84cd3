package solana

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// key is some public key, always the same for a name.
func key(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base58.Encode(sum[:])
}

// signature is some signature, always the same for a name.
func signature(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base58.Encode(slices.Concat(sum[:], sum[:]))
}

// paid is a transaction of the fake node.
type paid struct {
	name, sig       string
	slot            uint64
	keys            []string
	before, after   []uint64
	loaded          int // how many of the keys come from a table
	tokens, tokens0 []map[string]any
	failed          bool
	gone            bool
}

// fake is a node that tells what a test lets it.
type fake struct {
	t       testing.TB
	url     string
	mu      sync.Mutex
	slot    uint64 // confirmed; what is 32 slots older is final
	first   uint64
	at      time.Time
	genesis string
	state   map[string]uint64 // the lamports of accounts
	all     []paid            // oldest first
	instead map[string]string // other answers, by method
	calls   map[string]int
	owners  []string
}

// newFake starts a node with a chain that is some slots old.
func newFake(t testing.TB, owners ...string) *fake {
	f := &fake{t: t, slot: 1000, at: time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC), genesis: key("genesis"), state: map[string]uint64{},
		instead: map[string]string{}, calls: map[string]int{}, owners: owners}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fake) config() []byte {
	return fmt.Appendf(nil, `{"url":%q,"network":"local","genesis":%q,"usdt_mint":%q}`, f.url, key("genesis"), key("mint"))
}

// open returns a chain that knows nothing yet.
func (f *fake) open() *Chain {
	f.t.Helper()
	c, err := Open(f.config(), f.given, clock.NewManual(f.at))
	check.OK(f.t, err)
	return c
}

func (f *fake) given(_ context.Context, after string, most int) ([]string, error) {
	sorted := slices.Sorted(slices.Values(f.owners))
	from, found := slices.BinarySearch(sorted, after)
	if found {
		from++
	}
	return sorted[from:min(from+most, len(sorted))], nil
}

// pay adds a transaction of some lamports to an account, and changes what that has.
func (f *fake) pay(name, to string, lamports uint64) {
	f.slot++
	had := f.state[to]
	f.all = append(f.all, paid{name: name, sig: signature(name), slot: f.slot, keys: []string{key("payer"), to}, before: []uint64{9e9, had}, after: []uint64{8e9, had + lamports}})
	f.state[to] = had + lamports
}

// token is a balance of a token at an account of a transaction.
func token(index int, mint, owner, program, units string) map[string]any {
	return map[string]any{"accountIndex": index, "mint": mint, "owner": owner, "programId": program, "uiTokenAmount": map[string]any{"amount": units, "decimals": 6}}
}

// send adds a transaction of tokens to an account that is made for it.
func (f *fake) send(name, account string, after ...map[string]any) {
	f.slot++
	f.all = append(f.all, paid{name: name, sig: signature(name), slot: f.slot, keys: []string{key("payer"), key("mint"), account}, before: []uint64{9e9, 1, 0}, after: []uint64{8e9, 1, 2_039_280},
		tokens: after, loaded: 2})
	f.state[account] += 2_039_280
}

// drop has the chain forget a transaction.
func (f *fake) drop(name string) {
	for i := range f.all {
		if f.all[i].name == name {
			f.all[i].gone = true
			f.state[f.all[i].keys[1]] = f.all[i].before[1]
		}
	}
}

func (f *fake) find(sig string) *paid {
	for i := range f.all {
		if f.all[i].sig == sig && !f.all[i].gone {
			return &f.all[i]
		}
	}
	return nil
}

// ServeHTTP answers one call.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var asked struct {
		Method string
		Params []json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		f.t.Errorf("asked: %v", err)
	}
	f.calls[asked.Method]++
	switch text, ok := f.instead[asked.Method]; {
	case text == "away":
		panic(http.ErrAbortHandler)
	case text == "busy":
		w.WriteHeader(http.StatusTooManyRequests)
	case text == "denied":
		w.WriteHeader(http.StatusForbidden)
	case text == "moved":
		http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
	case text == "endless":
		for range maxAnswer>>10 + 2 {
			_, _ = w.Write(make([]byte, 1<<10))
		}
	case ok:
		_, _ = fmt.Fprint(w, text)
	default:
		text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "result": f.answer(asked.Method, asked.Params)})
		if err != nil {
			f.t.Error(err)
		}
		_, _ = w.Write(text)
	}
}

func (f *fake) answer(method string, params []json.RawMessage) any {
	switch method {
	case "getHealth":
		return "ok"
	case "getGenesisHash":
		return f.genesis
	case "getFirstAvailableBlock":
		return f.first
	case "getSlot":
		return f.slot - 32
	case "getAccountInfo":
		data := binary.LittleEndian.AppendUint64(make([]byte, clockSeconds), uint64(f.at.Unix()))
		return f.inContext(map[string]any{"data": []string{base64.StdEncoding.EncodeToString(data), "base64"}})
	case "getMultipleAccounts":
		return f.inContext(f.accounts(params))
	case "getSignaturesForAddress":
		return f.list(params)
	case "getTransaction":
		return f.transaction(params)
	case "getSignatureStatuses":
		return f.inContext(f.statuses(params))
	}
	f.t.Errorf("nobody should call %s", method)
	return nil
}

func (f *fake) inContext(value any) any {
	return map[string]any{"context": map[string]any{"slot": f.slot}, "value": value}
}

func (f *fake) accounts(params []json.RawMessage) (all []any) {
	for _, k := range parameter[[]string](f.t, params, 0) {
		if n := f.state[k]; n > 0 {
			all = append(all, map[string]any{"lamports": n, "owner": key("system"), "data": []string{"", "base64"}})
		} else {
			all = append(all, nil)
		}
	}
	return all
}

func (f *fake) list(params []json.RawMessage) []any {
	account := parameter[string](f.t, params, 0)
	how := parameter[struct {
		Limit          int
		Before, Until  string
		Commitment     string
		MinContextSlot uint64
	}](f.t, params, 1)
	if how.Commitment != confirmed || how.MinContextSlot == 0 {
		f.t.Errorf("asked of %+v", how)
	}
	all, on := []any{}, how.Before == ""
	for _, p := range slices.Backward(f.all) {
		switch {
		case p.sig == how.Until:
			return all
		case on && !p.gone && slices.Contains(p.keys, account) && len(all) < how.Limit:
			all = append(all, map[string]any{"signature": p.sig, "slot": p.slot, "err": p.failure()})
		case p.sig == how.Before:
			on = true
		}
	}
	return all
}

func (p *paid) failure() any {
	if p.failed {
		return map[string]any{"InsufficientFundsForRent": map[string]any{"account_index": 1}}
	}
	return nil
}

func (f *fake) transaction(params []json.RawMessage) any {
	sig := parameter[string](f.t, params, 0)
	p := f.find(sig)
	if p == nil {
		return nil
	}
	static := p.keys[:len(p.keys)-p.loaded]
	loaded := map[string]any{"writable": p.keys[len(static):], "readonly": []string{}}
	return map[string]any{"slot": p.slot, "version": 0,
		"transaction": map[string]any{"signatures": []string{sig}, "message": map[string]any{"accountKeys": static}},
		"meta": map[string]any{"err": p.failure(), "preBalances": p.before, "postBalances": p.after, "loadedAddresses": loaded,
			"preTokenBalances": p.tokens0, "postTokenBalances": p.tokens}}
}

func (f *fake) statuses(params []json.RawMessage) (all []any) {
	for _, sig := range parameter[[]string](f.t, params, 0) {
		p := f.find(sig)
		if p == nil {
			all = append(all, nil)
			continue
		}
		level := confirmed
		if p.slot+32 <= f.slot {
			level = finalized
		}
		all = append(all, map[string]any{"slot": p.slot, "err": p.failure(), "confirmationStatus": level})
	}
	return all
}

func parameter[T any](t testing.TB, params []json.RawMessage, i int) (value T) {
	t.Helper()
	if i >= len(params) {
		t.Errorf("there is no parameter %d", i)
		return value
	}
	if err := json.Unmarshal(params[i], &value); err != nil {
		t.Error(err)
	}
	return value
}

// short is what a look tells, in short.
func short(all []deposit.Sighting) []string {
	told := []string{}
	for _, s := range all {
		what := fmt.Sprint(s.Amount, " ", s.Amount.Asset, " ", s.Confirmations)
		if s.Gone {
			what = "gone"
		}
		told = append(told, what)
	}
	return told
}
