package filestore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/filestore"
)

func init() {
	children["calls until it is killed"] = callUntilKilled
	children["calls as one of many"] = callAsOneOfMany
	children["calls among many until it is killed"] = callAmongMany
	children["calls through the limiter"] = callThroughLimiter
	children["holds slots"] = holdSlots
	children["holds the lock"] = holdLock
}

// A short minute lets processes of the system go through many.
const shortMinute = 250 * time.Millisecond

// kills is how many processes a test kills: DRIFT_KILLS, or else a few.
func kills(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("DRIFT_KILLS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

func TestCountAfterKills(t *testing.T) {
	path := newPath(t)
	n := kills(t, 25)
	sent := 0
	for i := range n {
		p := start(t, "calls until it is killed", path)
		time.AfterFunc(time.Duration(rand.Int64N(int64(30*time.Millisecond))), func() { _ = p.cmd.Process.Kill() })
		sent++ // the word for which start has waited
		for p.said.Scan() {
			sent++
		}
		_ = p.cmd.Wait()

		count := used(t, open(t, path), time.Now())
		require.GreaterOrEqual(t, count, sent, "after %d kills", i+1)
		require.LessOrEqual(t, count, sent+i+1)
	}
	t.Logf("%d calls before %d kills, %d counted", sent, n, used(t, open(t, path), time.Now()))
	assert.Greater(t, sent, n)
}

// callUntilKilled says a word for each call, when it would send it.
func callUntilKilled(path string) error {
	q, err := filestore.OpenQuota(path, filestore.WithLength(time.Millisecond))
	if err != nil {
		return err
	}
	store := filestore.WindowOf(q, 1000)
	for {
		state, err := store.Take(background, drift.WindowClaim{Capacity: 1000, InFlight: 1000, Quota: q})
		if err != nil {
			return err
		}
		if state.Slot == 0 {
			continue
		}
		if _, err := fmt.Println("sent"); err != nil {
			return err
		}
		if _, err := store.Give(background, state.Slot, drift.WindowEnd{Back: time.Millisecond}); err != nil {
			return err
		}
	}
}

const (
	crowd         = 8
	crowdLimit    = 24
	crowdRoutines = 8
	crowdPlan     = 150
)

// readArrivals returns when the calls of all processes have arrived.
func readArrivals(t *testing.T, path string) (times []time.Time) {
	t.Helper()
	log, err := os.ReadFile(path + ".log")
	require.NoError(t, err)
	for record := range slices.Chunk(log, 8) {
		times = append(times, time.Unix(0, int64(binary.LittleEndian.Uint64(record))))
	}
	return times
}

func TestManyProcessesOnOneFile(t *testing.T) {
	path := newPath(t)
	var wg sync.WaitGroup
	for range crowd {
		cmd := child(t, "calls as one of many", path)
		wg.Go(func() { assert.NoError(t, cmd.Run()) })
	}
	wg.Wait()

	times := readArrivals(t, path)
	assert.Len(t, times, crowdPlan, "what the plan allows, and no call more")
	assert.Equal(t, crowdPlan, used(t, open(t, path), time.Now()))
	checkBusiest(t, times, crowdLimit, shortMinute)
}

// Processes that are killed again and again, whatever their calls are about to do, and others in their place.
func TestKilledAmongMany(t *testing.T) {
	path := newPath(t)
	n := kills(t, 12)
	processes := make([]*process, crowd)
	for i := range processes {
		processes[i] = start(t, "calls among many until it is killed", path)
	}
	for i := range n {
		time.Sleep(time.Duration(rand.Int64N(int64(shortMinute))))
		processes[i%crowd].kill()
		processes[i%crowd] = start(t, "calls among many until it is killed", path)
	}
	time.Sleep(2 * shortMinute)
	for _, p := range processes {
		p.kill()
	}
	times := readArrivals(t, path)
	checkBusiest(t, times, crowdLimit, shortMinute)
	count := used(t, open(t, path), time.Now())
	t.Logf("%d calls, %d kills of processes with %d callers, %d counted", len(times), n+crowd, crowdRoutines, count)
	assert.GreaterOrEqual(t, count, len(times))
	assert.LessOrEqual(t, count, len(times)+(n+crowd)*crowdRoutines)
	assert.Greater(t, len(times), crowdLimit)
}

func callAmongMany(path string) error {
	fmt.Println("started")
	return callFromMany(path, 0)
}

func callAsOneOfMany(path string) error { return callFromMany(path, crowdPlan) }

// callFromMany makes calls from many goroutines until the plan is used up.
func callFromMany(path string, plan drift.Plan) error {
	q, err := filestore.OpenQuota(path, filestore.WithPlan(plan), filestore.WithLength(shortMinute))
	if err != nil {
		return err
	}
	log, err := os.OpenFile(path+".log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	failed := make(chan error, crowdRoutines)
	for range crowdRoutines {
		go func() { failed <- callSome(q, filestore.WindowOf(q, crowdLimit), log) }()
	}
	for range crowdRoutines {
		err = errors.Join(err, <-failed)
	}
	return errors.Join(err, log.Close(), q.Close())
}

func callSome(q *filestore.Quota, store drift.WindowStore, log io.Writer) error {
	for {
		state, err := store.Take(background, drift.WindowClaim{Capacity: crowdLimit, InFlight: crowdLimit, Lease: time.Second,
			Quota: q})
		switch {
		case errors.Is(err, drift.ErrQuotaExceeded):
			return nil
		case err != nil:
			return err
		case state.Slot == 0:
			time.Sleep(time.Millisecond)
			continue
		}
		time.Sleep(time.Duration(rand.Int64N(int64(5 * time.Millisecond))))
		if _, err := log.Write(binary.LittleEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))); err != nil {
			return err
		}
		time.Sleep(time.Duration(rand.Int64N(int64(5 * time.Millisecond))))
		if _, err := store.Give(background, state.Slot, drift.WindowEnd{Back: shortMinute}); err != nil {
			return err
		}
	}
}

// The same through the limiter, in real minutes: DRIFT_KILLS processes are killed in two and a half of them.
func TestKilledInRealMinutes(t *testing.T) {
	if os.Getenv("DRIFT_KILLS") == "" {
		t.Skip("takes minutes; set DRIFT_KILLS")
	}
	path := newPath(t)
	n := kills(t, 0)
	begin := time.Now()
	processes := make([]*process, crowd)
	for i := range processes {
		processes[i] = start(t, "calls through the limiter", path)
	}
	for i := range n {
		time.Sleep(time.Until(begin.Add(150 * time.Second * time.Duration(i+1) / time.Duration(n))))
		processes[i%crowd].kill()
		processes[i%crowd] = start(t, "calls through the limiter", path)
	}
	for _, p := range processes {
		p.kill()
	}
	times := readArrivals(t, path)
	checkBusiest(t, times, drift.DefaultRateLimit, time.Minute)
	count := used(t, open(t, path), time.Now())
	t.Logf("%d calls, %d kills of processes with %d callers, %d counted", len(times), n+crowd, crowdRoutines, count)
	assert.GreaterOrEqual(t, count, len(times))
	assert.LessOrEqual(t, count, len(times)+(n+crowd)*crowdRoutines)
	assert.Greater(t, len(times), drift.DefaultRateLimit)
}

func callThroughLimiter(path string) error {
	q, err := filestore.OpenQuota(path)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(path+".log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	fmt.Println("started")
	l := q.Limiter(drift.DefaultRateLimit)
	failed := make(chan error, crowdRoutines)
	for range crowdRoutines {
		go func() {
			for {
				slot, err := l.Acquire(background, drift.Turn{Timeout: 30 * time.Second, Quota: q})
				if err != nil {
					failed <- err
					return
				}
				time.Sleep(time.Duration(rand.Int64N(int64(100 * time.Millisecond))))
				_, _ = log.Write(binary.LittleEndian.AppendUint64(nil, uint64(time.Now().UnixNano())))
				time.Sleep(time.Duration(rand.Int64N(int64(100 * time.Millisecond))))
				_ = slot.Done(background, answered)
			}
		}()
	}
	return <-failed
}

func holdSlots(path string) error {
	q, err := filestore.OpenQuota(path)
	if err != nil {
		return err
	}
	store := filestore.WindowOf(q, 10)
	for i := range 3 {
		state, err := store.Take(background, drift.WindowClaim{Capacity: 10, InFlight: 10})
		switch {
		case err != nil:
			return err
		case state.Slot == 0:
			return errors.New("no slot")
		case i > 0:
			continue
		}
		if _, err := store.Give(background, state.Slot, drift.WindowEnd{Back: time.Nanosecond}); err != nil {
			return err
		}
	}
	fmt.Println("taken")
	_, err = io.Copy(io.Discard, os.Stdin) // until it is killed
	return err
}

func TestSlotsOfAKilledProcess(t *testing.T) {
	path := newPath(t)
	p := startHolding(t, "holds slots", path)
	synctest.Test(t, func(t *testing.T) {
		l := open(t, path).Limiter(10)
		use(t, l, 1) // once the slow first minute is over
		time.Sleep(2 * time.Minute)
		use(t, l, 8)
		late(t, l, drift.ClassInteractive, 59*time.Second)
		time.Sleep(10 * time.Minute)
		use(t, l, 8)
		late(t, l, drift.ClassInteractive, 59*time.Second) // it still runs, and so do its calls

		p.kill()
		start := time.Now()
		late(t, l, drift.ClassInteractive, 59*time.Second)
		time.Sleep(10 * time.Second)
		use(t, l, 10)
		assert.InDelta(t, 63, time.Since(start).Seconds(), 0.01)
	})
}

// startHolding starts a child that ends when its standard input does.
func startHolding(t *testing.T, role, path string) *process {
	t.Helper()
	return start(t, role, path, func(cmd *exec.Cmd) {
		_, err := cmd.StdinPipe()
		require.NoError(t, err)
	})
}

func holdLock(path string) error {
	unlock, err := filestore.Lock(path)
	if err != nil {
		return err
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return unlock()
}

func TestLockOfAKilledProcess(t *testing.T) {
	path := newPath(t)
	q := open(t, path)
	reserve(t, q, noon)
	p := startHolding(t, "holds the lock", path)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := q.Reserve(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	p.kill()
	assert.Equal(t, 2, reserve(t, q, noon).Used)
}

// A client that ends within a minute, and another one after it: the service has nothing to complain about.
func TestClientsOneAfterTheOther(t *testing.T) {
	const perMinute = 5
	path := newPath(t)
	server := drifttest.Start(t, drifttest.WithLimits(perMinute, 0), drifttest.WithDemoData())
	answers := 0
	connect := func() (*drift.Client, func()) {
		q, err := filestore.OpenQuota(path, filestore.WithPlan(drift.PlanStarter))
		require.NoError(t, err)
		client := server.Client(drift.WithQuotaStore(q), drift.WithLimiter(q.Limiter(perMinute)), drift.WithHooks(drift.Hooks{
			Attempt: func(a drift.AttemptInfo) {
				answers++
				assert.Equal(t, 200, a.StatusCode)
			},
		}))
		return client, func() {
			assert.NoError(t, client.Close())
			assert.NoError(t, q.Close())
		}
	}
	list := func(client *drift.Client) error {
		_, err := client.Contacts.List(within(t, 5*time.Second), drift.ContactListOptions{})
		return err
	}
	for range 2 {
		client, disconnect := connect()
		require.NoError(t, list(client))
		require.NoError(t, list(client))
		disconnect()
	}
	client, disconnect := connect()
	require.NoError(t, list(client))
	for range 3 {
		err := list(client)
		var limited *drift.RateLimitError
		require.ErrorAs(t, err, &limited)
		assert.True(t, limited.Local)
	}
	usage, err := client.Quota(t.Context())
	require.NoError(t, err)
	assert.Equal(t, perMinute, usage.Used)
	disconnect()
	assert.Equal(t, perMinute, answers)
	minute, month := server.Used()
	assert.Equal(t, perMinute, minute)
	assert.Equal(t, perMinute, month)
}

// What is not sent is not counted.
func TestClientThatCannotSend(t *testing.T) {
	q := open(t, newPath(t))
	client, err := drift.NewClient(drift.WithToken("secret"), drift.WithBaseURL("http://127.0.0.1:1"), drift.WithQuotaStore(q),
		drift.WithLimiter(q.Limiter(10)), drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond}))
	require.NoError(t, err)
	for range 5 {
		_, err = client.Contacts.Get(t.Context(), 1)
		require.Error(t, err)
		require.NotErrorIs(t, err, drift.ErrRateLimited)
	}
	assert.Zero(t, used(t, q, time.Now()))
	require.NoError(t, client.Close())
}

func TestClientTellsThatTheFileIsGone(t *testing.T) {
	path := newPath(t)
	q, err := filestore.OpenQuota(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("x", 40960)), 0o600))
	server := drifttest.Start(t)
	client := server.Client(drift.WithQuotaStore(q), drift.WithLimiter(q.Limiter(10)))
	_, err = client.Contacts.Get(t.Context(), 1)
	require.ErrorIs(t, err, filestore.ErrCorrupt)
	var failed *drift.TransportError
	require.ErrorAs(t, err, &failed)
	assert.False(t, failed.Sent)
	assert.Empty(t, server.Requests())
	require.NoError(t, q.Close())
}
