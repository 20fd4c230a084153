package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/internal/raw"
	"github.com/driftsdk/drift/internal/testkit"
)

// fileFaults are the rows about answers that Do writes into an io.Writer.
func fileFaults() faults.Cases {
	return faults.Cases{189: filesStream, 190: fileThatFallsSilent, 191: partOfAFile}
}

var file = drift.Request{Name: "files.get", Path: "attachments/{attachmentId}/data", Values: map[string]string{"attachmentId": testkit.MarkedPath}}

// sink counts what it is given, and looks at the heap while it does.
type sink struct {
	written, largest int
	heap             uint64
}

func (s *sink) Write(p []byte) (int, error) {
	if s.written>>28 != (s.written+len(p))>>28 { // every 256 MiB
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		s.heap = max(s.heap, stats.HeapAlloc)
	}
	s.written += len(p)
	s.largest = max(s.largest, len(p))
	return len(p), nil
}

func filesStream(t *testing.T) {
	for name, announced := range map[string]int64{"announced": gibibyte, "not announced": -1} {
		t.Run(name, func(t *testing.T) {
			client := throughFault(t, func(r *http.Request) (*http.Response, error) {
				resp := testkit.MemoryAnswer(r, http.StatusOK, "application/octet-stream", "")
				resp.Body, resp.ContentLength = &longBody{left: gibibyte, piece: 1 << 20}, announced
				return resp, nil
			})
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			out := new(sink)
			require.NoError(t, client.Do(t.Context(), file, out))
			runtime.ReadMemStats(&after)
			assert.Equal(t, gibibyte, out.written)
			assert.LessOrEqual(t, out.largest, 1<<20)
			assert.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "all that was allocated, not only what was held at once")
			assert.LessOrEqual(t, int64(out.heap)-int64(before.HeapAlloc), int64(1<<20))
		})
	}
	t.Run("over loopback, into a file", func(t *testing.T) {
		const size = 64 << 20
		client := serveFault(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = io.Copy(w, &longBody{left: size, piece: 1 << 16})
		})
		out, err := os.Create(filepath.Join(t.TempDir(), "file"))
		require.NoError(t, err)
		defer out.Close()
		var response drift.Response
		require.NoError(t, client.Do(t.Context(), file, out, drift.WithResponse(&response)))
		info, err := out.Stat()
		require.NoError(t, err)
		assert.EqualValues(t, size, info.Size())
		assert.Equal(t, http.StatusOK, response.StatusCode)
		assert.Empty(t, response.Body)
	})
	t.Run("limit", limitOfAFile)
	t.Run("a writer that fails", writerThatFails)
	t.Run("a break at the limit", breakAtTheLimit)
	t.Run("a writer that reads by itself", readerFroms)
}

func limitOfAFile(t *testing.T) {
	const size = 1000
	answered := func(announced int64) *faultClient {
		return throughFault(t, func(r *http.Request) (*http.Response, error) {
			resp := testkit.MemoryAnswer(r, http.StatusOK, "text/plain", strings.Repeat("x", size))
			resp.ContentLength = announced
			return resp, nil
		})
	}
	for _, announced := range []int64{-1, size} {
		client := answered(announced)
		var out bytes.Buffer
		require.NoError(t, client.Do(t.Context(), file, &out, drift.WithMaxResponseBytes(size)))
		assert.Equal(t, size, out.Len())
		out.Reset()
		err := client.saw(client.Do(t.Context(), file, &out, drift.WithMaxResponseBytes(size-1)))
		require.ErrorIs(t, err, drift.ErrTooLarge)
		assert.LessOrEqual(t, out.Len(), size-1)
		view := client.With(drift.WithMaxResponseBytes(size - 1))
		require.ErrorIs(t, view.Do(t.Context(), file, &out), drift.ErrTooLarge, "the limit of a view is the limit of its calls")
		var all []byte
		require.ErrorIs(t, client.Do(t.Context(), file, &all, drift.WithMaxResponseBytes(size-1)), drift.ErrTooLarge)
	}
}

