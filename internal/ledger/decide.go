package ledger

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// bookState is a book's header while a batch is decided.
type bookState struct {
	id     BookID
	realm  realm.Realm
	seq    int64
	head   []byte
	lastAt int64
	dirty  bool
	// foundSeq and foundHead are as the batch found them, or assumes that they are.
	foundSeq  int64
	foundHead []byte
}

// name is a name within a book: an account, a hold, a key, a counter or a transaction.
type name struct {
	book BookID
	text string
}

// loaded is the part of the database that a batch works on, and what the batch adds to it.
type loaded struct {
	books    map[BookID]*bookState
	accounts map[name]*Account
	holds    map[name]*Hold
	counters map[name]int64
	byKey    map[name]*Outcome
	byID     map[name]*Outcome
	reversed map[name]bool

	memory *memory
	watch  func(*Outcome) []storage.Effect // may be nil

	touchedAccounts []*Account
	placedHolds     []*Hold
	touchedHolds    []*Hold
	touchedCounters []name
	transactions    []decided
	text            []byte // room for the body of one
	effects         []storage.Effect
}

// decided is a transaction that is ready to be written.
type decided struct {
	outcome *Outcome
	body    string
	hash    [32]byte
	entries []entry
}

// entry is one side of one movement, with the account's sums after it.
type entry struct {
	account AccountID
	seq     int64
	side    Side
	posted  int64
	held    int64
	after   sums
}

// attempt is one operation while it is decided: copies of what it changes, so that
// a refusal leaves everything as it was.
type attempt struct {
	base     *loaded
	op       *Operation
	book     *bookState
	id       TransactionID
	at       time.Time
	accounts []*draft
	holds    []*Hold
	counters []counter
	counts   []Count
	sums     []int64 // of the counters, as counts goes on
	moves    []Move
	entries  []entry
}

type draft struct {
	Account
	fresh  bool
	before int64 // available, when the operation began
	paid   bool  // lost money to something other than the end of a hold, and not by force
	forced bool  // lost money without regard to its floor
	frozen bool  // when the operation began
}

type counter struct {
	name  name
	value int64
}

// decide runs op against what the batch has loaded and the operations decided
// before it. It changes l only when it succeeds.
func (l *loaded) decide(op *Operation) (Outcome, error) {
	if first, done := l.byKey[name{op.Book, op.Key}]; done { // which nothing without a key is
		return replay(op, *first)
	}
	book := l.books[op.Book]
	if book == nil {
		return Outcome{}, fault.New(fault.NotFound, "no book %s", op.Book)
	}
	if book.seq >= id.MaxNumber {
		return Outcome{}, fault.New(fault.Unavailable, "book %s is full", op.Book)
	}
	moves := len(op.Postings) + len(op.Holds)
	a := &attempt{base: l, op: op, book: book, id: newTransactionID(book.seq + 1), at: storage.Time(max(storage.Micros(op.At), book.lastAt)),
		moves: make([]Move, 0, moves), entries: make([]entry, 0, 2*moves)}
	for _, step := range []func() error{a.open, a.unfreeze, a.changeHolds, a.post, a.reverse, a.follow, a.guard, a.settle, a.solvent} {
		if err := step(); err != nil {
			return Outcome{}, err
		}
	}
	outcome := a.outcome()
	var effects []storage.Effect
	if op.Effects != nil {
		var err error
		if effects, err = op.Effects(*outcome); err != nil {
			return Outcome{}, err
		}
	}
	if l.watch != nil {
		effects = append(effects, l.watch(outcome)...)
	}
	a.keep(outcome, effects)
	return *outcome, nil
}

// replay answers an operation whose key was used before.
func replay(op *Operation, first Outcome) (Outcome, error) {
	if op.print != first.fingerprint {
		return Outcome{}, fault.New(fault.IdempotencyConflict, "the key was used for something else, transaction %s", first.Transaction)
	}
	first.Replayed = true
	return first, nil
}

