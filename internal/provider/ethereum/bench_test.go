package ethereum_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/ethereum"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/webhook"
)

// canned answers what a node would of a chain whose block 2 has many transactions, of which
// every hundredth pays one of ours.
type canned struct {
	block    json.RawMessage
	receipts map[string]json.RawMessage
}

const (
	hashOne = "0x1111111111111111111111111111111111111111111111111111111111111111"
	hashTwo = "0x2222222222222222222222222222222222222222222222222222222222222222"
	// hashThree is of a block that the node has, and that is not of its chain yet.
	hashThree = "0x3333333333333333333333333333333333333333333333333333333333333333"
)

func newCanned(transactions int, ours []string) *canned {
	c := &canned{receipts: map[string]json.RawMessage{}}
	var all []map[string]string
	for i := range transactions {
		hash, to := fmt.Sprintf("0x%064x", i+1), fmt.Sprintf("0x%040x", i+1)
		if i%100 == 0 {
			to = ours[i%len(ours)]
		}
		all = append(all, map[string]string{"hash": hash, "from": hashOne[:42], "to": to, "value": "0xde0b6b3a7640000", "input": "0x" + fmt.Sprintf("%0512x", i)})
		c.receipts[hash] = json.RawMessage(fmt.Sprintf(`{"transactionHash":%q,"blockHash":%q,"blockNumber":"0x2","status":"0x1","gasUsed":"0x5208","effectiveGasPrice":"0x1","logs":[]}`, hash, hashTwo))
	}
	text, err := json.Marshal(map[string]any{"number": "0x2", "hash": hashTwo, "parentHash": hashOne, "timestamp": "0x1", "transactions": all})
	if err != nil {
		panic(err)
	}
	c.block = text
	return c
}

func (c *canned) answer(method string, params []any) any {
	switch method {
	case "eth_chainId":
		return "0x5"
	case "eth_syncing":
		return false
	case "eth_getLogs":
		return []any{}
	case "eth_getBlockByNumber":
		switch {
		case params[0] == "finalized":
			return nil
		case params[0] == "0x1":
			return map[string]string{"number": "0x1", "hash": hashOne}
		case params[1] == true:
			return c.block
		}
		return map[string]string{"number": "0x2", "hash": hashTwo, "parentHash": hashOne, "timestamp": "0x1"}
	case "eth_getBlockByHash":
		return map[string]string{"number": "0x3", "hash": hashThree, "parentHash": hashTwo}
	case "eth_getTransactionReceipt":
		return c.receipts[params[0].(string)]
	}
	return nil
}

func (c *canned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	type call struct {
		ID     int
		Method string
		Params []any
	}
	answer := func(q call) any {
		return map[string]any{"jsonrpc": "2.0", "id": q.ID, "result": c.answer(q.Method, q.Params)}
	}
	text, err := io.ReadAll(r.Body)
	var one call
	var calls []call
	switch {
	case err == nil && json.Unmarshal(text, &one) == nil:
		_ = json.NewEncoder(w).Encode(answer(one))
	case err == nil && json.Unmarshal(text, &calls) == nil:
		var answers []any
		for _, q := range calls {
			answers = append(answers, answer(q))
		}
		_ = json.NewEncoder(w).Encode(answers)
	default:
		http.Error(w, "bad", http.StatusBadRequest)
	}
}

// BenchmarkBlock reads a block of 3,000 transactions while ten thousand addresses are watched.
func BenchmarkBlock(b *testing.B) {
	for _, engine := range testkit.Engines() {
		b.Run(engine, func(b *testing.B) {
			at := address.Place{Realm: realm.Test, Chain: asset.Ethereum}
			book, ours := addresses(b, testkit.Open(b, testkit.Database(b, engine)), 10_000)
			server := httptest.NewServer(newCanned(3_000, ours))
			defer server.Close()
			chain, err := ethereum.Open(fmt.Appendf(nil, `{"url":%q,"chain_id":5,"token":"0xdac17f958d2ee523a2206206994597c13d831ec7","compare_blocks":64}`, server.URL), ethereum.Deps{
				Ours:   func(ctx context.Context, all []string) (map[string]bool, error) { return book.Known(ctx, at, all) },
				Recent: func(context.Context) ([]string, error) { return nil, nil }, Clock: clock.System(), Logger: slog.New(slog.DiscardHandler)})
			check.OK(b, err)
			b.ResetTimer()
			for range b.N {
				page, err := chain.Seen(b.Context(), "1/"+hashOne+"/1")
				check.OK(b, err)
				if len(page.Sightings) != 30 {
					b.Fatalf("%d payments were seen", len(page.Sightings))
				}
			}
		})
	}
}

// addresses gives so many wallets an address each.
func addresses(b *testing.B, db *storage.DB, count int) (*address.Service, []string) {
	b.Helper()
	ctx, logger := b.Context(), slog.New(slog.DiscardHandler)
	clocks := clock.NewRealms(clock.NewManual(time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC)))
	key, err := address.ParseEthereum(address.DemoEthereum)
	check.OK(b, err)
	service := address.New(address.Deps{DB: db, Audit: audit.New(db), Outbox: webhook.NewOutbox(webhook.Deps{DB: db, Clocks: clocks, Logger: logger}), Clocks: clocks,
		Logger: logger, Makers: map[address.Place]address.Maker{{Realm: realm.Test, Chain: asset.Ethereum}: key}})
	var all []string
	for i := range count {
		w := address.Wallet{Book: ledger.BookID(fmt.Sprint("book", i)), Realm: realm.Test}
		check.OK(b, db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
			return ledger.OpenBook(ctx, tx, ledger.Book{ID: w.Book, Realm: w.Realm, OpenedAt: clocks.Now(w.Realm)})
		}))
		text, err := service.Address(ctx, w, asset.Ethereum)
		check.OK(b, err)
		all = append(all, text)
	}
	return service, all
}
