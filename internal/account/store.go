package account

import (
	"database/sql"

	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	customerColumns = `c.account_id, c.name, COALESCE(c.email, ''), c.state, c.live_book_id, c.test_book_id, c.created_at, c.changed_at`
	bookColumns     = `b.account_id, b.realm, b.state`
	keyColumns      = `k.book_id, k.key_id, k.name, k.scopes, k.networks, k.last4, COALESCE(k.replaced_by, ''),
		k.created_at, k.expires_at, k.revoked_at, k.last_used_at, ` + bookColumns
	keyTables       = ` FROM account_keys k JOIN account_books b ON b.book_id = k.book_id `
	merchantColumns = `m.book_id, m.client_id, m.name, m.state, m.secret, m.previous_secret, m.previous_until,
		m.created_at, m.rotated_at, m.last_used_at, ` + bookColumns
	merchantTables     = ` FROM account_merchants m JOIN account_books b ON b.book_id = m.book_id `
	seedColumns        = `d.book_id, d.seed_id, d.name, COALESCE(d.replaced_by, ''), d.created_at, d.expires_at, d.revoked_at, d.last_used_at, ` + bookColumns
	seedTables         = ` FROM account_seeds d JOIN account_books b ON b.book_id = d.book_id `
	operatorColumns    = `operator_id, name, role, state, created_at, changed_at`
	operatorKeyColumns = `operator_id, key_id, name, networks, last4, created_at, expires_at, revoked_at, last_used_at`
)

// Customers and their books.
var (
	insertCustomer = storage.Insert("account.insert_customer", "account_customers",
		"account_id", "name", "email", "state", "live_book_id", "test_book_id", "created_at", "changed_at")
	insertBook   = storage.Insert("account.insert_book", "account_books", "book_id", "account_id", "realm", "state")
	readCustomer = storage.SQL("account.read_customer",
		`SELECT `+customerColumns+` FROM account_customers c WHERE c.account_id = $1`)
	lockCustomer = storage.SQL("account.lock_customer",
		`SELECT `+customerColumns+` FROM account_customers c WHERE c.account_id = $1 {lock}`)
	listCustomers = storage.SQL("account.list_customers",
		`SELECT `+customerColumns+` FROM account_customers c WHERE c.account_id < $1 ORDER BY c.account_id DESC LIMIT $2`)
	// A customer with several terms that begin so is found by the first of them.
	searchCustomers = storage.SQL("account.search_customers", `SELECT `+customerColumns+`, t.term FROM account_customer_terms t
		JOIN account_customers c ON c.account_id = t.account_id
		WHERE (t.term, t.account_id) > ($1, $2) AND t.term < $4 AND NOT EXISTS (SELECT 1 FROM account_customer_terms e
			WHERE e.account_id = t.account_id AND e.term >= $3 AND e.term < t.term)
		ORDER BY t.term, t.account_id LIMIT $5`)
	insertTerm     = storage.Insert("account.insert_customer_term", "account_customer_terms", "account_id", "term")
	deleteTerms    = storage.SQL("account.delete_customer_terms", `DELETE FROM account_customer_terms WHERE account_id = $1`)
	updateCustomer = storage.SQL("account.update_customer",
		`UPDATE account_customers SET name = $2, email = $3, state = $4, changed_at = $5 WHERE account_id = $1`)
	setBookState = storage.SQL("account.set_book_state", `UPDATE account_books SET state = $2 WHERE book_id = $1`)
	readBook     = storage.SQL("account.read_book", `SELECT b.book_id, `+bookColumns+` FROM account_books b WHERE b.book_id = $1`)
	listBooks    = storage.SQL("account.list_books", `SELECT book_id FROM account_books WHERE book_id > $1 ORDER BY book_id LIMIT $2`)
	lockBook     = storage.SQL("account.lock_book", `SELECT b.book_id, `+bookColumns+` FROM account_books b WHERE b.book_id = $1 {lock}`)
)

// API keys.
var (
	insertKey = storage.Insert("account.insert_key", "account_keys", "book_id", "key_id", "name", "scopes", "networks",
		"last4", "created_at", "expires_at")
	insertKeyHash = storage.Insert("account.insert_key_hash", "account_key_hashes", "secret_hash", "book_id", "key_id")
	readKeyHash   = storage.SQL("account.read_key_hash", `SELECT book_id, key_id FROM account_key_hashes WHERE secret_hash = $1`)
	readKey       = storage.SQL("account.read_key", `SELECT `+keyColumns+keyTables+`WHERE k.book_id = $1 AND k.key_id = $2`)
	lockKey       = storage.SQL("account.lock_key", `SELECT `+keyColumns+keyTables+`WHERE k.book_id = $1 AND k.key_id = $2 {lock}`)
	listKeys      = storage.SQL("account.list_keys",
		`SELECT `+keyColumns+keyTables+`WHERE k.book_id = $1 AND k.key_id < $2 ORDER BY k.key_id DESC LIMIT $3`)
	countKeys = storage.SQL("account.count_keys", `SELECT COUNT(*) FROM account_keys
		WHERE book_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`)
	updateKey = storage.SQL("account.update_key", `UPDATE account_keys SET name = $3, scopes = $4, networks = $5,
		replaced_by = $6, expires_at = $7, revoked_at = $8 WHERE book_id = $1 AND key_id = $2`)
)

