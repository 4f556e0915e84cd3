package scene

import "github.com/scripcards/scrip/internal/platform/storage"

var (
	insertScene = storage.Insert("image.insert_scene", "image_scenes", "scene_id", "realm", "image_id", "photos", "sealed")
	insertWord  = storage.Insert("image.insert_word", "image_words", "realm", "word", "scene_id")
	insertTrace = storage.Insert("image.insert_trace", "image_traces", "scene_id", "image_id", "owner_id", "kind", "sealed")
	upsertHeir  = storage.Upsert("image.upsert_heir", "image_heirs", []string{"scene_id"}, "scene_id", "image_id", "sealed")
	countPhoto  = storage.SQL("image.count_photo", `UPDATE image_scenes SET photos = photos + 1 WHERE scene_id = $1`)
	findMarks   = storage.SQL("image.find_marks", `SELECT scene_id, image_id, sealed FROM image_scenes WHERE scene_id = $1`)
	findHeir    = storage.SQL("image.find_heir", `SELECT scene_id, image_id, sealed FROM image_heirs WHERE scene_id = $1`)
	saveMarks   = storage.SQL("image.save_marks", `UPDATE image_scenes SET image_id = $2, sealed = $3 WHERE scene_id = $1`)
	saveTrace   = storage.SQL("image.save_trace", `UPDATE image_traces SET sealed = $3 WHERE scene_id = $1 AND image_id = $2`)
	// findWords returns which scenes have which of the words.
	findWords = storage.Lookup("image.find_words", `WITH wanted (word) AS ({values})
		SELECT s.word, s.scene_id FROM (SELECT DISTINCT word FROM wanted) w CROSS JOIN image_words s WHERE s.realm = $1 AND s.word = w.word`, "BIGINT")
	countPhotos = storage.Lookup("image.count_photos", `WITH wanted (scene_id) AS ({values})
		SELECT c.scene_id, c.photos FROM wanted w CROSS JOIN image_scenes c WHERE c.scene_id = w.scene_id`, "TEXT")
	// findCommon returns those of the words that so many scenes have already.
	findCommon = storage.Lookup("image.find_common_words", `WITH wanted (word) AS ({values})
		SELECT s.word FROM wanted w CROSS JOIN image_words s WHERE s.realm = $1 AND s.word = w.word
		GROUP BY s.word HAVING COUNT(DISTINCT s.scene_id) >= $2`, "BIGINT")
	listTraces = storage.SQL("image.list_traces", `SELECT image_id, owner_id, kind, sealed FROM image_traces
		WHERE scene_id = $1 ORDER BY image_id DESC LIMIT $2`)
	listOwn = storage.SQL("image.list_own_traces", `SELECT scene_id, sealed FROM image_traces WHERE image_id = $1 ORDER BY scene_id LIMIT 100`)
)

// The end of a photo, and of a scene.
var (
	forgetTrace  = storage.SQL("image.forget_trace", `DELETE FROM image_traces WHERE scene_id = $1 AND image_id = $2`)
	discount     = storage.SQL("image.discount_photo", `UPDATE image_scenes SET photos = photos - 1 WHERE scene_id = $1`)
	forgetHeir   = storage.SQL("image.forget_heir", `DELETE FROM image_heirs WHERE scene_id = $1`)
	forgetWords  = storage.SQL("image.forget_words", `DELETE FROM image_words WHERE scene_id = $1`)
	forgetTraces = storage.SQL("image.forget_traces", `DELETE FROM image_traces WHERE scene_id = $1`)
	forgetScene  = storage.SQL("image.forget_scene", `DELETE FROM image_scenes WHERE scene_id = $1`)
)

// shared is a word that a scene shares with a photo.
type shared struct {
	word  int64
	scene string
}

func scanShared(r storage.Row) (s shared, err error) {
	err = r.Scan(&s.word, &s.scene)
	return s, err
}

// shown is how many photos show a scene.
type shown struct {
	scene  string
	photos int
}

func scanPhotos(r storage.Row) (s shown, err error) {
	err = r.Scan(&s.scene, &s.photos)
	return s, err
}

// kept is the trace of a photo in a scene.
type kept struct {
	place
	owner, kind string
	sealed      []byte
}

func scanTrace(r storage.Row) (k kept, err error) {
	err = r.Scan(&k.photo, &k.owner, &k.kind, &k.sealed)
	return k, err
}

func scanOwn(r storage.Row) (k kept, err error) {
	err = r.Scan(&k.scene, &k.sealed)
	return k, err
}

// place names what a scene keeps of a photo, so that it opens there alone.
type place struct{ scene, photo string }

func (p place) String() string { return p.scene + "/" + p.photo }

// sealedMarks are marks as they are kept.
type sealedMarks struct {
	place
	sealed []byte
}

func scanMarks(r storage.Row) (m sealedMarks, err error) {
	err = r.Scan(&m.scene, &m.photo, &m.sealed)
	return m, err
}
