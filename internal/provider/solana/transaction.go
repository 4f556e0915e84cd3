package solana

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// record is a transaction that was read.
type record struct {
	slot     uint64
	payments []payment // those to anybody; none of one that failed
}

// payment is by how much a transaction made an account richer.
type payment struct {
	index   int64  // the account's place among those of the transaction
	address string // whose it is
	amount  asset.Amount
}

// balance is one of a token's in a transaction, before or after.
type balance struct {
	Index   int    `json:"accountIndex"`
	Mint    string `json:"mint"`
	Owner   string `json:"owner"`
	Program string `json:"programId"`
	Amount  struct {
		Units string `json:"amount"`
	} `json:"uiTokenAmount"`
}

// transaction is one as the node tells it.
type transaction struct {
	Slot uint64 `json:"slot"`
	Meta *struct {
		Err    json.RawMessage `json:"err"`
		Before []uint64        `json:"preBalances"` // lamports
		After  []uint64        `json:"postBalances"`
		Loaded struct {
			Writable []string `json:"writable"`
			Readonly []string `json:"readonly"`
		} `json:"loadedAddresses"`
		TokensBefore []balance `json:"preTokenBalances"`
		TokensAfter  []balance `json:"postTokenBalances"`
	} `json:"meta"`
	Transaction struct {
		Signatures []string `json:"signatures"`
		Message    struct {
			Keys []string `json:"accountKeys"`
		} `json:"message"`
	} `json:"transaction"`
}

// isNone reports whether a value is null or not there: an error that did not happen.
func isNone(value json.RawMessage) bool {
	return len(value) == 0 || bytes.Equal(value, []byte("null"))
}

// transaction reads a transaction. It returns nil for one that the node does not know.
func (c *Chain) transaction(ctx context.Context, signature string) (*record, error) {
	var t *transaction
	err := c.node.call(ctx, &t, "a transaction", "getTransaction", signature,
		options{"commitment": confirmed, "encoding": "json", "maxSupportedTransactionVersion": 0})
	if err != nil || t == nil {
		return nil, err
	}
	if t.Meta == nil || len(t.Transaction.Signatures) == 0 || t.Transaction.Signatures[0] != signature {
		return nil, unavailable("the node told another transaction than was asked for, or not what it did")
	}
	r := &record{slot: t.Slot}
	if !isNone(t.Meta.Err) {
		return r, nil
	}
	keys := slices.Concat(t.Transaction.Message.Keys, t.Meta.Loaded.Writable, t.Meta.Loaded.Readonly)
	if len(keys) != len(t.Meta.Before) || len(keys) != len(t.Meta.After) {
		return nil, unavailable("the node does not tell what every account of a transaction had")
	}
	tokens, err := c.tokens(t, keys)
	if err != nil {
		return nil, err
	}
	r.payments = append(coins(t, keys), tokens...)
	return r, nil
}

// coins are the payments of SOL. What a token's account is given is its rent.
func coins(t *transaction, keys []string) (all []payment) {
	held := map[int]bool{}
	for _, b := range slices.Concat(t.Meta.TokensBefore, t.Meta.TokensAfter) {
		held[b.Index] = true
	}
	for i, key := range keys {
		if before, after := t.Meta.Before[i], t.Meta.After[i]; after > before && !held[i] {
			all = append(all, payment{int64(i), key, asset.New(after-before, asset.SOL)})
		}
	}
	return all
}

// tokens are the payments of USDT: of its own mint, kept by the program of tokens, in the
// account that is derived from the owner.
func (c *Chain) tokens(t *transaction, keys []string) (all []payment, err error) {
	before := map[int]uint64{}
	for _, b := range t.Meta.TokensBefore {
		if c.isUSDT(&b) {
			if before[b.Index], err = b.units(keys); err != nil {
				return nil, err
			}
		}
	}
	for _, b := range t.Meta.TokensAfter {
		if !c.isUSDT(&b) {
			continue
		}
		after, err := b.units(keys)
		if err != nil {
			return nil, err
		}
		if after <= before[b.Index] || !isKey(b.Owner) {
			continue
		}
		account, err := associated(b.Owner, c.config.Mint)
		if err != nil || account != keys[b.Index] {
			continue // an account that its owner made otherwise: nobody was given it
		}
		all = append(all, payment{int64(b.Index), b.Owner, asset.New(after-before[b.Index], asset.USDTSOL)})
	}
	return all, nil
}

func (c *Chain) isUSDT(b *balance) bool {
	return b.Mint == c.config.Mint && b.Program == tokenProgram
}

func (b *balance) units(keys []string) (uint64, error) {
	n, err := strconv.ParseUint(b.Amount.Units, 10, 64)
	if err != nil || b.Index < 0 || b.Index >= len(keys) {
		return 0, unavailable("the node told of no amount of a token that there can be")
	}
	return n, nil
}

// status is what a transaction has come to.
type status struct {
	Slot  uint64          `json:"slot"`
	Err   json.RawMessage `json:"err"`
	Level string          `json:"confirmationStatus"`
}

// maxStatuses is of how many transactions a node tells at once.
const maxStatuses = 256

// statuses returns what transactions have come to, in order; nil for one that is not known.
func (c *Chain) statuses(ctx context.Context, signatures []string) ([]*status, error) {
	var all []*status
	for some := range slices.Chunk(signatures, maxStatuses) {
		var answer struct {
			Value []*status `json:"value"`
		}
		err := c.node.call(ctx, &answer, "what became of transactions", "getSignatureStatuses", some, options{"searchTransactionHistory": true})
		if err != nil {
			return nil, err
		}
		if len(answer.Value) != len(some) {
			return nil, unavailable("the node did not tell of every transaction")
		}
		all = append(all, answer.Value...)
	}
	return all, nil
}

// final is how often a payment is confirmed at least when its block cannot be given up any
// more, and more often than one whose block can.
const final = 32

// confirmations returns how often a transaction is confirmed, one for each slot since; zero
// for one that most validators have not voted for.
func (s *status) confirmations(now moment) int64 {
	n := int64(max(now.confirmed, s.Slot)-s.Slot) + 1
	switch s.Level {
	case finalized:
		return max(n, final)
	case confirmed:
		return min(n, final-1)
	}
	return 0
}

func (p *payment) sighting(signature string, confirmations int64) deposit.Sighting {
	return deposit.Sighting{Payment: deposit.Payment{Chain: asset.Solana, TxID: signature, Index: p.index}, Address: p.address, Amount: p.amount,
		Confirmations: confirmations, Final: confirmations >= final}
}
