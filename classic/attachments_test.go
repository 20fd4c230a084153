package classic_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

var attachmentCalls = map[string]goldenCall{
	"attachments.download": func(ctx context.Context, c *classic.Client) (any, error) {
		var file bytes.Buffer
		err := c.Attachments.Download(ctx, 9, &file)
		return file.String(), err
	},
}

// fileServer serves a file and breaks off the first answers after some bytes. It keeps the headers of the requests.
type fileServer struct {
	file     []byte
	cuts     []int // how many bytes each of the first answers has
	validate func(w http.ResponseWriter, request int)
	ranges   bool

	mu       sync.Mutex
	requests []http.Header
}

func (f *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	n := len(f.requests)
	f.requests = append(f.requests, r.Header.Clone())
	f.mu.Unlock()
	f.validate(w, n)
	from := 0
	if asked, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && f.ranges {
		from, _ = strconv.Atoi(strings.TrimSuffix(asked, "-"))
	}
	rest := f.file[from:]
	w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(f.file)-1, len(f.file)))
		w.WriteHeader(http.StatusPartialContent)
	}
	if n < len(f.cuts) {
		_, _ = w.Write(rest[:f.cuts[n]])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(rest)
}

func (f *fileServer) client(t *testing.T, opts ...drift.Option) *classic.Client {
	server := httptest.NewServer(f)
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	return classic.New(testkit.NewClient(t, server.URL, append(opts, testkit.Impatient())...))
}

func tagged(w http.ResponseWriter, _ int) { w.Header().Set("ETag", `"v1"`) }

func TestDownloadResumes(t *testing.T) {
	for name, validate := range map[string]func(http.ResponseWriter, int){
		`"v1"`: tagged,
		"Sat, 01 Jan 2000 00:00:00 GMT": func(w http.ResponseWriter, _ int) {
			w.Header().Set("ETag", `W/"v1"`)
			w.Header().Set("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT")
		},
	} {
		server := &fileServer{file: []byte("0123456789"), cuts: []int{4, 3}, validate: validate, ranges: true}
		var file bytes.Buffer
		var response drift.Response
		require.NoError(t, server.client(t).Attachments.Download(t.Context(), 9, &file, drift.WithResponse(&response)))
		assert.Equal(t, "0123456789", file.String())
		assert.Len(t, response.Attempts, 3)
		require.Len(t, server.requests, 3)
		assert.Empty(t, server.requests[0].Get("Range"))
		assert.Equal(t, "bytes=4-", server.requests[1].Get("Range"))
		assert.Equal(t, "bytes=7-", server.requests[2].Get("Range"))
		assert.Equal(t, name, server.requests[2].Get("If-Range"))
		assert.Equal(t, "*/*", server.requests[0].Get("Accept"))
	}
}

// Nothing is written twice: where the rest cannot be had for sure, the download fails and says how much there is.
func TestDownloadDoesNotResume(t *testing.T) {
	none := func(http.ResponseWriter, int) {}
	for name, test := range map[string]struct {
		validate func(http.ResponseWriter, int)
		ranges   bool
		requests int
	}{
		"no version":       {none, true, 1},
		"a weak version":   {func(w http.ResponseWriter, _ int) { w.Header().Set("ETag", `W/"v1"`) }, true, 1},
		"no ranges":        {func(w http.ResponseWriter, n int) { tagged(w, n); w.Header().Set("Accept-Ranges", "none") }, true, 1},
		"ranges ignored":   {tagged, false, 2},
		"another version":  {func(w http.ResponseWriter, n int) { w.Header().Set("ETag", strconv.Quote(strconv.Itoa(n))) }, true, 2},
		"it has gone away": {func(w http.ResponseWriter, n int) { tagged(w, n); gone(w, n) }, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			server := &fileServer{file: []byte("0123456789"), cuts: []int{4}, validate: test.validate, ranges: test.ranges}
			var file bytes.Buffer
			err := server.client(t).Attachments.Download(t.Context(), 9, &file)
			var transport *drift.TransportError
			require.ErrorAs(t, err, &transport)
			assert.EqualValues(t, 4, transport.Written)
			assert.Equal(t, "0123", file.String())
			assert.Len(t, server.requests, test.requests)
			assert.Contains(t, err.Error(), "4 bytes were written")
			assert.Equal(t, strings.Contains(name, "gone"), errors.Is(err, drift.ErrNotFound))
		})
	}
}

func gone(w http.ResponseWriter, request int) {
	if request > 0 {
		w.WriteHeader(http.StatusNotFound)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestDownloadWithoutRetryDoesNotResume(t *testing.T) {
	server := &fileServer{file: []byte("0123456789"), cuts: []int{4}, validate: tagged, ranges: true}
	err := server.client(t).Attachments.Download(t.Context(), 9, io.Discard, drift.WithoutRetry())
	require.ErrorAs(t, err, new(*drift.TransportError))
	assert.Len(t, server.requests, 1)
}

// Only the end of the answer was lost.
func TestDownloadWasComplete(t *testing.T) {
	requests := 0
	client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		if requests++; requests > 1 {
			w.Header().Set("Content-Range", "bytes */4")
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		_, _ = io.WriteString(w, "0123")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}, testkit.Impatient()))
	var file bytes.Buffer
	require.NoError(t, client.Attachments.Download(t.Context(), 9, &file))
	assert.Equal(t, "0123", file.String())
}

func TestDownloadLimit(t *testing.T) {
	server := &fileServer{file: []byte("0123456789"), cuts: []int{4}, validate: tagged, ranges: true}
	var file bytes.Buffer
	err := server.client(t).Attachments.Download(t.Context(), 9, &file, drift.WithMaxResponseBytes(9))
	require.ErrorIs(t, err, drift.ErrTooLarge)
	assert.LessOrEqual(t, file.Len(), 9)
}

type failingWriter struct{}

var errFull = errors.New("the disk is full")

func (failingWriter) Write(p []byte) (int, error) { return 2, errFull }

func TestDownloadIntoAWriterThatFails(t *testing.T) {
	server := &fileServer{file: []byte("0123456789"), validate: tagged, ranges: true}
	client := server.client(t)
	require.ErrorIs(t, client.Attachments.Download(t.Context(), 9, failingWriter{}), errFull)
	assert.Len(t, server.requests, 1)
	requireInvalid(t, client.Attachments.Download(t.Context(), 9, nil), "w")
	requireInvalid(t, client.Attachments.Download(t.Context(), 0, io.Discard), "attachmentId")
}

// A file of any size passes through little memory.
func TestDownloadNeedsLittleMemory(t *testing.T) {
	const size = 64 << 20
	client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		part := make([]byte, 1<<16)
		for range size / len(part) {
			_, _ = w.Write(part)
		}
	}))
	var before, after runtime.MemStats
	count := new(countingWriter)
	require.NoError(t, client.Attachments.Download(t.Context(), 9, count)) // connections and buffers are there now
	runtime.ReadMemStats(&before)
	require.NoError(t, client.Attachments.Download(t.Context(), 9, count))
	runtime.ReadMemStats(&after)
	assert.EqualValues(t, 2*size, *count)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

type countingWriter int64

func (w *countingWriter) Write(p []byte) (int, error) {
	*w += countingWriter(len(p))
	return len(p), nil
}
