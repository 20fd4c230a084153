package drift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Client calls the Drift API. It is safe for concurrent use; make one with [NewClient] and keep it.
//
// The services are interfaces, so that a test can put a mock into a field of a client, or make a Client of mocks alone:
// &drift.Client{Contacts: mock}. Such a client's Do and Quota return an error.
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

// caller is what the services of one client or view call through.
type caller struct {
	*core
	defaults callOptions
}

// Format keeps fmt from printing what a service holds.
func (c *caller) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("drift service")) }

// core is what a client shares with its views.
type core struct {
	base         *url.URL
	basePath     string // escaped; it ends in "/"
	userAgent    string
	transport    http.RoundTripper
	ownTransport *http.Transport // the same, if NewClient made it; else nil
	timeout      time.Duration   // of an attempt
	tokens       tokens
	protocol     atomic.Int32 // major version of HTTP of the service's last answer; 0: none has come
	limiter      Limiter
	quota        QuotaStore
	serviceQuota serviceQuota
	loop         *retryablehttp.Client
	retry        RetryPolicy
	budget       *budget
	hooks        Hooks
	logger       *slog.Logger // never nil
	closed       atomic.Bool
}

// NewClient returns a client. It needs one source of tokens: [WithToken], [WithTokenSource], or DRIFT_TOKEN with [FromEnv].
// Options that are wrong, or exclude each other, are a [*ValidationError]. Nothing is sent.
func NewClient(opts ...Option) (*Client, error) {
	c := config{baseURL: DefaultBaseURL, perMinute: DefaultRateLimit}
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o.applyClient(&c); err != nil {
			return nil, err
		}
	}
	switch len(c.tokens) {
	case 0:
		return nil, invalidOption("WithToken", errors.New("or another source of tokens is required"))
	case 1:
	default:
		return nil, invalidOption("WithToken", errors.New("and the other sources of tokens exclude each other: give one"))
	}
	base, err := parseBaseURL(c.baseURL, c.insecureHTTP)
	if err != nil {
		return nil, invalidOption("WithBaseURL", err)
	}
	return newClient(&caller{newCore(c, base), c.call}), nil
}

func newCore(c config, base *url.URL) *core {
	s := &core{
		base:      base,
		basePath:  base.EscapedPath(),
		userAgent: joinNonEmpty(" ", c.userAgent, userAgent),
		timeout:   defaultAttemptTimeout,
		tokens:    newTokens(c.tokens[0]),
		limiter:   c.limiter,
		quota:     c.quota,
		retry:     c.retry.withDefaults(),
		hooks:     c.hooks,
		logger:    cmp.Or(c.logger, slog.New(slog.DiscardHandler)),
	}
	s.loop, s.budget = newLoop(s.retry.MaxAttempts), newBudget(s.retry.Budget)
	if s.limiter == nil {
		s.limiter = NewLimiter(c.perMinute)
	}
	switch {
	case s.quota == nil:
		s.quota = newMemoryQuota(c.plan)
	case c.plan > 0:
		s.logger.Warn("drift: WithPlan has no effect beside WithQuotaStore: the limit is the store's")
	}
	if c.httpClient == nil {
		s.ownTransport = newTransport()
		s.transport = s.ownTransport
	} else {
		s.transport = c.httpClient.Transport
		if s.transport == nil {
			s.transport = http.DefaultTransport
		}
		if c.httpClient.Timeout > 0 { // net/http takes a negative one for none
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

// With returns a view of the client: it shares everything, and adds defaults for its calls. A service field that was
// replaced, by a mock for example, stays replaced. Close on a view does nothing. An option that is wrong makes every call of
// the view fail with its [*ValidationError].
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

// rebind replaces a service, unless the field does not hold what NewClient put there.
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

// Quota returns what has been used of this month's calls. It sends nothing. Errors are those of the [QuotaStore], and
// [ErrClosed] once the client is closed.
func (c *Client) Quota(ctx context.Context) (Usage, error) {
	switch {
	case c.caller == nil:
		return Usage{}, errNotConnected
	case c.caller.closed.Load():
		return Usage{}, ErrClosed
	case ctx == nil:
		return Usage{}, &ValidationError{Argument: "ctx", Reason: "must not be nil"}
	}
	return c.caller.quota.Usage(ctx, time.Now())
}

// Close ends the client: later calls return [ErrClosed], calls that are under way go on. It closes the connections that
// NewClient made, those of calls under way when these end, and nothing that the caller passed in; a connection of HTTP/2 may
// stay for another minute where a call on it was cut off. On a view Close does nothing.
func (c *Client) Close() error {
	if c.caller == nil || c.view {
		return nil
	}
	c.caller.closed.Store(true)
	c.caller.closeConnections()
	return nil
}

// closeConnections closes those that no call uses at the moment.
func (s *core) closeConnections() {
	if s.ownTransport != nil {
		s.ownTransport.CloseIdleConnections()
	}
}

// String returns "drift.Client" and the base URL's host: no verb of fmt shows what the client holds.
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
