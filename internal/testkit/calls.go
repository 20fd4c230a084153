package testkit

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// Get sends a GET.
func Get(ctx context.Context, client *drift.Client, opts ...drift.CallOption) error {
	return Call(ctx, client, http.MethodGet, opts...)
}

// Call sends a request with this method, and with a body where the method has one.
func Call(ctx context.Context, client *drift.Client, method string, opts ...drift.CallOption) error {
	req := drift.Request{Name: "tests.call", Method: method, Path: "v2/things"}
	if method == http.MethodPost || method == http.MethodPatch || method == http.MethodPut {
		req.Body = map[string]string{"name": "value"}
	}
	return client.Do(ctx, req, nil, opts...)
}

// CallAll makes n calls from each of the clients, from a number of workers.
func CallAll(t *testing.T, n, workers int, clients ...*drift.Client) {
	jobs := make(chan *drift.Client, n*len(clients))
	for range n {
		for _, client := range clients {
			jobs <- client
		}
	}
	close(jobs)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for client := range jobs {
				assert.NoError(t, Get(t.Context(), client))
			}
		})
	}
	group.Wait()
}

// Used returns how many calls of the month a client has counted.
func Used(t *testing.T, client *drift.Client) int {
	t.Helper()
	usage, err := client.Quota(t.Context())
	require.NoError(t, err)
	return usage.Used
}

// WithoutBudget retries as often as the policy allows.
var WithoutBudget = drift.WithRetryPolicy(drift.RetryPolicy{Budget: -1})

// Gaps makes calls and returns the shortest and the longest time between attempts i and i+1.
func Gaps(t *testing.T, calls, i int, respond Responder, opts ...drift.Option) (shortest, longest time.Duration) {
	shortest = time.Hour
	network := &Network{Answers: []Responder{respond}}
	client := Through(t, network.Serve, append(opts, drift.WithLimiter(new(Slots)))...)
	for range calls {
		network.Sent = nil
		_ = Get(t.Context(), client)
		gap := network.Sent[i+1].At.Sub(network.Sent[i].At)
		shortest, longest = min(shortest, gap), max(longest, gap)
	}
	return shortest, longest
}
