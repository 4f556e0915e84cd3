package e2e

import (
	"fmt"
	"strings"
)

// replay works a card's history out again from what the callers know, line by line.
type replay struct {
	card      *card
	available int64
	left      map[*operation]int64 // of holds
	refunded  map[*operation]int64
	seen      map[string]bool
	ended     bool
}

// check compares what the server says of a card with what was acknowledged: every
// acknowledged operation stands there once, nothing else does, and every balance is
// what the operations make of it.
func (c *card) check(s statement) error {
	if len(s.Transactions) == 0 {
		return fmt.Errorf("card %s has no history", c.number)
	}
	r := &replay{card: c, left: map[*operation]int64{}, refunded: map[*operation]int64{}, seen: map[string]bool{}}
	for i, l := range s.Transactions {
		if err := r.line(i, l); err != nil {
			return fmt.Errorf("card %s, line %d, %+v: %w", c.number, i+1, l, err)
		}
	}
	for id, op := range c.ops {
		if op.silent() {
			r.ended = true
			continue
		}
		if !r.seen[id] {
			return fmt.Errorf("card %s: %s %v was acknowledged as %s and is not there", c.number, op.kind, op.body, id)
		}
	}
	return r.status(s)
}

// silent says whether an operation moved nothing, so that no history shows it: the
// cancellation of an empty card.
func (op *operation) silent() bool { return op.kind == "cancel" && equal(op.got.Amount, "0") }

// status compares the card's balance and status with the end of its history.
func (r *replay) status(s statement) error {
	held := int64(0)
	for _, left := range r.left {
		held += left
	}
	want := "CREATED"
	switch {
	case r.ended:
		want = "CANCELLED"
	case r.available+held == 0:
		want = "REDEEMED"
	}
	balance, err := cents(s.Balance)
	if err != nil {
		return err
	}
	if s.Status != want || balance != r.available {
		return fmt.Errorf("card %s is %s with %s, want %s with %s", s.CardNumber, s.Status, s.Balance, want, decimal(r.available))
	}
	return nil
}

func (r *replay) line(i int, l line) error {
	amount, err := cents(l.Amount)
	if err != nil {
		return err
	}
	after, err := cents(l.BalanceAfter)
	if err != nil {
		return err
	}
	switch op := r.card.ops[l.TransactionID]; {
	case r.ended:
		return fmt.Errorf("it comes after the cancellation")
	case r.seen[l.TransactionID]:
		return fmt.Errorf("it stands there twice")
	case i == 0:
		if l.Type != "CREATE" || amount != r.card.create.amount {
			return fmt.Errorf("want the create of %s", decimal(r.card.create.amount))
		}
		r.available = amount
	case op == nil:
		return fmt.Errorf("nobody was told of it, not even who repeated all calls without an answer")
	case l.Type != strings.ToUpper(op.kind) || !equal(op.got.Amount, l.Amount) || op.got.Balance != l.BalanceAfter:
		return fmt.Errorf("it was acknowledged as %s %s with balance %s", op.kind, op.got.Amount, op.got.Balance)
	default:
		if err := r.apply(op, amount); err != nil {
			return err
		}
	}
	r.seen[l.TransactionID] = true
	if r.available < 0 || after != r.available {
		return fmt.Errorf("the balance must be %s", decimal(r.available))
	}
	return nil
}

// apply does to the balance what the operation did.
func (r *replay) apply(op *operation, amount int64) error {
	switch op.kind {
	case "redeem":
		r.available -= amount
		return exactly(amount, op.amount)
	case "hold":
		r.available -= amount
		r.left[op] = amount
		return exactly(amount, op.amount)
	case "reload":
		r.available += amount
		return exactly(amount, op.amount)
	case "capture":
		return r.capture(op, amount)
	case "void":
		freed := r.left[op.hold]
		r.available += freed
		delete(r.left, op.hold)
		return exactly(amount, freed)
	case "refund":
		return r.refund(op, amount)
	default: // cancel
		balance := r.available
		r.available, r.ended = 0, true
		return exactly(amount, balance)
	}
}

func (r *replay) capture(op *operation, amount int64) error {
	left, ok := r.left[op.hold]
	if !ok || amount > left {
		return fmt.Errorf("the hold has %s left", decimal(left))
	}
	left -= amount
	if op.final {
		r.available += left
	}
	if r.left[op.hold] = left; left == 0 || op.final {
		delete(r.left, op.hold)
	}
	if op.amount == 0 {
		return exactly(left, 0)
	}
	return exactly(amount, op.amount)
}

func (r *replay) refund(op *operation, amount int64) error {
	r.available += amount
	r.refunded[op.original] += amount
	took, err := cents(op.original.got.Amount)
	if err != nil {
		return err
	}
	if back := r.refunded[op.original]; back > took {
		return fmt.Errorf("%s of %s were given back", decimal(back), decimal(took))
	}
	return exactly(amount, op.amount)
}

// equal compares amounts: an answer echoes the text that was sent.
func equal(a, b string) bool {
	left, err := cents(a)
	right, wrong := cents(b)
	return err == nil && wrong == nil && left == right
}

func exactly(got, want int64) error {
	if got != want {
		return fmt.Errorf("the amount must be %s", decimal(want))
	}
	return nil
}
