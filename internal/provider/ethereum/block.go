package ethereum

import (
	"context"
	"math/big"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// header is what is read of a block.
type header struct {
	Number    string `json:"number"`
	Hash      string `json:"hash"`
	Parent    string `json:"parentHash"`
	Timestamp string `json:"timestamp"`
}

// block is one with its transactions.
type block struct {
	header
	Transactions []transaction `json:"transactions"`
}

type transaction struct {
	Hash  string `json:"hash"`
	From  string `json:"from"`
	To    string `json:"to"`
	Value string `json:"value"`
	Block string `json:"blockHash"`
}

// receipt is what became of a transaction.
type receipt struct {
	Hash     string `json:"transactionHash"`
	Block    string `json:"blockHash"`
	Number   string `json:"blockNumber"`
	Status   string `json:"status"`
	GasUsed  string `json:"gasUsed"`
	GasPrice string `json:"effectiveGasPrice"`
	Logs     []log  `json:"logs"`
}

type log struct {
	Address string   `json:"address"`
	Topics  []string `json:"topics"`
	Data    string   `json:"data"`
	TX      string   `json:"transactionHash"`
	Removed bool     `json:"removed"`
}

func (r *receipt) succeeded() bool { return r.Status == "0x1" }

// transferTopic is the keccak of Transfer(address,address,uint256).
const transferTopic = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"

// transferTopics is how many a transfer has: its name, from whom, to whom.
const transferTopics = 3

// transfer returns what a log says was paid to whom, if it is one of our token's.
func (c *Chain) transfer(l *log) (to string, units *big.Int, ok bool) {
	contract, known := digits(l.Address, addressDigits)
	if !known || "0x"+contract != c.config.Token || len(l.Topics) != transferTopics || l.Topics[0] != transferTopic || l.Removed {
		return "", nil, false
	}
	if _, known = digits(l.Data, wordDigits); !known {
		return "", nil, false
	}
	to, ok = argument(l.Topics[2])
	if !ok {
		return "", nil, false
	}
	units, ok = number(l.Data)
	return to, units, ok
}

// payments lists what a transaction that succeeded pays to addresses of ours. Ether has the
// index 0, and a transfer of the token the place of its log in the receipt, from 1 on: in
// another block it has the same.
func (c *Chain) payments(tx *transaction, r *receipt, ours map[string]bool) []deposit.Sighting {
	var all []deposit.Sighting
	add := func(index int64, to string, m asset.Amount) {
		p := deposit.Payment{Chain: asset.Ethereum, TxID: r.Hash, Index: index}
		all = append(all, deposit.Sighting{Payment: p, Address: to, Amount: m})
	}
	if to, ok := canonical(tx.To); ok && ours[to] {
		if units, ok := number(tx.Value); ok {
			if m, ok := amount(units, asset.ETH); ok {
				add(0, to, m)
			}
		}
	}
	for i := range r.Logs {
		to, units, ok := c.transfer(&r.Logs[i])
		if !ok || !ours[to] {
			continue
		}
		if m, ok := amount(units, asset.USDTERC20); ok {
			add(int64(i)+1, to, m)
		}
	}
	return all
}

// paid returns the payments to us in a block.
func (c *Chain) paid(ctx context.Context, b *block) ([]deposit.Sighting, error) {
	var logs []log
	filter := map[string]any{"blockHash": b.Hash, "address": c.config.Token, "topics": []any{transferTopic}}
	if _, err := c.node.call(ctx, &logs, ask("eth_getLogs", filter)); err != nil {
		return nil, err
	}
	candidates, ours, err := c.candidates(ctx, b, logs)
	if err != nil || len(candidates) == 0 {
		return nil, err
	}
	receipts, err := c.receipts(ctx, b.Hash, candidates)
	if err != nil {
		return nil, err
	}
	var all []deposit.Sighting
	for i, tx := range candidates {
		if receipts[i].succeeded() {
			all = append(all, c.payments(tx, &receipts[i], ours)...)
		}
	}
	return all, nil
}

// candidates returns the transactions of a block that may pay us, and which of the
// addresses are ours. The addresses are asked for once.
func (c *Chain) candidates(ctx context.Context, b *block, logs []log) ([]*transaction, map[string]bool, error) {
	payees, seen, list := map[string][]string{}, map[string]bool{}, []string(nil)
	add := func(tx, to string) {
		payees[tx] = append(payees[tx], to)
		if !seen[to] {
			seen[to], list = true, append(list, to)
		}
	}
	for i := range b.Transactions {
		tx := &b.Transactions[i]
		if to, ok := canonical(tx.To); ok && tx.Value != "0x0" {
			add(tx.Hash, to)
		}
	}
	for i := range logs {
		if to, _, ok := c.transfer(&logs[i]); ok {
			add(logs[i].TX, to)
		}
	}
	if len(list) == 0 {
		return nil, nil, nil
	}
	ours, err := c.Ours(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	var found []*transaction
	for i := range b.Transactions {
		tx := &b.Transactions[i]
		for _, to := range payees[tx.Hash] {
			if ours[to] {
				found = append(found, tx)
				break
			}
		}
	}
	return found, ours, nil
}

// receipts returns the receipts of transactions of one block, in their order.
func (c *Chain) receipts(ctx context.Context, block string, of []*transaction) ([]receipt, error) {
	queries := make([]call.Query, len(of))
	for i, tx := range of {
		queries[i] = ask("eth_getTransactionReceipt", tx.Hash)
	}
	answers, err := c.node.All(ctx, queries, batch)
	if err != nil {
		return nil, err
	}
	all := make([]receipt, len(of))
	for i := range answers {
		found, err := answers[i].Read(&all[i])
		switch {
		case err != nil:
			return nil, told(err)
		case !found || all[i].Block != block || all[i].Hash != of[i].Hash:
			return nil, unavailable("the node has no receipt of a transaction in its block, or not yet")
		}
	}
	return all, nil
}
