// Command fleet runs eight processes that share one allowance through Redis. Each makes as many calls of a long job as
// it may: WithBulk spaces those of all processes evenly. A line each second shows how many calls each process has made.
// The service refuses none of them.
//
//	redis-server --port 6379 &
//	go run ./examples/fleet -redis localhost:6379
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the processes call an in-memory Drift
// server that enforces Drift's limit.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/redisstore"
)

const (
	processes = 8

	// redisVariable tells a process that it is one of the eight, and where Redis is.
	redisVariable = "DRIFT_FLEET_REDIS"
)

func main() {
	addr := flag.String("redis", "", "host and `port` of Redis")
	length := flag.Duration("for", 2*time.Minute, "how long to run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch worker := os.Getenv(redisVariable); {
	case worker != "":
		err = work(ctx, worker, os.Stdout)
	case *addr == "":
		err = errors.New("start redis-server, and pass its address: -redis localhost:6379")
	default:
		err = start(ctx, *addr, *length, os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// work is the part to copy: one of the processes.
func work(ctx context.Context, addr string, w io.Writer) error {
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	store, err := redisstore.New(rdb, redisstore.WithAccount("fleet"), redisstore.WithPlan(drift.PlanProfessional))
	if err != nil {
		return err
	}
	defer func() { _ = store.Close(context.WithoutCancel(ctx)) }() // after the client
	client, err := drift.NewClient(
		drift.FromEnv(),
		drift.WithLimiter(store.Limiter(drift.DefaultRateLimit)),
		drift.WithQuotaStore(store),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	job := client.With(drift.WithBulk())
	for {
		var response drift.Response
		_, err := job.Contacts.List(ctx, drift.ContactListOptions{Limit: 1}, drift.WithResponse(&response))
		for _, attempt := range response.Attempts {
			fmt.Fprintln(w, attempt.StatusCode)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, addr string, length time.Duration, w io.Writer) error {
	environment := append(os.Environ(), redisVariable+"="+addr)
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
		server := drifttest.NewServer(drifttest.WithDemoData(), drifttest.WithLimits(drift.DefaultRateLimit, 0))
		defer server.Close()
		environment = append(environment, "DRIFT_BASE_URL="+server.URL, "DRIFT_TOKEN="+drifttest.DefaultToken)
	}
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	board := new(scoreboard)
	var group sync.WaitGroup
	errs := make([]error, processes)
	for i := range processes {
		group.Go(func() { errs[i] = watch(ctx, environment, func(status int) { board.note(i, status) }) })
	}
	board.show(ctx, w)
	group.Wait()
	board.summary(w)
	return errors.Join(errs...)
}

// watch runs a process until the context ends, and reports the status of each of its attempts.
func watch(ctx context.Context, environment []string, report func(status int)) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Env, cmd.Stderr, cmd.WaitDelay = environment, os.Stderr, 5*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if status, err := strconv.Atoi(lines.Text()); err == nil {
			report(status)
		}
	}
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// scoreboard counts the calls of all processes.
type scoreboard struct {
	mu      sync.Mutex
	calls   [processes]int
	refused int
}

func (s *scoreboard) note(process, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[process]++
	if status == http.StatusTooManyRequests {
		s.refused++
	}
}

// show prints a line each second: the calls of each process so far, and of all.
func (s *scoreboard) show(ctx context.Context, w io.Writer) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for second := 1; ; second++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			fmt.Fprintf(w, "%4d s  %s\n", second, s)
		}
	}
}

func (s *scoreboard) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	total := 0
	for _, calls := range s.calls {
		fmt.Fprintf(&b, "%5d", calls)
		total += calls
	}
	fmt.Fprintf(&b, "   all: %d, 429s: %d", total, s.refused)
	return b.String()
}

func (s *scoreboard) summary(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, calls := range s.calls {
		total += calls
	}
	fmt.Fprintf(w, "Calls of all processes: %d.\n429s: %d.\n", total, s.refused)
}
