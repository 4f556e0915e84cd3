package picture_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/picture"
)

// scene is a made-up photo: soft blobs of light, the same for the same seed.
func scene(seed uint64, width, height int) *image.NRGBA {
	random := rand.New(rand.NewPCG(seed, 7))
	type blob struct{ x, y, size, light float64 }
	blobs := make([]blob, 24)
	for i := range blobs {
		blobs[i] = blob{random.Float64(), random.Float64(), 0.04 + 0.2*random.Float64(), random.Float64()*2 - 1}
	}
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			light := 0.0
			for _, b := range blobs {
				dx, dy := float64(x)/float64(width)-b.x, float64(y)/float64(height)-b.y
				light += b.light * math.Exp(-(dx*dx+dy*dy)/(2*b.size*b.size))
			}
			shade := uint8(128 + 100*math.Tanh(light))
			img.SetNRGBA(x, y, color.NRGBA{shade, shade / 2, 255 - shade, 0xff})
		}
	}
	return img
}

// change returns the picture with every pixel computed anew.
func change(img *image.NRGBA, pixel func(c color.NRGBA) color.NRGBA) *image.NRGBA {
	out := image.NewNRGBA(img.Bounds())
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			out.SetNRGBA(x, y, pixel(img.NRGBAAt(x, y)))
		}
	}
	return out
}

// turn returns the picture mirrored left to right or along its diagonal.
func turn(img *image.NRGBA, diagonal bool) *image.NRGBA {
	b := img.Bounds()
	out := image.NewNRGBA(b)
	if diagonal {
		out = image.NewNRGBA(image.Rect(0, 0, b.Dy(), b.Dx()))
	}
	for y := range b.Dy() {
		for x := range b.Dx() {
			if diagonal {
				out.SetNRGBA(y, x, img.NRGBAAt(x, y))
			} else {
				out.SetNRGBA(b.Dx()-1-x, y, img.NRGBAAt(x, y))
			}
		}
	}
	return out
}

// scale returns the picture in another size, each pixel the nearest one.
func scale(img *image.NRGBA, width, height int) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			out.SetNRGBA(x, y, img.NRGBAAt(x*img.Bounds().Dx()/width, y*img.Bounds().Dy()/height))
		}
	}
	return out
}

func compress(t *testing.T, img image.Image, quality int) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func ways(t *testing.T, img image.Image) [8]picture.Likeness {
	t.Helper()
	all, seen := picture.Ways(img)
	if !seen {
		t.Fatal("there is nothing to see")
	}
	return all
}

func nearest(all [8]picture.Likeness, other picture.Likeness) int {
	distance := 64
	for _, way := range all {
		distance = min(distance, way.Distance(other))
	}
	return distance
}

// The same photo is alike whatever is done to its file: another quality, size, brightness,
// contrast, turned or mirrored.
func TestLikenessLasts(t *testing.T) {
	for seed := range uint64(8) {
		photo := scene(seed, 320, 240)
		want := ways(t, photo)[0]
		brighter := func(by int) func(color.NRGBA) color.NRGBA {
			return func(c color.NRGBA) color.NRGBA {
				up := func(v uint8) uint8 { return uint8(min(255, max(0, int(v)+by))) }
				return color.NRGBA{up(c.R), up(c.G), up(c.B), 0xff}
			}
		}
		for name, img := range map[string]image.Image{
			"darker": change(photo, brighter(-25)), "brighter": change(photo, brighter(25)),
			"less contrast": change(photo, func(c color.NRGBA) color.NRGBA { return color.NRGBA{c.R/2 + 64, c.G/2 + 64, c.B/2 + 64, 0xff} }),
			"smaller":       scale(photo, 160, 120), "larger": scale(photo, 800, 600), "wider": scale(photo, 400, 240),
			"mirrored": turn(photo, false), "upside down": turn(turn(turn(turn(photo, false), true), false), true),
			"on its side": turn(turn(photo, true), false), "along the diagonal": turn(photo, true),
		} {
			if d := nearest(ways(t, img), want); d > picture.MaxDistance {
				t.Errorf("%d, %s: %d bits differ", seed, name, d)
			}
		}
		for _, quality := range []int{90, 60, 30} {
			again, err := jpeg.Decode(bytes.NewReader(compress(t, photo, quality)))
			if err != nil {
				t.Fatal(err)
			}
			if d := ways(t, again)[0].Distance(want); d > picture.MaxDistance {
				t.Errorf("%d at quality %d: %d bits differ", seed, quality, d)
			}
		}
	}
}

