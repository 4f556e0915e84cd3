package btcnode

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"github.com/scripcards/scrip/internal/testkit/program"
)

const (
	rpcUser     = "scrip"
	rpcPassword = "only for this test"
)

// Start runs btcd on loopback until the test ends.
func Start(t testing.TB, miner Wallet) *Node {
	t.Helper()
	return start(t, miner, false)
}

// StartTLS is Start for nodes that speak to btcd with TLS alone.
func StartTLS(t testing.TB, miner Wallet) *Node {
	t.Helper()
	return start(t, miner, true)
}

func start(t testing.TB, miner Wallet, secure bool) *Node {
	t.Helper()
	at := program.Free(t)
	n := &Node{t: t, folder: t.TempDir(), miner: miner, blocks: map[string]*wire.MsgBlock{}, generate: func(blocks int) (string, []any) { return "generate", []any{blocks} }}
	n.login = map[string]any{"user": rpcUser, "password_file": n.password()}
	n.rpc = program.RPC{URL: "http://" + at, Login: func(r *http.Request) { r.SetBasicAuth(rpcUser, rpcPassword) }}
	must(t, os.WriteFile(n.password(), []byte(rpcPassword+"\n"), 0o600))
	channel := []string{"--notls"}
	if secure {
		n.rpc.URL, n.rpc.Client = "https://"+at, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{VerifyConnection: n.verify, InsecureSkipVerify: true}}}
		channel = []string{"--rpccert=" + n.Certificate(), "--rpckey=" + filepath.Join(n.folder, "rpc.key")}
	}
	program.Run(t, filepath.Join(n.folder, "out"), exec.Command(n.build(), append(channel, "--regtest", "--nolisten", "--nodnsseed", "--txindex", "--addrindex",
		"--relaynonstd", "--debuglevel=error", "--configfile="+filepath.Join(n.folder, "none"), "--datadir="+filepath.Join(n.folder, "data"),
		"--logdir="+filepath.Join(n.folder, "log"), "--rpclisten="+at, "--rpcuser="+rpcUser, "--rpcpass="+rpcPassword, "--miningaddr="+miner.Address)...))
	program.Await(t, "btcd answers", func() error { return n.Call("getblockcount") })
	return n
}

// build builds the node that scripts/nodes pins, unless Go's cache has it, and returns where
// it is.
func (n *Node) build() string {
	n.t.Helper()
	build := exec.Command("go", "tool", "-n", "btcd")
	build.Dir = filepath.Join(program.Root(n.t, "scripts/nodes/go.mod"), "scripts", "nodes")
	var complaints bytes.Buffer
	build.Stderr = &complaints
	path, err := build.Output()
	if err != nil {
		n.t.Fatalf("build btcd: %v\n%s", err, complaints.String())
	}
	return strings.TrimSpace(string(path))
}

// verify compares the node's certificate with the one in its file, which it makes at its start.
func (n *Node) verify(c tls.ConnectionState) error {
	text, err := os.ReadFile(n.Certificate())
	if err != nil {
		return err
	}
	if block, _ := pem.Decode(text); block == nil || !bytes.Equal(block.Bytes, c.PeerCertificates[0].Raw) {
		return errors.New("btcd has another certificate than its own")
	}
	return nil
}

// Certificate is the file of the certificate that a node with TLS has.
func (n *Node) Certificate() string { return filepath.Join(n.folder, "rpc.cert") }

// Access is where the node's RPC is, HOST:PORT, and who may call it.
func (n *Node) Access() (address, user, password string) {
	_, address, _ = strings.Cut(n.rpc.URL, "://")
	return address, rpcUser, rpcPassword
}

func (n *Node) password() string { return filepath.Join(n.folder, "password") }
