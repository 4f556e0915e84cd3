package decision

// Wait returns when no question is under way.
func (s *Service) Wait() { s.under.Wait() }
