package catalog

// Version returns the catalog's version, which rises with every change.
func (s *Service) Version() int64 { return s.view.Load().version }