func (a *attempt) open() error {
	for _, want := range a.op.Open {
		d, err := a.account(want.ID)
		if fault.CodeOf(err) == fault.NotFound {
			a.accounts = append(a.accounts, &draft{fresh: true, Account: Account{Book: a.op.Book, ID: want.ID, Currency: want.Currency,
				Side: want.Side, Unbounded: want.Unbounded, State: Open, OpenedAt: a.at}})
			continue
		}
		if err != nil {
			return err
		}
		if d.Currency != want.Currency || d.Side != want.Side {
			return fault.New(fault.CurrencyMismatch, "account %s is a %s account in %s", d.ID, d.Side, d.Currency)
		}
	}
	return nil
}

// unfreeze lets frozen accounts that are to be opened, or emptied and closed, pay out.
func (a *attempt) unfreeze() error {
	for _, change := range a.op.States {
		d, err := a.account(change.Account)
		if err != nil {
			return err
		}
		if d.State == Closed {
			return fault.New(fault.AccountClosed, "account %s is closed", d.ID)
		}
		if change.To != Frozen {
			d.frozen = false
		}
	}
	return nil
}

func (a *attempt) changeHolds() error {
	for i := range a.op.Holds {
		change := &a.op.Holds[i]
		if change.Action == Place {
			if err := a.place(change); err != nil {
				return err
			}
			continue
		}
		hold, err := a.hold(change.ID)
		if err != nil {
			return err
		}
		move, err := hold.change(change, a.at)
		if err != nil {
			return err
		}
		if err := a.move(move, change.Action == Increase); err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) place(change *HoldChange) error {
	if _, err := a.hold(change.ID); err == nil {
		return fault.New(fault.AlreadyExists, "hold %s exists", change.ID)
	}
	expires := storage.NullTime(storage.NullMicros(change.ExpiresAt)) // as it will be read again
	if !expires.IsZero() && !expires.After(a.at) {
		return fault.New(fault.InvalidRequest, "place hold %s: it would expire at once", change.ID)
	}
	none := money.New(0, change.Amount.Currency)
	a.holds = append(a.holds, &Hold{Book: a.op.Book, ID: change.ID, Realm: a.book.realm, Debit: change.Debit, Credit: change.Credit, Amount: change.Amount,
		Captured: none, Released: none, State: HoldPending, PlacedAt: a.at, ExpiresAt: expires})
	return a.move(Move{Debit: change.Debit, Credit: change.Credit, Posted: none, Held: change.Amount.Minor, Hold: change.ID, Expires: expires}, true)
}

func (a *attempt) post() error {
	for _, p := range a.op.Postings {
		if p.All {
			debited, err := a.account(p.Debit)
			if err != nil {
				return err
			}
			if p.Amount = debited.Available(); !p.Amount.IsPositive() {
				continue
			}
		}
		if err := a.move(Move{Debit: p.Debit, Credit: p.Credit, Posted: p.Amount, Forced: p.Forced}, true); err != nil {
			return err
		}
	}
	return nil
}

// reverse posts the original's movements the other way round.
func (a *attempt) reverse() error {
	if a.op.Reverses == "" {
		return nil
	}
	key := name{a.op.Book, string(a.op.Reverses)}
	original, known := a.base.byID[key]
	switch {
	case !known:
		return notFound("transaction", key.text)
	case a.base.reversed[key]:
		return fault.New(fault.AlreadyReversed, "transaction %s was reversed before", key.text)
	case original.Reverses != "":
		return fault.New(fault.InvalidState, "transaction %s is a reversal itself", key.text)
	case a.base.counters[name{a.op.Book, followers(a.op.Reverses)}] > 0:
		return fault.New(fault.InvalidState, "others, such as refunds or a decision, build on transaction %s", key.text)
	}
	moved := false
	for _, m := range original.Moves {
		if !m.Posted.IsPositive() {
			continue
		}
		moved = true
		if err := a.move(Move{Debit: m.Credit, Credit: m.Debit, Posted: m.Posted}, true); err != nil {
			return err
		}
	}
	if !moved {
		return fault.New(fault.InvalidState, "transaction %s posted nothing", key.text)
	}
	return nil
}

// followers names the counter of the transactions that build on one.
func followers(original TransactionID) string { return "transaction.followers/" + string(original) }

// follow counts the operation among those that build on transactions, if those stand. What is
// decided with a final one counts as well.
func (a *attempt) follow() error {
	if a.op.Final {
		if err := a.count(Guard{Counter: followers(a.id), Add: 1, Limit: 1}); err != nil {
			return err
		}
	}
	for _, original := range a.op.Follows {
		key := name{a.op.Book, string(original)}
		if _, known := a.base.byID[key]; !known {
			return notFound("transaction", key.text)
		}
		if a.base.reversed[key] {
			return fault.New(fault.AlreadyReversed, "transaction %s was reversed", key.text)
		}
		if err := a.count(Guard{Counter: followers(original), Add: 1, Limit: math.MaxInt64}); err != nil {
			return err
		}
	}
	return nil
}

// move makes one movement's two entries. pays says that it takes from what is
// available, which a frozen account refuses; the end of a hold does not.
func (a *attempt) move(m Move, pays bool) error {
	debited, err := a.movable(m.Debit, m.Posted.Currency)
	if err != nil {
		return err
	}
	credited, err := a.movable(m.Credit, m.Posted.Currency)
	if err != nil {
		return err
	}
	for _, side := range []struct {
		account *draft
		side    Side
	}{{debited, Debit}, {credited, Credit}} {
		if !side.account.apply(side.side, m.Posted.Minor, m.Held) {
			return fault.New(fault.InvalidAmount, "account %s: the balance would be out of range", side.account.ID)
		}
		forced := m.Forced && side.side == Debit
		side.account.forced = side.account.forced || forced
		side.account.paid = side.account.paid || (pays && !m.Forced && side.side != side.account.Side)
		a.entries = append(a.entries, entry{account: side.account.ID, seq: side.account.Entries, side: side.side,
			posted: m.Posted.Minor, held: m.Held, after: side.account.sums})
	}
	a.moves = append(a.moves, m)
	return nil
}

func (a *attempt) movable(id AccountID, currency money.Currency) (*draft, error) {
	d, err := a.account(id)
	switch {
	case err != nil:
		return nil, err
	case d.State == Closed:
		return nil, fault.New(fault.AccountClosed, "account %s is closed", id)
	case d.Currency != currency:
		return nil, fault.New(fault.CurrencyMismatch, "account %s is in %s, not %s", id, d.Currency, currency)
	}
	return d, nil
}

func (a *attempt) guard() error {
	for _, g := range a.op.Guards {
		if err := a.count(g); err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) count(g Guard) error {
	c := a.counter(name{a.op.Book, g.Counter})
	sum := c.value + g.Add // below zero, too, where it would be out of range
	if sum < 0 || (g.Add > 0 && sum > g.Limit) {
		return fault.New(fault.GuardExceeded, "%s would pass its limit", g.Counter).
			With("counter", g.Counter).With("used", strconv.FormatInt(c.value, 10)).With("limit", strconv.FormatInt(g.Limit, 10))
	}
	c.value = sum
	a.counts = append(a.counts, Count{g.Counter, g.Add})
	a.sums = append(a.sums, sum)
	return nil
}

// settle makes the last checks, when everything has moved, and the last state changes.
func (a *attempt) settle() error {
	for _, d := range a.accounts {
		if d.paid && d.frozen {
			return fault.New(fault.AccountFrozen, "account %s is frozen", d.ID)
		}
		if after := d.available(); !d.Unbounded && !d.forced && after < d.Floor && after < d.before {
			return fault.New(fault.InsufficientFunds, "account %s has %s available", d.ID, money.New(d.before, d.Currency)).
				With("available", money.New(d.before, d.Currency).String()).
				With("required", money.New(d.before-after, d.Currency).String())
		}
	}
	for _, change := range a.op.States {
		d, err := a.account(change.Account)
		if err != nil {
			return err
		}
		if change.To == Closed && (d.posted() != 0 || d.HeldDebits != 0 || d.HeldCredits != 0) {
			return fault.New(fault.AccountNotEmpty, "account %s has %s and holds of %s", d.ID, d.Posted(), d.Held())
		}
		d.State = change.To
	}
	return nil
}

// ErrOverdrawn is why an operation is refused that wants an account not to be below zero.
var ErrOverdrawn = errors.New("ledger: an account is below zero")

// solvent looks at accounts that nothing may be owed on, as they were before the operation.
func (a *attempt) solvent() error {
	for _, id := range a.op.Solvent {
		if found := a.base.accounts[name{a.op.Book, string(id)}]; found != nil && found.available() < 0 {
			return fault.Wrap(ErrOverdrawn, fault.InsufficientFunds, "account %s is below zero", id)
		}
	}
	return nil
}

// account returns the operation's own copy of an account.
func (a *attempt) account(id AccountID) (*draft, error) {
	for _, d := range a.accounts {
		if d.ID == id {
			return d, nil
		}
	}
	found := a.base.accounts[name{a.op.Book, string(id)}]
	if found == nil {
		return nil, notFound("account", string(id))
	}
	d := &draft{Account: *found, before: found.available(), frozen: found.State == Frozen}
	a.accounts = append(a.accounts, d)
	return d, nil
}

func (a *attempt) hold(id HoldID) (*Hold, error) {
	for _, h := range a.holds {
		if h.ID == id {
			return h, nil
		}
	}
	found := a.base.holds[name{a.op.Book, string(id)}]
	if found == nil {
		return nil, notFound("hold", string(id))
	}
	copied := *found
	a.holds = append(a.holds, &copied)
	return &copied, nil
}

func (a *attempt) counter(n name) *counter {
	for i := range a.counters {
		if a.counters[i].name == n {
			return &a.counters[i]
		}
	}
	a.counters = append(a.counters, counter{n, a.base.counters[n]})
	return &a.counters[len(a.counters)-1]
}

func (a *attempt) outcome() *Outcome {
	o := &Outcome{Book: a.op.Book, Seq: a.book.seq + 1, Transaction: a.id, Kind: a.op.Kind, Key: a.op.Key,
		Reference: a.op.Reference, Reverses: a.op.Reverses, Actor: a.op.Actor, At: a.at, Moves: a.moves, States: a.op.States,
		Counts: a.counts, sums: a.sums, fingerprint: a.op.print}
	o.After, o.before = make([]Balance, 0, len(a.accounts)), make([]int64, 0, len(a.accounts))
	for _, d := range a.accounts {
		o.before = append(o.before, d.before)
		b := Balance{Account: d.ID, Posted: d.Posted(), Available: d.Available()}
		if d.fresh {
			b.Opened, b.Unbounded = d.Side, d.Unbounded
		}
		o.After = append(o.After, b)
	}
	return o
}

// keep makes the attempt's copies the batch's truth.
func (a *attempt) keep(o *Outcome, effects []storage.Effect) {
	l := a.base
	for _, d := range a.accounts {
		key := name{a.op.Book, string(d.ID)}
		current := l.accounts[key]
		if current == nil {
			current = &Account{}
			l.accounts[key] = current
		}
		if d.fresh || d.State != current.State {
			l.touchedAccounts = append(l.touchedAccounts, current)
		}
		*current = d.Account
	}
	for _, h := range a.holds {
		key := name{a.op.Book, string(h.ID)}
		if current := l.holds[key]; current != nil {
			*current = *h
			l.touchedHolds = append(l.touchedHolds, current)
			continue
		}
		l.holds[key] = h
		l.placedHolds = append(l.placedHolds, h)
	}
	for _, c := range a.counters {
		l.counters[c.name] = c.value
		l.touchedCounters = append(l.touchedCounters, c.name)
	}
	l.text = o.canonical(l.text[:0])
	d := decided{outcome: o, body: string(l.text), hash: chainHash(a.book.head, l.text), entries: a.entries}
	a.book.seq, a.book.head, a.book.lastAt, a.book.dirty = o.Seq, d.hash[:], storage.Micros(o.At), true
	l.byID[name{o.Book, string(o.Transaction)}] = o
	if o.Key != "" {
		l.byKey[name{o.Book, o.Key}] = o
	}
	if o.Reverses != "" {
		l.reversed[name{o.Book, string(o.Reverses)}] = true
	}
	l.transactions = append(l.transactions, d)
	l.effects = append(l.effects, effects...)
}
