package drifttest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// memoryURL is the base URL of a server that has no port.
const memoryURL = "http://drifttest.localhost"

// inBubble reports whether the caller runs in a bubble of testing/synctest, whose clock starts in the year 2000. A
// goroutine in a bubble must not wait for the network: the clock of the bubble would stand still.
func inBubble() bool {
	return time.Now().Before(time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC))
}

// memory is a listener whose connections are pipes in this process.
type memory struct {
	accepted chan net.Conn
	closed   chan struct{}
	close    sync.Once
}

func newMemory() *memory {
	return &memory{accepted: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements [net.Listener].
func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.accepted:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (m *memory) Close() error {
	m.close.Do(func() { close(m.closed) })
	return nil
}

// Addr implements [net.Listener].
func (m *memory) Addr() net.Addr { return memoryAddr{} }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "memory" }

// dial connects to the listener, whatever the address.
func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case m.accepted <- far:
		return near, nil
	case <-m.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// transport returns a transport to the listener with the timeouts that package drift sets for the network.
func (m *memory) transport() *http.Transport {
	return &http.Transport{
		DialContext:           m.dial,
		ResponseHeaderTimeout: 30 * time.Second,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   100,
	}
}
