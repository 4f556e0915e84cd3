package snapshot

import (
	"image/color"
	"math"
	"math/rand/v2"
)

// table is what cards lie on: plain, wood, cloth or stone.
type table struct {
	kind         int
	one, two     color.RGBA
	scale, angle float64
	seed         uint64
}

func newTable(seed uint64) table {
	random := rand.New(rand.NewPCG(seed, 31))
	return table{kind: random.IntN(4), one: hue(random), two: hue(random), scale: 0.5 + random.Float64(), angle: random.Float64() * math.Pi, seed: seed}
}

// at returns the colour at a place, in widths of the photo.
func (t table) at(x, y float64) [3]float64 {
	sin, cos := math.Sincos(t.angle)
	u, v := (x*cos+y*sin)*t.scale, (y*cos-x*sin)*t.scale
	mix := 0.0
	switch t.kind {
	case 0:
		mix = 0.3 * t.cloud(u*6, v*6)
	case 1: // grain along one direction
		mix = 0.5 + 0.5*math.Sin(60*v+6*t.cloud(u*4, v*20))
	case 2: // threads
		mix = 0.5 + 0.25*math.Sin(u*400) + 0.25*math.Sin(v*400) + 0.4*t.cloud(u*150, v*150)
	default:
		mix = t.cloud(u*20, v*20)*0.7 + t.cloud(u*120, v*120)*0.5
	}
	c := blend(t.one, t.two, mix*0.7)
	return [3]float64{float64(c.R), float64(c.G), float64(c.B)}
}

// cloud is noise that changes smoothly from each whole place to the next, 0 to 1.
func (t table) cloud(x, y float64) float64 {
	left, top := math.Floor(x), math.Floor(y)
	fx, fy := x-left, y-top
	fx, fy = fx*fx*(3-2*fx), fy*fy*(3-2*fy)
	at := func(dx, dy float64) float64 {
		h := t.seed ^ uint64(int64(left+dx))*0x9e3779b97f4a7c15 ^ uint64(int64(top+dy))*0xc2b2ae3d27d4eb4f
		h = (h ^ h>>29) * 0xbf58476d1ce4e5b9
		return float64((h^h>>32)>>40) / (1 << 24)
	}
	return (at(0, 0)*(1-fx)+at(1, 0)*fx)*(1-fy) + (at(0, 1)*(1-fx)+at(1, 1)*fx)*fy
}
