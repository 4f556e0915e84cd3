package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
)

// dialects are the published contracts, but for those of operators.
var dialects = []string{"gatepay", "cardping", "cardpluspay", "cryptocardy", "cardcoins"}

// Every operation that is published does what it does for whom it says, and for nobody else:
// other roles, scopes, customers, realms and seeds read nothing, change nothing, and are not
// told what there is.
func TestAccess(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		g := openGate(t, at)
		g.roles()
		g.unknown()
		g.scopes()
		g.strangers()
		g.otherBooks()
		g.repeats()
		g.methods()
		g.paths()
		g.hostile()
	})
}

// refuses checks an answer that must refuse.
func (g *gate) refuses(what string, d documented, got heard, statuses ...int) {
	g.t.Helper()
	if !slices.Contains(statuses, got.status) {
		g.t.Errorf("%s %s, %s: %d %.200s, want %v", d.dialect, d.id, what, got.status, got.body, statuses)
	}
	g.inspect(d, got)
}

// inspect checks what holds for every answer.
func (g *gate) inspect(d documented, got heard) {
	g.t.Helper()
	where := fmt.Sprintf("%s %s (%d)", d.dialect, d.id, got.status)
	if cache := got.header.Get("Cache-Control"); cache != "no-store" && !(got.status < 400 && cacheable[d.id]) {
		g.t.Errorf("%s: Cache-Control is %q", where, cache)
	}
	if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("X-Request-Id") == "" {
		g.t.Errorf("%s: headers %v", where, got.header)
	}
	for name := range got.header {
		if strings.HasPrefix(name, "Access-Control-") || name == "Set-Cookie" || name == "Location" || name == "Server" {
			g.t.Errorf("%s: header %s", where, name)
		}
	}
	if got.status >= 500 {
		g.t.Errorf("%s: %.300s", where, got.body)
	}
}

// cacheable are the operations whose successes may be kept: nothing of them is anybody's.
var cacheable = map[string]bool{"giftcard.cover": true, "catalog.image": true, "catalog.list": true, "document": true}

// wrong is a credential that opens nothing, and what it is.
type wrong struct{ what, value string }

// turn is a few of them: over all operations, each of them often.
func turn(all []wrong, n int) []wrong {
	few := []wrong{{"none", ""}}
	for i := range 3 {
		few = append(few, all[(3*n+i)%len(all)])
	}
	return few
}

// closed makes a call under what opens nothing, which is always answered in the same way.
func (g *gate) closed(d documented, header string, all []wrong) {
	g.t.Helper()
	first := ""
	for _, w := range all {
		e := d.request(g.alpha.things)
		e.headers[header] = w.value
		got := g.dial(e)
		g.refuses("with "+w.what, d, got, http.StatusUnauthorized)
		if d.dialect == "gatepay" && w.value == "" {
			continue // whoever sends none is told what is wanted
		}
		if first == "" {
			first = got.plain(nil)
		} else if other := got.plain(nil); other != first {
			g.t.Errorf("%s %s with %s: %s, with something else %s", d.dialect, d.id, w.what, other, first)
		}
	}
}

// roles makes every call of the operator API as everybody.
func (g *gate) roles() {
	nothing, admin := g.likes(g.alpha.things), g.operators["admin"]
	strangers := []wrong{
		{"the scheme alone", "Bearer"}, {"another scheme", "Basic " + admin}, {"no scheme", admin}, {"two keys", "Bearer " + admin + ", Bearer " + admin},
		{"another last letter", "Bearer " + nobodys(admin)}, {"upper case", "Bearer " + strings.ToUpper(admin)}, {"a key that ended", "Bearer " + g.operators["expired"]},
		{"a revoked key", "Bearer " + g.operators["revoked"]}, {"a disabled operator's", "Bearer " + g.operators["disabled"]},
		{"a customer's key", "Bearer " + g.alpha.keys["test"]}, {"a seed", "Bearer " + g.alpha.seeds["test"]},
	}
	for n, d := range g.operationsOf("operator") {
		for role, duties := range map[string]string{"admin": "read assist administer", "support": "read assist", "auditor": "read"} {
			e := d.request(nothing)
			e.body = strings.Replace(e.body, "{", `{"no such member":1,`, 1) // so that nothing is done
			e.headers["Authorization"] = "Bearer " + g.operators[role]
			got := g.dial(e)
			if d.public || slices.Contains(strings.Fields(duties), d.asks) {
				g.opens("as "+role, d, got)
				continue
			}
			g.refuses("as "+role, d, got, http.StatusForbidden)
			real := d.request(g.alpha.things)
			real.headers["Authorization"] = e.headers["Authorization"]
			g.alike(d, "as "+role, g.dial(real), got, g.alpha.things, nothing)
		}
		if !d.public {
			g.closed(d, "Authorization", turn(strangers, n))
		}
	}
}

