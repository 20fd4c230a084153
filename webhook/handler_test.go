package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/webhook"
)

func TestNewHandlerRefuses(t *testing.T) {
	onError := webhook.WithOnError(func(context.Context, webhook.Event, error) {})
	for name, test := range map[string]struct {
		argument string
		tokens   []string
		opts     []webhook.Option
	}{
		"no tokens":              {argument: "tokens"},
		"an empty list":          {argument: "tokens", tokens: []string{}},
		"an empty token":         {argument: "tokens", tokens: []string{""}},
		"an empty second token":  {argument: "tokens", tokens: []string{testToken, ""}},
		"an empty token, still":  {argument: "tokens", tokens: []string{""}, opts: []webhook.Option{webhook.WithShortTokens()}},
		"a short token":          {argument: "tokens", tokens: []string{"mark-56789abcde"}},
		"a line break":           {argument: "tokens", tokens: []string{testToken + "\n"}},
		"space":                  {argument: "tokens", tokens: []string{" " + testToken}},
		"a control character":    {argument: "tokens", tokens: []string{testToken + "\x00" + testToken}},
		"nil option":             {argument: "option", opts: []webhook.Option{nil}},
		"nil store":              {argument: "WithDedup", opts: []webhook.Option{webhook.WithDedup(nil)}},
		"nil function":           {argument: "WithOnError", opts: []webhook.Option{webhook.WithOnError(nil)}},
		"no body":                {argument: "WithMaxBodyBytes", opts: []webhook.Option{webhook.WithMaxBodyBytes(0)}},
		"no time to read":        {argument: "WithReadTimeout", opts: []webhook.Option{webhook.WithReadTimeout(0)}},
		"no lease":               {argument: "WithLease", opts: []webhook.Option{webhook.WithLease(-1)}},
		"a negative window":      {argument: "WithDuplicateWindow", opts: []webhook.Option{webhook.WithDuplicateWindow(-1)}},
		"an empty queue":         {argument: "WithQueue", opts: []webhook.Option{webhook.WithQueue(0), onError}},
		"a queue without errors": {argument: "WithQueue", opts: []webhook.Option{webhook.WithQueue(1)}},
		"no workers":             {argument: "WithWorkers", opts: []webhook.Option{webhook.WithQueue(1), onError, webhook.WithWorkers(0)}},
		"workers for no queue":   {argument: "WithWorkers", opts: []webhook.Option{webhook.WithWorkers(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			tokens := test.tokens
			if test.argument != "tokens" {
				tokens = []string{testToken}
			}
			h, err := webhook.NewHandler(tokens, test.opts...)
			assert.Nil(t, h)
			var invalid *drift.ValidationError
			require.ErrorAs(t, err, &invalid)
			require.ErrorIs(t, err, drift.ErrInvalid)
			assert.Equal(t, "webhook.NewHandler", invalid.Operation)
			assert.Equal(t, test.argument, invalid.Argument)
			assert.NotContains(t, err.Error(), "mark-")
		})
	}
}

func TestShortTokens(t *testing.T) {
	h, err := webhook.NewHandler([]string{"short"}, webhook.WithShortTokens())
	require.NoError(t, err)
	assert.Equal(t, 200, send(h, request(timed, "X-Verification-Token", "short")).StatusCode)
	_, err = webhook.NewHandler([]string{strings.Repeat("x", webhook.MinTokenLength)})
	require.NoError(t, err)
}

func TestSeveralTokens(t *testing.T) {
	h, err := webhook.NewHandler([]string{testToken, otherToken})
	require.NoError(t, err)
	inBody := func(token string) string { return `{"type":"something_new","token":"` + token + `"}` }
	for _, token := range []string{testToken, otherToken} {
		assert.Equal(t, 200, send(h, request(timeless, "X-Verification-Token", token)).StatusCode)
		assert.Equal(t, 200, send(h, request(inBody(token), "X-Verification-Token", "")).StatusCode)
		assert.Equal(t, 200, send(h, request(inBody(token), "X-Verification-Token", token)).StatusCode)
	}
	assert.Equal(t, 401, send(h, request(inBody(otherToken), "X-Verification-Token", testToken)).StatusCode, "both are right, but a sender has only one")
	assert.Equal(t, 401, send(h, request(timeless, "X-Verification-Token", testToken+otherToken)).StatusCode)
}

func TestMediaTypes(t *testing.T) {
	h := newHandler(t)
	for contentType, want := range map[string]int{
		"":                                     200, // Drift does not say what it sends
		"application/json":                     200,
		"Application/JSON; charset=UTF-8":      200,
		"application/json;charset=utf-8":       200,
		"application/vnd.drift+json":           200,
		"application/json; charset=iso-8859-1": 415,
		"text/plain":                           415,
		"text/xml":                             415,
		"application/x-www-form-urlencoded":    415,
		"multipart/form-data; boundary=x":      415,
		"application/jsonp":                    415,
		"application/json; charset":            415,
		";":                                    415,
	} {
		assert.Equal(t, want, send(h, request(timed, "Content-Type", contentType)).StatusCode, contentType)
	}
	for encoding, want := range map[string]int{"identity": 200, "Identity": 200, "gzip": 415, "deflate": 415, "br": 415, "gzip, identity": 415} {
		assert.Equal(t, want, send(h, request(timed, "Content-Encoding", encoding)).StatusCode, encoding)
	}
}

// What is looked at first decides: a sender without the token learns nothing of what comes behind it.
func TestOrderOfChecks(t *testing.T) {
	h := newHandler(t, webhook.WithMaxBodyBytes(100))
	long := strings.Repeat(" ", 101)
	for name, test := range map[string]struct {
		request *http.Request
		want    int
	}{
		"the method before the length":       {httptest.NewRequest(http.MethodPut, "/", strings.NewReader(long)), 405},
		"the length before the token":        {request(long, "X-Verification-Token", otherToken), 413},
		"the token before the media type":    {request(`[]`, "X-Verification-Token", otherToken, "Content-Type", "text/plain"), 401},
		"the media type before the body":     {request(`[]`, "Content-Type", "text/plain"), 415},
		"the token in the body before JSON":  {request(`{"type":"a","data":{"b":1,"b":2}}`, "X-Verification-Token", ""), 401},
		"JSON after the token in the body":   {request(`{"token":"`+testToken+`","type":"a","data":{"b":1,"b":2}}`, "X-Verification-Token", ""), 400},
		"JSON after a token that is behind":  {request(`{"type":"a","data":{"b":1,"b":2},"token":"`+testToken+`"}`, "X-Verification-Token", ""), 400},
		"broken before the token":            {request(`{"type":"a","data":{"b":tru},"token":"`+testToken+`"}`, "X-Verification-Token", ""), 401},
		"JSON after the token in the header": {request(`{"type":"a","data":{"b":1,"b":2}}`), 400},
		"a wrong token in a broken body":     {request(`{"token":"` + otherToken + `",`), 401},
	} {
		assert.Equal(t, test.want, send(h, test.request).StatusCode, name)
	}
	unread := request("")
	unread.Body = io.NopCloser(neverRead{t})
	unread.Header.Set("X-Verification-Token", otherToken)
	unread.ContentLength = 1
	assert.Equal(t, 401, send(h, unread).StatusCode, "and the body is not read")
}

type neverRead struct{ t *testing.T }

func (n neverRead) Read([]byte) (int, error) {
	n.t.Error("the body was read")
	return 0, io.EOF
}

func TestBrokenDeliveries(t *testing.T) {
	for name, delivery := range brokenDeliveries {
		h := newHandler(t)
		n := count(h, nil)
		assert.Equal(t, 400, status(h, delivery), name)
		assert.Equal(t, 401, send(h, request(delivery, "X-Verification-Token", "")).StatusCode, name)
		assert.Zero(t, n.Load(), name)
	}
}

func TestBodyThatBreaksOff(t *testing.T) {
	h := newHandler(t)
	n := count(h, nil)
	r := request("")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(timed), failingReader{}))
	assert.Equal(t, 400, send(h, r).StatusCode)
	assert.Zero(t, n.Load())
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestOn(t *testing.T) {
	var f failures
	h := newHandler(t, f.option())
	var got []string
	on := func(name string, err error) func(context.Context, *webhook.ConversationManualPush) error {
		return func(_ context.Context, e *webhook.ConversationManualPush) error {
			got = append(got, fmt.Sprint(name, " ", e.Data.ConversationID))
			return err
		}
	}
	assert.Equal(t, 200, status(h, timeless), "nobody wants it")
	webhook.On(h, on("first", nil))
	webhook.On(h, func(_ context.Context, e *webhook.ConversationInactive) error {
		got = append(got, "inactive")
		return nil
	})
	webhook.On(h, on("second", nil))
	webhook.On(h, func(_ context.Context, e webhook.Event) error {
		got = append(got, "any "+string(e.EventType()))
		return nil
	})
	assert.Equal(t, 200, status(h, timeless))
	assert.Equal(t, []string{"first 42", "second 42", "any conversation_manual_push"}, got)

	got = nil
	assert.Equal(t, 200, status(h, `{"type":"something_new"}`))
	assert.Equal(t, []string{"any something_new"}, got)

	got = nil
	failure := errors.New("no")
	webhook.On(h, on("third", failure))
	webhook.On(h, on("fourth", nil))
	assert.Equal(t, 500, status(h, timeless))
	assert.Equal(t, []string{"first 42", "second 42", "any conversation_manual_push", "third 42"}, got)
	assert.Equal(t, []error{failure}, f.all())
	assert.IsType(t, &webhook.ConversationManualPush{}, f.events[0])
}

