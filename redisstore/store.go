package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/window"
)

// Store keeps the state of one account in Redis: the window of the last minute ([Store.Limiter]), the count of the
// month (Store is a [drift.QuotaStore]), tokens ([Store.Tokens]) and the deliveries of webhooks ([Store.Dedup]). All
// processes with the same account share it. It is safe for concurrent use.
type Store struct {
	connection *connection
	prefix     string
	keys       []string
	plan       int
	location   *time.Location
	length     time.Duration // of a minute
	fallback   *fallback     // nil: there is none

	mu       sync.Mutex
	counts   bool // calls of the month
	known    knowledge
	clock    clock
	issued   uint64 // commands
	limiters []*drift.SharedLimiter
}

// knowledge is what a process has seen of the state in Redis. If that is gone, it is restored.
type knowledge struct {
	generation string
	sequence   int64
	issued     uint64 // the command that saw the generation first
	seen       time.Time
	month      int64
	ends       int64
	used       int
}

// clock is the clock of Redis, as of the last answer.
type clock struct {
	at   time.Time     // when the command was sent
	now  int64         // in µs
	wall time.Duration // by how much the wall clock of Redis is ahead
}

// knownFor is how long what was seen tells something of the last minute: no call takes longer.
const knownFor = 2 * time.Minute

// Option configures [New].
type Option func(*config)

type config struct {
	account  string
	plan     drift.Plan
	location *time.Location
	timeout  time.Duration
	logger   *slog.Logger
	share    int // 0: none
	length   time.Duration
}

// WithAccount names the user whose allowance it is, under any name that you choose. Stores with different names share
// nothing. The default is "default". A name has 1 to 200 bytes, no braces and no control characters.
func WithAccount(name string) Option {
	return func(c *config) { c.account = name }
}

// WithPlan refuses calls beyond the plan's number in a month. Without it, or with 0 or less, calls are counted but
// never refused. Redis does not store the plan: each process enforces its own.
func WithPlan(plan drift.Plan) Option {
	return func(c *config) { c.plan = max(plan, 0) }
}

// WithLocation sets the time zone in which months begin. The default, also for nil, is UTC. All processes must use the
// same: otherwise calls fail with [ErrTimeZone].
func WithLocation(location *time.Location) Option {
	return func(c *config) {
		if location != nil {
			c.location = location
		}
	}
}

// WithTimeout sets how long a call waits for an answer of Redis before it takes Redis for away. The default, also for 0
// or less, is 150 ms. Set it to more than three times the time to Redis and back: the first command connects first.
func WithTimeout(d time.Duration) Option {
	return func(c *config) {
		if d > 0 {
			c.timeout = d
		}
	}
}

// WithLogger logs when Redis is away, and when it is back. The default, also for nil, is no logging.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) {
		if logger != nil {
			c.logger = logger
		}
	}
}

// FailClosed makes calls fail with [ErrAway] while Redis is away. It is the default.
func FailClosed() Option {
	return func(c *config) { c.share = 0 }
}

// FallBack lets calls go on while Redis is away, perMinute of them in any 60 seconds in this process; less than 1 means
// 1. Choose it so that the shares of all processes add up to the allowance at most. The calls of the month are counted
// in memory meanwhile. Use [WithLogger] to see when it happens. Tokens and webhooks have no fallback: their errors are
// those of FailClosed.
//
// When Redis is back, the process tells it of the calls that it has made, and goes by its share for another second,
// because others do the same. A process that ends before that takes its count of the month with it.
func FallBack(perMinute int) Option {
	return func(c *config) { c.share = max(perMinute, 1) }
}

const (
	defaultAccount = "default"
	longestAccount = 200
)

// New returns a store in Redis. It does not connect: use [Store.Ping] to fail early. The client can be one of a single
// server, of Sentinel or of a cluster; the store does not close it. Close the store after the clients that use it.
func New(client redis.UniversalClient, opts ...Option) (*Store, error) {
	c := config{account: defaultAccount, location: time.UTC, timeout: defaultTimeout, length: window.Length,
		logger: slog.New(slog.DiscardHandler)}
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	switch {
	case client == nil:
		return nil, errors.New("redisstore: the Redis client is nil")
	case !validName(c.account):
		return nil, errors.New("redisstore: an account's name has 1 to 200 bytes, no braces and no control characters")
	}
	s := &Store{
		connection: &connection{client: client, addr: addrOf(client), timeout: c.timeout, logger: c.logger,
			idle: make(chan struct{})},
		prefix:   "drift:{" + c.account + "}:",
		plan:     int(c.plan),
		location: c.location,
		length:   c.length,
	}
	for _, name := range []string{"state", "slots", "returns", "recent", "calls"} {
		s.keys = append(s.keys, s.prefix+name)
	}
	if c.share > 0 {
		s.fallback = newFallback(s, c.share)
	}
	return s, nil
}

// validName reports whether a name can stand in a key: braces would change its hash tag.
func validName(name string) bool {
	return name != "" && len(name) <= longestAccount &&
		!strings.ContainsFunc(name, func(r rune) bool { return r == '{' || r == '}' || r < ' ' || r == 0x7f })
}

// Ping asks Redis for the state, as a call does. It returns an [*Error] if the store cannot be used.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.call(ctx, request{op: "look"})
	return err
}

