// Package xmrnode runs a real node of Monero for tests, with two wallets: one that looks for
// payments and one that makes them. It is monerod and monero-wallet-rpc, on a chain of its
// own, on loopback, until its test ends.
package xmrnode

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/program"
)

// Node is a node of a chain of its own, whose blocks pay the payer.
type Node struct {
	Shop  *Wallet // with the view key alone
	Payer *Wallet

	t     testing.TB
	rpc   server
	miner string
}

// Wallet is a wallet process with a wallet that is open.
type Wallet struct {
	server
	t    testing.TB
	Main string // its primary address
	key  string // its view key, of the shop's
}

// server is a process that answers JSON-RPC.
type server struct {
	program.RPC
	process *os.Process
}

// programs finds monerod and monero-wallet-rpc. A quick run does without them: to mine until
// there is money takes many seconds of a whole processor.
func programs(t testing.TB) (node, wallet string) {
	t.Helper()
	if testing.Short() {
		t.Skip("Monero's blocks take long to make, and this is a short run")
	}
	node, err := exec.LookPath("monerod")
	if err == nil {
		wallet, err = exec.LookPath("monero-wallet-rpc")
	}
	if err != nil {
		t.Fatal("there is no monerod with monero-wallet-rpc: install them (Debian: apt-get install monero)")
	}
	return node, wallet
}

// Start runs a node and two wallets until the test ends, and mines until the payer has money.
// They speak in the clear, since they make RSA keys of 4096 bits else, at their start and each
// time that a wallet is opened.
func Start(t testing.TB) *Node {
	t.Helper()
	nodeProgram, walletProgram := programs(t)
	folder := t.TempDir()
	n := &Node{t: t}
	rpc, p2p := port(t), port(t)
	n.rpc = start(t, process{nodeProgram, filepath.Join(folder, "node.out"), rpc, "get_info"}, "--regtest", "--offline", "--fixed-difficulty=1", "--non-interactive",
		"--no-igd", "--hide-my-port", "--no-zmq", "--log-level=0", "--max-concurrency=1", "--config-file="+empty(t, folder), "--rpc-ssl=disabled",
		"--data-dir="+filepath.Join(folder, "chain"), "--log-file="+filepath.Join(folder, "node.log"),
		"--rpc-bind-ip=127.0.0.1", "--rpc-bind-port="+rpc, "--p2p-bind-ip=127.0.0.1", "--p2p-bind-port="+p2p)
	open := func(name string) *Wallet {
		at, dir := port(t), filepath.Join(folder, name)
		check.OK(t, os.Mkdir(dir, 0o700))
		return &Wallet{t: t, server: start(t, process{walletProgram, filepath.Join(folder, name+".out"), at, "get_version"}, "--disable-rpc-login", "--trusted-daemon",
			"--no-dns", "--log-level=0", "--max-concurrency=1", "--config-file="+empty(t, folder), "--rpc-ssl=disabled", "--daemon-ssl=disabled", "--daemon-address=127.0.0.1:"+rpc,
			"--shared-ringdb-dir="+filepath.Join(dir, "ring"), "--wallet-dir="+dir, "--log-file="+filepath.Join(folder, name+".log"),
			"--rpc-bind-ip=127.0.0.1", "--rpc-bind-port="+at)}
	}
	n.Payer, n.Shop = open("payer"), open("shop")
	n.Payer.Create("payer")
	n.miner = n.Payer.Main
	n.Shop.Watch("shop")
	n.Mine(78) // sixty bury a reward until it can be spent, and a ring has sixteen
	return n
}

// empty is a file of settings with none in it: those of the machine are not for tests.
func empty(t testing.TB, folder string) string {
	t.Helper()
	name := filepath.Join(folder, "none.conf")
	check.OK(t, os.WriteFile(name, nil, 0o600))
	return name
}

func port(t testing.TB) string {
	t.Helper()
	_, port, err := net.SplitHostPort(program.Free(t))
	check.OK(t, err)
	return port
}

// process is a program with the file of what it prints, its port, and a call that it answers
// when it is ready.
type process struct{ program, out, port, ready string }

// start runs a program until the test ends, and waits until it answers.
func start(t testing.TB, p process, args ...string) server {
	t.Helper()
	s := server{RPC: program.RPC{URL: "http://127.0.0.1:" + p.port}}
	s.process = program.Run(t, p.out, exec.Command(p.program, args...))
	program.Await(t, filepath.Base(p.program)+" answers", func() error { return s.Ask(nil, p.ready, nil) })
	return s
}

// Hang has the process neither answer nor end, until it is let go.
func (s *server) Hang() (letGo func() error, err error) {
	return func() error { return s.process.Signal(syscall.SIGCONT) }, s.process.Signal(syscall.SIGSTOP)
}

// Ask makes a call and reads its result into out, unless that is nil.
func (s *server) Ask(out any, method string, params any) error {
	if params == nil {
		params = struct{}{}
	}
	rpc := s.RPC
	rpc.URL += "/json_rpc"
	return rpc.Ask(out, method, params)
}

// Config is how Scrip is told of the shop's wallet.
func (n *Node) Config() []byte {
	text, err := json.Marshal(map[string]any{"url": n.Shop.URL, "node_url": n.rpc.URL, "address": n.Shop.Main, "network": "regtest"})
	check.OK(n.t, err)
	return text
}

// Mine makes so many blocks. What waits is in the first of them: the node would leave out
// what it has not finished taking in.
func (n *Node) Mine(blocks int) {
	n.t.Helper()
	for !n.ready() {
		check.OK(n.t, clock.Wait(n.t.Context(), 20*time.Millisecond))
	}
	check.OK(n.t, n.rpc.Ask(nil, "generateblocks", map[string]any{"amount_of_blocks": blocks, "wallet_address": n.miner, "starting_nonce": 0}))
}