// opens checks an answer to whom an operation is for.
func (g *gate) opens(who string, d documented, got heard) {
	g.t.Helper()
	if got.status == http.StatusForbidden || got.status == http.StatusUnauthorized {
		g.t.Errorf("%s %s %s: %d %s", d.dialect, d.id, who, got.status, got.body)
	}
	g.inspect(d, got)
}

// credential is the header of a dialect's credentials.
func credential(dialect string) string {
	if dialect == "cryptocardy" {
		return "X-Seed"
	}
	return "X-API-Key"
}

// unknown makes every call of the dialects under what is no credential, or none any more.
func (g *gate) unknown() {
	key, seed := g.alpha.keys["test"], g.alpha.seeds["test"]
	keys := []wrong{{"another last letter", nobodys(key)}, {"upper case", strings.ToUpper(key)}, {"the other realm's prefix", strings.Replace(key, "cp_test", "cp_live", 1)},
		{"a seed", seed}, {"a key that ended", g.alpha.keys["expired"]}, {"a revoked key", g.alpha.keys["revoked"]}, {"a rotated key", g.alpha.keys["rotated"]},
		{"an operator's key", g.operators["admin"]}, {"a scheme", "Bearer " + key}, {"two keys", key + ", " + key}}
	seeds := []wrong{{"another last digit", nobodys(seed)}, {"upper case", strings.ToUpper(seed)}, {"no dashes", strings.ReplaceAll(seed, "-", "")},
		{"a key", key}, {"a revoked seed", g.alpha.seeds["revoked"]}, {"a rotated seed", g.alpha.seeds["rotated"]}, {"two seeds", seed + ", " + seed}}
	for _, dialect := range dialects {
		for n, d := range g.operationsOf(dialect) {
			switch {
			case d.public:
				continue
			case dialect == "cryptocardy":
				g.closed(d, "X-Seed", turn(seeds, n))
				g.refuses("with a suspended customer's seed", d, g.as(d, g.gone, "test", g.alpha.things), http.StatusUnauthorized)
			default:
				g.closed(d, "X-API-Key", turn(keys, n))
				for _, name := range []string{"elsewhere", "suspended"} {
					e := d.request(g.alpha.things)
					e.headers["X-API-Key"] = map[string]string{"elsewhere": g.beta.keys["elsewhere"], "suspended": g.gone.keys["test"]}[name]
					g.refuses("with a key that is "+name, d, g.dial(e), http.StatusForbidden)
				}
			}
			e := d.request(g.alpha.things)
			e.path += map[bool]string{true: "&", false: "?"}[strings.Contains(e.path, "?")] + "api_key=" + key + "&seed=" + seed + "&X-API-Key=" + key
			g.refuses("with credentials in its query", d, g.dial(e), http.StatusUnauthorized)
		}
	}
}

// as makes a call of a dialect's as a customer, in a realm.
func (g *gate) as(d documented, who owner, realm string, about things) heard {
	g.t.Helper()
	e := d.request(about)
	who.sign(&e, d.dialect, realm)
	return g.dial(e)
}

func (o owner) sign(e *exchanged, dialect, realm string) {
	e.headers[credential(dialect)] = o.keys[realm]
	if dialect == "cryptocardy" {
		e.headers["X-Seed"] = o.seeds[realm]
	}
}

// scopes makes every call of the dialects under a key of each scope alone.
func (g *gate) scopes() {
	nothing := g.likes(g.alpha.things)
	for _, dialect := range dialects {
		for n, d := range g.operationsOf(dialect) {
			if d.public || dialect == "cryptocardy" {
				continue
			}
			for i, scope := range account.AllScopes()[1:] {
				e := d.request(nothing)
				e.headers["X-API-Key"] = g.beta.keys[scope.String()]
				got := g.dial(e)
				if d.asks == "" || scope.String() == d.asks {
					g.opens("with the scope "+scope.String(), d, got)
					continue
				}
				g.refuses("with the scope "+scope.String(), d, got, http.StatusForbidden)
				if (n+i)%5 > 0 {
					continue
				}
				real := d.request(g.alpha.things)
				real.headers["X-API-Key"] = e.headers["X-API-Key"]
				g.alike(d, "with the scope "+scope.String(), g.dial(real), got, g.alpha.things, nothing)
			}
		}
	}
}

// strangers asks for the first customer's things as the second one, and as the first one in
// the other realm.
func (g *gate) strangers() {
	byNumber := g.alpha.things
	byKey := maps.Clone(byNumber)
	delete(byKey, "cardNumber")
	before := g.snapshot()
	for _, real := range []things{byNumber, byKey} {
		nothing := g.likes(real)
		for _, who := range []struct {
			name, realm string
			owner
		}{{"another customer", "test", g.beta}, {"the same one in the live realm", "live", g.alpha}, {"another one in the live realm", "live", g.beta}} {
			for _, dialect := range dialects {
				for _, d := range g.operationsOf(dialect) {
					if d.public || !d.about(real, nothing) {
						continue
					}
					theirs := g.as(d, who.owner, who.realm, real)
					g.inspect(d, theirs)
					g.alike(d, who.name, theirs, g.as(d, who.owner, who.realm, nothing), real, nothing)
					g.keeps(d, who.name, theirs)
				}
			}
		}
	}
	g.unchanged(before)
}

