package ledger_test

import (
	"maps"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
)

// model is what a book must be, worked out in the plainest way: it keeps every movement
// and sums them anew whenever a balance is asked for. Tests hold the ledger against it.
type model struct {
	accounts map[ledger.AccountID]modelAccount
	holds    map[ledger.HoldID]modelHold
	counters map[string]int64
	reversed map[ledger.TransactionID]bool
	log      []modelTransaction
	now      time.Time
}

type modelAccount struct {
	currency  money.Currency
	side      ledger.Side
	unbounded bool
	state     ledger.State
}

type modelHold struct {
	debit, credit ledger.AccountID
	currency      money.Currency
	left          int64
	captured      int64
	state         ledger.HoldState
	expires       time.Time
}

type modelMove struct {
	debit, credit ledger.AccountID
	posted, held  int64
	pays          bool // it is not the end of a hold
}

type modelTransaction struct {
	id    ledger.TransactionID
	op    ledger.Operation
	moves []modelMove
}

func newModel() *model {
	return &model{accounts: map[ledger.AccountID]modelAccount{}, holds: map[ledger.HoldID]modelHold{},
		counters: map[string]int64{}, reversed: map[ledger.TransactionID]bool{}}
}

func (m *model) clone() *model {
	return &model{accounts: maps.Clone(m.accounts), holds: maps.Clone(m.holds), counters: maps.Clone(m.counters),
		reversed: maps.Clone(m.reversed), log: slices.Clip(m.log), now: m.now}
}

// verdict is what an operation must come to: a replay, a refusal with one of the codes, or
// a new transaction, which leaves the book as next.
type verdict struct {
	replay *modelTransaction
	codes  []fault.Code
	next   *model
}

// judge says what op must come to in m, which it does not change.
func (m *model) judge(op ledger.Operation) verdict {
	if first := m.byKey(op.Key); first != nil {
		if !sameRequest(first.op, op) {
			return verdict{codes: []fault.Code{fault.IdempotencyConflict}}
		}
		return verdict{replay: first}
	}
	c := &change{model: m.clone(), before: m, op: op}
	if op.At.After(c.now) {
		c.now = op.At
	}
	for _, step := range []func() fault.Code{c.open, c.thaw, c.changeHolds, c.post, c.reverse, c.count} {
		if code := step(); code != "" {
			return verdict{codes: []fault.Code{code}}
		}
	}
	c.log = append(c.log, modelTransaction{op: op, moves: c.moves})
	if codes := c.settle(); len(codes) > 0 {
		return verdict{codes: codes}
	}
	return verdict{next: c.model}
}

func (m *model) byKey(key string) *modelTransaction {
	for i := range m.log {
		if key != "" && m.log[i].op.Key == key {
			return &m.log[i]
		}
	}
	return nil
}

// sameRequest compares two operations under one key. The name and the end of a new hold
// differ between two tries, and so does the time.
func sameRequest(a, b ledger.Operation) bool {
	if a.Kind != b.Kind || a.Intent != b.Intent {
		return false
	}
	if a.Intent != "" {
		return true
	}
	strip := func(op ledger.Operation) ledger.Operation {
		op.Holds = slices.Clone(op.Holds)
		for i := range op.Holds {
			op.Holds[i].ExpiresAt = time.Time{}
			if op.Holds[i].Action == ledger.Place {
				op.Holds[i].ID = ""
			}
		}
		return op
	}
	return cmp.Equal(strip(a), strip(b), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(ledger.Operation{}),
		cmpopts.IgnoreFields(ledger.Operation{}, "At", "Open", "Guards", "Effects"))
}

// posted sums an account's movements on its normal side.
func (m *model) posted(id ledger.AccountID) int64 {
	sum := int64(0)
	for _, transaction := range m.log {
		for _, move := range transaction.moves {
			if move.debit == id {
				sum += move.posted
			}
			if move.credit == id {
				sum -= move.posted
			}
		}
	}
	if m.accounts[id].side == ledger.Credit {
		return -sum
	}
	return sum
}

