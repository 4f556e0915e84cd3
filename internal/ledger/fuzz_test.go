package ledger

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
)

// Whatever a stored body says, reading it ends without a panic, and what was read is written
// as a body that reads the same.
func FuzzParseBody(f *testing.F) {
	o := Outcome{Book: "bk_1", Seq: 7, Transaction: "txn_1", Kind: "load", Key: "k", Reference: "r", Reverses: "txn_0", Actor: "a",
		At:     time.UnixMicro(1).UTC(),
		Moves:  []Move{{Debit: "a", Credit: "b", Posted: money.New(5, 1), Held: -5, Hold: "h", Expires: time.UnixMicro(2).UTC(), Expired: true}},
		After:  []Balance{{Account: "a", Posted: money.New(1, 1), Available: money.New(-1, 1), Opened: Debit, Unbounded: true}},
		States: []StateChange{{Account: "a", To: Frozen}}, Counts: []Count{{"day", 5}}}
	f.Add(o.canonical(nil))
	f.Add([]byte(`{"v":1,"fp":"00000000000000000000000000000000"}`))
	f.Add([]byte(`{"v":1,"fp":"0000000000000000000000000000000000"}`)) // one byte too long
	f.Add([]byte(`{"v":1,"fp":"00"}`))
	f.Add([]byte(`{"v":1,"fp":"zz000000000000000000000000000000","moves":[{}]}`))
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		defer func() {
			if r := recover(); r != nil { // the other tests shall run all the same
				t.Errorf("%s: panic: %v", text, r)
			}
		}()
		read, err := parseBody(text)
		if err != nil {
			return
		}
		written := read.canonical(nil)
		again, err := parseBody(written)
		if err != nil {
			t.Fatalf("%s\n%v", written, err)
		}
		if !reflect.DeepEqual(read, again) || !bytes.Equal(written, again.canonical(nil)) {
			t.Errorf("read %+v\nagain %+v", read, again)
		}
	})
}

// The stored form of a transaction never changes: what was written by any version is read,
// and its hash is worked out, as it was then. Only what opens accounts, places holds, ends
// them because their time was over, or counts, says so.
func TestBodyFormat(t *testing.T) {
	posting := Outcome{Book: "bk_1", Seq: 7, Transaction: "txn_2", Kind: "load", Key: "k", Reference: "größe <1>", Reverses: "txn_1", Actor: "key_1",
		At: time.UnixMicro(1767225600000001).UTC(), fingerprint: [16]byte{0: 1, 15: 0xff},
		Moves: []Move{{Debit: "cash", Credit: "wallet", Posted: mustAmount(t, 5), Held: -7, Hold: "hold_1"}, {Debit: "a", Credit: "b", Posted: mustAmount(t, 0)}},
		After: []Balance{{Account: "cash", Posted: mustAmount(t, 5), Available: mustAmount(t, -2)}}, States: []StateChange{{Account: "wallet", To: Frozen}}}
	rest := Outcome{Book: "bk_1", Seq: 8, Transaction: "txn_3", Kind: "all", At: time.UnixMicro(1).UTC(),
		Moves: []Move{{Debit: "a", Credit: "b", Posted: mustAmount(t, 0), Held: 9, Hold: "hold_2", Expires: time.UnixMicro(2).UTC()},
			{Debit: "a", Credit: "b", Posted: mustAmount(t, 0), Held: -9, Hold: "hold_3", Expired: true}},
		After:  []Balance{{Account: "a", Posted: mustAmount(t, 0), Available: mustAmount(t, 0), Opened: Debit, Unbounded: true}},
		Counts: []Count{{"day", 5}, {"week", -1}}}
	for _, test := range []struct {
		o    Outcome
		want string
	}{
		{posting, `{"v":1,"book":"bk_1","seq":7,"id":"txn_2","kind":"load","key":"k","ref":"größe <1>","reverses":"txn_1","by":"key_1",` +
			`"at":1767225600000001,"fp":"010000000000000000000000000000ff","moves":[{"d":"cash","c":"wallet","cur":"USD","post":5,"hold":-7,"h":"hold_1"},` +
			`{"d":"a","c":"b","cur":"USD","post":0,"hold":0}],"after":[{"a":"cash","cur":"USD","bal":5,"avail":-2}],"states":[{"a":"wallet","to":"frozen"}]}`},
		{rest, `{"v":1,"book":"bk_1","seq":8,"id":"txn_3","kind":"all","at":1,"fp":"00000000000000000000000000000000",` +
			`"moves":[{"d":"a","c":"b","cur":"USD","post":0,"hold":9,"h":"hold_2","until":2},{"d":"a","c":"b","cur":"USD","post":0,"hold":-9,"h":"hold_3","expired":true}],` +
			`"after":[{"a":"a","cur":"USD","bal":0,"avail":0,"side":"debit","unbounded":true}],"states":[],"counts":[{"n":"day","add":5},{"n":"week","add":-1}]}`},
	} {
		if got := string(test.o.canonical(nil)); got != test.want {
			t.Errorf("body\n%s\nwant\n%s", got, test.want)
		}
		hash := chainHash([]byte("before"), []byte(test.want))
		if got := sha256.Sum256([]byte("before" + test.want)); got != hash {
			t.Errorf("hash %x, want %x", hash, got)
		}
		read, err := parseBody([]byte(test.want))
		if err != nil || !reflect.DeepEqual(read, test.o) {
			t.Errorf("%v\nread %+v\nwant %+v", err, read, test.o)
		}
	}
}

