package estimator

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/boost"
	"github.com/scripcards/scrip/internal/fraud/sense"
)

// Errors of Read.
var (
	// ErrFile is returned for bytes that are no model, or not those that were written.
	ErrFile = errors.New("not a model file, or a damaged one")
	// ErrSchema is returned for a model that was trained on other numbers than this
	// program makes.
	ErrSchema = errors.New("the model was trained on other numbers than this version makes; train it again")
)

// magic begins a file; the last byte is the version of the form.
var magic = [8]byte{'s', 'c', 'r', 'f', 'r', 'a', 'u', 1}

// MaxSize bounds a file, in bytes.
const MaxSize = 8 << 20

// Bytes returns the model as a file: magic, schema, description, parts, SHA-256.
// The same model makes the same bytes.
func (m *Model) Bytes() ([]byte, error) {
	info, err := json.Marshal(m.Info) // keys of maps are in order
	if err != nil {
		return nil, fmt.Errorf("write model: %w", err)
	}
	schema := sense.Schema(m.Kind)
	out := append(append([]byte(nil), magic[:]...), schema[:]...)
	out = block(out, info)
	for _, p := range m.parts() {
		trees, err := p.Trees.AppendBinary(nil)
		if err != nil {
			return nil, fmt.Errorf("write model: %w", err)
		}
		out = block(out, trees)
		out = block(out, p.rest())
	}
	sum := sha256.Sum256(out)
	m.Sum = hex.EncodeToString(sum[:])
	return append(out, sum[:]...), nil
}

func block(to, data []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(to, uint32(len(data))), data...)
}

// rest is what a part has beside its trees.
func (p *Part) rest() []byte {
	var out []byte
	for _, x := range []float64{p.Weight, p.Slope, p.Offset} {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(x))
	}
	for i := range p.Rare.Marks {
		m := &p.Rare.Marks[i]
		out = binary.LittleEndian.AppendUint32(out, uint32(m.Column))
		out = binary.LittleEndian.AppendUint32(out, uint32(m.Group))
		for _, x := range m.At {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
		}
	}
	return out
}

// Read reads a file. It returns ErrFile or ErrSchema. Whatever the bytes are, what it
// returns can be scored with.
func Read(data []byte) (*Model, error) {
	body := len(data) - sha256.Size
	if body < len(magic)+sha256.Size || len(data) > MaxSize || [8]byte(data) != magic {
		return nil, ErrFile
	}
	sum := sha256.Sum256(data[:body])
	if !bytes.Equal(sum[:], data[body:]) {
		return nil, fmt.Errorf("%w: the checksum differs", ErrFile)
	}
	left := data[len(magic):body]
	kind, known := kindOf([sha256.Size]byte(left))
	if !known {
		return nil, ErrSchema
	}
	left = left[sha256.Size:]
	m := &Model{Kind: kind, Sum: hex.EncodeToString(sum[:])}
	info, left, ok := take(left)
	if !ok || json.Unmarshal(info, &m.Info) != nil {
		return nil, ErrFile
	}
	for _, p := range m.parts() {
		var trees, rest []byte
		trees, left, ok = take(left)
		if rest, left, ok = takeIf(ok, left); !ok {
			return nil, ErrFile
		}
		var err error
		if p.Trees, err = boost.Read(trees); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFile, err)
		}
		if p.Kind = kind; p.Trees.Columns != sense.WidthOf(kind) || !p.read(rest) {
			return nil, ErrFile
		}
	}
	if len(left) != 0 {
		return nil, ErrFile
	}
	return m, nil
}

// kindOf returns the kind of events whose numbers a schema is of, if there is one.
func kindOf(schema [sha256.Size]byte) (fraud.Kind, bool) {
	for _, kind := range fraud.Kinds() {
		if schema == sense.Schema(kind) {
			return kind, true
		}
	}
	return "", false
}

// take takes a block off the front.
func take(from []byte) (data, left []byte, ok bool) {
	if len(from) < 4 {
		return nil, nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(from))
	if from = from[4:]; n > uint64(len(from)) {
		return nil, nil, false
	}
	return from[:n], from[n:], true
}

func takeIf(ok bool, from []byte) (data, left []byte, taken bool) {
	if !ok {
		return nil, nil, false
	}
	return take(from)
}

const (
	headSize = 3 * 8
	markSize = 8 + 4*len(tails)
)

// read reads what rest wrote.
func (p *Part) read(data []byte) bool {
	if len(data) < headSize || (len(data)-headSize)%markSize != 0 {
		return false
	}
	for i, into := range []*float64{&p.Weight, &p.Slope, &p.Offset} {
		*into = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		if math.IsNaN(*into) || math.IsInf(*into, 0) {
			return false
		}
	}
	for data = data[headSize:]; len(data) > 0; data = data[markSize:] {
		m := Mark{Column: int(binary.LittleEndian.Uint32(data)), Group: int(binary.LittleEndian.Uint32(data[4:]))}
		if m.Column >= sense.WidthOf(p.Kind) {
			return false
		}
		for k := range m.At {
			m.At[k] = math.Float32frombits(binary.LittleEndian.Uint32(data[8+4*k:]))
		}
		p.Rare.Marks = append(p.Rare.Marks, m)
	}
	return true
}