// Seeds.
var (
	insertSeed     = storage.Insert("account.insert_seed", "account_seeds", "book_id", "seed_id", "name", "created_at")
	insertSeedHash = storage.Insert("account.insert_seed_hash", "account_seed_hashes", "secret_hash", "book_id", "seed_id")
	readSeedHash   = storage.SQL("account.read_seed_hash", `SELECT book_id, seed_id FROM account_seed_hashes WHERE secret_hash = $1`)
	findSeeds      = storage.Lookup("account.find_seeds", `SELECT h.secret_hash, `+seedColumns+` FROM ({values}) AS v
		CROSS JOIN account_seed_hashes h JOIN account_seeds d ON d.book_id = h.book_id AND d.seed_id = h.seed_id
		JOIN account_books b ON b.book_id = d.book_id WHERE h.secret_hash = v.column1`, "BYTEA")
	readSeed  = storage.SQL("account.read_seed", `SELECT `+seedColumns+seedTables+`WHERE d.book_id = $1 AND d.seed_id = $2`)
	lockSeed  = storage.SQL("account.lock_seed", `SELECT `+seedColumns+seedTables+`WHERE d.book_id = $1 AND d.seed_id = $2 {lock}`)
	listSeeds = storage.SQL("account.list_seeds",
		`SELECT `+seedColumns+seedTables+`WHERE d.book_id = $1 AND d.seed_id < $2 ORDER BY d.seed_id DESC LIMIT $3`)
	countSeeds = storage.SQL("account.count_seeds", `SELECT COUNT(*) FROM account_seeds
		WHERE book_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`)
	updateSeed = storage.SQL("account.update_seed",
		`UPDATE account_seeds SET replaced_by = $3, expires_at = $4, revoked_at = $5 WHERE book_id = $1 AND seed_id = $2`)
)

// Merchants' signing credentials and the nonces they used.
var (
	insertClient = storage.Insert("account.insert_merchant_client", "account_merchant_clients", "client_id", "book_id")
	readClient   = storage.SQL("account.read_merchant_client",
		`SELECT book_id FROM account_merchant_clients WHERE client_id = $1`)
	insertMerchant = storage.Insert("account.insert_merchant", "account_merchants",
		"book_id", "client_id", "name", "state", "secret", "created_at", "rotated_at")
	readMerchant = storage.SQL("account.read_merchant",
		`SELECT `+merchantColumns+merchantTables+`WHERE m.book_id = $1 AND m.client_id = $2`)
	lockMerchant = storage.SQL("account.lock_merchant",
		`SELECT `+merchantColumns+merchantTables+`WHERE m.book_id = $1 AND m.client_id = $2 {lock}`)
	listMerchants = storage.SQL("account.list_merchants",
		`SELECT `+merchantColumns+merchantTables+`WHERE m.book_id = $1 ORDER BY m.client_id LIMIT $2`)
	countMerchants = storage.SQL("account.count_merchants", `SELECT COUNT(*) FROM account_merchants WHERE book_id = $1`)
	updateMerchant = storage.SQL("account.update_merchant", `UPDATE account_merchants SET state = $3, secret = $4,
		previous_secret = $5, previous_until = $6, rotated_at = $7 WHERE book_id = $1 AND client_id = $2`)
	insertNonce = storage.Insert("account.insert_nonce", "account_nonces", "book_id", "client_id", "nonce", "used_at")
	purgeNonces = storage.SQL("account.purge_nonces", `DELETE FROM account_nonces WHERE (book_id, client_id, nonce) IN
		(SELECT book_id, client_id, nonce FROM account_nonces WHERE used_at < $1 ORDER BY used_at LIMIT $2)`)
)

// Public keys of signed requests and the challenges that they used.
var (
	upsertSigner    = storage.Upsert("account.upsert_signer", "account_signers", []string{"book_id"}, "book_id", "public_key", "changed_at")
	readSigner      = storage.SQL("account.read_signer", `SELECT book_id, public_key, changed_at FROM account_signers WHERE book_id = $1`)
	insertChallenge = storage.Insert("account.insert_challenge", "account_challenges", "book_id", "challenge_hash", "expires_at")
	purgeChallenges = storage.SQL("account.purge_challenges", `DELETE FROM account_challenges WHERE (book_id, challenge_hash) IN
		(SELECT book_id, challenge_hash FROM account_challenges WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`)
)

