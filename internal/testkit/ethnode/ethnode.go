// Package ethnode runs a real node of Ethereum for tests: anvil, on a chain of its own, on
// loopback, until its test ends. Blocks are made when the test says so.
package ethnode

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/program"
)

// The contracts, which testdata/token.sol is the source of.
var (
	//go:embed testdata/token.hex
	tokenCode string
	//go:embed testdata/payer.hex
	payerCode string
)

// The first four bytes of calls: the hashes of their names.
const (
	callTransfer = "a9059cbb" // transfer(address,uint256)
	callSetFee   = "69fe0e2d" // setFee(uint256)
	callPay      = "0c11dedd" // pay(address)
)

// Node is a node of a chain of its own with one rich account.
type Node struct {
	t   testing.TB
	rpc program.RPC
	url string // where Scrip finds it
	// Rich is who pays; Token and Fake are two contracts alike, and Payer pays ether on.
	Rich, Token, Fake, Payer string
}

// chainID is anvil's.
const chainID = 31337

// Start runs anvil on loopback until the test ends. Its chain has the contracts in block 1.
func Start(t testing.TB) *Node { return start(t) }

// StartForgetful runs one that keeps so many states: it knows no balance of an older block.
func StartForgetful(t testing.TB, states int) *Node {
	return start(t, "--prune-history", strconv.Itoa(states))
}

func start(t testing.TB, more ...string) *Node {
	t.Helper()
	at := program.Free(t)
	_, port, err := net.SplitHostPort(at)
	check.OK(t, err)
	n := &Node{t: t, rpc: program.RPC{URL: "http://" + at}, url: "http://" + at}
	command := exec.Command(find(t), append([]string{"--host", "127.0.0.1", "--port", port, "--accounts", "2", "--balance", "100000", "--no-mining",
		"--slots-in-an-epoch", "4", "--no-cors", "--silent"}, more...)...)
	command.Dir = t.TempDir()
	program.Run(t, filepath.Join(command.Dir, "out"), command)
	program.Await(t, "anvil answers", func() error { return n.Call("eth_chainId") })
	n.deploy()
	return n
}

// find returns where anvil is: scripts/packages.sh gets it where it is missing.
func find(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("SCRIP_TEST_ANVIL"); path != "" {
		return path
	}
	get := exec.Command("bash", "-c", `source scripts/lib.sh; source scripts/packages.sh; need_anvil >&2 && printf %s "$SCRIP_TEST_ANVIL"`)
	get.Dir = program.Root(t, "scripts/packages.sh")
	var out, said bytes.Buffer
	get.Stdout, get.Stderr = &out, &said
	if err := get.Run(); err != nil {
		t.Fatalf("get anvil: %v\n%s", err, said.String())
	}
	return out.String()
}

func (n *Node) deploy() {
	n.t.Helper()
	var accounts []string
	check.OK(n.t, n.Ask(&accounts, "eth_accounts"))
	n.Rich = accounts[0]
	var made []string
	for _, code := range []string{tokenCode, tokenCode, payerCode} {
		made = append(made, n.send(map[string]any{"from": n.Rich, "data": "0x" + strings.TrimSpace(code), "gas": "0x200000"}))
	}
	n.Mine(1)
	for i, to := range []*string{&n.Token, &n.Fake, &n.Payer} {
		var receipt struct{ ContractAddress string }
		check.OK(n.t, n.Ask(&receipt, "eth_getTransactionReceipt", made[i]))
		*to = receipt.ContractAddress
	}
}

// Config is how Scrip is told of the node. Balances are compared after every block.
func (n *Node) Config(from int64) []byte {
	text, err := json.Marshal(map[string]any{"url": n.url, "chain_id": chainID, "token": n.Token, "from_height": from, "compare_blocks": 1})
	check.OK(n.t, err)
	return text
}

// Call calls the node.
func (n *Node) Call(method string, params ...any) error { return n.Ask(nil, method, params...) }

