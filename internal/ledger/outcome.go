package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/quote"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Outcome is what an operation did: one transaction.
type Outcome struct {
	Book        BookID
	Seq         int64 // the transaction's place in its book, from 1
	Transaction TransactionID
	Kind        string
	Key         string
	Reference   string
	Reverses    TransactionID
	Actor       string
	At          time.Time
	Moves       []Move
	After       []Balance
	States      []StateChange
	Counts      []Count
	// Replayed is true when the operation had been done before, under the same key.
	Replayed bool

	fingerprint [16]byte
	before      []int64 // what the accounts of After had available; nil where it was read back
	sums        []int64 // what the counters of Counts stood at; nil where it was read back
}

// Move is one movement between two accounts: what it posted from the debited to the
// credited one, and by how much it changed what is held between them.
type Move struct {
	Debit  AccountID
	Credit AccountID
	Posted money.Amount
	Held   int64
	Hold   HoldID
	// Expires is when the hold that it placed ends by itself; zero: never, or it placed none.
	Expires time.Time
	// Expired says that the hold's time was over, where it releases.
	Expired bool
	// Forced says that the debited account paid without regard to its floor and its state.
	Forced bool
}

// Balance is an account after the transaction.
type Balance struct {
	Account   AccountID
	Posted    money.Amount
	Available money.Amount
	// Opened is the side on which the transaction opened the account; empty when it was there before.
	Opened Side
	// Unbounded says that the account was opened without a floor.
	Unbounded bool
}

// Count is what a guard added to a counter.
type Count struct {
	Counter string
	Add     int64
}

// Balance returns account as the transaction left it, and whether it touched it.
func (o *Outcome) Balance(account AccountID) (Balance, bool) {
	for _, b := range o.After {
		if b.Account == account {
			return b, true
		}
	}
	return Balance{}, false
}

// Before returns what account had available before the operation, zero for one that it
// opened, and whether that is known: not of an account that it did not touch, and not of
// an outcome that was read back.
func (o *Outcome) Before(account AccountID) (money.Amount, bool) {
	for i, before := range o.before {
		if o.After[i].Account == account {
			return money.New(before, o.After[i].Available.Currency), true
		}
	}
	return money.Amount{}, false
}

// Sum returns what a counter stood at after the operation's guards had counted, zero
// for one that they did not touch. It is not known of an outcome that was read back.
func (o *Outcome) Sum(counter string) int64 {
	sum := int64(0)
	for i, n := range o.sums {
		if o.Counts[i].Counter == counter {
			sum = n
		}
	}
	return sum
}

// chainHash chains a transaction to the one before it: SHA-256 of that one's hash and this one's body.
func chainHash(previous []byte, body []byte) [32]byte {
	h := sha256.New()
	h.Write(previous)
	h.Write(body)
	return [32]byte(h.Sum(nil))
}

// genesis is the hash that stands before a book's first transaction: that of its header.
func genesis(b Book) [32]byte {
	text := quote.JSON([]byte(`{"v":1,"book":`), string(b.ID))
	text = appendField(text, "realm", string(b.Realm))
	text = append(text, `,"opened":`...)
	text = strconv.AppendInt(text, storage.Micros(b.OpenedAt), 10)
	return sha256.Sum256(append(text, '}'))
}

