package wire

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Spec says what the kit must do around one endpoint.
type Spec struct {
	// Name is the operation's id, such as "cards.ping".
	Name string
	// Method and Path are those of a net/http pattern, such as "/v2/orders/{id}".
	Method, Path string
	// Public skips authentication.
	Public bool
	// Scope is the permission that Authenticate must find; empty means none.
	Scope string
	// Status is the success status; zero means 200.
	Status int
	// MaxBody, in bytes, replaces the dialect's, and Timeout DefaultTimeout. A longer Timeout holds for
	// reading and answering too, in the place of the server's.
	MaxBody int64
	Timeout time.Duration
	// EmptyBody reads an absent body as an empty object.
	EmptyBody bool
	// Accept is the media type of a body that is not JSON, or several with ", " between them:
	// it is read but not decoded.
	Accept string
	// Idempotent replays the stored answer when the caller's key is known.
	Idempotent bool
	// Audit names the action to record before a success is answered, for reads that reveal a secret.
	Audit string
	// Cache is the Cache-Control of a success; empty means no-store.
	Cache string
	// Tagged sends an ETag with a success, made of its bytes, and 304 to a caller who has
	// them. It is for reads whose Cache lets callers keep them.
	Tagged bool
	// Makes says that a GET makes something and tells of it once: no HEAD takes its place,
	// which would be told nothing.
	Makes bool
	// Message is the envelope's message.
	Message string
	// Limits hold for this route alone, after the dialect's.
	Limits []Limit
}

// Route describes a registered endpoint.
type Route struct {
	Spec
	Dialect string
	In, Out reflect.Type
}

// Surface is a dialect with its routes.
type Surface[P any] struct {
	Dialect[P]
	kit     *Kit
	groups  map[string]*group[P]
	routes  []*route[P]
	unknown *route[P]
	wrong   *route[P]
}

type route[P any] struct {
	Route
	plan   *plan
	limits []boundLimit
	cache  []string
	decode func(*Call[P]) (any, error)
	invoke func(context.Context, *Call[P], any) (any, error)
	// slow routes take longer than DefaultTimeout.
	slow bool
	// refuse is set on the two routes that stand for an unknown path and a wrong method.
	refuse *fault.Error
}

// group is one path with all its methods.
type group[P any] struct {
	surface *Surface[P]
	path    string
	routes  []*route[P]
	allow   []string
}

// New returns a surface without routes. It panics when the dialect is incomplete:
// that is a mistake of the program.
func New[P any](kit *Kit, dialect Dialect[P]) *Surface[P] {
	if err := dialect.complete(); err != nil {
		panic("wire: dialect " + err.Error())
	}
	s := &Surface[P]{Dialect: dialect, kit: kit, groups: map[string]*group[P]{}}
	s.unknown = s.refusal("unknown_path", fault.New(fault.RouteNotFound, "no such path"))
	s.wrong = s.refusal("wrong_method", fault.New(fault.MethodNotAllowed, "method not allowed"))
	return s
}

func (s *Surface[P]) refusal(name string, f *fault.Error) *route[P] {
	r := &route[P]{refuse: f, Route: Route{Spec: Spec{Name: name, Public: true, Timeout: DefaultTimeout}, Dialect: s.Name}}
	r.limits = s.bind(r)
	return r
}

// Handle registers an endpoint. It panics on a spec, request or response type
// that cannot work, and on a route registered twice.
func Handle[P, In, Out any](s *Surface[P], spec Spec, handler Handler[P, In, Out]) {
	r := &route[P]{Route: Route{Spec: spec, Dialect: s.Name, In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out]()}}
	if err := s.prepare(r); err != nil {
		panic(fmt.Sprintf("wire: %s %s %s: %v", s.Name, spec.Method, spec.Path, err))
	}
	r.decode = func(c *Call[P]) (any, error) {
		in := new(In)
		return in, s.decodeInto(c, in, reflect.ValueOf(in).Elem())
	}
	r.invoke = func(ctx context.Context, c *Call[P], in any) (any, error) {
		return handler(ctx, c, *in.(*In))
	}
	s.add(r)
}

