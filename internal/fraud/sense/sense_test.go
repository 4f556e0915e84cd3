package sense_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/feature"
	"github.com/scripcards/scrip/internal/fraud/sense"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func number(n int) (h fraud.Hash) {
	binary.BigEndian.PutUint64(h[:], uint64(n)*0x9e3779b97f4a7c15+1)
	return h
}

func ask(i int) fraud.Event {
	return fraud.Event{Kind: fraud.Ping, At: noon.Add(time.Duration(i) * time.Second), Realm: realm.Live, Book: "bk_1", Caller: fmt.Sprint("key_", i%7),
		Address: netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), Card: number(i), Before: number(i - 1), After: number(i + 1), Block: number(i/10 + 1e7),
		Hundred: number(i/100 + 2e7), Range: number(i/5000 + 3e7)}
}

func newSense() *sense.Sense {
	return sense.New(sense.Config{Memory: fraud.MinMemory, Rules: fraud.Config{Memory: fraud.MinMemory, PaymentMemory: fraud.MinMemory}})
}

// Names of columns are all different and say what is counted, of whom, over how long.
func TestColumns(t *testing.T) {
	columns := sense.Columns()
	if len(columns) != sense.Width {
		t.Fatalf("%d columns, want %d", len(columns), sense.Width)
	}
	keys := map[string]bool{}
	for _, c := range columns {
		if keys[c.Key()] || c.Signal == "" || c.Of == "" {
			t.Errorf("%+v", c)
		}
		keys[c.Key()] = true
	}
	for _, want := range []string{"address.missed_1h", "credential.missed_share_1d", "card.asked_1h", "neighbourhood.missed_1d", "credential.fading_events_1h", "range_of_numbers.fading_miss_share_30d",
		"operator_of_networks.surge_1h", "address.miss_rise_1h"} {
		if !keys[want] {
			t.Errorf("there is no %s", want)
		}
	}
}

// Derived numbers are made of those that their names say.
func TestSurges(t *testing.T) {
	s := newSense()
	var row sense.Row
	for i := range 50 {
		e := ask(i)
		s.See(&e, &row)
		s.Learn(&e, fraud.Outcome{Found: i < 25})
	}
	at := map[string]float32{}
	for i, c := range sense.Columns() {
		at[c.Key()] = row[i]
	}
	for _, of := range []string{"credential", "operator_of_networks", "card"} {
		surge := at[of+".fading_events_1h"] / (at[of+".fading_events_7d"]/168 + 1)
		rise := at[of+".fading_miss_share_1h"] - at[of+".fading_miss_share_30d"]
		if math.Abs(float64(at[of+".surge_1h"]-surge)) > 1e-4 || math.Abs(float64(at[of+".miss_rise_1h"]-rise)) > 1e-4 {
			t.Errorf("%s: surge %v, want %v; rise %v, want %v", of, at[of+".surge_1h"], surge, at[of+".miss_rise_1h"], rise)
		}
	}
}

// What was seen, saved and loaded again makes the same numbers as before, whatever comes next.
func TestSaved(t *testing.T) {
	one := newSense()
	var row, want sense.Row
	for i := range 3000 {
		e := ask(i % 700)
		e.At = noon.Add(time.Duration(i) * time.Second)
		one.See(&e, &row)
		one.Learn(&e, fraud.Outcome{Found: i%3 == 0})
		p := fraud.Event{Kind: fraud.Authorization, At: e.At, Realm: realm.Test, Card: number(i % 9), Merchant: number(i % 4), Country: "FR"}
		one.See(&p, &row)
		one.Learn(&p, fraud.Outcome{Found: true})
	}
	saved := one.Append(nil)
	two := newSense()
	if err := two.Load(saved); err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		e := ask(i * 3)
		e.At = noon.Add(time.Duration(4000+i) * time.Second)
		a, b := one.See(&e, &want), two.See(&e, &row)
		if a.Hundredths != b.Hundredths {
			t.Fatalf("ask %d: %+v became %+v", i, a, b)
		}
		for k := range row {
			if row[k] != want[k] && !(row[k] != row[k] && want[k] != want[k]) {
				t.Fatalf("ask %d: number %d was %v, is %v", i, k, want[k], row[k])
			}
		}
	}
	for n := range 5 {
		if newSense().Load(saved[:len(saved)*n/5]) == nil {
			t.Fatalf("%d of 5 parts are loaded", n)
		}
	}
}

// However many keys come, what is counted stays within its memory: ten million attackers' keys do, since each table has a bound.
func TestMemoryIsBounded(t *testing.T) {
	inUse := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := inUse()
	s := newSense()
	var row sense.Row
	for i := range 30_000 {
		e := ask(i * 977)
		e.Caller = fmt.Sprint("key_flood", i)
		s.See(&e, &row)
		s.Learn(&e, fraud.Outcome{})
	}
	if used := inUse() - before; used > 3*fraud.MinMemory {
		t.Errorf("%d bytes in use", used)
	}
	runtime.KeepAlive(s)
	const bound = 512 << 20
	if all := int64(sense.DefaultMemory + fraud.DefaultMemory + fraud.DefaultPaymentMemory); all > bound || feature.TrackSize > 450 {
		t.Errorf("%d bytes at most, %d for a key", all, feature.TrackSize)
	}
}

// A flood of new keys erases nothing of an attack under way.
func TestFloodErasesNothing(t *testing.T) {
	s := newSense()
	var row sense.Row
	thief := func(i int) fraud.Event {
		e := ask(5_000_000 + i)
		e.At, e.Caller, e.Address = noon.Add(time.Duration(i)*time.Second), "key_thief", netip.MustParseAddr("203.0.113.66")
		return e
	}
	for i := range 30 {
		e := thief(i)
		s.See(&e, &row)
		s.Learn(&e, fraud.Outcome{})
	}
	for i := range 20_000 {
		e := ask(i * 977)
		e.At, e.Caller = noon.Add(time.Minute), fmt.Sprint("key_flood", i)
		s.See(&e, &row)
		s.Learn(&e, fraud.Outcome{})
	}
	e := thief(90)
	s.See(&e, &row)
	for i, c := range sense.Columns() {
		if key := c.Key(); (key == "address.missed_1h" || key == "credential.missed_1h") && row[i] != 30 || (key == "address.fading_misses_1h" || key == "credential.fading_misses_1h") && row[i] < 28 {
			t.Errorf("%s is %v after the flood", key, row[i])
		}
	}
}
