package portal

import (
	"encoding/hex"
	"math"
)

// Color is an sRGB colour.
type Color struct{ R, G, B uint8 }

// ParseColor reads "#rrggbb".
func ParseColor(text string) (Color, bool) {
	var b [3]byte
	if len(text) != 7 || text[0] != '#' {
		return Color{}, false
	}
	if _, err := hex.Decode(b[:], []byte(text[1:])); err != nil {
		return Color{}, false
	}
	return Color{b[0], b[1], b[2]}, true
}

// String returns "#rrggbb".
func (c Color) String() string { return "#" + hex.EncodeToString([]byte{c.R, c.G, c.B}) }

// MinContrast is what text needs against its background (WCAG 2.2, success criterion 1.4.3).
const MinContrast = 4.5

// Contrast returns the ratio of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio").
func Contrast(a, b Color) float64 {
	light, dark := a.luminance(), b.luminance()
	if light < dark {
		light, dark = dark, light
	}
	return (light + 0.05) / (dark + 0.05)
}

// luminance is the relative luminance as WCAG 2.2 defines it.
func (c Color) luminance() float64 {
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

func linear(channel uint8) float64 {
	v := float64(channel) / 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// OnColor returns black or white, whichever is easier to read on c: at least 4.5 to 1.
func OnColor(c Color) Color {
	black, white := Color{}, Color{255, 255, 255}
	if Contrast(c, black) > Contrast(c, white) {
		return black
	}
	return white
}

// Mix returns c with so many hundredths of other in it.
func (c Color) Mix(other Color, hundredths int) Color {
	mix := func(a, b uint8) uint8 { return uint8((int(a)*(100-hundredths) + int(b)*hundredths + 50) / 100) }
	return Color{mix(c.R, other.R), mix(c.G, other.G), mix(c.B, other.B)}
}

// Readable returns the colour nearest to c that has the ratio to background: c itself,
// or c mixed with black or white, whichever is further from the background.
func (c Color) Readable(background Color, ratio float64) Color {
	towards := OnColor(background)
	for hundredths := 0; hundredths < 100; hundredths += 2 {
		if mixed := c.Mix(towards, hundredths); Contrast(mixed, background) >= ratio {
			return mixed
		}
	}
	return towards
}