func TestOnWhileServing(t *testing.T) {
	h := newHandler(t)
	late := 0
	webhook.On(h, func(context.Context, *webhook.ConversationManualPush) error {
		webhook.On(h, func(context.Context, *webhook.ConversationManualPush) error {
			late++
			return nil
		})
		return nil
	})
	assert.Equal(t, 200, status(h, timeless))
	assert.Zero(t, late, "it takes part from the next delivery on")
	assert.Equal(t, 200, status(h, timeless))
	assert.Equal(t, 1, late)
}

type contextKey struct{}

func TestContextOfHandler(t *testing.T) {
	h := newHandler(t)
	var got context.Context
	webhook.On(h, func(ctx context.Context, _ webhook.Event) error {
		got = ctx
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "value"))
	assert.Equal(t, 200, send(h, request(timeless).WithContext(ctx)).StatusCode)
	assert.Equal(t, "value", got.Value(contextKey{}))
	cancel()
	assert.Equal(t, 500, send(h, request(timeless).WithContext(ctx)).StatusCode, "it is the request's")
}

// A hook for errors works on when the sender has gone, which may be why the handler failed.
func TestContextOfOnError(t *testing.T) {
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "value"))
	called := false
	h := newHandler(t, webhook.WithOnError(func(ctx context.Context, _ webhook.Event, _ error) {
		called = true
		assert.NoError(t, ctx.Err())
		assert.Equal(t, "value", ctx.Value(contextKey{}))
		panic("recovered")
	}))
	webhook.On(h, func(ctx context.Context, _ webhook.Event) error {
		cancel()
		return ctx.Err()
	})
	assert.Equal(t, 500, send(h, request(timed).WithContext(ctx)).StatusCode)
	assert.True(t, called)
	assert.Equal(t, 200, status(h, timed), "not 409: the claim was given up")
}

