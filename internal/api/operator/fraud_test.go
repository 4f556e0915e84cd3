package operator_test

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/builtin"
)

// hunt N: somebody asks for N cards that there are not, one after the other.
func (b *bundle) hunt(t testing.TB, args []string) {
	t.Helper()
	n, err := strconv.Atoi(args[0])
	check(t, err)
	number := func(i int) (h fraud.Hash) {
		binary.BigEndian.PutUint64(h[:], uint64(i))
		return h
	}
	for i := 1; i <= n; i++ {
		e := fraud.Event{Kind: fraud.Ping, At: b.clock.Now().Add(time.Duration(i) * time.Second), Realm: realm.Test, Book: b.customer.Test, Caller: "key_desk", Network: "scrip",
			Address: netip.MustParseAddr("192.0.2.7"), Card: number(1000 + i), Before: number(999 + i), After: number(1001 + i), Block: number(1)}
		b.Fraud.Score(e)
		b.Fraud.Learn(e, fraud.Outcome{})
	}
	check(t, b.Fraud.Flush(t.Context()))
}

// model: the model in the program is kept as if it had been brought.
func (b *bundle) model(t testing.TB, _ []string) {
	t.Helper()
	_, err := b.Fraud.Import(t.Context(), builtin.Bytes(), seeder)
	check(t, err)
}
