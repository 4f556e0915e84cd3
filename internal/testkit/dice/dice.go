// Package dice is a source of randomness for tests that says what falls.
package dice

import (
	"bytes"
	"errors"
	"io"
)

// Dice goes through given blocks and repeats the last one for ever.
type Dice struct {
	blocks []byte
	size   int
	rest   *bytes.Reader
}

// New returns dice with a block of so many equal bytes for each letter: 0 for A, 1 for B.
func New(blocks string, size int) *Dice {
	d := &Dice{size: size}
	for _, b := range []byte(blocks) {
		d.blocks = append(d.blocks, bytes.Repeat([]byte{b - 'A'}, size)...)
	}
	d.rest = bytes.NewReader(d.blocks)
	return d
}

// Read implements io.Reader.
func (d *Dice) Read(p []byte) (int, error) {
	n, err := d.rest.Read(p)
	if errors.Is(err, io.EOF) {
		d.rest = bytes.NewReader(d.blocks[len(d.blocks)-d.size:])
		return d.rest.Read(p)
	}
	return n, err
}
