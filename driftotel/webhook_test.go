package driftotel_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/driftotel"
	"github.com/driftsdk/drift/webhook"
)

const webhookToken = "mark-verification-token"

func deliver(h http.Handler, body string) {
	r := httptest.NewRequest(http.MethodPost, "/mark-path", strings.NewReader(body))
	r.Header.Set("X-Verification-Token", webhookToken)
	h.ServeHTTP(httptest.NewRecorder(), r)
}

func TestDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		h, err := webhook.NewHandler([]string{webhookToken}, driftotel.Webhook(b.options()...))
		require.NoError(t, err)
		results := []func() error{
			func() error { return nil },
			func() error { return &drift.APIError{StatusCode: 404, Message: "mark-message"} },
			func() error { return errors.New("mark-error") },
			func() error { panic("mark-panic") },
		}
		webhook.On(h, func(ctx context.Context, _ webhook.Event) error {
			time.Sleep(time.Second)
			assert.True(t, trace.SpanContextFromContext(ctx).IsValid(), "calls of the function are below its span")
			result := results[0]
			results = results[1:]
			return result()
		})
		deliver(h, `{"type":"new_message","orgId":1,"data":{"id":1,"body":"mark-body"}}`)
		deliver(h, `{"type":"mark-type","orgId":1,"data":{}}`)
		deliver(h, `{"type":"new_message","orgId":2,"data":{"id":1}}`)
		deliver(h, `{"type":"new_message","orgId":3,"data":{"id":1}}`)
		deliver(h, `{`)
		assert.Equal(t, []string{
			`webhook new_message internal Unset < "" drift.webhook.event=new_message`,
			`webhook unknown internal Error < "" drift.webhook.event=unknown error.type=not_found`,
			`webhook new_message internal Error < "" drift.webhook.event=new_message error.type=_OTHER`,
			`webhook new_message internal Error < "" drift.webhook.event=new_message error.type=panic`,
		}, b.ended())
		assert.Equal(t, map[string]string{
			"drift.webhook.event=new_message drift.webhook.outcome=handled":  "1 in 1",
			"drift.webhook.event=unknown drift.webhook.outcome=failed":       "1 in 1",
			"drift.webhook.event=new_message drift.webhook.outcome=failed":   "1 in 1",
			"drift.webhook.event=new_message drift.webhook.outcome=panicked": "1 in 1",
			"drift.webhook.event=unknown drift.webhook.outcome=refused":      "1 in 0",
		}, b.points(t, "drift.webhook.delivery.duration"))
	})
}

// Two providers each get their spans.
func TestTwoOptionsOfOneHandler(t *testing.T) {
	first, second := newBackend(), newBackend()
	h, err := webhook.NewHandler([]string{webhookToken}, driftotel.Webhook(first.options()...), driftotel.Webhook(second.options()...))
	require.NoError(t, err)
	webhook.On(h, func(context.Context, webhook.Event) error { return nil })
	deliver(h, `{"type":"new_message","orgId":1,"data":{"id":1}}`)
	assert.Len(t, first.spans.Ended(), 1)
	assert.Len(t, second.spans.Ended(), 1)
}
