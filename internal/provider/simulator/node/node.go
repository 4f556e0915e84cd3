// Package node is the sandbox's bitcoin: a wallet, its chain, its channels over Lightning,
// and somebody at the other end. It does to payouts everything that real nodes do, when it
// is told to: answers are lost, requests arrive late, payments stay in flight for days and
// fail then, transactions are evicted, outbid, spent against and reorganised away.
//
// All of it is in the database: a server that is started again goes on with the same node.
// No coin of it is real, and nothing is signed. It must never be asked for the live realm.
package node

import (
	"cmp"
	"context"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Node is one simulated node. It is safe for concurrent use, by several processes too.
type Node struct {
	db    *storage.DB
	clock clock.Clock
	name  string
	// Automatic has every look at the chain make a block first when something waits for
	// one, so that a sandbox needs nobody to make them.
	automatic bool
}

// New returns the node of a name, which lives in db. An automatic one makes a block
// whenever somebody looks at its chain and something waits for one, or for more on another
// transaction that took its place.
func New(db *storage.DB, c clock.Clock, name string, automatic bool) *Node {
	return &Node{db, c, name, automatic}
}

// Mood is how a node takes the next calls.
type Mood string

// The moods.
const (
	Calm     Mood = "calm"
	Stalled  Mood = "stalled"  // nothing is done, and nobody answered
	Mute     Mood = "mute"     // it is done, and the answer is lost
	Late     Mood = "late"     // nobody is answered, and the request arrives when it is delivered
	Stuck    Mood = "stuck"    // payments over Lightning stay in flight, transactions unseen
	Refusing Mood = "refusing" // payments fail, transactions are refused
	Lying    Mood = "lying"    // a wrong preimage, a transaction that pays somebody else
)

// Moods returns the closed list in its documented order.
func Moods() []Mood { return []Mood{Calm, Stalled, Mute, Late, Stuck, Refusing, Lying} }

// state is a node's row.
type state struct {
	height, rate, made int64
	mood               Mood
	left               int64
	channels           int64 // what they can send, in satoshis
}

// turn is one change of a node, whose row is locked meanwhile.
type turn struct {
	state
	tx   *storage.Tx
	node *Node
}

// silent says that a call gets no answer.
func silent() error { return fault.New(fault.Unavailable, "the node does not answer") }

// change runs a change of the node in one transaction.
func (n *Node) change(ctx context.Context, do func(context.Context, *turn) error) error {
	return n.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.Exec(ctx, addNode, n.name); err != nil {
			return err
		}
		s, _, err := storage.One(ctx, tx, scanState, lockNode, n.name)
		if err != nil {
			return err
		}
		t := &turn{state: s, tx: tx, node: n}
		if err := do(ctx, t); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, saveNode, n.name, t.height, t.rate, t.made, string(t.mood), t.left, t.channels)
		return err
	})
}

// call runs what a node does when it is called, in its mood, which the call uses up once.
func (n *Node) call(ctx context.Context, do func(context.Context, *turn, Mood) error) error {
	mood := Calm
	err := n.change(ctx, func(_ context.Context, t *turn) error {
		if mood = Calm; t.left > 0 {
			mood = t.mood
			t.left--
		}
		return nil
	})
	if err != nil || mood == Stalled {
		return cmp.Or(err, silent())
	}
	err = n.change(ctx, func(ctx context.Context, t *turn) error { return do(ctx, t, mood) })
	if mood == Mute || mood == Late {
		return silent() // a refusal is lost, too
	}
	return err
}

// maxCalls bounds how long a mood lasts.
const maxCalls = 1_000_000

// Set has the node take so many of the next calls in a mood. It returns invalid_request
// for what is none.
func (n *Node) Set(ctx context.Context, mood Mood, calls int64) error {
	known := false
	for _, m := range Moods() {
		known = known || m == mood
	}
	if !known || calls < 0 || calls > maxCalls {
		return fault.New(fault.InvalidRequest, "want one of the moods for 0 to %d calls", maxCalls)
	}
	return n.change(ctx, func(_ context.Context, t *turn) error {
		t.mood, t.left = mood, calls
		return nil
	})
}

// btc is the currency of everything here, as it is stored.
func btc() string { return money.BTC.String() }
