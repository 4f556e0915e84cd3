package ping

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	pingColumns = `p.book_id, p.ping_id, p.realm, p.network, p.card_hash, p.credential, p.address, p.status, p.balance_minor,
		p.currency, p.expiry_month, p.score, p.signals, p.model, p.decision_id, p.latency_us, p.label, p.known_at, p.created_at`
	callerColumns  = `book_id, caller, realm, hour_at, cards, found, earlier_cards, earlier_found, state, reason, changed_at`
	cardColumns    = `card_hash, wrong_1_at, wrong_2_at, wrong_3_at, wrong_4_at, wrong_5_at, locked_until, asked_at`
	networkColumns = `realm, network_id, name, type, kind, lengths, prefixes, letters, pin_required, currencies,
		timeout_ms, attempts, concurrency, config, state, version, created_at, changed_at`
	honeyColumns = `honey_id, realm, network, card_hash, last4, note, state, created_at`
)

// Checks.
var (
	insertPing = storage.Insert("ping.insert_ping", "pings", "book_id", "ping_id", "realm", "network", "card_hash", "credential", "address",
		"status", "balance_minor", "currency", "expiry_month", "score", "signals", "model", "decision_id", "latency_us", "label", "owner_book", "owner_card",
		"known_at", "created_at")
	findPing  = storage.SQL("ping.find_ping", `SELECT `+pingColumns+` FROM pings p WHERE p.book_id = $1 AND p.ping_id = $2`)
	listPings = storage.SQL("ping.list_pings", `SELECT `+pingColumns+` FROM pings p
		WHERE p.book_id = $1 AND p.ping_id < $2 ORDER BY p.ping_id DESC LIMIT $3`)
	labelPing = storage.SQL("ping.label_ping", `UPDATE pings SET label = $3 WHERE book_id = $1 AND ping_id = $2`)
	// labelDecided finds a check by its decision, among those of its moment.
	labelDecided = storage.SQL("ping.label_decided", `UPDATE pings SET label = $5 WHERE book_id = $1 AND realm = $2 AND created_at = $3 AND decision_id = $4`)
	purgePings   = storage.SQL("ping.purge_pings", `DELETE FROM pings WHERE (book_id, ping_id) IN (
		SELECT p.book_id, p.ping_id FROM pings p WHERE p.realm = $1 AND p.created_at < $2 ORDER BY p.created_at LIMIT $3)`)
)