// held sums what pending holds will take from an account.
func (m *model) held(id ledger.AccountID) int64 {
	sum := int64(0)
	for _, h := range m.holds {
		loses := h.debit
		if m.accounts[id].side == ledger.Debit {
			loses = h.credit
		}
		if h.state == ledger.HoldPending && loses == id {
			sum += h.left
		}
	}
	return sum
}

func (m *model) available(id ledger.AccountID) int64 { return m.posted(id) - m.held(id) }

// entries counts an account's movements.
func (m *model) entries(id ledger.AccountID) int64 {
	n := int64(0)
	for _, transaction := range m.log {
		for _, move := range transaction.moves {
			if move.debit == id || move.credit == id {
				n++
			}
		}
	}
	return n
}

// due lists the holds that a sweep at an instant must end.
func (m *model) due(at time.Time) []ledger.HoldID {
	var due []ledger.HoldID
	for id, h := range m.holds {
		if h.state == ledger.HoldPending && !h.expires.IsZero() && !h.expires.After(at) {
			due = append(due, id)
		}
	}
	slices.Sort(due)
	return due
}

// change is one operation being judged.
type change struct {
	*model
	before *model
	op     ledger.Operation
	moves  []modelMove
	frozen map[ledger.AccountID]bool
}

func (c *change) open() fault.Code {
	for _, want := range c.op.Open {
		a, exists := c.accounts[want.ID]
		if !exists {
			c.accounts[want.ID] = modelAccount{want.Currency, want.Side, want.Unbounded, ledger.Open}
		} else if a.currency != want.Currency || a.side != want.Side {
			return fault.CurrencyMismatch
		}
	}
	return ""
}

// thaw lets frozen accounts that are to be opened, or closed, pay.
func (c *change) thaw() fault.Code {
	c.frozen = map[ledger.AccountID]bool{}
	for id, a := range c.accounts {
		c.frozen[id] = a.state == ledger.Frozen
	}
	for _, to := range c.op.States {
		a, exists := c.accounts[to.Account]
		if !exists {
			return fault.NotFound
		}
		if a.state == ledger.Closed {
			return fault.AccountClosed
		}
		if to.To != ledger.Frozen {
			c.frozen[to.Account] = false
		}
	}
	return ""
}

func (c *change) move(m modelMove, currency money.Currency) fault.Code {
	for _, id := range []ledger.AccountID{m.debit, m.credit} {
		a, exists := c.accounts[id]
		switch {
		case !exists:
			return fault.NotFound
		case a.state == ledger.Closed:
			return fault.AccountClosed
		case a.currency != currency:
			return fault.CurrencyMismatch
		}
	}
	c.moves = append(c.moves, m)
	return ""
}

func (c *change) changeHolds() fault.Code {
	for _, want := range c.op.Holds {
		h, exists := c.holds[want.ID]
		if want.Action == ledger.Place {
			if exists {
				return fault.AlreadyExists
			}
			if !want.ExpiresAt.IsZero() && !want.ExpiresAt.After(c.now) {
				return fault.InvalidRequest
			}
			h = modelHold{debit: want.Debit, credit: want.Credit, currency: want.Amount.Currency, left: want.Amount.Minor,
				state: ledger.HoldPending, expires: want.ExpiresAt}
			c.holds[want.ID] = h
			if code := c.move(modelMove{h.debit, h.credit, 0, h.left, true}, h.currency); code != "" {
				return code
			}
			continue
		}
		if !exists {
			return fault.NotFound
		}
		if code := c.changeHold(h, want); code != "" {
			return code
		}
	}
	return ""
}

