package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
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
