package snapshot

import (
	"bytes"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"
)

// Shot is how a card is photographed.
type Shot struct {
	Width, Height int
	// Share is how much of the width the card takes, about.
	Share float64
	// Turn is in degrees, Lean and Nod how the camera looks from the side and from below.
	Turn, Lean, Nod float64
	// X and Y are by how much the card lies beside the middle, in widths of the photo.
	X, Y float64
	// Table is what the card lies on.
	Table uint64
	// Light is how much brighter one side is than the other, Exposure how bright it all is (1).
	Light, LightTurn, Exposure float64
	// Shine is a reflection on the card, 0 to 1, ShineAt where.
	Shine          float64
	ShineX, ShineY float64
	// Blur is in pixels, Bend how round the lens makes lines, Noise in shades.
	Blur, Bend, Noise float64
	// Quality is that of the jpeg.
	Quality int
	Seed    uint64
}

// Hard is how hard the photos are that Take thinks of.
type Hard int

// How hard: with a steady hand, as people do it, and carelessly.
const (
	Easy Hard = iota
	Usual
	Careless
)

// Think returns a shot as people take it.
func Think(hard Hard, seed uint64) Shot {
	random := rand.New(rand.NewPCG(seed, 23))
	around := func(most float64) float64 { return most * (2*random.Float64() - 1) }
	lean := []float64{10, 20, 32}[hard]
	s := Shot{
		Width: 1280, Height: 960, Share: 0.6 + around(0.15), Turn: around([]float64{10, 20, 60}[hard]), Lean: around(lean), Nod: around(lean),
		X: around(0.06), Y: around(0.05), Table: random.Uint64(), Light: []float64{0.15, 0.35, 0.6}[hard] * random.Float64(), LightTurn: around(180),
		Exposure: 1 + around([]float64{0.1, 0.2, 0.35}[hard]), Shine: []float64{0, 0.5, 0.9}[hard] * random.Float64(),
		ShineX: 0.5 + around(0.4), ShineY: 0.5 + around(0.4),
		Blur: 0.5 + []float64{0.3, 0.8, 1.5}[hard]*random.Float64(), Bend: around(0.02), Noise: []float64{2, 4, 7}[hard],
		Quality: []int{90, 80, 65}[hard], Seed: seed,
	}
	if hard == Careless {
		s.Share = 0.45 + around(0.12)
	}
	if hard != Easy && random.IntN(4) == 0 {
		s.Turn += float64(90 * (1 + random.IntN(3)))
	}
	return s
}

// Draw returns the pixels that the camera saw.
func Draw(c Card, s Shot) image.Image {
	card := c.draw()
	back := cardToPhoto(s)
	table := newTable(s.Table)
	light := make([]float32, s.Width*s.Height*3)
	sin, cos := math.Sincos(s.LightTurn * math.Pi / 180)
	for y := range s.Height {
		for x := range s.Width {
			px, py := (float64(x)-float64(s.Width)/2)/float64(s.Width), (float64(y)-float64(s.Height)/2)/float64(s.Width)
			bent := 1 + s.Bend*(px*px+py*py)*4
			u, v := back(px*bent, py*bent)
			rgb := s.colour(card, table, seen{px, py, u, v})
			gain := s.Exposure * (1 + s.Light*2*(px*cos+py*sin))
			for i := range rgb {
				light[(y*s.Width+x)*3+i] = float32(rgb[i] * gain)
			}
		}
	}
	light = s.blur(light)
	random := rand.New(rand.NewPCG(s.Seed, 29))
	img := image.NewRGBA(image.Rect(0, 0, s.Width, s.Height))
	for i := range s.Width * s.Height {
		noise := random.NormFloat64() * s.Noise
		for n, v := range light[3*i : 3*i+3] {
			img.Pix[4*i+n] = uint8(min(max(float64(v)+noise, 0), 255))
		}
		img.Pix[4*i+3] = 255
	}
	return img
}

// seen is a place of the photo and of the card.
type seen struct{ x, y, u, v float64 }

// colour returns what is seen at a place: the card with its reflection, or the table with
// the card's shadow.
func (s *Shot) colour(card *image.RGBA, t table, at seen) (rgb [3]float64) {
	u, v := at.u, at.v
	if u >= 0 && v >= 0 && u < 1 && v < 1 && !corner(u, v) {
		rgb = between(card, u*cardWidth-0.5, v*cardHeight-0.5)
		if s.Shine > 0 {
			d := math.Hypot((u-s.ShineX)*2.4, v-s.ShineY)
			add := 255 * s.Shine * math.Exp(-d*d/0.05)
			for i := range rgb {
				rgb[i] += add
			}
		}
		return rgb
	}
	rgb = t.at(at.x, at.y)
	if shadow := distance(u, v); shadow < 0.04 {
		for i := range rgb {
			rgb[i] *= 0.6 + 10*shadow
		}
	}
	return rgb
}

