package drift

import (
	"errors"
	"log/slog"
	"math"
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

// Option configures a client; see [NewClient]. The order of options does not matter, but the last of two that say the same
// counts. Options print as functions: no verb of fmt shows what they hold.
type Option interface{ applyClient(*config) error }

// CallOption configures one call. Given to [NewClient] or [Client.With] it is the default for every call.
type CallOption interface {
	Option
	applyCall(*callOptions) error
}

// config is what the options of NewClient gather.
type config struct {
	tokens       []oauth2.TokenSource
	baseURL      string
	insecureHTTP bool
	httpClient   *http.Client
	plan         Plan
	perMinute    int
	limiter      Limiter
	quota        QuotaStore
	retry        RetryPolicy
	logger       *slog.Logger
	hooks        Hooks
	userAgent    string
	call         callOptions
}

type option func(*config) error

func (o option) applyClient(c *config) error { return o(c) }

// callOptions is what the options of one call gather.
type callOptions struct {
	response   *Response
	header     http.Header // never changed in place: views and calls share it
	timeout    time.Duration
	noRetry    bool
	idempotent bool
	bulk       bool
	maxBody    int64 // 0: the default
	prefetch   bool
	err        error // of the first option that is wrong
}

type callOption func(*callOptions) error

func (o callOption) applyCall(c *callOptions) error { return o(c) }
func (o callOption) applyClient(c *config) error    { return o(&c.call) }

// WithToken authorizes every call with one access token, for example that of a private app. A client has exactly one source
// of tokens: a second is an error.
func WithToken(token string) Option {
	return option(func(c *config) error {
		if err := checkToken(token); err != nil {
			return invalidOption("WithToken", err)
		}
		c.tokens = append(c.tokens, staticTokens{&oauth2.Token{AccessToken: token}})
		return nil
	})
}

// WithTokenSource takes the token of every attempt from a source. After a 401 the source is asked again, and the call goes
// out once more if the token is another one. A [RefreshingTokenSource] also gets the caller's context, and is told which
// token was refused. A source without a context is asked on a goroutine of its own, so that a slow one cannot outlast the
// caller's context; it must be safe for concurrent use.
func WithTokenSource(source oauth2.TokenSource) Option {
	return option(func(c *config) error {
		if source == nil {
			return invalidOption("WithTokenSource", errNil)
		}
		c.tokens = append(c.tokens, source)
		return nil
	})
}

// DefaultBaseURL is where calls go without [WithBaseURL].
const DefaultBaseURL = "https://driftapi.com/"

// WithBaseURL sets where the API is. The URL may have a path of its own, and must not have user info, a query or a
// fragment. Plain http is for loopback addresses; see [WithInsecureHTTP].
func WithBaseURL(baseURL string) Option {
	return option(func(c *config) error {
		c.baseURL = baseURL
		return nil
	})
}

// WithInsecureHTTP allows a base URL with http that is not on loopback. Everybody on the way can then read the token.
func WithInsecureHTTP() Option {
	return option(func(c *config) error {
		c.insecureHTTP = true
		return nil
	})
}

// WithHTTPClient sends through the Transport of an http.Client, for example through a proxy. The client is copied,
// never changed or closed: its Timeout becomes the timeout of an attempt (0: one minute, as without this option), and
// its cookie jar and redirect policy are not used. When [Client.Do] writes into an io.Writer, the timeout limits how
// long the answer may be silent, not how long it may take. If the Transport is about to send a request a second time,
// the client ends the attempt: only the client repeats requests, where that is safe. Requests carry the caller's
// context, so a tracing Transport finds the caller's span. Without this option a client has a connection pool of its
// own.
func WithHTTPClient(client *http.Client) Option {
	return option(func(c *config) error {
		if client == nil {
			return invalidOption("WithHTTPClient", errNil)
		}
		c.httpClient = client
		return nil
	})
}

// WithPlan counts the calls of each month in memory and refuses further ones, with a [*QuotaError], when the plan's number
// is reached. Without it calls are counted and never refused. It has no effect beside [WithQuotaStore], whose store has a limit
// of its own ([WithLogger] is told so).
func WithPlan(plan Plan) Option {
	return option(func(c *config) error {
		if plan <= 0 {
			return invalidOption("WithPlan", rest.ErrNotPositive)
		}
		c.plan = plan
		return nil
	})
}

// WithRateLimit sets how many calls go out in any 60 seconds, 100 by default, which is what the product allows per user.
// It has no effect beside [WithLimiter].
func WithRateLimit(perMinute int) Option {
	return option(func(c *config) error {
		if perMinute <= 0 {
			return invalidOption("WithRateLimit", rest.ErrNotPositive)
		}
		c.perMinute = perMinute
		return nil
	})
}

// WithLimiter takes the place of the client's own limiter. Clients that act for the same user should share one: otherwise
// each uses the whole allowance, and the service refuses what is too much.
func WithLimiter(limiter Limiter) Option {
	return option(func(c *config) error {
		if limiter == nil {
			return invalidOption("WithLimiter", errNil)
		}
		c.limiter = limiter
		return nil
	})
}

// WithQuotaStore takes the place of the counter in memory, so that the count outlives the process. The limit is the store's.
func WithQuotaStore(store QuotaStore) Option {
	return option(func(c *config) error {
		if store == nil {
			return invalidOption("WithQuotaStore", errNil)
		}
		c.quota = store
		return nil
	})
}

// WithRetryPolicy changes when calls are sent again. Zero fields keep their defaults.
func WithRetryPolicy(policy RetryPolicy) Option {
	return option(func(c *config) error {
		if err := policy.check(); err != nil {
			return invalidOption("WithRetryPolicy", err)
		}
		c.retry = policy
		return nil
	})
}

// WithLogger logs attempts at debug level, further attempts at info, and pauses and the quota at warn. Of an answer's headers
// only Content-Type, Content-Length, Date, Retry-After, X-Request-Id and RateLimit-* are logged; nothing of a token, query,
// path value, other header or body is. nil, the default, logs nothing.
func WithLogger(logger *slog.Logger) Option {
	return option(func(c *config) error {
		c.logger = logger
		return nil
	})
}

// WithHooks calls functions as calls go on; see [Hooks].
func WithHooks(hooks Hooks) Option {
	return option(func(c *config) error {
		c.hooks = hooks
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

// FromEnv takes the token from DRIFT_TOKEN, the base URL from DRIFT_BASE_URL, and the plan (starter, professional,
// enterprise, or a number of calls) from DRIFT_PLAN. Variables that are empty or not set are passed over.
func FromEnv() Option {
	return option(func(c *config) error {
		if token := os.Getenv("DRIFT_TOKEN"); token != "" {
			if err := WithToken(token).applyClient(c); err != nil {
				return invalidOption("DRIFT_TOKEN", errTokenText)
			}
		}
		if baseURL := os.Getenv("DRIFT_BASE_URL"); baseURL != "" {
			c.baseURL = baseURL
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

// WithResponse fills r at the end of the call, even if the call fails. All fills it for each page. Do not share r among
// calls that run at the same time. With [WithPrefetch], All fills r only between two items, just before it yields the
// first item of a page.
func WithResponse(r *Response) CallOption {
	return callOption(func(c *callOptions) error {
		c.response = r
		return nil
	})
}

// DefaultMaxResponseBytes limits an answer that is read into memory, unless [WithMaxResponseBytes] sets another limit.
const DefaultMaxResponseBytes = 10 << 20

// WithMaxResponseBytes limits an answer to n bytes after decompression. The default is 10 MiB, or no limit when
// [Client.Do] writes into an io.Writer. A longer answer is a [*TransportError] that matches [ErrTooLarge].
func WithMaxResponseBytes(n int64) CallOption {
	return callOption(func(c *callOptions) error {
		if n <= 0 {
			return invalidOption("WithMaxResponseBytes", rest.ErrNotPositive)
		}
		c.maxBody = min(n, math.MaxInt64-1) // one more byte tells whether there are more
		return nil
	})
}

// WithHeader sends a header and replaces one of the same name, such as Accept or User-Agent. Headers that the client or
// net/http sets itself (Authorization, Content-Type, Host and the like) are refused. Range requests a part of a file. A
// service answers 206 with that part, or ignores Range and answers 200 with the whole file, so look at the status with
// [WithResponse].
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

// Idempotency-Key is here because net/http takes it for a promise, and sends a POST again without telling anybody.
var reservedHeaders = []string{
	"Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie",
	"Expect", "Host", "Idempotency-Key", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Idempotency-Key",
}

// WithTimeout bounds the whole call: every wait, every attempt and, of All, each page.
func WithTimeout(d time.Duration) CallOption {
	return callOption(func(c *callOptions) error {
		if d <= 0 {
			return invalidOption("WithTimeout", rest.ErrNotPositive)
		}
		c.timeout = d
		return nil
	})
}

// WithoutRetry sends a call once, whatever happens.
func WithoutRetry() CallOption {
	return callOption(func(c *callOptions) error {
		c.noRetry = true
		return nil
	})
}

// WithIdempotent allows a write to be sent again after it may have been applied, as a read is. Use it where doing it twice
// does no harm.
func WithIdempotent() CallOption {
	return callOption(func(c *callOptions) error {
		c.idempotent = true
		return nil
	})
}

// WithBulk marks the calls of a long job. They leave some of the rate limit free, so that an interactive call beside them
// does not wait for a place.
func WithBulk() CallOption {
	return callOption(func(c *callOptions) error {
		c.bulk = true
		return nil
	})
}

// WithPrefetch makes All and [Paginate] fetch the next page while the items of this one are worked on. A page may then
// be fetched in vain, and two pages are held at a time. Hooks for that page run on another goroutine. If a hook ends
// that goroutine with runtime.Goexit, as FailNow of a test does, the sequence fails with a [*PageError]. Other calls
// are not affected.
func WithPrefetch() CallOption {
	return callOption(func(c *callOptions) error {
		c.prefetch = true
		return nil
	})
}

var (
	errNil         = errors.New("must not be nil")
	errHeaderName  = errors.New("must name a header, and none that the client sets itself")
	errHeaderValue = errors.New("must be printable ASCII")
	errTokenText   = errors.New("must be printable ASCII without spaces, and not empty")
)

func invalidOption(name string, reason error) error {
	return &ValidationError{Argument: name, Reason: reason.Error()}
}

// checkToken keeps out what would end the header or be changed on the way. The error must not quote it.
func checkToken(token string) error {
	if token == "" || !printableASCII(token) || strings.Contains(token, " ") {
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
	base, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL") // the error of net/url would quote it, and with it a password
	case base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.Hostname() == "":
		return nil, errors.New("must be absolute, with https or http and a host")
	case base.User != nil:
		return nil, errors.New("must not have user info")
	case base.RawQuery != "" || base.ForceQuery || base.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("must not have a query or a fragment")
	case base.Scheme == "http" && !insecure && !loopback(base.Hostname()):
		return nil, errors.New("must use https: http is for loopback, or for WithInsecureHTTP")
	}
	for part := range strings.SplitSeq(base.Path, "/") {
		if part == "." || part == ".." {
			return nil, rest.ErrDots
		}
	}
	escaped := strings.TrimRight(base.EscapedPath(), "/") + "/"
	path, _ := url.PathUnescape(escaped) // cannot fail: it was escaped
	return &url.URL{Scheme: base.Scheme, Host: base.Host, Path: path, RawPath: escaped}, nil
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
