package giftcard

import (
	"bytes"
	"fmt"
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
	// maxCoverPixels bounds the memory that decoding takes, 32 MiB at 16 bits a channel.
	maxCoverPixels = 4 << 20
	// maxCoverScans bounds the passes over a progressive picture: each costs the time of the
	// whole picture and may take a few bytes of the file. Pictures have ten.
	maxCoverScans = 64
	// maxStored bounds a cover as it is kept: a picture may grow when it is encoded anew.
	maxStored   = MaxCoverBytes * 3 / 2
	jpegQuality = 88
)

// startOfScan is a jpeg's marker; coded pixels never look like it.
const startOfScan = "\xff\xda"

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
	if header.Width*header.Height > maxCoverPixels {
		return Cover{}, badCover("the cover must have at most %d pixels", maxCoverPixels)
	}
	if bytes.Count(upload, []byte(startOfScan)) > maxCoverScans && format == "jpeg" {
		return Cover{}, badCover("the cover must have at most %d scans", maxCoverScans)
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
		return Cover{}, fmt.Errorf("encode cover: %w", err)
	}
	if out.Len() > maxStored {
		return Cover{}, badCover("the cover is too detailed: encoded anew it has more than %d bytes", maxStored)
	}
	return Cover{Type: "image/" + format, Hash: hashOf(out.Bytes()), Data: out.Bytes()}, nil
}

func badCover(format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At("cover")
}
