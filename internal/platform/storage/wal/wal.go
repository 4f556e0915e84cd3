// Package wal reads SQLite's write-ahead log before the engine does, which takes a log to end
// where a checksum is wrong and says nothing of what lies behind. That is right where the power
// failed or a process was killed while it wrote, and a loss of committed money where the file
// was damaged later.
//
// The two are told apart by what lies behind: a process makes no more than two commits that
// are not on disk, so that many commits behind a hole say that the hole was once on disk. The
// last commits of a log may be damaged without being told of.
//
// It writes nothing. The form of the log is that of https://www.sqlite.org/fileformat2.html#walformat.
package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	headerSize = 32
	frameSize  = 24 // of the header of a frame, before its page
	// mostTorn is how many commits may lie behind a hole that is no damage: those that several
	// processes had made and not put on disk when the power failed, and remains of some such
	// failures before.
	mostTorn  = 32
	readAhead = 1 << 20
	// tries bounds how often a log is read that somebody writes meanwhile.
	tries = 3
)

// ErrDamaged says that a log was damaged after it had been on disk.
var ErrDamaged = errors.New("the database's log is damaged")

// ErrShared says that another process goes on with what is to be cut.
var ErrShared = errors.New("another process has the database open, which must end before its damaged log is cut")

// Report is what a log was found to be.
type Report struct {
	// Left is whether there is anything in it, or what was once.
	Left bool
	// Shared is whether another process has a database with a log open, where the system tells:
	// then the log is that process's to see to, and its end may be what it is writing.
	Shared bool
	// Lost is how many commits at least lie behind damage; 0: it is not damaged.
	Lost int
	// Frame is the first that is damaged, from 1; 0 is the log's own header.
	Frame int
}

// Place says where the damage begins.
func (r Report) Place() string {
	if r.Frame == 0 {
		return "in its header"
	}
	return fmt.Sprintf("at frame %d", r.Frame)
}

// Err returns ErrDamaged with what is known of it, or nil.
func (r Report) Err() error {
	if r.Lost == 0 {
		return nil
	}
	return fmt.Errorf("%w %s: at least %d transactions that were answered lie behind it and would be lost: copy the files of the database, and restore a backup or give them up with scrip verify --cut-damaged-log", ErrDamaged, r.Place(), r.Lost)
}

// Cut returns why what lies behind damage cannot be given up: ErrShared, or nil.
func (r Report) Cut() error {
	if r.Lost > 0 && r.Shared {
		return ErrShared
	}
	return nil
}

// Look reads the log of the database file at path, which this process has not open. Others may
// write to it meanwhile.
func Look(path string) (Report, error) {
	found, err := lookAt(path)
	if err == nil && found.Left {
		found.Shared, err = isShared(path)
	}
	return found, err
}

func lookAt(path string) (Report, error) {
	log, err := os.Open(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, nil
	}
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = log.Close() }() // only read
	var before Report
	var header []byte
	for range tries {
		s, err := open(log, path)
		if err != nil || s == nil {
			return Report{}, err
		}
		found, err := s.look()
		found.Left = true
		if err != nil || found.Lost == 0 || found == before && bytes.Equal(header, s.header) {
			return found, err
		}
		before, header = found, s.header
	}
	return Report{}, nil // it changes, so that somebody has it open
}

// scanner reads the frames of a log in their order.
type scanner struct {
	log      *os.File
	database string
	header   []byte
	sound    bool // the header is
	page     int  // bytes
	big      bool // the words of checksums are big-endian
	salts    uint64
	sum      sum // that the frame before has
}

