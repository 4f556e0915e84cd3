package chain

import (
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

const (
	columns  = "p.chain, p.txid, p.output_index, p.asset, p.address, p.units, p.block, p.gone, p.replaced_by"
	sighting = `SELECT ` + columns + `, p.change, COALESCE(b.height, 0) FROM simulator_payments p
		LEFT JOIN simulator_blocks b ON b.chain = p.chain AND b.address = p.address `
)

var (
	addChain = storage.SQL("simulator.add_chain", `INSERT INTO simulator_chains (chain, changes, stalled) VALUES ($1, 0, 0)
		ON CONFLICT (chain) DO NOTHING`)
	lockChain   = storage.SQL("simulator.lock_chain", `SELECT changes FROM simulator_chains WHERE chain = $1 {lock}`)
	saveChanges = storage.SQL("simulator.save_changes", `UPDATE simulator_chains SET changes = $2 WHERE chain = $1`)
	saveStalled = storage.SQL("simulator.save_stalled", `UPDATE simulator_chains SET stalled = $2 WHERE chain = $1`)
	findStalled = storage.SQL("simulator.find_stalled", `SELECT stalled FROM simulator_chains WHERE chain = $1`)
	findChanges = storage.SQL("simulator.find_changes", `SELECT changes FROM simulator_chains WHERE chain = $1`)
	listHeld    = storage.Lookup("simulator.list_held", `SELECT `+columns+` FROM simulator_payments p
		WHERE p.chain = $1 AND p.block > 0 AND p.gone = 0 AND p.address IN ({values})`, "TEXT")

	findHeight = storage.SQL("simulator.find_height", `SELECT height FROM simulator_blocks WHERE chain = $1 AND address = $2`)
	saveHeight = storage.SQL("simulator.save_height", `INSERT INTO simulator_blocks (chain, address, height) VALUES ($1, $2, $3)
		ON CONFLICT (chain, address) DO UPDATE SET height = excluded.height`)

	insertPayment = storage.Insert("simulator.insert_payment", "simulator_payments",
		"chain", "txid", "output_index", "asset", "address", "units", "block", "gone", "replaced_by", "change")
	savePayment = storage.SQL("simulator.save_payment", `UPDATE simulator_payments SET block = $4, gone = $5, replaced_by = $6, change = $7
		WHERE chain = $1 AND txid = $2 AND output_index = $3`)
	nextIndex = storage.SQL("simulator.next_index", `SELECT COALESCE(MAX(output_index) + 1, 0) FROM simulator_payments WHERE chain = $1 AND txid = $2`)

	findPayment = storage.SQL("simulator.find_payment", `SELECT `+columns+` FROM simulator_payments p
		WHERE p.chain = $1 AND p.txid = $2 AND p.output_index = $3`)
	listWaiting = storage.SQL("simulator.list_waiting", `SELECT `+columns+` FROM simulator_payments p
		WHERE p.chain = $1 AND p.address = $2 AND p.block = 0 AND p.gone = 0 ORDER BY p.change`)
	listAbove = storage.SQL("simulator.list_above", `SELECT `+columns+` FROM simulator_payments p
		WHERE p.chain = $1 AND p.address = $2 AND p.block > $3 ORDER BY p.change`)

	listChanges  = storage.SQL("simulator.list_changes", sighting+`WHERE p.chain = $1 AND p.change > $2 ORDER BY p.change LIMIT $3`)
	listPayments = storage.SQL("simulator.list_payments", sighting+`WHERE p.chain = $1 AND p.address = $2 ORDER BY p.change DESC LIMIT $3`)
	lookUp       = storage.Lookup("simulator.look_up", sighting+`WHERE p.chain = $1 AND (p.txid, p.output_index) IN ({values})`, "TEXT", "BIGINT")
)

// row is a payment as it is kept.
type row struct {
	deposit.Payment
	address    string
	amount     asset.Amount
	block      int64
	gone       bool
	replacedBy string
}

// fields are where the columns go; finish makes a row of them.
type fields struct {
	row
	asset asset.Asset
	units string
	flag  int64
}

func (f *fields) columns() []any {
	return []any{(*string)(&f.Chain), &f.TxID, &f.Index, (*string)(&f.asset), &f.address, &f.units, &f.block, &f.flag, &f.replacedBy}
}

func (f *fields) finish() (row, error) {
	var err error
	f.gone = f.flag == 1
	f.amount, err = asset.ParseUnits(f.units, f.asset)
	return f.row, err
}

func scanRow(r storage.Row) (row, error) {
	var f fields
	if err := r.Scan(f.columns()...); err != nil {
		return row{}, err
	}
	return f.finish()
}

// finalAfter is how deep a block must be that simulated chains call final.
const finalAfter = 64

// told is a sighting with its number among the changes.
type told struct {
	deposit.Sighting
	change int64
}

func scanSighting(r storage.Row) (told, error) {
	var f fields
	var t told
	var height int64
	if err := r.Scan(append(f.columns(), &t.change, &height)...); err != nil {
		return told{}, err
	}
	p, err := f.finish()
	t.Sighting = deposit.Sighting{Payment: p.Payment, Address: p.address, Amount: p.amount, Gone: p.gone, ReplacedBy: p.replacedBy}
	if p.block > 0 {
		t.Confirmations = height - p.block + 1
		t.Final = t.Confirmations >= finalAfter
	}
	return t, err
}
