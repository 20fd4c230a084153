package drifttest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

func TestServerInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := drifttest.Start(t, drifttest.WithDemoData(), drifttest.WithLimits(100, 0))
		client := srv.Client()
		begin := time.Now()

		for range 101 {
			_, err := client.Tags.Get(t.Context(), 1)
			require.NoError(t, err)
		}
		assert.GreaterOrEqual(t, time.Since(begin), time.Minute, "the limit of a minute")
		assert.Equal(t, 101, srv.Count("tags.get"))

		srv.Fail("tags.get", drifttest.Fault{Delay: 20 * time.Second})
		begin = time.Now()
		_, err := client.Tags.Get(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, 20*time.Second, time.Since(begin))

		srv.Fail("tags.get", drifttest.Fault{Status: 429, Header: http.Header{"Retry-After": {"30"}}})
		begin = time.Now()
		_, err = client.Tags.Get(t.Context(), 1)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(begin), 30*time.Second)

		srv.Fail("tags.get", drifttest.Fault{Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = client.Tags.Get(ctx, 1)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// Every stage of a fault looks to the client as it does on a port.
func TestFaultsInABubble(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T) {
		srv := drifttest.Start(t)
		client := srv.Client(drift.WithoutRetry())
		for _, fault := range []drifttest.Fault{
			{Drop: drifttest.DropBeforeAnswer}, {Drop: drifttest.DropAfterHandling}, {Drop: drifttest.DropInHeaders},
			{Drop: drifttest.DropInBody}, {Truncate: 3}, {Status: 502, Body: "<html>"},
		} {
			srv.Fail("tags.create", fault)
			_, err := client.Tags.Create(t.Context(), drift.TagCreateRequest{Name: "vip"})
			assert.ErrorIs(t, err, drift.ErrAmbiguous, "%+v", fault)
		}
		srv.Fail("tags.get", drifttest.Fault{Pad: 11 << 20})
		_, err := client.Tags.Get(t.Context(), 1)
		assert.ErrorIs(t, err, drift.ErrTooLarge)
	}
	check(t)
	synctest.Test(t, check)
}

func TestServerInABubbleIsReachedByItsOwnClientsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := drifttest.NewServer()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/v2/contacts", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+drifttest.DefaultToken)
		request.Header.Set("Accept", "*/*")
		resp, err := srv.HTTPClient().Do(request)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		srv.Close()
		_, err = srv.HTTPClient().Do(request) //nolint:bodyclose // there is none
		assert.Error(t, err)
	})
}

func TestOAuthInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := drifttest.Start(t)
		config := srv.OAuthConfig()
		callback := srv.Allow(config.AuthCodeURL("state"))
		token, err := config.Exchange(t.Context(), callback.Query().Get("code"))
		require.NoError(t, err)
		assert.Equal(t, time.Now().Add(2*time.Hour).Unix(), token.Expiry.Unix())
	})
}

func TestWebhooksInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := drifttest.Start(t)
		begin, attempts := time.Now(), 0
		hooks := srv.SendWebhooks(drifttest.Webhook{
			Backoff: time.Hour,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if attempts++; attempts < 3 {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			}),
		})
		srv.AddContact(drift.Contact{Email: "a@x.example"})
		tb := &fakeTB{}
		other := drifttest.Start(tb)
		defer other.Close()
		other.SendWebhooks(drifttest.Webhook{URL: "http://127.0.0.1:1"})
		assert.Equal(t, []string{"drifttest: SendWebhooks: URL: there is no network in a bubble; set Handler"}, tb.fatals)
		require.NoError(t, hooks.Wait(t.Context()))
		assert.Equal(t, []int{503, 503, 200}, hooks.Deliveries()[0].Statuses)
		assert.Equal(t, 3*time.Hour, time.Since(begin))
	})
}

// A server that was started outside of a bubble answers in it, and can be closed afterwards.
func TestServeHTTPInABubble(t *testing.T) {
	t.Parallel()
	srv := drifttest.NewServer()
	synctest.Test(t, func(t *testing.T) {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/contacts", nil)
		request.Header.Set("Authorization", "Bearer "+drifttest.DefaultToken)
		request.Header.Set("Accept", "*/*")
		recorder := httptest.NewRecorder()
		srv.ServeHTTP(recorder, request)
		assert.Equal(t, http.StatusOK, recorder.Code)
	})
	srv.Close()
}

func TestWebhookHasOneReceiver(t *testing.T) {
	t.Parallel()
	tb := &fakeTB{}
	srv := drifttest.Start(tb)
	defer srv.Close()
	srv.SendWebhooks(drifttest.Webhook{URL: "http://127.0.0.1:1", Handler: http.NotFoundHandler()})
	srv.SendWebhooks(drifttest.Webhook{})
	assert.Len(t, tb.fatals, 2)
}

func TestCloseWaitsForHandlers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := drifttest.NewServer()
		srv.Handle("GET", "slow", func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			time.Sleep(10 * time.Second)
		})
		go func() { _ = srv.Client(drift.WithoutRetry()).Do(t.Context(), drift.Request{Path: "slow"}, nil) }()
		synctest.Wait()
		begin := time.Now()
		srv.Close()
		assert.Equal(t, 10*time.Second, time.Since(begin))
	})
}
