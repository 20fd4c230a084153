package raw

import (
	"bufio"
	"encoding/binary"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// HTTP2Code is an error code of HTTP/2: why a stream or a connection ends.
type HTTP2Code uint32

// The codes that servers use most; any other number can be sent too.
const (
	HTTP2NoError       HTTP2Code = 0x0
	HTTP2InternalError HTTP2Code = 0x2
	HTTP2RefusedStream HTTP2Code = 0x7
)

// Headers sends a status and headers on the stream of the request. A status below 200 is an interim answer: further
// Headers follow it. end tells that no Data follows.
func (c *Conn) Headers(status int, header http.Header, end bool) bool {
	block := appendField(nil, ":status", strconv.Itoa(status))
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			block = appendField(block, strings.ToLower(name), value)
		}
	}
	flags := byte(0)
	if end {
		flags = flagEndStream
	}
	kind := frameHeaders
	var frames []byte
	for len(block) > maxFrame {
		frames = appendFrame(frames, kind, flags, c.Request.Stream, block[:maxFrame])
		block, kind, flags = block[maxFrame:], frameContinuation, 0
	}
	return c.conn.write(appendFrame(frames, kind, flags|flagEndHeaders, c.Request.Stream, block))
}

// Data sends a part of the body on the stream of the request, the last one if end is set.
func (c *Conn) Data(text string, end bool) bool {
	var frames []byte
	for len(text) > maxFrame {
		frames = appendFrame(frames, frameData, 0, c.Request.Stream, []byte(text[:maxFrame]))
		text = text[maxFrame:]
	}
	flags := byte(0)
	if end {
		flags = flagEndStream
	}
	return c.conn.write(appendFrame(frames, frameData, flags, c.Request.Stream, []byte(text)))
}

// ResetStream resets the stream of the request (RST_STREAM) and leaves the connection open. [HTTP2RefusedStream] says
// that the server has not looked at the request.
func (c *Conn) ResetStream(code HTTP2Code) bool {
	payload := binary.BigEndian.AppendUint32(nil, uint32(code))
	return c.conn.write(appendFrame(nil, frameReset, 0, c.Request.Stream, payload))
}

// GoAway tells the client to open no more streams on this connection, and that the server has not looked at streams
// above last. With c.Request.Stream as last the server has taken the request, with c.Request.Stream-1 it has not.
func (c *Conn) GoAway(last uint32, code HTTP2Code) bool {
	payload := binary.BigEndian.AppendUint32(nil, last)
	payload = binary.BigEndian.AppendUint32(payload, uint32(code))
	return c.conn.write(appendFrame(nil, frameGoAway, 0, 0, payload))
}

