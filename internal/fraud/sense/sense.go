// Package sense turns balance checks and payments into the numbers that models see: what
// the rules count, in exact windows, beside the fading counts of package feature.
//
// Training replays events through the code that serves, so that a model is asked what it
// was taught. Memory is bounded; live and test realm share nothing. It must never see a
// card number, but keyed hashes.
package sense

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/feature"
)

// Config is what an operator decides.
type Config struct {
	// Rules is the configuration of what is counted exactly.
	Rules fraud.Config
	// Memory bounds the fading counts of balance checks, in bytes; 0 means DefaultMemory.
	Memory int64
	// PaymentMemory bounds those of payments, likewise; 0 means DefaultPaymentMemory.
	PaymentMemory int64
}

// The defaults of Config.Memory and Config.PaymentMemory.
const (
	DefaultMemory        = 128 << 20
	DefaultPaymentMemory = 48 << 20
)

// Sense sees events. It is safe for concurrent use.
type Sense struct {
	*fraud.Engine
	live, test *feature.State
	fading     []place
	elsewhere  elsewhere
	// livePaid, testPaid and paid are those of payments.
	livePaid, testPaid   *feature.State
	paid                 []place
	liveLives, testLives lives
	scratch              sync.Pool // of *scratch
}

// scratch is what one event needs while it is seen.
type scratch struct {
	event  feature.Event
	vector feature.Vector
	life   feature.LifeVector
}

// roles are those that balance checks have.
var roles = [...]feature.Role{feature.Card, feature.Ten, feature.Hundred, feature.Range, feature.Address, feature.Net, feature.Operator, feature.Caller,
	feature.Device, feature.Agent}

// New returns a sense that has seen nothing.
func New(c Config) *Sense {
	memory := max(cmp.Or(c.Memory, DefaultMemory), fraud.MinMemory)
	paying := max(cmp.Or(c.PaymentMemory, DefaultPaymentMemory), fraud.MinMemory)
	forLives, forPaid := memory/lifePart, paying/lifePart
	memory, paying = memory-forLives, paying-forPaid
	return &Sense{Engine: fraud.New(c.Rules), fading: fadingNumbers(), elsewhere: newElsewhere(), paid: paymentNumbers(), scratch: sync.Pool{New: func() any { return new(scratch) }},
		live: feature.NewOf(memory/8*7, roles[:]...), test: feature.NewOf(memory/8, roles[:]...),
		livePaid: feature.NewWithDays(paying/8*7, payRoles[:]...), testPaid: feature.NewWithDays(paying/8, payRoles[:]...),
		liveLives: newLives(forLives/8*7, forPaid/8*7), testLives: newLives(forLives/8, forPaid/8)}
}

// lifePart is which part of the memory is for what is known of cards since they were
// activated: an eighth.
const lifePart = 8

func (s *Sense) state(r realm.Realm) *feature.State {
	if r == realm.Test {
		return s.test
	}
	return s.live
}

// perRole is how many fading numbers of each role are used: all but those of amounts and
// labels.
const perRole = 17

// Width is how many numbers a Row has room for, and a balance check has.
const Width = lifeFrom + checkLives

// lifeFrom is where the numbers of a check's card's life begin.
const lifeFrom = fraud.RowWidth + len(roles)*(perRole+perSurge)

// Row is the numbers of one event, in the order of Columns of its kind, as many as
// WidthOf says. NaN is unknown.
type Row [Width]float32

// Column says what a number is.
type Column struct {
	fraud.RowColumn
	// Kind is the kind of events that have it.
	Kind fraud.Kind
	// Rising is 1 where more of it never makes an attack less likely.
	Rising int8
	// Spare says that trained models do not look at it: rules may.
	Spare bool
}

// Key names a column: "credential.missed_share_1d", or "payment.card.asked_1h".
func (c *Column) Key() string {
	name := c.Of + "." + c.Name
	if c.Window > 0 {
		name += "_" + windowName(c.Window)
	}
	if c.Kind == fraud.Authorization && c.Of != payRoleNames[feature.Roles] {
		name = "payment." + name
	}
	return strings.ReplaceAll(name, " ", "_")
}

