package giftcard

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Limits of a cover as it is uploaded.
const (
	// MaxCoverBytes bounds the file.
	MaxCoverBytes = 2 << 20
	maxCoverSide  = 4096
	minCoverSide  = 16
	jpegQuality   = 88
)

// newCover checks an uploaded image and encodes its pixels anew: metadata, trailing
// data and anything that is not an image stay behind.
func newCover(upload []byte) (Cover, error) {
	if len(upload) == 0 || len(upload) > MaxCoverBytes {
		return Cover{}, badCover("the cover must have 1 to %d bytes", MaxCoverBytes)
	}
	header, format, err := image.DecodeConfig(bytes.NewReader(upload))
	if err != nil || (format != "png" && format != "jpeg") {
		return Cover{}, badCover("the cover must be a png or jpeg image")
	}
	// Checked before decoding: a small file can claim a picture that fills the memory.
	if min(header.Width, header.Height) < minCoverSide || max(header.Width, header.Height) > maxCoverSide {
		return Cover{}, badCover("the cover must be %d to %d pixels wide and high", minCoverSide, maxCoverSide)
	}
	picture, _, err := image.Decode(bytes.NewReader(upload))
	if err != nil {
		return Cover{}, badCover("the cover is damaged")
	}
	var out bytes.Buffer
	if format == "png" {
		err = png.Encode(&out, picture)
	} else {
		err = jpeg.Encode(&out, picture, &jpeg.Options{Quality: jpegQuality})
	}
	if err != nil {
		return Cover{}, err
	}
	return Cover{Type: "image/" + format, Hash: hashOf(out.Bytes()), Data: out.Bytes()}, nil
}

func badCover(format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At("cover")
}
