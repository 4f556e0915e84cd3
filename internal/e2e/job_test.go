package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// Work that was given up is listed, tried again and deleted from the command line, whosever
// it is, and what was done stands in the audit log.
func TestDeadLetters(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		at.run(t, "operator", "create", "--name", "Ada")
		db := testkit.Open(t, storage.Config{URL: at.database, Path: filepath.Join(at.dir, "scrip.db")})
		queue := job.New(db, clock.NewRealms(clock.System()), slog.New(slog.DiscardHandler))
		broken := errors.New("the printer\nis on fire")
		queue.Handle("card.print", job.Options{}, func(context.Context, job.Job) error { return job.Discard(broken) })
		check.OK(t, db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			return tx.Apply(ctx, []storage.Effect{job.Enqueue(job.Request{Kind: "card.print", Book: "bk_1"}), job.Enqueue(job.Request{Kind: "card.print", Book: "bk_2"})})
		}))
		check.OK(t, queue.Drain(t.Context()))

		dead := deadLetters(t, at)
		if len(dead) != 2 || dead[0].Book != "bk_1" || dead[0].Kind != "card.print" || dead[0].Attempts != 1 || !strings.Contains(dead[0].Error, "on fire") {
			t.Fatalf("dead letters: %v", dead)
		}
		if table := at.run(t, "job", "list"); strings.Count(table, "\n") != 3 {
			t.Errorf("want a line for each:\n%s", table)
		}
		at.run(t, "job", "retry", dead[0].Job)
		at.run(t, "job", "delete", dead[1].Job)
		if left := deadLetters(t, at); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		broken = errors.New("still on fire")
		check.OK(t, queue.Drain(t.Context()))
		if again := deadLetters(t, at); len(again) != 1 || again[0].Job != dead[0].Job || again[0].Error != "still on fire" {
			t.Errorf("after another try: %v", again)
		}
		if err := at.command(t, "job", "retry", dead[1].Job).Run(); err == nil {
			t.Error("what was deleted was tried again")
		}
		actions, err := storage.All(t.Context(), db, storage.Scalar[string], auditedJobs)
		check.OK(t, err)
		check.List(t, "audited", actions, "job.delete", "job.retry")
	})
}

var auditedJobs = storage.SQL("e2e.audited_jobs", `SELECT action FROM audit_records WHERE action LIKE 'job.%' ORDER BY action`)

type deadLetter struct {
	Job         string `json:"job_id"`
	Book        string `json:"book_id"`
	Kind, Error string
	Attempts    int
}

func deadLetters(t *testing.T, at *installation) []deadLetter {
	t.Helper()
	var dead []deadLetter
	check.OK(t, json.Unmarshal([]byte(at.run(t, "job", "list", "-o", "json")), &dead))
	return dead
}
