package e2e

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// methods asks for every path by every method, as whom it is for: those that no contract has
// are refused and say which there are, and HEAD is told what GET is.
func (g *gate) methods() {
	for _, dialect := range append(slices.Clone(dialects), "operator") {
		has := map[string][]string{}
		for _, d := range g.operationsOf(dialect) {
			has[d.path] = append(has[d.path], d.method)
		}
		for n, d := range g.operationsOf(dialect) {
			if d.method == http.MethodGet && !strings.HasPrefix(d.id, "seeds.generate") {
				g.heads(d)
			}
			for i, method := range []string{"HEAD", "OPTIONS", "TRACE", "CONNECT", "GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get"} {
				if (n+i)%4 == 0 && !slices.Contains(has[d.path], method) && !(method == http.MethodHead && slices.Contains(has[d.path], http.MethodGet)) {
					g.refusesMethod(d, method, has[d.path])
				}
			}
		}
	}
}

func (g *gate) refusesMethod(d documented, method string, has []string) {
	g.t.Helper()
	e := g.owned(d)
	e.method, e.body = method, ""
	got, want := g.dial(e), http.StatusMethodNotAllowed
	if d.dialect == "cardcoins" {
		want = http.StatusForbidden // its contract has no other status for that
	}
	g.refuses("by "+method, d, got, want)
	if allow := strings.Split(got.header.Get("Allow"), ", "); !slices.Equal(trimmed(allow), sorted(has)) {
		g.t.Errorf("%s %s: Allow is %s, want %s", d.dialect, d.path, allow, has)
	}
}

// trimmed leaves HEAD out, which goes with GET.
func trimmed(methods []string) []string {
	return slices.DeleteFunc(methods, func(m string) bool { return m == http.MethodHead })
}

func sorted(methods []string) []string { return slices.Sorted(slices.Values(methods)) }

// heads compares a HEAD with its GET.
func (g *gate) heads(d documented) {
	g.t.Helper()
	e := g.owned(d)
	e.method, e.body = http.MethodHead, ""
	head := g.dial(e)
	e.method = http.MethodGet
	get := g.dial(e)
	g.inspect(d, head)
	if head.status != get.status || head.body != "" || head.header.Get("Cache-Control") != get.header.Get("Cache-Control") {
		g.t.Errorf("%s %s: HEAD says %d %v %q, GET %d %v", d.dialect, d.id, head.status, head.header, head.body, get.status, get.header)
	}
	if d.public {
		return
	}
	for _, name := range []string{"Authorization", "X-API-Key", "X-Seed"} {
		e.headers[name] = ""
	}
	e.method = http.MethodHead
	g.refuses("by HEAD without a credential", d, g.dial(e), http.StatusUnauthorized)
}

// paths asks for what is there by what is nearly its path: nothing is found, and nobody is
// sent elsewhere.
func (g *gate) paths() {
	for _, dialect := range append(slices.Clone(dialects), "operator") {
		for n, d := range g.operationsOf(dialect) {
			if d.method != http.MethodGet || strings.HasPrefix(d.id, "seeds.generate") {
				continue
			}
			path, query, _ := strings.Cut(g.owned(d).path, "?")
			for i, near := range nearly(strings.TrimSuffix(path, "/")) {
				e := g.owned(d)
				e.path = near
				if query != "" {
					e.path += "?" + query
				}
				if (n+i)%4 == 0 && near != strings.TrimSuffix(path, "/") {
					g.refuses("at "+e.path, d, g.dial(e), http.StatusNotFound, http.StatusBadRequest, http.StatusUnprocessableEntity)
				}
			}
		}
	}
}

// nearly are paths that some servers take for path.
func nearly(path string) []string {
	return []string{path + "/.", path + "/..", path + "//", path + "/%2e", path + "%2f", path + "%00", path + ";x=1", path + "%3b", path + ".", path + "%20", path + "/x/..", path + "\\",
		"/" + path, "/." + path, "/x/.." + path, "/%2e" + path, strings.ToUpper(path), "/" + strings.Replace(path[1:], "/", "//", 1), "/" + strings.Replace(path[1:], "/", "%2f", 1)}
}

// strange are texts that no id is.
var strange = []string{"\x00", "a\x00b", "\xff", "\u202e", strings.Repeat("9", 250), strings.Repeat("é", 600), "-1", "9223372036854775808", "%", "4916531234567890"}

// hostile makes every call about what has no id that could be, as whom it is for: none of them
// is a mistake of the server's.
func (g *gate) hostile() {
	for _, dialect := range append(slices.Clone(dialects), "operator") {
		for n, d := range g.operationsOf(dialect) {
			for i := range 3 {
				about := things{"book_id": g.alpha.books["test"]}
				for _, p := range d.parameters {
					if p.In == openapi3.ParameterInPath && p.Name != "book_id" {
						about[p.Name] = strange[(3*n+i)%len(strange)]
					}
				}
				if len(about) == 1 {
					continue
				}
				e := d.request(about)
				e.headers = g.owned(d).headers
				g.inspect(d, g.dial(e))
			}
		}
	}
}

// makings are ids and numbers of what a call made.
var makings = regexp.MustCompile(`\b[a-z0-9]{2,8}_[0-9a-z]{26}\b|\bGC\d{16}\b|\bKEY_[0-9a-f]{32}\b|\bDEMO-[A-Z0-9-]{8,}\b`)

// repeats makes every call that makes something as two customers under the same key: none of
// them is answered for the other.
func (g *gate) repeats() {
	for _, dialect := range dialects {
		for _, d := range g.operationsOf(dialect) {
			if d.public || d.method == http.MethodGet || d.about(g.alpha.things, g.likes(g.alpha.things)) {
				continue
			}
			seen := map[string]string{}
			for _, who := range []struct {
				name, realm string
				owner
			}{{"alpha", "test", g.alpha}, {"beta", "test", g.beta}, {"alpha's live realm", "live", g.alpha}} {
				e := d.request(g.alpha.things)
				who.sign(&e, dialect, who.realm)
				e.headers["Idempotency-Key"], e.headers["X-Idempotency-Key"] = "the same", "the same"
				got := g.dial(e)
				g.inspect(d, got)
				for _, id := range makings.FindAllString(got.body, -1) {
					if other := seen[id]; other != "" && other != who.name && !strings.HasPrefix(id, "req_") {
						g.t.Errorf("%s %s: %s is told of %s, which was made for %s", dialect, d.id, who.name, id, other)
					}
					seen[id] = who.name
				}
			}
		}
	}
}
