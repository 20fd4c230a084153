package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/redisstore"
)

const password = "hunter2-secret"

// tryAll tries everything that asks Redis, and returns the errors.
func tryAll(t *testing.T, store *redisstore.Store) map[string]error {
	errs := make(map[string]error)
	within := func(name string, fn func() error) {
		start := time.Now()
		errs[name] = fn()
		assert.Less(t, time.Since(start), 200*time.Millisecond, name)
	}
	within("Acquire", func() error { _, err := store.Limiter(100).Acquire(t.Context(), drift.Turn{}); return err })
	within("Reserve", func() error { _, err := store.Reserve(t.Context()); return err })
	within("Usage", func() error { _, err := store.Usage(t.Context()); return err })
	within("Ping", func() error { return store.Ping(t.Context()) })
	within("Lock", func() error {
		unlock, err := store.Tokens("x").Lock(t.Context())
		if err == nil {
			unlock()
		}
		return err
	})
	within("Prepare", func() error { return store.Tokens("x").Prepare(t.Context()) })
	within("Claim", func() error { _, err := store.Dedup().Claim(t.Context(), "key", time.Minute); return err })
	return errs
}

func requireReason(t *testing.T, err, reason error, names ...string) {
	t.Helper()
	require.ErrorIs(t, err, reason)
	var own *redisstore.Error
	require.ErrorAs(t, err, &own)
	assert.NotErrorIs(t, err, context.DeadlineExceeded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text := fmt.Sprintf(verb, err)
		assert.NotContains(t, text, password)
		for _, name := range names {
			assert.Contains(t, text, name)
		}
	}
}

func TestRedisThatIsNotThere(t *testing.T) {
	needRedis(t)
	addr := freeAddr(t)
	client := redis.NewClient(&redis.Options{Addr: addr, Password: password})
	t.Cleanup(func() { _ = client.Close() })
	for name, err := range tryAll(t, open(t, client)) {
		t.Log(name, err)
		requireReason(t, err, redisstore.ErrAway, addr)
		assert.True(t, errors.As(err, new(interface{ Temporary() bool })))
	}
}

func TestRedisThatIsStopped(t *testing.T) {
	s := startRedis(t)
	var log logs
	store := s.open(redisstore.WithLogger(log.logger()), redisstore.WithPlan(drift.PlanStarter))
	l := store.Limiter(100)
	slot, err := l.Acquire(t.Context(), drift.Turn{Quota: store})
	require.NoError(t, err)
	require.NoError(t, slot.Done(t.Context(), answered))
	require.Eventually(t, func() bool { return look(t, store.Window()).InFlight == 0 }, time.Second, time.Millisecond)
	s.stop()
	for _, err := range tryAll(t, store) {
		requireReason(t, err, redisstore.ErrAway, s.addr)
	}
	require.Error(t, store.Ping(t.Context()))
	start := time.Now()
	for range 100 {
		require.Error(t, store.Ping(t.Context()))
	}
	assert.Less(t, time.Since(start), 500*time.Millisecond, "one caller in a while asks Redis, the others fail at once")
	for range 3 {
		time.Sleep(110 * time.Millisecond) // so that the next caller asks Redis
		_, err = l.Acquire(t.Context(), drift.Turn{Quota: store})
		requireReason(t, err, redisstore.ErrAway, "no answer within 150ms")
	}
	s.resume()
	require.Eventually(t, func() bool { return store.Ping(t.Context()) == nil }, 2*time.Second, 10*time.Millisecond)
	time.Sleep(100 * time.Millisecond) // what was sent meanwhile has come to nothing
	state := look(t, store.Window())
	assert.Zero(t, state.InFlight)
	assert.Len(t, state.Returns, 1)
	usage, err := store.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, usage.Used)
	assert.Equal(t, 1, strings.Count(log.String(), "Redis is away"), log.String())
	assert.Equal(t, 1, strings.Count(log.String(), "Redis is back"), log.String())
}

