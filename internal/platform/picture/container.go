package picture

import (
	"bytes"
	"encoding/binary"
)

// container is what a file says about its picture before anything is decoded.
type container struct {
	end         int // where the picture ends, in bytes
	scans       int // passes over the pixels of a jpeg
	orientation int // of EXIF, 1 to 8
	memory      int // bytes that decoding takes for each 8 pixels, about
}

// Markers of a jpeg (ITU-T T.81, annex B) and what makes one.
const (
	markSOF0, markSOF1, markSOF2 = 0xc0, 0xc1, 0xc2
	markRST0, markRST7           = 0xd0, 0xd7
	markSOI, markEOI, markSOS    = 0xd8, 0xd9, 0xda
	markTEM, markAPP1            = 0x01, 0xe1
	jpegStart                    = "\xff\xd8"
	exifStart                    = "Exif\x00\x00"
)

// walkJPEG goes through the segments of a jpeg to its end. It reports false for what is
// not one, or has none.
func walkJPEG(file []byte) (c container, ok bool) {
	c.orientation = 1
	if !bytes.HasPrefix(file, []byte(jpegStart)) {
		return c, false
	}
	for at := len(jpegStart); at+2 <= len(file); {
		if file[at] != 0xff {
			return c, false
		}
		mark := file[at+1]
		switch {
		case mark == 0xff: // padding
			at++
			continue
		case mark == markEOI:
			c.end = at + 2
			return c, c.scans > 0
		case mark == markSOI || mark == 0:
			return c, false
		case mark == markTEM || mark >= markRST0 && mark <= markRST7:
			at += 2
			continue
		}
		if at+4 > len(file) {
			return c, false
		}
		end := at + 2 + int(binary.BigEndian.Uint16(file[at+2:]))
		if end < at+4 || end > len(file) {
			return c, false
		}
		c.segment(mark, file[at+4:end])
		if at = end; mark == markSOS {
			at = skipScan(file, at)
		}
	}
	return c, false
}

// segment takes note of what matters in one.
func (c *container) segment(mark byte, body []byte) {
	switch mark {
	case markSOS:
		c.scans++
	case markAPP1:
		if tiff, is := bytes.CutPrefix(body, []byte(exifStart)); is && c.orientation == 1 {
			c.orientation = orientationOf(tiff)
		}
	case markSOF0, markSOF1, markSOF2:
		c.memory = jpegMemory(mark, body)
	}
}

// skipScan returns where the coded pixels that begin at at give way to a marker.
func skipScan(file []byte, at int) int {
	for ; at+1 < len(file); at++ {
		next := file[at+1]
		if file[at] == 0xff && next != 0 && next != 0xff && (next < markRST0 || next > markRST7) {
			return at
		}
	}
	return len(file)
}

// jpegMemory is what a frame takes for each 8 pixels: its samples, and for a progressive
// picture its coefficients too, of 4 bytes.
func jpegMemory(mark byte, frame []byte) int {
	const fixed, each = 6, 3
	if len(frame) < fixed || len(frame) < fixed+each*int(frame[5]) {
		return 0
	}
	samples, widest, highest := 0, 1, 1
	for i := range int(frame[5]) {
		factors := int(frame[fixed+each*i+1])
		samples += (factors >> 4) * (factors & 15)
		widest, highest = max(widest, factors>>4), max(highest, factors&15)
	}
	memory := 8 * samples / (widest * highest)
	if frame[5] == 4 { // converted into another image
		memory += 8 * 4
	}
	if mark == markSOF2 {
		memory += 4 * memory
	}
	return memory
}

// What may follow a photo's end: more pictures of the same shot, such as a gain map (CIPA
// DC-007), zeros, and the records that one maker's phones leave.
const (
	maxMore      = 16
	recordsStart = "SEFH"
	recordsEnd   = "SEFT"
)

// knownTail reports whether what follows a jpeg is what cameras put there.
func knownTail(tail []byte) bool {
	for range maxMore {
		tail = bytes.TrimLeft(tail, "\x00")
		if len(tail) == 0 || isRecords(tail) {
			return true
		}
		more, ok := walkJPEG(tail)
		if !ok {
			return false
		}
		tail = tail[more.end:]
	}
	return false
}

func isRecords(tail []byte) bool {
	const trailer = 8
	if len(tail) < trailer || string(tail[len(tail)-4:]) != recordsEnd {
		return false
	}
	length := int64(binary.LittleEndian.Uint32(tail[len(tail)-trailer:]))
	at := int64(len(tail)) - trailer - length
	return at >= 0 && length >= int64(len(recordsStart)) && bytes.HasPrefix(tail[at:], []byte(recordsStart))
}

const (
	pngStart  = "\x89PNG\r\n\x1a\n"
	pngHeader = 13
)

// walkPNG goes through the chunks of a png to its end. It reports false for what is not
// one, or has none.
func walkPNG(file []byte) (c container, ok bool) {
	c.orientation = 1
	if !bytes.HasPrefix(file, []byte(pngStart)) {
		return c, false
	}
	for at := len(pngStart); at+12 <= len(file); {
		length := int64(binary.BigEndian.Uint32(file[at:]))
		end := int64(at) + 12 + length
		if end > int64(len(file)) {
			return c, false
		}
		body := file[at+8 : end-4]
		switch string(file[at+4 : at+8]) {
		case "IHDR":
			c.memory = pngMemory(body)
		case "eXIf":
			c.orientation = orientationOf(body)
		case "IEND":
			c.end = int(end)
			return c, true
		}
		at = int(end)
	}
	return c, false
}

// pngMemory is what a png takes for each 8 pixels, twice where it comes in passes.
func pngMemory(header []byte) int {
	if len(header) != pngHeader {
		return 0
	}
	memory := 8 * 4
	if header[8] == 16 {
		memory = 8 * 8
	}
	if header[12] != 0 {
		memory *= 2
	}
	return memory
}

// orientationOf reads the tag "Orientation" of the first directory of a TIFF structure
// (EXIF 2.32, 4.6.5); 1 is upright, and what there is without one.
func orientationOf(tiff []byte) int {
	const upright, entry, tag, short = 1, 12, 0x0112, 3
	if len(tiff) < 8 {
		return upright
	}
	var order binary.ByteOrder = binary.LittleEndian
	if string(tiff[:2]) == "MM" {
		order = binary.BigEndian
	} else if string(tiff[:2]) != "II" {
		return upright
	}
	at := int64(order.Uint32(tiff[4:]))
	if order.Uint16(tiff[2:]) != 42 || at+2 > int64(len(tiff)) {
		return upright
	}
	for i := range int64(order.Uint16(tiff[at:])) {
		field := at + 2 + i*entry
		if field+entry > int64(len(tiff)) {
			return upright
		}
		one := tiff[field : field+entry]
		if order.Uint16(one) == tag && order.Uint16(one[2:]) == short && order.Uint32(one[4:]) == 1 {
			if value := int(order.Uint16(one[8:])); value >= 1 && value <= 8 {
				return value
			}
			return upright
		}
	}
	return upright
}
