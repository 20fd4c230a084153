package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/raw"
	"github.com/driftsdk/drift/internal/testkit"
)

// described is a row of docs/errors.md.
type described struct{ situation, kind, text, remedy string }

// TestTextsOfThePage makes every failure of docs/errors.md happen, and compares the error and the log with the page.
func TestTextsOfThePage(t *testing.T) {
	rows := describedErrors(t)
	for _, row := range rows {
		t.Run(strings.ReplaceAll(row.situation, " ", "_"), func(t *testing.T) {
			fail := setups[row.situation]
			if fail == nil {
				happen := mishaps[row.situation]
				require.NotNil(t, happen, "no mishap has this name")
				fail = func(t *testing.T) error { return failing(t, happen) }
			}
			err := fail(t)
			require.Error(t, err)
			assert.Equal(t, row.text, err.Error())
			assert.Equal(t, row.kind, string(drift.KindOf(err)))
			assert.NotEmpty(t, row.remedy)
		})
	}
	assert.Len(t, rows, len(setups)+len(mishaps), "the page has each failure once")
}

// TestThePageHasEveryKind compares the page with the constants. Success is no failure, and only hooks see a panic.
func TestThePageHasEveryKind(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(testkit.Root(t), "kind.go"))
	require.NoError(t, err)
	constants := regexp.MustCompile(`Kind\w+ +Kind = "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	require.Greater(t, len(constants), 20)
	onPage := map[string]bool{string(drift.KindOK): true, string(drift.KindPanic): true}
	for _, row := range describedErrors(t) {
		onPage[row.kind] = true
	}
	for _, constant := range constants {
		assert.True(t, onPage[constant[1]], constant[1])
	}
	assert.Len(t, onPage, len(constants))
}

// describedErrors reads the tables of the page.
func describedErrors(t *testing.T) (rows []described) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(testkit.Root(t), "docs", "errors.md"))
	require.NoError(t, err)
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) == 4 && strings.HasPrefix(line, "| ") && cells[1] != "kind" {
			for i := range cells {
				cells[i] = strings.Trim(cells[i], "` ")
			}
			rows = append(rows, described{cells[0], cells[1], cells[2], cells[3]})
		}
	}
	return rows
}

// setups are wrong starts.
var setups = map[string]func(t *testing.T) error{
	"no token": func(*testing.T) error { return newClientError() },
	"FromEnv without DRIFT_TOKEN": func(t *testing.T) error {
		t.Setenv("DRIFT_TOKEN", "")
		return newClientError(drift.FromEnv())
	},
	"an empty token, for example from a variable that is not set": func(*testing.T) error {
		return newClientError(drift.WithToken(""))
	},
	"a token from a file, with a line break at its end": func(t *testing.T) error {
		t.Setenv("DRIFT_TOKEN", testkit.MarkedToken+"\n")
		return newClientError(drift.FromEnv())
	},
	"a token with its scheme": func(*testing.T) error { return newClientError(drift.WithToken("Bearer " + testkit.MarkedToken)) },
	"a token in quotes, for example from an env file": func(t *testing.T) error {
		t.Setenv("DRIFT_TOKEN", `"`+testkit.MarkedToken+`"`)
		return newClientError(drift.FromEnv())
	},
	"two tokens": func(t *testing.T) error {
		t.Setenv("DRIFT_TOKEN", testkit.MarkedToken)
		return newClientError(drift.WithToken(testkit.MarkedToken), drift.FromEnv())
	},
	"a base URL with the version": func(t *testing.T) error {
		t.Setenv("DRIFT_TOKEN", testkit.MarkedToken)
		t.Setenv("DRIFT_BASE_URL", "https://driftapi.com/v2")
		return newClientError(drift.FromEnv())
	},
	"a base URL without a scheme": baseURLError("localhost:8080"),
	"a base URL with a password":  baseURLError("https://ann:" + testkit.MarkedBase + "@driftapi.com"),
	"a base URL with a query":     baseURLError("https://driftapi.com/?token=" + testkit.MarkedToken),
	"a base URL with http":        baseURLError("http://driftapi.com"),
	"a plan that does not exist": func(t *testing.T) error {
		t.Setenv("DRIFT_TOKEN", testkit.MarkedToken)
		t.Setenv("DRIFT_PLAN", "gold")
		return newClientError(drift.FromEnv())
	},
	"a request without an id": func(t *testing.T) error {
		_, err := testkit.AnsweringClient(t, http.StatusOK, "").Contacts.Get(t.Context(), 0)
		return err
	},
	"a client that was closed": func(t *testing.T) error {
		client := testkit.AnsweringClient(t, http.StatusOK, "")
		require.NoError(t, client.Close())
		return get(t.Context(), client)
	},
}

