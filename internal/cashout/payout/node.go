package payout

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
)

// Nodes are the counterparties of one realm. Wallet and Chain are there together or not at
// all, as are Lightning and Resolver but that the latter may be missing alone.
type Nodes struct {
	Network   destination.Network
	Wallet    Wallet
	Chain     Chain
	Lightning Lightning
	Resolver  Resolver
}

// has reports whether there is a way to a kind of destination.
func (n Nodes) has(k destination.Kind) bool {
	switch k {
	case destination.Invoice:
		return n.Lightning != nil
	case destination.Handle:
		return n.Lightning != nil && n.Resolver != nil
	case destination.P2PKH, destination.P2SH, destination.P2WPKH, destination.P2WSH, destination.P2TR:
		return n.Wallet != nil && n.Chain != nil
	}
	return false
}

// Wallet makes and signs transactions with the operator's coins. It publishes nothing.
type Wallet interface {
	// Build returns a signed transaction that pays each output with coins that are confirmed,
	// and keeps these from being spent by another for a while. It returns insufficient_funds when there is not enough.
	Build(ctx context.Context, o Order) (Signed, error)
	// Bump returns a signed transaction that replaces another: it spends everything that the
	// other one does, with more coins if need be, which are confirmed and kept as Build's are,
	// pays the same outputs, and has the higher rate. It returns insufficient_funds when
	// there is not enough, or the fee would be beyond the order's bound.
	Bump(ctx context.Context, raw []byte, o Order) (Signed, error)
	// Balance returns what the wallet has, and how much of that Build can spend at the most, in
	// satoshis: the rest waits for a block.
	Balance(ctx context.Context) (has, confirmed int64, err error)
	// Payments returns what the wallet itself says it has sent from one instant until
	// another, which is not in it, at most MaxRecords in the order of their times.
	Payments(ctx context.Context, from, until time.Time) ([]Record, error)
}

// Order is a transaction to be made.
type Order struct {
	Outputs []transaction.Output
	Rate    int64 // of the fee, in satoshis per 1,000 virtual bytes
	Most    int64 // likewise, which a replacement must not go beyond
}

// Signed is a transaction that was made.
type Signed struct {
	Raw []byte
	Fee int64 // in satoshis
	// Release gives back the coins that were kept for it, where it is never published; nil:
	// there are none. Those that nobody gives back are free after a while.
	Release func(context.Context) error
}

// Chain is the network as a node sees it.
type Chain interface {
	// Publish hands a transaction to the network. To publish it again, in a block or not, is
	// harmless and no error. It returns invalid_state when the node refuses it.
	Publish(ctx context.Context, raw []byte) error
	// Look returns what the node knows of each of some transactions, in their order, whether
	// or not it has seen them before.
	Look(ctx context.Context, raw [][]byte) ([]Sighting, error)
	// Rate returns the fee, in satoshis per 1,000 virtual bytes, with which a transaction is
	// confirmed within so many blocks, or unavailable when the node has no estimate.
	Rate(ctx context.Context, blocks int) (int64, error)
}

// Sighting is a transaction as a node sees it.
type Sighting struct {
	// Known says that it is in a block or waits for one.
	Known         bool
	Confirmations int64 // 1 in the newest block; 0 in none
	// Rival is the id of a transaction in a block with which this one can never be confirmed,
	// since it spends some of the same coins, or of those before them, and how often it is
	// confirmed; empty: there is none.
	Rival      string
	RivalDepth int64
}

// Lightning is a node of that network. A payment hash is paid once at the most.
type Lightning interface {
	// Pay pays an invoice, or says what became of an earlier payment of its hash. An error
	// says nothing about whether it is being paid.
	Pay(ctx context.Context, t Transfer) (Answer, error)
	// Track says what became of the payment of a hash.
	Track(ctx context.Context, hash [32]byte) (Answer, error)
	// Balance returns what the channels can send, in satoshis.
	Balance(ctx context.Context) (int64, error)
	// Payments returns what the node itself says it has paid, as Wallet's do.
	Payments(ctx context.Context, from, until time.Time) ([]Record, error)
}

// Transfer is a payment to be made.
type Transfer struct {
	Invoice      string
	Hash         [32]byte
	MilliSatoshi int64
	FeeLimit     int64 // in millisatoshis
	// Timeout is how long the node may look for a way.
	Timeout time.Duration
}

// Outcome is what became of a payment, as far as a node says.
type Outcome string

// The outcomes. The zero value is that nobody knows, and is never taken for another.
const (
	Unclear   Outcome = ""
	Unheard   Outcome = "unheard"   // the node was never asked to pay this hash
	InFlight  Outcome = "in_flight" // it may still succeed or fail
	Succeeded Outcome = "succeeded"
	Refused   Outcome = "refused" // it failed, and nothing is under way any more
)

// Answer is what a node says about a payment.
type Answer struct {
	Outcome  Outcome
	Preimage [32]byte
	Fee      int64 // in millisatoshis
	// Reason is the node's word for why it failed, at most 64 bytes are kept.
	Reason string

	sure bool // nothing else that was sent for the hash can still arrive at the node
}

// Record is one payment on a node's own list.
type Record struct {
	// ID is the transaction's id, or the payment hash in hexadecimal.
	ID      string
	Satoshi int64 // what others got, rounded down
	Fee     int64 // in satoshis, rounded up
	At      time.Time
	Raw     []byte // the whole transaction; nil over Lightning
}

// MaxRecords bounds what a node lists at once.
const MaxRecords = 10_000

// Resolver asks the service behind a Lightning Address for an invoice (LUD-06, LUD-16).
type Resolver interface {
	// Resolve returns an invoice of an amount. It returns invalid_request when the service
	// says no, and unavailable when it does not answer, or not as it must.
	Resolve(ctx context.Context, a Ask) (Offer, error)
}

// Ask is a request for an invoice.
type Ask struct {
	User, Host   string
	MilliSatoshi int64
}

// Offer is what the service behind a Lightning Address answers.
type Offer struct {
	Invoice string
	// Metadata is what the service says it sells, as it was written.
	Metadata string
}
