package lite

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/scripcards/scrip/internal/core/clock"
)

const (
	// portion is how many pages of a database are given to the disk at once.
	portion = 16
	// slowest bounds how long a portion may take.
	slowest = 5 * time.Millisecond
	// look is how often it is looked whether a portion is due.
	look = time.Millisecond
)

// pace is how the pages of a database file are written while its log is folded: the disk
// begins with each portion when it is written, and not with all of them at the end, when
// every commit would wait until it is through; and there is time between two portions,
// measured by what comes to the log: who writes much cannot outrun it.
type pace struct {
	number int             // of the open file, as the kernel knows it; -1: that is not known
	log    *atomic.Int64   // pages that were written to it
	speed  float64         // pages for each that comes to the log; 0: as fast as it goes
	before int64           // pages of the log when it began
	pages  int             // since it began
	watch  clock.Stopwatch // since it began
	hurry  context.Context // once it has ended, nothing is waited for
}

// newPace has what the connection folds written at a pace, until it is forgotten.
func newPace(c *Conn, log *atomic.Int64, hurry context.Context) (p *pace, forget func()) {
	p = &pace{number: -1, log: log, hurry: hurry}
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

// begin begins to count, and has what is written from now on written at a speed.
func (p *pace) begin(speed float64) {
	p.speed, p.before, p.pages, p.watch = speed, p.log.Load(), 0, clock.Start()
}

// wrote is called after each page.
func (p *pace) wrote() {
	p.pages++
	if p.pages%portion != 0 {
		return
	}
	if p.number >= 0 {
		startWriting(p.number)
	}
	for !p.due() && clock.Wait(p.hurry, look) == nil {
	}
}

// due reports whether the next portion may be written.
func (p *pace) due() bool {
	return p.speed == 0 || float64(p.pages) <= p.speed*float64(p.came()) || p.watch.Elapsed() >= time.Duration(p.pages/portion)*slowest
}

// came is how many pages came to the log since it began.
func (p *pace) came() int64 { return p.log.Load() - p.before }

// settle puts on disk what was written.
func (p *pace) settle() error {
	if p.number < 0 {
		return nil
	}
	return finishWriting(p.number)
}