// open returns nil for a log that has nothing in it. Where the header is none, the salts are
// not known: 0.
func open(log *os.File, database string) (*scanner, error) {
	s := &scanner{log: log, database: database, header: make([]byte, headerSize)}
	if _, err := log.ReadAt(s.header, 0); err != nil {
		return nil, ignoreEnd(err)
	}
	magic := binary.BigEndian.Uint32(s.header)
	s.page, s.big = int(binary.BigEndian.Uint32(s.header[8:])), magic&1 == 1
	s.salts, s.sum = binary.BigEndian.Uint64(s.header[16:]), sumAt(s.header[24:])
	s.sound = magic&^1 == 0x377f0682 && isPage(s.page) && sum{}.add(s.header[:24], s.big) == s.sum
	if s.sound {
		return s, nil
	}
	s.big, s.salts = binary.NativeEndian.Uint16([]byte{0, 1}) == 1, 0 // the engine writes this machine's order
	var err error
	if s.page, err = pageOf(database); err != nil || !isPage(s.page) {
		return nil, err
	}
	return s, nil
}

func isPage(size int) bool { return size >= 512 && size <= 65536 && size&(size-1) == 0 }

// pageOf returns the size of the pages of a database; 0: it is none yet.
func pageOf(database string) (int, error) {
	file, err := os.Open(database)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // only read
	var size [2]byte
	if _, err := file.ReadAt(size[:], 16); err != nil {
		return 0, ignoreEnd(err)
	}
	if page := int(binary.BigEndian.Uint16(size[:])); page != 1 {
		return page, nil
	}
	return 65536, nil
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// sum is a checksum of all that was added to it.
type sum struct{ a, b uint32 }

func sumAt(content []byte) sum {
	return sum{binary.BigEndian.Uint32(content), binary.BigEndian.Uint32(content[4:])}
}

// add has a loop for each order of bytes: every start reads all of the log.
func (s sum) add(content []byte, big bool) sum {
	a, b := s.a, s.b
	if big {
		for ; len(content) >= 8; content = content[8:] {
			a += binary.BigEndian.Uint32(content) + b
			b += binary.BigEndian.Uint32(content[4:]) + a
		}
		return sum{a, b}
	}
	for ; len(content) >= 8; content = content[8:] {
		a += binary.LittleEndian.Uint32(content) + b
		b += binary.LittleEndian.Uint32(content[4:]) + a
	}
	return sum{a, b}
}

// frame is one page of the log.
type frame struct {
	number  uint32 // of the page
	size    uint32 // of the database in pages, after a commit; 0: it is none
	salts   uint64
	ours    bool   // of this log, and not left of one before; any is while the salts are not known
	valid   bool   // ours, and its checksum continues that of the frame before
	content []byte // until the next frame is read
}

// each reads every frame.
func (s *scanner) each(fn func(n int, f frame) error) error {
	size := frameSize + s.page
	frames := make([]byte, readAhead/size*size)
	for n, at := 1, int64(headerSize); ; at += int64(len(frames)) {
		read, err := s.log.ReadAt(frames, at)
		if ignoreEnd(err) != nil {
			return err
		}
		for rest := frames[:read]; len(rest) >= size; rest = rest[size:] {
			if err := fn(n, s.frame(rest[:size])); err != nil {
				return err
			}
			n++
		}
		if err != nil {
			return nil
		}
	}
}

func (s *scanner) frame(content []byte) frame {
	f := frame{number: binary.BigEndian.Uint32(content), size: binary.BigEndian.Uint32(content[4:]),
		salts: binary.BigEndian.Uint64(content[8:]), content: content[frameSize:]}
	f.ours = f.salts == s.salts || s.salts == 0 && !s.sound
	is := sumAt(content[16:])
	f.valid = f.ours && f.number != 0 && s.sum.add(content[:8], s.big).add(f.content, s.big) == is
	s.sum = is
	return f
}

func (s *scanner) look() (Report, error) {
	if !s.sound {
		return s.withoutHeader()
	}
	var r Report
	ended, commits := false, 0
	err := s.each(func(n int, f frame) error {
		if !f.valid && !ended {
			ended, r.Frame = true, n
		}
		if ended && f.valid && f.size != 0 {
			commits++
		}
		return nil
	})
	if commits > mostTorn {
		r.Lost = commits
	} else {
		r.Frame = 0
	}
	return r, err
}
