package fetch_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// With every request the account changes. What was there at the start is there at the end, and after a sync in peace
// everything is.
func TestChurn(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			a := newArchive(t, account(t, 230))
			random, mu := rand.New(rand.NewPCG(seed, 3)), sync.Mutex{}
			a.Overlap = 0
			a.network = func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
				mu.Lock()
				for range 2 {
					id := drift.ConversationID(1 + random.IntN(230))
					if random.IntN(8) == 0 {
						id = a.server.AddConversation(drift.Conversation{
							ContactID: a.server.AddContact(drift.Contact{Email: "late@example.com"})})
					}
					a.server.AddMessage(drift.Message{ConversationID: id, Body: "news"})
				}
				mu.Unlock()
				return server.RoundTrip(request)
			}
			start := map[drift.ConversationID][]*drift.Message{}
			for _, c := range a.server.Conversations() {
				start[c.ID] = a.server.Messages(c.ID)
			}
			result := a.sync(t)
			assert.Empty(t, result.Missing)
			for id, messages := range start {
				archived, err := a.Messages(t.Context(), int64(id))
				require.NoError(t, err)
				ids := map[int64]bool{}
				for _, m := range archived {
					assert.False(t, ids[m.ID], "message %d is in twice", m.ID)
					ids[m.ID] = true
				}
				for _, m := range messages {
					assert.True(t, ids[int64(m.ID)], "message %d was there at the start", m.ID)
				}
			}
			a.network = nil
			assert.True(t, a.sync(t).Complete())
			requireComplete(t, a)
		})
	}
}
