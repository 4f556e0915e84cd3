package solana

import (
	"context"
	"encoding/json"
	"fmt"
)

// holder is an address with the two accounts that payments to it change.
type holder struct {
	token string // the address of the account that holds its USDT
	coin  account
	usdt  account
}

// account is what is remembered of one.
type account struct {
	state   string // as it was at the last look; empty: it does not exist
	looked  uint64 // the slot of the last look; zero: none yet
	changed uint64 // the slot of the look that found the last change
	read    uint64 // the newest final slot when its transactions were read last
	unread  bool
	until   string // a transaction at or below the floor
}

// perLook is how many addresses are looked at in one call: a node tells a hundred accounts.
const perLook = 50

// look looks at the accounts of all addresses, and reads the transactions of those that
// changed, of each so many at a time. It reports whether it came to the end; the next one
// goes on where it stopped.
func (c *Chain) look(ctx context.Context, now moment) (done bool, err error) {
	calls := maxCalls
	for calls > 0 {
		some, err := c.given(ctx, c.round.after, perLook)
		if err != nil || len(some) == 0 {
			return err == nil, err
		}
		calls--
		due, err := c.changed(ctx, some)
		if err != nil {
			return false, err
		}
		for _, d := range due {
			share := min(calls, maxShare)
			left := share
			ok, err := c.read(ctx, d, &left)
			calls -= share - left
			switch {
			case err != nil:
				return false, err
			case ok:
				d.account.read, d.account.unread = now.final, false
			case calls <= 0:
				return false, nil
			default: // the others first
				d.account.unread, c.round.partly = true, true
			}
		}
		c.round.after = some[len(some)-1]
	}
	return false, nil
}

// due is an account whose transactions are to be read.
type due struct {
	*account
	key  string
	slot uint64 // where the node was when it told of the account
}

// changed returns the accounts of addresses that may have transactions which were not read.
func (c *Chain) changed(ctx context.Context, addresses []string) ([]due, error) {
	keys := make([]string, 0, 2*len(addresses))
	for _, a := range addresses {
		h := c.holders[a]
		if h == nil {
			token, err := associated(a, c.config.Mint)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", a, err)
			}
			h = &holder{token: token}
			c.holders[a] = h
		}
		keys = append(keys, a, h.token)
	}
	states, slot, err := c.states(ctx, keys)
	if err != nil {
		return nil, err
	}
	var all []due
	for i, key := range keys {
		h := c.holders[addresses[i/2]]
		a := &h.coin
		if i%2 == 1 {
			a = &h.usdt
		}
		if a.isDue(states[i], slot) {
			all = append(all, due{a, key, slot})
		}
	}
	return all, nil
}

// isDue takes account of how an account is now, and reports whether its transactions are to
// be read: when it changed and until the change is long final, and once where nobody knows.
func (a *account) isDue(state string, slot uint64) bool {
	known := a.looked != 0 && slot <= a.looked+stale
	if !known {
		a.unread = true
	}
	if state != a.state {
		a.changed = slot
	}
	a.state, a.looked = state, max(slot, a.looked)
	return a.unread || a.changed != 0 && a.read < a.changed+lag
}

// shownAccount is an account as the node shows it. Of its data there are the bytes in which
// an account of a token has its amount.
type shownAccount struct {
	Lamports uint64   `json:"lamports"`
	Owner    string   `json:"owner"`
	Data     []string `json:"data"`
}

const (
	amountAt     = 64
	amountLength = 8
)

// accounts returns accounts in order, nil for those that do not exist, and at which slot.
func (c *Chain) accounts(ctx context.Context, keys []string, commitment string) ([]*shownAccount, uint64, error) {
	var answer struct {
		Context struct {
			Slot uint64 `json:"slot"`
		} `json:"context"`
		Value []*shownAccount `json:"value"`
	}
	err := c.node.call(ctx, &answer, "how accounts are", "getMultipleAccounts", keys,
		options{"commitment": commitment, "encoding": "base64", "dataSlice": map[string]int{"offset": amountAt, "length": amountLength}})
	if err != nil {
		return nil, 0, err
	}
	if len(answer.Value) != len(keys) {
		return nil, 0, unavailable("the node did not tell of every account")
	}
	return answer.Value, answer.Context.Slot, nil
}

// states returns how accounts are, in order, and at which slot.
func (c *Chain) states(ctx context.Context, keys []string) ([]string, uint64, error) {
	shown, slot, err := c.accounts(ctx, keys, confirmed)
	if err != nil {
		return nil, 0, err
	}
	all := make([]string, len(keys))
	for i, v := range shown {
		if v != nil {
			all[i] = fmt.Sprint(v.Lamports, " ", v.Owner, " ", v.Data)
		}
	}
	return all, slot, nil
}

const (
	// perList is how many transactions a node lists at once.
	perList = 1000
	// maxLists bounds what is read of one account.
	maxLists = 100
)

// listed is a transaction in the list of an account's.
type listed struct {
	Signature string          `json:"signature"`
	Slot      uint64          `json:"slot"`
	Err       json.RawMessage `json:"err"`
}

// read reads the transactions of an account above the floor, newest first. It reports
// whether it came to the end before the calls did; what it has read it need not read again.
func (c *Chain) read(ctx context.Context, d due, calls *int) (done bool, err error) {
	before := ""
	for range maxLists {
		list, err := c.list(ctx, d, before)
		if err != nil {
			return false, err
		}
		*calls--
		for _, l := range list {
			if l.Slot <= c.floor {
				d.until = l.Signature
				return true, nil
			}
			if ok, err := c.keep(ctx, l, calls); err != nil || !ok {
				return false, err
			}
		}
		if len(list) < perList {
			return true, nil
		}
		before = list[len(list)-1].Signature
	}
	return false, unavailable("an account has more than %d transactions since the last look", maxLists*perList)
}

// list returns an account's transactions before one and behind the one that was told last.
func (c *Chain) list(ctx context.Context, d due, before string) ([]listed, error) {
	how := options{"commitment": confirmed, "limit": perList, "minContextSlot": d.slot}
	if before != "" {
		how["before"] = before
	}
	if d.until != "" {
		how["until"] = d.until
	}
	var list []listed
	if err := c.node.call(ctx, &list, "the transactions of an account", "getSignaturesForAddress", d.key, how); err != nil {
		return nil, err
	}
	for i, l := range list {
		if !isSignature(l.Signature) || len(list) > perList || i > 0 && l.Slot > list[i-1].Slot {
			return nil, unavailable("the node told no list of transactions that there can be")
		}
	}
	return list, nil
}

// keep reads a transaction that was not read yet, and reports whether there was a call left.
func (c *Chain) keep(ctx context.Context, l listed, calls *int) (bool, error) {
	if c.records[l.Signature] != nil || !isNone(l.Err) {
		return true, nil
	}
	if *calls <= 0 {
		return false, nil
	}
	*calls--
	r, err := c.transaction(ctx, l.Signature)
	if err != nil {
		return false, err
	}
	if r == nil {
		return false, unavailable("the node does not tell a transaction that it lists")
	}
	c.records[l.Signature] = r
	return true, nil
}