// canonical appends the body of a transaction as it is stored and hashed: JSON in a fixed
// order without spaces. What most transactions do not do, such as opening an account,
// is not in their text at all. Version 1.
func (o *Outcome) canonical(b []byte) []byte {
	b = append(b, `{"v":1,"book":`...)
	b = quote.JSON(b, string(o.Book))
	b = append(b, `,"seq":`...)
	b = strconv.AppendInt(b, o.Seq, 10)
	b = appendField(b, "id", string(o.Transaction))
	b = appendField(b, "kind", o.Kind)
	b = appendField(b, "key", o.Key)
	b = appendField(b, "ref", o.Reference)
	b = appendField(b, "reverses", string(o.Reverses))
	b = appendField(b, "by", o.Actor)
	b = append(b, `,"at":`...)
	b = strconv.AppendInt(b, storage.Micros(o.At), 10)
	b = append(b, `,"fp":"`...)
	b = hex.AppendEncode(b, o.fingerprint[:])
	b = append(b, `","moves":[`...)
	for i, m := range o.Moves {
		b = m.append(separate(b, i))
	}
	b = append(b, `],"after":[`...)
	for i, a := range o.After {
		b = a.append(separate(b, i))
	}
	b = append(b, `],"states":[`...)
	for i, s := range o.States {
		b = append(separate(b, i), `{"a":`...)
		b = quote.JSON(b, string(s.Account))
		b = append(appendField(b, "to", string(s.To)), '}')
	}
	b = append(b, ']')
	for i, c := range o.Counts {
		if i == 0 {
			b = append(b, `,"counts":[`...)
		}
		b = c.append(separate(b, i))
	}
	if len(o.Counts) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

func (m Move) append(b []byte) []byte {
	b = append(b, `{"d":`...)
	b = quote.JSON(b, string(m.Debit))
	b = appendField(b, "c", string(m.Credit))
	b = appendField(b, "cur", m.Posted.Currency.String())
	b = append(b, `,"post":`...)
	b = strconv.AppendInt(b, m.Posted.Minor, 10)
	b = append(b, `,"hold":`...)
	b = strconv.AppendInt(b, m.Held, 10)
	b = appendField(b, "h", string(m.Hold))
	if !m.Expires.IsZero() {
		b = append(b, `,"until":`...)
		b = strconv.AppendInt(b, storage.Micros(m.Expires), 10)
	}
	if m.Expired {
		b = append(b, `,"expired":true`...)
	}
	if m.Forced {
		b = append(b, `,"forced":true`...)
	}
	return append(b, '}')
}

func (a Balance) append(b []byte) []byte {
	b = append(b, `{"a":`...)
	b = quote.JSON(b, string(a.Account))
	b = appendField(b, "cur", a.Posted.Currency.String())
	b = append(b, `,"bal":`...)
	b = strconv.AppendInt(b, a.Posted.Minor, 10)
	b = append(b, `,"avail":`...)
	b = strconv.AppendInt(b, a.Available.Minor, 10)
	b = appendField(b, "side", string(a.Opened))
	if a.Unbounded {
		b = append(b, `,"unbounded":true`...)
	}
	return append(b, '}')
}

func (c Count) append(b []byte) []byte {
	b = append(b, `{"n":`...)
	b = quote.JSON(b, c.Counter)
	b = append(b, `,"add":`...)
	return append(strconv.AppendInt(b, c.Add, 10), '}')
}

func separate(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

// appendField leaves empty texts out.
func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return quote.JSON(b, value)
}

// body is canonical's text for reading it back: the fields are called what they are there.
type body struct {
	V             int
	Book, ID      string
	Seq, At       int64
	Kind, Key     string
	Ref, Reverses string
	By, FP        string
	Moves         []struct {
		D, C, Cur, H string
		Post, Hold   int64
		Until        *int64
		Expired      bool
		Forced       bool
	}
	After []struct {
		A, Cur, Side string
		Bal, Avail   int64
		Unbounded    bool
	}
	States []struct{ A, To string }
	Counts []struct {
		N   string
		Add int64
	}
}

// parseBody reads a stored transaction.
func parseBody(text []byte) (Outcome, error) {
	var b body
	if err := json.Unmarshal(text, &b); err != nil {
		return Outcome{}, fmt.Errorf("transaction body: %w", err)
	}
	if b.V != 1 {
		return Outcome{}, fmt.Errorf("transaction body: version %d is unknown", b.V)
	}
	o := Outcome{Book: BookID(b.Book), Seq: b.Seq, Transaction: TransactionID(b.ID), Kind: b.Kind, Key: b.Key,
		Reference: b.Ref, Reverses: TransactionID(b.Reverses), Actor: b.By, At: storage.Time(b.At)}
	fingerprint, err := hex.DecodeString(b.FP)
	if err != nil || len(fingerprint) != len(o.fingerprint) {
		return Outcome{}, fmt.Errorf("transaction %s: fingerprint %q", b.ID, b.FP)
	}
	o.fingerprint = [16]byte(fingerprint)
	for _, m := range b.Moves {
		currency, err := money.Parse(m.Cur)
		if err != nil {
			return Outcome{}, fmt.Errorf("transaction %s: currency %q: %w", b.ID, m.Cur, err)
		}
		move := Move{Debit: AccountID(m.D), Credit: AccountID(m.C), Posted: money.New(m.Post, currency), Held: m.Hold, Hold: HoldID(m.H), Expired: m.Expired, Forced: m.Forced}
		if m.Until != nil {
			move.Expires = storage.Time(*m.Until)
		}
		o.Moves = append(o.Moves, move)
	}
	for _, a := range b.After {
		currency, err := money.Parse(a.Cur)
		if err != nil {
			return Outcome{}, fmt.Errorf("transaction %s: currency %q: %w", b.ID, a.Cur, err)
		}
		o.After = append(o.After, Balance{AccountID(a.A), money.New(a.Bal, currency), money.New(a.Avail, currency), Side(a.Side), a.Unbounded})
	}
	for _, s := range b.States {
		o.States = append(o.States, StateChange{AccountID(s.A), State(s.To)})
	}
	for _, c := range b.Counts {
		o.Counts = append(o.Counts, Count{c.N, c.Add})
	}
	return o, nil
}
