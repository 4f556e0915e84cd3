// Package transaction reads and writes raw bitcoin transactions: their id, what they spend
// and whom they pay.
//
// It is how a transaction is held to what was asked for before anybody publishes it: that
// it pays each output, and that a replacement spends what its predecessor does, so that no
// more than one of them is ever confirmed. It must never sign, and checks no signature.
package transaction

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/scripcards/scrip/internal/core/fault"
)

// MaxSize bounds a transaction, in bytes: what nodes relay.
const MaxSize = 400_000

// Input is what is spent: an output of an earlier transaction.
type Input struct {
	TxID     string // in hexadecimal, as nodes show it
	Index    uint32
	Script   []byte
	Sequence uint32
	Witness  [][]byte
}

// Output is who is paid.
type Output struct {
	Satoshi int64
	Script  []byte
}

// Transaction is one transaction.
type Transaction struct {
	Version  uint32
	Inputs   []Input
	Outputs  []Output
	LockTime uint32
}

// Parse reads a whole transaction. It returns invalid_request for anything else.
func Parse(raw []byte) (Transaction, error) {
	if len(raw) > MaxSize {
		return Transaction{}, fault.New(fault.InvalidRequest, "the transaction is larger than %d bytes", MaxSize)
	}
	r := reader{left: raw}
	t := Transaction{Version: r.uint32()}
	segwit := len(r.left) > 1 && r.left[0] == 0 && r.left[1] == 1
	if segwit {
		r.bytes(2)
	}
	for range r.count(minInput) {
		id := slices.Clone(r.bytes(32))
		slices.Reverse(id)
		t.Inputs = append(t.Inputs, Input{TxID: hex.EncodeToString(id), Index: r.uint32(), Script: r.text(), Sequence: r.uint32()})
	}
	for range r.count(minOutput) {
		t.Outputs = append(t.Outputs, Output{Satoshi: int64(r.uint64()), Script: r.text()})
	}
	if segwit {
		for i := range t.Inputs {
			for range r.count(1) {
				t.Inputs[i].Witness = append(t.Inputs[i].Witness, r.text())
			}
		}
	}
	t.LockTime = r.uint32()
	if r.short || len(r.left) > 0 || len(t.Inputs) == 0 || len(t.Outputs) == 0 {
		return Transaction{}, fault.New(fault.InvalidRequest, "that is no whole transaction")
	}
	return t, nil
}

// The least that an input and an output take, in bytes.
const (
	minInput  = 41
	minOutput = 9
)

// ID returns the transaction's id, in hexadecimal, as nodes show it. Witnesses are no part of it.
func (t *Transaction) ID() string {
	first := sha256.Sum256(t.encode(false))
	second := sha256.Sum256(first[:])
	slices.Reverse(second[:])
	return hex.EncodeToString(second[:])
}

// Bytes returns the whole transaction.
func (t *Transaction) Bytes() []byte { return t.encode(true) }

// Size returns the transaction's virtual size in bytes (BIP 141): what fees are counted by.
func (t *Transaction) Size() int64 {
	return int64(3*len(t.encode(false))+len(t.encode(true))+3) / 4
}

// Pays reports whether the transaction pays each of some outputs, equal ones as often as
// they are named.
func (t *Transaction) Pays(wanted []Output) bool {
	left := slices.Clone(t.Outputs)
	for _, w := range wanted {
		at := slices.IndexFunc(left, func(o Output) bool { return o.Satoshi == w.Satoshi && bytes.Equal(o.Script, w.Script) })
		if at < 0 {
			return false
		}
		left = slices.Delete(left, at, at+1)
	}
	return true
}

// Spends reports whether the transaction spends everything that other does, so that only
// one of both can be confirmed.
func (t *Transaction) Spends(other *Transaction) bool {
	for _, theirs := range other.Inputs {
		if !slices.ContainsFunc(t.Inputs, func(in Input) bool { return in.TxID == theirs.TxID && in.Index == theirs.Index }) {
			return false
		}
	}
	return len(other.Inputs) > 0
}

func (t *Transaction) encode(witnesses bool) []byte {
	witnesses = witnesses && slices.ContainsFunc(t.Inputs, func(in Input) bool { return len(in.Witness) > 0 })
	b := binary.LittleEndian.AppendUint32(nil, t.Version)
	if witnesses {
		b = append(b, 0, 1)
	}
	b = appendCount(b, len(t.Inputs))
	for _, in := range t.Inputs {
		id, _ := hex.DecodeString(in.TxID)
		slices.Reverse(id)
		b = append(b, id...)
		b = binary.LittleEndian.AppendUint32(b, in.Index)
		b = appendText(b, in.Script)
		b = binary.LittleEndian.AppendUint32(b, in.Sequence)
	}
	b = appendCount(b, len(t.Outputs))
	for _, out := range t.Outputs {
		b = binary.LittleEndian.AppendUint64(b, uint64(out.Satoshi))
		b = appendText(b, out.Script)
	}
	if witnesses {
		for _, in := range t.Inputs {
			b = appendCount(b, len(in.Witness))
			for _, item := range in.Witness {
				b = appendText(b, item)
			}
		}
	}
	return binary.LittleEndian.AppendUint32(b, t.LockTime)
}

func appendText(b, text []byte) []byte { return append(appendCount(b, len(text)), text...) }

func appendCount(b []byte, n int) []byte {
	switch {
	case n < 0xfd:
		return append(b, byte(n))
	case n <= 0xffff:
		return binary.LittleEndian.AppendUint16(append(b, 0xfd), uint16(n))
	}
	return binary.LittleEndian.AppendUint32(append(b, 0xfe), uint32(n))
}

// reader takes a transaction apart. After its end everything is zero, and short is true.
type reader struct {
	left  []byte
	short bool
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.left) {
		r.short, r.left = true, nil
		return make([]byte, min(n, 32))
	}
	out := r.left[:n]
	r.left = r.left[n:]
	return out
}

func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.bytes(4)) }
func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.bytes(8)) }

// count reads how many things follow that take at least so many bytes each.
func (r *reader) count(least int) int {
	n := uint64(r.bytes(1)[0])
	switch n {
	case 0xfd:
		n = uint64(binary.LittleEndian.Uint16(r.bytes(2)))
	case 0xfe:
		n = uint64(r.uint32())
	case 0xff:
		n = r.uint64()
	}
	if n > uint64(len(r.left)/least) {
		r.short, r.left = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) text() []byte { return slices.Clone(r.bytes(r.count(1))) }
