package lnd

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Wallet is the node's wallet, as payouts want it.
type Wallet struct{ *Node }

const (
	// lockTime is how long coins are kept for a transaction that was not published, in seconds.
	lockTime = 600
	// leastWeightRate is the least that lnd takes, in satoshis per 1,000 units of weight.
	leastWeightRate = 253
	// dust is the least that a change is made of.
	dust = 546
	// replaceable is the sequence of inputs that a transaction with a higher fee may spend
	// instead (BIP 125).
	replaceable = math.MaxUint32 - 2
	// relayRate is what a replacement pays for itself besides, in satoshis per virtual byte.
	relayRate = 1
)

// What lnd says when it has not enough: of coins that are free, and of those that it keeps
// for closing channels.
var poor = []string{"insufficient funds available", "reserved wallet balance invalidated"}

// fundRequest asks for coins, and for change.
type fundRequest struct {
	PSBT       []byte `json:"psbt"`
	Rate       int64  `json:"sat_per_kw,string"`
	MinConfs   int32  `json:"min_confs"`
	ChangeType string `json:"change_type"`
	LockTime   int64  `json:"lock_expiration_seconds,string"`
}

// weightRate is a rate in satoshis per 1,000 units of weight, a little below the one that was
// asked for: the node counts signatures as larger than they turn out to be, and the fee must
// not be above what the rate allows for the real size.
func weightRate(rate int64) int64 { return max(rate*97/400, leastWeightRate) }

// Build implements payout.Wallet: the node chooses coins, keeps them from being spent by
// another, and signs.
func (w Wallet) Build(ctx context.Context, o payout.Order) (payout.Signed, error) {
	if err := w.ready(ctx); err != nil {
		return payout.Signed{}, err
	}
	template := packet{tx: transaction.Transaction{Version: 2, Outputs: o.Outputs}}
	var answer struct {
		PSBT []byte `json:"funded_psbt"`
	}
	err := w.client.post(ctx, "/v2/wallet/psbt/fund", fundRequest{PSBT: template.bytes(), Rate: weightRate(o.Rate), MinConfs: 1,
		ChangeType: "CHANGE_ADDRESS_TYPE_P2TR", LockTime: lockTime}, &answer)
	if r, ok := refused(err); ok && slices.ContainsFunc(poor, func(text string) bool { return strings.Contains(r.Message, text) }) {
		return payout.Signed{}, fault.New(fault.InsufficientFunds, "the wallet has not enough that is confirmed")
	}
	if err != nil {
		return payout.Signed{}, plain(err)
	}
	funded, err := parsePacket(answer.PSBT)
	if err != nil {
		return payout.Signed{}, err
	}
	if !funded.tx.Pays(o.Outputs) {
		return payout.Signed{}, unavailable("the node's unsigned transaction does not pay what it was asked for")
	}
	for i := range funded.tx.Inputs {
		funded.tx.Inputs[i].Sequence = replaceable
	}
	return w.sign(ctx, &funded)
}

// sign has a packet signed, and holds the result to it.
func (w Wallet) sign(ctx context.Context, p *packet) (payout.Signed, error) {
	var answer struct {
		Raw []byte `json:"raw_final_tx"`
	}
	if err := w.client.post(ctx, "/v2/wallet/psbt/finalize", map[string][]byte{"funded_psbt": p.bytes()}, &answer); err != nil {
		return payout.Signed{}, plain(err)
	}
	tx, err := transaction.Parse(answer.Raw)
	if err != nil {
		return payout.Signed{}, unavailable("the node's signed transaction cannot be read")
	}
	if len(tx.Inputs) != len(p.tx.Inputs) || len(tx.Outputs) != len(p.tx.Outputs) || !tx.Spends(&p.tx) || !tx.Pays(p.tx.Outputs) {
		return payout.Signed{}, unavailable("the node signed another transaction than it was asked to")
	}
	return payout.Signed{Raw: answer.Raw, Fee: p.fee()}, nil
}

// fee is what is spent and not paid to anybody.
func (p *packet) fee() (fee int64) {
	for _, o := range p.spent {
		fee += o.Satoshi
	}
	for _, o := range p.tx.Outputs {
		fee -= o.Satoshi
	}
	return fee
}

// Bump implements payout.Wallet: it takes the higher fee from the change, and adds no coins.
// It returns insufficient_funds when the change is too little for that.
func (w Wallet) Bump(ctx context.Context, raw []byte, o payout.Order) (payout.Signed, error) {
	if err := w.ready(ctx); err != nil {
		return payout.Signed{}, err
	}
	before, err := transaction.Parse(raw)
	if err != nil {
		return payout.Signed{}, err
	}
	p := packet{tx: before}
	for _, in := range before.Inputs {
		out, err := w.output(ctx, in)
		if err != nil {
			return payout.Signed{}, err
		}
		p.spent = append(p.spent, out)
	}
	change := changeOf(&before, o.Outputs)
	if change < 0 {
		return payout.Signed{}, fault.New(fault.InsufficientFunds, "the transaction has no change to raise its fee from")
	}
	size, slack := before.Size(), int64(len(before.Inputs))
	fee := max(o.Rate*size*99/100_000, p.fee()+relayRate*(size+slack))
	p.tx.Outputs = slices.Clone(before.Outputs)
	p.tx.Outputs[change].Satoshi -= fee - p.fee()
	if p.tx.Outputs[change].Satoshi < dust {
		return payout.Signed{}, fault.New(fault.InsufficientFunds, "the transaction has too little change to raise its fee from")
	}
	return w.sign(ctx, &p)
}

// output returns what an input spends. It is in a transaction that paid the wallet.
func (w Wallet) output(ctx context.Context, in transaction.Input) (transaction.Output, error) {
	found, known, err := w.transaction(ctx, in.TxID)
	if err != nil {
		return transaction.Output{}, err
	}
	if !known {
		return transaction.Output{}, unavailable("the node does not know a coin that it spent")
	}
	tx, err := found.parse()
	if err != nil {
		return transaction.Output{}, err
	}
	if tx.ID() != in.TxID || uint64(in.Index) >= uint64(len(tx.Outputs)) {
		return transaction.Output{}, unavailable("the node answers with another transaction than it was asked for")
	}
	return tx.Outputs[in.Index], nil
}

// changeOf returns which output of a transaction is nobody's of some others; −1: there is
// not exactly one.
func changeOf(tx *transaction.Transaction, paid []transaction.Output) int {
	left := slices.Clone(paid)
	change := -1
	for i, out := range tx.Outputs {
		at := slices.IndexFunc(left, func(o transaction.Output) bool { return o.Satoshi == out.Satoshi && bytes.Equal(o.Script, out.Script) })
		switch {
		case at >= 0:
			left = slices.Delete(left, at, at+1)
		case change >= 0:
			return -1
		default:
			change = i
		}
	}
	if len(left) > 0 {
		return -1
	}
	return change
}

// Balance implements payout.Wallet: what is confirmed or waits for it, without what is locked
// for transactions that are being made, or kept for closing channels.
func (w Wallet) Balance(ctx context.Context) (int64, error) {
	var answer struct {
		Confirmed   int64 `json:"confirmed_balance,string"`
		Unconfirmed int64 `json:"unconfirmed_balance,string"`
		Reserved    int64 `json:"reserved_balance_anchor_chan,string"`
	}
	if err := w.client.get(ctx, "/v1/balance/blockchain", nil, &answer); err != nil {
		return 0, plain(err)
	}
	return max(answer.Confirmed+answer.Unconfirmed-answer.Reserved, 0), nil
}
