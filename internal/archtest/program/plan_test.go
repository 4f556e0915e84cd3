package program

import (
	"regexp"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// plans are how SQLite runs the statements of the program.
func plans(t *testing.T) map[string][]string {
	t.Helper()
	all, err := storage.Plans(t.Context(), testkit.Open(t, testkit.Database(t, "sqlite")))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var usedIndex = regexp.MustCompile(`\bINDEX (\w+)`)

// An index that no statement looks into costs every write and is for nothing. Unique ones are
// rules besides.
func TestIndexesAreUsed(t *testing.T) {
	used := map[string]bool{}
	for _, steps := range plans(t) {
		for _, found := range usedIndex.FindAllStringSubmatch(strings.Join(steps, "\n"), -1) {
			used[found[1]] = true
		}
	}
	for _, table := range readSchema(t).Tables {
		for _, index := range table.Indexes {
			if !used[index.Name] {
				t.Errorf("no statement uses %s", index.Name)
			}
		}
	}
}

// sorted are the statements that read everything to return a page of it, by reason.
var sorted = map[string][]string{
	"what one order, owner, payment or address has, which is little": {"image.find_alike", "image.list", "image.list_open", "image.list_own_traces", "image.list_refused",
		"image.list_twins", "simulator.list_payments", "stock.first_look", "stock.list_held", "stock.list_reveals", "stock.sold_with"},
	"what waits or is overdue, which does not stay":                          {"authorization.due_of_card", "cashout.list_waiting", "ping.end_slowed", "review.list_waiting", "supply.list_open"},
	"what operators make one by one":                                         {"fraud.find_in_use", "fraud.find_model_sum", "fraud.newest_snapshot", "stock.list_batches", "stock.page_batches"},
	"the countries of one day":                                               {"phone.list_traffic"},
	"what the simulated nodes sent":                                          {"simulator.list_coins", "simulator.list_paid", "simulator.list_sent"},
	"all addresses of a chain, which are compared":                           {"wallet.deposit_list_recent"},
	"lists in an order that no index has, since each would cost every write": {"issuing.list_unused", "issuing.list_used", "order.list_largest", "order.list_largest_in", "order.list_smallest", "order.list_smallest_in"},
}

// A page is read in the order of an index, and takes as long however much there is.
func TestPagesAreReadInOrder(t *testing.T) {
	statements, all := storage.Statements(), plans(t)
	judge(t, sorted, func(name string) string {
		steps := strings.Join(all[name], "\n")
		if strings.Contains(statements[name], "LIMIT") && strings.Contains(steps, "USE TEMP B-TREE FOR ORDER BY") {
			return "sorts all that it finds:\n" + steps
		}
		return ""
	})
}

// Questions about a few of the rows that somebody has go to the index that was made for them.
func TestQuestionsGoToTheirIndex(t *testing.T) {
	all := plans(t)
	for name, index := range map[string]string{
		"cashout.list_waiting":                  "cashout_orders_by_status",
		"claim.find_claimed":                    "claim_codes_by_code",
		"dispute.find_open":                     "disputes_by_payment",
		"ledger.sum_overdue":                    "ledger_holds_by_expiry",
		"order.list_exchanges":                  "order_replacements_by_order",
		"order.load_changes":                    "order_changes_by_order",
		"payout.find_unbuilt":                   "payout_batches_watched",
		"payout.list_batches":                   "payout_batches_watched",
		"stock.list_sold":                       "stock_codes_by_order",
		"webhook.cancel_deliveries":             "webhook_deliveries_due",
		"webhook.list_by_endpoint":              "webhook_deliveries_by_endpoint",
		"authorization.list_challenges_of_card": "authorization_challenges_by_card",
	} {
		if steps := strings.Join(all[name], "\n"); !strings.Contains(steps, "INDEX "+index+" ") {
			t.Errorf("%s does not use %s:\n%s", name, index, steps)
		}
	}
}

// lowerBound is a condition that has a column above a parameter.
var lowerBound = regexp.MustCompile(`\b(?:AND|WHERE|NOT) ((?:\w+\.)?\w+) >=? (\$\d+)`)

// SQLite goes to the first of a column's lower bounds and reads on from there, however far
// behind it the others are.
func TestColumnsHaveOneLowerBound(t *testing.T) {
	for name, text := range storage.Statements() {
		bounds := map[string]string{}
		for _, found := range lowerBound.FindAllStringSubmatch(text, -1) {
			column, parameter := found[1], found[2]
			if other, bound := bounds[column]; bound && other != parameter {
				t.Errorf("%s has %s above %s and above %s: the caller knows the greater one", name, column, other, parameter)
			}
			bounds[column] = parameter
		}
	}
}
