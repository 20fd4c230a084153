package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

// Thousands of messages may have the same time, or none, as after an import. Each keeps a row of its own.
func TestPutMessageManyAtOnce(t *testing.T) {
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	const each = 4_200 // more than a second has seqs for
	times := []time.Time{{}, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 1, 1, 0, 0, 1, 0, time.UTC)}
	put := func(text string) {
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
			for i, created := range times {
				conversation := int64(i + 1)
				if err := tx.PutConversation(store.Conversation{ID: conversation, Raw: []byte(`{}`)}); err != nil {
					return err
				}
				for id := range int64(each) {
					if err := tx.PutMessage(store.Message{
						ID: id + 1, ConversationID: conversation, CreatedAt: created, Text: text, Raw: []byte(`{}`),
					}); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
	put("first")
	put("second")
	for i := range times {
		messages, err := s.Messages(t.Context(), int64(i+1))
		require.NoError(t, err)
		assert.Len(t, messages, each)
		for _, m := range messages {
			require.Equal(t, "second", m.Text)
		}
	}
	page, err := s.Page(t.Context(), store.Filter{Words: "first", Limit: 10})
	require.NoError(t, err)
	assert.Empty(t, page.Rows)
	page, err = s.Page(t.Context(), store.Filter{Words: "second", Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Rows, 3)
	assert.Equal(t, int64(3), page.Rows[0].ID, "the newest hit")
}

// A wrong time in the future does not hide the changes after it.
func TestTimeInTheFuture(t *testing.T) {
	s := storetest.Open(t)
	now := time.Now().Truncate(time.Millisecond)
	for _, at := range []time.Time{now.AddDate(70, 0, 0), now} {
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
			if err := tx.PutConversation(store.Conversation{ID: 7, UpdatedAt: at, Raw: []byte(`{"id":7}`)}); err != nil {
				return err
			}
			return tx.MessagesRead(store.Due{ID: 7, UpdatedAt: now.AddDate(70, 0, 0).UnixMilli()}, "")
		}))
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
			return tx.PutConversation(store.Conversation{ID: 7, UpdatedAt: at, Raw: []byte(`{"id":7}`)})
		}))
	}
	c, err := s.Conversation(t.Context(), 7)
	require.NoError(t, err)
	assert.Equal(t, now.UnixMilli(), c.UpdatedAt.UnixMilli())
}

// The text is in the file once, wherever the JSON has it, and the search finds it.
func TestTextIsStoredOnce(t *testing.T) {
	s := storetest.Open(t)
	for i, text := range []string{"plain words", "schön 日本語 words", `quoted "words"`, "two\nlines of words", ""} {
		raw, err := json.Marshal(map[string]any{"id": 200 + i, "x": "größer", "body": "<p>" + text + "</p>"})
		require.NoError(t, err)
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
			return tx.PutMessage(store.Message{ID: int64(200 + i), ConversationID: 3, Text: text, Raw: raw})
		}))
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error { // an edit
			return tx.PutMessage(store.Message{ID: int64(200 + i), ConversationID: 3, Text: text + " edited", Raw: raw})
		}))
	}
	messages, err := s.Messages(t.Context(), 3)
	require.NoError(t, err)
	var texts []string
	for _, m := range messages {
		texts = append(texts, m.Text)
	}
	assert.ElementsMatch(t, []string{"", "plain words edited", "schön 日本語 words edited", `quoted "words" edited`,
		"two\nlines of words edited", " edited"}, texts)
	found, err := s.Conversations(t.Context(), store.Filter{Words: "schon words edited"})
	require.NoError(t, err)
	assert.Len(t, found, 1)
	checks, err := s.Check(t.Context())
	require.NoError(t, err)
	for _, check := range checks {
		if check.Name == "search" {
			assert.True(t, check.OK, check.Result)
		}
	}
}
