package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

// ask requests paths of a service, one after the other.
func ask(s *service, paths ...string) []*httptest.ResponseRecorder {
	var answers []*httptest.ResponseRecorder
	for _, path := range paths {
		answer := httptest.NewRecorder()
		s.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		answers = append(answers, answer)
	}
	return answers
}

func statusesOf(answers []*httptest.ResponseRecorder) []int {
	var statuses []int
	for _, answer := range answers {
		statuses = append(statuses, answer.Code)
	}
	return statuses
}

func newService(client *drift.Client) *service {
	return &service{client: client, log: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
}

func TestAnswers(t *testing.T) {
	server := drifttest.Start(t)
	server.AddConversation(drift.Conversation{Title: "Billing"})
	server.AddConversation(drift.Conversation{Title: "Old", Status: drift.ConversationStatusClosed})
	server.AddContact(drift.Contact{Email: "ada@example.com"})
	s := newService(server.Client(drift.WithPlan(5), drift.WithoutRetry()))
	answers := ask(s, "/inbox", "/contacts/1")
	assert.Equal(t, []int{200, 200}, statusesOf(answers))
	assert.Equal(t, "Billing\n", answers[0].Body.String())

	server.Fail("contacts.get", drifttest.Fault{Status: 500}, drifttest.Fault{Status: 429})
	answers = ask(s, "/contacts/1", "/contacts/1", "/contacts/2", "/contacts/2", "/contacts/x", "/contacts/0", "/else")
	assert.Equal(t, []int{502, 503, 404, 503, 400, 400, 404}, statusesOf(answers), "the fourth is one too many")
}

// The job leaves room for visitors, and survives failures.
func TestJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := drifttest.Start(t, drifttest.WithDemoData())
		server.Fail("contacts.list", drifttest.Fault{Status: http.StatusForbidden})
		limiter := &notingLimiter{WindowLimiter: drift.NewLimiter(100)}
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
		defer cancel()
		newService(server.Client(drift.WithLimiter(limiter))).job(ctx, 10*time.Minute)
		assert.Equal(t, []drift.Class{drift.ClassBulk, drift.ClassBulk, drift.ClassBulk}, limiter.classes)
	})
}

type notingLimiter struct {
	*drift.WindowLimiter
	classes []drift.Class
}

func (l *notingLimiter) Acquire(ctx context.Context, turn drift.Turn) (drift.Slot, error) {
	l.classes = append(l.classes, turn.Class)
	return l.WindowLimiter.Acquire(ctx, turn)
}

// A request that waits for a minute does not keep the service from stopping.
func TestStopsWhileACallWaits(t *testing.T) {
	server := drifttest.Start(t)
	limiter := drift.NewLimiter(100)
	require.NoError(t, limiter.Pause(t.Context(), time.Now().Add(time.Minute)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- newService(server.Client(drift.WithLimiter(limiter))).serve(ctx, listener) }()
	go func() { _, _ = http.Get("http://" + listener.Addr().String() + "/inbox") }()
	require.Eventually(t, func() bool { return limiter.Stats().Interactive == 1 }, 5*time.Second, 5*time.Millisecond)
	stop()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("it does not stop")
	}
	require.Eventually(t, func() bool { return limiter.Stats().Interactive == 0 }, 5*time.Second, 5*time.Millisecond)
}