// keeps checks that an answer that is no refusal holds nothing of the first customer's.
func (g *gate) keeps(d documented, who string, got heard) {
	g.t.Helper()
	for name, value := range g.alpha.things {
		if len(value) > 8 && !shared[name] && got.status < 400 && strings.Contains(got.body, value) {
			g.t.Errorf("%s %s, %s: the answer has %s: %s", d.dialect, d.id, who, name, got.body)
		}
	}
}

// shared names what is nobody's own.
var shared = map[string]bool{"month": true, "currency": true, "network": true}

// about reports whether an operation's request names what somebody has.
func (d documented) about(real, nothing things) bool {
	a, b := d.request(real), d.request(nothing)
	return a.path != b.path || a.body != b.body
}

// alike checks that what is somebody else's is answered as what nobody has.
func (g *gate) alike(d documented, who string, theirs, nobodys heard, real, nothing things) {
	g.t.Helper()
	if a, b := theirs.plain(real), nobodys.plain(nothing); a != b {
		g.t.Errorf("%s %s, %s:\nof somebody else's %s\nof nobody's       %s", d.dialect, d.id, who, a, b)
	}
}

// otherBooks asks as an administrator for the first customer's things in other books.
func (g *gate) otherBooks() {
	nothing := g.likes(g.alpha.things)
	before := g.snapshot()
	for who, book := range map[string]string{"in another customer's book": g.beta.books["test"], "in the live book": g.alpha.books["live"]} {
		for _, d := range g.operationsOf("operator") {
			if !strings.Contains(d.path, "{book_id}/") || strings.Count(d.path, "{") < 2 {
				continue
			}
			ask := func(about things) heard {
				about = maps.Clone(about)
				about["book_id"] = book
				e := d.request(about)
				e.headers["Authorization"] = "Bearer " + g.operators["admin"]
				return g.dial(e)
			}
			theirs := ask(g.alpha.things)
			g.inspect(d, theirs)
			g.alike(d, who, theirs, ask(nothing), g.alpha.things, nothing)
			g.keeps(d, who, theirs)
		}
	}
	g.unchanged(before)
}

// snapshot is what the first customer and operators see of the first customer's things.
func (g *gate) snapshot() map[string]string {
	g.t.Helper()
	seen := map[string]string{}
	for _, dialect := range append(slices.Clone(dialects), "operator") {
		for _, d := range g.operationsOf(dialect) {
			if d.method != http.MethodGet || d.public || dialect == "operator" && !strings.Contains(d.path, "{book_id}") {
				continue
			}
			got := g.dial(g.owned(d))
			if got.status >= 300 && !missing[dialect+" "+d.id] {
				g.t.Errorf("%s %s of its owner: %d %.200s (%s)", dialect, d.id, got.status, got.body, d.path)
			}
			g.inspect(d, got)
			if restless[d.id] {
				continue
			}
			seen[dialect+" "+d.id] = used.ReplaceAllString(got.plain(nil), "")
		}
	}
	return seen
}

// owned is a call about the first customer's things by whom it is for.
func (g *gate) owned(d documented) exchanged {
	e := d.request(g.alpha.things)
	g.alpha.sign(&e, d.dialect, "test")
	if d.dialect == "operator" {
		e.headers["Authorization"] = "Bearer " + g.operators["admin"]
	}
	return e
}

func (g *gate) unchanged(before map[string]string) {
	g.t.Helper()
	after := g.snapshot()
	if thisMonth() != g.alpha.things["month"] {
		return // statements, and what is counted by the month, have changed by themselves
	}
	for id, now := range after {
		if now != before[id] {
			g.t.Errorf("%s has changed:\n%s\nbefore\n%s", id, now, before[id])
		}
	}
}

// used is when a credential was used last.
var used = regexp.MustCompile(`,"last_used_at":"[^"]*"`)

// restless are reads whose answers change by being read: who looked at what.
var restless = map[string]bool{"orders.looks": true}

// missing are reads of what no customer has.
var missing = map[string]bool{"operator cashouts.get": true, "operator payouts.get": true, "operator deciders.get": true, "operator signers.get": true}

// until asks again until done says so.
func (g *gate) until(what string, done func() bool) {
	g.t.Helper()
	timeout, again := time.NewTimer(patience), time.NewTicker(50*time.Millisecond)
	defer timeout.Stop()
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-timeout.C:
			g.t.Fatalf("%s did not come about within %s", what, patience)
		}
	}
}