// A command that waited in a socket until its caller and the connection were gone does nothing.
func TestCommandThatArrivesLate(t *testing.T) {
	s := startRedis(t)
	client := redis.NewClient(&redis.Options{Addr: s.addr, ReadTimeout: 50 * time.Millisecond, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	store := open(t, client)
	require.NoError(t, store.Ping(t.Context()))
	s.stop()
	_, err := store.Limiter(100).Acquire(t.Context(), drift.Turn{Quota: store})
	requireReason(t, err, redisstore.ErrAway, "timeout")
	time.Sleep(200 * time.Millisecond)
	s.resume()
	other := s.open(redisstore.WithTimeout(time.Second))
	require.NoError(t, other.Ping(t.Context()))
	time.Sleep(50 * time.Millisecond)
	state := look(t, other.Window())
	assert.Zero(t, state.InFlight)
	usage, err := other.Usage(t.Context())
	require.NoError(t, err)
	assert.Zero(t, usage.Used)
}

func TestRedisThatIsKilledAndComesBack(t *testing.T) {
	s := startRedis(t)
	store := s.open()
	require.NoError(t, store.Ping(t.Context()))
	s.kill()
	requireReason(t, store.Ping(t.Context()), redisstore.ErrAway)
	s.start()
	start := time.Now()
	require.Eventually(t, func() bool { return store.Ping(t.Context()) == nil }, 3*time.Second, 10*time.Millisecond)
	t.Logf("back after %v", time.Since(start))
}

// A Redis that has lost its data does not let more calls through, nor start the month again.
func TestRedisThatIsRestartedEmpty(t *testing.T) {
	s := startRedis(t)
	a, b := s.open(redisstore.WithPlan(100)), s.open(redisstore.WithPlan(100))
	for range 3 {
		_, err := a.Reserve(t.Context())
		require.NoError(t, err)
	}
	slot := take(t, a.Window(), nil).Slot
	_, err := b.Reserve(t.Context())
	require.NoError(t, err)
	s.restartEmpty()
	require.Eventually(t, func() bool { return a.Ping(t.Context()) == nil }, 3*time.Second, 10*time.Millisecond)
	assert.Zero(t, take(t, a.Window(), nil).Slot)
	state := look(t, a.Window())
	assert.InDelta(t, 63*time.Second, state.Pause, float64(5*time.Second), "the minute counts as used")
	assert.Zero(t, take(t, s.open().Window(), nil).Slot, "also for a new process")

	usage, err := a.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, usage.Used, "as a has seen it")
	_, err = a.Reserve(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.Ping(t.Context()) == nil }, 3*time.Second, 10*time.Millisecond)
	usage, err = b.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 5, usage.Used, "b has seen the fourth, and the fifth came after that")
	assert.LessOrEqual(t, look(t, b.Window()).Pause, state.Pause, "the pause does not begin again")
	give(t, a.Window(), slot, used)
	assert.Len(t, look(t, a.Window()).Returns, 1, "a call that was under way")
}

// A process that comes before the others does not know that something is gone. The others tell.
func TestRestartedEmptyWithANewProcessFirst(t *testing.T) {
	s := startRedis(t)
	old := s.open()
	_, err := old.Reserve(t.Context())
	require.NoError(t, err)
	s.restartEmpty()
	fresh := s.open()
	require.Eventually(t, func() bool { return fresh.Ping(t.Context()) == nil }, 3*time.Second, 10*time.Millisecond)
	_, err = fresh.Reserve(t.Context())
	require.NoError(t, err)
	require.NotZero(t, take(t, fresh.Window(), nil).Slot)
	require.Eventually(t, func() bool { return old.Ping(t.Context()) == nil }, 3*time.Second, 10*time.Millisecond)
	assert.Zero(t, take(t, fresh.Window(), nil).Slot)
	assert.Positive(t, look(t, fresh.Window()).Pause)
	usage, err := fresh.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, usage.Used)
}

// A replica that takes over, or a file that is older, lacks the last changes.
func TestRedisThatHasLostTheLastChanges(t *testing.T) {
	s := startRedis(t)
	store := s.open()
	reserve := func() int {
		r, err := store.Reserve(t.Context())
		require.NoError(t, err)
		return r.Usage().Used
	}
	reserve()
	client := s.client()
	before, err := client.Dump(t.Context(), "drift:{default}:state").Result()
	require.NoError(t, err)
	require.Equal(t, 2, reserve())
	require.Equal(t, 3, reserve())
	require.NoError(t, client.RestoreReplace(t.Context(), "drift:{default}:state", 0, before).Err())
	assert.Equal(t, 4, reserve())
	assert.Positive(t, look(t, store.Window()).Pause)
	assert.Equal(t, 5, reserve())
}

