// Package scene knows again what earlier photos show, such as the same card on another
// table. A scene is what one photo shows, kept as marks that later photos are held against;
// of each photo that shows it there is a trace, by which photos of one scene are compared:
// whether they show the same card, or two of one design.
//
// Marks and traces are sealed: whoever can open them could try out which card they are of.
// They outlive the photo, until Forget; what a redaction painted over is removed from them.
// A scene outlives the photo that made it: its heir, the newest other photo that shows it,
// has marks in the same places. Words, by which scenes are found, are bits of single corners.
//
// It decides nothing, and it looks closely at a bounded number of scenes and traces.
package scene

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/picture/landmark"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// Photo is one that is looked at: its id, and whose it is.
type Photo struct {
	ID    string
	Realm realm.Realm
	Owner string
	Kind  string
}

// Match is an earlier photo of somebody else that shows the same, or another of the design.
type Match struct {
	Photo       string
	Owner, Kind string
	// Same is whether nothing differs where both can be compared.
	Same bool
	// Opposite is in how many thousandths of what was compared the two differ.
	Opposite int
}

// Bounds of what one photo costs.
const (
	// maxAsked bounds the scenes that are looked at closely, and maxKnown those that a choice
	// is made of by how many photos show them.
	maxAsked, maxKnown = 12, 60
	// maxJoined bounds the scenes that a photo has a trace in: those that fit best.
	maxJoined = 3
	// maxTraces bounds the traces of a scene that a photo is compared with, newest first.
	maxTraces = 2000
	// maxScenes bounds the scenes that are found by one word, about: the first ones.
	maxScenes = 40
	// maxSame and maxDesign bound the matches of each sort.
	maxSame, maxDesign = 16, 3
)

const (
	idPrefix     = "scn"
	purposeMarks = "image.marks"
	purposeTrace = "image.trace"
)

// Memory keeps scenes. It is safe for concurrent use.
type Memory struct{ vault *vault.Vault }

// New returns a memory that seals with v.
func New(v *vault.Vault) *Memory { return &Memory{v} }

// Finding is what a search has found, and what Keep has to write.
type Finding struct {
	// Matches are the earlier photos, the same first, at most 19.
	Matches []Match
	view    *landmark.View
	joined  []join
	own     bool
}

// join is a scene that a photo shows; heir are the photo's marks in it.
type join struct {
	scene string
	trace *landmark.Trace
	heir  *landmark.Marks
}

// Search looks for what a photo shows. It writes nothing.
func (m *Memory) Search(ctx context.Context, q storage.Queryer, p Photo, v *landmark.View) (Finding, error) {
	f := Finding{view: v, own: true}
	sights, err := m.sights(ctx, q, p, v)
	if err != nil {
		return Finding{}, err
	}
	seen := map[string]Match{}
	for _, s := range sights {
		trace := v.Trace(s.marks, &s.Sight)
		related, err := m.compare(ctx, q, looked{p, s, trace}, seen)
		if err != nil {
			return Finding{}, err
		}
		if related {
			f.joined = append(f.joined, join{s.scene, trace, v.Inherit(s.marks, &s.Sight)})
			f.own = f.own && !v.Exhausts(&s.Sight)
		}
	}
	f.Matches = closest(seen)
	return f, nil
}

// sight is a scene that a photo shows.
type sight struct {
	landmark.Sight
	scene string
	marks *landmark.Marks
}

// sights returns the scenes that a photo shows, those first that fit best.
func (m *Memory) sights(ctx context.Context, q storage.Queryer, p Photo, v *landmark.View) ([]sight, error) {
	ids, err := candidates(ctx, q, p.Realm, v)
	if err != nil {
		return nil, err
	}
	var found []sight
	for _, id := range ids {
		_, marks, err := m.marks(ctx, q, findMarks, id)
		if err != nil {
			return nil, err
		}
		if marks == nil { // forgotten meanwhile
			continue
		}
		if s, ok := v.Find(marks); ok {
			found = append(found, sight{s, id, marks})
		}
	}
	slices.SortStableFunc(found, func(a, b sight) int { return cmp.Compare(b.Agreed, a.Agreed) })
	return found[:min(len(found), maxJoined)], nil
}

