package picture

import (
	"image"
	"image/color"
)

// turning says how what is stored becomes upright: EXIF's orientation in three questions.
type turning struct {
	turned       bool // rows become columns
	flipX, flipY bool // what is stored is read from its right, or from its bottom
}

// upright returns the picture turned and mirrored so that nobody has to: orientation is
// EXIF's, 1 to 8.
func upright(stored image.Image, orientation int) image.Image {
	if orientation <= 1 || orientation > 8 {
		return stored
	}
	t := turning{
		turned: orientation >= 5,
		flipX:  orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8,
		flipY:  orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7,
	}
	if photo, is := stored.(*image.YCbCr); is {
		if ratio, can := t.ratio(photo.SubsampleRatio); can {
			return t.photo(photo, ratio)
		}
	}
	return t.pixels(stored)
}

// bounds returns those of a stored picture once it is upright.
func (t turning) bounds(stored image.Rectangle) image.Rectangle {
	if t.turned {
		return image.Rect(0, 0, stored.Dy(), stored.Dx())
	}
	return image.Rect(0, 0, stored.Dx(), stored.Dy())
}

// ratio returns how colours are sampled once rows are columns, and false where nothing
// says so.
func (t turning) ratio(stored image.YCbCrSubsampleRatio) (image.YCbCrSubsampleRatio, bool) {
	switch stored {
	case image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio420:
		return stored, true
	case image.YCbCrSubsampleRatio422:
		if t.turned {
			return image.YCbCrSubsampleRatio440, true
		}
		return stored, true
	case image.YCbCrSubsampleRatio440:
		if t.turned {
			return image.YCbCrSubsampleRatio422, true
		}
		return stored, true
	case image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410:
	}
	return stored, !t.turned
}

// photo turns what a jpeg holds, one plane of brightness and two of colours, as it is.
func (t turning) photo(stored *image.YCbCr, ratio image.YCbCrSubsampleRatio) *image.YCbCr {
	out := image.NewYCbCr(t.bounds(stored.Rect), ratio)
	at := stored.Rect.Min
	light, colour := stored.YOffset(at.X, at.Y), stored.COffset(at.X, at.Y)
	t.plane(plane{out.Y, out.YStride}, plane{stored.Y[light:], stored.YStride}, stored.Rect.Size())
	size := image.Pt(out.CStride, len(out.Cb)/out.CStride)
	if t.turned {
		size = image.Pt(size.Y, size.X)
	}
	t.plane(plane{out.Cb, out.CStride}, plane{stored.Cb[colour:], stored.CStride}, size)
	t.plane(plane{out.Cr, out.CStride}, plane{stored.Cr[colour:], stored.CStride}, size)
	return out
}

// plane is one byte for each sample, in rows.
type plane struct {
	samples []byte
	stride  int
}

// plane turns one of the given size: for each step across or down in to, it takes a step
// across or down, forwards or backwards, in from.
func (t turning) plane(to, from plane, size image.Point) {
	start, across, down := 0, 1, from.stride
	if t.flipX {
		start, across = size.X-1, -across
	}
	if t.flipY {
		start, down = start+(size.Y-1)*from.stride, -down
	}
	if t.turned {
		across, down, size = down, across, image.Pt(size.Y, size.X)
	}
	for y := range size.Y {
		at := start + y*down
		row := to.samples[y*to.stride : y*to.stride+size.X]
		for x := range row {
			row[x] = from.samples[at]
			at += across
		}
	}
}

// pixels turns any picture, one pixel after the other.
func (t turning) pixels(stored image.Image) image.Image {
	from := stored.Bounds()
	out := image.NewNRGBA(t.bounds(from))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			fromX, fromY := x, y
			if t.turned {
				fromX, fromY = y, x
			}
			if t.flipX {
				fromX = from.Dx() - 1 - fromX
			}
			if t.flipY {
				fromY = from.Dy() - 1 - fromY
			}
			out.SetNRGBA(x, y, color.NRGBAModel.Convert(stored.At(from.Min.X+fromX, from.Min.Y+fromY)).(color.NRGBA))
		}
	}
	return out
}
