// Package snapshot draws photos of prepaid cards for tests: cards of many designs, each
// with its own number, as a camera sees them on a table: from one side, near or far,
// turned, unevenly lit, with a reflection, out of focus, noisy and compressed.
//
// The same values draw the same photo. They are drawings: real photos have more to them,
// such as hands, scratches and bent cards.
package snapshot

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Cards are drawn in this size, that of ISO/IEC 7810 ID-1 at 14 pixels a millimetre.
const (
	cardWidth  = 1200
	cardHeight = 757
)

// Card is a card of one design: what is printed on it for its holder alone.
type Card struct {
	Design uint64
	Number string // 16 digits
	Expiry string
	Name   string
}

// Deal returns a card of a design. Its first six digits are the design's, like those of
// all its cards; so may be its expiry and its name.
func Deal(design, seed uint64) Card {
	look := rand.New(rand.NewPCG(design, 11))
	random := rand.New(rand.NewPCG(seed, 13))
	c := Card{Design: design, Number: fmt.Sprintf("4%05d", look.IntN(100_000)), Name: "GIFT CARD RECIPIENT"}
	for range 10 {
		c.Number += string(rune('0' + random.IntN(10)))
	}
	c.Expiry = fmt.Sprintf("%02d/%02d", 1+random.IntN(12), 27+random.IntN(4))
	if look.IntN(3) == 0 {
		c.Name = names[random.IntN(len(names))]
	}
	return c
}

var names = []string{"ADA LOVELACE", "GRACE HOPPER", "ALAN TURING", "MARY SOMERVILLE", "EMMY NOETHER", "CARL GAUSS", "SOPHIE GERMAIN", "JOHN NAPIER"}

// draw returns the card's front.
func (c Card) draw() *image.RGBA {
	random := rand.New(rand.NewPCG(c.Design, 17))
	img := image.NewRGBA(image.Rect(0, 0, cardWidth, cardHeight))
	paper(img, random)
	for range 4 + random.IntN(14) {
		shape(img, random)
	}
	ink := color.RGBA{245, 245, 240, 255}
	if random.IntN(2) == 0 {
		ink = color.RGBA{20, 22, 30, 255}
	}
	write(img, text{gobold.TTF, 60 + random.Float64()*50, 60 + random.IntN(300), 130, ink}, brands[random.IntN(len(brands))])
	write(img, text{goregular.TTF, 34, 60 + random.IntN(500), 190, ink}, "prepaid  "+brands[random.IntN(len(brands))])
	if random.IntN(2) == 0 {
		chip(img)
	}
	disc(img, 980, color.RGBA{uint8(random.IntN(256)), 40, 40, 255})
	disc(img, 1075, color.RGBA{240, uint8(random.IntN(256)), 30, 255})
	c.print(img, random, ink)
	return img
}

var brands = []string{"Cedar", "Northway", "Halcyon", "Blue Fern", "Quanta", "Meridian", "Sandbar", "Ostrich", "Vellum", "Kite & Co"}

// print writes what only this card has: large and in relief across the middle, or small
// and flat in a corner, as its design has it.
func (c Card) print(img *image.RGBA, random *rand.Rand, ink color.RGBA) {
	n := c.Number
	grouped := n[:4] + " " + n[4:8] + " " + n[8:12] + " " + n[12:]
	switch random.IntN(3) {
	case 0: // in relief
		write(img, text{gomono.TTF, 84, 72, 462, color.RGBA{30, 30, 30, 255}}, grouped)
		write(img, text{gomono.TTF, 84, 69, 458, ink}, grouped)
		write(img, text{gomono.TTF, 44, 560, 545, ink}, c.Expiry)
		write(img, text{gomono.TTF, 44, 72, 690, ink}, c.Name)
	case 1: // flat
		write(img, text{gomono.TTF, 66, 80, 470, ink}, grouped)
		write(img, text{gomono.TTF, 36, 80, 545, ink}, "VALID THRU "+c.Expiry)
		write(img, text{goregular.TTF, 40, 80, 690, ink}, c.Name)
	default: // small, below
		write(img, text{gomono.TTF, 48, 80, 600, ink}, grouped)
		write(img, text{gomono.TTF, 34, 80, 655, ink}, "EXP "+c.Expiry)
		write(img, text{goregular.TTF, 34, 80, 705, ink}, c.Name)
	}
}

