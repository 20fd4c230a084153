//go:build unix

package redisstore_test

import "syscall"

// stop stops the server without ending its connections.
func (s *server) stop() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

func (s *server) resume() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }
