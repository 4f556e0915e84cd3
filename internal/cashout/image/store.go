package image

import (
	"context"
	"database/sql"
	"time"

	"github.com/scripcards/scrip/internal/platform/picture"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	uploadColumns = `upload_key, realm, owner_id, kind, content_type, state, file_hash, refusal, ended_at`
	imageColumns  = `image_id, realm, owner_id, kind, content_type, sha256, version, chunks, bytes, width, height, uploaded_at, erase_at, erased_at, forget_at, forgotten_at`
)

// Forms.
var (
	insertUpload = storage.Insert("image.insert_upload", "image_uploads",
		"upload_key", "realm", "owner_id", "kind", "content_type", "state", "file_hash", "refusal", "asked_at", "ended_at")
	countForms = storage.SQL("image.count_forms", `SELECT COUNT(*) FROM image_uploads
		WHERE realm = $1 AND owner_id = $2 AND kind = $3 AND asked_at > $4`)
	findUpload   = storage.SQL("image.find_upload", `SELECT `+uploadColumns+` FROM image_uploads WHERE upload_key = $1`)
	lockUpload   = storage.SQL("image.lock_upload", `SELECT `+uploadColumns+` FROM image_uploads WHERE upload_key = $1 {lock}`)
	saveUpload   = storage.SQL("image.save_upload", `UPDATE image_uploads SET state = $2, file_hash = $3, refusal = $4, ended_at = $5 WHERE upload_key = $1`)
	closeUploads = storage.SQL("image.close_uploads", `UPDATE image_uploads SET state = 'closed', ended_at = $3
		WHERE realm = $1 AND owner_id = $2 AND state = 'open'`)
	listOpen = storage.SQL("image.list_open", `SELECT `+uploadColumns+` FROM image_uploads
		WHERE realm = $1 AND owner_id = $2 AND state = 'open' ORDER BY asked_at, upload_key LIMIT $3`)
	listRefused = storage.SQL("image.list_refused", `SELECT kind, refusal, ended_at FROM image_uploads u
		WHERE realm = $1 AND owner_id = $2 AND state = 'refused' AND NOT EXISTS
		(SELECT 1 FROM image_uploads t WHERE t.realm = u.realm AND t.owner_id = u.owner_id AND t.kind = u.kind AND t.state = 'taken' AND t.ended_at > u.ended_at)
		ORDER BY ended_at, upload_key LIMIT $3`)
	listOld = storage.SQL("image.list_old", `SELECT `+uploadColumns+` FROM image_uploads
		WHERE asked_at < $1 ORDER BY asked_at, upload_key LIMIT $2`)
	deleteUpload = storage.SQL("image.delete_upload", `DELETE FROM image_uploads WHERE upload_key = $1`)
)

