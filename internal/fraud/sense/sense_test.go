package sense_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
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
		Hundred: number(i/100 + 2e7), Range: number(i/5000 + 3e7),
		Device: number(i%11 + 4e7), Agent: number(i%5 + 5e7)}
}

func newSense() *sense.Sense {
	return sense.New(sense.Config{Memory: fraud.MinMemory, PaymentMemory: fraud.MinMemory, Rules: fraud.Config{Memory: fraud.MinMemory, PaymentMemory: fraud.MinMemory}})
}

// pay is the i'th payment of one of three cards.
func pay(i int) fraud.Event {
	return fraud.Event{Kind: fraud.Authorization, At: noon.Add(time.Duration(i) * time.Minute), Realm: realm.Live, Book: "bk_1", Card: number(i % 3), Merchant: number(i%4 + 70),
		Device: number(i%4 + 80), Country: "FR", Category: "5812", Remote: i%2 == 0, Amount: money.New(int64(1000+i%7*100), money.USD)}
}

// news is that the card of the i'th check was activated or reloaded a while before, which the card of the i'th payment also was.
func news(kind fraud.Kind, i int, ago time.Duration) fraud.Event {
	e := ask(i)
	return fraud.Event{Kind: kind, At: e.At.Add(-ago), Realm: realm.Live, Book: "bk_1", Card: e.Card, Block: e.Block, Hundred: e.Hundred, Range: e.Range, Payer: pay(i).Card}
}

// named are the numbers of a row, by name.
func named(kind fraud.Kind, row *sense.Row) map[string]float32 {
	all := map[string]float32{}
	for i, c := range sense.Columns(kind) {
		all[c.Key()] = row[i]
	}
	return all
}

// A check and a payment tell how long ago their card was activated and reloaded, and how many around it were: in their own realm alone, and of what nobody told nothing.
func TestHeard(t *testing.T) {
	s := newSense()
	for i := range 4 {
		e := news(fraud.Activation, i, 48*time.Hour)
		s.Hear(&e)
		s.Hear(&e)
	}
	reload := news(fraud.Reload, 2, 3*time.Hour)
	s.Hear(&reload)
	var row sense.Row
	none := float32(math.NaN())
	for _, c := range []struct {
		event fraud.Event
		want  map[string]float32
	}{
		{ask(2), map[string]float32{"card.activated": 1, "card.hours_since_activation": 48, "card.hours_since_reload": 3, "card.asks_since": 0,
			"ten_numbers.fading_activations_1d": 1, "hundred_numbers.fading_activations_1d": 1, "range_of_numbers.fading_activations_1d": 1}},
		{ask(2), map[string]float32{"card.asks_since": 1}},
		{ask(15), map[string]float32{"card.activated": 0, "card.hours_since_activation": none, "card.hours_since_reload": none, "card.asks_since": none,
			"ten_numbers.fading_activations_1d": 0, "hundred_numbers.fading_activations_1d": 1}},
		{pay(2), map[string]float32{"payment.card.activated": 1, "payment.card.hours_since_activation": 48, "payment.card.hours_since_reload": 3, "payment.card.asks_since": 0}},
	} {
		s.See(&c.event, &row)
		got := named(c.event.Kind, &row)
		for key, want := range c.want {
			if x, there := got[key]; !there || math.Abs(float64(x-want)) > 0.05 || (x != x) != (want != want) {
				t.Errorf("%s: %s is %v, want %v", c.event.Kind, key, x, want)
			}
		}
	}
	e := ask(2)
	e.Realm = realm.Test
	s.See(&e, &row)
	if got := named(fraud.Ping, &row); got["card.activated"] != 0 || got["ten_numbers.fading_activations_1d"] != 0 {
		t.Errorf("the test realm knows of it: %v", got)
	}
}