func TestMisfitWithoutHandlerIsReported(t *testing.T) {
	const misfit = `{"type":"new_message","orgId":123,"data":["acme"]}`
	var f failures
	h := newHandler(t, f.option())
	webhook.On(h, func(context.Context, *webhook.NewMessage) error { return errors.New("not called") })
	assert.Equal(t, 200, status(h, misfit))
	require.Len(t, f.all(), 1)
	require.ErrorAs(t, f.errs[0], new(*drift.DecodeError))

	assert.Equal(t, 200, status(h, `{"type":"something_new"}`))
	require.Len(t, f.all(), 1, "a type that nobody knows is no failure")

	var answer error
	webhook.On(h, func(context.Context, *webhook.UnknownEvent) error { return answer })
	assert.Equal(t, 200, status(h, misfit))
	require.Len(t, f.all(), 1, "it is up to the handler now")
	answer = errors.New("no")
	assert.Equal(t, 500, status(h, misfit))
	require.Len(t, f.all(), 2)
}

// Where nobody would be told, the sender is: it may try again when the program knows the new shape.
func TestMisfitThatNobodySees(t *testing.T) {
	const misfit = `{"type":"new_message","orgId":123,"data":["mark-secret"]}`
	var log bytes.Buffer
	h := newHandler(t, webhook.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	webhook.On(h, func(context.Context, *webhook.NewMessage) error { return errors.New("not called") })
	for range 2 {
		assert.Equal(t, 500, status(h, misfit))
	}
	assert.Contains(t, log.String(), `status=500 event=new_message reason="the data do not fit, and no function handles that"`)
	assert.NotContains(t, log.String(), "mark-")
	assert.Equal(t, 200, status(h, `{"type":"something_new"}`), "there is nothing that would not fit")
	assert.Equal(t, 200, status(h, `{"type":"new_conversation","data":"x"}`), "no function misses it")

	var answer error
	webhook.On(h, func(context.Context, *webhook.UnknownEvent) error { return answer })
	assert.Equal(t, 200, status(h, misfit))
	log.Reset()
	answer = errors.New("no")
	assert.Equal(t, 500, status(h, misfit))
	assert.Contains(t, log.String(), `reason="the handler failed"`)
}

func TestNoBody(t *testing.T) {
	h := newHandler(t)
	r := request("")
	r.Body = nil
	assert.Equal(t, 400, send(h, r).StatusCode)
	r.Header.Del("X-Verification-Token")
	assert.Equal(t, 401, send(h, r).StatusCode)
}

func TestPanicError(t *testing.T) {
	var f failures
	h := newHandler(t, f.option())
	webhook.On(h, func(context.Context, *webhook.ConversationManualPush) error { panic("mark-secret") })
	webhook.On(h, func(context.Context, *webhook.ConversationInactive) error { panic(io.ErrNoProgress) })
	for _, delivery := range []string{timeless, timed} {
		answer := send(h, request(delivery))
		assert.Equal(t, 500, answer.StatusCode)
		assert.NotContains(t, text(t, answer.Body), "mark-")
	}
	var panicked *webhook.PanicError
	require.ErrorAs(t, f.errs[0], &panicked)
	assert.Equal(t, "mark-secret", panicked.Value)
	assert.Contains(t, string(panicked.Stack), "TestPanicError")
	assert.NotContains(t, fmt.Sprintf("%v %+v %s", f.errs[0], f.errs[0], f.errs[0]), "mark-")
	require.NoError(t, errors.Unwrap(f.errs[0]))
	require.ErrorIs(t, f.errs[1], io.ErrNoProgress)
}

func TestLogger(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(t, webhook.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	send(h, request(`{"type":"conversation_manual_push","data":{"x":"mark-secret"}}`))
	send(h, request(`{"type":"mark-secret"}`))
	send(h, request(`{"mark-secret":"mark-secret","mark-secret":2}`))
	send(h, request(`{"type":"a","token":"mark-secret"}`))
	send(h, request(`{}`, "X-Verification-Token", "mark-secret"))
	send(h, request(`{}`, "Content-Type", "mark-secret"))
	send(h, httptest.NewRequest("MARK-SECRET", "/?mark-secret", nil))
	assert.Equal(t, 8, strings.Count(log.String(), "\n"), "an answer each, and one warning")
	assert.NotContains(t, strings.ToLower(log.String()), "mark-")
	assert.Contains(t, log.String(), `level=DEBUG msg="drift webhook" status=200 event=conversation_manual_push reason=handled`)
	assert.Contains(t, log.String(), `status=401 event=unknown reason="the token in the header is wrong"`)
}

// The handler holds hashes only, where no verb of fmt reaches them.
func TestHandlerDoesNotPrintTokens(t *testing.T) {
	h := newHandler(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		shown := fmt.Sprintf(verb, h)
		assert.NotContains(t, shown, testToken)
		assert.NotContains(t, shown, fmt.Sprintf("%x", testToken))
	}
}

// slowBody sends the head of a delivery, and then nothing. It returns the answer's status, or 0 where there is none.
func slowBody(t *testing.T, address, header string) int {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: drift.test\r\nContent-Length: %d\r\n%s\r\n{", len(timed), header)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	answer, err := io.ReadAll(conn)
	require.NoError(t, err, "the server closes the connection")
	var status int
	_, _ = fmt.Sscanf(string(answer), "HTTP/1.1 %d", &status)
	return status
}

func TestReadTimeout(t *testing.T) {
	right := "X-Verification-Token: " + testToken + "\r\n"
	for name, test := range map[string]struct {
		server time.Duration
		opts   []webhook.Option
		header string
		want   int
	}{
		"of the handler":             {opts: []webhook.Option{webhook.WithReadTimeout(50 * time.Millisecond)}, header: right, want: 408},
		"of the handler, refused":    {opts: []webhook.Option{webhook.WithReadTimeout(50 * time.Millisecond)}, header: "X-Verification-Token: x\r\n", want: 401},
		"of the server":              {server: 50 * time.Millisecond, header: right, want: 408},
		"of the handler, not longer": {server: time.Hour, opts: []webhook.Option{webhook.WithReadTimeout(50 * time.Millisecond)}, header: right, want: 408},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(newHandler(t, test.opts...))
			server.Config.ReadTimeout = test.server
			server.Start()
			defer server.Close()
			assert.Equal(t, test.want, slowBody(t, server.Listener.Addr().String(), test.header))
		})
	}
}

// The time to read must not end the request while the delivery is being handled.
func TestReadTimeoutIsOverWhenTheBodyIsThere(t *testing.T) {
	h := newHandler(t, webhook.WithReadTimeout(50*time.Millisecond))
	webhook.On(h, func(ctx context.Context, _ webhook.Event) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
			return nil
		}
	})
	server := httptest.NewServer(h)
	defer server.Close()
	for range 2 { // on one connection
		r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(timeless))
		require.NoError(t, err)
		r.Header.Set("X-Verification-Token", testToken)
		answer, err := server.Client().Do(r)
		require.NoError(t, err)
		assert.Equal(t, 200, answer.StatusCode)
		_ = text(t, answer.Body)
		require.NoError(t, answer.Body.Close())
	}
}

// deadlines is a ResponseWriter that notes the deadlines that it is given.
type deadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

func TestDefaultReadTimeout(t *testing.T) {
	h := newHandler(t)
	for name, test := range map[string]struct {
		server *http.Server
		want   time.Duration
	}{
		"no server":            {want: webhook.DefaultReadTimeout},
		"server without":       {server: &http.Server{}, want: webhook.DefaultReadTimeout},
		"server with its own":  {server: &http.Server{ReadTimeout: time.Hour}},
		"only for the headers": {server: &http.Server{ReadHeaderTimeout: time.Hour}, want: webhook.DefaultReadTimeout},
	} {
		r := request(timed)
		if test.server != nil {
			r = r.WithContext(context.WithValue(t.Context(), http.ServerContextKey, test.server))
		}
		w := &deadlines{ResponseWriter: httptest.NewRecorder()}
		before := time.Now()
		h.ServeHTTP(w, r)
		if test.want == 0 {
			assert.Empty(t, w.set, name)
			continue
		}
		require.Len(t, w.set, 2, name)
		assert.WithinRange(t, w.set[0], before.Add(test.want), time.Now().Add(test.want), name)
		assert.Zero(t, w.set[1], name)
	}
}
