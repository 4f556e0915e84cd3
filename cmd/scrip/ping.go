package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/quote"
	"github.com/scripcards/scrip/internal/platform/config"
)

// apiKeyVariable holds the key of the API, which is no setting of the server's.
const apiKeyVariable = config.Prefix + "API_KEY"

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
  scrip ping --network visa_gift                           asks for the number and the PIN
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
	number, err := pan.ParseAlnum(q.number.Reveal())
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

// maxSecretFile bounds a file that holds one secret, in bytes.
const maxSecretFile = 4096

// secretFile reads a secret that stands alone in a file.
func secretFile(path string) (pan.Secret, error) {
	text, err := readBounded(path, maxSecretFile)
	if err != nil {
		return pan.Secret{}, err
	}
	return pan.NewSecret(strings.TrimSpace(string(text))), nil
}

// asker reads secrets from standard input, a line each.
type asker struct {
	terminal int // its descriptor; -1: it is none
	lines    *bufio.Scanner
	prompt   io.Writer
}

func newAsker(cmd *cobra.Command) *asker {
	in := cmd.InOrStdin()
	a := &asker{terminal: -1, lines: bufio.NewScanner(in), prompt: cmd.ErrOrStderr()}
	if file, ok := in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		a.terminal = int(file.Fd())
	}
	return a
}

// secret reads the next one, which a terminal is asked for and does not show. Where
// there are no more lines it is empty.
func (a *asker) secret(what string) (pan.Secret, error) {
	if a.terminal >= 0 {
		_, _ = fmt.Fprintf(a.prompt, "%s: ", what)
		text, err := term.ReadPassword(a.terminal)
		_, _ = fmt.Fprintln(a.prompt)
		return pan.NewSecret(strings.TrimSpace(string(text))), err
	}
	if !a.lines.Scan() {
		return pan.Secret{}, a.lines.Err()
	}
	return pan.NewSecret(strings.TrimSpace(a.lines.Text())), nil
}

// outcome is what the server says of one check.
type outcome struct {
	Result *struct {
		ID         string      `json:"id"`
		Status     string      `json:"status"`
		Balance    json.Number `json:"balance"`
		Currency   string      `json:"currency"`
		Expiry     *string     `json:"expiry"`
		Score      json.Number `json:"fraud_score"`
		Signals    []string    `json:"fraud_signals"`
		AIVerified bool        `json:"ai_verified"`
		Network    string      `json:"network"`
		LatencyMS  int64       `json:"latency_ms"`
	} `json:"result"`
	Error *refusal `json:"error"`
}

// refusal is how the server refuses.
type refusal struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s: %s (request %s)", r.Code, r.Message, r.RequestID)
}

func (o *outcome) expiry() string {
	if o.Result.Expiry == nil {
		return ""
	}
	return *o.Result.Expiry
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
	return p.show(cmd, []field{{"status", r.Status}, {"balance", r.Balance.String()}, {"currency", r.Currency}, {"expiry", o.expiry()},
		{"fraud score", r.Score.String()}, {"fraud signals", strings.Join(r.Signals, " ")}, {"ai verified", strconv.FormatBool(r.AIVerified)},
		{"network", r.Network}, {"latency ms", strconv.FormatInt(r.LatencyMS, 10)}, {"check", r.ID}})
}

// perRequest is how many checks a request may have.
const perRequest = 100

func (p *program) pingFile(cmd *cobra.Command, to *service, f *pinging) error {
	all, err := f.rows(cmd)
	if err != nil {
		return err
	}
	report := newPingReport(cmd, p.output)
	bar := newBarOf("check", int64(len(all)))
	for batch := range slices.Chunk(all, perRequest) {
		var outcomes []outcome
		if outcomes, err = to.batch(cmd.Context(), batch); err != nil {
			err = fmt.Errorf("rows %d to %d: %w", report.rows+1, report.rows+len(batch), err)
			break
		}
		for i := range batch {
			report.add(&batch[i], &outcomes[i])
		}
		bar.set(int64(report.rows))
	}
	bar.end()
	if err := errors.Join(report.end(p, cmd), err); err != nil {
		return err
	}
	if report.refused > 0 {
		return fmt.Errorf("%d of %d rows were refused", report.refused, report.rows)
	}
	return nil
}

