package deposit

import (
	"context"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
)

// Payment names a payment: an output of a transaction on a chain, or a log entry of one.
type Payment struct {
	Chain asset.Chain
	TxID  string
	Index int64
}

// Sighting is a payment as a chain shows it at one moment. Of one that was told before, and
// of one that is gone, the address and the amount may be left out.
type Sighting struct {
	Payment
	Address string
	Amount  asset.Amount
	// Confirmations are 1 for a payment in the newest block, and 0 for one in no block yet.
	Confirmations int64
	// Final says that the chain will never give up the payment's block. Chains that know no
	// such thing never say so.
	Final bool
	// Gone says that the chain does not know the payment any more, or never carries it out.
	Gone bool
	// ReplacedBy is the transaction that spent the same money otherwise, if that is known.
	ReplacedBy string
	// Height is that of the payment's block, where a chain has such a thing; 0: not told.
	Height int64
	// Rest says that nobody paid so much at once: it is what the address had at Height besides
	// all payments of the asset that were known of, Known in number. No other one up to that
	// height can be new from then on.
	Rest  bool
	Known int64
}

// Page is what changed on a chain, in the order in which it did.
type Page struct {
	// Sightings has a payment once at the most, as it is now.
	Sightings []Sighting
	// Compared are heights of which all is told by now that only the chain's account of
	// addresses shows; zero: no more than before. Where that account was Lost, it was worked
	// out from what addresses have, but for Gaps.
	Compared Span
	Lost     bool
	Gaps     []Gap
	// Next is where to go on; More says that there is something already.
	Next string
	More bool
}

// Span is heights, both ends included.
type Span struct{ From, To int64 }

// Gap is heights in which payments of an asset to an address may have been missed: the chain
// keeps no account of them any more, and what it has now does not tell.
type Gap struct {
	Address string
	Asset   asset.Asset
	Span
}

// Chain is a blockchain, as a node, a wallet process or a simulation tells of it. Calls
// fail when it does not answer; they never guess.
type Chain interface {
	// Seen returns the payments to any address that may be ours which appeared, came into a
	// block, left one or went since a place in the chain's history; the empty one is its
	// beginning. What was told before may be told again; what comes back is told anew.
	Seen(ctx context.Context, after string) (Page, error)
	// Look returns payments as they are now, in any order. It leaves out those of which
	// nothing is sure at the moment. With an error it may return those that it is sure of.
	Look(ctx context.Context, payments []Payment) ([]Sighting, error)
}

// Behind is why a chain that ends below a block that was read before tells nothing, though
// its node may know that block: it is loading it, or again. A branch that takes another one's
// place is as high, or will be.
func Behind(end, reached int64) error {
	return fault.New(fault.Unavailable, "the node is behind: its chain ends at block %d, and block %d was read before", end, reached)
}

// The bounds of what chains say.
const (
	maxTxID    = 128
	maxAddress = 128
)

// isMade reports whether a program makes the payment while its block is made: in another
// block the same transaction may pay somebody else, or another amount.
func (s *Sighting) isMade() bool {
	return s.Chain == asset.Solana || s.Amount.Asset == asset.USDTERC20
}

func (s *Sighting) check() error {
	known := s.Address == "" && s.Amount == asset.Amount{}
	switch {
	case known && plain.LineBytes(s.TxID, 1, maxTxID) && s.Index >= 0 && s.Confirmations >= 0 && plain.LineBytes(s.ReplacedBy, 0, maxTxID):
		return nil
	case s.Chain != s.Amount.Asset.Chain():
		return fault.New(fault.InvalidRequest, "%s is not on %s", s.Amount.Asset, s.Chain)
	case !plain.LineBytes(s.TxID, 1, maxTxID) || !plain.LineBytes(s.ReplacedBy, 0, maxTxID) || !plain.LineBytes(s.Address, 1, maxAddress):
		return fault.New(fault.InvalidRequest, "a payment has a transaction and an address")
	case s.Index < 0 || s.Confirmations < 0 || s.Height < 0 || s.Known < 0:
		return fault.New(fault.InvalidRequest, "a payment's index, its height and its confirmations are not negative")
	case s.Rest && s.Height == 0:
		return fault.New(fault.InvalidRequest, "what is left at an address is so at a height")
	}
	return nil
}
