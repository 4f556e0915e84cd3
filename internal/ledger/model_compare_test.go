package ledger_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// twin is one book together with its model.
type twin struct {
	id    ledger.BookID
	books *ledger.Ledger
	model *model
}

// submit runs op on both and returns how they differ.
func (w *twin) submit(op ledger.Operation) error {
	op.Book = w.id
	outcome, err := w.books.Submit(context.Background(), op)
	return w.settle(op, outcome, err)
}

// settle takes over what the ledger answered, if the model agrees.
func (w *twin) settle(op ledger.Operation, outcome ledger.Outcome, err error) error {
	if cause := w.contradiction(op, outcome, err); cause != nil {
		return fmt.Errorf("%s: %w", describe(op), cause)
	}
	return nil
}

// contradiction compares an answer with the model's verdict; if they agree, the model moves on.
func (w *twin) contradiction(op ledger.Operation, outcome ledger.Outcome, err error) error {
	want := w.model.judge(op)
	switch {
	case err != nil && !slices.Contains(want.codes, fault.CodeOf(err)):
		return fmt.Errorf("refused (%w), the model says %s", err, want)
	case err != nil:
		return nil
	case len(want.codes) > 0 || outcome.Replayed != (want.replay != nil):
		return fmt.Errorf("transaction %d (replayed: %t), the model says %s", outcome.Seq, outcome.Replayed, want)
	case want.replay != nil && outcome.Transaction != want.replay.id:
		return fmt.Errorf("replay of %s, the model says %s", outcome.Transaction, want.replay.id)
	case want.replay != nil:
		return nil
	}
	if outcome.Kind != op.Kind || outcome.Key != op.Key || outcome.Reference != op.Reference || outcome.Reverses != op.Reverses {
		return fmt.Errorf("outcome %+v of another operation", outcome)
	}
	made := &want.next.log[len(want.next.log)-1]
	made.id = outcome.Transaction
	if outcome.Seq != int64(len(want.next.log)) || !outcome.At.Equal(want.next.now) {
		return fmt.Errorf("transaction %d at %s, the model says %d at %s", outcome.Seq, outcome.At, len(want.next.log), want.next.now)
	}
	var moves []modelMove
	for _, m := range outcome.Moves {
		moves = append(moves, modelMove{debit: m.Debit, credit: m.Credit, posted: m.Posted.Minor, held: m.Held})
	}
	expected := slices.Clone(made.moves)
	for i := range expected {
		expected[i].pays = false
	}
	if !slices.Equal(moves, expected) {
		return fmt.Errorf("movements %v, the model says %v", moves, expected)
	}
	for _, b := range outcome.After {
		if posted, available := want.next.posted(b.Account), want.next.available(b.Account); b.Posted.Minor != posted || b.Available.Minor != available {
			return fmt.Errorf("%s after it %v, the model says %d and %d available", b.Account, b, posted, available)
		}
	}
	w.model = want.next
	return nil
}

func (v verdict) String() string {
	switch {
	case v.replay != nil:
		return "replay of " + string(v.replay.id)
	case len(v.codes) > 0:
		return fmt.Sprintf("refused with one of %v", v.codes)
	}
	return "accepted"
}

// expired takes over what a sweep made of the holds that were due, in the order it took.
func (w *twin) expired(ctx context.Context, due []ledger.HoldID) error {
	outcomes, err := w.books.ListTransactions(ctx, w.id, 0, max(1, len(due)))
	if err != nil {
		return err
	}
	slices.Reverse(outcomes)
	for _, o := range outcomes[max(0, len(outcomes)-len(due)):] {
		if len(o.Moves) != 1 || !slices.Contains(due, o.Moves[0].Hold) {
			return fmt.Errorf("the sweep made %+v, which is none of %v", o, due)
		}
		op := ledger.Operation{Book: w.id, Kind: o.Kind, Key: o.Key, Reference: o.Reference, At: o.At,
			Holds: []ledger.HoldChange{{Action: ledger.Expire, ID: o.Moves[0].Hold}}}
		if err := w.settle(op, o, nil); err != nil {
			return err
		}
	}
	if left := w.model.due(w.model.now); len(due) > 0 && slices.ContainsFunc(left, func(h ledger.HoldID) bool { return slices.Contains(due, h) }) {
		return fmt.Errorf("of the holds %v that were due, %v are left", due, left)
	}
	return nil
}

