package upload

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"net/http"
	"testing"
)

// Who sends a photo while the database is away is told to come again, as callers of the APIs are.
func TestDatabaseAway(t *testing.T) {
	for want, err := range map[int]error{
		http.StatusServiceUnavailable:  fmt.Errorf("keep photo: %w", driver.ErrBadConn),
		http.StatusInternalServerError: errors.New("nobody thought of this"),
	} {
		if got := failed(t.Context(), err); got.status != want || (got.err != nil) != (want == http.StatusInternalServerError) {
			t.Errorf("%v: %d, to be logged: %v", err, got.status, got.err)
		}
	}
}
