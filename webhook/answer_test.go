package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/webhook"
)

// warnings keeps the records above debug level.
type warnings struct {
	mu      sync.Mutex
	records []slog.Record
}

func (w *warnings) Enabled(context.Context, slog.Level) bool { return true }
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *warnings) WithGroup(string) slog.Handler            { return w }

func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Level >= slog.LevelWarn {
		w.records = append(w.records, r)
	}
	return nil
}

func (w *warnings) option() webhook.Option { return webhook.WithLogger(slog.New(w)) }

// refused returns the count of each warning of strangers.
func (w *warnings) refused() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var counts []int64
	for _, r := range w.records {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "refused" {
				counts = append(counts, a.Value.Int64())
			}
			return true
		})
	}
	return counts
}

// broken returns a request with a body that breaks off.
func broken(r *http.Request, body string) *http.Request {
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(body), failingReader{})), -1
	return r
}

func endlessRequest(r *http.Request, body string) *http.Request {
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(body), &endless{})), -1
	return r
}

func TestDeliveryRefused(t *testing.T) {
	inBody := `{"token":"` + testToken + `","type":"new_message",`
	noHeader := []string{"X-Verification-Token", ""}
	put := func(r *http.Request) *http.Request {
		r.Method = http.MethodPut
		return r
	}
	long := strings.Repeat(" ", webhook.DefaultMaxBodyBytes)
	for name, test := range map[string]struct {
		known, stranger *http.Request
		status          int
		strangerStatus  int // the same if 0
	}{
		"method":             {known: put(request(timed)), stranger: put(request(timed, noHeader...)), status: 405},
		"announced length":   {known: request(long + timed), stranger: request(long+timed, noHeader...), status: 413},
		"length":             {known: endlessRequest(request(""), ""), stranger: endlessRequest(request("", noHeader...), ""), status: 413},
		"length, token seen": {known: endlessRequest(request("", noHeader...), inBody), status: 413},
		"media type":         {known: request(timed, "Content-Type", "text/html"), stranger: request(timed, append(noHeader, "Content-Type", "text/html")...), status: 415},
		"compressed":         {known: request(timed, "Content-Encoding", "gzip"), status: 415},
		"broken off":         {known: broken(request(""), timed), stranger: broken(request("", noHeader...), timed), status: 400},
		"broken off, token":  {known: broken(request("", noHeader...), inBody), status: 400},
		"not JSON":           {known: request(`hello`), stranger: request(`hello`, noHeader...), status: 400, strangerStatus: 401},
		"cut short, token":   {known: request(inBody+`"data":{`, noHeader...), status: 400},
		"no type":            {known: request(`{"data":{}}`), status: 400},
		"twice":              {known: request(`{"type":"a","data":{"b":1,"B":2}}`), status: 400},
		"twice, token after": {known: request(`{"type":"a","x":1,"x":1,"token":"`+testToken+`"}`, noHeader...), status: 400},
		"not UTF-8":          {known: request("{\"type\":\"a\",\"x\":\"\xff\",\"token\":\""+testToken+"\"}", noHeader...), status: 400},
		"another token":      {known: request(withToken(quoted(otherToken))), stranger: request(withToken(quoted(otherToken)), noHeader...), status: 401},
		"no token":           {stranger: request(timed, noHeader...), strangerStatus: 401},
		"wrong header":       {stranger: request(withToken(quoted(testToken)), "X-Verification-Token", otherToken), strangerStatus: 401},
	} {
		t.Run("w2_"+name, func(t *testing.T) {
			var f failures
			var w warnings
			h := newHandler(t, f.option(), w.option())
			if test.known != nil {
				assert.Equal(t, test.status, send(h, test.known).StatusCode)
				require.Len(t, f.all(), 1)
				requireRefused(t, f.errs[0], test.status)
				assert.IsType(t, &webhook.UnknownEvent{}, f.events[0])
				require.Error(t, f.events[0].(*webhook.UnknownEvent).Err)
				require.Len(t, w.records, 1, "and logged above debug level")
				assert.Empty(t, w.refused())
				requireNoToken(t, f.events[0], f.errs[0])
			}
			if test.stranger != nil {
				h := newHandler(t, f.option(), w.option())
				before := len(f.all())
				want := max(test.strangerStatus, 0)
				if want == 0 {
					want = test.status
				}
				assert.Equal(t, want, send(h, test.stranger).StatusCode)
				assert.Len(t, f.all(), before)
				if want != 405 { // which is not a delivery
					assert.Equal(t, []int64{1}, w.refused())
				}
			}
		})
	}
}