// Operators and their keys.
var (
	insertOperator = storage.Insert("account.insert_operator", "account_operators",
		"operator_id", "name", "role", "state", "created_at", "changed_at")
	readOperator = storage.SQL("account.read_operator",
		`SELECT `+operatorColumns+` FROM account_operators WHERE operator_id = $1`)
	lockOperator = storage.SQL("account.lock_operator",
		`SELECT `+operatorColumns+` FROM account_operators WHERE operator_id = $1 {lock}`)
	listOperators = storage.SQL("account.list_operators",
		`SELECT `+operatorColumns+` FROM account_operators WHERE operator_id < $1 ORDER BY operator_id DESC LIMIT $2`)
	countOperators = storage.SQL("account.count_operators", `SELECT COUNT(*) FROM account_operators`)
	updateOperator = storage.SQL("account.update_operator",
		`UPDATE account_operators SET name = $2, role = $3, state = $4, changed_at = $5 WHERE operator_id = $1`)
	insertOperatorKey = storage.Insert("account.insert_operator_key", "account_operator_keys",
		"operator_id", "key_id", "name", "networks", "last4", "created_at", "expires_at")
	insertOperatorHash = storage.Insert("account.insert_operator_key_hash", "account_operator_key_hashes",
		"secret_hash", "operator_id", "key_id")
	readOperatorHash = storage.SQL("account.read_operator_key_hash",
		`SELECT operator_id, key_id FROM account_operator_key_hashes WHERE secret_hash = $1`)
	readOperatorKey = storage.SQL("account.read_operator_key",
		`SELECT `+operatorKeyColumns+` FROM account_operator_keys WHERE operator_id = $1 AND key_id = $2`)
	lockOperatorKey = storage.SQL("account.lock_operator_key",
		`SELECT `+operatorKeyColumns+` FROM account_operator_keys WHERE operator_id = $1 AND key_id = $2 {lock}`)
	listOperatorKeys = storage.SQL("account.list_operator_keys", `SELECT `+operatorKeyColumns+` FROM account_operator_keys
		WHERE operator_id = $1 AND key_id < $2 ORDER BY key_id DESC LIMIT $3`)
	countOperatorKeys = storage.SQL("account.count_operator_keys", `SELECT COUNT(*) FROM account_operator_keys
		WHERE operator_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`)
	revokeOperatorKey = storage.SQL("account.revoke_operator_key",
		`UPDATE account_operator_keys SET revoked_at = $3 WHERE operator_id = $1 AND key_id = $2`)
)

// touch writes a last use, by kind of credential, unless a later one is written.
var touch = map[useKind]*storage.Statement{
	useKey: storage.SQL("account.touch_key", `UPDATE account_keys SET last_used_at = $3
		WHERE book_id = $1 AND key_id = $2 AND (last_used_at IS NULL OR last_used_at < $3)`),
	useMerchant: storage.SQL("account.touch_merchant", `UPDATE account_merchants SET last_used_at = $3
		WHERE book_id = $1 AND client_id = $2 AND (last_used_at IS NULL OR last_used_at < $3)`),
	useSeed: storage.SQL("account.touch_seed", `UPDATE account_seeds SET last_used_at = $3
		WHERE book_id = $1 AND seed_id = $2 AND (last_used_at IS NULL OR last_used_at < $3)`),
	useOperator: storage.SQL("account.touch_operator_key", `UPDATE account_operator_keys SET last_used_at = $3
		WHERE operator_id = $1 AND key_id = $2 AND (last_used_at IS NULL OR last_used_at < $3)`),
}

// The test realm's clock.
var (
	beginOffset = storage.SQL("account.begin_offset",
		`INSERT INTO realm_clock (realm, offset_micros, changed_at) VALUES ($1, 0, $2) ON CONFLICT (realm) DO NOTHING`)
	readOffset   = storage.SQL("account.read_offset", `SELECT offset_micros FROM realm_clock WHERE realm = $1`)
	lockOffset   = storage.SQL("account.lock_offset", `SELECT offset_micros FROM realm_clock WHERE realm = $1 {lock}`)
	updateOffset = storage.SQL("account.update_offset",
		`UPDATE realm_clock SET offset_micros = $2, changed_at = $3 WHERE realm = $1`)
)

func (c *Customer) row() []any {
	return []any{string(c.ID), c.Name, storage.NullText(c.Email), string(c.State), string(c.Live), string(c.Test),
		storage.Micros(c.CreatedAt), storage.Micros(c.ChangedAt)}
}

func scanCustomer(r storage.Row) (Customer, error) { return scanCustomerAnd(r) }