// Bounds of a file.
const (
	maxCards     = 100_000
	maxCardField = 256 // bytes
)

// rows reads the cards of the file. It sends nothing: a file that is wrong is refused whole.
func (f *pinging) rows(cmd *cobra.Command) ([]inquiry, error) {
	source := cmd.InOrStdin()
	if f.file != "-" {
		opened, err := os.Open(f.file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }() // only read
		source = opened
	}
	reader := csv.NewReader(source)
	reader.TrimLeadingSpace = true
	head, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("the first line must name the columns: %w", err)
	}
	place, err := places(head)
	if err != nil {
		return nil, err
	}
	run := id.New("cli")
	var all []inquiry
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := reader.FieldPos(0)
		q, err := f.row(place, record)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		q.key = run + "-" + strconv.Itoa(len(all)+1)
		if all = append(all, q); len(all) > maxCards {
			return nil, fmt.Errorf("want at most %d cards in a file", maxCards)
		}
	}
}

// places finds the columns.
func places(head []string) (map[string]int, error) {
	found := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		_, twice := found[name]
		if twice || !slices.Contains([]string{"card_number", "pin", "network", "currency"}, name) {
			return nil, fmt.Errorf("column %d: want card_number, pin, network and currency, each once", i+1)
		}
		found[name] = i
	}
	if _, ok := found["card_number"]; !ok {
		return nil, errors.New("there is no column card_number")
	}
	return found, nil
}

func (f *pinging) row(place map[string]int, record []string) (inquiry, error) {
	value := func(name, otherwise string) string {
		if i, ok := place[name]; ok && strings.TrimSpace(record[i]) != "" {
			return strings.TrimSpace(record[i])
		}
		return otherwise
	}
	for name, i := range place {
		if len(record[i]) > maxCardField {
			return inquiry{}, fmt.Errorf("%s has more than %d bytes", name, maxCardField)
		}
	}
	q := inquiry{number: pan.NewSecret(value("card_number", "")), pin: pan.NewSecret(value("pin", "")),
		network: value("network", f.network), currency: value("currency", f.currency)}
	switch {
	case q.number.IsZero():
		return q, errors.New("there is no card_number")
	case q.network == "":
		return q, errors.New("there is no network, and no --network for rows without one")
	}
	return q, nil
}

// pingReport is the rows of the result, which CSV gets as they come.
type pingReport struct {
	listing
	csv           *csv.Writer
	rows, refused int
}

func newPingReport(cmd *cobra.Command, form string) *pingReport {
	r := &pingReport{listing: listing{columns: []string{"ROW", "LAST4", "NETWORK", "STATUS", "BALANCE", "CURRENCY", "EXPIRY", "SCORE", "SIGNALS", "CHECK", "ERROR"}}}
	if form == formCSV {
		r.csv = csv.NewWriter(cmd.OutOrStdout())
		_ = r.csv.Write(strings.Split(strings.ToLower(strings.Join(r.columns, ",")), ",")) // the error comes with Flush
	}
	return r
}

func (r *pingReport) add(q *inquiry, o *outcome) {
	r.rows++
	row := []string{strconv.Itoa(r.rows), q.last4(), q.network, "", "", "", "", "", "", "", ""}
	if found := o.Result; found != nil {
		row = append(row[:3], found.Status, found.Balance.String(), found.Currency, o.expiry(), found.Score.String(), strings.Join(found.Signals, " "), found.ID, "")
	} else {
		r.refused++
		row[len(row)-1] = o.Error.Error()
	}
	if r.csv == nil {
		r.listing.add(row...)
		return
	}
	_ = r.csv.Write(row) // the error comes with Flush
	r.csv.Flush()
}

