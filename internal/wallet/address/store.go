package address

import (
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

var (
	findAddress   = storage.SQL("wallet.address_find_address", `SELECT maker, position, address FROM wallet_addresses WHERE book_id = $1 AND chain = $2`)
	listAddresses = storage.SQL("wallet.address_list_addresses", `SELECT chain, address FROM wallet_addresses
		WHERE book_id = $1 AND address <> '' ORDER BY chain`)
	putAddress = storage.SQL("wallet.address_put_address", `INSERT INTO wallet_addresses (book_id, chain, realm, maker, position, address, given_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (book_id, chain)
		DO UPDATE SET maker = excluded.maker, position = excluded.position, address = excluded.address, given_at = excluded.given_at
		WHERE wallet_addresses.address = ''`)
	fillAddress = storage.SQL("wallet.address_fill_address", `UPDATE wallet_addresses SET address = $3
		WHERE book_id = $1 AND chain = $2 AND address = '' AND maker = $4 AND position = $5`)

	insertOwner = storage.SQL("wallet.address_insert_owner", `INSERT INTO wallet_address_owners (realm, chain, address, book_id)
		VALUES ($1, $2, $3, $4) ON CONFLICT (realm, chain, address) DO NOTHING`)
	knownAddresses = storage.Lookup("wallet.address_known_addresses", `SELECT address FROM wallet_address_owners
		WHERE realm = $1 AND chain = $2 AND address IN ({values})`, "TEXT")
	findOwner  = storage.SQL("wallet.address_find_owner", `SELECT book_id FROM wallet_address_owners WHERE realm = $1 AND chain = $2 AND address = $3`)
	listOwners = storage.SQL("wallet.address_list_owners", `SELECT address, book_id FROM wallet_address_owners
		WHERE realm = $1 AND chain = $2 AND address > $3 ORDER BY address LIMIT $4`)

	addMaker = storage.SQL("wallet.address_add_maker", `INSERT INTO wallet_makers (realm, chain, maker, given)
		VALUES ($1, $2, $3, 0) ON CONFLICT (realm, chain, maker) DO NOTHING`)
	lockMaker    = storage.SQL("wallet.address_lock_maker", `SELECT given FROM wallet_makers WHERE realm = $1 AND chain = $2 AND maker = $3 {lock}`)
	listMakers   = storage.SQL("wallet.address_list_makers", `SELECT maker, given FROM wallet_makers WHERE realm = $1 AND chain = $2 AND given > 0`)
	findMaker    = storage.SQL("wallet.address_find_maker", `SELECT given FROM wallet_makers WHERE realm = $1 AND chain = $2 AND maker = $3`)
	advanceMaker = storage.SQL("wallet.address_advance_maker", `UPDATE wallet_makers SET given = given + $4 WHERE realm = $1 AND chain = $2 AND maker = $3`)

	takePool   = storage.SQL("wallet.address_take_pool", `SELECT address FROM wallet_pool WHERE realm = $1 AND chain = $2 AND position = $3`)
	countPool  = storage.SQL("wallet.address_count_pool", `SELECT COUNT(*) FROM wallet_pool WHERE realm = $1 AND chain = $2`)
	insertPool = storage.SQL("wallet.address_insert_pool", `INSERT INTO wallet_pool (realm, chain, address, position, imported_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (realm, chain, address) DO NOTHING`)

	findLevel   = storage.SQL("wallet.address_find_level", `SELECT level FROM wallet_levels WHERE realm = $1 AND chain = $2`)
	upsertLevel = storage.Upsert("wallet.address_upsert_level", "wallet_levels", []string{"realm", "chain"}, "realm", "chain", "level", "changed_at")
)

func scanGiven(r storage.Row) (g given, err error) {
	err = r.Scan(&g.maker, &g.position, &g.address)
	return g, err
}

func scanBook(r storage.Row) (book ledger.BookID, err error) {
	err = r.Scan((*string)(&book))
	return book, err
}