// alike reports whether rows have the same numbers, unknown ones too.
func alike(a, b *sense.Row) bool {
	for i := range a {
		if a[i] != b[i] && (a[i] == a[i] || b[i] == b[i]) {
			return false
		}
	}
	return true
}

// Numbers of payments have names of their own, a word that they are told under, and a place in a row; none is there twice, and none is a balance check's.
func TestPaymentColumns(t *testing.T) {
	columns := sense.Columns(fraud.Authorization)
	if len(columns) != sense.PaymentWidth || sense.WidthOf(fraud.Authorization) != sense.PaymentWidth || sense.PaymentWidth > sense.Width {
		t.Fatalf("%d columns, want %d, in a row of %d", len(columns), sense.PaymentWidth, sense.Width)
	}
	keys := map[string]bool{}
	for _, c := range append(columns, sense.Columns(fraud.Ping)...) {
		if keys[c.Key()] || c.Signal == "" || c.Of == "" || c.Telling && c.Kind == fraud.Authorization {
			t.Errorf("%+v", c)
		}
		keys[c.Key()] = true
	}
	for _, want := range []string{"payment.card.asked_1h", "payment.card.strange_1d", "payment.merchant.missed_share_1h", "payment.terminal.fading_events_1d", "payment.ratio",
		"payment.amount_rank", "payment.card.fading_ratio_14d", "payment.customer.fading_distinct_1h", "payment.merchant.remote"} {
		if !keys[want] {
			t.Errorf("there is no %s", want)
		}
	}
	if sense.Schema(fraud.Ping) == sense.Schema(fraud.Authorization) {
		t.Error("checks and payments have one schema")
	}
}

// What a payment's numbers say is what was seen: its card's payments, what was new to the card, its merchant's declines, how its amount compares.
func TestPayments(t *testing.T) {
	s := newSense()
	var row sense.Row
	for i := range 60 {
		e := pay(i)
		s.See(&e, &row)
		s.Learn(&e, fraud.Outcome{Found: i%5 > 0, WrongPIN: i%5 == 0})
	}
	e := pay(60)
	e.Merchant, e.Country, e.Category, e.Amount = number(99), "BR", "5947", money.New(13_000, money.USD)
	s.See(&e, &row)
	s.See(&e, &row)
	at := map[string]float64{}
	for i, c := range sense.Columns(fraud.Authorization) {
		at[c.Key()] = float64(row[i])
	}
	for key, want := range map[string][2]float64{
		"payment.card.asked_1h": {22, 22}, "payment.card.strange_1h": {5, 5}, "payment.card.novel": {1, 1}, "payment.card.novels_1h": {2, 2},
		"payment.card.abroad": {1, 1}, "payment.card.abroads_1d": {2, 2}, "payment.card.wrong_1d": {4, 4}, "payment.card_at_merchant.asked_1h": {2, 2},
		"payment.merchant.found_1h": {0, 0}, "payment.merchant.remote": {1, 1}, "payment.ratio": {6, 14}, "payment.amount_rank": {0.9, 1},
		"payment.merchant.fading_events_1h": {0.9, 1}, "payment.card.fading_misses_1d": {3, 4}, "payment.card.fading_distinct_1h": {4, 6},
	} {
		if got, there := at[key]; !there || !(got >= want[0] && got <= want[1]) {
			t.Errorf("%s is %v, want %v to %v", key, got, want[0], want[1])
		}
	}
}

// Too little is known of a payment whose card and whose merchant are new; enough once one of them is not.
func TestStrangers(t *testing.T) {
	var row sense.Row
	if !sense.Stranger(fraud.Authorization, &row) || !sense.Stranger(fraud.Ping, &row) {
		t.Error("of nothing enough is known")
	}
	for kind, keys := range map[fraud.Kind][]string{
		fraud.Authorization: {"payment.card.fading_events_30d", "payment.merchant.fading_events_1d"},
		fraud.Ping:          {"credential.asked_1d", "address.asked_1d", "network.asked_1d"},
	} {
		for _, key := range keys {
			row = sense.Row{}
			for i, c := range sense.Columns(kind) {
				if c.Key() == key {
					row[i] = 20
				}
			}
			if sense.Stranger(kind, &row) {
				t.Errorf("%s says nothing", key)
			}
		}
	}
}

