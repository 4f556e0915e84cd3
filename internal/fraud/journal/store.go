package journal

import "github.com/scripcards/scrip/internal/platform/storage"

const snapshotColumns = `snapshot_id, process, own_position, others_position, layout, parts, bytes, made_at`

var (
	advance = storage.SQL("fraud.advance", `INSERT INTO fraud_state (name, position) VALUES ('log', 1)
		ON CONFLICT (name) DO UPDATE SET position = fraud_state.position + 1`)
	findPosition = storage.SQL("fraud.find_position", `SELECT position FROM fraud_state WHERE name = 'log'`)
	insertBatch  = storage.Insert("fraud.insert_batch", "fraud_log", "position", "process", "events", "bytes", "data", "written_at")
	findWriter   = storage.SQL("fraud.find_writer", `SELECT process FROM fraud_log WHERE position = $1`)
	listBatches  = storage.SQL("fraud.list_batches", `SELECT position, process, data FROM fraud_log WHERE position > $1 ORDER BY position LIMIT $2`)
	sizeAfter    = storage.SQL("fraud.size_after", `SELECT COALESCE(SUM(bytes), 0) FROM fraud_log WHERE position > $1`)
	purgeBatches = storage.SQL("fraud.purge_batches", `DELETE FROM fraud_log WHERE position IN (
		SELECT position FROM fraud_log WHERE position <= $1 AND written_at < $2 ORDER BY position LIMIT $3)`)

	insertSnapshot = storage.Insert("fraud.insert_snapshot", "fraud_snapshots", "snapshot_id", "process", "own_position", "others_position",
		"layout", "parts", "bytes", "state", "made_at")
	insertPart     = storage.Insert("fraud.insert_part", "fraud_snapshot_parts", "snapshot_id", "part", "data")
	finishSnapshot = storage.SQL("fraud.finish_snapshot", `UPDATE fraud_snapshots SET state = 'complete' WHERE snapshot_id = $1`)
	newestSnapshot = storage.SQL("fraud.newest_snapshot", `SELECT `+snapshotColumns+` FROM fraud_snapshots WHERE state = 'complete'
		ORDER BY others_position DESC, snapshot_id DESC LIMIT 1`)
	findWriting = storage.SQL("fraud.find_writing", `SELECT made_at FROM fraud_snapshots WHERE state = 'writing' AND made_at > $1 LIMIT 1`)
	findPart    = storage.SQL("fraud.find_part", `SELECT data FROM fraud_snapshot_parts WHERE snapshot_id = $1 AND part = $2`)
	// oldSnapshots are those that came no further than one, and those that will not be complete.
	oldSnapshots = storage.SQL("fraud.old_snapshots", `SELECT snapshot_id FROM fraud_snapshots
		WHERE snapshot_id <> $1 AND (state = 'complete' AND others_position <= $2 OR state = 'writing' AND made_at < $3)`)
	deletePart = storage.SQL("fraud.delete_parts", `DELETE FROM fraud_snapshot_parts WHERE snapshot_id = $1`)
	deleteOld  = storage.SQL("fraud.delete_snapshot", `DELETE FROM fraud_snapshots WHERE snapshot_id = $1`)
)

// batch is a row of the log.
type batch struct {
	position int64
	process  string
	data     []byte
}

func scanBatch(r storage.Row) (b batch, err error) {
	err = r.Scan(&b.position, &b.process, &b.data)
	return b, err
}

// snapshot is the head of one.
type snapshot struct {
	id, process string
	own, others int64
	layout      []byte
	parts, size int64
	at          int64
}

func scanSnapshot(r storage.Row) (s snapshot, err error) {
	err = r.Scan(&s.id, &s.process, &s.own, &s.others, &s.layout, &s.parts, &s.size, &s.at)
	return s, err
}