func (r *pingReport) end(p *program, cmd *cobra.Command) error {
	if r.csv == nil {
		return p.print(cmd, r.listing)
	}
	r.csv.Flush()
	return r.csv.Error()
}

// service is a running server's API.
type service struct {
	client  *http.Client
	base    string
	key     pan.Secret
	reached bool // it answered before: what fails now may come back
}

// service finds the server and the key. Numbers go in the clear to this machine alone.
func (f *pinging) service() (*service, error) {
	base, err := url.Parse(strings.TrimSuffix(f.url, "/"))
	if err != nil || base.Hostname() == "" || base.User != nil || base.RawQuery != "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, errors.New("--url: want an address such as https://cards.example")
	}
	if base.Scheme == "http" && !config.IsLoopback(net.JoinHostPort(base.Hostname(), "80")) {
		return nil, errors.New("--url: card numbers would go over the network in the clear: want https")
	}
	key := pan.NewSecret(os.Getenv(apiKeyVariable))
	if f.keyFile != "" {
		if key, err = secretFile(f.keyFile); err != nil {
			return nil, err
		}
	}
	if key.IsZero() {
		return nil, fmt.Errorf("an API key is required: name its file with --key-file or set %s", apiKeyVariable)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // the key stays with the server
	return &service{client: client, base: base.String(), key: key}, nil
}

// batch checks cards in one request; the outcomes are in their order.
func (s *service) batch(ctx context.Context, all []inquiry) ([]outcome, error) {
	body := []byte(`{"checks":[`)
	for i := range all {
		if i > 0 {
			body = append(body, ',')
		}
		body = all[i].appendJSON(body)
	}
	answer, err := s.post(ctx, "/v1/cards/ping/batch", append(body, `]}`...))
	if err != nil {
		return nil, err
	}
	var got struct {
		Results []outcome `json:"results"`
	}
	if err := json.Unmarshal(answer, &got); err != nil || len(got.Results) != len(all) {
		return nil, errors.New("the server's answer does not fit the request: is it Scrip's address?")
	}
	for i := range got.Results {
		if o := &got.Results[i]; (o.Result == nil) == (o.Error == nil) {
			return nil, fmt.Errorf("the server's answer to check %d is neither a result nor a refusal", i+1)
		}
	}
	return got.Results, nil
}

// How failures of the moment are waited out. Every check has a key of its own, so that
// one which was made before an answer got lost is not made again.
const (
	mostTries   = 5
	mostWaits   = 30
	longestWait = 2 * time.Minute
	maxAnswer   = 4 << 20 // bytes
)

// post sends a request until it is answered or refused for good.
func (s *service) post(ctx context.Context, path string, body []byte) ([]byte, error) {
	tries, waits := 0, 0
	for {
		answer, wait, err := s.once(ctx, path, body)
		refused := &refusal{}
		switch {
		case err == nil:
			s.reached = true
			return answer, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &refused) && refused.Code == "rate_limited":
			if waits++; waits > mostWaits || wait > longestWait {
				return nil, err
			}
		case !s.reached || errors.As(err, &refused) && !slices.Contains([]string{"overloaded", "timeout", "internal_error"}, refused.Code):
			return nil, err
		default:
			if tries++; tries == mostTries {
				return nil, err
			}
			wait = max(wait, time.Second<<(tries-1))
		}
		if err := clock.Wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// once sends a request and returns the answer, or the refusal with how long to wait.
func (s *service) once(ctx context.Context, path string, body []byte) ([]byte, time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-API-Key", s.key.Reveal())
	response, err := s.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = response.Body.Close() }() // read, or given up
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, 0, err
	}
	if response.StatusCode == http.StatusOK {
		return answer, 0, nil
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // none is no wait
	var refused struct {
		Error *refusal `json:"error"`
	}
	if err := json.Unmarshal(answer, &refused); err != nil || refused.Error == nil {
		return nil, 0, fmt.Errorf("the server answers %s", response.Status)
	}
	return nil, time.Duration(seconds) * time.Second, refused.Error
}
