package e2e

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// refused runs a command that must end badly and returns what it says.
func (at *installation) refused(t *testing.T, args ...string) string {
	t.Helper()
	cmd := at.command(t, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if cmd.Run() == nil {
		t.Fatalf("scrip %s: not refused", strings.Join(args, " "))
	}
	return stderr.String()
}

// Of a log of which a sector is another verify tells; what is given up then is told of and in the audit
// log. Nothing is cut while a server goes on with it.
func TestCutDamagedLog(t *testing.T) {
	at := newInstallation(t, "sqlite")
	server := at.start(t, "--demo")
	caller := newCaller(t, server.base, 1)
	for n := range 80 {
		caller.newCard(t, "10", "damage-"+strconv.Itoa(n))
	}
	log, err := os.OpenFile(filepath.Join(at.dir, "scrip.db-wal"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // what was written is written
	size, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.WriteAt(bytes.Repeat([]byte{0xa5}, 512), size/2/512*512); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" { // elsewhere it is not known who has it open
		if said := at.refused(t, "verify", "--cut-damaged-log"); !strings.Contains(said, "another process has the database open") {
			t.Errorf("beside a server: %s", said)
		}
	}
	server.kill()
	if said := at.refused(t, "verify"); !strings.Contains(said, "log is damaged at frame") {
		t.Errorf("verify: %s", said)
	}
	cut := at.command(t, "verify", "--cut-damaged-log")
	if said, err := cut.CombinedOutput(); err != nil || !strings.Contains(string(said), "given up") {
		t.Errorf("cut: %v, %s", err, said)
	}
	if problems := at.fields(t, "verify")["problems"]; problems != "0" {
		t.Errorf("the books have %s problems", problems)
	}
	server = at.start(t, "--demo")
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.base+"/operator/v1/audit", nil)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("Authorization", "Bearer op_demo")
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }() // only read
	records, err := io.ReadAll(answer.Body)
	if err != nil || !bytes.Contains(records, []byte(`"database.cut_log"`)) || !bytes.Contains(records, []byte(`"damage":"at frame `)) {
		t.Errorf("the audit log: %v, %s", err, records)
	}
	server.stop(t)
}