// breakAtTheLimit: a partial file never passes for a success.
func breakAtTheLimit(t *testing.T) {
	const limit = 1000
	for name, test := range map[string]struct {
		length string
		sends  int
		want   error
	}{
		"announced as too large": {"Content-Length: 2000", limit, drift.ErrTooLarge},
		"chunks that break off":  {"Transfer-Encoding: chunked", limit, io.ErrUnexpectedEOF},
		"just as large":          {"Content-Length: 1000", limit, nil},
		"chunks that go on":      {"Transfer-Encoding: chunked", limit + 1, drift.ErrTooLarge},
	} {
		w := wireTCP(t)
		w.raw.Answer(func(c *raw.Conn) {
			text := strings.Repeat("x", test.sends)
			if strings.HasPrefix(test.length, "Transfer") {
				text = fmt.Sprintf("%x\r\n%s\r\n", test.sends, text)
			}
			c.Send("HTTP/1.1 200 OK\r\n" + test.length + "\r\n\r\n" + text)
			c.Close()
		})
		var out bytes.Buffer
		err := w.saw(w.Do(t.Context(), file, &out, drift.WithMaxResponseBytes(limit)))
		if test.want == nil {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, test.want, name)
		w.requireSent(1)
	}
	synctest.Test(t, func(t *testing.T) {
		client := throughFault(t, func(r *http.Request) (*http.Response, error) {
			resp := testkit.MemoryAnswer(r, http.StatusOK, "text/plain", "")
			resp.Body, resp.ContentLength = &timedBody{r.Context(), pauses(5, time.Second), nil}, -1
			return resp, nil
		})
		err := client.saw(client.Do(t.Context(), file, io.Discard, drift.WithMaxResponseBytes(5)))
		var transport *drift.TransportError
		require.ErrorAs(t, err, &transport, "silence at the limit")
		assert.EqualValues(t, 5, transport.Written)
	})
}

// readerFrom is a writer that reads by itself.
type readerFrom func(io.Reader) (int64, error)

func (readerFrom) Write(p []byte) (int, error)           { return len(p), nil }
func (f readerFrom) ReadFrom(r io.Reader) (int64, error) { return f(r) }

func readerFroms(t *testing.T) {
	for name, test := range map[string]struct {
		read readerFrom
		err  error // of the body
		want int64 // Written; -1: an error of the writer
	}{
		"stops early":   {func(r io.Reader) (int64, error) { n, err := r.Read(make([]byte, 1)); return int64(n), err }, io.EOF, -1},
		"keeps silence": {func(r io.Reader) (int64, error) { _, err := io.Copy(io.Discard, r); return 0, err }, errors.New("broken"), 3},
		"hides it":      {func(r io.Reader) (int64, error) { _, _ = io.Copy(io.Discard, r); return 0, nil }, errors.New("broken"), 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			client := throughFault(t, func(r *http.Request) (*http.Response, error) {
				requests++
				resp := testkit.MemoryAnswer(r, http.StatusOK, "text/plain", "")
				resp.Body, resp.ContentLength = &timedBody{r.Context(), pauses(3, time.Second), test.err}, -1
				return resp, nil
			})
			err := client.saw(client.Do(t.Context(), file, test.read))
			require.Error(t, err, name)
			assert.Equal(t, 1, requests, name)
			var transport *drift.TransportError
			if errors.As(err, &transport) {
				assert.Equal(t, test.want, transport.Written, name)
				return
			}
			require.ErrorIs(t, err, io.ErrShortWrite, name)
		})
	}
}

// fullDisk takes a number of bytes.
type fullDisk struct{ room int }

var errNoRoom = errors.New("no room")

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	if n < len(p) {
		return n, errNoRoom
	}
	return n, nil
}

func writerThatFails(t *testing.T) {
	for _, room := range []int{0, 10} {
		client := throughFault(t, testkit.AnswerBody(200, strings.Repeat("x", 1000)))
		err := client.saw(client.Do(t.Context(), file, &fullDisk{room}))
		require.ErrorIs(t, err, errNoRoom)
		client.requireSpent(1, 1)

		post := file
		post.Method = http.MethodPost
		err = client.saw(client.Do(t.Context(), post, &fullDisk{room}))
		require.ErrorIs(t, err, errNoRoom)
		require.ErrorIs(t, err, drift.ErrAmbiguous)
	}
}

// timedBody gives a byte after each pause, and then ends with err; nil: it falls silent.
type timedBody struct {
	ctx    context.Context
	pauses []time.Duration
	err    error
}

func (b *timedBody) Read(p []byte) (int, error) {
	var pause <-chan time.Time
	if len(b.pauses) > 0 {
		pause = time.After(b.pauses[0])
	} else if b.err != nil {
		return 0, b.err
	}
	select {
	case <-pause:
		b.pauses = b.pauses[1:]
		p[0] = 'x'
		return 1, nil
	case <-b.ctx.Done():
		return 0, context.Cause(b.ctx)
	}
}

func (*timedBody) Close() error { return nil }

func pauses(n int, each time.Duration) (all []time.Duration) {
	for range n {
		all = append(all, each)
	}
	return all
}

