package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/storage/wal"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) migrate() *cobra.Command {
	var status bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long: `Migrate applies what is missing, each migration in a transaction of its own. serve
and the other commands do the same when they open the database.`,
		Example: "  scrip migrate\n  scrip migrate --status",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.runMigrate(cmd, status) },
	}
	cmd.Flags().BoolVar(&status, "status", false, "show what is applied and what is pending; change nothing")
	return cmd
}

func (p *program) runMigrate(cmd *cobra.Command, status bool) (err error) {
	c, _, err := p.Settings(cmd)
	if err != nil {
		return err
	}
	if status && !server.Exists(shell.Options(c, nil)) {
		return fmt.Errorf("there is no database in %s yet, and all migrations are pending: name another directory with --data, or make one with scrip migrate", c.Data)
	}
	if !status {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
	}
	db, err := server.OpenDatabase(cmd.Context(), shell.Options(c, nil))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := storage.Whole(cmd.Context(), db); err != nil {
		return err
	}
	if !status {
		if _, err := db.Migrate(cmd.Context()); err != nil {
			return err
		}
	}
	migrations, err := db.MigrationStatus(cmd.Context())
	if err != nil {
		return err
	}
	l := shell.Listing{Columns: []string{"version", "name", "applied"}}
	for _, m := range migrations {
		var applied any = shell.Cell{Text: "pending"}
		if m.AppliedAt != 0 {
			applied = storage.Time(m.AppliedAt)
		}
		l.Add(fmt.Sprintf("%04d", m.Version), m.Name, applied)
	}
	return errors.Join(p.Print(cmd, l), storage.Suits(migrations))
}

func (p *program) verify() *cobra.Command {
	cut := false
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove the books and the audit log",
		Long: `Verify reads one consistent state of the database and proves that every transaction
sums to zero, every balance is the sum of its entries, no account is below its
floor, every hold ends at most once, and that the chains of hashes of the books
and of the audit log are unbroken. It can run beside a server. It exits with 1
when anything is wrong.

An embedded database whose log was damaged on its disk is opened by nobody. With
--cut-damaged-log it goes on without what lies behind the damage, says how much that
is, and notes it in the audit log. No server may run meanwhile. Restore a backup
instead if you have one that lacks less; copy the files of the database before.`,
		Example: "  scrip verify\n  scrip verify -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cut {
				return p.cutLog(cmd)
			}
			return p.WithExisting(cmd, p.runVerify(cmd))
		},
	}
	cmd.Flags().BoolVar(&cut, "cut-damaged-log", false, "give up what lies behind damage to the log of the embedded database")
	return cmd
}

// cutLog has the database opened once without what lies behind damage to its log, says and
// records what that is, and verifies what is left.
func (p *program) cutLog(cmd *cobra.Command) error {
	c, _, err := p.Settings(cmd)
	if err != nil {
		return err
	}
	var cut wal.Report
	o := shell.Options(c, nil)
	o.CutDamagedLog = func(found wal.Report) {
		cut = found
		cmd.PrintErrf("the database's log is damaged %s: at least %s behind it given up\n", cut.Place(), plain.Count(cut.Lost, "transaction", "transactions"))
	}
	if server.Exists(o) { // otherwise WithExisting says so
		db, err := server.OpenDatabase(cmd.Context(), o)
		if err != nil {
			return err
		}
		if err := db.Close(); err != nil {
			return err
		}
	}
	return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
		if cut.Lost > 0 {
			record := audit.Record{Actor: shell.Actor(), Action: "database.cut_log", At: app.Clocks.Now(realm.Live),
				Detail: map[string]string{"damage": cut.Place(), "transactions": strconv.Itoa(cut.Lost)}}
			if err := app.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return app.Audit.Append(ctx, tx, record) }); err != nil {
				return err
			}
		}
		return p.runVerify(cmd)(ctx, app)
	})
}

func (p *program) runVerify(cmd *cobra.Command) func(context.Context, *server.App) error {
	return func(ctx context.Context, app *server.App) error {
		books, log, err := proof(ctx, cmd, app)
		if err != nil {
			return err
		}
		err = p.Show(cmd, []shell.Field{{"books", books.Books}, {"accounts", books.Accounts},
			{"transactions", books.Transactions}, {"entries", books.Entries}, {"holds", books.Holds},
			{"audit records", log.Records}, {"problems", books.Found + len(log.Breaks)}})
		if err != nil {
			return err
		}
		return verdict(cmd, books, log)
	}
}

// proof verifies the books and the audit log, and shows how far it is.
func proof(ctx context.Context, cmd *cobra.Command, app *server.App) (ledger.Report, audit.Report, error) {
	bar := shell.NewBar(cmd, "verify: transactions")
	defer bar.End()
	return app.Verify(ctx, func(r ledger.Report) { bar.Set(int64(r.Transactions)) })
}

// verdict lists what is wrong; nothing wrong is no error.
func verdict(cmd *cobra.Command, books ledger.Report, log audit.Report) error {
	for _, problem := range books.Problems {
		cmd.PrintErrln("wrong:", problem)
	}
	for _, broken := range log.Breaks {
		cmd.PrintErrln("wrong:", broken)
	}
	if found := books.Found + len(log.Breaks); found > 0 {
		return fmt.Errorf("verify: %s", plain.Count(found, "problem", "problems"))
	}
	return nil
}

func (p *program) vault() *cobra.Command {
	cmd := &cobra.Command{Use: "vault", Short: "Rotate the keys under which secrets are sealed"}
	rotate := &cobra.Command{
		Use:     "rotate",
		Short:   "Seal from now on under a new data key",
		Long:    "Rotate adds a data key. What older keys sealed still opens; running servers follow by themselves.",
		Example: `  scrip vault rotate`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				if err := app.Vault.Rotate(ctx, app.Record(shell.Actor(), "vault.rotate")); err != nil {
					return err
				}
				cmd.Println("a new data key seals from now on")
				return nil
			})
		},
	}
	master := &cobra.Command{
		Use:   "rotate-master",
		Short: "Seal the data keys under a new master key",
		Long: `Rotate-master draws a master key and seals the data keys under it. It replaces the
file master.key of the data directory. Where the master key comes from
SCRIP_MASTER_KEY it prints the new one, this once, before it depends on it: put it
there before the next start. Servers that run keep running.`,
		Example: `  scrip vault rotate-master`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				return p.rotateMaster(ctx, cmd, app)
			})
		},
	}
	cmd.AddCommand(rotate, master)
	return cmd
}

func (p *program) rotateMaster(ctx context.Context, cmd *cobra.Command, app *server.App) error {
	c, _, err := p.Settings(cmd)
	if err != nil {
		return err
	}
	record := app.Record(shell.Actor(), "vault.rotate_master")
	if c.MasterKey.IsZero() {
		if err := app.Vault.RotateMasterFile(ctx, record); err != nil {
			return err
		}
		cmd.PrintErrln("master.key is a new one")
		return nil
	}
	next := vault.NewMasterKey()
	if err := p.Show(cmd, []shell.Field{{"master key", next.Text().Reveal()}}); err != nil {
		return err
	}
	return app.Vault.RotateMaster(ctx, next, record)
}
