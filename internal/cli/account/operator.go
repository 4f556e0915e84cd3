package account

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) operator() *cobra.Command {
	cmd := &cobra.Command{Use: "operator", Short: "Operators of this installation: make, list, disable, enable"}
	var name, role string
	create := &cobra.Command{
		Use: "create", Short: "Make an operator and a first key, shown this once", Args: cobra.NoArgs,
		Example: "  scrip operator create --name Ada\n  scrip operator create --name 'Night shift' --role support",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				o, err := app.Accounts.CreateOperator(ctx, shell.Actor(), account.NewOperator{Name: name, Role: account.Role(role)})
				if err != nil {
					return err
				}
				issued, err := app.Accounts.CreateOperatorKey(ctx, shell.Actor(), account.NewOperatorKey{Operator: o.ID, Name: "first key"})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"operator_id", o.ID}, {"role", o.Role}, {"secret", issued.Secret.Reveal()}})
			})
		},
	}
	create.Flags().StringVar(&name, "name", "", "the operator's name")
	create.Flags().StringVar(&role, "role", string(account.RoleAdmin), "admin, support or auditor")
	shell.Must(create.MarkFlagRequired("name"))
	list := &cobra.Command{
		Use: "list", Short: "List operators", Args: cobra.NoArgs,
		Example: `  scrip operator list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				found, err := all(ctx, app.Accounts.ListOperators)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"operator_id", "name", "role", "state"}}
				for _, o := range found {
					l.Add(o.ID, o.Name, o.Role, o.State)
				}
				return p.Print(cmd, l)
			})
		},
	}
	cmd.AddCommand(create, list,
		p.operatorState("disable", "End what an operator may do, with all keys, at once", account.OperatorDisabled),
		p.operatorState("enable", "Let an operator who was disabled in again", account.OperatorActive))
	return cmd
}

func (p *program) operatorState(use, short string, to account.OperatorState) *cobra.Command {
	return &cobra.Command{
		Use: use + " OPERATOR", Short: short, Args: cobra.ExactArgs(1),
		Example: "  scrip operator " + use + " opr_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				o, err := app.Accounts.SetOperatorState(ctx, shell.Actor(), account.OperatorID(args[0]), to)
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"operator_id", o.ID}, {"name", o.Name}, {"role", o.Role}, {"state", o.State}})
			})
		},
	}
}
