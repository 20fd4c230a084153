package redisstore

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/driftsdk/drift/webhook"
)

// Dedup is a [webhook.Dedup] in Redis, for all processes that receive the webhooks of one app. Its errors are an
// [*Error]; the handler then answers so that Drift delivers the event again. Create one with [Store.Dedup].
type Dedup struct{ store *Store }

var _ webhook.Dedup = (*Dedup)(nil)

// Dedup returns a store for the deliveries of one app. Each app needs an account of its own; see [WithAccount].
func (s *Store) Dedup() *Dedup { return &Dedup{s} }

// A key holds "done", or else the claim's number, so that a claim that is repeated finds itself.
var claimScript = newScript(`
local held = redis.call('GET', KEYS[1])
if held == 'done' then
	return 3
elseif held and held ~= ARGV[1] then
	return 2
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

var doneScript = newScript(`return redis.call('SET', KEYS[1], 'done', 'PX', ARGV[1])`)

var abandonScript = newScript(`return redis.call('DEL', KEYS[1])`)

// Claim implements [webhook.Dedup]. It is atomic among all processes.
func (d *Dedup) Claim(ctx context.Context, key string, lease time.Duration) (webhook.Claim, error) {
	claim, err := d.run(ctx, claimScript, key, func(ctx context.Context, reply any) {
		if integer(reply) == int64(webhook.Claimed) {
			_, _ = d.store.connection.eval(ctx, abandonScript, d.keys(key))
		}
	}, rand.Text(), milliseconds(lease))
	return webhook.Claim(integer(claim)), err
}

// Done implements [webhook.Dedup].
func (d *Dedup) Done(ctx context.Context, key string, keep time.Duration) error {
	_, err := d.run(ctx, doneScript, key, nil, milliseconds(keep))
	return err
}

// Abandon implements [webhook.Dedup].
func (d *Dedup) Abandon(ctx context.Context, key string) error {
	_, err := d.run(ctx, abandonScript, key, nil)
	return err
}

func (d *Dedup) run(
	ctx context.Context, s *script, key string, late func(context.Context, any), args ...any,
) (any, error) {
	c := d.store.connection
	return c.run(ctx, func(ctx context.Context) (any, error) {
		return c.eval(ctx, s, d.keys(key), args...)
	}, late)
}

func (d *Dedup) keys(key string) []string { return []string{d.store.prefix + "webhook:" + key} }

// milliseconds is at least 1, because Redis does not take 0.
func milliseconds(d time.Duration) int64 { return max(1, d.Milliseconds()) }
