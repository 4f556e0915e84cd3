package idempotency

import (
	"context"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// Sealed is the answers of a caller that hold secrets: they are sealed where they are kept.
type Sealed struct {
	DB    *storage.DB
	Vault *vault.Vault
	// Purpose is what the vault seals them for, one for each caller.
	Purpose string
}

// row is what an answer belongs to: it cannot be opened as another one's.
func (s Scope) row() string { return s.Book + "/" + s.Name + "/" + s.Key }

// Find is Find, with the answer opened.
func (s Sealed) Find(ctx context.Context, scope Scope, fingerprint []byte) (Answer, bool, error) {
	answer, found, err := Find(ctx, s.DB, scope, fingerprint)
	if err != nil || !found {
		return Answer{}, false, err
	}
	answer.Body, err = s.Vault.Unseal(s.Purpose, scope.row(), answer.Body)
	return answer, err == nil, err
}

// Put puts an answer into an entry, sealed.
func (s Sealed) Put(e *Entry, answer Answer) error {
	body, err := s.Vault.Seal(s.Purpose, e.Scope.row(), answer.Body)
	e.Answer = Answer{Status: answer.Status, Body: body}
	return err
}
