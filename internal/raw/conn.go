package raw

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

// A Conn is a connection of a [Server], in the hands of an [Answer]. The methods that send report whether everything
// went out: they return false once the client is gone, the connection is closed or the server closes.
//
// Send and Drip write bytes on any connection. Headers, Data, ResetStream and GoAway write a frame of HTTP/2, whether
// or not it makes sense.
type Conn struct {
	// Request is the one to answer; in [Server.Accept] it is empty.
	Request Request

	conn *connection
}

// connection is what the answers to the requests of a connection share.
type connection struct {
	server *Server
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
func (c *Conn) Send(text string) bool { return c.conn.write([]byte(text)) }

// Drip writes text byte by byte, with a pause before each.
func (c *Conn) Drip(text string, pause time.Duration) bool {
	for _, b := range []byte(text) {
		if !c.Pause(pause) || !c.conn.write([]byte{b}) {
			return false
		}
	}
	return true
}

// JSON sends a complete, correct answer with this body, in the server's version of HTTP.
func (c *Conn) JSON(status int, body string) bool {
	if c.conn.server.settings.http2 {
		header := http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(body))}}
		return c.Headers(status, header, body == "") && (body == "" || c.Data(body, true))
	}
	return c.Send(fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), len(body), body))
}

// Pause waits. It returns false if the client goes or the server closes first.
func (c *Conn) Pause(d time.Duration) bool {
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

// Silence keeps the connection open and sends nothing until the client closes it. HTTP/1.1: it discards what the client
// sends meanwhile. HTTP/2: only the stream is silent, and pings and other requests are answered.
func (c *Conn) Silence() {
	if c.conn.server.settings.http2 && c.Request.Stream != 0 {
		<-c.conn.gone
		return
	}
	_, _ = io.Copy(io.Discard, c.conn.stream)
}

// Blackhole is Silence for the whole connection, as if the server's machine were gone: not even a ping is answered.
func (c *Conn) Blackhole() {
	c.conn.mu.Lock()
	c.conn.muted = true
	c.conn.mu.Unlock()
	c.Silence()
}

// Reset resets the connection. The client may see the reset before it has read the bytes that were just sent.
func (c *Conn) Reset() {
	if tcp, ok := c.conn.tcp.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.conn.tcp.Close()
}

// Close ends the connection: the client sees the end of the data.
func (c *Conn) Close() { _ = c.conn.stream.Close() }

// CloseWrite half-closes the connection: the client sees the end of the data, and can still send.
func (c *Conn) CloseWrite() {
	if secured, ok := c.conn.stream.(*tls.Conn); ok {
		_ = secured.CloseWrite()
	}
	if tcp, ok := c.conn.tcp.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

func (c *connection) write(data []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.muted {
		return false
	}
	_, err := c.stream.Write(data)
	return err == nil
}
