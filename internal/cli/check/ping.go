package check

import (
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/quote"
	"github.com/scripcards/scrip/internal/platform/config"
)

// pinging is what the flags of ping ask for.
type pinging struct {
	url, keyFile               string
	network, currency, pinFile string
	file                       string
}

func (p *program) ping() *cobra.Command {
	var f pinging
	cmd := &cobra.Command{
		Use:   "ping [NUMBER]",
		Short: "Check the balance of a card, or of every card in a file, on a running server",
		Long: `Ping asks a running server for balances over its API, with a key of the customer's.

A number and a PIN on the command line can be read by everybody on the machine: leave
the number out, and it is asked for on a terminal, or read from standard input, where
a second line is the PIN.

With --file it checks every row of a CSV file whose first line names the columns
card_number, pin, network and currency, in any order; all but the first may be absent.
The rows of the result are in the order of the file and hold no number. Rows that are
refused say why, and the status is 1 then. A connection that breaks, or a limit, makes
it wait and go on; no card is checked twice.`,
		Example: `  export SCRIP_API_KEY=cp_test_sk_demo
  scrip ping --network visa_gift                           # asks for the number and the PIN
  scrip ping --network visa_gift --pin-file pin < number
  scrip ping --file cards.csv -o csv > balances.csv
  scrip ping --file cards.csv --network visa_gift --url https://cards.example --key-file key`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := f.service()
			if err != nil {
				return err
			}
			switch {
			case f.file != "" && (len(args) > 0 || f.pinFile != ""):
				return errors.New("--file has the numbers and PINs: give no others")
			case f.file != "":
				return p.pingFile(cmd, to, &f)
			case f.network == "":
				return errors.New("name the network with --network: GET /v1/networks lists them")
			}
			one, err := f.one(cmd, args)
			if err != nil {
				return err
			}
			return p.pingOne(cmd, to, &one)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", "http://"+config.Default().Listen, "the server's address")
	flags.StringVar(&f.keyFile, "key-file", "", "file with the API key; without it "+apiKeyVariable+" holds it")
	flags.StringVar(&f.network, "network", "", "the card's network; of a file the rows that name none")
	flags.StringVar(&f.currency, "currency", "", "ISO 4217 code; empty: USD")
	flags.StringVar(&f.pinFile, "pin-file", "", "file with the PIN")
	flags.StringVar(&f.file, "file", "", "CSV file of cards; - is standard input")
	shell.OfferCSV(cmd, "file")
	return cmd
}

// inquiry is one card to be checked.
type inquiry struct {
	number, pin       pan.Secret
	network, currency string
	key               string // what makes it the same when it is sent again
}

// appendJSON appends the request of one check.
func (q *inquiry) appendJSON(dst []byte) []byte {
	dst = quote.JSON(append(dst, `{"card_number":`...), q.number.Reveal())
	dst = quote.JSON(append(dst, `,"network":`...), q.network)
	if !q.pin.IsZero() {
		dst = quote.JSON(append(dst, `,"pin":`...), q.pin.Reveal())
	}
	if q.currency != "" {
		dst = quote.JSON(append(dst, `,"currency":`...), q.currency)
	}
	dst = quote.JSON(append(dst, `,"idempotency_key":`...), q.key)
	return append(dst, '}')
}

// last4 is the end of a number that is one.
func (q *inquiry) last4() string {
	number, err := pan.ParseAlnum(pan.Plain(q.number.Reveal()))
	if err != nil {
		return ""
	}
	return number.Last4()
}

// one puts a single inquiry together from the command line, files and standard input.
func (f *pinging) one(cmd *cobra.Command, args []string) (q inquiry, err error) {
	q = inquiry{network: f.network, currency: f.currency, key: id.New("cli")}
	asker := newAsker(cmd)
	if len(args) > 0 {
		q.number = pan.NewSecret(args[0])
	} else if q.number, err = asker.secret("card number"); err != nil {
		return q, err
	}
	switch {
	case f.pinFile != "":
		q.pin, err = secretFile(f.pinFile)
	case len(args) == 0:
		q.pin, err = asker.secret("PIN, if there is one")
	}
	return q, err
}

func (p *program) pingOne(cmd *cobra.Command, to *service, q *inquiry) error {
	answer, err := to.post(cmd.Context(), "/v1/cards/ping", q.appendJSON(nil))
	if err != nil {
		return err
	}
	var o outcome
	if err := json.Unmarshal(answer, &o.Result); err != nil || o.Result == nil {
		return errors.New("the server's answer is no balance check's: is it Scrip's address?")
	}
	r := o.Result
	return p.Show(cmd, []shell.Field{{"status", r.Status}, {"balance", r.Balance.String()}, {"currency", r.Currency}, {"expiry", o.expiry()},
		{"fraud score", r.Score}, {"fraud signals", r.Signals}, {"ai verified", r.AIVerified}, {"network", r.Network}, {"latency ms", r.LatencyMS}, {"check", r.ID}})
}
