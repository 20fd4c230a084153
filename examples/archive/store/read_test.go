package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

func TestFilters(t *testing.T) {
	s := storetest.Open(t)
	for _, test := range []struct {
		name   string
		filter store.Filter
		want   []int64
	}{
		{"none", store.Filter{}, []int64{1, 2, 3}},
		{"word in another case", store.Filter{Words: "ANALYTICAL"}, []int64{1}},
		{"word without its accent", store.Filter{Words: "cafe"}, []int64{1}},
		{"words of two messages", store.Filter{Words: "engine lead"}, nil},
		{"operators are words", store.Filter{Words: `engine OR screenshot`}, nil},
		{"quotes", store.Filter{Words: `"engine" *`}, []int64{1}},
		{"email", store.Filter{Email: "GRACE@example.com"}, []int64{2}},
		{"word and email", store.Filter{Words: "screenshot", Email: "grace@example.com"}, []int64{2}},
		{"word of somebody else", store.Filter{Words: "engine", Email: "grace@example.com"}, nil},
		{"contact", store.Filter{Contact: 103}, []int64{3}},
		{"agent", store.Filter{Agent: 11}, []int64{1}},
		{"agent without messages", store.Filter{Agent: 12}, nil},
		{"status", store.Filter{Status: "closed"}, []int64{2}},
		{"from", store.Filter{From: storetest.Start.Add(50 * time.Minute)}, []int64{1, 2}},
		{"to", store.Filter{To: storetest.Start.Add(50 * time.Minute)}, []int64{3}},
		{"files", store.Filter{Files: true}, []int64{2}},
		{"limit", store.Filter{Limit: 2}, []int64{1, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := s.Conversations(t.Context(), test.filter)
			require.NoError(t, err)
			var ids []int64
			for _, c := range found {
				ids = append(ids, c.ID)
			}
			assert.Equal(t, test.want, ids)
		})
	}
}

func TestThread(t *testing.T) {
	s := storetest.Open(t)
	messages, err := s.Messages(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, messages, 1)
	assert.Equal(t, "Here is the screenshot", messages[0].Text)
	require.Len(t, messages[0].Attachments, 2)
	stored, due := messages[0].Attachments[0], messages[0].Attachments[1]
	assert.Equal(t, "stored", stored.State)
	assert.Equal(t, int64(len(storetest.PNG)), stored.Size)
	assert.Equal(t, "due", due.State)

	file, err := s.OpenFile(&stored)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	_, err = s.OpenFile(&due)
	assert.ErrorIs(t, err, store.ErrNotFound)
}

func TestContacts(t *testing.T) {
	s := storetest.Open(t)
	ada, err := s.Contact(t.Context(), 101)
	require.NoError(t, err)
	assert.Equal(t, "Ada", ada.Name)
	unknown, err := s.Contact(t.Context(), 103)
	require.NoError(t, err)
	assert.Nil(t, unknown.Raw)
	assert.True(t, unknown.FetchedAt.IsZero())
	_, err = s.Contact(t.Context(), 999)
	assert.ErrorIs(t, err, store.ErrNotFound)
	found, err := s.ContactsByEmail(t.Context(), "ADA@example.com")
	require.NoError(t, err)
	assert.Len(t, found, 1)
}

func TestRecordsAndOddities(t *testing.T) {
	s := storetest.Open(t)
	users, err := s.Records(t.Context(), "user")
	require.NoError(t, err)
	assert.Len(t, users, 2)
	odd, err := s.Oddities(t.Context())
	require.NoError(t, err)
	require.Len(t, odd, 2)
	assert.JSONEq(t, `{"status":"open"}`, string(odd[0].Raw))
	assert.Nil(t, odd[1].Raw)
}
