// Package picture takes in pictures that people upload: PNG and JPEG, told by their bytes,
// bounded in bytes, pixels, passes and memory, decoded, turned upright and encoded anew, so
// that nothing but pixels is kept. It also tells pictures that look alike.
//
// It promises that a small file cannot take much memory or time, and that what it returns
// holds no metadata, no text and no second file. It must never keep or serve a byte of an
// upload as it came.
package picture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
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

// Limits of a photo as phones make them.
const (
	MaxPhotoBytes  = 5 << 20
	MaxPhotoSide   = 10_000
	MaxPhotoPixels = 25_000_000
	// MaxPhotoMemory bounds what decoding and turning one takes, in bytes: 25 million pixels
	// compressed as usual, or 12 million that come in passes.
	MaxPhotoMemory = 160 << 20
	// MaxPhotoStored bounds a photo as it is kept.
	MaxPhotoStored = 12 << 20
	photoQuality   = 92
	leastQuality   = 72
)

// limits are what Clean and Photo differ in.
type limits struct {
	bytes, side, pixels, memory, stored int
	// best and least are the qualities of a jpeg: as good as fits.
	best, least int
	// strict refuses files that go on behind their picture.
	strict bool
	// declared is the type that it must have; empty: either.
	declared string
}

// Picture is a clean one.
type Picture struct {
	// Type is image/png or image/jpeg.
	Type string
	// Hash is the SHA-256 of Data in hex.
	Hash string
	Data []byte
	// Width and Height are in pixels.
	Width, Height int
}

// Clean checks an uploaded picture and encodes its pixels anew: metadata, trailing data
// and anything that is not a picture stay behind. It returns invalid_request, which blames
// the field that name says.
func Clean(upload []byte, name string) (Picture, error) {
	clean, _, err := take(upload, name, limits{
		bytes: MaxBytes, side: MaxSide, pixels: MaxPixels, memory: 0, stored: MaxStored, best: jpegQuality, least: jpegQuality,
	})
	return clean, err
}

// Photo does the same for a photo, of the type that was declared, within larger limits, and
// returns its pixels too. It refuses a file that goes on behind its picture with anything
// but what cameras put there.
func Photo(upload []byte, declared, name string) (Picture, image.Image, error) {
	clean, pixels, err := take(upload, name, limits{
		bytes: MaxPhotoBytes, side: MaxPhotoSide, pixels: MaxPhotoPixels, memory: MaxPhotoMemory, stored: MaxPhotoStored,
		best: photoQuality, least: leastQuality, strict: true, declared: declared,
	})
	return clean, pixels, err
}

func take(upload []byte, name string, l limits) (Picture, image.Image, error) {
	decoded, format, reason := decode(upload, l)
	if reason != "" {
		return Picture{}, nil, fault.New(fault.InvalidRequest, "the %s %s", name, reason).At(name)
	}
	clean, err := encode(decoded, format, l)
	if errors.Is(err, errDetailed) {
		return Picture{}, nil, fault.New(fault.InvalidRequest, "the %s is too detailed: encoded anew it has more than %d bytes", name, l.stored).At(name)
	}
	if err != nil {
		return Picture{}, nil, fmt.Errorf("encode %s: %w", name, err)
	}
	return clean, decoded, nil
}

// decode returns the picture upright, or why it is refused.
func decode(upload []byte, l limits) (picture image.Image, format, reason string) {
	if len(upload) == 0 || len(upload) > l.bytes {
		return nil, "", fmt.Sprintf("must have 1 to %d bytes", l.bytes)
	}
	header, format, err := image.DecodeConfig(bytes.NewReader(upload))
	if err != nil || (format != "png" && format != "jpeg") {
		return nil, "", "must be a png or jpeg image"
	}
	if l.declared != "" && l.declared != mediaType(format) {
		return nil, "", "is declared as " + l.declared + " and is " + mediaType(format)
	}
	// Checked before decoding: a small file can claim a picture that fills the memory.
	if min(header.Width, header.Height) < MinSide || max(header.Width, header.Height) > l.side {
		return nil, "", fmt.Sprintf("must be %d to %d pixels wide and high", MinSide, l.side)
	}
	if header.Width*header.Height > l.pixels {
		return nil, "", fmt.Sprintf("must have at most %d pixels", l.pixels)
	}
	c, reason := inspect(upload, format, l)
	if reason != "" {
		return nil, "", reason
	}
	if l.memory > 0 && c.takes(header.Width*header.Height) > l.memory {
		return nil, "", "takes too much memory to decode: make it smaller, or save it without progressive passes"
	}
	picture, _, err = image.Decode(bytes.NewReader(upload))
	if err != nil {
		return nil, "", "is damaged"
	}
	return upright(picture, c.orientation), format, ""
}