// Names of columns are all different and say what is counted, of whom, over how long.
func TestColumns(t *testing.T) {
	columns := sense.Columns(fraud.Ping)
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
		"operator_of_networks.surge_1h", "address.miss_rise_1h", "user_agent.fading_miss_share_1d", "device.surge_1h"} {
		if !keys[want] {
			t.Errorf("there is no %s", want)
		}
	}
}

// A device is one of its credential: the same browser behind another key is another one. A user agent is one and the same everywhere, and who has neither has no numbers of them.
func TestDevices(t *testing.T) {
	s := newSense()
	var row sense.Row
	asks := func(key string, device, agent fraud.Hash) (devices, agents float32) {
		e := ask(900)
		e.Caller, e.Device, e.Agent = key, device, agent
		s.See(&e, &row)
		for i, c := range sense.Columns(fraud.Ping) {
			switch c.Key() {
			case "device.fading_events_1h":
				devices = row[i]
			case "user_agent.fading_events_1h":
				agents = row[i]
			}
		}
		return devices, agents
	}
	for i, c := range []struct {
		key             string
		device, agent   int
		devices, agents float32
	}{{"key_1", 1, 1, 0, 0}, {"key_1", 1, 1, 1, 1}, {"key_2", 1, 1, 0, 2}, {"key_2", 2, 1, 0, 3}, {"key_2", 1, 2, 1, 0}} {
		if devices, agents := asks(c.key, number(c.device), number(c.agent)); devices != c.devices || agents != c.agents {
			t.Errorf("ask %d: %v of the device and %v of the agent, want %v and %v", i, devices, agents, c.devices, c.agents)
		}
	}
	if devices, agents := asks("key_1", fraud.Hash{}, fraud.Hash{}); devices == devices || agents == agents {
		t.Errorf("of nothing: %v and %v", devices, agents)
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
	for i, c := range sense.Columns(fraud.Ping) {
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
		p := fraud.Event{Kind: fraud.Authorization, At: e.At, Realm: realm.Test, Card: number(i % 9), Merchant: number(i % 4), Country: "FR",
			Device: number(i % 5), Category: "5812", Remote: i%2 == 0, Amount: money.New(int64(900+i%80), money.USD)}
		one.See(&p, &row)
		one.Learn(&p, fraud.Outcome{Found: true})
		for _, kind := range []fraud.Kind{fraud.Activation, fraud.Reload} {
			if heard := news(kind, i, time.Minute); i%3 == 0 {
				heard.Realm = []realm.Realm{realm.Live, realm.Test}[i%2]
				one.Hear(&heard)
			}
		}
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
	for i := range 60 {
		p := pay(i)
		p.At, p.Realm = noon.Add(time.Duration(9000+i)*time.Second), realm.Test
		a, b := one.See(&p, &want), two.See(&p, &row)
		if a.Hundredths != b.Hundredths || row != want && !alike(&row, &want) {
			t.Fatalf("payment %d: %v became %v", i, want, row)
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
	if all := int64(sense.DefaultMemory + sense.DefaultPaymentMemory + fraud.DefaultMemory + fraud.DefaultPaymentMemory); all > bound || feature.TrackSize > 450 {
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
	for i, c := range sense.Columns(fraud.Ping) {
		if key := c.Key(); (key == "address.missed_1h" || key == "credential.missed_1h") && row[i] != 30 || (key == "address.fading_misses_1h" || key == "credential.fading_misses_1h") && row[i] < 28 {
			t.Errorf("%s is %v after the flood", key, row[i])
		}
	}
}
