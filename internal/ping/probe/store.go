package probe

import (
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

var (
	newestPing = storage.SQL("ping.newest_ping", `SELECT p.created_at FROM pings p WHERE p.realm = $1 ORDER BY p.created_at DESC LIMIT 1`)
	listProbes = storage.SQL("ping.list_probes", `SELECT p.owner_book, p.owner_card, p.created_at FROM pings p
		WHERE p.realm = $1 AND p.created_at >= $2 AND (p.created_at, p.owner_book, p.owner_card) > ($2, $3, $4) AND p.owner_card <> ''
		ORDER BY p.created_at, p.owner_book, p.owner_card LIMIT $5`)
	findMark = storage.SQL("ping.find_mark", `SELECT swept_at FROM ping_marks WHERE realm = $1`)
	moveMark = storage.SQL("ping.move_mark", `INSERT INTO ping_marks (realm, swept_at) VALUES ($1, $2)
		ON CONFLICT (realm) DO UPDATE SET swept_at = excluded.swept_at WHERE ping_marks.swept_at < excluded.swept_at`)
	// noteTold changes nothing where the owner was told after $4.
	noteTold = storage.SQL("ping.note_told", `INSERT INTO ping_probes (book_id, card, told_at) VALUES ($1, $2, $3)
		ON CONFLICT (book_id, card) DO UPDATE SET told_at = excluded.told_at WHERE ping_probes.told_at <= $4`)
	findTold    = storage.Lookup("ping.find_told", `SELECT book_id, card, told_at FROM ping_probes WHERE (book_id, card) IN ({values})`, "TEXT", "TEXT")
	purgeProbes = storage.SQL("ping.purge_probes", `DELETE FROM ping_probes WHERE told_at < $1 AND (book_id, card) IN (
		SELECT p.book_id, p.card FROM ping_probes p WHERE p.told_at < $1 ORDER BY p.told_at LIMIT $2)`)
)

// scanProbe reads a row of the sweep.
func scanProbe(r realm.Realm) storage.Scan[probe] {
	return func(row storage.Row) (probe, error) {
		p, at := probe{realm: r}, int64(0)
		err := row.Scan((*string)(&p.owner), &p.card, &at)
		p.at = storage.Time(at)
		return p, err
	}
}