// Different photos are not alike, in no way round; half of their bits differ.
func TestLikenessTellsApart(t *testing.T) {
	const photos = 100
	var all [photos][8]picture.Likeness
	for i := range all {
		all[i] = ways(t, scene(uint64(1000+i), 96, 96))
	}
	sum, pairs := 0, 0
	for i := range all {
		for j := range i {
			if d := nearest(all[i], all[j][0]); d <= picture.MaxDistance {
				t.Errorf("photos %d and %d differ in %d bits", i, j, d)
			}
			sum, pairs = sum+all[i][0].Distance(all[j][0]), pairs+1
		}
	}
	if mean := sum / pairs; mean < 26 || mean > 38 {
		t.Errorf("%d bits differ on average", mean)
	}
}

// A picture on which there is nothing to see is like no other.
func TestLikenessOfNothing(t *testing.T) {
	for _, shade := range []uint8{0, 127, 255} {
		sheet := change(image.NewNRGBA(image.Rect(0, 0, 200, 100)), func(color.NRGBA) color.NRGBA { return color.NRGBA{shade, shade, 90, 0xff} })
		again, err := jpeg.Decode(bytes.NewReader(compress(t, sheet, 40)))
		if err != nil {
			t.Fatal(err)
		}
		for name, img := range map[string]image.Image{"plain": sheet, "compressed": again, "one pixel": sheet.SubImage(image.Rect(3, 3, 4, 4))} {
			if _, seen := picture.Ways(img); seen {
				t.Errorf("%s of shade %d: something is seen", name, shade)
			}
		}
	}
}

// tiff is what EXIF says of how a photo is turned.
func tiff(order binary.AppendByteOrder, orientation uint16) []byte {
	text := []byte("II*\x00")
	if order == binary.BigEndian {
		text = []byte("MM\x00*")
	}
	text = order.AppendUint16(order.AppendUint32(text, 8), 2)
	for _, tag := range []uint16{0x0100, 0x0112} {
		text = order.AppendUint16(order.AppendUint16(text, tag), 3)
		text = order.AppendUint16(order.AppendUint32(text, 1), orientation)
		text = append(text, 0, 0)
	}
	return text
}

// oriented puts EXIF that says how a photo is turned behind a jpeg's first marker.
func oriented(file []byte, order binary.AppendByteOrder, orientation uint16) []byte {
	return withSegment(file, 0xe1, append([]byte("Exif\x00\x00"), tiff(order, orientation)...))
}

// sampled returns a jpeg's pixels with its colours sampled in another ratio.
func sampled(t *testing.T, img image.Image, ratio image.YCbCrSubsampleRatio) *image.YCbCr {
	t.Helper()
	b := img.Bounds()
	out := image.NewYCbCr(b, ratio)
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, blue, _ := img.At(x, y).RGBA()
			light, cb, cr := color.RGBToYCbCr(uint8(r>>8), uint8(g>>8), uint8(blue>>8))
			out.Y[out.YOffset(x, y)], out.Cb[out.COffset(x, y)], out.Cr[out.COffset(x, y)] = light, cb, cr
		}
	}
	return out
}

// quarters is a picture with a colour in each corner.
func quarters(width, height int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.SetNRGBA(x, y, corner(2*x/width, 2*y/height))
		}
	}
	return img
}

func corner(x, y int) color.NRGBA {
	return color.NRGBA{uint8(40 + 160*x), uint8(40 + 160*y), 128, 0xff}
}

// belong are where the upper left and the lower left corner of what is stored belong
// (EXIF 2.32, 4.6.5), by orientation.
var belong = map[uint16][2][2]int{
	1: {{0, 0}, {0, 1}}, 2: {{1, 0}, {1, 1}}, 3: {{1, 1}, {1, 0}}, 4: {{0, 1}, {0, 0}},
	5: {{0, 0}, {1, 0}}, 6: {{1, 0}, {0, 0}}, 7: {{1, 1}, {0, 1}}, 8: {{0, 1}, {1, 1}},
}

func checkCorners(t *testing.T, name string, img image.Image, orientation uint16) {
	t.Helper()
	size := img.Bounds().Size()
	for i, stored := range []color.NRGBA{corner(0, 0), corner(0, 1)} {
		at := belong[orientation][i]
		r, g, _, _ := img.At(at[0]*(size.X-1), at[1]*(size.Y-1)).RGBA()
		if diff := max(int(r>>8)-int(stored.R), int(stored.R)-int(r>>8), int(g>>8)-int(stored.G), int(stored.G)-int(g>>8)); diff > 12 {
			t.Errorf("%s, orientation %d: corner %d is not at %v", name, orientation, i, at)
		}
	}
}

