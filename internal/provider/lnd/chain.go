package lnd

import (
	"context"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Chain is the network as the node's wallet sees it.
type Chain struct{ *Node }

// label is what transactions are called in the wallet.
const label = "scrip payout"

// Publish implements payout.Chain.
func (c Chain) Publish(ctx context.Context, raw []byte) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	var answer struct {
		Error string `json:"publish_error"`
	}
	err := c.client.post(ctx, "/v2/wallet/tx", struct {
		Raw   []byte `json:"tx_hex"`
		Label string `json:"label"`
	}{raw, label}, &answer)
	r, ok := refused(err)
	switch {
	case ok && r.Code == codeUnknown, err == nil && answer.Error != "":
		return fault.New(fault.InvalidState, "the node does not take the transaction: its own log says why")
	case err != nil:
		return plain(err)
	}
	return nil
}

// known is a transaction that the wallet has.
type known struct {
	ID            string `json:"tx_hash"`
	Confirmations int64  `json:"num_confirmations"`
	Time          int64  `json:"time_stamp,string"` // in seconds
	Fee           int64  `json:"total_fees,string"`
	Raw           string `json:"raw_tx_hex"`
	Outputs       []struct {
		Index   int64 `json:"output_index,string"`
		Satoshi int64 `json:"amount,string"`
		Ours    bool  `json:"is_our_address"`
	} `json:"output_details"`
	Spends []struct {
		Outpoint string `json:"outpoint"`
		Ours     bool   `json:"is_our_output"`
	} `json:"previous_outpoints"`
}

// parse reads the whole transaction.
func (k *known) parse() (transaction.Transaction, error) {
	raw, err := hex.DecodeString(k.Raw)
	if err != nil {
		return transaction.Transaction{}, unavailable("the node's transaction is not in hexadecimal")
	}
	tx, err := transaction.Parse(raw)
	if err != nil {
		return transaction.Transaction{}, unavailable("the node's transaction cannot be read")
	}
	return tx, nil
}

// unknownTransaction is how lnd says that it has no such transaction.
const unknownTransaction = "can not find transaction"

// transaction returns what the wallet knows of a transaction, and whether it does.
func (n *Node) transaction(ctx context.Context, txid string) (k known, found bool, err error) {
	err = n.client.get(ctx, "/v2/wallet/tx", url.Values{"txid": {txid}}, &k)
	if r, ok := refused(err); ok && strings.Contains(r.Message, unknownTransaction) {
		return known{}, false, nil
	}
	if err == nil && k.ID != txid {
		err = unavailable("the node answers with another transaction than it was asked for")
	}
	return k, err == nil, plain(err)
}

// Look implements payout.Chain. What the wallet has is known: the node offers it to the
// network until it is in a block. What it has dropped lost its coins to another one, which
// is in a block and among the wallet's own.
func (c Chain) Look(ctx context.Context, raw [][]byte) ([]payout.Sighting, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	all := make([]payout.Sighting, len(raw))
	var lost []transaction.Transaction
	var at []int
	for i := range raw {
		tx, err := transaction.Parse(raw[i])
		if err != nil {
			return nil, err
		}
		k, found, err := c.transaction(ctx, tx.ID())
		if err != nil {
			return nil, err
		}
		if found {
			all[i] = payout.Sighting{Known: true, Confirmations: max(k.Confirmations, 0)}
			continue
		}
		lost, at = append(lost, tx), append(at, i)
	}
	if len(lost) == 0 {
		return all, nil
	}
	err := c.each(ctx, func(k *known) error {
		for i := range lost {
			if k.Confirmations > all[at[i]].RivalDepth && k.rivals(&lost[i]) {
				all[at[i]].Rival, all[at[i]].RivalDepth = k.ID, k.Confirmations
			}
		}
		return nil
	})
	return all, err
}

// rivals reports whether a transaction spends some of what another one does.
func (k *known) rivals(tx *transaction.Transaction) bool {
	for _, spent := range k.Spends {
		if slices.ContainsFunc(tx.Inputs, func(in transaction.Input) bool {
			return spent.Outpoint == in.TxID+":"+strconv.FormatUint(uint64(in.Index), 10)
		}) {
			return k.ID != tx.ID()
		}
	}
	return false
}

const (
	// page is how many transactions or payments are listed at once.
	page = 500
	// maxPages bounds how many pages are read.
	maxPages = 2_000
)

// each does something with all transactions of the wallet, in pages. One that is listed
// twice, since the chain grew meanwhile, is seen twice.
func (n *Node) each(ctx context.Context, do func(*known) error) error {
	for from := range maxPages {
		var answer struct {
			Transactions []known `json:"transactions"`
		}
		query := url.Values{"index_offset": {strconv.Itoa(from * page)}, "max_transactions": {strconv.Itoa(page)}}
		if err := n.client.get(ctx, "/v1/transactions", query, &answer); err != nil {
			return plain(err)
		}
		for i := range answer.Transactions {
			if err := do(&answer.Transactions[i]); err != nil {
				return err
			}
		}
		if len(answer.Transactions) < page {
			return nil
		}
	}
	return unavailable("the wallet has more than %d transactions", maxPages*page)
}

// Rate implements payout.Chain. The node's estimate is in satoshis per 1,000 units of weight.
func (c Chain) Rate(ctx context.Context, blocks int) (int64, error) {
	var answer struct {
		Rate int64 `json:"sat_per_kw,string"`
	}
	if err := c.client.get(ctx, "/v2/wallet/estimatefee/"+strconv.Itoa(blocks), nil, &answer); err != nil {
		return 0, plain(err)
	}
	if answer.Rate <= 0 || answer.Rate > maxRate {
		return 0, unavailable("the node has no estimate")
	}
	return answer.Rate * 4, nil
}

// maxRate bounds what is believed of an estimate, in satoshis per 1,000 units of weight.
const maxRate = 1 << 40
