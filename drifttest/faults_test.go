package drifttest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/drifttest"
)

func TestFaultsComeInOrder(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	w.Fail("tags.get", drifttest.Fault{Status: 503}, drifttest.Fault{}, drifttest.Fault{Status: 500})
	w.Fail("*", drifttest.Fault{Status: 502})
	w.Fail("tags.get", drifttest.Fault{Status: 504})

	var statuses []int
	for range 6 {
		statuses = append(statuses, w.send(http.MethodGet, "v2/tags/1", "").status)
	}
	assert.Equal(t, []int{503, 200, 500, 504, 502, 200}, statuses)
}

func TestFaultOfAnyMeetsUnknownPaths(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Fail("tags.get", drifttest.Fault{Status: 500})
	w.Fail("*", drifttest.Fault{Status: 502})
	assert.Equal(t, 502, w.send(http.MethodGet, "nope", "").status)
	assert.Equal(t, 404, w.send(http.MethodGet, "nope", "").status)
}

func TestFaultIsKeptForARequestThatIsLetIn(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	w.Fail("tags.get", drifttest.Fault{Status: 503})
	assert.Equal(t, 401, w.send(http.MethodGet, "v2/tags/1", "", header("Authorization")).status)
	assert.Equal(t, 503, w.send(http.MethodGet, "v2/tags/1", "").status)
}

func TestFaultAnswers(t *testing.T) {
	t.Parallel()
	w := start(t)
	for status, kind := range map[int]string{
		400: "validation_error", 401: "authentication_error", 403: "forbidden", 404: "not_found", 408: "request_error", 409: "conflict",
		422: "validation_error", 429: "rate_limit", 500: "internal_error", 503: "internal_error",
	} {
		w.Fail("tags.get", drifttest.Fault{Status: status})
		got, message := w.refused(status, http.MethodGet, "v2/tags/1", "")
		assert.Equal(t, kind, got)
		assert.Equal(t, http.StatusText(status), message)
	}

	w.Fail("tags.get", drifttest.Fault{
		Status: 502,
		Header: http.Header{"content-type": {"text/html"}, "Retry-After": {"7"}},
		Body:   "<html>",
	})
	res := w.send(http.MethodGet, "v2/tags/1", "")
	assert.Equal(t, "<html>", string(res.body))
	assert.Equal(t, "text/html", res.header.Get("Content-Type"))
	assert.Equal(t, "7", res.header.Get("Retry-After"))

	w.Fail("tags.get", drifttest.Fault{Status: 204})
	assert.Equal(t, 204, w.send(http.MethodGet, "v2/tags/1", "").status)
}

// What a client sees of each fault, and whether the tag was made all the same.
func TestFaultStages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		fault   drifttest.Fault
		err     error // io.EOF: not one byte
		status  int   // as recorded
		applied bool
	}{
		{"none", drifttest.Fault{}, nil, 200, true},
		{"before the answer", drifttest.Fault{Drop: drifttest.DropBeforeAnswer}, io.EOF, 0, false},
		{"after handling", drifttest.Fault{Drop: drifttest.DropAfterHandling}, io.EOF, 0, true},
		{"in the headers", drifttest.Fault{Drop: drifttest.DropInHeaders}, io.ErrUnexpectedEOF, 0, true},
		{"in the body", drifttest.Fault{Drop: drifttest.DropInBody}, io.ErrUnexpectedEOF, 200, true},
		{"status", drifttest.Fault{Status: 500}, nil, 500, false},
		{"status, applied", drifttest.Fault{Status: 500, Applied: true}, nil, 500, true},
		{"status, in the body", drifttest.Fault{Status: 500, Drop: drifttest.DropInBody}, io.ErrUnexpectedEOF, 500, false},
		{"status, after handling", drifttest.Fault{Status: 500, Drop: drifttest.DropAfterHandling}, io.EOF, 0, true},
		{"no body to break off in", drifttest.Fault{Status: 204, Drop: drifttest.DropInBody}, io.ErrUnexpectedEOF, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			w.Fail("tags.create", test.fault)
			res := w.send(http.MethodPost, "v2/tags", `{"name":"a tag with a name"}`)
			assert.ErrorIs(t, res.err, test.err)
			if test.err == nil {
				assert.Equal(t, test.status, res.status)
			}
			assert.Equal(t, test.status, w.Requests()[0].Status)

			made := w.send(http.MethodGet, "v2/tags/1", "").status == http.StatusOK
			assert.Equal(t, test.applied, made)
		})
	}
}

func TestDropInBodySendsHalf(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Fail("tags.get", drifttest.Fault{Status: 200, Body: "0123456789", Drop: drifttest.DropInBody})
	res := w.send(http.MethodGet, "v2/tags/1", "")
	assert.Equal(t, "10", res.header.Get("Content-Length"))
	assert.Equal(t, "01234", string(res.body))
}

func TestTruncateAndPad(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	w.Fail("tags.get",
		drifttest.Fault{Truncate: 9},
		drifttest.Fault{Truncate: 1 << 20},
		drifttest.Fault{Pad: 1 << 20},
		drifttest.Fault{Pad: 5, Truncate: 9},
	)
	cut := w.send(http.MethodGet, "v2/tags/1", "")
	require.NoError(t, cut.err)
	assert.Equal(t, "9", cut.header.Get("Content-Length"))
	assert.Equal(t, `{"data":{`, string(cut.body))

	whole := w.send(http.MethodGet, "v2/tags/1", "")
	padded := w.send(http.MethodGet, "v2/tags/1", "")
	assert.Len(t, padded.body, len(whole.body)+1<<20)
	assert.True(t, json.Valid(padded.body))
	assert.Empty(t, padded.header.Get("Content-Length"))
	assert.Equal(t, `{"data":{     `, string(w.send(http.MethodGet, "v2/tags/1", "").body))
}

func TestDelayEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Fail("tags.create", drifttest.Fault{Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		waitFor(func() bool { return w.Count("tags.create") == 1 })
	}()
	res := w.send(http.MethodPost, "v2/tags", `{"name":"n"}`, withContext(ctx))
	assert.ErrorIs(t, res.err, context.Canceled)
	assert.Zero(t, w.Requests()[0].Status)
}

func TestDelayEndsWithTheServer(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Fail("tags.create", drifttest.Fault{Delay: time.Hour})
	go func() {
		waitFor(func() bool { return w.Count("tags.create") == 1 })
		w.Close()
	}()
	assert.Error(t, w.send(http.MethodPost, "v2/tags", `{"name":"n"}`).err)
	w.Close()
}

func TestDelayIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	w.Fail("tags.get", drifttest.Fault{Delay: 20 * time.Millisecond})
	begin := time.Now()
	assert.Equal(t, 200, w.send(http.MethodGet, "v2/tags/1", "").status)
	assert.GreaterOrEqual(t, time.Since(begin), 20*time.Millisecond)
}

// waitFor polls: nothing tells a test that a request has arrived.
func waitFor(done func() bool) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !done() {
		<-ticker.C
	}
}

func TestFailRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	srv := drifttest.NewServer()
	defer srv.Close()
	assert.Panics(t, func() { srv.Fail("conversation.get", drifttest.Fault{}) })
	for _, fault := range []drifttest.Fault{{Status: 99}, {Status: 1000}, {Drop: -1}, {Drop: 5}, {Delay: -1}, {Truncate: -1}, {Pad: -1}} {
		assert.Panics(t, func() { srv.Fail("*", fault) }, "%+v", fault)
	}
}
