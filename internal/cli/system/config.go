package system

import (
	"errors"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) config() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at the configuration"}
	cmd.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Show every setting, where it comes from, and what is wrong",
		Long: `Check puts flags, environment (SCRIP_…), file and defaults together as serve does and
shows the result. Secrets are masked. It opens the files that settings name, too, and those
that these name, and calls nobody. It exits with 1 when a setting is wrong.`,
		Example: "  scrip config check\n  SCRIP_LISTEN=127.0.0.1:9000 scrip config check --config scrip.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, origin, err := p.Settings(cmd)
			if origin == nil {
				return err
			}
			l := shell.Listing{Columns: []string{"setting", "value", "from", "environment", "about"}}
			for _, s := range c.Describe(origin) {
				l.Add(s.Name, s.Value, s.Origin, s.Environment, s.About)
			}
			for _, text := range config.Misspelt(os.Environ()) {
				cmd.PrintErrln("note:", text)
			}
			o := shell.Options(c, nil)
			o.ProxyList = c.ProxyList
			return errors.Join(p.Print(cmd, l), err, server.Check(o, c.ACMERoots))
		},
	})
	return cmd
}

func (p *program) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Example: `  scrip version
  scrip version -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			revision := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = s.Value
					}
				}
			}
			return p.Show(cmd, []shell.Field{{"version", server.Version()}, {"revision", revision}, {"go", runtime.Version()}, {"platform", runtime.GOOS + "/" + runtime.GOARCH}})
		},
	}
}