// A book's chain begins with its header, whose form never changes either.
func TestHeaderFormat(t *testing.T) {
	want := sha256.Sum256([]byte(`{"v":1,"book":"bk_1","realm":"live","opened":1767225600000001}`))
	if got := genesis(Book{ID: "bk_1", Realm: realm.Live, OpenedAt: time.UnixMicro(1767225600000001)}); got != want {
		t.Errorf("hash %x, want %x", got, want)
	}
}

func mustAmount(t *testing.T, minor int64) money.Amount {
	t.Helper()
	dollars, err := money.Parse("USD")
	if err != nil {
		t.Fatal(err)
	}
	return money.New(minor, dollars)
}

// The same request has the same fingerprint for ever: keys are remembered across versions,
// so it must not depend on where a currency stands in a table.
func TestFingerprintFormat(t *testing.T) {
	op := Operation{Book: "bk_1", Kind: "load", Key: "k", Reference: "r", Postings: []Posting{{Debit: "cash", Credit: "wallet", Amount: mustAmount(t, 5)}}}
	sum := sha256.Sum256([]byte("4:load0:1:r0:1:p4:cash6:wallet5/USD "))
	if got := op.fingerprint(); !bytes.Equal(got[:], sum[:16]) {
		t.Errorf("fingerprint %x, want %x", got, sum[:16])
	}
}

