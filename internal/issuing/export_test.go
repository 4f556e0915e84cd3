package issuing

// SetSweepPage has sweeps read fewer cards at a time.
func (s *Service) SetSweepPage(n int) { s.expiry.Page = n }

// Become tries a change as the product makes it, and returns what it leaves.
func (s Status) Become(to Status) (Status, error) {
	err := s.become(to)
	return s, err
}