// A photo is kept upright, however its phone was held: the corners are where they belong.
func TestPhotoIsUpright(t *testing.T) {
	const width, height = 64, 32
	img := quarters(width, height)
	var drawn bytes.Buffer
	if err := png.Encode(&drawn, img); err != nil {
		t.Fatal(err)
	}
	file := compress(t, img, 95)
	for orientation := range belong {
		for name, upload := range map[string][]byte{
			"little endian": oriented(file, binary.LittleEndian, orientation), "big endian": oriented(file, binary.BigEndian, orientation),
			"png": withChunk(drawn.Bytes(), "eXIf", string(tiff(binary.BigEndian, orientation))),
		} {
			declared := "image/jpeg"
			if name == "png" {
				declared = "image/png"
			}
			clean, pixels, err := picture.Photo(upload, declared, "file")
			if err != nil {
				t.Fatalf("%s, orientation %d: %v", name, orientation, err)
			}
			size := pixels.Bounds().Size()
			if (orientation >= 5) != (size == image.Pt(height, width)) || clean.Width != size.X || clean.Height != size.Y {
				t.Errorf("%s, orientation %d: %v, said to be %d by %d", name, orientation, size, clean.Width, clean.Height)
			}
			kept, _, err := image.Decode(bytes.NewReader(clean.Data))
			if err != nil || bytes.Contains(clean.Data, []byte("Exif")) || bytes.Contains(clean.Data, []byte("eXIf")) {
				t.Fatalf("%s, orientation %d: kept with EXIF, or not at all: %v", name, orientation, err)
			}
			checkCorners(t, name, kept, orientation)
		}
	}
}

// However a jpeg samples its colours, and be its sides odd, it is turned as a whole.
func TestUprightSamples(t *testing.T) {
	for _, size := range []image.Point{{X: 64, Y: 32}, {X: 51, Y: 37}, {X: 17, Y: 16}} {
		for ratio, name := range map[image.YCbCrSubsampleRatio]string{
			image.YCbCrSubsampleRatio444: "4:4:4", image.YCbCrSubsampleRatio422: "4:2:2", image.YCbCrSubsampleRatio420: "4:2:0",
			image.YCbCrSubsampleRatio440: "4:4:0", image.YCbCrSubsampleRatio411: "4:1:1", image.YCbCrSubsampleRatio410: "4:1:0",
		} {
			stored := sampled(t, quarters(size.X, size.Y), ratio)
			for orientation := range belong {
				checkCorners(t, name, picture.Upright(stored, int(orientation)), orientation)
			}
		}
	}
}

// records is what one maker's phones leave behind a photo.
func records() []byte {
	body := []byte("\x00\x00\x01\x0aImage_UTC_Data1600000000000")
	head := append([]byte("SEFH"), make([]byte, 20)...)
	tail := binary.LittleEndian.AppendUint32(append(body, head...), uint32(len(head)))
	return append(tail, "SEFT"...)
}

// What cameras leave behind a photo is no reason to refuse it, and stays behind.
func TestPhotoTails(t *testing.T) {
	file := compress(t, scene(1, 64, 48), 90)
	want, _, err := picture.Photo(file, "image/jpeg", "file")
	if err != nil {
		t.Fatal(err)
	}
	gain := compress(t, scene(2, 32, 32), 50)
	for name, tail := range map[string][]byte{
		"zeros": make([]byte, 4096), "a gain map": gain, "two more shots": bytes.Join([][]byte{gain, make([]byte, 7), gain}, nil),
		"records": records(), "a gain map and records": append(bytes.Clone(gain), records()...),
	} {
		got, _, err := picture.Photo(append(bytes.Clone(file), tail...), "image/jpeg", "file")
		if err != nil || got.Hash != want.Hash {
			t.Errorf("%s: kept %d bytes, %v", name, len(got.Data), err)
		}
	}
}

// frame is a jpeg that claims a picture, coded as marker says with so many components, and has none.
func frame(marker byte, components, width, height int) []byte {
	out := []byte{0xff, 0xd8, 0xff, marker, 0, byte(8 + 3*components), 8, byte(height >> 8), byte(height), byte(width >> 8), byte(width), byte(components)}
	for i := range components {
		out = append(out, byte(i+1), 0x11, 0)
	}
	return append(out, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0xff, 0xd9)
}

