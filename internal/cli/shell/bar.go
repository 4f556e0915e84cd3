package shell

import (
	"fmt"
	"os"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/scripcards/scrip/internal/platform/storage/dump"
)

// Bar shows progress on standard error, on a terminal only.
type Bar struct{ shown *progressbar.ProgressBar }

// NewBar is a bar for work of unknown size.
func NewBar(cmd *cobra.Command, what string) *Bar { return NewBarOf(cmd, what, -1) }

// NewBarOf knows how much there is to do.
func NewBarOf(cmd *cobra.Command, what string, total int64) *Bar {
	out, ok := cmd.ErrOrStderr().(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		return &Bar{}
	}
	return &Bar{progressbar.NewOptions64(total, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(out),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())}
}

// Set says how much is done.
func (b *Bar) Set(n int64) {
	if b.shown != nil {
		_ = b.shown.Set64(n) // a bar that cannot be drawn is no reason to stop
	}
}

// Dump says how far a backup or a restore is.
func (b *Bar) Dump(at dump.Progress) {
	if b.shown != nil {
		b.shown.Describe(fmt.Sprintf("%s %s (%d of %d tables)", at.Phase, at.Table, at.Tables, at.Of))
	}
	b.Set(at.Rows)
}

// End takes the bar away.
func (b *Bar) End() {
	if b.shown != nil {
		_ = b.shown.Finish() // see Set
	}
}
