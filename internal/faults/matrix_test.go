package faults_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/internal/testkit"
)

// TestFault runs the rows of the fault matrix that belong to this package.
func TestFault(t *testing.T) {
	faults.Run(t, "internal/faults", connectionFaults(), statusFaults(), bodyFaults(), requestFaults(), contextFaults(), oauthFaults(), hygieneFaults(),
		resendFaults(), valueFaults(), listFaults(), fileFaults())
}

// faultClient is a client for one row of the matrix. Everything that must not be seen is marked: its token, a header,
// the base URL's path and, with call, path, query and body of the requests. It logs at debug level and has every hook.
// When the test ends it is closed, and then no mark may have shown, no slot may be taken, and no body may be open.
type faultClient struct {
	*drift.Client
	t       testing.TB
	watch   *testkit.SecretWatch
	limiter *countedLimiter
	bodies  *openBodies
}

// newFaultClient returns a client of the API at baseURL, with retries without delays. Options come after its own, so
// that they take their place, except WithLimiter: set limiter.Limiter instead.
func newFaultClient(t testing.TB, baseURL string, opts ...drift.Option) *faultClient {
	t.Helper()
	return newFaultClientAs(t, drift.WithToken(testkit.MarkedToken), baseURL, opts...)
}

// newFaultClientAs is newFaultClient with another option for the token.
func newFaultClientAs(t testing.TB, token drift.Option, baseURL string, opts ...drift.Option) *faultClient {
	t.Helper()
	c := &faultClient{t: t, watch: new(testkit.SecretWatch), limiter: &countedLimiter{Limiter: drift.NewLimiter(drift.DefaultRateLimit)}, bodies: new(openBodies)}
	options := append(c.watch.Options(), token, drift.WithBaseURL(baseURL+"/"+testkit.MarkedBase), drift.WithPlan(1_000_000))
	options = append(append(options, opts...), drift.WithLimiter(c.limiter))
	client, err := drift.NewClient(options...)
	require.NoError(t, err)
	c.Client = client
	t.Cleanup(c.check)
	return c
}

// serveFault returns a client of a server on loopback.
func serveFault(t testing.TB, handler http.HandlerFunc, opts ...drift.Option) *faultClient {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newFaultClient(t, server.URL, opts...)
}

// throughFault returns a client with a network in memory, for virtual time, and with the delays that retries have by
// default.
func throughFault(t testing.TB, transport testkit.Responder, opts ...drift.Option) *faultClient {
	t.Helper()
	return throughFaultAs(t, drift.WithToken(testkit.MarkedToken), transport, opts...)
}

// throughFaultAs is throughFault with another option for the token.
func throughFaultAs(t testing.TB, token drift.Option, transport testkit.Responder, opts ...drift.Option) *faultClient {
	t.Helper()
	bodies := new(openBodies)
	before := []drift.Option{drift.WithHTTPClient(&http.Client{Transport: bodies.count(transport)}), drift.WithRetryPolicy(drift.RetryPolicy{})}
	c := newFaultClientAs(t, token, "https://drift.test", append(before, opts...)...)
	c.bodies = bodies
	return c
}

// check is what holds in every row.
func (c *faultClient) check() {
	c.t.Helper()
	c.watch.Show(c.Client)
	c.watch.Show(c.With(drift.WithHeader("X-Other", testkit.MarkedHeader)))
	assert.NoError(c.t, c.Close())
	c.watch.Check(c.t)
	assert.Zero(c.t, c.limiter.held(), "slots that were not given back")
	assert.Zero(c.t, c.bodies.open.Load(), "bodies that were not closed")
}

// saw looks whether an error shows a mark, and returns it.
func (c *faultClient) saw(err error) error {
	c.watch.ShowError(err)
	return err
}

// call sends a request with a mark in every part.
func (c *faultClient) call(ctx context.Context, method string, opts ...drift.CallOption) error {
	req := drift.Request{Name: "tests.fault", Method: method, Path: "v2/things/{thing}", Values: map[string]string{"thing": testkit.MarkedPath},
		Query: url.Values{testkit.MarkedQuery: {testkit.MarkedQuery, testkit.MarkedAddress}}}
	if method != http.MethodGet && method != http.MethodDelete && method != http.MethodHead {
		req.Body = map[string]string{testkit.MarkedBody: testkit.MarkedBody, "email": testkit.MarkedAddress}
	}
	return c.saw(c.Do(ctx, req, nil, opts...))
}