// The frames and flags that this server sends or looks at.
const (
	frameData         byte = 0x0
	frameHeaders      byte = 0x1
	frameReset        byte = 0x3
	frameSettings     byte = 0x4
	framePing         byte = 0x6
	frameGoAway       byte = 0x7
	frameWindowUpdate byte = 0x8
	frameContinuation byte = 0x9

	flagAck        byte = 0x1
	flagEndStream  byte = 0x1
	flagEndHeaders byte = 0x4
	flagPadded     byte = 0x8
	flagPriority   byte = 0x20

	maxFrame        = 16 << 10 // the largest payload that both sides take without being asked
	frameHeaderSize = 9
	clientPreface   = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

func appendFrame(to []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	size := len(payload)
	to = append(to, byte(size>>16), byte(size>>8), byte(size), kind, flags)
	to = binary.BigEndian.AppendUint32(to, stream)
	return append(to, payload...)
}

// appendField appends a header field in the plainest form of HPACK: a new name and a value, neither indexed nor
// compressed.
func appendField(to []byte, name, value string) []byte {
	to = append(to, 0)
	for _, text := range []string{name, value} {
		to = appendLength(to, len(text))
		to = append(to, text...)
	}
	return to
}

// appendLength appends an integer in HPACK's form with a prefix of seven bits.
func appendLength(to []byte, n int) []byte {
	const prefix = 1<<7 - 1
	if n < prefix {
		return append(to, byte(n))
	}
	return binary.AppendUvarint(append(to, prefix), uint64(n-prefix))
}

type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

func (f frame) has(flag byte) bool { return f.flags&flag != 0 }

func readFrame(r io.Reader) (frame, error) {
	var header [frameHeaderSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return frame{}, err
	}
	size := int(header[0])<<16 | int(header[1])<<8 | int(header[2])
	if size > maxFrame {
		return frame{}, io.ErrUnexpectedEOF
	}
	stream := binary.BigEndian.Uint32(header[5:]) &^ (1 << 31)
	f := frame{kind: header[3], flags: header[4], stream: stream, payload: make([]byte, size)}
	_, err := io.ReadFull(r, f.payload)
	return f, err
}

// content is the payload of DATA or HEADERS without padding and priority.
func (f frame) content() []byte {
	content := f.payload
	if f.has(flagPadded) && len(content) > 0 {
		padding := int(content[0])
		content = content[1:max(1, len(content)-padding)]
	}
	if f.kind == frameHeaders && f.has(flagPriority) {
		content = content[min(5, len(content)):]
	}
	return content
}

// http2Reader reads the requests of one connection.
type http2Reader struct {
	server  *Server
	conn    *connection
	streams map[uint32]*Request // those that the client has not ended
	answers sync.WaitGroup

	head    Request // while its headers arrive
	headEnd bool    // the stream ends with them
}

func (s *Server) serveHTTP2(c *connection) {
	r := &http2Reader{server: s, conn: c, streams: map[uint32]*Request{}}
	r.readAll(bufio.NewReader(c.stream))
	_ = c.stream.Close()
	close(c.gone)
	r.answers.Wait()
}

func (r *http2Reader) readAll(from io.Reader) {
	preface := make([]byte, len(clientPreface))
	if _, err := io.ReadFull(from, preface); err != nil || string(preface) != clientPreface {
		return
	}
	r.conn.write(appendFrame(nil, frameSettings, 0, 0, nil))
	for {
		f, err := readFrame(from)
		if err != nil {
			return
		}
		r.take(f)
	}
}

func (r *http2Reader) take(f frame) {
	switch f.kind {
	case frameSettings, framePing:
		if !f.has(flagAck) {
			r.acknowledge(f)
		}
	case frameHeaders:
		r.head = Request{Connection: r.conn.number, Stream: f.stream, Head: f.content()}
		r.headEnd = f.has(flagEndStream)
		r.headersEnd(f)
	case frameContinuation:
		r.head.Head = append(r.head.Head, f.payload...)
		r.headersEnd(f)
	case frameData:
		r.data(f)
	}
}

func (r *http2Reader) acknowledge(f frame) {
	payload := f.payload
	if f.kind == frameSettings {
		payload = nil
	}
	r.conn.write(appendFrame(nil, f.kind, flagAck, 0, payload))
}

// headersEnd takes the request if these were all its headers. Headers after the body are trailers.
func (r *http2Reader) headersEnd(f frame) {
	if !f.has(flagEndHeaders) {
		return
	}
	if _, trailers := r.streams[f.stream]; !trailers {
		r.streams[f.stream] = r.server.add(r.head)
	}
	if r.headEnd {
		r.end(f.stream)
	}
}

func (r *http2Reader) data(f frame) {
	request := r.streams[f.stream]
	if request == nil {
		return
	}
	r.server.addBody(request, f.content())
	if len(f.payload) > 0 { // so that the client may send as much again
		size := binary.BigEndian.AppendUint32(nil, uint32(len(f.payload)))
		update := appendFrame(nil, frameWindowUpdate, 0, 0, size)
		r.conn.write(appendFrame(update, frameWindowUpdate, 0, f.stream, size))
	}
	if f.has(flagEndStream) {
		r.end(f.stream)
	}
}

// end answers a request that has arrived whole.
func (r *http2Reader) end(stream uint32) {
	request := r.streams[stream]
	delete(r.streams, stream)
	r.answers.Go(func() {
		if !r.server.answer(r.conn, request) {
			_ = r.conn.stream.Close()
		}
	})
}
