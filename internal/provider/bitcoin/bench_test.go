package bitcoin_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	btcaddress "github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/bitcoin"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/webhook"
)

// canned answers what a node would whose chain ends with a block of many transactions, of
// which every hundredth pays one of ours.
type canned struct{ hash, block string }

func newCanned(b *testing.B, transactions int, ours []string) *canned {
	b.Helper()
	block := wire.NewMsgBlock(&wire.BlockHeader{})
	for i := range transactions {
		to := fmt.Appendf(nil, "%020d", i)
		if i%100 == 0 {
			decoded, err := btcaddress.DecodeAddress(ours[i%len(ours)], &chaincfg.RegressionNetParams)
			check.OK(b, err)
			to = decoded.ScriptAddress()
		}
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{}, uint32(i)), nil, wire.TxWitness{make([]byte, 71), make([]byte, 33)}))
		tx.AddTxOut(wire.NewTxOut(100_000, append([]byte{0, 20}, to...)))
		tx.AddTxOut(wire.NewTxOut(100_000, append([]byte{0, 20}, fmt.Appendf(nil, "change%014d", i)...)))
		check.OK(b, block.AddTransaction(tx))
	}
	var raw bytes.Buffer
	check.OK(b, block.Serialize(&raw))
	return &canned{block.BlockHash().String(), hex.EncodeToString(raw.Bytes())}
}

func (c *canned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Method string
		Params []any
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	var answer any
	switch q.Method {
	case "getblockchaininfo":
		answer = map[string]any{"chain": "regtest", "blocks": 1, "bestblockhash": c.hash}
	case "getblockhash":
		answer = c.hash
		if q.Params[0] == 0.0 {
			answer = chainhash.Hash{}.String()
		}
	case "getblock":
		answer = c.block
	case "getrawmempool":
		answer = []string{}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"id": 0, "result": answer})
}

// BenchmarkBlock reads a block of 3,000 transactions while ten thousand addresses are watched.
func BenchmarkBlock(b *testing.B) {
	for _, engine := range testkit.Engines() {
		b.Run(engine, func(b *testing.B) {
			at := address.Place{Realm: realm.Test, Chain: asset.Bitcoin}
			book, ours := addresses(b, testkit.Open(b, testkit.Database(b, engine)), 10_000)
			server := httptest.NewServer(newCanned(b, 3_000, ours))
			defer server.Close()
			cookie := filepath.Join(b.TempDir(), "cookie")
			check.OK(b, os.WriteFile(cookie, []byte("a:b"), 0o600))
			chain, err := bitcoin.Open(fmt.Appendf(nil, `{"url":%q,"cookie_file":%q,"network":"regtest","from_height":1}`, server.URL, cookie),
				func(ctx context.Context, all []string) (map[string]bool, error) { return book.Known(ctx, at, all) })
			check.OK(b, err)
			b.ResetTimer()
			for range b.N {
				page, err := chain.Seen(b.Context(), "")
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
	key, err := address.ParseBitcoin(address.DemoBitcoin)
	check.OK(b, err)
	service := address.New(address.Deps{DB: db, Audit: audit.New(db), Outbox: webhook.NewOutbox(webhook.Deps{DB: db, Clocks: clocks, Logger: logger}), Clocks: clocks,
		Logger: logger, Makers: map[address.Place]address.Maker{{Realm: realm.Test, Chain: asset.Bitcoin}: key.On("regtest")}})
	all := make([]string, count)
	const atOnce = 50 // they share commits
	var done sync.WaitGroup
	for first := range atOnce {
		done.Go(func() {
			for i := first; i < count; i += atOnce {
				w := address.Wallet{Book: ledger.BookID(fmt.Sprint("book", i)), Realm: realm.Test}
				err := db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
					return ledger.OpenBook(ctx, tx, ledger.Book{ID: w.Book, Realm: w.Realm, OpenedAt: clocks.Now(w.Realm)})
				})
				if err == nil {
					all[i], err = service.Address(ctx, w, asset.Bitcoin)
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	done.Wait()
	return service, all
}
