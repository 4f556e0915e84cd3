package statement

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/category"
	"github.com/scripcards/scrip/internal/ledger"
)

// Movement is one entry of the books as a statement shows it.
type Movement struct {
	// Number is its place in the statement, from 1.
	Number int64
	Kind   Kind
	At     time.Time
	// Amount is above zero for what came in, Held for what is held more than before.
	Amount, Held money.Amount
	// Fee is what was kept of it before it came.
	Fee money.Amount
	// After is what the account had then.
	After       Money
	Transaction ledger.TransactionID
	// Reference is the caller's own name for it, or that of what it was about.
	Reference string
	// Card is the one to or from which a wallet's money went.
	Card issuing.CardID
	// Payment and Merchant are of payments.
	Payment  authorization.ID
	Merchant authorization.Merchant
	Category string
}

// Bounds of reading.
const (
	// MaxPage bounds the movements of a page.
	MaxPage = 200
	// chunk is how many entries are read at a time, slack how many more before them: a
	// transaction may have several entries on one account, and a page may begin with a
	// later one.
	chunk = 500
	slack = 20
)

// Movements returns up to limit movements of a statement after the given number, oldest
// first. It returns invalid_request beyond 1 to MaxPage.
func (s *Service) Movements(ctx context.Context, st *Statement, after int64, limit int) ([]Movement, error) {
	if after < 0 || limit < 1 || limit > MaxPage {
		return nil, fault.New(fault.InvalidRequest, "want 1 to %d movements", MaxPage).At("limit")
	}
	return s.read(ctx, st, span{after, min(st.Count, after+int64(limit))}, told)
}

// span is the movements after one number, up to and with another.
type span struct{ after, last int64 }

// How much is read of each movement.
const (
	plain = false
	told  = true // with the payments that they belong to
)

// each reads all movements of a statement, in bounded memory.
func (s *Service) each(ctx context.Context, st *Statement, detailed bool, do func(*Movement) error) error {
	for after := int64(0); after < st.Count; {
		part, err := s.read(ctx, st, span{after, min(st.Count, after+chunk)}, detailed)
		if err != nil {
			return err
		}
		for i := range part {
			if err := do(&part[i]); err != nil {
				return err
			}
		}
		after += int64(len(part))
	}
	return nil
}

func (s *Service) read(ctx context.Context, st *Statement, p span, detailed bool) ([]Movement, error) {
	if st.account == nil || p.after >= p.last {
		return nil, nil
	}
	first, last := st.before+p.after+1, st.before+p.last
	begin := max(1, first-slack)
	lines, err := s.Books.Statement(ctx, st.account, last+1, int(last-begin+1))
	if err != nil {
		return nil, err
	}
	slices.Reverse(lines)
	moves, err := s.moves(ctx, st, lines)
	if err != nil {
		return nil, err
	}
	var all []Movement
	for i := range lines {
		if lines[i].Seq >= first {
			all = append(all, st.movement(&lines[i], moves[i]))
		}
	}
	if detailed {
		err = s.tell(ctx, st, all)
	}
	return all, err
}

// move is the other side of an entry.
type move struct {
	other ledger.AccountID
	fee   int64
}

// moves finds the other side of entries that follow one another.
func (s *Service) moves(ctx context.Context, st *Statement, lines []ledger.Line) ([]move, error) {
	var wanted []ledger.TransactionID
	for i := range lines {
		if i == 0 || lines[i].Transaction != lines[i-1].Transaction {
			wanted = append(wanted, lines[i].Transaction)
		}
	}
	found, err := ledger.Transactions(ctx, s.DB, st.Book, wanted)
	if err != nil {
		return nil, err
	}
	outcomes := make(map[ledger.TransactionID]*ledger.Outcome, len(found))
	for i := range found {
		outcomes[found[i].Transaction] = &found[i]
	}
	moves := make([]move, len(lines))
	for from := 0; from < len(lines); {
		until := from + 1
		for until < len(lines) && lines[until].Transaction == lines[from].Transaction {
			until++
		}
		if o := outcomes[lines[from].Transaction]; o != nil {
			pair(moves[from:until], touching(o, st.account.ID), from == 0 && lines[0].Seq > 1)
		}
		from = until
	}
	return moves, nil
}

// touching returns the other sides of what a transaction moved on an account, in order.
func touching(o *ledger.Outcome, account ledger.AccountID) []move {
	var all []move
	for _, m := range o.Moves {
		switch account {
		case m.Debit:
			all = append(all, move{other: m.Credit})
		case m.Credit:
			all = append(all, move{other: m.Debit})
		}
	}
	for _, m := range o.Moves { // what was kept is told with the first of them
		if strings.HasPrefix(string(m.Credit), fees) && len(all) > 0 {
			all[0].fee += m.Posted.Minor
		}
		if strings.HasPrefix(string(m.Debit), fees) && len(all) > 0 {
			all[0].fee -= m.Posted.Minor
		}
	}
	return all
}

// fees begins the names of the accounts of what is kept of deposits.
const fees = "wallet.fees/"

// pair gives entries of one transaction their other sides. Where there are fewer entries
// than sides, others of them lie before what was read, or behind it.
func pair(to, sides []move, before bool) {
	if missing := len(sides) - len(to); missing > 0 && before {
		sides = sides[missing:]
	}
	copy(to, sides)
}

// movement is an entry in a statement's words.
func (st *Statement) movement(l *ledger.Line, m move) Movement {
	in := l.Side == st.account.Side
	v := Movement{Number: l.Seq - st.before, Kind: kindOf(l, m.other, in), At: l.At, Amount: l.Posted, Held: st.zero(), Fee: money.New(m.fee, st.Currency),
		After: Money{l.Balance, money.New(l.Balance.Minor-l.Available.Minor, st.Currency)}, Transaction: l.Transaction, Reference: l.Reference}
	if !in {
		v.Amount.Minor, v.Held.Minor = -l.Posted.Minor, l.Held
	}
	if card, ok := strings.CutPrefix(string(m.other), "card/"); ok {
		v.Card = issuing.CardID(card)
	}
	if strings.HasPrefix(l.Kind, "authorization.") || strings.HasPrefix(l.Kind, "dispute.") {
		v.Payment = authorization.ID(l.Reference)
	}
	return v
}

// tell adds who was paid.
func (s *Service) tell(ctx context.Context, st *Statement, all []Movement) error {
	var wanted []authorization.ID
	for i := range all {
		if all[i].Payment != "" {
			wanted = append(wanted, all[i].Payment)
		}
	}
	merchants, err := s.Payments.Merchants(ctx, st.Book, wanted)
	if err != nil {
		return err
	}
	for i := range all {
		m, ok := merchants[all[i].Payment]
		if ok {
			all[i].Merchant, all[i].Category = m, category.Of(m.MCC)
		}
	}
	return nil
}
