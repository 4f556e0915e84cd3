package landmark

import (
	"encoding/binary"
	"errors"
	"math"
)

// version is the first byte of what is kept: another way to describe corners, or another
// pattern, is another version.
const version = 1

// errFormat says that bytes are not what this version keeps.
var errFormat = errors.New("not the marks of a photo, or those of another version")

const (
	markBytes = 2 + 2 + 1 + 1 + pairs/8
	spotBytes = 2 + 2
	lookBytes = 2 + 3 + 3
	// parts are the parts of a pixel in which places are kept.
	parts = 32
)

// Bytes returns the marks in a form that ReadMarks reads: at most 33 KiB.
func (m *Marks) Bytes() []byte {
	out := make([]byte, 0, 9+len(m.marks)*markBytes+len(m.spots)*spotBytes)
	out = append(out, version)
	for _, n := range []int{m.w, m.h, len(m.marks), len(m.spots)} {
		out = binary.LittleEndian.AppendUint16(out, uint16(n))
	}
	for i := range m.marks {
		k := &m.marks[i]
		out = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(out, uint16(k.x*parts)), uint16(k.y*parts))
		out = append(out, byte(k.level), k.angle)
		for _, word := range k.around {
			out = binary.LittleEndian.AppendUint64(out, word)
		}
	}
	for _, s := range m.spots {
		out = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(out, s.x), s.y)
	}
	return out
}

// ReadMarks reads what Bytes has made.
func ReadMarks(in []byte) (*Marks, error) {
	if len(in) < 9 || in[0] != version {
		return nil, errFormat
	}
	m := &Marks{w: int(binary.LittleEndian.Uint16(in[1:])), h: int(binary.LittleEndian.Uint16(in[3:]))}
	marks, spots := int(binary.LittleEndian.Uint16(in[5:])), int(binary.LittleEndian.Uint16(in[7:]))
	if in = in[9:]; marks > MaxMarks || spots > MaxSpots || len(in) != marks*markBytes+spots*spotBytes {
		return nil, errFormat
	}
	for ; marks > 0; marks-- {
		k := mark{x: float32(binary.LittleEndian.Uint16(in)) / parts, y: float32(binary.LittleEndian.Uint16(in[2:])) / parts, level: int8(in[4]), angle: in[5] % turns}
		for i := range k.around {
			k.around[i] = binary.LittleEndian.Uint64(in[6+8*i:])
		}
		m.marks, in = append(m.marks, k), in[markBytes:]
	}
	for ; spots > 0; spots-- {
		s := spot{binary.LittleEndian.Uint16(in), binary.LittleEndian.Uint16(in[2:])}
		if max(s.x, s.y) > workingSide {
			return nil, errFormat
		}
		m.spots, in = append(m.spots, s), in[spotBytes:]
	}
	return m, nil
}

// Bytes returns the trace in a form that ReadTrace reads: at most 13 KiB.
func (t *Trace) Bytes() []byte {
	out := append(make([]byte, 0, 1+8*len(t.pose.m)+len(t.looks)*lookBytes), version)
	for _, v := range t.pose.m {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
	}
	for _, l := range t.looks {
		out = binary.LittleEndian.AppendUint16(out, l.spot)
		out = append(out, byte(l.more), byte(l.more>>8), byte(l.more>>16), byte(l.fewer), byte(l.fewer>>8), byte(l.fewer>>16))
	}
	return out
}

// ReadTrace reads what Bytes has made.
func ReadTrace(in []byte) (*Trace, error) {
	t := &Trace{}
	fixed := 1 + 8*len(t.pose.m)
	if len(in) < fixed || in[0] != version || (len(in)-fixed)%lookBytes != 0 || (len(in)-fixed)/lookBytes > MaxSpots {
		return nil, errFormat
	}
	for i := range t.pose.m {
		t.pose.m[i] = math.Float64frombits(binary.LittleEndian.Uint64(in[1+8*i:]))
	}
	in = in[fixed:]
	t.looks = make([]look, 0, len(in)/lookBytes)
	for ; len(in) > 0; in = in[lookBytes:] {
		t.looks = append(t.looks, look{spot: binary.LittleEndian.Uint16(in),
			more: uint32(in[2]) | uint32(in[3])<<8 | uint32(in[4])<<16, fewer: uint32(in[5]) | uint32(in[6])<<8 | uint32(in[7])<<16})
	}
	return t, nil
}
