package drift

import (
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/rest"
)

// Option configures a client; see [NewClient]. The order of options does not matter, except that the last one wins if
// an option is repeated, and that several [WithHooks] and [WithMiddleware] add up in their order. Printing an option
// never shows its values.
type Option interface{ applyClient(*config) error }

// CallOption configures one call. An option passed to [NewClient] or [Client.With] applies to every call.
type CallOption interface {
	Option
	applyCall(*callOptions) error
}

// config collects the options of NewClient.
type config struct {
	tokens       []oauth2.TokenSource
	tokenFrom    []string // the option or variable of each
	fromEnv      bool
	baseURL      string
	baseURLFrom  string // the option or variable
	insecureHTTP bool
	httpClient   *http.Client
	plan         Plan
	perMinute    int
	limiter      Limiter
	quota        QuotaStore
	retry        RetryPolicy
	logger       *slog.Logger
	hooks        []Hooks
	middleware   []func(http.RoundTripper) http.RoundTripper
	keys         func() string
	userAgent    string
	call         callOptions
}

type option func(*config) error

func (o option) applyClient(c *config) error { return o(c) }

// callOptions collects the options of one call.
type callOptions struct {
	response   *Response
	header     http.Header // never modified in place: views and calls share it
	timeout    time.Duration
	noRetry    bool
	idempotent bool
	bulk       bool
	maxBody    int64 // 0: the default
	prefetch   bool
	err        error // of the first invalid option
}

type callOption func(*callOptions) error

func (o callOption) applyCall(c *callOptions) error { return o(c) }
func (o callOption) applyClient(c *config) error    { return o(&c.call) }

// WithToken authorizes every call with an access token, for example of a private app. A client has exactly one token
// source; with a second one, NewClient returns an error.
func WithToken(token string) Option {
	return option(func(c *config) error {
		return c.setToken("WithToken", token)
	})
}

// apply applies options up to the first error.
func (c *config) apply(opts []Option) error {
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o.applyClient(c); err != nil {
			return err
		}
	}
	return nil
}

func (c *config) setToken(from, token string) error {
	if reason := wrongToken(token); reason != nil {
		return invalidOption(from, reason)
	}
	c.addTokens(from, staticTokens{&oauth2.Token{AccessToken: token}})
	return nil
}

func (c *config) addTokens(from string, source oauth2.TokenSource) {
	c.tokens, c.tokenFrom = append(c.tokens, source), append(c.tokenFrom, from)
}

// WithTokenSource takes the token of every attempt from source, which must be safe for concurrent use. After a 401, the
// client asks source again, and retries the call if the token has changed. A [RefreshingTokenSource] also gets the
// caller's context and the rejected token. The client calls any other source on a separate goroutine, so that the call
// can end with its context.
func WithTokenSource(source oauth2.TokenSource) Option {
	return option(func(c *config) error {
		if source == nil {
			return invalidOption("WithTokenSource", errNil)
		}
		c.addTokens("WithTokenSource", source)
		return nil
	})
}

// DefaultBaseURL is the base URL of a client without [WithBaseURL].
const DefaultBaseURL = "https://driftapi.com/"

// WithBaseURL sets the base URL of the API. It may have a path, but no user info, query or fragment. It must use https,
// except on loopback addresses; see [WithInsecureHTTP].
func WithBaseURL(baseURL string) Option {
	return option(func(c *config) error {
		c.baseURL, c.baseURLFrom = baseURL, "WithBaseURL"
		return nil
	})
}

// WithInsecureHTTP allows http for a base URL that is not on loopback. The token then crosses the network unencrypted.
func WithInsecureHTTP() Option {
	return option(func(c *config) error {
		c.insecureHTTP = true
		return nil
	})
}

// WithHTTPClient sends requests through client.Transport, for example through a proxy. Without this option, a client
// has its own connection pool. The client neither modifies nor closes the http.Client. Its Timeout becomes the timeout
// of each attempt (0: one minute, the default); its cookie jar and redirect policy are not used.
//
// When [Client.Do] writes to an io.Writer, the timeout limits each pause in the answer, not the whole answer. If the
// Transport is about to send a request a second time, the client ends the attempt, because the client itself decides
// whether a retry is safe. Requests carry the context of [Hooks].StartAttempt, so a tracing Transport finds
// their span. Beware of a tracing Transport that is not made for this API: many record the URL, whose query may contain
// an email address, and send trace headers to the service.
func WithHTTPClient(client *http.Client) Option {
	return option(func(c *config) error {
		if client == nil {
			return invalidOption("WithHTTPClient", errNil)
		}
		c.httpClient = client
		return nil
	})
}