// Take returns the file of the photo.
func Take(c Card, s Shot) []byte {
	var out bytes.Buffer
	_ = jpeg.Encode(&out, Draw(c, s), &jpeg.Options{Quality: s.Quality}) // a buffer takes everything
	return out.Bytes()
}

// See returns the photo as it is decoded from its file.
func See(c Card, s Shot) image.Image {
	img, err := jpeg.Decode(bytes.NewReader(Take(c, s)))
	if err != nil {
		panic(err) // just encoded
	}
	return img
}

// corner reports whether a place of the card is cut off by its round corners.
func corner(u, v float64) bool {
	const r = 45.0
	x, y := math.Min(u, 1-u)*cardWidth, math.Min(v, 1-v)*cardHeight
	return x < r && y < r && math.Hypot(r-x, r-y) > r
}

// distance is how far beside the card a place is, in widths.
func distance(u, v float64) float64 {
	return math.Hypot(math.Max(0, math.Max(-u, u-1)), math.Max(0, math.Max(-v, v-1)))
}

// cardToPhoto returns which place of the card (0 to 1) is seen at a place of the photo: in
// widths of it, from its middle.
func cardToPhoto(s Shot) func(x, y float64) (u, v float64) {
	rad := math.Pi / 180
	sinT, cosT := math.Sincos(s.Turn * rad)
	sinL, cosL := math.Sincos(s.Lean * rad)
	sinN, cosN := math.Sincos(s.Nod * rad)
	// The card's two directions in space, seen from a camera one unit away.
	turn := func(x, y float64) [3]float64 {
		x, y = x*cosT-y*sinT, x*sinT+y*cosT
		x, z := x*cosL, x*sinL
		y, z = y*cosN-z*sinN, y*sinN+z*cosN
		return [3]float64{x, y, z}
	}
	a, b := turn(s.Share, 0), turn(0, s.Share*cardHeight/cardWidth)
	o := [3]float64{s.X - a[0]/2 - b[0]/2, s.Y - a[1]/2 - b[1]/2, 1.1 - a[2]/2 - b[2]/2}
	const focus = 1.1
	return func(x, y float64) (float64, float64) {
		// (o + u·a + v·b) is parallel to (x, y, focus): two equations for u and v.
		a1, b1, c1 := focus*a[0]-x*a[2], focus*b[0]-x*b[2], x*o[2]-focus*o[0]
		a2, b2, c2 := focus*a[1]-y*a[2], focus*b[1]-y*b[2], y*o[2]-focus*o[1]
		det := a1*b2 - a2*b1
		if math.Abs(det) < 1e-12 {
			return -1, -1
		}
		return (c1*b2 - c2*b1) / det, (a1*c2 - a2*c1) / det
	}
}

// between returns the colour between four pixels.
func between(img *image.RGBA, x, y float64) (rgb [3]float64) {
	x, y = min(max(x, 0), cardWidth-1.001), min(max(y, 0), cardHeight-1.001)
	left, top := int(x), int(y)
	fx, fy := x-float64(left), y-float64(top)
	i := img.PixOffset(left, top)
	right, below := 4, img.Stride
	for n := range rgb {
		upper := float64(img.Pix[i+n])*(1-fx) + float64(img.Pix[i+n+right])*fx
		lower := float64(img.Pix[i+n+below])*(1-fx) + float64(img.Pix[i+n+below+right])*fx
		rgb[n] = upper*(1-fy) + lower*fy
	}
	return rgb
}

// blur smooths the light as a lens out of focus does, about.
func (s *Shot) blur(light []float32) []float32 {
	reach := int(math.Ceil(2.5 * s.Blur))
	weights := make([]float32, 2*reach+1)
	total := float32(0)
	for i := range weights {
		d := float64(i - reach)
		weights[i] = float32(math.Exp(-d * d / (2 * s.Blur * s.Blur)))
		total += weights[i]
	}
	line := 3 * s.Width
	across := make([]float32, len(light))
	padded := make([]float32, line+6*reach)
	for y := range s.Height {
		row := light[y*line : (y+1)*line]
		copy(padded[3*reach:], row)
		for i := range 3 * reach {
			padded[i], padded[3*reach+line+i] = row[i%3], row[line-3+i%3]
		}
		out := across[y*line : (y+1)*line]
		for i, weight := range weights {
			for n, v := range padded[3*i : 3*i+line] {
				out[n] += v * weight / total
			}
		}
	}
	clear(light)
	for y := range s.Height {
		out := light[y*line : (y+1)*line]
		for i, weight := range weights {
			from := min(max(y+i-reach, 0), s.Height-1)
			for n, v := range across[from*line : (from+1)*line] {
				out[n] += v * weight / total
			}
		}
	}
	return light
}
