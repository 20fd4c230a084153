package store

// SetMany replaces manyConversations.
func (s *Store) SetMany(n int) { s.many = n }