// Images.
var (
	insertImage = storage.Insert("image.insert", "images", "image_id", "realm", "owner_id", "kind", "content_type", "sha256",
		"version", "chunks", "bytes", "width", "height", "likeness", "uploaded_at", "erase_at", "erased_at", "forget_at", "forgotten_at")
	findImage  = storage.SQL("image.find", `SELECT `+imageColumns+` FROM images WHERE image_id = $1`)
	listImages = storage.SQL("image.list", `SELECT `+imageColumns+` FROM images i WHERE realm = $1 AND owner_id = $2 AND NOT EXISTS
		(SELECT 1 FROM images n WHERE n.realm = i.realm AND n.owner_id = i.owner_id AND n.kind = i.kind AND n.image_id > i.image_id)
		ORDER BY kind LIMIT 100`)
	listDue = storage.SQL("image.list_due", `SELECT `+imageColumns+` FROM images
		WHERE realm = $1 AND erase_at <= $2 AND erased_at IS NULL ORDER BY erase_at LIMIT $3 {skip}`)
	listForgettable = storage.SQL("image.list_forgettable", `SELECT `+imageColumns+` FROM images
		WHERE realm = $1 AND forget_at <= $2 AND forgotten_at IS NULL AND erased_at IS NOT NULL ORDER BY forget_at LIMIT $3 {skip}`)
	saveVersion = storage.SQL("image.save_version", `UPDATE images SET version = $3, chunks = $4, bytes = $5, sha256 = $6
		WHERE image_id = $1 AND version = $2 AND erased_at IS NULL`)
	setClock      = storage.SQL("image.set_clock", `UPDATE images SET erase_at = $3 WHERE realm = $1 AND owner_id = $2 AND erased_at IS NULL`)
	setForget     = storage.SQL("image.set_forget", `UPDATE images SET forget_at = $3 WHERE realm = $1 AND owner_id = $2 AND forgotten_at IS NULL`)
	findLikeness  = storage.SQL("image.find_likeness", `SELECT likeness FROM images WHERE image_id = $1`)
	markForgotten = storage.SQL("image.mark_forgotten", `UPDATE images SET forgotten_at = $2, likeness = NULL WHERE image_id = $1 AND forgotten_at IS NULL`)
	markErased    = storage.SQL("image.mark_erased", `UPDATE images SET erased_at = $2 WHERE image_id = $1 AND erased_at IS NULL`)
)

// Contents.
var (
	insertChunk  = storage.Insert("image.insert_chunk", "image_chunks", "image_id", "version", "seq", "sealed")
	listChunks   = storage.SQL("image.list_chunks", `SELECT sealed FROM image_chunks WHERE image_id = $1 AND version = $2 ORDER BY seq`)
	deleteChunks = storage.SQL("image.delete_chunks", `DELETE FROM image_chunks WHERE image_id = $1`)
)

// Likenesses.
var (
	openGate    = storage.SQL("image.open_gate", `INSERT INTO image_gates (realm, passed) VALUES ($1, 0) ON CONFLICT (realm) DO NOTHING`)
	lockGate    = storage.SQL("image.lock_gate", `SELECT passed FROM image_gates WHERE realm = $1 {lock}`)
	readGate    = storage.SQL("image.read_gate", `SELECT passed FROM image_gates WHERE realm = $1`)
	passGate    = storage.SQL("image.pass_gate", `UPDATE image_gates SET passed = passed + 1 WHERE realm = $1`)
	insertBand  = storage.Insert("image.insert_band", "image_bands", "realm", "band", "bits", "image_id", "owner_id", "kind", "likeness")
	deleteBand  = storage.SQL("image.delete_band", `DELETE FROM image_bands WHERE realm = $1 AND band = $2 AND bits = $3 AND image_id = $4`)
	deleteTwins = storage.SQL("image.delete_twins", `DELETE FROM image_twins WHERE image_id = $1`)
	insertTwin  = storage.Insert("image.insert_twin", "image_twins", "image_id", "twin_id", "owner_id", "kind", "resemblance", "distance")
	// findAlike says in which order to join: SQLite would read every band of the realm. Of one's
	// own images it finds the newest of each other kind, so that none takes the place of another's.
	findAlike = storage.Lookup("image.find_alike", `WITH wanted (band, bits) AS ({values})
		SELECT b.image_id, b.owner_id, b.kind, b.likeness FROM wanted w CROSS JOIN image_bands b
		WHERE b.realm = $1 AND b.band = w.band AND b.bits = w.bits AND (b.owner_id <> $2 OR b.kind <> $4 AND NOT EXISTS
		(SELECT 1 FROM images n WHERE n.realm = $1 AND n.owner_id = $2 AND n.kind = b.kind AND n.image_id > b.image_id))
		ORDER BY b.image_id DESC LIMIT $3`, "BIGINT", "BIGINT")
	// listTwins passes over those of the owner that were replaced since.
	listTwins = storage.SQL("image.list_twins", `SELECT twin_id, owner_id, kind, resemblance, distance FROM image_twins t
		WHERE image_id = $1 AND (owner_id <> $3 OR NOT EXISTS
		(SELECT 1 FROM images n WHERE n.realm = $2 AND n.owner_id = $3 AND n.kind = t.kind AND n.image_id > t.twin_id))
		ORDER BY CASE resemblance WHEN 'same_photo' THEN 0 WHEN 'same_card' THEN 1 ELSE 2 END, distance, twin_id DESC LIMIT $4`)
)

