package webhook_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/webhook"
)

func TestSetTokens(t *testing.T) {
	with := func(token string) []string { return []string{"X-Verification-Token", token} }

	t.Run("w9_replaces_the_tokens", func(t *testing.T) {
		h := newHandler(t)
		assert.Equal(t, 401, send(h, request(timeless, with(otherToken)...)).StatusCode)
		require.NoError(t, h.SetTokens([]string{testToken, otherToken}))
		assert.Equal(t, 200, send(h, request(timeless, with(testToken)...)).StatusCode)
		assert.Equal(t, 200, send(h, request(timeless, with(otherToken)...)).StatusCode)
		require.NoError(t, h.SetTokens([]string{otherToken}))
		assert.Equal(t, 401, send(h, request(timeless, with(testToken)...)).StatusCode)
		assert.Equal(t, 200, send(h, request(withToken(quoted(otherToken)), with("")...)).StatusCode)
	})

	t.Run("w9_wrong_tokens_change_nothing", func(t *testing.T) {
		h := newHandler(t)
		for _, tokens := range [][]string{nil, {}, {""}, {otherToken, ""}, {"mark-short"}, {otherToken + "\n"}} {
			err := h.SetTokens(tokens)
			var invalid *drift.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, "webhook.SetTokens", invalid.Operation)
			assert.Equal(t, "tokens", invalid.Argument)
			assert.NotContains(t, err.Error(), "mark-")
		}
		assert.Equal(t, 200, status(h, timeless))
		assert.Equal(t, 401, send(h, request(timeless, with(otherToken)...)).StatusCode)
		short := newHandler(t, webhook.WithShortTokens())
		require.NoError(t, short.SetTokens([]string{"short"}))
	})

	t.Run("w9_while_deliveries_run", func(t *testing.T) {
		h := newHandler(t)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 100 {
					assert.NoError(t, h.SetTokens([]string{testToken, otherToken}))
				}
			})
			group.Go(func() {
				for range 100 {
					assert.Contains(t, []int{200, 409}, status(h, withToken(quoted(testToken))))
				}
			})
		}
		group.Wait()
	})

	// A delivery is judged by the tokens that were there when it came.
	t.Run("w9_in_the_middle_of_a_delivery", func(t *testing.T) {
		h := newHandler(t)
		r := request("")
		replace := func() { assert.NoError(t, h.SetTokens([]string{otherToken})) }
		r.Body, r.ContentLength = &onRead{do: replace, text: withToken(quoted(testToken))}, -1
		assert.Equal(t, 200, send(h, r).StatusCode)
		assert.Equal(t, 401, status(h, timeless))
	})
}

func TestTokenHeaderRequired(t *testing.T) {
	t.Run("w4_refused_before_the_body_is_read", func(t *testing.T) {
		h := newHandler(t, webhook.WithTokenHeaderRequired())
		r := request("", "X-Verification-Token", "")
		r.Body, r.ContentLength = &onRead{do: func() { t.Error("the body was read") }}, 10
		assert.Equal(t, 401, send(h, r).StatusCode)
		assert.Equal(t, 401, send(h, request(withToken(quoted(testToken)), "X-Verification-Token", "")).StatusCode)
		assert.Equal(t, 200, send(h, request(withToken(quoted(testToken)))).StatusCode)
		assert.Equal(t, 200, status(h, timed))
	})
}
