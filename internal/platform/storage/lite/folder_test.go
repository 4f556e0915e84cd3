package lite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage/lite"
)

// A log that became long is folded beside its writer, and begins anew: it stays as long as
// it was, however much is written, and nothing in it is lost.
func TestFoldedLogBeginsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	connect := func(pragmas ...string) *lite.Conn {
		c, err := lite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, pragma := range pragmas {
			exec(t, c, "PRAGMA "+pragma)
		}
		return c
	}
	writer := connect("journal_mode = WAL", "wal_autocheckpoint = 0")
	turn, folded := make(chan struct{}, 1), make(chan struct{})
	folder := lite.NewFolder(connect("user_version"), func(last func()) {
		turn <- struct{}{}
		last()
		<-turn
		folded <- struct{}{}
	}, func(err error) { t.Error(err) })
	exec(t, writer, "CREATE TABLE things (id INTEGER PRIMARY KEY, text TEXT) STRICT")
	text := strings.Repeat("x", 3000)
	written, longest, rounds := 0, int64(0), 4
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		for long := false; !long; long = writer.IsLong() {
			turn <- struct{}{}
			exec(t, writer, "BEGIN")
			for range 500 {
				exec(t, writer, "INSERT INTO things (text) VALUES ($1)", text)
				written++
			}
			exec(t, writer, "COMMIT")
			<-turn
		}
		folder.Wake()
		<-folded
		log, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			longest = log.Size()
		} else if log.Size() > longest+longest/10 {
			t.Errorf("round %d: the log has %d bytes, and had %d", round, log.Size(), longest)
		}
	}
	if err := folder.Close(); err != nil {
		t.Error(err)
	}
	if got := exec(t, writer, "UPDATE things SET text = ''"); got != int64(written) {
		t.Errorf("%d rows, want %d", got, written)
	}
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
}