func (c *change) changeHold(h modelHold, want ledger.HoldChange) fault.Code {
	overdue := !h.expires.IsZero() && !c.now.Before(h.expires)
	amount := want.Amount.Minor
	switch {
	case h.state != ledger.HoldPending:
		return fault.HoldEnded
	case overdue && (want.Action == ledger.Capture || want.Action == ledger.Increase):
		return fault.HoldEnded
	case !overdue && want.Action == ledger.Expire:
		return fault.InvalidState
	case amount != 0 && want.Amount.Currency != h.currency:
		return fault.CurrencyMismatch
	case want.Action == ledger.Increase:
		h.left += amount
		c.holds[want.ID] = h
		return c.move(modelMove{h.debit, h.credit, 0, amount, true}, h.currency)
	}
	if amount == 0 || want.Action == ledger.Expire {
		amount = h.left
	}
	if amount > h.left {
		return fault.HoldExceeded
	}
	move := modelMove{debit: h.debit, credit: h.credit, held: -amount}
	if want.Action == ledger.Capture {
		move.posted = amount
		h.captured += amount
		if want.Final {
			move.held = -h.left
		}
	}
	if h.left += move.held; h.left == 0 {
		ends := map[ledger.HoldAction]ledger.HoldState{ledger.Capture: ledger.HoldCaptured, ledger.Release: ledger.HoldReleased, ledger.Expire: ledger.HoldExpired}
		if h.state = ends[want.Action]; h.captured > 0 {
			h.state = ledger.HoldCaptured
		}
	}
	c.holds[want.ID] = h
	return c.move(move, h.currency)
}

func (c *change) post() fault.Code {
	for _, p := range c.op.Postings {
		amount, currency := p.Amount.Minor, p.Amount.Currency
		if p.All {
			a, exists := c.accounts[p.Debit]
			if !exists {
				return fault.NotFound
			}
			current := c.clone()
			current.log = append(current.log, modelTransaction{moves: c.moves})
			if amount, currency = current.available(p.Debit), a.currency; amount <= 0 {
				continue
			}
		}
		if code := c.move(modelMove{p.Debit, p.Credit, amount, 0, true}, currency); code != "" {
			return code
		}
	}
	return ""
}

func (c *change) reverse() fault.Code {
	if c.op.Reverses == "" {
		return ""
	}
	i := slices.IndexFunc(c.log, func(t modelTransaction) bool { return t.id == c.op.Reverses })
	switch {
	case i < 0:
		return fault.NotFound
	case c.reversed[c.op.Reverses]:
		return fault.AlreadyReversed
	case c.log[i].op.Reverses != "":
		return fault.InvalidState
	}
	c.reversed[c.op.Reverses] = true
	posted := false
	for _, m := range c.log[i].moves {
		if m.posted == 0 {
			continue
		}
		posted = true
		if code := c.move(modelMove{m.credit, m.debit, m.posted, 0, true}, c.accounts[m.debit].currency); code != "" {
			return code
		}
	}
	if !posted {
		return fault.InvalidState
	}
	return ""
}

func (c *change) count() fault.Code {
	for _, g := range c.op.Guards {
		sum := c.counters[g.Counter] + g.Add
		if sum < 0 || g.Add > 0 && sum > g.Limit {
			return fault.GuardExceeded
		}
		c.counters[g.Counter] = sum
	}
	return ""
}

// settle returns every reason to refuse, now that everything has moved: the ledger may
// give any of them.
func (c *change) settle() []fault.Code {
	var codes []fault.Code
	for id, a := range c.accounts {
		for _, m := range c.moves {
			loses := m.debit == id && a.side == ledger.Credit || m.credit == id && a.side == ledger.Debit
			if loses && m.pays && c.frozen[id] {
				codes = append(codes, fault.AccountFrozen)
			}
		}
		if after := c.available(id); !a.unbounded && after < 0 && after < c.before.available(id) {
			codes = append(codes, fault.InsufficientFunds)
		}
	}
	for _, to := range c.op.States {
		a := c.accounts[to.Account]
		if to.To == ledger.Closed && len(codes) == 0 && (c.posted(to.Account) != 0 || c.pending(to.Account)) {
			codes = append(codes, fault.AccountNotEmpty)
		}
		a.state = to.To
		c.accounts[to.Account] = a
	}
	return codes
}

// pending reports whether any hold still concerns an account.
func (m *model) pending(id ledger.AccountID) bool {
	for _, h := range m.holds {
		if h.state == ledger.HoldPending && (h.debit == id || h.credit == id) {
			return true
		}
	}
	return false
}
