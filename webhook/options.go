package webhook

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/driftsdk/drift"
)

// What holds without the option of the same name.
const (
	DefaultMaxBodyBytes    = 1 << 20
	DefaultReadTimeout     = 10 * time.Second
	DefaultDuplicateWindow = 10 * time.Minute
	DefaultLease           = 5 * time.Minute
)

// MinTokenLength is how many bytes a verification token must have without [WithShortTokens].
const MinTokenLength = 16

// Option configures [NewHandler].
type Option func(*config) error

type config struct {
	shortTokens    bool
	headerRequired bool
	maxBody        int64
	readTimeout    time.Duration // 0: DefaultReadTimeout, unless the server has its own
	dedup          Dedup
	window         time.Duration
	lease          time.Duration
	queueSize      int // 0: no queue
	workers        int // 0: one
	onError        func(context.Context, Event, error)
	logger         *slog.Logger
	hooks          []Hooks
}

// WithShortTokens allows tokens of less than [MinTokenLength] bytes, which can be guessed. An empty one is refused
// all the same.
func WithShortTokens() Option {
	return func(c *config) error {
		c.shortTokens = true
		return nil
	}
}

// WithTokenHeaderRequired refuses a request without the X-Verification-Token header before its body is read, so that
// strangers cannot make the handler read anything. Use it once you have seen that your deliveries carry the header:
// that is not documented.
func WithTokenHeaderRequired() Option {
	return func(c *config) error {
		c.headerRequired = true
		return nil
	}
}

// WithMaxBodyBytes sets how long a delivery may be, [DefaultMaxBodyBytes] by default. A longer one is answered 413.
//
// All bodies that are read at the same time share 32 MiB, or the room for one if that is more. Requests whose header
// does not show the right token share 8 MiB of their own. What goes beyond is answered 503.
func WithMaxBodyBytes(n int64) Option {
	return func(c *config) error {
		c.maxBody = min(n, math.MaxInt64-1)
		return positive("WithMaxBodyBytes", n)
	}
}

// WithReadTimeout sets how long a delivery's body may take to arrive; one that takes longer is answered 408. By
// default the ReadTimeout of the [net/http.Server] holds, or [DefaultReadTimeout] where that has none. A
// ResponseWriter that cannot set a deadline is read without one.
func WithReadTimeout(d time.Duration) Option {
	return func(c *config) error {
		c.readTimeout = d
		return positive("WithReadTimeout", d)
	}
}

// WithDedup keeps track of deliveries in a store of your own, which several processes can share, instead of in a
// [MemoryDedup] of the default size. Each app needs a store of its own, or a prefix of its own for the keys in it: two
// handlers with one store take the same delivery for a duplicate, and only one of them handles it.
func WithDedup(store Dedup) Option {
	return func(c *config) error {
		if store == nil {
			return invalid("WithDedup", "must not be nil")
		}
		c.dedup = store
		return nil
	}
}

// WithDuplicateWindow sets for how long after a delivery was handled an equal one is answered 200 without being handled
// again, [DefaultDuplicateWindow] by default. With 0, only those are recognized that come while it is being handled.
//
// The same holds for every event whose OccurredAt is the zero time: two such deliveries can be equal and still be two
// events.
func WithDuplicateWindow(d time.Duration) Option {
	return func(c *config) error {
		if d < 0 {
			return invalid("WithDuplicateWindow", "must not be negative")
		}
		c.window = d
		return nil
	}
}

// WithLease sets for how long a delivery counts as being handled, [DefaultLease] by default. After a crash the same
// delivery is handled again when the lease is over. It should be longer than the slowest handler takes: one that
// takes longer may meet the same delivery again beside it.
func WithLease(d time.Duration) Option {
	return func(c *config) error {
		c.lease = d
		return positive("WithLease", d)
	}
}

// WithQueue answers 200 as soon as a delivery is in a queue in memory, and handles it afterwards. At most size
// deliveries wait; what comes while the queue is full is answered 503. The sender does not learn of failures any
// more, so [WithOnError] is required, and [Handler.Shutdown] must be called for the queue to be drained. What is in
// the queue when the process crashes is lost.
func WithQueue(size int) Option {
	return func(c *config) error {
		c.queueSize = size
		return positive("WithQueue", size)
	}
}