func newClientError(opts ...drift.Option) error {
	_, err := drift.NewClient(opts...)
	return err
}

func baseURLError(base string) func(*testing.T) error {
	return func(*testing.T) error {
		return newClientError(drift.WithToken(testkit.MarkedToken), drift.WithBaseURL(base))
	}
}

func get(ctx context.Context, client *drift.Client) error {
	_, err := client.Contacts.Get(ctx, 7)
	return err
}

func create(ctx context.Context, client *drift.Client) error {
	_, err := client.Messages.Create(ctx, 7, drift.MessageCreateRequest{Body: testkit.MarkedBody})
	return err
}

// mishap is how to make a call fail.
type mishap struct {
	server   []raw.Option
	accept   raw.Answer // what the server does with a connection; nil: it serves it
	answer   raw.Answer
	closed   bool                       // nothing listens
	base     func(server string) string // nil: the server's URL
	ownToken bool                       // options have the token source
	prepare  func(*testing.T, *http.Client)
	options  []drift.Option
	call     func(context.Context, *drift.Client) error // nil: get
	timeout  time.Duration                              // of the caller
}

func elsewhere(string) string { return "https://driftapi.com" }

const soon = 50 * time.Millisecond

func answering(status int, body string) mishap {
	return mishap{answer: func(c *raw.Conn) { c.JSON(status, body) }}
}

func (f mishap) of(call func(context.Context, *drift.Client) error) mishap {
	f.call = call
	return f
}

func (f mishap) with(options ...drift.Option) mishap {
	f.options = options
	return f
}

const headOfAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"