// Close waits until Redis knows of all calls that have ended, because no call waits for that. If the context ends
// first, it returns the context's error; slots then become free later than necessary. Every other method then fails
// with [drift.ErrClosed]. The Redis client stays open.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	limiters := s.limiters
	s.mu.Unlock()
	var errs []error
	for _, l := range limiters {
		errs = append(errs, l.Close(ctx))
	}
	if s.fallback != nil {
		errs = append(errs, s.fallback.close(ctx))
	}
	return errors.Join(append(errs, s.connection.close(ctx))...)
}

//go:embed window.lua
var windowSource string

var windowScript = newScript(windowSource)

// request is one run of the window's script.
type request struct {
	op     string
	id     string // of a slot or a call
	plan   int    // 0: nothing is refused
	args   []any
	brief  bool     // it must not run once its caller has left
	counts bool     // it is about the month
	undo   []string // operations that undo it
}

// reply is its answer.
type reply struct {
	status     string
	now        int64
	generation string
	sequence   int64
	month      int64
	ends       int64
	used       int
	state      []any // if it was asked for
}

// The statuses of a reply.
const (
	statusLate  = "late"
	statusMonth = "month"
	statusZone  = "zone"
	statusQuota = "quota"
)

// call runs the window's script. If Redis's clock is not what the store expects, it asks once more.
func (s *Store) call(ctx context.Context, r request) (reply, error) {
	deadline := time.Now().Add(s.connection.timeout)
	got, err := s.connection.run(ctx, func(ctx context.Context) (any, error) {
		answer, err := s.send(ctx, r, deadline)
		for range 2 {
			if err != nil || answer.status != statusLate && answer.status != statusMonth || time.Now().After(deadline) {
				break
			}
			answer, err = s.send(ctx, r, deadline)
		}
		switch {
		case err != nil:
			return nil, err
		case answer.status == statusLate || answer.status == statusMonth:
			return nil, &Error{Addr: s.connection.addr, Reason: ErrAway, detail: "its clock jumps"}
		case answer.status == statusZone:
			return nil, &Error{Addr: s.connection.addr, Reason: ErrTimeZone}
		}
		return answer, nil
	}, func(ctx context.Context, _ any) {
		for _, op := range r.undo {
			_, _ = s.send(ctx, request{op: op, id: r.id, args: []any{0, false}}, deadline)
		}
	})
	answer, _ := got.(reply)
	return answer, err
}

// send runs the script once, and takes note of what it answers.
func (s *Store) send(ctx context.Context, r request, deadline time.Time) (reply, error) {
	sent := time.Now()
	args, issued := s.arguments(r, sent, deadline)
	raw, err := s.connection.eval(ctx, windowScript, s.keys, append(args, r.args...)...)
	if err != nil {
		return reply{}, err
	}
	answer, ok := parseReply(raw)
	if !ok {
		return reply{}, &Error{Addr: s.connection.addr, Reason: ErrUnusable, detail: "unexpected answer"}
	}
	s.learn(answer, raw, sent, issued)
	return answer, nil
}

// arguments returns the first arguments of the script: what the process knows, and when.
func (s *Store) arguments(r request, now, deadline time.Time) ([]any, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	s.counts = s.counts || r.counts
	latest := int64(0)
	if r.brief && s.clock.now > 0 {
		latest = s.clock.now + deadline.Sub(s.clock.at).Microseconds()
	}
	var month, begins, ends int64
	if s.counts {
		month = monthOf(now.Add(s.clock.wall), s.location)
		begins = startOfMonth(month, s.location).UnixMicro()
		ends = startOfMonth(month+1, s.location).UnixMicro()
	}
	k := s.known
	return []any{r.op, s.length.Microseconds(), s.margin().Microseconds(), rand.Text(), k.generation, k.sequence,
		now.Sub(k.seen) < knownFor, k.month, k.used, latest, month, begins, ends, r.plan, r.id}, s.issued
}

// margin is how much longer the slot of a call without an answer stays taken.
func (s *Store) margin() time.Duration { return window.Margin * s.length / window.Length }

// learn takes note of an answer. Answers may arrive out of order.
func (s *Store) learn(r reply, raw any, sent time.Time, issued uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !sent.Before(s.clock.at) {
		s.clock.at, s.clock.now = sent, r.now
		s.clock.wall = time.Until(time.UnixMicro(wallOf(raw)))
	}
	k := &s.known
	switch {
	case r.generation == "":
		return
	case r.generation != k.generation && issued > k.issued:
		*k = knowledge{generation: r.generation, issued: issued}
	case r.generation != k.generation || r.sequence < k.sequence:
		return
	}
	k.sequence, k.seen = r.sequence, sent
	if s.counts {
		k.month, k.ends, k.used = r.month, r.ends, r.used
	}
}

func parseReply(raw any) (reply, bool) {
	list, _ := raw.([]any)
	if len(list) < 3 {
		return reply{}, false
	}
	status, ok := list[0].(string)
	r := reply{status: status, now: integer(list[1])}
	if len(list) >= 8 {
		r.generation, _ = list[3].(string)
		r.sequence, r.month, r.ends = integer(list[4]), integer(list[5]), integer(list[6])
		r.used = int(integer(list[7]))
		r.state = list[8:]
	}
	return r, ok && r.now > 0
}

// wallOf returns the wall clock in an answer that parseReply has accepted.
func wallOf(raw any) int64 { return integer(raw.([]any)[2]) }

func integer(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}
