package portal

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Contrast is what WCAG's own examples say, whichever colour comes first.
func TestContrast(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"#000000", "#ffffff", 21}, {"#ffffff", "#ffffff", 1}, {"#777777", "#ffffff", 4.48}, {"#767676", "#ffffff", 4.54},
		{"#ff0000", "#ffffff", 4.00}, {"#0000ff", "#ffffff", 8.59}, {"#ffcc00", "#000000", 13.89},
	} {
		a, _ := ParseColor(c.a)
		b, _ := ParseColor(c.b)
		if got := Contrast(a, b); math.Abs(got-c.want) > 0.01 || got != Contrast(b, a) {
			t.Errorf("Contrast(%s, %s) = %.3f, want %.2f", c.a, c.b, got, c.want)
		}
	}
}

// Whatever the colours are, what is put on them can be read.
func TestReadable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) Color {
			return Color{rapid.Byte().Draw(t, name+".r"), rapid.Byte().Draw(t, name+".g"), rapid.Byte().Draw(t, name+".b")}
		}
		c, background := draw("c"), draw("background")
		if got := Contrast(c, OnColor(c)); got < MinContrast {
			t.Errorf("OnColor(%s): %.2f", c, got)
		}
		if got := c.Readable(background, MinContrast); Contrast(got, background) < MinContrast {
			t.Errorf("%s on %s: %s has %.2f", c, background, got, Contrast(got, background))
		}
		if again, ok := ParseColor(c.String()); !ok || again != c {
			t.Errorf("%s is read as %s", c, again)
		}
	})
}