// Ask calls the node and reads its result into out.
func (n *Node) Ask(out any, method string, params ...any) error {
	return n.rpc.Ask(out, method, append([]any{}, params...))
}

// Mine makes so many blocks.
func (n *Node) Mine(blocks int) {
	n.t.Helper()
	check.OK(n.t, n.Call("anvil_mine", hex(big.NewInt(int64(blocks)))))
}

// Reorganise replaces the newest blocks by as many empty ones.
func (n *Node) Reorganise(blocks int) {
	n.t.Helper()
	check.OK(n.t, n.Call("anvil_reorg", blocks, []any{}))
}

func hex(n *big.Int) string { return "0x" + n.Text(16) }

// word is an argument of a call: an address in hex, or a number.
func word(digits string) string {
	digits = strings.ToLower(strings.TrimPrefix(digits, "0x"))
	return strings.Repeat("0", 64-len(digits)) + digits
}

func (n *Node) send(tx map[string]any) (hash string) {
	n.t.Helper()
	check.OK(n.t, n.Ask(&hash, "eth_sendTransaction", tx))
	return hash
}

// Gwei is a billionth of an ether, in its smallest units.
func Gwei(count int64) *big.Int { return new(big.Int).Mul(big.NewInt(count), big.NewInt(1e9)) }

// Pay sends ether, and returns the transaction, which waits for a block.
func (n *Node) Pay(to string, value *big.Int) string {
	n.t.Helper()
	return n.send(map[string]any{"from": n.Rich, "to": to, "value": hex(value), "gas": "0x5208"})
}

// Transfer sends so many of the smallest units of a token.
func (n *Node) Transfer(token, to string, units int64) string {
	n.t.Helper()
	return n.send(map[string]any{"from": n.Rich, "to": token, "gas": "0x30000", "data": "0x" + callTransfer + word(to) + word(hex(big.NewInt(units)))})
}

// Refused sends more of a token than there is: the transaction is in a block, and undone.
func (n *Node) Refused(to string) string {
	n.t.Helper()
	return n.send(map[string]any{"from": n.Rich, "to": n.Token, "gas": "0x30000", "data": "0x" + callTransfer + word(to) + strings.Repeat("f", 64)})
}

// SetFee has the token keep so many hundredths of a percent of every transfer.
func (n *Node) SetFee(points int64) {
	n.t.Helper()
	n.send(map[string]any{"from": n.Rich, "to": n.Token, "gas": "0x30000", "data": "0x" + callSetFee + word(hex(big.NewInt(points)))})
}

// PayHidden sends ether through a contract: no transaction to the payee shows it.
func (n *Node) PayHidden(to string, value *big.Int) string {
	n.t.Helper()
	return n.send(map[string]any{"from": n.Rich, "to": n.Payer, "value": hex(value), "gas": "0x30000", "data": "0x" + callPay + word(to)})
}

// Empty sends ether away from an address, as its owner would.
func (n *Node) Empty(from string, value *big.Int) string {
	n.t.Helper()
	check.OK(n.t, n.Call("anvil_impersonateAccount", from))
	return n.send(map[string]any{"from": from, "to": n.Rich, "value": hex(value), "gas": "0x5208"})
}

// Raw returns a transaction as it was signed.
func (n *Node) Raw(tx string) (raw string) {
	n.t.Helper()
	check.OK(n.t, n.Ask(&raw, "eth_getRawTransactionByHash", tx))
	return raw
}

// Nonces returns the places of transactions among those of their senders.
func (n *Node) Nonces(txs ...string) (nonces []string) {
	n.t.Helper()
	for _, tx := range txs {
		var sent struct{ Nonce string }
		check.OK(n.t, n.Ask(&sent, "eth_getTransactionByHash", tx))
		nonces = append(nonces, sent.Nonce)
	}
	return nonces
}

// Resend sends transactions that a reorganisation threw out, as they were.
func (n *Node) Resend(raw ...string) {
	n.t.Helper()
	for _, tx := range raw {
		check.OK(n.t, n.Call("eth_sendRawTransaction", tx))
	}
}
