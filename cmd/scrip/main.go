// Command scrip is a card platform in one program: it serves the APIs and manages
// an installation from the command line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/scripcards/scrip/internal/cli"
)

func main() {
	// Memory that nobody touches and that counts as used: what is collected first is twice this,
	// which most commands never reach.
	ballast := make([]byte, 32<<20)
	defer runtime.KeepAlive(ballast)
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	context.AfterFunc(ctx, stop) // whoever asks a second time does not wait
	if err := cli.New().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, cli.Say(err))
		os.Exit(1)
	}
}
