package picture_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/picture"
)

// A picture keeps its pixels and nothing else: no metadata, no text, no second file behind it.
func TestCleanKeepsPixelsAlone(t *testing.T) {
	const hidden = "<script>alert(1)</script>"
	plain := drawing(40, 24)
	exif := append([]byte("Exif\x00\x00MM\x00*"), hidden...)
	for name, upload := range map[string][]byte{
		"plain png":                 plain,
		"png with a text chunk":     withChunk(plain, "tEXt", "Comment\x00"+hidden),
		"png with a profile":        withChunk(plain, "eXIf", hidden),
		"png and a zip behind it":   append(bytes.Clone(plain), "PK\x03\x04"+hidden...),
		"png and a page behind it":  append(bytes.Clone(plain), hidden...),
		"plain jpeg":                photo(40, 24, 90),
		"progressive jpeg":          scans(64, picture.MaxScans),
		"jpeg with EXIF":            withSegment(photo(40, 24, 90), 0xe1, exif),
		"jpeg with a comment":       withSegment(photo(40, 24, 90), 0xfe, []byte(hidden)),
		"jpeg and a page behind it": append(photo(40, 24, 90), hidden...),
	} {
		cover, err := picture.Clean(upload, "cover")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if bytes.Contains(cover.Data, []byte("script")) || bytes.Contains(cover.Data, []byte("Exif")) {
			t.Errorf("%s: something came along", name)
		}
		want, format, _ := image.Decode(bytes.NewReader(upload))
		got, gotFormat, err := image.Decode(bytes.NewReader(cover.Data))
		if err != nil || gotFormat != format || cover.Type != "image/"+format || got.Bounds() != want.Bounds() {
			t.Errorf("%s: became %s %v, %v", name, gotFormat, got.Bounds(), err)
		}
		if format == "png" {
			for y := range 24 {
				for x := range 40 {
					if color.NRGBAModel.Convert(got.At(x, y)) != color.NRGBAModel.Convert(want.At(x, y)) {
						t.Fatalf("%s: pixel %d,%d differs", name, x, y)
					}
				}
			}
		}
	}
}

