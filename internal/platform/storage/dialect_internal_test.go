package storage

import (
	"fmt"
	"net"
	"syscall"
	"testing"
)

// A check against a list becomes one against each of it on SQLite, and only there; the
// conditions of indexes, which queries repeat word by word, stay as they are.
func TestChecksAgainstLists(t *testing.T) {
	const text = "CREATE TABLE t (\n\tstate TEXT NOT NULL CHECK (state IN ('', 'open', 'closed')),\n\tleft BIGINT NOT NULL CHECK (left IN (0, 1))\n);\n" +
		"CREATE INDEX t_open ON t (left) WHERE state IN ('', 'open');\n"
	const want = "CREATE TABLE t (\n\tstate TEXT NOT NULL CHECK (state = '' OR state = 'open' OR state = 'closed'),\n\tleft INTEGER NOT NULL CHECK (left = 0 OR left = 1)\n) STRICT, WITHOUT ROWID;\n" +
		"CREATE INDEX t_open ON t (left) WHERE state IN ('', 'open');\n"
	if got := sqlite.schema(text); got != want {
		t.Errorf("on SQLite:\n%s\nwant:\n%s", got, want)
	}
	const server = "CREATE TABLE t (\n\tstate TEXT COLLATE \"C\" NOT NULL CHECK (state IN ('', 'open', 'closed')),\n\tleft BIGINT NOT NULL CHECK (left IN (0, 1))\n);\n" +
		"CREATE INDEX t_open ON t (left) WHERE state IN ('', 'open');\n"
	if got := postgres.schema(text); got != server {
		t.Errorf("on PostgreSQL:\n%s\nwant:\n%s", got, server)
	}
}

// A database whose connection was reset under a statement is away; what happens on somebody
// else's connection is nothing of the database's.
func TestLostConnection(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	if err := fmt.Errorf("find card: %w", wrap("card.find", fmt.Errorf("receive: %w", reset))); !IsAway(err) {
		t.Errorf("IsAway(%v) = false", err)
	}
	if err := fmt.Errorf("ask the host: %w", reset); IsAway(err) {
		t.Errorf("IsAway(%v) = true", err)
	}
}
