package wal

import (
	"bytes"
	"os"
)

// withoutHeader looks at a log whose header is none, in which the engine finds nothing. That is
// as well where everything in it is in the database, as it is whenever a header is written.
//
// The frames in front may be lost with the header. What lies behind them is of the newest log
// from the first two frames on of which one continues the other.
func (s *scanner) withoutHeader() (Report, error) {
	file, err := os.Open(s.database)
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = file.Close() }() // only read
	h := headless{stored: map[uint32]int{}, page: make([]byte, s.page)}
	salts := uint64(0) // of the frame before
	err = s.each(func(n int, f frame) error {
		if s.salts == 0 && f.valid && f.salts == salts {
			s.salts, h.front = f.salts, n-1
		}
		salts = f.salts
		if s.salts == 0 {
			return nil
		}
		if !f.valid {
			h.broken = true
			return nil
		}
		return h.add(f, file)
	})
	if err != nil {
		return Report{}, err
	}
	if lost, before := h.lost(); before > 0 && h.unbroken > mostTorn || lost > mostTorn {
		return Report{Lost: lost}, nil
	}
	return Report{}, nil // at most remains of crashes, behind a hole
}

// headless is what is known of a log without its header.
type headless struct {
	front    int            // frames of which nothing is known
	frames   []uint32       // the pages of those behind
	commits  []int          // how many frames there are after each
	unbroken int            // commits before the first hole
	broken   bool           // there was one
	pages    uint32         // of the database, after the last commit
	stored   map[uint32]int // which frame the database has of a page; none: it is in no frame
	page     []byte
}

// add notes a frame, and whether the database has it.
func (h *headless) add(f frame, database *os.File) error {
	_, err := database.ReadAt(h.page, int64(f.number-1)*int64(len(h.page)))
	if ignoreEnd(err) != nil {
		return err
	}
	if err == nil && bytes.Equal(h.page, f.content) {
		h.stored[f.number] = len(h.frames)
	}
	h.frames = append(h.frames, f.number)
	if f.size != 0 {
		h.commits, h.pages = append(h.commits, len(h.frames)), f.size
		if !h.broken {
			h.unbroken++
		}
	}
	return nil
}

// lost counts the commits of which the database lacks a page, and which of them lie before the
// first hole. A page that it has from no frame may be newer than this log, by a frame in front
// of it: as many as those are no loss.
func (h *headless) lost() (all, unbroken int) {
	unknown := map[uint32]bool{}
	for _, number := range h.frames {
		if _, found := h.stored[number]; !found && number <= h.pages {
			unknown[number] = true
		}
	}
	from := 0
	for i, to := range h.commits {
		for at := from; at < to; at++ {
			number := h.frames[at]
			has, found := h.stored[number]
			if number <= h.pages && (found && has < at || unknown[number] && len(unknown) > h.front) {
				if all++; i < h.unbroken {
					unbroken++
				}
				break
			}
		}
		from = to
	}
	return all, unbroken
}
