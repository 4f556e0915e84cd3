package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/payout/invoice"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Lightning is the node's part of that network, as payouts want it.
type Lightning struct{ *Node }

const milli = 1000

// Charge sets what the node's channels can send, in satoshis.
func (n *Node) Charge(ctx context.Context, satoshi int64) error {
	return n.change(ctx, func(_ context.Context, t *turn) error {
		t.channels = satoshi
		return nil
	})
}

// Pay implements payout.Lightning.
func (l Lightning) Pay(ctx context.Context, p payout.Transfer) (answer payout.Answer, err error) {
	asked := transfer{hash: hex.EncodeToString(p.Hash[:]), invoice: p.Invoice, paid: p.MilliSatoshi / milli, limit: p.FeeLimit / milli}
	err = l.call(ctx, func(ctx context.Context, t *turn, mood Mood) error {
		if mood == Late {
			return t.putOff(ctx, asked)
		}
		f, err := t.pay(ctx, asked, mood)
		if err != nil {
			return err
		}
		answer, err = t.answer(ctx, f, mood)
		return err
	})
	return answer, err
}

// putOff keeps a request that has not arrived yet.
func (t *turn) putOff(ctx context.Context, asked transfer) error {
	_, found, err := storage.One(ctx, t.tx, scanTransfer, findTransfer, t.node.name, asked.hash)
	if err != nil || found {
		return err
	}
	asked.state, asked.sentAt = late, t.node.clock.Now()
	return t.save(ctx, asked)
}

func (t *turn) save(ctx context.Context, f transfer) error {
	return t.tx.Apply(ctx, []storage.Effect{upsertTransfer.Row(f.row(t.node.name)...)})
}

// pay does what a node does that is asked to pay: nothing, for a hash that is being paid
// or was.
func (t *turn) pay(ctx context.Context, f transfer, mood Mood) (transfer, error) {
	before, found, err := storage.One(ctx, t.tx, scanTransfer, findTransfer, t.node.name, f.hash)
	if err != nil || found && (before.state == inFlight || before.state == succeeded) {
		return before, err
	}
	f.times, f.sentAt, f.fee = before.times, t.node.clock.Now(), 1+f.paid/1000
	in, err := invoice.Decode(f.invoice)
	if err != nil {
		return f, err
	}
	_, payable, err := storage.One(ctx, t.tx, storage.Scalar[string], findPreimage, t.node.name, f.hash)
	switch {
	case err != nil:
		return f, err
	case !in.ExpiresAt.After(f.sentAt):
		f.state, f.reason = refused, "expired"
	case mood == Refusing || !payable || f.fee > f.limit:
		f.state, f.reason = refused, "no_route"
	case f.paid+f.fee > t.channels:
		f.state, f.reason = refused, "insufficient_balance"
	case mood == Stuck:
		f.state, f.reason = inFlight, ""
		t.channels -= f.paid + f.fee
	default:
		f.state, f.reason, f.times = succeeded, "", f.times+1
		t.channels -= f.paid + f.fee
	}
	return f, t.save(ctx, f)
}

// answer is what the node says of a transfer.
func (t *turn) answer(ctx context.Context, f transfer, mood Mood) (payout.Answer, error) {
	switch f.state {
	case inFlight:
		return payout.Answer{Outcome: payout.InFlight}, nil
	case refused:
		return payout.Answer{Outcome: payout.Refused, Reason: f.reason}, nil
	case succeeded:
		text, _, err := storage.One(ctx, t.tx, storage.Scalar[string], findPreimage, t.node.name, f.hash)
		if err != nil {
			return payout.Answer{}, err
		}
		answer := payout.Answer{Outcome: payout.Succeeded, Fee: f.fee * milli}
		raw, err := hex.DecodeString(text)
		copy(answer.Preimage[:], raw)
		if mood == Lying {
			answer.Preimage[0] ^= 1
		}
		return answer, err
	}
	return payout.Answer{Outcome: payout.Unheard}, nil
}

// Track implements payout.Lightning.
func (l Lightning) Track(ctx context.Context, hash [32]byte) (answer payout.Answer, err error) {
	err = l.call(ctx, func(ctx context.Context, t *turn, mood Mood) error {
		f, _, err := storage.One(ctx, t.tx, scanTransfer, findTransfer, l.name, hex.EncodeToString(hash[:]))
		if err != nil {
			return err
		}
		answer, err = t.answer(ctx, f, mood)
		return err
	})
	return answer, err
}

// Balance implements payout.Lightning.
func (l Lightning) Balance(ctx context.Context) (satoshi int64, err error) {
	err = l.call(ctx, func(_ context.Context, t *turn, _ Mood) error {
		satoshi = t.channels
		return nil
	})
	return satoshi, err
}