// What is no png or jpeg, is damaged, or claims to be a picture that fills the memory is refused.
func TestCleanRefusals(t *testing.T) {
	plain := drawing(40, 24)
	var animated bytes.Buffer
	if err := gif.Encode(&animated, image.NewPaletted(image.Rect(0, 0, 20, 20), color.Palette{color.Black}), nil); err != nil {
		t.Fatal(err)
	}
	bad := map[string][]byte{
		"nothing":            nil,
		"text":               []byte("no image"),
		"a vector image":     []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`),
		"a gif":              animated.Bytes(),
		"a cut png":          plain[:len(plain)/2],
		"a cut jpeg":         photo(40, 24, 90)[:300],
		"a header alone":     plain[:33],
		"too many bytes":     append(bytes.Clone(plain), make([]byte, picture.MaxBytes)...),
		"too small":          drawing(16, 15),
		"too wide":           claim(plain, 4097, 16),
		"too many pixels":    claim(plain, 4096, picture.MaxPixels/4096+1),
		"a bomb":             claim(plain, 100_000, 100_000),
		"a bomb beyond ints": claim(plain, 1<<31-1, 1<<31-1),
		"pixels missing":     claim(plain, 2000, 2000),
		"too many scans":     scans(256, picture.MaxScans+1),
	}
	damaged := bytes.Clone(plain)
	damaged[len(damaged)-20] ^= 0xff
	bad["a flipped byte"] = damaged
	if !testing.Short() {
		bad["too detailed"] = noise(2048, 2048)
	}
	for name, upload := range bad {
		_, err := picture.Clean(upload, "cover")
		if f := fault.From(err); err == nil || f.Code != fault.InvalidRequest || f.Field != "cover" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzClean proves that no upload crashes the decoder, and that what is kept is a picture
// within the limits that is kept again as it is.
func FuzzClean(f *testing.F) {
	f.Add(drawing(20, 16))
	f.Add(photo(20, 16, 50))
	f.Add(withSegment(photo(16, 16, 90), 0xe1, []byte("Exif\x00\x00")))
	f.Add(claim(drawing(16, 16), 4096, 4096))
	f.Add(scans(16, 2))
	f.Fuzz(func(t *testing.T, upload []byte) {
		cover, err := picture.Clean(upload, "cover")
		if err != nil {
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Fatal(err)
			}
			return
		}
		header, format, err := image.DecodeConfig(bytes.NewReader(cover.Data))
		if err != nil || cover.Type != "image/"+format || header.Width*header.Height > picture.MaxPixels {
			t.Fatalf("kept %s of %+v, %v", format, header, err)
		}
		if format == "png" && len(cover.Data) <= picture.MaxBytes {
			again, err := picture.Clean(cover.Data, "cover")
			if err != nil || again.Hash != cover.Hash {
				t.Fatalf("not kept again as it is: %v", err)
			}
		}
	})
}

// photo is a jpeg of the given size and quality.
func photo(width, height, quality int) []byte {
	img, _ := png.Decode(bytes.NewReader(drawing(width, height)))
	var out bytes.Buffer
	_ = jpeg.Encode(&out, img, &jpeg.Options{Quality: quality}) // a buffer takes everything
	return out.Bytes()
}

// noise is a jpeg that grows when it is encoded better than it was.
func noise(width, height int) []byte {
	img := image.NewGray(image.Rect(0, 0, width, height))
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(img.Pix) // never fails
	var out bytes.Buffer
	_ = jpeg.Encode(&out, img, &jpeg.Options{Quality: 45}) // a buffer takes everything
	return out.Bytes()
}

// withChunk puts a chunk behind a png's header.
func withChunk(file []byte, name, data string) []byte {
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	chunk = append(chunk, name+data...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	const header = 8 + 25
	return append(append(bytes.Clone(file[:header]), chunk...), file[header:]...)
}

// withSegment puts a segment behind a jpeg's first marker.
func withSegment(file []byte, marker byte, data []byte) []byte {
	segment := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(data)+2))
	return append(append(bytes.Clone(file[:2]), append(segment, data...)...), file[2:]...)
}

// scans returns a progressive jpeg of the given size that goes over its pixels n times,
// each time with a few bytes that say: nothing here.
func scans(side, n int) []byte {
	out := []byte{0xff, 0xd8, 0xff, 0xdb, 0, 67, 0}
	out = append(out, bytes.Repeat([]byte{1}, 64)...)
	out = append(out, 0xff, 0xc2, 0, 11, 8, byte(side>>8), byte(side), byte(side>>8), byte(side), 1, 1, 0x11, 0)
	// One code of one bit: a run of 2^14 and more blocks without coefficients.
	out = append(out, 0xff, 0xc4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0)
	for range n {
		out = append(out, 0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0)
		out = append(out, 0b0_1010101, 0b0101010_0, 0b10101010, 0b101010_0_1, 0b01010101, 0b01010_1_11)
	}
	return append(out, 0xff, 0xd9)
}

// claim returns a png whose header claims another size.
func claim(file []byte, width, height uint32) []byte {
	out := bytes.Clone(file)
	binary.BigEndian.PutUint32(out[16:], width)
	binary.BigEndian.PutUint32(out[20:], height)
	binary.BigEndian.PutUint32(out[29:], crc32.ChecksumIEEE(out[12:29]))
	return out
}

// drawing is a png of the given size.
func drawing(width, height int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.SetNRGBA(x, y, color.NRGBA{uint8(x * 9), uint8(y * 7), uint8(x ^ y), 0xff})
		}
	}
	var out bytes.Buffer
	_ = png.Encode(&out, img) // a buffer takes everything
	return out.Bytes()
}
