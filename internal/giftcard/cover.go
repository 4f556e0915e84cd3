package giftcard

import "github.com/scripcards/scrip/internal/platform/picture"

// MaxCoverBytes bounds a cover as it is uploaded.
const MaxCoverBytes = picture.MaxBytes

// newCover checks an uploaded image and encodes its pixels anew: metadata, trailing
// data and anything that is not an image stay behind.
func newCover(upload []byte) (Cover, error) {
	clean, err := picture.Clean(upload, "cover")
	return Cover{Type: clean.Type, Hash: clean.Hash, Data: clean.Data}, err
}
