package system

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/storage/dump"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) backup() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write one consistent state of the database to a file, while it runs",
		Long: `Backup writes everything in the database to one file that either engine can restore.
Secrets in it stay sealed, and the master key is not in it: keep that elsewhere.`,
		Example: "  scrip backup scrip-2026-11-21.backup",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				bar := shell.NewBar(cmd, "backup")
				m, err := dump.Backup(ctx, app.DB, args[0], dump.Options{Clock: clock.System(), Replace: replace, Progress: bar.Dump})
				bar.End()
				if err != nil {
					return err
				}
				return p.Show(cmd, manifestFields(args[0], m))
			})
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "overwrite the file")
	return cmd
}

func manifestFields(path string, m dump.Manifest) []shell.Field {
	return []shell.Field{{"file", path}, {"made", m.CreatedAt}, {"engine", m.Engine}, {"tables", len(m.Tables)}, {"rows", m.Rows()}}
}

func (p *program) restore() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Fill an empty database from a backup, and prove the result",
		Long: `Restore checks the whole file before it writes, fills an empty database on either
engine, and then verifies the books and the audit log as "scrip verify" does. It
needs the master key of the installation that made the backup.

A restore that did not end leaves an empty database, which every other command and the
server refuse until one has ended there.

Payouts of bitcoin are stopped in what was restored: those that left after the backup
was made would leave once more. "scrip cashout resume --help" says what to do first.
Addresses for deposits that were given since would be given to others: pass over as
many with "scrip wallet skip" before the server is started.`,
		Example: `  scrip restore scrip-2026-11-21.backup --data ./restored
  scrip restore scrip-2026-11-21.backup --database postgres://scrip@db.example/scrip`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.runRestore(cmd, args[0]) },
	}
}

func (p *program) runRestore(cmd *cobra.Command, path string) error {
	if err := p.fill(cmd, path); err != nil {
		return err
	}
	return p.With(cmd, func(ctx context.Context, app *server.App) error {
		books, log, err := proof(ctx, cmd, app)
		if err != nil {
			return err
		}
		if err := verdict(cmd, books, log); err != nil {
			return err
		}
		cmd.PrintErrln("verified:", plain.Count(books.Transactions, "transaction", "transactions"), "and", plain.Count(int64(log.Records), "audit record", "audit records"))
		return nil
	})
}

// usable returns why nothing can be restored from the file at path. It needs no database.
func usable(cmd *cobra.Command, path string) error {
	bar := shell.NewBar(cmd, "restore")
	defer bar.End()
	m, err := dump.Verify(cmd.Context(), path, dump.Options{Clock: clock.System(), Progress: bar.Dump})
	if err != nil {
		return err
	}
	return m.Suits()
}

// fill restores into the database alone: nothing else may write while it is half full.
func (p *program) fill(cmd *cobra.Command, path string) (err error) {
	c, _, err := p.Settings(cmd)
	if err != nil {
		return err
	}
	found, err := server.HasMasterKey(shell.Options(c, nil))
	if err != nil {
		return err
	}
	if err := usable(cmd, path); err != nil { // before anything is made that would have to be cleared away
		return err
	}
	if !found {
		return fmt.Errorf("there is no master key: put the master.key of the installation that made the backup into %s, or set SCRIP_MASTER_KEY", c.Data)
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	db, err := server.OpenDatabase(cmd.Context(), shell.Options(c, nil))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := dump.Begin(cmd.Context(), db); err != nil {
		return fmt.Errorf("restore %s: %w", path, err)
	}
	if _, err := db.Migrate(cmd.Context()); err != nil {
		return err
	}
	bar := shell.NewBar(cmd, "restore")
	var stopped []realm.Realm
	m, err := dump.Restore(cmd.Context(), db, path, dump.Options{Clock: clock.System(), Progress: bar.Dump,
		Check: func(ctx context.Context, q storage.Queryer) error {
			return server.CheckMasterKey(ctx, q, shell.Options(c, nil))
		},
		Also: func(ctx context.Context, tx *storage.Tx) (err error) {
			stopped, err = server.StopPayouts(ctx, tx, audit.New(db), shell.Actor())
			return err
		}})
	bar.End()
	if err != nil {
		return err
	}
	for _, r := range stopped {
		cmd.PrintErrf("payouts of the %s realm are stopped: see \"scrip cashout resume --help\"\n", r)
	}
	return p.Show(cmd, manifestFields(path, m))
}
