package issuing

// SetSweepPage has sweeps read fewer cards at a time.
func (s *Service) SetSweepPage(n int) { s.expiry.Page = n }
