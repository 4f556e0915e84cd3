package memo

// Len returns how many answers and absences are held, expired ones included.
func (m *Memo[V]) Len() (present, absent int) {
	for i := range shards {
		present += m.present[i].len()
		absent += m.absent[i].len()
	}
	return present, absent
}

func (s *shard[V]) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}
