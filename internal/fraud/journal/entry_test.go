package journal_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/journal"
)

// What an entry tells is read as it was written, whatever kind of event it is about, and what follows it is left; half an entry is none.
func TestEntryAgain(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123_000, time.UTC)
	name := func(of byte) (h fraud.Hash) {
		for i := range 8 { // those that tell names apart
			h[i] = of + byte(i)
		}
		return h
	}
	check := fraud.Event{Kind: fraud.Ping, At: at, Realm: realm.Live, Book: "bk_1", Caller: "portal_1", Public: true, Address: netip.MustParseAddr("2001:db8::7"), Network: "scrip",
		Card: name(1), Before: name(2), After: name(3), Block: name(4), Hundred: name(5), Range: name(6), Device: name(7), Agent: name(8)}
	payment := fraud.Event{Kind: fraud.Authorization, At: at, Realm: realm.Test, Book: "bk_1", Card: name(1), Merchant: name(2), Device: name(3), Country: "FR", Category: "5812",
		Remote: true, Amount: money.New(1234, money.USD)}
	for _, e := range []journal.Entry{
		{Kind: journal.Asked, Event: check},
		{Kind: journal.Learned, Event: check, Outcome: fraud.Outcome{WrongPIN: true}},
		{Kind: journal.Labelled, Event: check, Label: fraud.Label{At: at.Add(time.Hour), Fraud: true}},
		{Kind: journal.Asked, Event: payment},
		{Kind: journal.Learned, Event: payment, Outcome: fraud.Outcome{Found: true}},
		{Kind: journal.Heard, Event: fraud.Event{Kind: fraud.Activation, At: at, Realm: realm.Live, Book: "bk_1", Network: "scrip", Card: name(1), Block: name(4), Hundred: name(5), Range: name(6), Payer: name(9)}},
		{Kind: journal.Heard, Event: fraud.Event{Kind: fraud.Reload, At: at, Realm: realm.Test, Book: "bk_1", Network: "scrip", Card: name(1)}},
		{Kind: journal.Asked, Event: fraud.Event{Kind: fraud.Ping, At: at, Realm: realm.Live}},
	} {
		written := e.Append(nil)
		got, left, err := journal.Read(append(written, "rest"...))
		if err != nil || string(left) != "rest" {
			t.Fatalf("%q is left, %v", left, err)
		}
		if diff := cmp.Diff(e, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("(-written +read):\n%s", diff)
		}
		for n := range written {
			if _, _, err := journal.Read(written[:n]); err == nil {
				t.Fatalf("%d of %d bytes are an entry", n, len(written))
			}
		}
	}
}
