package lnd

import (
	"bytes"
	"encoding/binary"

	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
)

// packet is a partially signed transaction (BIP 174), as far as a wallet needs it to sign
// what it owns: the transaction, and the output that each of its inputs spends.
type packet struct {
	tx    transaction.Transaction
	spent []transaction.Output
}

// The types of what a packet holds.
const (
	globalUnsigned   = 0x00
	inputWitnessUTXO = 0x01
	inputSigHash     = 0x03
)

const (
	magic = "psbt\xff"
	// sigHashAll is what older inputs are signed for, said in full; those of taproot have it
	// as their default.
	sigHashAll = 1
	// maxField bounds one field of a packet, in bytes.
	maxField = transaction.MaxSize
	// maxFields bounds the fields of one map.
	maxFields = 1000
)

// bytes writes a packet. One whose inputs spend unknown outputs is a template.
func (p *packet) bytes() []byte {
	unsigned := p.tx
	unsigned.Inputs = make([]transaction.Input, len(p.tx.Inputs))
	for i, in := range p.tx.Inputs {
		in.Script, in.Witness = nil, nil
		unsigned.Inputs[i] = in
	}
	b := appendField([]byte(magic), globalUnsigned, unsigned.Bytes())
	b = append(b, 0)
	for i := range p.tx.Inputs {
		if i < len(p.spent) {
			b = appendField(b, inputWitnessUTXO, encodeOutput(p.spent[i]))
			if !isTaproot(p.spent[i].Script) {
				b = appendField(b, inputSigHash, binary.LittleEndian.AppendUint32(nil, sigHashAll))
			}
		}
		b = append(b, 0)
	}
	return append(b, make([]byte, len(p.tx.Outputs))...) // an empty map each
}

// isTaproot reports whether a script is of witness version 1.
func isTaproot(script []byte) bool {
	return len(script) == 34 && script[0] == 0x51 && script[1] == 32
}

func encodeOutput(o transaction.Output) []byte {
	return appendText(binary.LittleEndian.AppendUint64(nil, uint64(o.Satoshi)), o.Script)
}

// appendField appends a field whose key is its type alone.
func appendField(b []byte, kind byte, value []byte) []byte {
	return appendText(append(b, 1, kind), value)
}

func appendText(b, text []byte) []byte {
	switch n := len(text); {
	case n < 0xfd:
		b = append(b, byte(n))
	case n <= 0xffff:
		b = binary.LittleEndian.AppendUint16(append(b, 0xfd), uint16(n))
	default:
		b = binary.LittleEndian.AppendUint32(append(b, 0xfe), uint32(n))
	}
	return append(b, text...)
}

// parsePacket reads a packet whose inputs all say what they spend. It returns unavailable
// for anything else.
func parsePacket(raw []byte) (p packet, err error) {
	rest, ok := bytes.CutPrefix(raw, []byte(magic))
	if !ok {
		return p, errPacket()
	}
	fields, rest, ok := readMap(rest)
	if !ok {
		return p, errPacket()
	}
	if p.tx, err = transaction.Parse(fields[globalUnsigned]); err != nil {
		return p, errPacket()
	}
	for range p.tx.Inputs {
		if fields, rest, ok = readMap(rest); !ok {
			return p, errPacket()
		}
		out, ok := decodeOutput(fields[inputWitnessUTXO])
		if !ok {
			return p, errPacket()
		}
		p.spent = append(p.spent, out)
	}
	return p, nil
}

func errPacket() error { return unavailable("the node's unsigned transaction cannot be read") }

// readMap reads the fields whose key is their type alone, and passes over the others.
func readMap(b []byte) (fields map[byte][]byte, rest []byte, ok bool) {
	fields = map[byte][]byte{}
	for range maxFields {
		var key, value []byte
		if key, b, ok = readText(b); !ok {
			return nil, nil, false
		}
		if len(key) == 0 {
			return fields, b, true
		}
		if value, b, ok = readText(b); !ok {
			return nil, nil, false
		}
		if len(key) > 1 {
			continue
		}
		if _, twice := fields[key[0]]; twice {
			return nil, nil, false
		}
		fields[key[0]] = value
	}
	return nil, nil, false
}

// readText reads a length and so many bytes.
func readText(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	n := uint64(b[0])
	b = b[1:]
	switch {
	case n == 0xfd && len(b) >= 2:
		n, b = uint64(binary.LittleEndian.Uint16(b)), b[2:]
	case n == 0xfe && len(b) >= 4:
		n, b = uint64(binary.LittleEndian.Uint32(b)), b[4:]
	case n >= 0xfd:
		return nil, nil, false
	}
	if n > maxField || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

func decodeOutput(b []byte) (o transaction.Output, ok bool) {
	if len(b) < 8 {
		return o, false
	}
	script, rest, ok := readText(b[8:])
	o = transaction.Output{Satoshi: int64(binary.LittleEndian.Uint64(b)), Script: script}
	return o, ok && len(rest) == 0 && o.Satoshi >= 0
}