// WithPlan limits the calls of each month to the plan's number. The client counts in memory, and rejects further calls
// with a [*QuotaError]. Without WithPlan, it counts calls but rejects none. With [WithQuotaStore], WithPlan has no
// effect and logs a warning, because the store sets the limit.
func WithPlan(plan Plan) Option {
	return option(func(c *config) error {
		if plan <= 0 {
			return invalidOption("WithPlan", rest.ErrNotPositive)
		}
		c.plan = plan
		return nil
	})
}

// WithRateLimit sets how many attempts may go out in any 60 seconds. The default is 100, the product's limit per user.
// WithRateLimit has no effect with [WithLimiter].
func WithRateLimit(perMinute int) Option {
	return option(func(c *config) error {
		if perMinute <= 0 {
			return invalidOption("WithRateLimit", rest.ErrNotPositive)
		}
		c.perMinute = perMinute
		return nil
	})
}

// WithLimiter replaces the client's own limiter. Clients that act for the same user should share one limiter. Otherwise
// each client uses the full limit, and the service answers 429.
func WithLimiter(limiter Limiter) Option {
	return option(func(c *config) error {
		if limiter == nil {
			return invalidOption("WithLimiter", errNil)
		}
		c.limiter = limiter
		return nil
	})
}

// WithQuotaStore replaces the in-memory count of the month's calls, so that the count outlives the process. The store
// sets the limit.
func WithQuotaStore(store QuotaStore) Option {
	return option(func(c *config) error {
		if store == nil {
			return invalidOption("WithQuotaStore", errNil)
		}
		c.quota = store
		return nil
	})
}

// WithRetryPolicy changes how often and how fast the client retries. Zero fields keep their defaults.
func WithRetryPolicy(policy RetryPolicy) Option {
	return option(func(c *config) error {
		if err := policy.check(); err != nil {
			return invalidOption("WithRetryPolicy", err)
		}
		c.retry = policy
		return nil
	})
}

// WithLogger logs attempts at debug level, retries and failed calls at info level, and pauses and quota warnings at
// warn level. What failed is in the attribute "error", a group with "msg" and "kind"; see [ErrorAttr] and [KindOf]. The
// log contains the headers Content-Type, Content-Length, Date, Retry-After, X-Request-Id and RateLimit-* of answers. It
// contains no token, query, path value, body or other header. But an error's "msg" and "message" have the service's
// words. E-mail addresses in them are masked; names and ids that were sent are not. A handler can drop them. With nil,
// the default, nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return option(func(c *config) error {
		c.logger = logger
		return nil
	})
}

// WithHooks adds functions that the client calls in the course of each call; see [Hooks].
func WithHooks(hooks Hooks) Option {
	return option(func(c *config) error {
		c.hooks = append(c.hooks, hooks)
		return nil
	})
}

// WithMiddleware wraps the transport of every attempt, for example to log, to trace or to measure requests. It runs
// after all waits, retries included, and sees the request as it is sent, token and all. Several add up: the first one
// is the outermost. Inside it, [AttemptFromContext] returns the operation and the number of the attempt.
//
// A middleware sends the request through next at most once, with a context derived from the request's. It may change
// headers, but not the scheme or the host: the client fails an attempt whose request would go elsewhere or goes out
// twice. If the middleware does not call next, nothing was sent, and the attempt counts neither against the minute nor
// against the month; it may return a response of its own, or an error, which the client retries if its Temporary or
// Timeout method returns true. The text of a [*TransportError] omits that error; errors.As and Unsafe find it.
func WithMiddleware(wrap func(next http.RoundTripper) http.RoundTripper) Option {
	return option(func(c *config) error {
		if wrap == nil {
			return invalidOption("WithMiddleware", errNil)
		}
		c.middleware = append(c.middleware, wrap)
		return nil
	})
}

// Options returns several options as one, so that a package can return all that it needs. Nil options are left out.
func Options(opts ...Option) Option {
	return option(func(c *config) error { return c.apply(opts) })
}

// WithKeys takes the keys of new messages and notes that have none from newKey, in place of random UUIDs. It is for
// tests that compare requests with recorded ones. newKey must be safe for concurrent use, and return a different key
// each time and never "". Do not use it in production: after a restart, a counter repeats its keys, and the service may
// take two messages with the same key for one.
func WithKeys(newKey func() string) Option {
	return option(func(c *config) error {
		if newKey == nil {
			return invalidOption("WithKeys", errNil)
		}
		c.keys = newKey
		return nil
	})
}