func mediaType(format string) string { return "image/" + format }

// inspect looks at the file around the picture.
func inspect(upload []byte, format string, l limits) (c container, reason string) {
	walk := walkPNG
	if format == "jpeg" {
		walk = walkJPEG
	}
	c, whole := walk(upload)
	if c.scans > MaxScans || !whole && bytes.Count(upload, []byte("\xff\xda")) > MaxScans && format == "jpeg" {
		return c, fmt.Sprintf("must have at most %d scans", MaxScans)
	}
	switch tail := upload[min(c.end, len(upload)):]; {
	case !l.strict:
	case !whole:
		return c, "is damaged"
	case len(tail) > 0 && (format != "jpeg" || !knownTail(tail)):
		return c, "must end where its picture ends: something else follows"
	}
	return c, ""
}

// takes is how many bytes so many pixels take, turning them included.
func (c container) takes(pixels int) int {
	memory := pixels / 8 * c.memory
	if c.orientation > 1 {
		memory += 4 * pixels
	}
	return memory
}

// errDetailed says that a picture does not fit.
var errDetailed = errors.New("too detailed")

// encode writes the pixels as a file, as good as fits.
func encode(picture image.Image, format string, l limits) (Picture, error) {
	var out bytes.Buffer
	for quality := l.best; quality >= l.least; quality -= 10 {
		out.Reset()
		var err error
		if format == "png" {
			err = png.Encode(&out, picture)
		} else {
			err = jpeg.Encode(&out, picture, &jpeg.Options{Quality: quality})
		}
		if err != nil {
			return Picture{}, err
		}
		if out.Len() <= l.stored || format == "png" {
			break
		}
	}
	if out.Len() > l.stored {
		return Picture{}, errDetailed
	}
	sum := sha256.Sum256(out.Bytes())
	size := picture.Bounds().Size()
	return Picture{Type: mediaType(format), Hash: hex.EncodeToString(sum[:]), Data: out.Bytes(), Width: size.X, Height: size.Y}, nil
}

// block is the side of what a jpeg compresses together: pixels beside an area tell of it.
const block = 16

// Redact paints over an area of a photo that Photo returned, and over what was compressed
// together with it, and encodes it anew. It returns invalid_request for an area that is
// not in the picture.
func Redact(photo []byte, area image.Rectangle) (Picture, error) {
	source, format, err := image.Decode(bytes.NewReader(photo))
	if err != nil {
		return Picture{}, fmt.Errorf("redact: %w", err)
	}
	bounds := source.Bounds()
	if area.Canon() != area || area.Empty() || !area.In(bounds) {
		return Picture{}, fault.New(fault.InvalidRequest, "the area must be within the picture, %d by %d pixels", bounds.Dx(), bounds.Dy()).At("area")
	}
	area = image.Rect(area.Min.X/block*block, area.Min.Y/block*block,
		(area.Max.X+block-1)/block*block, (area.Max.Y+block-1)/block*block).Intersect(bounds)
	var painted draw.Image = image.NewNRGBA(bounds)
	if format == "jpeg" { // has no transparency, and is encoded faster
		painted = image.NewRGBA(bounds)
	}
	draw.Draw(painted, bounds, source, bounds.Min, draw.Src)
	draw.Draw(painted, area, image.NewUniform(color.Black), image.Point{}, draw.Src)
	clean, err := encode(painted, format, limits{stored: MaxPhotoStored, best: photoQuality, least: leastQuality})
	if err != nil {
		return Picture{}, fmt.Errorf("redact: %w", err)
	}
	return clean, nil
}
