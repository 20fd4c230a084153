package redisstore_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/redisstore"
)

const (
	crowd    = 8 // processes
	routines = 8 // in each
)

func init() { children["calls"] = func(args []string) error { return callFor(args) } }

// callFor makes calls as one of many processes: the address of Redis, that of the service, the limit, the minute, how
// many calls, and whether the month is counted in Redis.
func callFor(args []string) error {
	limit, _ := strconv.Atoi(args[2])
	minute, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	calls, _ := strconv.Atoi(args[4])
	client := redis.NewClient(&redis.Options{Addr: args[0], DialerRetries: 1})
	defer client.Close()
	store, err := redisstore.New(client, redisstore.WithMinute(minute), redisstore.WithTimeout(2*time.Second))
	if err != nil {
		return err
	}
	l := store.ShortLimiter(limit)
	jobs := make(chan struct{}, calls)
	for range calls {
		jobs <- struct{}{}
	}
	close(jobs)
	errs := make([]error, routines)
	var group sync.WaitGroup
	for i := range routines {
		group.Go(func() { errs[i] = callInTurn(l, store, args[1], jobs) })
	}
	group.Wait()
	return errors.Join(append(errs, store.Close(context.Background()))...)
}

func callInTurn(l *redisstore.Limiter, store *redisstore.Store, addr string, jobs <-chan struct{}) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	b, ctx := make([]byte, 1), context.Background()
	turn := drift.Turn{Timeout: time.Second, Quota: store}
	for range jobs {
		slot, err := l.Acquire(ctx, turn)
		for errors.Is(err, redisstore.ErrAway) {
			time.Sleep(10 * time.Millisecond)
			slot, err = l.Acquire(ctx, turn)
		}
		if err != nil {
			return err
		}
		if _, err := conn.Write([]byte{1}); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, b); err != nil {
			return err
		}
		result := answered
		if b[0] == 'X' {
			result.StatusCode = 429
		}
		if err := slot.Done(ctx, result); err != nil {
			return err
		}
	}
	return nil
}

func startCrowd(t *testing.T, s *server, c *counter, calls int) []*exec.Cmd {
	var all []*exec.Cmd
	for range crowd {
		cmd := child(t, "calls", s.addr, c.listener.Addr(), c.limit, c.minute, calls)
		require.NoError(t, cmd.Start())
		all = append(all, cmd)
	}
	t.Cleanup(func() {
		for _, cmd := range all {
			_ = cmd.Process.Kill()
		}
	})
	return all
}

// Eight processes with eight goroutines each use the whole allowance, and no more. DRIFT_CALLS and DRIFT_MINUTE make it
// longer.
func TestManyProcesses(t *testing.T) {
	s := startRedis(t)
	c := startCounter(t, 100, length(t, "DRIFT_MINUTE", time.Second))
	n := number(t, "DRIFT_CALLS", 600)
	for _, cmd := range startCrowd(t, s, c, n/crowd) {
		require.NoError(t, cmd.Wait())
	}
	calls, refused := c.counted()
	least, took := time.Duration((calls-1)/c.limit)*c.minute, c.arrivals[calls-1].Sub(c.arrivals[0])
	t.Logf("%d calls, %d refused, in %v, which is %.3f of the least time", calls, refused, took.Round(time.Millisecond),
		took.Seconds()/least.Seconds())
	assert.Zero(t, refused)
	assert.Less(t, took, 2*least)
	usage, err := s.open().Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, calls, usage.Used)
}

// Processes are killed in the middle of calls, and others take their places.
func TestManyProcessesThatAreKilled(t *testing.T) {
	s := startRedis(t)
	c := startCounter(t, 50, 500*time.Millisecond)
	all := startCrowd(t, s, c, 1_000_000)
	kills := number(t, "DRIFT_KILLS", 24)
	for range kills {
		time.Sleep(rand.N(100 * time.Millisecond))
		i := rand.IntN(crowd)
		_ = all[i].Process.Kill()
		_ = all[i].Wait()
		all[i] = child(t, "calls", s.addr, c.listener.Addr(), c.limit, c.minute, 1_000_000)
		require.NoError(t, all[i].Start())
	}
	stopAll(all)
	calls, refused := c.counted()
	t.Logf("%d kills, %d calls, %d refused", kills, calls, refused)
	assert.Zero(t, refused)
	assert.Greater(t, calls, c.limit)
	usage, err := s.open().Usage(t.Context())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, usage.Used, calls, "never too low")
}

// Redis is killed and loses everything, again and again. The minute is long enough for a slot that could not be given
// back to be given back a second later.
func TestManyProcessesAndARedisThatLosesItsData(t *testing.T) {
	s := startRedis(t)
	c := startCounter(t, 50, 2*time.Second)
	all := startCrowd(t, s, c, 1_000_000)
	restarts := number(t, "DRIFT_RESTARTS", 3)
	for range restarts {
		time.Sleep(c.minute + rand.N(c.minute))
		s.kill()
		time.Sleep(rand.N(c.minute / 2))
		s.start()
	}
	time.Sleep(3 * c.minute)
	stopAll(all)
	calls, refused := c.counted()
	t.Logf("%d restarts, %d calls, %d refused", restarts, calls, refused)
	assert.Zero(t, refused)
	assert.Greater(t, calls, 2*c.limit)
	usage, err := s.open().Usage(t.Context())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, usage.Used, calls, "never too low")
	assert.LessOrEqual(t, usage.Used, calls+(restarts+1)*crowd*routines)
}

// Redis is stopped and goes on, again and again: what was asked meanwhile must not count.
func TestManyProcessesAndARedisThatStops(t *testing.T) {
	s := startRedis(t)
	c := startCounter(t, 50, 500*time.Millisecond)
	all := startCrowd(t, s, c, 1_000_000)
	for range 4 {
		time.Sleep(c.minute)
		s.stop()
		time.Sleep(rand.N(c.minute))
		s.resume()
	}
	time.Sleep(c.minute)
	stopAll(all)
	calls, refused := c.counted()
	t.Logf("%d calls, %d refused", calls, refused)
	assert.Zero(t, refused)
}

func stopAll(all []*exec.Cmd) {
	for _, cmd := range all {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