// WithUserAgent puts your program's name, such as "billing/1.4", before the SDK's in the User-Agent header.
func WithUserAgent(userAgent string) Option {
	return option(func(c *config) error {
		if !printableASCII(userAgent) || userAgent == "" {
			return invalidOption("WithUserAgent", errHeaderValue)
		}
		c.userAgent = userAgent
		return nil
	})
}

// FromEnv reads the token from DRIFT_TOKEN, the base URL from DRIFT_BASE_URL, and the plan (starter, professional,
// enterprise, or a number of calls) from DRIFT_PLAN. It ignores empty and unset variables.
func FromEnv() Option {
	return option(func(c *config) error {
		c.fromEnv = true
		if token := os.Getenv("DRIFT_TOKEN"); token != "" {
			if err := c.setToken("DRIFT_TOKEN", token); err != nil {
				return err
			}
		}
		if baseURL := os.Getenv("DRIFT_BASE_URL"); baseURL != "" {
			c.baseURL, c.baseURLFrom = baseURL, "DRIFT_BASE_URL"
		}
		if name := os.Getenv("DRIFT_PLAN"); name != "" {
			plan, err := parsePlan(name)
			if err != nil {
				return invalidOption("DRIFT_PLAN", err)
			}
			c.plan = plan
		}
		return nil
	})
}

func parsePlan(name string) (Plan, error) {
	switch strings.ToLower(name) {
	case "starter":
		return PlanStarter, nil
	case "professional":
		return PlanProfessional, nil
	case "enterprise":
		return PlanEnterprise, nil
	}
	n, err := strconv.Atoi(name)
	if err != nil || n <= 0 {
		return 0, errors.New("must be starter, professional, enterprise or a number of calls")
	}
	return Plan(n), nil
}

// WithResponse fills r at the end of the call, even if the call fails. All fills it for each page. Concurrent calls
// must not share r. With [WithPrefetch], All fills r just before it yields the first item of a page.
func WithResponse(r *Response) CallOption {
	return callOption(func(c *callOptions) error {
		c.response = r
		return nil
	})
}

// DefaultMaxResponseBytes is the largest answer that a client reads into memory without [WithMaxResponseBytes].
const DefaultMaxResponseBytes = 10 << 20

// WithMaxResponseBytes limits an answer to n bytes after decompression. The default is 10 MiB, or no limit when
// [Client.Do] writes to an io.Writer. A larger answer is a [*TransportError] that matches [ErrTooLarge].
func WithMaxResponseBytes(n int64) CallOption {
	return callOption(func(c *callOptions) error {
		if n <= 0 {
			return invalidOption("WithMaxResponseBytes", rest.ErrNotPositive)
		}
		c.maxBody = min(n, math.MaxInt64-1) // room for one more byte, which shows that the answer is too large
		return nil
	})
}

// WithHeader adds a header to the request, or replaces one of the client's, such as Accept or User-Agent. It rejects
// headers that the client or net/http controls, such as Authorization, Content-Type and Host.
//
// To request a part of a file, set Range. The service may answer 206 with the part, or 200 with the whole file, so
// check the status with [WithResponse].
func WithHeader(name, value string) CallOption {
	return callOption(func(c *callOptions) error {
		name := textproto.CanonicalMIMEHeaderKey(name)
		if !headerName(name) || slices.Contains(reservedHeaders, name) {
			return invalidOption("WithHeader", errHeaderName)
		}
		if !printableASCII(value) {
			return invalidOption("WithHeader", errHeaderValue)
		}
		header := c.header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set(name, value)
		c.header = header
		return nil
	})
}

// reservedHeaders includes Idempotency-Key because net/http may resend a POST that has it.
var reservedHeaders = []string{
	"Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie",
	"Expect", "Host", "Idempotency-Key", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"X-Idempotency-Key",
}

// WithTimeout limits the duration of a call, including its waits and retries. For All, it limits each page.
func WithTimeout(d time.Duration) CallOption {
	return callOption(func(c *callOptions) error {
		if d <= 0 {
			return invalidOption("WithTimeout", rest.ErrNotPositive)
		}
		c.timeout = d
		return nil
	})
}

// WithoutRetry makes a call send at most one attempt, even after a 401 or a 429.
func WithoutRetry() CallOption {
	return callOption(func(c *callOptions) error {
		c.noRetry = true
		return nil
	})
}

// WithIdempotent allows the client to retry a write that may already have been applied. Use it if applying the write
// twice does no harm.
func WithIdempotent() CallOption {
	return callOption(func(c *callOptions) error {
		c.idempotent = true
		return nil
	})
}

