package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	purposeContent = "image.content"
	// chunkBytes is how much of an image one row holds.
	chunkBytes   = 256 << 10
	firstVersion = 1
)

// place names a part of an image, so that it opens there alone.
func place(image ID, version, seq, of int) string {
	return fmt.Sprintf("%s/%d/%d/%d", image, version, seq, of)
}

// seal returns the rows of an image's content.
func (s *Service) seal(image ID, version int, content []byte) ([][]any, error) {
	of := (len(content) + chunkBytes - 1) / chunkBytes
	rows := make([][]any, 0, of)
	for seq := range of {
		part := content[seq*chunkBytes : min((seq+1)*chunkBytes, len(content))]
		sealed, err := s.Vault.Seal(purposeContent, place(image, version, seq, of), part)
		if err != nil {
			return nil, fmt.Errorf("seal image %s: %w", image, err)
		}
		rows = append(rows, []any{string(image), int64(version), int64(seq), sealed})
	}
	return rows, nil
}

// content reads what seal has made, and holds it against its hash.
func (s *Service) content(ctx context.Context, q storage.Queryer, k kept) ([]byte, error) {
	parts, err := storage.All(ctx, q, storage.Scalar[[]byte], listChunks, string(k.ID), k.version)
	if err != nil {
		return nil, err
	}
	content := make([]byte, 0, k.Bytes)
	for seq, sealed := range parts {
		part, err := s.Vault.Unseal(purposeContent, place(k.ID, k.version, seq, k.chunks), sealed)
		if err != nil {
			return nil, fmt.Errorf("open image %s: %w", k.ID, err)
		}
		content = append(content, part...)
	}
	if sum := sha256.Sum256(content); len(parts) != k.chunks || hex.EncodeToString(sum[:]) != k.SHA256 {
		return nil, fmt.Errorf("open image %s: its content is damaged", k.ID)
	}
	return content, nil
}
