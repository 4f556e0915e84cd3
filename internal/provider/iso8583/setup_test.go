package iso8583

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/provider/simulator"
)

const (
	zonePINKey = "0123456789ABCDEFFEDCBA9876543210"
	testPIN    = "1234"
	// patience bounds how long a test waits for what must happen.
	patience = 30 * time.Second
	// hostVariable makes the test binary a host, in a process of its own.
	hostVariable = "SCRIP_TEST_ISO8583_HOST"
)

func TestMain(m *testing.M) {
	if bitmap := os.Getenv(hostVariable); bitmap != "" {
		if err := beHost(bitmap); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beHost is what the other process does: it says where it listens, and serves until
// its input ends.
func beHost(bitmap string) error {
	host, err := simulator.Listen("127.0.0.1:0", hostConfig(bitmap))
	if err != nil {
		return err
	}
	fmt.Println(host.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = host.Close()
	}()
	return host.Serve()
}

// startProcess starts a host as a process, and returns its address.
func startProcess(t *testing.T, bitmap string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), hostVariable+"="+bitmap)
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		if err := command.Wait(); err != nil {
			t.Errorf("the host's process: %v", err)
		}
	})
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("the host says nothing: %v", err)
	}
	return strings.TrimSpace(address)
}

// startHost starts a host in this process.
func startHost(t *testing.T, change func(*simulator.Config)) string {
	t.Helper()
	config := hostConfig("binary")
	if change != nil {
		change(&config)
	}
	host, err := simulator.Listen("127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- host.Serve() }()
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return host.Addr().String()
}

// cards are the cards of every host, by what they are for. Their numbers are in no
// range that is issued.
var cards = map[string]simulator.Card{
	"good":      {Minor: 4750, Ledger: 5000, Expiry: "2703"},
	"other":     {Minor: 12, Ledger: 12},
	"great":     {Minor: 999999999999, Ledger: 0},
	"overdrawn": {Minor: -1, Ledger: 0},
	"pin":       {Minor: 100, PIN: pan.NewSecret(testPIN)},
	"lost":      {Code: "41"},
	"expired":   {Code: "54", Expiry: "2001"},
	"tried":     {Code: "75"},
	"alien":     {Code: "15"},
	"away":      {Code: "91"},
	"strange":   {Code: "Z9"},
	"silent":    {Trouble: simulator.Silent},
	"reset":     {Trouble: simulator.Reset},
	"half":      {Trouble: simulator.Half},
	"garbage":   {Trouble: simulator.Garbage},
	"oversize":  {Trouble: simulator.Oversize},
	"flood":     {Trouble: simulator.Flood},
	"twice":     {Minor: 77, Trouble: simulator.Twice},
	"late":      {Minor: 66, Trouble: simulator.Late},
	"stranger":  {Minor: 55, Trouble: simulator.Stranger},
	"corrupt":   {Trouble: simulator.Corrupt},
	"empty":     {Trouble: simulator.Empty},
}

// numberOf gives each card a number.
func numberOf(name string) string {
	sum := uint32(7)
	for _, char := range []byte(name) {
		sum = sum*31 + uint32(char)
	}
	return fmt.Sprintf("990000%010d", sum)
}

func hostConfig(bitmap string) simulator.Config {
	config := simulator.Config{HexBitmap: bitmap == "hex", ZonePINKey: pan.NewSecret(zonePINKey)}
	usd, err := money.Parse("USD")
	if err != nil {
		return config
	}
	for name, card := range maps.All(cards) {
		number, err := pan.Parse(numberOf(name))
		if err != nil {
			return config
		}
		card.Number, card.Currency = number, usd
		config.Cards = append(config.Cards, card)
	}
	return config
}

// object is a JSON object.
type object map[string]any

// usual is a configuration for a test: quick to notice and to come back.
func usual(t *testing.T, address string) object {
	t.Helper()
	key := filepath.Join(t.TempDir(), "zpk")
	if err := os.WriteFile(key, []byte(zonePINKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return object{
		"address": address, "bitmap": "binary", "terminal_id": "SCRIP1", "merchant_id": "SCRIP", "acquirer_id": "990001",
		"pin": "iso0", "pin_key_file": key, "currencies": []string{"USD"},
		"timeout_ms": 20000, "reconnect_ms": 10, "reconnect_max_ms": 20,
	}
}

func (o object) with(changes object) object {
	copied := maps.Clone(o)
	maps.Copy(copied, changes)
	maps.DeleteFunc(copied, func(_ string, v any) bool { return v == nil })
	return copied
}

func mustOpen(t *testing.T, config object) *network {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open("", text)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	n := opened.(*network)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func about(t testing.TB, name string) ping.Inquiry {
	t.Helper()
	number, err := pan.Parse(numberOf(name))
	if err != nil {
		t.Fatal(err)
	}
	return ping.Inquiry{Book: "bk_1", Realm: realm.Live, Number: number, Currency: currency(t, "USD")}
}

func currency(t testing.TB, code string) money.Currency {
	t.Helper()
	c, err := money.Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ask(t *testing.T, n *network, name string) (ping.Balance, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return n.Inquire(ctx, about(t, name))
}

// askUntil asks until there is an answer: after a fault there is a pause without a connection.
func askUntil(t *testing.T, n *network, name string) ping.Balance {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		b, err := ask(t, n, name)
		if err == nil {
			return b
		}
		if time.Now().After(deadline) {
			t.Fatalf("no answer any more: %v", err)
		}
		runtime.Gosched()
	}
}

// wantFault checks the code of an error, and that it says nothing that it may not.
func wantFault(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error = %v, want %s", err, code)
	}
	for name := range cards {
		if strings.Contains(err.Error(), numberOf(name)[6:]) {
			t.Errorf("the error holds a number: %v", err)
		}
	}
	if strings.Contains(err.Error(), testPIN) || strings.Contains(err.Error(), zonePINKey[:8]) {
		t.Errorf("the error holds a secret: %v", err)
	}
}

// running counts goroutines of this package's networks, and the library's.
func running() (int, string) {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	count := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "iso8583.(*link)") || strings.Contains(stack, "iso8583.(*session)") ||
			strings.Contains(stack, "iso8583.(*network)") || strings.Contains(stack, "iso8583-connection") {
			count++
		}
	}
	return count, string(stacks)
}

// wantRunning waits until so many goroutines are left.
func wantRunning(t *testing.T, most int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		count, stacks := running()
		if count <= most {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left, want %d:\n%s", count, most, stacks)
		}
		runtime.Gosched()
	}
}

// counter counts events by what they are.
type counter struct {
	mu          sync.Mutex
	functions   map[string]int // of network management; "" for inquiries
	connections int
}

func (c *counter) observe(e simulator.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.functions == nil {
		c.functions = map[string]int{}
	}
	c.functions[e.Function]++
	c.connections = max(c.connections, e.Connection)
}

// of returns how often a function was asked for, and the connections so far.
func (c *counter) of(function string) (times, connections int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.functions[function], c.connections
}
