package main

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

// In a bubble of testing/synctest, twenty-five minutes take a few milliseconds: the reminder, the client's retries and
// the server's delays all go by the clock of the bubble. Start the server in the bubble.
func TestReminder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := drifttest.Start(t)
		id := srv.AddConversation(drift.Conversation{Title: "Invoice"})
		began := time.Now()

		// The visitor writes once more after ten minutes. An outage of three answers does not stop the reminder.
		time.AfterFunc(10*time.Minute, func() {
			srv.AddMessage(drift.Message{ConversationID: id, Body: "Hello?"})
			srv.Fail("conversations.get",
				drifttest.Fault{Status: http.StatusServiceUnavailable},
				drifttest.Fault{Status: http.StatusServiceUnavailable},
				drifttest.Fault{Status: http.StatusServiceUnavailable, Delay: 5 * time.Second})
		})
		reminder := Reminder{Client: srv.Client(), After: 15 * time.Minute, Every: time.Minute}
		require.NoError(t, reminder.Watch(t.Context(), id))

		assert.Equal(t, 25*time.Minute, time.Since(began))
		// What did the code write? The server tells.
		notes := srv.Notes(id)
		require.Len(t, notes, 1)
		assert.Equal(t, "Quiet for 15m0s.", notes[0].Body)
	})
}

func TestReminderStopsWhenTheConversationIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := drifttest.Start(t)
		id := srv.AddConversation(drift.Conversation{})
		time.AfterFunc(90*time.Second, func() {
			srv.AddConversation(drift.Conversation{ID: id, Status: drift.ConversationStatusClosed})
		})
		reminder := Reminder{Client: srv.Client(), After: time.Hour, Every: time.Minute}
		require.NoError(t, reminder.Watch(t.Context(), id))
		assert.Empty(t, srv.Notes(id))
		assert.Equal(t, 3, srv.Count("conversations.get"))
	})
}