func (s *Surface[P]) prepare(r *route[P]) error {
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	if r.MaxBody == 0 {
		r.MaxBody = s.MaxBody
	}
	r.slow = r.Timeout > DefaultTimeout
	if r.Timeout == 0 {
		r.Timeout = DefaultTimeout
	}
	if r.Cache == "" {
		r.Cache = "no-store"
	}
	switch {
	case r.Name == "" || r.Method == "" || !strings.HasPrefix(r.Path, "/"):
		return fmt.Errorf("name, method and path are required")
	case !r.Public && s.Authenticate == nil:
		return fmt.Errorf("not public, and the dialect does not authenticate")
	case r.Idempotent && (s.Replay == nil || !takesBody(r.Method)):
		return fmt.Errorf("idempotent needs the dialect's Replay and a method that writes")
	case slices.ContainsFunc(slices.Concat(s.Limits, r.Limits), func(l Limit) bool { return len(l.Windows) == 0 }):
		return fmt.Errorf("a limit has no windows")
	case r.Tagged && takesBody(r.Method):
		return fmt.Errorf("tagged, and not a read")
	case r.Audit != "" && s.Audit == nil:
		return fmt.Errorf("audited, and the dialect has no Audit")
	}
	if err := refuseFloats(r.Out, nil); err != nil {
		return fmt.Errorf("response %w", err)
	}
	p, err := compile(r.In, r.Method, wildcards(r.Path))
	if err != nil {
		return fmt.Errorf("request %w", err)
	}
	r.plan = p
	r.limits = s.bind(r)
	r.cache = []string{r.Cache}
	return nil
}

func (s *Surface[P]) add(r *route[P]) {
	shape := shapeOf(r.Path)
	g := s.groups[shape]
	if g == nil {
		g = &group[P]{surface: s, path: r.Path, allow: []string{""}}
		s.groups[shape] = g
	}
	if g.path != r.Path || g.find(r.Method, false) != nil {
		panic(fmt.Sprintf("wire: %s %s %s: clashes with %s", s.Name, r.Method, r.Path, g.path))
	}
	g.routes = append(g.routes, r)
	var methods []string
	for _, other := range g.routes {
		methods = append(methods, other.Method)
		if other.Method == http.MethodGet && !other.Makes {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	g.allow[0] = strings.Join(slices.Compact(methods), ", ")
	s.routes = append(s.routes, r)
}

// Routes describes every endpoint, in the order of registration.
func (s *Surface[P]) Routes() []Route {
	routes := make([]Route, len(s.routes))
	for i, r := range s.routes {
		routes[i] = r.Route
	}
	return routes
}

// Table returns the dialect's error table.
func (s *Surface[P]) Table() map[fault.Code]Verdict { return s.Faults }

// Mount registers the surface's paths and prefixes on mux, with the slash at their end and
// without: the mux would send whoever leaves it out elsewhere, with a page.
func (s *Surface[P]) Mount(mux *http.ServeMux) {
	for _, g := range s.groups {
		mux.Handle(g.path, g)
		if bare, ends := strings.CutSuffix(g.path, "/{$}"); ends && bare != "" && s.groups[bare] == nil {
			mux.Handle(bare, g)
		}
	}
	for _, prefix := range s.Prefixes {
		mux.HandleFunc(prefix, s.notFound)
		bare := strings.TrimSuffix(prefix, "/")
		if bare != "" && s.groups[bare] == nil && s.groups[prefix+"{$}"] == nil {
			mux.HandleFunc(bare, s.notFound)
		}
	}
}

// Unknown returns the longest of the surface's prefixes that path is below, and who
// refuses unknown paths there; nothing where it is below none of them.
func (s *Surface[P]) Unknown(path string) (prefix string, refuse http.Handler) {
	for _, one := range s.Prefixes {
		if len(one) > len(prefix) && strings.HasPrefix(path+"/", one) {
			prefix, refuse = one, http.HandlerFunc(s.notFound)
		}
	}
	return prefix, refuse
}

func (s *Surface[P]) notFound(w http.ResponseWriter, r *http.Request) { s.serve(w, r, s.unknown) }

// ServeHTTP picks the route by method. A HEAD without a route of its own is a GET without
// its body, unless that makes something.
func (g *group[P]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if found := g.find(r.Method, true); found != nil {
		g.surface.serve(w, r, found)
		return
	}
	w.Header()["Allow"] = g.allow
	g.surface.serve(w, r, g.surface.wrong)
}

func (g *group[P]) find(method string, head bool) *route[P] {
	for _, r := range g.routes {
		if r.Method == method {
			return r
		}
	}
	if head && method == http.MethodHead {
		if found := g.find(http.MethodGet, false); found != nil && !found.Makes {
			return found
		}
	}
	return nil
}

func takesBody(method string) bool {
	return method != http.MethodGet && method != http.MethodHead
}

// wildcards returns the names in a pattern's braces.
func wildcards(path string) []string {
	var names []string
	for _, segment := range strings.Split(path, "/") {
		if strings.HasPrefix(segment, "{") && segment != "{$}" {
			names = append(names, strings.TrimSuffix(strings.Trim(segment, "{}"), "..."))
		}
	}
	return names
}

// shapeOf is the path with its wildcards' names removed: equal shapes match the same requests.
func shapeOf(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if strings.HasPrefix(segment, "{") && segment != "{$}" {
			segments[i] = "{}"
		}
	}
	return strings.Join(segments, "/")
}
