package drifttest

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// RawConn is a connection of a [RawServer], in the hands of a [RawAnswer]. What sends reports whether all of it went out: it does
// not once the client is gone, the connection was closed, or the server closes.
//
// Send and Drip write bytes, on whatever connection. Headers, Data, ResetStream and GoAway write a frame of HTTP/2. Nobody checks
// that it makes sense.
type RawConn struct {
	// Request is the one to answer; in [RawServer.Accept] it is empty.
	Request RawRequest

	conn *rawConnection
}

// rawConnection is what the answers to the requests of a connection share.
type rawConnection struct {
	server *RawServer
	number int
	tcp    net.Conn
	stream net.Conn      // tcp, or TLS over it
	gone   chan struct{} // HTTP/2: closed when the client is gone

	mu    sync.Mutex // guards writing, for the streams of HTTP/2
	muted bool
}

// Send writes text as it stands. An endless answer is
//
//	for c.Send("X-Filler: and so on\r\n") {
//	}
func (c *RawConn) Send(text string) bool { return c.conn.write([]byte(text)) }

// Drip writes text byte by byte, with a pause before each.
func (c *RawConn) Drip(text string, pause time.Duration) bool {
	for _, b := range []byte(text) {
		if !c.Pause(pause) || !c.conn.write([]byte{b}) {
			return false
		}
	}
	return true
}

// JSON sends a whole and right answer with this body, in the server's version of HTTP.
func (c *RawConn) JSON(status int, body string) bool {
	if c.conn.server.settings.http2 {
		header := http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(body))}}
		return c.Headers(status, header, body == "") && (body == "" || c.Data(body, true))
	}
	return c.Send(fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), len(body), body))
}

// Pause waits, and reports whether it came to the end of it: it does not when the server closes.
func (c *RawConn) Pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.conn.gone:
		return false
	case <-c.conn.server.closing:
		return false
	}
}

// Silence keeps the connection open and sends nothing, until the client closes it. What the client sends meanwhile is thrown away
// in HTTP/1.1. In HTTP/2 only the stream is silent: pings and other requests are answered.
func (c *RawConn) Silence() {
	if c.conn.server.settings.http2 && c.Request.Stream != 0 {
		<-c.conn.gone
		return
	}
	_, _ = io.Copy(io.Discard, c.conn.stream)
}

// Blackhole is Silence for the whole connection: as if the peer's machine were gone, nothing is sent on it any more, not even the
// answer to a ping.
func (c *RawConn) Blackhole() {
	c.conn.mu.Lock()
	c.conn.muted = true
	c.conn.mu.Unlock()
	c.Silence()
}

// Reset breaks the connection off: the client sees that it was reset. It may come before bytes that were just sent.
func (c *RawConn) Reset() {
	if tcp, ok := c.conn.tcp.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.conn.tcp.Close()
}

// Close ends the connection: the client sees the end of the data.
func (c *RawConn) Close() { _ = c.conn.stream.Close() }

// CloseWrite half-closes the connection: the client sees the end of the data, and can still send.
func (c *RawConn) CloseWrite() {
	if secured, ok := c.conn.stream.(*tls.Conn); ok {
		_ = secured.CloseWrite()
	}
	if tcp, ok := c.conn.tcp.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

func (c *rawConnection) write(data []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.muted {
		return false
	}
	_, err := c.stream.Write(data)
	return err == nil
}
