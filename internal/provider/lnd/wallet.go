package lnd

import (
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
	// replaceable is the sequence of inputs that a transaction with a higher fee may spend
	// instead (BIP 125).
	replaceable = math.MaxUint32 - 2
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
		PSBT   []byte  `json:"funded_psbt"`
		Locked []lease `json:"locked_utxos"`
	}
	err := w.client.post(ctx, "/v2/wallet/psbt/fund", fundRequest{PSBT: template.bytes(), Rate: weightRate(o.Rate), MinConfs: 1,
		ChangeType: "CHANGE_ADDRESS_TYPE_P2TR", LockTime: lockTime}, &answer)
	if r, ok := refused(err); ok && slices.ContainsFunc(poor, func(text string) bool { return strings.Contains(r.Message, text) }) {
		return payout.Signed{}, fault.New(fault.InsufficientFunds, "the wallet has not enough that is confirmed")
	}
	if err != nil {
		return payout.Signed{}, plain(err)
	}
	signed, err := w.signFunded(ctx, answer.PSBT, o)
	if err != nil {
		_ = w.release(context.WithoutCancel(ctx), answer.Locked) // they are free after a while, too
		return payout.Signed{}, err
	}
	signed.Release = func(ctx context.Context) error { return w.release(ctx, answer.Locked) }
	return signed, nil
}

// signFunded has a packet signed that the node made for an order.
func (w Wallet) signFunded(ctx context.Context, raw []byte, o payout.Order) (payout.Signed, error) {
	funded, err := parsePacket(raw)
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

// Balance implements payout.Wallet: what is confirmed or waits for it, without what is locked
// for transactions that are being made, or kept for closing channels. The node keeps that of
// either.
func (w Wallet) Balance(ctx context.Context) (has, confirmed int64, err error) {
	b, err := w.balance(ctx)
	has = max(b.Confirmed+b.Unconfirmed-b.Reserved, 0)
	return has, min(b.Confirmed, has), err
}

// balance is what the wallet says that it has, in satoshis; Reserved is kept for closing channels.
type balance struct {
	Confirmed   int64 `json:"confirmed_balance,string"`
	Unconfirmed int64 `json:"unconfirmed_balance,string"`
	Reserved    int64 `json:"reserved_balance_anchor_chan,string"`
}

func (w Wallet) balance(ctx context.Context) (b balance, err error) {
	return b, plain(w.client.get(ctx, "/v1/balance/blockchain", nil, &b))
}
