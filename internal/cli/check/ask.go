package check

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/pan"
)

// maxSecretFile bounds a file that holds one secret, in bytes.
const maxSecretFile = 4096

// secretFile reads a secret that stands alone in a file.
func secretFile(path string) (pan.Secret, error) {
	text, err := shell.ReadBounded(path, maxSecretFile)
	if err != nil {
		return pan.Secret{}, err
	}
	return pan.NewSecret(strings.TrimSpace(string(text))), nil
}

// asker reads secrets from standard input, a line each.
type asker struct {
	terminal int // its descriptor; -1: it is none
	lines    *bufio.Scanner
	prompt   io.Writer
}

func newAsker(cmd *cobra.Command) *asker {
	in := cmd.InOrStdin()
	a := &asker{terminal: -1, lines: bufio.NewScanner(in), prompt: cmd.ErrOrStderr()}
	if file, ok := in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		a.terminal = int(file.Fd())
	}
	return a
}

// secret reads the next one, which a terminal is asked for and does not show. Where
// there are no more lines it is empty.
func (a *asker) secret(what string) (pan.Secret, error) {
	if a.terminal >= 0 {
		_, _ = fmt.Fprintf(a.prompt, "%s: ", what)
		text, err := term.ReadPassword(a.terminal)
		_, _ = fmt.Fprintln(a.prompt)
		return pan.NewSecret(strings.TrimSpace(string(text))), err
	}
	if !a.lines.Scan() {
		return pan.Secret{}, a.lines.Err()
	}
	return pan.NewSecret(strings.TrimSpace(a.lines.Text())), nil
}