// WithWorkers sets how many deliveries of the queue are handled at a time. The default is 1, which handles them in
// the order in which they came.
func WithWorkers(n int) Option {
	return func(c *config) error {
		c.workers = n
		return positive("WithWorkers", n)
	}
}

// WithOnError calls f for every delivery that carries the right token and is not handled. It is the place to log, and
// to put away events of a queue. The error is
//
//   - the error of the event's function, or a [*PanicError];
//   - a [*RefusedError] for a delivery that was refused. If it was not decoded, e is an [*UnknownEvent], whose Raw is the
//     delivery without its token, or nil if the body is incomplete or not JSON;
//   - [ErrShutdown] for one that [Handler.Shutdown] gave up;
//   - [ErrInFlight] for one whose lease expired in the queue while a redelivery is being handled;
//   - an error of the [Dedup] store;
//   - a [*drift.DecodeError] for data that are not an object, if no function takes the [*UnknownEvent]. The answer is 200
//     then. Without WithOnError it is 500 if there is a function for the type.
//
// f may run on several goroutines at a time. Its context has the values of the request and no deadline. A panic in it
// is recovered and dropped.
func WithOnError(f func(ctx context.Context, e Event, err error)) Option {
	return func(c *config) error {
		if f == nil {
			return invalid("WithOnError", "must not be nil")
		}
		c.onError = f
		return nil
	}
}

// WithLogger logs each answer: the status, the type of the event if it is known, and why a delivery was refused. The
// level is debug, and warn for failures and for refused deliveries that carry the right token. At most once a minute
// it also warns of how many other requests were refused since the last warning, starting with the first one. It logs
// nothing of a token or a body. nil, the default, logs nothing.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error {
		c.logger = logger
		return nil
	}
}

// WithHooks adds functions that the handler calls in the course of each delivery; see [Hooks].
func WithHooks(hooks Hooks) Option {
	return func(c *config) error {
		c.hooks = append(c.hooks, hooks)
		return nil
	}
}

func newConfig(opts []Option) (*config, error) {
	c := &config{maxBody: DefaultMaxBodyBytes, window: DefaultDuplicateWindow, lease: DefaultLease}
	for _, opt := range opts {
		if opt == nil {
			return nil, invalid("option", "must not be nil")
		}
		if err := opt(c); err != nil {
			return nil, err
		}
	}
	switch {
	case c.queueSize > 0 && c.onError == nil:
		return nil, invalid("WithQueue", "needs WithOnError: deliveries that fail after the answer would be lost")
	case c.workers > 0 && c.queueSize == 0:
		return nil, invalid("WithWorkers", "needs WithQueue")
	}
	if c.dedup == nil {
		c.dedup = NewMemoryDedup(0)
	}
	c.workers = max(c.workers, 1)
	return c, nil
}

// check refuses tokens that protect nothing, or that no header can carry.
func (c *config) check(operation string, tokens []string) error {
	reason := c.wrong(tokens)
	if reason == "" {
		return nil
	}
	return &drift.ValidationError{Operation: operation, Argument: "tokens", Reason: reason}
}

func (c *config) wrong(tokens []string) (reason string) {
	if len(tokens) == 0 {
		return "must hold the verification token of the app"
	}
	for _, token := range tokens {
		switch {
		case token == "":
			return "must not hold an empty token: is the setting that it comes from there?"
		case len(token) < MinTokenLength && !c.shortTokens:
			return "hold one of less than 16 bytes, which can be guessed; WithShortTokens allows it"
		case strings.TrimSpace(token) != token || strings.ContainsFunc(token, unicode.IsControl):
			return "hold one with control characters, or with space around it"
		}
	}
	return ""
}

func positive[N int | int64 | time.Duration](option string, n N) error {
	if n <= 0 {
		return invalid(option, "must be greater than 0")
	}
	return nil
}

func invalid(argument, reason string) error {
	return &drift.ValidationError{Operation: "webhook.NewHandler", Argument: argument, Reason: reason}
}