// Whole is a value of the column as a whole number: shares in hundredths, unknown ones 0.
func (c *Column) Whole(x float32) int64 {
	if strings.HasSuffix(c.Name, "share") || strings.HasSuffix(c.Name, "rise") {
		x *= 100
	}
	if !(x > 0) {
		return 0
	}
	return int64(min(x, 1<<40) + 0.5)
}

func windowName(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}

// place is where a number stands in a feature vector.
type place struct {
	at     int
	column Column
}

// Device and Agent are what numbers by what callers say of themselves are of.
const (
	Device = "device"
	Agent  = "user agent"
)

// roleNames are whose events a role counts, for those who read.
var roleNames = map[feature.Role]string{feature.Card: "card", feature.Ten: "ten numbers", feature.Hundred: "hundred numbers", feature.Range: "range of numbers",
	feature.Address: "address", feature.Net: "network", feature.Operator: "operator of networks", feature.Caller: "credential",
	feature.Device: Device, feature.Agent: Agent}

// told are the words for numbers of parties; numbers of cards and of numbers around them
// are told under one word each.
var told = map[string]string{"events": "velocity_anomaly", "miss_share": "hit_rate_anomaly", "misses": "hit_rate_anomaly", "wrong": "pin_guessing_pattern",
	"distinct": "card_spread_anomaly", "since": "timing_anomaly", "gap": "timing_anomaly", "gap_spread": "timing_anomaly"}

var windows = map[string]time.Duration{"1m": time.Minute, "1h": time.Hour, "1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "14d": 14 * 24 * time.Hour,
	"30d": 30 * 24 * time.Hour}

func fadingNumbers() []place {
	places := make([]place, 0, len(roles)*perRole)
	names := feature.Names()
	for _, role := range roles {
		prefix := role.String() + "."
		for i, whose := range feature.ColumnRoles() {
			text, ok := strings.CutPrefix(names[i], prefix)
			if whose != role || !ok {
				continue
			}
			name, window := text, time.Duration(0)
			if cut := strings.LastIndex(text, "_"); cut > 0 && windows[text[cut+1:]] > 0 {
				name, window = text[:cut], windows[text[cut+1:]]
			}
			if told[name] == "" {
				continue
			}
			places = append(places, place{i, fadingColumn(role, name, window)})
		}
	}
	return places
}

func fadingColumn(role feature.Role, name string, window time.Duration) Column {
	c := Column{Kind: fraud.Ping, RowColumn: fraud.RowColumn{Name: "fading_" + name, Signal: told[name], Of: roleNames[role], Window: window, Telling: name == "wrong"}}
	if role == feature.Card {
		c.Telling = true
		if name != "wrong" {
			c.Signal = "card_velocity_anomaly"
		}
	}
	if role == feature.Ten || role == feature.Hundred || role == feature.Range {
		c.Telling, c.Signal = true, "pan_range_pattern"
	}
	return c
}

// rising are the numbers of which more never makes an attack less likely.
var rising = map[string]bool{"missed": true, "missed_share": true, "empties": true, "empties_share": true, "wrong": true, "wrong_share": true, "listed": true,
	"fading_miss_share": true, "fading_misses": true, "fading_wrong": true}

// WidthOf is how many numbers a kind of events has.
func WidthOf(kind fraud.Kind) int {
	if kind == fraud.Authorization {
		return PaymentWidth
	}
	return Width
}

// Columns says what the numbers of a kind of events are, in their order.
func Columns(kind fraud.Kind) []Column {
	if kind == fraud.Authorization {
		return paymentColumns()
	}
	all := make([]Column, 0, Width)
	for _, c := range fraud.RowColumns() {
		all = append(all, Column{RowColumn: c, Kind: fraud.Ping})
	}
	fading := fadingNumbers()
	for _, p := range fading {
		all = append(all, p.column)
	}
	all = append(append(all, surgeColumns(fading)...), lifeColumns(fraud.Ping)...)
	for i := range all {
		if rising[all[i].Name] {
			all[i].Rising = 1
		}
	}
	return all
}