func bySeq(a, b ledger.Outcome) int { return cmp.Compare(a.Seq, b.Seq) }

// compare holds everything that can be read of the book against the model.
func (w *twin) compare(ctx context.Context) error {
	accounts, err := w.books.ListAccounts(ctx, w.id, "", "", ledger.MaxPage)
	if err != nil {
		return err
	}
	if len(accounts) != len(w.model.accounts) {
		return fmt.Errorf("%d accounts, the model has %d", len(accounts), len(w.model.accounts))
	}
	for _, a := range accounts {
		want := w.model.accounts[a.ID]
		got := fmt.Sprint(a.Posted(), a.Held(), a.State, a.Side, a.Currency, a.Unbounded, a.Entries)
		if should := fmt.Sprint(minor(w.model.posted(a.ID), want), minor(w.model.held(a.ID), want), want.state, want.side,
			want.currency, want.unbounded, w.model.entries(a.ID)); got != should {
			return fmt.Errorf("account %s is %s, the model says %s", a.ID, got, should)
		}
	}
	for id, want := range w.model.holds {
		h, err := w.books.FindHold(ctx, w.id, id)
		if err != nil {
			return err
		}
		if h.State != want.state || h.Remaining().Minor != want.left || h.Captured.Minor != want.captured ||
			h.Debit != want.debit || h.Credit != want.credit || !h.ExpiresAt.Equal(want.expires) {
			return fmt.Errorf("hold %+v, the model says %+v", h, want)
		}
	}
	return w.compareLog(ctx)
}

// compareLog checks that the book has the model's transactions and no others.
func (w *twin) compareLog(ctx context.Context) error {
	newest, err := w.books.ListTransactions(ctx, w.id, 0, 1)
	if err != nil {
		return err
	}
	count := 0
	if len(newest) > 0 {
		count = int(newest[0].Seq)
	}
	if count != len(w.model.log) {
		return fmt.Errorf("%d transactions, the model has %d", count, len(w.model.log))
	}
	return nil
}

// sums adds up every entry that the database has, per account and in all.
func (w *twin) sums(ctx context.Context, q storage.Queryer) error {
	sums, err := storage.All(ctx, q, scanSum, sumEntries, string(w.id))
	if err != nil {
		return err
	}
	total := map[string]int64{}
	for _, s := range sums {
		a := w.model.accounts[ledger.AccountID(s.account)]
		balance := s.debits - s.credits
		total[a.currency.String()] += balance
		if a.side == ledger.Credit {
			balance = -balance
		}
		if balance != w.model.posted(ledger.AccountID(s.account)) {
			return fmt.Errorf("the entries of %s sum to %d, the model says %d", s.account, balance, w.model.posted(ledger.AccountID(s.account)))
		}
	}
	for currency, sum := range total {
		if sum != 0 {
			return fmt.Errorf("the book sums to %d %s", sum, currency)
		}
	}
	return nil
}

var sumEntries = storage.SQL("ledgertest.sum_entries", `SELECT account_id,
	CAST(SUM(CASE side WHEN 'debit' THEN posted_minor ELSE 0 END) AS BIGINT), CAST(SUM(CASE side WHEN 'credit' THEN posted_minor ELSE 0 END) AS BIGINT)
	FROM ledger_entries WHERE book_id = $1 GROUP BY account_id ORDER BY account_id`)

type entrySum struct {
	account         string
	debits, credits int64
}

func scanSum(r storage.Row) (s entrySum, err error) {
	err = r.Scan(&s.account, &s.debits, &s.credits)
	return s, err
}
