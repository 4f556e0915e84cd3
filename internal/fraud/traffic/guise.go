package traffic

import (
	"net/netip"
	"slices"

	"github.com/scripcards/scrip/internal/fraud/draw"
)

// guise is what a program says of itself: which user agent, and which of the devices with
// that one.
type guise struct{ agent, device uint32 }

// wardrobe is what programs there are. It draws for itself, so that what is asked does not
// depend on who looks like what.
type wardrobe struct {
	draw *draw.Source
	// rollout is when the next version of browsers that renew themselves begins to spread.
	rollout float64
	named   uint32 // how many programs have a name of their own
}

// browsers are the sorts of them with their shares; those that renew themselves are mostly
// of one version, and of the last sort, within other programs, there are very many.
var browsers = [...]struct {
	share    float64
	versions int
	renewed  bool
}{{0.25, 30, true}, {0.26, 30, true}, {0.20, 14, false}, {0.04, 30, true}, {0.05, 8, false}, {0.05, 20, true}, {0.03, 20, true}, {0.03, 10, false}, {0.09, inside, false}}

// inside is how many browsers within other programs there are.
const inside = 5000

// libraries are what programs ask with, likewise.
var libraries = [...]struct {
	share    float64
	versions int
}{{0.25, 12}, {0.2, 15}, {0.12, 1}, {0.12, 1}, {0.1, 10}, {0.1, 8}, {0.06, 20}, {0.05, 6}}

const (
	languages = 16
	quirks    = 8
	// spreading is how long a new version takes to reach most browsers.
	spreading = 6 * day
	// bare is the quirk of who sends no more than it must.
	bare = quirks - 1
)

// device is a guise of an agent.
func device(agent uint32, language, quirk int) guise {
	return guise{agent, agent*languages*quirks + uint32(language*quirks+quirk)}
}

// agentOf numbers agents of a sort; libraries follow browsers.
func agentOf(sort, version int) uint32 { return uint32(sort+1)<<13 | uint32(version) }

// browser is what somebody at home or under way uses at a time; most speak the language of
// the page that they come to.
func (w *wardrobe) browser(at float64, language int) guise {
	d := w.draw
	sort, dice := 0, d.Unit()
	for sort < len(browsers)-1 && dice >= browsers[sort].share {
		dice -= browsers[sort].share
		sort++
	}
	agent := agentOf(sort, w.version(sort, at))
	if d.Chance(0.3) {
		language = int(languages * d.Unit() * d.Unit())
	}
	quirk := 0
	if d.Chance(0.15) {
		quirk = d.Int(quirks)
	}
	return device(agent, language, quirk)
}

// version is which of a sort's versions somebody has at a time: 0 is the newest.
func (w *wardrobe) version(sort int, at float64) int {
	d, b := w.draw, browsers[sort]
	switch {
	case b.versions == inside:
		return int(inside * d.Unit() * d.Unit() * d.Unit())
	case b.renewed && d.Chance(0.05): // who renews nothing
		return d.Int(b.versions)
	case !b.renewed:
		return min(w.older(0.6), b.versions-1)
	case d.Chance(min(max((at-w.rollout)/spreading, 0), 0.8)):
		return 0
	}
	return min(1+w.older(0.35), b.versions-1)
}

// older is by how many versions somebody is behind.
func (w *wardrobe) older(share float64) (n int) {
	for w.draw.Chance(share) {
		n++
	}
	return n
}

// library is what a program asks with; some have a name of their own.
func (w *wardrobe) library() guise {
	d := w.draw
	if d.Chance(0.1) {
		w.named++
		return device(agentOf(len(browsers)+len(libraries), int(w.named)), 0, bare)
	}
	sort, dice := 0, d.Unit()
	for sort < len(libraries)-1 && dice >= libraries[sort].share {
		dice -= libraries[sort].share
		sort++
	}
	quirk := bare
	if d.Chance(0.2) {
		quirk--
	}
	return device(agentOf(len(browsers)+sort, min(w.older(0.5), libraries[sort].versions-1)), 0, quirk)
}

// listed is a browser from one of the lists that are passed around: of any age.
func (w *wardrobe) listed() guise {
	sort := w.draw.Int(len(browsers) - 1)
	return device(agentOf(sort, w.draw.Int(browsers[sort].versions/2)), 0, bare)
}

// disguise is what an attack says of itself, ask by ask.
type disguise func(at float64, from netip.Addr) guise

// Dress is what an attack says of itself.
type Dress string

// The ways to dress. The last two are in no training.
const (
	Plain    Dress = "plain"    // as what it is: a library
	One      Dress = "one"      // as one browser
	List     Dress = "list"     // as any of a list, by turns
	Crowd    Dress = "crowd"    // as those who come to the page, anew for each ask
	Costumes Dress = "costumes" // as one of those from each address
	Drifting Dress = "drifting" // as one browser after the other, for some asks each
)

// Dresses returns all of them.
func Dresses() []Dress { return []Dress{Plain, One, List, Crowd, Costumes, Drifting} }

// disguise dresses an attack. Who asks with a stolen key may look like whom it was stolen from.
func (g *maker) disguise(f Family, who *Actor) disguise {
	w, d := g.wardrobe, g.wardrobe.draw
	language := who.language
	who.Dress = g.dress(f, who)
	switch who.Dress {
	case Plain:
		always := w.library()
		if who.stolen && d.Chance(0.5) {
			always = who.as
		}
		return func(float64, netip.Addr) guise { return always }
	case One:
		always := guise{}
		return func(at float64, _ netip.Addr) guise {
			if always == (guise{}) {
				always = w.browser(at, language)
			}
			return always
		}
	case List:
		some := make([]guise, 3+d.Int(40))
		for i := range some {
			some[i] = w.listed()
		}
		return func(float64, netip.Addr) guise { return some[d.Int(len(some))] }
	case Costumes:
		all := map[netip.Addr]guise{}
		return func(at float64, from netip.Addr) guise {
			if _, dressed := all[from]; !dressed {
				all[from] = w.browser(at, language)
			}
			return all[from]
		}
	case Drifting:
		now, left := guise{}, 0
		return func(at float64, _ netip.Addr) guise {
			if left--; left < 0 {
				now, left = w.browser(at, language), 10+d.Int(60)
			}
			return now
		}
	case Crowd:
	}
	return func(at float64, _ netip.Addr) guise { return w.browser(at, language) }
}

// dress is how an attack of a family dresses. On a page a library stands out, behind a key
// a browser does.
func (g *maker) dress(f Family, who *Actor) Dress {
	shares := [...]float64{0.2, 0.25, 0.2, 0.35, 0, 0} // in the order of Dresses
	switch {
	case !who.public:
		shares = [...]float64{0.6, 0.15, 0.1, 0.15, 0, 0}
	case slices.Contains(Unseen(), f):
		shares = [...]float64{0.1, 0.15, 0.15, 0.25, 0.2, 0.15}
	}
	dice := g.wardrobe.draw.Unit()
	for i, dress := range Dresses() {
		if dice < shares[i] {
			return dress
		}
		dice -= shares[i]
	}
	return Crowd
}
