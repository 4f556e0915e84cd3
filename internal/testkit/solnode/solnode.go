// Package solnode runs a node of Solana for tests: LiteSVM, which is the real runtime with
// the real programs of tokens, behind a JSON-RPC of our own in node.mjs. No validator can be
// installed from a package, so its RPC, its votes and its forks are not what is tested.
package solnode

import (
	"bufio"
	"bytes"
	_ "embed" // the program of the node
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/program"
)

//go:embed node.mjs
var script []byte

// modulesVariable names the directory in which LiteSVM is installed, as node_modules.
const modulesVariable = "SCRIP_TEST_LITESVM"

// Node is a node of a chain of its own, with a payer who has enough.
type Node struct {
	Mint string // the token that counts as USDT

	t       testing.TB
	rpc     program.RPC
	genesis string
}

// modules finds LiteSVM. A quick run does without it.
func modules(t testing.TB) string {
	t.Helper()
	root := os.Getenv(modulesVariable)
	if root == "" {
		cache, err := os.UserCacheDir()
		check.OK(t, err)
		root = filepath.Join(cache, "scrip-test", "litesvm")
	}
	folder := filepath.Join(root, "node_modules")
	if _, err := os.Stat(filepath.Join(folder, "litesvm")); err != nil {
		if testing.Short() {
			t.Skip("LiteSVM is not installed, and this is a short run")
		}
		t.Fatalf("there is no LiteSVM in %s: run scripts/test.sh, which gets it, or name its directory in %s", root, modulesVariable)
	}
	return folder
}

// Start runs a node until the test ends.
func Start(t testing.TB) *Node {
	t.Helper()
	folder := t.TempDir()
	check.OK(t, os.Symlink(modules(t), filepath.Join(folder, "node_modules")))
	path := filepath.Join(folder, "node.mjs")
	check.OK(t, os.WriteFile(path, script, 0o600))
	command := exec.Command("node", path)
	errs := &bytes.Buffer{}
	command.Stderr = errs
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := command.StdoutPipe()
	check.OK(t, err)
	input, err := command.StdinPipe()
	check.OK(t, err)
	check.OK(t, command.Start())
	t.Cleanup(func() {
		_ = input.Close()
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
		if t.Failed() {
			t.Logf("the node: %s", errs)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the node does not start: %v", err)
	}
	n := &Node{t: t}
	n.rpc.URL, n.genesis, _ = strings.Cut(strings.TrimSpace(line), " ")
	n.Mint = n.NewMint()
	return n
}

// Config is how Scrip is told of the node.
func (n *Node) Config() []byte {
	return fmt.Appendf(nil, `{"url":%q,"network":"local","genesis":%q,"usdt_mint":%q}`, n.rpc.URL, n.genesis, n.Mint)
}

// NewMint makes a token with six decimals.
func (n *Node) NewMint() (mint string) {
	n.t.Helper()
	n.ask(&mint, "test_mint")
	return mint
}

// Slots has so many slots come: after 32 of them what was before is final.
func (n *Node) Slots(count int) {
	n.t.Helper()
	n.ask(nil, "test_slots", count)
}

// Pay pays lamports to an address and returns the transaction.
func (n *Node) Pay(to string, lamports uint64) (signature string) {
	n.t.Helper()
	n.ask(&signature, "test_pay", to, lamports)
	return signature
}

// Fail has a payment to an address fail on the chain.
func (n *Node) Fail(to string, lamports uint64) {
	n.t.Helper()
	n.ask(nil, "test_fail", to, lamports)
}

// Send gives an owner units of a token, in the account that is derived for it, and returns
// the transaction.
func (n *Node) Send(mint, owner string, units uint64) (signature string) {
	n.t.Helper()
	n.ask(&signature, "test_send", mint, owner, units)
	return signature
}

// Drop has the chain give up a transaction.
func (n *Node) Drop(signature string) {
	n.t.Helper()
	n.ask(nil, "test_drop", signature)
}

// Again has a transaction that was given up come into the next slot.
func (n *Node) Again(signature string) {
	n.t.Helper()
	n.ask(nil, "test_again", signature)
}

// ask makes a call and reads its result into out, unless that is nil.
func (n *Node) ask(out any, method string, params ...any) {
	n.t.Helper()
	check.OK(n.t, n.rpc.Ask(out, method, append([]any{}, params...)))
}