func (c *faultClient) get(ctx context.Context, opts ...drift.CallOption) error {
	return c.call(ctx, http.MethodGet, opts...)
}

func (c *faultClient) post(ctx context.Context, opts ...drift.CallOption) error {
	return c.call(ctx, http.MethodPost, opts...)
}

// requireSpent: so many attempts took a slot that they kept, and so many count in the month.
func (c *faultClient) requireSpent(slots, quota int) {
	c.t.Helper()
	assert.Equal(c.t, slots, c.limiter.spent(), "slots")
	usage, err := c.Quota(context.Background())
	require.NoError(c.t, err)
	assert.Equal(c.t, quota, usage.Used, "calls of the month")
}

// countedLimiter keeps books about the limiter behind it.
type countedLimiter struct {
	drift.Limiter
	books testkit.Slots
}

func (l *countedLimiter) Acquire(ctx context.Context, turn drift.Turn) (drift.Slot, error) {
	slot, err := l.Limiter.Acquire(ctx, turn)
	if err != nil {
		return nil, err
	}
	_, _ = l.books.Acquire(ctx, turn)
	return countedSlot{slot, &l.books}, nil
}

func (l *countedLimiter) Pause(ctx context.Context, until time.Time) error {
	_ = l.books.Pause(ctx, until)
	return l.Limiter.Pause(ctx, until)
}

// held is how many slots are out.
func (l *countedLimiter) held() int { return l.books.Held() }

// spent is how many slots were used.
func (l *countedLimiter) spent() int { return l.books.Spent() }

type countedSlot struct {
	drift.Slot
	books *testkit.Slots
}

func (s countedSlot) Done(ctx context.Context, result drift.Result) error {
	_ = s.books.Done(ctx, result)
	return s.Slot.Done(ctx, result)
}

// openBodies counts the bodies that are not closed.
type openBodies struct{ open atomic.Int32 }

func (o *openBodies) count(transport testkit.Responder) testkit.Responder {
	return func(r *http.Request) (*http.Response, error) {
		resp, err := transport(r)
		if resp != nil && resp.Body != nil {
			o.open.Add(1)
			resp.Body = &countedBody{resp.Body, sync.OnceFunc(func() { o.open.Add(-1) })}
		}
		return resp, err
	}
}

type countedBody struct {
	io.ReadCloser
	closed func()
}

func (b *countedBody) Close() error {
	b.closed()
	return b.ReadCloser.Close()
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failures int
	cleanups []func()
}

func (*recorder) Helper()                  {}
func (r *recorder) Errorf(string, ...any)  { r.failures++ }
func (r *recorder) FailNow()               { r.failures++ }
func (r *recorder) Cleanup(cleanup func()) { r.cleanups = append(r.cleanups, cleanup) }

// The harness itself must see what goes wrong.
func TestFaultClientSees(t *testing.T) {
	for name, test := range map[string]struct {
		wrong func(*faultClient)
		want  bool
	}{
		"nothing":            {func(c *faultClient) { _ = c.get(t.Context()) }, false},
		"a mark in an error": {func(c *faultClient) { _ = c.saw(testkit.QuotingError(testkit.MarkedBody)) }, true},
		"a mark in a log":    {func(c *faultClient) { _, _ = c.watch.Write([]byte("token=" + testkit.MarkedToken)) }, true},
		"a slot":             {func(c *faultClient) { _, _ = c.limiter.Acquire(t.Context(), drift.Turn{}) }, true},
		"a body": {func(c *faultClient) {
			_, _ = c.bodies.count(testkit.Answer(http.StatusOK))(new(http.Request))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{TB: t}
			test.wrong(throughFault(r, new(testkit.Network).Serve))
			for _, cleanup := range r.cleanups {
				cleanup()
			}
			assert.Equal(t, test.want, r.failures > 0)
		})
	}
}