// Schema identifies what the numbers of a kind of events mean and how they are made: a
// model that was trained under one does not fit another.
func Schema(kind fraud.Kind) [32]byte {
	all := feature.Schema()
	text := append([]byte("2\n"), all[:]...)
	for _, c := range Columns(kind) {
		text = fmt.Appendf(text, "\n%s %t %d %t", c.Key(), c.Telling, c.Rising, c.Spare)
	}
	return sha256.Sum256(text)
}

// See counts an event, writes its numbers into row and returns what the rules say of it.
func (s *Sense) See(event *fraud.Event, row *Row) fraud.Score { return s.SeeInto(event, row, nil) }

// SeeInto is See that makes the signals in room for them, if there is some.
func (s *Sense) SeeInto(event *fraud.Event, row *Row, signals *fraud.Room) fraud.Score {
	if event.Kind == fraud.Authorization {
		return s.seePayment(event, row, signals)
	}
	score := s.Measure(event, (*fraud.Row)(row[:fraud.RowWidth]), signals)
	room := s.scratch.Get().(*scratch)
	room.event = fadingEvent(event)
	s.state(event.Realm).See(&room.event, &room.vector)
	for i := range s.fading {
		row[fraud.RowWidth+i] = room.vector[s.fading[i].at]
	}
	s.lives(event.Realm).checked.See(&room.event, &room.life)
	copy(row[lifeFrom:], room.life[:])
	s.scratch.Put(room)
	surges(row)
	return score
}

// Learn counts what came of an event that was seen.
func (s *Sense) Learn(event *fraud.Event, outcome fraud.Outcome) {
	s.Engine.Learn(*event, outcome)
	came := feature.Outcome{Missed: !outcome.Found, WrongSecret: outcome.WrongPIN}
	if event.Kind == fraud.Authorization {
		e := paidEvent(event)
		s.paying(event.Realm).Learn(&e, came)
		return
	}
	e := fadingEvent(event)
	s.state(event.Realm).Learn(&e, came)
}

func fadingEvent(event *fraud.Event) feature.Event {
	e := feature.Event{At: event.At.UnixMicro(), Kind: feature.Ping}
	from := event.Address.Unmap().WithZone("")
	e.Keys[feature.Card], e.Keys[feature.Ten] = hashed(&event.Card), hashed(&event.Block)
	e.Keys[feature.Hundred], e.Keys[feature.Range] = hashed(&event.Hundred), hashed(&event.Range)
	e.Keys[feature.Caller], e.Keys[feature.Agent] = callerKey(event), hashed(&event.Agent)
	e.Keys[feature.Device] = within(hashed(&event.Device), e.Keys[feature.Caller])
	e.Keys[feature.Address], e.Keys[feature.Net], e.Keys[feature.Operator] = networkKey(from, 32, 64), networkKey(from, 24, 48), networkKey(from, 16, 32)
	return e
}

// within is the key of a device among those of one credential: many people have the same
// browser, and where they come from tells more of them than what all of them do.
func within(device, caller feature.Key) feature.Key {
	if device == 0 {
		return 0
	}
	return max(1, device^caller*0x9e3779b97f4a7c15)
}

func hashed(h *fraud.Hash) feature.Key { return feature.Key(binary.BigEndian.Uint64(h[:])) }

func callerKey(event *fraud.Event) feature.Key {
	if event.Caller == "" {
		return 0
	}
	var room [128]byte
	text := append(room[:0], event.Book...)
	sum := sha256.Sum256(append(append(text, 0), event.Caller...))
	return feature.Key(binary.BigEndian.Uint64(sum[:]))
}

// networkKey is the address with so many bits of it, IPv4 or IPv6; an operator of
// networks is known by the first half of what it was given.
func networkKey(a netip.Addr, four, six int) feature.Key {
	if !a.IsValid() {
		return 0
	}
	bits := six
	if a.Is4() {
		bits = four
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return 0 // an address has that many bits
	}
	bytes := p.Addr().As16()
	key := binary.BigEndian.Uint64(bytes[:8])
	if a.Is4() {
		key = 0xffff<<32 | uint64(binary.BigEndian.Uint32(bytes[12:]))
	}
	return feature.Key(cmp.Or(key, 1))
}
