package redisstore

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/driftsdk/drift"
)

const (
	defaultTimeout = 150 * time.Millisecond

	// patience is how long a command may take after its caller has left, for example while a slow network connects.
	patience = 5 * time.Second

	// probeEvery is how often one caller tries whether a Redis that was away is back. The others fail at once.
	probeEvery = 100 * time.Millisecond
)

// connection runs scripts. No caller waits for longer than the timeout, however the Redis client is configured.
type connection struct {
	client  redis.UniversalClient
	addr    string
	timeout time.Duration
	logger  *slog.Logger

	mu      sync.Mutex
	away    *Error    // why the last command got no answer; nil: it got one
	probeAt time.Time // while Redis is away, when to try again
	running int       // commands
	closed  bool
	idle    chan struct{} // closed when the connection is and no command is left
}

type answer struct {
	reply any
	err   error
}

// run calls fn on a goroutine of its own, with a context that does not end with the caller's. If fn succeeds after the
// caller has left, late undoes what it did.
func (c *connection) run(
	ctx context.Context, fn func(context.Context) (any, error), late func(ctx context.Context, reply any),
) (any, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	answered, left := make(chan answer), make(chan struct{})
	go func() {
		defer c.leave()
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		reply, err := fn(detached)
		select {
		case answered <- answer{reply, err}:
		case <-left:
			if err != nil {
				return
			}
			c.note(nil)
			if late != nil {
				late(detached, reply)
			}
		}
	}()
	timer := time.NewTimer(c.timeout)
	defer timer.Stop()
	select {
	case a := <-answered:
		err := c.explain(a.err)
		c.note(err)
		return a.reply, err
	case <-ctx.Done():
		close(left)
		return nil, ctx.Err()
	case <-timer.C:
		close(left)
		err := &Error{Addr: c.addr, Reason: ErrAway, detail: "no answer within " + c.timeout.String()}
		c.note(err)
		return nil, err
	}
}

// enter counts a command in. While Redis is away, only one caller in a while gets through.
func (c *connection) enter(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.closed:
		return drift.ErrClosed
	case c.away != nil && now.Before(c.probeAt):
		return c.away
	case c.away != nil:
		c.probeAt = now.Add(max(probeEvery, c.timeout))
	}
	c.running++
	return nil
}

func (c *connection) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	c.drained()
}

func (c *connection) drained() {
	if c.closed && c.running == 0 {
		close(c.idle)
	}
}

// close refuses further commands, and waits until those under way have ended.
func (c *connection) close(ctx context.Context) error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		c.drained()
	}
	c.mu.Unlock()
	select {
	case <-c.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// explain makes an error of the Redis client one of this package.
func (c *connection) explain(err error) error {
	var own *Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	return wrap(c.addr, err)
}

// note keeps, and logs, whether Redis is away.
func (c *connection) note(err error) {
	var away *Error
	if !errors.As(err, &away) || away.Reason != ErrAway {
		away = nil
	}
	c.mu.Lock()
	before := c.away
	c.away = away
	if away != nil {
		c.probeAt = time.Now().Add(probeEvery)
	}
	c.mu.Unlock()
	switch {
	case away != nil && before == nil:
		c.logger.Warn("redisstore: Redis is away", slog.Any("err", away))
	case away == nil && before != nil:
		c.logger.Info("redisstore: Redis is back", slog.String("addr", c.addr))
	}
}

// script is a Lua script. Every script can run twice for one call without harm.
type script struct{ source, hash string }

func newScript(source string) *script {
	hash := sha1.Sum([]byte(source))
	return &script{source, hex.EncodeToString(hash[:])}
}

// eval runs a script by its hash, with its source if Redis does not have it, and again if the connection broke.
func (c *connection) eval(ctx context.Context, s *script, keys []string, args ...any) (any, error) {
	reply, err := c.evalOnce(ctx, s, keys, args)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return c.evalOnce(ctx, s, keys, args)
	}
	return reply, err
}

func (c *connection) evalOnce(ctx context.Context, s *script, keys []string, args []any) (any, error) {
	reply, err := c.send(ctx, "evalsha", s.hash, keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return c.send(ctx, "eval", s.source, keys, args)
	}
	return reply, err
}

func (c *connection) send(ctx context.Context, command, what string, keys []string, args []any) (any, error) {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, command, what, len(keys))
	for _, key := range keys {
		all = append(all, key)
	}
	cmd := onlyOnce{redis.NewCmd(ctx, append(all, args...)...)}
	cmd.SetFirstKeyPos(3)
	_ = c.client.Process(ctx, cmd)
	reply, err := cmd.Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return reply, err
}

// onlyOnce keeps the Redis client from repeating a command: its pauses would outlast the timeout and hide the reason.
type onlyOnce struct{ *redis.Cmd }

// NoRetry implements redis.Cmder.
func (onlyOnce) NoRetry() bool { return true }

// addrOf returns the address for errors. It never has a password.
func addrOf(client redis.UniversalClient) string {
	addr := ""
	switch client := client.(type) {
	case *redis.Client:
		addr = client.Options().Addr
	case *redis.ClusterClient:
		addr = strings.Join(client.Options().Addrs, ",")
	}
	if addr == "" || addr == "FailoverClient" {
		return "Redis"
	}
	return addr
}