// text is how and where something is written.
type text struct {
	font []byte
	size float64
	x, y int
	ink  color.Color
}

func write(img draw.Image, t text, words string) {
	parsed, err := opentype.Parse(t.font)
	if err != nil {
		panic(err) // the fonts are part of the program
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: t.size, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		panic(err)
	}
	d := font.Drawer{Dst: img, Src: image.NewUniform(t.ink), Face: face, Dot: fixed.P(t.x, t.y)}
	d.DrawString(words)
}

// paper fills the card with a gradient between two colours.
func paper(img *image.RGBA, random *rand.Rand) {
	from, to := hue(random), hue(random)
	angle := random.Float64() * 2 * math.Pi
	sin, cos := math.Sincos(angle)
	for y := range cardHeight {
		for x := range cardWidth {
			t := 0.5 + (float64(x)/cardWidth-0.5)*cos*0.7 + (float64(y)/cardHeight-0.5)*sin*0.7
			img.SetRGBA(x, y, blend(from, to, t))
		}
	}
}

func hue(random *rand.Rand) color.RGBA {
	return color.RGBA{uint8(30 + random.IntN(200)), uint8(30 + random.IntN(200)), uint8(30 + random.IntN(200)), 255}
}

func blend(a, b color.RGBA, t float64) color.RGBA {
	t = min(max(t, 0), 1)
	mix := func(a, b uint8) uint8 { return uint8(float64(a) + (float64(b)-float64(a))*t) }
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// shape paints a disc, a band or a polygon of the design.
func shape(img *image.RGBA, random *rand.Rand) {
	tint, strength := hue(random), 0.25+0.6*random.Float64()
	x, y, size := random.Float64()*cardWidth, random.Float64()*cardHeight, 40+random.Float64()*260
	angle, corners := random.Float64()*math.Pi, 3+random.IntN(4)
	kind := random.IntN(3)
	sin, cos := math.Sincos(angle)
	for py := max(0, int(y-size)); py < min(cardHeight, int(y+size)); py++ {
		for px := max(0, int(x-size)); px < min(cardWidth, int(x+size)); px++ {
			dx, dy := float64(px)-x, float64(py)-y
			u, v := dx*cos+dy*sin, dy*cos-dx*sin
			in := false
			switch kind {
			case 0:
				in = math.Hypot(dx, dy) < size
			case 1:
				in = math.Abs(v+30*math.Sin(u/50)) < size/6
			default:
				turn := math.Mod(math.Atan2(v, u)+2*math.Pi, 2*math.Pi/float64(corners)) - math.Pi/float64(corners)
				in = math.Hypot(u, v)*math.Cos(turn) < size*0.6
			}
			if in {
				img.SetRGBA(px, py, blend(img.RGBAAt(px, py), tint, strength))
			}
		}
	}
}

func chip(img *image.RGBA) {
	const x, y = 90, 270
	gold, line := color.RGBA{205, 175, 95, 255}, color.RGBA{120, 95, 45, 255}
	draw.Draw(img, image.Rect(x, y, x+150, y+115), image.NewUniform(gold), image.Point{}, draw.Src)
	for i := 1; i < 4; i++ {
		draw.Draw(img, image.Rect(x, y+i*29, x+150, y+i*29+4), image.NewUniform(line), image.Point{}, draw.Src)
	}
	for i := 1; i < 3; i++ {
		draw.Draw(img, image.Rect(x+i*50, y, x+i*50+4, y+115), image.NewUniform(line), image.Point{}, draw.Src)
	}
}

func disc(img *image.RGBA, x int, tint color.RGBA) {
	const y, r = 630, 80
	for dy := -r; dy <= r; dy++ {
		for dx := -r; dx <= r; dx++ {
			if dx*dx+dy*dy <= r*r && image.Pt(x+dx, y+dy).In(img.Rect) {
				img.SetRGBA(x+dx, y+dy, blend(img.RGBAAt(x+dx, y+dy), tint, 0.85))
			}
		}
	}
}