// candidates returns the scenes that are worth a closer look, at most maxAsked: in equal
// parts those that share most words with a photo, those whose shared words weigh most, and of
// both those that most photos show, so that photos of a common design come together in a few
// scenes. Among many scenes weight alone is misled by single words that happen to be rare,
// and the number of words alone by what whole designs have in common, such as an emblem.
func candidates(ctx context.Context, q storage.Queryer, r realm.Realm, v *landmark.View) ([]string, error) {
	var words [][]any
	for _, word := range v.Probes() {
		words = append(words, []any{int64(word)})
	}
	shared, err := storage.AllOf(ctx, q, scanShared, findWords, words, string(r))
	if err != nil {
		return nil, err
	}
	all := tally(shared)
	byWords, byWeight := first(all, maxKnown, votes.byWords), first(all, maxKnown, votes.byWeight)
	known := slices.Concat(byWords, byWeight)
	popular, err := popularity(ctx, q, known)
	if err != nil {
		return nil, err
	}
	byPhotos := first(known, len(known), func(a, b votes) int { return cmp.Compare(popular[b.scene], popular[a.scene]) })
	return chosen(byWords, byWeight, byPhotos), nil
}

// chosen returns the scenes that lead each ranking, at most maxAsked of all together.
func chosen(rankings ...[]votes) []string {
	var ids []string
	for i, ranking := range rankings {
		for _, v := range ranking {
			if len(ids) < (i+1)*maxAsked/len(rankings) && !slices.Contains(ids, v.scene) {
				ids = append(ids, v.scene)
			}
		}
	}
	return ids
}

// votes are how many words a scene shares with a photo, and what they weigh.
type votes struct {
	scene         string
	words, weight int
}

func (a votes) byWords(b votes) int {
	return cmp.Or(cmp.Compare(b.words, a.words), cmp.Compare(b.weight, a.weight), cmp.Compare(b.scene, a.scene))
}

func (a votes) byWeight(b votes) int {
	return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(b.words, a.words), cmp.Compare(b.scene, a.scene))
}

// tally counts the votes. Each word weighs 1000, divided among the scenes that have it.
func tally(words []shared) []votes {
	having := map[int64]int{}
	for _, w := range words {
		having[w.word]++
	}
	sums := map[string]votes{}
	for _, w := range words {
		v := sums[w.scene]
		sums[w.scene] = votes{w.scene, v.words + 1, v.weight + 1000/having[w.word]}
	}
	return slices.Collect(maps.Values(sums))
}

// first returns the first n by an order.
func first(all []votes, n int, order func(a, b votes) int) []votes {
	all = slices.Clone(all)
	slices.SortStableFunc(all, order)
	return all[:min(len(all), n)]
}

// popularity returns how many photos show each of some scenes.
func popularity(ctx context.Context, q storage.Queryer, of []votes) (map[string]int, error) {
	var ids [][]any
	for _, v := range of {
		ids = append(ids, []any{v.scene})
	}
	found, err := storage.AllOf(ctx, q, scanPhotos, countPhotos, ids)
	photos := map[string]int{}
	for _, f := range found {
		photos[f.scene] = f.photos
	}
	return photos, err
}

// marks returns those of a scene, or of its heir, and whose they are; nil where there are none.
func (m *Memory) marks(ctx context.Context, q storage.Queryer, find *storage.Statement, scene string) (place, *landmark.Marks, error) {
	k, found, err := storage.One(ctx, q, scanMarks, find, scene)
	if err != nil || !found {
		return place{}, nil, err
	}
	marks, err := m.open(k)
	return k.place, marks, err
}

func (m *Memory) open(k sealedMarks) (*landmark.Marks, error) {
	plain, err := m.vault.Unseal(purposeMarks, k.String(), k.sealed)
	if err != nil {
		return nil, err
	}
	return landmark.ReadMarks(plain)
}

func (m *Memory) seal(at place, marks *landmark.Marks) ([]byte, error) {
	return m.vault.Seal(purposeMarks, at.String(), marks.Bytes())
}

// trace opens one.
func (m *Memory) trace(at place, sealed []byte) (*landmark.Trace, error) {
	plain, err := m.vault.Unseal(purposeTrace, at.String(), sealed)
	if err != nil {
		return nil, err
	}
	return landmark.ReadTrace(plain)
}

func (m *Memory) sealTrace(at place, t *landmark.Trace) ([]byte, error) {
	return m.vault.Seal(purposeTrace, at.String(), t.Bytes())
}

