package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/driftsdk/drift/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testToken  = "mark-verification-token"
	otherToken = "mark-other-verification-token"
)

// newHandler returns a handler that knows testToken.
func newHandler(t testing.TB, opts ...webhook.Option) *webhook.Handler {
	t.Helper()
	h, err := webhook.NewHandler([]string{testToken}, opts...)
	require.NoError(t, err)
	return h
}

// request returns a delivery with testToken in its header. Further pairs are headers; an empty value removes one.
func request(body string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/drift", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Verification-Token", testToken)
	for i := 0; i < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	return r
}

// send returns the answer to a request, made in memory.
func send(h http.Handler, r *http.Request) *http.Response {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder.Result()
}

// status returns the status of the answer to a delivery with testToken in its header.
func status(h http.Handler, body string) int { return send(h, request(body)).StatusCode }

func text(t testing.TB, r io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(data)
}

// count registers a function that counts the events and returns what next says, if anything.
func count(h *webhook.Handler, next func(n int64) error) *atomic.Int64 {
	var n atomic.Int64
	webhook.On(h, func(context.Context, webhook.Event) error {
		m := n.Add(1)
		if next == nil {
			return nil
		}
		return next(m)
	})
	return &n
}

// failures collects what WithOnError is told.
type failures struct {
	mu     sync.Mutex
	events []webhook.Event
	errs   []error
}

func (f *failures) option() webhook.Option {
	return webhook.WithOnError(func(_ context.Context, e webhook.Event, err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = append(f.events, e)
		f.errs = append(f.errs, err)
	})
}

func (f *failures) all() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.errs)
}

// requireRefused fails unless an error says that a delivery was refused with a status.
func requireRefused(t testing.TB, err error, status int) {
	t.Helper()
	var refused *webhook.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, status, refused.StatusCode)
}

// numbered is a delivery of its own for every n, with a time.
func numbered(n int) string {
	return fmt.Sprintf(`{"type":"conversation_inactive","orgId":123,"data":{"conversationId":%d,"lastUpdated":1767225600123}}`, n)
}

// Deliveries with a time, which are remembered, and without one, which are not.
const (
	timed    = `{"type":"conversation_inactive","orgId":123,"data":{"conversationId":42,"lastUpdated":1767225600123}}`
	timeless = `{"type":"conversation_manual_push","orgId":123,"data":{"conversationId":42}}`
)
