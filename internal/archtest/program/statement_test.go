package program

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// Both engines compile every statement of the program.
func TestStatementsCompile(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		if err := storage.PrepareAll(t.Context(), db); err != nil {
			t.Error(err)
		}
	})
}

// acrossOwners are the statements that may reach rows of many owners, by reason.
var acrossOwners = map[string][]string{
	"lists for operators, who see all customers": {"account.list_customers", "account.search_customers", "audit.list_all_after", "audit.list_all_before",
		"claim.list_claims", "claim.list_in_state", "dispute.list", "dispute.list_in_state", "fraud.find_decision", "fraud.list_history", "job.find_dead", "job.list_dead", "order.scan_all", "ping.list_suspended", "supply.list_open", "webhook.list_realm_after", "webhook.list_realm_before"},
	"where a number of rows of a list for operators ends":                 {"audit.end_of_all", "fraud.end_decisions", "webhook.end_realm_after", "webhook.end_realm_before"},
	"questions about the operator's suppliers, whosever orders they have": {"supply.count_open"},
	"payouts of a realm, which share transactions and nodes, whosever they are": {"payout.count_open", "payout.list_batched", "payout.list_ended", "payout.list_open",
		"payout.list_payouts", "payout.list_waiting", "payout.oldest_above", "payout.sum_held"},
	"proofs of everything there is": {"account.list_books", "audit.walk_chains", "audit.list_emptied", "ledger.count_holds", "ledger.count_holds_by_book", "ledger.next_used", "ledger.verify_books"},
	"purges of what is over": {"account.purge_challenges", "account.purge_nonces", "fraud.purge_decisions", "idempotency.purge_answers", "job.purge_dead",
		"ping.end_slowed", "ping.lift_visitors", "ping.purge_callers", "ping.purge_pings", "ping.purge_probes", "portal.purge_challenges",
		"webhook.delete_endpoints", "webhook.list_old"},
	"sweeps for what is due, which is then done book by book": {"authorization.due_payments", "authorization.end_challenges", "dispute.list_due",
		"giftcard.due_cards", "issuing.due_cards", "ledger.busy_books", "ledger.due_holds", "ping.list_probes", "ping.newest_ping", "wallet.deposit_list_recent",
		"wallet.deposit_list_watched"},
	"the queue: workers take what is due, whosever it is": {"job.claim_due", "job.delay_dead", "job.find_due", "job.find_lease", "job.find_lost", "job.reclaim_dead",
		"job.reclaim_lost", "job.renew_leases", "webhook.any_pending", "webhook.claim_pending"},
	"what a chain told of all addresses at once":          {"wallet.deposit_close_gaps", "wallet.deposit_shorten_gaps"},
	"what every process keeps in memory of all customers": {"catalog.changed_tiers", "ping.changed_callers", "quota.changed", "wallet.changed_alerts", "webhook.list_changed"},
}

// Every statement on customers' data says whose rows it is about, so that it can be
// sent to the one server that has them; what must look at all of them is listed.
func TestStatementsNameTheirOwner(t *testing.T) {
	all := readSchema(t)
	statements := storage.Statements()
	judge(t, acrossOwners, func(name string) string {
		if problems := all.Strays(statements[name]); len(problems) > 0 {
			return strings.Join(problems, "; ") + "\n" + statements[name]
		}
		return ""
	})
}

// judge fails with every statement that something is wrong with, but those that are excused, by
// reason, and with every excuse that nobody needs.
func judge(t *testing.T, excused map[string][]string, wrong func(name string) string) {
	t.Helper()
	reasons := map[string]string{}
	for reason, names := range excused {
		for _, name := range names {
			reasons[name] = reason
		}
	}
	for _, name := range slices.Sorted(maps.Keys(storage.Statements())) {
		complaint := wrong(name)
		reason, known := reasons[name]
		delete(reasons, name)
		switch {
		case complaint != "" && !known:
			t.Errorf("%s: %s", name, complaint)
		case complaint == "" && known:
			t.Errorf("%s needs no excuse as one of the %s", name, reason)
		}
	}
	for name := range reasons {
		t.Errorf("%s is excused and does not exist", name)
	}
}

// A package's statements are about its own tables: what is another's it asks for.
func TestStatementsStayAtHome(t *testing.T) {
	all := readSchema(t)
	statements := storage.Statements()
	for _, name := range slices.Sorted(maps.Keys(statements)) {
		home, _, _ := strings.Cut(name, ".")
		for _, table := range all.Mentioned(statements[name]) {
			if belongs := homeOf(table); belongs != home && belongs != roomOf[home] {
				t.Errorf("%s is about %s, which belongs to %s", name, table, belongs)
			}
		}
	}
}

// roomOf is the room of the packages whose tables have its name.
var roomOf = map[string]string{"address": "wallet", "deposit": "wallet", "phone": "cashout", "customer": "cashout", "review": "cashout", "minted": "order"}

// homeOf returns the package that a table belongs to: the first part of its name, in the singular.
func homeOf(table string) string {
	if table == "realm_clock" {
		return "account" // it keeps the test realm's clock with the customers
	}
	first, _, _ := strings.Cut(table, "_")
	return strings.TrimSuffix(first, "s")
}
