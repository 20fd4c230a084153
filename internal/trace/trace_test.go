package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What an attempt that failed has done with its request, by what net/http told of it.
func TestSent(t *testing.T) {
	const (
		silent = iota // the transport reports nothing
		waiting
		connected
		written
	)
	retry := func(reason string) error {
		return fmt.Errorf("http2: Transport: cannot retry err [%s] after Request.Body was written; define Request.GetBody to avoid this error", reason)
	}
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, test := range []struct {
		reached int
		err     error
		want    bool
	}{
		{silent, io.EOF, true}, {silent, dial, false},
		{waiting, io.EOF, false}, {waiting, dial, false}, {waiting, errors.New("timeout"), false},
		{connected, io.EOF, true}, {connected, errors.New("http: server closed idle connection"), false},
		{connected, fmt.Errorf("wrapped: %w", errors.New("http: server closed idle connection")), false},
		{written, io.EOF, true}, {written, dial, true}, {written, errors.New("http: server closed idle connection"), true},
		{written, retry("stream error: stream ID 3; REFUSED_STREAM; received from peer"), false},
		{written, fmt.Errorf("wrapped: %w", retry("stream error: stream ID 3; REFUSED_STREAM; received from peer")), false},
		{written, retry("stream error: stream ID 3; PROTOCOL_ERROR; received from peer"), true},
		{written, retry("stream error: stream ID 3; REFUSED_STREAM"), true},
		{written, retry("http2: Transport received Server's graceful shutdown GOAWAY"), false},
		{written, retry("unknown"), true},
		{written, errors.New("http2: Transport received GOAWAY from server ErrCode:INTERNAL_ERROR"), false},
		{written, errors.New("http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR"), true},
		{written, fmt.Errorf("proxy: %s", retry("stream error: stream ID 3; REFUSED_STREAM; received from peer")), true},
	} {
		_, r, cancel := Follow(t.Context(), 1)
		defer cancel(nil)
		hooks := r.hooks()
		if test.reached >= waiting {
			hooks.GetConn("")
		}
		if test.reached >= connected {
			hooks.GotConn(httptrace.GotConnInfo{})
		}
		if test.reached >= written {
			hooks.WroteHeaders()
		}
		assert.Equal(t, test.want, r.Sent(test.err), "%d, %v", test.reached, test.err)
	}
}

// Over HTTP/2, net/http may ask for a connection again before it reports that the first request was written, and it
// does not report the host of a connection that another request asked for.
func TestRepetitionsOverHTTP2(t *testing.T) {
	const host = "drift.test:443"
	head := func(hooks *httptrace.ClientTrace) {
		for name, value := range map[string]string{
			":authority": "drift.test", ":method": "GET", ":path": "/v2/tags/1", "user-agent": "agent", "authorization": "Bearer a",
		} {
			hooks.WroteHeaderField(name, []string{value})
		}
	}
	for name, events := range map[string]func(hooks *httptrace.ClientTrace){
		"the usual order": func(hooks *httptrace.ClientTrace) {
			hooks.GetConn(host)
			hooks.GotConn(httptrace.GotConnInfo{})
			head(hooks)
			hooks.WroteHeaders()
			hooks.GetConn(host)
		},
		"no host of the first connection": func(hooks *httptrace.ClientTrace) {
			hooks.GotConn(httptrace.GotConnInfo{})
			head(hooks)
			hooks.WroteHeaders()
			hooks.GetConn(host)
		},
		"no host of the second connection": func(hooks *httptrace.ClientTrace) {
			hooks.GetConn(host)
			hooks.GotConn(httptrace.GotConnInfo{})
			head(hooks)
			hooks.WroteHeaders()
			hooks.GotConn(httptrace.GotConnInfo{})
		},
		"before the headers are said to be written": func(hooks *httptrace.ClientTrace) {
			hooks.GetConn(host)
			hooks.GotConn(httptrace.GotConnInfo{})
			head(hooks)
			hooks.GotConn(httptrace.GotConnInfo{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, r, cancel := Follow(t.Context(), 1)
			defer cancel(nil)
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://drift.test/v2/tags/1", http.NoBody)
			require.NoError(t, err)
			request.Header = http.Header{"User-Agent": {"agent"}, "Authorization": {"Bearer a"}}
			r.Prepare(request, nil, 2)
			require.NoError(t, ctx.Err())
			events(r.hooks())
			assert.Equal(t, ErrBroken, context.Cause(ctx))
		})
	}

	t.Run("a connection that could not be used", func(t *testing.T) {
		ctx, r, cancel := Follow(t.Context(), 1)
		defer cancel(nil)
		hooks := r.hooks()
		hooks.GetConn(host)
		hooks.GotConn(httptrace.GotConnInfo{})
		hooks.GotConn(httptrace.GotConnInfo{})
		head(hooks)
		hooks.WroteHeaders()
		assert.NoError(t, ctx.Err())
	})
}