// An operation that is accepted as well-formed has only parts that make sense, and texts
// that come back from the body of its transaction as they were.
func FuzzValidate(f *testing.F) {
	f.Add("bk_1", "load", "key", "reference", "cash", "wallet", "h1", int64(100), uint8(1), uint8(0))
	f.Add("bk_1", "load", "caf\xe9", "a\x00b", "cash", "cash", "", int64(-1), uint8(200), uint8(1))
	f.Add("bk_1", "load", "\xff", "", "cash", "wallet", "h1", int64(1), uint8(1), uint8(2))
	f.Add("bk_1", "load", "", "\u2028<>&", "cash", "wallet", "h1", int64(0), uint8(1), uint8(3))
	f.Add("bk_1", "load", "", "", "cash", "wallet", "h1", int64(1), uint8(200), uint8(0)) // no such currency
	f.Add("bk_1", "load", "", "", "cash", "wallet", "h1", int64(1), uint8(200), uint8(2))
	f.Add("", "", "", "", "", "", "", int64(0), uint8(0), uint8(4))
	f.Add("bk_1", "load", "", "", "cash", "wallet", "h1", int64(1)<<62, uint8(1), uint8(5))
	f.Fuzz(func(t *testing.T, book, kind, key, reference, debit, credit, hold string, minor int64, currency, shape uint8) {
		amount := money.New(minor, money.Currency(currency))
		op := Operation{Book: BookID(book), Kind: kind, Key: key, Reference: reference, Actor: key, At: time.UnixMicro(minor).UTC()}
		switch shape % 6 {
		case 0:
			op.Postings = []Posting{{Debit: AccountID(debit), Credit: AccountID(credit), Amount: amount, All: minor == 0}}
		case 1:
			op.Open = []NewAccount{{ID: AccountID(debit), Currency: amount.Currency, Side: Side(credit)}}
		case 2:
			op.Holds = []HoldChange{{Action: Place, ID: HoldID(hold), Debit: AccountID(debit), Credit: AccountID(credit), Amount: amount}}
		case 3:
			op.Holds = []HoldChange{{Action: HoldAction(credit), ID: HoldID(hold), Amount: amount}}
		case 4:
			op.States = []StateChange{{Account: AccountID(debit), To: State(credit)}}
		case 5:
			op.Guards = []Guard{{Counter: debit, Add: minor, Limit: minor}}
		}
		if err := op.validate(); err != nil {
			if fault.CodeOf(err).Kind() != fault.KindInvalid {
				t.Errorf("refused with %v", err)
			}
			return
		}
		checkWellFormed(t, &op)
		if a, b := op.fingerprint(), op.fingerprint(); a != b {
			t.Error("the fingerprint is not the same twice")
		}
		o := Outcome{Book: op.Book, Seq: 1, Transaction: "txn_1", Kind: op.Kind, Key: op.Key, Reference: op.Reference, Actor: op.Actor,
			At: op.At, States: op.States, fingerprint: op.fingerprint()}
		for _, p := range op.Postings {
			if !p.All {
				o.Moves = append(o.Moves, Move{Debit: p.Debit, Credit: p.Credit, Posted: p.Amount})
			}
		}
		for _, h := range op.Holds {
			if h.Amount.Currency.IsValid() {
				o.Moves = append(o.Moves, Move{Debit: h.Debit, Credit: h.Credit, Posted: money.New(0, h.Amount.Currency), Held: h.Amount.Minor, Hold: h.ID})
			}
		}
		again, err := parseBody(o.canonical(nil))
		if err != nil || !reflect.DeepEqual(again, o) {
			t.Errorf("%v\nwrote %+v\nread  %+v", err, o, again)
		}
	})
}

// checkWellFormed says what validation promises to everything after it.
func checkWellFormed(t *testing.T, op *Operation) {
	t.Helper()
	for _, p := range op.Postings {
		if p.Debit == p.Credit || !p.All && (p.Amount.Minor <= 0 || p.Amount.Minor > maxSum || !p.Amount.Currency.IsValid()) {
			t.Errorf("accepted posting %+v", p)
		}
	}
	for _, a := range op.Open {
		if a.ID == "" || !a.Currency.IsValid() || a.Side != Debit && a.Side != Credit {
			t.Errorf("accepted account %+v", a)
		}
	}
	for _, h := range op.Holds {
		if h.ID == "" || h.Amount.Minor < 0 || h.Amount.Minor > maxSum || !h.Amount.IsZero() && !h.Amount.Currency.IsValid() {
			t.Errorf("accepted hold %+v", h)
		}
	}
	for _, s := range op.States {
		if s.Account == "" || s.To != Open && s.To != Frozen && s.To != Closed {
			t.Errorf("accepted state %+v", s)
		}
	}
	for _, g := range op.Guards {
		if g.Counter == "" {
			t.Errorf("accepted guard %+v", g)
		}
	}
}
