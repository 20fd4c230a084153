// Command fleet runs workers beside a user on one client. The workers' calls are marked with WithBulk: they are held back
// so that the user's calls get through, and none of either is refused by the service.
//
// Without DRIFT_TOKEN in the environment it needs no account and no network: it starts a Drift in memory, which enforces the
// limit of the product, and calls that.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := start(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// start makes the client: of your account where DRIFT_TOKEN is set, else of a server in this process.
func start(ctx context.Context, w io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling a Drift in memory.")
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

// limiter has a small burst, so that the workers queue from the start. With the usual one the first hundred calls of a minute
// go out at once, and the rest waits for the next.
func limiter() drift.Limiter {
	return drift.NewLimiter(drift.DefaultRateLimit, drift.WithBurst(3))
}

const (
	workers = 6
	records = 10 // that the workers read
	visits  = 3  // of the user
)

// run is the part to copy.
func run(ctx context.Context, client *drift.Client, w io.Writer) error {
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

// work reads conversations as long as there are any.
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
		if _, err := client.Contacts.List(ctx, drift.ContactListOptions{Limit: 1}, drift.WithResponse(&response)); err != nil {
			return err
		}
		j.note(&j.user, "user", &response)
	}
	return nil
}

// journal keeps what became of the calls.
type journal struct {
	start time.Time

	mu            sync.Mutex
	w             io.Writer
	workers, user tally
}

// tally is about the calls of one kind.
type tally struct {
	calls, refused int
	longest        time.Duration // wait for the limiter
}

// note takes down a call: the response tells how long it waited, and about every attempt.
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