// scanCustomerAnd scans what follows a customer's columns, too.
func scanCustomerAnd(r storage.Row, more ...any) (c Customer, err error) {
	var created, changed int64
	err = r.Scan(append([]any{&c.ID, &c.Name, &c.Email, &c.State, &c.Live, &c.Test, &created, &changed}, more...)...)
	c.CreatedAt, c.ChangedAt = storage.Time(created), storage.Time(changed)
	return c, err
}

// match is a customer with the term by which it was found.
type match struct {
	Customer
	term []byte
}

func scanMatch(r storage.Row) (m match, err error) {
	m.Customer, err = scanCustomerAnd(r, &m.term)
	return m, err
}

func scanOwner(r storage.Row) (o Owner, err error) {
	err = r.Scan(&o.Book, &o.Customer, &o.Realm, &o.State)
	return o, err
}

func (k *Key) row() []any {
	return []any{string(k.Book), string(k.ID), k.Name, k.Scopes.String(), k.Networks.String(), k.Last4,
		storage.Micros(k.CreatedAt), storage.NullMicros(k.ExpiresAt)}
}

// lifeFields are where the columns of a Life go.
type lifeFields struct {
	created                int64
	expires, revoked, used sql.NullInt64
}

func (l *lifeFields) life() Life {
	return Life{CreatedAt: storage.Time(l.created), ExpiresAt: storage.NullTime(l.expires),
		RevokedAt: storage.NullTime(l.revoked), LastUsedAt: storage.NullTime(l.used)}
}

func scanKeyRef(r storage.Row) (ref KeyRef, err error) {
	err = r.Scan(&ref.Book, &ref.ID)
	return ref, err
}

func scanKey(r storage.Row) (Key, error) {
	owned, err := scanOwnedKey(r)
	return owned.key, err
}

func scanOwnedKey(r storage.Row) (o ownedKey, err error) {
	var scopes, networks string
	var life lifeFields
	k := &o.key
	err = r.Scan(&k.Book, &k.ID, &k.Name, &scopes, &networks, &k.Last4, &k.ReplacedBy,
		&life.created, &life.expires, &life.revoked, &life.used, &o.owner.Customer, &o.owner.Realm, &o.owner.State)
	if err != nil {
		return o, err
	}
	o.owner.Book, k.Realm = k.Book, o.owner.Realm
	k.Life = life.life()
	k.Scopes = storedScopes(scopes)
	k.Networks, err = storedNetworks(networks)
	return o, err
}

func scanSeedRef(r storage.Row) (ref SeedRef, err error) {
	err = r.Scan(&ref.Book, &ref.ID)
	return ref, err
}

func scanSeed(r storage.Row) (ownedSeed, error) { return scanSeedAfter(r) }

// scanSeedAfter scans what comes before a seed's columns, and them.
func scanSeedAfter(r storage.Row, before ...any) (o ownedSeed, err error) {
	var life lifeFields
	d := &o.seed
	err = r.Scan(append(before, &d.Book, &d.ID, &d.Name, &d.ReplacedBy,
		&life.created, &life.expires, &life.revoked, &life.used, &d.Customer, &d.Realm, &o.owner)...)
	d.Life = life.life()
	return o, err
}

func scanMerchant(r storage.Row) (m sealedMerchant, err error) {
	var created, rotated int64
	var grace, used sql.NullInt64
	err = r.Scan(&m.Book, &m.ClientID, &m.Name, &m.State, &m.secret, &m.previous, &grace,
		&created, &rotated, &used, &m.owner.Customer, &m.owner.Realm, &m.owner.State)
	m.owner.Book, m.Realm = m.Book, m.owner.Realm
	m.CreatedAt, m.RotatedAt = storage.Time(created), storage.Time(rotated)
	m.GraceUntil, m.LastUsedAt = storage.NullTime(grace), storage.NullTime(used)
	return m, err
}

func scanSigner(r storage.Row) (s Signer, err error) {
	var changed int64
	err = r.Scan(&s.Book, &s.PublicKey, &changed)
	s.ChangedAt = storage.Time(changed)
	return s, err
}

func scanOperator(r storage.Row) (o Operator, err error) {
	var created, changed int64
	err = r.Scan(&o.ID, &o.Name, &o.Role, &o.State, &created, &changed)
	o.CreatedAt, o.ChangedAt = storage.Time(created), storage.Time(changed)
	return o, err
}

func scanOperatorKeyRef(r storage.Row) (ref OperatorKeyRef, err error) {
	err = r.Scan(&ref.Operator, &ref.ID)
	return ref, err
}

func scanOperatorKey(r storage.Row) (k OperatorKey, err error) {
	var networks string
	var life lifeFields
	err = r.Scan(&k.Operator, &k.ID, &k.Name, &networks, &k.Last4, &life.created, &life.expires, &life.revoked, &life.used)
	if err != nil {
		return k, err
	}
	k.Life = life.life()
	k.Networks, err = storedNetworks(networks)
	return k, err
}
