// Package journal keeps what the fraud engine saw in the database, so that it survives a
// killed process: a log of events in batches, and now and then a snapshot of all counts.
// Several processes share the log: each sees what the others saw a moment later.
//
// It promises that whoever loads the newest snapshot and applies the batches after it has
// the counts of before, and that what is kept is bounded: a snapshot ends the log before
// it. It must never see a card number or a PIN: events have keyed hashes.
package journal

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ledger"
)

// Kind is what an entry tells.
type Kind byte

// The kinds of entries.
const (
	Asked Kind = iota + 1
	Learned
	Labelled
	Heard // that a card was activated or reloaded
)

// Entry is one thing that the engine was told.
type Entry struct {
	Kind    Kind
	Event   fraud.Event
	Outcome fraud.Outcome // of Learned
	Label   fraud.Label   // of Labelled
}

var errEntry = errors.New("fraud log: a damaged entry")

// Bits of an entry's flags.
const (
	flagTest = 1 << iota
	flagPayment
	flagPublic
	flagFound
	flagWrong
	flagFraud
	flagRemote
	flagReload
)

// Append appends an entry in the form that Read reads. Of hashes it has the eight bytes
// that tell numbers apart.
func (e *Entry) Append(to []byte) []byte {
	event := &e.Event
	flags := byte(0)
	set := func(on bool, flag byte) {
		if on {
			flags |= flag
		}
	}
	set(event.Realm == realm.Test, flagTest)
	set(event.Kind == fraud.Authorization, flagPayment)
	set(event.Public, flagPublic)
	set(e.Outcome.Found, flagFound)
	set(e.Outcome.WrongPIN, flagWrong)
	set(e.Label.Fraud, flagFraud)
	set(event.Remote, flagRemote)
	set(event.Kind == fraud.Reload, flagReload)
	to = append(to, byte(e.Kind), flags)
	to = binary.LittleEndian.AppendUint64(to, uint64(event.At.UnixMicro()))
	if e.Kind == Labelled {
		to = binary.LittleEndian.AppendUint64(to, uint64(e.Label.At.UnixMicro()))
	}
	for _, h := range hashesOf(e.Kind, event) {
		to = append(to, h[:8]...)
	}
	to = binary.LittleEndian.AppendUint64(to, uint64(event.Amount.Minor))
	var address [16]byte
	size := byte(0)
	if a := event.Address.Unmap().WithZone(""); a.IsValid() {
		address, size = a.As16(), byte(a.BitLen()/8)
	}
	to = append(append(to, size), address[:]...)
	currency := ""
	if event.Amount.Currency != money.NoCurrency {
		currency = event.Amount.Currency.String()
	}
	for _, text := range [...]string{string(event.Book), event.Caller, event.Network, event.Country, event.Category, currency} {
		text = text[:min(len(text), 255)]
		to = append(append(to, byte(len(text))), text...)
	}
	return to
}

// hashesOf are those that an entry has room for: what is merchant, device and agent of
// other kinds is what was heard of who pays.
func hashesOf(kind Kind, e *fraud.Event) [9]*fraud.Hash {
	all := [...]*fraud.Hash{&e.Card, &e.Before, &e.After, &e.Block, &e.Hundred, &e.Range, &e.Merchant, &e.Device, &e.Agent}
	if kind == Heard {
		all[6] = &e.Payer
	}
	return all
}

// reader takes an entry apart.
type reader struct {
	left []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || len(r.left) < n {
		r.bad = true
		return make([]byte, n)
	}
	taken := r.left[:n]
	r.left = r.left[n:]
	return taken
}

func (r *reader) number() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

func (r *reader) text() string { return string(r.take(int(r.take(1)[0]))) }

func (r *reader) time() time.Time { return time.UnixMicro(int64(r.number())).UTC() }

// Read reads an entry and returns what follows it.
func Read(from []byte) (Entry, []byte, error) {
	r := reader{left: from}
	head := r.take(2)
	e := Entry{Kind: Kind(head[0])}
	has := func(flag byte) bool { return head[1]&flag != 0 }
	event := &e.Event
	event.Realm, event.Public, event.Remote = realm.Live, has(flagPublic), has(flagRemote)
	if has(flagTest) {
		event.Realm = realm.Test
	}
	event.Kind = kindOf(e.Kind, head[1])
	e.Outcome, e.Label.Fraud = fraud.Outcome{Found: has(flagFound), WrongPIN: has(flagWrong)}, has(flagFraud)
	event.At = r.time()
	if e.Kind == Labelled {
		e.Label.At = r.time()
	}
	for _, h := range hashesOf(e.Kind, event) {
		copy(h[:], r.take(8))
	}
	event.Amount.Minor = int64(r.number())
	size, address := r.take(1)[0], [16]byte(r.take(16))
	switch size {
	case 4:
		event.Address = netip.AddrFrom16(address).Unmap()
	case 16:
		event.Address = netip.AddrFrom16(address)
	}
	event.Book, event.Caller, event.Network = ledger.BookID(r.text()), r.text(), r.text()
	event.Country, event.Category = r.text(), r.text()
	if currency := r.text(); currency != "" && !r.bad {
		parsed, err := money.Parse(currency)
		if err != nil {
			return e, nil, errEntry
		}
		event.Amount.Currency = parsed
	}
	if r.bad || e.Kind < Asked || e.Kind > Heard {
		return e, nil, errEntry
	}
	return e, r.left, nil
}

// kindOf is the kind of event that an entry is about.
func kindOf(entry Kind, flags byte) fraud.Kind {
	switch {
	case entry == Heard && flags&flagReload != 0:
		return fraud.Reload
	case entry == Heard:
		return fraud.Activation
	case flags&flagPayment != 0:
		return fraud.Authorization
	}
	return fraud.Ping
}