// What is counted of cards and callers.
var (
	lockCards  = storage.Lookup("ping.lock_cards", `SELECT `+cardColumns+` FROM ping_cards WHERE card_hash IN ({values}) ORDER BY card_hash {lock}`, "BYTEA")
	beginCards = storage.Lookup("ping.begin_cards", `INSERT INTO ping_cards (`+cardColumns+`) {values} ON CONFLICT (card_hash) DO NOTHING`,
		"BYTEA", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT")
	writeCard = storage.Upsert("ping.write_card", "ping_cards", []string{"card_hash"}, "card_hash", "wrong_1_at", "wrong_2_at", "wrong_3_at",
		"wrong_4_at", "wrong_5_at", "locked_until", "asked_at")
	// Whatever deletes or changes rows says of each of them again what it says where it finds
	// them: one that a check changes meanwhile stays.
	purgeCards = storage.SQL("ping.purge_cards", `DELETE FROM ping_cards WHERE asked_at < $1 AND locked_until < $2 AND card_hash IN (
		SELECT card_hash FROM ping_cards WHERE asked_at < $1 AND locked_until < $2 ORDER BY asked_at LIMIT $3)`)

	lockCallers = storage.Lookup("ping.lock_callers", `SELECT `+callerColumns+` FROM ping_callers
		WHERE (book_id, caller) IN ({values}) ORDER BY book_id, caller {lock}`, "TEXT", "TEXT")
	beginCallers = storage.Lookup("ping.begin_callers", `INSERT INTO ping_callers (`+callerColumns+`) {values} ON CONFLICT (book_id, caller) DO NOTHING`,
		"TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "TEXT", "TEXT", "BIGINT")
	writeCaller = storage.Upsert("ping.write_caller", "ping_callers", []string{"book_id", "caller"}, "book_id", "caller", "realm", "hour_at",
		"cards", "found", "earlier_cards", "earlier_found", "state", "reason", "changed_at")
	// Most callers were never anything but free: their last change is at 0.
	changedCallers = storage.SQL("ping.changed_callers", `SELECT `+callerColumns+` FROM ping_callers
		WHERE changed_at >= $1 AND ($1 > 0 OR state <> 'free')`)
	listSuspended = storage.SQL("ping.list_suspended", `SELECT `+callerColumns+` FROM ping_callers
		WHERE state = 'suspended' AND (book_id, caller) > ($1, $2) ORDER BY book_id, caller LIMIT $3`)
	liftCaller = storage.SQL("ping.lift_caller", `UPDATE ping_callers SET state = 'free', reason = '', cards = 0, found = 0,
		earlier_cards = 0, earlier_found = 0, changed_at = $3 WHERE book_id = $1 AND caller = $2 AND state = 'suspended'`)
	// liftVisitors lets visitors of portals back who were suspended before $2.
	liftVisitors = storage.SQL("ping.lift_visitors", `UPDATE ping_callers SET state = 'free', reason = '', cards = 0, found = 0,
		earlier_cards = 0, earlier_found = 0, changed_at = $1 WHERE state = 'suspended' AND changed_at < $2 AND (book_id, caller) IN (
		SELECT c.book_id, c.caller FROM ping_callers c WHERE c.state = 'suspended' AND substr(c.caller, 1, 7) = 'portal_' AND c.changed_at < $2
		ORDER BY c.book_id, c.caller LIMIT $3)`)
	// endSlowed frees callers who asked for nothing since before $4: nothing of what slowed
	// them counts any more.
	endSlowed = storage.SQL("ping.end_slowed", `UPDATE ping_callers SET state = 'free', reason = '', changed_at = $1
		WHERE state = 'slowed' AND hour_at < $4 AND (book_id, caller) IN (
		SELECT c.book_id, c.caller FROM ping_callers c WHERE c.state = 'slowed' AND c.realm = $2 AND c.changed_at > 0 AND c.changed_at < $3
		AND c.hour_at < $4 ORDER BY c.book_id, c.caller LIMIT $5)`)
	// purgeCallers spares those who were let back since $3: other processes have to learn of it.
	purgeCallers = storage.SQL("ping.purge_callers", `DELETE FROM ping_callers WHERE state = 'free' AND hour_at < $2 AND changed_at < $3 AND (book_id, caller) IN (
		SELECT c.book_id, c.caller FROM ping_callers c WHERE c.state = 'free' AND c.realm = $1 AND c.hour_at < $2 AND c.changed_at < $3
		ORDER BY c.hour_at LIMIT $4)`)
)

// Honey numbers.
var (
	insertHoney = storage.Insert("ping.insert_honey", "ping_honey", "honey_id", "realm", "network", "card_hash", "last4", "note", "state",
		"created_at", "changed_at")
	countHoney  = storage.SQL("ping.count_honey", `SELECT COUNT(*) FROM ping_honey WHERE state = 'active'`)
	removeHoney = storage.SQL("ping.remove_honey", `UPDATE ping_honey SET state = 'removed', changed_at = $2
		WHERE honey_id = $1 AND state = 'active' RETURNING `+honeyColumns)
	listHoney = storage.SQL("ping.list_honey", `SELECT `+honeyColumns+` FROM ping_honey
		WHERE state = 'active' AND honey_id > $1 ORDER BY honey_id LIMIT $2`)
	changedHoney = storage.SQL("ping.changed_honey", `SELECT `+honeyColumns+` FROM ping_honey
		WHERE changed_at >= $1 AND ($1 > 0 OR state = 'active') ORDER BY changed_at`)
	purgeHoney = storage.SQL("ping.purge_honey", `DELETE FROM ping_honey WHERE honey_id IN (
		SELECT honey_id FROM ping_honey WHERE state = 'removed' AND changed_at < $1 ORDER BY changed_at LIMIT $2)`)
)

// networkNames are networkColumns one by one.
var networkNames = []string{"realm", "network_id", "name", "type", "kind", "lengths", "prefixes", "letters", "pin_required", "currencies",
	"timeout_ms", "attempts", "concurrency", "config", "state", "version", "created_at", "changed_at"}

// Networks.
var (
	lockNetwork  = storage.SQL("ping.lock_network", `SELECT `+networkColumns+` FROM ping_networks WHERE realm = $1 AND network_id = $2 {lock}`)
	findNetwork  = storage.SQL("ping.find_network", `SELECT `+networkColumns+` FROM ping_networks WHERE realm = $1 AND network_id = $2 AND state <> 'removed'`)
	listNetworks = storage.SQL("ping.list_networks", `SELECT `+networkColumns+` FROM ping_networks
		WHERE realm = $1 AND state <> 'removed' ORDER BY network_id LIMIT $2`)
	countNetworks = storage.SQL("ping.count_networks", `SELECT COUNT(*) FROM ping_networks WHERE state <> 'removed'`)
	// A removed network stays for good: its version keeps an older row from coming back.
	changedNetworks = storage.SQL("ping.changed_networks", `SELECT `+networkColumns+` FROM ping_networks WHERE changed_at >= $1 ORDER BY changed_at`)
	insertNetwork   = storage.Insert("ping.insert_network", "ping_networks", networkNames...)
	writeNetwork    = storage.Upsert("ping.write_network", "ping_networks", []string{"realm", "network_id"}, networkNames...)
)

func scanCaller(r storage.Row) (*caller, error) {
	var (
		c             caller
		hour, changed int64
	)
	err := r.Scan((*string)(&c.key.book), &c.key.name, (*string)(&c.realm), &hour, &c.cards, &c.found, &c.earlierCards, &c.earlierFound,
		(*string)(&c.state), &c.reason, &changed)
	c.hour, c.changed = storage.Time(hour), storage.Time(changed)
	return &c, err
}

// signalsText is signals as they are kept: a line for each, its fields between tabs.
func signalsText(all []fraud.Signal) string {
	text := make([]byte, 0, 56*len(all))
	for i := range all {
		signal := &all[i]
		if i > 0 {
			text = append(text, '\n')
		}
		text = append(append(append(text, signal.Name...), '\t'), signal.Of...)
		for _, n := range [signalNumbers]int64{signal.Value, signal.Threshold, int64(signal.Window / time.Second), int64(signal.Points), storage.Bit(signal.Telling)} {
			text = strconv.AppendInt(append(text, '\t'), n, 10)
		}
	}
	return string(text)
}

// signalNumbers is how many numbers a signal has beside its two names.
const signalNumbers = 5

func readSignals(text string) (all []fraud.Signal, err error) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 2+signalNumbers {
			return nil, fmt.Errorf("%d fields of a signal", len(fields))
		}
		var n [signalNumbers]int64
		for i := range n {
			if n[i], err = strconv.ParseInt(fields[2+i], 10, 64); err != nil {
				return nil, err
			}
		}
		all = append(all, fraud.Signal{Name: fields[0], Of: fields[1], Value: n[0], Threshold: n[1], Window: time.Duration(n[2]) * time.Second,
			Points: int(n[3]), Telling: n[4] == 1})
	}
	return all, nil
}

