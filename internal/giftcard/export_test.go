package giftcard

import "context"

// The limits and the parsers that tests look at.
const (
	SweepSize      = sweepPage
	CollisionTries = collisionTries
	MaxTemplates   = maxTemplates
	MaxLine        = maxLine
)

// ListOf parses a file and returns its good rows with their lines and what is wrong with the others.
var ListOf = parseList

// Parts returns what a parsed list holds.
func (l *list) Parts() ([]Issue, []int, []BadField) { return l.issues, l.lines, l.bad }

// GetWhile is Get, with something done between the reading of the card and of its account.
func (s *Service) GetWhile(ctx context.Context, m Merchant, card ID, between func()) (*Card, error) {
	found, err := s.stored(ctx, m.Book, card)
	if err != nil {
		return nil, err
	}
	between()
	return s.complete(ctx, found, m.Realm)
}

// CreateAll makes all the cards or none, as Import does with what it read.
func (s *Service) CreateAll(ctx context.Context, m Merchant, issues []Issue) ([]Issued, error) {
	return s.createAll(ctx, m, issues, nil)
}