// looked is a photo with its trace in a scene.
type looked struct {
	Photo
	sight
	trace *landmark.Trace
}

// compare compares a photo with others of a scene, and reports whether it belongs to them.
func (m *Memory) compare(ctx context.Context, q storage.Queryer, p looked, seen map[string]Match) (related bool, err error) {
	others, err := storage.All(ctx, q, scanTrace, listTraces, p.scene, maxTraces)
	if err != nil {
		return false, err
	}
	for _, o := range others {
		other, err := m.trace(place{p.scene, o.photo}, o.sealed)
		if err != nil {
			return false, err
		}
		l := p.marks.Compare(p.trace, other)
		if !l.Related() {
			continue
		}
		if related = true; o.owner == p.Owner {
			continue
		}
		match := Match{Photo: o.photo, Owner: o.owner, Kind: o.kind, Same: l.Alike(), Opposite: l.Thousandths()}
		if before, twice := seen[o.photo]; twice {
			// What differs in one scene differs.
			match.Same = match.Same && before.Same
			match.Opposite = max(match.Opposite, before.Opposite)
		}
		seen[o.photo] = match
	}
	return related, nil
}

// closest returns the matches, the same first, those first that differ least.
func closest(seen map[string]Match) []Match {
	var same, design []Match
	for _, m := range seen {
		if m.Same {
			same = append(same, m)
		} else {
			design = append(design, m)
		}
	}
	order := func(a, b Match) int {
		return cmp.Or(cmp.Compare(a.Opposite, b.Opposite), cmp.Compare(b.Photo, a.Photo))
	}
	slices.SortFunc(same, order)
	slices.SortFunc(design, order)
	return append(same[:min(len(same), maxSame)], design[:min(len(design), maxDesign)]...)
}

// Keep writes what Search has found, and what later photos are held against.
func (m *Memory) Keep(ctx context.Context, tx *storage.Tx, p Photo, f Finding) error {
	joined := f.joined
	if marks := f.view.Marks(); f.own && marks.Len() >= landmark.LeastMarks {
		scene, err := m.begin(ctx, tx, p, marks)
		if err != nil {
			return err
		}
		joined = append(slices.Clone(joined), join{scene: scene, trace: f.view.Own()})
	}
	for _, j := range joined {
		sealed, err := m.sealTrace(place{j.scene, p.ID}, j.trace)
		if err != nil {
			return err
		}
		if err := tx.ExecRows(ctx, insertTrace, [][]any{{j.scene, p.ID, p.Owner, p.Kind, sealed}}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, countPhoto, j.scene); err != nil {
			return err
		}
		if j.heir == nil || j.heir.Len() < landmark.LeastMarks {
			continue
		}
		if err := m.keepHeir(ctx, tx, place{j.scene, p.ID}, j.heir); err != nil {
			return err
		}
	}
	return nil
}

// begin writes a scene of what a photo shows, and returns its id.
func (m *Memory) begin(ctx context.Context, tx *storage.Tx, p Photo, marks *landmark.Marks) (string, error) {
	scene := id.New(idPrefix)
	sealed, err := m.seal(place{scene, p.ID}, marks)
	if err != nil {
		return "", err
	}
	if err := tx.ExecRows(ctx, insertScene, [][]any{{scene, string(p.Realm), p.ID, int64(0), sealed}}); err != nil {
		return "", err
	}
	return scene, keepWords(ctx, tx, index{p.Realm, scene}, marks.Words())
}

// index is where the words of a scene are.
type index struct {
	realm realm.Realm
	scene string
}

// keepWords writes the words that a scene is found by, without those that are common
// already: they would tell nothing, and cost every search.
func keepWords(ctx context.Context, tx *storage.Tx, of index, words []uint32) error {
	wanted := make([][]any, 0, len(words))
	for _, word := range words {
		wanted = append(wanted, []any{int64(word)})
	}
	common, err := storage.AllOf(ctx, tx, storage.Scalar[int64], findCommon, wanted, string(of.realm), maxScenes)
	if err != nil {
		return err
	}
	var rows [][]any
	for _, word := range words {
		if !slices.Contains(common, int64(word)) {
			rows = append(rows, []any{string(of.realm), int64(word), of.scene})
		}
	}
	return tx.ExecRows(ctx, insertWord, rows)
}