var mishaps = map[string]mishap{
	"nothing listens": {closed: true},
	"no such host": {base: elsewhere, prepare: func(_ *testing.T, c *http.Client) {
		dialer := &net.Dialer{Resolver: nameServer{code: 3}.resolver()}
		c.Transport = &http.Transport{DialContext: dialer.DialContext}
	}},
	"the name server fails": {base: elsewhere, prepare: func(_ *testing.T, c *http.Client) {
		dialer := &net.Dialer{Resolver: nameServer{code: 2}.resolver()}
		c.Transport = &http.Transport{DialContext: dialer.DialContext}
	}},
	"an unknown certificate":         {server: []raw.Option{raw.TLS(raw.Untrusted)}},
	"a certificate that has expired": {server: []raw.Option{raw.TLS(raw.Expired)}},
	"a certificate of another host":  {server: []raw.Option{raw.TLS(raw.WrongHost)}},
	"https where http is spoken": {accept: sends("HTTP/1.1 400 Bad Request\r\n\r\n"), base: func(server string) string {
		return strings.Replace(server, "http://", "https://", 1)
	}},
	"a connection that hangs": {server: []raw.Option{raw.TLS(raw.Trusted)}, accept: (*raw.Conn).Silence,
		prepare: func(_ *testing.T, c *http.Client) { c.Transport.(*http.Transport).TLSHandshakeTimeout = soon }},
	"a proxy that does not listen": {prepare: func(_ *testing.T, c *http.Client) {
		c.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1"})
	}},
	"a proxy that requires a login": {base: elsewhere, prepare: proxyAnswering(http.StatusProxyAuthRequired)},
	"a proxy that refuses":          {base: elsewhere, prepare: proxyAnswering(http.StatusForbidden)},
	"a transport of your own that fails": {prepare: func(_ *testing.T, c *http.Client) {
		c.Transport = testkit.Fails(errSeam)
	}},
	"a reset": {answer: (*raw.Conn).Reset},
	"a connection that closes before the answer": {answer: (*raw.Conn).Close},
	"a connection that closes within the answer": {answer: sends(headOfAnswer)},
	"no answer":                  {answer: (*raw.Conn).Silence, prepare: func(_ *testing.T, c *http.Client) { c.Timeout = soon }},
	"an answer that stalls":      {answer: stalls, prepare: func(_ *testing.T, c *http.Client) { c.Timeout = soon }},
	"the deadline of the caller": {answer: (*raw.Conn).Silence, timeout: soon},
	"a caller that gives up": {answer: (*raw.Conn).Silence, call: func(ctx context.Context, c *drift.Client) error {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(soon, cancel)
		return get(ctx, c)
	}},
	"an answer that is not HTTP":  {answer: sends("SSH-2.0-" + testkit.MarkedAnswer + "\r\n\r\n")},
	"an answer that is not JSON":  {answer: sends("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>" + testkit.MarkedAnswer)},
	"a redirect":                  {answer: sends("HTTP/1.1 302 Found\r\nLocation: /" + testkit.MarkedAnswer + "\r\n\r\n")},
	"an answer that is too large": answering(200, `{"data": {"id": 7}}`).with(drift.WithMaxResponseBytes(10)),
	"JSON that does not fit":      answering(200, `{"data": {"id": "`+testkit.MarkedAnswer+`"}}`),

	"an invalid request":                          answering(422, `{"error": {"type": "validation_error", "message": "email is invalid"}}`),
	"a wrong token":                               answering(401, `{"error": {"type": "authentication_error", "message": "token expired"}}`),
	"a token that does not allow the call":        answering(403, `{"error": {"type": "forbidden", "message": "scope contact_read is required"}}`),
	"no such record":                              answering(404, `{"error": {"type": "not_found", "message": "no such contact"}}`),
	"a 404 without an error":                      answering(404, ``),
	"the 404 of a web site":                       {answer: sends("HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n<p>" + testkit.MarkedAnswer)},
	"the 403 of a firewall":                       {answer: sends("HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n<p>" + testkit.MarkedAnswer)},
	"a conflict":                                  answering(409, `{"code": "CONTACT-6", "message": "contact exists already"}`),
	"the service's limit":                         {answer: sends("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 90\r\n\r\n")},
	"the month is used up, by the service's word": answering(402, `{}`),
	"the service fails":                           answering(500, `{"error": {"type": "internal_error", "message": "try later"}}`),
	"a write that may have been applied":          answering(503, ``).of(create),
	"a write without an answer":                   {answer: (*raw.Conn).Reset, call: create},

	"the client's own limit": answering(404, ``).with(drift.WithRateLimit(1)).of(func(ctx context.Context, c *drift.Client) error {
		_ = get(ctx, c)
		return c.Do(ctx, drift.Request{Name: "contacts.get", Path: "x"}, nil, drift.WithTimeout(time.Second))
	}),
	"the month is used up": answering(404, ``).with(drift.WithPlan(1)).of(func(ctx context.Context, c *drift.Client) error {
		_ = get(ctx, c)
		return get(ctx, c)
	}),
	"a limiter that fails":                  mishap{}.with(drift.WithLimiter(brokenLimiter{})),
	"a token source that fails":             {ownToken: true, options: []drift.Option{drift.WithTokenSource(brokenTokens{})}},
	"a token endpoint that does not listen": {ownToken: true, options: []drift.Option{refreshing(testkit.NotSent)}},
	"an authorization that has ended":       {ownToken: true, options: []drift.Option{refreshing(testkit.InvalidGrant)}},
	"a middleware that fails": mishap{}.with(drift.WithMiddleware(func(http.RoundTripper) http.RoundTripper {
		return testkit.Fails(errSeam)
	})),
}

// proxyAnswering sends requests through a proxy that answers CONNECT with a status.
func proxyAnswering(status int) func(*testing.T, *http.Client) {
	return func(t *testing.T, c *http.Client) {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
		}))
		t.Cleanup(proxy.Close)
		c.Transport.(*http.Transport).Proxy = http.ProxyURL(testkit.Must(url.Parse(proxy.URL)))
	}
}

