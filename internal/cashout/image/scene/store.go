package scene

import "github.com/scripcards/scrip/internal/platform/storage"

var (
	insertScene = storage.Insert("image.insert_scene", "image_scenes", "image_id", "realm", "photos", "sealed")
	insertWord  = storage.Insert("image.insert_word", "image_words", "realm", "word", "image_id")
	insertTrace = storage.Insert("image.insert_trace", "image_traces", "scene_id", "image_id", "owner_id", "kind", "sealed")
	countPhoto  = storage.SQL("image.count_photo", `UPDATE image_scenes SET photos = photos + 1 WHERE image_id = $1`)
	findMarks   = storage.SQL("image.find_marks", `SELECT sealed FROM image_scenes WHERE image_id = $1`)
	saveMarks   = storage.SQL("image.save_marks", `UPDATE image_scenes SET sealed = $2 WHERE image_id = $1`)
	saveTrace   = storage.SQL("image.save_trace", `UPDATE image_traces SET sealed = $3 WHERE scene_id = $1 AND image_id = $2`)
	// findWords weighs the words that scenes share with those wanted: each with 1000, divided
	// among the scenes that have it, so that rare words tell more.
	findWords = storage.Lookup("image.find_words", `WITH wanted (word) AS ({values}),
		shared AS (SELECT DISTINCT s.word, s.image_id FROM wanted w CROSS JOIN image_words s WHERE s.realm = $1 AND s.word = w.word),
		spread AS (SELECT word, COUNT(*) AS scenes FROM shared GROUP BY word)
		SELECT h.image_id, CAST(SUM(1000 / p.scenes) AS BIGINT) AS weight, c.photos FROM shared h
		JOIN spread p ON p.word = h.word JOIN image_scenes c ON c.image_id = h.image_id
		GROUP BY h.image_id, c.photos ORDER BY weight DESC, c.photos DESC, h.image_id DESC LIMIT 500`, "BIGINT")
	// findCommon returns those of the words that so many scenes have already.
	findCommon = storage.Lookup("image.find_common_words", `WITH wanted (word) AS ({values})
		SELECT s.word FROM wanted w CROSS JOIN image_words s WHERE s.realm = $1 AND s.word = w.word
		GROUP BY s.word HAVING COUNT(DISTINCT s.image_id) >= $2`, "BIGINT")
	listTraces = storage.SQL("image.list_traces", `SELECT image_id, owner_id, kind, sealed FROM image_traces
		WHERE scene_id = $1 ORDER BY image_id DESC LIMIT $2`)
	listOwn = storage.SQL("image.list_own_traces", `SELECT scene_id, sealed FROM image_traces WHERE image_id = $1 ORDER BY scene_id LIMIT 100`)
)

// votes are what the words weigh that a scene shares, and how many photos show it.
type votes struct {
	scene          string
	weight, photos int
}

func scanVotes(r storage.Row) (v votes, err error) {
	err = r.Scan(&v.scene, &v.weight, &v.photos)
	return v, err
}

// kept is the trace of a photo in a scene.
type kept struct {
	scene, photo string
	owner, kind  string
	sealed       []byte
}

func scanTrace(r storage.Row) (k kept, err error) {
	err = r.Scan(&k.photo, &k.owner, &k.kind, &k.sealed)
	return k, err
}

func scanOwn(r storage.Row) (k kept, err error) {
	err = r.Scan(&k.scene, &k.sealed)
	return k, err
}