// WithBulk marks a call as part of a long job. Bulk calls leave a part of the rate limit to other calls, so that an
// interactive call need not wait for the job.
func WithBulk() CallOption {
	return callOption(func(c *callOptions) error {
		c.bulk = true
		return nil
	})
}

// WithPrefetch makes All and [Paginate] fetch the next page while the loop works on the current one. They then hold up
// to two pages in memory, and fetch a page for nothing if the loop ends early. Hooks for the next page run on another
// goroutine. If a hook calls runtime.Goexit there, as FailNow of a test does, the sequence ends with a [*PageError].
// WithPrefetch does not affect other calls.
func WithPrefetch() CallOption {
	return callOption(func(c *callOptions) error {
		c.prefetch = true
		return nil
	})
}

var (
	errNil         = errors.New("must not be nil")
	errHeaderName  = errors.New("must name a header that the client does not set itself")
	errHeaderValue = errors.New("must be printable ASCII")
	errTokenText   = errors.New("must be printable ASCII without spaces, and not empty")
)

func invalidOption(name string, reason error) error {
	return &ValidationError{Argument: name, Reason: reason.Error()}
}

// checkToken rejects characters that could end the header or be altered in transit. Its error must not quote the token.
func checkToken(token string) error {
	if wrongToken(token) != nil {
		return errTokenText
	}
	return nil
}

// wrongToken returns what is wrong with a token that somebody has set, and what to do.
func wrongToken(token string) error {
	switch {
	case token == "":
		return errors.New("must not be empty: is the variable or setting that the token comes from set?")
	case strings.TrimSpace(token) != token:
		return errors.New("must not have spaces or line breaks around it: trim what you read from a file")
	case len(token) > 1 && token[0] == token[len(token)-1] && strings.ContainsAny(token[:1], `"'`):
		return errors.New("must not be in quotes: remove them")
	case strings.HasPrefix(strings.ToLower(token), "bearer "):
		return errors.New(`must be the token alone, without "Bearer"`)
	case !printableASCII(token) || strings.Contains(token, " "):
		return errTokenText
	}
	return nil
}

func printableASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// headerName reports whether name is a token as HTTP defines it.
func headerName(name string) bool {
	return name != "" && printableASCII(name) && !strings.ContainsAny(name, " \"(),/:;<=>?@[\\]{}")
}

// parseBaseURL returns the base with a path that ends in "/".
func parseBaseURL(text string, insecure bool) (*url.URL, error) {
	base, err := parseURL(text)
	switch {
	case err != nil:
		return nil, err
	case base.RawQuery != "" || base.ForceQuery || base.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("must not have a query or a fragment")
	case base.Scheme == "http" && !insecure && !loopback(base.Hostname()):
		return nil, errors.New("must use https: http is only for loopback, or with WithInsecureHTTP")
	}
	parts := strings.Split(strings.TrimRight(base.Path, "/"), "/")
	if strings.EqualFold(parts[len(parts)-1], "v2") {
		return nil, errors.New(`must not end in "v2": every operation's path begins with it`)
	}
	if slices.Contains(parts, ".") || slices.Contains(parts, "..") {
		return nil, rest.ErrDots
	}
	escaped := strings.TrimRight(base.EscapedPath(), "/") + "/"
	path, _ := url.PathUnescape(escaped) // cannot fail: it was escaped
	return &url.URL{Scheme: base.Scheme, Host: base.Host, Path: path, RawPath: escaped}, nil
}

// parseURL returns an absolute URL without user info. Its errors do not quote the URL, which may have a password.
func parseURL(text string) (*url.URL, error) {
	parsed, err := url.Parse(text)
	switch {
	case text == "":
		return nil, rest.ErrEmpty
	case strings.TrimSpace(text) != text:
		return nil, errors.New("must not have spaces or line breaks around it")
	case err != nil && !strings.Contains(text, "://"):
		return nil, errNoScheme
	case err != nil:
		return nil, errors.New("is not a URL: it has a character that must be escaped, or a port that is not a number")
	case parsed.Scheme != "https" && parsed.Scheme != "http":
		return nil, errNoScheme
	case parsed.Hostname() == "":
		return nil, errors.New("must have a host")
	case parsed.User != nil:
		return nil, errors.New("must not have a user name or a password")
	}
	return parsed, nil
}

var errNoScheme = errors.New("must begin with https://, or with http:// for loopback")

// serverOf returns the host and port of a URL.
func serverOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
