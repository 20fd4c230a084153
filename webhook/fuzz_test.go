package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/webhook"
)

// allowed are the answers that the package's documentation lists, without those that a handler in trouble gives.
var allowed = []int{200, 400, 401, 405, 413, 415}

// Whatever comes in, the answer is one of those, a token is needed for 200, and events hold no token.
func FuzzHandler(f *testing.F) {
	add := func(method, token, contentType, encoding string, body []byte) {
		f.Add(method, token, contentType, encoding, body)
	}
	for name := range goldenEvents {
		add("POST", testToken, "application/json", "", golden(f, name))
	}
	for _, body := range brokenDeliveries {
		add("POST", testToken, "application/json; charset=utf-8", "", []byte(body))
		add("POST", "", "", "identity", []byte(body))
	}
	for _, body := range tokenPlaces {
		add("POST", "", "application/json", "", bytes.ReplaceAll([]byte(body), []byte("TOKEN"), []byte(testToken)))
	}
	add("GET", testToken, "text/plain", "gzip", nil)
	add("POST", otherToken, "application/json", "", []byte(timed))
	add("POST", testToken, "application/json", "", bytes.Repeat([]byte("["), 20_000))

	f.Fuzz(func(t *testing.T, method, token, contentType, encoding string, body []byte) {
		h := newHandler(t, webhook.WithMaxBodyBytes(1<<16))
		handled := 0
		webhook.On(h, func(_ context.Context, e webhook.Event) error {
			handled++
			text, err := json.Marshal(e)
			require.NoError(t, err)
			again, err := webhook.Parse(text)
			require.NoError(t, err)
			require.Equal(t, e.EventType(), again.EventType())
			return nil
		})
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Method = method
		r.Header = http.Header{"Content-Type": {contentType}, "Content-Encoding": {encoding}}
		if token != "" {
			r.Header.Set("X-Verification-Token", token)
		}
		answer := send(h, r)
		require.True(t, slices.Contains(allowed, answer.StatusCode), "%d", answer.StatusCode)
		require.Equal(t, answer.StatusCode == 200, handled == 1)
		if answer.StatusCode == 200 {
			require.True(t, token == testToken || token == "")
			require.Equal(t, "POST", method)
		}
	})
}

// What parses can be encoded, and means the same when it is parsed again, with encoding/json too.
func FuzzParse(f *testing.F) {
	for name := range goldenEvents {
		f.Add(golden(f, name))
	}
	for _, body := range brokenDeliveries {
		f.Add([]byte(body))
	}
	for _, body := range tokenPlaces {
		f.Add([]byte(body))
	}
	f.Add([]byte(`{"type":"new_message","data":{"attachment":{"id":"3"},"Attachment":[1],"created_at":-1,"createdAt":"0001-01-01T00:00:00Z"}}`))
	f.Add([]byte(`{"type":"conversation_push","data":{"id":"9223372036854775807","ID":1}}`))
	f.Add([]byte(`{"type":"contact_updated","data":{"diff":[{"previous":1e400,"updated":null},null]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		first, err := webhook.Parse(body)
		if err != nil {
			require.Nil(t, first)
			return
		}
		require.NotEmpty(t, first.EventType())
		require.True(t, first.OccurredAt().IsZero() || first.OccurredAt().Location() == time.UTC)
		text, err := json.Marshal(first)
		require.NoError(t, err)
		require.NotContains(t, members(t, text), "token")

		second, err := webhook.Parse(text)
		require.NoError(t, err)
		require.IsType(t, first, second)
		require.Equal(t, first.EventOrgID(), second.EventOrgID())
		require.True(t, first.OccurredAt().Equal(second.OccurredAt()))
		again, err := json.Marshal(second)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}

func members(t *testing.T, object []byte) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(object, &m))
	return m
}