// Payments implements payout.Lightning.
func (l Lightning) Payments(ctx context.Context, from, until time.Time) (all []payout.Record, err error) {
	err = l.call(ctx, func(ctx context.Context, t *turn, _ Mood) error {
		paid, err := storage.All(ctx, t.tx, scanTransfer, listPaid, l.name, storage.Micros(from), storage.Micros(until), payout.MaxRecords)
		all = nil
		for _, f := range paid {
			all = append(all, payout.Record{ID: f.hash, Satoshi: f.paid, Fee: f.fee, At: f.sentAt})
		}
		return err
	})
	return all, err
}

// Deliver has the requests arrive that were late.
func (n *Node) Deliver(ctx context.Context) error {
	return n.change(ctx, func(ctx context.Context, t *turn) error {
		waiting, err := storage.All(ctx, t.tx, scanTransfer, listLate, n.name)
		if err != nil {
			return err
		}
		for _, f := range waiting {
			if _, err := t.pay(ctx, f, Calm); err != nil {
				return err
			}
		}
		return nil
	})
}

// Resolve ends a payment that is in flight: it succeeds, or fails late. It returns
// invalid_state for another.
func (n *Node) Resolve(ctx context.Context, hash string, success bool) error {
	return n.change(ctx, func(ctx context.Context, t *turn) error {
		f, found, err := storage.One(ctx, t.tx, scanTransfer, findTransfer, n.name, hash)
		if err != nil {
			return err
		}
		if !found || f.state != inFlight {
			return fault.New(fault.InvalidState, "the payment is not in flight")
		}
		if f.state, f.times = succeeded, f.times+1; !success {
			f.state, f.times, f.reason = refused, f.times-1, "timeout"
			t.channels += f.paid + f.fee
		}
		return t.save(ctx, f)
	})
}

// Payee is who is paid over Lightning in the sandbox, and the service behind every
// Lightning Address there.
type Payee struct {
	*Node
	Network destination.Network
	// Valid is for how long its invoices are; an hour when zero.
	Valid time.Duration
}

// Invoice makes an invoice of so many millisatoshis; 0: of any amount. metadata is what it
// is for, by its hash.
func (p Payee) Invoice(ctx context.Context, milliSatoshi int64, metadata string) (text string, err error) {
	valid := p.Valid
	if valid == 0 {
		valid = time.Hour
	}
	err = p.change(ctx, func(ctx context.Context, t *turn) error {
		t.made++
		now := p.clock.Now()
		preimage := sha256.Sum256(fmt.Appendf(nil, "scrip sandbox: preimage %d of %s at %d", t.made, p.name, now.UnixMicro()))
		in := invoice.Invoice{Prefix: p.Network.Prefix(), MilliSatoshi: milliSatoshi, Hash: sha256.Sum256(preimage[:]), Secret: sha256.Sum256([]byte("secret")),
			Description: "sandbox", MadeAt: now, ExpiresAt: now.Add(valid)}
		if metadata != "" {
			in.DescriptionHash, in.HasDescriptionHash = sha256.Sum256([]byte(metadata)), true
		}
		seed := sha256.Sum256([]byte("scrip sandbox: the payee's key, which the whole world knows"))
		key, _ := btcec.PrivKeyFromBytes(seed[:])
		if text, err = invoice.Encode(in, key); err != nil {
			return err
		}
		return t.tx.Apply(ctx, []storage.Effect{insertInvoice.Row(p.name, hex.EncodeToString(in.Hash[:]), hex.EncodeToString(preimage[:]))})
	})
	return text, err
}

// Resolve implements payout.Resolver.
func (p Payee) Resolve(ctx context.Context, a payout.Ask) (payout.Offer, error) {
	mood := Calm
	err := p.call(ctx, func(_ context.Context, _ *turn, m Mood) error {
		if mood = m; m == Refusing {
			return fault.New(fault.InvalidRequest, "there is nobody of that name")
		}
		return nil
	})
	if err != nil {
		return payout.Offer{}, err
	}
	metadata := fmt.Sprintf(`[["text/identifier","%s@%s"],["text/plain","sandbox"]]`, a.User, a.Host)
	asked := a.MilliSatoshi
	if mood == Lying {
		asked++
	}
	text, err := p.Invoice(ctx, asked, metadata)
	return payout.Offer{Invoice: text, Metadata: metadata}, err
}

// Received returns how often, and how much in satoshis, money has left over Lightning.
func (n *Node) Received(ctx context.Context) (times, satoshi int64, err error) {
	err = n.change(ctx, func(ctx context.Context, t *turn) error {
		times, satoshi = 0, 0
		paid, err := storage.All(ctx, t.tx, scanTransfer, listPaid, n.name, int64(0), int64(1)<<62, payout.MaxRecords)
		for _, f := range paid {
			times, satoshi = times+f.times, satoshi+f.times*f.paid
		}
		return err
	})
	return times, satoshi, err
}

// Nodes returns the node as all the counterparties of a realm.
func (n *Node) Nodes(network destination.Network) payout.Nodes {
	return payout.Nodes{Network: network, Wallet: Wallet{n}, Chain: Chain{n}, Lightning: Lightning{n}, Resolver: Payee{Node: n, Network: network}}
}