// A file that is two things, not what it is called, no picture, or one that fills the
// memory is refused, for the reason that it has.
func TestPhotoRefusals(t *testing.T) {
	photo, drawn := compress(t, scene(1, 64, 48), 90), drawing(64, 48)
	zip := "PK\x03\x04\x14\x00\x00\x00evil.exe" + strings.Repeat("x", 50) + "PK\x05\x06" + strings.Repeat("\x00", 18)
	const jpg, pngType = "image/jpeg", "image/png"
	for _, c := range []struct{ name, declared, file, want string }{
		{"a png called jpeg", jpg, string(drawn), "is declared as image/jpeg and is image/png"},
		{"a jpeg called png", pngType, string(photo), "is declared as image/png and is image/jpeg"},
		{"a gif", jpg, "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;", "must be a png or jpeg image"},
		{"a gif that goes on as a jpeg", jpg, "GIF89a" + string(photo), "must be a png or jpeg image"},
		{"a page", jpg, "<html><script>alert(1)</script>", "must be a png or jpeg image"},
		{"a page that begins as a jpeg", jpg, "\xff\xd8\xff\xe0<html><script>alert(1)</script>", "must be a png or jpeg image"},
		{"a zip behind a jpeg", jpg, string(photo) + zip, "something else follows"},
		{"a zip behind a png", pngType, string(drawn) + zip, "something else follows"},
		{"a page behind a jpeg", jpg, string(photo) + "<script>alert(1)</script>", "something else follows"},
		{"a gif behind a jpeg", jpg, string(photo) + "GIF89a", "something else follows"},
		{"a zip behind a gain map", jpg, string(photo) + string(photo) + zip, "something else follows"},
		{"a program behind zeros", jpg, string(photo) + strings.Repeat("\x00", 512) + "MZ\x90", "something else follows"},
		{"records that lie about their length", jpg, string(photo) + "SEFH" + "\xff\xff\x00\x00" + "SEFT", "something else follows"},
		{"a jpeg without an end", jpg, string(photo[:len(photo)-2]), "is damaged"},
		{"most of a jpeg", jpg, string(photo[:len(photo)-40]), "is damaged"},
		{"half a png", pngType, string(drawn[:len(drawn)/2]), "is damaged"},
		{"nothing", jpg, "", "must have 1 to 5242880 bytes"},
		{"one byte too many", jpg, string(photo) + strings.Repeat("\x00", picture.MaxPhotoBytes+1-len(photo)), "must have 1 to 5242880 bytes"},
		{"a png bomb", pngType, string(claim(drawn, 9_999, 9_999)), "must have at most 25000000 pixels"},
		{"a png bomb beyond ints", pngType, string(claim(drawn, 1<<31-1, 1<<31-1)), "must be a png or jpeg image"},
		{"a jpeg bomb", jpg, string(frame(0xc0, 3, 65_535, 65_535)), "must be 16 to 10000 pixels"},
		{"a jpeg bomb in passes", jpg, string(frame(0xc2, 3, 5_000, 5_000)), "takes too much memory"},
		{"a jpeg bomb of four colours", jpg, string(frame(0xc2, 4, 3_000, 3_000)), "takes too much memory"},
		{"too many passes", jpg, string(scans(64, picture.MaxScans+1)), "must have at most 64 scans"},
		{"too small", jpg, string(compress(t, scene(1, 15, 40), 90)), "must be 16 to 10000 pixels"},
	} {
		_, _, err := picture.Photo([]byte(c.file), c.declared, "file")
		if f := fault.From(err); err == nil || f.Code != fault.InvalidRequest || f.Field != "file" || !strings.Contains(f.Message, c.want) {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

// Nothing that is hidden within a photo survives: comments, EXIF, profiles, odd chunks and
// the frames of an animation.
func TestPhotoKeepsNothingForeign(t *testing.T) {
	const hidden = "<?php system('id') ?>"
	photo, drawn := compress(t, scene(1, 64, 48), 90), drawing(64, 48)
	for name, file := range map[string][]byte{
		"a comment":         withSegment(photo, 0xfe, []byte(hidden)),
		"EXIF":              withSegment(photo, 0xe1, []byte("Exif\x00\x00"+hidden)),
		"a profile":         withSegment(photo, 0xe2, []byte("ICC_PROFILE\x00\x01\x01"+hidden)),
		"a text chunk":      withChunk(drawn, "tEXt", "Comment\x00"+hidden),
		"an unknown chunk":  withChunk(drawn, "scRp", hidden),
		"an animation":      withChunk(withChunk(drawn, "fcTL", hidden), "acTL", "\x00\x00\x00\x02\x00\x00\x00\x00"),
		"EXIF in a png":     withChunk(drawn, "eXIf", "MM\x00*\x00\x00\x00\x08"+hidden),
		"a profile in png":  withChunk(drawn, "iCCP", "p\x00\x00"+hidden),
		"an odd table size": withSegment(photo, 0xec, bytes.Repeat([]byte(hidden), 900)),
	} {
		declared := "image/jpeg"
		if bytes.HasPrefix(file, []byte("\x89PNG")) {
			declared = "image/png"
		}
		clean, _, err := picture.Photo(file, declared, "file")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, trace := range []string{"php", "Exif", "ICC", "acTL", "fcTL", "scRp"} {
			if bytes.Contains(clean.Data, []byte(trace)) {
				t.Errorf("%s: %s came along", name, trace)
			}
		}
	}
}

// A redaction leaves nothing of an area, nor of what was compressed together with it, and
// nearly everything else.
func TestRedact(t *testing.T) {
	img := scene(3, 200, 150)
	for y := 60; y < 80; y++ { // the digits to hide
		for x := 50; x < 90; x++ {
			img.SetNRGBA(x, y, color.NRGBA{uint8(255 * (x / 3 % 2)), 0, 0, 0xff})
		}
	}
	var drawn bytes.Buffer
	if err := png.Encode(&drawn, img); err != nil {
		t.Fatal(err)
	}
	for declared, file := range map[string][]byte{"image/jpeg": compress(t, img, 90), "image/png": drawn.Bytes()} {
		clean, before, err := picture.Photo(file, declared, "file")
		if err != nil {
			t.Fatal(err)
		}
		redacted, err := picture.Redact(clean.Data, image.Rect(50, 60, 90, 80))
		if err != nil || redacted.Type != declared || redacted.Hash == clean.Hash {
			t.Fatalf("%s: %+v, %v", declared, redacted.Type, err)
		}
		after, _, err := image.Decode(bytes.NewReader(redacted.Data))
		if err != nil {
			t.Fatal(err)
		}
		for y := range 150 {
			for x := range 200 {
				r, g, b, _ := after.At(x, y).RGBA()
				inside := x >= 48 && x < 96 && y >= 48 && y < 80
				if inside && max(r, g, b)>>8 > 4 {
					t.Fatalf("%s: pixel %d,%d shows %d %d %d", declared, x, y, r>>8, g>>8, b>>8)
				}
				wr, _, _, _ := before.At(x, y).RGBA()
				if !inside && (x < 40 || x >= 104 || y < 40 || y >= 88) && max(int(r>>8)-int(wr>>8), int(wr>>8)-int(r>>8)) > 24 {
					t.Fatalf("%s: pixel %d,%d became %d, was %d", declared, x, y, r>>8, wr>>8)
				}
			}
		}
		for _, area := range []image.Rectangle{{}, image.Rect(-1, 0, 5, 5), image.Rect(0, 0, 201, 5), image.Rect(0, 149, 5, 151), {Min: image.Pt(9, 9), Max: image.Pt(3, 3)}} {
			if _, err := picture.Redact(clean.Data, area); fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("area %v: %v", area, err)
			}
		}
	}
}

// FuzzPhoto proves that no upload crashes what looks at it, and that what is kept is a
// photo that is kept again.
func FuzzPhoto(f *testing.F) {
	file := photo(20, 16, 50)
	f.Add(file, true)
	f.Add(drawing(20, 16), false)
	f.Add(oriented(file, binary.LittleEndian, 6), true)
	f.Add(append(bytes.Clone(file), records()...), true)
	f.Add(frame(0xc2, 3, 50, 50), true)
	f.Add(withChunk(drawing(16, 16), "eXIf", "II*\x00\x08\x00\x00\x00\xff\xff"), false)
	f.Fuzz(func(t *testing.T, upload []byte, isJPEG bool) {
		declared := "image/png"
		if isJPEG {
			declared = "image/jpeg"
		}
		clean, pixels, err := picture.Photo(upload, declared, "file")
		if err != nil {
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Fatal(err)
			}
			return
		}
		picture.Ways(pixels)
		if _, _, err := picture.Photo(clean.Data, declared, "file"); err != nil {
			t.Fatalf("not kept again: %v", err)
		}
	})
}
