package redisstore_test

func (s *server) stop() { s.t.Skip("a process cannot be stopped on Windows") }

func (s *server) resume() {}
