// Package picture takes in pictures that people upload: PNG and JPEG, told by their bytes,
// bounded in bytes, pixels and passes, decoded and encoded anew, so that nothing but pixels
// is kept.
//
// It promises that a small file cannot take much memory or time, and that what it returns
// holds no metadata, no text and no second file. It must never keep or serve a byte of an
// upload as it came.
package picture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Limits of a picture as it is uploaded.
const (
	// MaxBytes bounds the file.
	MaxBytes = 2 << 20
	// MinSide and MaxSide bound width and height, in pixels.
	MinSide = 16
	MaxSide = 4096
	// MaxPixels bounds the memory that decoding takes, 32 MiB at 16 bits a channel.
	MaxPixels = 4 << 20
	// MaxScans bounds the passes over a progressive picture: each costs the time of the
	// whole picture and may take a few bytes of the file. Pictures have ten.
	MaxScans = 64
	// MaxStored bounds a picture as it is kept: it may grow when it is encoded anew.
	MaxStored   = MaxBytes * 3 / 2
	jpegQuality = 88
)

// Picture is a clean one.
type Picture struct {
	// Type is image/png or image/jpeg.
	Type string
	// Hash is the SHA-256 of Data in hex.
	Hash string
	Data []byte
}

// startOfScan is a jpeg's marker; coded pixels never look like it.
const startOfScan = "\xff\xda"

// Clean checks an uploaded picture and encodes its pixels anew: metadata, trailing data
// and anything that is not a picture stay behind. It returns invalid_request, which blames
// the field that name says.
func Clean(upload []byte, name string) (Picture, error) {
	bad := func(format string, args ...any) (Picture, error) {
		return Picture{}, fault.New(fault.InvalidRequest, "the "+name+" "+format, args...).At(name)
	}
	if len(upload) == 0 || len(upload) > MaxBytes {
		return bad("must have 1 to %d bytes", MaxBytes)
	}
	header, format, err := image.DecodeConfig(bytes.NewReader(upload))
	if err != nil || (format != "png" && format != "jpeg") {
		return bad("must be a png or jpeg image")
	}
	// Checked before decoding: a small file can claim a picture that fills the memory.
	if min(header.Width, header.Height) < MinSide || max(header.Width, header.Height) > MaxSide {
		return bad("must be %d to %d pixels wide and high", MinSide, MaxSide)
	}
	if header.Width*header.Height > MaxPixels {
		return bad("must have at most %d pixels", MaxPixels)
	}
	if bytes.Count(upload, []byte(startOfScan)) > MaxScans && format == "jpeg" {
		return bad("must have at most %d scans", MaxScans)
	}
	picture, _, err := image.Decode(bytes.NewReader(upload))
	if err != nil {
		return bad("is damaged")
	}
	var out bytes.Buffer
	if format == "png" {
		err = png.Encode(&out, picture)
	} else {
		err = jpeg.Encode(&out, picture, &jpeg.Options{Quality: jpegQuality})
	}
	if err != nil {
		return Picture{}, fmt.Errorf("encode %s: %w", name, err)
	}
	if out.Len() > MaxStored {
		return bad("is too detailed: encoded anew it has more than %d bytes", MaxStored)
	}
	sum := sha256.Sum256(out.Bytes())
	return Picture{Type: "image/" + format, Hash: hex.EncodeToString(sum[:]), Data: out.Bytes()}, nil
}