func TestRedisOutOfMemory(t *testing.T) {
	s := startRedis(t, "--maxmemory-policy", "noeviction")
	store, client := s.open(), s.client()
	w := store.Window()
	slot := take(t, w, nil).Slot
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "1").Err())
	for name, err := range tryAll(t, store) {
		if name == "Reserve" {
			t.Log(err)
		}
		requireReason(t, err, redisstore.ErrFull, s.addr)
	}
	_, err := w.Give(t.Context(), slot, used)
	requireReason(t, err, redisstore.ErrFull)
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "0").Err())
	state := look(t, w)
	assert.Equal(t, 1, state.InFlight, "nothing has changed")
	assert.Len(t, give(t, w, slot, drift.WindowEnd{Back: time.Minute, Refused: true}).Returns, 1)
}

func TestRedisThatIsAReplica(t *testing.T) {
	master := startRedis(t)
	_, port, err := net.SplitHostPort(master.addr)
	require.NoError(t, err)
	replica := startRedis(t, "--replicaof", "127.0.0.1 "+port)
	require.Eventually(t, func() bool {
		info, _ := replica.client().Info(t.Context(), "replication").Result()
		return strings.Contains(info, "master_link_status:up")
	}, 10*time.Second, 20*time.Millisecond)
	for name, err := range tryAll(t, replica.open()) {
		t.Log(name, err)
		requireReason(t, err, redisstore.ErrReadOnly, replica.addr)
	}
}

func TestRedisThatDeniesAccess(t *testing.T) {
	s := startRedis(t, "--requirepass", "another")
	for _, err := range tryAll(t, s.open()) {
		requireReason(t, err, redisstore.ErrDenied, s.addr)
	}
	client := redis.NewClient(&redis.Options{Addr: s.addr, Password: password})
	t.Cleanup(func() { _ = client.Close() })
	for _, err := range tryAll(t, open(t, client)) {
		requireReason(t, err, redisstore.ErrDenied, s.addr)
	}
}

func TestScriptsThatRedisForgets(t *testing.T) {
	s := startRedis(t)
	store := s.open()
	require.NoError(t, store.Ping(t.Context()))
	require.NoError(t, s.client().ScriptFlush(t.Context()).Err())
	for _, err := range tryAll(t, store) {
		require.NoError(t, err)
	}
}

func TestSomethingElseUnderTheKeys(t *testing.T) {
	s := startRedis(t)
	require.NoError(t, s.client().Set(t.Context(), "drift:{default}:state", "x", 0).Err())
	requireReason(t, s.open().Ping(t.Context()), redisstore.ErrUnusable, "WRONGTYPE")
}

func TestSlowNetwork(t *testing.T) {
	s := startRedis(t)
	p := startProxy(t, s.addr, 20*time.Millisecond)
	client := redis.NewClient(&redis.Options{Addr: p.addr()})
	t.Cleanup(func() { _ = client.Close() })
	store := open(t, client)
	require.Eventually(t, func() bool { return store.Ping(t.Context()) == nil }, 3*time.Second, 10*time.Millisecond,
		"the first command may only connect")
	l := store.Limiter(100)
	start := time.Now()
	slot, err := l.Acquire(t.Context(), drift.Turn{Quota: store})
	require.NoError(t, err)
	assert.Less(t, time.Since(start), 100*time.Millisecond, "one round trip")
	start = time.Now()
	require.NoError(t, slot.Done(t.Context(), answered))
	assert.Less(t, time.Since(start), 10*time.Millisecond, "nobody waits for the second")
	p.cut()
	require.Eventually(t, func() bool { return store.Ping(t.Context()) == nil }, 3*time.Second, 10*time.Millisecond)
}

// The error of a call says what is wrong, and that nothing was sent.
func TestErrorOfACall(t *testing.T) {
	s := startRedis(t)
	store := s.open()
	service := drifttest.Start(t)
	client := service.Client(drift.WithLimiter(store.Limiter(100)), drift.WithQuotaStore(store), drift.WithoutRetry())
	s.kill()
	start := time.Now()
	_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
	assert.Less(t, time.Since(start), 250*time.Millisecond)
	require.ErrorIs(t, err, redisstore.ErrAway)
	var failed *drift.TransportError
	require.ErrorAs(t, err, &failed)
	assert.False(t, failed.Sent)
	assert.Contains(t, err.Error(), "the limiter failed: Redis does not answer")
	assert.Empty(t, service.Requests())
}
