package system

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) job() *cobra.Command {
	cmd := &cobra.Command{
		Use: "job", Short: "Background work that was given up: list, retry, delete",
		Long: `Background work that fails is tried again with growing pauses. What failed the last
time that it may lies among the dead letters, for 90 days, until somebody retries or
deletes it.`,
	}
	cmd.AddCommand(p.listDead(), p.retryDead(), p.deleteDead())
	return cmd
}

func (p *program) listDead() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the work that was given up, with what went wrong last", Args: cobra.NoArgs,
		Example: "  scrip job list\n  scrip job list -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				l := shell.Listing{Columns: []string{"job_id", "kind", "book_id", "realm", "attempts", "died_at", "error"}}
				err := job.EachDead(ctx, app.DB, func(d job.Dead) bool {
					l.Add(d.ID, d.Kind, d.Book, d.Realm, d.Attempts, d.DiedAt, strings.Join(strings.Fields(d.LastError), " "))
					return true
				})
				if err != nil {
					return err
				}
				return p.Print(cmd, l)
			})
		},
	}
}

func (p *program) retryDead() *cobra.Command {
	return p.changeDead(deadChange{action: "job.retry", do: job.RetryDead, said: "is due again"}, &cobra.Command{
		Use: "retry JOB", Short: "Have it tried again, as often as at first",
		Example: "  scrip job retry job_01…",
	})
}

func (p *program) deleteDead() *cobra.Command {
	return p.changeDead(deadChange{action: "job.delete", do: job.DeleteDead, said: "is deleted"}, &cobra.Command{
		Use: "delete JOB", Short: "Give it up for good",
		Example: "  scrip job delete job_01…",
	})
}

// deadChange is what is done to a dead letter.
type deadChange struct {
	action string // for the audit log
	do     func(context.Context, *storage.Tx, job.Key) error
	said   string
}

func (p *program) changeDead(c deadChange, cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
			dead, err := job.FindDead(ctx, app.DB, args[0])
			if err != nil {
				return err
			}
			record := audit.Record{Actor: shell.Actor(), Action: c.action, Subject: dead.ID, Book: dead.Book,
				Detail: map[string]string{"kind": dead.Kind}, At: app.Clocks.Now(realm.Live)}
			err = app.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
				if err := c.do(ctx, tx, dead.Key); err != nil {
					return err
				}
				return app.Audit.Append(ctx, tx, record)
			})
			if err == nil {
				cmd.PrintErrln(dead.ID, c.said)
			}
			return err
		})
	}
	return cmd
}
