package order

// Rest returns when nobody goes on with an order in this process any more.
func (s *Service) Rest() { s.crew.group.Wait() }