// requireNoToken fails if an event or an error shows a token in any form.
func requireNoToken(t *testing.T, e webhook.Event, err error) {
	t.Helper()
	raw := string(e.(*webhook.UnknownEvent).Raw)
	text, jsonErr := json.Marshal(e)
	require.NoError(t, jsonErr)
	for _, shown := range []string{raw, string(text), err.Error()} {
		require.NotContains(t, shown, "mark-")
	}
}

// A refused delivery can be put away, without its tokens.
func TestDeliveryRefusedKeepsTheBody(t *testing.T) {
	for body, want := range map[string]string{
		`{"type":"new_message","orgId":7,"x":1,"X":2}`:                     `{"type":"new_message","orgId":7,"x":1,"X":2}`,
		`{"token":"TOKEN","type":"new_message","orgId":7,"token":"TOKEN"}`: `{"type":"new_message","orgId":7}`,
		`{"type":"new_message","orgId":7,"Token":"TOKEN","token":"x"}`:     `{"type":"new_message","orgId":7}`,
		`{"type":"new_message","orgId":7,"token":"TOKEN"`:                  ``,
	} {
		var f failures
		h := newHandler(t, f.option())
		assert.Equal(t, 400, status(h, strings.ReplaceAll(body, "TOKEN", testToken)))
		require.Len(t, f.all(), 1)
		e := f.events[0].(*webhook.UnknownEvent)
		assert.Equal(t, webhook.EventTypeNewMessage, e.Type)
		assert.Equal(t, drift.OrgID(7), e.OrgID)
		assert.Equal(t, want, string(e.Raw))
		require.ErrorAs(t, f.errs[0], new(*drift.DecodeError))
	}
}

func TestStrangersAreCounted(t *testing.T) {
	t.Run("w2_a_warning_a_minute", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var f failures
			var w warnings
			h := newHandler(t, f.option(), w.option())
			refuse := func(n int) {
				for range n {
					require.Equal(t, 401, send(h, request(timed, "X-Verification-Token", otherToken)).StatusCode)
				}
			}
			refuse(100)
			assert.Equal(t, []int64{1}, w.refused(), "at once")
			time.Sleep(time.Minute - 1)
			refuse(10)
			assert.Equal(t, []int64{1}, w.refused())
			time.Sleep(time.Nanosecond)
			require.Equal(t, 200, status(h, timed))
			assert.Equal(t, []int64{1, 109}, w.refused(), "with the next request, whatever it is")
			time.Sleep(time.Hour)
			require.Equal(t, 200, status(h, timeless))
			assert.Equal(t, []int64{1, 109}, w.refused(), "there is nothing new")
			refuse(2)
			assert.Equal(t, []int64{1, 109, 1}, w.refused())
			assert.Empty(t, f.all())
		})
	})
}

// Two equal deliveries without a time may be two events, so the sender's second one is not dropped in silence.
func TestDeliveryInFlight(t *testing.T) {
	for delivery, want := range map[string]int{timed: 0, timeless: 1} {
		var f failures
		h := newHandler(t, f.option())
		count(h, func(n int64) error {
			if n == 1 {
				assert.Equal(t, 409, status(h, delivery))
			}
			return nil
		})
		assert.Equal(t, 200, status(h, delivery))
		require.Len(t, f.all(), want)
		for _, err := range f.all() {
			requireRefused(t, err, 409)
			require.ErrorIs(t, err, webhook.ErrInFlight)
		}
	}
}

func TestRefusedError(t *testing.T) {
	err := &webhook.RefusedError{StatusCode: 503, Err: webhook.ErrShutdown}
	assert.Equal(t, "webhook: refused with 503: shut down before the delivery was handled", err.Error())
	assert.Equal(t, "webhook: refused with 413", (&webhook.RefusedError{StatusCode: 413}).Error())
	require.NoError(t, errors.Unwrap(&webhook.RefusedError{}))
}
