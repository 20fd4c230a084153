package drift_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

var messageCalls = map[string]goldenCall{
	"messages.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Messages.Get(ctx, 42, 11)
	},
	"messages.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Messages.Create(ctx, 42, drift.MessageCreateRequest{
			Body: goldenBody, ClientMessageID: "own-key", Labels: goldenLabels, UseCustomAvatar: new(false),
		})
	},
	"messages.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Messages.Update(ctx, 42, 11, drift.MessageUpdateRequest{
			Body: drift.Set(goldenBody), Labels: drift.Null[[]string](), Reply: drift.Set(false), Type: drift.Set(drift.MessageTypePrivateNote),
		})
	},
}

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// A key that the SDK makes up is a random UUID in lower case, the same on every attempt of a call and another for each
// call.
func TestMadeUpKeys(t *testing.T) {
	calls := map[string]goldenCall{
		"client_message_id": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Messages.Create(ctx, 42, drift.MessageCreateRequest{Body: "a"})
		},
		"client_id": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Notes.Create(ctx, 42, drift.NoteCreateRequest{Body: "a"})
		},
	}
	for field, call := range calls {
		t.Run(field, func(t *testing.T) {
			first, second := keysOfRetriedCall(t, field, call), keysOfRetriedCall(t, field, call)
			for _, keys := range [][]string{first, second} {
				require.Len(t, keys, 2, "attempts")
				assert.Regexp(t, uuid4, keys[0])
				assert.Equal(t, keys[0], keys[1])
			}
			assert.NotEqual(t, first[0], second[0])
		})
	}
}

// A recorded request matches only if its key is known in advance.
func TestKeysOfATest(t *testing.T) {
	n, network := 0, new(testkit.Network)
	client := testkit.Through(t, network.Serve, drift.WithKeys(func() string {
		n++
		return fmt.Sprint("key-", n)
	}))
	_, _ = client.Messages.Create(t.Context(), 1, drift.MessageCreateRequest{Body: "a"})
	_, _ = client.Messages.Create(t.Context(), 1, drift.MessageCreateRequest{Body: "a", ClientMessageID: "own"})
	_, _ = client.Notes.Create(t.Context(), 1, drift.NoteCreateRequest{Body: "a"})
	require.Len(t, network.Sent, 3)
	for i, key := range []string{"key-1", "own", "key-2"} {
		assert.Contains(t, network.Sent[i].Body, `"`+key+`"`)
	}
	_, err := drift.NewClient(drift.WithToken("a"), drift.WithKeys(nil))
	require.EqualError(t, err, "drift: WithKeys must not be nil")
}

// keysOfRetriedCall returns the keys that the attempts of a call sent, of which the first met a 429.
func keysOfRetriedCall(t *testing.T, field string, call goldenCall) (keys []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
			var body map[string]any
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&body))
			keys = append(keys, fmt.Sprint(body[field]))
			if len(keys) == 1 {
				return testkit.Answer(http.StatusTooManyRequests, "Retry-After", "2")(r)
			}
			return testkit.AnswerBody(http.StatusOK, `{"id":1}`)(r)
		})
		_, err := call(t.Context(), client)
		require.NoError(t, err)
	})
	return keys
}

func TestDecodeAttachments(t *testing.T) {
	one, two := drift.Attachment{ID: 3, FileName: "a.pdf", MIMEType: "application/pdf", URL: "https://x/3"}, drift.Attachment{ID: 4}
	for body, want := range map[string][]drift.Attachment{
		`"attachments":[{"id":3,"file_name":"a.pdf","mime_type":"application/pdf","url":"https://x/3"},{"id":4}]`: {one, two},
		`"attachment":[{"id":3,"fileName":"a.pdf","mimeType":"application/pdf","url":"https://x/3"},{"id":4}]`:    {one, two},
		`"attachment":{"id":4}`:                          {two},
		`"Attachment":{"id":4}`:                          {two},
		`"attachment":null`:                              nil,
		`"attachment":[]`:                                {},
		`"attachments":[{"id":4}],"attachment":{"id":3}`: {two},
		`"attachments":null,"attachment":{"id":4}`:       {two},
	} {
		m, err := getMessage(t, `{"id":1,`+body+`}`)
		require.NoError(t, err, body)
		assert.Equal(t, want, m.Attachments, body)
		assert.Nil(t, m.Extra)
	}
	_, err := getMessage(t, `{"id":1,"attachment":{"id":true}}`)
	testkit.RequireDecodeError(t, err, "/attachment/id")
	_, err = getMessage(t, `{"id":1,"attachment":"a.pdf"}`)
	testkit.RequireDecodeError(t, err, "/attachment")
}

func TestDecodeMessageParts(t *testing.T) {
	m, err := getMessage(t, `{"id":1,"author":{"id":7,"type":"user","bot":true,"x":1},"context":{"IP":"192.0.2.1","userAgent":"B","place":{"City":"Bern"}}}`)
	require.NoError(t, err)
	assert.Equal(t, &drift.Author{
		ID: 7, Type: drift.AuthorTypeUser, Bot: true, Extra: map[string]json.RawMessage{"x": json.RawMessage(`1`)},
	}, m.Author)
	assert.Equal(t, &drift.MessageContext{
		IP: "192.0.2.1", UserAgent: "B", Extra: map[string]json.RawMessage{"place": json.RawMessage(`{"City":"Bern"}`)},
	}, m.Context)
	m, err = getMessage(t, `{"id":1,"author":null,"context":null,"buttons":null}`)
	require.NoError(t, err)
	assert.Equal(t, &drift.Message{ID: 1}, m)
}
