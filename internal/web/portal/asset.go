package portal

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	portals "github.com/scripcards/scrip/internal/portal"
)

//go:embed asset/page.css asset/page.js asset/icon.svg
var files embed.FS

// assets are the files of the page under names that change with what is in them.
type assets struct {
	byName map[string]file
	paths  map[string]string // by plain name
	brand  string            // hash of what makes brand styles
}

type file struct {
	media   string
	content []byte
}

var mediaTypes = map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}

func newAssets() *assets {
	a := &assets{byName: map[string]file{}, paths: map[string]string{}}
	for _, name := range []string{"page.css", "page.js", "icon.svg"} {
		content, err := files.ReadFile("asset/" + name)
		if err != nil {
			continue // embedded files are there: the compiler saw to it
		}
		base, extension, _ := strings.Cut(name, ".")
		hashed := base + "-" + digest(string(content)) + "." + extension
		a.byName[hashed], a.paths[name] = file{mediaTypes[extension], content}, assetFolder+hashed
	}
	// What makes brand styles is code; one of its results stands for it.
	a.brand = digest(brandStyle("#1f4e79", "#ffffff") + brandStyle("#ffcc00", ""))
	return a
}

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:6])
}

// links are the addresses of a page's files.
type links struct{ style, brand, script, icon string }

// links returns the files for a portal; nil stands for nobody's page.
func (a *assets) links(p *portals.Portal) links {
	primary, text := portals.DefaultColor, ""
	if p != nil {
		primary, text = p.Branding.PrimaryColor, p.Branding.TextColor
	}
	name := "brand-" + a.brand + "-" + strings.TrimPrefix(primary, "#")
	if text != "" {
		name += "-" + strings.TrimPrefix(text, "#")
	}
	return links{style: a.paths["page.css"], brand: assetFolder + name + ".css", script: a.paths["page.js"], icon: a.paths["icon.svg"]}
}

var brandName = regexp.MustCompile(`^brand-([0-9a-f]{12})-([0-9a-f]{6})(?:-([0-9a-f]{6}))?\.css$`)

// find returns the file of a name.
func (a *assets) find(name string) (file, bool) {
	if f, ok := a.byName[name]; ok {
		return f, true
	}
	match := brandName.FindStringSubmatch(name)
	if match == nil || match[1] != a.brand {
		return file{}, false
	}
	text := ""
	if match[3] != "" {
		text = "#" + match[3]
	}
	return file{mediaTypes["css"], []byte(brandStyle("#"+match[2], text))}, true
}

// asset serves a file. Its name tells its content, so browsers keep it.
func (s *Site) asset(w http.ResponseWriter, r *http.Request) {
	watch := clock.Start()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	status := http.StatusOK
	f, ok := s.assets.find(r.PathValue("file"))
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		status = http.StatusMethodNotAllowed
		h.Set("Allow", "GET, HEAD")
	case !ok:
		status = http.StatusNotFound
		h.Set("Cache-Control", "no-store")
	default:
		h.Set("Content-Type", f.media)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Content-Length", strconv.Itoa(len(f.content)))
	}
	w.WriteHeader(status)
	if status == http.StatusOK && r.Method == http.MethodGet {
		_, _ = w.Write(f.content) // the visitor may have left
	}
	if s.Observe != nil {
		s.Observe(r.Context(), wire.Record{Dialect: "portal", Route: "asset", Method: r.Method, Path: assetPath, Status: status,
			From: wire.ClientAddress(r, s.Proxies), Elapsed: watch.Elapsed()})
	}
}

// The backgrounds of the style sheet, light and dark, that brand colours must be read on.
const (
	lightSurface = "#ffffff"
	darkSurface  = "#1b2027"
)

// brandStyle makes the style sheet that colours a page: for each scheme the band, the
// text on it, and an accent that can be read on the page's own surface.
func brandStyle(primary, text string) string {
	light, dark := brandScheme(primary, text, false), brandScheme(primary, text, true)
	return fmt.Sprintf(":root{%s}\n@media (prefers-color-scheme:dark){:root{%s}}\n", light, dark)
}

func brandScheme(primary, text string, dark bool) string {
	brand, _ := portals.ParseColor(primary) // checked when it was stored
	surface, _ := portals.ParseColor(lightSurface)
	if dark {
		surface, _ = portals.ParseColor(darkSurface)
		brand = brand.Mix(portals.Color{}, 30) // a bright band would outshine a dark page
	}
	on, chosen := portals.ParseColor(text)
	if !chosen || portals.Contrast(brand, on) < portals.MinContrast {
		on = portals.OnColor(brand)
	}
	base, _ := portals.ParseColor(primary)
	// A little beyond what is needed: the accent also stands on tints of the surface.
	accent := base.Readable(surface, portals.MinContrast+0.8)
	button, onButton, edge := base, on, base
	switch visible := portals.Contrast(base, surface) >= minBoundary; {
	case visible && dark:
		onButton = portals.OnColor(base)
	case dark:
		button, onButton, edge = accent, portals.OnColor(accent), accent
	case !visible:
		edge = accent // a bright colour stays, with a border to tell it from the page
	}
	return fmt.Sprintf("--brand:%s;--on-brand:%s;--accent:%s;--button:%s;--on-button:%s;--edge:%s;--tint:%s", brand, on, accent,
		button, onButton, edge, surface.Mix(accent, 7))
}

// minBoundary is what the edge of a control needs against the page (WCAG 2.2, success criterion 1.4.11).
const minBoundary = 3
