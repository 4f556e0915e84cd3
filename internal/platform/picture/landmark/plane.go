package landmark

import "image"

// plane is a picture of one brightness for each pixel.
type plane struct {
	w, h int
	pix  []byte
}

func newPlane(w, h int) plane { return plane{w, h, make([]byte, w*h)} }

// at returns the brightness between four pixels, times 16; places outside are those at the edge.
func (p *plane) at(x, y float64) int {
	x, y = min(max(x, 0), float64(p.w-2)), min(max(y, 0), float64(p.h-2))
	left, top := int(x), int(y)
	fx, fy := int((x-float64(left))*16), int((y-float64(top))*16)
	i := top*p.w + left
	upper := int(p.pix[i])*(16-fx) + int(p.pix[i+1])*fx
	lower := int(p.pix[i+p.w])*(16-fx) + int(p.pix[i+p.w+1])*fx
	return (upper*(16-fy) + lower*fy) >> 4
}

// shrink returns a photo's brightness with the longer side of at most so many pixels, each
// the mean of those that it stands for.
func shrink(photo image.Image, side int) plane {
	b := photo.Bounds()
	w, h := b.Dx(), b.Dy()
	if longer := max(w, h); longer > side {
		w, h = max(1, w*side/longer), max(1, h*side/longer)
	}
	out := newPlane(w, h)
	row := make([]byte, b.Dx())
	sums := make([]uint32, w)
	for y := range h {
		clear(sums)
		from, to := y*b.Dy()/h, (y+1)*b.Dy()/h
		for sy := from; sy < to; sy++ {
			brightness(photo, b.Min.Y+sy, row)
			for x := range w {
				sum := uint32(0)
				for _, v := range row[x*b.Dx()/w : (x+1)*b.Dx()/w] {
					sum += uint32(v)
				}
				sums[x] += sum
			}
		}
		for x := range w {
			count := uint32((to - from) * ((x+1)*b.Dx()/w - x*b.Dx()/w))
			out.pix[y*w+x] = byte((sums[x] + count/2) / count)
		}
	}
	return out
}

// brightness reads one row of a photo.
func brightness(photo image.Image, y int, row []byte) {
	b := photo.Bounds()
	weigh := func(r, g, b byte) byte {
		return byte((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
	}
	switch photo := photo.(type) {
	case *image.YCbCr:
		copy(row, photo.Y[photo.YOffset(b.Min.X, y):])
	case *image.Gray:
		copy(row, photo.Pix[photo.PixOffset(b.Min.X, y):])
	case *image.RGBA:
		line := photo.Pix[photo.PixOffset(b.Min.X, y):]
		for x := range row {
			row[x] = weigh(line[4*x], line[4*x+1], line[4*x+2])
		}
	case *image.NRGBA:
		line := photo.Pix[photo.PixOffset(b.Min.X, y):]
		for x := range row {
			row[x] = weigh(line[4*x], line[4*x+1], line[4*x+2])
		}
	default:
		for x := range row {
			r, g, b, _ := photo.At(b.Min.X+x, y).RGBA()
			row[x] = weigh(byte(r>>8), byte(g>>8), byte(b>>8))
		}
	}
}

// level is the photo in one size: as it is, and with its noise smoothed away.
type level struct {
	scale         float64 // pixels of the working size for each of its own
	sharp, smooth plane
}

const (
	// Levels are each four fifths of the one before.
	maxLevels                = 9
	stepDown, stepUp         = 4, 5
	border                   = 20 // pixels at the edge in which there are no marks
	smallestLevel            = 4 * border
	levelStep        float64 = float64(stepUp) / stepDown
)

// pyramid returns the photo in smaller and smaller sizes.
func pyramid(base plane) []level {
	levels := []level{{1, base, smooth(base)}}
	for len(levels) < maxLevels {
		last := &levels[len(levels)-1]
		w, h := last.sharp.w*stepDown/stepUp, last.sharp.h*stepDown/stepUp
		if min(w, h) < smallestLevel {
			break
		}
		next := resize(last.sharp, w, h)
		levels = append(levels, level{float64(base.w) / float64(w), next, smooth(next)})
	}
	return levels
}

// resize makes a plane a little smaller, between pixels.
func resize(from plane, w, h int) plane {
	out := newPlane(w, h)
	const one = 1 << 8
	xs := make([]int, w)
	for x := range xs {
		xs[x] = max(0, min((2*x+1)*from.w*one/(2*w)-one/2, (from.w-1)*one-1))
	}
	for y := range h {
		sy := max(0, min((2*y+1)*from.h*one/(2*h)-one/2, (from.h-1)*one-1))
		top, fy := from.pix[sy/one*from.w:], sy%one
		below := from.pix[(sy/one+1)*from.w:]
		line := out.pix[y*w : (y+1)*w]
		for x, sx := range xs {
			i, fx := sx/one, sx%one
			upper := int(top[i])*(one-fx) + int(top[i+1])*fx
			lower := int(below[i])*(one-fx) + int(below[i+1])*fx
			line[x] = byte((upper*(one-fy) + lower*fy + 1<<15) >> 16)
		}
	}
	return out
}

// smooth weighs each pixel with its neighbours, 1 4 6 4 1 both ways.
func smooth(from plane) plane {
	w, h := from.w, from.h
	rows := make([]uint16, w*h)
	for y := range h {
		line, out := from.pix[y*w:(y+1)*w], rows[y*w:(y+1)*w]
		for x := range w {
			if x >= 2 && x < w-2 {
				out[x] = uint16(line[x-2]) + uint16(line[x+2]) + 4*(uint16(line[x-1])+uint16(line[x+1])) + 6*uint16(line[x])
				continue
			}
			in := func(d int) uint16 { return uint16(line[min(max(x+d, 0), w-1)]) }
			out[x] = in(-2) + in(2) + 4*(in(-1)+in(1)) + 6*in(0)
		}
	}
	to := newPlane(w, h)
	for y := range h {
		row := func(d int) []uint16 { at := min(max(y+d, 0), h-1) * w; return rows[at : at+w] }
		a, b, c, d, e := row(-2), row(-1), row(0), row(1), row(2)
		out := to.pix[y*w : (y+1)*w]
		for x := range out {
			out[x] = byte((uint32(a[x]) + uint32(e[x]) + 4*(uint32(b[x])+uint32(d[x])) + 6*uint32(c[x]) + 128) >> 8)
		}
	}
	return to
}
