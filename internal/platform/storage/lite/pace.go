package lite

import (
	"context"
	"runtime"
	"time"
	"unsafe"

	"github.com/scripcards/scrip/internal/core/clock"
)

const (
	// portion is how many pages of a database are given to the disk at once.
	portion = 64
	// slowest bounds how long a portion may take.
	slowest = 20 * time.Millisecond
)

// pace is how the pages of a database file are written while its log is folded: the disk
// begins with each portion when it is written, and not with all of them at the end, when
// every commit would wait until it is through; and there is time between two portions.
type pace struct {
	number int             // of the open file, as the kernel knows it; -1: that is not known
	each   time.Duration   // a portion
	pages  int             // since the watch began
	watch  clock.Stopwatch // from begin on
	hurry  context.Context // once it has ended, nothing is waited for
}

// newPace has what the connection folds written at a pace, until it is forgotten.
func newPace(c *Conn, hurry context.Context) (p *pace, forget func()) {
	p = &pace{number: -1, hurry: hurry, watch: clock.Start()}
	file, path, err := c.file()
	if err != nil {
		return p, func() {} // as fast as it goes, then
	}
	p.number = numberOf(file, path)
	var pin runtime.Pinner // the engine's memory has its address, which the collector does not see
	pin.Pin(p)
	gathererOf(file).pace = uintptr(unsafe.Pointer(p))
	return p, func() {
		gathererOf(file).pace = 0
		pin.Unpin()
	}
}

// begin sets the pace of what is written from now on.
func (p *pace) begin(each time.Duration) {
	p.each, p.pages, p.watch = min(each, slowest), 0, clock.Start()
}

// portions returns how many were written since begin.
func (p *pace) portions() int { return p.pages / portion }

// wrote is called after each page.
func (p *pace) wrote() {
	p.pages++
	if p.pages%portion != 0 {
		return
	}
	if p.number >= 0 {
		startWriting(p.number)
	}
	if early := time.Duration(p.portions())*p.each - p.watch.Elapsed(); early > 0 {
		_ = clock.Wait(p.hurry, early) // ended early is in a hurry
	}
}
