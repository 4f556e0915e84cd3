package boost

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrFile is returned for bytes that are no model, or not the one that was written.
var ErrFile = errors.New("boost: not a model file, or a damaged one")

// magic begins a model's bytes; the last byte is the version of the form.
var magic = [8]byte{'s', 'c', 'r', 'b', 'o', 'o', 's', 1}

// Bounds of what is read.
const (
	maxTrees = 1 << 16
	maxNodes = 2 * maxLeaves
)

// AppendBinary appends the model as bytes: the same model, the same bytes. They end with
// the SHA-256 of what is before.
func (m *Model) AppendBinary(to []byte) ([]byte, error) {
	from := len(to)
	to = append(to, magic[:]...)
	to = binary.LittleEndian.AppendUint32(to, uint32(m.Columns))
	for _, cuts := range m.Cuts {
		to = binary.LittleEndian.AppendUint32(to, uint32(len(cuts)))
		for _, cut := range cuts {
			to = binary.LittleEndian.AppendUint32(to, math.Float32bits(cut))
		}
	}
	to = binary.LittleEndian.AppendUint32(to, uint32(len(m.trees)))
	for _, t := range m.trees {
		to = binary.LittleEndian.AppendUint32(to, uint32(len(t)))
		for i := range t {
			to = t[i].append(to)
		}
	}
	sum := sha256.Sum256(to[from:])
	return append(to, sum[:]...), nil
}

func (n *node) append(to []byte) []byte {
	to = binary.LittleEndian.AppendUint32(to, uint32(n.column))
	to = binary.LittleEndian.AppendUint32(to, math.Float32bits(n.threshold))
	to = binary.LittleEndian.AppendUint32(to, uint32(n.left))
	to = binary.LittleEndian.AppendUint32(to, uint32(n.right))
	return binary.LittleEndian.AppendUint64(to, math.Float64bits(n.value))
}

// Read returns the model that AppendBinary wrote. Whatever the bytes are, what it
// returns can be scored with.
func Read(data []byte) (*Model, error) {
	body := len(data) - sha256.Size
	if body < len(magic) || [8]byte(data) != magic {
		return nil, ErrFile
	}
	if sum := sha256.Sum256(data[:body]); !bytes.Equal(sum[:], data[body:]) {
		return nil, fmt.Errorf("%w: the checksum differs", ErrFile)
	}
	r := reader{left: data[len(magic):body]}
	cuts := make([][]float32, r.count(MaxColumns))
	for c := range cuts {
		cuts[c] = make([]float32, r.count(MaxBins))
		for i := range cuts[c] {
			cuts[c][i] = math.Float32frombits(r.uint32())
		}
	}
	trees := make([]tree, r.count(maxTrees))
	for i := range trees {
		trees[i] = r.tree(len(cuts))
	}
	if r.failed || len(r.left) != 0 || len(cuts) == 0 {
		return nil, ErrFile
	}
	return newModel(cuts, trees), nil
}

// reader takes numbers off the front of bytes; what is not there is zero, and noted.
type reader struct {
	left   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || len(r.left) < n {
		r.failed = true
		return make([]byte, n)
	}
	taken := r.left[:n]
	r.left = r.left[n:]
	return taken
}

func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }

// count is how many things follow, each of four bytes at least.
func (r *reader) count(most int) int {
	n := int64(r.uint32())
	if n > int64(most) || 4*n > int64(len(r.left)) {
		r.failed = true
		return 0
	}
	return int(n)
}

// tree reads one whose children stand beside one another behind their parents, so that
// every path ends.
func (r *reader) tree(columns int) tree {
	t := make(tree, r.count(maxNodes))
	for i := range t {
		n := node{column: int32(r.uint32()), threshold: math.Float32frombits(r.uint32()), left: int32(r.uint32()), right: int32(r.uint32())}
		n.value = math.Float64frombits(binary.LittleEndian.Uint64(r.take(8)))
		leaf := n.left == 0 && n.right == 0
		inner := int(n.left) > i && n.right == n.left+1 && int(n.right) < len(t)
		if n.column < 0 || int(n.column) >= columns || !leaf && !inner || !finite(n.value) {
			r.failed = true
		}
		t[i] = n
	}
	if len(t) == 0 {
		r.failed = true
	}
	return t
}
