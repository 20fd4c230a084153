package store_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

// pages reads a list to its end, and fails if a conversation is on two pages.
func pages(t *testing.T, s *store.Store, filter store.Filter) (ids []int64) {
	t.Helper()
	for {
		page, err := s.Page(t.Context(), filter)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Rows), filter.Limit)
		for _, row := range page.Rows {
			assert.NotContains(t, ids, row.ID)
			ids = append(ids, row.ID)
		}
		if page.Next == (store.Position{}) {
			return ids
		}
		filter.After, err = store.ParsePosition(page.Next.String())
		require.NoError(t, err)
	}
}

// A page has what Conversations returns, whatever the filter and the size of a page.
func TestPagesAreComplete(t *testing.T) {
	s := small(t)
	filters := map[string]store.Filter{
		"all": {}, "word": {Words: "w1"}, "two words": {Words: "w1 w2"}, "agent": {Agent: 1}, "other agent": {Agent: 97},
		"tag": {Tag: "INVOICE"}, "status": {Status: "open"}, "files": {Files: true}, "contact": {Contact: 7},
		"address": {Email: "C7@example.com"}, "word and agent": {Words: "w1", Agent: 1},
		"word and tag": {Words: "w1", Tag: "invoice"}, "word and status": {Words: "w1", Status: "open"},
		"word and address": {Words: "w0", Email: "c7@example.com"}, "nothing": {Words: "zebra"},
	}
	for name, filter := range filters {
		t.Run(name, func(t *testing.T) {
			all, err := s.Conversations(t.Context(), filter)
			require.NoError(t, err)
			var want []int64
			for _, c := range all {
				want = append(want, c.ID)
			}
			for _, limit := range []int{7, 5_000} {
				for _, many := range []int{0, 20, 5_000} { // every strategy
					filter.Limit = limit
					s.SetMany(many)
					got := pages(t, s, filter)
					if filter.Words == "" {
						assert.Equal(t, want, got)
					} else {
						assert.ElementsMatch(t, want, got)
					}
				}
			}
		})
	}
}

func TestPageSummaries(t *testing.T) {
	s := storetest.Open(t)
	page, err := s.Page(t.Context(), store.Filter{Words: "analytical engine", Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Rows, 1)
	assert.Equal(t, "Ada", page.Rows[0].ContactName)
	assert.Equal(t, "ada@example.com", page.Rows[0].ContactEmail)
	assert.Equal(t, "Hello, how much is the \x02analytical\x03 \x02engine\x03?", page.Rows[0].Snippet)

	page, err = s.Page(t.Context(), store.Filter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Rows, 3)
	assert.Equal(t, "A good lead", page.Rows[0].Snippet, "the last message")
	assert.Empty(t, page.Rows[2].Snippet, "no message has text")
}

// The newest hit is first, whenever it was archived.
func TestPageOrderOfHits(t *testing.T) {
	s := storetest.Open(t)
	older := store.Message{ID: 9, ConversationID: 3, Text: "the engine", Raw: []byte(`{}`)}
	newer := store.Message{ID: 10, ConversationID: 2, Text: "an engine", Raw: []byte(`{}`)}
	older.CreatedAt, newer.CreatedAt = storetest.Start.AddDate(-1, 0, 0), storetest.Start.AddDate(1, 0, 0)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
		if err := tx.PutMessage(newer); err != nil {
			return err
		}
		return tx.PutMessage(older)
	}))
	assert.Equal(t, []int64{2, 1, 3}, pages(t, s, store.Filter{Words: "engine", Limit: 1}))
}

func TestParsePosition(t *testing.T) {
	for _, bad := range []string{"x", "1", "1.", ".1", "1.x"} {
		_, err := store.ParsePosition(bad)
		assert.Error(t, err, bad)
	}
	position, err := store.ParsePosition("")
	require.NoError(t, err)
	assert.Empty(t, position.String())
}