// failing makes a call fail, and checks that its log says the same as its error and neither shows a secret.
func failing(t *testing.T, f mishap) error {
	t.Helper()
	server := raw.Start(t, f.server...)
	server.Accept(f.accept)
	server.Answer(f.answer)
	network := server.HTTPClient()
	if f.prepare != nil {
		f.prepare(t, network)
	}
	t.Cleanup(network.CloseIdleConnections)
	if f.closed {
		server.Close()
	}
	base := server.URL
	if f.base != nil {
		base = f.base(base)
	}
	var log bytes.Buffer
	watch := new(testkit.SecretWatch)
	options := []drift.Option{drift.WithBaseURL(base), drift.WithHTTPClient(network), testkit.Impatient(),
		drift.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))}
	if !f.ownToken {
		options = append(options, drift.WithToken(testkit.MarkedToken))
	}
	client := testkit.Must(drift.NewClient(append(options, f.options...)...))
	defer client.Close()
	ctx := t.Context()
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	call := f.call
	if call == nil {
		call = get
	}
	err := call(ctx, client)
	require.Error(t, err)
	checkLog(t, log.Bytes(), err)
	watch.ShowError(err)
	_, _ = watch.Write(log.Bytes())
	watch.Check(t)
	return shown{err, onPage(err.Error(), strings.TrimPrefix(strings.TrimPrefix(base, "http://"), "https://"))}
}

// checkLog: the last record says that the call failed, and why, as the error does. If an attempt failed, so does a record
// of its own.
func checkLog(t *testing.T, log []byte, err error) {
	t.Helper()
	type record struct {
		Msg    string
		Server string
		Error  struct{ Msg, Kind string }
	}
	var last, attempt record
	for line := range bytes.Lines(log) {
		last = record{}
		require.NoError(t, json.Unmarshal(line, &last))
		if last.Msg == "drift: attempt" {
			attempt = last
		}
	}
	assert.Equal(t, "drift: the call failed", last.Msg)
	assert.Equal(t, err.Error(), last.Error.Msg)
	assert.Equal(t, string(drift.KindOf(err)), last.Error.Kind)
	assert.NotEmpty(t, last.Server)
	var transport *drift.TransportError
	if errors.As(err, &transport) && len(transport.Attempts) > 0 {
		assert.NotEmpty(t, attempt.Error.Msg)
		assert.Contains(t, err.Error(), attempt.Error.Msg)
		assert.Equal(t, string(drift.KindOf(transport)), attempt.Error.Kind)
	}
}

// shown is an error with its text as the page shows it.
type shown struct {
	error
	text string
}

func (s shown) Error() string { return s.text }
func (s shown) Unwrap() error { return s.error }

var (
	someTime  = regexp.MustCompile(`try again in [0-9a-z.]+`)
	someMonth = regexp.MustCompile(`resets at [0-9T:-]+Z`)
)

// onPage puts an example in place of what differs from run to run.
func onPage(text, server string) string {
	if strings.Contains(server, ":") {
		text = strings.ReplaceAll(text, server, "driftapi.com:443")
	}
	text = someTime.ReplaceAllString(text, "try again in 30s")
	return someMonth.ReplaceAllString(text, "resets at 2027-01-01T00:00:00Z")
}

func stalls(c *raw.Conn) {
	c.Send(headOfAnswer)
	c.Silence()
}

// errSeam is an error of somebody else, which texts do not quote.
var errSeam = errors.New("redis://ann:" + testkit.MarkedSecret + "@10.0.0.1")

// refreshing is a token source whose token has expired.
func refreshing(answer testkit.Responder) drift.Option {
	config, _ := testkit.Answering(answer)
	return drift.WithTokenSource(config.TokenSource(drift.NewMemoryTokenStore(testkit.Expired())))
}

type brokenLimiter struct{ testkit.OpenLimiter }

func (brokenLimiter) Acquire(context.Context, drift.Turn) (drift.Slot, error) { return nil, errSeam }

type brokenTokens struct{}

func (brokenTokens) Token() (*oauth2.Token, error) { return nil, errSeam }
