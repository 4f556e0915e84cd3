// Package solana watches payments of SOL and USDT to addresses of an imported list, over the
// JSON-RPC of a Solana node.
//
// It promises that amounts are what an account had after a transaction less what it had
// before, that USDT is told by its mint and its program, that what most validators voted for
// is seen and what cannot be given up any more is confirmed 32 times, that a payment is gone
// only when its slot is final without it, and that a node which is behind, of another chain,
// or without the blocks since the last look is an error and never an answer.
//
// It must never hold a private key, or let any text of the node's into an error.
package solana

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// Given returns the next addresses, at most so many, that were given to customers, in an
// order of its own behind one of them; the empty one is before the first.
type Given func(ctx context.Context, after string, most int) ([]string, error)

// Chain watches the accounts of addresses over one node. It is safe for concurrent use, and
// looks for one caller at a time. What it remembers spares it calls: it tells the same
// without.
type Chain struct {
	node   *node
	config Config
	given  Given
	clock  clock.Clock
	turn   chan struct{} // holds one token: whoever has it looks

	floor   uint64             // the slot up to which everything was told and written down
	holders map[string]*holder // by address
	records map[string]*record // the transactions above the floor that were read, by signature
	traces  map[string]traceOf // where transactions were that may still be given up, by signature
	round   *round             // the one that is under way
}

// round is one look at every account.
type round struct {
	final uint64 // the newest final slot when it began
	after string // the last address that was looked at
	// partly says that accounts have transactions that were not read: another round follows
	// from the same slot on.
	partly bool
}

var _ deposit.Chain = (*Chain)(nil)

// Open returns the chain of a node, which it does not call. The clock is the real one: it
// judges the age of blocks.
func Open(config []byte, given Given, real clock.Clock) (*Chain, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, err
	}
	chain := &Chain{config: c, given: given, clock: real, turn: make(chan struct{}, 1)}
	chain.node = newNode(&chain.config)
	chain.forget()
	chain.turn <- struct{}{}
	return chain, nil
}

// IsMain reports whether the node is to be on the network whose coins are money.
func (c *Chain) IsMain() bool { return c.config.Network == mainNetwork }

func unavailable(format string, args ...any) error {
	return fault.New(fault.Unavailable, format, args...)
}

// forget has everything read again.
func (c *Chain) forget() {
	c.holders, c.records, c.traces, c.round = map[string]*holder{}, map[string]*record{}, map[string]traceOf{}, nil
}

// enter waits for the turn to look.
func (c *Chain) enter(ctx context.Context) (leave func(), err error) {
	select {
	case <-c.turn:
		return func() { c.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// placePrefix begins the places of this chain: a simulated one's are bare numbers.
const placePrefix = "slot/"

// placeOf is how a slot is written down.
func placeOf(slot uint64) string { return placePrefix + strconv.FormatUint(slot, 10) }

// parsePlace reads what placeOf wrote. Anything else is no place, and slot 0.
func parsePlace(text string) (uint64, bool) {
	digits, ok := strings.CutPrefix(text, placePrefix)
	slot, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil {
		return 0, false
	}
	return slot, true
}

// moment is where the chain is, as the node sees it.
type moment struct {
	first     uint64 // the oldest slot that the node has
	final     uint64 // the newest that cannot be given up
	confirmed uint64 // the newest that most validators voted for
}

const (
	// clockAccount is the account in which the chain keeps its time.
	clockAccount = "SysvarC1ock11111111111111111111111111111111"
	clockLength  = 40
	clockSeconds = 32 // where the Unix time begins
	// oldest is how old the newest block may be.
	oldest = 5 * time.Minute
)

// now returns where the chain is, unless the node is behind or of another chain.
func (c *Chain) now(ctx context.Context) (now moment, err error) {
	var health, first string
	if err := c.node.call(ctx, &health, "how it is", "getHealth"); err != nil {
		return now, err
	}
	if err := c.node.call(ctx, &first, "its genesis hash", "getGenesisHash"); err != nil {
		return now, err
	}
	switch {
	case health != "ok":
		return now, unavailable("the node is not well")
	case first != c.config.Genesis:
		return now, unavailable("the node is not on the network %s", c.config.Network)
	}
	if err := c.node.call(ctx, &now.first, "its first block", "getFirstAvailableBlock"); err != nil {
		return now, err
	}
	if err := c.node.call(ctx, &now.final, "its slot", "getSlot", options{"commitment": finalized}); err != nil {
		return now, err
	}
	slot, at, err := c.time(ctx)
	if err != nil {
		return now, err
	}
	if c.clock.Now().Sub(at) > oldest {
		return now, unavailable("the node's newest block is more than %s old", oldest)
	}
	now.confirmed = max(slot, now.final)
	return now, nil
}

// time returns the newest slot that most validators voted for, and when it was.
func (c *Chain) time(ctx context.Context) (slot uint64, at time.Time, err error) {
	var answer struct {
		Context struct {
			Slot uint64 `json:"slot"`
		} `json:"context"`
		Value struct {
			Data []string `json:"data"`
		} `json:"value"`
	}
	err = c.node.call(ctx, &answer, "the time", "getAccountInfo", clockAccount, options{"commitment": confirmed, "encoding": "base64"})
	if err != nil {
		return 0, at, err
	}
	if len(answer.Value.Data) == 0 {
		return 0, at, unavailable("the node does not tell the time")
	}
	data, err := base64.StdEncoding.DecodeString(answer.Value.Data[0])
	if err != nil || len(data) < clockLength {
		return 0, at, unavailable("the node does not tell the time")
	}
	return answer.Context.Slot, time.Unix(int64(binary.LittleEndian.Uint64(data[clockSeconds:])), 0), nil
}