func scanLock(r storage.Row) (*lock, error) {
	var (
		l    lock
		hash []byte
	)
	if err := r.Scan(&hash, &l.times[0], &l.times[1], &l.times[2], &l.times[3], &l.times[4], &l.until, &l.asked); err != nil {
		return nil, err
	}
	l.card = fraud.Hash(hash)
	return &l, nil
}

func scanHoney(r storage.Row) (h honeyRow, err error) {
	var (
		hash    []byte
		state   string
		created int64
	)
	if err := r.Scan((*string)(&h.ID), (*string)(&h.Realm), &h.Network, &hash, &h.Last4, &h.Note, &state, &created); err != nil {
		return h, err
	}
	h.card, h.active, h.CreatedAt = fraud.Hash(hash), state == "active", storage.Time(created)
	return h, nil
}

// networkRow is a configured network as it is stored.
type networkRow struct {
	Configured
	config  []byte // sealed
	state   string
	version int64
}

const (
	networkActive   = "active"
	networkDisabled = "disabled"
	networkRemoved  = "removed"
)

func (n *networkRow) values() []any {
	return []any{string(n.Realm), n.ID, n.Name, string(n.Type), n.Kind, joinInts(n.Rules.Lengths), strings.Join(n.Rules.Prefixes, " "),
		storage.Bit(n.Rules.Letters), storage.Bit(n.Rules.PINRequired), joinCurrencies(n.Rules.Currencies), n.Timeout.Milliseconds(), n.Attempts, n.Concurrency,
		n.config, n.state, n.version, storage.Micros(n.CreatedAt), storage.Micros(n.ChangedAt)}
}

func scanNetwork(r storage.Row) (*networkRow, error) {
	var (
		n                             networkRow
		lengths, prefixes, currencies string
		letters, pin, timeout         int64
		created, changed              int64
	)
	err := r.Scan((*string)(&n.Realm), &n.ID, &n.Name, (*string)(&n.Type), &n.Kind, &lengths, &prefixes, &letters, &pin, &currencies,
		&timeout, &n.Attempts, &n.Concurrency, &n.config, &n.state, &n.version, &created, &changed)
	if err != nil {
		return nil, err
	}
	n.Rules = Rules{Prefixes: strings.Fields(prefixes), Letters: letters == 1, PINRequired: pin == 1}
	if n.Rules.Lengths, err = splitInts(lengths); err != nil {
		return nil, err
	}
	if n.Rules.Currencies, err = splitCurrencies(currencies); err != nil {
		return nil, err
	}
	n.Timeout, n.Active = time.Duration(timeout)*time.Millisecond, n.state == networkActive
	n.CreatedAt, n.ChangedAt = storage.Time(created), storage.Time(changed)
	return &n, nil
}
