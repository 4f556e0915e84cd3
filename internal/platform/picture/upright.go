package picture

import (
	"image"
	"image/color"
)

// upright returns the picture turned and mirrored so that nobody has to: orientation is
// EXIF's, 1 to 8.
func upright(source image.Image, orientation int) image.Image {
	if orientation <= 1 || orientation > 8 {
		return source
	}
	from := source.Bounds()
	width, height := from.Dx(), from.Dy()
	turned := orientation >= 5
	size := image.Rect(0, 0, width, height)
	if turned {
		size = image.Rect(0, 0, height, width)
	}
	out := image.NewNRGBA(size)
	pixel := reader(source)
	for y := range size.Dy() {
		for x := range size.Dx() {
			fromX, fromY := x, y
			if turned {
				fromX, fromY = y, x
			}
			if orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8 {
				fromX = width - 1 - fromX
			}
			if orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7 {
				fromY = height - 1 - fromY
			}
			out.SetNRGBA(x, y, pixel(from.Min.X+fromX, from.Min.Y+fromY))
		}
	}
	return out
}

// reader returns what reads single pixels, without a conversion for each where it can.
func reader(source image.Image) func(x, y int) color.NRGBA {
	if coded, is := source.(*image.YCbCr); is {
		return func(x, y int) color.NRGBA {
			at := coded.YCbCrAt(x, y)
			r, g, b := color.YCbCrToRGB(at.Y, at.Cb, at.Cr)
			return color.NRGBA{R: r, G: g, B: b, A: 0xff}
		}
	}
	return func(x, y int) color.NRGBA {
		return color.NRGBAModel.Convert(source.At(x, y)).(color.NRGBA)
	}
}
