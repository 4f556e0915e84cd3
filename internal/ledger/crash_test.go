package ledger_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// victimVariable tells this test program to be the process that is killed; it holds the
// database's URL or path.
const victimVariable = "SCRIP_LEDGER_VICTIM"

// A process that is killed while it posts has lost nothing that it acknowledged, and whoever
// retries all its keys gets each done once, with its effects.
func TestKilledProcess(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			config := testkit.Database(t, engine)
			db, _ := shop(t, config, 1_000_000)
			acknowledged := killVictim(t, config, 300)
			again, err := storage.Open(context.Background(), config)
			check.OK(t, err)
			books := ledger.New(again, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
			highest := 0
			for key := range acknowledged {
				if _, found, err := books.FindByKey(context.Background(), theBook, fmt.Sprint("order-", key)); !found || err != nil {
					t.Fatalf("order-%d was acknowledged and is gone: %v", key, err)
				}
				highest = max(highest, key)
			}
			keys := highest + 50 // some were under way, some had not begun
			crowd.AtOnce(16, func(i int) {
				for key := i; key < keys; key += 16 {
					name := fmt.Sprint("order-", key)
					if o, err := books.Submit(context.Background(), buy(name, name)); err != nil || acknowledged[key] && !o.Replayed {
						t.Errorf("retry of %s: %v, replayed %t", name, err, o.Replayed)
					}
				}
			})
			if posted, _ := balance(t, books, "wallet"); posted != int64(1_000_000-keys) || len(orders(t, db)) != keys {
				t.Errorf("posted %d and %d orders, want %d and %d", posted, len(orders(t, db)), 1_000_000-keys, keys)
			}
			verified(t, again)
			books.Close()
			check.OK(t, again.Close())
		})
	}
}

// killVictim starts this program as a process that buys without end, kills it after it has
// acknowledged n orders, and returns their numbers.
func killVictim(t *testing.T, config storage.Config, n int) map[int]bool {
	t.Helper()
	var complaints bytes.Buffer
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), victimVariable+"="+config.URL+config.Path)
	victim.Stderr = &complaints
	output, err := victim.StdoutPipe()
	check.OK(t, err)
	check.OK(t, victim.Start())
	acknowledged := map[int]bool{}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		key, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			break // the last line may be cut short
		}
		if acknowledged[key] = true; len(acknowledged) == n {
			check.OK(t, victim.Process.Kill())
		}
	}
	check.OK(t, lines.Err())
	if err := victim.Wait(); err == nil || len(acknowledged) < n {
		t.Fatalf("the process ended by itself after %d orders: %v\n%s", len(acknowledged), err, complaints.String())
	}
	return acknowledged
}

// runVictim buys with sixteen callers and prints the number of each order when it is done.
func runVictim(where string) error {
	config := storage.Config{Path: where}
	if strings.HasPrefix(where, "postgres") {
		config = storage.Config{URL: where}
	}
	db, err := storage.Open(context.Background(), config)
	if err != nil {
		return err
	}
	books := ledger.New(db, clock.NewRealms(clock.NewManual(epoch)), ledger.Config{})
	var (
		group sync.WaitGroup
		out   sync.Mutex
	)
	errs := make(chan error, 16)
	for i := range 16 {
		group.Go(func() {
			for key := i; key < 1_000_000; key += 16 {
				name := fmt.Sprint("order-", key)
				if _, err := books.Submit(context.Background(), buy(name, name)); err != nil {
					errs <- err
					return
				}
				out.Lock()
				fmt.Println(key)
				out.Unlock()
			}
		})
	}
	group.Wait()
	return <-errs
}
