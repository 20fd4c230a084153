package drift

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/driftsdk/drift/internal/wire"
)

// Client calls the Drift API. It is safe for concurrent use. Create one with [NewClient] and reuse it.
//
// The services are interfaces, so a test can replace a field of a client with a mock, or build a Client from mocks
// alone: &drift.Client{Contacts: mock}. Do and Quota of such a client return an error.
type Client struct {
	Conversations ConversationsService
	Messages      MessagesService
	Contacts      ContactsService
	Notes         NotesService
	Tags          TagsService
	Meetings      MeetingsService
	Companies     CompaniesService
	Driftbot      DriftbotService

	caller *caller
	view   bool
}

// caller makes the calls of the services of one client or view.
type caller struct {
	*core
	defaults callOptions
}

// Format keeps fmt from printing what a service holds.
func (c *caller) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("drift service")) }

// core is the state that a client shares with its views.
type core struct {
	base         *url.URL
	basePath     string // escaped, ends in "/"
	server       string // host and port of base
	userAgent    string
	transport    http.RoundTripper
	guarded      bool            // there is middleware around the transport
	ownTransport *http.Transport // the same transport if NewClient made it, else nil
	timeout      time.Duration   // of each attempt
	tokens       tokens
	protocol     atomic.Int32 // major HTTP version of the service's last answer; 0: no answer yet
	limiter      Limiter
	ownLimiters  ownLimiters
	quota        QuotaStore
	usedUp       atomic.Bool // the quota store had no call left at the last attempt
	serviceQuota serviceQuota
	loop         *retryablehttp.Client
	blank        *http.Request
	retry        RetryPolicy
	budget       *budget
	hooks        []Hooks
	logger       *slog.Logger // never nil
	keys         func() string
	closed       atomic.Bool
}

// NewClient returns a client and sends nothing. It needs exactly one token source: [WithToken], [WithTokenSource], or
// [FromEnv] with DRIFT_TOKEN. For an invalid option it returns a [*ValidationError].
func NewClient(opts ...Option) (*Client, error) {
	c := config{baseURL: DefaultBaseURL, perMinute: DefaultRateLimit}
	if err := c.apply(opts); err != nil {
		return nil, err
	}
	switch n := len(c.tokens); {
	case n == 0 && c.fromEnv:
		return nil, invalidOption("DRIFT_TOKEN", errNoVariable)
	case n == 0:
		return nil, invalidOption("WithToken", errNoTokenSource)
	case n > 1:
		return nil, invalidOption(c.tokenFrom[n-1], tooManyTokens(c.tokenFrom[n-2]))
	}
	base, err := parseBaseURL(c.baseURL, c.insecureHTTP)
	if err != nil {
		return nil, invalidOption(c.baseURLFrom, err)
	}
	core := newCore(c, base)
	if core.transport, err = wrapped(core.transport, base, c.middleware); err != nil {
		return nil, err
	}
	return newClient(&caller{core, c.call}), nil
}

const (
	errNoVariable    = wire.Reason("is not set: set it to an access token, or use WithToken or WithTokenSource")
	errNoTokenSource = wire.Reason("is missing: use WithToken, WithTokenSource, or FromEnv with DRIFT_TOKEN")
)

func tooManyTokens(other string) error {
	return wire.Reason("cannot be combined with " + other +
		": use exactly one of WithToken, WithTokenSource and DRIFT_TOKEN")
}

func newCore(c config, base *url.URL) *core {
	s := &core{
		base:      base,
		basePath:  base.EscapedPath(),
		server:    serverOf(base),
		userAgent: joinNonEmpty(" ", c.userAgent, userAgent),
		timeout:   defaultAttemptTimeout,
		tokens:    newTokens(c.tokens[0]),
		limiter:   c.limiter,
		quota:     c.quota,
		retry:     c.retry.withDefaults(),
		hooks:     c.hooks,
		guarded:   len(c.middleware) > 0,
		keys:      c.keys,
		logger:    cmp.Or(c.logger, slog.New(slog.DiscardHandler)),
	}
	if s.keys == nil {
		s.keys = newKey
	}
	s.loop, s.blank, s.budget = newLoop(), newBlank(base), newBudget(s.retry.Budget)
	if s.limiter == nil {
		s.limiter = NewLimiter(c.perMinute)
	}
	switch {
	case s.quota == nil:
		s.quota = newMemoryQuota(c.plan)
	case c.plan > 0:
		s.logger.Warn("drift: WithPlan has no effect with WithQuotaStore: the store sets the limit")
	}
	if c.httpClient == nil {
		s.ownTransport = newTransport()
		s.transport = s.ownTransport
	} else {
		s.transport = c.httpClient.Transport
		if s.transport == nil {
			s.transport = http.DefaultTransport
		}
		if c.httpClient.Timeout > 0 { // like net/http, ignore a negative one
			s.timeout = c.httpClient.Timeout
		}
	}
	return s
}

