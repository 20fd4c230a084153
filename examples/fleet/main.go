// Command fleet runs workers and an interactive user on one client. The workers' calls are marked with WithBulk, so the
// client holds them back in favour of the user's calls. The service refuses none of the calls.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program calls an in-memory Drift
// server that enforces Drift's limit.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
)

const about = `Runs workers and an interactive user on one client, and prints how long each
call waits for the rate limit. With DRIFT_TOKEN in the environment it reads your
account, and otherwise an in-memory Drift server.

Eight processes that share one allowance in Redis are in another module:
go -C redisstore run ./examples/fleet -redis localhost:6379`

func main() { cli.Main(about, start) }

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, w io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
		server := drifttest.NewServer(drifttest.WithDemoData(), drifttest.WithLimits(drift.DefaultRateLimit, 0))
		defer server.Close()
		return run(ctx, server.Client(drift.WithLimiter(limiter())), w)
	}
	client, err := drift.NewClient(drift.FromEnv(), drift.WithLimiter(limiter()))
	if err != nil {
		return err
	}
	defer client.Close()
	return run(ctx, client, w)
}

// limiter has a small burst, so that the workers queue from the start. With the default burst, the first hundred calls
// of a minute go out at once, and the rest waits for the next minute.
func limiter() drift.Limiter {
	return drift.NewLimiter(drift.DefaultRateLimit, drift.WithBurst(3))
}

const (
	workers = 6
	records = 10 // read by the workers
	visits  = 3  // by the user
)

// run is the part to copy.
func run(ctx context.Context, client *drift.Client, w io.Writer) error {
	fmt.Fprintf(w, "%d workers read %d conversations, and a user reads contacts. Each line is a call:\n"+
		"when it ended, who made it, and how long it waited for the rate limit. The user's calls go first.\n",
		workers, records)
	j := &journal{w: w, start: time.Now()}
	page, err := client.Conversations.List(ctx, drift.ConversationListOptions{Limit: records})
	if err != nil {
		return err
	}
	jobs := make(chan *drift.Conversation, len(page.Items))
	for _, conversation := range page.Items {
		jobs <- conversation
	}
	close(jobs)

	var errs [workers + 1]error
	var group sync.WaitGroup
	bulk := client.With(drift.WithBulk()) // shares the limiter with client
	for i := range workers {
		group.Go(func() { errs[i] = work(ctx, bulk, jobs, j) })
	}
	group.Go(func() { errs[workers] = visit(ctx, client, j) })
	group.Wait()
	j.summary()
	return errors.Join(errs[:]...)
}

// work reads conversations until there are no more jobs.
func work(ctx context.Context, client *drift.Client, jobs <-chan *drift.Conversation, j *journal) error {
	for conversation := range jobs {
		var response drift.Response
		if _, err := client.Conversations.Get(ctx, conversation.ID, drift.WithResponse(&response)); err != nil {
			return err
		}
		j.note(&j.workers, "worker", &response)
	}
	return nil
}

// visit looks up a contact from time to time, as a user would.
func visit(ctx context.Context, client *drift.Client, j *journal) error {
	ticker := time.NewTicker(1500 * time.Millisecond)
	defer ticker.Stop()
	for range visits {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		var response drift.Response
		_, err := client.Contacts.List(ctx, drift.ContactListOptions{Limit: 1}, drift.WithResponse(&response))
		if err != nil {
			return err
		}
		j.note(&j.user, "user", &response)
	}
	return nil
}

// journal records the calls.
type journal struct {
	start time.Time

	mu            sync.Mutex
	w             io.Writer
	workers, user tally
}

// tally sums up the calls of one kind.
type tally struct {
	calls, refused int
	longest        time.Duration // wait for the limiter
}

// note records a call. The response has its waiting times and all its attempts.
func (j *journal) note(t *tally, who string, response *drift.Response) {
	j.mu.Lock()
	defer j.mu.Unlock()
	waited := response.Waited.RateLimit
	t.calls++
	t.longest = max(t.longest, waited)
	for _, attempt := range response.Attempts {
		if attempt.StatusCode == http.StatusTooManyRequests {
			t.refused++
		}
	}
	fmt.Fprintf(j.w, "%5.1f s  %-6s  waited %4.1f s\n", time.Since(j.start).Seconds(), who, waited.Seconds())
}

func (j *journal) summary() {
	fmt.Fprintf(j.w, "Calls of the workers: %d, longest wait %.1f s.\n", j.workers.calls, j.workers.longest.Seconds())
	fmt.Fprintf(j.w, "Calls of the user: %d, longest wait %.1f s.\n", j.user.calls, j.user.longest.Seconds())
	fmt.Fprintf(j.w, "429s: %d.\n", j.workers.refused+j.user.refused)
}
