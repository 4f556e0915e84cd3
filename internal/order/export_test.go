package order

// Become tries a change as the product makes it, and returns what it leaves.
func (s Status) Become(to Status) (Status, error) {
	err := s.become(to)
	return s, err
}
