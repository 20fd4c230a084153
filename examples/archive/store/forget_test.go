package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

// isInFiles reports whether a file of the archive has a text, in any case.
func isInFiles(t *testing.T, s *store.Store, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir(), "*"))
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && bytes.Contains(bytes.ToLower(data), []byte(strings.ToLower(text))) {
			return true
		}
	}
	return false
}

func TestForget(t *testing.T) {
	s := storetest.Open(t)
	require.True(t, isInFiles(t, s, "grace@example.com"))
	require.True(t, isInFiles(t, s, "screenshot"))

	result, err := s.Forget(t.Context(), "Grace@Example.com")
	require.NoError(t, err)
	assert.Equal(t, &store.Forgotten{Contacts: []int64{102}, Conversations: 1, Messages: 1, Files: 2}, result)
	assert.False(t, isInFiles(t, s, "grace"), "neither in the tables nor in what SQLite leaves behind")
	assert.False(t, isInFiles(t, s, "screenshot"), "nor in the index of the search")
	files, err := filepath.Glob(filepath.Join(s.Dir(), "attachments", "*", "*"))
	require.NoError(t, err)
	assert.Empty(t, files)

	left, err := s.Conversations(t.Context(), store.Filter{})
	require.NoError(t, err)
	assert.Len(t, left, 2, "other people's conversations")
	found, err := s.Conversations(t.Context(), store.Filter{Words: "engine"})
	require.NoError(t, err)
	assert.Len(t, found, 1, "the search still works")
}

func TestForgottenPersonDoesNotComeBack(t *testing.T) {
	s := storetest.Open(t)
	_, err := s.Forget(t.Context(), "grace@example.com")
	require.NoError(t, err)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
		for _, err := range []error{
			tx.PutConversation(store.Conversation{ID: 2, ContactID: 102, Raw: []byte(`{"id":2}`)}),
			tx.PutMessage(store.Message{ID: 90, ConversationID: 1, AuthorType: "contact", AuthorID: 102,
				Text: "Grace again", Raw: []byte(`{}`)}),
			tx.PutContact(store.Contact{ID: 102, Email: "grace@example.com", Raw: []byte(`{}`)}, 1),
			tx.SeeContact(102, time.Now()),
			tx.PutRecord(store.Record{Kind: "meeting", ID: "9", Raw: []byte(`{"schedulerId":102}`)}),
			tx.PutRecord(store.Record{Kind: "meeting", ID: "8", Raw: []byte(`{"conversationId":"2"}`)}),
			tx.PutRecord(store.Record{Kind: "meeting", ID: "7", Raw: []byte(`{"notes":"Ask Grace\u0040Example.com"}`)}),
			tx.PutOddity(store.Oddity{Subject: "a record", Raw: []byte(`"<grace@example.com>"`)}),
			tx.PutConversation(store.Conversation{ID: 2, Raw: []byte(`{"id":2,"contactId":null}`)}),
			tx.SeeContact(109, time.Now()),
			tx.PutConversation(store.Conversation{ID: 9, ContactID: 109, Raw: []byte(`{"id":9}`)}),
			tx.PutContact(store.Contact{ID: 109, Email: "GRACE@example.com", Raw: []byte(`{}`)}, 1),
			tx.PutOddity(store.Oddity{Subject: "contact 102", ContactID: 102}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	}))
	_, err = s.Conversation(t.Context(), 2)
	assert.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.Contact(t.Context(), 102)
	assert.ErrorIs(t, err, store.ErrNotFound)
	messages, err := s.Messages(t.Context(), 1)
	require.NoError(t, err)
	assert.Len(t, messages, 3)
	meetings, err := s.Records(t.Context(), "meeting")
	require.NoError(t, err)
	assert.Len(t, meetings, 1)
	_, err = s.Conversation(t.Context(), 9)
	assert.ErrorIs(t, err, store.ErrNotFound, "another contact with the address")
	odd, err := s.Oddities(t.Context())
	require.NoError(t, err)
	assert.Len(t, odd, 2)
	counts, err := s.ByStatus(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"open": 1, "pending": 1, "": 2}, counts, "conversations that the service still has")
}

