package payout

// Become tries a change as the product makes it, and returns what it leaves.
func (s State) Become(to State) (State, error) {
	err := s.become(to)
	return s, err
}
