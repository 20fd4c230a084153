package store_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
)

// TestMeasure prints the figures of docs/leaving-drift.md. ARCHIVE_MESSAGES is how many messages to archive, for example
// 1000000; it takes minutes, and no other test needs it.
func TestMeasure(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("ARCHIVE_MESSAGES"))
	if err != nil {
		t.Skip("ARCHIVE_MESSAGES is not set")
	}
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	raw := fillWith(t, s, n)
	info, err := os.Stat(filepath.Join(s.Dir(), "archive.db"))
	require.NoError(t, err)
	t.Logf("%d messages: %d bytes of JSON, a file of %d bytes: × %.2f", n, raw, info.Size(), float64(info.Size())/float64(raw))
	for name, filter := range map[string]store.Filter{
		"rare word": {Words: "w999", Limit: 50}, "common word": {Words: "w1", Limit: 50},
		"two words": {Words: "w1 w300", Limit: 50}, "word and address": {Words: "w1", Email: "c77@example.com", Limit: 50},
		"newest": {Limit: 50}, "agent": {Agent: 3, Limit: 50}, "agent without messages": {Agent: 99, Limit: 50},
		"files": {Files: true, Limit: 50},
	} {
		times := make([]time.Duration, 20)
		for i := range times {
			start := time.Now()
			_, err := s.Conversations(t.Context(), filter)
			require.NoError(t, err)
			times[i] = time.Since(start)
		}
		slices.Sort(times)
		t.Logf("%s: median %s, 95%%: %s", name, times[10], times[18])
	}
	start := time.Now()
	page := 0
	for ; page < 200; page++ { // as a sync stores a page of ten messages
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
			for i := range 10 {
				if err := tx.PutMessage(message(1_000_000+page*10+i, 1)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	t.Logf("a page of ten messages: %s", time.Since(start)/200)
	start = time.Now()
	_, err = s.Forget(t.Context(), "c78@example.com")
	require.NoError(t, err)
	t.Logf("forget: %s", time.Since(start))
}

func message(id, conversation int) store.Message {
	words := make([]string, 20)
	for i := range words {
		words[i] = fmt.Sprintf("w%d", int(1000*rand.Float64()*rand.Float64()*rand.Float64())+1)
	}
	text := strings.Join(words, " ")
	m := store.Message{ID: int64(id), ConversationID: int64(conversation), Type: "chat", AuthorType: "contact",
		AuthorID: int64(conversation), CreatedAt: time.UnixMilli(1_700_000_000_000 + int64(id)), Text: text}
	if id%2 == 0 {
		m.AuthorType, m.AuthorID = "user", int64(id%7)
	}
	m.Raw = fmt.Appendf(nil, `{"id":%d,"conversationId":%d,"orgId":1,"type":"chat","author":{"id":%d,"type":%q,"bot":false},`+
		`"createdAt":%d,"body":"<p>%s</p>","attributes":{},"buttons":[],"context":{"ip":"192.0.2.1","userAgent":"Mozilla/5.0"}}`,
		m.ID, m.ConversationID, m.AuthorID, m.AuthorType, m.CreatedAt.UnixMilli(), text)
	return m
}

func fillWith(t *testing.T, s *store.Store, messages int) (raw int) {
	for first := 0; first < messages; first += 10_000 {
		require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
			for i := first; i < min(first+10_000, messages); i++ {
				id := i/10 + 1
				if i%10 == 0 {
					c := store.Conversation{ID: int64(id), ContactID: int64(id), Status: "closed",
						UpdatedAt: time.UnixMilli(1_700_000_000_000 + int64(i)), Raw: fmt.Appendf(nil, `{"id":%d,"contactId":%d}`, id, id)}
					if err := tx.PutConversation(c); err != nil {
						return err
					}
					contact := store.Contact{ID: c.ID, Email: fmt.Sprintf("c%d@example.com", id), Raw: []byte(`{}`)}
					if err := tx.PutContact(contact, c.UpdatedAt.UnixMilli()); err != nil {
						return err
					}
				}
				m := message(i, id)
				raw += len(m.Raw)
				if err := tx.PutMessage(m); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return raw
}