// ready reports whether all that waits would be in the next block.
func (n *Node) ready() bool {
	n.t.Helper()
	var pool struct {
		Hashes []string `json:"tx_hashes"`
	}
	check.OK(n.t, n.rpc.Post("/get_transaction_pool_hashes", struct{}{}, &pool))
	var next struct {
		Backlog []struct {
			ID string `json:"id"`
		} `json:"tx_backlog"`
	}
	check.OK(n.t, n.rpc.Ask(&next, "get_miner_data", nil))
	return len(next.Backlog) >= len(pool.Hashes)
}

// Height is how many blocks there are.
func (n *Node) Height() (height int64) {
	n.t.Helper()
	var info struct {
		Height int64 `json:"height"`
	}
	check.OK(n.t, n.rpc.Ask(&info, "get_info", nil))
	return info.Height
}

// Pop gives up the newest blocks. What was in them waits for others again.
func (n *Node) Pop(blocks int) {
	n.t.Helper()
	var reply struct {
		Status string `json:"status"`
	}
	check.OK(n.t, n.rpc.Post("/pop_blocks", map[string]int{"nblocks": blocks}, &reply))
	if reply.Status != "OK" {
		n.t.Fatalf("pop_blocks: %s", reply.Status)
	}
}

// Flush has the node forget every transaction that waits.
func (n *Node) Flush() {
	n.t.Helper()
	check.OK(n.t, n.rpc.Ask(nil, "flush_txpool", nil))
}

// Send gives a transaction to the node, and reports whether it took it.
func (n *Node) Send(raw string) bool {
	n.t.Helper()
	var reply struct {
		Status string `json:"status"`
	}
	check.OK(n.t, n.rpc.Post("/send_raw_transaction", map[string]string{"tx_as_hex": raw}, &reply))
	return reply.Status == "OK"
}

// Create makes a wallet that can spend and opens it.
func (w *Wallet) Create(name string) {
	w.t.Helper()
	check.OK(w.t, w.Ask(nil, "create_wallet", map[string]any{"filename": name, "language": "English"}))
	w.Main = w.primary()
}

// Watch makes two wallets with the same new keys, name-spend and name-view, of which the
// second one cannot spend, and opens that.
func (w *Wallet) Watch(name string) {
	w.t.Helper()
	w.Create(name + "-spend")
	w.key = w.viewKey()
	w.Again(name + "-view")
}

// Again makes the shop's wallet anew, from its address and its view key, and opens it.
func (w *Wallet) Again(name string) {
	w.t.Helper()
	check.OK(w.t, w.Ask(nil, "generate_from_keys", map[string]any{"filename": name, "address": w.Main, "viewkey": w.key, "password": "", "restore_height": 0}))
}

// Open opens a wallet that was made before.
func (w *Wallet) Open(name string) {
	w.t.Helper()
	check.OK(w.t, w.Ask(nil, "open_wallet", map[string]any{"filename": name}))
	w.Main = w.primary()
}

func (w *Wallet) primary() string {
	w.t.Helper()
	var answer struct {
		Address string `json:"address"`
	}
	check.OK(w.t, w.Ask(&answer, "get_address", nil))
	return answer.Address
}

func (w *Wallet) viewKey() string {
	w.t.Helper()
	var answer struct {
		Key string `json:"key"`
	}
	check.OK(w.t, w.Ask(&answer, "query_key", map[string]any{"key_type": "view_key"}))
	return answer.Key
}

// Part is what one output pays to whom, in piconero.
type Part struct {
	Address string `json:"address"`
	Amount  uint64 `json:"amount"`
}

// Paid is a transaction and how the node is given it.
type Paid struct {
	ID     string `json:"tx_hash"`
	Raw    string `json:"tx_blob"`
	Amount uint64 `json:"amount"`
}

// Pay makes a transaction with an output for each part and sends it.
func (w *Wallet) Pay(parts ...Part) Paid {
	w.t.Helper()
	return w.transfer(map[string]any{"destinations": parts})
}

// PayLocked makes a payment that can be spent from a block on.
func (w *Wallet) PayLocked(until int64, parts ...Part) Paid {
	w.t.Helper()
	return w.transfer(map[string]any{"destinations": parts, "unlock_time": until})
}

// Coin returns the name of money that can be spent.
func (w *Wallet) Coin() string {
	w.t.Helper()
	var answer struct {
		Transfers []struct {
			KeyImage string `json:"key_image"`
			Unlocked bool   `json:"unlocked"`
		} `json:"transfers"`
	}
	check.OK(w.t, w.Ask(nil, "refresh", nil))
	check.OK(w.t, w.Ask(&answer, "incoming_transfers", map[string]any{"transfer_type": "available"}))
	for _, coin := range answer.Transfers {
		if coin.Unlocked {
			return coin.KeyImage
		}
	}
	w.t.Fatal("there is nothing to spend")
	return ""
}

// Prepare makes a transaction that pays all of a coin to an address. It neither sends nor
// remembers it, so that another one may spend the same coin.
func (w *Wallet) Prepare(coin, to string) (made Paid) {
	w.t.Helper()
	check.OK(w.t, w.Ask(&made, "sweep_single", map[string]any{"address": to, "key_image": coin, "do_not_relay": true, "get_tx_hex": true}))
	return made
}

func (w *Wallet) transfer(params map[string]any) (made Paid) {
	w.t.Helper()
	params["get_tx_hex"] = true
	check.OK(w.t, w.Ask(nil, "refresh", nil))
	check.OK(w.t, w.Ask(&made, "transfer", params))
	return made
}