// The states of a form.
const (
	stateOpen    = "open"
	stateTaken   = "taken"
	stateRefused = "refused"
	stateClosed  = "closed"
)

// upload is a form that was given out.
type upload struct {
	key         string
	owner       Owner
	kind        Kind
	contentType string
	state       string
	fileHash    []byte
	refusal     string
	endedAt     time.Time
}

func scanUpload(r storage.Row) (u upload, err error) {
	var ended sql.NullInt64
	err = r.Scan(&u.key, &u.owner.Realm, &u.owner.ID, &u.kind, &u.contentType, &u.state, &u.fileHash, &u.refusal, &ended)
	u.endedAt = storage.NullTime(ended)
	return u, err
}

// end is what becomes of an upload.
type end struct {
	state, refusal string
	hash           []byte
	at             time.Time
}

func endUpload(ctx context.Context, tx *storage.Tx, key string, e end) error {
	_, err := tx.Exec(ctx, saveUpload, key, e.state, storage.NullBytes(e.hash), e.refusal, storage.Micros(e.at))
	return err
}

func scanRefusal(r storage.Row) (one Refusal, err error) {
	var at sql.NullInt64
	err = r.Scan(&one.Kind, &one.Reason, &at)
	one.At = storage.NullTime(at)
	return one, err
}

// kept is an image with where its content is.
type kept struct {
	Image
	version, chunks int
}

// row is a new image's.
func (img *Image) row(chunks int, l picture.Likeness, seen bool) []any {
	return []any{string(img.ID), string(img.Owner.Realm), img.Owner.ID, string(img.Kind), img.Type, img.SHA256, int64(firstVersion), int64(chunks),
		int64(img.Bytes), int64(img.Width), int64(img.Height), sql.NullInt64{Int64: int64(l), Valid: seen},
		storage.Micros(img.UploadedAt), storage.Micros(img.EraseAt), sql.NullInt64{}, storage.Micros(img.ForgetAt), sql.NullInt64{}}
}

func scanImage(r storage.Row) (k kept, err error) {
	var uploaded, erase, forget int64
	var erased, forgotten sql.NullInt64
	err = r.Scan(&k.ID, &k.Owner.Realm, &k.Owner.ID, &k.Kind, &k.Type, &k.SHA256, &k.version, &k.chunks, &k.Bytes, &k.Width, &k.Height, &uploaded, &erase, &erased,
		&forget, &forgotten)
	k.UploadedAt, k.EraseAt, k.ErasedAt = storage.Time(uploaded), storage.Time(erase), storage.NullTime(erased)
	k.ForgetAt, k.ForgottenAt = storage.Time(forget), storage.NullTime(forgotten)
	k.Redactions = k.version - firstVersion
	return k, err
}

// findKept returns an image that was not erased.
func findKept(ctx context.Context, q storage.Queryer, statement *storage.Statement, image ID) (kept, error) {
	k, found, err := storage.One(ctx, q, scanImage, statement, string(image))
	if err == nil && (!found || !k.ErasedAt.IsZero()) {
		err = errNoImage()
	}
	return k, err
}

func scanCandidate(r storage.Row) (c candidate, err error) {
	var likeness int64
	err = r.Scan(&c.Image, &c.Owner, &c.Kind, &likeness)
	c.likeness = picture.Likeness(likeness)
	return c, err
}

func scanTwin(r storage.Row) (t Twin, err error) {
	err = r.Scan(&t.Image, &t.Owner, &t.Kind, &t.Resemblance, &t.Distance)
	return t, err
}
