package testkit

import (
	"database/sql"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// EndConnections has the server end connections of a database that are at something, a few at
// a time, as it does with all when it is stopped, until what it returns is called.
func EndConnections(t testing.TB, config storage.Config) (stop func()) {
	t.Helper()
	server, err := sql.Open("pgx", config.URL)
	if err != nil {
		t.Fatal(err)
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-over:
				return
			default:
			}
			_, err := server.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' LIMIT 2`)
			if err == nil {
				_, err = server.ExecContext(t.Context(), "SELECT pg_sleep(0.01)")
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	return func() {
		close(over)
		<-ended
		_ = server.Close() // it has told what it had to
	}
}