func newClient(c *caller) *Client {
	return &Client{
		Conversations: conversations{c},
		Messages:      messages{c},
		Contacts:      contacts{c},
		Notes:         notes{c},
		Tags:          tags{c},
		Meetings:      meetings{c},
		Companies:     companies{c},
		Driftbot:      driftbot{c},
		caller:        c,
	}
}

// With returns a view of the client that applies opts to each of its calls and shares everything else with the client.
// A service field that you replaced, for example with a mock, stays replaced. Close on a view does nothing. If an
// option is invalid, every call of the view fails with a [*ValidationError].
func (c *Client) With(opts ...CallOption) *Client {
	view := *c
	view.view = true
	if c.caller == nil {
		return &view
	}
	before, after := c.caller, c.caller.with(opts)
	rebind[ConversationsService](&view.Conversations, conversations{before}, conversations{after})
	rebind[MessagesService](&view.Messages, messages{before}, messages{after})
	rebind[ContactsService](&view.Contacts, contacts{before}, contacts{after})
	rebind[NotesService](&view.Notes, notes{before}, notes{after})
	rebind[TagsService](&view.Tags, tags{before}, tags{after})
	rebind[MeetingsService](&view.Meetings, meetings{before}, meetings{after})
	rebind[CompaniesService](&view.Companies, companies{before}, companies{after})
	rebind[DriftbotService](&view.Driftbot, driftbot{before}, driftbot{after})
	view.caller = after
	return &view
}

// rebind replaces a service if the field still holds the one that NewClient or With put there.
func rebind[S comparable](field *S, before, after S) {
	if *field == before {
		*field = after
	}
}

func (c *caller) with(opts []CallOption) *caller {
	view := &caller{c.core, c.defaults}
	view.defaults.apply(opts)
	return view
}

// apply keeps the first error, so that a call can report it before anything is sent.
func (c *callOptions) apply(opts []CallOption) {
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o.applyCall(c); err != nil && c.err == nil {
			c.err = err
		}
	}
}

// Quota returns how many of this month's calls have been used. It sends nothing. It returns the errors of the
// [QuotaStore], and [ErrClosed] after Close.
func (c *Client) Quota(ctx context.Context) (Usage, error) {
	switch {
	case c.caller == nil:
		return Usage{}, errNotConnected
	case c.caller.closed.Load():
		return Usage{}, ErrClosed
	case ctx == nil:
		return Usage{}, &ValidationError{Argument: "ctx", Reason: "must not be nil"}
	}
	return c.caller.quota.Usage(ctx)
}

// LimiterStats returns the current numbers of the client's limiter; see [LimiterStats]. Interactive and Bulk include the
// calls that wait for a limit of their own, such as that of the classic API's reports. It sends nothing. ok is false if
// the limiter of [WithLimiter] has no method Stats() LimiterStats, or if the client was not made by NewClient.
func (c *Client) LimiterStats() (stats LimiterStats, ok bool) {
	if c.caller == nil {
		return LimiterStats{}, false
	}
	limiter, ok := c.caller.limiter.(interface{ Stats() LimiterStats })
	if !ok {
		return LimiterStats{}, false
	}
	stats = limiter.Stats()
	c.caller.ownLimiters.addWaiting(&stats)
	return stats, true
}

// Close closes the client: later calls return [ErrClosed], and calls in progress continue. Close closes the client's
// own idle connections; connections in use close when their calls end. An HTTP/2 connection on which a call was
// canceled may stay open for another minute. Close never closes anything that the caller passed in. On a view, Close
// does nothing. It always returns nil.
func (c *Client) Close() error {
	if c.caller == nil || c.view {
		return nil
	}
	c.caller.closed.Store(true)
	c.caller.closeConnections()
	return nil
}

// key returns the key of a write: the caller's, or else a new one.
func (s *core) key(own string) string {
	if own != "" {
		return own
	}
	return s.keys()
}

// closeConnections closes the client's own idle connections.
func (s *core) closeConnections() {
	if s.ownTransport != nil {
		s.ownTransport.CloseIdleConnections()
	}
}

// String returns "drift.Client" and the base URL's host, so that printing a client shows no secret.
func (c *Client) String() string {
	if c == nil || c.caller == nil {
		return "drift.Client"
	}
	return "drift.Client(" + c.caller.base.Host + ")"
}

// Format writes String for every verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue returns String.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }
