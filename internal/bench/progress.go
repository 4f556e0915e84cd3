package bench

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/scripcards/scrip/internal/core/clock"
)

// tick is how often the bar moves.
const tick = 200 * time.Millisecond

// Terminal returns w if a person looks at it, and nil if it is a file or a pipe.
func Terminal(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return f
}

// bar shows how much of the planned time is over. A nil bar shows nothing.
type bar struct {
	shown *progressbar.ProgressBar
	done  time.Duration // of the rounds that are over
	round time.Duration // the length of the one under way
	stop  func()
}

func newBar(w io.Writer, planned time.Duration) *bar {
	if w == nil {
		return nil
	}
	return &bar{shown: progressbar.NewOptions64(max(planned.Milliseconds(), 1), progressbar.OptionSetWriter(w), progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())}
}

// begin lets the bar move by itself until finish.
func (b *bar) begin(ctx context.Context, what string, length time.Duration) {
	if b == nil {
		return
	}
	b.round = length
	b.shown.Describe(what)
	ctx, cancel := context.WithCancel(ctx)
	watch := clock.Start()
	var moving sync.WaitGroup
	moving.Go(func() {
		for clock.Wait(ctx, tick) == nil {
			b.set(b.done + min(watch.Elapsed(), length))
		}
	})
	b.stop = func() { cancel(); moving.Wait() }
}

func (b *bar) finish() {
	if b == nil {
		return
	}
	b.stop()
	b.done += b.round
	b.set(b.done)
}

// set moves the bar. A terminal that cannot be written to is no reason to stop measuring.
func (b *bar) set(done time.Duration) { _ = b.shown.Set64(done.Milliseconds()) }

func (b *bar) end() {
	if b != nil {
		_ = b.shown.Finish()
	}
}