func TestForgetKeepsSharedFile(t *testing.T) {
	s := storetest.Open(t)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return tx.PutMessage(store.Message{ID: 91, ConversationID: 1, Raw: []byte(`{}`),
			Attachments: []store.Attachment{{ID: 1, Name: "screenshot.png"}}})
	}))
	result, err := s.Forget(t.Context(), "grace@example.com")
	require.NoError(t, err)
	assert.Equal(t, 1, result.Files, "only the other one")
	file, err := s.Attachment(t.Context(), 1)
	require.NoError(t, err)
	assert.FileExists(t, s.Path(file.SHA256))
}

func TestForgetReportsMentions(t *testing.T) {
	s := storetest.Open(t)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return tx.PutMessage(store.Message{ID: 92, ConversationID: 1, Text: "Ask grace@example.com, GRACE@example.com",
			Raw: []byte(`{"body":"Ask grace@example.com, GRACE@example.com"}`)})
	}))
	result, err := s.Forget(t.Context(), "grace@example.com")
	require.NoError(t, err, "other people's messages may have it")
	assert.Equal(t, []string{"message 92 of conversation 1"}, result.Mentions)
}

func TestForgetFindsWhatItCannotDelete(t *testing.T) {
	s := storetest.Open(t)
	require.NoError(t, os.WriteFile(filepath.Join(s.Dir(), "notes.txt"), []byte("from grace@EXAMPLE.com"), 0o600))
	_, err := s.Forget(t.Context(), "grace@example.com")
	assert.ErrorIs(t, err, store.ErrStillThere)
	assert.ErrorContains(t, err, "notes.txt")
}

func TestForgetOtherLetters(t *testing.T) {
	s := storetest.Open(t)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(
			tx.PutContact(store.Contact{ID: 110, Email: "Jörg@Example.com", Raw: []byte(`{"email":"Jörg@Example.com"}`)}, 1),
			tx.PutMessage(store.Message{ID: 93, ConversationID: 1, Raw: []byte(`{"body":"Ask JÖRG@EXAMPLE.COM"}`)}),
			tx.PutMessage(store.Message{ID: 94, ConversationID: 1, Raw: []byte(`{"body":"Ask jörg\u0040example.com"}`)}),
			tx.PutMessage(store.Message{ID: 95, ConversationID: 1, Raw: []byte(`{"body":"Ask georg@example.com"}`)}))
	}))
	result, err := s.Forget(t.Context(), "jÖrg@example.com")
	require.NoError(t, err)
	assert.Equal(t, []int64{110}, result.Contacts)
	assert.ElementsMatch(t, []string{"message 93 of conversation 1", "message 94 of conversation 1"}, result.Mentions)
}

// The address of a contact that does not decode is among the oddities only.
func TestForgetOddContact(t *testing.T) {
	s := storetest.Open(t)
	odd := func(id int64) {
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
			return errors.Join(
				tx.PutConversation(store.Conversation{ID: id, ContactID: id, Raw: []byte(`{}`)}),
				tx.PutOddity(store.Oddity{Subject: fmt.Sprintf("contact %d", id), ContactID: id,
					Raw: []byte(`{"attributes":["odd@example.com"]}`)}))
		}))
	}
	odd(120)
	result, err := s.Forget(t.Context(), "odd@example.com")
	require.NoError(t, err)
	assert.Equal(t, []int64{120}, result.Contacts)
	odd(121)
	for _, id := range []int64{120, 121} {
		_, err = s.Conversation(t.Context(), id)
		assert.ErrorIs(t, err, store.ErrNotFound)
	}
	assert.False(t, isInFiles(t, s, "odd@example.com"))
}

// The database is written anew after a deletion, not whenever the service lists what was forgotten.
func TestForgottenCostsNothing(t *testing.T) {
	s := storetest.Open(t)
	_, err := s.Forget(t.Context(), "grace@example.com")
	require.NoError(t, err)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return tx.PutConversation(store.Conversation{ID: 2, ContactID: 102, Raw: []byte(`{"id":2}`)})
	}))
	due, err := s.Meta(t.Context(), "erase")
	require.NoError(t, err)
	assert.Empty(t, due)
}

func TestForgetReportsExports(t *testing.T) {
	s := storetest.Open(t)
	require.NoError(t, os.MkdirAll(filepath.Join(s.Dir(), "export", "contacts"), 0o700))
	page := filepath.Join(s.Dir(), "export", "contacts", "1.html")
	require.NoError(t, os.WriteFile(page, []byte("Grace@example.com"), 0o600))
	_, err := s.Forget(t.Context(), "grace@example.com")
	assert.ErrorIs(t, err, store.ErrStillThere)
	assert.ErrorContains(t, err, "1.html")
}
