// Package bitcoind runs bitcoind for tests: on a chain of its own, on loopback, in a folder
// of its test's, until its test ends. Where scripts/nodes.sh could not get the program, the
// tests that ask for it are skipped, and say so.
package bitcoind

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/testkit/program"
)

// Variable names the program. Without it, the one that scripts/nodes.sh keeps is used.
const Variable = "SCRIP_TEST_BITCOIND"

// Server is one that runs.
type Server struct {
	program.RPC
	// Cookie is the file with the user and the password that it made at its start.
	Cookie string
}

// find returns where the program is.
func find(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(Variable); path != "" {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "scrip-test", "nodes", "bitcoind", "bitcoind")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("left out: bitcoind (make test gets it; %s names another one)", Variable)
	}
	return path
}

// Start runs it, with an index of all transactions and without a wallet or other nodes, until
// the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	path, folder, at := find(t), t.TempDir(), program.Free(t)
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{RPC: program.RPC{URL: "http://" + at}, Cookie: filepath.Join(folder, "cookie")}
	s.Login = func(r *http.Request) {
		line, _ := os.ReadFile(s.Cookie) // it is not there before the start is over
		if user, password, ok := strings.Cut(strings.TrimSpace(string(line)), ":"); ok {
			r.SetBasicAuth(user, password)
		}
	}
	// Knots makes small blocks unless it is told otherwise. Core does not know the word, and
	// takes no offence at it in a file.
	if err := os.WriteFile(filepath.Join(folder, "bitcoin.conf"), []byte("[regtest]\nblockmaxsize=3900000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	program.Run(t, filepath.Join(folder, "out"), exec.Command(path, "-regtest", "-server", "-txindex", "-disablewallet", "-datadir="+folder,
		"-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1", "-rpcport="+port, "-rpccookiefile="+s.Cookie,
		"-listen=0", "-connect=0", "-dnsseed=0", "-fixedseeds=0", "-par=1", "-dbcache=16", "-blockmaxweight=3900000",
		"-nodebuglogfile", "-printtoconsole=0"))
	program.Await(t, "bitcoind answers", func() error { return s.Ask(nil, "getblockcount", nil) })
	return s
}