func fileThatFallsSilent(t *testing.T) {
	broken := errors.New(testkit.MarkedAnswer)
	for name, test := range map[string]struct {
		pauses   []time.Duration
		err      error
		requests int
		timeout  bool
		took     time.Duration
	}{
		"slow, for hours":       {pauses(300, 59*time.Second), io.EOF, 1, false, 300 * 59 * time.Second},
		"silent after a while":  {pauses(3, 50*time.Second), nil, 1, true, 3*50*time.Second + time.Minute},
		"too slow":              {pauses(3, 61*time.Second), io.EOF, 3, true, 3 * time.Minute},
		"silent from the start": {nil, nil, 3, true, 3 * time.Minute},
		"broken after a while":  {pauses(2, time.Second), broken, 1, false, 2 * time.Second},
		"broken at the start":   {nil, broken, 3, false, 0},
		"nothing":               {nil, io.EOF, 1, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				requests := 0
				client := throughFault(t, func(r *http.Request) (*http.Response, error) {
					requests++
					resp := testkit.MemoryAnswer(r, http.StatusOK, "text/plain", "")
					resp.Body, resp.ContentLength = &timedBody{r.Context(), test.pauses, test.err}, -1
					return resp, nil
				}, drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}))
				var out bytes.Buffer
				began := time.Now()
				err := client.saw(client.Do(t.Context(), file, &out))
				assert.InDelta(t, test.took, time.Since(began), float64(time.Microsecond))
				assert.Equal(t, test.requests, requests)
				if test.err == io.EOF && !test.timeout {
					require.NoError(t, err)
					assert.Equal(t, len(test.pauses), out.Len())
					return
				}
				var transport *drift.TransportError
				require.ErrorAs(t, err, &transport)
				assert.EqualValues(t, out.Len(), transport.Written)
				assert.Equal(t, test.timeout, transport.Timeout())
				assert.NotErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, out.Len() > 0, strings.Contains(err.Error(), fmt.Sprintf("after %d bytes were written", out.Len())))
			})
		})
	}
	t.Run("a slow writer", slowWriter)
	t.Run("the caller leaves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := throughFault(t, func(r *http.Request) (*http.Response, error) {
				resp := testkit.MemoryAnswer(r, http.StatusOK, "text/plain", "")
				resp.Body = &timedBody{r.Context(), pauses(3, time.Second), nil}
				return resp, nil
			})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			began := time.Now()
			err := client.saw(client.Do(ctx, file, io.Discard))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 10*time.Second, time.Since(began))
			var transport *drift.TransportError
			require.ErrorAs(t, err, &transport)
			assert.EqualValues(t, 3, transport.Written)
		})
	})
}

type pausingWriter struct{ pause time.Duration }

func (w pausingWriter) Write(p []byte) (int, error) {
	time.Sleep(w.pause)
	return len(p), nil
}

// slowWriter: the time that the caller's writer takes is the caller's.
func slowWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := throughFault(t, func(r *http.Request) (*http.Response, error) {
			resp := testkit.MemoryAnswer(r, http.StatusOK, "text/plain", "")
			resp.Body = &timedBody{r.Context(), pauses(3, 59*time.Second), io.EOF}
			return resp, nil
		})
		require.NoError(t, client.Do(t.Context(), file, pausingWriter{time.Hour}))
	})
}

// partOfAFile uses a server that knows ranges.
func partOfAFile(t *testing.T) {
	content := []byte("0123456789")
	var seen []http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Clone())
		http.ServeContent(w, r, "file.txt", time.Time{}, bytes.NewReader(content))
	}))
	defer server.Close()
	client := newFaultClient(t, server.URL)
	var response drift.Response
	var out bytes.Buffer
	require.NoError(t, client.Do(t.Context(), file, &out, drift.WithHeader("Range", "bytes=3-5"), drift.WithResponse(&response)))
	assert.Equal(t, "345", out.String())
	assert.Equal(t, http.StatusPartialContent, response.StatusCode)
	assert.Equal(t, "bytes 3-5/10", response.Header.Get("Content-Range"))

	var all []byte
	require.NoError(t, client.Do(t.Context(), file, &all))
	assert.Equal(t, content, all)
	var api *drift.APIError
	require.ErrorAs(t, client.saw(client.Do(t.Context(), file, &out, drift.WithHeader("Range", "bytes=30-"))), &api)
	assert.Equal(t, http.StatusRequestedRangeNotSatisfiable, api.StatusCode)

	require.NoError(t, client.Do(t.Context(), file, &out, drift.WithHeader("Accept", "image/png")))
	_ = client.saw(client.Do(t.Context(), file, nil))
	var target any
	_ = client.saw(client.Do(t.Context(), file, &target))
	var accepted []string
	for _, header := range seen {
		accepted = append(accepted, header.Get("Accept"))
	}
	assert.Equal(t, []string{"*/*", "*/*", "*/*", "image/png", "application/json", "application/json"}, accepted)
}
